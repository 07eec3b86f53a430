"""Profiles in the lanes of vectors: their running sums, and the best boxcar of each.

As many profiles as a vector has lanes are transposed, so that neighbouring phases are in
neighbouring vectors and boxcars of all widths need no shuffles. The widths are the item ``widths``
of a `Spec`, so that code is generated for them. Memory is specified by address.
"""

from collections.abc import Callable
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


def _transposed(shuffle: Callable[[Any, Any, list[int]], Any], lines: list[Any], lanes: int
                ) -> list[Any]:
    """Return the columns of squares of vectors: one, or two side by side, in `lanes` lanes."""
    n, size = len(lines), 1
    while size < n:
        pairs = list(lines)
        low = [lane if not lane & size else lanes + lane - size for lane in range(lanes)]
        high = [lane + size if not lane & size else lanes + lane for lane in range(lanes)]
        for i in range(n):
            if not i & size:
                a, b = lines[i], lines[i + size]
                pairs[i], pairs[i + size] = shuffle(a, b, low), shuffle(a, b, high)
        lines, size = pairs, 2 * size
    return lines


@intrinsic(prefer_literal=True)
def divided_sums(typingctx, spec, whole, x, k, factor, out):
    """Write a vector of sums over `factor` samples, from number `k` on.

    `whole` is `factor` rounded down. Samples at both ends of a sum are divided in proportion.
    """
    if not isinstance(whole, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        x, k, factor, out = args[2:]
        emit, n = Emitter(builder, spec.items["lanes"]), whole.literal_value
        wide = ir.VectorType(ir.DoubleType(), emit.lanes)
        index = ir.VectorType(ir.IntType(32), emit.lanes)

        def of_all(value: Any) -> Any:
            one = builder.insert_element(ir.Constant(wide, ir.Undefined), value, _number(0))
            return builder.shuffle_vector(one, one, ir.Constant(index, [0] * emit.lanes))

        def constant(value: float) -> Any:
            return ir.Constant(wide, [value] * emit.lanes)

        def narrow(value: Any) -> Vector:
            return Vector(emit, builder.fptrunc(value, emit.type))

        def extreme(sign: str, a: Any, b: Any) -> Any:
            return builder.select(builder.fcmp_ordered(sign, a, b), a, b)

        lane = ir.Constant(wide, [float(each) for each in range(emit.lanes)])
        number = builder.fadd(of_all(builder.sitofp(k, wide.element)), lane)
        step = of_all(factor)
        start = builder.fmul(number, step)
        end = builder.fmul(builder.fadd(number, constant(1.0)), step)
        first = builder.fptosi(start, index)
        begun = builder.sitofp(first, wide)
        rest = builder.fsub(end, builder.fadd(begun, constant(float(n))))
        places = [builder.add(x, builder.shl(builder.zext(
            builder.extract_element(first, _number(each)), _I64), _number(2)))
            for each in range(emit.lanes)]
        columns = _columns(emit, places, n + 2)
        total = narrow(builder.fsub(builder.fadd(begun, constant(1.0)), start)) * columns[0]
        for each in columns[1:n]:
            total = total + each
        total = total + narrow(extreme("<", rest, constant(1.0))) * columns[n]
        beyond = extreme(">", builder.fsub(rest, constant(1.0)), constant(0.0))
        emit.store(total + narrow(beyond) * columns[n + 1], out)
        return context.get_dummy_value()

    return types.void(spec, whole, _i, _i, types.float64, _i), codegen


def _columns(emit: Emitter, places: list[Any], n: int) -> list[Vector]:
    """Return vectors of the first, the second ... of `n` float32 at each address."""
    half, found = emit.lanes // 2, []
    short = Emitter(emit.builder, half)
    for at in range(0, n, half):
        lines = [emit.shuffle(short.load(low, 4 * at), short.load(high, 4 * at), range(emit.lanes))
                 for low, high in zip(places[:half], places[half:], strict=True)]
        found += _transposed(emit.shuffle, lines, emit.lanes)
    return found


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


@intrinsic(prefer_literal=True)
def add_lines(typingctx, spec, n, a, b, out):
    """Write the sum of `n` vectors and of `n` others."""
    if not isinstance(n, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        rows = _Rows(builder, spec)
        a, b = (rows.load(each, n.literal_value * rows.lanes) for each in args[2:4])
        rows.store(rows.add(a, b), args[4])
        return context.get_dummy_value()

    return types.void(spec, n, _i, _i, _i), codegen


@intrinsic
def largest_of(typingctx, spec, rows, n_row, step, n_line):
    """Return the largest magnitude of the first vectors of rows of int16; 0 for float32."""

    def codegen(context, builder, signature, args):
        kind, (rows, n_row, step, n_line) = _Rows(builder, spec), args[1:]
        if kind.is_float:
            return _number(0)
        zero = ir.Constant(ir.VectorType(kind.element, kind.lanes), [0] * kind.lanes)
        signs = "<", ">"
        found = [cgutils.alloca_once_value(builder, zero) for _ in signs]
        with cgutils.for_range(builder, n_row) as row:
            here = builder.add(rows, builder.mul(row.index, step))
            with cgutils.for_range(builder, n_line) as loop:
                at = builder.mul(loop.index, _number(kind.size * kind.lanes))
                line = kind.load(builder.add(here, at))
                for sign, place in zip(signs, found, strict=True):
                    kept = builder.load(place)
                    beyond = builder.icmp_signed(sign, line, kept)
                    builder.store(builder.select(beyond, line, kept), place)
        most = _number(0)
        for sign, place in zip(signs, found, strict=True):
            kept = builder.load(place)
            for lane in range(kind.lanes):
                value = builder.sext(builder.extract_element(kept, _number(lane)), _I64)
                size = builder.neg(value) if sign == "<" else value
                most = builder.select(builder.icmp_signed(">", size, most), size, most)
        return most

    return types.int64(spec, _i, _i, _i, _i), codegen


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
def add_as_floats(typingctx, spec, a, b, bits, out):
    """Write the sum of two vectors of as many samples as a vector of float32 has, as float32.

    Sums of integers are divided by a power of two, and rounded down.
    """

    def codegen(context, builder, signature, args):
        rows, emit = _Rows(builder, spec), Emitter(builder, spec.items["lanes"])
        both = [rows.load(each, emit.lanes) for each in args[1:3]]
        if rows.is_float:
            made = Vector(emit, rows.add(*both))
        else:
            wide = ir.VectorType(ir.IntType(32), emit.lanes)
            total = builder.add(*(builder.sext(each, wide) for each in both))
            made = emit.to_float(builder.ashr(total, _every(builder, args[3], wide)))
        emit.store(made, args[4])
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i), codegen


@intrinsic(prefer_literal=True)
def add_shifted(typingctx, spec, n, a, b, bits, out):
    """Write the same of int16, divided by a power of two from 2 on, and rounded down."""
    if not isinstance(n, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        rows = _Rows(builder, spec)
        a, b = (rows.load(each, n.literal_value * rows.lanes) for each in args[2:4])
        one = ir.Constant(a.type, [1] * a.type.count)
        half = builder.add(builder.and_(a, b), builder.ashr(builder.xor(a, b), one))
        rest = _every(builder, builder.sub(args[4], _number(1)), a.type)
        rows.store(builder.ashr(half, rest), args[5])
        return context.get_dummy_value()

    return types.void(spec, n, _i, _i, _i, _i), codegen


def _every(builder: Any, number: Any, kind: Any) -> Any:
    """Return an LLVM i64 in each lane of a vector of shorter integers."""
    first = builder.insert_element(ir.Constant(kind, ir.Undefined),
                                   builder.trunc(number, kind.element), _number(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
    return builder.shuffle_vector(first, first, zeros)


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
            for i, line in enumerate(_transposed(emit.shuffle, lines, n)):
                sums = sums + line
                emit.store(sums, there, 4 * n * (i + 1))
            builder.store(sums.value, total)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i), codegen


class _Shorts:
    """Vectors of int16, as many as two vectors of float32 have, whose sums wrap around."""

    def __init__(self, builder: Any, spec: Any) -> None:
        self.builder, self.lanes = builder, 2 * spec.items["lanes"]
        self.type = ir.VectorType(ir.IntType(16), self.lanes)
        self.bytes, self.least = 2 * self.lanes, self.splat(-(2**15))

    def splat(self, value: int) -> Any:
        return ir.Constant(self.type, [value] * self.lanes)

    def load(self, address: Any, offset: int = 0) -> Any:
        place = self.builder.add(address, _number(offset))
        return self.builder.load(self.builder.inttoptr(place, self.type.as_pointer()), align=2)

    def load_two(self, address: Any, other: Any) -> Any:
        """Return half a vector from each of two addresses."""
        half = ir.VectorType(ir.IntType(16), self.lanes // 2).as_pointer()
        low, high = (self.builder.load(self.builder.inttoptr(each, half), align=2)
                     for each in (address, other))
        return self.shuffle(low, high, list(range(self.lanes)))

    def store(self, value: Any, address: Any, offset: int = 0) -> None:
        place = self.builder.add(address, _number(offset))
        self.builder.store(value, self.builder.inttoptr(place, self.type.as_pointer()), align=2)

    def shuffle(self, a: Any, b: Any, mask: list[int]) -> Any:
        kind = ir.VectorType(ir.IntType(32), len(mask))
        return self.builder.shuffle_vector(a, b, ir.Constant(kind, mask))

    def difference(self, a: Any, b: Any) -> Any:
        return self.builder.sub(a, b)

    def larger(self, a: Any, b: Any) -> Any:
        return self.builder.select(self.builder.icmp_signed(">", a, b), a, b)

    def halves(self, value: Any, emit: Emitter) -> list[Vector]:
        """Return both halves as float32."""
        n = emit.lanes
        return [emit.to_float(self.shuffle(value, value, list(range(first, first + n))))
                for first in (0, n)]


class _Floats:
    """Vectors of float32, alike."""

    def __init__(self, emit: Emitter) -> None:
        self.emit, self.bytes, self.least = emit, 4 * emit.lanes, emit.splat(-3e38).value

    def load(self, address: Any, offset: int = 0) -> Any:
        return self.emit.load(address, offset).value

    def difference(self, a: Any, b: Any) -> Any:
        return (Vector(self.emit, a) - Vector(self.emit, b)).value

    def larger(self, a: Any, b: Any) -> Any:
        """Return the larger of two numbers in each lane; `b` if `a` is not a number."""
        return self.emit.builder.select(self.emit.builder.fcmp_ordered(">", a, b), a, b)


@intrinsic
def running_short_sums(typingctx, spec, rows, step, n_block, out):
    """Write the same of int16, of twice as many profiles; return whether all are in range.

    `n_block` is the number of half vectors of a profile. Differences of sums in range fit in int16.
    """

    def codegen(context, builder, signature, args):
        shorts, (rows, step, n_block, out) = _Shorts(builder, spec), args[1:]
        n = shorts.lanes // 2
        total = cgutils.alloca_once_value(builder, shorts.splat(0))
        beyond = cgutils.alloca_once_value(builder, shorts.splat(0))
        adding = _Rows(builder, spec)
        shorts.store(shorts.splat(0), out)
        with cgutils.for_range(builder, n_block) as loop:
            here = builder.add(rows, builder.mul(loop.index, _number(2 * n)))
            there = builder.add(out, builder.mul(loop.index, _number(n * shorts.bytes)))
            places = [builder.add(here, builder.mul(step, _number(i))) for i in range(2 * n)]
            lines = [shorts.load_two(*each)
                     for each in zip(places[:n], places[n:], strict=True)]
            sums, signs = builder.load(total), builder.load(beyond)
            for i, line in enumerate(_transposed(shorts.shuffle, lines, shorts.lanes), 1):
                sums = adding.add(sums, line)
                signs = builder.or_(signs, builder.add(sums, shorts.splat(2**14)))
                shorts.store(sums, there, i * shorts.bytes)
            builder.store(sums, total)
            builder.store(signs, beyond)
        negative = builder.icmp_signed("<", builder.load(beyond), shorts.splat(0))
        bits = builder.bitcast(negative, ir.IntType(shorts.lanes))
        return builder.icmp_unsigned("==", bits, ir.Constant(bits.type, 0))

    return types.boolean(spec, _i, _i, _i, _i), codegen


@intrinsic
def add_shorts(typingctx, spec, a, b, out):
    """Write the sum of two vectors of running sums of int16."""

    def codegen(context, builder, signature, args):
        shorts = _Shorts(builder, spec)
        shorts.store(builder.add(shorts.load(args[1]), shorts.load(args[2])), args[3])
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i), codegen


def _maxima(builder: Any, numbers: Any, n: Any, of: Any, count: int) -> list[Any]:
    """Return the largest values over all phases, for each width.

    `of` computes the values at some phases for each width, from the number of the step; `n` is the
    number of steps.
    """
    kept = [cgutils.alloca_once_value(builder, numbers.least) for _ in range(count)]
    with cgutils.for_range(builder, n) as loop:
        for place, values in zip(kept, of(loop.index), strict=True):
            best = builder.load(place)
            for value in values:
                best = numbers.larger(value, best)
            builder.store(best, place)
    return [builder.load(place) for place in kept]


def _largest_boxcars(builder: Any, numbers: Any, sums: Any, n: Any, widths: tuple[int, ...]
                     ) -> list[Any]:
    """Return the largest sum of the boxcars of each width, of running sums."""
    found = []
    # Phases beyond the end are those of the beginning again.
    n_step = builder.udiv(builder.add(n, _number(PHASES - 1)), _number(PHASES))
    for first in range(0, len(widths), _AT_ONCE):
        some = widths[first : first + _AT_ONCE]

        def of(index: Any, some: tuple[int, ...] = some) -> list[list[Any]]:
            here = builder.add(sums, builder.mul(index, _number(numbers.bytes * PHASES)))
            places = {phase + width for phase in range(PHASES) for width in (0, *some)}
            at = {place: numbers.load(here, numbers.bytes * place) for place in sorted(places)}
            return [[numbers.difference(at[phase + width], at[phase]) for phase in range(PHASES)]
                    for width in some]

        found += _maxima(builder, numbers, n_step, of, len(some))
    return found


def _write_best(emit: Emitter, values: list[Vector], out: Any, numbers: Any) -> None:
    """Write the largest value in each lane, and its number, as a float, to another address."""
    best, number = values[0], emit.splat(0.0)
    for k, value in enumerate(values[1:], 1):
        larger = emit.builder.fcmp_ordered(">", value.value, best.value)
        best = emit.select(larger, value, best)
        number = emit.select(larger, emit.splat(float(k)), number)
    emit.store(best, out)
    emit.store(number, numbers)


def _with_gains(emit: Emitter, largest: list[Vector], whole: Vector, gains: Any) -> list[Vector]:
    """Return the S/N of the largest boxcar of each width."""
    return [each * emit.load_scalar(gains, 8 * k) - whole * emit.load_scalar(gains, 8 * k + 4)
            for k, each in enumerate(largest)]


@intrinsic
def best_boxcars(typingctx, spec, sums, n, gains, out):
    """Write the S/N of the best boxcar of profiles without gaps, and the number of its width.

    `gains` is the address of two float32 for each width: factors of the boxcar and of the profile.
    """

    def codegen(context, builder, signature, args):
        sums, n, gains, out = args[1:]
        emit = Emitter(builder, spec.items["lanes"], balanced=True)
        size = 4 * emit.lanes
        whole = emit.load(builder.add(sums, builder.mul(n, _number(size))))
        found = _largest_boxcars(builder, _Floats(emit), sums, n, spec.items["widths"])
        _write_best(emit, _with_gains(emit, [Vector(emit, each) for each in found], whole, gains),
                    out, builder.add(out, _number(size)))
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i), codegen


@intrinsic
def best_short_boxcars(typingctx, spec, sums, n, gains, out):
    """Write the same of running sums of int16."""

    def codegen(context, builder, signature, args):
        sums, n, gains, out = args[1:]
        emit, shorts = Emitter(builder, spec.items["lanes"]), _Shorts(builder, spec)
        size = 4 * emit.lanes
        whole = shorts.load(builder.add(sums, builder.mul(n, _number(shorts.bytes))))
        found = _largest_boxcars(builder, shorts, sums, n, spec.items["widths"])
        parts = zip(*(shorts.halves(each, emit) for each in (whole, *found)), strict=True)
        for k, (total, *largest) in enumerate(parts):
            _write_best(emit, _with_gains(emit, largest, total, gains),
                        builder.add(out, _number(k * size)),
                        builder.add(out, _number((2 + k) * size)))
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
                return [[emit.select(good, square, emit.splat(-3e38)).value]]

            values += [Vector(emit, each) for each in _maxima(builder, _Floats(emit), n, of, 1)]
        _write_best(emit, [each / weight for each in values], out,
                    builder.add(out, _number(4 * lanes)))
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, types.float32, _i, _i), codegen
