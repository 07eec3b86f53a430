"""Statistics of channels over time."""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

__all__ = ["STATISTICS", "statistic", "statistic_of_codes"]

F8 = NDArray[np.float64]

#: Statistics of a channel that can be compared with those of others.
STATISTICS = ("std", "modulation", "mean", "skewness", "kurtosis")


def statistic(name: str, x: NDArray[np.float32]) -> F8:
    """Return a statistic of channels over time, (chan,), NaN for channels without values.

    Parameters
    ----------
    name : str
        One of `STATISTICS`; "modulation" is the standard deviation divided by the mean, and
        "kurtosis" is the excess over that of a Gaussian.
    x : ndarray, shape (n_time, n_chan), float32
        Spectra; NaN is ignored.
    """
    from fastsig_kernels import power_sums

    center = np.nan_to_num(x[0], nan=0.0)
    return _statistic(name, power_sums(x, center=center), center)


def statistic_of_codes(name: str, sums: F8, first: NDArray[np.uint8], lost: NDArray[np.bool_]
                       ) -> F8:
    """Return the same statistic for integers whose sums of powers are known.

    Parameters
    ----------
    name : str
    sums : ndarray, shape (5, n_chan)
        Sums of powers 0 to 4, exact.
    first : ndarray, shape (n_chan,), uint8
        Values at the first time, to which sums are referred.
    lost : ndarray, shape (n_chan,), bool
        Channels without values.
    """
    center, whole = first.astype(np.int64), sums.astype(np.int64)
    moved = np.array([sum(comb(power, k) * whole[k] * (-center) ** (power - k)
                          for k in range(power + 1)) for power in range(5)], np.float64)
    moved[:, lost] = 0
    return _statistic(name, moved, np.where(lost, 0, first).astype(np.float32))


def _statistic(name: str, sums: F8, center: NDArray[np.float32]) -> F8:
    """Return a statistic, given the sums of powers of differences from a centre."""
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b, c, d = sums[1:] / sums[0]
        if name == "mean":
            return np.asarray(a + center)
        second = b - a * a
        if name in ("std", "modulation"):
            std = np.sqrt(np.maximum(second, 0))
            return np.asarray(std if name == "std" else std / (a + center))
        known = np.where(second > 0, second, np.nan)
        if name == "skewness":
            return np.asarray((c - 3 * a * b + 2 * a**3) / known**1.5)
        return np.asarray((d - 4 * a * c + 6 * a * a * b - 3 * a**4) / known**2 - 3)
