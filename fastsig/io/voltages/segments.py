"""Voltages in raw files: segments on one clock, read by position; gaps between them are invalid.

A format supplies the places of its samples (a table) and decodes the bytes of a segment; this
module does the rest: files, gaps, threads.
"""

from __future__ import annotations

import os
import threading
import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastsig.axes import validity
from fastsig.axes.validity import Spans
from fastsig.errors import DataError, FastsigWarning, FormatError, users_line
from fastsig.io.files.positioned import read_into, scatter_into
from fastsig.stream import VoltageStream
from fastsig.stream.header import Header

__all__ = ["RawFiles", "SegmentedVoltages", "disjoint", "from_first", "incomplete"]

_KEPT_OPEN = 64
_YEAR_S = 366 * 86400
_FASTEST, _MOST = 10**18, 2**62  # Hz, samples

Fill = Callable[[tuple[int, ...], int, int, NDArray[Any]], tuple[Spans, ...] | None]


class RawFiles:
    """Files that several threads may read by position; the first 64 stay open."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(paths)
        self._open: dict[int, int] = {}
        self._lock = threading.Lock()

    def read_into(self, index: int, out: NDArray[Any], offset: int) -> None:
        """Fill `out` from byte `offset` of a file on.

        Raises
        ------
        DataError
            If the file cannot be read, or ends too early.
        """
        descriptor = self._kept(index)
        if descriptor is not None:
            read_into(descriptor, out, offset, self.paths[index])
            return
        descriptor = self._descriptor(index)
        try:
            read_into(descriptor, out, offset, self.paths[index])
        finally:
            os.close(descriptor)

    def read_each(self, index: int, out: NDArray[np.uint8], offset: int, step: int) -> None:
        """Fill the rows of `out` from byte `offset` on, ``offset + step``, and so on.

        Raises
        ------
        DataError
            If the file cannot be read, or ends too early.
        """
        for row, target in enumerate(out):
            self.read_into(index, target, offset + row * step)

    def read(self, index: int, n: int, offset: int, room: NDArray[np.uint8] | None = None
             ) -> NDArray[np.uint8]:
        """Return `n` bytes from byte `offset` of a file on, which are not to be changed.

        `room` is memory of this size that may be used for them.

        Raises
        ------
        DataError
            If the file cannot be read, or ends too early.
        """
        out = np.empty(n, np.uint8) if room is None else room
        self.read_into(index, out, offset)
        return out

    def scatter_into(self, index: int, places: NDArray[np.int64], offset: int) -> bool:
        """Call `positioned.scatter_into` for a file; return False if it does not stay open."""
        descriptor = self._kept(index)
        return descriptor is not None and scatter_into(descriptor, places, offset)

    def _kept(self, index: int) -> int | None:
        """Return a descriptor that stays open; None if too many are open."""
        with self._lock:
            descriptor = self._open.get(index)
            if descriptor is None and len(self._open) < _KEPT_OPEN:
                descriptor = self._open[index] = self._descriptor(index)
        return descriptor

    def _descriptor(self, index: int) -> int:
        try:
            return os.open(self.paths[index], os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DataError(self.paths[index], error.strerror or str(error)) from error

    def close(self) -> None:
        """Close all files; reading opens them again."""
        with self._lock:
            while self._open:
                os.close(self._open.popitem()[1])

    def __del__(self) -> None:
        self.close()


def incomplete(path: str, message: str) -> None:
    """Warn of lost samples."""
    warnings.warn(f"{path}: {message}", FastsigWarning, stacklevel=users_line())


def from_first(
    rows: Sequence[tuple[int, ...]], rate: Fraction, path: str
) -> tuple[NDArray[np.int64], int]:
    """Count rows (first sample, stop, ...) from the earliest sample, and return its number.

    Raises
    ------
    FormatError
        If samples lie more than a year from the start stated in the headers, or the sample rate is
        impossibly high, because a header value is then wrong.
    """
    if rate >= _FASTEST:
        raise FormatError(path, f"{float(rate):g} samples per second; allowed: below "
                          f"{_FASTEST:.0e}, so an interval or a bandwidth in a header is wrong")
    begin, stop = min(row[0] for row in rows), max(row[1] for row in rows)
    farthest = max(abs(begin), abs(stop))
    if farthest > _MOST or farthest > _YEAR_S * rate:
        raise FormatError(path, f"samples {begin} to {stop} at {float(rate):g} Hz are more than a "
                          "year from the start: a counter in a header is wrong")
    table = np.array(rows, np.int64)
    table[:, :2] -= begin
    return table, begin


def disjoint(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort rows by their first sample and remove overlaps; the earlier row keeps its samples.

    Parameters
    ----------
    table : ndarray, shape (n, 2 or more), int64
        First sample, stop; other columns are kept. Duplicates and rows that lie wholly within
        earlier rows are dropped; a row that begins within an earlier one starts later, and its
        original first sample, which `SegmentedVoltages` needs, is kept in a new last column.

    Returns
    -------
    ndarray, shape (m, 3 or more), int64
        The last column is the first sample of each segment as recorded.
    """
    ordered = table[np.lexsort((-table[:, 1], table[:, 0]))]
    reach = np.maximum.accumulate(np.concatenate([[np.iinfo(np.int64).min], ordered[:-1, 1]]))
    out = np.concatenate([ordered, ordered[:, :1]], axis=1)
    out[:, 0] = np.maximum(out[:, 0], reach)
    return out[out[:, 0] < out[:, 1]]


