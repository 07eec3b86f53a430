"""Robust levels and noise of spectra, and residuals as standard deviations of a Gaussian.

These decide whether noise is flagged at the rate that the thresholds state. The input is an array
of one product, (time, chan), float32, in which NaN is ignored. No function assumes how many samples
were integrated: a single power, a mean of many and a value of two bits are treated alike.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from fastsig_kernels import (
    column_median,
    deviations,
    group_median,
    quantiles,
    running_median,
)
from numpy.typing import NDArray

__all__ = ["SIGMA", "Distribution", "Level", "Noise", "constant", "distribution", "gaussian",
           "level_of", "noise_of", "share_of_noise", "straight", "student", "unrounded"]

F4 = NDArray[np.float32]
Flags = NDArray[np.bool_]

#: Standard deviation of Gaussian noise, in median absolute deviations.
SIGMA = np.float32(1.482602218505602)

_CONSTANT_ROWS = 16  # equal values of a dead channel; by chance only if nearly all are equal
_MEDIAN = np.float32(np.sqrt(np.pi / 2))  # noise of a median divided by that of a mean
_REACH = np.float32(3)  # standard deviations up to which values are included in a mean
_WITHIN = np.float32(0.986578)  # standard deviation of a Gaussian truncated at `_REACH`
_SAMPLE = 2**15  # values that determine a noise to 1 %, and its skewness to 0.03
_FREEDOM = 8  # values per degree of freedom of a noise that is measured from octiles of residuals
_STRONG = 6  # standard deviations within which the noise of single samples lies
_ROW_VALUES = 1024  # values that determine the noise of rows to 4 %
_ROW_LEAST = 16  # channels from which a single one does not spoil the noise of a row
_ROW_ERRORS = 5  # errors by which the noise of a row must exceed that of the rows around it
_EXCEEDED = 5.0  # standard deviations with which samples are compared
_COARSE = 0.4  # step divided by noise, from which on there are few distinct values
_OCTILE = 1.1503493803760079  # octile of a Gaussian, standard deviations
_MIDDLE, _OCTILES = np.array([0.5]), np.array([0.125, 0.5, 0.875])
_SKEWED = 0.005  # asymmetry below which a Gaussian is adequate up to six standard deviations
_MOST_SKEWED = 0.6  # asymmetry of the square of one Gaussian, the most skewed power
_LEAST_SKEWED = 256  # values that determine the skewness of the noise to 0.3
_GOLDEN = 0.6180339887498949


class Noise(NamedTuple):
    """The noise of channels.

    Parameters
    ----------
    sigma : ndarray, shape (chan,), float32
        Standard deviation, in the unit of the values.
    step : ndarray, shape (chan,), float32
        Smallest difference between successive values: the quantisation step if there are few bits.
    """

    sigma: F4
    step: F4


class Level(NamedTuple):
    """The levels of channels.

    Parameters
    ----------
    value, error : ndarray, shape (chan,), float32
        Levels in the unit of the values, and their errors due to the noise.
    """

    value: F4
    error: F4


class Distribution(NamedTuple):
    """A function that makes residuals Gaussian, as in `fastsig_kernels.deviations`.

    Parameters
    ----------
    middle, unit, scale, offset : float
    """

    middle: float
    unit: float
    scale: float
    offset: float = 0.0


def constant(x: F4) -> Flags:
    """Return a mask of channels with `_CONSTANT_ROWS` or more values, all equal, (chan,)."""
    if len(x) < _CONSTANT_ROWS:
        return np.zeros(x.shape[1], np.bool_)
    equal: Flags = np.fmax.reduce(x, axis=0) == np.fmin.reduce(x, axis=0)
    equal[equal] = np.count_nonzero(np.isfinite(x[:, equal]), axis=0) >= _CONSTANT_ROWS
    return equal


def noise_of(x: F4, lost: Flags) -> Noise:
    """Measure the noise of channels from differences of successive rows, without slow changes.

    The noise follows from the rms of the differences up to three standard deviations, which are
    estimated from their median. The median alone would be a multiple of the step, or 0, for values
    of few bits.
    """
    steps = np.abs(x[1:] - x[:-1])
    steps[lost[1:] | lost[:-1]] = np.nan
    square = steps * steps
    first = column_median(steps) * SIGMA
    reach = np.where(first > 0, _REACH * first, np.float32(np.inf))
    inside = steps <= reach
    count = np.count_nonzero(inside, axis=0)
    rms = np.sqrt(np.sum(square, axis=0, where=inside) / count, dtype=np.float32)
    sigma = np.where(first > 0, rms / _WITHIN, rms) / np.float32(np.sqrt(2))
    least = np.min(np.where(steps > 0, steps, np.float32(np.inf)), axis=0, initial=np.inf)
    return Noise(sigma.astype(np.float32), np.where(np.isfinite(least), least, np.float32(0)))


def level_of(x: F4, lost: Flags, noise: Noise) -> Level:
    """Return the medians of channels, interpolated between the steps of values of few bits.

    A value represents all values within half a step, and the median is the point below which half
    of these lie. If steps are as large as the noise, there are two or three distinct values, and
    the level is their mean.
    """
    median = column_median(x, flags=lost)
    apart = np.where(lost, np.float32(np.nan), x - median)
    half = noise.step / 2
    below = np.count_nonzero(apart < -half, axis=0)
    equal = np.count_nonzero(np.abs(apart) < half, axis=0)
    valid = len(x) - np.count_nonzero(lost, axis=0)
    place = np.clip((valid / 2 - below) / np.maximum(equal, 1) - 0.5, -0.5, 0.5)
    value = median + np.where(equal > 0, noise.step * place.astype(np.float32), np.float32(0))
    coarse = np.flatnonzero(noise.step > _COARSE * noise.sigma)
    if len(coarse):
        value[coarse] = median[coarse] + _mean_within(apart[:, coarse], noise.sigma[coarse])
    error = _MEDIAN * noise.sigma / np.sqrt(valid, dtype=np.float32)
    return Level(value.astype(np.float32), error.astype(np.float32))


def unrounded(x: F4, noise: Noise) -> F4:
    """Spread values of few bits evenly over their steps, so that their medians do not jump.

    Values with steps that are small compared with the noise are returned unchanged.
    """
    ratio = (noise.step / noise.sigma)[noise.sigma > 0]
    if not len(ratio) or np.median(ratio) <= _COARSE:
        return x
    return x + _even(x.size).astype(np.float32).reshape(x.shape) * noise.step


def _even(n: int) -> NDArray[np.float64]:
    """Return numbers from -1/2 to 1/2; any run of successive numbers is spread evenly."""
    return np.asarray((_GOLDEN * np.arange(1, n + 1)) % 1 - 0.5, np.float64)


def _even_of_sample(n: int) -> NDArray[np.float64]:
    """Return the same numbers, which are kept for further samples."""
    return _many_even(1 << max(0, n - 1).bit_length())[:n]


@lru_cache(maxsize=8)
def _many_even(n: int) -> NDArray[np.float64]:
    found = _even(n)
    found.flags.writeable = False
    return found


def _mean_within(x: F4, sigma: F4) -> F4:
    """Return the means of the values of columns within three standard deviations of 0."""
    inside = np.abs(x) <= _REACH * sigma
    total = np.sum(x, axis=0, where=inside, dtype=np.float64)
    mean: F4 = (total / np.maximum(np.count_nonzero(inside, axis=0), 1)).astype(np.float32)
    return mean


def share_of_noise(thresholds: NDArray[np.float64]) -> float:
    """Return the share of Gaussian noise flagged by runs of 1, 2, 4, ... samples in both axes.

    `thresholds`, (n,), are those for the mean of a run, in standard deviations of a sample. A
    sample is flagged with any run to which it belongs. The sums along one axis are a Gaussian
    process with a correlation that decreases linearly to 0 over a run; the share of the time in
    which such a process exceeds b sigma, or did so within the last run, is 2 Q(b) + b phi(b), to
    first order (Slepian 1961). The result is an upper limit: sums are discrete, and samples flagged
    by shorter runs are counted twice.
    """
    from math import erfc, exp, pi, sqrt

    share = 0.0
    for k, threshold in enumerate(thresholds.tolist()):
        b = threshold * sqrt(2**k)
        tail = erfc(b / sqrt(2))  # both tails
        share += tail if k == 0 else 2 * (2 * tail + 2 * b * exp(-b * b / 2) / sqrt(2 * pi))
    return min(1.0, share)


def student(freedom: float) -> float:
    """Return the ratio of Student's t to a Gaussian at the probability of 5 sigma (Wallace 1959).

    A noise level that was measured from few values may be too low, and is multiplied by this
    factor.
    """
    z = _EXCEEDED * (8 * freedom + 3) / (8 * freedom + 1)
    return float(np.sqrt(freedom * np.expm1(z**2 / freedom))) / _EXCEEDED


def gaussian(residual: F4, lost: Flags, step: F4) -> F4:
    """Convert residuals to the standard deviations of a Gaussian with the same probabilities.

    Powers of few samples are skewed: for two samples, one value in 70 lies above five standard
    deviations. The cube root of a variable with a gamma distribution is nearly Gaussian (Wilson and
    Hilferty 1931); the distribution is described by the median and the octiles of all residuals.

    Parameters
    ----------
    residual : ndarray, shape (n, chan), float32
        Residuals in units of the noise of the channel.
    lost : ndarray, shape (n, chan), bool
        Samples that are excluded from the noise.
    step : ndarray, shape (chan,), float32
        Step to which the residuals of a channel are rounded; 0 or small for no rounding.
    """
    stride = 1 + residual.size // _SAMPLE
    flat = np.flatnonzero(np.isfinite(residual).ravel() & ~lost.ravel())[::stride]
    if not len(flat):
        return np.full_like(residual, np.nan)
    sample = residual.ravel()[flat]
    rounding = step[flat % residual.shape[1]]
    octiles = _octiles(sample + _even(len(flat)) * rounding)
    if not octiles[2] > octiles[0]:
        return np.full_like(residual, np.nan)
    z = _normal(residual, _fitted(sample, octiles))
    return z / _row_noise(z, lost)[:, np.newaxis]


def distribution(sample: F4, rounding: F4) -> Distribution | None:
    """Return the function that makes residuals of noise Gaussian; None if they do not vary.

    Parameters
    ----------
    sample : ndarray, shape (n,), float32
        Residuals in units of the noise of their channel, all finite.
    rounding : ndarray, shape (n,), float32
        Step to which each was rounded; 0 for none.
    """
    if not len(sample):
        return None
    octiles = _octiles(sample + _even_of_sample(len(sample)) * rounding)
    return _fitted(sample, octiles) if octiles[2] > octiles[0] else None


def _fitted(sample: F4, octiles: NDArray[np.floating]) -> Distribution:
    """Return the function of octiles, with the mean and noise of a sample at 0 and 1."""
    shape = _shape(octiles)
    known = _normal(sample, shape)
    known = known[np.abs(known) <= _REACH]
    center, scale = float(np.mean(known)), max(1.0, float(np.std(known)) / float(_WITHIN))
    scale *= student(len(sample) / _FREEDOM)
    return Distribution(shape.middle, shape.unit, shape.scale / scale, center / scale)


def _octiles(x: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the first octile, the median and the last octile, without strong interference.

    More than an eighth of the values may be interference.
    """
    values = np.asarray(x, np.float32)
    apart = np.abs(values - np.float32(quantiles(values, _MIDDLE)[0]))
    near = values[apart <= _STRONG * float(SIGMA) * quantiles(apart, _MIDDLE)[0]]
    return quantiles(near, _OCTILES)


