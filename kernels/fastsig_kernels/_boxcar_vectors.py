"""Boxcars of 16 neighbouring samples at once, of all widths of a level.

The widths are those of a `Spec` with the items `first` and `later`, as of a `Ladder`, so that code
is generated for each ladder. Memory is specified by address. `part` is 0 for level 0, 1 for others.
"""

from collections.abc import Iterator
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._simd import Emitter, Vector

_FLOAT, _I16, _I64 = ir.FloatType(), ir.IntType(16), ir.IntType(64)
_LANES = 16
_i = types.int64


def widths_of(spec: Any, part: Any) -> tuple[int, ...]:
    """Return the widths of a level, in its samples."""
    widths: tuple[int, ...] = spec.items["later" if part.literal_value else "first"]
    return widths


def _sums(emit: Emitter, x: Any, widths: tuple[int, ...], n: int
          ) -> Iterator[tuple[int, list[Vector]]]:
    """Yield the number of each width, and the sums of `n` vectors of boxcars, in the order of time.
    """
    total = [emit.load(x, 64 * i) for i in range(n)]
    place = 0
    for width in range(1, widths[-1] + 1):
        if width > 1:
            total = [each + emit.load(x, 64 * i + 4 * (width - 1))
                     for i, each in enumerate(total)]
        if width == widths[place]:
            yield place, total
            place += 1


def _compare(emit: Emitter, sign: str, a: Vector, b: Vector) -> Any:
    return emit.builder.fcmp_ordered(sign, a.value, b.value)


def _positive(emit: Emitter, x: Vector) -> Vector:
    return emit.select(_compare(emit, ">", x, emit.splat(0.0)), x, emit.splat(0.0))


def _larger(emit: Emitter, a: Vector, b: Vector) -> Vector:
    return emit.select(_compare(emit, ">", a, b), a, b)


@intrinsic(prefer_literal=True)
def above(typingctx, spec, weighted, part, n, x, weight, gain, least, threshold):
    """Return which of `n` vectors have a boxcar above a threshold, as bits of an integer.

    A boxcar is compared as its sum times the gain of its width or, if `weighted`, the square of its
    sum, if it is positive, times the gain, divided by its weight, if this is at least `least`.
    """
    if not all(isinstance(each, types.IntegerLiteral) for each in (weighted, part, n)):
        return None

    def codegen(context, builder, signature, args):
        x, weight, gain, least, threshold = args[4:]
        emit = Emitter(builder, _LANES)
        widths, count = widths_of(spec, part), n.literal_value
        best = [emit.splat(-1.0)] * count
        weights = _sums(emit, weight, widths, count) if weighted.literal_value else None
        for place, sums in _sums(emit, x, widths, count):
            factor = emit.load_scalar(gain, 4 * place)
            if weights is None:
                values = [each * factor for each in sums]
            else:
                enough = emit.load_scalar(least, 4 * place)
                values = [_squared(emit, each, w, factor, enough)
                          for each, w in zip(sums, next(weights)[1], strict=True)]
            best = [_larger(emit, a, b) for a, b in zip(values, best, strict=True)]
        limit = emit.broadcast(threshold)
        mask = ir.Constant(_I64, 0)
        for i, each in enumerate(best):
            lanes = builder.bitcast(_compare(emit, ">", each, limit), _I16)
            is_any = builder.icmp_unsigned("!=", lanes, ir.Constant(_I16, 0))
            bit = builder.select(is_any, ir.Constant(_I64, 1 << i), ir.Constant(_I64, 0))
            mask = builder.or_(mask, bit)
        return mask

    return _i(spec, weighted, part, n, _i, _i, _i, _i, types.float32), codegen


def _squared(emit: Emitter, total: Vector, weight: Vector, factor: Vector, enough: Vector
             ) -> Vector:
    up = _positive(emit, total)
    return emit.select(_compare(emit, ">=", weight, enough), up * up * factor / weight,
                       emit.splat(0.0))


@intrinsic(prefer_literal=True)
def measure(typingctx, spec, weighted, part, x, weight, factor, cut, least, sums):
    """Add boxcars of a vector to sums for their noise: squares, number within the cut, number.

    `sums` is the address of three vectors for each width. The square of a boxcar is that of its sum
    times the factor of its width, divided by its weight if `weighted`; it is added if it is less
    than that of the cut. The number of all is added only if `weighted`.
    """
    if not all(isinstance(each, types.IntegerLiteral) for each in (weighted, part)):
        return None

    def codegen(context, builder, signature, args):
        x, weight, factor, cut, least, sums = args[3:]
        emit = Emitter(builder, _LANES)
        widths = widths_of(spec, part)
        one, zero = emit.splat(1.0), emit.splat(0.0)
        weights = _sums(emit, weight, widths, 1) if weighted.literal_value else None
        for place, (total,) in _sums(emit, x, widths, 1):
            square = total * total * emit.load_scalar(factor, 4 * place)
            limit = emit.load_scalar(cut, 4 * place)
            if weights is not None:
                (valid,) = next(weights)[1]
                enough = _compare(emit, ">=", valid, emit.load_scalar(least, 4 * place))
                square = emit.select(enough, square / valid, limit)
                _add(emit, emit.select(enough, one, zero), sums, 192 * place + 128)
            within = _compare(emit, "<", square, limit)
            _add(emit, emit.select(within, square, zero), sums, 192 * place)
            _add(emit, emit.select(within, one, zero), sums, 192 * place + 64)
        return context.get_dummy_value()

    return types.void(spec, weighted, part, *(_i,) * 6), codegen


def _add(emit: Emitter, value: Vector, address: Any, offset: int) -> None:
    emit.store(emit.load(address, offset) + value, address, offset)


@intrinsic(prefer_literal=True)
def add_pairs(typingctx, spec, n, x, out):
    """Write `n` vectors of sums of two neighbouring samples."""
    if not isinstance(n, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        x, out = args[2:]
        emit = Emitter(builder, _LANES)
        for i in range(n.literal_value):
            a, b = emit.load(x, 128 * i), emit.load(x, 128 * i + 64)
            even = emit.shuffle(a, b, range(0, 2 * _LANES, 2))
            odd = emit.shuffle(a, b, range(1, 2 * _LANES, 2))
            emit.store(even + odd, out, 64 * i)
        return context.get_dummy_value()

    return types.void(spec, n, _i, _i), codegen
