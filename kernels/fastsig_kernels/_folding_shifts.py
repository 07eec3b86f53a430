"""Loops of folding where columns have phases of their own, as channels with their delays have.

In units of a bin, the phase of a sample is that of its row plus that of its column. Its bin is the
sum of their whole parts, plus one if the remainder of the column is at least what the row lacks to
its next bin. Sums are rotated by the whole part of each column, so that a row is added to two
neighbouring bins only. Remainders of columns are replaced by their ranks, for which 16 bits are
enough, and those of rows by the number of columns that stay in the lower bin.

Columns are added in groups, whose sums in all bins of a profile stay in the cache, and in blocks of
rows, which are copied, for one profile after the other. Samples of 8 bits have sums of 16 bits; a
bin and the next one are added to sums of 32 bits after 128 rows. Rows are summed in their order.
"""

import numpy as np

from ._fdmt_reading import bytes_of
from ._folding_lanes import (
    WIDTH,
    add_row,
    add_short,
    add_weighted_row,
    copy_sample,
    copy_samples,
    fetch,
    has_double_sums,
    has_own_weights,
    has_short_sums,
    has_weights,
)
from ._folding_loops import bin_of_nb, phase_of_nb
from ._jit import jit_strict, jit_strict_inner, jit_strict_inner_arrays
from ._simd import address_of

#: Rows of a block.
BLOCK = 128
#: Bits of the places in the tables of remainders.
TABLE_BITS = 8
#: Rows after which 16-bit sums are added to 32-bit ones; a bin also has rows of the one before it.
_MOST_HITS = 128
_ZERO, _ONE, _LAST = np.uint64(0), np.uint64(1), np.uint64(WIDTH)


