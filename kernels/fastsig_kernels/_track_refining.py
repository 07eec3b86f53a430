"""The best boxcar along a straight track near a given one, in ever finer steps."""

from typing import Any, NamedTuple

import numpy as np

from ._jit import jit_strict, jit_strict_inner, jit_strict_inner_arrays
from .maxima import best_boxcar_nb

__all__ = ["Refining", "refine_track_nb", "side_channels_nb"]

_AROUND = 4  # steps of the position and of the drift on both sides of a track
_FINEST = 0.5  # columns


class Refining(NamedTuple):
    """Which tracks are allowed.

    Parameters
    ----------
    low, high : float
        Lowest and highest drift, columns.
    slow : float
        Drift in columns up to which no columns are summed; infinite if they never are.
    n_sums : ndarray, shape (n,), int64
        Powers of two: numbers of columns that are summed, for drifts up to this multiple of `slow`.
    widths : ndarray, shape (n, n_width), int64
        Widths of boxcars in columns for these, filled up with zeros.
    scale : ndarray, shape (n, n_width), float64
        Inverse of the noise of these boxcars; not positive or not finite if it is not known.
    first : ndarray, shape (n, n_width), float64
        As `scale` for the widths that are compared first; 0 for others.
    """

    low: Any
    high: Any
    slow: Any
    n_sums: Any
    widths: Any
    scale: Any
    first: Any


@jit_strict
def refine_track_nb(sums, counts, starts, drifts, k, refining, min_share, out):
    """Fill in the best boxcar near those of some tracks.

    Those of all tracks are compared first, and then those around the best one: with steps of half
    the number of columns that are summed, then of a quarter, until steps of half a column find no
    better one.

    Parameters
    ----------
    sums, counts, starts, drifts, min_share, out
        As for `best_boxcar`.
    k : int
        The item of `refining.n_sums` that the tracks belong to.
    refining : Refining
    """
    best_boxcar_nb(sums, counts, starts, drifts, refining.widths[k], refining.first[k], min_share,
                   out)
    if not out[3] > 0:
        return
    step = np.float64(refining.n_sums[k])
    found = np.zeros(6, np.float64)
    while True:
        step = max(step / 2, _FINEST)
        _nearby_nb(sums, counts, out, step, refining, min_share, found)
        if _is_better_nb(found, out):
            out[:] = found
        elif step == _FINEST:
            return


@jit_strict_inner_arrays
def _nearby_nb(sums, counts, near, step, refining, min_share, found):
    """Fill in the best of the boxcars around one, in steps of position and drift."""
    found[:] = 0
    n = 2 * _AROUND + 1
    low, least = near[0] + min(near[1], 0.0), max(1.0, step)
    drifts, starts = np.empty(n, np.float64), np.empty((n, n), np.float64)
    scale, one = np.empty(refining.widths.shape[1], np.float64), np.empty(6, np.float64)
    for k in range(refining.n_sums.size):
        n_drift = 0
        for i in range(n):
            drift = near[1] + (i - _AROUND) * step
            if refining.low <= drift <= refining.high and _summed_nb(
                    drift, refining.slow) == refining.n_sums[k]:
                for j in range(n):
                    at = np.floor(low + (j - _AROUND) * least)
                    starts[j, n_drift] = at - min(drift, 0.0)
                drifts[n_drift] = drift
                n_drift += 1
        if n_drift == 0:
            continue
        for j in range(scale.size):
            width = refining.widths[k, j]
            is_near = near[2] <= 2 * width and width <= 2 * near[2]
            scale[j] = refining.scale[k, j] if is_near else 0.0
        one[:] = 0
        best_boxcar_nb(sums, counts, starts[:, :n_drift].copy(), drifts[:n_drift],
                       refining.widths[k], scale, min_share, one)
        if _is_better_nb(one, found):
            found[:] = one


@jit_strict_inner
def _summed_nb(drift, slow):
    """Return how many columns are summed for a drift, a power of two."""
    n = 1
    while abs(drift) > n * slow:
        n *= 2
    return n


@jit_strict_inner
def _is_better_nb(one, other):
    """Whether a boxcar comes first: so that it does not depend on where a search begins."""
    if one[3] != other[3] or not one[3] > 0:
        return one[3] > other[3]
    if one[2] != other[2]:
        return one[2] < other[2]
    low, beside = one[0] + min(one[1], 0.0), other[0] + min(other[1], 0.0)
    return low < beside or (low == beside and one[1] < other[1])


@jit_strict
def side_channels_nb(sums, first, width, level, most):
    """Return how many columns on each side of a track have a sum of `level` or more, plus one.

    Parameters
    ----------
    sums : ndarray, shape (n_row, n + 1), float64
        Cumulative sums of the rows, from 0.
    first : ndarray, shape (n_row,), int64
        First column of the track in each row.
    width : int
        Columns of the track.
    level : float
    most : int
        Largest number that is returned.
    """
    last = sums.shape[1] - 2
    for off in range(1, most + 1):
        below, above = 0.0, 0.0
        for row in range(first.size):
            at = min(max(first[row] - off, 0), last)
            below += sums[row, at + 1] - sums[row, at]
            at = min(max(first[row] + width - 1 + off, 0), last)
            above += sums[row, at + 1] - sums[row, at]
        if max(below, above) < level:
            return off
    return most
