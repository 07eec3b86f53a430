"""Vectors of 16 neighbouring channels, for the search of runs of samples that deviate.

Memory is specified by address. The items of a `Spec` are the `kind` of the numbers that are loaded,
u1, i1 or f4. Operations round once each, in the order of `levels` and `thresholding`, so that they
return the same bits as the code there.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._simd import Emitter, Vector, VectorType
from .levels import BEND, CUBE_ROOT, LEAST, SLOPE, THIRD

#: Channels of a vector.
LANES = 16
#: Vectors of a tile, whose windows are tested together with those of the next tile.
GROUPS = 4
#: Lengths of windows that are tested, at most: 1 to 64 samples.
MOST_WINDOWS = 7
_FLOAT, _I16, _I32, _I64 = ir.FloatType(), ir.IntType(16), ir.IntType(32), ir.IntType(64)
_LINE = 4 * LANES
_i, _f = types.int64, types.float32
_vector = VectorType(LANES)


@intrinsic
def numbers(typingctx, spec, address):
    """Load numbers as float32."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, LANES)
        if spec.items["kind"] == "f4":
            return emit.load(args[1]).value
        codes = emit.load_integers(args[1], 0, LANES, 8)
        return emit.to_float(codes, spec.items["kind"] == "i1").value

    return _vector(spec, _i), codegen


@intrinsic(prefer_literal=True)
def deviation(typingctx, curved, x, factor, base, size, less):
    """Return what `finish_deviations_nb` makes of ``x factor + base``, but 0 instead of NaN."""
    if not isinstance(curved, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, LANES)
        x, factor, base, size, less = (Vector(emit, each) for each in args[1:])
        value = x * factor + base
        if curved.literal_value:
            value = _root(emit, value)
        value = value * size - less
        finite = builder.fcmp_ordered("<", _absolute(emit, value).value,
                                      emit.splat(float("inf")).value)
        return emit.select(finite, value, emit.splat(0.0)).value

    return _vector(curved, *(_vector,) * 5), codegen


def _root(emit: Emitter, x: Vector) -> Vector:
    """Return the cube root, or its tangent, of a vector, as `levels._roots` does."""
    builder, least = emit.builder, emit.splat(float(LEAST))
    large = builder.fcmp_ordered(">", x.value, least.value)
    value = emit.select(large, x, least)
    integers = ir.VectorType(_I32, LANES)
    bits = builder.sitofp(builder.bitcast(value.value, integers), emit.type)
    bits = builder.fptosi(builder.fmul(bits, emit.splat(float(THIRD)).value), integers)
    offset = ir.Constant(integers, [ir.Constant(_I32, int(CUBE_ROOT))] * LANES)
    y = Vector(emit, builder.bitcast(builder.add(bits, offset), emit.type))
    two, cube = emit.splat(2.0), y * y * y
    better = y * (cube + two * value) / (two * cube + value)
    line = (x - least) * float(SLOPE) + emit.splat(float(BEND))
    return emit.select(large, better, line)


def _absolute(emit: Emitter, x: Vector) -> Vector:
    return emit.call("llvm.fabs", x)


def _larger(emit: Emitter, x: Vector, most: Vector) -> Vector:
    size = _absolute(emit, x)
    larger = emit.builder.fcmp_ordered(">", size.value, most.value)
    return emit.select(larger, size, most)


@intrinsic
def larger(typingctx, x, most):
    """Return the larger of the magnitude of x and of another vector, lane by lane."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, LANES)
        return _larger(emit, *(Vector(emit, each) for each in args)).value

    return _vector(_vector, _vector), codegen


def _bits(builder: Any, above: Any) -> Any:
    """Return one bit a lane, as an integer of 64 bits."""
    return builder.zext(builder.bitcast(above, _I16), _I64)


@intrinsic
def lanes_above(typingctx, x, limit):
    """Return the lanes that exceed a limit, a bit each."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, LANES)
        above = builder.fcmp_ordered(">", args[0], emit.broadcast(args[1]).value)
        return _bits(builder, above)

    return _i(_vector, _f), codegen


class _Windows:
    """Sums of 1, 2, 4, ... neighbouring channels that begin in vectors of a row."""

    def __init__(self, emit: Emitter, lines: list[Vector]) -> None:
        self._emit, self._lines, self._size = emit, lines, 1

    def double(self) -> list[Vector]:
        """Return the sums of twice as many, that begin in the first `GROUPS` vectors."""
        whole, shift = divmod(self._size, LANES)
        lines = self._lines
        if whole:
            lines = [a + b for a, b in zip(lines, lines[whole:], strict=False)]
        else:
            after = [*lines[1:], self._emit.splat(0.0)]
            lines = [a + self._emit.shuffle(a, b, range(shift, shift + LANES))
                     for a, b in zip(lines, after, strict=True)]
        self._lines, self._size = lines, 2 * self._size
        return lines[:GROUPS]


@intrinsic(prefer_literal=True)
def row_above(typingctx, counted, x, after, counts, after_counts, step, limits):
    """Return whether windows of 2, 4, ... channels that begin in a tile exceed their limit.

    `x` and `after` are the addresses of the first vectors of a row of a tile and of the next one,
    `step` the bytes from one vector to the next, and `limits` the address of the limits of the mean
    for 1, 2, 4, ... samples. If `counted`, a mean is that over the samples in `counts`.
    """
    if not isinstance(counted, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        x, after, counts, after_counts, step, limits = args[1:]
        emit = Emitter(builder, LANES)
        sums = _Windows(emit, _row(emit, x, after, step))
        held = _Windows(emit, _row(emit, counts, after_counts, step))
        found = ir.Constant(ir.VectorType(ir.IntType(1), LANES), [0] * LANES)
        for w in range(1, MOST_WINDOWS):
            limit = emit.load_scalar(limits, 4 * w)
            if counted.literal_value:
                for total, many in zip(sums.double(), held.double(), strict=True):
                    above = builder.fcmp_ordered(">", _absolute(emit, total).value,
                                                 (limit * many).value)
                    found = builder.or_(found, above)
                continue
            most = emit.splat(0.0)
            for total in sums.double():
                most = _larger(emit, total, most)
            above = builder.fcmp_ordered(">", most.value, (limit * float(1 << w)).value)
            found = builder.or_(found, above)
        return builder.icmp_unsigned("!=", builder.bitcast(found, _I16), ir.Constant(_I16, 0))

    return types.boolean(counted, *(_i,) * 6), codegen


def _row(emit: Emitter, x: Any, after: Any, step: Any) -> list[Vector]:
    """Load a row of two tiles."""
    found = []
    for start in (x, after):
        for _ in range(GROUPS):
            found.append(emit.load(start))
            start = emit.builder.add(start, step)
    return found
