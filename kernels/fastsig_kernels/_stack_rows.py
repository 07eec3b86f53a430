"""Transforms of rows whose length is not a power of two: one row in each lane.

See `_stack_passes`.
"""

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._codelets import Complex, transpose
from ._jit import jit, jit_inner
from ._passes import _block, _put_block, block_lanes, store_integer
from ._simd import Emitter, load, store
from ._stack_passes import all_passes_nb, transpose_rows

_I64 = ir.IntType(64)
_i = types.int64


@intrinsic
def _swap_halves(typingctx, spec, place):
    """Exchange real and imaginary parts of a block if the transform is an inverse one.

    A forward transform between two exchanges is an inverse transform. Items of `spec`: lanes,
    inverse.
    """

    def codegen(context, builder, signature, args):
        if spec.items["inverse"]:
            emit = Emitter(builder, spec.items["lanes"])
            x = _block(emit, args[1])
            _put_block(emit, Complex(x.im, x.re), args[1])
        return context.get_dummy_value()

    return types.void(spec, _i), codegen


@intrinsic
def _turned_points(typingctx, spec, z, offsets, scale, target):
    """Write ``lanes / 2`` points, at `offsets` in the stack, as one vector of numbers per row."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        emit.align_stack()
        z, offsets, scale, target = args[1:]
        factor = emit.broadcast(scale)
        numbers = []
        for j in range(emit.lanes // 2):
            place = builder.load(emit.pointer(offsets, _I64, 8 * j), align=8)
            x = _block(emit, builder.add(z, place))
            if spec.items["inverse"]:  # only inverse transforms have a factor other than 1
                x = Complex(x.im * factor, x.re * factor)
            numbers += x
        for r, vector in enumerate(transpose(emit, numbers)):
            emit.store(vector, target, 4 * emit.lanes * r)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, types.float32, _i), codegen


@jit_inner
def _take_rows_nb(spec, table, n_number, part, pad, z):
    """Transpose numbers of `lanes` rows to the stack; the last group may overlap the one before."""
    lanes = block_lanes(spec)
    number = 0
    while number < n_number:
        number = min(number, n_number - lanes)
        transpose_rows(spec, table, 4 * number, z + 4 * lanes * number + number // part * pad)
        number += lanes


@jit_inner
def _put_rows_nb(spec, z, offsets, scale, tile, target, target_next, count):
    """Write the points of `count` transforms in natural order; the last group may overlap."""
    lanes = block_lanes(spec)
    at = offsets.ctypes.data
    k = 0
    while k < offsets.size:
        k = min(k, offsets.size - lanes // 2)
        _turned_points(spec, z, at + 8 * k, scale, tile)
        for row in range(count):
            store(load(spec, tile + 4 * lanes * row), target + row * target_next + 8 * k)
        k += lanes // 2


@jit
def stacked_rows_nb(spec, source, source_next, target, target_next, n_row, part, pad, levels,
                    offsets, table, tile, z, scale):
    """Transform `n_row` rows of complex64 numbers, which are `*_next` bytes apart.

    `offsets` are those of the points in the stack `z`; a stack that is not full has the last row
    several times. `table` has room for the addresses of rows, `tile` for `lanes` vectors.
    """
    lanes = block_lanes(spec)
    for first in range(0, n_row, lanes):
        count = min(lanes, n_row - first)
        for row in range(lanes):
            store_integer(source + (first + min(row, count - 1)) * source_next, table + 8 * row)
        _take_rows_nb(spec, table, 2 * offsets.size, part, pad, z)
        for k in range(offsets.size):
            _swap_halves(spec, z + offsets[k])
        all_passes_nb(z, levels)
        _put_rows_nb(spec, z, offsets, scale, tile, target + first * target_next, target_next,
                     count)
