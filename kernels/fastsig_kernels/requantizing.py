"""Conversion of float powers to 8-bit codes with a scale and offset per channel, and back."""

import numpy as np

from . import _check
from ._jit import jit_strict

#: Number of codes in a standard deviation of a channel.
STEPS = 11

#: Code of a channel's mean, 5.3 standard deviations above code 0. If a value is even lower, code 0
#: is that value. Any 256 values lie within a range of sqrt(2 256) = 22.6 standard deviations, and
#: within sqrt(255) = 16.0 of the mean, so they always fit into the 23.2 standard deviations that
#: 256 codes cover.
MEAN_CODE = 58

_ULP = 2.0**-23

_TILE = 256  # channels that are processed together


def requantize(
    power: np.ndarray,
    *,
    out: np.ndarray | None = None,
    scale: np.ndarray | None = None,
    offset: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]:
    """Convert a segment of spectra to codes, with a scale and offset for each product and channel.

    ``scale = sigma / 11`` (at least 2^-23 of the mean), ``offset = min(mean - 58 scale, least)``
    and ``out = min(max(round((power - offset) / scale), 0), 255)``, with halves rounded to even.
    The mean, the standard deviation sigma and the least value are those of the finite values of the
    segment. If a segment has up to 256 values, none is outside the range of the codes.

    Parameters
    ----------
    power : ndarray, shape (n_time, n_product, n_chan), float32, any unit
        A segment of spectra, with any strides. Missing values are NaN.
    out : ndarray, shape of power, uint8, dimensionless, optional
        Receives the codes; NaN receives the code of the mean.
    scale, offset : ndarray, shape (n_product, n_chan), float32, unit of power, optional
        Receive the step, and the value of code 0. If all finite values are equal, `scale` is 0,
        `offset` is that value, and the codes are 58; if there are none, both are 0.

    Returns
    -------
    out, scale, offset : ndarray
        As above; new arrays if none were given.
    n_clipped : tuple of int
        Numbers of values below code 0 and above code 255. Inf is clipped.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or has the wrong dtype.
    ValueError
        If a shape is wrong.

    Notes
    -----
    A call allocates a few kB when all outputs are given; the GIL is released. NaN receives the code
    of the mean, so only weights can mark missing values. The bits depend neither on strides nor on
    other channels.

    References
    ----------
    F. A. Jenet and S. B. Anderson, PASP 110, 1467 (1998): losses through quantisation.
    """
    _check.array("power", power, ("float32",), 3)
    out = _check.output("out", out, power.shape, "uint8", power)
    scale = _check.output("scale", scale, power.shape[1:], "float32", power, out)
    offset = _check.output("offset", offset, power.shape[1:], "float32", power, out, scale)
    low, high = requantize_nb(power, out, scale, offset)
    return out, scale, offset, (int(low), int(high))


@jit_strict
def requantize_nb(power, out, scale, offset):
    """Fill the outputs as `requantize` does and return (n_low, n_high); nothing is checked."""
    n_low = 0
    n_high = 0
    sums = np.empty((5, _TILE))
    for p in range(power.shape[1]):
        for first in range(0, power.shape[2], _TILE):
            stop = min(first + _TILE, power.shape[2])
            tile = power[:, p, first:stop]
            steps = scale[p, first:stop]
            zeros = offset[p, first:stop]
            _levels(tile, sums, steps, zeros)
            low, high = _codes(tile, sums[2], steps, zeros, out[:, p, first:stop])
            n_low += low
            n_high += high
    return n_low, n_high


@jit_strict
def _levels(power, sums, scale, offset):
    """Compute the scale and offset of each channel of (time, chan) powers, in two passes."""
    sums[:] = 0.0
    count, pivot, mean, square, least = sums[0], sums[1], sums[2], sums[3], sums[4]
    for m in range(power.shape[0]):
        for c in range(power.shape[1]):
            if np.isfinite(power[m, c]):
                # Relative to the first value, so that equal values have a deviation of exactly 0.
                if count[c] == 0:
                    pivot[c] = least[c] = power[m, c]
                least[c] = min(least[c], np.float64(power[m, c]))
                count[c] += 1.0
                mean[c] += np.float64(power[m, c]) - pivot[c]
    for c in range(power.shape[1]):
        mean[c] = pivot[c] + mean[c] / max(count[c], 1.0)
    for m in range(power.shape[0]):
        for c in range(power.shape[1]):
            if np.isfinite(power[m, c]):
                square[c] += (np.float64(power[m, c]) - mean[c]) ** 2
    for c in range(power.shape[1]):
        sigma = np.sqrt(square[c] / max(count[c], 1.0))
        # No finer than float32 itself, or the offset could not be accurate to half a step.
        step = max(sigma / STEPS, abs(mean[c]) * _ULP) if sigma > 0 else 0.0
        scale[c] = np.float32(step)
        offset[c] = np.float32(min(mean[c] - MEAN_CODE * np.float64(scale[c]), least[c]))


@jit_strict
def _codes(power, mean, scale, offset, out):
    """Fill the codes of (time, chan) powers and count the values outside their range."""
    n_low = 0
    n_high = 0
    for m in range(power.shape[0]):
        for c in range(power.shape[1]):
            code = np.float64(MEAN_CODE)
            value = mean[c] if np.isnan(power[m, c]) else np.float64(power[m, c])
            if scale[c] > 0 or np.isinf(value):
                code = np.rint((value - offset[c]) / scale[c])
            n_low += code < 0
            n_high += code > 255
            out[m, c] = np.uint8(min(max(code, 0.0), 255.0))
    return n_low, n_high


def restore(
    codes: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    *,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the values of the codes of a segment: the inverse of `requantize`, within half a step.

    ``out = offset + scale codes``, rounded once.

    Parameters
    ----------
    codes : ndarray, shape (n_time, n_product, n_chan), uint8, dimensionless
        All or some spectra of one segment, with any strides.
    scale, offset : ndarray, shape (n_product, n_chan), float32, any unit
        Step, and value of code 0.
    out : ndarray, shape of codes, float32, unit of scale, optional
        Receives the values.

    Returns
    -------
    ndarray, shape (n_time, n_product, n_chan), float32, unit of scale
        `out`, or a new array.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or has the wrong dtype.
    ValueError
        If a shape is wrong.

    Notes
    -----
    A call allocates nothing when `out` is given. NaN in scale and offset propagates, and the GIL is
    released.
    """
    _check.array("codes", codes, ("uint8",), 3)
    for name, table in (("scale", scale), ("offset", offset)):
        _check.array(name, table, ("float32",), 2)
        _check.shape(name, table, codes.shape[1:])
    out = _check.output("out", out, codes.shape, "float32", codes, scale, offset)
    restore_nb(codes, scale, offset, out)
    return out


@jit_strict
def restore_nb(codes, scale, offset, out):
    """Fill `out` as `restore` does; arguments are not checked."""
    for m in range(codes.shape[0]):
        for p in range(codes.shape[1]):
            for c in range(codes.shape[2]):
                step = np.float64(scale[p, c]) * np.float64(codes[m, p, c])
                out[m, p, c] = np.float32(np.float64(offset[p, c]) + step)
