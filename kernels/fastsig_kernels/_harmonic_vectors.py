"""Powers at half bins, and sums of harmonics, of many half bins at once.

Harmonic `part` of `n` of half bin i is at half bin ``floor(i part / n + 1/2)``. For 32 neighbouring
half bins, these places are the same in every such group, relative to that of the first; they are
selected within one vector. Memory is specified by address.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._codelets import deinterleave, interleave
from ._simd import Emitter, Vector

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_i = types.int64
#: Half bins that are processed at once.
BLOCK = 32


@intrinsic
def half_bin_block(typingctx, spec, x, table, factor, out):
    """Write the powers at `lanes` bins, and half a bin above each of them.

    `x` is the address of the amplitude of the first bin, `table` that of the coefficients of
    `half_bin_table`. Items of `spec`: lanes, n_side.
    """

    def codegen(context, builder, signature, args):
        x, table, factor, out = args[1:]
        emit = Emitter(builder, spec.items["lanes"])
        n = emit.lanes
        whole = _power(emit, [emit.load(x, 4 * n * half) for half in range(2)])
        sums = [emit.splat(0.0)] * 2
        for j in range(1, spec.items["n_side"] + 1):
            weight = emit.load_scalar(table, 4 * (j - 1))
            for half in range(2):
                apart = (emit.load(x, 4 * n * half + 8 * (1 - j))
                         - emit.load(x, 4 * n * half + 8 * j))
                sums[half] = apart.fma(weight, sums[half])
        between = _power(emit, sums) * emit.broadcast(factor)
        for half, vector in enumerate(interleave(emit, [whole, between])):
            emit.store(vector, out, 4 * n * half)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, types.float32, _i), codegen


def _power(emit: Emitter, pairs: list[Vector]) -> Vector:
    """Return the squares of complex numbers that are stored as in NumPy, in two vectors."""
    x = deinterleave(emit, *(each * each for each in pairs))
    return x.re + x.im


@intrinsic
def harmonic_block(typingctx, spec, place, power, limits):
    """Return which numbers of harmonics have a sum above their limit among `BLOCK` half bins.

    Bit k is that of 2^k harmonics. `place` is the number of the first half bin, a multiple of
    `BLOCK`; `power` the address of half bin 0 and `limits` that of the limits. Items of `spec`:
    lanes, n_harmonic.
    """

    def codegen(context, builder, signature, args):
        place, power, limits = args[1:]
        emit = Emitter(builder, spec.items["lanes"])
        group = builder.udiv(place, ir.Constant(_I64, BLOCK))
        found = ir.Constant(_I32, 0)
        highest = spec.items["n_harmonic"].bit_length()
        levels = [emit.load_scalar(limits, 4 * k) for k in range(highest)]
        for first in range(0, BLOCK, emit.lanes):
            sums = emit.load(_address(builder, power, place, first))
            for k in range(highest):
                n = 1 << k
                for part in range(1, n, 2):
                    sums = sums + harmonic_lanes(emit, group, power, part, n, first)
                found = builder.or_(found, raised_flag(emit, sums, levels[k], k))
        return found

    return types.int32(spec, _i, _i, _i), codegen


def harmonic_lanes(emit: Emitter, group: Any, power: Any, part: int, n: int, first: int) -> Vector:
    """Return powers of a harmonic of the lanes that begin with half bin `first` of a group."""
    step = BLOCK * part // n  # half bins of the harmonic for those of a group
    places = [(2 * (first + lane) * part + n) // (2 * n) for lane in range(emit.lanes)]
    begin = emit.builder.mul(group, ir.Constant(_I64, step))
    vector = emit.load(_address(emit.builder, power, begin, places[0]))
    return emit.shuffle(vector, vector, [each - places[0] for each in places])


def _address(builder: Any, power: Any, place: Any, offset: int) -> Any:
    index = builder.add(place, ir.Constant(_I64, offset))
    return builder.add(power, builder.mul(index, ir.Constant(_I64, 4)))


def raised_flag(emit: Emitter, sums: Vector, limit: Vector, bit: int) -> Any:
    """Return a bit that is set if a lane is not below its limit."""
    builder = emit.builder
    above = builder.fcmp_ordered(">=", sums.value, limit.value)
    lanes = builder.bitcast(above, ir.IntType(emit.lanes))
    some = builder.icmp_unsigned("!=", lanes, ir.Constant(lanes.type, 0))
    return builder.shl(builder.zext(some, _I32), ir.Constant(_I32, bit))
