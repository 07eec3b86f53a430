"""Loops of folding where columns have phases of their own, as channels with their delays have.

If neighbouring columns are in the same bin or in very few, whole vectors are added, and those of
several rows at a time (`add_near_nb`). Otherwise each sample is added to its bin together with its
weight, as a pair of float64 (`add_apart_nb`). Sums are in the order of rows.
"""

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._fdmt_reading import bytes_of, put, vector
from ._folding_loops import (
    _DOUBLE,
    _I32,
    _I64,
    NARROW,
    WIDE,
    _add_step_nb,
    _load_sample,
    _sample,
    _splat,
    _sum_type,
    bin_of_nb,
    phase_of_nb,
    sum_bytes,
)
from ._jit import jit_strict, jit_strict_inner
from ._passes import _prefetch
from ._simd import address_of

_ONE = np.uint64(1)
_MOST_RUN = 8
_ROWS_AHEAD = 16
_BLOCK = 64  # rows whose pages and lines are at hand for one group of columns after the other
_i = types.int64


@intrinsic
def _add_chosen(typingctx, spec, sums, counts, source, offset, least, width):
    """Add 64 samples to sums, and 1 to int32 counts, where ``offset - least`` is below `width`.

    `offset` is the address of 64 phases; differences wrap around.
    """

    def codegen(context, builder, signature, args):
        sums, counts, source, offset, least, width = args[1:]
        phases = vector(builder, offset, ir.VectorType(_I64, WIDE))
        after = builder.sub(phases, _splat(builder, least, WIDE))
        chosen = builder.icmp_unsigned("<", after, _splat(builder, width, WIDE))
        kind, number = _sum_type(spec.items, WIDE), ir.VectorType(_I32, WIDE)
        x = builder.select(chosen, _sample(builder, spec.items, source, WIDE),
                           ir.Constant(kind, None))
        add = builder.add if spec.items["integer"] else builder.fadd
        put(builder, add(vector(builder, sums, kind), x), sums)
        more = builder.add(vector(builder, counts, number), builder.zext(chosen, number))
        put(builder, more, counts)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i, types.uint64, types.uint64), codegen


@intrinsic
def _set_places(typingctx, phase, offset, n_bin, place):
    """Set the distances of 16 pairs from the first one, in bytes: of the bins of their phases.

    `offset` is the address of what is added to the phase; `place` is that of 16 int64.
    """

    def codegen(context, builder, signature, args):
        phase, offset, n_bin, place = args
        wide = ir.VectorType(_I64, NARROW)

        def same(number: int) -> ir.Constant:
            return ir.Constant(wide, [ir.Constant(_I64, number)] * NARROW)

        low = same(2**32 - 1)
        bins = builder.and_(_splat(builder, n_bin, NARROW), low)
        phases = builder.add(vector(builder, offset, wide), _splat(builder, phase, NARROW))
        parts = [builder.mul(each, bins) for each in (
            builder.lshr(phases, same(32)), builder.and_(phases, low))]
        whole = builder.lshr(builder.add(parts[0], builder.lshr(parts[1], same(32))), same(32))
        lanes = ir.Constant(wide, [ir.Constant(_I64, 16 * lane) for lane in range(NARROW)])
        put(builder, builder.add(builder.mul(whole, same(16 * NARROW)), lanes), place)
        return context.get_dummy_value()

    return types.void(types.uint64, _i, types.uint64, _i), codegen


@intrinsic
def _add_pair(typingctx, pairs, place, value, weight):
    """Add a value and its weight to two float64; `place` is the address of their distance."""

    def codegen(context, builder, signature, args):
        pairs, place, value, weight = args
        kind = ir.VectorType(_DOUBLE, 2)
        pair = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_I32, 0))
        pair = builder.insert_element(pair, weight, ir.Constant(_I32, 1))
        at = builder.add(pairs, builder.load(builder.inttoptr(place, _I64.as_pointer())))
        put(builder, builder.fadd(vector(builder, at, kind), pair), at)
        return context.get_dummy_value()

    return types.void(_i, _i, types.float64, types.float64), codegen


@intrinsic
def _fetch(typingctx, address):
    """Prefetch a cache line; any address is allowed."""

    def codegen(context, builder, signature, args):
        _prefetch(builder, args[0])
        return context.get_dummy_value()

    return types.void(_i), codegen


