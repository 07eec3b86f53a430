"""The level of spectra along the band, and the noise of sums over channels and spectra."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.search.drift.known import Known

__all__ = ["Flat", "Levels", "flatten", "gamma_shape", "sum_noise"]

F4 = NDArray[np.float32]

_EVERY = 4  # the median of every fourth channel is the level: its error is averaged over spectra
_SPARSE = 2**14  # samples that measure how samples scatter, about, at most
_LEAST_SPARSE = 32  # channels between them, at least
_SERIES = 16.0  # shape of a gamma distribution from which its median and deviation are series


class Levels:
    """Levels of groups of `n` channels, (n_spectrum, n_group) float32, in the unit of the spectra.

    The levels are means; NaN in groups without valid samples. The level of a group depends on no
    other channels, and `shape` on no channels outside `core`.
    """

    def __init__(self, x: F4, n: int, core: slice) -> None:
        from fastsig_kernels import group_median

        every = _EVERY if n >= 64 * _EVERY else 1
        medians = group_median(x[:, ::every], n // every)
        for group in np.flatnonzero(np.isnan(medians).any(axis=0)) if every > 1 else ():
            at = slice(int(group) * n, (int(group) + 1) * n)
            medians[:, group : group + 1] = np.where(
                np.isnan(medians[:, group : group + 1]), group_median(x[:, at], n),
                medians[:, group : group + 1])
        self.n = n
        #: Shape of the gamma distribution of a sample, about the number of averaged spectra.
        self.shape = _shape_of(x[:, core], medians[:, core.start // n : -(-core.stop // n)], n)
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
        Sum of the spectra.
    known : Known or None
        Which samples are valid; None if all are.
    levels : Levels
        Levels of the groups of channels.
    """

    y: F4
    total: F4
    known: Known | None
    levels: Levels


def flatten(x: F4, n: int, out: tuple[F4, F4, F4, NDArray[np.bool_]] | None = None,
            lost: NDArray[np.int64] | None = None, core: slice | None = None) -> Flat:
    """Return spectra relative to their level.

    Parameters
    ----------
    x : ndarray, shape (n_spectrum, n_chan), float32
        Spectra; samples that are not finite are not valid.
    n : int
        Number of channels in a group in which the level is measured, a multiple of 4.
    out : tuple of ndarray, float32, optional
        Arrays that receive the spectra relative to their level (shape of x), their sum and the
        number of samples in the sum (n_chan,), and which samples are valid (bool, shape of x).
    lost : ndarray of int, optional
        Channels that are not valid.
    core : slice, optional
        Channels in which the shape of the noise is measured; the first of them begins a group. By
        default, these are all channels.
    """
    from fastsig_kernels import relative_to_level

    levels = Levels(x, n, slice(0, x.shape[1]) if core is None else core)
    y, total, count, valid = out or (None, None, None, None)
    y, total, count = relative_to_level(x, levels.values, n, out=y, total=total, count=count)
    if lost is not None and lost.size:
        y[:, lost] = total[lost] = count[lost] = 0
    if (count == len(x)).all():
        return Flat(y, total, None, levels)
    return Flat(y, total, Known.of(x, levels.values > 0, n, count, valid), levels)


def sum_noise(total: F4, share: F4 | None, widths: tuple[int, ...], shape: float
              ) -> NDArray[np.float64]:
    """Return the standard deviation of boxcars of each width in the sum of all spectra.

    The noise of widths that are powers of two is measured, and that of a width between two of them
    is interpolated, so that it does not depend on other widths. Stretches of channels in which
    signals raise the sum are left out: a drifting signal occupies many channels of the sum at zero
    drift.

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
    from fastsig_kernels import boxcar_scatter

    if not np.isfinite(total).all():  # of values near the largest float
        return np.full(len(widths), np.nan)
    powers = 2 ** np.arange((widths[-1] - 1).bit_length() + 1)
    deviation, _ = boxcar_scatter(total, len(powers), weights=share)
    found = np.full(len(powers), np.nan)
    for i, width in enumerate(powers.tolist()):
        if not np.isnan(deviation[i]):
            typical = _gamma(shape * width)[2]
            found[i] = deviation[i] * np.sqrt(shape * width) / typical if typical else np.nan
        elif i:
            found[i] = found[i - 1] * np.sqrt(2)
    return _between(np.array(widths), powers, found)


def _between(widths: NDArray[np.int64], powers: NDArray[np.int64], noise: NDArray[np.float64]
             ) -> NDArray[np.float64]:
    """Return the noise of widths; between known widths, it is interpolated with a power law."""
    above = np.searchsorted(powers, widths)
    below = np.maximum(above - 1, 0)
    part = np.log(powers[above] / widths) / np.log(2)  # 0 for a power of two
    with np.errstate(invalid="ignore", divide="ignore"):
        made = np.exp(np.log(noise[above]) * (1 - part) + np.log(noise[below]) * part)
    return np.where(part > 0, made, noise[above])


def gamma_shape(ratio: float) -> float:
    """Return the shape of a gamma distribution.

    It is computed from the median absolute deviation divided by the median, and is limited to the
    range from 0.5 to 1e9.
    """
    from scipy.optimize import brentq

    def excess(log: float) -> float:
        _, median, deviation = _gamma(float(np.exp(log)))
        return deviation / median - ratio

    low, high = np.log(0.5), np.log(1e9)
    if not excess(low) > 0:
        return 0.5
    return 1e9 if excess(high) >= 0 else float(np.exp(brentq(excess, low, high, xtol=1e-12)))


@lru_cache(1024)
def _gamma(shape: float) -> tuple[float, float, float]:
    """Return mean, median and median absolute deviation of the Gamma law of scale 1."""
    from scipy.optimize import brentq
    from scipy.special import gammainc, gammaincinv

    if shape > _SERIES:  # to 1e-8; the coefficients are fitted to what follows
        near = 1 / shape
        median = shape - 1 / 3 + near * (8 / 405 + near * 184 / 25515)
        return shape, median, 0.6744897501960817 * np.sqrt(shape) * (
            1 - near * (0.27140613 + near * (0.0209998 - near * (0.00240345 + near * 0.00340962))))
    median = float(gammaincinv(shape, 0.5))

    def excess(width: float) -> float:
        return float(gammainc(shape, median + width) - gammainc(shape, max(median - width, 0.0))
                     - 0.5)

    return shape, median, float(brentq(excess, 0.0, 20 * np.sqrt(shape) + 20))


def _shape_of(x: F4, medians: F4, n: int) -> float:
    step = _LEAST_SPARSE
    while step < n and x.size > _SPARSE * step:
        step *= 2
    at = np.arange(step // 2, x.shape[1], step)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        deviation = np.abs(x[:, at] / medians[:, at // n] - 1)
    known = deviation[np.isfinite(deviation)]
    return gamma_shape(_median(known)) if known.size else 1.0


def _median(values: F4) -> float:
    from fastsig_kernels import group_median

    return float(group_median(values[np.newaxis], values.size)[0, 0])