def turned(offset: np.ndarray, n_bin: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the whole bins of phases, and their remainders in 2^-64 bins."""
    bins, low, half = np.uint64(n_bin), np.uint64(2**32 - 1), np.uint64(32)
    high = (offset >> half) * bins + (((offset & low) * bins) >> half)
    return (high >> half).astype(np.int64), offset * bins


def ranked(rest: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the ranks of remainders (profile, column), the sorted remainders, and a table of them.

    The table contains how many of them are below each multiple of 2^56 and, at its end, their
    number.
    """
    order = np.argsort(rest, axis=1)
    ranks = np.empty(rest.shape, np.uint16)
    np.put_along_axis(ranks, order, np.arange(rest.shape[1], dtype=np.uint16)[np.newaxis], axis=1)
    ascending = np.take_along_axis(rest, order, axis=1)
    edges = np.arange(2**TABLE_BITS, dtype=np.uint64) << np.uint64(64 - TABLE_BITS)
    table = np.full((len(rest), 2**TABLE_BITS + 1), rest.shape[1])
    for found, each in zip(table, ascending, strict=True):
        found[:-1] = np.searchsorted(each, edges)
    return ranks, ascending, table


@jit_strict
def list_places_nb(phase, piece, first, n_bin, ascending, table, places, limits):
    """List the bins of rows from `first` on, and how many columns stay in them."""
    bins = np.uint64(n_bin)
    for e in range(places.shape[0]):
        now, move, bend, beyond = phase_of_nb(phase[e], first, piece)
        for t in range(places.shape[1]):
            if first + t == beyond:
                now, move, bend, beyond = phase_of_nb(phase[e], first + t, piece)
            places[e, t] = bin_of_nb(now, bins)
            limits[e, t] = _at_most_nb(ascending[e], table[e], ~(now * bins))
            now += move
            move += bend


@jit_strict_inner
def _at_most_nb(ascending, table, value):
    """Return how many numbers are not above a value."""
    part = value >> np.uint64(64 - TABLE_BITS)
    low, high = np.uint64(table[part]), np.uint64(table[part + _ONE])
    while low < high:
        middle = (low + high) >> _ONE
        if ascending[middle] <= value:
            low = middle + _ONE
        else:
            high = middle
    return low


@jit_strict
def add_groups_nb(spec, rows, columns, weights, n_column, work, source, step, add, out, out_weight):
    """Add rows to their bins, one group of columns after the other.

    Parameters
    ----------
    spec : Spec
        As for `_folding_lanes`.
    rows : tuple of ndarray, shape (profile, row)
        Bins and numbers of columns that `list_places_nb` lists.
    columns : tuple of ndarray, shape (profile, column)
        Ranks of the remainders of columns, and their whole bins.
    weights : ndarray, shape (row, 1 or column), float32
        Weights of the kind in `spec`; if that is "none", they only leave out rows of weight 0, and
        the array may be empty.
    n_column : int
    work : tuple of ndarray
        Samples of a block of rows (uint8); their weights (float32); sums, and totals of weights if
        there are any, (1 or 2, profile, bin, width); sums of 16 bits, of the same shape; numbers of
        rows in bins, (profile, bin), int32; numbers of rows by how many columns of a group stay in
        the bin, (profile, bin, width + 1), uint16; ranks of a group, (profile, width), uint16;
        numbers of rows in the bins of columns, (profile, bin, width), int32.
    source, step : int
        Address of the first sample, and bytes from row to row.
    add : bool
        Whether to add to what the results contain.
    out, out_weight : tuple of ndarray, int and int
        All results, flat; the index of the first column in the first bin, and the distance of bins,
        which is 0 for weights that are not wanted.
    """
    places, limits = rows
    ranks, turns = columns
    packed, of_packed, sums, short, hits, counts, own, ones = work
    at = np.empty(WIDTH, np.uint64)  # places of columns
    for left in range(0, n_column, WIDTH):
        n = min(WIDTH, n_column - left)
        _own_ranks_nb(ranks, left, n, own)
        sums[:] = 0
        short[:] = 0
        hits[:] = 0
        counts[:] = 0
        if add and has_double_sums(spec):
            _take_nb(sums[0], turns, n, left, at, out)
            if has_weights(spec) and out_weight[2]:
                _take_nb(sums[1], turns, n, left, at, out_weight)
        for begin in range(0, places.shape[1], BLOCK):
            stop = min(begin + BLOCK, places.shape[1])
            _pack_nb(spec, n, stop - begin, source + left * bytes_of(spec) + begin * step, step,
                     address_of(packed))
            if has_own_weights(spec):
                _pack_weights_nb(weights, left, n, begin, stop, of_packed)
            for e in range(places.shape[0]):
                if has_weights(spec):
                    _add_weighted_nb(spec, places[e], limits[e], begin, stop, own[e], weights,
                                     of_packed, address_of(packed), sums[:, e])
                else:
                    _add_block_nb(spec, places[e], limits[e], begin, stop, own[e], weights,
                                  address_of(packed), sums[0, e], short[e], hits[e], counts[e])
        if has_short_sums(spec):
            _add_all_short_nb(spec, short, sums[0])
        _give_nb(sums[0], turns, n, left, at, add and not has_double_sums(spec), out)
        if has_weights(spec) and out_weight[2]:
            _give_nb(sums[1], turns, n, left, at, False, out_weight)
        elif out_weight[2]:
            for e in range(places.shape[0]):
                _count_nb(counts[e], own[e], n, ones[e])
            _give_nb(ones, turns, n, left, at, add, out_weight)


@jit_strict_inner
def _own_ranks_nb(ranks, left, n, own):
    """Copy the ranks of `n` columns from `left` on; elsewhere, ranks are the largest possible."""
    for e in range(own.shape[0]):
        for c in range(WIDTH):
            own[e, c] = ranks[e, left + c] if c < n else np.uint16(65535)


@jit_strict_inner
def _pack_weights_nb(weights, left, n, begin, stop, packed):
    """Copy the weights of `n` columns from `left` on, of a block of rows."""
    for t in range(begin, stop):
        for c in range(n):
            packed[t - begin, c] = weights[t, left + c]


@jit_strict_inner
def _pack_nb(spec, n, count, source, step, target):
    """Copy `n` columns of a block of rows, and prefetch the next block."""
    item = bytes_of(spec)
    for t in range(count):
        at, to = source + t * step, target + t * WIDTH * item
        for line in range(0, WIDTH * item, 64):
            fetch(at + BLOCK * step + line)
        if n == WIDTH:
            copy_samples(spec, at, to)
        else:
            for c in range(n):
                copy_sample(spec, at + c * item, to + c * item)


@jit_strict_inner
def _add_block_nb(spec, places, limits, begin, stop, ranks, weights, packed, sums, short, hits,
                  counts):
    """Add rows from `begin` to `stop` without weights, except those of weight 0."""
    n_bin, by, own = hits.size, WIDTH * bytes_of(spec), address_of(ranks)
    item = 2 if has_short_sums(spec) else 8 if has_double_sums(spec) else 4
    base = address_of(short) if has_short_sums(spec) else address_of(sums)
    for row in range(np.uint64(stop - begin)):
        t = np.uint64(begin) + row
        if weights.size and not weights[t, _ZERO] > 0:
            continue
        here = np.uint64(places[t])
        after = here + _ONE if here + _ONE < np.uint64(n_bin) else _ZERO
        low, high = base + np.int64(here) * WIDTH * item, base + np.int64(after) * WIDTH * item
        below = add_row(spec, low, high, packed + np.int64(row) * by, own, limits[t])
        counts[here, np.uint64(below)] += np.uint16(1)
        if has_short_sums(spec):
            hits[here] += 1
            if hits[here] == _MOST_HITS:
                hits[here] = 0
                whole = address_of(sums)
                add_short(spec, low, whole + 4 * np.int64(here) * WIDTH)
                add_short(spec, high, whole + 4 * np.int64(after) * WIDTH)


@jit_strict_inner
def _add_weighted_nb(spec, places, limits, begin, stop, ranks, weights, of_packed, packed, sums):
    """Add rows from `begin` to `stop` times their weights, and the weights."""
    n_bin, by, own, size = sums.shape[1], WIDTH * bytes_of(spec), address_of(ranks), 8 * WIDTH
    base, totals = address_of(sums[0]), address_of(sums[1]) - address_of(sums[0])
    for t in range(begin, stop):
        if has_own_weights(spec):
            given = address_of(of_packed) + 4 * (t - begin) * WIDTH
        else:
            given = address_of(weights) + 4 * t
        here = np.int64(places[t])
        after = here + 1 if here + 1 < n_bin else 0
        add_weighted_row(spec, base + here * size, base + after * size, totals,
                         packed + (t - begin) * by, given, own, limits[t])


@jit_strict_inner
def _add_all_short_nb(spec, short, sums):
    """Add all sums of 16 bits to those of 32 bits."""
    for k in range(short.size // WIDTH):
        add_short(spec, address_of(short) + 2 * k * WIDTH, address_of(sums) + 4 * k * WIDTH)


@jit_strict_inner
def _turn_back_nb(turns, n, n_bin, b, places):
    """Set the places, in the rotated sums, of bin b of `n` columns."""
    for c in range(n):
        r = b - turns[c]
        places[c] = (r + n_bin if r < 0 else r) * WIDTH + c


@jit_strict_inner
def _take_nb(sums, turns, n, left, places, results):
    """Set the sums of `n` columns from `left` on to those that results contain."""
    out, first, step = results
    n_bin = sums.shape[1]
    for e in range(sums.shape[0]):
        own = sums[e].reshape(-1)
        for b in range(n_bin):
            _turn_back_nb(turns[e, left:], n, n_bin, b, places)
            row = np.uint64(first + (e * n_bin + b) * step + left)
            for c in range(np.uint64(n)):
                own[places[c]] = out[row + c]


@jit_strict_inner
def _give_nb(sums, turns, n, left, places, add, results):
    """Set results to the sums of `n` columns from `left` on, or add these to them."""
    out, first, step = results
    n_bin = sums.shape[1]
    for e in range(sums.shape[0]):
        own = sums[e].reshape(-1)
        for b in range(n_bin):
            _turn_back_nb(turns[e, left:], n, n_bin, b, places)
            row = np.uint64(first + (e * n_bin + b) * step + left)
            for c in range(np.uint64(n)):
                value = np.float64(own[places[c]])
                out[row + c] = out[row + c] + value if add else value


@jit_strict_inner_arrays
def _count_nb(counts, ranks, n, ones):
    """Set the numbers of rows in each bin of `n` columns, rotated as their sums."""
    n_bin = counts.shape[0]
    order = np.empty(WIDTH, np.uint64)
    for c in range(n):  # where a column is among the ranks of its group
        order[c] = 0
        for k in range(WIDTH):
            order[c] += np.uint64(ranks[k] < ranks[c])
    for b in range(n_bin):  # how many rows have that many columns or fewer in the lower bin
        total = np.uint16(0)
        for k in range(np.uint64(WIDTH + 1)):
            total += counts[b, k]
            counts[b, k] = total
    for b in range(n_bin):
        own, before = counts[b], counts[b - 1 if b else n_bin - 1]
        for c in range(np.uint64(n)):
            ones[b, c] = np.int32(own[_LAST]) - np.int32(own[order[c]]) + np.int32(before[order[c]])
