"""Noise of boxcars of each width, from sums of squares of values that are not outliers.

Values are in units of the noise expected if samples were independent. Those beyond a cut, about
2.5 times the noise, are left out, so that pulses and interference do not count as noise; the
result is corrected for the part of Gaussian noise that was left out as well. NumPy only.
"""

from functools import lru_cache
from math import erf, exp, pi, sqrt

import numpy as np

#: The cut, in units of the noise expected before.
CUT = 2.5
#: Share of values within the cut below which it is too low for their variance to be of use.
LEAST_WITHIN = 0.75
#: Least noise, for samples that hardly vary.
_LEAST = 0.1
#: Independent values that the noise of the next narrower width counts as.
_PRIOR = 16.0
N_STEP = 20  # of an iteration


@lru_cache(maxsize=1)
def gaussian() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cuts in units of the noise; share of values within; their mean square."""
    cut = np.geomspace(0.01, 100, 2000)
    within = np.array([erf(a / sqrt(2)) for a in cut])
    density = np.array([exp(-a * a / 2) for a in cut]) * sqrt(2 / pi)
    square = 1 - cut * density / within
    square[:600] = cut[:600] ** 2 / 3 * (1 - cut[:600] ** 2 * (2 / 15))  # where digits cancel
    return cut, within, square


def scale(square: np.ndarray, within: np.ndarray, total: np.ndarray, cut: np.ndarray
          ) -> np.ndarray:
    """Return the noise from sums over segments, of values within a cut.

    Parameters
    ----------
    square, within, total : ndarray, shape (n_segment, ...), float64
        Sums of squares of the values within the cut, their number, and the number of all values.
    cut : ndarray, shape (n_segment, ...), float64
        The cuts.

    Returns
    -------
    ndarray, shape (...), float64
        NaN where there are no values within the cut.
    """
    cuts, shares, squares = gaussian()
    sums, counts = square.sum(axis=0), within.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        noise = np.sqrt(sums / counts)
        for _ in range(N_STEP):
            share = np.interp(cut / noise, cuts, squares)
            noise = np.sqrt(sums / (within * share).sum(axis=0))
        inside = counts / total.sum(axis=0)
        mean_cut = (cut * total).sum(axis=0) / total.sum(axis=0)
    broad = mean_cut / np.interp(inside, shares, cuts)
    return np.where(inside < LEAST_WITHIN, np.fmax(noise, broad), noise)


def steadied(noise: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return noise that relies on that of the next narrower width where values are few.

    Parameters
    ----------
    noise : ndarray, shape (n_group, n_width), float64
        Noise of each width, in units of what is expected; NaN where it is unknown.
    number : ndarray, shape (n_group, n_width), float64
        Number of independent values it was measured from.

    Returns
    -------
    ndarray, shape (n_group, n_width), float64
        A tenth of what is expected, or more.
    """
    number = np.where(np.isfinite(noise), number, 0)
    # Means of logarithms, so that a few values far from what is expected count little.
    found = np.log(np.clip(np.where(np.isfinite(noise), noise, 1.0), _LEAST, None))
    before = np.zeros(len(noise))
    for j in range(noise.shape[1]):
        before = (number[:, j] * found[:, j] + _PRIOR * before) / (number[:, j] + _PRIOR)
        found[:, j] = before
    return np.exp(found)
