"""S/N of boxcars on a time series with weights, with the noise measured for each width."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Boxcar", "best_boxcars", "boxcar_snr"]

_RATIO = 1.5  # of neighbouring widths: a top hat between two loses up to 10 % of its S/N
_LEAST = 64  # boxcars side by side, from which the noise is measured
_WHOLE = 0.5  # least mean weight of the samples of a boxcar
_SIGMA = 1.4826  # standard deviation of Gaussian noise in median absolute deviations


class Boxcar(NamedTuple):
    """A boxcar: its S/N, first sample, and width in samples."""

    snr: float
    start: int
    width: int


def best_boxcars(values: NDArray[np.float32], weight: NDArray[np.float32]) -> Boxcar:
    """Return the boxcar with the highest S/N.

    Parameters
    ----------
    values, weight : ndarray, shape (n,)
        A series, and the share of its channels that each value contains.
    """
    sums, best = _sums(values, weight), Boxcar(0.0, 0, 1)
    for width in _widths(len(values)):
        snr = _snr(*sums, width)
        start = int(np.argmax(snr))
        if snr[start] > best.snr:
            best = Boxcar(float(snr[start]), start, width)
    return best


def boxcar_snr(values: NDArray[np.float32], weight: NDArray[np.float32], width: int
               ) -> NDArray[np.float32]:
    """Return the S/N of the boxcars of a width that begin at each sample; 0 if not known.

    The last boxcars extend beyond the series and have the S/N 0.
    """
    found = np.zeros(len(values), np.float32)
    snr = _snr(*_sums(values, weight), width)
    found[: len(snr)] = snr
    return found


def _widths(n: int) -> list[int]:
    """Return the widths for which the noise of `n` samples can be measured."""
    found = [1]
    while (wider := max(found[-1] + 1, round(found[-1] * _RATIO))) * _LEAST <= n:
        found.append(wider)
    return found


def _sums(values: NDArray[np.float32], weight: NDArray[np.float32]
          ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the running sums of values times weights, without their level, and of weights."""
    there = np.isfinite(values) & (weight > 0)
    share = np.where(there, weight, 0).astype(np.float64)
    level = np.median(values[there]) if there.any() else 0.0
    product = np.where(there, values - np.float64(level), 0) * share
    total, counts = (np.concatenate(([0.0], np.cumsum(each))) for each in (product, share))
    return total, counts


def _snr(total: NDArray[np.float64], counts: NDArray[np.float64], width: int
         ) -> NDArray[np.float64]:
    count = counts[width:] - counts[:-width]
    is_whole = count >= _WHOLE * width
    value = np.zeros(len(count))
    np.divide(total[width:] - total[:-width], np.sqrt(count), out=value, where=is_whole)
    apart = value[::width][is_whole[::width]]
    if not apart.size:
        return np.zeros(len(count))
    middle = np.median(apart)
    sigma = _SIGMA * np.median(np.abs(apart - middle))
    return np.where(is_whole & (sigma > 0), (value - middle) / (sigma or 1.0), 0.0)
