"""The level of spectra along the band, and the noise of sums over channels and spectra."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.search.drift.known import Known, KnownSamples

__all__ = ["Flat", "Levels", "flatten", "gamma_shape", "sum_noise"]

F4 = NDArray[np.float32]

_EVERY = 4  # the median of every fourth channel is the level: its error is averaged over spectra
_SPARSE = 32  # every 32nd channel measures how samples scatter
_BOXCARS = 8192  # boxcars that measure a noise, at most
_LEAST = 16  # boxcars that measure a noise, at least
_WHOLE = 0.5  # least share of valid samples in these


class Levels:
    """Levels of groups of `n` channels, (n_spectrum, n_group) float32, unit of the spectra.

    The levels are means, and never NaN: groups without valid samples have the level of their
    neighbours, or 0 where the whole spectrum is lost.
    """

    def __init__(self, x: F4, n: int) -> None:
        from fastsig_kernels import group_median

        every = _EVERY if n >= 64 * _EVERY else 1
        medians = group_median(x[:, ::every], n // every)
        self.n = n
        _fill_gaps(medians)
        #: Shape of the gamma distribution of a sample, about the number of averaged spectra.
        self.shape = _shape_of(x, medians, n)
        mean, median, _ = _gamma(self.shape)
        #: The levels.
        self.values = (medians * np.float32(mean / median)).astype(np.float32)


class Flat(NamedTuple):
    """Spectra relative to their level.

    Parameters
    ----------
    y : ndarray, shape (n_spectrum, n_chan), float32
        Spectra as ``x / level - 1``, 0 where they are not valid.
    total : ndarray, shape (n_chan,), float32
        Their sum.
    known : Known or None
        Which samples are valid; None if all are.
    levels : Levels
    """

    y: F4
    total: F4
    known: Known | None
    levels: Levels


def flatten(x: F4, n: int, out: F4 | None = None, lost: NDArray[np.int64] | None = None) -> Flat:
    """Return spectra relative to their level.

    Parameters
    ----------
    x : ndarray, shape (n_spectrum, n_chan), float32
        Spectra; samples that are not finite are not valid.
    n : int
        Number of channels in a group in which the level is measured, a multiple of 4.
    out : ndarray, shape of x, float32, optional
        Receives the spectra relative to their level.
    lost : ndarray of int, optional
        Channels that are not valid.
    """
    from fastsig_kernels import relative_to_level

    levels, count = Levels(x, n), np.empty(x.shape[1], np.float32)
    y, total, _ = relative_to_level(x, levels.values, n, out=out, count=count)
    if lost is not None and lost.size:
        y[:, lost] = total[lost] = count[lost] = 0
    if (count == len(x)).all():
        return Flat(y, total, None, levels)
    there = np.asarray((levels.values > 0).any(axis=1))
    return Flat(y, total, KnownSamples(x, there, count), levels)


def sum_noise(total: F4, share: F4 | None, widths: tuple[int, ...], shape: float
              ) -> NDArray[np.float64]:
    """Return the standard deviation of boxcars of each width in the sum of all spectra.

    The noise of the widths that are powers of two, and of the widest, is measured.

    Parameters
    ----------
    total : ndarray, shape (n_chan,), float32
        Sum of the spectra.
    share : ndarray, shape (n_chan,), float32, optional
        Fraction of the samples of each channel that are valid.
    widths : tuple of int
        Widths, ascending.
    shape : float
        Shape of the gamma distribution of the sum in a channel.

    Returns
    -------
    ndarray, shape (n_width,), float64
        NaN where fewer than 16 boxcars are valid and no narrower boxcars can be used instead.
    """
    found = np.full(len(widths), np.nan)
    if not np.isfinite(total).all():  # of values near the largest float
        return found
    sums = _cumulative(total)
    weights = None if share is None else _cumulative(share)
    for i, width in enumerate(widths):
        if width & (width - 1) and width < widths[-1]:
            continue  # between powers of two
        values = _boxcars(sums, weights, width)
        if len(values) >= _LEAST:
            deviation = _median(np.abs(values - _median(values)))
            typical = _gamma(shape * width)[2]
            found[i] = deviation * np.sqrt(shape * width) / typical if typical else np.nan
        elif np.isfinite(found[:i]).any():
            last = np.flatnonzero(np.isfinite(found[:i]))[-1]
            found[i] = found[last] * np.sqrt(width / widths[last])
    return _between(np.array(widths), found)


def _between(widths: NDArray[np.int64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return noise of all widths: between those that are known, by a power law."""
    known = np.isfinite(noise) & (noise > 0)
    if known.sum() < 2:
        return noise
    between = np.exp(np.interp(np.log(widths), np.log(widths[known]), np.log(noise[known])))
    return np.where(known | (widths < widths[known][0]), noise, between)


