"""Smooth curves through weighted points: over channels, and over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

__all__ = ["fit_knots", "knots_over", "smooth_channels"]

F8 = NDArray[np.float64]

_STIFFNESS = 1e-6  # of the second differences: bridges knots without data, leaves others alone


def smooth_channels(values: F8, weight: F8, width: int) -> tuple[F8, F8]:
    """Smooth with a weighted local straight line in a window of `width` channels.

    The window is twice as wide where more than half of it is masked.

    Parameters
    ----------
    values, weight : ndarray, shape (..., chan), float64
        Values and their inverse variances; weight 0 is masked.
    width : int, odd

    Returns
    -------
    smooth, variance : ndarray, shape (..., chan), float64
        NaN and infinite if the window contains no valid channel.
    """
    smooth, variance, count = _lines(values, weight, width // 2)
    wide, wide_variance, _ = _lines(values, weight, width)
    few = count < 0.5 * width
    smooth, variance = np.where(few, wide, smooth), np.where(few, wide_variance, variance)
    empty = count == 0
    return np.where(empty, np.nan, smooth), np.where(empty, np.inf, variance)


def _lines(values: F8, weight: F8, half: int) -> tuple[F8, F8, F8]:
    """Fit a straight line in `half` channels to both sides; return its variance and points too."""
    n = values.shape[-1]
    x = np.arange(n) / max(n, 1)
    w = np.where(np.isfinite(values), weight, 0.0)
    y = np.where(w > 0, values, 0.0)
    low, high = np.maximum(np.arange(n) - half, 0), np.minimum(np.arange(n) + half + 1, n)

    def window(terms: F8) -> F8:
        sums = np.concatenate([np.zeros((*terms.shape[:-1], 1)), np.cumsum(terms, -1)], -1)
        return np.asarray(sums[..., high] - sums[..., low])

    count = window((w > 0).astype(np.float64))
    s0, s1, s2 = window(w), window(w * x), window(w * x * x)
    t0, t1 = window(w * y), window(w * y * x)
    safe = np.where(count > 0, s0, 1.0)
    middle = s1 / safe
    spread = s2 - middle * s1
    # A line needs points with some spread; if there are few, the mean is used.
    broad = (count > 2) & (spread > safe * (0.2 * half / max(n, 1)) ** 2)
    over = np.where(broad, spread, 1.0)
    slope = np.where(broad, (t1 - middle * t0) / over, 0.0)
    variance = 1 / safe + np.where(broad, (x - middle) ** 2 / over, 0.0)
    return t0 / safe + slope * (x - middle), variance, count


def knots_over(times: F8, scale: float) -> F8:
    """Return evenly spaced knots over the times, at most `scale` apart; one for a single time."""
    first, last = float(times.min()), float(times.max())
    n = int(np.ceil((last - first) / scale)) + 1
    return np.linspace(first, last, max(n, 1))


def fit_knots(times: F8, values: F8, weight: F8, knots: F8) -> tuple[F8, F8]:
    """Fit a piecewise linear curve by least squares; it is straight where knots lack data.

    Parameters
    ----------
    times, values, weight : ndarray, shape (n,), float64
        Points and their inverse variances.
    knots : ndarray, shape (m,), float64
        Evenly spaced knots.

    Returns
    -------
    values, variance : ndarray, shape (m,), float64
        Values and variances at the knots.
    """
    if len(knots) == 1 or not (weight > 0).any():
        total = weight.sum()
        mean = (weight * values).sum() / total if total > 0 else np.nan
        return np.full(len(knots), mean), np.full(len(knots), 1 / total if total > 0 else np.inf)
    m = len(knots)
    place = np.clip((times - knots[0]) / (knots[1] - knots[0]), 0, m - 1)
    left = np.minimum(place.astype(np.int64), m - 2)
    b = place - left
    a = 1 - b
    bands = np.zeros((3, m))  # lower form: diagonal, first, second
    for row, at, term in ((0, left, a * a), (0, left + 1, b * b), (1, left, a * b)):
        bands[row] += np.bincount(at, weight * term, m)
    right = np.bincount(left, weight * a * values, m)
    right += np.bincount(left + 1, weight * b * values, m)
    stiffness = _STIFFNESS * weight.sum() / m
    _add_stiffness(bands, stiffness)
    found = solveh_banded(bands, right, lower=True)
    variance = solveh_banded(bands, np.eye(m), lower=True).diagonal() if m <= 2000 else (
        1 / bands[0])
    return np.asarray(found), np.asarray(variance)


def _add_stiffness(bands: F8, stiffness: float) -> None:
    m = bands.shape[1]
    if m == 2:
        bands[0] += 1e-12 * stiffness
        return
    for offset, (first, second, third) in enumerate(((1.0, 4.0, 1.0), (-2.0, -2.0, 0.0),
                                                     (1.0, 0.0, 0.0))):
        bands[offset, : m - 2] += stiffness * first
        bands[offset, 1 : m - 1] += stiffness * second
        bands[offset, 2:] += stiffness * third
