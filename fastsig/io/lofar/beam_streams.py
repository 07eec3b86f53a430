"""Streams of LOFAR's beam-formed files: columns of raw files as channels of a band."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.validity import Spans, full
from fastsig.errors import DataError, FormatError, UsageError
from fastsig.io.hdf5.external import read_external_rows
from fastsig.io.hdf5.opening import open_file, reading
from fastsig.io.lofar.beam_files import BeamFile
from fastsig.io.lofar.beam_parts import MOST_CHANNELS, Part
from fastsig.io.spectra.segments import FileSpectra
from fastsig.stream import VoltageStream
from fastsig.stream.header import Header

__all__ = ["BeamSpectra", "BeamVoltages", "Column", "columns_of"]

_PIECE_BYTES = 2**22


@dataclass(frozen=True)
class Column:
    """Channels of a stream that one dataset contains.

    Parameters
    ----------
    part : Part
        The dataset.
    columns, slots : ndarray, shape (chan,), int64
        Columns of the dataset, and the corresponding channels of the stream, in ascending order.
    """

    part: Part
    columns: NDArray[np.int64]
    slots: NDArray[np.int64]

    def within(self, low: int, high: int, base: int) -> Column:
        """Return only the channels `low` to `high` - 1, counted from `base`."""
        first, stop = np.searchsorted(self.slots, (low, high))
        return Column(self.part, self.columns[first:stop], self.slots[first:stop] - base)


def columns_of(files: Sequence[BeamFile], subband: Any) -> tuple[dict[str, list[Column]],
                                                                 Fraction | None]:
    """Return the files' columns by component, on one frequency axis, and the lowest centre (Hz).

    Raises
    ------
    FormatError
        Where files overlap, their channels do not fit one axis, or one lacks a component.
    """
    lowest = _lowest(files)
    found: dict[str, list[Column]] = {}
    for file in files:
        slots = file.slots + _shift(file, lowest)
        order = np.argsort(slots)
        for name, part in file.parts.items():
            found.setdefault(name, []).append(Column(part, order, slots[order]))
    held = {name: _joined(name, each) for name, each in found.items()}
    some, slots = next(iter(held.items()))
    for name, other in held.items():
        if not np.array_equal(other, slots):
            raise FormatError(files[0].path, f"the files of {name} and of {some} do not contain "
                              "the same channels; allowed: all parts of each")
    low, high = _chosen(slots, subband, files[0].n_sub)
    if high - low > MOST_CHANNELS:
        raise FormatError(files[0].path, f"its channels span {high - low}; allowed: "
                          f"{MOST_CHANNELS}. Choose with --set subband=FIRST-LAST")
    kept = {name: [part for part in (each.within(low, high, low) for each in parts)
                   if len(part.slots)] for name, parts in found.items()}
    return kept, None if lowest is None else lowest + low * files[0].width


def _lowest(files: Sequence[BeamFile]) -> Fraction | None:
    known = [file.first for file in files if file.first is not None]
    if len(known) == len(files):
        return min(known)
    names = {name for file in files for name in file.parts}
    if sum(len(file.parts) for file in files) > len(names):
        raise FormatError(files[0].path, "several files contain the same component, and not all "
                          "of them state their frequencies; allowed: one file per component")
    if known:
        raise FormatError(files[0].path, "some of the files do not state their frequencies; "
                          "allowed: all or none")
    return None


def _shift(file: BeamFile, lowest: Fraction | None) -> int:
    """Return the number of channels from the lowest of all files to the lowest of this file."""
    if lowest is None or file.first is None:
        return 0
    offset = (file.first - lowest) / file.width
    if abs(offset - round(offset)) > Fraction(1, 20) or offset > MOST_CHANNELS:
        raise FormatError(file.path, f"begins {float(offset):.6g} channels above the lowest file; "
                          f"allowed: a whole number up to {MOST_CHANNELS}")
    return round(offset)


def _joined(name: str, columns: list[Column]) -> NDArray[np.int64]:
    """Return all channels of a component in ascending order, each from one file."""
    slots = np.sort(np.concatenate([each.slots for each in columns]))
    if (np.diff(slots) == 0).any():
        paths = [each.part.path for each in columns]
        raise FormatError(paths[1], f"has channels of {name} that are also in another file "
                          f"({', '.join(paths)}); allowed: each channel once")
    return slots


def _chosen(slots: NDArray[np.int64], subband: Any, n_sub: int) -> tuple[int, int]:
    """Return the first channel of the chosen sub-bands, and the channel after their last."""
    if subband is None:
        return int(slots[0]), int(slots[-1]) + 1
    n = len(slots) // n_sub
    first, _, last = str(subband).strip().partition("-")
    last = last or first
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) < n):
        raise UsageError(f"subband = {subband!r}; allowed: a number or a range such as 0-{n - 1}, "
                         f"within {n} sub-bands")
    return int(slots[int(first) * n_sub]), int(slots[(int(last) + 1) * n_sub - 1]) + 1


class _Reader:
    """Reads rows of datasets, by position where bytes lie row after row, else through HDF5."""

    def __init__(self) -> None:
        self._open: dict[str, h5py.File] = {}
        self._lock = threading.Lock()

    def pieces(self, column: Column, start: int, n: int) -> Any:
        """Yield the first row and the stored values (row, chan), a few MiB at a time."""
        part = column.part
        low, high = int(column.columns.min()), int(column.columns.max()) + 1
        pick = column.columns - low
        even = np.array_equal(pick, np.arange(high - low))
        step = max(1, _PIECE_BYTES // (part.n_chan * part.dtype.itemsize))
        for first in range(start, start + n, step):
            rows = min(step, start + n - first)
            raw = self._rows(part, first, rows, low, high)
            yield first, raw if even else raw[:, pick]

    def _rows(self, part: Part, start: int, n: int, low: int, high: int) -> NDArray[Any]:
        if part.pieces is not None:
            return read_external_rows(part.pieces, part.dtype, part.n_chan, start, n, (low, high),
                                      part.path)
        what = f"rows {start} to {start + n} of {part.name}"
        with self._lock, reading(part.path, what, DataError):
            absolute = os.path.abspath(part.path)
            if absolute not in self._open:
                self._open[absolute] = open_file(absolute)
            dataset = self._open[absolute][part.name]
            if dataset.shape[1] != part.n_chan or dataset.dtype != part.dtype:
                raise DataError(part.path, f"{what}: the file has changed since it was opened")
            return np.asarray(dataset[start : start + n, low:high])

    def close(self) -> None:
        """Close all files; reading opens them again."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()


