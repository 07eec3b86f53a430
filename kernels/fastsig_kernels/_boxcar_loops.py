"""Loops of the search for pulses: boxcars of all levels of a tile, row by row.

Samples are specified by address (int64), since views of arrays would take most of the time. Rows
begin with the `halo` samples before the tile. The tables are those of `_boxcar_tiles.Tiles`; nothing
is checked here. Sums are in the order of time, so that their bits do not depend on how a stream is
divided.
"""

import numpy as np

from ._boxcar_events import EVERY, GROUP, LANES
from ._boxcar_vectors import above, add_pairs, measure, sample
from ._jit import jit_strict, jit_strict_inner
from ._simd import address_of, load, store

#: Vectors that are searched at once, and bytes of a vector.
_AT_ONCE, _LINE = 4, 4 * LANES


@jit_strict
def search_rows_nb(spec, weighted, x, weight, row_step, row, stop, chunks, levels, tables, kept,
                   kept_weights, work, work_weights, lanes, sums, raw, raw_sum, n_raw, most):
    """Search rows from `row` to `stop` of a tile; return the first that there was no room for.

    `x` is the address of the first row, and `row_step` the bytes from one to the next. `n_raw` is
    the number of boxcars in `raw` and `raw_sum`, of which a row can have `most`; it grows.
    """
    halo, kept_step = 4 * chunks[0, 3], 4 * kept.shape[1]
    past, past_weights = address_of(kept) + row * kept_step, address_of(kept_weights) + row * (
        kept_step)
    while row < stop and n_raw[0] + most <= raw.shape[0]:
        below, below_weights = x, weight
        for k in range(chunks.shape[0]):
            chunk, place, there, _, fill, ready, first = chunks[k]
            here, here_weights, there = x, weight, 4 * there
            old = halo + 4 * fill
            if k > 0:
                here, here_weights = work + 4 * place, work_weights + 4 * place
            _copy_nb(spec, past + there, here, old)
            if weighted:
                _copy_nb(spec, past_weights + there, here_weights, old)
            if k > 0:
                n = 2 * chunks[k - 1, 0]
                _pairs_nb(spec, below + halo, here + old, n)
                if weighted:
                    _pairs_nb(spec, below_weights + halo, here_weights + old, n)
                old += n
            if ready:
                _search_level_nb(spec, weighted, k, here, here_weights, chunk, first, row,
                                 levels[k], levels[k + 1], tables, lanes, sums, raw, raw_sum,
                                 n_raw)
            left = 4 * chunk if ready else 0
            old = halo if ready else old
            _copy_nb(spec, here + left, past + there, old)
            if weighted:
                _copy_nb(spec, here_weights + left, past_weights + there, old)
            if not ready:
                break
            below, below_weights = here, here_weights
        row += 1
        x += row_step
        weight += row_step
        past += kept_step
        past_weights += kept_step
    return row


@jit_strict_inner
def _copy_nb(spec, source, target, n_byte):
    """Copy whole vectors, forward, with room for the last one."""
    for at in range(0, n_byte, _LINE):
        store(load(spec, source + at), target + at)


@jit_strict_inner
def _pairs_nb(spec, x, out, n_byte):
    """Write sums of two neighbours, in whole vectors, with room for the last one."""
    for at in range(0, n_byte, _LINE):
        add_pairs(spec, 1, x + 2 * at, out + at)


