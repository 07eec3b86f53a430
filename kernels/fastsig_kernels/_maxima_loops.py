"""Loops over whole vectors for running maxima of boxcars; see `maxima`.

Memory is specified by address (int64), and nothing is checked here.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._fdmt_reading import put, vector

__all__ = ["COLUMNS", "raise_lines", "raise_weighted_lines", "sum_track_lines"]

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


def _raise(builder: Any, best: Any, part: int, value: Any) -> None:
    """Raise the maxima of a vector of columns; NaN is left out."""
    old = vector(builder, best, _VECTOR, _STEP * part)
    put(builder, builder.select(builder.fcmp_ordered(">", value, old), value, old), best,
        _STEP * part)


@intrinsic
def sum_track_lines(typingctx, rows, n_row, offset, out):
    """Sum rows for some columns: `rows` is a table of addresses, `offset` is in bytes."""

    def codegen(context, builder, signature, args):
        rows, n_row, offset, out = args
        places = _zeros(builder)
        with cgutils.for_range(builder, n_row) as loop:
            at = builder.add(_item(builder, rows, loop.index, _I64), offset)
            _add(builder, places, at)
        for part, place in zip(_PARTS, places, strict=True):
            put(builder, builder.load(place), out, _STEP * part)
        return context.get_dummy_value()

    return types.void(_i, _i, _i, _i), codegen


@intrinsic
def raise_lines(typingctx, sums, scale, n_step, best):
    """Raise maxima to boxcars of 1 to `n_step` columns, each times an item of `scale`."""

    def codegen(context, builder, signature, args):
        sums, scale, n_step, best = args
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
        for part, place in zip(_PARTS, highest, strict=True):
            put(builder, builder.load(place), best, _STEP * part)
        return context.get_dummy_value()

    return types.void(_i, _i, _i, _i), codegen


@intrinsic
def raise_weighted_lines(typingctx, sums, weights, scale, least, n_step, best):
    """Do as `raise_lines`, with sums over roots of weights that are not below items of `least`."""

    def codegen(context, builder, signature, args):
        sums, weights, scale, least, n_step, best = args
        root = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), "llvm.sqrt.v16f32")
        places, counts = _zeros(builder), _zeros(builder)
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
                    _raise(builder, best, part, builder.select(enough, value, none))
        return context.get_dummy_value()

    return types.void(_i, _i, _i, _i, _i, _i), codegen
