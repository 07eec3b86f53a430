"""Maxima along tracks by sums of 16 bits, which show where a boxcar may be above the limit.

Only there, samples are summed in float32: a vector has twice as many numbers of 16 bits. They have
no sign, and no sum is too low: a sample is multiplied by a factor, raised by an offset and rounded
up. Those below 0 become 0, and samples and sums that are too large become the largest number, which
is above all bounds.
"""

from typing import Any, NamedTuple

import numpy as np

from ._jit import jit_strict_inner, jit_strict_inner_arrays
from ._maxima_loops import COLUMNS, raise_lines
from ._track_rows import rows_nb
from ._track_vectors import (
    HIGHEST,
    LANES,
    SHORT_LANES,
    SUMMED,
    add_shorts,
    copy_shorts,
    lowest_bit,
    shorts_are_high,
    shorts_of,
    sum_shorts,
    sum_track,
)

__all__ = ["Shorts", "raise_quickly_nb", "read_nb", "short_bounds_nb", "shorts_nb"]

_WIDE = 512  # columns at a time: sums of two rows stay in the first-level cache
_OFFSET = 1.5  # times the bound of a sum over the root of the number of rows
_MOST_ROWS = 256  # for which the steps of sums of 16 bits are fine
_FACTORS = 1e-30, 1e30  # that float32 represents with all its digits
_DENSE = 16  # about one of this many blocks of 64 columns is summed in float32, at most


class Shorts(NamedTuple):
    """Work space of sums of 16 bits, for a line of columns.

    Parameters
    ----------
    bounds : ndarray, shape (5,), float64
        See `short_bounds_nb`.
    line : int
        Columns of a line.
    reach : int
        Last column of the tracks that begin at the first one.
    before : int
        Columns before the first one that pairs of rows need.
    samples, pairs : ndarray, uint16
        Rows, and sums of two rows for a set of tracks.
    rows : ndarray, shape (n_set, n_track, n_pair), int64
        Addresses of the first columns of tracks in `pairs`.
    sums : ndarray, uint16
        Sums along a track.
    total : ndarray, float32
        Sums of the samples of a block along a track.
    tile : ndarray, shape (n_row, n), float32
        Samples of a block at the end of rows, which have too few columns.
    straight : ndarray, shape (n_row,), int64
        The track of a block in `tile`.
    """

    bounds: Any
    line: Any
    reach: Any
    before: Any
    samples: Any
    pairs: Any
    rows: Any
    sums: Any
    total: Any
    tile: Any
    straight: Any


@jit_strict_inner_arrays
def short_bounds_nb(bounds, n_row, is_weighted):
    """Return the factor and the offset of samples, and the bounds of sums, in 16 bits.

    `bounds` are those of sums in float32. The factor is 0 if sums of 16 bits are not used: with
    weights, bounds are so low that they leave much.
    """
    out = np.zeros(5, np.float64)
    single, pair = np.float64(bounds[1]), np.float64(bounds[2])
    alone = np.float64(bounds[3]) if bounds[3] < np.inf else 0.0
    if is_weighted or n_row > _MOST_ROWS or not 0 < single < np.inf:
        return out
    low = _OFFSET * single / np.sqrt(n_row)
    factor = np.float64(np.float32((HIGHEST - 4 * n_row) / (2 * n_row * low + max(pair, alone))))
    if not _FACTORS[0] < factor < _FACTORS[1]:
        return out
    zero = np.ceil(low * factor)
    out[0], out[1] = factor, zero + 1  # which is then rounded down
    # Rounding errors of products, and those of sums in float32 of samples that are in range.
    error = 1 + n_row / 64 + n_row * (n_row / 2 + 1) * HIGHEST * 2.0**-24
    for k in range(1, 4):
        n = 2 if k == 2 else 1
        bound = np.floor(factor * bounds[k] - n * error) + n * n_row * zero
        out[k + 1] = max(0.0, min(bound, np.float64(HIGHEST)))
    return out


@jit_strict_inner_arrays
def shorts_nb(bounds, n_row, tracks, longest, steps, stops, places):
    """Return the work space of sums of 16 bits."""
    after = longest - 1 + -(longest - 1) % LANES
    wide = max(_WIDE, after + SUMMED)
    wide += -wide % SUMMED
    before = max(0, -steps[:, 1].min())
    before += -before % SHORT_LANES
    reach = tracks.max()
    wanted = wide + reach
    wanted += -wanted % SHORT_LANES
    n = 1 if bounds[0] > 0 else 0
    samples = rows_nb(n * n_row, before + wanted + max(0, steps[:, 1].max()) + LANES, np.uint16)
    pairs = rows_nb(n * np.diff(stops).max(), wanted, np.uint16)
    rows = np.empty((n * tracks.shape[0], *places.shape[1:]), np.int64)
    for k in range(rows.shape[0]):
        for track in range(rows.shape[1]):
            for i in range(rows.shape[2]):
                rows[k, track, i] = (pairs[places[k, track, i]].ctypes.data
                                     + 2 * tracks[k, track, 2 * i])
    block = longest - 1 + -(longest - 1) % COLUMNS + COLUMNS
    return Shorts(bounds, wide - after, reach, before, samples, pairs, rows,
                  np.zeros(wide + SHORT_LANES, np.uint16),
                  np.zeros(block + COLUMNS, np.float32),
                  np.zeros((n_row, block), np.float32), np.zeros(n_row, np.int64))


