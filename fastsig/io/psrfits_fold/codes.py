"""Codes of profiles: 16-bit integers with a scale and an offset for each profile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["codes_of", "filled"]

F4 = NDArray[np.float32]

_HIGHEST = 32767


def filled(values: F4) -> F4:
    """Return profiles in which bins without data have the median of the others; 0 if all lack data.

    Parameters
    ----------
    values : ndarray, shape (product, chan, bin), float32
    """
    lost = ~np.isfinite(values)
    if not lost.any():
        return values
    flat = values.reshape(-1, values.shape[-1]).copy()
    for row in np.flatnonzero(lost.any(axis=-1)):
        there = flat[row][np.isfinite(flat[row])]
        flat[row][~np.isfinite(flat[row])] = np.median(there) if there.size else 0
    return flat.reshape(values.shape)


def codes_of(values: F4) -> tuple[NDArray[np.int16], F4, F4]:
    """Return codes, scales and offsets: values are ``code scale + offset``.

    The offset is the middle of a profile's range, and a step 1/65534 of that range or little more,
    so that a value is off by half a step at most, besides the rounding of float32.

    Parameters
    ----------
    values : ndarray, shape (product, chan, bin), float32
        Finite values.
    """
    low, high = (part.astype(np.float64) for part in (values.min(axis=-1), values.max(axis=-1)))
    offset = ((low + high) / 2).astype(np.float32)
    # The offset is rounded, so that one end may be farther from it than the other.
    half = np.maximum(high - offset, offset - low)
    scale = (half / _HIGHEST).astype(np.float32)
    scale[scale == 0] = 1
    steps = (values - offset[..., None].astype(np.float64)) / scale[..., None]
    codes = np.clip(np.rint(steps), -_HIGHEST, _HIGHEST)
    return codes.astype(np.int16), scale, offset
