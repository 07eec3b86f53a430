"""Baseline, signal-to-noise ratio (S/N) and flux density of a profile.

Profiles are means of samples in each bin. Weights per bin, if given, are proportional to the number
of valid samples, so the variance of bin k is ``sigma^2 mean(w) / w_k``; sigma is that of a bin of
mean weight. Bins of weight 0 and bins that are not finite are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.units import number
from fastsig.errors import UsageError
from fastsig.pulsar.harmonics import checked
from fastsig.pulsar.off_pulse import (
    boxcar_widths,
    find_off_pulse,
    level_and_noise,
    mask_of,
    weighted,
)
from fastsig.work.shown import Shown

__all__ = ["Baseline", "Boxcar", "Flux", "Pulse", "baseline", "best_boxcar", "pulse_signal",
           "radiometer_flux"]

F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, repr=False)
class Baseline(Shown):
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


@dataclass(frozen=True, repr=False)
class Pulse(Shown):
    """Signal of a profile above its baseline.

    Parameters
    ----------
    baseline : Baseline
        Off-pulse level.
    mean, mean_error : float
        Sum of the on-pulse bins above the baseline, divided by the number of all bins.
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

    def _fields(self) -> Mapping[str, Any]:
        """What the repr shows."""
        return {"S/N": self.snr, **super()._fields()}


@dataclass(frozen=True, repr=False)
class Boxcar(Shown):
    """The boxcar of highest S/N.

    Parameters
    ----------
    snr : float
        S/N of the sum over the boxcar, which is not corrected for the number of trials.
    width, first : int
        Number of bins of the boxcar, and its first bin.
    n_trial : int
        Number of boxcars that were tried.
    """

    snr: float
    width: int
    first: int
    n_trial: int


@dataclass(frozen=True, repr=False)
class Flux(Shown):
    """Flux densities from the radiometer equation, Jy, with errors.

    Parameters
    ----------
    mean_jy, mean_error_jy : float
        Flux density averaged over the turn, and its error.
    peak_jy, peak_error_jy : float
        Flux density of the highest bin, and its error.
    jy_per_unit : float
        Flux density for one unit of the profile.
    """

    mean_jy: float
    mean_error_jy: float
    peak_jy: float
    peak_error_jy: float
    jy_per_unit: float


def baseline(profile: Any, off: Any = None, weights: Any = None) -> Baseline:
    """Return the off-pulse level, its error and the noise of a bin.

    ``level = sum w p / sum w``, ``sigma^2 = sum (w / mean(w)) (p - level)^2 / (n_off - 1)``, with
    sums over off-pulse bins.

    Parameters
    ----------
    profile : array, shape (bin,), any unit
        Profile.
    off : array, shape (bin,), bool, optional
        Off-pulse bins; by default, those of `find_off_pulse`.
    weights : array, shape (bin,), optional
        Weights.

    Raises
    ------
    UsageError
        If fewer than 4 off-pulse bins have data, or they have no noise.
    """
    values, weight = weighted(profile, weights)
    chosen = find_off_pulse(profile, weights) if off is None else mask_of(off, values)
    chosen = chosen & (weight > 0)
    level, sigma = level_and_noise(values, weight, chosen)
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
        As for `baseline`.
    """
    values, weight = weighted(profile, weights)
    base = baseline(profile, off, weights)
    on = ~base.off & (weight > 0)
    above, n_bin = values - base.level, int((weight > 0).sum())
    variance = base.sigma**2 * float((1 / weight[on]).sum()) + (on.sum() * base.error) ** 2
    peak = float(np.max(above[weight > 0]))
    if not on.any():
        return Pulse(base, 0.0, base.error, peak)
    return Pulse(base, float(above[on].sum()) / n_bin, float(np.sqrt(variance)) / n_bin, peak)


def best_boxcar(profile: Any, sigma: float) -> Boxcar:
    """Return the boxcar of highest S/N on a profile of uniform weight.

    The S/N is ``(sum_w p - w mean(p)) / (sigma sqrt(w (1 - w / n_bin)))``; no baseline is needed.

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


def radiometer_flux(pulse: Pulse, *, sefd_jy: Any, time_bandwidth: Any, n_pol: int = 2,
                    n_eff: float = 1.0) -> Flux:
    """Return flux densities from the noise that the radiometer equation predicts.

    The noise of a bin is ``SEFD / sqrt(n_pol n_eff time_bandwidth / n_bin)``; dividing it by the
    measured noise yields the flux density for one unit of the profile. The errors include that of
    the measured noise, which is a fraction ``1 / sqrt(2 (n_off - 1))`` of the value, but not that
    of the SEFD.

    Parameters
    ----------
    pulse : Pulse
        Result of `pulse_signal`, of total intensity.
    sefd_jy : float or Quantity
        System equivalent flux density of one polarisation, Tsys / gain; a number is in Jy.
    time_bandwidth : float or Quantity
        Sum of exposure times channel width over all cells of the profile, each multiplied by its
        valid fraction; s Hz.
    n_pol : int
        Number of polarisations that were added.
    n_eff : float
        Number of independent samples of a channel divided by the product of its time and its width.

    Raises
    ------
    UsageError
        If a value is not above 0.

    References
    ----------
    D. R. Lorimer and M. Kramer, Handbook of Pulsar Astronomy (2005), eq. A1.21.
    """
    sefd_jy = _plain(sefd_jy, "Jy", "sefd_jy")
    time_bandwidth = _plain(time_bandwidth, "s Hz", "time_bandwidth")
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


def _plain(value: Any, unit: str, name: str) -> float:
    """Return a number, or a Quantity in a unit, as a number."""
    return number(value, unit, name) if hasattr(value, "unit") else value


def _error(scale: float, value: float, error: float, relative: float) -> float:
    return float(scale * np.hypot(error, value * relative))
