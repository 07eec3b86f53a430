"""What boxcars of maxima are compared with, and the loop that raises maxima to them."""

from typing import Any, NamedTuple

import numpy as np

from ._jit import jit_strict_inner, jit_strict_inner_arrays
from ._maxima_loops import COLUMNS, raise_lines, raise_weighted_lines

__all__ = ["Limits", "limits_nb", "raise_nb"]

_SAFE = 0.999  # of a bound, for rounding errors of sums


class Limits(NamedTuple):
    """What boxcars are compared with.

    Parameters
    ----------
    factor, least : ndarray, shape (longest,), float32
        See `_tables_nb`.
    bounds : ndarray, shape (4,), float32
        See `_bounds_nb`.
    """

    factor: Any
    least: Any
    bounds: Any


@jit_strict_inner_arrays
def limits_nb(widths, scale, full, min_share, limit, is_weighted):
    """Return the limits of boxcars of sums of `full` samples."""
    factor, least = _tables_nb(widths, scale, full, min_share, is_weighted)
    return Limits(factor, least, _bounds_nb(widths, scale, min_share, limit, is_weighted))


@jit_strict_inner_arrays
def _tables_nb(widths, scale, full, min_share, is_weighted):
    """Return the factor of a sum and the least weight for each width from 1 to the longest.

    The factor is 0 for widths that are not wanted.
    """
    factor, least = np.zeros((2, widths[-1]), np.float32)
    for k in range(widths.shape[0]):
        whole = full * widths[k]
        root = np.sqrt(whole) if is_weighted else 1.0
        factor[widths[k] - 1] = np.float32(scale[k] * root)
        least[widths[k] - 1] = np.float32(min_share * whole)
    return factor, least


@jit_strict_inner_arrays
def _bounds_nb(widths, scale, min_share, limit, is_weighted):
    """Return the limit, and what sums of a boxcar above it reach at least.

    The last three items are a sum; two sums side by side; and one sum, if no two side by side do.
    """
    bounds = np.full(4, -np.inf, np.float32)
    bounds[0] = np.float32(limit)
    if not limit > 0:
        return bounds
    share = np.sqrt(min_share) if is_weighted else 1.0
    single = np.inf
    for k in range(widths.shape[0]):
        if not scale[k] > 0:
            return bounds
        single = min(single, limit * share / scale[k] / widths[k])
    alone = np.inf
    for k in range(widths.shape[0]):
        if widths[k] % 2:
            alone = min(alone, limit * share / scale[k] - 2 * single * (widths[k] // 2))
    bounds[1] = np.float32(_SAFE * single)
    bounds[2], bounds[3] = np.float32(_SAFE * 2 * single), np.float32(_SAFE * alone)
    return bounds


@jit_strict_inner
def raise_nb(sums, is_weighted, best, n, limits):
    """Raise the maxima of `n` columns to boxcars of sums; the second row is that of weights."""
    total, weight = sums[0].ctypes.data, sums[1].ctypes.data
    factor, least, n_step = limits.factor.ctypes.data, limits.least.ctypes.data, limits.least.size
    for at in range(0, 4 * n, 4 * COLUMNS):
        if is_weighted:
            raise_weighted_lines(total + at, weight + at, factor, least, n_step,
                                 best.ctypes.data + at, limits.bounds[0])
        else:
            raise_lines(total + at, factor, n_step, best.ctypes.data + at, limits.bounds[0])
