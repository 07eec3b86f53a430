"""Noise of maps: of pixels and of sums of pixels, and its correlation in space and frequency.

Gridding spreads each sample over several pixels, so neighbours share noise. A sum ``F = sum a_i
d_i`` over pixels has

    var F = sum_ij a_i a_j s_i s_j rho(r_i - r_j),    s_i = s_1 / sqrt(W_i),

where s_1 is the noise at weight 1 and rho is the correlation at a distance. Both are measured from
differences of channels that are a few channels apart. These differences contain only noise, since
continuum and wide lines cancel and outliers are excluded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["APART", "LEAST", "LEAST_BENDS", "MapNoise", "bends", "clipped_scatter", "measure",
           "measure_channels", "sum_noise"]

F8 = NDArray[np.float64]

#: Distance in channels at which differences are taken: beyond the reach of a Hann window.
APART = 4
#: Values of `bends` needed to measure the scatter of one spectrum.
LEAST_BENDS = 24
#: Differences needed for a measurement.
LEAST = 200
_CLIP, _FAR, _ROUNDS = 3.0, 4.5, 30
# Share of a Gaussian's variance that remains within 3 sigma.
_KEPT_VARIANCE = 1 - 2 * _CLIP * math.exp(-_CLIP**2 / 2) / math.sqrt(2 * math.pi) / math.erf(
    _CLIP / math.sqrt(2))
_QUARTER = 0.31863936396437514  # a quarter of a Gaussian lies within this many sigma
_SURE = 3.0  # sigma below which a correlation is taken as 0


class MapNoise(NamedTuple):
    """The noise measured in a part of a cube.

    Parameters
    ----------
    unit_noise : float
        Noise of a value of weight 1; NaN if there are too few differences to measure it.
    rho : ndarray, shape (2 m + 1, 2 m + 1)
        Correlation of pixels by their distance in y and x, 1 in the middle.
    channels : tuple of float
        Correlation of channels that are 1, 2, ... channels apart; 0 where it is not significant.
    n : int
        Number of differences used.
    """

    unit_noise: float
    rho: F8
    channels: tuple[float, ...]
    n: int


def clipped_scatter(values: NDArray[np.floating]) -> tuple[float, int]:
    """Return the standard deviation of values within 3 sigma of 0, and their number.

    The standard deviation is corrected for the clipping. The first estimate is the quartile of the
    absolute values, so a third of them may be outliers. Without values, return NaN and 0.
    """
    kept = np.abs(values[np.isfinite(values)]).astype(np.float64)
    if not kept.size:
        return math.nan, 0
    sigma = float(np.quantile(kept, 0.25)) / _QUARTER
    inside = kept[kept <= _CLIP * sigma]
    for _ in range(_ROUNDS):
        before, inside = len(inside), kept[kept <= _CLIP * sigma]
        sigma = math.sqrt(float(np.mean(inside**2)) / _KEPT_VARIANCE) if inside.size else 0.0
        if len(inside) == before:
            break
    return sigma, len(inside)


def bends(values: F8, noise: F8, correlation: Sequence[float] = ()) -> F8:
    """Return ``F_k - (F_(k-1) + F_(k+1)) / 2`` of a spectrum divided by its expected noise.

    A line that is wider than a few channels cancels almost completely.

    Parameters
    ----------
    values, noise : ndarray, shape (chan,)
        The spectrum, and the standard deviation of each channel.
    correlation : sequence of float
        Correlation of the noise of channels that are 1, 2, ... channels apart.
    """
    near, far = (*correlation, 0.0, 0.0)[:2]
    left, middle, right = (noise[at : len(noise) - 2 + at] for at in range(3))
    variance = (middle**2 + (left**2 + right**2) / 4 - near * middle * (left + right)
                + far * left * right / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: F8 = (values[1:-1] - (values[:-2] + values[2:]) / 2) / np.sqrt(variance)
    return found


def measure(values: NDArray[np.floating], weight: NDArray[np.floating], reach: int) -> MapNoise:
    """Measure the noise of a part of a cube.

    Parameters
    ----------
    values : ndarray, shape (chan, y, x)
        Values; NaN where nothing was observed.
    weight : ndarray, shape (chan or 1, y, x)
        Weights, to which the variance is inversely proportional; 0 where there are no data.
    reach : int
        Largest distance in y and in x, in pixels, at which the noise of pixels may be correlated.
    """
    apart = [_differences(values, weight, step) for step in range(1, APART + 1)]
    far = apart[-1]
    sigma, n = clipped_scatter(far)
    none = np.zeros((2 * reach + 1,) * 2)
    none[reach, reach] = 1
    if n < LEAST or not sigma > 0:
        return MapNoise(math.nan, none, (), n)
    rho = _pixels(far / sigma, none)
    return MapNoise(sigma, rho, _channels(apart[:-1], sigma, n / max(1.0, float(rho.sum()))), n)


def measure_channels(values: F8, weight: F8) -> tuple[float, tuple[float, ...]]:
    """Measure the noise of one spectrum, and the correlation of its channels.

    Parameters
    ----------
    values, weight : ndarray, shape (chan,)
        As for `measure`.

    Returns
    -------
    unit_noise, channels
        As in `MapNoise`; NaN and an empty tuple if there are fewer than 200 differences.
    """
    apart = [_differences(values, weight, step) for step in range(1, APART + 1)]
    sigma, n = clipped_scatter(apart[-1])
    if n < LEAST or not sigma > 0:
        return math.nan, ()
    return sigma, _channels(apart[:-1], sigma, n)


def _channels(apart: Sequence[F8], sigma: float, independent: float) -> tuple[float, ...]:
    """Return the correlation of channels 1, 2, ... apart; 0 where it is not certain."""
    channels = []
    for each in apart:
        found = 1 - (clipped_scatter(each)[0] / sigma) ** 2
        channels.append(found if abs(found) * math.sqrt(independent) > 2 * _SURE else 0.0)
    while channels and not channels[-1]:
        channels.pop()
    return tuple(channels)


def _differences(values: NDArray[np.floating], weight: NDArray[np.floating], step: int) -> F8:
    """Return differences of channels in units of the noise at weight 1."""
    if len(values) <= step:
        return np.zeros((0, *values.shape[1:]))
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(weight > 0, 1 / weight, np.nan)
        scale = 2 * inverse if len(weight) == 1 else inverse[step:] + inverse[:-step]
        found: F8 = ((values[step:].astype(np.float64) - values[:-step]) / np.sqrt(scale))
    return found


def _pixels(noise: F8, none: F8) -> F8:
    """Return the correlation of two pixels by their distance, from planes that contain only noise.

    A correlation smaller than three times its error is set to 0.
    """
    reach = len(none) // 2
    good = np.isfinite(noise) & (np.abs(noise) <= _FAR)
    seen = np.isfinite(noise).sum(axis=(1, 2))
    clean = good.sum(axis=(1, 2)) >= 0.99 * seen
    noise, good = noise[clean], good[clean]
    if not good.sum() >= LEAST:
        return none
    shape = tuple(int(each) + reach for each in noise.shape[1:])
    products, pairs = (_lags(each, shape, reach)
                       for each in (np.where(good, noise, 0.0), good.astype(np.float64)))
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = np.where(pairs > 0.5, products / pairs, 0.0)
        rho = rho / rho[reach, reach]
        width = 1 / np.sqrt(pairs / max(1.0, _area(rho)))
    found: F8 = np.where((pairs > 0.5) & (np.abs(rho) > _SURE * width), rho, 0.0)
    found[reach, reach] = 1
    return found


def _area(rho: F8) -> float:
    """Return the number of pixels that share noise, as a sum of squares; it sets rho's errors."""
    m = len(rho) // 2
    core = rho[max(0, m - 3) : m + 4, max(0, m - 3) : m + 4]
    return float((core**2).sum())


def _lags(planes: F8, shape: tuple[int, ...], reach: int) -> F8:
    """Sum the products of pixels of the same plane at distances up to `reach`."""
    total = np.zeros((shape[0], shape[1] // 2 + 1))
    for plane in planes:
        total += np.abs(np.fft.rfft2(plane, shape)) ** 2
    lags = np.fft.irfft2(total, shape)
    at = np.arange(-reach, reach + 1)
    found: F8 = lags[np.ix_(at % shape[0], at % shape[1])]
    # A distance beyond the planes' size wraps around to another one.
    far = [np.abs(at) >= size - reach for size in shape]
    found[far[0]] = 0
    found[:, far[1]] = 0
    return found


def sum_noise(amounts: F8, rho: F8) -> float:
    """Return ``sqrt(sum_ij u_i u_j rho_ij)`` for amounts ``u = a s`` on a grid.

    The correlation is ignored if it is not valid, that is, if it gives a variance that is almost
    zero or negative.
    """
    from scipy.signal import fftconvolve

    alone = float((amounts**2).sum())
    total = float((amounts * fftconvolve(amounts, rho, mode="same")).sum()) if alone else 0.0
    return math.sqrt(total if total > 0.01 * alone else alone)
