"""Deviations of spectra from a level that is known at points along the band."""

import numpy as np

from . import _check
from ._jit import jit_strict

__all__ = ["relative_to_level", "relative_to_level_nb"]


def relative_to_level(
    x: np.ndarray, level: np.ndarray, n: int, *, valid: np.ndarray | None = None,
    out: np.ndarray | None = None, total: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``x / level - 1`` and its sum over the rows.

    The level is interpolated linearly between groups of channels.

    Parameters
    ----------
    x : ndarray, shape (n_row, n_chan), float32, any unit
        Spectra; the last axis is contiguous.
    level : ndarray, shape (n_row, ceil(n_chan / n)), float32, unit of x
        Level at the centre of each group of `n` channels, as from `group_median`; beyond the
        centres of the first and the last group it is constant.
    n : int
        Number of channels in a group.
    valid : ndarray, shape of x, bool, optional
        Which samples are valid; all by default.
    out : ndarray, shape of x, float32, dimensionless, optional
        Receives the deviations; 0 where a sample is not valid or not finite, or the level is not
        above 0. The last axis is contiguous.
    total : ndarray, shape (n_chan,), float32, dimensionless, optional
        Receives the sum of the deviations over the rows.

    Returns
    -------
    out, total : ndarray, float32, dimensionless
        The deviations, with the shape of x, and their sum, (n_chan,): the arrays that were given,
        or new ones.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape, or n is below 1.

    Notes
    -----
    Allocates the reciprocal levels of one row when `out` and `total` are given; the GIL is
    released.
    """
    _check.array("x", x, ("float32",), 2)
    n = _check.count("n", n)
    _check.array("level", level, ("float32",), 2)
    _check.shape("level", level, (x.shape[0], -(-x.shape[1] // n)))
    if valid is not None:
        _check.array("valid", valid, ("bool",), 2)
        _check.shape("valid", valid, x.shape)
    out = _check.output("out", out, x.shape, "float32", x, level, valid, total)
    total = _check.output("total", total, x.shape[1:], "float32", x, level, valid, out)
    rows = np.ascontiguousarray(x)
    relative_to_level_nb(rows, level, n, np.empty((0, 0), np.bool_) if valid is None else valid,
                         out, total)
    return out, total


@jit_strict
def relative_to_level_nb(x, level, n, valid, out, total):
    """Fill `out` and `total` as `relative_to_level` does; `valid` may be of shape (0, 0)."""
    n_chan = x.shape[1]
    inverse = np.empty(n_chan, np.float32)
    total[:] = 0
    for i in range(x.shape[0]):
        _inverse_nb(level[i], n, inverse)
        values, target = x[i], out[i]
        for c in range(n_chan):
            y = values[c] * inverse[c] - np.float32(1)
            # False for what is not finite, and where there is no level.
            y = y if abs(y) < np.float32(np.inf) else np.float32(0)
            target[c] = y
        if valid.size:
            known = valid[i]
            for c in range(n_chan):
                target[c] = target[c] if known[c] else np.float32(0)
        for c in range(n_chan):
            total[c] += target[c]


@jit_strict
def _inverse_nb(level, n, out):
    """Fill `out` with the inverse of a level between groups; NaN where it is not above 0."""
    half = np.float32(0.5) * np.float32(n - 1)
    last = level.shape[0] - 1
    for group in range(level.shape[0]):
        first = group * n
        count = min(n, out.shape[0] - first)
        here = level[group]
        before = level[group - 1] if group else here
        after = level[group + 1] if group < last else here
        piece = out[first : first + count]
        for c in range(count):
            off = (np.float32(c) - half) / np.float32(n)
            other = before if off < 0 else after
            value = here + abs(off) * (other - here)
            piece[c] = np.float32(1) / value if value > 0 else np.float32(np.nan)
