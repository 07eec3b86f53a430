"""Loops that read spectra for the fast dispersion measure transform: to rows of sums in memory.

Memory is specified by address (int64), and nothing is checked here. Rows have room for a cache line
after them.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._codelets import transpose
from ._fdmt_steps import GROUP, WIDE
from ._jit import jit_strict_inner
from ._passes import _prefetch
from ._simd import Emitter, Vector, address_of

#: Bytes in which functions below put samples together that do not fill a square of them.
SPARE = max(GROUP * WIDE, 4 * GROUP * GROUP)

_I8, _I16, _I32, _I64 = (ir.IntType(n) for n in (8, 16, 32, 64))
_FLOAT = ir.FloatType()
_i = types.int64
#: LLVM types of the samples: their element, and whether they are signed.
SAMPLES = {"uint8": (_I8, False), "int8": (_I8, True), "uint16": (_I16, False),
            "int16": (_I16, True), "float32": (_FLOAT, True)}


def vector(builder: Any, address: Any, kind: Any, offset: int = 0) -> Any:
    """Load a vector of any alignment."""
    at = builder.add(address, ir.Constant(_I64, offset)) if offset else address
    return builder.load(builder.inttoptr(at, kind.as_pointer()), align=1)


def put(builder: Any, value: Any, address: Any, offset: int = 0) -> None:
    at = builder.add(address, ir.Constant(_I64, offset)) if offset else address
    builder.store(value, builder.inttoptr(at, value.type.as_pointer()), align=1)


def _sums(builder: Any, items: dict[str, Any], x: Any) -> Any:
    """Convert samples to int8 or int16, without the offset of unsigned ones, or to float32."""
    element, signed = SAMPLES[items["kind"]]
    n = x.type.count
    if items["item"] < 4:
        if not signed:
            x = builder.xor(x, ir.Constant(x.type, [ir.Constant(_I8, 128)] * n))
        return builder.sext(x, ir.VectorType(_I16, n)) if items["item"] == 2 else x
    if element == _FLOAT:
        return x
    convert = builder.sitofp if signed else builder.uitofp
    return convert(x, ir.VectorType(_FLOAT, n))


@intrinsic
def _take_square(typingctx, spec, source, step, targets, offset):
    """Transpose 16 samples of 16 channels each, `step` bytes apart in time, to rows of sums.

    `targets` is the address of a table of the rows' addresses, to which `offset` bytes are added.
    Items of `spec`: kind, item.
    """

    def codegen(context, builder, signature, args):
        items = spec.items
        source, step, targets, offset = args[1:]
        kind = ir.VectorType(SAMPLES[items["kind"]][0], GROUP)
        rows = []
        for t in range(GROUP):
            at = builder.add(source, builder.mul(step, ir.Constant(_I64, t)))
            rows.append(vector(builder, at, kind))
            _prefetch(builder, builder.add(at, builder.mul(step, ir.Constant(_I64, 2 * GROUP))))
        if items["item"] < 4:
            columns = [_sums(builder, items, x) for x in _transposed_bytes(builder, rows)]
        else:
            emit = Emitter(builder, GROUP)
            numbers = [Vector(emit, _sums(builder, items, x)) for x in rows]
            columns = [x.value for x in transpose(emit, numbers)]
        for c, column in enumerate(columns):
            row = vector(builder, targets, _I64, 8 * c)
            put(builder, column, builder.add(row, offset))
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i), codegen


@intrinsic
def _take_lines(typingctx, spec, source, step, targets, offset):
    """Transpose 16 samples of 64 channels of 8 bits each, as `_take_square` does those of 16."""

    def codegen(context, builder, signature, args):
        source, step, targets, offset = args[1:]
        rows = []
        for t in range(GROUP):
            at = builder.add(source, builder.mul(step, ir.Constant(_I64, t)))
            rows.append(vector(builder, at, ir.VectorType(_I8, WIDE)))
            _prefetch(builder, builder.add(at, builder.mul(step, ir.Constant(_I64, 2 * GROUP))))
        for c, column in enumerate(_transposed_bytes(builder, rows)):
            for part in range(WIDE // GROUP):
                mask = ir.Constant(ir.VectorType(_I32, GROUP), [
                    ir.Constant(_I32, GROUP * part + i) for i in range(GROUP)])
                x = _sums(builder, spec.items, builder.shuffle_vector(column, column, mask))
                row = vector(builder, targets, _I64, 8 * (GROUP * part + c))
                put(builder, x, builder.add(row, offset))
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i), codegen


def _transposed_bytes(builder: Any, rows: list[Any]) -> list[Any]:
    """Transpose 16 vectors of bytes: four rounds that interleave halves of the list.

    Each 16 bytes of a vector are a square of their own.
    """
    n = rows[0].type.count

    def pick(a: Any, b: Any, first: int) -> Any:
        lanes = [base + first + i // 2 + (i % 2) * n
                 for base in range(0, n, GROUP) for i in range(GROUP)]
        mask = ir.Constant(ir.VectorType(_I32, n), [ir.Constant(_I32, m) for m in lanes])
        return builder.shuffle_vector(a, b, mask)

    for _ in range(4):
        pairs = zip(rows[: GROUP // 2], rows[GROUP // 2 :], strict=True)
        rows = [pick(a, b, first) for a, b in pairs for first in (0, GROUP // 2)]
    return rows


@intrinsic
def _take_row(typingctx, spec, source, target):
    """Convert 16 neighbouring samples to sums."""

    def codegen(context, builder, signature, args):
        kind = ir.VectorType(SAMPLES[spec.items["kind"]][0], GROUP)
        put(builder, _sums(builder, spec.items, vector(builder, args[1], kind)), args[2])
        return context.get_dummy_value()

    return types.void(spec, _i, _i), codegen


@intrinsic
def bytes_of(typingctx, spec):
    """Return the size of a sample."""
    element = SAMPLES[spec.items["kind"]][0]
    size = 4 if element == _FLOAT else element.width // 8

    def codegen(context, builder, signature, args):
        return ir.Constant(_I64, size)

    return _i(spec), codegen


@intrinsic
def item_of(typingctx, spec):
    """Return the size of a sample as it is read, or of a sum below the cut."""

    def codegen(context, builder, signature, args):
        return ir.Constant(_I64, spec.items["item"])

    return _i(spec), codegen


@intrinsic
def above_item_of(typingctx, spec):
    """Return the size of a sum above the cut."""

    def codegen(context, builder, signature, args):
        return ir.Constant(_I64, spec.items["above_item"])

    return _i(spec), codegen


@intrinsic
def copy_line(typingctx, source, target):
    """Copy 64 bytes."""

    def codegen(context, builder, signature, args):
        put(builder, vector(builder, args[0], ir.VectorType(_I64, 8)), args[1])
        return context.get_dummy_value()

    return types.void(_i, _i), codegen


@intrinsic(prefer_literal=True)
def copy_item(typingctx, size, source, target):
    """Copy `size` bytes, at most 8."""
    if not isinstance(size, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        kind = ir.IntType(8 * size.literal_value)
        put(builder, vector(builder, args[1], kind), args[2])
        return context.get_dummy_value()

    return types.void(size, _i, _i), codegen


@jit_strict_inner
def read_times_nb(spec, source, time_step, n_chan, n, targets, move, spare):
    """Read 16 channels of `n` samples; neighbouring channels are neighbours in memory.

    Rows are `move` bytes after the places in `targets`, and `spare` is memory of `SPARE` bytes; the
    same applies to the functions below.
    """
    size, item, local = bytes_of(spec), item_of(spec), address_of(spare)
    whole = n if n_chan >= GROUP else 0
    t = 0
    while t + GROUP <= whole:
        _take_square(spec, source + t * time_step, time_step, targets, move + t * item)
        t += GROUP
    while t < n:
        # Copy what there is: samples beyond the last one belong to nobody.
        for i in range(min(GROUP, n - t)):
            at = source + (t + i) * time_step
            for c in range(min(GROUP, n_chan) * size):
                copy_item(1, at + c, local + i * GROUP * size + c)
        _take_square(spec, local, GROUP * size, targets, move + t * item)
        t += GROUP


@jit_strict_inner
def read_wide_nb(spec, source, time_step, n, targets, move, spare):
    """Read 64 channels of `n` samples of 8 bits: whole cache lines if they begin on one."""
    item, local = item_of(spec), address_of(spare)
    t = 0
    while t + GROUP <= n:
        _take_lines(spec, source + t * time_step, time_step, targets, move + t * item)
        t += GROUP
    if t < n:
        for i in range(n - t):
            copy_line(source + (t + i) * time_step, local + i * WIDE)
        _take_lines(spec, local, WIDE, targets, move + t * item)


@jit_strict_inner
def read_channels_nb(spec, source, chan_step, n_chan, n, targets, move, spare):
    """Read channels of `n` samples; neighbouring samples are neighbours in memory."""
    size, item, local = bytes_of(spec), item_of(spec), address_of(spare)
    for c in range(min(targets.size, n_chan)):
        at, row = source + c * chan_step, targets[c] + move
        t = 0
        while t + GROUP <= n:
            _take_row(spec, at + t * size, row + t * item)
            t += GROUP
        if t < n:
            for i in range((n - t) * size):
                copy_item(1, at + t * size + i, local + i)
            _take_row(spec, local, row + t * item)
