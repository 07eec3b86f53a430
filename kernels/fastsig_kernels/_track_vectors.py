"""Vector code of sums along tracks, of 16 bits and of float32; see `_track_shorts`.

Memory is specified by address (int64), and nothing is checked here.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._fdmt_reading import put, vector
from ._maxima_loops import COLUMNS, _add, _all_lanes, _item, _zeros
from ._passes import _prefetch

__all__ = ["HIGHEST", "LANES", "SHORT_LANES", "SUMMED", "add_shorts", "copy_shorts", "lowest_bit",
           "shorts_are_high", "shorts_of", "sum_shorts", "sum_track"]

#: The largest number of 16 bits: larger ones are stored as this one.
HIGHEST = 2**16 - 1
#: Columns whose sums of 16 bits are made at a time.
SUMMED = 256
#: Columns of a vector.
LANES, SHORT_LANES = 16, 32
_I16, _I32, _I64, _FLOAT = ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
_FLOATS, _SHORTS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_I16, SHORT_LANES)
_i = types.int64
_PARTS = range(COLUMNS // SHORT_LANES)
_MANY = range(SUMMED // SHORT_LANES)
_STEP = 2 * SHORT_LANES  # bytes of a vector


def _call(builder: Any, name: str, kind: Any, *args: Any) -> Any:
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [each.type for each in args]), name)
    return builder.call(function, args)


def _plus(builder: Any, one: Any, other: Any) -> Any:
    """Add numbers of 16 bits; sums out of range become the largest number."""
    return _call(builder, f"llvm.uadd.sat.v{SHORT_LANES}i16", _SHORTS, one, other)


def _short_lanes(builder: Any, value: Any) -> Any:
    """Return a vector of one number, int64, in 16 bits."""
    one = builder.insert_element(ir.Constant(_SHORTS, ir.Undefined), builder.trunc(value, _I16),
                                 ir.Constant(_I32, 0))
    lanes = ir.Constant(ir.VectorType(_I32, SHORT_LANES), [0] * SHORT_LANES)
    return builder.shuffle_vector(one, one, lanes)


def _any_short(builder: Any, masks: list[Any]) -> Any:
    """Return whether a lane of some comparisons is true, as int64."""
    both = masks[0]
    for mask in masks[1:]:
        both = builder.or_(both, mask)
    bits = builder.bitcast(both, ir.IntType(SHORT_LANES))
    return builder.zext(builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0)), _I64)


@intrinsic
def shorts_of(typingctx, x, ahead, factor, offset, out):
    """Write 16 values times a factor, plus an offset, rounded down, in 16 bits without a sign.

    Those below 0 and NaN become 0. `factor` and `offset` are float32. Values `ahead` bytes after
    these, which are needed later, are fetched.
    """

    def codegen(context, builder, signature, args):
        x, ahead, factor, offset, out = args
        _prefetch(builder, builder.add(x, ahead))
        low, high = (ir.Constant(_FLOATS, [float(each)] * LANES) for each in (0, HIGHEST))
        # Whether these are fused changes no result: they are compared with a bound only.
        value = builder.fmul(vector(builder, x, _FLOATS), _all_lanes(builder, factor),
                             flags=("contract",))
        value = builder.fadd(value, _all_lanes(builder, offset), flags=("contract",))
        value = builder.select(builder.fcmp_ordered(">", value, low), value, low)
        value = builder.select(builder.fcmp_ordered("<", value, high), value, high)
        whole = builder.fptosi(value, ir.VectorType(_I32, LANES))
        put(builder, builder.trunc(whole, ir.VectorType(_I16, LANES)), out)
        return context.get_dummy_value()

    return types.void(_i, _i, types.float32, types.float32, _i), codegen


@intrinsic
def add_shorts(typingctx, one, other, out):
    """Add two rows of 32 columns, in 16 bits."""

    def codegen(context, builder, signature, args):
        one, other, out = args
        put(builder, _plus(builder, *(vector(builder, each, _SHORTS) for each in (one, other))),
            out)
        return context.get_dummy_value()

    return types.void(_i, _i, _i), codegen


@intrinsic
def copy_shorts(typingctx, row, out):
    """Copy 32 columns of a row, in 16 bits."""

    def codegen(context, builder, signature, args):
        row, out = args
        put(builder, vector(builder, row, _SHORTS), out)
        return context.get_dummy_value()

    return types.void(_i, _i), codegen


@intrinsic
def sum_shorts(typingctx, rows, n_row, offset, out, floor):
    """Sum rows of 256 columns in 16 bits; return which blocks have a sum not below `floor`.

    A bit of the result is one for each 64 columns. `rows` is a table of addresses, and `offset` is
    in bytes.
    """

    def codegen(context, builder, signature, args):
        rows, n_row, offset, out, floor = args
        places = [cgutils.alloca_once(builder, _SHORTS) for _ in _MANY]
        for place in places:
            builder.store(ir.Constant(_SHORTS, None), place)
        with cgutils.for_range(builder, n_row) as loop:
            at = builder.add(_item(builder, rows, loop.index, _I64), offset)
            for part, place in zip(_MANY, places, strict=True):
                x = vector(builder, at, _SHORTS, _STEP * part)
                builder.store(_plus(builder, builder.load(place), x), place)
        floor, masks = _short_lanes(builder, floor), []
        for part, place in zip(_MANY, places, strict=True):
            total = builder.load(place)
            put(builder, total, out, _STEP * part)
            masks.append(builder.icmp_unsigned(">=", total, floor))
        found, n = ir.Constant(_I64, 0), len(_PARTS)
        for block in range(len(masks) // n):
            is_high = _any_short(builder, masks[n * block : n * (block + 1)])
            found = builder.or_(found, builder.shl(is_high, ir.Constant(_I64, block)))
        return found

    return types.int64(_i, _i, _i, _i, _i), codegen


@intrinsic
def lowest_bit(typingctx, bits):
    """Return the number of the lowest bit that is one, from 0 on; there is one."""

    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(_i), codegen


@intrinsic
def shorts_are_high(typingctx, sums, pair, single):
    """Whether a sum is not below `single`, or with the next one not below `pair`."""

    def codegen(context, builder, signature, args):
        sums, pair, single = args
        pair, single = _short_lanes(builder, pair), _short_lanes(builder, single)
        masks = []
        for part in _PARTS:
            x = vector(builder, sums, _SHORTS, _STEP * part)
            after = vector(builder, sums, _SHORTS, _STEP * part + 2)
            masks.append(builder.icmp_unsigned(">=", x, single))
            masks.append(builder.icmp_unsigned(">=", _plus(builder, x, after), pair))
        return _any_short(builder, masks)

    return types.int64(_i, _i, _i), codegen


@intrinsic
def sum_track(typingctx, x, row, track, n_row, out):
    """Sum rows of float32 along a track: two rows are added first, and the last of an odd number.

    The rows from `x` on are `row` bytes apart; `track` is the address of the column in each.
    """

    def codegen(context, builder, signature, args):
        x, row, track, n_row, out = args
        places = _zeros(builder)

        def there(number: Any) -> Any:
            column = builder.mul(_item(builder, track, number, _I64), ir.Constant(_I64, 4))
            return builder.add(builder.add(x, builder.mul(row, number)), column)

        one = ir.Constant(_I64, 1)
        with cgutils.for_range(builder, builder.lshr(n_row, one)) as loop:
            first = builder.shl(loop.index, one)
            places_of = there(first), there(builder.add(first, one))
            for part, place in enumerate(places):
                a, b = (vector(builder, at, _FLOATS, 4 * LANES * part) for at in places_of)
                builder.store(builder.fadd(builder.load(place), builder.fadd(a, b)), place)
        is_odd = builder.icmp_unsigned("!=", builder.and_(n_row, one), ir.Constant(_I64, 0))
        with builder.if_then(is_odd):
            _add(builder, places, there(builder.sub(n_row, one)))
        for part, place in enumerate(places):
            put(builder, builder.load(place), out, 4 * LANES * part)
        return context.get_dummy_value()

    return types.void(_i, _i, _i, _i, _i), codegen
