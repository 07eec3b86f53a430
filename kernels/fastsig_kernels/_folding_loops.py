"""Loops of folding: rows of samples added to the bins of profiles.

Memory is specified by address (int64), and nothing is checked here. A tile is a range of columns
whose sums, of all bins of all profiles, stay in the cache: (slot, column), where slot is profile
times number of bins plus bin. A row adds to one contiguous row of the tile. Every sum is in the
order of rows, so that its bits do not depend on how a stream is divided into calls.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._fdmt_reading import SAMPLES, bytes_of, put, vector
from ._jit import jit_strict, jit_strict_inner
from ._passes import _prefetch
from ._simd import address_of

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_FLOAT, _DOUBLE = ir.FloatType(), ir.DoubleType()
_i = types.int64
#: Columns of a step of the loops, and of a step for the rest.
WIDE, NARROW = 64, 16
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def _converted(builder: Any, items: dict[str, Any], x: Any) -> Any:
    """Convert samples to the type of sums: int32 if `items` says so, otherwise float64."""
    element, signed = SAMPLES[items["kind"]]
    n = x.type.count
    if element == _FLOAT:
        return builder.fpext(x, ir.VectorType(_DOUBLE, n))
    if items["integer"]:
        return (builder.sext if signed else builder.zext)(x, ir.VectorType(_I32, n))
    convert = builder.sitofp if signed else builder.uitofp
    return convert(x, ir.VectorType(_DOUBLE, n))


def _sample(builder: Any, items: dict[str, Any], address: Any, n: int) -> Any:
    """Load and convert `n` neighbouring samples."""
    kind = ir.VectorType(SAMPLES[items["kind"]][0], n)
    return _converted(builder, items, vector(builder, address, kind))


def _splat(builder: Any, value: Any, n: int) -> Any:
    """Return a value in every lane of a vector."""
    kind = ir.VectorType(value.type, n)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_I32, 0))
    lanes = ir.Constant(ir.VectorType(_I32, n), [ir.Constant(_I32, 0)] * n)
    return builder.shuffle_vector(one, one, lanes)


def _sum_type(items: dict[str, Any], n: int) -> Any:
    return ir.VectorType(_I32 if items["integer"] else _DOUBLE, n)


@intrinsic
def sum_bytes(typingctx, spec):
    """Return the size of a sum."""

    def codegen(context, builder, signature, args):
        return ir.Constant(_I64, 4 if spec.items["integer"] else 8)

    return _i(spec), codegen


@intrinsic(prefer_literal=True)
def _add_rows(typingctx, spec, width, count, sums, source, step, ahead):
    """Add `count` rows, `step` bytes apart, to `width` sums; prefetch what is `ahead` bytes on."""
    if not all(isinstance(each, types.IntegerLiteral) for each in (width, count)):
        return None

    def codegen(context, builder, signature, args):
        sums, source, step, ahead = args[3:]
        items, n = spec.items, width.literal_value
        total = vector(builder, sums, _sum_type(items, n))
        add = builder.add if items["integer"] else builder.fadd
        for _ in range(count.literal_value):
            total = add(total, _sample(builder, items, source, n))
            _prefetch(builder, builder.add(source, ahead))
            source = builder.add(source, step)
        put(builder, total, sums)
        return context.get_dummy_value()

    return types.void(spec, width, count, _i, _i, _i, _i), codegen


@intrinsic(prefer_literal=True)
def _add_scaled(typingctx, spec, width, sums, source, weight):
    """Add `width` samples times one weight to sums in float64."""
    if not isinstance(width, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        sums, source, weight = args[2:]
        n = width.literal_value
        kind = ir.VectorType(_DOUBLE, n)
        if spec.items["integer"]:  # compiled, but never reached
            return context.get_dummy_value()
        product = builder.fmul(_sample(builder, spec.items, source, n), _splat(builder, weight, n))
        put(builder, builder.fadd(vector(builder, sums, kind), product), sums)
        return context.get_dummy_value()

    return types.void(spec, width, _i, _i, types.float64), codegen


@intrinsic(prefer_literal=True)
def _add_weighted(typingctx, spec, width, sums, totals, source, weights):
    """Add `width` samples times their weights to sums, and the weights to totals, in float64.

    Where the weight is not above 0, nothing is added.
    """
    if not isinstance(width, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        sums, totals, source, weights = args[2:]
        n = width.literal_value
        kind = ir.VectorType(_DOUBLE, n)
        given = vector(builder, weights, ir.VectorType(_FLOAT, n))
        zero, nothing = ir.Constant(given.type, None), ir.Constant(kind, None)
        counts = builder.fcmp_ordered(">", given, zero)
        weight = builder.select(counts, builder.fpext(given, kind), nothing)
        product = builder.fmul(_sample(builder, spec.items, source, n), weight)
        product = builder.select(counts, product, nothing)
        put(builder, builder.fadd(vector(builder, sums, kind), product), sums)
        put(builder, builder.fadd(vector(builder, totals, kind), weight), totals)
        return context.get_dummy_value()

    return types.void(spec, width, _i, _i, _i, _i), codegen


@intrinsic
def _load_sample(typingctx, spec, address):
    """Load a sample as the type of sums."""
    items = spec.items

    def codegen(context, builder, signature, args):
        one = _sample(builder, items, args[1], 1)
        return builder.extract_element(one, ir.Constant(_I32, 0))

    return (types.int32 if items["integer"] else types.float64)(spec, _i), codegen


@jit_strict_inner
def bin_of_nb(phase, n_bin):
    """Return the bin of a phase: the whole part of ``phase n_bin / 2^64``."""
    high = (phase >> _HALF) * n_bin + (((phase & _LOW) * n_bin) >> _HALF)
    return high >> _HALF


@jit_strict_inner
def phase_of_nb(pieces, t, piece):
    """Return the phase of row `t`, and how to reach the rows that follow in its piece.

    The phase is ``start + j step + j (j - 1) / 2 bend`` for the row's number j in its piece; then
    what is added to it to reach the next row, what is added to that, and the first row beyond.
    """
    k = t // piece
    j = np.uint64(t - k * piece)
    start, step, bend = pieces[k, 0], pieces[k, 1], pieces[k, 2]
    triangle = j * (j - np.uint64(1)) // np.uint64(2)
    return start + j * step + triangle * bend, step + j * bend, bend, (k + 1) * piece


@jit_strict
def list_rows_nb(phase, piece, first, n, n_bin, block, weight, is_scaled, steps, scales, total):
    """List what to add of `n` rows from `first` on, `block` rows of all profiles at a time.

    Each of `steps` is a slot, the number of a row from `first` on, and how many rows from there on
    have the same bin: 8, 4, 2 or 1. Rows of weight 0 are left out. `total` receives the weights.
    If `is_scaled`, steps have one row, and `scales` are their weights. Returns how many there are.
    """
    bins, count = np.uint64(n_bin), 0
    for begin in range(0, n, block):
        stop = min(begin + block, n)
        for e in range(phase.shape[0]):
            run, slot = 0, -1
            now, move, bend, beyond = phase_of_nb(phase[e], first + begin, piece)
            for t in range(begin, stop):
                if first + t == beyond:
                    now, move, bend, beyond = phase_of_nb(phase[e], first + t, piece)
                w = weight[t] if weight.size else np.float32(1)
                here = np.int64(bin_of_nb(now, bins)) if w > 0 else -1
                if run and (here != slot or is_scaled):
                    count = _list_run_nb(steps, count, e * n_bin + slot, t - run, run)
                    run = 0
                slot = here
                if here >= 0:
                    total[e, here] += np.float64(w)
                    run += 1
                    if is_scaled:
                        scales[count] = w
                now += move
                move += bend
            if run:
                count = _list_run_nb(steps, count, e * n_bin + slot, stop - run, run)
    return count


@jit_strict_inner
def _list_run_nb(steps, count, slot, row, run):
    """List a run of rows of the same bin."""
    while run:
        size = 8 if run >= 8 else 4 if run >= 4 else 2 if run >= 2 else 1
        steps[count, 0] = slot
        steps[count, 1] = row
        steps[count, 2] = size
        count += 1
        row += size
        run -= size
    return count


@jit_strict_inner
def _add_step_nb(spec, size, n, sums, source, step, ahead):
    """Add up to 8 rows to `n` sums, a multiple of 16."""
    item, total, c = bytes_of(spec), sum_bytes(spec), 0
    while c + WIDE <= n:
        to, at = sums + c * total, source + c * item
        if size == 1:
            _add_rows(spec, 64, 1, to, at, step, ahead)
        elif size == 2:
            _add_rows(spec, 64, 2, to, at, step, ahead)
        elif size == 4:
            _add_rows(spec, 64, 4, to, at, step, ahead)
        else:
            _add_rows(spec, 64, 8, to, at, step, ahead)
        c += WIDE
    while c < n:
        for k in range(size):
            _add_rows(spec, 16, 1, sums + c * total, source + c * item + k * step, step, ahead)
        c += NARROW


@jit_strict
def add_rows_nb(spec, steps, count, tile, n, source, step, ahead):
    """Add the rows that `steps` lists to a tile of `n` columns, which begins at `source`."""
    width = n * sum_bytes(spec)
    place = address_of(tile)
    for i in range(count):
        _add_step_nb(spec, steps[i, 2], n, place + steps[i, 0] * width,
                     source + steps[i, 1] * step, step, ahead)


@jit_strict
def add_scaled_nb(spec, steps, scales, count, tile, n, source, step):
    """Add the rows that `steps` lists, times their weights."""
    item, width = bytes_of(spec), 8 * n
    place = address_of(tile)
    for i in range(count):
        to, at = place + steps[i, 0] * width, source + steps[i, 1] * step
        scale = np.float64(scales[i])
        for c in range(0, n, NARROW):
            _add_scaled(spec, 16, to + 8 * c, at + item * c, scale)


@jit_strict
def add_weighted_nb(spec, steps, count, tile, totals, n, source, step, weights, weight_step):
    """Add the rows that `steps` lists, times the weights of their samples."""
    item, width = bytes_of(spec), 8 * n
    place, other = address_of(tile), address_of(totals)
    for i in range(count):
        for k in range(steps[i, 2]):
            row = steps[i, 1] + k
            to, at, w = steps[i, 0] * width, source + row * step, weights + row * weight_step
            for c in range(0, n, NARROW):
                _add_weighted(spec, 16, place + to + 8 * c, other + to + 8 * c, at + item * c,
                              w + 4 * c)


@jit_strict
def add_few_nb(spec, steps, scales, count, tile, totals, n, source, step, weights):
    """Add the rows that `steps` lists to a tile of few columns.

    Samples are multiplied by the weights of rows if `scales` is not empty, and by their own if
    `weights` (time, column) is not empty; these are then added to `totals`.
    """
    item = bytes_of(spec)
    for i in range(count):
        first = np.uint64(steps[i, 0]) * np.uint64(n)
        for row in range(steps[i, 1], steps[i, 1] + steps[i, 2]):
            at = source + row * step
            for c in range(n):
                place = first + np.uint64(c)
                x = _load_sample(spec, at + c * item)
                if weights.size:
                    w = np.float64(weights[row, c])
                    if w > 0:
                        tile[place] += w * x
                        totals[place] += w
                elif scales.size:
                    tile[place] += np.float64(scales[i]) * x
                else:
                    tile[place] += x
