"""Running medians of many rows at once, and curves through knots."""

import numpy as np

from . import _check
from ._jit import jit_strict

_ROWS = 64  # rows that are processed together
_INF = np.float32(np.inf)
_ZERO = np.int64(0)


def moving_median(x: np.ndarray, width: int, *, out: np.ndarray | None = None) -> np.ndarray:
    """Return the median of the valid values in a window around each value, for many rows at once.

    The result is that of `running_median` with `even` false, without the scale: windows of `width`
    values are moved to fit into the row.

    Parameters
    ----------
    x : ndarray, shape (n_row, n_value), float32, any unit
        Values, with any strides; windows lie along rows.
    width : int
        Length of the window, an odd number.
    out : ndarray, shape of x, float32, unit of x, optional
        Receives the medians; NaN where no value is valid.

    Returns
    -------
    ndarray, shape of x, float32, unit of x
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape, or the width is even.

    Notes
    -----
    A call allocates memory for 64 rows and as many windows when `out` is given. NaN is ignored, and
    the GIL is released. The time is proportional to the width.
    """
    _check.array("x", x, ("float32",), 2)
    width = _check.count("width", width)
    if width % 2 == 0:
        raise ValueError(f"width: found {width}, allowed an odd number")
    out = _check.output("out", out, x.shape, "float32", x)
    moving_median_nb(x, min(width, 2 * x.shape[1] + 1), out)
    return out


@jit_strict
def moving_median_nb(x, width, out):
    """Fill `out` as `moving_median` does; nothing is checked."""
    n = x.shape[1]
    size = min(width, n)
    half = width // 2
    values = np.empty((n, _ROWS), np.float32)
    window, carry = np.empty((size + 1, _ROWS), np.float32), np.empty(_ROWS, np.float32)
    counts, made = np.zeros(_ROWS, np.int32), np.empty(_ROWS, np.float32)
    left = np.empty(_ROWS, np.float32)
    for first in range(0, x.shape[0], _ROWS):
        rows = min(_ROWS, x.shape[0] - first)
        _turn(x, first, rows, values)
        window[:] = _INF
        counts[:] = 0
        for c in range(size):
            _count(values[c], counts, 1)
            _insert(window, values[c], carry, size)
        begin = _ZERO
        _middles(window, counts, size, made)
        for c in range(n):
            if begin < min(c - half, n - size):
                _count(values[begin], counts, -1)
                _count(values[begin + size], counts, 1)
                _exchange(window, values[begin], values[begin + size], carry, left, size)
                begin += 1
                _middles(window, counts, size, made)
            for r in range(rows):
                out[first + r, c] = made[r]


@jit_strict
def _turn(x, first, rows, values):
    """Copy rows so that those of a value are neighbours; invalid values become infinite."""
    n = x.shape[1]
    for start in range(0, n, 16):
        stop = min(n, start + 16)
        for r in range(rows):
            row = x[first + r]
            for c in range(start, stop):
                value = row[c]
                values[c, r] = value if abs(value) < _INF else _INF
        for c in range(start, stop):
            for r in range(rows, _ROWS):
                values[c, r] = _INF


@jit_strict
def _count(row, counts, step):
    for r in range(_ROWS):
        counts[r] += np.int32(step if row[r] < _INF else 0)


@jit_strict
def _insert(window, new, carry, size):
    """Insert a value into each sorted window; the last one, which is infinite, leaves it."""
    carry[:] = new
    for k in range(size):
        line = window[k]
        for r in range(_ROWS):
            value, other = line[r], carry[r]
            line[r] = value if value < other else other
            carry[r] = other if value < other else value


@jit_strict
def _exchange(window, old, new, carry, left, size):
    """Remove a value from each sorted window, and insert another one."""
    carry[:] = new
    for k in range(size - 1):
        line, after = window[k], window[k + 1]
        for r in range(_ROWS):
            left[r] = line[r] if line[r] < old[r] else after[r]
        for r in range(_ROWS):
            value, other = left[r], carry[r]
            line[r] = value if value < other else other
            carry[r] = other if value < other else value
    window[size - 1] = carry


@jit_strict
def _middles(window, counts, size, out):
    """Return the medians of sorted windows of which the first `counts` values are valid."""
    part = np.int32(0)
    for r in range(_ROWS):
        part |= counts[r] ^ np.int32(size)
    if part == 0 and size % 2 == 1:
        out[:] = window[size // 2]
        return
    for r in range(_ROWS):
        n = counts[r]
        low, high = np.float64(window[max(0, n - 1) // 2, r]), np.float64(window[n // 2, r])
        out[r] = np.float32(0.5 * (low + high)) if n > 0 else np.float32(np.nan)


def through_knots(knots: np.ndarray, first: np.ndarray, weight: np.ndarray, *,
                  out: np.ndarray | None = None) -> np.ndarray:
    """Return weighted sums of neighbouring knots, such as those of an interpolation.

    ``out[i, c] = sum over k of weight[k, c] knots[i, first[c] + k]``

    Parameters
    ----------
    knots : ndarray, shape (n_row, n_knot), float32, any unit
        Values, with any strides.
    first : ndarray, shape (n_place,), int64
        First knot of each place, from 0 to n_knot - n.
    weight : ndarray, shape (n, n_place), float32, dimensionless
        Weights of the knots, n of them for each place.
    out : ndarray, shape (n_row, n_place), float32, unit of knots, optional
        Receives the sums.

    Returns
    -------
    ndarray, shape (n_row, n_place), float32, unit of knots
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape, or a knot does not exist.

    Notes
    -----
    A call allocates memory for one row when `out` is given. NaN propagates, and the GIL is
    released.
    """
    _check.array("knots", knots, ("float32",), 2)
    _check.array("first", first, ("int64",), 1)
    _check.array("weight", weight, ("float32",), 2)
    _check.shape("weight", weight, (len(weight), len(first)))
    most = knots.shape[1] - len(weight)
    if len(first) and not (first.min() >= 0 and first.max() <= most):
        raise ValueError(f"first: found {first.min()} to {first.max()}, allowed 0 to {most}")
    out = _check.output("out", out, (len(knots), len(first)), "float32", knots, first, weight)
    through_knots_nb(knots, np.ascontiguousarray(first), np.ascontiguousarray(weight), out)
    return out


@jit_strict
def through_knots_nb(knots, first, weight, out):
    """Fill `out` as `through_knots` does; nothing is checked."""
    row, made = np.empty(knots.shape[1], np.float32), np.empty(first.size, np.float32)
    for i in range(knots.shape[0]):
        row[:] = knots[i]
        made[:] = np.float32(0)
        for k in range(weight.shape[0]):
            part = weight[k]
            for c in range(first.size):
                made[c] = made[c] + part[c] * row[first[c] + k]
        out[i] = made
