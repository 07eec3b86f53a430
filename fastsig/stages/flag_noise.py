"""Robust levels and noise of spectra, and residuals as standard deviations of a Gaussian.

What decides whether noise is flagged at the rate that its thresholds state. Arrays of one product
come in, (time, chan), float32, where NaN counts for nothing. Nothing here supposes how many
samples were integrated: a single power, a mean of many and a value of two bits are measured alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from fastsig_kernels import column_median, group_median, running_median
from numpy.typing import NDArray

__all__ = ["SIGMA", "Level", "Noise", "constant", "gaussian", "level_of", "noise_of",
           "share_of_noise", "straight", "student", "unrounded"]

F4 = NDArray[np.float32]
Flags = NDArray[np.bool_]

SIGMA = np.float32(1.482602218505602)  #: of Gaussian noise, in median absolute deviations

_CONSTANT_ROWS = 16  # that are equal by chance in no noise of more than one value in ten
_MEDIAN = np.float32(np.sqrt(np.pi / 2))  # noise of a median over that of a mean
_REACH = np.float32(3)  # standard deviations up to which values count for a mean
_WITHIN = np.float32(0.986578)  # standard deviation of what of a Gaussian lies within `_REACH`
_SAMPLE = 2**15  # values that give a noise to 1 %, and its skewness to 0.03
_FREEDOM = 8  # values in the octiles of residuals for a degree of freedom of their noise
_STRONG = 6  # standard deviations within which noise of a single sample is
_ROW_VALUES = 1024  # values that give the noise of rows to 4 %
_ROW_LEAST = 16  # channels whose noise a single one does not spoil
_ROW_ERRORS = 5  # by which a row's own noise must exceed that of those around it
_EXCEEDED = 5.0  # standard deviations that samples are compared with
_COARSE = 0.4  # step over noise from which there are few values
_OCTILE = 1.1503493803760079  # of a Gaussian, standard deviations
_SKEWED = 0.005  # asymmetry below which a Gaussian is as good to six standard deviations
_MOST_SKEWED = 0.6  # asymmetry of the square of one Gaussian, the most skewed power
_LEAST_SKEWED = 256  # values that give the skewness of the noise to 0.3
_BEND = np.float32(0.8)  # root below which its tangent stands for it
_GOLDEN = 0.6180339887498949


class Noise(NamedTuple):
    """Noise of channels.

    Parameters
    ----------
    sigma : ndarray, shape (chan,), float32
        Standard deviation, unit of the values.
    step : ndarray, shape (chan,), float32
        Least difference of two values in succession: the step of values of few bits.
    """

    sigma: F4
    step: F4


class Level(NamedTuple):
    """Levels of channels.

    Parameters
    ----------
    value, error : ndarray, shape (chan,), float32
        Unit of the values; the error is that by the noise.
    """

    value: F4
    error: F4


def constant(x: F4) -> Flags:
    """Channels with `_CONSTANT_ROWS` values or more, all of them equal, (chan,)."""
    if len(x) < _CONSTANT_ROWS:
        return np.zeros(x.shape[1], np.bool_)
    equal: Flags = np.fmax.reduce(x, axis=0) == np.fmin.reduce(x, axis=0)
    equal[equal] = np.count_nonzero(np.isfinite(x[:, equal]), axis=0) >= _CONSTANT_ROWS
    return equal


def noise_of(x: F4, lost: Flags) -> Noise:
    """Noise of channels by the differences of rows in succession: slow changes leave these.

    The rms of the differences within three standard deviations of their median. A median alone
    is a whole number of steps, or 0, where values have few bits.
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
    """Medians of channels, between the steps of values of few bits.

    A value stands for all within half a step: the median is where half of these lie below. Where
    steps are as large as the noise there are two or three values, and the level is their mean.
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
    """Values of few bits, spread evenly over their steps, so that their medians do not jump.

    As they are where steps are small against the noise.
    """
    ratio = (noise.step / noise.sigma)[noise.sigma > 0]
    if not len(ratio) or np.median(ratio) <= _COARSE:
        return x
    return x + _even(x.size).astype(np.float32).reshape(x.shape) * noise.step


def _even(n: int) -> NDArray[np.float64]:
    """Numbers from -1/2 to 1/2, of which any that follow each other are spread evenly."""
    return np.asarray((_GOLDEN * np.arange(1, n + 1)) % 1 - 0.5, np.float64)


def _mean_within(x: F4, sigma: F4) -> F4:
    """Means of what of columns lies within three standard deviations of 0."""
    inside = np.abs(x) <= _REACH * sigma
    total = np.sum(x, axis=0, where=inside, dtype=np.float64)
    mean: F4 = (total / np.maximum(np.count_nonzero(inside, axis=0), 1)).astype(np.float32)
    return mean


def share_of_noise(thresholds: NDArray[np.float64]) -> float:
    """Share of Gaussian noise that runs of 1, 2, 4, ... samples flag in time and in frequency.

    `thresholds` are those of the mean of a run, (n,), in standard deviations of a sample. A sample
    goes with any of the runs that it is in: the sums along a line are a Gaussian process whose
    correlation falls in a line to 0 over a run, and the share of the time in which one exceeds b
    sigma or did within that is 2 Q(b) + b phi(b), to first order (Slepian 1961). An upper limit:
    sums come in steps, and what the shorter runs take counts twice.
    """
    from math import erfc, exp, pi, sqrt

    share = 0.0
    for k, threshold in enumerate(thresholds.tolist()):
        b = threshold * sqrt(2**k)
        tail = erfc(b / sqrt(2))  # of both sides
        share += tail if k == 0 else 2 * (2 * tail + 2 * b * exp(-b * b / 2) / sqrt(2 * pi))
    return min(1.0, share)


def student(freedom: float) -> float:
    """Student's t over a Gaussian, where both are exceeded as a Gaussian exceeds 5 (Wallace 1959).

    What a noise that few values gave must be multiplied by: it may be too small.
    """
    z = _EXCEEDED * (8 * freedom + 3) / (8 * freedom + 1)
    return float(np.sqrt(freedom * np.expm1(z**2 / freedom))) / _EXCEEDED


def gaussian(residual: F4, lost: Flags, step: F4) -> F4:
    """Residuals as the standard deviations that a Gaussian of the same shares has.

    Powers of few samples are skewed: of two samples, one in 70 lies above five standard
    deviations. The cube root of a variable with a gamma distribution is all but Gaussian (Wilson
    and Hilferty 1931); which, is measured by the median and the octiles of all residuals.

    Parameters
    ----------
    residual : ndarray, shape (n, chan), float32
        In units of the noise of the channel.
    lost : ndarray, shape (n, chan), bool
        What counts for no noise.
    step : ndarray, shape (chan,), float32
        By which the residuals of a channel are rounded; where 0 or small, not at all.
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
    known = _normal(sample, octiles)
    known = known[np.abs(known) <= _REACH]
    center, scale = np.mean(known), max(1.0, float(np.std(known)) / float(_WITHIN))
    scale *= student(len(flat) / _FREEDOM)
    z = (_normal(residual, octiles) - np.float32(center)) / np.float32(scale)
    return z / _row_noise(z, lost)[:, np.newaxis]


