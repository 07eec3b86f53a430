"""Unpacking of integers to floats.

Decoding uses vectors (`_simd`): a block with as many 32-bit words as the host has lanes is decoded
to whole vectors of samples. The rest of a row is decoded by a block that ends at the end of the
row, and thus decodes some samples again. Shorter rows, and strided ones, are copied through a block
on the stack. Whole vectors of large results bypass the cache, since memory limits their rate.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from . import _check
from ._bits import check_bits, is_msb, unit_of, values_of
from ._jit import jit_strict, one_form
from ._memory import move
from ._order import STREAMED_BYTES, address
from ._simd import Emitter, Spec, SpecType, Vector, address_of, finish_stores, host_lanes

_I8, _I32, _I64 = (ir.IntType(n) for n in (8, 32, 64))
_i = types.int64


def unpack(
    packed: np.ndarray,
    n_bits: int,
    *,
    order: str = "lsb",
    levels: np.ndarray | None = None,
    offset: float | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the values of samples that are packed with 1 to 16 bits each.

    ``out[i s + j] = levels[code j of unit i]``, or ``code - offset``. A unit is a byte with
    ``s = 8 / n_bits`` samples for 1, 2, 4 and 8 bits, and two bytes with one sample for 16 bits.
    For other numbers of bits it is a word of four bytes, lowest byte first, with
    ``s = floor(32 / n_bits)`` samples from the lowest bit on, and the highest bits left over, as
    in VDIF.

    Parameters
    ----------
    packed : ndarray, shape (n_byte,) or (n_row, n_byte), uint8, dimensionless
        Packed codes, whole units in every row. Any strides; fastest if the bytes of a row are
        contiguous, such as the payloads within frames of equal length.
    n_bits : int
        Bits per sample, 1 to 16.
    order : str
        ``"lsb"`` if a byte's first sample is in its lowest bits, or ``"msb"``, which is allowed
        for 1, 2, 4 and 8 bits.
    levels : ndarray, shape (2**n_bits,), float32, any unit, optional
        Value of each code, for up to 8 bits. By default, codes of 8 and 16 bits are in two's
        complement, and the values of others are the codes themselves, as unsigned integers.
    offset : float, unit of a code, optional
        Offset of codes in offset binary, which is the unsigned code with the value 0; an
        alternative to `levels`. It is converted to float32 and subtracted in float32.
    out : ndarray, shape (n_sample,) or (n_row, n_sample), float32, unit of levels, optional
        Receives the result.

    Returns
    -------
    ndarray, shape (n_sample,) or (n_row, n_sample), float32, unit of levels
        `out`, or a new array.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or has the wrong dtype.
    ValueError
        If a shape, the bits or the order is not allowed, or levels and offset are both given.

    Notes
    -----
    A call allocates nothing when `out` is given. NaN levels propagate, and the GIL is released. If
    samples consist of several numbers and may not cross words, a word has room for more numbers
    than it contains; the caller must discard the values of the unused room.

    References
    ----------
    VDIF Specification, release 1.1.1 (2014), on the data array.
    """
    _check.array("packed", packed, ("uint8",), (1, 2))
    n_bits = check_bits(n_bits)
    msb = is_msb(order, n_bits)
    kind, levels = values_of(n_bits, levels, offset)
    unit, per_unit = unit_of(n_bits)
    if packed.shape[-1] % unit:
        raise ValueError(f"packed: found {packed.shape[-1]} bytes, allowed a multiple of {unit}")
    shape = (*packed.shape[:-1], packed.shape[-1] // unit * per_unit)
    out = _check.output("out", out, shape, "float32", packed, levels)
    rows, target = _as_rows(packed, out)
    whole = _is_whole(rows, target)
    in_vectors = whole and (kind != "levels" or n_bits <= 4)
    spec = _spec(n_bits, msb, kind, in_vectors and target.nbytes >= STREAMED_BYTES)
    decode = blocks_nb if whole else pieces_nb
    decode(
        spec, address(rows), *rows.strides, *rows.shape, address(levels), levels.strides[0],
        np.float32(offset or 0), address(target), *target.strides,
    )
    return out


def _is_whole(rows: np.ndarray, target: np.ndarray) -> bool:
    """Return whether rows are contiguous, and at least as long as a block."""
    return rows.strides[1] == 1 and target.strides[1] == 4 and rows.shape[1] >= 4 * host_lanes()


def _as_rows(packed: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both arrays with two axes, as a single row if memory is contiguous."""
    if packed.flags.c_contiguous and out.flags.c_contiguous:
        return packed.reshape(1, -1), out.reshape(1, -1)
    return (packed, out) if packed.ndim == 2 else (packed[np.newaxis], out[np.newaxis])


@lru_cache(maxsize=128)
def _spec(n_bits: int, msb: bool, values: str, past_cache: bool) -> Spec:
    return Spec(**_items(n_bits, msb, values, past_cache))


def _items(n_bits: int, msb: bool, values: str, past_cache: bool = False) -> dict[str, Any]:
    return {"lanes": host_lanes(), "bits": n_bits, "msb": msb and n_bits != 8, "values": values,
            "past_cache": past_cache}


@jit_strict
def unpack_nb(packed, n_bits, msb, levels, out):
    """Fill `out` as `unpack` does, for one row of 1, 2, 4 or 8 bits; nothing is checked."""
    if n_bits == 8:
        _unpack_row_nb(_levels_spec(8, 0), packed, levels, out)
    elif n_bits == 4:
        if msb:
            _unpack_row_nb(_levels_spec(4, 1), packed, levels, out)
        else:
            _unpack_row_nb(_levels_spec(4, 0), packed, levels, out)
    elif n_bits == 2:
        if msb:
            _unpack_row_nb(_levels_spec(2, 1), packed, levels, out)
        else:
            _unpack_row_nb(_levels_spec(2, 0), packed, levels, out)
    elif msb:
        _unpack_row_nb(_levels_spec(1, 1), packed, levels, out)
    else:
        _unpack_row_nb(_levels_spec(1, 0), packed, levels, out)


@jit_strict
def _unpack_row_nb(spec, packed, levels, out):
    n, step, out_step = packed.size, packed.strides[0], out.strides[0]
    source, table, target = address_of(packed), address_of(levels), address_of(out)
    if step == 1 and out_step == 4 and n >= _constant(spec, "bytes"):
        blocks_nb(spec, source, 0, step, 1, n, table, levels.strides[0], np.float32(0), target, 0,
                  out_step)
    else:
        pieces_nb(spec, source, 0, step, 1, n, table, levels.strides[0], np.float32(0), target, 0,
                  out_step)


@intrinsic(prefer_literal=True)
def _levels_spec(typingctx, n_bits, msb):
    """Return a spec for a table of levels, with literal numbers of bits."""
    if not isinstance(n_bits, types.IntegerLiteral) or not isinstance(msb, types.IntegerLiteral):
        return None
    items = _items(n_bits.literal_value, bool(msb.literal_value), "levels")

    def codegen(context, builder, signature, args):
        return context.get_dummy_value()

    return SpecType(tuple(sorted(items.items())))(n_bits, msb), codegen


@one_form
@jit_strict
def blocks_nb(spec, source, source_row, source_step, n_row, n_byte, levels, levels_step, offset,
              target, target_row, target_step):
    """Decode `n_row` contiguous rows of `n_byte` bytes, one block or more; nothing is checked.

    Memory is specified by address. `_row` is the distance between rows, and `_step` between bytes,
    levels or samples, in bytes. The items of `spec` are lanes, bits, msb, values (levels, signed or
    offset), and past_cache (whether whole vectors bypass the cache). Most vectors do not split
    cache lines.
    """
    table = _stack(spec)
    for i in range(_constant(spec, "n_level")):
        move(32, levels + i * levels_step, table + 4 * i)
    step, grain = _constant(spec, "bytes"), 4 * _constant(spec, "samples")
    for r in range(n_row):
        here, there = source + r * source_row, target + r * target_row
        before, done = there % step, 0  # a vector has as many bytes as a block's words
        if before % (4 * _constant(spec, "unit")) == 0 and n_byte >= 2 * step:
            if before > 0:
                _block(spec, 0, here, table, offset, there)
                done = step - before * step // grain
            place = there + done * grain // step
            for i in range((n_byte - done) // step):
                _block(spec, 1, here + done + i * step, table, offset, place + i * grain)
        else:
            for i in range(n_byte // step):
                _block(spec, 0, here + i * step, table, offset, there + i * grain)
        if (n_byte - done) % step:
            n_sample = n_byte * _constant(spec, "samples") // step
            _block(spec, 0, here + n_byte - step, table, offset, there + 4 * n_sample - grain)
    if _constant(spec, "past_cache"):
        finish_stores(spec)


@one_form
@jit_strict
def pieces_nb(spec, source, source_row, source_step, n_row, n_byte, levels, levels_step, offset,
              target, target_row, target_step):
    """Decode any rows as `blocks_nb` does, by copying their bytes and samples one by one."""
    table = _stack(spec)
    for i in range(_constant(spec, "n_level")):
        move(32, levels + i * levels_step, table + 4 * i)
    step = _constant(spec, "bytes")
    packed = table + _constant(spec, "table")
    samples = packed + step
    for r in range(n_row):
        here, there = source + r * source_row, target + r * target_row
        for done in range(0, n_byte, step):
            n = min(n_byte - done, step)
            for i in range(n):
                move(8, here + (done + i) * source_step, packed + i)
            _block(spec, 0, packed, table, offset, samples)
            n_sample = n * _constant(spec, "samples") // step
            first = done * _constant(spec, "samples") // step
            for i in range(n_sample):
                move(32, samples + 4 * i, there + (first + i) * target_step)


def _sizes(items: dict[str, Any]) -> dict[str, int]:
    """Return bytes and samples of a block, samples of a unit, levels, and bytes of their table."""
    n_level = 2 ** items["bits"] if items["values"] == "levels" else 0
    return {"bytes": 4 * items["lanes"], "samples": items["lanes"] * (32 // items["bits"]),
            "unit": unit_of(items["bits"])[1], "n_level": n_level, "table": 4 * max(16, n_level),
            "past_cache": int(items["past_cache"])}


@intrinsic(prefer_literal=True)
def _constant(typingctx, spec, name):
    """Return one of `_sizes` as a constant."""
    if not isinstance(name, types.StringLiteral):
        return None

    def codegen(context, builder, signature, args):
        return ir.Constant(_I64, _sizes(spec.items)[name.literal_value])

    return _i(spec, name), codegen


@intrinsic
def _stack(typingctx, spec):
    """Return the address of stack memory for the table, a block and its samples."""

    def codegen(context, builder, signature, args):
        sizes = _sizes(spec.items)
        with builder.goto_entry_block():
            place = builder.alloca(_I8, sizes["table"] + sizes["bytes"] + 4 * sizes["samples"])
            place.align = 64
        return builder.ptrtoint(place, _I64)

    return _i(spec), codegen


@intrinsic(prefer_literal=True)
def _block(typingctx, spec, aligned, source, table, offset, target):
    """Decode as many words as there are lanes; `table` has 16 or more float32 values.

    With `aligned`, 0 or 1, `target` is a multiple of a vector's bytes.
    """
    if not isinstance(aligned, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        items = spec.items
        emit = Emitter(builder, items["lanes"])
        source, table, offset, target = args[2:]
        past_cache = aligned.literal_value and items["past_cache"]
        store = emit.store_past_cache if past_cache else emit.store
        if _sizes(items)["n_level"] > 16:
            _look_up_each(emit, items, source, table, target)
        else:
            for v in range(32 // items["bits"]):
                x = _vector(emit, items, source, v, table, offset)
                store(x, target, 4 * emit.lanes * v)
        return context.get_dummy_value()

    return types.void(spec, aligned, _i, _i, types.float32, _i), codegen


def _vector(emit: Emitter, items: dict[str, Any], source: Any, v: int, table: Any,
            offset: Any) -> Vector:
    """Return the samples of vector `v` of a block."""
    n, bits = emit.lanes, items["bits"]
    if bits in (8, 16):
        codes = emit.load_integers(source, v * n * bits // 8, n, bits)
    else:
        codes = _codes(emit, items, source, v)
    if items["values"] == "levels":
        return emit.lookup(table, codes, 2**bits)
    x = emit.to_float(codes, items["values"] == "signed")
    return x - emit.broadcast(offset) if items["values"] == "offset" else x


def _codes(emit: Emitter, items: dict[str, Any], source: Any, v: int) -> Any:
    """Return the codes of vector `v` of a block: in each lane a word, shifted and masked."""
    n, bits = emit.lanes, items["bits"]
    samples = range(v * n, (v + 1) * n)
    words = [s // (32 // bits) for s in samples]
    # The load broadcasts a word that all lanes need. If samples do not fill words, load all words.
    first, count = (0, n) if 32 % bits else (words[0], words[-1] - words[0] + 1)
    data = emit.load_integers(source, 4 * first, count, 32)
    data = emit.builder.shuffle_vector(data, data, _integers([w - first for w in words]))
    code = emit.builder.lshr(data, _integers([_shift(items, s) for s in samples]))
    return emit.builder.and_(code, _integers([2**bits - 1] * n))


def _shift(items: dict[str, Any], sample: int) -> int:
    """Return the position of a sample's lowest bit in its word."""
    bits = items["bits"]
    place = sample % (32 // bits) * bits
    return place // 8 * 8 + 8 - bits - place % 8 if items["msb"] else place


def _integers(values: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(_I32, len(values)), [ir.Constant(_I32, v) for v in values])


def _look_up_each(emit: Emitter, items: dict[str, Any], source: Any, table: Any,
                  target: Any) -> None:
    """Decode the samples of a block one by one, with a table too large for registers."""
    builder, bits = emit.builder, items["bits"]
    start = emit.pointer(table, _I32)
    for s in range(_sizes(items)["samples"]):
        if bits == 8:
            code = builder.load(emit.pointer(source, _I8, s), align=1)
        else:
            word = builder.load(emit.pointer(source, _I32, s // (32 // bits) * 4), align=1)
            code = builder.lshr(word, ir.Constant(_I32, _shift(items, s)))
            code = builder.and_(code, ir.Constant(_I32, 2**bits - 1))
        level = builder.load(builder.gep(start, [builder.zext(code, _I64)]), align=4)
        builder.store(level, emit.pointer(target, _I32, 4 * s), align=4)
