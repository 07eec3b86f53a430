"""Digital RF: voltages in HDF5 files of equal length in time, with one folder per channel.

A channel is one `DigitalRFStream`, however many files it has. Samples are numbered from 1970-01-01
UTC at an exact rate. ``rf_data_index`` lists the numbers of the samples in a file; samples that no
file contains are invalid.

References
----------
Digital RF 2.6, MIT Haystack Observatory, https://github.com/MITHaystack/digital_rf: the format
is described by ``c/include/digital_rf.h`` and ``docs``, fill values by ``c/lib/rf_write_hdf5.c``.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from fractions import Fraction
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import time_from_unix
from fastsig.axes.validity import Spans, as_spans, count, from_mask, full
from fastsig.errors import DataError, FormatError, UsageError
from fastsig.io.digital_rf.channel_files import (
    PROPERTIES,
    DataFile,
    Layout,
    channels,
    one_channel,
    properties_file,
    rate_of,
    scan,
    scan_all,
    table_of,
)
from fastsig.io.digital_rf.receiver_metadata import Record, band, read_metadata
from fastsig.io.hdf5.opening import cards_of, open_file, reading
from fastsig.io.probe import Probe
from fastsig.stream import VoltageStream
from fastsig.stream.header import Header, split_overrides

__all__ = ["KINDS", "NAME", "DigitalRFStream", "open", "sniff"]

NAME, KINDS = "digital_rf", ("voltage",)

_EPOCH = "1970-01-01T00:00:00Z"
_MAX_SECONDS = 4102444800  # the year 2100; a later time means a wrong rate or sample number


class _Handles:
    """The most recently read files, kept open; HDF5 reads one at a time, despite threads."""

    def __init__(self, limit: int = 8) -> None:
        self._limit = limit
        self._open: OrderedDict[str, h5py.File] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: str, start: int, stop: int) -> NDArray[Any]:
        """Return rows of rf_data; a lock keeps other threads from closing the file meanwhile."""
        with self._lock, reading(path, f"rows {start} to {stop} of rf_data", DataError):
            if path not in self._open:
                while len(self._open) >= self._limit:
                    self._open.popitem(last=False)[1].close()
                self._open[path] = open_file(path)
            self._open.move_to_end(path)
            return np.asarray(self._open[path]["rf_data"][start:stop])

    def close(self) -> None:
        """Close all files; reading opens them again."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()


