"""Loops of folding where each column has a phase of its own, as channels with their delays have.

A tile has up to 64 columns, and sums are in the order of rows, as in `_folding_loops`. Neighbouring
columns are mostly in the same bin or in few bins if delays are small compared with the period;
otherwise each column has a bin of its own.
"""

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._fdmt_loops import _put, _vector
from ._folding_loops import (
    _I64,
    WIDE,
    _load_sample,
    _sample,
    _splat,
    bin_of_nb,
    phase_of_nb,
    sample_bytes,
    sum_bytes,
)
from ._jit import jit_strict, jit_strict_inner
from ._simd import address_of

#: Bins of neighbouring columns up to which whole vectors are added to each.
_FEW = np.uint64(6)
_ONE = np.uint64(1)
_i = types.int64


@intrinsic
def _add_scaled(typingctx, spec, sums, totals, source, weight):
    """Add 64 samples times a weight to sums, and the weight to totals."""

    def codegen(context, builder, signature, args):
        sums, totals, source, weight = args[1:]
        _add_values(builder, spec.items, sums, totals, source, weight, None)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, weight), codegen


@intrinsic
def _add_chosen(typingctx, spec, sums, totals, source, weight, index, slot):
    """Do as `_add_scaled` where `index`, the address of the slots of the samples, has `slot`."""

    def codegen(context, builder, signature, args):
        sums, totals, source, weight, index, slot = args[1:]
        slots = _vector(builder, index, ir.VectorType(_I64, WIDE))
        chosen = builder.icmp_unsigned("==", slots, _splat(builder, slot, WIDE))
        _add_values(builder, spec.items, sums, totals, source, weight, chosen)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, weight, _i, types.uint64), codegen


def _add_values(builder, items, sums, totals, source, weight, chosen):
    """Add samples times a weight, which is 1 for sums of integers, and the weight."""
    x, each = _sample(builder, items, source, WIDE), _splat(builder, weight, WIDE)
    add = builder.add if items["integer"] else builder.fadd
    if not items["integer"]:
        x = builder.fmul(x, each)
    for place, value in ((sums, x), (totals, each)):
        if chosen is not None:
            value = builder.select(chosen, value, ir.Constant(value.type, None))
        _put(builder, add(_vector(builder, place, each.type), value), place)


@jit_strict_inner
def _spans_nb(offset):
    """Return the first of neighbouring phases of each profile, and how far the last is from it."""
    lowest, spread = np.empty(len(offset), np.uint64), np.empty(len(offset), np.uint64)
    for e in range(len(offset)):
        low, high = np.int64(0), np.int64(0)
        for c in range(offset.shape[1]):
            apart = np.int64(offset[e, c] - offset[e, 0])
            low, high = min(low, apart), max(high, apart)
        lowest[e] = offset[e, 0] + np.uint64(low)
        spread[e] = np.uint64(high) - np.uint64(low)
    return lowest, spread


@jit_strict_inner
def _index_nb(phase, offset, n_bin, first, index):
    """Set the slots of neighbouring columns."""
    for c in range(index.size):
        index[c] = bin_of_nb(phase + offset[c], n_bin) + first


@jit_strict_inner
def _scatter_nb(spec, index, sums, totals, source, weight):
    """Add neighbouring samples times a weight, which is 1 for sums of integers, to their slots."""
    item, columns = sample_bytes(spec), np.uint64(index.size)
    for k in range(index.size):
        c = np.uint64(k)
        place = index[c] * columns + c
        sums[place] += weight * _load_sample(spec, source + k * item)
        totals[place] += weight


@jit_strict_inner
def _scatter_weighted_nb(spec, index, sums, totals, source, weight):
    """Add neighbouring samples times their weights to their slots."""
    item, columns = sample_bytes(spec), np.uint64(index.size)
    for k in range(index.size):
        c = np.uint64(k)
        w, place = np.float64(weight[c]), index[c] * columns + c
        if w > 0:
            sums[place] += w * _load_sample(spec, source + k * item)
            totals[place] += w


@jit_strict
def add_shifted_nb(spec, phase, piece, first, n, block, n_bin, offset, weight, sums, totals, source,
                   step):
    """Add `n` rows from `first` on to a tile of up to 64 columns.

    `offset` (profile, column) is added to the phase of a row; `weight` (n, 1 or column) may be
    empty. Sums and totals are (slot, column), flat.
    """
    bins, columns = np.uint64(n_bin), offset.shape[1]
    width, one = columns * sum_bytes(spec), totals.dtype.type(1)
    place, place_total = address_of(sums), address_of(totals)
    index = np.empty(columns, np.uint64)
    by_sample = weight.shape[1] > 1
    lowest, spread = _spans_nb(offset)
    most = ~np.uint64(0) // bins * _FEW
    for begin in range(0, n, block):
        for e in range(phase.shape[0]):
            near = columns == WIDE and not by_sample and bins > _FEW + _ONE and spread[e] < most
            slot = np.uint64(e) * bins
            now, move, bend, beyond = phase_of_nb(phase[e], first + begin, piece)
            for t in range(begin, min(begin + block, n)):
                if first + t == beyond:
                    now, move, bend, beyond = phase_of_nb(phase[e], first + t, piece)
                at, w = source + t * step, one
                if weight.size and not by_sample:
                    w = totals.dtype.type(max(weight[t, 0], np.float32(0)))
                low = bin_of_nb(now + lowest[e], bins)
                high = bin_of_nb(now + lowest[e] + spread[e], bins)
                if not w > 0:
                    pass
                elif near and low == high:
                    to = np.int64(slot + low) * width
                    _add_scaled(spec, place + to, place_total + to, at, w)
                else:
                    _index_nb(now, offset[e], bins, slot, index)
                    if near:
                        stop = (high + _ONE) % bins
                        while low != stop:
                            to = np.int64(slot + low) * width
                            _add_chosen(spec, place + to, place_total + to, at, w,
                                        address_of(index), slot + low)
                            low = (low + _ONE) % bins
                    elif by_sample:
                        _scatter_weighted_nb(spec, index, sums, totals, at, weight[t])
                    else:
                        _scatter_nb(spec, index, sums, totals, at, w)
                now += move
                move += bend
