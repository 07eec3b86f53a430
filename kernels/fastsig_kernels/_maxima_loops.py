"""Loops over whole vectors for running maxima of boxcars; see `maxima`.

Memory is specified by address (int64), and nothing is checked here.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._fdmt_reading import put, vector

__all__ = ["COLUMNS", "add_vector", "copy_vector", "has_high", "raise_lines",
           "raise_weighted_lines", "sum_track_lines"]

#: Columns of a call.
COLUMNS = 64
_LANES = 16
_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, _LANES)
_I64 = ir.IntType(64)
_i = types.int64
_PARTS = range(COLUMNS // _LANES)
_STEP = 4 * _LANES  # bytes of a vector


def _zeros(builder: Any) -> list[Any]:
    """Return places for sums of all columns, which are 0; the compiler keeps them in registers."""
    places = [cgutils.alloca_once(builder, _VECTOR) for _ in _PARTS]
    for place in places:
        builder.store(ir.Constant(_VECTOR, None), place)
    return places


def _add(builder: Any, places: list[Any], address: Any) -> list[Any]:
    """Add the values at an address to sums; return the sums."""
    totals = []
    for part, place in zip(_PARTS, places, strict=True):
        x = vector(builder, address, _VECTOR, _STEP * part)
        totals.append(builder.fadd(builder.load(place), x))
        builder.store(totals[-1], place)
    return totals


def _all_lanes(builder: Any, value: Any) -> Any:
    """Return a vector of one value."""
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value,
                                 ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
    return builder.shuffle_vector(one, one, lanes)


def _item(builder: Any, table: Any, index: Any, kind: Any) -> Any:
    """Load an item of a table."""
    size = ir.Constant(_I64, kind.width // 8 if kind == _I64 else 4)
    at = builder.add(table, builder.mul(index, size))
    return builder.load(builder.inttoptr(at, kind.as_pointer()))


def _raise(builder: Any, best: Any, part: int, value: Any, limit: Any) -> None:
    """Raise the maxima of a vector of columns to values above a limit; NaN is left out."""
    old = vector(builder, best, _VECTOR, _STEP * part)
    is_higher = builder.and_(builder.fcmp_ordered(">", value, old),
                             builder.fcmp_ordered(">", value, limit))
    put(builder, builder.select(is_higher, value, old), best, _STEP * part)


def _any(builder: Any, masks: list[Any]) -> Any:
    """Return whether a lane of some comparisons is true, as int64."""
    both = masks[0]
    for mask in masks[1:]:
        both = builder.or_(both, mask)
    bits = builder.bitcast(both, ir.IntType(_LANES))
    return builder.zext(builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0)), _I64)


@intrinsic
def add_vector(typingctx, one, other, out):
    """Add two rows of 16 columns."""

    def codegen(context, builder, signature, args):
        one, other, out = args
        x, y = (vector(builder, each, _VECTOR) for each in (one, other))
        put(builder, builder.fadd(x, y), out)
        return context.get_dummy_value()

    return types.void(_i, _i, _i), codegen


@intrinsic
def copy_vector(typingctx, row, out):
    """Copy 16 columns of a row."""

    def codegen(context, builder, signature, args):
        row, out = args
        put(builder, vector(builder, row, _VECTOR), out)
        return context.get_dummy_value()

    return types.void(_i, _i), codegen


@intrinsic
def has_high(typingctx, sums, pair, single):
    """Whether one of some columns is not below `single`, or with the next not below `pair`."""

    def codegen(context, builder, signature, args):
        sums, pair, single = args
        pair, single = _all_lanes(builder, pair), _all_lanes(builder, single)
        masks = []
        for part in _PARTS:
            x = vector(builder, sums, _VECTOR, _STEP * part)
            after = vector(builder, sums, _VECTOR, _STEP * part + 4)
            masks.append(builder.fcmp_ordered(">=", x, single))
            masks.append(builder.fcmp_ordered(">=", builder.fadd(x, after), pair))
        return _any(builder, masks)

    return types.int64(_i, types.float32, types.float32), codegen


@intrinsic
def sum_track_lines(typingctx, rows, n_row, offset, out, floor):
    """Sum rows for some columns; return whether a sum is not below `floor`.

    `rows` is a table of addresses, and `offset` is in bytes.
    """

    def codegen(context, builder, signature, args):
        rows, n_row, offset, out, floor = args
        places = _zeros(builder)
        with cgutils.for_range(builder, n_row) as loop:
            at = builder.add(_item(builder, rows, loop.index, _I64), offset)
            _add(builder, places, at)
        floor, masks = _all_lanes(builder, floor), []
        for part, place in zip(_PARTS, places, strict=True):
            total = builder.load(place)
            put(builder, total, out, _STEP * part)
            masks.append(builder.fcmp_ordered(">=", total, floor))
        return _any(builder, masks)

    return types.int64(_i, _i, _i, _i, types.float32), codegen


@intrinsic
def raise_lines(typingctx, sums, scale, n_step, best, limit):
    """Raise maxima to boxcars of 1 to `n_step` columns, each times an item of `scale`.

    Those that are not above `limit` are left out.
    """

    def codegen(context, builder, signature, args):
        sums, scale, n_step, best, limit = args
        places, highest = _zeros(builder), _zeros(builder)
        for part, place in zip(_PARTS, highest, strict=True):
            builder.store(vector(builder, best, _VECTOR, _STEP * part), place)
        with cgutils.for_range(builder, n_step) as loop:
            factor = _all_lanes(builder, _item(builder, scale, loop.index, _FLOAT))
            at = builder.add(sums, builder.mul(loop.index, ir.Constant(_I64, 4)))
            for place, total in zip(highest, _add(builder, places, at), strict=True):
                value, old = builder.fmul(total, factor), builder.load(place)
                builder.store(builder.select(builder.fcmp_ordered(">", value, old), value, old),
                              place)
        limit = _all_lanes(builder, limit)
        for part, place in zip(_PARTS, highest, strict=True):
            _raise(builder, best, part, builder.load(place), limit)
        return context.get_dummy_value()

    return types.void(_i, _i, _i, _i, types.float32), codegen


@intrinsic
def raise_weighted_lines(typingctx, sums, weights, scale, least, n_step, best, limit):
    """Do as `raise_lines`, with sums over roots of weights that are not below items of `least`."""

    def codegen(context, builder, signature, args):
        sums, weights, scale, least, n_step, best, limit = args
        root = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), "llvm.sqrt.v16f32")
        places, counts = _zeros(builder), _zeros(builder)
        limit = _all_lanes(builder, limit)
        with cgutils.for_range(builder, n_step) as loop:
            moved = builder.mul(loop.index, ir.Constant(_I64, 4))
            totals = _add(builder, places, builder.add(sums, moved))
            valid = _add(builder, counts, builder.add(weights, moved))
            factor = _item(builder, scale, loop.index, _FLOAT)
            with builder.if_then(builder.fcmp_ordered("!=", factor, ir.Constant(_FLOAT, 0))):
                factor = _all_lanes(builder, factor)
                low = _all_lanes(builder, _item(builder, least, loop.index, _FLOAT))
                for part in _PARTS:
                    value = builder.fdiv(builder.fmul(totals[part], factor),
                                         builder.call(root, [valid[part]]))
                    enough = builder.fcmp_ordered(">=", valid[part], low)
                    none = ir.Constant(_VECTOR, [float("-inf")] * _LANES)
                    _raise(builder, best, part, builder.select(enough, value, none), limit)
        return context.get_dummy_value()

    return types.void(_i, _i, _i, _i, _i, _i, types.float32), codegen
