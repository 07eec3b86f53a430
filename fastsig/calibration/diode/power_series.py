"""One series of relative power from several polarisations and sub-bands."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.diode.folding import Series
from fastsig.errors import DataError

__all__ = ["columns_of", "combined", "mean_level"]

F8 = NDArray[np.float64]

_FEWEST = 16


def combined(power: Any, weight: Any, path: str) -> Series:
    """Return the mean over columns of ``power / median - 1``, weighted by inverse noise variance.

    A row counts if it is present in all columns, disregarding columns that are mostly missing.
    Otherwise the mean would jump from the drift of one column to that of another.

    Raises
    ------
    DataError
        If there are too few rows, or power is not above 0.
    """
    columns, weights = columns_of(power, weight, path)
    seen = weights > 0
    count = seen.sum(axis=0)
    if not len(columns) or count.max(initial=0) < _FEWEST:
        raise DataError(path, f"{count.max(initial=0)} rows with power; allowed: {_FEWEST} or more")
    good = count > 0.5 * count.max()
    columns, weights, seen = columns[:, good], weights[:, good], seen[:, good]
    level = np.array([np.median(y[ok]) for y, ok in zip(columns.T, seen.T, strict=True)])
    if (level <= 0).any():
        raise DataError(path, f"median power {level.min():.3g}; allowed: above 0 (products AA, BB)")
    relative = np.where(seen, columns / level - 1, 0.0)
    importance = 1 / _noise(relative, seen) ** 2
    whole = seen.all(axis=1)
    if whole.sum() < _FEWEST:
        raise DataError(path, f"{whole.sum()} rows with power in all columns; allowed: {_FEWEST} "
                              f"or more")
    y = np.where(whole, relative @ importance / importance.sum(), 0.0)
    w = np.where(whole, (weights @ importance) / importance.sum(), 0.0)
    return Series(y, w / w[whole].mean())


def mean_level(power: Any, weight: Any, path: str) -> F8:
    """Return the median power of each column; NaN if it is missing."""
    columns, weights = columns_of(power, weight, path)
    return np.array([np.median(y[w > 0]) if (w > 0).any() else np.nan
                     for y, w in zip(columns.T, weights.T, strict=True)])


def columns_of(power: Any, weight: Any, path: str) -> tuple[F8, F8]:
    """Return values and weights, (time, column), both 0 where a value is missing."""
    values = np.asarray(power, np.float64)
    if not 1 <= values.ndim <= 3:
        raise DataError(path, f"power has {values.ndim} axes; allowed: (time[, pol[, sub-band]])")
    known = np.isfinite(values)
    if weight is None:
        weights = known.astype(np.float64)
    else:
        given = np.asarray(weight, np.float64)
        given = given.reshape(given.shape + (1,) * (values.ndim - given.ndim))
        try:
            given = np.broadcast_to(given, values.shape)
        except ValueError:
            raise DataError(path, f"weight has shape {np.shape(weight)}, power {values.shape}; "
                                  f"allowed: one that broadcasts to it") from None
        weights = np.where(known & (given > 0), given, 0.0)
    return (np.where(known, values, 0.0).reshape(len(values), -1),
            weights.reshape(len(values), -1))


def _noise(relative: F8, seen: NDArray[np.bool_]) -> F8:
    """Return the rms noise of each column, from differences of neighbours."""
    both = seen[1:] & seen[:-1]
    steps = np.diff(relative, axis=0)
    found = [1.05 * np.median(np.abs(step[ok])) if ok.any() else 1.0
             for step, ok in zip(steps.T, both.T, strict=True)]
    return np.maximum(found, 1e-9)
