"""Loops of coherent dedispersion: spectra times chirps, and powers of the voltages."""

from math import factorial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._codelets import Complex
from ._fft_loops import _fetch
from ._jit import jit, jit_inner, jit_inner_arrays
from ._passes import _pairs, _put_pairs, block_lanes, load_address, store_integer
from ._real_loops import _complex_at, _mirrored_blocks
from ._simd import Emitter, Vector, VectorType, address_of, fma, load, splat

_i = types.int64


#: Samples whose powers are added up in float32.
_SEGMENT = 2048
#: Coefficients of a stretch of a chirp: a polynomial of the phase, in turns, around its middle.
N_COEFFICIENT = 5
#: sin(pi/2 x) / x and cos(pi/2 x) in powers of x^2, for x from -1/2 to 1/2: Taylor series, of which
#: the first term that is left out is below 4e-9.
_SIN = [(-1) ** k * (np.pi / 2) ** (2 * k + 1) / factorial(2 * k + 1) for k in range(5)]
_COS = [(-1) ** k * (np.pi / 2) ** (2 * k) / factorial(2 * k) for k in range(6)]


def _doubles(builder: Any, name: str, n: int, *values: Any) -> Any:
    """Call an LLVM intrinsic for vectors of `n` float64."""
    kind = ir.VectorType(ir.DoubleType(), n)
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * len(values)), f"{name}.v{n}f64")
    return builder.call(function, values)


def _filled(builder: Any, scalar: Any, n: int) -> Any:
    """Return a number in every lane."""
    kind = ir.VectorType(scalar.type, n)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar,
                                   ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), n), [ir.Constant(ir.IntType(32), 0)] * n)
    return builder.shuffle_vector(first, first, mask)


def _quarter_turns(emit: Emitter, coefficients: Any, place: Any) -> tuple[Vector, Any]:
    """Return the phases of `lanes` points: the rest of whole quarter turns, and their number."""
    builder, n = emit.builder, emit.lanes
    double = ir.DoubleType()
    steps = ir.Constant(ir.VectorType(double, n), [ir.Constant(double, float(i)) for i in range(n)])
    x = builder.fadd(_filled(builder, builder.sitofp(place, double), n), steps)
    total = None
    for k in range(N_COEFFICIENT - 1, -1, -1):
        at = emit.pointer(coefficients, double, 8 * k)
        value = _filled(builder, builder.load(at, align=8), n)
        total = value if total is None else _doubles(builder, "llvm.fmuladd", n, total, x, value)
    # Four times the turns, without whole turns.
    total = builder.fsub(total, _doubles(builder, "llvm.rint", n, total))
    four = _filled(builder, ir.Constant(double, 4.0), n)
    total = builder.fmul(total, four)
    whole = _doubles(builder, "llvm.rint", n, total)
    rest = builder.fptrunc(builder.fsub(total, whole), emit.type)
    number = builder.fptosi(whole, ir.VectorType(ir.IntType(32), n))
    return Vector(emit, rest), number


def _polynomial(emit: Emitter, coefficients: list[float], x: Vector) -> Vector:
    """Return a polynomial by Horner's rule."""
    total = emit.splat(float(np.float32(coefficients[-1])))
    for value in coefficients[-2::-1]:
        total = total.fma(x, emit.splat(float(np.float32(value))))
    return total


@intrinsic
def _times_chirp(typingctx, spec, spectrum, spectrum_pol, coefficients, place, scale, out, out_pol):
    """Multiply `lanes` points of each polarisation by those of a chirp, and by `scale`.

    `place` is the number of the first of them, counted from the middle of a stretch with the
    phase of `coefficients`; polarisations are `spectrum_pol` and `out_pol` bytes apart. Items of
    `spec`: lanes, n_pol.
    """

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        emit.align_stack()
        spectrum, spectrum_pol, coefficients, place, scale, out, out_pol = args[1:]
        rest, number = _quarter_turns(emit, coefficients, place)
        square = rest * rest
        factor = emit.broadcast(scale)
        sine = _polynomial(emit, _SIN, square) * rest * factor
        cosine = _polynomial(emit, _COS, square) * factor
        kind = number.type

        def bit(value: int) -> Any:
            """Return the lanes whose number of quarter turns has a bit."""
            mask = ir.Constant(kind, [ir.Constant(ir.IntType(32), value)] * emit.lanes)
            zero = ir.Constant(kind, [ir.Constant(ir.IntType(32), 0)] * emit.lanes)
            return builder.icmp_signed("!=", builder.and_(number, mask), zero)

        odd, half = bit(1), bit(2)
        # A quarter turn exchanges both, with a sign; two of them are a sign.
        re, im = emit.select(odd, -sine, cosine), emit.select(odd, cosine, sine)
        re, im = emit.select(half, -re, re), emit.select(half, -im, im)
        for pol in range(spec.items["n_pol"]):
            if pol:
                spectrum = builder.add(spectrum, spectrum_pol)
                out = builder.add(out, out_pol)
            _put_pairs(emit, _pairs(emit, spectrum).times(Complex(re, im)), out)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i, types.float32, _i, _i), codegen