def _files_of(columns: Sequence[list[Column]]) -> list[str]:
    """Return the HDF5 files, and the raw files that contain the samples."""
    parts = [each.part for column in columns for each in column]
    found = [os.path.abspath(part.path) for part in parts]
    known = {os.path.realpath(path) for path in found}
    found += [piece.path for part in parts for piece in part.pieces or ()
              if piece.path not in known]
    return list(dict.fromkeys(found))


def _narrow(columns: Sequence[list[Column]], start: int, stop: int) -> list[list[Column]]:
    cut = [[each.within(start, stop, start) for each in column] for column in columns]
    return [[each for each in column if len(each.slots)] for column in cut]


class BeamSpectra(FileSpectra):
    """Spectra of a LOFAR beam, (time, product, chan).

    Rows that a truncated raw file lacks have the weight 0, and so do channels outside the
    sub-bands.

    Parameters
    ----------
    header : Header
        Header, with channels that span the sub-bands.
    columns : dict
        Columns by component.
    names : sequence of str
        Components in the order of the products.
    zeros : bool
        Whether values of exactly 0 have the weight 0.
    """

    def __init__(self, header: Header, columns: dict[str, list[Column]], names: Sequence[str],
                 zeros: bool) -> None:
        self._columns, self._zeros = [columns[name] for name in names], zeros
        self._reader = _Reader()
        every = [each for column in self._columns for each in column]
        n_row = max(each.part.n_row for each in every)
        n_chan = 1 + max(int(each.slots[-1]) for each in every)
        super().__init__(header, (n_row, len(names), n_chan), every[0].part.path,
                         weight_channels=n_chan, may_have_nan=True)
        held = sum(each.part.n_row * len(each.slots) for each in every)
        self._whole = not zeros and held == n_row * len(names) * n_chan

    def band(self, start: int, stop: int) -> BeamSpectra:
        """Return only the channels `start` to `stop` - 1; of long rows no others are read."""
        part = copy.copy(self)
        part._position = 0
        part._columns = _narrow(self._columns, start, stop)
        part.shape = (*self.shape[:2], stop - start)
        part._weight_channels = stop - start
        axis = self.header.channels
        part.header = self.header.replace(channels=axis.sliced(start, stop) if axis else None)
        return part

    def _values(self, start: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        shape = (n, *self.shape[1:])
        out = (np.empty if self._whole else np.zeros)(shape, np.float32)
        weight = None if self._whole else np.zeros(shape, np.float32)
        for product, columns in enumerate(self._columns):
            for column in columns:
                stop = max(start, min(start + n, column.part.n_row))
                slots = _slots(column.slots)
                for first, raw in self._reader.pieces(column, start, stop - start):
                    rows = slice(first - start, first - start + len(raw))
                    with np.errstate(over="ignore", invalid="ignore"):  # beyond float32: infinite
                        out[rows, product, slots] = raw
                    if weight is not None:
                        weight[rows, product, slots] = raw != 0 if self._zeros else 1
        return out, weight

    @property
    def files(self) -> list[str]:
        """The HDF5 files, and the raw files that contain the spectra."""
        return _files_of(self._columns)

    def close(self) -> None:
        """Close the HDF5 files; reading opens them again."""
        self._reader.close()


class BeamVoltages(VoltageStream):
    """Complex voltages of a LOFAR beam, complex64 (time, pol) or (time, pol, chan).

    Parameters
    ----------
    header : Header
        Header, with the polarisations X and Y, or one of them.
    columns : dict
        Columns by component.
    pols : sequence of str
        The polarisations.
    """

    def __init__(self, header: Header, columns: dict[str, list[Column]], pols: Sequence[str]
                 ) -> None:
        self._columns = [columns[f"{pol}{part}"] for pol in pols for part in "ri"]
        self._reader = _Reader()
        every = [each for column in self._columns for each in column]
        n_row = max(each.part.n_row for each in every)
        n_chan = 1 + max(int(each.slots[-1]) for each in every)
        if sum(len(each.slots) for each in self._columns[0]) < n_chan:
            raise FormatError(every[0].part.path, "complex voltages of sub-bands that are not "
                              "adjacent; choose adjacent ones with --set subband=FIRST-LAST")
        self._held = [min(each.part.n_row for column in self._columns[2 * pol : 2 * pol + 2]
                          for each in column) for pol in range(len(pols))]
        shape = (n_row, len(pols)) if n_chan == 1 else (n_row, len(pols), n_chan)
        super().__init__(header, shape, np.complex64, every[0].part.path)
        self.may_have_nan = True

    def narrowed(self, first: int, stop: int) -> VoltageStream | None:
        """Return only the channels `first` to `stop` - 1; of long rows no others are read."""
        if len(self.shape) < 3:
            return None
        part = copy.copy(self)
        part._position = 0
        part._columns = _narrow(self._columns, first, stop)
        part.shape = (*self.shape[:2], stop - first) if stop - first > 1 else self.shape[:2]
        axis = self.header.channels
        part.header = self.header.replace(channels=axis.sliced(first, stop) if axis else None)
        return part

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        target = out if out.ndim == 3 else out[:, :, np.newaxis]
        spans = []
        for pol, held in enumerate(self._held):
            stop = max(start, min(start + n, held))
            for number in range(2):
                part = target.imag if number else target.real
                for column in self._columns[2 * pol + number]:
                    slots = _slots(column.slots)
                    for first, raw in self._reader.pieces(column, start, stop - start):
                        with np.errstate(over="ignore", invalid="ignore"):  # infinite, so invalid
                            part[first - start : first - start + len(raw), pol, slots] = raw
            spans.append(full(start, stop))
        return tuple(spans)

    @property
    def files(self) -> list[str]:
        """The HDF5 files, and the raw files that contain the samples."""
        return _files_of(self._columns)

    def close(self) -> None:
        """Close the HDF5 files; reading opens them again."""
        self._reader.close()


def _slots(slots: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """Return a slice where the channels are adjacent, because it copies faster."""
    first, last = int(slots[0]), int(slots[-1])
    return slice(first, last + 1) if last - first + 1 == len(slots) else slots
