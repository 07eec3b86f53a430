"""Halving: sums of pairs of spectra of unit noise, which have unit noise again."""

import numpy as np

from . import _check
from ._jit import jit_strict

#: ``2^16 / sqrt(2)``, rounded.
_ROOT = 46341
_HALF = 2**15
_LARGEST = 127


def halve(x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    r"""Halve the rate of spectra, keeping their noise.

    .. math:: y_{tc} = (x_{2t,c} + x_{2t+1,c}) / \sqrt{2}

    rounded to integers and limited to -127 and 127.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), int8, dimensionless
        Spectra with a mean of 0; an even number of them.
    out : ndarray, shape (n_time / 2, n_chan), int8, optional
        Receives the result. Must not overlap x.

    Returns
    -------
    ndarray
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape.

    Notes
    -----
    Allocates nothing for a C-contiguous input if `out` is given; the GIL is released.
    """
    out = _check.output("out", out, _half(x), "int8", x)
    halve_nb(np.ascontiguousarray(x), out)
    return out


def halve_valid(x: np.ndarray, valid: np.ndarray, *, out: np.ndarray | None = None,
                valid_out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Halve the rate of spectra as `halve` does, some samples of which are not valid.

    Where only one of a pair is valid, the result is that one, which has the same noise; where
    neither is, it is 0.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), int8, dimensionless
        Spectra with a mean of 0; an even number of them.
    valid : ndarray, shape (n_time, n_chan), bool
        Which samples are valid.
    out : ndarray, shape (n_time / 2, n_chan), int8, optional
        Receives the result. Must not overlap another array.
    valid_out : ndarray, shape (n_time / 2, n_chan), bool, optional
        Receives which results are valid: those of which one sample or both are.

    Returns
    -------
    (ndarray, ndarray)
        `out` and `valid_out`, or new arrays.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape.

    Notes
    -----
    Allocates nothing for C-contiguous inputs if the outputs are given; the GIL is released.
    """
    shape = _half(x)
    _check.array("valid", valid, ("bool",), 2)
    _check.shape("valid", valid, x.shape)
    out = _check.output("out", out, shape, "int8", x, valid)
    valid_out = _check.output("valid_out", valid_out, shape, "bool", x, valid, out)
    halve_valid_nb(np.ascontiguousarray(x), np.ascontiguousarray(valid), out, valid_out)
    return out, valid_out


def _half(x: np.ndarray) -> tuple[int, int]:
    """Return the shape of half as many spectra, after checking them."""
    _check.array("x", x, ("int8",), 2)
    if len(x) % 2:
        raise ValueError(f"x: found {len(x)} spectra, allowed an even number")
    return len(x) // 2, x.shape[1]


@jit_strict
def halve_nb(x, out):
    """Halve the rate as `halve` does; arguments are not checked."""
    for t in range(out.shape[0]):
        one, other, row = x[2 * t], x[2 * t + 1], out[t]
        for c in range(out.shape[1]):
            total = np.int32(one[c]) + np.int32(other[c])
            scaled = (total * np.int32(_ROOT) + np.int32(_HALF)) >> np.int32(16)
            row[c] = max(np.int32(-_LARGEST), min(np.int32(_LARGEST), scaled))


@jit_strict
def halve_valid_nb(x, valid, out, valid_out):
    """Halve the rate as `halve_valid` does; arguments are not checked."""
    for t in range(out.shape[0]):
        one, other, row = x[2 * t], x[2 * t + 1], out[t]
        use, use_other, used = valid[2 * t], valid[2 * t + 1], valid_out[t]
        for c in range(out.shape[1]):
            a = np.int32(one[c]) if use[c] else np.int32(0)
            b = np.int32(other[c]) if use_other[c] else np.int32(0)
            scaled = ((a + b) * np.int32(_ROOT) + np.int32(_HALF)) >> np.int32(16)
            both = use[c] & use_other[c]
            found = scaled if both else a + b
            row[c] = max(np.int32(-_LARGEST), min(np.int32(_LARGEST), found))
            used[c] = use[c] | use_other[c]
