"""Compression of numbers in the form of the bitshuffle filter with LZ4, and decompression.

The compressed data begin with two numbers, highest byte first: the length of the data (8 bytes) and
the length of a block (4 bytes). They are followed by the blocks, with their bits sorted by position
(`_bit_planes`) and packed (`_lz4`), each preceded by its packed length (4 bytes). The last block
contains the remaining numbers, a multiple of 8; up to 7 more numbers follow unpacked.
"""

import numpy as np

from . import _check
from ._bit_planes import gather_bits_nb, scatter_bits_nb, spec_of
from ._jit import jit_strict, jit_strict_inner
from ._lz4 import SLACK, TABLE, bound, compress_nb, expand_nb
from ._memory import copy, get8, put8

_SIZES = (1, 2, 4, 8)
_HEAD = 12
_ZERO = np.int64(0)  # a literal would have functions compiled once more
_DEFAULT_BLOCK = 8192  # bytes
_MOST_BLOCK = 2**15


def expand_planes(
    packed: np.ndarray,
    item_bytes: int,
    *,
    first: int = 0,
    out: np.ndarray | None = None,
    work: np.ndarray | None = None,
) -> np.ndarray:
    """Expand data that were packed by `compress_planes`, or by bitshuffle with LZ4.

    Parameters
    ----------
    packed : ndarray, shape (n_packed,), uint8, dimensionless
        All data that were packed together, without a checksum; contiguous. Any bytes are allowed:
        nothing outside of the arrays is read or written.
    item_bytes : int
        Bytes of a number: 1, 2, 4 or 8.
    first : int
        Index of the first byte that is wanted. Blocks without wanted bytes are skipped.
    out : ndarray, shape (n_byte,), uint8, dimensionless, optional
        Receives the bytes; contiguous. By default all bytes from `first` on are returned.
    work : ndarray, shape (n,), uint8, optional
        Scratch memory of `expand_work_bytes` bytes; allocated by default.

    Returns
    -------
    ndarray, shape (n_byte,), uint8, dimensionless
        `out`, or a new array.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or has the wrong dtype.
    ValueError
        If the packed bytes are damaged, or a shape or a number is not allowed. The contents of
        `out` are then undefined.

    Notes
    -----
    A call allocates nothing when `out` and `work` are given; the GIL is released.

    References
    ----------
    K. Masui et al. (2015), Astronomy and Computing 12, 181.
    """
    _check_bytes("packed", packed)
    item_bytes = _item_bytes(item_bytes)
    total, block = _sizes(packed, item_bytes)
    first = _check.count("first", first, 0)
    if out is None:
        out = np.empty(max(0, total - first), np.uint8)
    _check_bytes("out", out)
    _check.target("out", out, out.shape, "uint8", packed)
    if first + out.size > total:
        raise ValueError(f"out: found {out.size} bytes from {first} on, allowed up to {total}")
    work = _scratch(work, _work_bytes(total, block), packed, out)
    fault = expand_planes_nb(spec_of(item_bytes), item_bytes, _check.read_only(packed), total,
                             block, first, work, out)
    if fault >= 0:
        raise ValueError(f"packed: damaged in the block at byte {fault} of {packed.size}")
    return out


def expand_work_bytes(packed: np.ndarray, item_bytes: int) -> int:
    """Return the scratch size, in bytes, that `expand_planes` needs for the same parameters.

    Raises
    ------
    TypeError, ValueError
        As for `expand_planes`.
    """
    _check_bytes("packed", packed)
    item_bytes = _item_bytes(item_bytes)
    return _work_bytes(*_sizes(packed, item_bytes))


