"""CHIME/FRB baseband: voltages of CHIME's frequency channels in HDF5, archived or beamformed.

An archived file contains one channel: ``baseband`` (time, input) with one byte per sample, the real
part in the upper and the imaginary part in the lower four bits, both 8 too large; byte 0 is a lost
sample. An analysed file contains any number of channels: ``baseband`` (freq, input, time), or beams
formed from it, ``tiedbeam_baseband`` (freq, beam, time), complex floats with NaN where a channel
has no sample.

A dump follows the dispersion of a burst, so channels start at different times, which a counter of
samples records. A stream covers the time that its channels have in common.

Sideband: CHIME samples its second Nyquist zone, and archived channels are inverted, "lower": with
this, six television carriers are at their frequencies, and otherwise far from them. Beams with
samples marked ``conjugate_beamform`` are inverted too. CHIME/FRB's own reader conjugates all other
beams, so these are "upper". No description of the format states this: if a known carrier or
dedispersion contradicts it, override `sideband`. If the samples have an attribute ``DM``, each
channel has already been coherently dedispersed.

References
----------
CHIME/FRB Collaboration 2018, ApJ 863, 48, and 2024, ApJ 969, 145 (files: doi 10.11570/23.0029);
D. Michilli et al. 2021, ApJ 910, 147; https://github.com/kotekan/kotekan, which writes the archive.
"""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import time_from_unix
from fastsig.axes.validity import Spans, from_mask, full
from fastsig.errors import DataError, FastsigWarning, FormatError, users_line
from fastsig.io.chime.dumps import (
    DATASETS,
    RATE,
    Channel,
    Dump,
    check_clocks,
    chosen,
    common_span,
    read_dump,
    runs_text,
)
from fastsig.io.hdf5.opening import open_file, reading
from fastsig.io.probe import Probe
from fastsig.io.voltages.framed import choose
from fastsig.stream import VoltageStream
from fastsig.stream.header import Header, split_overrides

__all__ = ["KINDS", "MANY", "NAME", "ChimeStream", "open", "sniff"]

NAME, KINDS = "chime", ("voltage",)

#: Whether `open` accepts several files of one event.
MANY = True

_STATIONS = {"FCC": "CHIME", "FCA": "KKO", "FCB": "GBO", "TON": "TONE"}  # by serial numbers
_PIECE_BYTES = 2**20
_KEPT_OPEN = 64
_VOLTAGES = ((np.arange(256) >> 4) - 8 + 1j * ((np.arange(256) & 15) - 8)).astype(np.complex64)


