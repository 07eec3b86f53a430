"""Checks shared by analysis and synthesis banks. NumPy only."""

from fractions import Fraction

import numpy as np

from . import _check

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
        ratio = Fraction(*oversample) if isinstance(oversample, tuple) else Fraction(oversample)
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