class SegmentedVoltages(VoltageStream):
    """Voltages in segments of raw files.

    Parameters
    ----------
    header, shape, dtype, path
        As for `Stream`.
    paths : sequence of str
        The files.
    table : ndarray, shape (n, 3 or more), int64
        Rows, as returned by `disjoint`: first sample, stop, index of the file in `paths`, and
        further values that the format needs to find the bytes.
    """

    def __init__(
        self, header: Header, shape: tuple[int, ...], dtype: DTypeLike, path: str,
        paths: Sequence[str], table: NDArray[np.int64],
    ) -> None:
        super().__init__(header, shape, dtype, path)
        self._raw = RawFiles(paths)
        self._table = table

    @property
    def files(self) -> list[str]:
        """The absolute paths of the files, in order."""
        return [os.path.abspath(path) for path in self._raw.paths]

    def file_of(self, row: int) -> str:
        """Return the path of the file that contains a row, or of the last one before it."""
        found = max(0, int(np.searchsorted(self._table[:, 0], row, "right")) - 1)
        return os.path.abspath(self._raw.paths[int(self._table[found, 2])])

    @abstractmethod
    def _fill(
        self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[Any]
    ) -> tuple[Spans, ...] | None:
        """Put samples `first` to `stop` of the stream, all of one segment, into `out`.

        Returns the valid spans of each polarisation, or None if all samples are valid.
        """

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        return self._gather(start, n, out, self._fill)

    def _gather(self, start: int, n: int, out: NDArray[Any], fill: Fill) -> tuple[Spans, ...]:
        """Let `fill` put the samples of all segments needed into `out`; return the valid spans."""
        first = int(np.searchsorted(self._table[:, 1], start, side="right"))
        last = int(np.searchsorted(self._table[:, 0], start + n, side="left"))
        spans: list[list[Spans]] = [[validity.full(0, 0)] for _ in range(self.n_pol)]
        for segment in self._table[first:last].tolist():
            low, high = max(segment[0], start), min(segment[1], start + n)
            found = fill(tuple(segment), low, high, out[low - start : high - start])
            whole = validity.full(low, high)
            for pol, each in enumerate(spans):
                each.append(whole if found is None else found[pol])
        return tuple(validity.as_spans(np.concatenate(each)) for each in spans)

    def valid_spans(self) -> tuple[Spans, ...] | None:
        """Return the spans that files contain; None if their samples may be NaN."""
        if self.may_have_nan:
            return None
        return (validity.as_spans(self._table[:, :2]),) * self.n_pol

    def valid_fraction(self) -> float | None:
        """Return the share of samples that files contain."""
        held = int((self._table[:, 1] - self._table[:, 0]).sum())
        return held / self.shape[0] if self.shape[0] else None

    def close(self) -> None:
        """Close the files that are open; reading opens them again."""
        self._raw.close()
