"""The scatter of boxcars of a series, without the stretches in which signals raise it."""

import numpy as np

from . import _check
from ._jit import jit_strict, jit_strict_inner, jit_strict_inner_arrays
from .medians import MAD_SIGMA, median_nb

__all__ = ["boxcar_scatter", "boxcar_scatter_nb"]

_BOXCARS = 8192  # boxcars that are measured, at most
_LEAST = 16  # values that measure a scatter, at least
_WHOLE = np.float32(0.5)  # least fraction of valid samples in these
_BUSY = 64  # values of a stretch; two measure no scatter if signals raise their sum
_HIGH = 2.5  # standard deviations above the median, from which they are left out
_MOST = 40  # widths


def boxcar_scatter(x: np.ndarray, n_width: int, *, weights: np.ndarray | None = None
                   ) -> tuple[np.ndarray, np.ndarray]:
    """Return the median absolute deviations of boxcars of 1, 2, 4... values.

    Up to 8192 boxcars of a width, at even distances, are measured. Two neighbouring stretches of 64
    values are left out if their sum is more than 2.5 standard deviations above the median of such
    sums, and so are the stretches beside them, in which a signal may begin or end. The standard
    deviation is that of sums below the median, which signals do not raise. This is repeated until
    there are no such stretches, or fewer than 16 are left.

    Parameters
    ----------
    x : ndarray, shape (n,), float32, any unit
        Values, which are finite.
    n_width : int
        Number of widths, 1 to 40.
    weights : ndarray, shape (n,), float32, optional
        Fraction of the samples of each value that are valid, 0 to 1; by default, all are valid.
        Boxcars with fewer than half of their samples are left out; other boxcars are divided by the
        square root of their fraction.

    Returns
    -------
    deviation : ndarray, shape (n_width,), float64, unit of x
        Median absolute deviations from the median; NaN where there are fewer than 16 boxcars.
    count : ndarray, shape (n_width,), int64
        Number of boxcars of each width.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape, or the number is out of range.

    Notes
    -----
    A call allocates memory for three times the values at most; the GIL is released.
    """
    _check.array("x", x, ("float32",), 1)
    n_width = _check.count("n_width", n_width)
    if n_width > _MOST:
        raise ValueError(f"n_width: found {n_width}, allowed 1 to {_MOST}")
    if weights is not None:
        _check.array("weights", weights, ("float32",), 1)
        _check.shape("weights", weights, x.shape)
    deviation, count = np.empty(n_width), np.empty(n_width, np.int64)
    boxcar_scatter_nb(np.ascontiguousarray(x), np.empty(0, np.float32) if weights is None
                      else np.ascontiguousarray(weights), deviation, count)
    return deviation, count


@jit_strict
def boxcar_scatter_nb(x, weights, deviation, count):
    """Fill in `deviation` and `count` as `boxcar_scatter` does; `weights` may be of shape (0,)."""
    weights = _quiet_nb(x, weights)
    step = 1
    while x.size // step > _BOXCARS:
        step *= 2
    values = np.empty(x.size // step, np.float32)
    sums, shares = x, weights
    for k in range(deviation.size):
        if k > 0:
            sums, shares = _halved_nb(sums), _halved_nb(shares)
        deviation[k], count[k] = _deviation_nb(sums, shares, max(1, step >> k),
                                               np.float32(2.0**k), values)


@jit_strict_inner_arrays
def _quiet_nb(x, weights):
    """Return the weights, which are 0 in stretches in which signals raise the sum."""
    n = x.size // _BUSY
    if n < _LEAST + 1:
        return weights
    sums, shares = _pairs_of_stretches_nb(x), _pairs_of_stretches_nb(weights)
    for i in range(shares.size):
        share = shares[i] / np.float32(2 * _BUSY)
        sums[i] = sums[i] / np.sqrt(share) if share >= _WHOLE else np.float32(np.nan)
    busy = np.zeros(n - 1, np.bool_)
    some = np.empty(n - 1, np.float32)
    is_busy, again = False, True
    while again:
        again, left = False, 0
        for value in sums:
            some[left] = value
            left += np.int64(value == value)
        if left < _LEAST:
            break
        middle, left = median_nb(some, left), 0
        for value in sums:
            some[left] = middle - value
            left += np.int64(value <= middle)
        high = np.float32(_HIGH * MAD_SIGMA) * median_nb(some, left)
        for i in range(sums.size):
            if sums[i] - middle > high:
                sums[i], busy[i] = np.nan, True
                is_busy = again = True
    if not is_busy:
        return weights
    weights = weights.copy() if weights.size else np.ones(x.size, np.float32)
    for i in range(n):
        for k in range(max(0, i - 2), min(n - 1, i + 2)):
            if busy[k]:
                weights[i * _BUSY : (i + 1) * _BUSY] = 0
    return weights


@jit_strict_inner_arrays
def _pairs_of_stretches_nb(x):
    """Return sums of two neighbouring stretches, which overlap; (0,) for no values."""
    size = 1
    while size < _BUSY:
        x, size = _halved_nb(x), 2 * size
    sums = np.empty(max(1, x.size) - 1, np.float32)
    for i in range(sums.size):
        sums[i] = x[i] + x[i + 1]
    return sums


@jit_strict_inner_arrays
def _halved_nb(x):
    """Return sums of two neighbours."""
    out = np.empty(x.size // 2, np.float32)
    for i in range(out.size):
        out[i] = x[2 * i] + x[2 * i + 1]
    return out


@jit_strict_inner
def _deviation_nb(sums, shares, stride, width, values):
    """Return the median absolute deviation of boxcars of enough samples, and their number."""
    n = _chosen_nb(sums, shares, stride, width, np.float32(0), values)
    if n < _LEAST:
        return np.nan, n
    middle = median_nb(values, n)
    _chosen_nb(sums, shares, stride, width, middle, values)
    for i in range(n):
        values[i] = abs(values[i])
    return np.float64(median_nb(values, n)), n


@jit_strict_inner
def _chosen_nb(sums, shares, stride, width, middle, values):
    """Fill in boxcars of enough samples less `middle`, and return their number."""
    n = 0
    for i in range(0, sums.size // stride * stride, stride):
        value, is_whole = sums[i], True
        if shares.size:
            is_whole = shares[i] >= _WHOLE * width
            value = value / np.sqrt(shares[i] / width) if is_whole else value
        values[n] = value - middle
        n += np.int64(is_whole)
    return n
