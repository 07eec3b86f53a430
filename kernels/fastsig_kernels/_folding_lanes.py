"""Vector instructions of folding where columns have phases of their own, see `_folding_shifts`.

A spec has the items kind (the type of samples), sums ("short", "int" or "double", of 16, 32 or 64
bits) and weights ("none", "row" or "sample").
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._fdmt_reading import SAMPLES, put, vector
from ._folding_loops import _DOUBLE, _FLOAT, _I32, _I64, _splat
from ._passes import _prefetch

#: Columns of a group.
WIDTH = 64
_I1, _I16 = ir.IntType(1), ir.IntType(16)
_SUMS = {"short": _I16, "int": _I32, "double": _DOUBLE}
_i = types.int64


def _parts(items: dict[str, Any]) -> range:
    """Return the first columns of the vectors of a group; short ones are compiled much faster."""
    return range(0, WIDTH, 16 if items["sums"] == "double" else WIDTH)


def _value(builder: Any, items: dict[str, Any], address: Any, first: int) -> Any:
    """Load a vector of samples, from a column on, as the type of sums."""
    element, signed = SAMPLES[items["kind"]]
    n, size = _parts(items).step, 4 if element == _FLOAT else element.width // 8
    x = vector(builder, address, ir.VectorType(element, n), size * first)
    kind = ir.VectorType(_SUMS[items["sums"]], n)
    if element == _FLOAT:
        return builder.fpext(x, kind)
    if items["sums"] == "double":
        return (builder.sitofp if signed else builder.uitofp)(x, kind)
    return (builder.sext if signed else builder.zext)(x, kind)


def _below(builder: Any, items: dict[str, Any], ranks: Any, limit: Any, first: int) -> Any:
    """Return in which columns, from `first` on, the rank is below a limit."""
    n = _parts(items).step
    given = vector(builder, ranks, ir.VectorType(_I16, n), 2 * first)
    return builder.icmp_unsigned("<", given, _splat(builder, limit, n))


def _count(builder: Any, chosen: Any) -> Any:
    """Return how many lanes are true."""
    bits = builder.bitcast(chosen, ir.IntType(chosen.type.count))
    wide = bits if bits.type == _I64 else builder.zext(bits, _I64)
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_I64, [_I64]), "llvm.ctpop.i64")
    return builder.call(function, [wide])


def _add_where(builder: Any, chosen: Any, x: Any, address: Any, first: int) -> None:
    """Add to the sums of some columns, from `first` on."""
    is_float = x.type.element == _DOUBLE
    offset = first * (8 if is_float else x.type.element.width // 8)
    total = vector(builder, address, x.type, offset)
    more = (builder.fadd if is_float else builder.add)(total, x)
    put(builder, builder.select(chosen, more, total), address, offset)


@intrinsic
def add_row(typingctx, spec, low, high, source, ranks, limit):
    """Add a row to sums at `low` where the ranks are below `limit`, elsewhere to those at `high`.

    Returns how many of the ranks are below it.
    """

    def codegen(context, builder, signature, args):
        low, high, source, ranks, limit = args[1:]
        count = ir.Constant(_I64, 0)
        for first in _parts(spec.items):
            below = _below(builder, spec.items, ranks, limit, first)
            x = _value(builder, spec.items, source, first)
            _add_where(builder, below, x, low, first)
            _add_where(builder, builder.not_(below), x, high, first)
            count = builder.add(count, _count(builder, below))
        return count

    return _i(spec, _i, _i, _i, _i, types.uint16), codegen


@intrinsic
def add_weighted_row(typingctx, spec, low, high, totals, source, weights, ranks, limit):
    """Add a row times its weights, and the weights, in float64, as `add_row` adds a row.

    `weights` is the address of a weight, or of those of all columns. Totals of weights are `totals`
    bytes after the sums. Where the weight is not above 0, nothing is added.
    """

    def codegen(context, builder, signature, args):
        if spec.items["sums"] != "double":  # compiled, but never reached
            return context.get_dummy_value()
        low, high, totals, source, weights, ranks, limit = args[1:]
        for first in _parts(spec.items):
            weight, used = _weight(builder, spec.items, weights, first)
            product = builder.fmul(weight, _value(builder, spec.items, source, first))
            below = _below(builder, spec.items, ranks, limit, first)
            for at, chosen in ((low, below), (high, builder.not_(below))):
                both = builder.and_(chosen, used)
                _add_where(builder, both, product, at, first)
                _add_where(builder, both, weight, builder.add(at, totals), first)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i, _i, _i, types.uint16), codegen


def _weight(builder: Any, items: dict[str, Any], weights: Any, first: int) -> tuple[Any, Any]:
    """Return the weights of columns, as float64, and which of them are above 0."""
    n = _parts(items).step
    if items["weights"] == "row":
        one = builder.load(builder.inttoptr(weights, _FLOAT.as_pointer()))
        given = _splat(builder, one, n)
    else:
        given = vector(builder, weights, ir.VectorType(_FLOAT, n), 4 * first)
    used = builder.fcmp_ordered(">", given, ir.Constant(given.type, None))
    return builder.fpext(given, ir.VectorType(_DOUBLE, n)), used


@intrinsic
def add_short(typingctx, spec, short, sums):
    """Add sums of 16 bits to those of 32 bits, and set them to zero."""

    def codegen(context, builder, signature, args):
        _, signed = SAMPLES[spec.items["kind"]]
        whole = ir.VectorType(_I32, WIDTH)
        value = vector(builder, args[1], ir.VectorType(_I16, WIDTH))
        extended = (builder.sext if signed else builder.zext)(value, whole)
        put(builder, builder.add(vector(builder, args[2], whole), extended), args[2])
        put(builder, ir.Constant(value.type, None), args[1])
        return context.get_dummy_value()

    return types.void(spec, _i, _i), codegen


@intrinsic
def copy_samples(typingctx, spec, source, target):
    """Copy the samples of a row."""

    def codegen(context, builder, signature, args):
        kind = ir.VectorType(SAMPLES[spec.items["kind"]][0], WIDTH)
        put(builder, vector(builder, args[1], kind), args[2])
        return context.get_dummy_value()

    return types.void(spec, _i, _i), codegen


@intrinsic
def copy_sample(typingctx, spec, source, target):
    """Copy one sample."""

    def codegen(context, builder, signature, args):
        kind = ir.VectorType(SAMPLES[spec.items["kind"]][0], 1)
        put(builder, vector(builder, args[1], kind), args[2])
        return context.get_dummy_value()

    return types.void(spec, _i, _i), codegen


@intrinsic
def fetch(typingctx, address):
    """Prefetch a cache line; any address is allowed."""

    def codegen(context, builder, signature, args):
        _prefetch(builder, args[0])
        return context.get_dummy_value()

    return types.void(_i), codegen


@intrinsic
def has_short_sums(typingctx, spec):
    """Whether sums have 16 bits."""

    def codegen(context, builder, signature, args):
        return ir.Constant(_I1, int(spec.items["sums"] == "short"))

    return types.boolean(spec), codegen


@intrinsic
def has_double_sums(typingctx, spec):
    """Whether sums are float64."""

    def codegen(context, builder, signature, args):
        return ir.Constant(_I1, int(spec.items["sums"] == "double"))

    return types.boolean(spec), codegen


@intrinsic
def has_weights(typingctx, spec):
    """Whether samples are multiplied by weights."""

    def codegen(context, builder, signature, args):
        return ir.Constant(_I1, int(spec.items["weights"] != "none"))

    return types.boolean(spec), codegen


@intrinsic
def has_own_weights(typingctx, spec):
    """Whether the samples of a row have weights of their own."""

    def codegen(context, builder, signature, args):
        return ir.Constant(_I1, int(spec.items["weights"] == "sample"))

    return types.boolean(spec), codegen
