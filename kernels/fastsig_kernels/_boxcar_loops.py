"""Loops of the search for pulses: boxcars of all levels of a tile, row by row.

Rows of samples begin with the `halo` samples before the tile. The arrays are those of
`_boxcar_tiles.Tiles`; nothing is checked here. Sums are in the order of time, so that their bits do
not depend on how a stream is divided.
"""

import numpy as np

from ._boxcar_events import EVERY, GROUP, LANES
from ._boxcar_vectors import above, add_pairs, measure
from ._jit import jit_strict, jit_strict_inner
from ._simd import address_of

#: Vectors that are searched at once.
_AT_ONCE = 4


@jit_strict
def search_rows_nb(spec, weighted, x, weight, row, stop, first_row, chunks, levels, tables, store,
                   past, work, work_past, sums, raw, raw_sum, n_raw, most):
    """Search rows from `row` to `stop` of a tile; return the first that there was no room for.

    `x[i]` is row ``first_row + i``. `n_raw` is the number of boxcars in `raw` and `raw_sum`, of
    which a row can have `most`; it grows.
    """
    halo = chunks.shape[1] and chunks[0, 3]
    while row < stop and n_raw[0] + most <= raw.shape[0]:
        below, below_past = x[row - first_row], weight[row - first_row]
        for k in range(chunks.shape[0]):
            chunk, place, kept, _, fill, ready, first = chunks[k]
            here, here_past = below, below_past
            if k > 0:
                n = chunks[k - 1, 0] // 2
                here, here_past = work[place:], work_past[place:]
                _load_nb(store[row, kept:], here, halo + fill)
                _pairs_nb(spec, below[halo:], here[halo + fill :], n)
                if weighted:
                    _load_nb(past[row, kept:], here_past, halo + fill)
                    _pairs_nb(spec, below_past[halo:], here_past[halo + fill :], n)
                fill += n
            else:
                _load_nb(store[row, kept:], here, halo)
                if weighted:
                    _load_nb(past[row, kept:], here_past, halo)
            if ready:
                begin, end = levels[k], levels[k + 1]
                _search_level_nb(spec, weighted, k, here, here_past, chunk, first, row,
                                 tables[row // GROUP, :, begin:end], begin,
                                 sums[:, row // GROUP, begin:end], raw, raw_sum, n_raw)
            left = chunk if ready else 0
            _load_nb(here[left:], store[row, kept:], halo if ready else halo + fill)
            if weighted:
                _load_nb(here_past[left:], past[row, kept:], halo if ready else halo + fill)
            if not ready:
                break
            below, below_past = here, here_past
        row += 1
    return row


@jit_strict_inner
def _load_nb(source, target, n):
    """Copy samples."""
    for i in range(n):
        target[i] = source[i]


@jit_strict_inner
def _pairs_nb(spec, x, out, n):
    """Write sums of two neighbours, `n` of them, in whole vectors of half as many at least."""
    source, target = address_of(x), address_of(out)
    if n < LANES:
        for i in range(n):
            out[i] = x[2 * i] + x[2 * i + 1]
        return
    for i in range(0, n, LANES):
        add_pairs(spec, 1, source + 8 * i, target + 4 * i)


@jit_strict_inner
def _search_level_nb(spec, weighted, level, x, weight, chunk, first, row, tables, begin, sums,
                     raw, raw_sum, n_raw):
    """Search the boxcars of a level that begin at its samples from `first` on.

    Rows of `tables` are the factors of sums for comparison, and of squares, the squares of cuts,
    the least weights, the width, and the threshold.
    """
    start = max(0, -first)
    if row % EVERY == 0:
        _measure_nb(spec, weighted, level, x, weight, start, chunk, tables, sums)
    values, weights = address_of(x), address_of(weight)
    gain, least, threshold = address_of(tables[0]), address_of(tables[3]), tables[5, 0]
    at = start
    while at < chunk:
        n = _AT_ONCE if at + _AT_ONCE * LANES <= chunk else 1
        found = _above_nb(spec, weighted, level, n, values + 4 * at, weights + 4 * at, gain, least,
                          threshold)
        while found:
            i = _lowest_nb(found)
            found &= found - 1
            _add_best_nb(weighted, x[at + LANES * i :], weight[at + LANES * i :], level,
                         first + at + LANES * i, row, tables, begin, raw, raw_sum, n_raw)
        at += n * LANES


@jit_strict_inner
def _lowest_nb(bits):
    """Return the place of the lowest bit that is set."""
    i = 0
    while not bits >> i & 1:
        i += 1
    return i


@jit_strict_inner
def _above_nb(spec, weighted, level, n, x, weight, gain, least, threshold):
    """Return which vectors have a boxcar above the threshold."""
    if weighted:
        if n == 1:
            if level:
                return above(spec, 1, 1, 1, x, weight, gain, least, threshold)
            return above(spec, 1, 0, 1, x, weight, gain, least, threshold)
        if level:
            return above(spec, 1, 1, _AT_ONCE, x, weight, gain, least, threshold)
        return above(spec, 1, 0, _AT_ONCE, x, weight, gain, least, threshold)
    if n == 1:
        if level:
            return above(spec, 0, 1, 1, x, weight, gain, least, threshold)
        return above(spec, 0, 0, 1, x, weight, gain, least, threshold)
    if level:
        return above(spec, 0, 1, _AT_ONCE, x, weight, gain, least, threshold)
    return above(spec, 0, 0, _AT_ONCE, x, weight, gain, least, threshold)


@jit_strict_inner
def _measure_nb(spec, weighted, level, x, weight, start, chunk, tables, sums):
    """Add the boxcars of a level to the sums for their noise."""
    n_width = tables.shape[1]
    lanes = np.zeros((n_width, 3, LANES), np.float32)
    place, values, weights = address_of(lanes), address_of(x), address_of(weight)
    factor, cut, least = address_of(tables[1]), address_of(tables[2]), address_of(tables[3])
    for at in range(start, chunk, LANES):
        here, there = values + 4 * at, weights + 4 * at
        if weighted:
            if level:
                measure(spec, 1, 1, here, there, factor, cut, least, place)
            else:
                measure(spec, 1, 0, here, there, factor, cut, least, place)
        elif level:
            measure(spec, 0, 1, here, there, factor, cut, least, place)
        else:
            measure(spec, 0, 0, here, there, factor, cut, least, place)
    for j in range(n_width):
        if not weighted:
            sums[2, j] += max(0, chunk - start)
        for i in range(3 if weighted else 2):
            for lane in range(LANES):
                sums[i, j] += lanes[j, i, lane]


@jit_strict_inner
def _add_best_nb(weighted, x, weight, level, first, row, tables, begin, raw, raw_sum, n_raw):
    """Add the best of 16 neighbouring boxcars of a level, if it is above the threshold."""
    top, at = np.float64(tables[5, 0]), n_raw[0]
    if weighted:
        top = np.sqrt(top)
    is_found = False
    for lane in range(LANES):
        total, valid, n = np.float32(0), np.float32(0), 0
        for j in range(tables.shape[1]):
            width = tables[4, j]
            while n < width:
                total += x[lane + n]
                if weighted:
                    valid += weight[lane + n]
                n += 1
            value = np.float64(total) * tables[0, j]
            if weighted:
                if valid < tables[3, j] or not total > 0:
                    continue
                value = np.sqrt(np.float64(total) * total * tables[0, j] / valid)
            if value > top:
                top, is_found = value, True
                raw[at, 0], raw[at, 1], raw[at, 2] = row, (first + lane) << level, begin + j
                raw_sum[at, 0], raw_sum[at, 1], raw_sum[at, 2] = total, valid, value
                if not weighted:
                    raw_sum[at, 1] = np.float32(n << level)
    if is_found:
        n_raw[0] += 1