@jit_inner
def _times_nb(spec, first, stop, middle, coefficients, scale, spectrum, spectrum_pol, out, out_pol):
    """Multiply points `first` to `stop` of a stretch, a multiple of the lanes."""
    lanes = block_lanes(spec)
    for k in range(first, stop, lanes):
        _times_chirp(spec, spectrum + 8 * k, spectrum_pol, coefficients, k - middle, scale,
                     out + 8 * k, out_pol)


@jit
def channel_spectra_nb(spec, one, half, total, shift, first, stop, spectrum, spectrum_pol, length,
                       chirps, scale, out, out_pol):
    """Multiply channels `first` to `stop` by their chirps, with the middle of each channel first.

    `spectrum` is the address of `total` points, `shift` the place of the first channel, which has
    ``2 half`` points, as the others. A half has stretches of `length` points, the last one perhaps
    fewer, with the coefficients ``chirps[channel half, stretch]``. Polarisations are
    `spectrum_pol` and `out_pol` bytes apart. `one` is the spec of single points.
    """
    lanes = block_lanes(spec)
    size = 8 * N_COEFFICIENT
    for chan in range(first, stop):
        to = out + 16 * (chan - first) * half
        for side in range(2):
            part = 2 * chan + 1 - side
            source = spectrum + 8 * ((part * half + shift) % total)
            target = to + 8 * side * half
            for i in range(chirps.shape[1]):
                begin = i * length
                n = min(length, half - begin)
                whole = n // lanes * lanes
                place = np.int64(chirps.ctypes.data) + (part * chirps.shape[1] + i) * size
                here, there = source + 8 * begin, target + 8 * begin
                _times_nb(spec, 0, whole, length // 2, place, scale, here, spectrum_pol, there,
                          out_pol)
                _times_nb(one, whole, n, length // 2, place, scale, here, spectrum_pol, there,
                          out_pol)


@intrinsic
def _fetch_points(typingctx, spec, address):
    """Prefetch `lanes` points."""

    def codegen(context, builder, signature, args):
        _fetch(Emitter(builder, spec.items["lanes"]), args[1])
        return context.get_dummy_value()

    return types.void(spec, _i), codegen


