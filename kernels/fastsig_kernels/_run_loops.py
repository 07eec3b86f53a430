"""Loops of the search of runs of samples that deviate, in tiles of channels that stay in the cache.

Almost all windows of noise are below their limits. All of them are compared with slightly lower
ones in vector code of integers, without a decision for each; channels and parts of rows in which
one is above are then tested sample by sample, by the code of `thresholding`. So the flags are the
same. Nothing is checked here.

The deviations of a tile are stored as vectors of 32 channels, all rows of one after the other, with
0 where they are not finite or flagged. Windows along a row may reach into the next tile, so that
the tile before it is kept.
"""

import math

import numpy as np

from ._jit import jit_strict, jit_strict_inner, one_form
from ._level_loops import last_channels_nb, room_nb
from ._level_vectors import LANES
from ._line_loops import FLAGGED, flag_lines_nb, put_nb, take_marks_nb
from ._run_vectors import (
    GROUPS,
    LARGEST,
    MOST_WINDOWS,
    ROOT_ERROR,
    WIDE,
    add_three_times,
    clear_six,
    fill_tile,
    lanes_above,
    row_above,
)
from ._simd import address_of
from .levels import finish_deviations_nb

_TILE = GROUPS * WIDE
_LINE = 2 * WIDE
_NO_LIMIT = 2**15 - 1  # no sum is larger
_LONGEST = 2 ** (MOST_WINDOWS - 1)  # samples of the longest window


