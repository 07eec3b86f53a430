"""Bursts that are found live: tables that are completed as they come, and triggers."""

from __future__ import annotations

import json
import math
import os
from fractions import Fraction
from typing import Any

import numpy as np
from astropy.time import Time

from fastsig.axes.dispersion import constant_of
from fastsig.axes.time import elapsed, iso
from fastsig.live.rolling import Report, Rolling, name_of
from fastsig.live.settings import Settings
from fastsig.live.triggers import Cutter, post, span_of
from fastsig.live.voevent import document
from fastsig.reductions.bursts.cutting import cut_name
from fastsig.reductions.bursts.following import follow, left_out
from fastsig.reductions.bursts.sink import Bursts
from fastsig.reductions.bursts.table import running_meta
from fastsig.reductions.intensity import intensity_in
from fastsig.run.candidate_files import write_candidates
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.bursts.plan import SearchPlan, search_plan
from fastsig.stages.select import Select
from fastsig.stream import Stream, spectra_of

__all__ = ["Searching", "searching"]

_MOST_EVENTS = 2**15  # kept for the end of the search, which reports nothing new then


class Searching(Rolling):
    """A search that never ends, with tables of candidates that roll.

    Parameters
    ----------
    chain : Stream
        Spectra of one product.
    settings : Settings
    label : str
    report : callable
    cutter : Cutter, optional
        What cuts raw data around bursts.
    """

    def __init__(self, chain: Stream, settings: Settings, label: str, report: Report,
                 cutter: Cutter | None) -> None:
        super().__init__(chain, chain.shape[0], self._sink, self._ended, report, rolls=False)
        self._settings, self._label, self._cutter = settings, label, cutter
        self._rows: list[Candidates] = []
        self._meta: dict[str, Any] = {}
        self._n_written = 0
        self._period = -1
        self._plan: SearchPlan | None = None
        self.n_unposted = 0

    def roll(self) -> None:
        """Begin a new table with the next candidate; the search goes on."""
        super().roll()
        self._period = -1

    def _sink(self, piece: Stream) -> Bursts:
        given = self._settings
        self._piece_start = piece.start_time
        self._plan = search_plan(piece, given.bursts, threshold=given.threshold, prompt=True)
        # Of the chain, because the last row of the piece is not known yet.
        self._meta = running_meta([spectra_of(self.chain)], [self._plan])
        sink = Bursts(piece, self._plan, threads=given.workers or 1, most=_MOST_EVENTS)
        self._follower = follow([sink], self._found)
        latest = self._follower.latency_s + float(given.around_s)
        if self._cutter is not None and given.keep_s is not None and given.keep_s < latest:
            self._report({"note": f"--keep {float(given.keep_s):g}s: a burst may be found "
                                  f"{latest:.3g} s after the first data that are to be copied, "
                                  "which may then be lost; allowed: at least --keep "
                                  f"{math.ceil(latest)}s"})
        if self._cutter is not None:
            reported, ratio = sink.on_merged, _ratio(self._cutter.stream, piece)
            first = _rows_before(self._cutter.stream, piece)

            def merged() -> None:
                if reported is not None:
                    reported()
                assert self._cutter is not None
                self._cutter.searched(first + int(sink.search.n_time * ratio))

            sink.on_merged = merged
        return sink

    def _ended(self, sink: Any, result: Any) -> tuple[str, ...]:
        if (text := left_out(self._follower)) is not None:
            self._report({"note": text})
        if self._cutter is not None:
            self._cutter.close()
        return ()

    def _found(self, found: Candidates) -> None:
        """Report candidates: in the table, to others, and by cutting raw data."""
        for row in range(len(found)):
            one = found[row : row + 1]
            path = self._cut(one)
            self._post(one, path)
        self._tabulate(found)

    def _tabulate(self, found: Candidates) -> None:
        """Add candidates to the table of their time, which is written again."""
        for row in range(len(found)):
            late = elapsed(self._piece_start, found["time"][row])
            period = math.floor(late / self._settings.roll_s)
            if period > self._period or not self._rows:
                self._write()
                self._rows, self._n_written, self._period = [], 0, period
                at = Select(self.chain, rows=_first_rows(self.chain, found["time"][row]))
                self._path = name_of(self._settings.folder, self._label, "bursts", at, ".ecsv")
            self._rows.append(found[row : row + 1])
        self._write()

    def _write(self) -> None:
        """Write the table again if it has new rows."""
        if len(self._rows) == self._n_written:
            return
        new, self._n_written = self._n_written == 0, len(self._rows)
        write_candidates(_joined(self._rows).with_meta(**self._meta).sorted(), self._path,
                         overwrite=not new or os.path.exists(self._path))
        if new:
            self._report({"wrote": self._path, "file_rows": len(self._rows)})

    def _cut(self, one: Candidates) -> str | None:
        """Have raw data cut; return the name of their file."""
        if self._cutter is None or self._plan is None:
            return None
        raw, header = self._cutter.stream, self.chain.header
        edges = header.require_channels(self.chain.path).edges_hz
        late = elapsed(raw.header.start_time, one["time"][0])
        dm = float(one.values("dm")[0])
        rows = span_of(raw, float(late), dm, constant_of(self._plan.dm_plan.recording.constant),
                       edges, self._settings.around_s)
        name = cut_name(f"{self._label}trigger", one["time"][0], dm) + ".h5"
        path = os.path.join(self._settings.folder, name)
        return path if self._cutter.cut(path, rows) else None

    def _post(self, one: Candidates, path: str | None) -> None:
        if self._settings.post is None:
            return
        try:
            line = line_of(one, self.chain, self._label, path)
            stream = self._settings.voevent
            post(json.dumps(line) if stream is None else document(
                line, stream, iso(Time.now())), self._settings.post)
        except OSError as error:
            self.n_unposted += 1
            self._report({"unposted": self.n_unposted, "why": error.strerror or str(error)})


