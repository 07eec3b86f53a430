"""Loops of the search for pulses: boxcars of all levels of a tile, row by row.

The arrays are those of `_boxcar_tiles.Tiles`; nothing is checked here.
"""

import numpy as np

from ._boxcar_events import EVERY, GROUP, LANES, TILE
from ._jit import jit_strict, jit_strict_inner


@jit_strict
def search_rows_nb(x, weight, weighted, state, past, place, fill, ready, first, halo, starts,
                   widths, gain, cut, unit, threshold, least, sums, raw, raw_sum, n_raw, start,
                   stop):
    """Search rows from `start` to `stop`; return the first that there was no room for.

    `n_raw` is the number of boxcars in `raw` and `raw_sum`; it grows.
    """
    n_level = starts.size - 1
    most = 2 * TILE // LANES
    for row in range(start, stop):
        if n_raw[0] + most > raw.shape[0]:
            return row
        group = row // GROUP
        for k in range(n_level):
            here = place[k] + halo + fill[k]
            if k == 0:
                for i in range(TILE):
                    state[row, here + i] = x[row, i]
                    if weighted:
                        past[row, here + i] = weight[row, i]
            else:
                below = place[k - 1] + halo
                n = (place[k] - place[k - 1] - halo) // 2
                for i in range(n):
                    state[row, here + i] = (state[row, below + 2 * i]
                                            + state[row, below + 2 * i + 1])
                    if weighted:
                        past[row, here + i] = (past[row, below + 2 * i]
                                               + past[row, below + 2 * i + 1])
            if not ready[k]:
                break
            chunk = place[k + 1] - place[k] - halo
            for p in range(0, chunk, LANES):
                if first[k] + p >= 0:
                    _search_lanes_nb(state[row, place[k] + p :], past[row, place[k] + p :],
                                     weighted, starts[k], starts[k + 1], widths,
                                     gain[group], cut[group], unit, threshold, least, k,
                                     first[k] + p, row, sums[:, group], raw, raw_sum, n_raw)
        for k in range(n_level):
            if not ready[k]:
                break
            chunk = place[k + 1] - place[k] - halo
            for i in range(halo):
                state[row, place[k] + i] = state[row, place[k] + chunk + i]
                if weighted:
                    past[row, place[k] + i] = past[row, place[k] + chunk + i]
    return stop


@jit_strict_inner
def _search_lanes_nb(x, weight, weighted, begin, end, widths, gain, cut, unit, threshold, least,
                     level, first, row, sums, raw, raw_sum, n_raw):
    """Search 16 neighbouring boxcars of all widths of a level."""
    top, top_j, top_i = threshold, -1, 0
    top_sum, top_weight = np.float32(0), np.float32(0)
    for i in range(LANES):
        total, valid, n = np.float32(0), np.float32(0), 0
        for j in range(begin, end):
            while n < widths[j]:
                total += x[i + n]
                valid += weight[i + n] if weighted else np.float32(1 << level)
                n += 1
            if weighted and valid < least * (widths[j] << level):
                continue
            value = total * unit / np.sqrt(valid)
            if row % EVERY == 0:
                sums[2, j] += 1
                if abs(value) < cut[j]:
                    sums[1, j] += 1
                    sums[0, j] += value * value
            value *= gain[j]
            if value > top:
                top, top_j, top_i, top_sum, top_weight = value, j, i, total, valid
    if top_j >= 0:
        at = n_raw[0]
        raw[at, 0], raw[at, 1], raw[at, 2] = row, (first + top_i) << level, top_j
        raw_sum[at, 0], raw_sum[at, 1], raw_sum[at, 2] = top_sum * unit, top_weight, top
        n_raw[0] += 1
