"""Vectors of 16 neighbouring channels, for levels and noise of channels: medians and sums.

Memory is specified by address. The items of a `Spec` are the `kind` of the numbers that are loaded,
u1 or f4.
"""

from collections.abc import Iterator
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._passes import _prefetch
from ._simd import Emitter, Vector, VectorType

#: Channels of a vector; vectors that are summed at the same time; values that have a median.
LANES, AT_ONCE, VALUES = 16, 4, 64
_LINE = 4 * LANES
_AHEAD = 8  # rows that are fetched before they are needed: those of a tile are not in sequence
_I64 = ir.IntType(64)
_i = types.int64
_vector = VectorType(LANES)


def load_numbers(emit: Emitter, kind: str, address: Any, vector: int = 0) -> Vector:
    """Return numbers of a kind, of a vector of channels, as float32."""
    if kind == "f4":
        return emit.load(address, _LINE * vector)
    return emit.to_float(emit.load_integers(address, LANES * vector, LANES, 8), signed=False)


@intrinsic
def numbers(typingctx, spec, address):
    """Load numbers of a vector of channels as float32."""

    def codegen(context, builder, signature, args):
        return load_numbers(Emitter(builder, LANES), spec.items["kind"], args[1]).value

    return _vector(spec, _i), codegen


def fetch_ahead(builder: Any, row: Any, step: Any, n: int) -> None:
    """Fetch `n` lines of a later row of a tile of channels, whose rows are `step` bytes apart."""
    later = builder.add(row, builder.mul(step, ir.Constant(_I64, _AHEAD)))
    for line in range(n):
        _prefetch(builder, builder.add(later, ir.Constant(_I64, _LINE * line)), near=True)


def _merging(low: int, n: int, step: int) -> Iterator[tuple[int, int]]:
    """Return the places of a sequence that are compared to merge its sorted halves (Batcher)."""
    double = 2 * step
    if double < n:
        yield from _merging(low, n, double)
        yield from _merging(low + step, n, double)
        yield from ((i, i + step) for i in range(low + step, low + n - step, double))
    else:
        yield low, low + step


def _sorting(low: int, n: int) -> Iterator[tuple[int, int]]:
    """Return the places of a sequence that are compared to sort it."""
    if n > 1:
        yield from _sorting(low, n // 2)
        yield from _sorting(low + n // 2, n // 2)
        yield from _merging(low, n, 1)


def _smaller(emit: Emitter, a: Vector, b: Vector) -> Vector:
    return emit.select(emit.builder.fcmp_ordered("<", a.value, b.value), a, b)


def _larger(emit: Emitter, a: Vector, b: Vector) -> Vector:
    return emit.select(emit.builder.fcmp_ordered(">", a.value, b.value), a, b)


def _exchange(builder: Any, x: Any, n: int, pairs: Iterator[tuple[int, int]]) -> None:
    """Exchange vectors of `n` in memory where the first of a pair is larger than the second."""
    emit = Emitter(builder, LANES)
    lines = [emit.load(x, _LINE * i) for i in range(n)]
    for i, j in pairs:
        lines[i], lines[j] = (_smaller(emit, lines[i], lines[j]), _larger(emit, lines[i], lines[j]))
    for i, line in enumerate(lines):
        emit.store(line, x, _LINE * i)


@intrinsic
def sort_16(typingctx, x):
    """Sort 16 vectors in memory, lane by lane."""

    def codegen(context, builder, signature, args):
        _exchange(builder, args[0], 16, _sorting(0, 16))
        return context.get_dummy_value()

    return types.void(_i), codegen


@intrinsic
def merge_32(typingctx, x):
    """Sort 32 vectors in memory, of which the first and the last 16 are sorted."""

    def codegen(context, builder, signature, args):
        _exchange(builder, args[0], 32, _merging(0, 32, 1))
        return context.get_dummy_value()

    return types.void(_i), codegen


@intrinsic
def middle_64(typingctx, x, out):
    """Write the 32nd and the 33rd of 64 vectors, of which the first and the last 32 are sorted."""

    def codegen(context, builder, signature, args):
        x, out = args
        emit = Emitter(builder, LANES)
        low, high = emit.splat(float("-inf")), emit.splat(float("inf"))
        for i in range(32):
            a, b = emit.load(x, _LINE * i), emit.load(x, _LINE * (63 - i))
            low = _larger(emit, _smaller(emit, a, b), low)
            high = _smaller(emit, _larger(emit, a, b), high)
        emit.store(low, out)
        emit.store(high, out, _LINE)
        return context.get_dummy_value()

    return types.void(_i, _i), codegen


@intrinsic
def put_or_pad(typingctx, value, pad, out):
    """Store a vector with the lanes of `pad` where it is not finite; return the next pad.

    Of the values in the place of others, the first is infinite, the next is so below 0, and so on,
    if the first pad is infinite: the median of all is then that of the others.
    """

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, LANES)
        value, pad = Vector(emit, args[0]), Vector(emit, args[1])
        size = emit.call("llvm.fabs", value)
        finite = builder.fcmp_ordered("<", size.value, emit.splat(float("inf")).value)
        emit.store(emit.select(finite, value, pad), args[2])
        return emit.select(finite, pad, -pad).value

    return _vector(_vector, _vector, _i), codegen


@intrinsic
def apart(typingctx, x, y):
    """Return the magnitude of a difference."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, LANES)
        return emit.call("llvm.fabs", Vector(emit, args[0]) - Vector(emit, args[1])).value

    return _vector(_vector, _vector), codegen


@intrinsic
def add_within(typingctx, spec, x, step, series, series_step, n, tables, out):
    """Write sums of `n` rows of 64 channels: number, differences from the level, their squares.

    Values within limits are added; `tables` is the address of the lower limit, the upper limit and
    the level of each channel. Rows are `step` bytes apart, and the values of the series, which is
    subtracted, `series_step`.
    """

    def codegen(context, builder, signature, args):
        x, step, series, series_step, n, tables, out = args[1:]
        emit = Emitter(builder, LANES)
        place = [[_LINE * (AT_ONCE * k + vector) for k in range(3)] for vector in range(AT_ONCE)]
        zero, one = emit.splat(0.0), emit.splat(1.0)
        limits = [[emit.load(tables, at) for at in places] for places in place]
        room = [[cgutils.alloca_once_value(builder, zero.value) for _ in range(3)]
                for _ in range(AT_ONCE)]
        with cgutils.for_range(builder, n) as loop:
            row = builder.add(x, builder.mul(loop.index, step))
            fetch_ahead(builder, row, step, 1 if spec.items["kind"] == "u1" else AT_ONCE)
            base = emit.load_scalar(builder.add(series, builder.mul(loop.index, series_step)))
            for vector in range(AT_ONCE):
                low, high, level = limits[vector]
                value = load_numbers(emit, spec.items["kind"], row, vector) - base
                inside = builder.and_(builder.fcmp_ordered(">=", value.value, low.value),
                                      builder.fcmp_ordered("<=", value.value, high.value))
                off = emit.select(inside, value - level, zero)
                for sum_, term in zip(room[vector], (emit.select(inside, one, zero), off,
                                                     off * off), strict=True):
                    total = Vector(emit, builder.load(sum_)) + term
                    builder.store(total.value, sum_)
        for places, sums in zip(place, room, strict=True):
            for at, sum_ in zip(places, sums, strict=True):
                emit.store(Vector(emit, builder.load(sum_)), out, at)
        return context.get_dummy_value()

    return types.void(spec, *(_i,) * 7), codegen