class DigitalRFStream(VoltageStream):
    """Voltages of a Digital RF channel, or of one of its files.

    Blocks are (time, subchannel). Complex samples are returned as complex64, real int8 and int16
    as recorded, other real samples as float32. Samples are invalid if no file contains them, if
    they are non-finite, or if they are fill: the smallest integer of the type, in both parts of a
    complex sample, in channels written as continuous (gapped channels have no fill values).

    Parameters
    ----------
    header : Header
        Header, with the chosen subchannels as polarisations.
    path : str
        The path that was given to `open`.
    files : list of DataFile
        Indexed files with the same layout.
    picks : list of int
        Subchannels to read.
    """

    def __init__(self, header: Header, path: str, files: list[DataFile], picks: list[int]) -> None:
        self._table = table_of(files)
        self._table[:, :2] -= self._table[0, 0]
        self._layout, self._picks = files[0].layout, picks
        self._handles = _Handles()
        self._paths = tuple(os.path.abspath(file.path) for file in files)
        shape = int(self._table[-1, 1]), len(picks)
        super().__init__(header, shape, _stream_dtype(self._layout), path)

    @property
    def files(self) -> list[str]:
        """Absolute paths of the channel's rf files, in time order."""
        return list(self._paths)

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        table = self._table
        first = int(np.searchsorted(table[:, 1], start, side="right"))
        last = int(np.searchsorted(table[:, 0], start + n, side="left"))
        spans: list[list[Spans]] = [[full(0, 0)] for _ in self._picks]
        for begin, end, row, file in table[first:last].tolist():
            low, high = max(begin, start), min(end, start + n)
            raw = self._handles.read(self._paths[file], row + low - begin, row + high - begin)
            self._store(raw, low, out[low - start : high - start], spans)
        return tuple(as_spans(np.concatenate(each)) for each in spans)

    def _store(
        self, raw: NDArray[Any], low: int, out: NDArray[Any], spans: list[list[Spans]]
    ) -> None:
        """Convert rows that begin at sample `low` to `out`, and append their valid spans."""
        raw = raw.reshape(len(raw), -1)
        if len(self._picks) != self._layout.n_sub or self._picks != sorted(self._picks):
            raw = raw[:, self._picks]
        with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 are invalid
            for target, source in _parts(out, raw):
                target[...] = source
        filled = self._filled(raw)
        for pol, each in enumerate(spans):
            lost = filled is not None and filled[:, pol].any()
            each.append(from_mask(~filled[:, pol], low) if filled is not None and lost
                        else full(low, low + len(raw)))

    def _filled(self, raw: NDArray[Any]) -> NDArray[np.bool_] | None:
        fill = self._layout.fill
        if fill is None:
            return None
        if raw.dtype.names:
            return np.asarray((raw["r"] == fill) & (raw["i"] == fill))
        return np.asarray(raw == fill)

    def valid_fraction(self) -> float | None:
        """Return the fraction of valid samples; None if there may be fill or non-finite values."""
        if self._layout.fill is not None or self._layout.real.kind == "f":
            return None
        return count(self._table[:, :2]) / self.shape[0]

    def close(self) -> None:
        """Close the files that are open; reading opens them again."""
        self._handles.close()


def _stream_dtype(layout: Layout) -> np.dtype[Any]:
    if layout.is_complex:
        return np.dtype(np.complex64)
    kept = layout.real.kind == "i" and layout.real.itemsize <= 2
    return layout.real.newbyteorder("=") if kept else np.dtype(np.float32)