def spans(offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first of the phases of each profile, and how far the last one is from it.

    Phases are those of neighbouring columns, (profile, column), of which none is half a turn or
    more away from that of the first column.
    """
    apart = (offset - offset[:, :1]).view(np.int64)
    low, high = apart.min(axis=1), apart.max(axis=1)
    return offset[:, 0] + low.view(np.uint64), (high - low).view(np.uint64)


def edges_of_bins(n_bin: int) -> np.ndarray:
    """Return the least phase of each bin, and of bin 0 again: ``ceil(b 2^64 / n_bin)``."""
    return np.array([-(-(b << 64) // n_bin) % 2**64 for b in range(n_bin + 1)], np.uint64)


@jit_strict
def add_near_nb(spec, phase, piece, first, n, block, edges, offset, lowest, spread, is_used, sums,
                counts, whole, source, step):
    """Add `n` rows from `first` on to a tile of 64 columns that are in few bins.

    `offset` (profile, column) is added to the phase of a row; `lowest` and `spread` are those of
    `spans`, and `edges` those of `edges_of_bins`. Rows are left out where `is_used` is false; it
    may be empty. Sums and counts are (slot, column); `whole` (slot,) counts rows that are in one
    bin as a whole.
    """
    n_bin = edges.size - 1
    bins, width = np.uint64(n_bin), WIDE * sum_bytes(spec)
    place, place_count = address_of(sums), address_of(counts)
    for begin in range(0, n, block):
        stop = min(begin + block, n)
        for e in range(phase.shape[0]):
            own = address_of(offset) + 8 * WIDE * e
            now, move, bend, beyond = phase_of_nb(phase[e], first + begin, piece)
            run, slot = 0, 0
            for t in range(begin, stop):
                if first + t == beyond:
                    now, move, bend, beyond = phase_of_nb(phase[e], first + t, piece)
                low = np.int64(bin_of_nb(now + lowest[e], bins))
                high = np.int64(bin_of_nb(now + lowest[e] + spread[e], bins))
                is_here = is_used[t] if is_used.size else True
                if run and (low != high or low != slot or run == _MOST_RUN or not is_here):
                    _add_run_nb(spec, run, place + (e * n_bin + slot) * width,
                                source + (t - run) * step, step)
                    run = 0
                if is_here and low == high:
                    whole[e * n_bin + low] += 1
                    slot = low
                    run += 1
                elif is_here:
                    for line in range(0, WIDE * bytes_of(spec), 64):
                        _fetch(source + (t + _ROWS_AHEAD) * step + line)
                    last = (high + 1) % n_bin
                    while low != last:
                        to = e * n_bin + low
                        _add_chosen(spec, place + to * width, place_count + to * WIDE * 4,
                                    source + t * step, own, edges[low] - now,
                                    edges[low + 1] - edges[low])
                        low = (low + 1) % n_bin
                now += move
                move += bend
            if run:
                _add_run_nb(spec, run, place + (e * n_bin + slot) * width,
                            source + (stop - run) * step, step)


@jit_strict_inner
def _add_run_nb(spec, run, sums, source, step):
    """Add up to 8 rows to 64 sums."""
    while run:
        size = 8 if run >= 8 else 4 if run >= 4 else 2 if run >= 2 else 1
        _add_step_nb(spec, size, WIDE, sums, source, step, _ROWS_AHEAD * step)
        source += size * step
        run -= size


@jit_strict
def add_apart_nb(spec, phase, piece, first, n, n_bin, offset, columns, weight, pairs, source,
                 step):
    """Add `n` rows from `first` on to up to 64 columns, each sample to a bin of its own.

    `offset` (profile, group, 16) is added to the phase of a row; the last group may be longer than
    what remains of the columns. `weight` (n, 1 or column) may be empty. Pairs of sums and weights
    are (group, profile, bin, 16, 2).
    """
    item, place = bytes_of(spec), address_of(pairs)
    size = 16 * NARROW * n_bin
    index = np.empty(NARROW, np.int64)
    own = address_of(index)
    for begin in range(0, n, _BLOCK):
        stop = min(begin + _BLOCK, n)
        for group in range(offset.shape[1]):
            left = NARROW * group
            some = weight[:, left:] if weight.shape[1] > 1 else weight
            for e in range(offset.shape[0]):
                _add_group_nb(spec, phase[e], piece, first, begin, stop, np.uint64(n_bin),
                              address_of(offset[e, group]), min(NARROW, columns - left), some,
                              weight.shape[1] > 1, own, place, source + left * item, step)
                place += size
        place = address_of(pairs)


@jit_strict_inner
def _add_group_nb(spec, pieces, piece, first, begin, stop, bins, offset, columns, weight,
                  by_sample, index, pairs, source, step):
    """Add rows from `begin` on to 16 columns or fewer; `index` is the address of 16 int64."""
    item = bytes_of(spec)
    now, move, bend, beyond = phase_of_nb(pieces, first + begin, piece)
    for t in range(begin, stop):
        if first + t == beyond:
            now, move, bend, beyond = phase_of_nb(pieces, first + t, piece)
        at = source + t * step
        _fetch(at + _BLOCK * step)
        _set_places(now, offset, bins, index)
        if by_sample:
            for c in range(columns):
                w = np.float64(weight[t, c])
                if w > 0:
                    x = np.float64(_load_sample(spec, at + c * item))
                    _add_pair(pairs, index + 8 * c, w * x, w)
        elif weight.size == 0:
            for c in range(columns):
                x = np.float64(_load_sample(spec, at + c * item))
                _add_pair(pairs, index + 8 * c, x, 1.0)
        elif weight[t, 0] > 0:
            w = np.float64(weight[t, 0])
            for c in range(columns):
                x = np.float64(_load_sample(spec, at + c * item))
                _add_pair(pairs, index + 8 * c, w * x, w)
        now += move
        move += bend
