"""Which samples of a piece of the band are valid."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Known"]

F4 = NDArray[np.float32]
Flags = NDArray[np.bool_]


class Known:
    """Which samples of a piece are valid, where some are not.

    Parameters
    ----------
    samples : ndarray, shape (n_spectrum, n_chan), bool
        True for valid samples.
    share : ndarray, shape (n_chan,), float32, optional
        Fraction of the samples of each channel that are valid, if it is known.
    """

    def __init__(self, samples: Flags, share: F4 | None = None) -> None:
        self.samples, self._share = np.ascontiguousarray(samples), share

    @classmethod
    def of(cls, x: F4, has_level: Flags, n: int, count: F4, out: Flags | None = None) -> Known:
        """Return which samples are finite and have a level.

        Parameters
        ----------
        x : ndarray, shape (n_spectrum, n_chan), float32
            Samples.
        has_level : ndarray, shape (n_spectrum, n_group), bool
            Groups of channels that have a level.
        n : int
            Number of channels in a group.
        count : ndarray, shape (n_chan,), float32
            Number of valid samples in each channel; samples are examined only where some are not
            valid.
        out : ndarray, shape of x, bool, optional
            Receives the result.
        """
        samples = np.empty(x.shape, np.bool_) if out is None else out
        samples.fill(True)
        some = np.flatnonzero(count < len(x))
        samples[:, some] = np.isfinite(x[:, some]) & has_level[:, some // n] & (count[some] > 0)
        return cls(samples, count / np.float32(len(x)))

    @cached_property
    def share(self) -> F4:
        """Fraction of the samples of each channel that are valid, (n_chan,) float32."""
        if self._share is not None:
            return self._share
        return self.samples.mean(axis=0, dtype=np.float32)  # type: ignore[no-any-return]

    @property
    def lost(self) -> NDArray[np.int64]:
        """Channels with samples that are not valid, ascending."""
        return np.flatnonzero(self.share < 1)

    @property
    def gone(self) -> NDArray[np.int64]:
        """Channels without valid samples, ascending."""
        return np.flatnonzero(self.share == 0)

    def piece(self, first: int, stop: int) -> Known:
        """Return those of channels `first` to ``stop - 1``."""
        return Known(self.samples[:, first:stop])

    def cells(self, n_sum: int) -> F4:
        """Return the fraction of valid samples of cells of `n_sum` channels, (n_spectrum, n)."""
        n = self.samples.shape[1] // n_sum
        return self.samples[:, : n * n_sum].reshape(-1, n, n_sum).mean(  # type: ignore[no-any-return]
            axis=2, dtype=np.float32)
