"""Polyphase filtering: the weighted overlap-add before a transform."""

import numpy as np

from . import _check
from ._jit import jit_strict

_ALLOWED = ("int8", "int16", "float32", "complex64")


def polyphase_fir(x: np.ndarray, taps: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """Weight and fold samples into frames of one transform's length.

    ``y[m, j] = sum_t taps[t, j] x[(m + t) n_fft + j]``

    Parameters
    ----------
    x : ndarray, shape (n_sample,), int8, int16, float32 or complex64, any unit
        Samples, with any stride. Samples after the last whole frame are ignored.
    taps : ndarray, shape (n_tap, n_fft), float32, C-contiguous, dimensionless
        Coefficients, as from `prototype`.
    out : ndarray, shape (n_frame, n_fft), float32 or complex64, unit of x, optional
        Receives the result; must not overlap `x` or `taps`.
        ``n_frame = n_sample // n_fft - n_tap + 1``.

    Returns
    -------
    ndarray, shape (n_frame, n_fft), float32 or complex64, unit of x
        `out`, or a new array; complex64 if x is.

    Raises
    ------
    TypeError
        If an argument is an ndarray subclass or has the wrong dtype.
    ValueError
        If a shape is wrong or x is shorter than ``n_tap n_fft`` samples.

    Notes
    -----
    A call allocates nothing when `out` is given. NaN propagates to the frames and columns that use
    it, and the GIL is released. The bits of a frame depend neither on the other frames of a call
    nor on strides.
    """
    n_frame = _check_input(x, taps)
    dtype = "complex64" if x.dtype == np.complex64 else "float32"
    out = _check.output("out", out, (n_frame, taps.shape[1]), dtype, x, taps)
    kernel = polyphase_fir_complex_nb if dtype == "complex64" else polyphase_fir_nb
    kernel(x, taps, out)
    return out


def _check_input(x: np.ndarray, taps: np.ndarray) -> int:
    _check.array("x", x, _ALLOWED, 1)
    _check.array("taps", taps, ("float32",), 2)
    _check.c_contiguous("taps", taps)
    if taps.size == 0:
        raise ValueError(f"taps: found shape {taps.shape}, allowed one coefficient or more")
    if x.size < taps.size:
        raise ValueError(f"x: found {x.size} samples, allowed {taps.size} or more")
    return x.size // taps.shape[1] - taps.shape[0] + 1


@jit_strict
def polyphase_fir_nb(x, taps, out):
    """Fill `out` as `polyphase_fir` does, for real x; arguments are not checked."""
    n_tap, n_fft = taps.shape
    for m in range(out.shape[0]):
        row = out[m]
        row[:] = np.float32(0)
        for t in range(n_tap):
            # Slices keep signed index arithmetic, and therefore gathers, out of the loop.
            samples = x[(m + t) * n_fft : (m + t + 1) * n_fft]
            weights = taps[t]
            for j in range(n_fft):
                row[j] += weights[j] * np.float32(samples[j])


@jit_strict
def polyphase_fir_complex_nb(x, taps, out):
    """Fill `out` as `polyphase_fir` does, for complex x; arguments are not checked."""
    n_tap, n_fft = taps.shape
    for m in range(out.shape[0]):
        row = out[m]
        row[:] = np.complex64(0)
        for t in range(n_tap):
            samples = x[(m + t) * n_fft : (m + t + 1) * n_fft]
            weights = taps[t]
            for j in range(n_fft):
                # Multiply by parts, since a product with h + 0i would turn Inf into NaN.
                v = samples[j]
                row[j] += np.complex64(complex(weights[j] * v.real, weights[j] * v.imag))
