"""Maxima along tracks by sums of float32, of all columns."""

from typing import Any, NamedTuple

import numpy as np

from ._jit import jit_strict_inner, jit_strict_inner_arrays
from ._maxima_limits import raise_nb
from ._maxima_loops import COLUMNS, add_vector, copy_vector, has_high, sum_track_lines
from ._track_rows import rows_nb
from ._track_vectors import LANES

__all__ = ["Floats", "floats_nb", "raise_all_nb"]

_WIDE = 256  # columns at a time: sums of two rows stay in the first-level cache


class Floats(NamedTuple):
    """Work space of sums of float32, for a line of columns.

    Parameters
    ----------
    line : int
        Columns of a line.
    before, after : int
        Columns before the first one, and from it on, that pairs of rows need.
    tile : ndarray, float32
        Rows that have too few columns.
    pairs, known : ndarray, float32
        Sums of two rows of samples, and numbers of valid ones, for a set of tracks.
    rows : ndarray, shape (2, n_set, n_track, n_pair), int64
        Addresses of the first columns of tracks in both.
    sums : ndarray, shape (2, n), float32
        Sums along a track.
    """

    line: Any
    before: Any
    after: Any
    tile: Any
    pairs: Any
    known: Any
    rows: Any
    sums: Any


@jit_strict_inner_arrays
def floats_nb(n_row, is_weighted, tracks, longest, steps, stops, places):
    """Return the work space of sums of float32."""
    # Sums of two rows are made from columns before the first one and after the last one, too,
    # which are not used: rows have room for them.
    before = max(0, -steps[:, 1].min())
    before += -before % LANES
    more = longest - 1 + -(longest - 1) % COLUMNS
    wide = max(_WIDE, more + COLUMNS)
    wanted = wide + tracks.max()
    wanted += -wanted % LANES
    after = wanted + max(0, steps[:, 1].max())
    n = np.diff(stops).max()
    pairs = rows_nb(n, wanted, np.float32)
    known = rows_nb(n if is_weighted else 0, wanted, np.float32)
    rows = np.empty((2, *places.shape), np.int64)
    for k in range(places.shape[0]):
        for track in range(places.shape[1]):
            for i in range(places.shape[2]):
                place, at = places[k, track, i], 4 * tracks[k, track, 2 * i]
                rows[0, k, track, i] = pairs[place].ctypes.data + at
                rows[1, k, track, i] = known[place].ctypes.data + at if is_weighted else 0
    return Floats(wide - more, before, after, rows_nb(n_row, before + after, np.float32), pairs,
                  known, rows, np.zeros((2, wide + COLUMNS), np.float32))


@jit_strict_inner
def raise_all_nb(x, valid, steps, start, floats, rows, limits, best, n):
    """Raise the maxima of `n` columns from `start` on; `best` has whole blocks of 64.

    `rows` are those of `floats` for one set of tracks, of which `steps` are the pairs.
    """
    is_weighted, sums = valid.size > 0, floats.sums
    for at in range(0, n, floats.line):
        first, is_known = start + at, False
        _add_pairs_nb(_source_nb(x, first, floats), steps, floats.pairs)
        for track in range(rows.shape[1]):
            if not _sum_track_nb(rows[0, track], limits.bounds, sums[0]):
                continue
            if is_weighted:
                if not is_known:
                    _add_pairs_nb(_source_nb(valid, first, floats), steps, floats.known)
                    is_known = True
                _sum_track_nb(rows[1, track], limits.bounds, sums[1])
            raise_nb(sums, is_weighted, best[at:], min(floats.line, n - at), limits)


@jit_strict_inner
def _source_nb(x, first, floats):
    """Return address, stride and number of rows that begin with the column `first`.

    If `x` has too few columns before it or from it on, those that it has are copied to the tile.
    """
    before, tile = floats.before, floats.tile
    if first >= before and first + floats.after <= x.shape[1]:
        return x.ctypes.data + 4 * first, x.strides[0], x.shape[0]
    n = min(floats.pairs.shape[1], x.shape[1] - first)
    for row in range(x.shape[0]):
        for c in range(n):
            tile[row, before + c] = x[row, first + c]
    return tile.ctypes.data + 4 * before, tile.strides[0], tile.shape[0]


@jit_strict_inner
def _add_pairs_nb(source, steps, pairs):
    """Fill `pairs` with sums of two rows; the last one of an odd number is alone."""
    first, stride, n_row = source
    for i in range(steps.shape[0]):
        row, step = steps[i]
        one, out = first + row * stride, pairs[i].ctypes.data
        other = one + stride + 4 * step if row + 1 < n_row else 0
        for at in range(0, 4 * pairs.shape[1], 4 * LANES):
            if other:
                add_vector(one + at, other + at, out + at)
            else:
                copy_vector(one + at, out + at)


@jit_strict_inner
def _sum_track_nb(rows, bounds, out):
    """Sum the columns of a line along a track; return whether a boxcar may be above the limit."""
    source, sums, is_high = rows.ctypes.data, out.ctypes.data, 0
    for at in range(0, 4 * (out.size - COLUMNS), 4 * COLUMNS):
        is_high |= sum_track_lines(source, rows.shape[0], at, sums + at, bounds[1])
    if is_high:
        is_high = 0
        for at in range(0, 4 * (out.size - COLUMNS), 4 * COLUMNS):
            is_high |= has_high(sums + at, bounds[2], bounds[3])
    return is_high
