"""The step between the transform of a real signal and that of a complex one of half the length.

The even and odd samples of a real signal are the real and imaginary parts of a complex signal with
the transform Z of n points. The transform of the real signal is
``X[k] = (Z[k] + Z*[n-k]) / 2 - i/2 w^k (Z[k] - Z*[n-k])``, with w = exp(-pi i / n), for k = 0 to n.
The inverse of this step has the conjugate of -i/2 w^k.
"""

import numpy as np
from numba import carray
from numba.core import types
from numba.core.extending import intrinsic

from ._codelets import Complex
from ._jit import jit, jit_inner
from ._passes import _pairs, _put_pairs, block_lanes
from ._simd import Emitter

_i = types.int64


@intrinsic
def _mirrored_blocks(typingctx, spec, low, high, fine, coarse, low_out, high_out):
    """Do the step for `lanes` points at `low` and their mirror images, which begin at `high`.

    Items of `spec`: lanes, inverse.
    """

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        low, high, fine, coarse, low_out, high_out = args[1:]
        order = range(emit.lanes - 1, -1, -1)

        def reversed_lanes(x):
            return Complex(*(emit.shuffle(part, part, order) for part in x))

        factor = Complex(emit.load_scalar(coarse), emit.load_scalar(coarse, 4))
        w = _pairs(emit, fine).times(factor)
        if spec.items["inverse"]:
            w = Complex(w.re, -w.im)
        p, q = _pairs(emit, low), reversed_lanes(_pairs(emit, high))
        half = emit.splat(0.5)
        total = Complex((p.re + q.re) * half, (p.im - q.im) * half)
        turned = Complex(p.re - q.re, p.im + q.im).times(w)
        below = total.minus(turned)
        _put_pairs(emit, total.plus(turned), low_out)
        _put_pairs(emit, reversed_lanes(Complex(below.re, -below.im)), high_out)
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i, _i, _i, _i), codegen


@intrinsic
def _complex_at(typingctx, address):
    """Return a pointer to complex64 at an address, so that all strides use the same code."""

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.complex64)(_i), codegen


@intrinsic
def _is_inverse(typingctx, spec):
    """Return whether this is the inverse step."""
    value = spec.items["inverse"]

    def codegen(context, builder, signature, args):
        return context.get_constant(types.boolean, value)

    return types.boolean(spec), codegen


@jit_inner
def _points_nb(x, y, first, stop, n, fine, coarse, inverse):
    """Do the step for points `first` to `stop` and their mirror images, one by one."""
    half = np.float32(0.5)
    for k in range(first, stop):
        w = fine[(k - 1) % fine.size] * coarse[(k - 1) // fine.size]
        wr, wi = w.real, -w.imag if inverse else w.imag
        p, q = x[k], x[n - k]
        sr, si = half * (p.real + q.real), half * (p.imag - q.imag)
        dr, di = p.real - q.real, p.imag + q.imag
        tr, ti = wr * dr - wi * di, wr * di + wi * dr
        y[k] = complex(sr + tr, si + ti)
        y[n - k] = complex(sr - tr, ti - si)


@jit_inner
def _blocks_nb(spec, source, target, n, fine, coarse):
    """Do the step for whole blocks on both sides; return the first point that is left."""
    lanes = block_lanes(spec)
    k = 1
    for i in range(coarse.size):
        factor = coarse.ctypes.data + 8 * i
        n_whole = min(fine.size, (n + 1) // 2 - k) // lanes * lanes
        for j in range(0, n_whole, lanes):
            low, high = 8 * (k + j), 8 * (n - k - j - lanes + 1)
            _mirrored_blocks(spec, source + low, source + high, fine.ctypes.data + 8 * j, factor,
                             target + low, target + high)
        k += n_whole
        if n_whole < fine.size:
            break
    return k


@jit
def halves_nb(spec, source, source_next, target, target_next, n_row, n, fine, coarse):
    """Do the step, or its inverse, for rows that are `*_next` bytes apart; may be in place.

    ``-i/2 w^k`` is ``fine[(k - 1) % size] coarse[(k - 1) // size]``. Forward, the last point of a
    row, not yet set, receives the Nyquist point.
    """
    inverse = _is_inverse(spec)
    half = np.float32(0.5)
    for row in range(n_row):
        place, result = source + row * source_next, target + row * target_next
        x = carray(_complex_at(place), n + 1)
        y = carray(_complex_at(result), n if inverse else n + 1)
        first, last = x[0], x[n].real if inverse else np.float32(0)
        left = _blocks_nb(spec, place, result, n, fine, coarse)
        _points_nb(x, y, left, n // 2 + 1, n, fine, coarse, inverse)
        if inverse:
            y[0] = complex(half * (first.real + last), half * (first.real - last))
        else:
            y[0] = complex(first.real + first.imag, np.float32(0))
            y[n] = complex(first.real - first.imag, np.float32(0))