def compress_planes(
    x: np.ndarray, *, block: int | None = None, out: np.ndarray | None = None,
    work: np.ndarray | None = None,
) -> np.ndarray:
    """Pack numbers as bitshuffle with LZ4 does.

    Parameters
    ----------
    x : ndarray, any shape, numbers of 1, 2, 4 or 8 bytes, any unit
        Numbers, C-contiguous; they are packed in memory order, lowest byte first.
    block : int, optional
        Number of numbers in a block, a multiple of 8. A block has at most 32 KiB, and 8 KiB by
        default.
    out : ndarray, shape (compressed_bound or more,), uint8, dimensionless, optional
        Receives the bytes.
    work : ndarray, shape (n,), uint8, optional
        Scratch memory of `compress_work_bytes` bytes; allocated by default.

    Returns
    -------
    ndarray, shape (n_packed,), uint8, dimensionless
        The part of `out`, or of a new array, that was filled. It depends only on x and block.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or has the wrong dtype.
    ValueError
        If a shape, strides or the block are not allowed.

    Notes
    -----
    A call allocates nothing when `out` and `work` are given; the GIL is released.

    References
    ----------
    K. Masui et al. (2015), Astronomy and Computing 12, 181.
    """
    _check.plain("x", x)
    item = x.dtype.itemsize
    if x.dtype.kind not in "uif" or item not in _SIZES or not x.dtype.isnative:
        raise TypeError(f"x: found dtype {x.dtype}, allowed numbers of 1, 2, 4 or 8 bytes "
                        "in native byte order")
    _check.c_contiguous("x", x)
    n_block = _block_bytes(item, block)
    least = _bound(x.nbytes, n_block)
    if out is None:
        out = np.empty(least, np.uint8)
    _check_bytes("out", out)
    _check.target("out", out, out.shape, "uint8", x)
    if out.size < least:
        raise ValueError(f"out: found {out.size} bytes, allowed {least} or more")
    work = _scratch(work, _compress_work_bytes(n_block), x, out)
    x_bytes = _check.read_only(x.reshape(-1).view(np.uint8))
    n = compress_planes_nb(spec_of(item), item, x_bytes, n_block, work,
                           work[: 2 * TABLE].view(np.uint16), out)
    return out[:n]


def compressed_bound(n_byte: int, item_bytes: int, *, block: int | None = None) -> int:
    """Return the size of `out`, in bytes, that `compress_planes` needs for `n_byte` bytes.

    Raises
    ------
    TypeError, ValueError
        If a number is not allowed.
    """
    return _bound(_check.count("n_byte", n_byte, 0), _block_bytes(item_bytes, block))


def compress_work_bytes(item_bytes: int, *, block: int | None = None) -> int:
    """Return the scratch size, in bytes, that `compress_planes` needs.

    Raises
    ------
    TypeError, ValueError
        If a number is not allowed.
    """
    return _compress_work_bytes(_block_bytes(item_bytes, block))


def _check_bytes(name: str, value: np.ndarray) -> None:
    _check.array(name, value, ("uint8",), 1)
    _check.c_contiguous(name, value)


def _item_bytes(item_bytes: int) -> int:
    if _check.count("item_bytes", item_bytes) not in _SIZES:
        raise ValueError(f"item_bytes: found {item_bytes!r}, allowed 1, 2, 4, 8")
    return int(item_bytes)


def _sizes(packed: np.ndarray, item: int) -> tuple[int, int]:
    """Return the sizes of the data and of a block, in bytes, as stated in the head."""
    if packed.size < _HEAD:
        raise ValueError(f"packed: found {packed.size} bytes, allowed {_HEAD} or more")
    head = packed[:_HEAD].tobytes()
    total, block = int.from_bytes(head[:8], "big"), int.from_bytes(head[8:], "big")
    if not block or block % (8 * item):
        raise ValueError(f"packed: found blocks of {block} bytes, allowed multiples of {8 * item}")
    if total % item or total > 255 * packed.size:
        raise ValueError(f"packed: {packed.size} bytes cannot hold {total} in numbers of {item}")
    return total, block


def _work_bytes(total: int, block: int) -> int:
    return 3 * min(total, block) + SLACK


def _compress_work_bytes(block: int) -> int:
    return 2 * TABLE + 2 * block


