"""Loops of coherent dedispersion: spectra times chirps, and powers of the voltages."""

import numpy as np
from numba.core import types
from numba.core.extending import intrinsic

from ._jit import jit, jit_inner
from ._passes import _pairs, _put_pairs, block_lanes
from ._simd import Emitter

_i = types.int64


@intrinsic
def _times_chirp(typingctx, spec, spectrum, chirp, out):
    """Multiply `lanes` points of a spectrum by those of a chirp. Items of `spec`: lanes."""

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        _put_pairs(emit, _pairs(emit, args[1]).times(_pairs(emit, args[2])), args[3])
        return context.get_dummy_value()

    return types.void(spec, _i, _i, _i), codegen


@jit_inner
def _times_nb(spec, n, spectrum, chirp, out):
    """Multiply `n` points, a multiple of the lanes."""
    step = 8 * block_lanes(spec)
    for at in range(0, 8 * n, step):
        _times_chirp(spec, spectrum + at, chirp + at, out + at)


@jit
def channel_spectra_nb(spec, one, half, total, shift, first, stop, spectrum, chirps, out):
    """Multiply channels `first` to `stop` by their chirps, with the middle of each channel first.

    `spectrum` is the address of `total` points, `shift` the place of the first channel, which has
    ``2 half`` points, as the others. `chirps` are those of all channels. `one` is the spec of
    single points.
    """
    lanes = block_lanes(spec)
    whole = half // lanes * lanes
    for chan in range(first, stop):
        to = out + 16 * (chan - first) * half
        for side in range(2):
            source = spectrum + 8 * (((2 * chan + 1 - side) * half + shift) % total)
            chirp = chirps + 8 * (2 * chan + 1 - side) * half
            target = to + 8 * side * half
            _times_nb(spec, whole, source, chirp, target)
            _times_nb(one, half - whole, source + 8 * whole, chirp + 8 * whole, target + 8 * whole)


@jit
def chirp_nb(first, step, centre, dispersion, scale, out):
    """Write the chirp of one channel, complex64: the inverse of what the medium did.

    Point k has the frequency ``first + k step`` in bandwidths. The phase is computed in float64 and
    reduced to one turn. The factor of all points is `scale`.
    """
    for k in range(out.size):
        f = first + k * step
        d = f - centre
        turns = dispersion * d * d / (f * centre * centre)
        angle = -2 * np.pi * (turns - np.round(turns))
        out[k] = complex(scale * np.cos(angle), scale * np.sin(angle))


@jit
def add_powers_nb(a, b, start, n_int, sums, out):
    """Add the powers of voltages to sums of `n_int` samples, and write those that end.

    Parameters
    ----------
    a, b : ndarray, shape (chan, n), complex64
        Voltages of two polarisations; twice the same for one.
    start : int
        Number of samples in the sums so far.
    sums : ndarray, shape (chan, 4), float64
        Sums of ``|a|^2``, ``|b|^2`` and of both parts of ``conj(a) b``.
    out : ndarray, shape (n_out, chan, 4), float64
        Receives finished sums.
    """
    for chan in range(a.shape[0]):
        at, done, left = 0, 0, n_int - start
        while at < a.shape[1]:
            stop = min(a.shape[1], at + left)
            _add_segment_nb(a[chan, at:stop], b[chan, at:stop], sums[chan])
            left -= stop - at
            if left == 0:
                for p in range(4):
                    out[done, chan, p] = sums[chan, p]
                    sums[chan, p] = 0
                done += 1
                left = n_int
            at = stop


@jit_inner
def _add_segment_nb(a, b, sums):
    """Add the powers of one stretch; float32 is exact enough for a few thousand samples."""
    for first in range(0, a.size, 2048):
        aa, bb, cr, ci = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for i in range(first, min(a.size, first + 2048)):
            x, y = a[i], b[i]
            aa += x.real * x.real + x.imag * x.imag
            bb += y.real * y.real + y.imag * y.imag
            cr += x.real * y.real + x.imag * y.imag
            ci += x.real * y.imag - x.imag * y.real
        sums[0] += aa
        sums[1] += bb
        sums[2] += cr
        sums[3] += ci
