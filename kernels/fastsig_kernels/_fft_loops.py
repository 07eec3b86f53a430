"""Transforms of whole rows that fit into a cache.

There are N = lanes x M points. The first pass transforms `lanes` points that are N / lanes apart,
multiplies by twiddles and transposes in registers, so that lanes then contain neighbouring points
of the result. The remaining transforms of M points are the same in each lane and use radices up
to 16; the last pass writes complex numbers as NumPy stores them, in their final order.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._codelets import DFT, Complex, interleave, transpose
from ._jit import jit, jit_inner
from ._order import PAD
from ._passes import (
    _block,
    _multiple,
    _pairs,
    _points,
    _prefetch,
    _put_block,
    _put_pairs,
    block_lanes,
)
from ._simd import Emitter, finish_stores

_i = types.int64
# Rows up to this many bytes are prefetched whole while the previous row is processed.
_ROW_AHEAD = 2**16
# Longer rows, and the shortest ones, which are read in order, are prefetched this far ahead.
_AHEAD = 512


def _swapped(x: Complex) -> Complex:
    """Swap both parts; a forward transform between two swaps is an inverse transform."""
    return Complex(x.im, x.re)


def _fetch(emit: Emitter, address: Any, write: bool = False, *, near: bool = False) -> None:
    """Prefetch a block of complex numbers.

    A pass with long strides looks random to the processor, which then prefetches nothing itself.
    """
    for line in range(0, 8 * emit.lanes, 64):
        _prefetch(emit.builder, emit.at(address, line), write, near=near)


@intrinsic
def turned_column(typingctx, spec, source, step, ahead, twiddles, target):
    """Do the first pass: transform and transpose `lanes` neighbouring columns of `lanes` points.

    Data `ahead` bytes further on is prefetched and, with `columns`, the next columns are
    prefetched into the first-level cache. Items of `spec`: lanes, inverse, columns.
    """

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"], balanced=True)
        emit.align_stack()
        n, inverse = emit.lanes, spec.items["inverse"]
        source, step, ahead, twiddles, target = args[1:]

        def read(emit: Emitter, address: Any) -> Complex:
            x = _pairs(emit, address)
            _fetch(emit, builder.add(address, ahead))
            if spec.items["columns"]:
                _fetch(emit, emit.at(address, 8 * n), near=True)
            return _swapped(x) if inverse else x

        rows = DFT[n](_points(read, emit, source, step, n))
        for k in range(1, n):
            rows[k] = rows[k].times(_block(emit, twiddles, (k - 1) * 8 * n))
        re = transpose(emit, [row.re for row in rows])
        im = transpose(emit, [row.im for row in rows])
        for k, y in enumerate(zip(re, im, strict=True)):
            _put_block(emit, Complex(*y), target, k * 8 * n)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i, _i), codegen


@intrinsic(prefer_literal=True)
def inner_column(typingctx, spec, radix, place, step, twiddles):
    """Do a middle pass: transform `radix` blocks in place, with the same twiddle in every lane."""
    if not isinstance(radix, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        emit.align_stack()
        place, step, twiddles = args[2:]
        points = _points(_block, emit, place, step, radix.literal_value)
        for k, y in enumerate(DFT[radix.literal_value](points)):
            if k:
                at = 8 * (k - 1)
                w = Complex(emit.load_scalar(twiddles, at), emit.load_scalar(twiddles, at + 4))
                y = y.times(w)
            _put_block(emit, y, _multiple(emit, place, step, k))
        return context.get_dummy_value()

    return types.void(spec, radix, _i, _i, _i), codegen


@intrinsic(prefer_literal=True)
def last_column(typingctx, spec, radix, stream, source, target, step, ahead, scale):
    """Do the last pass: `radix` neighbouring blocks to complex numbers, multiplied by `scale`.

    With `stream` the results bypass the cache and fill whole cache lines. Otherwise memory
    `ahead` bytes further on is prefetched for the next row's result. Items of `spec`: lanes,
    inverse.
    """
    if not isinstance(radix, types.IntegerLiteral) or not isinstance(
            stream, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        emit.align_stack()
        source, target, step, ahead, scale = args[3:]
        factor = emit.broadcast(scale)
        n = emit.lanes
        block = ir.Constant(ir.IntType(64), 8 * n)
        points = _points(_block, emit, source, block, radix.literal_value)
        for k, y in enumerate(DFT[radix.literal_value](points)):
            if spec.items["inverse"]:
                # Only inverse transforms have a factor other than 1.
                y = _swapped(Complex(y.re * factor, y.im * factor))
            place = _multiple(emit, target, step, k)
            if stream.literal_value:
                for half, vector in enumerate(interleave(emit, y)):
                    emit.store_past_cache(vector, place, 4 * n * half)
            else:
                _fetch(emit, builder.add(place, ahead), True)
                _put_pairs(emit, y, place)
        return context.get_dummy_value()

    return types.void(spec, radix, stream, _i, _i, _i, _i, types.float32), codegen


# Each loop around a codelet is a separate function. Next to other loops, the compiler keeps more
# values alive than there are registers, and the code takes up to twice the time.


@jit_inner
def turned_columns_nb(spec, n, source, step, ahead, twiddles, target):
    """Process `n` groups of neighbouring columns in the first pass."""
    lanes = block_lanes(spec)
    block = 8 * lanes
    for c in range(n):
        turned_column(spec, source + c * block, step, ahead, twiddles + c * (lanes - 1) * block,
                      target + c * lanes * block)


@jit_inner
def inner_columns_nb(spec, radix, n, place, step, twiddles):
    """Process `n` neighbouring columns in a middle pass."""
    if radix == 16:
        _inner16_nb(spec, n, place, step, twiddles)
    elif radix == 8:
        _inner8_nb(spec, n, place, step, twiddles)
    elif radix == 4:
        _inner4_nb(spec, n, place, step, twiddles)
    else:
        _inner2_nb(spec, n, place, step, twiddles)


@jit_inner
def _inner16_nb(spec, n, place, step, twiddles):
    block = 8 * block_lanes(spec)
    for j in range(n):
        inner_column(spec, 16, place + j * block, step, twiddles + 120 * j)


@jit_inner
def _inner8_nb(spec, n, place, step, twiddles):
    block = 8 * block_lanes(spec)
    for j in range(n):
        inner_column(spec, 8, place + j * block, step, twiddles + 56 * j)


@jit_inner
def _inner4_nb(spec, n, place, step, twiddles):
    block = 8 * block_lanes(spec)
    for j in range(n):
        inner_column(spec, 4, place + j * block, step, twiddles + 24 * j)


@jit_inner
def _inner2_nb(spec, n, place, step, twiddles):
    block = 8 * block_lanes(spec)
    for j in range(n):
        inner_column(spec, 2, place + j * block, step, twiddles + 8 * j)


@jit_inner
def inner_levels_nb(spec, work, n_inner, levels):
    """Do the middle passes of one row of blocks, see `transform_rows`."""
    block = 8 * block_lanes(spec)
    part = n_inner // levels[0, 0] if levels.shape[0] > 0 else n_inner
    for level in range(levels.shape[0]):
        radix, size, count, twiddles = levels[level]
        step = size // radix
        pad = PAD if level == 0 else 0
        within = max(1, part // size)  # parts of this level in one of the first
        for p in range(count):
            base = work + p * size * block + p // within * PAD
            inner_columns_nb(spec, radix, step, base, step * block + pad, twiddles)


@jit_inner
def last_columns_nb(spec, radix, stream, starts, work, target, step, ahead, scale):
    """Process all groups of blocks in the last pass, in the order of the result."""
    if stream:
        if radix == 16:
            _stream16_nb(spec, starts, work, target, step, scale)
        elif radix == 8:
            _stream8_nb(spec, starts, work, target, step, scale)
        elif radix == 4:
            _stream4_nb(spec, starts, work, target, step, scale)
        else:
            _stream2_nb(spec, starts, work, target, step, scale)
    elif radix == 16:
        _last16_nb(spec, starts, work, target, step, ahead, scale)
    elif radix == 8:
        _last8_nb(spec, starts, work, target, step, ahead, scale)
    elif radix == 4:
        _last4_nb(spec, starts, work, target, step, ahead, scale)
    else:
        _last2_nb(spec, starts, work, target, step, ahead, scale)


@jit_inner
def _last16_nb(spec, starts, work, target, step, ahead, scale):
    block = 8 * block_lanes(spec)
    for i in range(starts.size):
        last_column(spec, 16, 0, work + starts[i], target + i * block, step, ahead, scale)


@jit_inner
def _stream16_nb(spec, starts, work, target, step, scale):
    block = 8 * block_lanes(spec)
    for i in range(starts.size):
        last_column(spec, 16, 1, work + starts[i], target + i * block, step, 0, scale)


@jit_inner
def _last8_nb(spec, starts, work, target, step, ahead, scale):
    block = 8 * block_lanes(spec)
    for i in range(starts.size):
        last_column(spec, 8, 0, work + starts[i], target + i * block, step, ahead, scale)


@jit_inner
def _stream8_nb(spec, starts, work, target, step, scale):
    block = 8 * block_lanes(spec)
    for i in range(starts.size):
        last_column(spec, 8, 1, work + starts[i], target + i * block, step, 0, scale)


@jit_inner
def _last4_nb(spec, starts, work, target, step, ahead, scale):
    block = 8 * block_lanes(spec)
    for i in range(starts.size):
        last_column(spec, 4, 0, work + starts[i], target + i * block, step, ahead, scale)


@jit_inner
def _stream4_nb(spec, starts, work, target, step, scale):
    block = 8 * block_lanes(spec)
    for i in range(starts.size):
        last_column(spec, 4, 1, work + starts[i], target + i * block, step, 0, scale)


@jit_inner
def _last2_nb(spec, starts, work, target, step, ahead, scale):
    block = 8 * block_lanes(spec)
    for i in range(starts.size):
        last_column(spec, 2, 0, work + starts[i], target + i * block, step, ahead, scale)


@jit_inner
def _stream2_nb(spec, starts, work, target, step, scale):
    block = 8 * block_lanes(spec)
    for i in range(starts.size):
        last_column(spec, 2, 1, work + starts[i], target + i * block, step, 0, scale)


@jit
def short_rows_nb(spec, source, source_next, target, target_next, n_row, twiddles, work, stream,
                  scale):
    """Transform rows of 256 points with 16 lanes, in half the time of `transform_rows`.

    Each row takes two steps.
    """
    if stream:
        _stream_short_nb(spec, source, source_next, target, target_next, n_row, twiddles, work,
                         scale)
        finish_stores(spec)
    else:
        _short_nb(spec, source, source_next, target, target_next, n_row, twiddles, work, scale)


@jit_inner
def _short_nb(spec, source, source_next, target, target_next, n_row, twiddles, work, scale):
    for row in range(n_row):
        turned_column(spec, source + row * source_next, 128, source_next, twiddles, work)
        last_column(spec, 16, 0, work, target + row * target_next, 128, 0, scale)


@jit_inner
def _stream_short_nb(spec, source, source_next, target, target_next, n_row, twiddles, work, scale):
    for row in range(n_row):
        turned_column(spec, source + row * source_next, 128, source_next, twiddles, work)
        last_column(spec, 16, 1, work, target + row * target_next, 128, 0, scale)


@jit
def transform_rows(spec, source, source_next, target, target_next, n_row, n_inner, levels,
                   last, starts, first_twiddles, work, stream, scale):
    """Transform `n_row` rows of complex64 numbers, which are `*_next` bytes apart.

    `n_inner` is M. A row of `levels` describes a middle pass: radix, blocks of a part, number of
    parts, address of the twiddles. `last` is the last radix, and `starts` are the offsets of its
    groups of blocks in `work`. With `stream`, results bypass the cache. The work space has PAD
    bytes after each part of the first middle pass.
    """
    lanes = block_lanes(spec)
    block = 8 * lanes
    n_part = levels[0, 0] if levels.shape[0] > 0 else 1
    part = n_inner // n_part
    ahead, ahead_written = _AHEAD, 0
    if block * lanes < block * n_inner <= _ROW_AHEAD:
        ahead = ahead_written = block * n_inner
    for row in range(n_row):
        place = source + row * source_next
        n_group = part // lanes
        for p in range(n_part):
            turned_columns_nb(
                spec, n_group, place + p * n_group * block, 8 * n_inner, ahead,
                first_twiddles + p * n_group * (lanes - 1) * block,
                work + p * (part * block + PAD),
            )
        inner_levels_nb(spec, work, n_inner, levels)
        last_columns_nb(spec, last, stream, starts, work, target + row * target_next,
                        starts.size * block, ahead_written, scale)
    if stream:
        finish_stores(spec)