@jit_strict
def flag_runs_nb(spec, floats, x, series, flags, thresholds, factor, base, curved, size, less):
    """Modify `flags` as `flag_deviations` does, for windows of up to 64 samples.

    Rows of `x` are contiguous. Deviations are ``x - series``, multiplied by `factor`, plus `base`,
    after `finish_deviations_nb`. `floats` is the `Spec` of float32, and `spec` that of `x`.
    """
    n, n_chan = x.shape
    n_tile, rows = -(-n_chan // _TILE), -(-n // _LONGEST) * _LONGEST + _LONGEST
    span = (rows + 1) * WIDE  # so that the vectors of a row lie in different sets of the cache
    planes, counts = _integers_nb(2 * GROUPS * span), _integers_nb(2 * GROUPS * span)
    work, most = _integers_nb(span), _integers_nb((GROUPS + 6) * WIDE)
    planes[:], counts[:], work[:] = np.int16(0), np.int16(1), np.int16(0)
    scale, limits = _limits(thresholds, less, curved)
    used, hot = _flagged_channels(flags), np.zeros((n, n_tile), np.bool_)
    marked = np.zeros((2, n), np.bool_)
    lines, bits = np.empty((7, max(n, n_chan)), np.float32), np.empty(max(n, n_chan), np.int32)
    tail, tables = last_channels_nb(x), room_nb(2 * _TILE + LANES)
    tables[2 * _TILE], tables[2 * _TILE + 1], tables[2 * _TILE + 2] = size, less, scale
    for k in range(n_tile + 1):
        half, first = k % 2, k * _TILE
        place = half * GROUPS * span
        target = address_of(planes) + 2 * place
        _renew_nb(counts, marked[half], place, span)
        if k < n_tile:
            _set_tables(tables, factor[first : first + _TILE], base[first : first + _TILE])
            if first + _TILE <= n_chan:
                _fill_nb(spec, address_of(x) + first * x.itemsize, x.strides[0], series, tables,
                         curved, target, 2 * span, most)
            else:
                _fill_nb(floats, address_of(tail), 4 * _TILE, series, tables, curved, target,
                         2 * span, most)
            lanes = 0
            for c in range(first, min(first + _TILE, n_chan)):
                g, lane = (c - first) // WIDE, c % WIDE
                if lane == 0:
                    lanes = _columns_above_nb(target + 2 * g * span, address_of(work), n,
                                              address_of(most), g, address_of(limits))
                if used[c] or (lanes >> lane) & 1:
                    _flag_column_nb(x, series, flags, c, thresholds, factor, base, curved, size,
                                    less, lines, bits)
                    _clear_nb(lines[2, :n], planes, counts, marked[half], place + g * span + lane)
        else:
            planes[place : place + GROUPS * span] = np.int16(0)
        if k > 0:
            there = 2 * (1 - half) * GROUPS * span, 2 * place
            _rows_above_nb(address_of(planes), address_of(counts), there, 2 * span, marked,
                           address_of(limits), hot[:, k - 1])
    for t in range(n):
        if np.any(hot[t]):
            _flag_row_nb(x[t], series[t], flags[t], hot[t], thresholds, factor, base, curved, size,
                         less, lines, bits)


@jit_strict
def _integers_nb(n):
    """Return uninitialised int16 that begin with a line of the cache."""
    return room_nb(-(-n // 2)).view(np.int16)


@jit_strict
def _limits(thresholds, offset, curved):
    """Return the scale of deviations, and the limits of sums of 1, 2, 4, ... scaled integers.

    If `curved`, a deviation is a multiple of a root minus `offset`. An integer lacks up to 1 by its
    fraction, and what its root lacks; 1 is for rounding. There is no limit for windows that are not
    wanted.
    """
    scale, limits = LARGEST / thresholds[0], np.full(MOST_WINDOWS, _NO_LIMIT, np.int16)
    off = 1 + (scale * ROOT_ERROR * (thresholds[0] + abs(offset)) if curved else 0.0)
    for w in range(thresholds.size):
        limit = math.floor((thresholds[w] * scale - off) * (1 << w)) - 1
        limits[w] = np.int16(max(-1, min(limit, _NO_LIMIT)))
    return np.float32(scale), limits


@jit_strict
def _set_tables(tables, factor, base):
    """Set what `fill_tile` needs of channels; those that do not exist have NaN."""
    tables[: 2 * _TILE] = np.float32(np.nan)
    tables[: factor.size] = factor
    tables[_TILE : _TILE + base.size] = base


@jit_strict
def _flagged_channels(flags):
    """Return which channels have flags."""
    used = np.zeros(flags.shape[1], np.bool_)
    for t in range(flags.shape[0]):
        row = flags[t]
        for c in range(row.size):
            used[c] |= row[c]
    return used


@jit_strict_inner
def _fill_nb(spec, x, step, series, tables, curved, target, span, most):
    """Store the deviations of a tile of channels."""
    n, values, table = series.size, address_of(series), address_of(tables)
    if curved:
        fill_tile(spec, 1, x, step, values, n, table, target, span, address_of(most))
    else:
        fill_tile(spec, 0, x, step, values, n, table, target, span, address_of(most))


@jit_strict_inner
def _columns_above_nb(x, work, n, most, group, limits):
    """Return the channels of a vector with a window over its limit, a bit each.

    Beyond the end of the rows, `x` and `work` are 0. `most` begins with the largest magnitudes of
    the vectors of a tile; the rest is working memory, for those of sums.
    """
    lanes, sums = lanes_above(0, most + group * _LINE, limits), most + GROUPS * _LINE
    clear_six(sums)
    for t in range(0, n, 8):
        add_three_times(1, x + t * _LINE, _LINE, work + t * _LINE, sums)
    for t in range(0, n, _LONGEST):
        for k in range(8):
            add_three_times(0, work + (t + k) * _LINE, 8 * _LINE, work, sums + 3 * _LINE)
    return (lanes | lanes_above(1, sums, limits) | lanes_above(2, sums + _LINE, limits)
            | lanes_above(3, sums + 2 * _LINE, limits) | lanes_above(4, sums + 3 * _LINE, limits)
            | lanes_above(5, sums + 4 * _LINE, limits) | lanes_above(6, sums + 5 * _LINE, limits))


@jit_strict_inner
def _rows_above_nb(planes, counts, there, step, marked, limits, hot):
    """Note the rows in which a window that begins in the earlier of two tiles is over its limit."""
    for t in range(hot.size):
        a, b = there[0] + t * _LINE, there[1] + t * _LINE
        if marked[0, t] or marked[1, t]:
            hot[t] = row_above(1, planes + a, planes + b, counts + a, counts + b, step, limits)
        else:
            hot[t] = row_above(0, planes + a, planes + b, counts + a, counts + b, step, limits)


@jit_strict_inner
def _renew_nb(counts, marked, place, span):
    """Let all samples of a tile count again."""
    for t in range(marked.size):
        if marked[t]:
            marked[t] = False
            for g in range(GROUPS):
                at = place + g * span + t * WIDE
                for lane in range(WIDE):
                    counts[at + lane] = np.int16(1)


@jit_strict_inner
def _clear_nb(marks, planes, counts, marked, place):
    """Let the flagged samples of a channel not count."""
    for t in range(marks.size):
        if marks[t] == FLAGGED:
            planes[place + t * WIDE] = counts[place + t * WIDE] = np.int16(0)
            marked[t] = True


@jit_strict
def _flag_column_nb(x, series, flags, c, thresholds, factor, base, curved, size, less, lines, bits):
    """Flag runs of a channel; its marks are then in `lines`."""
    n = x.shape[0]
    values, marks = lines[0, :n], lines[2, :n]
    for t in range(n):
        values[t] = (np.float32(x[t, c]) - series[t]) * factor[c] + base[c]
    finish_deviations_nb(values, bits[:n], curved, size, less)
    take_marks_nb(flags[:, c], marks)
    if flag_lines_nb(values, lines[1, :n], marks, n, thresholds, lines[3, :n], lines[4, :n],
                     lines[5, :n], lines[6, :n]):
        put_nb(marks, flags[:, c])


@jit_strict
def _flag_row_nb(x, level, flags, hot, thresholds, factor, base, curved, size, less, lines, bits):
    """Flag runs of a row that has a window over its limit in some of its tiles."""
    marks, n_chan = lines[2, : x.size], x.size
    take_marks_nb(flags, marks)
    k, done = 0, True
    while k < hot.size:
        if not hot[k]:
            k += 1
            continue
        # Two tiles before the windows, and two after them, take up what their flags change.
        start, stop = max(0, (k - 2) * _TILE), (k + 4) * _TILE
        while k < hot.size and (k - 2) * _TILE <= stop:
            stop = (k + 4) * _TILE if hot[k] else stop
            k += 1
        done &= _flag_part_nb(x, level, flags, start, min(stop, n_chan), thresholds, factor, base,
                              curved, size, less, lines, bits)
    if not done:
        take_marks_nb(flags, marks)
        _flag_part_nb(x, level, flags, 0, n_chan, thresholds, factor, base, curved, size, less,
                      lines, bits)
    put_nb(marks, flags)


@one_form
@jit_strict
def _flag_part_nb(x, level, flags, start, stop, thresholds, factor, base, curved, size, less,
                  lines, bits):
    """Mark runs of a part of a row; return whether no window beyond it has a new mark."""
    n = stop - start
    values, marks = lines[0, :n], lines[2, start:stop]
    for i in range(n):
        values[i] = (np.float32(x[start + i]) - level) * factor[start + i] + base[start + i]
    finish_deviations_nb(values, bits[:n], curved, size, less)
    flag_lines_nb(values, lines[1, :n], marks, n, thresholds, lines[3, :n], lines[4, :n],
                  lines[5, :n], lines[6, :n])
    within = True
    for i in range(n):
        if marks[i] == FLAGGED and not flags[start + i]:
            within &= (i >= _LONGEST - 1 or start == 0)
            within &= (n - i >= _LONGEST or stop == x.size)
    return within