def gamma_shape(ratio: float) -> float:
    """Return the shape of a Gamma law by the ratio of its median absolute deviation to its median.

    It is from 0.5 to 1e9.
    """
    low, high = np.log(0.5), np.log(1e9)
    for _ in range(50):
        middle = (low + high) / 2
        _, median, deviation = _gamma(float(np.exp(middle)))
        low, high = (middle, high) if deviation / median > ratio else (low, middle)
    return float(np.exp(low))


@lru_cache(1024)
def _gamma(shape: float) -> tuple[float, float, float]:
    """Return mean, median and median absolute deviation of the Gamma law of scale 1."""
    from scipy.optimize import brentq
    from scipy.special import gammainc, gammaincinv

    if shape > 1e4:  # as of a Gaussian, with the skewness of the Gamma law
        return shape, shape - 1 / 3, 0.6744897501960817 * np.sqrt(shape)
    median = float(gammaincinv(shape, 0.5))

    def excess(width: float) -> float:
        return float(gammainc(shape, median + width) - gammainc(shape, max(median - width, 0.0))
                     - 0.5)

    return shape, median, float(brentq(excess, 0.0, 20 * np.sqrt(shape) + 20))


def _shape_of(x: F4, medians: F4, n: int) -> float:
    sparse = x[:, _SPARSE // 2::_SPARSE]
    group = np.minimum((np.arange(sparse.shape[1]) * _SPARSE + _SPARSE // 2) // n,
                       medians.shape[1] - 1)
    level = medians[:, group]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        deviation = np.abs(sparse / level - 1)
    known = deviation[np.isfinite(deviation)]
    return gamma_shape(_median(known)) if known.size else 1.0


def _fill_gaps(medians: F4) -> None:
    for row in medians:
        known = np.flatnonzero(np.isfinite(row))
        if len(known) < len(row):
            row[:] = np.interp(np.arange(len(row)), known, row[known]) if known.size else 0


def _cumulative(x: F4) -> NDArray[np.float64]:
    return np.concatenate(([0.0], np.cumsum(x, dtype=np.float64)))


def _boxcars(sums: NDArray[np.float64], weights: NDArray[np.float64] | None, width: int) -> F4:
    """Return sums of boxcars side by side, evenly chosen, scaled to a whole weight."""
    stop = len(sums) - width
    if weights is None:
        step = width * max(1, -(-stop // width) // _BOXCARS)
        low = sums[:max(0, stop):step]
        return np.asarray(sums[width::step][: len(low)] - low, np.float32)
    first = np.arange(0, stop, width)
    share = (weights[first + width] - weights[first]) / width
    first, share = first[share >= _WHOLE], share[share >= _WHOLE]
    step = max(1, len(first) // _BOXCARS)
    first = first[::step]
    return np.asarray((sums[first + width] - sums[first]) / np.sqrt(share[::step]), np.float32)


def _median(values: F4) -> float:
    from fastsig_kernels import group_median

    return float(group_median(values[np.newaxis], values.size)[0, 0])
