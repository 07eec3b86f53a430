"""Spectra in files: the base of the readers of filterbanks, PSRFITS and similar formats.

A format supplies its rows (`_values`); this module handles weights, NaN and sums. The files of a
scan have a table of segments; rows that no file contains have the weight 0.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.io.voltages.segments import RawFiles
from fastsig.stream import Block, SpectrumStream, Sums, sums
from fastsig.stream.header import Header

__all__ = ["FileSpectra", "SegmentedSpectra"]


class FileSpectra(SpectrumStream):
    """The spectra of a file, float32 (time, product, chan), channels ascending in sky frequency.

    Parameters
    ----------
    header, shape, path
        As for `Stream`.
    weight_channels : int
        Length of the channel axis of the weights: 1, or the number of channels if weights differ or
        single values may be NaN.
    may_have_nan : bool
        Whether values that are not finite mark lost values, in addition to the weights.
    """

    def __init__(self, header: Header, shape: tuple[int, ...], path: str, *,
                 weight_channels: int = 1, may_have_nan: bool = False) -> None:
        super().__init__(header, shape, np.float32, path)
        self._weight_channels, self.may_have_nan = weight_channels, may_have_nan

    @property
    def weight_channels(self) -> int:
        """Length of the channel axis of the weights."""
        return self._weight_channels

    @abstractmethod
    def _values(self, start: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Read rows, and weights that broadcast against them; None if all weights are 1.

        The caller owns the arrays and may change them.
        """

    def _into(self, start: int, n: int, out: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Like `_values`, but put the rows into `out`, which is C-contiguous."""
        data, weight = self._values(start, n)
        np.copyto(out, data)
        return weight

    def narrowed(self, first: int, stop: int) -> SpectrumStream | None:
        """Return channels `first` to ``stop - 1`` if the format can read them alone, else None."""
        band = getattr(self, "band", None)
        return None if band is None else band(first, stop)  # type: ignore[no-any-return]

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Read mean spectra, float32, and weights; NaN where the weight is 0.

        If given, `out`, float32 (n or more, product, chan), is filled with the spectra: reusing
        memory costs half as much as new memory. If `out` is C-contiguous, no other array of that
        size is allocated, unless single values are lost.
        """
        self._check_range(start, n)
        if out is None:
            data, weight = self._values(start, n)
        elif out.flags.c_contiguous:
            data = out[:n]
            weight = self._into(start, n, data)
        else:
            found, weight = self._values(start, n)
            data = out[:n]
            np.copyto(data, found)
        if weight is None:
            weight = np.ones((n, data.shape[1], 1), np.float32)
        if self.may_have_nan and _may_be_lost(data):
            weight = np.where(np.isfinite(data), weight, np.float32(0))
        if weight.size and not weight.min() > 0:
            np.copyto(data, np.float32(np.nan), where=~(weight > 0))
        view = data.view()  # the caller may still write to `out`
        view.flags.writeable = weight.flags.writeable = False
        return Block(view, weight, start, n)

    def read_sums(self, start: int, n: int) -> Sums:
        """Return the means times their weights, float64."""
        return sums(self.read_block(start, n), self.header.n_sum, self.weight_channels)


def _may_be_lost(data: NDArray[np.float32]) -> bool:
    """Whether some value may not be finite, in which case the sum of all is not either.

    The sum needs no memory. It may also overflow; the caller then checks every value.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return not np.isfinite(np.add.reduce(data, axis=None))


class SegmentedSpectra(FileSpectra):
    """Spectra in segments of files, read by position.

    Parameters
    ----------
    header, shape, path, weight_channels, may_have_nan
        As for `FileSpectra`.
    paths : sequence of str
        The files.
    table : ndarray, shape (n, 3 or more), int64
        Rows, as returned by `fastsig.io.voltages.segments.disjoint`: first spectrum, stop, index
        of the file, and further values that the format needs to find the bytes.
    """

    def __init__(self, header: Header, shape: tuple[int, ...], path: str, paths: Sequence[str],
                 table: NDArray[np.int64], *, weight_channels: int = 1,
                 may_have_nan: bool = False) -> None:
        super().__init__(header, shape, path, weight_channels=weight_channels,
                         may_have_nan=may_have_nan)
        self._raw, self._table = RawFiles(paths), table

    @property
    def files(self) -> list[str]:
        """The absolute paths of the files, in order."""
        return [os.path.abspath(path) for path in self._raw.paths]

    def file_of(self, row: int) -> str:
        """Return the path of the file that contains a row, or of the last one before it."""
        found = max(0, int(np.searchsorted(self._table[:, 0], row, "right")) - 1)
        return os.path.abspath(self._raw.paths[int(self._table[found, 2])])

    def all_valid(self) -> bool | None:
        """Return False if spectra are missing, None if weights or NaN may mark more, else True."""
        if self.held_fraction() < 1:
            return False
        return True if self.weight_channels == 1 and not self.may_have_nan else None

    @abstractmethod
    def _fill(self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[np.float32],
              weight: NDArray[np.float32]) -> None:
        """Put spectra `first` to `stop`, all of one segment, and their weights into arrays.

        `weight` is (row, product, 1) and contains 1; single lost values become NaN in `out`.
        """

    def _values(self, start: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        out = np.empty((n, *self.shape[1:]), np.float32)
        return out, self._into(start, n, out)

    def _segments(self, start: int, n: int) -> list[list[int]]:
        """Return the rows of the table that contain some of `n` spectra."""
        first = int(np.searchsorted(self._table[:, 1], start, side="right"))
        last = int(np.searchsorted(self._table[:, 0], start + n, side="left"))
        found: list[list[int]] = self._table[first:last].tolist()
        return found

    def _into(self, start: int, n: int, out: NDArray[np.float32]) -> NDArray[np.float32] | None:
        weight = np.zeros((n, self.shape[1], 1), np.float32)
        done = start
        for segment in self._segments(start, n):
            low, high = max(segment[0], start), min(segment[1], start + n)
            out[done - start : low - start] = 0
            rows = slice(low - start, high - start)
            weight[rows] = 1
            self._fill(tuple(segment), low, high, out[rows], weight[rows])
            done = high
        out[done - start :] = 0
        return weight

    def held_fraction(self) -> float:
        """Return the share of the spectra that files contain."""
        held = int((self._table[:, 1] - self._table[:, 0]).sum())
        return held / self.shape[0] if self.shape[0] else 0.0

    def close(self) -> None:
        """Close the files; reading opens them again."""
        self._raw.close()