def _octiles(x: NDArray[np.floating]) -> NDArray[np.floating]:
    """First octile, median and last octile, of what is no strong interference.

    There may be more of that than an eighth.
    """
    apart = np.abs(x - np.median(x))
    near = x[apart <= _STRONG * float(SIGMA) * np.median(apart)]
    return np.asarray(np.quantile(near, (0.125, 0.5, 0.875)))


def straight(residual: F4, n_mean: int) -> F4:
    """Residuals without the skewness of their distribution, no larger than they were.

    Of means of `n_mean` values: what looks more skewed than these can be is interference.
    """
    known = residual[np.isfinite(residual)]
    if len(known) < _LEAST_SKEWED:
        return residual
    octiles = _octiles(known)
    width = np.float32(min(1.0, (octiles[2] - octiles[0]) / (2 * _OCTILE)))
    most = _MOST_SKEWED / np.sqrt(n_mean)
    return _normal(residual, octiles, most) * width if width > 0 else residual


def _row_noise(z: F4, lost: Flags) -> F4:
    """Noise of rows, (n,), of residuals whose noise is 1 on the whole.

    Few channels know little of a row: its noise is then that of the rows around it, unless its own
    is far greater.
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


def _normal(x: F4, octiles: NDArray[np.floating], most: float = _MOST_SKEWED) -> F4:
    """The monotone function that puts the octiles and the median where a Gaussian has them."""
    low, middle, high = (float(octile) for octile in octiles)
    skew = float(np.clip((high + low - 2 * middle) / (high - low), -most, most))
    if abs(skew) < _SKEWED:
        return (x - np.float32(middle)) * np.float32(2 * _OCTILE / (high - low))
    bend = (3 - np.sqrt(9 - 12 * skew**2)) / (2 * skew)
    unit = (high - low) / (2 * bend * (3 + bend**2))
    ratio = (x - np.float32(middle)) / np.float32(unit) + np.float32(1)
    # Near 0 the root is steep: what is left of a level would be a large deviation.
    line = (ratio - _BEND**3) / (3 * _BEND**2) + _BEND
    root = np.where(ratio > _BEND**3, np.cbrt(ratio), line)
    normal: F4 = (root - np.float32(1)) * np.float32(_OCTILE / bend)
    return normal
