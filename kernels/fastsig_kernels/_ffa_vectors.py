"""Profiles in the lanes of vectors: their running sums, and the best boxcar of each.

As many profiles as a vector has lanes are transposed, so that neighbouring phases are in
neighbouring vectors and boxcars of all widths need no shuffles. The widths are the item ``widths``
of a `Spec`, so that code is generated for them. Memory is specified by address.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._simd import Emitter, Vector

_i = types.int64
_I64 = ir.IntType(64)
#: Widths whose maxima are in registers at once, and phases that share what is loaded.
_AT_ONCE = 12
PHASES = 4
#: Largest number of turns whose sums are made at once.
LEAF = 8


def _number(value: int) -> Any:
    return ir.Constant(_I64, value)


def _transposed(emit: Emitter, lines: list[Vector]) -> list[Vector]:
    """Return the columns of a square of vectors."""
    n, size = emit.lanes, 1
    while size < n:
        pairs: list[Vector] = list(lines)
        low = [lane if not lane & size else n + lane - size for lane in range(n)]
        high = [lane + size if not lane & size else n + lane for lane in range(n)]
        for i in range(n):
            if not i & size:
                a, b = lines[i], lines[i + size]
                pairs[i], pairs[i + size] = emit.shuffle(a, b, low), emit.shuffle(a, b, high)
        lines, size = pairs, 2 * size
    return lines


class _Rows:
    """Vectors of samples of a row: float32, or int16 whose sums saturate, as `kind` of a `Spec`."""

    def __init__(self, builder: Any, spec: Any) -> None:
        self.builder, self.is_float = builder, spec.items["kind"] == "float32"
        self.element = ir.FloatType() if self.is_float else ir.IntType(16)
        self.size = 4 if self.is_float else 2
        # Half a vector of 64 bytes is as fast, since most loads are across two cache lines.
        self.lanes = spec.items["lanes"] if self.is_float else min(16, 2 * spec.items["lanes"])

    def _pointer(self, address: Any, lanes: int) -> Any:
        kind = ir.VectorType(self.element, lanes)
        return self.builder.inttoptr(address, kind.as_pointer())

    def load(self, address: Any, lanes: int = 0) -> Any:
        return self.builder.load(self._pointer(address, lanes or self.lanes), align=self.size)

    def store(self, value: Any, address: Any) -> None:
        self.builder.store(value, self._pointer(address, value.type.count), align=self.size)

    def add(self, a: Any, b: Any) -> Any:
        if self.is_float:
            return self.builder.fadd(a, b)
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(a.type, [a.type, a.type]),
            f"llvm.sadd.sat.v{a.type.count}i16")
        return self.builder.call(function, [a, b])


@intrinsic
def size_of(typingctx, spec):
    """Return the bytes of a sample."""

    def codegen(context, builder, signature, args):
        return _number(_Rows(builder, spec).size)

    return types.int64(spec), codegen


@intrinsic
def line_of(typingctx, spec):
    """Return the bytes of a vector of samples."""

    def codegen(context, builder, signature, args):
        rows = _Rows(builder, spec)
        return _number(rows.size * rows.lanes)

    return types.int64(spec), codegen


@intrinsic
def copy_line(typingctx, spec, a, out):
    """Copy a vector."""

    def codegen(context, builder, signature, args):
        rows = _Rows(builder, spec)
        rows.store(rows.load(args[1]), args[2])
        return context.get_dummy_value()

    return types.void(spec, _i, _i), codegen


@intrinsic
def add_lines(typingctx, spec, a, b, out):
    """Write the sum of two vectors."""

    def codegen(context, builder, signature, args):
        rows = _Rows(builder, spec)
        rows.store(rows.add(rows.load(args[1]), rows.load(args[2])), args[3])
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i), codegen


def part_of(drift: int, part: int, whole: int) -> int:
    """Return the drift of `part` turns of `whole`, rounded."""
    return int((part - 1) / (whole - 1) * drift + 0.5)


@intrinsic(prefer_literal=True)
def add_turns(typingctx, spec, n_row, y, turn, out, step):
    """Write a vector of the sums of `n_row` turns for each drift.

    Those of all drifts are made from the same vectors. `turn` and `step` are the bytes from a turn,
    and from a drift, to the next.
    """
    if not isinstance(n_row, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        rows, (y, turn, out, step) = _Rows(builder, spec), args[2:]
        made: dict[tuple[int, ...], Any] = {}

        def total(first: int, count: int, drift: int, shift: int) -> Any:
            key = first, count, drift, shift
            if key not in made:
                if count == 1:
                    place = builder.add(y, builder.mul(turn, _number(first)))
                    made[key] = rows.load(builder.add(place, _number(shift * rows.size)))
                else:
                    n_head = count // 2
                    i, j = (part_of(drift, each, count) for each in (n_head, count - n_head))
                    made[key] = rows.add(total(first, n_head, i, shift),
                                         total(first + n_head, count - n_head, j,
                                               shift + drift - j))
            return made[key]

        for drift in range(n_row.literal_value):
            rows.store(total(0, n_row.literal_value, drift, 0),
                       builder.add(out, builder.mul(step, _number(drift))))
        return context.get_dummy_value()

    return types.void(spec, n_row, _i, _i, _i, _i), codegen


@intrinsic
def add_as_floats(typingctx, spec, a, b, out):
    """Write the sum of two vectors of as many samples as a vector of float32 has, as float32."""

    def codegen(context, builder, signature, args):
        rows, emit = _Rows(builder, spec), Emitter(builder, spec.items["lanes"])
        both = [rows.load(each, emit.lanes) for each in args[1:3]]
        if rows.is_float:
            made = Vector(emit, rows.add(*both))
        else:
            wide = ir.VectorType(ir.IntType(32), emit.lanes)
            made = emit.to_float(builder.add(*(builder.sext(each, wide) for each in both)))
        emit.store(made, args[3])
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i), codegen


@intrinsic
def running_sums(typingctx, spec, rows, step, n_block, out):
    """Write the sums of profiles up to each phase; `out` is the address of a first vector of zeros.

    `rows` is the address of the first profile, `step` the bytes from one to the next, and `n_block`
    the number of vectors of a profile.
    """

    def codegen(context, builder, signature, args):
        rows, step, n_block, out = args[1:]
        n = spec.items["lanes"]
        emit = Emitter(builder, n)
        total = cgutils.alloca_once_value(builder, emit.splat(0.0).value)
        emit.store(emit.splat(0.0), out)
        with cgutils.for_range(builder, n_block) as loop:
            here = builder.add(rows, builder.mul(loop.index, _number(4 * n)))
            there = builder.add(out, builder.mul(loop.index, _number(4 * n * n)))
            lines = [emit.load(builder.add(here, builder.mul(step, _number(i)))) for i in range(n)]
            sums = Vector(emit, builder.load(total))
            for i, line in enumerate(_transposed(emit, lines)):
                sums = sums + line
                emit.store(sums, there, 4 * n * (i + 1))
            builder.store(sums.value, total)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i), codegen


def _larger(emit: Emitter, a: Vector, b: Vector) -> Vector:
    """Return the larger of two numbers in each lane; `b` if `a` is not a number."""
    return emit.select(emit.builder.fcmp_ordered(">", a.value, b.value), a, b)


def _maxima(emit: Emitter, n: Any, of: Any, count: int) -> list[Vector]:
    """Return the largest values over all phases, for each width.

    `of` computes the values at some phases for each width, from the bytes to the first phase; `n`
    is the number of times.
    """
    builder = emit.builder
    kept = [cgutils.alloca_once_value(builder, emit.splat(-3e38).value) for _ in range(count)]
    with cgutils.for_range(builder, n) as loop:
        for place, values in zip(kept, of(loop.index), strict=True):
            best = Vector(emit, builder.load(place))
            for value in values:
                best = _larger(emit, value, best)
            builder.store(best.value, place)
    return [Vector(emit, builder.load(place)) for place in kept]


def _write_best(emit: Emitter, values: list[Vector], out: Any) -> None:
    """Write the largest value in each lane, and then its number as a float."""
    best, number = values[0], emit.splat(0.0)
    for k, value in enumerate(values[1:], 1):
        larger = emit.builder.fcmp_ordered(">", value.value, best.value)
        best = emit.select(larger, value, best)
        number = emit.select(larger, emit.splat(float(k)), number)
    emit.store(best, out)
    emit.store(number, out, 4 * emit.lanes)


@intrinsic
def best_boxcars(typingctx, spec, sums, n, gains, out):
    """Write the S/N of the best boxcar of profiles without gaps, and the number of its width.

    `gains` is the address of two float32 for each width: factors of the boxcar and of the profile.
    """

    def codegen(context, builder, signature, args):
        sums, n, gains, out = args[1:]
        widths, lanes = spec.items["widths"], spec.items["lanes"]
        emit = Emitter(builder, lanes, balanced=True)
        whole = emit.load(builder.add(sums, builder.mul(n, _number(4 * lanes))))
        values = []
        # Phases beyond the end are those of the beginning again.
        n_step = builder.udiv(builder.add(n, _number(PHASES - 1)), _number(PHASES))
        for first in range(0, len(widths), _AT_ONCE):
            some = widths[first : first + _AT_ONCE]

            def of(index, some=some):
                here = builder.add(sums, builder.mul(index, _number(4 * lanes * PHASES)))
                places = {phase + width for phase in range(PHASES) for width in (0, *some)}
                at = {place: emit.load(here, 4 * lanes * place) for place in sorted(places)}
                return [[at[phase + width] - at[phase] for phase in range(PHASES)]
                        for width in some]

            for k, each in enumerate(_maxima(emit, n_step, of, len(some)), first):
                values.append(each * emit.load_scalar(gains, 8 * k)
                              - whole * emit.load_scalar(gains, 8 * k + 4))
        _write_best(emit, values, out)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i), codegen


@intrinsic
def best_weighted_boxcars(typingctx, spec, sums, weights, n, shared, least, out):
    """Write the S/N, as its signed square times the weight, of the best boxcar with gaps.

    With the sum D and the weight W of a whole profile and those of a boxcar, d and w, this is
    ``q |q| / (w (W - w) - k W)``, ``q = d W - D w``. `shared` is k times the share of the samples
    that are valid, as a share of W, and `least` the address of a float32 for each width: the
    least weight of a boxcar, as a share of W; that of the rest is a quarter of what is expected.
    """

    def codegen(context, builder, signature, args):
        sums, weights, n, shared, least, out = args[1:]
        widths, lanes = spec.items["widths"], spec.items["lanes"]
        emit = Emitter(builder, lanes)
        end = builder.mul(n, _number(4 * lanes))
        whole, weight = (emit.load(builder.add(each, end)) for each in (sums, weights))
        split = emit.broadcast(shared) * weight * weight
        values = []
        for k, width in enumerate(widths):
            enough = emit.load_scalar(least, 8 * k) * weight
            most = weight - emit.load_scalar(least, 8 * k + 4) * weight

            def of(index, width=width, enough=enough, most=most):
                at = builder.mul(index, _number(4 * lanes))
                here, there = builder.add(sums, at), builder.add(weights, at)
                inside = emit.load(here, 4 * lanes * width) - emit.load(here)
                w = emit.load(there, 4 * lanes * width) - emit.load(there)
                q = inside * weight - whole * w
                square = q * emit.call("llvm.fabs", q) / (w * (weight - w) - split)
                good = builder.and_(builder.fcmp_ordered(">=", w.value, enough.value),
                                    builder.fcmp_ordered("<=", w.value, most.value))
                return [[emit.select(good, square, emit.splat(-3e38))]]

            values += _maxima(emit, n, of, 1)
        _write_best(emit, [each / weight for each in values], out)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, types.float32, _i, _i), codegen
