"""Deviations of spectra from a level that is known at points along the band, and sums of these."""

import numpy as np

from . import _check
from ._jit import jit_strict, jit_strict_inner
from ._order import flat_rows

__all__ = ["pair_sums", "pair_sums_nb", "relative_to_level", "relative_to_level_nb"]

_BLOCK = 1024  # channels of a row at a time


def relative_to_level(
    x: np.ndarray, level: np.ndarray, n: int, *, valid: np.ndarray | None = None,
    out: np.ndarray | None = None, total: np.ndarray | None = None,
    count: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ``x / level - 1``, its sum over the rows, and the number of samples in each sum.

    The level is interpolated linearly between groups of channels.

    Parameters
    ----------
    x : ndarray, shape (n_row, n_chan), float32, any unit
        Spectra; the last axis is contiguous.
    level : ndarray, shape (n_row, ceil(n_chan / n)), float32, unit of x
        Level at the centre of each group of `n` channels, as from `group_median`; it is constant
        beyond the centre of a group whose neighbour has no level. A level that is NaN or not above
        0 counts as none.
    n : int
        Number of channels in a group.
    valid : ndarray, shape of x, bool, optional
        Which samples are valid; all by default.
    out : ndarray, shape of x, float32, dimensionless, optional
        Receives the deviations; 0 where a sample is not valid or not finite, or its group has no
        level. The last axis is contiguous.
    total : ndarray, shape (n_chan,), float32, dimensionless, optional
        Receives the sum of the deviations over the rows.
    count : ndarray, shape (n_chan,), float32, optional
        Receives the number of samples in each sum that are valid, finite and have a level.

    Returns
    -------
    out, total, count : ndarray, float32, dimensionless
        The deviations, with the shape of x, their sum, (n_chan,), and the number of samples in it,
        (n_chan,): the arrays that were given, or new ones.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape, or n is below 1.

    Notes
    -----
    A call allocates a number for each channel of a group when `out`, `total` and `count` are given;
    the GIL is released.
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
    count = _check.output("count", count, x.shape[1:], "float32", x, level, valid, out, total)
    relative_to_level_nb(*flat_rows(x), level, n,
                         np.empty((0, 0), np.bool_) if valid is None else valid, out, total, count)
    return out, total, count


@jit_strict
def relative_to_level_nb(x, row, level, n, valid, out, total, count):
    """Fill `out`, `total` and `count` as `relative_to_level` does; `valid` may be (0, 0).

    The rows of `x`, (n_value,), begin `row` values apart.
    """
    n_chan = total.shape[0]
    off = np.empty(min(n, n_chan), np.float32)
    _offsets_nb(n, off)
    total[:], count[:] = 0, level.shape[0]
    # Row by row: the processor fetches what is in sequence in advance, even from distant memory.
    for i in range(level.shape[0]):
        for group in range(level.shape[1]):
            levels = _levels_nb(level[i], group)
            for begin in range(0, min(n, n_chan - group * n), _BLOCK):
                first = group * n + begin
                stop = min(first + _BLOCK, (group + 1) * n, n_chan)
                values = x[i * row + first : i * row + stop]
                here = off[begin : begin + stop - first]
                if valid.size:
                    _add_valid_nb(values, levels, here, valid[i, first:stop], out[i, first:stop],
                                  total[first:stop], count[first:stop])
                elif not _add_nb(values, levels, here, out[i, first:stop], total[first:stop]):
                    _discount_nb(values, levels, here, count[first:stop])


@jit_strict_inner
def _offsets_nb(n, out):
    """Fill `out` with the distances of channels of a group from its centre, in groups."""
    half = np.float32(0.5) * np.float32(n - 1)
    for c in range(out.size):
        out[c] = (np.float32(c) - half) / np.float32(n)


@jit_strict_inner
def _levels_nb(level, group):
    """Return the level of a group, and those before and after it; NaN if it has none."""
    here = level[group]
    if not here > 0:
        return np.float32(np.nan), np.float32(np.nan), np.float32(np.nan)
    before = level[group - 1] if group and level[group - 1] > 0 else here
    after = level[group + 1] if group < level.shape[0] - 1 and level[group + 1] > 0 else here
    return here, before, after


@jit_strict_inner
def _deviation_nb(x, levels, off):
    """Return a value relative to the level at a distance from the centre of a group."""
    here, before, after = levels
    other = before if off < 0 else after
    return x * (np.float32(1) / (here + abs(off) * (other - here))) - np.float32(1)


@jit_strict_inner
def _add_nb(values, levels, off, out, total):
    """Fill `out` with deviations of a block, and add them to sums; return whether all are known."""
    n = 0
    for c in range(values.size):
        y = _deviation_nb(values[c], levels, off[c])
        # False for what is not finite, and where there is no level.
        is_known = abs(y) < np.float32(np.inf)
        y = y if is_known else np.float32(0)
        out[c] = y
        total[c] += y
        n += np.int32(is_known)
    return n == values.size


@jit_strict_inner
def _discount_nb(values, levels, off, count):
    """Subtract 1 where a deviation is not known."""
    for c in range(values.size):
        is_known = abs(_deviation_nb(values[c], levels, off[c])) < np.float32(np.inf)
        count[c] -= np.float32(0) if is_known else np.float32(1)


@jit_strict_inner
def _add_valid_nb(values, levels, off, valid, out, total, count):
    """Do as `_add_nb` and `_discount_nb`, for those samples that are valid."""
    for c in range(values.size):
        y = _deviation_nb(values[c], levels, off[c])
        is_known = abs(y) < np.float32(np.inf) and valid[c]
        y = y if is_known else np.float32(0)
        out[c] = y
        total[c] += y
        count[c] -= np.float32(0) if is_known else np.float32(1)


def pair_sums(x: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """Return sums of two neighbours: ``out[i, c] = x[i, 2 c] + x[i, 2 c + 1]``.

    Parameters
    ----------
    x : ndarray, shape (n_row, n), float32, any unit
        Values; the last one is left out if their number is odd.
    out : ndarray, shape (n_row, n // 2), float32, unit of x, optional
        Receives the sums; the last axis is contiguous.

    Returns
    -------
    ndarray, shape (n_row, n // 2), float32, unit of x
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape.

    Notes
    -----
    A call allocates no memory when `out` is given and the last axis of x is contiguous. NaN
    propagates, and the GIL is released.
    """
    _check.array("x", x, ("float32",), 2)
    out = _check.output("out", out, (x.shape[0], x.shape[1] // 2), "float32", x)
    pair_sums_nb(*flat_rows(x), out)
    return out


@jit_strict
def pair_sums_nb(x, row, out):
    """Fill `out` as `pair_sums` does; rows of `x`, (n_value,), begin `row` values apart."""
    for i in range(out.shape[0]):
        add_pairs_nb(x[i * row : i * row + 2 * out.shape[1]], out[i])


@jit_strict_inner
def add_pairs_nb(x, out):
    """Fill `out` with sums of two neighbours."""
    for c in range(out.size):
        out[c] = x[2 * c] + x[2 * c + 1]