def straight(residual: F4, n_mean: int) -> F4:
    """Remove the skewness of the distribution of residuals, without making them larger.

    The residuals are those of means of `n_mean` values; skewness beyond the largest that is
    possible for such means is attributed to interference.
    """
    known = residual[np.isfinite(residual)]
    if len(known) < _LEAST_SKEWED:
        return residual
    octiles = _octiles(known)
    width = np.float32(min(1.0, (octiles[2] - octiles[0]) / (2 * _OCTILE)))
    most = _MOST_SKEWED / np.sqrt(n_mean)
    return _normal(residual, _shape(octiles, most)) * width if width > 0 else residual


def _row_noise(z: F4, lost: Flags) -> F4:
    """Return the noise of rows, (n,), of residuals with an overall noise of 1.

    With few channels, the noise of a row is poorly determined: it is then that of the rows around
    it, unless its own noise is far greater.
    """
    n_chan = z.shape[1]
    first = group_median(np.abs(z), n_chan, flags=lost)[:, 0] * SIGMA
    inside = (np.abs(z) <= _REACH * np.fmax(first, np.float32(1))[:, np.newaxis]) & ~lost
    count = np.count_nonzero(inside, axis=1)
    square = np.sum(z * z, axis=1, where=inside)
    own = np.sqrt(square / np.maximum(count, 1)).astype(np.float32)
    own /= np.median(own[count > 0]) if count.any() else np.float32(1)
    own[count == 0] = np.nan
    width = min(len(z), _ROW_VALUES // n_chan) // 2 * 2 + 1
    around = running_median(own[np.newaxis], width, even=False)[0][0]
    if n_chan < _ROW_LEAST:
        return np.asarray(around, np.float32)
    limit = around * np.float32(1 + _ROW_ERRORS / np.sqrt(2 * n_chan))
    noise: F4 = np.where(own > limit, own, around)
    return noise


def _shape(octiles: NDArray[np.floating], most: float = _MOST_SKEWED) -> Distribution:
    """Return the monotone function that maps the octiles and the median to those of a Gaussian."""
    low, middle, high = (float(octile) for octile in octiles)
    skew = float(np.clip((high + low - 2 * middle) / (high - low), -most, most))
    if abs(skew) < _SKEWED:
        return Distribution(middle, np.inf, 2 * _OCTILE / (high - low))
    bend = (3 - np.sqrt(9 - 12 * skew**2)) / (2 * skew)
    # The kernel replaces the root by its tangent near 0, where it is steep: a small residual of a
    # level would become a large deviation.
    return Distribution(middle, (high - low) / (2 * bend * (3 + bend**2)), _OCTILE / bend)


def _normal(x: F4, shape: Distribution) -> F4:
    """Convert residuals, (n, chan) or (n,), with the function of a distribution."""
    n = x.shape[-1]
    made: F4 = deviations(np.atleast_2d(x), np.zeros(n, np.float32), np.ones(n, np.float32),
                          **shape._asdict())
    return made.reshape(x.shape)
