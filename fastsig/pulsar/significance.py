"""Off-pulse region, baseline, signal-to-noise ratio (S/N) and flux density of a profile.

Profiles are means of samples in each bin. Weights per bin, if given, are proportional to the number
of valid samples, so the variance of bin k is ``sigma^2 mean(w) / w_k``; sigma is that of a bin of
mean weight. Bins of weight 0 and bins that are not finite are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.harmonics import checked

__all__ = ["Baseline", "Boxcar", "Flux", "Pulse", "baseline", "best_boxcar", "boxcar_widths",
           "find_off_pulse", "pulse_signal", "radiometer_flux"]

F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: A boxcar that exceeds the baseline by this many standard deviations is on-pulse.
_THRESHOLD = 3.8
#: Fewest off-pulse bins that yield a baseline and its noise.
_LEAST_OFF = 4


@dataclass(frozen=True)
class Baseline:
    """Off-pulse level of a profile and its noise.

    Parameters
    ----------
    level, error : float
        Mean of the off-pulse bins and its standard error, in the unit of the profile.
    sigma : float
        Standard deviation of a bin of mean weight.
    off : ndarray, shape (bin,), bool
        Off-pulse bins.
    """

    level: float
    error: float
    sigma: float
    off: Mask

    @property
    def n_off(self) -> int:
        """Number of off-pulse bins."""
        return int(self.off.sum())


@dataclass(frozen=True)
class Pulse:
    """Signal of a profile above its baseline.

    Parameters
    ----------
    baseline : Baseline
        Off-pulse level.
    mean, mean_error : float
        Sum over on-pulse bins above the baseline, divided by the number of all bins.
    snr : float
        `mean` divided by `mean_error`. The error includes that of the baseline.
    peak : float
        Highest bin above the baseline; noise makes it too high at a low S/N.
    """

    baseline: Baseline
    mean: float
    mean_error: float
    peak: float

    @property
    def snr(self) -> float:
        """Signal-to-noise ratio of the pulse-averaged signal."""
        return self.mean / self.mean_error if self.mean_error > 0 else 0.0

    @property
    def peak_snr(self) -> float:
        """Height of the highest bin divided by the noise of a bin."""
        return self.peak / self.baseline.sigma


@dataclass(frozen=True)
class Boxcar:
    """Boxcar of highest S/N.

    Parameters
    ----------
    snr : float
        S/N of the sum over the boxcar; not corrected for the number of trials.
    width, first : int
        Number of bins, and first bin.
    n_trial : int
        Number of boxcars that were tried.
    """

    snr: float
    width: int
    first: int
    n_trial: int


@dataclass(frozen=True)
class Flux:
    """Flux densities by the radiometer equation, Jy, with errors.

    Parameters
    ----------
    mean_jy, mean_error_jy : float
        Averaged over the turn.
    peak_jy, peak_error_jy : float
        Of the highest bin.
    jy_per_unit : float
        Flux density for one unit of the profile.
    """

    mean_jy: float
    mean_error_jy: float
    peak_jy: float
    peak_error_jy: float
    jy_per_unit: float


def find_off_pulse(profile: Any, weights: Any = None) -> Mask:
    """Return the off-pulse bins of a profile.

    Level and noise are first those of the quarter of a turn with the lowest mean. The boxcar of
    highest S/N above them, up to half a turn wide, is on-pulse, then the next among the remaining
    bins, while the S/N exceeds 3.8; each is widened by half of its width, and by a bin, at
    both ends, since wings are fainter. This is repeated with the level and noise of the bins that
    remain.

    A region chosen on the profile that is then measured follows its noise: the scatter of level,
    signal and S/N is then up to 1.2 times the stated errors. With the region of a template, or of
    another profile, the errors are right.

    Parameters
    ----------
    profile : array, shape (bin,), any unit
        Profile with positive pulses.
    weights : array, shape (bin,), optional
        Weights.

    Returns
    -------
    ndarray, shape (bin,), bool
        The quarter of a turn that has the lowest mean if less than half as many bins remain.

    Raises
    ------
    UsageError
        If fewer than 8 bins have data, or the profile has no noise at all.
    """
    values, weight = _weighted(profile, weights)
    lowest = off = _lowest_quarter(values, weight)
    for _ in range(10):
        level, sigma = _level(values, weight, off)
        new = _unraised(values - level, weight, sigma, float(weight[off].sum()))
        if new.sum() < lowest.sum() / 2:
            return lowest
        if np.array_equal(new, off):
            break
        off = new
    return off


def baseline(profile: Any, off: Any = None, weights: Any = None) -> Baseline:
    """Return the off-pulse level, its error and the noise of a bin.

    ``level = sum w p / sum w``, ``sigma^2 = sum (w / mean(w)) (p - level)^2 / (n_off - 1)``, with
    sums over off-pulse bins.

    Parameters
    ----------
    profile : array, shape (bin,), any unit
        Profile.
    off : array, shape (bin,), bool, optional
        Off-pulse bins; by default those of `find_off_pulse`.
    weights : array, shape (bin,), optional
        Weights.

    Raises
    ------
    UsageError
        If fewer than 4 off-pulse bins have data, or they have no noise.
    """
    values, weight = _weighted(profile, weights)
    chosen = find_off_pulse(profile, weights) if off is None else _mask(off, values)
    chosen = chosen & (weight > 0)
    level, sigma = _level(values, weight, chosen)
    return Baseline(level, sigma / float(np.sqrt(weight[chosen].sum())), sigma, chosen)


def pulse_signal(profile: Any, off: Any = None, weights: Any = None) -> Pulse:
    """Return the mean signal of a pulse above the baseline, its error, its S/N and its peak.

    With on-pulse bins k, ``mean = sum_k (p_k - level) / n_bin``, and its variance is ``(sum_k
    sigma_k^2 + n_on^2 error^2) / n_bin^2``.

    Parameters
    ----------
    profile, off, weights
        As for `baseline`.

    Raises
    ------
    UsageError
        As `baseline`.
    """
    values, weight = _weighted(profile, weights)
    base = baseline(profile, off, weights)
    on = ~base.off & (weight > 0)
    above, n_bin = values - base.level, int((weight > 0).sum())
    variance = base.sigma**2 * float((1 / weight[on]).sum()) + (on.sum() * base.error) ** 2
    peak = float(np.max(above[weight > 0]))
    if not on.any():
        return Pulse(base, 0.0, base.error, peak)
    return Pulse(base, float(above[on].sum()) / n_bin, float(np.sqrt(variance)) / n_bin, peak)


def boxcar_widths(n_bin: int) -> list[int]:
    """Return 1, 2, 3, 4, 6, 8, 12, 16, ... up to half the number of bins."""
    widths = sorted({2**k for k in range(20)} | {3 * 2**k for k in range(19)})
    return [w for w in widths if w <= n_bin // 2]


def best_boxcar(profile: Any, sigma: float) -> Boxcar:
    """Return the boxcar of highest S/N on a profile of uniform weight.

    ``(sum_w p - w mean(p)) / (sigma sqrt(w (1 - w / n_bin)))``, so no baseline is needed.

    Parameters
    ----------
    profile : array, shape (bin,), any unit
        Profile.
    sigma : float
        Standard deviation of a bin, in the same unit.

    Raises
    ------
    UsageError
        If sigma is not above 0.
    """
    values = checked(profile, "profile", 1)
    if not (np.isfinite(sigma) and sigma > 0):
        raise UsageError(f"sigma = {sigma}; allowed: above 0")
    n_bin, widths = values.size, boxcar_widths(values.size)
    sums = np.concatenate([[0.0], np.cumsum(np.tile(values - values.mean(), 2))])
    best = Boxcar(-np.inf, 0, 0, n_bin * len(widths))
    for width in widths:
        snr = (sums[width : width + n_bin] - sums[:n_bin]) / (
            sigma * np.sqrt(width * (1 - width / n_bin)))
        first = int(np.argmax(snr))
        if snr[first] > best.snr:
            best = Boxcar(float(snr[first]), width, first, best.n_trial)
    return best


def radiometer_flux(pulse: Pulse, *, sefd_jy: float, time_bandwidth: float, n_pol: int = 2,
                    n_eff: float = 1.0) -> Flux:
    """Return flux densities from the noise that the radiometer equation predicts.

    The noise of a bin is ``SEFD / sqrt(n_pol n_eff time_bandwidth / n_bin)``; dividing it by the
    measured noise yields the flux density for one unit of the profile. Errors include that of the
    measured noise, ``1 / sqrt(2 (n_off - 1))`` of the value, but not that of the SEFD.

    Parameters
    ----------
    pulse : Pulse
        Result of `pulse_signal`, of total intensity.
    sefd_jy : float
        System equivalent flux density of one polarisation, Tsys / gain, Jy.
    time_bandwidth : float
        Sum of exposure times channel width over all cells of the profile, each multiplied by the
        share of it that is valid; s Hz.
    n_pol : int
        Number of polarisations that were added.
    n_eff : float
        Independent samples of a channel divided by its time times width.

    Raises
    ------
    UsageError
        If a value is not above 0.

    References
    ----------
    D. R. Lorimer and M. Kramer, Handbook of Pulsar Astronomy (2005), eq. A1.21.
    """
    for name, value in (("sefd_jy", sefd_jy), ("time_bandwidth", time_bandwidth),
                        ("n_pol", n_pol), ("n_eff", n_eff)):
        if not (np.isfinite(value) and value > 0):
            raise UsageError(f"{name} = {value}; allowed: above 0")
    base = pulse.baseline
    expected = sefd_jy / np.sqrt(n_pol * n_eff * time_bandwidth / base.off.size)
    scale = float(expected / base.sigma)
    relative = 1 / np.sqrt(2 * (base.n_off - 1))
    return Flux(scale * pulse.mean, _error(scale, pulse.mean, pulse.mean_error, relative),
                scale * pulse.peak,
                _error(scale, pulse.peak, np.hypot(base.sigma, base.error), relative), scale)


def _error(scale: float, value: float, error: float, relative: float) -> float:
    return float(scale * np.hypot(error, value * relative))


def _weighted(profile: Any, weights: Any) -> tuple[F8, F8]:
    """Return values, 0 where there are none, and weights of mean 1 over bins with data."""
    values = checked(profile, "profile", 1)
    weight = np.ones_like(values) if weights is None else np.asarray(weights, np.float64)
    if weight.shape != values.shape or not (np.isfinite(weight) & (weight >= 0)).all():
        raise UsageError(f"weights: shape {weight.shape}; allowed: numbers from 0, {values.shape}")
    used = np.isfinite(values) & (weight > 0)
    if used.sum() < 2 * _LEAST_OFF:
        raise UsageError(f"profile: {used.sum()} bins with data; at least {2 * _LEAST_OFF} are "
                         f"needed")
    return np.where(used, values, 0.0), np.where(used, weight, 0.0) / weight[used].mean()


def _mask(off: Any, values: F8) -> Mask:
    found = np.asarray(off)
    if found.dtype != np.bool_ or found.shape != values.shape:
        raise UsageError(f"off: {found.dtype} of shape {found.shape}; allowed: bool, "
                         f"{values.shape}")
    return found


def _level(values: F8, weight: F8, off: Mask) -> tuple[float, float]:
    if off.sum() < _LEAST_OFF:
        raise UsageError(f"off: {off.sum()} bins with data; at least {_LEAST_OFF} are needed")
    w = weight[off]
    level = float((w * values[off]).sum() / w.sum())
    sigma = float(np.sqrt((w * (values[off] - level) ** 2).sum() / (w.size - 1)))
    if sigma == 0:
        raise UsageError("profile: the off-pulse bins are all equal; noise is needed")
    return level, sigma


def _boxed(values: F8, width: int) -> F8:
    """Return circular sums of `width` neighbours, from each bin on."""
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[:width]]))])
    return np.asarray(sums[width : width + values.size] - sums[: values.size], np.float64)


def _lowest_quarter(values: F8, weight: F8) -> Mask:
    width = max(2 * _LEAST_OFF, values.size // 4)
    total = _boxed(weight, width)
    # A window with less than half of its weight does not represent its part of the turn.
    means = np.where(total > 0.5 * width * weight.mean(),
                     _boxed(weight * values, width) / np.maximum(total, 1e-300), np.inf)
    off = np.zeros(values.size, np.bool_)
    off[(np.argmin(means) + np.arange(width)) % values.size] = True
    return off & (weight > 0)


def _unraised(above: F8, weight: F8, sigma: float, of_level: float) -> Mask:
    """Return bins outside all boxcars that exceed the level, from the most significant one on.

    `of_level` is the sum of the weights that the level is from, and so determines its error.
    """
    left, n_bin = weight > 0, above.size
    while left.any():
        best, first, width = _most_raised(above, np.where(left, weight, 0.0), sigma,
                                           of_level)
        if best <= _THRESHOLD:
            break
        margin = 1 + width // 2
        left[(first - margin + np.arange(width + 2 * margin)) % n_bin] = False
    return left


def _most_raised(above: F8, weight: F8, sigma: float, of_level: float
                 ) -> tuple[float, int, int]:
    """Return S/N, first bin and width of the most significant boxcar."""
    best = (0.0, 0, 1)
    for width in boxcar_widths(above.size):
        total = _boxed(weight, width)
        noise = sigma * np.sqrt(np.maximum(total, 1e-9) * (1 + total / of_level))
        snr = _boxed(weight * above, width) / noise
        first = int(np.argmax(np.where(total > 1e-6, snr, 0.0)))
        if total[first] > 1e-6 and snr[first] > best[0]:
            best = (float(snr[first]), first, width)
    return best
