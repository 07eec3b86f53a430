"""Access to bytes of arrays at computed positions, for kernels that read and write byte formats.

When compiled, each function is one or a few instructions, and nothing is checked. When called
from Python, as in the ``py_func`` of a kernel, each refuses positions outside of its array, so
that a test can show that a kernel stays within its arrays for any input.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic, overload

from ._jit import jit_strict_inner
from ._order import LINE
from ._simd import Emitter, address_of

_I1, _I8, _I32, _I64 = (ir.IntType(n) for n in (1, 8, 32, 64))
_i = types.int64


def get8(a, i):
    """Return byte `i`."""
    return _get(a, i, 1)


def get16(a, i):
    """Return two bytes from `i` on, lowest byte first, as a number."""
    return _get(a, i, 2)


def get32(a, i):
    """Return four bytes from `i` on, lowest byte first, as a number."""
    return _get(a, i, 4)


def get64(a, i):
    """Return eight bytes from `i` on, lowest byte first, as a signed number."""
    value = _get(a, i, 8)
    return value - 2**64 if value >= 2**63 else value


def put8(a, i, value):
    """Set byte `i`."""
    _within(a, i, 1)
    a[i] = value


def put16(a, i, value):
    """Set two bytes from `i` on, lowest byte first."""
    _within(a, i, 2)
    a[i], a[i + 1] = value & 255, value >> 8


def copy(source, i, target, j, n):
    """Copy `n` bytes that do not overlap."""
    _within(source, i, n)
    _within(target, j, n)
    target[j : j + n] = source[i : i + n].copy()


def copy_past_cache(source, i, target, j, n):
    """Copy `n` bytes that do not overlap to memory that is neither in the cache nor needed there.

    At addresses that are multiples of 64, memory is not read before it is written. `finish_copies`
    makes the bytes visible to others.
    """
    copy(source, i, target, j, n)


def finish_copies():
    """Let others see all that is written before this call, before they see what is written after.

    In Python, this does nothing.
    """


def copy16(source, i, target, j):
    """Copy 16 bytes, all read before the first is written."""
    copy(source, i, target, j, 16)


def copy32(source, i, target, j):
    """Copy 32 bytes, all read before the first is written."""
    copy(source, i, target, j, 32)


def trailing_zeros(value):
    """Return the number of zero bits below the lowest set bit, for a number other than 0."""
    return (value & -value).bit_length() - 1


def _within(a: Any, i: int, n: int) -> None:
    if i < 0 or n < 0 or i + n > a.size:
        raise IndexError(f"bytes {i} to {i + n} of {a.size}")


def _get(a: Any, i: int, n: int) -> int:
    _within(a, i, n)
    return int.from_bytes(a[i : i + n].tobytes(), "little")


@intrinsic(prefer_literal=True)
def _load(typingctx, bits, address):
    """Load an unsigned integer from an address of any alignment."""
    if not isinstance(bits, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        kind = ir.IntType(bits.literal_value)
        value = builder.load(builder.inttoptr(args[1], kind.as_pointer()), align=1)
        return value if kind == _I64 else builder.zext(value, _I64)

    return _i(bits, _i), codegen


@intrinsic(prefer_literal=True)
def _store(typingctx, bits, address, value):
    """Write the lowest bits of a value to an address."""
    if not isinstance(bits, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        kind = ir.IntType(bits.literal_value)
        builder.store(builder.trunc(args[2], kind), builder.inttoptr(args[1], kind.as_pointer()),
                      align=1)
        return context.get_dummy_value()

    return types.void(bits, _i, _i), codegen


@intrinsic(prefer_literal=True)
def _move(typingctx, n, source, target):
    """Copy a constant number of bytes, all read before the first is written."""
    if not isinstance(n, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        kind = ir.VectorType(_I8, n.literal_value).as_pointer()
        value = builder.load(builder.inttoptr(args[1], kind), align=1)
        builder.store(value, builder.inttoptr(args[2], kind), align=1)
        return context.get_dummy_value()

    return types.void(n, _i, _i), codegen


@intrinsic
def _copy(typingctx, source, target, n):
    """Copy bytes that do not overlap."""

    def codegen(context, builder, signature, args):
        source, target = (builder.inttoptr(arg, _I8.as_pointer()) for arg in args[:2])
        cgutils.raw_memcpy(builder, target, source, args[2], 1)
        return context.get_dummy_value()

    return types.void(_i, _i, _i), codegen


@intrinsic
def _copy_line(typingctx, source, target):
    """Copy a line of the cache to an aligned address, past the cache."""

    def codegen(context, builder, signature, args):
        kind = ir.VectorType(_I8, LINE).as_pointer()
        value = builder.load(builder.inttoptr(args[0], kind), align=1)
        store = builder.store(value, builder.inttoptr(args[1], kind), align=LINE)
        store.set_metadata("nontemporal", builder.module.add_metadata([_I32(1)]))
        return context.get_dummy_value()

    return types.void(_i, _i), codegen


@intrinsic
def _finish(typingctx):
    """Order all writes before those that follow, also those that bypassed the cache."""

    def codegen(context, builder, signature, args):
        Emitter(builder, 1).finish_stores()
        builder.fence("acq_rel")
        return context.get_dummy_value()

    return types.void(), codegen


@jit_strict_inner
def _copy_lines(source, target, n):
    if n % LINE != 0 or target % LINE != 0:
        _copy(source, target, n)
        return
    for k in range(0, n, LINE):
        _copy_line(source + k, target + k)


@intrinsic
def _count_zeros(typingctx, value):
    """Count the trailing zeros."""

    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(_I1, 1))

    return _i(_i), codegen


@overload(get8)
def _get8(a, i):
    return lambda a, i: _load(8, address_of(a) + i)


@overload(get16)
def _get16(a, i):
    return lambda a, i: _load(16, address_of(a) + i)


@overload(get32)
def _get32(a, i):
    return lambda a, i: _load(32, address_of(a) + i)


@overload(get64)
def _get64(a, i):
    return lambda a, i: _load(64, address_of(a) + i)


@overload(put8)
def _put8(a, i, value):
    return lambda a, i, value: _store(8, address_of(a) + i, value)


@overload(put16)
def _put16(a, i, value):
    return lambda a, i, value: _store(16, address_of(a) + i, value)


@overload(copy)
def _copy_bytes(source, i, target, j, n):
    return lambda source, i, target, j, n: _copy(address_of(source) + i, address_of(target) + j, n)


@overload(copy_past_cache)
def _copy_bytes_past_cache(source, i, target, j, n):
    return lambda source, i, target, j, n: _copy_lines(
        address_of(source) + i, address_of(target) + j, n)


@overload(finish_copies)
def _finish_copies():
    return lambda: _finish()


@overload(copy16)
def _copy16(source, i, target, j):
    return lambda source, i, target, j: _move(16, address_of(source) + i, address_of(target) + j)


@overload(copy32)
def _copy32(source, i, target, j):
    return lambda source, i, target, j: _move(32, address_of(source) + i, address_of(target) + j)


@overload(trailing_zeros)
def _trailing_zeros(value):
    return lambda value: _count_zeros(value)


@intrinsic(prefer_literal=True)
def move(typingctx, bits, source, target):
    """Copy an integer from one address to another, with any alignment."""
    if not isinstance(bits, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        kind = ir.IntType(bits.literal_value).as_pointer()
        value = builder.load(builder.inttoptr(args[1], kind), align=1)
        builder.store(value, builder.inttoptr(args[2], kind), align=1)
        return context.get_dummy_value()

    return types.void(bits, _i, _i), codegen
