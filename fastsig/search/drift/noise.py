"""The level of spectra along the band, and the noise of sums over channels and spectra."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Levels", "flatten", "gamma_shape", "sum_noise"]

F4 = NDArray[np.float32]

_EVERY = 4  # the median of every fourth channel is the level: its error is averaged over spectra
_SPARSE = 16  # every sixteenth channel measures how samples scatter
_BOXCARS = 8192  # boxcars that measure a noise, at most
_LEAST = 16  # boxcars that measure a noise, at least
_WHOLE = 0.5  # least share of valid samples in these


class Levels:
    """Levels of groups of `n` channels, (n_spectrum, n_group) float32, unit of the spectra.

    They are means, NaN in no group: groups without valid samples have the level of their
    neighbours, and 0 where the whole spectrum is lost.
    """

    def __init__(self, x: F4, n: int) -> None:
        from fastsig_kernels import group_median

        every = _EVERY if n >= 64 * _EVERY else 1
        medians = group_median(x[:, ::every], n // every)
        self.n = n
        _fill_gaps(medians)
        #: Shape of the Gamma law of a sample, about the number of spectra that were averaged.
        self.shape = _shape_of(x, medians, n)
        mean, median, _ = _gamma(self.shape)
        #: The levels.
        self.values = (medians * np.float32(mean / median)).astype(np.float32)


def flatten(x: F4, n: int, valid: NDArray[np.bool_] | None) -> tuple[F4, F4, Levels]:
    """Return spectra as ``x / level - 1``, 0 where they are not valid, their sum, and their levels.

    Parameters
    ----------
    x : ndarray, shape (n_spectrum, n_chan), float32
        Spectra; samples that are not finite are not valid.
    n : int
        Number of channels in a group in which the level is measured, a multiple of 4.
    valid : ndarray, shape of x, bool, optional
        Which samples are valid.
    """
    from fastsig_kernels import relative_to_level

    levels = Levels(x if valid is None else np.where(valid, x, np.float32(np.nan)), n)
    return *relative_to_level(x, levels.values, n, valid=valid), levels


def sum_noise(total: F4, share: F4 | None, widths: tuple[int, ...], shape: float
              ) -> NDArray[np.float64]:
    """Return the standard deviation of boxcars of each width in the sum of all spectra.

    Parameters
    ----------
    total : ndarray, shape (n_chan,), float32
        Sum of the spectra.
    share : ndarray, shape (n_chan,), float32, optional
        Share of the samples of each channel that is valid.
    widths : tuple of int
        Widths, ascending.
    shape : float
        Shape of the Gamma law of the sum in a channel.

    Returns
    -------
    ndarray, shape (n_width,), float64
        NaN where fewer than 16 boxcars are valid, and no narrower ones can stand for them.
    """
    found = np.full(len(widths), np.nan)
    for i, width in enumerate(widths):
        values = _boxcars(total, share, width)
        if len(values) >= _LEAST:
            deviation = float(np.median(np.abs(values - np.median(values))))
            typical = _gamma(shape * width)[2]
            found[i] = deviation * np.sqrt(shape * width) / typical if typical else np.nan
        elif i and np.isfinite(found[i - 1]):
            found[i] = found[i - 1] * np.sqrt(width / widths[i - 1])
    return found


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
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = np.abs(sparse / level - 1)
    known = deviation[np.isfinite(deviation)]
    return gamma_shape(float(np.median(known))) if known.size else 1.0


def _fill_gaps(medians: F4) -> None:
    for row in medians:
        known = np.flatnonzero(np.isfinite(row))
        if len(known) < len(row):
            row[:] = np.interp(np.arange(len(row)), known, row[known]) if known.size else 0


def _boxcars(total: F4, share: F4 | None, width: int) -> NDArray[np.float64]:
    """Return sums of boxcars side by side, evenly chosen, scaled to a whole weight."""
    n = len(total) // width
    chosen = np.arange(n)
    if share is not None:
        weight = share[: n * width].reshape(n, width).mean(axis=1, dtype=np.float64)
        chosen = np.flatnonzero(weight >= _WHOLE)
    chosen = chosen[:: max(1, len(chosen) // _BOXCARS)]
    values: NDArray[np.float64] = total[: n * width].reshape(n, width)[chosen].sum(
        axis=1, dtype=np.float64)
    return values if share is None else values / np.sqrt(weight[chosen])