@jit_strict_inner
def raise_quickly_nb(x, tracks, steps, first, shorts, table, limits, best, n):
    """Raise the maxima of `n` columns from `first` on; return False if that would take too long.

    `table` contains the rows of these tracks. `best` has whole blocks of 64 columns.
    """
    _add_shorts_nb(steps, shorts)
    n_sum, n_block = shorts.sums.size - SHORT_LANES, (n + COLUMNS - 1) // COLUMNS
    back = shorts.tile.shape[1] // COLUMNS - 1
    source = shorts.sums.ctypes.data
    # Each track makes room for some blocks, so that it is known early where there are too many.
    room = (_DENSE + tracks.shape[0] // 4) * n_block
    floor, pair, single = shorts.bounds[2], shorts.bounds[3], shorts.bounds[4]
    for track in range(tracks.shape[0]):
        room += n_block
        done, rows = 0, table[track].ctypes.data
        high = 0
        for at in range(0, n_sum, SUMMED):
            found = sum_shorts(rows, table.shape[1], 2 * at, source + 2 * at,
                               np.int64(floor))
            high |= found << (at // COLUMNS)
        while high:
            b = lowest_bit(high)
            high &= high - 1
            if shorts_are_high(source + 2 * COLUMNS * b, np.int64(pair), np.int64(single)):
                for k in range(max(b - back, done), min(b + 1, n_block)):
                    room -= _DENSE
                    if room < 0:
                        return False
                    _block_nb(x, tracks[track], first + COLUMNS * k, shorts, limits,
                              best[COLUMNS * k :])
                done = b + 1
    return True


@jit_strict_inner
def read_nb(x, first, shorts):
    """Fill rows with samples from the column `first` on; columns outside `x` keep any numbers."""
    factor, offset = np.float32(shorts.bounds[0]), np.float32(shorts.bounds[1])
    start, stop = max(0, first), min(first + shorts.samples.shape[1] - LANES, x.shape[1])
    whole = start + (stop - start) // LANES * LANES
    for row in range(x.shape[0]):
        source, out = x.ctypes.data + row * x.strides[0], shorts.samples[row].ctypes.data
        for c in range(start, whole, LANES):
            shorts_of(source + 4 * c, 4 * shorts.line, factor, offset, out + 2 * (c - first))
        for c in range(whole, stop):
            value = x[row, c] * factor + offset
            value = value if value > 0 else np.float32(0)
            value = value if value < HIGHEST else np.float32(HIGHEST)
            shorts.samples[row, c - first] = np.uint16(np.int32(value))


@jit_strict_inner
def _add_shorts_nb(steps, shorts):
    """Make sums of two rows; the last one of an odd number is alone."""
    samples, before = shorts.samples, shorts.before
    for i in range(steps.shape[0]):
        row, step = steps[i]
        one, out = samples[row].ctypes.data + 2 * before, shorts.pairs[i].ctypes.data
        if row + 1 < samples.shape[0]:
            other = samples[row + 1].ctypes.data + 2 * (before + step)
            for at in range(0, 2 * shorts.pairs.shape[1], 2 * SHORT_LANES):
                add_shorts(one + at, other + at, out + at)
        else:
            for at in range(0, 2 * shorts.pairs.shape[1], 2 * SHORT_LANES):
                copy_shorts(one + at, out + at)


@jit_strict_inner
def _block_nb(x, track, first, shorts, limits, best):
    """Raise the maxima of 64 columns from `first` on to boxcars along a track."""
    n_row, n = shorts.tile.shape
    source, step, places = x.ctypes.data + 4 * first, x.strides[0], track
    if first + n + shorts.reach > x.shape[1]:
        for row in range(n_row):
            for c in range(min(n, x.shape[1] - first - track[row])):
                shorts.tile[row, c] = x[row, first + track[row] + c]
        source, step, places = shorts.tile.ctypes.data, shorts.tile.strides[0], shorts.straight
    out = shorts.total.ctypes.data
    for at in range(0, 4 * n, 4 * COLUMNS):
        sum_track(source + at, step, places.ctypes.data, n_row, out + at)
    raise_lines(out, limits.factor.ctypes.data, limits.factor.size, best.ctypes.data,
                limits.bounds[0])
