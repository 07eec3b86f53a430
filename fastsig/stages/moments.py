"""Statistics of channels over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["STATISTICS", "statistic"]

F8 = NDArray[np.float64]

#: Statistics of a channel that can be compared with those of others.
STATISTICS = ("std", "modulation", "mean", "skewness", "kurtosis")


def statistic(name: str, x: NDArray[np.float32]) -> F8:
    """Return a statistic of channels over time, (chan,), NaN for channels without values.

    Parameters
    ----------
    name : str
        One of `STATISTICS`; "modulation" is the standard deviation divided by the mean, and
        "kurtosis" is that in excess of a Gaussian.
    x : ndarray, shape (n_time, n_chan), float32
        Spectra; NaN is ignored.
    """
    from fastsig_kernels import power_sums

    center = np.nan_to_num(x[0], nan=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        sums = power_sums(x, center=center)
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
