"""The off-pulse region of a profile, and the level and noise of this region.

Weights per bin, if given, are proportional to the number of valid samples. Bins of weight 0, and
those that are not finite, are ignored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.harmonics import checked

__all__ = ["boxcar_widths", "find_off_pulse", "level_and_noise", "mask_of",
           "off_pulse_or_lowest", "weighted"]

F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: A boxcar that exceeds the baseline by this many standard deviations is on-pulse.
_THRESHOLD = 3.8
#: Fewest off-pulse bins that yield a baseline and its noise.
_LEAST_OFF = 4
#: Fewest bins of which some are found to be on-pulse: the first level is that of eight.
_LEAST_BINS = 10


def boxcar_widths(n_bin: int) -> list[int]:
    """Return 1, 2, 3, 4, 6, 8, 12, 16, ... up to half the number of bins."""
    widths = sorted({2**k for k in range(20)} | {3 * 2**k for k in range(19)})
    return [w for w in widths if w <= n_bin // 2]


def find_off_pulse(profile: Any, weights: Any = None) -> Mask:
    """Return the off-pulse bins of a profile.

    Level and noise are first those of the quarter of a turn with the lowest mean. The boxcar of
    highest S/N relative to these, up to half a turn wide, is taken as on-pulse, and then the next
    one among the remaining bins, as long as the S/N exceeds 3.8. Each boxcar is widened at both
    ends by half of its width and by a bin, since wings are fainter. The procedure is repeated with
    the level and noise of the bins that remain.

    If the region is chosen from the profile that is then measured, it depends on the noise of this
    profile: the scatter of level, signal and S/N is up to 1.2 times the stated errors. With the
    region of a template, or of another profile, the errors are correct.

    Parameters
    ----------
    profile : array, shape (bin,), any unit
        Profile with positive pulses.
    weights : array, shape (bin,), optional
        Weights.

    Returns
    -------
    ndarray, shape (bin,), bool
        Off-pulse bins; if they would be fewer than an eighth of a turn, the quarter of a turn that
        has the lowest mean.

    Raises
    ------
    UsageError
        If fewer than 10 bins have data, or the profile has no noise at all.
    """
    values, weight = weighted(profile, weights)
    if (n_used := int((weight > 0).sum())) < _LEAST_BINS:
        raise UsageError(f"profile: {n_used} bins with data; at least {_LEAST_BINS} are needed to "
                         "find a pulse")
    lowest = off = _lowest_quarter(values, weight)
    for _ in range(10):
        level, sigma = level_and_noise(values, weight, off)
        new = _unraised(values - level, weight, sigma, float(weight[off].sum()))
        if new.sum() < lowest.sum() / 2:
            return lowest
        if np.array_equal(new, off):
            break
        off = new
    return off


def off_pulse_or_lowest(profile: Any) -> Mask:
    """Return the bins of `find_off_pulse` or, for a picture, those with the lowest mean.

    The latter, a quarter of a turn, are used if fewer than 10 bins have data, or if there is no
    noise at all.
    """
    values = np.asarray(profile, np.float64)
    known = np.isfinite(values)
    if known.sum() >= _LEAST_BINS:
        try:
            return find_off_pulse(values)
        except UsageError:  # no noise
            pass
    filled = np.where(known, values, values[known].mean() if known.any() else 0.0)
    return _lowest(filled, np.ones_like(filled), max(1, values.size // 4))


def weighted(profile: Any, weights: Any) -> tuple[F8, F8]:
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


def mask_of(off: Any, values: F8) -> Mask:
    """Check a given off-pulse region, and return it."""
    found = np.asarray(off)
    if found.dtype != np.bool_ or found.shape != values.shape:
        raise UsageError(f"off: {found.dtype} of shape {found.shape}; allowed: bool, "
                         f"{values.shape}")
    return found


def level_and_noise(values: F8, weight: F8, off: Mask) -> tuple[float, float]:
    """Return the weighted mean of off-pulse bins, and the noise of a bin of mean weight."""
    if off.sum() < _LEAST_OFF:
        raise UsageError(f"off: {off.sum()} bins with data; at least {_LEAST_OFF} are needed")
    w = weight[off]
    level = float((w * values[off]).sum() / w.sum())
    sigma = float(np.sqrt((w * (values[off] - level) ** 2).sum() / (w.size - 1)))
    if sigma == 0:
        raise UsageError("profile: the off-pulse bins are all equal; noise is needed")
    return level, sigma


def _boxed(values: F8, width: int) -> F8:
    """Return circular sums of `width` neighbours, beginning at each bin."""
    sums = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[:width]]))])
    return np.asarray(sums[width : width + values.size] - sums[: values.size], np.float64)


def _lowest_quarter(values: F8, weight: F8) -> Mask:
    return _lowest(values, weight, max(2 * _LEAST_OFF, values.size // 4))


def _lowest(values: F8, weight: F8, width: int) -> Mask:
    """Return the window of some bins with the lowest mean, without bins of weight 0."""
    total = _boxed(weight, width)
    # A window with less than half of its weight does not represent its part of the turn.
    means = np.where(total > 0.5 * width * weight.mean(),
                     _boxed(weight * values, width) / np.maximum(total, 1e-300), np.inf)
    off = np.zeros(values.size, np.bool_)
    off[(np.argmin(means) + np.arange(width)) % values.size] = True
    return off & (weight > 0)


def _unraised(above: F8, weight: F8, sigma: float, of_level: float) -> Mask:
    """Return bins outside all boxcars that exceed the level, the most significant one first.

    `of_level` is the sum of the weights from which the level was computed; it determines the error
    of the level.
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
