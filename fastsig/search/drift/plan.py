"""The plan of a search over drift rates: steps, sums of channels, and losses at fast drifts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor, sqrt

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError

__all__ = ["MOST_SPECTRA", "DriftPlan", "Octave", "kept_by_boxcar"]

#: Largest number of spectra of a scan; longer scans must be averaged first.
MOST_SPECTRA = 4096
_MOST_DRIFT = 2**20  # channels during a scan
_WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


@dataclass(frozen=True)
class Octave:
    """Drifts of one sign that are searched in sums of the same number of channels.

    Parameters
    ----------
    sign : {1, -1}
        Sign of the drifts.
    n_sum : int
        Number of channels that are summed in a cell, a power of two.
    first, last : int
        Smallest and largest absolute drift during a scan, in cells; all whole numbers between them
        are searched.
    widths : tuple of int
        Widths of boxcars, in cells.
    """

    sign: int
    n_sum: int
    first: int
    last: int
    widths: tuple[int, ...]

    @property
    def n_row(self) -> int:
        """Number of drifts."""
        return self.last - self.first + 1

    @property
    def cells(self) -> NDArray[np.float64]:
        """Absolute drifts during a scan, in cells."""
        return np.arange(self.first, self.last + 1, dtype=np.float64)


@dataclass(frozen=True)
class DriftPlan:
    """Drift rates of a search, from the lowest to the highest.

    A drift is the number of channels that a carrier crosses from the middle (in time) of the first
    spectrum to the middle of the last. Drifts below two channels per spectrum are searched in steps
    of one channel during the scan. Faster carriers spread over several channels during a spectrum;
    with each doubling of the drift, twice as many channels are summed and the step is twice as
    large.

    Parameters
    ----------
    n_spectrum : int
        Number of spectra.
    sample_s : float
        Time from one spectrum to the next, s.
    chan_hz : float
        Width of a channel, Hz.
    low, high : float
        Lowest and highest drift rate, Hz/s.
    widest : int
        Widest boxcar for signals that drift slowly or not at all, in channels.
    smeared : bool
        Whether carriers spread over the channels that they cross during a spectrum, as all real
        carriers do. Otherwise, every drift is searched in steps of one channel. This also finds
        carriers of simulators that jump from channel to channel, and takes several times as long.

    Raises
    ------
    UsageError
        If a value is out of range.
    """

    n_spectrum: int
    sample_s: float
    chan_hz: float
    low: float
    high: float
    widest: int = 8
    smeared: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.n_spectrum <= MOST_SPECTRA:
            raise UsageError(f"the scan has {self.n_spectrum} spectra; allowed: 1 to "
                             f"{MOST_SPECTRA}, so integrate them first, as with --integrate")
        if not (np.isfinite((self.low, self.high)).all() and self.low <= self.high):
            raise UsageError(f"drift = {self.low:g} to {self.high:g} Hz/s; allowed: two ascending "
                             "numbers")
        if not 1 <= self.widest <= _WIDTHS[-1]:
            raise UsageError(f"width = {self.widest} channels; allowed: 1 to {_WIDTHS[-1]}")
        if self.reach > _MOST_DRIFT:
            raise UsageError(f"drift = {self.low:g} to {self.high:g} Hz/s is up to {self.reach} "
                             f"channels during the scan; allowed: up to {_MOST_DRIFT}")

    @property
    def step(self) -> float:
        """Step of the drift rate, Hz/s: one channel from the first spectrum to the last."""
        return self.chan_hz / (max(1, self.n_spectrum - 1) * self.sample_s)

    @cached_property
    def limits(self) -> tuple[int, int]:
        """Lowest and highest drift during the scan, in channels."""
        if self.n_spectrum == 1:
            return 0, 0
        return ceil(self.low / self.step - 1e-6), floor(self.high / self.step + 1e-6)

    @property
    def reach(self) -> int:
        """Largest absolute drift during the scan, in channels."""
        return max(map(abs, self.limits))

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Widths of boxcars for slow drifts, in channels."""
        return tuple(width for width in _WIDTHS if width <= self.widest)

    @cached_property
    def octaves(self) -> tuple[Octave, ...]:
        """The octaves, slow drifts first, negative drifts after positive ones."""
        return tuple(sorted(self._octaves(), key=lambda each: (each.n_sum, -each.sign)))

    def _octaves(self) -> Iterator[Octave]:
        low, high = self.limits
        for sign, least, largest in ((1, max(low, 0), high), (-1, max(-high, 1), -low)):
            n_sum, done = 1, -1
            while largest > done and largest >= least:
                first = max(-(-least // n_sum), done // n_sum + 1)
                last = -(-largest // n_sum)
                if self.smeared:
                    last = min(last, self._most_cells)
                if last >= first:
                    yield Octave(sign, n_sum, first, last, self._cells(n_sum))
                done = last * n_sum
                n_sum *= 2

    @cached_property
    def _most_cells(self) -> int:
        """Drift in cells, from which twice as many channels are summed."""
        return 2 * max(1, self.n_spectrum - 1)

    @property
    def slowest_sum(self) -> float:
        """Drift, in channels, up to which no channels are summed; infinite if none ever are."""
        return self._most_cells + 1.0 if self.smeared else np.inf

    def widths_of(self, n_sum: int) -> tuple[int, ...]:
        """Return the widths of boxcars, in channels, where `n_sum` channels are summed."""
        if n_sum == 1:
            return self.widths
        return (n_sum, n_sum * 3 // 2, *(n_sum * width for width in self._cells(n_sum)))

    def _cells(self, n_sum: int) -> tuple[int, ...]:
        """Return the widths of boxcars in cells: a fast signal spreads over two cells or more."""
        widths = self.widths if n_sum == 1 else (2, 3, 4, 6)
        return widths

    @cached_property
    def widest_channels(self) -> int:
        """Widest boxcar in channels."""
        return max((o.n_sum * o.widths[-1] for o in self.octaves), default=1)

    @cached_property
    def all_widths(self) -> tuple[int, ...]:
        """Widths of all boxcars, in channels, including 1."""
        return tuple(sorted({1, *self.widths} | {
            width for n_sum in {o.n_sum for o in self.octaves} for width in self.widths_of(n_sum)}))

    def rate(self, drift: float) -> float:
        """Return the drift rate, Hz/s, for a drift in channels during the scan."""
        return drift * self.step

    def kept(self, rate: float) -> float:
        """Return the fraction of its S/N that a carrier with this drift rate, Hz/s, keeps.

        The reference is the same carrier without drift in a single channel. The mean over its
        positions in a cell is returned; the response of the filter bank is not included.
        """
        spread = abs(rate) * self.sample_s / self.chan_hz
        n_sum = max((o.n_sum for o in self.octaves if o.first * o.n_sum <= abs(rate / self.step)),
                    default=1)
        widths = [o.n_sum * width for o in self.octaves if o.n_sum == n_sum for width in o.widths]
        return max((kept_by_boxcar(spread, width, n_sum) for width in widths), default=0.0)


def kept_by_boxcar(spread: float, width: int, step: int = 1) -> float:
    """Return the mean fraction of an evenly spread carrier's S/N that the nearest boxcar keeps.

    Parameters
    ----------
    spread : float
        Number of channels that the carrier crosses during a spectrum.
    width, step : int
        Width of the boxcars, and the distance between them, in channels.
    """
    off = step * (np.arange(64) + 0.5) / 64 - step / 2
    if not spread:
        return float((np.abs(off) <= width / 2).mean()) / sqrt(width)
    low = np.maximum(off - spread / 2, -width / 2)
    high = np.minimum(off + spread / 2, width / 2)
    return float(np.maximum(high - low, 0).mean() / spread) / sqrt(width)