@jit_strict_inner
def _search_level_nb(spec, weighted, level, x, weight, chunk, first, row, begin, end, tables, lanes,
                     sums, raw, raw_sum, n_raw):
    """Search the boxcars of a level that begin at its samples from `first` on.

    Rows of the table of a group are, for each width, the limit of sums for `above`, the cut of their
    squares for `measure`, and the least weight; what makes sums and their squares S/N, and their
    squares those of noise in units of what is expected; the width, and the threshold.
    """
    group, start, step = row // GROUP, max(0, -first), 4 * tables.shape[2]
    table = address_of(tables) + tables.shape[1] * step * group + 4 * begin
    if row % EVERY == 0:
        _measure_nb(spec, weighted, level, x, weight, start, chunk, table + step, table + 2 * step,
                    group, begin, end, tables, lanes, sums)
    at = start
    while at < chunk:
        n = _AT_ONCE if at + _AT_ONCE * LANES <= chunk else 1
        if _above_nb(spec, weighted, level, n, x + 4 * at, weight + 4 * at, table,
                     table + 2 * step):
            for i in range(at, at + n * LANES, LANES):
                if _above_nb(spec, weighted, level, 1, x + 4 * i, weight + 4 * i, table,
                             table + 2 * step):
                    _add_best_nb(weighted, x + 4 * i, weight + 4 * i, level, first + i, row, begin,
                                 end, tables, raw, raw_sum, n_raw)
        at += n * LANES


@jit_strict_inner
def _above_nb(spec, weighted, level, n, x, weight, limit, least):
    """Return whether one or more vectors have a boxcar above the threshold."""
    if weighted:
        if n == 1:
            if level:
                return above(spec, 1, 1, 1, x, weight, limit, least)
            return above(spec, 1, 0, 1, x, weight, limit, least)
        if level:
            return above(spec, 1, 1, _AT_ONCE, x, weight, limit, least)
        return above(spec, 1, 0, _AT_ONCE, x, weight, limit, least)
    if n == 1:
        if level:
            return above(spec, 0, 1, 1, x, weight, limit, least)
        return above(spec, 0, 0, 1, x, weight, limit, least)
    if level:
        return above(spec, 0, 1, _AT_ONCE, x, weight, limit, least)
    return above(spec, 0, 0, _AT_ONCE, x, weight, limit, least)


@jit_strict_inner
def _measure_nb(spec, weighted, level, x, weight, start, chunk, cut, least, group, begin, end,
                tables, lanes, sums):
    """Add the boxcars of a level to the sums for their noise."""
    for j in range(end - begin):
        for i in range(3):
            for lane in range(LANES):
                lanes[j, i, lane] = 0
    place = address_of(lanes)
    for at in range(start, chunk, LANES):
        here, there = x + 4 * at, weight + 4 * at
        if weighted:
            if level:
                measure(spec, 1, 1, here, there, cut, least, place)
            else:
                measure(spec, 1, 0, here, there, cut, least, place)
        elif level:
            measure(spec, 0, 1, here, there, cut, least, place)
        else:
            measure(spec, 0, 0, here, there, cut, least, place)
    for j in range(end - begin):
        if not weighted:
            sums[2, group, begin + j] += max(0, chunk - start)
        for i in range(3 if weighted else 2):
            total = np.float64(0)
            for lane in range(LANES):
                total += lanes[j, i, lane]
            sums[i, group, begin + j] += total * (tables[group, 4, begin + j] if i == 0 else 1)


@jit_strict_inner
def _add_best_nb(weighted, x, weight, level, first, row, begin, end, tables, raw, raw_sum, n_raw):
    """Add the best of 16 neighbouring boxcars of a level, if it is above the threshold."""
    at, group, is_found = n_raw[0], row // GROUP, False
    top = np.float64(tables[group, 6, begin])
    for lane in range(LANES):
        total, valid, n = np.float32(0), np.float32(0), 0
        for j in range(begin, end):
            while n < tables[group, 5, j]:
                total += sample(x + 4 * (lane + n))
                if weighted:
                    valid += sample(weight + 4 * (lane + n))
                n += 1
            value = np.float64(total) * tables[group, 3, j]
            if weighted:
                if valid < tables[group, 2, j] or not total > 0:
                    continue
                value *= np.float64(total) / valid
            if value > top:
                top, is_found = value, True
                raw[at, 0], raw[at, 1], raw[at, 2] = row, (first + lane) << level, j
                raw_sum[at, 0], raw_sum[at, 2] = total, np.sqrt(value) if weighted else value
                raw_sum[at, 1] = valid if weighted else np.float32(n << level)
    if is_found:
        n_raw[0] += 1