def searching(chain: Stream, settings: Settings, label: str, report: Report,
              raw: Stream | None) -> Searching:
    """Return the search of a source.

    Parameters
    ----------
    chain : Stream
        Spectra of the source.
    settings, label, report
        As for `Searching`.
    raw : Stream, optional
        The source once more, for another reader; bursts are cut out of it.
    """
    cutter = None if raw is None or settings.keep_s is None else Cutter(
        raw, settings.keep_s, report)
    return Searching(intensity_in(spectra_of(chain)), settings, label, report, cutter)


def line_of(one: Candidates, chain: Stream, label: str, path: str | None) -> dict[str, Any]:
    """Return a candidate as it is posted."""
    names = ("time_s", "dm", "dm_error", "width", "snr", "low_mhz", "high_mhz")
    found = {name: float(one.values(name)[0]) for name in names}
    return {"time": iso(one["time"][0]), **{
        name: value if np.isfinite(value) else None for name, value in found.items()},
        "source": chain.path, "label": label.rstrip("-"), "beam": chain.header.beam,
        "telescope": chain.header.telescope, "ra_deg": chain.header.ra_deg,
        "dec_deg": chain.header.dec_deg, "raw": path}


def _joined(parts: list[Candidates]) -> Candidates:
    columns = {name: np.concatenate([each.values(name) for each in parts])
               for name in parts[0].names if name != "time"}
    times = [each["time"] for each in parts]
    joined = Time(np.concatenate([each.jd1 for each in times]),
                  np.concatenate([each.jd2 for each in times]), format="jd", scale="utc")
    return Candidates({"time": joined, **columns})


def _first_rows(chain: Stream, time: Any) -> tuple[int, int]:
    row = max(0, math.floor(elapsed(chain.start_time, time) * chain.header.sample_rate))
    return row, row + 1


def _ratio(raw: Stream, piece: Stream) -> Fraction:
    return raw.header.sample_rate / piece.header.sample_rate


def _rows_before(raw: Stream, piece: Stream) -> int:
    late = elapsed(raw.header.start_time, piece.start_time)
    return max(0, math.floor(late * raw.header.sample_rate))
