"""Checksums of bytes."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from . import _check
from ._jit import jit_strict
from ._memory import get8, get16
from ._simd import address_of

_I32, _I64 = ir.IntType(32), ir.IntType(64)

_LANES = 32  # lanes of a step, more than a register, so that sums do not wait for one another
_STEPS = 256  # steps of a run, so that sums of sums stay below 2^32
_RUN_BYTES = 2 * _LANES * _STEPS


def fletcher32(data: np.ndarray) -> int:
    """Return the checksum of bytes, as HDF5 computes it.

    The checksum is ``2^16 sum_i (n - i) w_i + sum_i w_i``, with both sums modulo 65535, over n
    words w of two bytes. The first byte of a word is the upper one; a last byte without a partner
    is the upper byte of a word. A sum of 0 is replaced by 65535 if any word is not 0.

    Parameters
    ----------
    data : ndarray, shape (n_byte,), uint8, dimensionless
        Bytes; contiguous.

    Returns
    -------
    int
        Checksum of 32 bits.

    Raises
    ------
    TypeError
        If `data` is an ndarray subclass or has the wrong dtype.
    ValueError
        If the shape or the strides of `data` are not allowed.

    Notes
    -----
    A call allocates nothing; the GIL is released.

    References
    ----------
    J. Fletcher (1982), IEEE Trans. Commun. 30, 247. HDF5 File Format Specification, version 3.0,
    section on filters.
    """
    _check.array("data", data, ("uint8",), 1)
    _check.c_contiguous("data", data)
    return int(fletcher32_nb(data))


@jit_strict
def fletcher32_nb(data):
    """Return the checksum of contiguous bytes, as an int64."""
    n, begin = data.size, 0
    left = (n + 1) >> 1
    first, second = 0, 0
    # Words are read with the lower byte first; the bytes are swapped at the end, by a factor 256.
    while begin + _RUN_BYTES <= n:
        total, moment = _run(address_of(data) + begin)
        first += total
        second = (second + left * total - moment) % 65535
        left -= _RUN_BYTES >> 1
        begin += _RUN_BYTES
    while begin < n:
        word = get16(data, begin) if begin + 2 <= n else get8(data, begin)
        first += word
        second += left * word
        left -= 1
        begin += 2
    if first == 0:
        return 0
    first = first % 65535 * 256 % 65535
    second = second % 65535 * 256 % 65535
    return ((second if second else 65535) << 16) + (first if first else 65535)


@intrinsic
def _run(typingctx, address):
    """Return the sum of the words of a run, and the sum of each word times its index."""

    def codegen(context, builder, signature, args):
        narrow, kind, wide = (ir.VectorType(ir.IntType(n), _LANES) for n in (16, 32, 64))
        source = builder.inttoptr(args[0], narrow.as_pointer())
        zero = ir.Constant(kind, [ir.Constant(_I32, 0)] * _LANES)
        sums, twice = (cgutils.alloca_once_value(builder, zero) for _ in range(2))
        with cgutils.for_range(builder, ir.Constant(_I64, _STEPS)) as loop:
            words = builder.load(builder.gep(source, [loop.index]), align=1)
            total = builder.add(builder.load(sums), builder.zext(words, kind))
            builder.store(total, sums)
            builder.store(builder.add(builder.load(twice), total), twice)
        # A word of step k was added `_STEPS - k` times to the second sum.
        total, later = (builder.zext(builder.load(v), wide) for v in (sums, twice))
        moment = builder.sub(builder.mul(total, _vector([_STEPS] * _LANES)), later)
        moment = builder.mul(moment, _vector([_LANES] * _LANES))
        moment = builder.add(moment, builder.mul(total, _vector(range(_LANES))))
        return context.make_tuple(builder, signature.return_type,
                                  [_added(builder, v) for v in (total, moment)])

    return types.UniTuple(types.int64, 2)(types.int64), codegen


def _vector(values: Iterable[int]) -> ir.Constant:
    constants = [ir.Constant(_I64, value) for value in values]
    return ir.Constant(ir.VectorType(_I64, len(constants)), constants)


def _added(builder: Any, vector: Any) -> Any:
    """Return the sum of a vector's lanes."""
    total = ir.Constant(_I64, 0)
    for lane in range(_LANES):
        total = builder.add(total, builder.extract_element(vector, ir.Constant(_I32, lane)))
    return total
