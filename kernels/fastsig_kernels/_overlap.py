"""Overlap and add: sums over weighted frames, in explicit vector code.

Memory is specified by address (int64) and nothing is checked here. Numbers are float32; a complex
number is two of them. Each sum is in one order, by fused operations, so that its bits depend
neither on its place in a vector nor on what is computed at the same time.
"""

import numpy as np

from ._jit import jit_strict, jit_strict_inner
from ._order import PAD, address
from ._pages import aligned
from ._passes import block_lanes
from ._simd import Spec, fma, host_lanes, load, splat, store

#: Numbers of a frame that are summed before the next ones, so that they stay in a cache.
_STRIP = 512


def padded_rows(shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """Return an array of zeros whose rows lie in different sets of a cache, on cache lines."""
    n_row, n = shape
    step = -(-n * dtype.itemsize // PAD) * PAD + PAD
    memory = aligned(n_row * step).view(dtype).reshape(n_row, step // dtype.itemsize)
    return memory[:, :n]


def overlap_add(frames: np.ndarray, table: np.ndarray, period: int, column: int,
                out: np.ndarray) -> None:
    """Write sums over overlapping frames; nothing is checked.

    Parameters
    ----------
    frames : ndarray, shape (n_hop + n_lag - 1, n), float32 or complex64
    table : ndarray, shape (n_lag, hop), float32
        Weights; twice as many, in pairs, if frames are complex.
    period : int
        Number of hops after which sums have the same column.
    column : int
        Column of the first sum, 0 to n - 1.
    out : ndarray, shape (n_hop hop,), as frames
        ``out[s hop + r] = sum_j table[j, r] frames[s + n_lag - 1 - j, (column + s hop + r) % n]``
    """
    n_lag, hop = table.shape
    pair = frames.itemsize // 4
    n_hop = len(frames) - n_lag + 1
    target = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
    overlap_add_nb(Spec(lanes=host_lanes()), Spec(lanes=1), address(frames), frames.strides[0],
                   pair * frames.shape[1], address(table), table.strides[0], n_lag, hop, period,
                   pair * column, n_hop, address(target))
    if target is not out:
        out[...] = target


@jit_strict_inner
def _four_sums_nb(spec, values, row, weights, weight_row, n_lag, period, n, target, target_next):
    """Do `n` sums, a multiple of the lanes, for each of four places `period` frames apart.

    They have the same weights. Each frame is read once, and each weight up to four times.
    """
    vector = 4 * block_lanes(spec)
    zero = splat(spec, np.float32(0))
    far = period * weight_row
    for i in range(0, 4 * n, vector):
        a, b, c, d = zero, zero, zero, zero
        # From the oldest frame on: the weight of the first sum is the last one there.
        v, w = values + i, weights + i + (n_lag - 1) * weight_row
        for _ in range(period):
            a = fma(load(spec, w), load(spec, v), a)
            v += row
            w -= weight_row
        for _ in range(period):
            x = load(spec, v)
            a = fma(load(spec, w), x, a)
            b = fma(load(spec, w + far), x, b)
            v += row
            w -= weight_row
        for _ in range(period):
            x = load(spec, v)
            a = fma(load(spec, w), x, a)
            b = fma(load(spec, w + far), x, b)
            c = fma(load(spec, w + 2 * far), x, c)
            v += row
            w -= weight_row
        for _ in range(n_lag - 3 * period):
            x = load(spec, v)
            a = fma(load(spec, w), x, a)
            b = fma(load(spec, w + far), x, b)
            c = fma(load(spec, w + 2 * far), x, c)
            d = fma(load(spec, w + 3 * far), x, d)
            v += row
            w -= weight_row
        for _ in range(period):
            x = load(spec, v)
            b = fma(load(spec, w + far), x, b)
            c = fma(load(spec, w + 2 * far), x, c)
            d = fma(load(spec, w + 3 * far), x, d)
            v += row
            w -= weight_row
        for _ in range(period):
            x = load(spec, v)
            c = fma(load(spec, w + 2 * far), x, c)
            d = fma(load(spec, w + 3 * far), x, d)
            v += row
            w -= weight_row
        for _ in range(period):
            d = fma(load(spec, w + 3 * far), load(spec, v), d)
            v += row
            w -= weight_row
        store(a, target + i)
        store(b, target + i + target_next)
        store(c, target + i + 2 * target_next)
        store(d, target + i + 3 * target_next)


@jit_strict_inner
def _sums_nb(spec, values, row, weights, weight_row, n_lag, n, target):
    """Do `n` sums, a multiple of the lanes, four vectors at a time as long as possible."""
    vector = 4 * block_lanes(spec)
    zero = splat(spec, np.float32(0))
    done, stop = 0, 4 * n
    while done + 4 * vector <= stop:
        a, b, c, d = zero, zero, zero, zero
        v, w = values + done, weights + done + (n_lag - 1) * weight_row
        for _ in range(n_lag):
            a = fma(load(spec, w), load(spec, v), a)
            b = fma(load(spec, w + vector), load(spec, v + vector), b)
            c = fma(load(spec, w + 2 * vector), load(spec, v + 2 * vector), c)
            d = fma(load(spec, w + 3 * vector), load(spec, v + 3 * vector), d)
            v += row
            w -= weight_row
        store(a, target + done)
        store(b, target + done + vector)
        store(c, target + done + 2 * vector)
        store(d, target + done + 3 * vector)
        done += 4 * vector
    while done < stop:
        a, v, w = zero, values + done, weights + done + (n_lag - 1) * weight_row
        for _ in range(n_lag):
            a = fma(load(spec, w), load(spec, v), a)
            v += row
            w -= weight_row
        store(a, target + done)
        done += vector


@jit_strict
def overlap_add_nb(spec, one, frames, row, n_number, weights, weight_row, n_lag, hop, period,
                   column, n_hop, target):
    """Write ``n_hop`` times `hop` sums over `n_lag` frames.

    ``out[s hop + r] = sum_j table[j, r] frame[s + n_lag - 1 - j, (column + s hop + r) mod n]``,
    with frames of n = `n_number` numbers, `row` bytes apart, and the table (n_lag, hop) at
    `weights`, its rows `weight_row` bytes apart. Sums that are `period` hops apart are in the same
    columns. `one` is the spec of single numbers, `spec` that of vectors.
    """
    lanes = block_lanes(spec)
    at_once = 4 * period if n_lag >= 3 * period else n_hop + 1
    for low in range(0, hop, _STRIP):
        high = min(low + _STRIP, hop)
        s = 0
        while s < n_hop:
            four = n_hop - s >= at_once
            for first in range(s, s + period if four else n_hop):
                done, place = low, (column + low + first * hop) % n_number
                while done < high:  # twice if the strip goes over the end of a frame
                    n = min(high - done, n_number - place)
                    whole = n // lanes * lanes
                    values, table = frames + first * row + 4 * place, weights + 4 * done
                    result = target + 4 * (first * hop + done)
                    if four:
                        _four_sums_nb(spec, values, row, table, weight_row, n_lag, period, whole,
                                      result, 4 * period * hop)
                        _four_sums_nb(one, values + 4 * whole, row, table + 4 * whole, weight_row,
                                      n_lag, period, n - whole, result + 4 * whole,
                                      4 * period * hop)
                    else:
                        _sums_nb(spec, values, row, table, weight_row, n_lag, whole, result)
                        _sums_nb(one, values + 4 * whole, row, table + 4 * whole, weight_row,
                                 n_lag, n - whole, result + 4 * whole)
                    done += n
                    place = 0
            s = s + at_once if four else n_hop
