"""Sums of powers of 8-bit codes, by integers: they are exact.

Nothing is checked here.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._jit import jit_strict, jit_strict_inner
from ._level_vectors import fetch_ahead
from ._simd import address_of

_ROWS = 256  # that are added by integers of 32 bits; sums of 256 cubes are below 2^32
_LANES, _VECTORS = 16, 4  # the codes of a line of the cache
_CHANNELS = _LANES * _VECTORS
_LOW = 0xFFFF  # part of a fourth power that is added apart from the rest
_I64 = ir.IntType(64)
_i = types.int64


@jit_strict
def sum_codes_nb(x, sums):
    """Add the powers 0 to 4 of codes to `sums` (5, n_chan), int64; rows of x are contiguous."""
    n, n_chan = x.shape
    part = np.empty((5, _CHANNELS), np.uint32)
    for c in range(n_chan):
        sums[0, c] += n
    for start in range(0, n, _ROWS):
        count = min(_ROWS, n - start)
        for first in range(0, n_chan, _CHANNELS):
            many = min(_CHANNELS, n_chan - first)
            if many == _CHANNELS:
                _add_codes(address_of(x) + start * x.strides[0] + first, x.strides[0], count,
                           address_of(part))
            else:
                _add_few_nb(x[start : start + count], first, part)
            for c in range(many):
                for power in range(1, 4):
                    sums[power, first + c] += np.int64(part[power - 1, c])
                sums[4, first + c] += np.int64(part[3, c]) + (np.int64(part[4, c]) << 16)


@jit_strict_inner
def _add_few_nb(x, first, part):
    """Do what `_add_codes` does for the last channels."""
    for c in range(x.shape[1] - first):
        for k in range(5):
            part[k, c] = np.uint32(0)
        for t in range(x.shape[0]):
            value = np.uint32(x[t, first + c])
            square = np.uint32(value * value)
            fourth = np.uint32(square * square)
            part[0, c] += value
            part[1, c] += square
            part[2, c] += np.uint32(square * value)
            part[3, c] += fourth & np.uint32(_LOW)
            part[4, c] += fourth >> np.uint32(16)


@intrinsic
def _add_codes(typingctx, x, step, n, out):
    """Write the sums of `n` rows of 64 codes to `out`: powers 1, 2, 3, and parts of the fourth."""

    def codegen(context, builder, signature, args):
        x, step, n, out = args
        kind = ir.VectorType(ir.IntType(32), _LANES)
        codes = ir.VectorType(ir.IntType(8), _LANES)
        room = [[cgutils.alloca_once_value(builder, ir.Constant(kind, [0] * _LANES))
                 for _ in range(5)] for _ in range(_VECTORS)]
        with cgutils.for_range(builder, n) as loop:
            row = builder.add(x, builder.mul(loop.index, step))
            fetch_ahead(builder, row, step, 1)
            for vector, sums in enumerate(room):
                _add_powers(builder, builder.zext(_load(builder, row, codes, vector), kind), sums)
        for vector, sums in enumerate(room):
            for k, place in enumerate(sums):
                offset = ir.Constant(_I64, 4 * (k * _CHANNELS + vector * _LANES))
                at = builder.inttoptr(builder.add(out, offset), kind.as_pointer())
                builder.store(builder.load(place), at, align=4)
        return context.get_dummy_value()

    return types.void(*(_i,) * 4), codegen


def _load(builder: Any, row: Any, kind: Any, vector: int) -> Any:
    at = builder.add(row, ir.Constant(_I64, _LANES * vector))
    return builder.load(builder.inttoptr(at, kind.as_pointer()), align=1)


def _add_powers(builder: Any, value: Any, sums: list[Any]) -> None:
    """Add the powers of codes to sums in memory, which the compiler keeps in registers."""
    def constant(number: int) -> Any:
        return ir.Constant(value.type, [number] * _LANES)

    square = builder.mul(value, value)
    fourth = builder.mul(square, square)
    parts = (value, square, builder.mul(square, value), builder.and_(fourth, constant(_LOW)),
             builder.lshr(fourth, constant(16)))
    for place, part in zip(sums, parts, strict=True):
        builder.store(builder.add(builder.load(place), part), place)
