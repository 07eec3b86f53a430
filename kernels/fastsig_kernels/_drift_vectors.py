"""Correlations with templates by transforms: their first and last passes, and sums of harmonics.

The product of two spectra is computed in the first pass of its transform, and the last pass writes
powers only. Products are stored as split blocks, see `_passes`. Memory is specified by address.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._codelets import DFT, Complex, interleave, transpose
from ._harmonic_vectors import BLOCK, harmonic_lanes, raised_flag
from ._passes import _block, _multiple, _points, _put_block
from ._simd import Emitter, Vector

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_i = types.int64


@intrinsic(prefer_literal=True)
def product_column(typingctx, spec, conjugate, source, other, step, twiddles, target):
    """Do the first pass for `lanes` columns of a product: see `_fft_loops.turned_column`.

    With `conjugate`, that of `other` is the second factor.
    """
    if not isinstance(conjugate, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"], balanced=True)
        emit.align_stack()
        n = emit.lanes
        source, other, step, twiddles, target = args[2:]
        apart = builder.sub(other, source)

        def read(emit: Emitter, address: Any) -> Complex:
            a, b = _block(emit, address), _block(emit, builder.add(address, apart))
            return a.times(Complex(b.re, -b.im) if conjugate.literal_value else b)

        rows = DFT[n](_points(read, emit, source, step, n))
        for k in range(1, n):
            rows[k] = rows[k].times(_block(emit, twiddles, (k - 1) * 8 * n))
        re = transpose(emit, [row.re for row in rows])
        im = transpose(emit, [row.im for row in rows])
        for k, y in enumerate(zip(re, im, strict=True)):
            _put_block(emit, Complex(*y), target, k * 8 * n)
        return context.get_dummy_value()

    return types.void(spec, conjugate, _i, _i, _i, _i, _i), codegen


@intrinsic(prefer_literal=True)
def power_column(typingctx, spec, radix, source, target, step, scale):
    """Do the last pass for `radix` blocks, and write their powers times `scale`."""
    if not isinstance(radix, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        source, target, step, scale = args[2:]
        emit = Emitter(builder, spec.items["lanes"])
        for k, power in enumerate(_powers(emit, radix.literal_value, source, scale)):
            emit.store(power, _multiple(emit, target, step, k))
        return context.get_dummy_value()

    return types.void(spec, radix, _i, _i, _i, types.float32), codegen


@intrinsic(prefer_literal=True)
def joined_column(typingctx, spec, radix, source, whole, target, step, scale):
    """Do as `power_column`, and write powers after each of those at `whole`, in turn."""
    if not isinstance(radix, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        source, whole, target, step, scale = args[2:]
        emit = Emitter(builder, spec.items["lanes"])
        double = builder.add(step, step)
        for k, power in enumerate(_powers(emit, radix.literal_value, source, scale)):
            first = emit.load(_multiple(emit, whole, step, k))
            place = _multiple(emit, target, double, k)
            for half, vector in enumerate(interleave(emit, [first, power])):
                emit.store(vector, place, 4 * emit.lanes * half)
        return context.get_dummy_value()

    return types.void(spec, radix, _i, _i, _i, _i, types.float32), codegen


def _powers(emit: Emitter, radix: int, source: Any, scale: Any) -> list[Vector]:
    emit.align_stack()
    factor = emit.broadcast(scale)
    points = _points(_block, emit, source, ir.Constant(_I64, 8 * emit.lanes), radix)
    return [(y.re * y.re + y.im * y.im) * factor for y in DFT[radix](points)]


@intrinsic
def drifting_block(typingctx, spec, group, rows, row_step, limits):
    """Return which numbers of harmonics have a sum above their limit, as `harmonic_block`.

    Harmonic j of the largest number n is in row j - 1; `rows` is the address of row 0 and
    `row_step` the distance of rows, in bytes. `group` is the number of the block in these.
    """

    def codegen(context, builder, signature, args):
        group, rows, row_step, limits = args[1:]
        emit = Emitter(builder, spec.items["lanes"])
        most = spec.items["n_harmonic"]
        levels = [emit.load_scalar(limits, 4 * k) for k in range(most.bit_length())]
        found = ir.Constant(_I32, 0)
        for first in range(0, BLOCK, emit.lanes):
            sums: Any = None
            for k, level in enumerate(levels):
                n = 1 << k
                for part in range(1, n, 2) if k else [1]:
                    row = _multiple(emit, rows, row_step, part * most // n - 1)
                    power = harmonic_lanes(emit, group, row, part, n, first)
                    sums = power if sums is None else sums + power
                found = builder.or_(found, raised_flag(emit, sums, level, k))
        return found

    return types.int32(spec, _i, _i, _i, _i), codegen
