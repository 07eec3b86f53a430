"""Weighted means of neighbouring values along the axes of profiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["grouped"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]


def grouped(data: F4, weights: F8, numbers: tuple[int, ...]) -> tuple[F4, F8]:
    """Return ``sum(w x) / sum(w)`` over groups of neighbours, and ``sum(w)``.

    Parameters
    ----------
    data : ndarray, shape (subint, product, chan, bin), float32
        Values, NaN where the weight is 0.
    weights : ndarray, float64
        Weights with the same number of axes, each as long or of length 1.
    numbers : tuple of int
        Neighbours in a group, for each axis; a last group may be smaller.
    """
    if all(n == 1 for n in numbers):
        return data, weights
    needed = tuple(full if n > 1 else one for n, one, full in zip(
        numbers, weights.shape, data.shape, strict=True))
    weights = np.broadcast_to(weights, needed)
    total = np.where(weights > 0, data, 0).astype(np.float64) * weights
    for axis, n in enumerate(numbers):
        if n > 1:
            total, weights = _sums(total, axis, n), _sums(weights, axis, n)
    with np.errstate(invalid="ignore"):
        return np.where(weights > 0, total / weights, np.nan).astype(np.float32), weights


def _sums(values: F8, axis: int, n: int) -> F8:
    found: F8 = np.add.reduceat(values, np.arange(0, values.shape[axis], n), axis=axis)
    return found
