"""Which samples of a piece of the band are valid."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

__all__ = ["Known", "KnownArray", "KnownSamples"]

F4 = NDArray[np.float32]
Flags = NDArray[np.bool_]


class Known(ABC):
    """Which samples of a piece are valid."""

    @property
    @abstractmethod
    def share(self) -> F4:
        """Fraction of the samples of each channel that are valid, (n_chan,) float32."""

    @abstractmethod
    def part(self, first: int, stop: int) -> F4:
        """Return 1 for valid samples of channels `first` to ``stop - 1``, 0 for others."""

    @abstractmethod
    def lost(self, n_sum: int) -> Flags | None:
        """Return which cells of `n_sum` channels contain lost samples; None if many may."""

    def piece(self, first: int, stop: int) -> Known:
        """Return those of channels `first` to ``stop - 1``."""
        return KnownArray(self.part(first, stop))

    def cells(self, first: int, stop: int, n_sum: int) -> F4:
        """Return the fraction of valid samples of cells of `n_sum` channels, (n_spectrum, n)."""
        part, n = self.part(first * n_sum, stop * n_sum), 1
        while n < n_sum:
            part, n = self.mean_of_two(part), 2 * n
        return part

    @staticmethod
    def mean_of_two(cells: F4) -> F4:
        """Return the means of two neighbours."""
        n = cells.shape[1] // 2 * 2
        found: F4 = cells[:, 0:n:2] + cells[:, 1:n:2]
        found *= np.float32(0.5)
        return found


class KnownArray(Known):
    """Which samples of a small piece are valid, from an array: 1 for these and 0 for others."""

    def __init__(self, valid: F4) -> None:
        self._valid, self._cells = valid, {1: valid}

    @property
    def share(self) -> F4:
        """Fraction of the samples of each channel that are valid, (n_chan,) float32."""
        share: F4 = self._valid.mean(axis=0, dtype=np.float32)
        return share

    def part(self, first: int, stop: int) -> F4:
        """Return 1 for valid samples of channels `first` to ``stop - 1``, 0 for others."""
        return self._valid[:, first:stop]

    def lost(self, n_sum: int) -> Flags | None:
        """Return None: any cell may contain lost samples."""
        return None

    def cells(self, first: int, stop: int, n_sum: int) -> F4:
        """Return the fraction of valid samples of cells of `n_sum` channels, (n_spectrum, n)."""
        if n_sum not in self._cells:
            halves = self.cells(0, self._valid.shape[1] // n_sum * 2, n_sum // 2)
            self._cells[n_sum] = self.mean_of_two(halves)
        return self._cells[n_sum][:, first:stop]


class KnownSamples(Known):
    """Which samples of a piece are valid, from the samples.

    Most channels have only valid samples: others are looked up where they are needed.

    Parameters
    ----------
    x : ndarray, shape (n_spectrum, n_chan), float32
        Samples; those that are not finite are not valid.
    has_level : ndarray, shape (n_spectrum, n_group), bool
        Groups of channels that are not lost.
    n : int
        Number of channels in a group.
    count : ndarray, shape (n_chan,), float32
        Number of valid samples in each channel.
    """

    def __init__(self, x: F4, has_level: Flags, n: int, count: F4) -> None:
        self._x, self._has_level, self._n = x, has_level, n
        self._share = count / np.float32(len(x))
        self._lost: dict[int, Flags] = {1: self._share < 1}

    @property
    def share(self) -> F4:
        """Fraction of the samples of each channel that are valid, (n_chan,) float32."""
        return self._share

    def lost(self, n_sum: int) -> Flags:
        """Return which cells of `n_sum` channels contain lost samples."""
        if n_sum not in self._lost:
            halves = self.lost(n_sum // 2)
            n = len(halves) // 2 * 2
            self._lost[n_sum] = halves[0:n:2] | halves[1:n:2]
        return self._lost[n_sum]

    def part(self, first: int, stop: int) -> F4:
        """Return 1 for valid samples of channels `first` to ``stop - 1``, 0 for others."""
        valid = np.isfinite(self._x[:, first:stop])
        low, high = first // self._n, -(-stop // self._n)
        groups = np.repeat(self._has_level[:, low:high], self._n, axis=1)
        valid &= groups[:, first - low * self._n : stop - low * self._n]
        valid &= self._share[first:stop] > 0
        return valid.astype(np.float32)
