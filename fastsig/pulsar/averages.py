"""Weighted means of neighbouring values along the axes of profiles."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.alignment import aligned
from fastsig.pulsar.profile_data import ProfileData

__all__ = ["averaged", "grouped"]

P = TypeVar("P", bound=ProfileData)

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]


def grouped(data: F4, weights: F8, numbers: tuple[int, ...]) -> tuple[F4, F8]:
    """Return weighted means of groups of neighbours, and sums of their weights.

    The level of each profile, the median of its bins, is averaged separately from the deviations
    from this level. Levels differ between channels and, for a few turns or with losses, weights
    between bins: ``sum(w x) / sum(w)`` alone would change from bin to bin with the channels that
    contribute.

    Parameters
    ----------
    data : ndarray, shape (subint, product, chan, bin), float32
        Values, NaN where the weight is 0.
    weights : ndarray, float64
        Weights with the same number of axes, each as long as in `data` or of length 1.
    numbers : tuple of int
        Neighbours in a group, for each axis; the last group may be smaller.
    """
    if all(n == 1 for n in numbers):
        return data, weights
    needed = tuple(full if n > 1 else one for n, one, full in zip(
        numbers, weights.shape, data.shape, strict=True))
    weights = np.broadcast_to(weights, needed)
    if (weights == weights[..., :1]).all():
        means, weights = _means(np.where(weights > 0, data, 0).astype(np.float64), weights, numbers)
        return means.astype(np.float32), weights
    levels = _levels(data)
    level, _ = _means(levels, weights.sum(axis=-1, keepdims=True), (*numbers[:-1], 1))
    means, weights = _means(np.where(weights > 0, data - levels, 0), weights, numbers)
    return (means + level).astype(np.float32), weights


def _levels(data: F4) -> F8:
    """Return the median of each profile's valid bins (of two, the lower); 0 if none is valid."""
    count = np.isfinite(data).sum(axis=-1, keepdims=True)
    middle = np.take_along_axis(np.sort(data, axis=-1), np.maximum(count - 1, 0) // 2, axis=-1)
    return np.where(count > 0, middle, 0).astype(np.float64)


def _means(values: F8, weights: F8, numbers: tuple[int, ...]) -> tuple[F8, F8]:
    """Return ``sum(w x) / sum(w)``, NaN where the weight is 0, and ``sum(w)``."""
    total = values * weights
    for axis, n in enumerate(numbers):
        if n > 1:
            total, weights = _sums(total, axis, n), _sums(weights, axis, n)
    with np.errstate(invalid="ignore"):
        return np.where(weights > 0, total / weights, np.nan), weights


def _sums(values: F8, axis: int, n: int) -> F8:
    found: F8 = np.add.reduceat(values, np.arange(0, values.shape[axis], n), axis=axis)
    return found


def averaged(profiles: P, n_subint: int, n_chan: int, n_bin: int) -> P:
    """Return the means that `Profiles.grouped` describes."""
    for name, n, full in (("n_subint", n_subint, None), ("n_chan", n_chan, profiles.n_chan),
                          ("n_bin", n_bin, profiles.n_bin)):
        if n < 1 or (full is not None and full % n):
            raise UsageError(f"{name} = {n}; allowed: 1 or more" + (
                f", a divisor of {full}" if full is not None else ""))
    if n_chan > 1 and profiles.dm and not profiles.dedispersed:
        profiles = aligned(profiles, None, None, None)
    data, weights = grouped(profiles.data, profiles.weights, (n_subint, 1, n_chan, n_bin))
    axis, centers = profiles.header.require_channels(profiles.path), profiles.centers_mhz
    rows = range(0, profiles.n_subint, n_subint)
    middle = [_middle(profiles, row, row + n_subint) for row in rows]
    return replace(
        profiles, data=data, weights=weights, offsets=profiles.offsets[middle],
        periods=profiles.periods[middle],
        durations=np.array([profiles.durations[row : row + n_subint].sum() for row in rows]),
        header=profiles.header.replace(channels=axis.averaged(n_chan)),
        centers_mhz=None if centers is None else centers.reshape(-1, n_chan).mean(axis=1))


def _middle(profiles: P, first: int, stop: int) -> int:
    """Return the subintegration whose epoch is nearest to the middle of several."""
    weight, offsets = profiles.durations[first:stop], profiles.offsets[first:stop]
    total = weight.sum()
    center = (weight * offsets).sum() / total if total > 0 else offsets.mean()
    return first + int(np.abs(offsets - center).argmin())
