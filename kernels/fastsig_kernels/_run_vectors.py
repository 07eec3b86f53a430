"""Vectors of 16 neighbouring channels, for the search of runs of samples that deviate.

Memory is specified by address. The items of a `Spec` are the `kind` of the numbers that are loaded,
u1 or f4. Operations round once each, in the order of `levels` and `thresholding`, so that they
return the same bits as the code there.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._level_vectors import fetch_ahead, load_numbers
from ._simd import Emitter, Vector
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


@intrinsic(prefer_literal=True)
def fill_tile(typingctx, spec, curved, x, step, series, n, tables, out, span, most):
    """Store the deviations of `n` rows of a tile, and the largest magnitudes of its channels.

    They are what `finish_deviations_nb` makes of ``(x - series) factor + base``, but 0 instead of
    NaN. `step` and `span` are the bytes from one row to the next, and from one vector of the result
    to the next; `tables` is the address of factors, bases, sizes and lesses.
    """
    if not isinstance(curved, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        x, step, series, n, tables, out, span, most = args[2:]
        emit = Emitter(builder, LANES)
        rows = [[emit.load(tables, _LINE * (GROUPS * k + g)) for k in range(2)]
                for g in range(GROUPS)]
        size, less = (emit.load_scalar(tables, 2 * _LINE * GROUPS + 4 * k) for k in range(2))
        places = [out]
        while len(places) < GROUPS:
            places.append(builder.add(places[-1], span))
        room = [cgutils.alloca_once_value(builder, emit.splat(0.0).value) for _ in places]
        with cgutils.for_range(builder, n) as loop:
            row = builder.add(x, builder.mul(loop.index, step))
            fetch_ahead(builder, row, step, 1 if spec.items["kind"] == "u1" else GROUPS)
            base = emit.load_scalar(builder.add(series, builder.mul(
                loop.index, ir.Constant(_I64, 4))))
            late = builder.mul(loop.index, ir.Constant(_I64, _LINE))
            for g, (place, largest) in enumerate(zip(places, room, strict=True)):
                value = load_numbers(emit, spec.items["kind"], row, g) - base
                value = _deviation(emit, bool(curved.literal_value), value, *rows[g], size, less)
                emit.store(value, builder.add(place, late))
                found = _larger(emit, value, Vector(emit, builder.load(largest)))
                builder.store(found.value, largest)
        for g, largest in enumerate(room):
            emit.store(Vector(emit, builder.load(largest)), most, _LINE * g)
        return context.get_dummy_value()

    return types.void(spec, curved, *(_i,) * 8), codegen


def _deviation(emit: Emitter, curved: bool, x: Vector, factor: Vector, base: Vector, size: Vector,
               less: Vector) -> Vector:
    value = x * factor + base
    value = (_root(emit, value) if curved else value) * size - less
    finite = emit.builder.fcmp_ordered("<", _absolute(emit, value).value,
                                       emit.splat(float("inf")).value)
    return emit.select(finite, value, emit.splat(0.0))


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
    """Return the larger of the magnitude of x and of another one, compared as integers.

    Processors have more units for these. NaN counts as larger than any number.
    """
    builder, kind = emit.builder, ir.VectorType(_I32, LANES)
    size = builder.and_(builder.bitcast(x.value, kind), ir.Constant(kind, [2**31 - 1] * LANES))
    before = builder.bitcast(most.value, kind)
    larger = builder.select(builder.icmp_unsigned(">", size, before), size, before)
    return Vector(emit, builder.bitcast(larger, emit.type))


@intrinsic(prefer_literal=True)
def add_three_times(typingctx, kept, x, step, out, most):
    """Add vectors to sums of 2, 4 and 8, that begin at 8 successive ones; note their magnitudes.

    The largest magnitudes of the three, lane by lane, are at `most`. If `kept`, sums of 8 are
    stored; `out` may be `x`. Vectors are `step` bytes apart.
    """
    if not isinstance(kept, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        x, step, out, most = args[1:]
        emit = Emitter(builder, LANES)
        lines = []
        for _ in range(15):
            lines.append(emit.load(x))
            x = builder.add(x, step)
        for k in range(3):
            lines = [a + b for a, b in zip(lines, lines[1 << k :], strict=False)]
            largest = emit.load(most, _LINE * k)
            for line in lines[:8]:
                largest = _larger(emit, line, largest)
            emit.store(largest, most, _LINE * k)
        for line in lines if kept.literal_value else ():
            emit.store(line, out)
            out = builder.add(out, step)
        return context.get_dummy_value()

    return types.void(kept, *(_i,) * 4), codegen


@intrinsic
def clear_six(typingctx, address):
    """Set six vectors in memory to 0."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, LANES)
        for k in range(6):
            emit.store(emit.splat(0.0), args[0], _LINE * k)
        return context.get_dummy_value()

    return types.void(_i), codegen


@intrinsic
def lanes_above(typingctx, address, limit):
    """Return the lanes of a vector in memory that exceed a limit, or are NaN, a bit each."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, LANES)
        above = builder.fcmp_unordered(">", emit.load(args[0]).value,
                                       emit.broadcast(args[1]).value)
        return builder.zext(builder.bitcast(above, _I16), _I64)

    return _i(_i, _f), codegen


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
            above = builder.fcmp_unordered(">", most.value, (limit * float(1 << w)).value)
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
