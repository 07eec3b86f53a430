"""Passes over a stack: one transform in each lane of a vector, of any length.

Point j of `lanes` transforms is one split block, real parts before imaginary parts. Lanes are
independent, so that passes of any radix need no shuffles, and the points of a transform may end up
in any order. Rows of numbers are transposed to a stack, and back.
"""

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._codelets import DFT, Complex, transpose
from ._jit import jit_strict_inner
from ._linking import INTEGER, Part
from ._passes import _block, _points, _put_block, block_lanes
from ._simd import Emitter

_I64 = ir.IntType(64)
_i = types.int64

#: `pass_nb`: a spec of the pass.
PASS = Part(1, *[INTEGER] * 5)
_pass = PASS.call


@intrinsic
def transpose_rows(typingctx, spec, table, offset, target):
    """Transpose `lanes` numbers of `lanes` rows, at `offset` bytes from the addresses in `table`.

    The vectors of the transposed matrix are written to `target`, one after the other.
    """

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        emit.align_stack()
        table, offset, target = args[1:]
        rows = []
        for r in range(emit.lanes):
            row = builder.load(emit.pointer(table, _I64, 8 * r), align=8)
            rows.append(emit.load(builder.add(row, offset)))
        for r, vector in enumerate(transpose(emit, rows)):
            emit.store(vector, target, 4 * emit.lanes * r)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i), codegen


@intrinsic
def transpose_block(typingctx, spec, source, target):
    """Transpose `lanes` vectors that follow each other."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        emit.align_stack()
        source, target = args[1:]
        rows = [emit.load(source, 4 * emit.lanes * r) for r in range(emit.lanes)]
        for r, vector in enumerate(transpose(emit, rows)):
            emit.store(vector, target, 4 * emit.lanes * r)
        return context.get_dummy_value()

    return types.void(spec, _i, _i), codegen


@jit_strict_inner
def transposed_nb(spec, source, n, target):
    """Transpose `n` square blocks of vectors."""
    size = 4 * block_lanes(spec) * block_lanes(spec)
    for i in range(n):
        transpose_block(spec, source + i * size, target + i * size)


@intrinsic
def transform_points(typingctx, spec, source, step, twiddles):
    """Transform points in place, `step` bytes apart, and multiply all but the first by a twiddle.

    A twiddle is a number for all lanes. Items of `spec`: lanes, radix.
    """

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        emit.align_stack()
        source, step, twiddles = args[1:]
        radix = spec.items["radix"]
        places = [builder.add(source, builder.mul(step, ir.Constant(_I64, j)))
                  for j in range(radix)]
        points = _points(_block, emit, source, step, radix)
        for k, y in enumerate(DFT[radix](points)):
            if k:
                y = y.times(Complex(emit.load_scalar(twiddles, 8 * (k - 1)),
                                    emit.load_scalar(twiddles, 8 * (k - 1) + 4)))
            _put_block(emit, y, places[k])
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i), codegen


@jit_strict_inner
def pass_nb(spec, z, size, step, count, twiddles):
    """Do one pass on `count` transforms of `size` bytes; a transform's points are `step` apart.

    `step` includes the padding of the first pass, where `count` is 1.
    """
    block = 8 * block_lanes(spec)
    radix = radix_of(spec)
    n_column = size // radix // block
    for s in range(count):
        base = z + s * size
        for c in range(n_column):
            transform_points(spec, base + c * block, step, twiddles + c * (radix - 1) * 8)


@intrinsic
def radix_of(typingctx, spec):
    """Return the radix of a spec, as a constant."""

    def codegen(context, builder, signature, args):
        return ir.Constant(_I64, spec.items["radix"])

    return _i(spec), codegen


@jit_strict_inner
def all_passes_nb(z, levels):
    """Do the passes of all transforms in a stack.

    A row of `levels` lists the address of a `PASS`, the offset of its part in `z`, and its other
    arguments.
    """
    for i in range(levels.shape[0]):
        _pass(levels[i, 0], z + levels[i, 1], levels[i, 2], levels[i, 3], levels[i, 4],
              levels[i, 5])
