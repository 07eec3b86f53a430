"""The sinks of a live session: what each makes of the rows of a source, file by file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from fastsig.axes import validity
from fastsig.chain import Chain
from fastsig.chain import spectra as spectra_chain
from fastsig.errors import PlanError
from fastsig.live.bursts import searching
from fastsig.live.picture import Picture
from fastsig.live.rolling import Report, Rolling, name_of
from fastsig.live.settings import Settings
from fastsig.reductions.folding.predictors import of_files
from fastsig.reductions.folding.sink import Fold
from fastsig.run.profile_files import write_profiles
from fastsig.run.spectra_file import SpectraFile
from fastsig.run.voltage_file import VoltageFile
from fastsig.stages.piece import Piece
from fastsig.stages.select import Select
from fastsig.stream import Sink, Stream, VoltageStream

__all__ = ["check", "rolling", "rows_in"]

_SUFFIXES = {"native": ".h5", "fbh5": ".h5", "sigproc": ".fil", "dada": ".dada", "vdif": ".vdif"}


def rolling(kind: str, stream: Stream, settings: Settings, label: str, report: Report,
            again: Callable[[], Stream]) -> Rolling:
    """Return the files of one kind that are made of a source.

    `again` opens the source for another reader.

    Raises
    ------
    PlanError, UsageError
        If the files cannot be made.
    """
    if kind == "bursts":
        raw = None if settings.keep_s is None else again()
        return searching(_Spectra(settings, label).chain(stream), settings, label, report, raw)
    files: dict[str, Any] = {"record": _Recorded, "spectra": _Spectra, "fold": _Folded,
                             "picture": _Drawn}
    made = files[kind](settings, label)
    chain = made.chain(stream)
    rows = rows_in(chain, settings.roll_s) if made.rolls else chain.shape[0]
    if kind != "record":
        return Rolling(chain, rows, made.sink, made.ended, report, rolls=made.rolls)
    frame = made.sink(Piece(chain, 0, rows)).frame
    rows = max(1, rows // frame) * frame
    return Rolling(chain, rows, made.sink, made.ended, report, frame=frame, aligned=lambda row: (
        row + made.sink(Piece(chain, row, rows)).rows[0]))


def check(kinds: Sequence[str], settings: Settings, kind: str) -> None:
    """Refuse sinks that a source of voltages or of spectra cannot have.

    Raises
    ------
    PlanError
        If one is not possible.
    """
    if kind == "spectra" and "record" in kinds:
        raise PlanError("--record: the source contains spectra; allowed: voltages, or --spectra")
    needs = [each for each in kinds if each != "record"]
    if kind == "voltage" and needs and settings.n_chan is None:
        raise PlanError(f"--{needs[0]} of voltages requires --n-chan, the number of channels")


def rows_in(stream: Stream, seconds: Fraction) -> int:
    """Return the rows of a file of a given length, at least one."""
    return max(1, math.floor(seconds * stream.header.sample_rate))


class _Files:
    """What files of one kind have in common."""

    kind = ""
    rolls = True

    def __init__(self, settings: Settings, label: str) -> None:
        self.settings, self.label = settings, label

    def chain(self, stream: Stream) -> Stream:
        """Return the spectra that are made of a source."""
        given = self.settings
        if isinstance(stream, VoltageStream):
            if given.n_chan is None:
                raise PlanError(f"{stream.path}: contains voltages; allowed: with --n-chan, the "
                                "number of channels")
            return spectra_chain(stream, given.n_chan, products=given.products,
                                 time=given.time).stream
        return Chain(stream).integrate(given.time).stream if given.time else stream

    def name(self, piece: Stream, suffix: str) -> str:
        """Return the name of a file."""
        return name_of(self.settings.folder, self.label, self.kind, piece, suffix)

    def ended(self, sink: Any, result: Any) -> Sequence[str]:
        """Return the names of files that are complete."""
        files: Sequence[str] = sink.files
        return files


class _Recorded(_Files):
    kind = "voltages"

    def chain(self, stream: Stream) -> Stream:
        if not isinstance(stream, VoltageStream):
            raise PlanError(f"{stream.path}: contains {stream.kind}; allowed to be recorded: "
                            "voltages")
        return stream

    def sink(self, piece: Any) -> VoltageFile:
        to = self.settings.record
        whole = tuple(validity.full(0, piece.shape[0]) for _ in range(piece.n_pol))
        return VoltageFile(piece, self.name(piece, _SUFFIXES[str(to)]), to=to, surveyed=whole,
                           lossy=True)


class _Spectra(_Files):
    kind = "spectra"

    def sink(self, piece: Stream) -> Sink:
        to = self.settings.to or "fbh5"
        return SpectraFile(piece, self.name(piece, _SUFFIXES[to]), to=to, lossy=to != "fbh5")


class _Folded(_Files):
    kind = "profiles"

    def sink(self, piece: Any) -> Sink:
        given, rows = self.settings, piece.rows
        whole = Select(piece.source, rows=rows)
        return Fold(piece, of_files(whole, given.polycos, given.pars, given.fold.get("dm")),
                    **given.fold)

    def ended(self, sink: Any, result: Any) -> Sequence[str]:
        names = []
        for number, found in enumerate(result):
            suffix = ".ar" if len(result) == 1 else f"-{number:02d}.ar"
            names.append(self.name(sink.stream, suffix))
            write_profiles(found, names[-1], to="psrfits")
        return names


class _Drawn(_Files):
    kind = "picture"
    rolls = False

    def sink(self, piece: Stream) -> Sink:
        return Picture(piece, f"{self.settings.folder}/{self.label}live.png",
                       self.settings.every_s)

    def ended(self, sink: Any, result: Any) -> Sequence[str]:
        return ()