class _Handles:
    """Open files, of which HDF5 reads one at a time, despite threads.

    All channels are read in turn, so the first files stay open: the most recently used ones would
    always be the wrong ones.
    """

    def __init__(self) -> None:
        self._open: dict[str, h5py.File] = {}
        self._lock = threading.Lock()

    def read(self, channel: Channel, first: int, n: int, inputs: slice) -> NDArray[Any]:
        """Return samples (time, input) of a channel; `first` is on the channels' common counter."""
        dump, low = channel.dump, first - channel.first
        what = f"samples {low} to {low + n} of channel {channel.number}"
        place = {"freq": channel.row, "input": inputs, "time": slice(low, low + n)}
        with self._lock, reading(dump.path, what, DataError):
            file = self._open.get(dump.absolute) or open_file(dump.absolute)
            if len(self._open) < _KEPT_OPEN:
                self._open[dump.absolute] = file
            try:
                dataset = file[dump.layout.name]
                raw = np.asarray(dataset[tuple(place[axis] for axis in dump.axes)])
            finally:
                if dump.absolute not in self._open:
                    file.close()
        if dump.axes.index("time") > dump.axes.index("input"):
            raw = raw.T
        if raw.shape != (n, inputs.stop - inputs.start) or raw.dtype != dump.layout.dtype:
            raise DataError(dump.path, f"{what}: the file has changed since it was opened")
        return raw

    def close(self) -> None:
        """Close all files; reading opens them again."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()


class ChimeStream(VoltageStream):
    """Voltages of channels of one event: (time, input) or (time, input, chan).

    A sample that is missing in any channel is invalid in all channels.

    Parameters
    ----------
    header : Header
        Header, with the chosen inputs or beams as polarisations.
    channels : list of Channel
        Adjacent channels, ascending in frequency, that have some time in common.
    picks : list of int
        Inputs or beams to read.
    """

    def __init__(self, header: Header, channels: list[Channel], picks: list[int]) -> None:
        self._channels, self._handles = channels, _Handles()
        self._inputs = slice(min(picks), max(picks) + 1)
        self._columns = [pick - min(picks) for pick in picks]
        self._first, stop = common_span(channels)
        shape: tuple[int, ...] = (stop - self._first, len(picks))
        if len(channels) > 1:
            shape += (len(channels),)
        super().__init__(header, shape, np.complex64, channels[0].dump.path)
        stored = channels[0].dump.layout.dtype
        self.may_have_nan = stored.kind == "c"
        width = stored.itemsize * (self._inputs.stop - self._inputs.start)
        self._rows = max(1, _PIECE_BYTES // width)

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        there = np.ones((n, self.n_pol), bool)
        target = out if out.ndim == 3 else out[:, :, np.newaxis]
        for chan, channel in enumerate(self._channels):
            for low in range(0, n, self._rows):
                rows = slice(low, min(low + self._rows, n))
                raw = self._samples(channel, start + low, rows.stop - low)
                if self.may_have_nan:
                    with np.errstate(over="ignore", invalid="ignore"):  # becomes inf, so invalid
                        target[rows, :, chan] = raw
                else:
                    there[rows] &= raw != 0
                    target[rows, :, chan] = _VOLTAGES[raw]
        if there.all():
            return (full(start, start + n),) * self.n_pol
        return tuple(from_mask(there[:, pol], start) for pol in range(self.n_pol))

    def _samples(self, channel: Channel, start: int, n: int) -> NDArray[Any]:
        return self._handles.read(channel, self._first + start, n, self._inputs)[:, self._columns]

    def warn_of_empty(self) -> None:
        """Warn of channels that begin with NaN, since these usually contain no samples at all."""
        if not self.may_have_nan:
            return
        empty: list[int] = []
        with contextlib.suppress(DataError):  # reading will raise it again
            empty += [channel.number for channel in self._channels
                      if not np.isfinite(self._samples(channel, 0, 1)).all()]
        if empty:
            warnings.warn(
                f"{self.path}: channels {runs_text(sorted(empty))} begin with NaN; where one of "
                "the channels is NaN, all are invalid: leave some out with channel=FIRST-LAST",
                FastsigWarning, stacklevel=users_line())

    @property
    def files(self) -> list[str]:
        """Absolute paths of the files that contain the channels."""
        return list(dict.fromkeys(channel.dump.absolute for channel in self._channels))

    def close(self) -> None:
        """Close the files that are open; reading opens them again."""
        self._handles.close()


def sniff(probe: Probe) -> bool:
    """Whether a file contains CHIME's datasets of voltages and states their channels."""
    if probe.is_folder or not probe.is_hdf5:
        return False
    attrs, members = probe.root
    return any(name in members for name in DATASETS) and (
        "index_map" in members or "freq_id" in attrs)


def open(path: str | os.PathLike[str] | Sequence[str], **overrides: Any) -> ChimeStream:
    """Open the files of one event as a stream.

    Parameters
    ----------
    path : path or sequence of path
        The files, in any order; together they contain every channel once.
    channel : int, str or list, optional
        Channels by their frequency IDs, such as ``614``, ``"600-614"`` or ``"612,613"``; all by
        default. They must be adjacent and have some time in common.
    input : int or str, optional
        Inputs to read, such as ``"0,1"``; all by default. Beams are in pairs, the polarisations of
        a pointing.
    **overrides
        The common overrides of `fastsig.open`.

    Returns
    -------
    ChimeStream
        Shape (time, input), or (time, input, chan) for several channels, in ascending order.

    Raises
    ------
    FormatError
        Where a file lacks required contents, files do not belong together, or the user must choose.
    UsageError
        Where an override is unknown or has no meaning.
    """
    import hdf5plugin  # noqa: F401 - registers the bitshuffle filter

    paths = [os.fspath(path)] if isinstance(path, (str, os.PathLike)) else [*map(os.fspath, path)]
    common, own = split_overrides(overrides, ("channel", "input"), NAME)
    dumps = [read_dump(each, "sample_rate" in common) for each in paths]
    for dump in dumps[1:]:
        _check_same(dump, dumps[0])
    channels = chosen(dumps, own.get("channel"))
    picks = choose(own.get("input"), dumps[0].layout.n_input)
    latest = max(channels, key=lambda channel: channel.first)  # begins where the stream begins
    check_clocks(channels, latest)
    stream = ChimeStream(_header(channels, latest, picks).overridden(common), channels, picks)
    stream.warn_of_empty()
    return stream


