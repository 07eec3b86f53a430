"""Whole transforms over rows, and the step between real signals and half-length ones."""

import numpy as np

from ._jit import jit
from ._order import PAD
from ._passes import (
    block_lanes,
    columns_nb,
    gather_nb,
    inner_passes_nb,
    leaf_nb,
    move,
    split_pairs,
)


@jit
def transform_rows(
    spec_in, spec, spec_out, source, source_next, target, target_next, n_row, n_point, radices,
    first_twiddles, leaf_twiddles, inner, leaves, work, stage, group, offsets, flips, scale,
):
    """Transform `n_row` rows of NumPy's complex64, `*_next` bytes apart.

    Rows go through `stage`, one transform long, on their way in and out: passes with long
    strides then stay in the cache, and memory is read and written in order, which the
    processor foresees.
    """
    lanes = block_lanes(spec)
    block = 8 * lanes
    for row in range(n_row):
        place = source + row * source_next
        result = target + row * target_next
        if radices.size == 0:
            leaf_nb(spec_in, place, leaf_twiddles, work)
            gather_nb(spec_out, leaves.size, group, work, offsets, flips, result, 8, 0, False,
                      scale)
            continue
        radix = radices[0]
        step = 8 * (n_point // radix)
        for offset in range(0, 8 * n_point, block):
            split_pairs(spec_in, place + offset, stage + offset)
        columns_nb(spec, radix, step // block, stage, step, block,
                   work, step + PAD, block, first_twiddles, (radix - 1) * block)
        n_inside = leaves.size // radix
        for part in range(radix):
            inner_passes_nb(spec, work + part * (step + PAD), inner)
            for i in range(part * n_inside, (part + 1) * n_inside):
                leaf_nb(spec, work + leaves[i], leaf_twiddles, work + leaves[i])
        gather_nb(spec_out, leaves.size, group, work, offsets, flips, stage, 8, 0, False, scale)
        for offset in range(0, 8 * n_point, block):
            move(spec, stage + offset, result + offset)


@jit
def join_real(rows, roots):
    """From transforms of even and odd samples (as one complex signal) to those of a real one.

    ``X[k] = (Z[k] + Z*[n-k]) / 2 - i/2 w^k (Z[k] - Z*[n-k])``, in place; the last column,
    not yet written, takes the Nyquist point.
    """
    n = rows.shape[1] - 1
    for r in range(rows.shape[0]):
        x = rows[r]
        first = x[0]
        for k in range(1, n // 2 + 1):
            p, q = x[k], x[n - k]
            sr, si = np.float32(0.5) * (p.real + q.real), np.float32(0.5) * (p.imag - q.imag)
            dr, di = p.real - q.real, p.imag + q.imag
            w = roots[k]
            tr, ti = w.real * dr - w.imag * di, w.real * di + w.imag * dr
            x[k] = complex(sr + tr, si + ti)
            x[n - k] = complex(sr - tr, ti - si)
        x[0] = complex(first.real + first.imag, np.float32(0))
        x[n] = complex(first.real - first.imag, np.float32(0))


def split_real(rows: np.ndarray, roots: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The inverse of `join_real`, into the memory of real rows, seen as complex."""
    half = out.view(np.complex64)
    _split_real(rows, roots, half)
    return half


@jit
def _split_real(rows, roots, out):
    n = rows.shape[1] - 1
    for r in range(rows.shape[0]):
        x, z = rows[r], out[r]
        first, last = x[0].real, x[n].real
        for k in range(1, n // 2 + 1):
            p, q = x[k], x[n - k]
            sr, si = np.float32(0.5) * (p.real + q.real), np.float32(0.5) * (p.imag - q.imag)
            dr, di = p.real - q.real, p.imag + q.imag
            w = roots[k]
            # Times the conjugate root: E and O from X[k] and X*[n - k].
            tr, ti = w.real * dr + w.imag * di, w.real * di - w.imag * dr
            z[k] = complex(sr + tr, si + ti)
            z[n - k] = complex(sr - tr, ti - si)
        z[0] = complex(np.float32(0.5) * (first + last), np.float32(0.5) * (first - last))