def _parts(out: NDArray[Any], raw: NDArray[Any]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    if raw.dtype.names:
        return [(out.real, raw["r"]), (out.imag, raw["i"])]
    return [(out, raw)]


def _choose(value: Any, n_sub: int) -> list[int]:
    if value is None:
        return list(range(n_sub))
    items = value if isinstance(value, (list, tuple)) else str(value).split(",")
    try:
        picks = [int(str(item)) for item in items]
    except ValueError:
        picks = []
    if not picks or len(set(picks)) < len(picks) or not all(0 <= p < n_sub for p in picks):
        raise UsageError(f"subchannel = {value!r}; allowed: distinct numbers from 0 to "
                         f"{n_sub - 1}, separated by commas")
    return picks


def sniff(probe: Probe) -> bool:
    """Whether a path is a Digital RF channel, a folder of channels or a file of a channel."""
    if probe.is_folder:
        return bool(channels(probe.path))
    if not probe.is_hdf5:
        return False
    attrs, members = probe.root
    if not members:
        named = os.path.basename(probe.path) == PROPERTIES[0]
        return named or "digital_rf_version" in attrs
    return {"rf_data", "rf_data_index"} <= set(members)


def _find(path: str, rate: Any) -> tuple[str, str, dict[str, Any], Fraction, list[DataFile]]:
    """Return a channel's folder, properties file, properties, rate and files."""
    if not os.path.isdir(path) and os.path.basename(path) not in PROPERTIES:
        file = scan(path, None, rate)
        channel = os.path.dirname(os.path.dirname(os.path.abspath(path)))
        return channel, path, file.attrs, rate_of(file.attrs, path, rate), [file]
    channel = one_channel(path if os.path.isdir(path) else os.path.dirname(path) or ".")
    named = properties_file(channel) or path
    with open_file(named) as opened, reading(named, "its attributes"):
        attrs = cards_of(opened.attrs)
    exact = rate_of(attrs, named, rate)
    return channel, named, attrs, exact, scan_all(channel, exact)


def _seconds(sample: int, rate: Fraction, attrs: dict[str, Any], path: str) -> Fraction:
    """Return the Unix time of a sample number."""
    if attrs.get("epoch", _EPOCH) != _EPOCH:
        raise FormatError(path, f"epoch = {attrs['epoch']!r}; allowed: {_EPOCH}")
    if sample / rate > _MAX_SECONDS:
        raise FormatError(path, f"sample {sample} at {rate} Hz is later than the year 2100")
    return sample / rate


def open(path: str | os.PathLike[str], **overrides: Any) -> DigitalRFStream:
    """Open a Digital RF channel as one stream.

    Parameters
    ----------
    path : path
        Folder of a channel, the folder above it if it contains only one channel,
        ``drf_properties.h5``, or a single ``rf@SECONDS.MILLISECONDS.h5``.
    subchannel : int or str, optional
        Subchannels to read, such as ``0`` or ``"0,1"``; all by default.
    **overrides
        The common overrides of `fastsig.open`. `frequency` is the centre of the band. The width of
        the band is the sample rate (complex samples) or half of it (real samples).

    Returns
    -------
    DigitalRFStream
        Shape (time, subchannel).

    Raises
    ------
    FormatError
        Where nothing can be read, or two files contain the same samples. If only some files are
        corrupt, there is a `FastsigWarning` and their samples are missing.
    UsageError
        Where an override is unknown or has no meaning.
    """
    path = os.fspath(path)
    common, own = split_overrides(overrides, ("subchannel",), NAME)
    channel, named, attrs, rate, files = _find(path, common.get("sample_rate"))
    layout = files[0].layout
    picks = _choose(own.get("subchannel"), layout.n_sub)
    if attrs.get("num_subchannels", layout.n_sub) != layout.n_sub:
        raise FormatError(named, f"num_subchannels = {attrs['num_subchannels']!r}, but rf_data "
                          f"has {layout.n_sub}")
    first = min(int(file.segments[0, 0]) for file in files)
    last = max(int(file.segments[-1, 1]) for file in files)
    start, stop = (_seconds(sample, rate, attrs, named) for sample in (first, last))
    records = read_metadata(channel, rate, start, stop)
    header = _header(layout, picks, rate, start, records, path)
    header = header.replace(
        extra={**attrs, "uuid_str": files[0].attrs.get("uuid_str"), **header.extra},
        origin={**_origins(named, files[0].path), **header.origin},
    )
    return DigitalRFStream(header.overridden(common), path, files, picks)


def _header(layout: Layout, picks: list[int], rate: Fraction, start: Fraction,
            records: list[Record], path: str) -> Header:
    cards = records[0].cards if records else {}
    width = rate if layout.is_complex else rate / 2
    axis = band(records, picks, width, layout.n_sub, path)
    receiver, backend = cards.get("receiver/description"), cards.get("receiver/info/mboard_id")
    return Header(
        start_time=time_from_unix(start),
        sample_rate=rate,
        channels=axis,
        polarization=PolBasis(kind="unknown", names=tuple(f"ch{pick}" for pick in picks)),
        n_bits=layout.real.itemsize * 8,
        is_complex=layout.is_complex,
        receiver=None if receiver is None else str(receiver),
        backend=None if backend is None else str(backend),
        extra={f"metadata/{key}": value for key, value in cards.items()},
        origin={"channels": records[0].origin} if records and axis else {},
    )


def _origins(named: str, first: str) -> dict[str, str]:
    named, first = os.path.basename(named), os.path.basename(first)
    return {
        "sample_rate": f"{named}:sample_rate_numerator",
        "start_time": f"{first}:rf_data_index",
        "polarization": f"{first}:rf_data",
        "n_bits": f"{first}:rf_data",
        "is_complex": f"{first}:rf_data",
    }
