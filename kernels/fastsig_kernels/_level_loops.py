"""Loops of levels and noise of channels, in vector code; nothing is checked here.

The bits are those of `levels.channel_levels_nb`.
"""

import numpy as np

from ._jit import jit_strict, jit_strict_inner
from ._level_steps import FIRST_ROWS, REACH, RUN, renew_nb
from ._level_vectors import (
    AT_ONCE,
    LANES,
    VALUES,
    add_within,
    apart,
    merge_32,
    middle_64,
    numbers,
    put_or_pad,
    sort_16,
)
from ._simd import address_of, load, splat, store
from .medians import MAD_SIGMA

_CHANNELS = AT_ONCE * LANES
_LINE = 4 * LANES


@jit_strict
def levels_nb(spec, floats, x, series, out, out_sigma):
    """Fill the outputs as `channel_levels` does; rows of `x` are contiguous.

    `floats` is the `Spec` of float32, and `spec` that of `x`.
    """
    n_chan = x.shape[1]
    some = room_nb(((AT_ONCE + 1) * VALUES + 3) * LANES)
    sums, part = np.empty((3, _CHANNELS)), room_nb(3 * _CHANNELS)
    tables, tail = room_nb(3 * _CHANNELS), last_channels_nb(x)
    level, sigma = np.empty(_CHANNELS, np.float32), np.empty(_CHANNELS, np.float32)
    for first in range(0, n_chan, _CHANNELS):
        count = min(_CHANNELS, n_chan - first)
        if count == _CHANNELS:
            at = address_of(x) + first * x.itemsize
            _tile_nb(spec, at, x.strides[0], x.itemsize, series, some, sums, part, tables, level,
                     sigma)
        else:
            _tile_nb(floats, address_of(tail), 4 * _CHANNELS, 4, series, some, sums, part, tables,
                     level, sigma)
        for c in range(count):
            out[first + c], out_sigma[first + c] = level[c], sigma[c]


@jit_strict
def room_nb(n):
    """Return uninitialised float32 that begin with a line of the cache."""
    room = np.empty(n + LANES, np.float32)
    lead = (-address_of(room) % _LINE) // 4
    return room[lead : lead + n]


@jit_strict
def last_channels_nb(x):
    """Return the channels after those that fill tiles, as a tile of float32."""
    n, n_chan = x.shape
    first = n_chan // _CHANNELS * _CHANNELS
    tail = np.zeros((n if first < n_chan else 0, _CHANNELS), np.float32)
    for t in range(tail.shape[0]):
        for c in range(n_chan - first):
            tail[t, c] = x[t, first + c]
    return tail


@jit_strict_inner
def _tile_nb(spec, x, step, size, series, some, sums, part, tables, level, sigma):
    """Measure the levels and the noise of a tile of channels, of numbers of `size` bytes."""
    n = series.size
    every = max(1, -(-n // FIRST_ROWS))
    values = address_of(some)
    for k in range(-(-n // every)):
        row = k * every
        for vector in range(AT_ONCE):
            at = x + row * step + vector * LANES * size
            store(numbers(spec, at) - splat(spec, series[row]),
                  values + (vector * VALUES + k) * _LINE)
    for vector in range(AT_ONCE):
        first = vector * LANES
        _first_nb(spec, values + vector * VALUES * _LINE, -(-n // every), some,
                  level[first : first + LANES], sigma[first : first + LANES])
    for every in (max(1, n // RUN), 1):
        for c in range(_CHANNELS):
            tables[c] = level[c] - REACH * sigma[c]
            tables[_CHANNELS + c] = level[c] + REACH * sigma[c]
            tables[2 * _CHANNELS + c] = level[c]
            sums[0, c] = sums[1, c] = sums[2, c] = 0.0
        for begin in range(0, n, RUN * every):
            count = -(-(min(begin + RUN * every, n) - begin) // every)
            add_within(spec, x + begin * step, every * step, address_of(series) + 4 * begin,
                       4 * every, count, address_of(tables), address_of(part))
            for k in range(3):
                for c in range(_CHANNELS):
                    sums[k, c] += part[k * _CHANNELS + c]
        renew_nb(level, sigma, sums, _CHANNELS)


@jit_strict_inner
def _first_nb(spec, values, n, some, level, sigma):
    """Measure the medians and median absolute deviations of the lanes of `n` vectors.

    `some` ends with working memory.
    """
    work = address_of(some) + AT_ONCE * VALUES * _LINE
    middle = work + VALUES * _LINE
    _median_nb(spec, values, n, work, middle, some, level)
    center = load(spec, address_of(level))
    for k in range(n):
        store(apart(load(spec, values + k * _LINE), center), values + k * _LINE)
    _median_nb(spec, values, n, work, middle, some, sigma)
    for c in range(LANES):
        sigma[c] *= np.float32(MAD_SIGMA)


@jit_strict_inner
def _median_nb(spec, values, n, work, middle, some, out):
    """Compute the medians of the lanes of `n` vectors; `some` ends with what is at `middle`."""
    pad = splat(spec, np.float32(np.inf))
    for k in range(n):
        pad = put_or_pad(load(spec, values + k * _LINE), pad, work + k * _LINE)
    for k in range(n, VALUES):
        pad = put_or_pad(splat(spec, np.float32(np.nan)), pad, work + k * _LINE)
    store(pad, middle + 2 * _LINE)
    for k in range(0, VALUES, 16):
        sort_16(work + k * _LINE)
    for k in range(0, VALUES, 32):
        merge_32(work + k * _LINE)
    middle_64(work, middle)
    found = some[(AT_ONCE + 1) * VALUES * LANES :]
    for c in range(LANES):
        low, high, odd = found[c], found[LANES + c], found[2 * LANES + c] < np.float32(0)
        out[c] = low if odd else np.float32(0.5 * (np.float64(low) + np.float64(high)))
