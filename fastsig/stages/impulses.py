"""Impulses: spectra in which most channels deviate at the same time, such as those of lightning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["calm_sums", "impulses", "mean_series", "sums_without"]

#: Number of channels below which noise alone may raise most of them.
_LEAST_CHANNELS = 32
#: Smallest deviation of the mean over the band of spectra that are tested, in channel noise.
_TESTED = 0.5

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
Values = F4 | NDArray[np.uint8]


def mean_series(x: Values, sums: F8, valid: NDArray[np.bool_]) -> F4:
    """Return the mean over the band of each spectrum, (n_time,); NaN where no channel is valid.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32 or uint8
        Powers; NaN is not valid.
    sums : ndarray, shape (5, n_chan), float64
        Sums of the powers 0 to 4 of the values of each channel.
    valid : ndarray, shape (n_chan,), bool
        Channels that are used.
    """
    from fastsig_kernels import band_mean

    if x.dtype == np.uint8:
        return band_mean(x, valid=valid)
    # With levels, the mean does not depend on which samples are valid. If all channels have the
    # same number of samples, levels of 0 give the same bits as codes.
    level = np.full(len(valid), np.nan)
    count, total = sums[:2, valid]
    level[valid] = 0 if not count.size or (count == count[0]).all() else total / count
    return band_mean(x, level=level.astype(np.float32))


def calm_sums(x: Values, series: F4) -> F8:
    """Return sums of powers, (5, n_chan), of the half of the spectra with the most usual mean.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32 or uint8
    series : ndarray, shape (n_time,), float32
        Means over the band.
    """
    from fastsig_kernels import power_sums

    off = np.abs(series - np.nanmedian(series))
    return np.asarray(power_sums(np.ascontiguousarray(x[off <= np.nanmedian(off)])))


def impulses(x: Values, series: F4, sums: F8, shape: float, valid: NDArray[np.bool_]) -> I8:
    """Return the spectra of a segment in which most channels deviate in the same direction.

    More than half of the valid channels deviate from their means by more than their noise, which is
    the mean divided by the root of `shape`. Noise raises a sixth of the channels by so much, and
    a dispersed pulse only those that it crosses at the time. None is returned if half of the
    spectra or more deviate, since the undisturbed level is then not known.

    Parameters
    ----------
    x, sums, valid
        As for `mean_series`.
    series : ndarray, shape (n_time,), float32
        Means over the band.
    shape : float
        Shape of the gamma distribution of the noise.

    Returns
    -------
    ndarray, shape (n,), int64
        Numbers of the spectra, ascending.
    """
    n_known = np.count_nonzero(np.isfinite(series))
    if np.count_nonzero(valid) < _LEAST_CHANNELS or not n_known:
        return np.empty(0, np.int64)
    middle = np.nanmedian(series)
    far = np.flatnonzero(np.abs(series - middle) > _TESTED * middle / shape**0.5)
    if not far.size or 2 * far.size >= n_known:
        return far[:0]
    return far[_most_deviate(x[far], sums_without(x, far, sums), shape, valid)]


def sums_without(x: Values, rows: I8, sums: F8) -> F8:
    """Return sums of powers 0 to 4 of the values of channels without some rows.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32 or uint8
    rows : ndarray, shape (n,), int64
    sums : ndarray, shape (5, n_chan), float64
        Sums with these rows; 0 for channels that are not valid.
    """
    from fastsig_kernels import power_sums

    if x.dtype == np.uint8:  # all sums are exact
        return np.asarray(sums - power_sums(np.ascontiguousarray(x[rows])) * (sums[0] > 0))
    return np.asarray(power_sums(np.ascontiguousarray(np.delete(x, rows, axis=0))))


def _most_deviate(x: Values, sums: F8, shape: float, valid: NDArray[np.bool_]
                  ) -> NDArray[np.bool_]:
    """Return in which rows most channels deviate; `sums` are those of the other rows."""
    with np.errstate(invalid="ignore", divide="ignore"):
        level = np.where(valid, sums[1] / sums[0], np.nan)
        off = (x - level) * shape**0.5
        higher, lower = ((side * off > level).sum(axis=1) for side in (1, -1))
    n_known = np.isfinite(off).sum(axis=1)
    found: NDArray[np.bool_] = (2 * np.maximum(higher, lower) > n_known) & (
        n_known >= _LEAST_CHANNELS)
    return found
