"""Boxcars of 16 neighbouring samples at once, of all widths of a level.

The widths are those of a `Spec` with the items `first` and `later`, as of a `Ladder`, so that code
is generated for each ladder. Memory is specified by address. `part` is 0 for level 0, 1 for others.
"""

from functools import reduce
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._simd import Emitter, Vector

_FLOAT, _I16 = ir.FloatType(), ir.IntType(16)
_LANES = 16
_i = types.int64


def widths_of(spec: Any, part: Any) -> tuple[int, ...]:
    """Return the widths of a level, in its samples."""
    widths: tuple[int, ...] = spec.items["later" if part.literal_value else "first"]
    return widths


class _Sums:
    """Sums of neighbouring samples, for the places of `n` vectors where they begin.

    Those of 1, 2, 4... samples are computed first. Those of each width are the sum of one that
    exists and of one of these, which is read from registers where vectors of it are neighbours.
    """

    def __init__(self, emit: Emitter, x: Any, longest: int, n: int) -> None:
        self._emit, self._x, self._n = emit, x, n
        #: Vectors that the sums of the last vector reach into.
        self._n_all = n + -(-(longest - 1) // _LANES)
        self._powers = {1: [emit.load(x, 4 * _LANES * i) for i in range(self._n_all)]}
        size = 1
        while 2 * size <= longest:
            # Lanes beyond the end are not used, and LLVM removes vectors that are not.
            self._powers[2 * size] = [each + self._at(size, i, size)
                                      for i, each in enumerate(self._powers[size])]
            size *= 2
        self._made = {size: lines[:n] for size, lines in self._powers.items()}

    def _at(self, size: int, i: int, shift: int) -> Vector:
        """Return sums of a power of two that begin `shift` samples after vector `i`."""
        i, shift = i + shift // _LANES, shift % _LANES
        if size == 1 and shift and i + 1 < self._n_all:
            return self._emit.load(self._x, 4 * (_LANES * i + shift))
        lines = self._powers[size]
        a, b = (lines[k] if k < self._n_all else self._emit.splat(0.0) for k in (i, i + 1))
        return self._emit.shuffle(a, b, range(shift, shift + _LANES)) if shift else a

    def of(self, width: int) -> list[Vector]:
        """Return the sums of a width."""
        if width not in self._made:
            size = self._last(width)
            before = self.of(width - size)
            self._made[width] = [each + self._at(size, i, width - size)
                                 for i, each in enumerate(before)]
        return self._made[width]

    def _last(self, width: int) -> int:
        """Return the size of the sum that is added last, preferably one that needs no shift."""
        known = [size for size in self._powers if width - size in self._made]
        whole = [size for size in known if (width - size) % _LANES == 0]
        return max(whole) if whole else min(known) if known else width & -width


def _compare(emit: Emitter, sign: str, a: Vector, b: Vector) -> Any:
    return emit.builder.fcmp_ordered(sign, a.value, b.value)


@intrinsic(prefer_literal=True)
def above(typingctx, spec, weighted, part, n, x, weight, limit, least, factor):
    """Return whether a boxcar of `n` vectors is above the limit of its width times a factor.

    If `weighted`, the square of a boxcar is compared with the limit times its weight, if it is
    positive and its weight is at least `least`; the factor is then not used.
    """
    if not all(isinstance(each, types.IntegerLiteral) for each in (weighted, part, n)):
        return None

    def codegen(context, builder, signature, args):
        x, weight, limit, least, factor = args[4:]
        emit = Emitter(builder, _LANES)
        by = emit.broadcast(factor)
        widths, count = widths_of(spec, part), n.literal_value
        found = [ir.Constant(ir.VectorType(ir.IntType(1), _LANES), [0] * _LANES)] * count
        sums, weights = (_Sums(emit, each, widths[-1], count) for each in (x, weight))
        for place, width in enumerate(widths):
            most = emit.load_scalar(limit, 4 * place)
            if weighted.literal_value:
                enough = emit.load_scalar(least, 4 * place)
                isabove = [_weighted_above(emit, each, w, most, enough)
                           for each, w in zip(sums.of(width), weights.of(width), strict=True)]
            else:
                most = most * by
                isabove = [_compare(emit, ">", each, most) for each in sums.of(width)]
            found = [builder.or_(a, b) for a, b in zip(found, isabove, strict=True)]
        lanes = builder.bitcast(reduce(builder.or_, found), _I16)
        return builder.icmp_unsigned("!=", lanes, ir.Constant(_I16, 0))

    return types.boolean(spec, weighted, part, n, _i, _i, _i, _i, types.float32), codegen


def _weighted_above(emit: Emitter, total: Vector, weight: Vector, limit: Vector, least: Vector
                    ) -> Any:
    large = _compare(emit, ">", total * total, weight * limit)
    enough = _compare(emit, ">=", weight, least)
    positive = _compare(emit, ">", total, emit.splat(0.0))
    return emit.builder.and_(emit.builder.and_(large, enough), positive)


@intrinsic(prefer_literal=True)
def rank(typingctx, spec, weighted, part, x, weight, gain, least, out):
    """Write the S/N (its square, if `weighted`) of the best boxcars of a vector, and their widths.

    `out` is the address of a vector of each; widths are numbers of their places, as floats.
    """
    if not all(isinstance(each, types.IntegerLiteral) for each in (weighted, part)):
        return None

    def codegen(context, builder, signature, args):
        x, weight, gain, least, out = args[3:]
        emit = Emitter(builder, _LANES)
        widths = widths_of(spec, part)
        best = places = emit.splat(-1.0)
        sums, weights = (_Sums(emit, each, widths[-1], 1) for each in (x, weight))
        for place, width in enumerate(widths):
            (total,), factor = sums.of(width), emit.load_scalar(gain, 4 * place)
            value = total * factor
            if weighted.literal_value:
                (valid,) = weights.of(width)
                enough = builder.and_(
                    _compare(emit, ">=", valid, emit.load_scalar(least, 4 * place)),
                    _compare(emit, ">", total, emit.splat(0.0)))
                value = emit.select(enough, value * total / valid, emit.splat(-1.0))
            larger = _compare(emit, ">", value, best)
            best = emit.select(larger, value, best)
            places = emit.select(larger, emit.splat(float(place)), places)
        emit.store(best, out)
        emit.store(places, out, 4 * _LANES)
        return context.get_dummy_value()

    return types.void(spec, weighted, part, *(_i,) * 5), codegen


@intrinsic(prefer_literal=True)
def extremes(typingctx, spec, part, n, x):
    """Return the least and the largest sample of all boxcars of `n` vectors, or beyond them."""
    if not all(isinstance(each, types.IntegerLiteral) for each in (part, n)):
        return None

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, _LANES)
        count = n.literal_value + -(-(widths_of(spec, part)[-1] - 1) // _LANES)
        lines = [emit.load(args[3], 4 * _LANES * i) for i in range(count)]
        found = []
        for sign in "<>":
            best = lines[0]
            for line in lines[1:]:
                best = emit.select(_compare(emit, sign, line, best), line, best)
            size = _LANES
            while size > 1:
                size //= 2
                moved = emit.shuffle(best, best, [i ^ size for i in range(_LANES)])
                best = emit.select(_compare(emit, sign, moved, best), moved, best)
            found.append(builder.extract_element(best.value, ir.Constant(ir.IntType(32), 0)))
        return context.make_tuple(builder, signature.return_type, found)

    return types.UniTuple(types.float32, 2)(spec, part, n, _i), codegen


@intrinsic(prefer_literal=True)
def measure(typingctx, spec, weighted, part, x, weight, cut, least, sums):
    """Add boxcars of a vector to the sums for their noise and level.

    `sums` is the address of five vectors for each width: of the boxcars within the cut, squares,
    number, values and weights, and the number of all. The square of a boxcar, divided by its weight
    if `weighted`, is compared with that of the cut. Weights and the number of all are added only if
    `weighted`.
    """
    if not all(isinstance(each, types.IntegerLiteral) for each in (weighted, part)):
        return None

    def codegen(context, builder, signature, args):
        x, weight, cut, least, sums = args[3:]
        emit = Emitter(builder, _LANES)
        widths = widths_of(spec, part)
        one, zero = emit.splat(1.0), emit.splat(0.0)
        totals, weights = (_Sums(emit, each, widths[-1], 1) for each in (x, weight))
        for place, width in enumerate(widths):
            (total,) = totals.of(width)
            square, limit = total * total, emit.load_scalar(cut, 4 * place)
            if weighted.literal_value:
                (valid,) = weights.of(width)
                enough = _compare(emit, ">=", valid, emit.load_scalar(least, 4 * place))
                square = emit.select(enough, square / valid, limit)
            within = _compare(emit, "<", square, limit)
            added = [square, one, total]
            if weighted.literal_value:
                added.append(valid)
                _add(emit, emit.select(enough, one, zero), sums, 64 * (5 * place + 4))
            for i, each in enumerate(added):
                _add(emit, emit.select(within, each, zero), sums, 64 * (5 * place + i))
        return context.get_dummy_value()

    return types.void(spec, weighted, part, *(_i,) * 5), codegen


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


@intrinsic
def sample(typingctx, address):
    """Return the float32 at an address."""

    def codegen(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], _FLOAT.as_pointer()), align=4)

    return types.float32(_i), codegen
