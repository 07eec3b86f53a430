"""Loops that join transforms of interleaved parts of a row to that of the whole row, in place.

Point k of the transform of part r, which contains every `radix`-th point from r on, is at place k
of row r. Rows of the joined transform follow each other.
"""

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._codelets import DFT, Complex
from ._fft_loops import _fetch, _swapped
from ._jit import jit
from ._passes import _block, _multiple, _pairs, _points, _put_pairs, block_lanes
from ._simd import Emitter

_i = types.int64
_AHEAD = 1024  # bytes that are prefetched: a page has as many streams as there are rows


@intrinsic
def _join(typingctx, spec, place, step, factors, turns):
    """Join `lanes` points of each row, `step` bytes apart.

    Row r is multiplied by ``factors[r - 1]``, a number, and block r - 1 of `turns`: before the
    transform over the rows or, with `inverse`, after it. Items of `spec`: lanes, radix, inverse.
    """

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        emit.align_stack()
        place, step, factors, turns = args[1:]
        n, inverse = spec.items["radix"], spec.items["inverse"]

        def turned(x: Complex, r: int) -> Complex:
            factor = Complex(*(emit.load_scalar(factors, 8 * (r - 1) + at) for at in (0, 4)))
            return x.times(_block(emit, turns, (r - 1) * 8 * emit.lanes).times(factor))

        def read(emit: Emitter, address: ir.Value) -> Complex:
            x = _pairs(emit, address)
            _fetch(emit, emit.at(address, _AHEAD))
            return _swapped(x) if inverse else x

        rows = list(_points(read, emit, place, step, n))
        if not inverse:
            rows[1:] = [turned(x, r) for r, x in enumerate(rows[1:], 1)]
        for r, y in enumerate(DFT[n](rows)):
            if inverse:
                y = _swapped(turned(y, r) if r else y)
            _put_pairs(emit, y, _multiple(emit, place, step, r))
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i), codegen


@jit
def join_rows_nb(spec, place, n, coarse, fine, shift, turns):
    """Join rows of `n` points, a multiple of the lanes.

    ``coarse[a] fine[b]`` is the root of unity ``a 2^shift + b`` of all points; `turns` has the
    roots ``r i`` for each row r and lane i, (radix - 1, 2, lanes).
    """
    lanes, size = block_lanes(spec), fine.size - 1
    factors = np.empty(turns.shape[0], np.complex64)
    for k in range(0, n, lanes):
        for r in range(factors.size):
            e = (r + 1) * k
            factors[r] = coarse[e >> shift] * fine[e & size]
        _join(spec, place + 8 * k, 8 * n, factors.ctypes.data, turns.ctypes.data)