def _scratch(work: np.ndarray | None, least: int, *others: np.ndarray) -> np.ndarray:
    if work is None:
        return np.empty(least, np.uint8)
    _check_bytes("work", work)
    _check.target("work", work, work.shape, "uint8", *others)
    if work.size < least:
        raise ValueError(f"work: found {work.size} bytes, allowed {least} or more")
    return work


def _block_bytes(item: int, block: int | None) -> int:
    item = _item_bytes(item)
    if block is None:
        return _DEFAULT_BLOCK
    block = item * _check.count("block", block)
    if block % (8 * item) or block > _MOST_BLOCK:
        raise ValueError(f"block: found {block // item}, allowed multiples of 8 up to "
                         f"{_MOST_BLOCK // item}")
    return block


def _bound(n_byte: int, block: int) -> int:
    return _HEAD + -(-n_byte // block) * (4 + bound(block)) + block + SLACK


@jit_strict_inner
def _whole_nb(left, block, item):
    """Return the size of the next block if `left` bytes remain; 0 if they are too few."""
    size = min(left, block)
    return size - size % (8 * item)


@jit_strict
def expand_planes_nb(spec, item, packed, total, block, first, work, out):
    """Fill `out` as `expand_planes` does; return -1, or where a damaged block begins.

    `total` and `block` are the sizes stated in the head, multiples of `item` and of ``8 item``,
    and `work` is large enough for them; `first` and `out` are within `total`. The rest of
    `packed` may be any bytes.
    """
    most = min(total, block)
    work_bits, work_bytes = work[most : 2 * most], work[: most]
    planes, stop = work[2 * most :], first + out.size
    i, o = _HEAD, 0
    size = _whole_nb(total, block, item)
    while size > 0:
        begin = i
        if packed.size - i < 4:
            return begin
        n = (get8(packed, i) << 24) + (get8(packed, i + 1) << 16) + (
            get8(packed, i + 2) << 8) + get8(packed, i + 3)
        i += 4
        if n > packed.size - i:
            return begin
        if o < stop and o + size > first:
            if not expand_nb(packed, i, n, planes, size):
                return begin
            if o >= first and o + size <= stop:
                gather_bits_nb(spec, planes, size // item, work_bits, out, o - first)
            else:
                gather_bits_nb(spec, planes, size // item, work_bits, work_bytes, _ZERO)
                low, high = max(o, first), min(o + size, stop)
                copy(work_bytes, low - o, out, low - first, high - low)
        i += n
        o += size
        size = _whole_nb(total - o, block, item)
    if packed.size - i != total - o:
        return i
    low, high = max(o, first), min(total, stop)
    if high > low:
        copy(packed, i + low - o, out, low - first, high - low)
    return -1


@jit_strict
def compress_planes_nb(spec, item, x, block, work, table, out):
    """Pack bytes `x` to `out` and return the packed size; nothing is checked.

    `work` has `compress_work_bytes` bytes, and `table` is the first part of it.
    """
    begin = 2 * TABLE
    work_bits, planes = work[begin : begin + block], work[begin + block : begin + 2 * block]
    _put_high_first_nb(out, 0, x.size, 8)
    _put_high_first_nb(out, 8, block, 4)
    i, o = _ZERO, np.int64(_HEAD)
    size = _whole_nb(x.size, block, item)
    while size > 0:
        scatter_bits_nb(spec, x, i, size // item, work_bits, planes)
        end = compress_nb(planes, 0, size, out, o + 4, table)
        _put_high_first_nb(out, o, end - o - 4, 4)
        i += size
        o = end
        size = _whole_nb(x.size - i, block, item)
    copy(x, i, out, o, x.size - i)
    return o + x.size - i


@jit_strict_inner
def _put_high_first_nb(out, i, value, n):
    """Write a number of `n` bytes, highest byte first."""
    for k in range(n):
        put8(out, i + k, (value >> (8 * (n - 1 - k))) & 255)
