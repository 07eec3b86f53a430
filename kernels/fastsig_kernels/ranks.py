"""Quantiles of many values, by counting: vector code without unpredictable branches."""

import numpy as np

from . import _check
from ._jit import jit_strict
from .medians import count_below_nb, key_nb


def quantiles(x: np.ndarray, shares: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """Return quantiles of values, interpolated linearly as by `numpy.quantile`.

    Parameters
    ----------
    x : ndarray, shape (n,), float32, any unit
        Values; those that are not finite are ignored.
    shares : ndarray, shape (m,), float64
        Fractions of the values below each quantile, from 0 to 1.
    out : ndarray, shape (m,), float64, unit of x, optional
        Receives the quantiles; NaN if no value is finite.

    Returns
    -------
    ndarray, shape (m,), float64, unit of x
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape, or is not allowed.

    Notes
    -----
    A call allocates memory for a copy of x. NaN is ignored, and the GIL is released.
    """
    _check.array("x", x, ("float32",), 1)
    _check.array("shares", shares, ("float64",), 1)
    if not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError("shares: found a value outside 0 to 1")
    out = _check.output("out", out, shares.shape, "float64", x, shares)
    quantiles_nb(x, shares, out)
    return out


@jit_strict
def quantiles_nb(x, shares, out):
    """Fill `out` as `quantiles` does; nothing is checked."""
    values, n = np.empty(x.size, np.float32), 0
    for k in range(x.size):
        values[n] = x[k]
        n += np.isfinite(x[k])
    out[:] = np.nan
    if n == 0:
        return
    keys, pair = values[:n].view(np.int32), np.empty(2, np.int32)
    for k in range(n):
        keys[k] = key_nb(keys[k])
    for k in range(shares.size):
        place = shares[k] * (n - 1)
        rank = int(place)
        _put_around(keys, rank, pair)
        one, other = np.float64(pair.view(np.float32)[0]), np.float64(pair.view(np.float32)[1])
        share, step = place - rank, other - one
        out[k] = other - step * (1 - share) if share >= 0.5 else one + step * share


@jit_strict
def _put_around(keys, rank, pair):
    """Put the bits of the value of a rank, and of the next one, into `pair`."""
    low, high = np.int32(keys.min()), np.int32(keys.max())
    top = high
    while low < high:  # find the greatest key with `rank` or fewer keys below it
        middle = np.int32(high - (np.int64(high) - np.int64(low)) // 2)
        if count_below_nb(keys, middle) <= rank:
            low = middle
        else:
            high = np.int32(middle - 1)
    other, after = low, np.int64(low) + 1
    if after <= top and count_below_nb(keys, np.int32(after)) <= rank + 1:
        other = top
        for k in range(keys.size):
            other = min(other, keys[k] if keys[k] > low else top)
    pair[0], pair[1] = key_nb(low), key_nb(other)
