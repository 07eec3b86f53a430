"""Long transforms in two passes over memory, for lengths whose rows do not fit into a cache.

The N = N1 x N2 points of a row are a matrix of N1 lines, each N2 points long. The first pass takes
`lanes` neighbouring columns of this matrix at a time into a cache, transforms them, multiplies them
by twiddles and writes each column as a line of a second matrix, N2 lines of N1 points. The second
pass transforms `lanes` columns of that matrix at a time, in place: the result is then in order.
Each pass reads and writes every point once.
"""

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from ._codelets import DFT, Complex, interleave, transpose
from ._fft_loops import (
    _fetch,
    _swapped,
    inner_columns_nb,
    inner_levels_nb,
    last_column,
)
from ._jit import jit, jit_inner
from ._order import PAD
from ._passes import (
    _block,
    _multiple,
    _pairs,
    _points,
    _prefetch,
    _put_block,
    _put_pairs,
    block_lanes,
)
from ._simd import Emitter, finish_stores

_i = types.int64


@intrinsic
def turned_lines(typingctx, spec, source, step, ahead, twiddles, target, target_step):
    """Transform `lanes` points of each of `lanes` columns, and transpose.

    A column's results are the lanes of one block, and blocks of neighbouring columns are
    `target_step` bytes apart. Twiddles are the same for all columns. Data `ahead` bytes further on
    is prefetched. Items of `spec`: lanes, inverse, kind (that of the numbers, see `_sources`).
    """

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"], balanced=True)
        emit.align_stack()
        n = emit.lanes
        source, step, ahead, twiddles, target, target_step = args[1:]

        def read(emit, address):
            x = _numbers(emit, spec.items["kind"], address)
            for line in range(0, n * point_bytes(spec.items["kind"]), 64):
                _prefetch(builder, emit.at(builder.add(address, ahead), line))
            return _swapped(x) if spec.items["inverse"] else x

        rows = DFT[n](_points(read, emit, source, step, n))
        for k in range(1, n):
            rows[k] = rows[k].times(_scalar(emit, twiddles, 8 * (k - 1)))
        re = transpose(emit, [row.re for row in rows])
        im = transpose(emit, [row.im for row in rows])
        for k, y in enumerate(zip(re, im, strict=True)):
            _put_block(emit, Complex(*y), _multiple(emit, target, target_step, k))
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i, _i, _i), codegen


def point_bytes(kind):
    """Return the size of a complex number, or of two real ones, of a kind of `_sources`."""
    return 8 if kind == "float32" else 2 * np.dtype(kind).itemsize


def _numbers(emit, kind, address):
    """Load `lanes` complex numbers of a kind of `_sources`; those of uint8 are offset binary."""
    if kind == "float32":
        return _pairs(emit, address)
    n, builder = emit.lanes, emit.builder
    both = emit.load_integers(address, 0, 2 * n, 4 * point_bytes(kind))
    if kind == "uint8":
        middle = ir.Constant(both.type, [ir.Constant(both.type.element, -128)] * (2 * n))
        both = builder.xor(both, middle)

    def part(first):
        lanes = [ir.Constant(ir.IntType(32), lane) for lane in range(first, 2 * n, 2)]
        mask = ir.Constant(ir.VectorType(ir.IntType(32), n), lanes)
        return emit.to_float(builder.shuffle_vector(both, both, mask))

    return Complex(part(0), part(1))


@intrinsic
def _point_bytes(typingctx, spec):
    """Return `point_bytes` of a spec, as a constant."""
    size = point_bytes(spec.items["kind"])

    def codegen(context, builder, signature, args):
        return ir.Constant(ir.IntType(64), size)

    return _i(spec), codegen


def _scalar(emit, address, offset=0):
    """Return a complex number in every lane."""
    return Complex(emit.load_scalar(address, offset), emit.load_scalar(address, offset + 4))


