"""Search of one series for pulses of long periods by fast folding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from fastsig_kernels import FFA
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.search.pulsars import significance
from fastsig.search.pulsars.fourier import zapped_bins
from fastsig.search.pulsars.level import levelled, sums_of, without_mean

__all__ = ["FOLDED", "FoldingSearch", "widths_of"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

#: A candidate: period (s) and frequency (Hz), which are taken to be constant, error of the
#: frequency (Hz), significance after trials, S/N, and width of the boxcar (s, and as a fraction of
#: the period).
FOLDED = np.dtype([
    ("period", np.float64), ("frequency", np.float64), ("frequency_error", np.float64),
    ("sigma", np.float64), ("snr", np.float64), ("width", np.float64), ("duty", np.float64)])

#: Turns that a series must contain.
FEWEST_TURNS = 8
#: Octaves of the period that have one level and one noise.
_OCTAVES = 2
#: Share of all boxcars, of every phase and width in each profile, that are independent trials at an
#: S/N, as counts in noise show up to 6 (`bench ffa-trials`). Neighbours overlap, and exceed a high
#: S/N more independently.
_SNRS, _SHARES = (5.25, 6.0, 10.0), (0.32, 0.35, 0.5)
_RATIO = 1.5  # of neighbouring widths, about
#: Blocks of two octaves of the period that have one measure of red noise each: as many as have this
#: many different numbers of turns, of which one pulsar affects few.
_BLOCKS, _TURNS = (8, 4, 2, 1), 16
#: Least numbers of turns for a measure; below, that of shorter periods is used.
_FEWEST = 8
#: Share by which a median S/N may exceed that of white noise, whose expectation is as uncertain.
_MARGIN = 0.05


@dataclass(frozen=True)
class _Part:
    """Two octaves of the period: samples that are summed first, and the plan of their sums."""

    size: int
    window: int
    plan: FFA
    #: Periods, samples of the plan, and their numbers of bins.
    periods: F8
    bins: NDArray[np.int32]
    #: Their order by turns in the series, and where each number of turns begins.
    order: NDArray[np.int64]
    starts: NDArray[np.int64]


class FoldingSearch:
    """Search of series of one length by fast folding; each thread needs a copy.

    Each range of two octaves of the period has a separate level: the running mean of the running
    median, both over the longest of these periods. Periods, levels and noise of an octave do not
    depend on the range of the search. The S/N is relative to the noise of single samples or of
    short sums of samples. Where profiles are noisier because the noise is red, the significance is
    that of an S/N relative to the noise of profiles.

    Parameters
    ----------
    n_sample : int
        Number of samples of a series.
    sample_s : float
        Time from one sample to the next, s.
    period : tuple of two floats
        Shortest and longest period, s. The shortest must have at least as many samples as the
        least number of bins of a profile (see `duty`). The longest is shortened if a series has
        fewer than 8 turns of it.
    duty : tuple of two floats
        Smallest and largest width of a pulse, as a fraction of the period. The inverse of the
        smallest, rounded down, is the least number of bins of a profile.
    threshold : float
        Lowest significance after trials, in standard deviations.
    trials : float
        Number of independent series that are searched in the same way.
    most : int
        Largest number of candidates of a series; the most significant ones are kept.

    Raises
    ------
    UsageError
        If an argument is not allowed.
    """

    def __init__(self, n_sample: int, sample_s: float, *,
                 period: tuple[float, float] = (0.5, 10.0),
                 duty: tuple[float, float] = (1 / 240, 0.2), threshold: float = 6.0,
                 trials: float = 1.0, most: int = 1000) -> None:
        low, high = _checked_duty(duty)
        self.n_sample, self.sample_s = n_sample, float(sample_s)
        self.n_bin, self.threshold, self.most = int(1 / low + 1e-9), float(threshold), most
        self.widths = widths_of(self.n_bin, high)
        self.period = self._range(period)
        self._parts = tuple(self._made())
        #: Number of trials: all boxcars.
        self.n_trial = trials * max(1.0, self._n_trial())
        #: Least S/N.
        self.snr_min = self._snr_of_sigma(self.threshold)

    def _range(self, period: tuple[float, float]) -> tuple[float, float]:
        low, high = (float(each) for each in period)
        high = min(high, self.n_sample * self.sample_s / FEWEST_TURNS)
        least = self.n_bin * self.sample_s
        if not least <= low < high:
            raise UsageError(f"period = {period[0]:g} to {period[1]:g} s; allowed: at least "
                             f"{least:g} s ({self.n_bin} samples), and less than "
                             f"{self.n_sample * self.sample_s / FEWEST_TURNS:g} s (the length of "
                             f"the series divided by {FEWEST_TURNS})")
        return low, high

    def _made(self) -> Any:
        """Yield the parts that the range of periods needs."""
        low, high = (each / self.sample_s for each in self.period)
        ratio = 2**_OCTAVES
        step = 0
        while self.n_bin * ratio**step < high:
            first, stop = self.n_bin * ratio**step, self.n_bin * ratio ** (step + 1)
            size = ratio ** max(0, step - 1)
            step += 1
            if stop <= low:
                continue
            limits = max(low, first) / size, min(high, stop) / size
            plan = FFA(self.n_sample // size, limits[0], limits[1], n_bin=self.n_bin,
                       widths=self.widths)
            turns = np.round(plan.n_time / plan.periods).astype(np.int64)
            order = np.argsort(turns, kind="stable")
            starts = np.flatnonzero(np.diff(turns[order], prepend=-1))
            yield _Part(size, stop // size, plan, plan.periods, plan.bins, order, starts)

    def _n_trial(self) -> float:
        return float(len(self.widths) * sum(int(part.bins.sum()) for part in self._parts))

    def sigma(self, snr: float) -> float:
        """Return the significance of an S/N, corrected for all trials, in standard deviations."""
        return float(significance.sigma_of_log_chance(
            significance.combined_log_chance(self._log_chance(snr), self.n_trial)))

    def false_alarms(self, snr: float) -> float:
        """Return the expected number of candidates above an S/N that noise causes in all series."""
        return float(self.n_trial * np.exp(self._log_chance(snr)))

    @staticmethod
    def _log_chance(snr: float) -> float:
        """Return the logarithm of the chance of an S/N in a trial, times the share of trials."""
        return significance.log_chance_of_sigma(snr) + float(
            np.log(np.interp(snr, _SNRS, _SHARES)))

    def _snr_of_sigma(self, sigma: float) -> float:
        """Return the S/N in one trial that has a significance after all trials."""
        low, high = -10.0, 1e4
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if self.sigma(middle) < sigma else (low, middle)
        return high

    @property
    def duration_s(self) -> float:
        """Duration of a series, s."""
        return self.n_sample * self.sample_s

    @property
    def memory_bytes(self) -> int:
        """Size of the work space of a search, in bytes, if the series have no gaps."""
        tables = sum(28 * len(each.order) for each in self._parts)
        work = sum(each.plan.work_bytes for each in self._parts)
        return int(24 * self.n_sample + tables + work)

    def copy(self) -> Self:
        """Return a search for another thread, with its own work space."""
        from copy import copy

        other = copy(self)
        other._parts = tuple(replace(each, plan=each.plan.copy()) for each in self._parts)
        return other

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        self._parts[0].plan.compile()
        levelled(np.zeros(100, np.float32), None, 50)

    def process(self, series: F4, weight: F4 | None = None, zapped: Any = ()) -> NDArray[Any]:
        """Return the candidates of a series, the most significant first.

        Parameters
        ----------
        series : ndarray, shape (n_sample,), float32, any unit
            Sums of the valid terms. Samples that are not finite are not valid.
        weight : ndarray, shape (n_sample,), float32, optional
            Variance of each sample relative to that of a complete one, 0 to 1: the fraction of its
            terms that are valid; 1 by default.
        zapped : array, shape (n, 2), Hz
            Lower and upper edges of ranges of frequencies that are removed from the series.

        Returns
        -------
        ndarray, shape (n,), fields of `FOLDED`

        Raises
        ------
        UsageError
            If a shape is wrong, or a weight is not between 0 and 1.
        """
        x, w = without_mean(series, weight, self.n_sample)
        x = x if not np.size(zapped) else self._without(x, w, zapped)
        found: list[tuple[float, ...]] = []
        noise = 1.0
        for part in self._parts:
            some, noise = self._searched(part, x, w, noise)
            found += some
        made = np.array(found, FOLDED)
        made = made[np.lexsort((made["period"], -made["snr"], -made["sigma"]))]
        return _distinct(made, self.duration_s, self.most)

    def _without(self, x: F4, weight: F4 | None, zapped: Any) -> F4:
        """Return a series without ranges of frequencies."""
        from scipy.fft import irfft, rfft

        spectrum = rfft(x)
        spectrum[zapped_bins(zapped, spectrum.size, self.duration_s)] = 0
        clean: F4 = irfft(spectrum, n=len(x)).astype(np.float32)
        return clean if weight is None else np.where(weight > 0, clean, np.float32(0))

    def _searched(self, part: _Part, x: F4, weight: F4 | None, before: float
                  ) -> tuple[list[tuple[float, ...]], float]:
        """Return the best candidate of each number of turns, of two octaves.

        Also returns the noise of profiles of the longest period; `before` is that of shorter ones.
        """
        total, share = sums_of(x, weight, part.size)
        flat = levelled(total, share, part.window, 1 if part.size == 1 else 2**_OCTAVES)
        snr, width = part.plan.process(flat, weight=share)
        noise = self._noise_of_profiles(part, snr, before)
        if (noise > 1).any() and snr.max() >= self.snr_min:
            snr, width = snr.copy(), width.copy()
            rest = _without_pulse(flat, share, part, int(np.argmax(snr)))
            noise = np.minimum(noise, self._noise_of_profiles(
                part, part.plan.process(rest, weight=share)[0], before))
        true = snr / noise
        best = np.maximum.reduceat(true[part.order], part.starts)
        stops = np.append(part.starts[1:], len(part.order))
        found = []
        for k in np.flatnonzero(best >= self.snr_min):
            some = part.order[part.starts[k] : stops[k]]
            place = some[int(np.argmax(true[some]))]
            found.append(self._candidate(part, place, float(snr[place]), float(noise[place]),
                                         int(width[place])))
        return found, float(noise[np.argmax(part.periods)])

    def _noise_of_profiles(self, part: _Part, snr: F4, before: float) -> F8:
        """Return the noise of wide boxcars at each period, in units of that of white noise.

        `before` is that of shorter periods.

        The median of the highest S/N of many profiles shows whether there is red noise, which is
        noise of their fundamentals: it has random amplitudes, whose median is sqrt(2 ln 2) times
        their standard deviation at one phase. Bright pulses raise it too, unless they are
        subtracted.
        """
        turns = np.unique(np.round(part.plan.n_time / part.periods))
        found = np.full(len(snr), before)
        if len(turns) < _FEWEST:
            return found
        n_block = next((n for n in _BLOCKS if len(turns) >= n * _TURNS), 1)
        octaves = np.log2(part.periods / part.window) + _OCTAVES
        block = np.clip(np.floor(octaves / _OCTAVES * n_block), 0, n_block - 1)
        for each in np.unique(block):
            some = block == each
            white = (1 + _MARGIN) * _median_of_white_noise(
                len(self.widths) * float(part.bins[some].mean()))
            red = max(0.0, float(np.median(snr[some])) ** 2 - white**2) / (2 * np.log(2))
            found[some] = np.sqrt(1 + red)
        return found

    def _candidate(self, part: _Part, place: int, snr: float, noise: float, width: int
                   ) -> tuple[float, ...]:
        period = float(part.periods[place]) * part.size * self.sample_s
        duty = self.widths[width] / int(part.bins[place])
        # Of a pulse whose times of arrival have the error of a boxcar, and of the steps.
        error = np.hypot(duty / snr, 0.5 / self.n_bin) * np.sqrt(12) / self.duration_s / 2
        return period, 1 / period, float(error), self.sigma(snr / noise), snr, duty * period, duty


def _without_pulse(flat: F4, weight: F4 | None, part: _Part, place: int) -> F4:
    """Return a series without its mean profile at one of the periods."""
    n = int(part.bins[place])
    bins = ((np.arange(len(flat)) / part.periods[place]) % 1 * n).astype(np.int64)
    share = np.ones_like(flat) if weight is None else weight
    profile = np.bincount(bins, flat, n) / np.maximum(np.bincount(bins, share, n), 1e-30)
    return np.asarray(flat - profile[bins] * share, np.float32)


def _median_of_white_noise(n: float) -> float:
    """Return the median of the highest S/N of a profile with `n` boxcars, in white noise."""
    return float(significance.sigma_of_log_chance(np.log(np.log(2) / (n * _SHARES[0]))))


def widths_of(n_bin: int, duty: float) -> tuple[int, ...]:
    """Return widths of boxcars in ratios of about 1.5, up to a fraction of the turn."""
    found, width = [], 1
    while width <= max(1, int(duty * n_bin + 1e-9)):
        found.append(width)
        width = max(width + 1, int(_RATIO * width))
    return tuple(found)


def _checked_duty(duty: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(each) for each in duty)
    if not 1 / 1024 <= low <= 1 / 24 or not low < high <= 0.5:
        raise UsageError(f"duty = {low:g} to {high:g}; allowed: from 1/1024 to 1/24, and up to 0.5")
    return low, high


def _distinct(found: NDArray[Any], duration_s: float, most: int) -> NDArray[Any]:
    """Return candidates that differ by more than a turn in the series from better ones."""
    kept: list[int] = []
    left = np.arange(len(found))
    while left.size and len(kept) < most:
        best = left[0]
        kept.append(int(best))
        apart = np.abs(found["frequency"][left] - found["frequency"][best]) * duration_s
        left = left[apart > 1.0]
    return found[kept]
