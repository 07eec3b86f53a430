"""Conversion of samples in memory to float32 lanes, the first instructions of the filter.

A *number* is a real sample, or the real or imaginary part of a complex one. A source is
described by a few items of the filter's `spec`, see `SOURCE_ITEMS`. The code for it is
generated where the filter loads its samples, so the conversion needs no separate pass.
"""

from typing import Any

from llvmlite import ir

from ._simd import Emitter, Vector

#: Items of a spec that describe a source: ``kind`` is int8, uint8 (offset binary), int16,
#: float32 or packed; ``bits`` is the bits of a number; ``pair`` is 2 if real and imaginary parts
#: alternate, else 1; ``step`` is 2 if two polarisations alternate sample by sample, else 1;
#: ``msb_first`` is whether the first packed number is in a byte's high bits.
SOURCE_ITEMS = ("kind", "bits", "pair", "step", "msb_first")

_I32 = ir.IntType(32)
_I64 = ir.IntType(64)


def load_numbers(emit: Emitter, items: dict[str, Any], address: Any, half: int,
                 levels: Any, phase: Any) -> Vector:
    """Load the first or second `lanes` of ``2 lanes`` consecutive numbers of a stream.

    `levels` is the address of 16 float32, the values of packed numbers. If two polarisations
    alternate, `phase` is the index of this one, and `address` is the address of the first.
    """
    if items["kind"] == "packed":
        return _packed(emit, items, address, half, levels)
    n, step, bits = emit.lanes, items["step"], items["bits"]
    first = half * n * step * bits // 8
    if step > 1:
        values = _one_of_two(emit, items, address, first, phase)
    elif items["kind"] == "float32":
        return emit.load(address, first)
    else:
        values = emit.load_integers(address, first, n, bits)
    if items["kind"] == "float32":
        return Vector(emit, emit.builder.bitcast(values, emit.type))
    if items["kind"] == "uint8":
        middle = ir.Constant(values.type, [ir.Constant(values.type.element, -128)] * n)
        values = emit.builder.xor(values, middle)
    return emit.to_float(values)


def load_alternate(emit: Emitter, items: dict[str, Any], address: Any, half: int) -> list[Vector]:
    """Do as `load_numbers` for both of two polarisations that alternate, loading them once."""
    if items["kind"] not in ("int8", "int16") or items["pair"] == 2:
        return [load_numbers(emit, items, address, half, None, ir.Constant(_I64, pol))
                for pol in range(2)]
    n, bits = emit.lanes, items["bits"]
    both = emit.load_integers(address, half * n * 2 * bits // 8, n, 2 * bits)
    count = ir.Constant(both.type, [ir.Constant(both.type.element, bits)] * n)
    # Shifts of signed integers move a polarisation to the low bits and extend its sign.
    return [emit.to_float(emit.builder.ashr(each, count))
            for each in (emit.builder.shl(both, count), both)]


def _one_of_two(emit: Emitter, items: dict[str, Any], address: Any, first: int,
                phase: Any) -> Any:
    """Load the numbers of one of two interleaved streams: load wide integers, then shift."""
    builder, n = emit.builder, emit.lanes
    width = items["bits"] * items["pair"]
    count = n // items["pair"]
    wide = ir.VectorType(ir.IntType(2 * width), count)
    values = builder.load(emit.pointer(address, wide, first), align=1)
    shift = builder.mul(phase, ir.Constant(phase.type, width))
    shift = builder.trunc(shift, wide.element) if 2 * width < 64 else shift
    lane = builder.insert_element(ir.Constant(wide, ir.Undefined), shift, ir.Constant(_I32, 0))
    shifts = builder.shuffle_vector(lane, lane, _mask([0] * count))
    values = builder.trunc(builder.lshr(values, shifts), ir.VectorType(ir.IntType(width), count))
    return builder.bitcast(values, ir.VectorType(ir.IntType(items["bits"]), n))


def _mask(positions: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(_I32, len(positions)),
                       [ir.Constant(_I32, p) for p in positions])


def _packed(emit: Emitter, items: dict[str, Any], address: Any, half: int,
            levels: Any) -> Vector:
    n, bits = emit.lanes, items["bits"]
    data = emit.load_integers(address, 0, 2 * n * bits // 8, 8)
    # Each lane receives the byte that contains its number, shifts it down and masks it.
    starts = [(half * n + lane) * bits for lane in range(n)]
    picked = emit.builder.shuffle_vector(data, data, _mask([start // 8 for start in starts]))
    shifts = [start % 8 for start in starts]
    if items["msb_first"]:
        shifts = [8 - bits - shift for shift in shifts]
    wide = emit.builder.zext(picked, ir.VectorType(_I32, n))
    code = emit.builder.and_(emit.builder.lshr(wide, _mask(shifts)), _mask([2**bits - 1] * n))
    return emit.lookup(levels, code, 2**bits)