@jit_inner_arrays
def _real_point_nb(spectrum, k, n, fine, coarse):
    """Return point k of the spectrum of a real signal, see `_real_loops`."""
    z = carray(_complex_at(spectrum), n)
    if k == 0:
        return complex(z[0].real + z[0].imag, np.float32(0))
    half, p, q = np.float32(0.5), z[k], z[n - k]
    w = fine[(k - 1) % fine.size] * coarse[(k - 1) // fine.size]
    difference = complex(p.real - q.real, p.imag + q.imag)
    return complex(half * (p.real + q.real), half * (p.imag - q.imag)) + w * difference


@jit_inner
def _joined_stretch_nb(spec, spectrum, k, n, length, fine, coarse, low, high):
    """Do the step of `_real_loops` for points k to ``k + length`` and for their mirror images.

    A stretch does not go over the end of `fine`. The last mirror image comes first in `high`.
    """
    lanes = block_lanes(spec)
    factor = np.int64(coarse[(k - 1) // fine.size :].ctypes.data)
    roots = np.int64(fine[(k - 1) % fine.size :].ctypes.data)
    for j in range(0, length, lanes):
        first, last = spectrum + 8 * (k + j), spectrum + 8 * (n - k - j - lanes + 1)
        # Stretches are too short for the processor to notice that they are read in order.
        _fetch_points(spec, first + 8 * length)
        _fetch_points(spec, last - 8 * length)
        _mirrored_blocks(spec, first, last, roots + 8 * j, factor, low + 8 * j,
                         high + 8 * (length - lanes - j))


@jit
def mirrored_spectra_nb(spec, real_spec, n_pol, half, n_chan, first, stop, spectrum, spectrum_pol,
                        length, chirps, scale, fine, coarse, out, out_pol, work):
    """Do as `channel_spectra_nb` for the transform of a real signal that lacks its last step.

    The results are those of channels `first` to `stop`, all in the lower half of the band, and
    then of their mirror images, in the order of frequency. Halves of channels have whole
    stretches, of a multiple of the lanes. `real_spec`, `fine` and `coarse` are those of
    `_real_loops.halves_nb`. `work` is the address of memory for ``2 length + lanes`` points of
    each polarisation.
    """
    size, n = 8 * N_COEFFICIENT, 2 * half * n_chan
    n_stretch, middle = chirps.shape[1], length // 2
    table = np.int64(chirps.ctypes.data)
    mirror = work + 8 * (length + block_lanes(spec))
    work_pol = 8 * (2 * length + block_lanes(spec))
    for pol in range(n_pol):
        carray(_complex_at(work + pol * work_pol), 1)[0] = _real_point_nb(
            spectrum + pol * spectrum_pol, 2 * first * half, n, fine, coarse)
    for part in range(2 * first, 2 * stop):
        other = 2 * n_chan - 1 - part
        # Upper halves of channels come first.
        to = out + 16 * half * (part // 2 - first) + 8 * half * (1 - part % 2)
        back = out + 16 * half * (other // 2 - n_chan + 2 * stop - first) + 8 * half * (part % 2)
        for i in range(n_stretch):
            last = n_stretch - 1 - i
            for pol in range(n_pol):
                _joined_stretch_nb(real_spec, spectrum + pol * spectrum_pol,
                                   part * half + i * length + 1, n, length, fine, coarse,
                                   work + pol * work_pol + 8, mirror + pol * work_pol)
            _times_nb(spec, 0, length, middle, table + (part * n_stretch + i) * size, scale,
                      work, work_pol, to + 8 * i * length, out_pol)
            _times_nb(spec, 0, length, middle, table + (other * n_stretch + last) * size, scale,
                      mirror, work_pol, back + 8 * last * length, out_pol)
            for pol in range(n_pol):  # the first point of the next stretch
                place = work + pol * work_pol
                store_integer(load_address(place + 8 * length), place)


@intrinsic
def _neighbours(typingctx, vector):
    """Exchange neighbouring lanes: the parts of each complex number."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, vector.lanes)
        value = Vector(emit, args[0])
        return emit.shuffle(value, value, [lane ^ 1 for lane in range(vector.lanes)]).value

    return vector(vector), codegen


def _halves(emit: Emitter, vectors: tuple[Vector, ...], size: int) -> Vector:
    """Add both halves of each block of `size` lanes, in all vectors, and join the results."""
    n = vectors[0].value.type.count
    first, last = vectors[0], vectors[-1]
    low = [block + lane for block in range(0, n * len(vectors), size) for lane in range(size // 2)]
    return emit.shuffle(first, last, low) + emit.shuffle(
        first, last, [lane + size // 2 for lane in low])


@intrinsic
def _add_sums(typingctx, a, b, c, d, sums):
    """Add the sum of the lanes of each vector to four float64 at an address.

    Of the last vector, odd lanes are subtracted.
    """

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, a.lanes)
        a_, b_, c_, d_ = (Vector(emit, each) for each in args[:4])
        d_ *= emit.constant([1.0, -1.0] * (a.lanes // 2))
        n = a.lanes
        total = _halves(emit, (_halves(emit, (a_, b_), n), _halves(emit, (c_, d_), n)), n // 2)
        size = n // 4
        while size > 1:
            total = _halves(emit, (total,), size)
            size //= 2
        kind = ir.VectorType(ir.DoubleType(), 4)
        place = builder.inttoptr(args[4], kind.as_pointer())
        wide = builder.fpext(total.value, kind)
        builder.store(builder.fadd(builder.load(place, align=8), wide), place, align=8)
        return context.get_dummy_value()

    return types.void(a, b, c, d, _i), codegen


@intrinsic
def _load_some(typingctx, spec, address, n):
    """Load the first `n` lanes of a vector, and zeros."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        integers = ir.VectorType(ir.IntType(32), emit.lanes)
        lanes = ir.Constant(integers, [ir.Constant(ir.IntType(32), i) for i in range(emit.lanes)])
        count = builder.trunc(args[2], ir.IntType(32))
        mask = builder.icmp_signed("<", lanes, _filled(builder, count, emit.lanes))
        pointer = emit.pointer(args[1], emit.type)
        kind = ir.FunctionType(emit.type, [pointer.type, ir.IntType(32), mask.type, emit.type])
        function = cgutils.get_or_insert_function(
            builder.module, kind, f"llvm.masked.load.v{emit.lanes}f32.p0")
        zero = ir.Constant(emit.type, None)
        return builder.call(function, [pointer, ir.Constant(ir.IntType(32), 4), mask, zero])

    return VectorType(spec.items["lanes"])(spec, _i, _i), codegen


@jit
def add_powers_nb(spec, a, b, chan_step, n, start, n_int, sums, out):
    """Add the powers of voltages to sums of `n_int` samples, and write those that end.

    Parameters
    ----------
    a, b : int
        Addresses of the voltages of two polarisations, complex64; twice the same for one.
    chan_step : int
        Bytes from channel to channel.
    n : int
        Number of samples of each channel.
    start : int
        Number of samples in the sums so far.
    sums : ndarray, shape (chan, 4), float64
        Sums of ``|a|^2``, ``|b|^2`` and of both parts of ``conj(a) b``.
    out : ndarray, shape (chan, 4, n_out), float64
        Receives finished sums.
    """
    for chan in range(sums.shape[0]):
        at, done, left = 0, 0, n_int - start
        while at < n:
            stop = min(n, at + left)
            place = chan * chan_step
            for first in range(at, stop, _SEGMENT):
                here = place + 8 * first
                _add_segment_nb(spec, a + here, b + here, min(_SEGMENT, stop - first), sums[chan])
            left -= stop - at
            if left == 0:
                for p in range(4):
                    out[chan, p, done] = sums[chan, p]
                    sums[chan, p] = 0
                done += 1
                left = n_int
            at = stop


@jit_inner_arrays
def _add_segment_nb(spec, a, b, n, sums):
    """Add the powers of one stretch; float32 is exact enough for a few thousand samples."""
    size = 4 * block_lanes(spec)
    stop = 8 * n // size * size
    aa = splat(spec, np.float32(0))
    bb, parallel, crossed = aa, aa, aa
    for at in range(0, stop, size):
        x, y = load(spec, a + at), load(spec, b + at)
        aa = fma(x, x, aa)
        bb = fma(y, y, bb)
        parallel = fma(x, y, parallel)
        crossed = fma(x, _neighbours(y), crossed)
    if 8 * n > stop:
        left = 2 * n - stop // 4
        x, y = _load_some(spec, a + stop, left), _load_some(spec, b + stop, left)
        aa = fma(x, x, aa)
        bb = fma(y, y, bb)
        parallel = fma(x, y, parallel)
        crossed = fma(x, _neighbours(y), crossed)
    _add_sums(aa, bb, parallel, crossed, address_of(sums))


@intrinsic
def _put_float(typingctx, value, address):
    """Write a float32 to an address."""

    def codegen(context, builder, signature, args):
        pointer = builder.inttoptr(args[1], args[0].type.as_pointer())
        builder.store(args[0], pointer, align=4)
        return context.get_dummy_value()

    return types.void(types.float32, _i), codegen


@jit
def mix_powers_nb(powers, mixing, first, out):
    """Write products to `out`, shape (product, chan, n_out), from channel `first` on.

    `powers` are those of `add_powers_nb`. `mixing`, shape (product, 4), contains the factors, of
    which at most two per product are not 0.
    """
    for p in range(mixing.shape[0]):
        one = other = -1
        for k in range(4):
            if mixing[p, k] != 0:
                one, other = (k, other) if one < 0 else (one, k)
        for chan in range(powers.shape[0]):
            target, x = out[p, first + chan], powers[chan, one]
            if other < 0:
                for i in range(target.size):
                    target[i] = mixing[p, one] * x[i]
            else:
                y = powers[chan, other]
                for i in range(target.size):
                    target[i] = mixing[p, one] * x[i] + mixing[p, other] * y[i]


@jit
def put_products_nb(products, n_chan, out, row_step, product_step):
    """Write `n_chan` channels of products to an address, next to each other in memory.

    `products` are those of `mix_powers_nb`. `row_step` and `product_step` are the distances between
    rows and between products of the results, in bytes.
    """
    for p in range(products.shape[0]):
        for i in range(products.shape[2]):
            place = out + i * row_step + p * product_step
            for chan in range(n_chan):
                _put_float(products[p, np.uint64(chan), np.uint64(i)], place + 4 * chan)
