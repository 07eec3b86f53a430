"""Copying of matrices whose rows alternate in memory, such as channels sample by sample."""

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._jit import jit
from ._simd import Spec

_LINE = 64  # size of a cache line, in bytes
_TILE = 32  # elements in a row of a tile: most are 2 bytes, so that a row is a line of a cache

#: Specs by the size of an element in bytes: each is compiled when it is first used.
ELEMENTS = {size: Spec(size=size) for size in (1, 2, 4, 8, 16)}

#: Size of the memory that `transpose_nb` works in, in bytes.
TILE_BYTES = _TILE * _TILE * max(ELEMENTS)


@intrinsic
def _move(typingctx, spec, source, target):
    """Copy an element from one address to another, with any alignment."""

    def codegen(context, builder, signature, args):
        kind = ir.IntType(8 * spec.items["size"]).as_pointer()
        value = builder.load(builder.inttoptr(args[1], kind), align=1)
        builder.store(value, builder.inttoptr(args[2], kind), align=1)
        return context.get_dummy_value()

    return types.void(spec, types.int64, types.int64), codegen


@intrinsic
def _size_of(typingctx, spec):
    """Return the size of an element, as a constant."""

    def codegen(context, builder, signature, args):
        return ir.Constant(ir.IntType(64), spec.items["size"])

    return types.int64(spec), codegen


@jit
def transpose_nb(spec, source, target, n_row, n_column, row_step, column_step, tile):
    """Copy a matrix to contiguous rows; addresses and steps are in bytes, nothing is checked.

    `spec` is one of `ELEMENTS`, and `tile` the address of `TILE_BYTES` of memory.
    """
    size = _size_of(spec)
    if abs(column_step) < _LINE:
        for i in range(n_row):
            here, there = source + i * row_step, target + i * n_column * size
            for j in range(n_column):
                _move(spec, here + j * column_step, there + j * size)
        return
    # Each line of the source is read once, into a tile: columns that are a power of two apart map
    # to the same few sets of a cache.
    for column in range(0, n_column, _TILE):
        width = _TILE if n_column - column > _TILE else n_column - column
        for row in range(0, n_row, _TILE):
            height = _TILE if n_row - row > _TILE else n_row - row
            for j in range(width):
                here = source + row * row_step + (column + j) * column_step
                there = tile + j * _TILE * size
                for i in range(height):
                    _move(spec, here + i * row_step, there + i * size)
            for i in range(height):
                there = target + ((row + i) * n_column + column) * size
                for j in range(width):
                    _move(spec, tile + (j * _TILE + i) * size, there + j * size)
