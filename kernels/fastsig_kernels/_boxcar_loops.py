"""Loops of the search for pulses: boxcars of all levels of a tile, row by row.

Samples are specified by address (int64), and nothing is checked here. Rows begin with the `halo`
samples before the tile. The tables are those of `_boxcar_tiles.Tiles`. Sums are in the order of
time, so that their bits do not depend on how a stream is divided.
"""

import numpy as np

from ._boxcar_events import EVERY, GROUP, LANES
from ._boxcar_vectors import above, add_pairs, extremes, measure, rank, sample
from ._jit import jit_strict, jit_strict_inner
from ._simd import address_of, load, store

#: Vectors that are searched at once, and bytes of a vector.
_AT_ONCE, _LINE = 4, 4 * LANES
#: Least ratio of two weights that differ little.
_ALIKE = np.float32(0.6)


@jit_strict
def search_rows_nb(spec, weighted, x, weight, row_step, row, stop, chunks, levels, tables, kept,
                   kept_weights, work, work_weights, lanes, sums, raw, raw_sum, n_raw, most):
    """Search rows from `row` to `stop` of a tile; return the first that there was no room for.

    `x` is the address of the first row, and `row_step` the bytes from one to the next. `n_raw` are
    the numbers of boxcars in `raw` and `raw_sum`, of which a row can have `most`, and of those that
    were not kept because their S/N is below that in the last item of `raw_sum`.
    """
    halo, kept_step = 4 * chunks[0, 3], 4 * kept.shape[1]
    past, past_weights = address_of(kept) + row * kept_step, address_of(kept_weights) + row * (
        kept_step)
    while row < stop and n_raw[0] + most < raw.shape[0]:
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

    Rows of the table of a group have, for each width, the limit of sums for `above`, the cut of
    their squares for `measure`, and the least weight; the factor that makes of a sum (of its square
    over its weight, if `weighted`) the S/N (its square), and of its square that in units of the
    noise that is expected; the width; the threshold (its square); and, if `weighted`, the limit of
    sums for weights of 1.
    """
    group, start, step = row // GROUP, max(0, -first), 4 * tables.shape[2]
    table = address_of(tables) + tables.shape[1] * step * group + 4 * begin
    if row % EVERY == 0:
        _measure_nb(spec, weighted, level, x, weight, start, chunk, table + step, table + 2 * step,
                    group, begin, end, tables, lanes, sums)
    at = start
    while at < chunk:
        n = _AT_ONCE if at + _AT_ONCE * LANES <= chunk else 1
        if _may_be_above_nb(spec, weighted, level, n, x + 4 * at, weight + 4 * at, table, step):
            for i in range(at, at + n * LANES, LANES):
                _add_best_nb(spec, weighted, x + 4 * i, weight + 4 * i, level, first + i, row,
                             begin, end, table, step, tables, lanes, raw, raw_sum, n_raw)
        at += n * LANES


@jit_strict_inner
def _may_be_above_nb(spec, weighted, level, n, x, weight, table, step):
    """Return whether one or more boxcars may be above the threshold.

    If weights are alike, boxcars are compared as if all had the least weight, which is faster.
    """
    if weighted:
        low, high = _extremes_nb(spec, level, n, weight)
        if low >= _ALIKE * high and low > 0:
            return _above_nb(spec, False, level, n, x, weight, table + 7 * step, table + 2 * step,
                             np.float32(np.sqrt(low)))
    return _above_nb(spec, weighted, level, n, x, weight, table, table + 2 * step, np.float32(1))


@jit_strict_inner
def _extremes_nb(spec, level, n, weight):
    """Return the least and the largest weight that boxcars of some vectors may have."""
    if n == 1:
        return extremes(spec, 1, 1, weight) if level else extremes(spec, 0, 1, weight)
    return extremes(spec, 1, _AT_ONCE, weight) if level else extremes(spec, 0, _AT_ONCE, weight)


@jit_strict_inner
def _above_nb(spec, weighted, level, n, x, weight, limit, least, factor):
    """Return whether one or more vectors have a boxcar above the threshold."""
    if weighted:
        if n == 1:
            if level:
                return above(spec, 1, 1, 1, x, weight, limit, least, factor)
            return above(spec, 1, 0, 1, x, weight, limit, least, factor)
        if level:
            return above(spec, 1, 1, _AT_ONCE, x, weight, limit, least, factor)
        return above(spec, 1, 0, _AT_ONCE, x, weight, limit, least, factor)
    if n == 1:
        if level:
            return above(spec, 0, 1, 1, x, weight, limit, least, factor)
        return above(spec, 0, 0, 1, x, weight, limit, least, factor)
    if level:
        return above(spec, 0, 1, _AT_ONCE, x, weight, limit, least, factor)
    return above(spec, 0, 0, _AT_ONCE, x, weight, limit, least, factor)


@jit_strict_inner
def _measure_nb(spec, weighted, level, x, weight, start, chunk, cut, least, group, begin, end,
                tables, lanes, sums):
    """Add the boxcars of a level to the sums for their noise and level."""
    for j in range(end - begin):
        for i in range(5):
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
        width = np.float64(tables[group, 5, begin + j]) * (1 << level)
        for i in range(5 if weighted else 3):
            total = np.float64(0)
            for lane in range(LANES):
                total += lanes[j, i, lane]
            sums[i, group, begin + j] += total * (tables[group, 4, begin + j] if i == 0 else 1)
            if i == 1 and not weighted:
                sums[3, group, begin + j] += total * width
        if not weighted:
            sums[4, group, begin + j] += max(0, chunk - start)


@jit_strict_inner
def _add_best_nb(spec, weighted, x, weight, level, first, row, begin, end, table, step, tables,
                 lanes, raw, raw_sum, n_raw):
    """Add the best of 16 neighbouring boxcars of a level, if it is above the threshold.

    If it is below those that are kept, it is only counted.
    """
    _rank_nb(spec, weighted, level, x, weight, table + 3 * step, table + 2 * step,
             address_of(lanes))
    at, group, best = n_raw[0], row // GROUP, 0
    for lane in range(1, LANES):
        if lanes[0, 0, lane] > lanes[0, 0, best]:
            best = lane
    value = lanes[0, 0, best]
    if not value > tables[group, 6, begin]:
        return
    if weighted:
        value = np.sqrt(value)
    if value < raw_sum[raw.shape[0] - 1, 2]:
        n_raw[1] += 1
        return
    j = begin + np.int64(lanes[0, 1, best])
    n, total, valid = np.int64(tables[group, 5, j]), np.float32(0), np.float32(0)
    for i in range(n):
        total += sample(x + 4 * (best + i))
        if weighted:
            valid += sample(weight + 4 * (best + i))
    raw[at, 0], raw[at, 1], raw[at, 2] = row, (first + best) << level, j
    raw_sum[at, 0], raw_sum[at, 2] = total, value
    raw_sum[at, 1] = valid if weighted else np.float32(n << level)
    n_raw[0] += 1


@jit_strict_inner
def _rank_nb(spec, weighted, level, x, weight, gain, least, out):
    """Write the best boxcars of a vector."""
    if weighted:
        if level:
            rank(spec, 1, 1, x, weight, gain, least, out)
        else:
            rank(spec, 1, 0, x, weight, gain, least, out)
    elif level:
        rank(spec, 0, 1, x, weight, gain, least, out)
    else:
        rank(spec, 0, 0, x, weight, gain, least, out)
