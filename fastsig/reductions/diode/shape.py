"""The spectrum of the noise diode's power: smoothed over frequency, where the band is not smooth.

What the diode adds is its own smooth spectrum times the gain of the receiver, the band, which
bends within few channels where the band is narrow. The band is seen with little noise in the power
without the diode, but with lines in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.smoothing import smooth_channels
from fastsig.reductions.diode.measurement import DiodePowers

__all__ = ["diode_shape", "smoothed_over"]

F8 = NDArray[np.float64]
Flags = NDArray[np.bool_]

_LEVEL, _STEEP = 1.1, 1.5  # ratios of the largest to the least power of the band in a window


def diode_shape(found: DiodePowers, gain: F8, pairs: Any, samples: float, width: int, wide: int
                ) -> tuple[F8, F8]:
    """Return the power of the diode at gain 1 and its standard error, (product, chan).

    Parameters
    ----------
    found : DiodePowers
    gain : ndarray, shape (pol,)
        Mean gain in the cycles that were averaged.
    pairs : sequence of (int, int)
        The two polarisations of each product.
    samples : float
        Independent samples of a value.
    width, wide : int, odd
        Channels over which the diode's spectrum is smoothed, below 3 for none, and over which the
        running median of the band is taken.
    """
    mean = np.array([np.sqrt(gain[a] * gain[b]) for a, b in pairs])[:, np.newaxis]
    value = (found.on - found.off) / mean
    variance = _variance(found, pairs, samples) / mean**2
    usable = np.isfinite(value) & np.isfinite(variance) & (variance > 0)
    if width < 3:
        return np.where(usable, value, np.nan), np.where(usable, np.sqrt(variance), np.inf)
    band = np.stack([np.sqrt(_band(found.off[a], width, wide) * _band(found.off[b], width, wide))
                     for a, b in pairs])
    smooth, spread = _smoothed(value, variance, usable & (band > 0), band, width)
    lost = ~(usable & (band > 0)) | _dead(value, variance, usable, smooth, pairs)
    return np.where(lost, np.nan, smooth), np.where(lost, np.inf, spread)


def smoothed_over(found: DiodePowers, gain: F8, pairs: Any, samples: float, error: F8) -> F8:
    """Return over how many channels `diode_shape` averaged the noise of each, (product, chan)."""
    mean = np.array([gain[a] * gain[b] for a, b in pairs])[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        return np.asarray(_variance(found, pairs, samples) / mean / error**2)


def _variance(found: DiodePowers, pairs: Any, samples: float) -> F8:
    """Return the variances of on minus off by the radiometer equation."""
    powers = [index for index, (a, b) in enumerate(pairs) if a == b]
    on, off = ({pol: found[powers[pol]] ** 2 for pol in range(len(powers))}
               for found in (found.on, found.off))
    variances = []
    for index, (a, b) in enumerate(pairs):
        high, low = (on[a], off[a]) if a == b else (
            np.sqrt(on[a] * on[b]) / 2, np.sqrt(off[a] * off[b]) / 2)
        with np.errstate(invalid="ignore", divide="ignore"):
            variances.append((high / found.n_on[index] + low / found.n_off[index]) / samples)
    return np.stack(variances)


def _smoothed(value: F8, variance: F8, good: Flags, band: F8, width: int) -> tuple[F8, F8]:
    """Divide by the band, smooth the ratio, and multiply it back.

    Smoothing lowers the crests of the band that the running median cuts off, or that are not much
    wider than `width`. Where that exceeds the noise, what it took is smoothed too and added; for a
    weak diode this would add more noise than it corrects.

    References
    ----------
    J. W. Tukey, Exploratory Data Analysis (1977), section 16: twicing.
    C. L. Mallows, Technometrics 15 (1973) 661: the choice by the unbiased estimate of the error.
    """
    safe = np.where(good, band, 1.0)
    weight = np.where(good, safe**2 / np.where(good, variance, 1.0), 0.0)
    ratio = np.where(good, value / safe, 0.0)
    once, error = smooth_channels(ratio, weight, width)
    rest, _ = smooth_channels(ratio - once, weight, width)
    # Sums of squares of k - k * k and 2 k - k * k over that of k, a kernel of `width` equal values.
    of_rest, of_both = (1 - 1 / width**2) / 6, 5 / 3 - 2 / (3 * width**2)
    taken = np.where(good, rest, 0.0) ** 2 / error
    n_good = np.maximum(good.sum(axis=1, keepdims=True), 1)
    is_bent = taken.sum(axis=1, keepdims=True) / n_good - of_rest > of_both - 1
    return (np.where(is_bent, once + rest, once) * safe,
            np.sqrt(np.where(is_bent, of_both, 1.0) * error) * safe)


def _dead(value: F8, variance: F8, usable: Flags, smooth: F8, pairs: Any) -> Flags:
    """Return channels of a power that do not see the diode that their neighbours see."""
    own = np.sqrt(np.where(usable, variance, 0.0))
    dead = (value < 0.5 * smooth) & (smooth - value > 5 * own)
    return np.asarray(dead & np.array([[a == b] for a, b in pairs]))


def _band(off: F8, width: int, wide: int) -> F8:
    """Return the power without the diode, without its lines: smooth where the band is level.

    The running median over `wide` channels follows slopes and ignores lines, but has corners
    where it cuts off a crest. They are smoothed over `width` channels; not at the ends of the band
    and at other cliffs, which smoothing would spread.
    """
    from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d

    median = _running_median(off, wide)
    most, least = maximum_filter1d(median, width), minimum_filter1d(median, width)
    contrast = np.where(least > 0, most / np.where(least > 0, least, 1.0), np.inf)
    level = np.clip((_STEEP - contrast) / (_STEEP - _LEVEL), 0, 1)
    level = uniform_filter1d(level, width, mode="nearest")
    even = uniform_filter1d(median, width, mode="nearest")
    is_lit = (median > 0) & (even > 0)
    change = np.where(is_lit, even, 1.0) / np.where(is_lit, median, 1.0)
    return np.asarray(median * change**level)


def _running_median(values: F8, width: int) -> F8:
    """Return the running median over `width` channels, with non-finite values interpolated."""
    from scipy.ndimage import median_filter

    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values))
    place = np.arange(len(values))
    filled = np.interp(place, place[known], values[known])
    return np.asarray(median_filter(filled, min(width, 2 * (len(values) // 2) + 1),
                                    mode="nearest"))
