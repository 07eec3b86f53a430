"""Sums of powers of spectra over time, from which mean, variance, skewness and kurtosis follow."""

from math import comb

import numpy as np

from . import _check
from ._jit import jit_strict

_TILE = 512  # channels summed together, so that their sums stay in the cache
_KINDS = ("uint8", "float32")
_MOST = 255  # largest center for which integers have no overflow


def power_sums(x: np.ndarray, *, center: np.ndarray | None = None,
               out: np.ndarray | None = None) -> np.ndarray:
    """Return the number of valid values of each channel, and the sums of their powers.

    ``out[p, c] = sum over t of (x[t, c] - center[c])^p``, p = 0 to 4, over values that are finite.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32 or uint8, any unit
        Spectra, with any strides.
    center : ndarray, shape (n_chan,), float32, unit of x, optional
        Values that are subtracted first, 0 by default. Central moments of values that vary little
        need a `center` near these values.
    out : ndarray, shape (5, n_chan), float64, powers 0 to 4 of the unit of x, optional
        Receives the sums.

    Returns
    -------
    ndarray, shape (5, n_chan), float64
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape.

    Notes
    -----
    A call allocates the sums of 512 channels, or of all channels for uint8. NaN is ignored, and the
    GIL is released. Four successive rows are added before they are added to the sum, in float64;
    the sums of integers about whole numbers are exact.
    """
    _check.array("x", x, _KINDS, 2)
    if center is None:
        center = np.zeros(x.shape[1], np.float32)
    _check.array("center", center, ("float32",), 1)
    _check.shape("center", center, x.shape[1:])
    out = _check.output("out", out, (5, x.shape[1]), "float64", x, center)
    if x.dtype == np.uint8 and np.all((np.abs(center) <= _MOST) & (center == np.rint(center))):
        _sum_codes(x, center.astype(np.int64), out)
    else:
        power_sums_nb(x, np.ascontiguousarray(center), out)
    return out


def _sum_codes(x: np.ndarray, center: np.ndarray, out: np.ndarray) -> None:
    """Do `power_sums` for integers: of codes as they are, from which those about centers follow."""
    from ._code_sums import sum_codes_nb

    sums = np.zeros((5, x.shape[1]), np.int64)
    sum_codes_nb(x if x.strides[1] == 1 else np.ascontiguousarray(x), sums)
    if not center.any():
        out[:] = sums
        return
    for power in range(5):
        out[power] = sum(comb(power, k) * sums[k] * (-center) ** (power - k)
                         for k in range(power + 1))


@jit_strict
def power_sums_nb(x, center, out):
    """Fill `out` as `power_sums` does; nothing is checked."""
    n_time, n_chan = x.shape
    sums, part, spare = np.empty((5, _TILE)), np.empty((5, _TILE)), np.empty((4, _TILE), x.dtype)
    for start in range(0, n_chan, _TILE):
        n = min(_TILE, n_chan - start)
        sums[:] = 0.0
        base = center[start : start + n]
        for first in range(0, n_time, 4):
            count = min(4, n_time - first)
            for k in range(count):
                spare[k, :n] = x[first + k, start : start + n]
            if count == 4:
                _add_four(spare[0], spare[1], spare[2], spare[3], base, sums, n)
            else:
                part[:] = 0.0
                for k in range(count):
                    _add_one(spare[k], base, part, n)
                for p in range(5):
                    for c in range(n):
                        sums[p, c] += part[p, c]
        out[:, start : start + n] = sums[:, :n]


@jit_strict
def _powers(value, base):
    """Return the powers 0 to 4 of a value, or 0 for all of them if it is not finite."""
    number = np.float64(value) - np.float64(base)
    good = np.isfinite(number)
    v = number if good else 0.0
    return (1.0 if good else 0.0), v, v * v, v * v * v, (v * v) * (v * v)


@jit_strict
def _add_one(row, base, sums, n):
    for c in range(n):
        p0, p1, p2, p3, p4 = _powers(row[c], base[c])
        sums[0, c] += p0
        sums[1, c] += p1
        sums[2, c] += p2
        sums[3, c] += p3
        sums[4, c] += p4


@jit_strict
def _add_four(a, b, c, d, base, sums, n):
    """Add four rows; the sums are loaded and stored once for all of them."""
    s0, s1, s2, s3, s4 = sums[0], sums[1], sums[2], sums[3], sums[4]
    for k in range(n):
        a0, a1, a2, a3, a4 = _powers(a[k], base[k])
        b0, b1, b2, b3, b4 = _powers(b[k], base[k])
        c0, c1, c2, c3, c4 = _powers(c[k], base[k])
        d0, d1, d2, d3, d4 = _powers(d[k], base[k])
        s0[k] += (a0 + b0) + (c0 + d0)
        s1[k] += (a1 + b1) + (c1 + d1)
        s2[k] += (a2 + b2) + (c2 + d2)
        s3[k] += (a3 + b3) + (c3 + d3)
        s4[k] += (a4 + b4) + (c4 + d4)
