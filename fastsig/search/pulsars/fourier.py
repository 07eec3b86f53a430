"""Search of one series for periodic signals: its whitened spectrum, and sums of harmonics."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from fastsig_kernels import AccelerationSearch, HarmonicSearch, detrend, fft_plan, whiten
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.search.pulsars import significance
from fastsig.search.pulsars.refining import refine

__all__ = ["CANDIDATE", "LEAST_SAMPLES", "MOST_SAMPLES", "FourierSearch", "Whitened",
           "snr_of"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

#: A candidate: frequency (Hz) at the first sample and its error, its derivatives there (Hz/s,
#: Hz/s^2), significance after trials, sum of powers, harmonics that were summed, those that are
#: valid, and mean frequency, mean drift and jerk of the fundamental in bins of the transform.
CANDIDATE = np.dtype([
    ("frequency", np.float64), ("frequency_error", np.float64), ("fdot", np.float64),
    ("fddot", np.float64), ("sigma", np.float64), ("power", np.float64), ("n_harmonic", np.int16),
    ("n_valid", np.int16), ("r", np.float64), ("z", np.float64), ("w", np.float64)])

#: Least number of turns of a fundamental in a series, by default. With fewer, the level is
#: measured from too few bins where noise is red.
FEWEST_TURNS = 16
#: Independent drifts in a bin of drift, as false alarms in noise show (`bench periodic`), for two
#: signs and steps of 2 bins. Sums at neighbouring half bins are independent trials within a tenth.
SHARE = 0.9
#: The same for a step of jerk, of either sign: of false alarms of single harmonics in noise, 0.58
#: to 0.73 for 5 to 21 jerks.
JERK_SHARE, _JERK_STEP = 0.65, 20
#: Number of candidates of a series, the best ones, whose frequency and drift are those of the
#: highest power; those of the others are steps of the search.
REFINED = 10
#: Error of the frequency of a tone of power P, in bins, is this over sqrt(P).
_ERROR = 3 / (np.pi * np.sqrt(6))
_HARMONICS, _MOST_DRIFT, _MOST_JERK = (1, 2, 4, 8, 16, 32), 1200, 6000
#: Smallest and largest number of samples of a series.
LEAST_SAMPLES, MOST_SAMPLES = 64, 2**31
#: Pieces whose means are subtracted, at most; slower variations spread little over the spectrum.
_MOST_PIECES = 256
#: Least ratio of a series to its transform; drifts in units of the latter are larger by its square,
#: jerks by its cube. With a jerk, the drift at the middle of the transform, where zeros follow the
#: series, is another than that at the middle of the series.
_FILLED = 8 / 9
_MOVED = (1 - _FILLED) / 2 / _FILLED**3


@dataclass(frozen=True)
class Whitened:
    """A whitened spectrum: noise has a mean power of 1 where bins are valid.

    Parameters
    ----------
    amplitude : ndarray, shape (n_bin,), complex64
        Amplitudes, 0 where they are not valid.
    valid : ndarray, shape (n_bin,), bool
        Whether each bin is valid.
    lags : ndarray, shape (n_lag,), complex
        Correlation of the noise of bins, caused for example by gaps in the series.
    """

    amplitude: NDArray[np.complex64]
    valid: NDArray[np.bool_]
    lags: NDArray[np.complex128]


class FourierSearch:
    """Search of series of one length; each thread needs a copy.

    Parameters
    ----------
    n_sample : int
        Number of samples of a series, 64 to 2^31.
    sample_s : float
        Time from one sample to the next, s.
    n_harmonic : int
        Largest number of harmonics that are summed: 1, 2, 4, 8, 16 or 32. Smaller numbers are tried
        too.
    z_max : float
        Largest drift of the highest harmonic, in bins over the series, 0 to 948.
    w_max : float
        Largest jerk of the highest harmonic: change of its drift over the series, in bins, 0 to
        4213. The largest `z_max` allowed decreases by 8 for each 100 of `w_max`.
    threshold : float
        Lowest significance after trials, in standard deviations.
    trials : float
        Number of independent series that are searched in the same way.
    frequency : tuple of two floats, optional
        Lowest and highest frequency of fundamentals, Hz. By default, the range is from 16 turns in
        a series to half the sample rate.
    most : int
        Largest number of candidates of a series; the most significant ones are kept.

    Raises
    ------
    UsageError
        If an argument is not allowed.
    """

    def __init__(self, n_sample: int, sample_s: float, *, n_harmonic: int = 16, z_max: float = 0,
                 w_max: float = 0, threshold: float = 6.0, trials: float = 1.0,
                 frequency: tuple[float, float] | None = None, most: int = 1000) -> None:
        _check(n_sample, sample_s, n_harmonic, z_max, w_max, most)
        self.n_sample, self.sample_s, self.n_harmonic = n_sample, float(sample_s), n_harmonic
        self.z_max, self.w_max = float(z_max), float(w_max)
        self.threshold, self.most = float(threshold), most
        #: Length of the transform: the series, and zeros of weight 0.
        self.n_fft = transform_length(n_sample)
        #: Largest jerk and drift of the highest harmonic, in bins over the length of the transform.
        self.jerk = float(w_max * (self.n_fft / n_sample) ** 3)
        self.drift = float(z_max * (self.n_fft / n_sample) ** 2
                           + self.jerk * (1 - n_sample / self.n_fft) / 2)
        #: Frequencies of fundamentals, in bins.
        self.r_min, self.r_max = self._range(frequency)
        #: Number of independent trials.
        self.n_trial = trials * max(1.0, self._n_trial())
        self._powers = np.array([significance.power_of_sigma(threshold, n, self.n_trial)
                                 for n in range(1, n_harmonic + 1)])
        self._n_piece = min(int(np.ceil(self.r_min / 2)), n_sample // 8, _MOST_PIECES)
        self._n_part = max(1, 2048 // self._n_piece)
        self._lags = WindowLags(n_sample, self.n_fft, self._n_piece * self._n_part)
        self._transform = fft_plan(self.n_fft, kind="real")
        n_bin, drift = self.n_fft // 2, self.drift
        self._search: AccelerationSearch | HarmonicSearch
        if drift or self.jerk:
            self._search = AccelerationSearch(n_bin, self._powers, z_max=drift, w_max=self.jerk,
                                              r_min=self.r_min, r_max=self.r_max)
        else:
            self._search = HarmonicSearch(n_bin, self._powers, r_min=self.r_min, r_max=self.r_max)
        self._own_memory()

    @property
    def stages(self) -> list[int]:
        """Numbers of harmonics that are summed."""
        return [n for n in _HARMONICS if n <= self.n_harmonic]

    @property
    def duration_s(self) -> float:
        """Time that a turn takes at a frequency of 1 bin, s."""
        return self.n_fft * self.sample_s

    def copy(self) -> Self:
        """Return a search for another thread, with its own work space."""
        other = copy(self)
        other._transform, other._search = self._transform.copy(), self._search.copy()
        other._own_memory()
        return other

    def _own_memory(self) -> None:
        self._series = np.empty(self.n_fft, np.float32)
        self._spectrum = np.empty(self.n_fft // 2 + 1, np.complex64)

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes."""
        return (self._transform.memory_bytes + self._search.memory_bytes + self._series.nbytes
                + self._spectrum.nbytes)

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        self.process(np.zeros(self.n_sample, np.float32))

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
            Lower and upper edges of ranges of frequencies that are not used.

        Returns
        -------
        ndarray, shape (n,), fields of `CANDIDATE`

        Raises
        ------
        UsageError
            If a shape is wrong, or a weight is not between 0 and 1.
        """
        spectrum = self.whitened(series, weight, zapped)
        return self.candidates(spectrum)

    def whitened(self, series: F4, weight: F4 | None = None, zapped: Any = ()) -> Whitened:
        """Return the whitened spectrum of a series; arguments as for `process`.

        Its memory is reused by the next call.
        """
        level, total = self._level(series, weight)
        amplitude = self._transform.process(level, out=self._spectrum)[:-1]
        valid = ~zapped_bins(zapped, amplitude.size, self.duration_s)
        lags = self._lags.of(total)
        first = max(1, int(self.r_min / 2))
        return Whitened(whiten(amplitude, valid=valid, lags=lags, first=first, out=amplitude),
                        valid, lags)

    def _level(self, series: F4, weight: F4 | None) -> tuple[F4, F8]:
        """Return the series without slow variations, which gaps would spread over the spectrum.

        Also returns the sums of weights in parts.
        """
        x = np.ascontiguousarray(series, np.float32)
        w = None if weight is None else np.ascontiguousarray(weight, np.float32)
        if x.shape != (self.n_sample,) or (w is not None and w.shape != x.shape):
            raise UsageError(f"a series of shape {x.shape}; allowed: ({self.n_sample},), and the "
                             "same of weights")
        try:
            return detrend(x, weight=w, n_piece=self._n_piece, n_part=self._n_part,
                           out=self._series)
        except ValueError as error:
            raise UsageError(str(error)) from error

    def candidates(self, spectrum: Whitened) -> NDArray[Any]:
        """Return the candidates of a whitened spectrum, without neighbours of better ones."""
        events = self._search.process(spectrum.amplitude, valid=spectrum.valid, lags=spectrum.lags)
        found = np.zeros(len(events), CANDIDATE)
        for name in ("power", "n_harmonic", "n_valid", "r", "z", "w"):
            found[name] = events[name]
        found["sigma"] = significance.sigma_of_log_chance(significance.combined_log_chance(
            significance.log_chance(found["power"], found["n_valid"]), self.n_trial))
        found = found[found["sigma"] >= self.threshold]
        order = np.lexsort((found["r"], found["n_harmonic"], -found["sigma"]))
        found = distinct(found[order], self.most)
        for each in found[:REFINED]:
            each["r"], each["z"], each["w"] = refine(spectrum.amplitude, each["r"], each["z"],
                                                     each["w"], int(each["n_harmonic"]))
        found["fddot"] = found["w"] / self.duration_s**3
        found["fdot"] = (found["z"] - found["w"] / 2) / self.duration_s**2
        found["frequency"] = (found["r"] - found["z"] / 2 + found["w"] / 12) / self.duration_s
        found["frequency_error"] = _errors(found) / self.duration_s
        return found

    @property
    def snr_min(self) -> float:
        """S/N above which a pulse exceeds the threshold, whatever the number of its harmonics."""
        return max(float(snr_of(self._powers[n - 1], n)) for n in self.stages)

    def false_alarms(self, sigma: float) -> float:
        """Return the expected number of candidates of noise above a significance, in a series."""
        chance = np.exp(significance.log_chance_of_sigma(sigma))
        return float(-np.log1p(-chance))

    def _range(self, frequency: tuple[float, float] | None) -> tuple[float, float]:
        nyquist = self.n_fft / 2 - 1
        least = FEWEST_TURNS * self.n_fft / self.n_sample
        if frequency is None:
            return least, nyquist
        low, high = (float(each) * self.duration_s for each in frequency)
        if not 0 < low <= high:
            raise UsageError(f"frequency = {frequency}; allowed: two frequencies above 0, Hz, the "
                             "lower one first")
        return max(low, 1.0), min(high, nyquist)

    def _n_trial(self) -> float:
        """Return the number of independent sums: half bins of the highest, drifts, and jerks."""
        drifts = 1 + SHARE * self.drift if self.drift >= 2 else 1
        drifts *= 1 + JERK_SHARE * 2 * (self.jerk // _JERK_STEP)
        total = sum(max(min(n * self.r_max, self.n_fft / 2) - n * self.r_min, 0.0)
                    for n in self.stages)
        return 2 * total * drifts * self.n_sample / self.n_fft


def snr_of(power: Any, n_valid: Any) -> F8:
    """Return the S/N of a folded pulse whose harmonics have these summed powers."""
    return np.asarray(np.sqrt(2 * np.maximum(np.asarray(power, np.float64) - n_valid, 0)))


def transform_length(n_sample: int) -> int:
    """Return the length of the transform of a series: 8 to 16 times a power of two."""
    power = 1 << max(0, (n_sample - 1).bit_length() - 4)
    return power * -(-n_sample // power)


class WindowLags:
    """Correlation of the noise of neighbouring bins that gaps and padding cause.

    ``sum_n w_n exp(-2 pi i d n / N) / sum_n w_n``, for weights that are constant in parts of a
    series, from the first sample on.
    """

    def __init__(self, n_sample: int, n_fft: int, n_part: int, n_lag: int = 64) -> None:
        step = -(-n_sample // n_part)
        self._whole = np.clip(n_sample - step * np.arange(n_part), 0, step).astype(np.float64)
        middle = step * np.arange(n_part) + (self._whole - 1) / 2
        self._turns = np.exp(-2j * np.pi / n_fft * np.arange(n_lag)[:, np.newaxis] * middle)
        self._is_padded = n_sample < n_fft

    def of(self, total: F8) -> NDArray[np.complex128]:
        """Return the correlation for sums of weights in parts, lag 0 first."""
        if not total.any() or (not self._is_padded and np.array_equal(total, self._whole)):
            return np.ones(1, np.complex128)
        # A sum, not a matrix product: the bits of that depend on the threads of the library.
        return np.asarray((self._turns * total).sum(axis=1) / total.sum(), np.complex128)


def zapped_bins(zapped: Any, n_bin: int, duration_s: float) -> NDArray[np.bool_]:
    """Return which bins are in ranges of frequencies, including those that an edge touches."""
    ranges = np.asarray(zapped, np.float64).reshape(-1, 2)
    if not (ranges[:, 0] <= ranges[:, 1]).all():
        raise UsageError("zapped: an upper edge below its lower one, or not a number; allowed: "
                         "ranges of frequencies, Hz")
    found = np.zeros(n_bin, bool)
    for low, high in np.clip(ranges * duration_s, -1, n_bin):
        found[max(0, int(np.floor(low + 0.5))):int(np.floor(high + 0.5)) + 1] = low < n_bin
    return found


def distinct(found: NDArray[Any], most: int) -> NDArray[Any]:
    """Return the candidates, given best first, that are not neighbours of better ones.

    Templates of other drifts and jerks detect a signal at frequencies that differ by up to 1 bin,
    plus half the difference of the drifts, plus a twelfth of the difference of the jerks.
    """
    kept: list[int] = []
    left = np.arange(len(found))
    while left.size and len(kept) < most:
        best = left[0]
        kept.append(int(best))
        apart = np.abs(found["r"][left] - found["r"][best])
        drift = np.abs(found["z"][left] - found["z"][best])
        jerk = np.abs(found["w"][left] - found["w"][best])
        left = left[apart > 1 + drift / 2 + jerk / 12]
    return found[kept]


def _errors(found: NDArray[Any]) -> F8:
    """Return errors of frequencies, in bins, due to noise and to the steps of the search."""
    n = found["n_harmonic"].astype(np.float64)
    signal = np.maximum(found["power"] - found["n_valid"], 1) * (n + 1) * (2 * n + 1) / 6
    steps = np.where(np.arange(len(found)) < REFINED, 0, 0.5 / n / np.sqrt(12))
    return np.asarray(np.hypot(_ERROR / np.sqrt(signal), steps), np.float64)


def _check(n_sample: int, sample_s: float, n_harmonic: int, z_max: float, w_max: float, most: int
           ) -> None:
    if not LEAST_SAMPLES <= n_sample <= MOST_SAMPLES:
        raise UsageError(f"a series of {n_sample} samples; allowed: {LEAST_SAMPLES} to "
                         f"{MOST_SAMPLES}")
    if not 0 < sample_s < 1e6:
        raise UsageError(f"sample_s = {sample_s}; allowed: above 0, below 1e6 s")
    if n_harmonic not in _HARMONICS:
        raise UsageError(f"n_harmonic = {n_harmonic}; allowed: 1, 2, 4, 8, 16 or 32")
    if not 0 <= w_max <= _MOST_JERK * _FILLED**3:
        raise UsageError(f"w_max = {w_max}; allowed: 0 to {_MOST_JERK * _FILLED**3:.0f}")
    most_drift = _MOST_DRIFT * _FILLED**2 - _MOVED * w_max
    if not 0 <= z_max <= most_drift:
        raise UsageError(f"z_max = {z_max}; allowed: 0 to {most_drift:.0f}"
                         + (f" for w_max = {w_max:g}" if w_max else ""))
    if most < 1:
        raise UsageError(f"most = {most}; allowed: 1 or more")
