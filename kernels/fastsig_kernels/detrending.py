"""Removal of the slow variation of series of samples, with weights."""

import numpy as np

from . import _check
from ._jit import jit, jit_inner
from ._order import on_lines

__all__ = ["detrend", "detrend_nb"]

_ALL = np.empty(0, np.float32)


def detrend(x: np.ndarray, *, weight: np.ndarray | None = None, n_piece: int = 32,
            n_part: int = 64, out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Subtract straight lines between the means of pieces from the valid samples of a series.

    With the weighted mean ``m = sum x / sum w`` of each piece at its middle, and lines l(t) between
    the means of pieces that have valid samples, ``out = x - w l(t)``. The result is 0 where a
    sample is not valid, that is, where its weight is 0 or it is not finite. This filter attenuates
    signals and noise of the same frequency equally.

    Parameters
    ----------
    x : ndarray, shape (n_sample,), float32, any unit, C-contiguous
        Sums of the valid terms, with magnitudes of at most 2^40.
    weight : ndarray, shape (n_sample,), float32, C-contiguous, optional
        Fraction of the terms of each sample that are valid, 0 to 1; 1 by default.
    n_piece : int
        Number of pieces, of nearly the same length.
    n_part : int
        Number of parts of each piece, for which the sums of weights are returned.
    out : ndarray, shape (n,), float32, unit of x, C-contiguous, optional
        Receives the result; n is at least `n_sample`, and items beyond `n_sample` are set to 0.

    Returns
    -------
    out : ndarray, shape (n_sample,), float32, unit of x
        `out`, or a new array.
    total : ndarray, shape (n_piece * n_part,), float64
        Sums of the weights of valid samples in parts of ``ceil(n_sample / (n_piece n_part))``
        samples; the last parts may be shorter or empty.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape, or a weight is not between 0 and 1.

    Notes
    -----
    A call allocates memory for the parts if `out` is given. The GIL is released.
    """
    _check.array("x", x, ("float32",), 1)
    _check.c_contiguous("x", x)
    n_piece = _check.count("n_piece", n_piece, maximum=2**20)
    n_part = _check.count("n_part", n_part, maximum=2**10)
    if weight is not None:
        _check.array("weight", weight, ("float32",), 1)
        _check.shape("weight", weight, x.shape)
        _check.c_contiguous("weight", weight)
    if out is None:
        out = on_lines(x.shape, x.dtype)
    else:
        _check.array("out", out, ("float32",), 1)
        if out.size < x.size:
            raise ValueError(f"out: found {out.size} values, allowed {x.size} or more")
        _check.target("out", out, out.shape, "float32", x, weight)
        _check.c_contiguous("out", out)
    total = np.zeros(n_piece * n_part)
    given = _ALL if weight is None else weight
    if not detrend_nb(x, given, n_piece, n_part, total, out):
        raise ValueError("weight: found a value outside 0 to 1, allowed 0 to 1")
    return out, total


@jit
def detrend_nb(x, weight, n_piece, n_part, total, out):
    """Do as `detrend` does; `weight` may be empty. Return whether weights lie between 0 and 1.

    `total` has ``n_piece n_part`` items.
    """
    step = (x.size + total.size - 1) // total.size
    sums, right = np.zeros(total.size), True
    for p in range(total.size):
        first, stop = min(p * step, x.size), min((p + 1) * step, x.size)
        if weight.size == 0:
            sums[p], total[p] = _sums_nb(x[first:stop])
        else:
            sums[p], total[p], good = _weighted_sums_nb(x[first:stop], weight[first:stop])
            right &= good
    if not right:
        return False
    _lines_nb(x, weight, n_part, step, sums, total, out)
    return True


@jit_inner
def _sums_nb(x):
    total, n = np.float32(0), np.int32(0)
    for each in x:
        good = abs(each) < np.float32(np.inf)
        total += each if good else np.float32(0)
        n += np.int32(1) if good else np.int32(0)
    return np.float64(total), np.float64(n)


@jit_inner
def _weighted_sums_nb(x, weight):
    total, n, wrong = np.float32(0), np.float32(0), np.int32(0)
    for k in range(x.size):
        w = weight[k]
        good = (abs(x[k]) < np.float32(np.inf)) & (w > 0)
        total += x[k] if good else np.float32(0)
        n += w if good else np.float32(0)
        wrong += np.int32(0) if (w >= 0) & (w <= 1) else np.int32(1)
    return np.float64(total), np.float64(n), wrong == 0


@jit_inner
def _lines_nb(x, weight, n_part, step, sums, total, out):
    """Write samples less the lines between the means of pieces that have valid samples."""
    n, at, before, level = x.size, 0, -1.0, 0.0
    for p in range(0, total.size, n_part):
        first, stop = min(p * step, n), min((p + n_part) * step, n)
        own, valid = 0.0, 0.0
        for q in range(p, p + n_part):
            own += sums[q]
            valid += total[q]
        if valid <= 0:
            continue
        middle, mean = (first + stop - 1) / 2, own / valid
        slope = (mean - level) / (middle - before) if before >= 0 else 0.0
        end = min(int(middle) + 1, n)
        start = level + slope * (at - before) if before >= 0 else mean
        _subtract_nb(x[at:end], weight[at:end], start, slope, out[at:end])
        at, before, level = end, middle, mean
    _subtract_nb(x[at:n], weight[at:n], level, 0.0, out[at:n])
    for k in range(n, out.size):
        out[k] = 0


@jit_inner
def _subtract_nb(x, weight, start, slope, out):
    """Subtract a line; `weight` may have no items."""
    a, b = np.float32(start), np.float32(slope)
    if weight.size == 0:
        for k in range(x.size):
            good = abs(x[k]) < np.float32(np.inf)
            out[k] = x[k] - (a + b * np.float32(np.int32(k))) if good else np.float32(0)
        return
    for k in range(x.size):
        good = (abs(x[k]) < np.float32(np.inf)) & (weight[k] > 0)
        line = weight[k] * (a + b * np.float32(np.int32(k)))
        out[k] = x[k] - line if good else np.float32(0)