@intrinsic
def turning_column(typingctx, spec, stream, source, factor, turns, target, step):
    """Do the last step of a column of the first pass: 16 neighbouring blocks to numbers.

    Points are multiplied by `factor`, one number, and result k by block k of `turns`.
    """
    if not isinstance(stream, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        emit.align_stack()
        source, factor, turns, target, step = args[2:]
        size = 8 * emit.lanes
        turn = _scalar(emit, factor)

        def read(emit, address):
            return _block(emit, address).times(turn)

        points = _points(read, emit, source, ir.Constant(ir.IntType(64), size), 16)
        for k, y in enumerate(DFT[16](points)):
            y = y.times(_block(emit, turns, k * size))
            place = _multiple(emit, target, step, k)
            if stream.literal_value:
                for half, vector in enumerate(interleave(emit, y)):
                    emit.store_past_cache(vector, place, size // 2 * half)
            else:
                _put_pairs(emit, y, place)
        return context.get_dummy_value()

    return types.void(spec, stream, _i, _i, _i, _i, _i), codegen


@intrinsic
def line_column(typingctx, spec, source, step, ahead, twiddles, target, target_step):
    """Do the first step of the second pass: transform 16 points of `lanes` columns into blocks."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        emit.align_stack()
        source, step, ahead, twiddles, target, target_step = args[1:]

        def read(emit, address):
            x = _pairs(emit, address)
            _fetch(emit, builder.add(address, ahead))
            return x

        for k, y in enumerate(DFT[16](_points(read, emit, source, step, 16))):
            if k:
                y = y.times(_scalar(emit, twiddles, 8 * (k - 1)))
            _put_block(emit, y, _multiple(emit, target, target_step, k))
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i, _i, _i), codegen


@jit_inner
def _turned_tile_nb(spec, n_inner, n_part, source, line, ahead, twiddles, target, column_bytes):
    """Transform the lines of one tile that are N1 / lanes lines apart."""
    lanes = block_lanes(spec)
    part = n_inner // n_part
    for p in range(n_part):
        base = target + p * (part * 8 * lanes + PAD)
        for g in range(part):
            j = p * part + g
            turned_lines(spec, source + j * line, n_inner * line, ahead,
                         twiddles + 8 * (lanes - 1) * j, base + 8 * lanes * g, column_bytes)


@jit_inner
def _powers_nb(column, step, coarse, fine, shift, out):
    """Write ``w^(column step k)`` for k = 0, 1, ..., with w the first root of unity of the row."""
    for k in range(out.size):
        e = column * step * k
        out[k] = coarse[e >> shift] * fine[e & (fine.size - 1)]


@jit_inner
def _outer_nb(steps, lanes, turns):
    """Write the products of `steps` and `lanes` as split blocks."""
    for k in range(steps.size):
        for i in range(lanes.size):
            value = steps[k] * lanes[i]
            turns[k, 0, i], turns[k, 1, i] = value.real, value.imag


@jit_inner
def _turning_columns_nb(spec, starts, source, factors, turns, target, step):
    block = 8 * block_lanes(spec)
    for i in range(starts.size):
        turning_column(spec, 0, source + starts[i], factors + 8 * i, turns, target + i * block,
                       step)


@jit_inner
def _stream_turning_columns_nb(spec, starts, source, factors, turns, target, step):
    block = 8 * block_lanes(spec)
    for i in range(starts.size):
        turning_column(spec, 1, source + starts[i], factors + 8 * i, turns, target + i * block,
                       step)


@jit
def first_pass(spec, numbers, source, line, ahead, target, target_line, first, stop, n_inner,
               twiddles, levels, starts, work, column_bytes, stream, coarse, fine, shift):
    """Transform the columns of tiles `first` to `stop` of a row.

    `numbers` is the spec of `turned_lines`. `line` and `target_line` are bytes from line to line.
    `starts` are the offsets of the groups of
    blocks of a column's last step, in the order of the result. ``coarse[a] fine[b]`` is the root
    of unity ``a 2^shift + b`` of the row.
    """
    lanes = block_lanes(spec)
    n_part = levels[0, 0] if levels.shape[0] > 0 else 1
    steps, offsets = np.empty(16, np.complex128), np.empty(lanes, np.complex128)
    exact = np.empty(starts.size, np.complex128)
    factors, turns = np.empty(starts.size, np.complex64), np.empty((16, 2, lanes), np.float32)
    for tile in range(first, stop):
        _turned_tile_nb(numbers, n_inner, n_part, source + tile * lanes * _point_bytes(numbers),
                        line, ahead, twiddles, work, column_bytes)
        for c in range(lanes):
            column, place = tile * lanes + c, work + c * column_bytes
            inner_levels_nb(spec, place, n_inner, levels)
            _powers_nb(column, lanes, coarse, fine, shift, exact)
            for i in range(exact.size):
                factors[i] = exact[i]
            _powers_nb(column, 1, coarse, fine, shift, offsets)
            _powers_nb(column, lanes * starts.size, coarse, fine, shift, steps)
            _outer_nb(steps, offsets, turns)
            result = target + column * target_line
            if stream:
                _stream_turning_columns_nb(spec, starts, place, factors.ctypes.data,
                                           turns.ctypes.data, result, starts.size * 8 * lanes)
            else:
                _turning_columns_nb(spec, starts, place, factors.ctypes.data, turns.ctypes.data,
                                    result, starts.size * 8 * lanes)
    if stream:
        finish_stores(spec)


@jit_inner
def _line_columns_nb(spec, n, source, line, ahead, twiddles, target):
    block = 8 * block_lanes(spec)
    for g in range(n):
        line_column(spec, source + g * line, n * line, ahead, twiddles + 120 * g,
                    target + g * block, n * block + PAD)


@jit_inner
def _put_lines_nb(spec, starts, source, target, line, scale):
    for i in range(starts.size):
        last_column(spec, 16, 0, source + starts[i], target + i * line, starts.size * line, 0,
                    scale)


@jit
def second_pass(spec, source, line, ahead, target, target_line, first, stop, n, twiddles, levels,
                starts, work, scale):
    """Transform the columns, of `n` points, of tiles `first` to `stop`; may be in place."""
    block = 8 * block_lanes(spec)
    for tile in range(first, stop):
        _line_columns_nb(spec, n // 16, source + tile * block, line, ahead, twiddles, work)
        for level in range(levels.shape[0]):
            radix, size, count, table = levels[level]
            step = size // radix
            within = max(1, n // 16 // size)  # parts of this level in one of the first
            for p in range(count):
                inner_columns_nb(spec, radix, step, work + p * size * block + p // within * PAD,
                                 step * block, table)
        _put_lines_nb(spec, starts, work, target + tile * block, target_line, scale)
