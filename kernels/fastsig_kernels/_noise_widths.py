"""Noise and level of boxcars of each width, from sums over values that are not outliers.

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
#: Independent values that the noise of the next narrower width, and a level of 0, count as.
_PRIOR = 16.0
#: The largest level that is believed to be one, in units of the noise.
_MOST_LEVEL = 0.5
#: Change of the noise, relative to it, that ends the iteration, which is slow if the cut is low.
_SMALL, _MOST_STEPS = 1e-9, 5000


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
        for _ in range(_MOST_STEPS):
            share = np.interp(cut / noise, cuts, squares)
            before, noise = noise, np.sqrt(sums / (within * share).sum(axis=0))
            if not (np.abs(noise - before) > _SMALL * noise).any():
                break
        inside = counts / total.sum(axis=0)
        mean_cut = (cut * total).sum(axis=0) / total.sum(axis=0)
    broad = mean_cut / np.interp(inside, shares, cuts)
    return np.where(inside < LEAST_WITHIN, np.fmax(noise, broad), noise)


def leveled(noise: np.ndarray, within: np.ndarray, total: np.ndarray, weight: np.ndarray,
            number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the noise about the level, and the level, from the noise about 0.

    If a mean that includes bright pulses was subtracted before, the level between them is below 0.
    If few values are independent, the level returned is closer to 0 than their mean. The level is
    at most half of the noise; what exceeds this counts as noise.

    Parameters
    ----------
    noise : ndarray, shape (...), float64
        Noise about 0, from `scale`.
    within, total, weight : ndarray, shape (...), float64
        Number of the values within the cut; the sums of their samples, and of their weights.
    number : ndarray, shape (...), float64
        Number of independent values.

    Returns
    -------
    tuple of ndarray, shape (...), float64
        The noise, and the mean of a sample.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        wide = np.sqrt(weight / within)  # a value is the sum of the samples, divided by this
        # If the offset of all values is small, the mean of those within the cut is a fraction of
        # it: their fraction of the variance. `scale` adds the square of the offset to the variance.
        share = np.interp(CUT, *gaussian()[::2])
        off = total / weight * wide / share * number / (number + _PRIOR)
        off = np.clip(np.where(np.isfinite(off), off, 0), -_MOST_LEVEL * noise,
                      _MOST_LEVEL * noise)
        about = np.sqrt(noise**2 - off**2)
        level = off / wide
    return about, np.where(np.isfinite(level), level, 0)


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
