"""Vectors of neighbouring channels, for the search of runs of samples that deviate.

Deviations are computed in float32, in vectors of 16 channels, nearly as by `levels`, and are stored
as integers of 16 bits, in vectors of 32: deviations times a scale, without their fractions, and at
most `LARGEST`. Sums of up to 64 of them fit into 16 bits. They are compared with limits that are
lower by what the fractions and the errors of roots may amount to.

Memory is specified by address. The items of a `Spec` are the `kind` of the numbers that are loaded,
u1 or f4.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._level_vectors import LANES, fetch_ahead, load_numbers
from ._simd import Emitter, Vector
from .levels import BEND, LEAST, SLOPE, THIRD

#: Channels of a vector of integers.
WIDE = 32
#: Vectors of a tile, whose windows are tested together with those of the next tile.
GROUPS = 2
#: Lengths of windows that are tested, at most: 1 to 64 samples.
MOST_WINDOWS = 7
#: Largest magnitude of an integer.
LARGEST = 511
#: Largest relative difference of a cube root from that of `levels`.
ROOT_ERROR = 1e-4
_INVERSE_ROOT = 0x54A1F800  # minus a third of a float's bits, the bits of about its inverse root
_PARTS = GROUPS * WIDE // LANES  # vectors of float32 of a tile
_I1, _I16, _I32, _I64 = ir.IntType(1), ir.IntType(16), ir.IntType(32), ir.IntType(64)
_LINE = 64  # bytes of a vector
_INTEGERS = ir.VectorType(_I16, WIDE)
_i = types.int64


@intrinsic(prefer_literal=True)
def fill_tile(typingctx, spec, curved, x, step, series, n, tables, out, span, most):
    """Store the deviations of `n` rows of a tile, and the largest magnitudes of its channels.

    They are nearly what `finish_deviations_nb` makes of ``(x - series) factor + base``, but 0
    instead of NaN, as integers. `step` and `span` are the bytes from one row to the next, and from
    one vector of the result to the next; `tables` is the address of factors, bases, size, less and
    scale.
    """
    if not isinstance(curved, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        x, step, series, n, tables, out, span, most = args[2:]
        emit = Emitter(builder, LANES)
        rows = [[emit.load(tables, _LINE * (_PARTS * k + part)) for k in range(2)]
                for part in range(_PARTS)]
        size, less, scale = (emit.load_scalar(tables, 2 * _LINE * _PARTS + 4 * k)
                             for k in range(3))
        places = [out]
        while len(places) < GROUPS:
            places.append(builder.add(places[-1], span))
        room = [cgutils.alloca_once_value(builder, _same(0)) for _ in places]
        with cgutils.for_range(builder, n) as loop:
            row = builder.add(x, builder.mul(loop.index, step))
            fetch_ahead(builder, row, step, 1 if spec.items["kind"] == "u1" else _PARTS)
            base = emit.load_scalar(builder.add(series, builder.mul(
                loop.index, ir.Constant(_I64, 4))))
            late = builder.mul(loop.index, ir.Constant(_I64, _LINE))
            for g, (place, largest) in enumerate(zip(places, room, strict=True)):
                halves = []
                for part in (2 * g, 2 * g + 1):
                    value = load_numbers(emit, spec.items["kind"], row, part) - base
                    value = _deviation(emit, bool(curved.literal_value), value, *rows[part], size,
                                       less)
                    halves.append(_limited(emit, value * scale))
                both = builder.shuffle_vector(*halves, ir.Constant(
                    ir.VectorType(_I32, WIDE), [ir.Constant(_I32, k) for k in range(WIDE)]))
                _put(builder, both, builder.add(place, late))
                builder.store(_larger(builder, both, builder.load(largest)), largest)
        for g, largest in enumerate(room):
            _put(builder, builder.load(largest), most, g)
        return context.get_dummy_value()

    return types.void(spec, curved, *(_i,) * 8), codegen


def _limited(emit: Emitter, x: Vector) -> Any:
    """Return integers of 16 bits towards 0 of numbers, at most `LARGEST`."""
    builder, most = emit.builder, emit.splat(float(LARGEST))
    x = emit.select(builder.fcmp_ordered("<", x.value, most.value), x, most)
    x = emit.select(builder.fcmp_ordered(">", x.value, (-most).value), x, -most)
    whole = builder.fptosi(x.value, ir.VectorType(_I32, LANES))
    return builder.trunc(whole, ir.VectorType(_I16, LANES))


def _same(value: int) -> Any:
    return ir.Constant(_INTEGERS, [value] * WIDE)


def _get(builder: Any, address: Any, line: int = 0) -> Any:
    """Load a vector of integers, `line` vectors after an address."""
    at = builder.add(address, ir.Constant(_I64, _LINE * line))
    return builder.load(builder.inttoptr(at, _INTEGERS.as_pointer()), align=2)


def _put(builder: Any, value: Any, address: Any, line: int = 0) -> None:
    at = builder.add(address, ir.Constant(_I64, _LINE * line))
    builder.store(value, builder.inttoptr(at, _INTEGERS.as_pointer()), align=2)


def _deviation(emit: Emitter, curved: bool, x: Vector, factor: Vector, base: Vector, size: Vector,
               less: Vector) -> Vector:
    value = x * factor + base
    value = (_root(emit, value) if curved else value) * size - less
    finite = emit.builder.fcmp_ordered("<", _absolute(emit, value).value,
                                       emit.splat(float("inf")).value)
    return emit.select(finite, value, emit.splat(0.0))


def _root(emit: Emitter, x: Vector) -> Vector:
    """Return the cube root, or its tangent, of a vector, to a relative error of `ROOT_ERROR`.

    Without a division, it takes less time than `levels._roots`: of ``e = x z^3 - 1``, z about the
    inverse cube root, it is ``x z^2 (1 + e)^(-2/3)``, of which four terms are used.
    """
    builder, least = emit.builder, emit.splat(float(LEAST))
    large = builder.fcmp_ordered(">", x.value, least.value)
    value = emit.select(large, x, least)
    integers = ir.VectorType(_I32, LANES)
    bits = builder.sitofp(builder.bitcast(value.value, integers), emit.type)
    bits = builder.fptosi(builder.fmul(bits, emit.splat(float(THIRD)).value), integers)
    about = ir.Constant(integers, [ir.Constant(_I32, _INVERSE_ROOT)] * LANES)
    z = Vector(emit, builder.bitcast(builder.sub(about, bits), emit.type))
    first = value * z * z
    e = first.fma(z, emit.splat(-1.0))
    terms = emit.splat(-40 / 81)
    for factor in (5 / 9, -2 / 3, 1.0):
        terms = terms.fma(e, emit.splat(factor))
    line = (x - least) * float(SLOPE) + emit.splat(float(BEND))
    return emit.select(large, first * terms, line)


def _absolute(emit: Emitter, x: Vector) -> Vector:
    return emit.call("llvm.fabs", x)


def _magnitude(builder: Any, x: Any) -> Any:
    less = builder.sub(_same(0), x)
    return builder.select(builder.icmp_signed("<", x, _same(0)), less, x)


def _larger(builder: Any, x: Any, most: Any) -> Any:
    """Return the larger of the magnitude of x and of another one."""
    size = _magnitude(builder, x)
    return builder.select(builder.icmp_signed(">", size, most), size, most)


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
        lines = []
        for _ in range(15):
            lines.append(_get(builder, x))
            x = builder.add(x, step)
        for k in range(3):
            lines = [builder.add(a, b) for a, b in zip(lines, lines[1 << k :], strict=False)]
            largest = _get(builder, most, k)
            for line in lines[:8]:
                largest = _larger(builder, line, largest)
            _put(builder, largest, most, k)
        for k, line in enumerate(lines if kept.literal_value else ()):
            _put(builder, line, out, k)
        return context.get_dummy_value()

    return types.void(kept, *(_i,) * 4), codegen


@intrinsic
def clear_six(typingctx, address):
    """Set six vectors in memory to 0."""

    def codegen(context, builder, signature, args):
        for k in range(6):
            _put(builder, _same(0), args[0], k)
        return context.get_dummy_value()

    return types.void(_i), codegen


def _limit(builder: Any, limits: Any, w: int) -> Any:
    """Return the limit of a sum of two to the power of `w` in all lanes."""
    at = builder.add(limits, ir.Constant(_I64, 2 * w))
    limit = builder.load(builder.inttoptr(at, _I16.as_pointer()), align=2)
    first = builder.insert_element(ir.Constant(_INTEGERS, ir.Undefined), limit,
                                   ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, first, ir.Constant(
        ir.VectorType(_I32, WIDE), [ir.Constant(_I32, 0)] * WIDE))


@intrinsic(prefer_literal=True)
def lanes_above(typingctx, w, address, limits):
    """Return the lanes of a vector in memory that exceed the limit of a window, a bit each."""
    if not isinstance(w, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        above = builder.icmp_signed(">", _get(builder, args[1]),
                                    _limit(builder, args[2], w.literal_value))
        return builder.zext(builder.bitcast(above, _I32), _I64)

    return _i(w, _i, _i), codegen


class _Windows:
    """Sums of 1, 2, 4, ... neighbouring channels that begin in vectors of a row."""

    def __init__(self, builder: Any, lines: list[Any]) -> None:
        self._builder, self._lines, self._size = builder, lines, 1

    def double(self) -> list[Any]:
        """Return the sums of twice as many, that begin in the first `GROUPS` vectors."""
        builder, lines = self._builder, self._lines
        whole, shift = divmod(self._size, WIDE)
        if whole:
            lines = [builder.add(a, b) for a, b in zip(lines, lines[whole:], strict=False)]
        else:
            mask = ir.Constant(ir.VectorType(_I32, WIDE), [
                ir.Constant(_I32, shift + k) for k in range(WIDE)])
            lines = [builder.add(a, builder.shuffle_vector(a, b, mask))
                     for a, b in zip(lines, [*lines[1:], _same(0)], strict=True)]
        self._lines, self._size = lines, 2 * self._size
        return lines[:GROUPS]


@intrinsic(prefer_literal=True)
def row_above(typingctx, counted, x, after, counts, after_counts, step, limits):
    """Return whether windows of 2, 4, ... channels that begin in a tile may exceed their limit.

    `x` and `after` are the addresses of the first vectors of a row of a tile and of the next one,
    `step` the bytes from one vector to the next, and `limits` the address of the limits of the sums
    of 1, 2, 4, ... integers. If `counted`, a limit is reduced to the samples in `counts`.
    """
    if not isinstance(counted, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        x, after, counts, after_counts, step, limits = args[1:]
        sums = _Windows(builder, _row(builder, x, after, step))
        held = _Windows(builder, _row(builder, counts, after_counts, step))
        found = ir.Constant(ir.VectorType(_I1, WIDE), [0] * WIDE)
        for w in range(1, MOST_WINDOWS):
            limit = _limit(builder, limits, w)
            if counted.literal_value:
                # A window without samples has the sum 0, and those with few a limit below theirs.
                each = builder.ashr(limit, _same(w))
                for total, many in zip(sums.double(), held.double(), strict=True):
                    least = builder.sub(builder.mul(each, many), _same(1))
                    above = builder.icmp_signed(">", _magnitude(builder, total), least)
                    some = builder.icmp_signed(">", many, _same(0))
                    found = builder.or_(found, builder.and_(above, some))
                continue
            most = _same(0)
            for total in sums.double():
                most = _larger(builder, total, most)
            found = builder.or_(found, builder.icmp_signed(">", most, limit))
        return builder.icmp_unsigned("!=", builder.bitcast(found, _I32), ir.Constant(_I32, 0))

    return types.boolean(counted, *(_i,) * 6), codegen


def _row(builder: Any, x: Any, after: Any, step: Any) -> list[Any]:
    """Load a row of two tiles."""
    found = []
    for start in (x, after):
        for _ in range(GROUPS):
            found.append(_get(builder, start))
            start = builder.add(start, step)
    return found