def _check_same(dump: Dump, first: Dump) -> None:
    for key, value, expected in zip(dump.layout._fields, dump.layout, first.layout, strict=True):
        if value != expected:
            raise FormatError(dump.path, f"differs from {first.path} in {key}; allowed: files of "
                              "one event and one kind")


def _header(channels: list[Channel], latest: Channel, picks: list[int]) -> Header:
    layout = latest.dump.layout
    beams = [layout.beams[pick] for pick in picks] if layout.beams else []
    ra_deg, dec_deg, source = _pointing(beams)
    station = layout.serials[0][:3] if layout.serials else ""
    header = Header(
        start_time=time_from_unix(latest.start),
        sample_rate=RATE,
        channels=ChannelAxis(channels[0].center_hz, RATE, len(channels)),
        sideband=layout.sideband,
        polarization=_basis(beams, layout.serials, picks),
        n_bits=layout.dtype.itemsize * 4,  # half a sample of bytes or of floats
        is_complex=True,
        telescope=_STATIONS.get(station, "CHIME"),
        source=source,
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        coherent_dm=_removed(latest.dump),
        extra=latest.dump.cards,
    )
    origins = _origins(latest.dump, station in _STATIONS)
    return header.replace(origin={key: text for key, text in origins.items()
                                  if getattr(header, key) is not None})


def _pointing(beams: list[tuple[Any, ...]]) -> tuple[float | None, float | None, str | None]:
    """Return right ascension, declination (degrees) and source, if all beams share them."""
    if len({(*beam[:2], *beam[3:]) for beam in beams}) != 1:
        return None, None, None
    ra_deg, dec_deg, _, *names = beams[0]
    source = str(names[0]).strip() if names else ""
    if type(ra_deg) is not float or type(dec_deg) is not float or abs(dec_deg) > 90:
        return None, None, source or None
    return ra_deg % 360, dec_deg, source or None


def _removed(dump: Dump) -> float | None:
    """Return the dispersion measure that was removed within channels; None if there is none."""
    dm = dump.cards.get(f"{dump.layout.name}/DM")
    return float(dm) if isinstance(dm, (int, float)) and 0 < dm < float("inf") else None


def _basis(beams: list[tuple[Any, ...]], serials: tuple[str, ...], picks: list[int]) -> PolBasis:
    """Return a linear basis for both polarisations of a pointing; those of inputs are unknown."""
    pols = tuple(str(beam[2]) for beam in beams)
    if sorted(pols) == ["E", "S"] and beams[0][:2] == beams[1][:2]:
        return PolBasis("linear", pols)
    known = [] if beams or len(serials) <= max(picks) else [serials[pick] for pick in picks]
    return PolBasis("unknown", tuple(known) if all(known) and known
                    else tuple(f"input{pick}" for pick in picks))


def _origins(dump: Dump, station_is_told: bool) -> dict[str, str]:
    tables, mark = "freq" in dump.axes, f"{dump.layout.name}/conjugate_beamform"
    keys = {
        "start_time": "time0" if tables else "time0_ctime",
        "sample_rate": "delta_time",
        "channels": "index_map/freq" if tables else "freq",
        "sideband": mark if mark in dump.cards else f"no {mark}",
        "telescope": "index_map/input" if station_is_told else "format",
        "ra_deg": "tiedbeam_locations",
        "dec_deg": "tiedbeam_locations",
        "source": "tiedbeam_locations",
    }
    if dump.layout.name == "baseband":
        keys["sideband"] = "format (second Nyquist zone)"
    return {field: f"{os.path.basename(dump.path)}:{key}" for field, key in keys.items()}
