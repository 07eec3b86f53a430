"""Checks shared by analysis and synthesis banks, and where frames lie in memory. NumPy only."""

from fractions import Fraction
from typing import Any

import numpy as np

from . import _check
from .layout import Samples, samples_of

MAX_RATIO = 16
_MAX_TAP = 1e30


def oversample_ratio(
    oversample: Fraction | str | int | tuple[int, int], n_fft: int
) -> Fraction:
    """Return n_fft / hop as a Fraction, from 1 to 16, with a hop of whole samples."""
    if isinstance(oversample, bool) or not isinstance(oversample, (Fraction, str, int, tuple)):
        found = type(oversample).__name__
        raise TypeError(f"oversample: found {found}, allowed a Fraction, str, int or pair of ints")
    try:
        if isinstance(oversample, tuple):
            above, below = (_check.count("oversample", part) for part in oversample)
            ratio = Fraction(above, below)
        else:
            ratio = Fraction(oversample)
    except (ValueError, ZeroDivisionError, TypeError):
        raise ValueError(f"oversample: found {oversample!r}, allowed a ratio as '32/27'") from None
    if not 1 <= ratio <= MAX_RATIO or n_fft % ratio.numerator:
        raise ValueError(
            f"oversample: found {ratio}, allowed 1 to {MAX_RATIO} "
            f"with a numerator that divides {n_fft}"
        )
    return ratio


def float32_taps(taps: np.ndarray, n_fft: int) -> np.ndarray:
    """Return the coefficients as a read-only table, (n_tap, n_fft) float32."""
    _check.array("taps", taps, ("float32", "float64"), 2)
    if taps.shape[0] < 1 or taps.shape[1] != n_fft:
        raise ValueError(f"taps: found shape {taps.shape}, allowed (1 or more, {n_fft})")
    if not (np.abs(taps) < _MAX_TAP).all():
        raise ValueError("taps: found a value that is not finite or too large, "
                         f"allowed finite values below {_MAX_TAP:g}")
    table = np.array(taps, dtype=np.float32, order="C")
    table.flags.writeable = False
    return table


def frame_rows(bank: Any, x: np.ndarray, n_pol: int, start: int, n_frame: int
               ) -> tuple[np.ndarray, np.ndarray, int, Samples]:
    """Return where the rows of frames lie, the rows between frames, and their memory.

    The first frame begins at sample `start` of `x` (stream, pol, time); `bank` states layout, hop,
    n_fft and n_tap. A row is at the address of its stream and polarisation plus its offset, which
    are returned in this order; they are valid as long as the samples returned are alive.
    """
    layout, hop, n_fft = bank.layout, bank.hop, bank.n_fft
    # Only what is used is copied, if strides require a copy.
    part = layout.cut(x, start, start + (n_frame - 1) * hop + bank.n_tap * n_fft)
    samples = samples_of(part, layout, n_pol)
    bits = layout.sample_bits * (2 if layout.interleaved else 1)
    row_bytes = n_fft * bits // 8
    if hop == n_fft:
        return samples.base, row_bytes * np.arange(n_frame + bank.n_tap - 1), 1, samples
    first = np.arange(n_frame)[:, np.newaxis] * (hop * bits // 8)
    offsets = (first + row_bytes * np.arange(bank.n_tap)).reshape(-1)
    return samples.base, offsets, bank.n_tap, samples


def call_with(samples: Samples, function: Any, arguments: tuple[Any, ...]) -> object:
    """Call a loop on rows that `frame_rows` found; their samples are alive until it returns."""
    return function(*arguments)


def frame_turns(n_fft: int, hop: int, first_frame: int, n_frame: int) -> np.ndarray:
    """Return the rotation of each folded frame, in samples: m hop modulo n_fft."""
    ratio = Fraction(n_fft, hop)
    unit = n_fft // ratio.numerator
    frames = (first_frame % ratio.numerator + np.arange(n_frame)) % ratio.numerator
    return frames * ratio.denominator % ratio.numerator * unit
