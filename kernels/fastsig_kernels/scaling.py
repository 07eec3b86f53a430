"""Conversion between codes and floats, with a scale and offset for each product and channel."""

import numpy as np

from . import _check
from ._jit import jit_strict

_TILE = 256  # channels that are processed together


def apply_scales(
    codes: np.ndarray,
    scale: np.ndarray,
    offset: np.ndarray,
    *,
    zero: np.ndarray | None = None,
    reverse: bool = False,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Return the values of codes with common scales, such as those of a PSRFITS row.

    ``out[t, p, c] = (codes[t, p, c] - zero[p]) scale[p, c] + offset[p, c]``, with each operation
    rounded to float32, in this order.

    Parameters
    ----------
    codes : ndarray, shape (n_time, n_product, n_chan), uint8, int8, int16 or float32, dimensionless
        Codes, with any strides; fastest if channels are contiguous.
    scale, offset : ndarray, shape (n_product, n_chan), float32, any unit
        Step, and the value of the code `zero`.
    zero : ndarray, shape (n_product,), float32, unit of a code, optional
        The code with the value `offset`; 0 by default.
    reverse : bool
        Whether channel c is written to ``out[t, p, n_chan - 1 - c]``, for descending bands.
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
    A call allocates nothing of the data's size when `out` is given. NaN propagates, also from scale
    and offset, and the GIL is released. Unlike `restore`, which rounds once, the result is
    bit-identical to float32 arithmetic with the formula of PSRFITS.

    References
    ----------
    PSRFITS definition, version 5.4 (2014): ZERO_OFF, DAT_SCL, DAT_OFFS.
    """
    _check.array("codes", codes, ("uint8", "int8", "int16", "float32"), 3)
    for name, table in (("scale", scale), ("offset", offset)):
        _check.array(name, table, ("float32",), 2)
        _check.shape(name, table, codes.shape[1:])
    if zero is None:
        zero = np.zeros(codes.shape[1], np.float32)
    _check.array("zero", zero, ("float32",), 1)
    _check.shape("zero", zero, codes.shape[1:2])
    out = _check.output("out", out, codes.shape, "float32", codes, scale, offset, zero)
    apply_scales_nb(codes, scale, offset, zero, _check.flag("reverse", reverse), out)
    return out


@jit_strict
def apply_scales_nb(codes, scale, offset, zero, reverse, out):
    """Fill `out` as `apply_scales` does; arguments are not checked."""
    for t in range(codes.shape[0]):
        for p in range(codes.shape[1]):
            if reverse:
                _row_backwards(codes[t, p], scale[p], offset[p], zero[p], out[t, p])
            else:
                _row(codes[t, p], scale[p], offset[p], zero[p], out[t, p])


@jit_strict
def _row(codes, scale, offset, zero, out):
    """Convert one spectrum of one product to values."""
    for c in range(codes.shape[0]):
        out[c] = (np.float32(codes[c]) - zero) * scale[c] + offset[c]


@jit_strict
def _row_backwards(codes, scale, offset, zero, out):
    """As `_row`, with the last channel first."""
    # Unsigned, since a signed index may count from the end, and the loop would remain scalar.
    n = np.uint64(codes.shape[0])
    for c in range(n):
        last = n - np.uint64(1) - c
        out[c] = (np.float32(codes[last]) - zero) * scale[last] + offset[last]


def widen(
    codes: np.ndarray, *, reverse: bool = False, out: np.ndarray | None = None
) -> np.ndarray:
    """Convert codes to floats, or copy floats, optionally with the channels reversed.

    ``out[t, p, c] = codes[t, p, c]``, or ``codes[t, p, n_chan - 1 - c]``.

    Parameters
    ----------
    codes : ndarray, shape (n_time, n_product, n_chan), uint8, int8, int16 or float32, dimensionless
        Codes or floats, with any strides; fastest if channels are contiguous.
    reverse : bool
        Whether channel c is written to ``out[t, p, n_chan - 1 - c]``, for descending bands.
    out : ndarray, shape of codes, float32, dimensionless, optional
        Receives the values.

    Returns
    -------
    ndarray, shape (n_time, n_product, n_chan), float32, dimensionless
        `out`, or a new array.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or has the wrong dtype.
    ValueError
        If a shape is wrong.

    Notes
    -----
    A call allocates nothing when `out` is given. NaN remains NaN, and the GIL is released. The
    result is exact, since float32 can represent all of these codes.

    References
    ----------
    D. R. Lorimer, SIGPROC: (Pulsar) Signal Processing Programs, on foff below 0.
    """
    _check.array("codes", codes, ("uint8", "int8", "int16", "float32"), 3)
    out = _check.output("out", out, codes.shape, "float32", codes)
    widen_nb(codes, _check.flag("reverse", reverse), out)
    return out


@jit_strict
def widen_nb(codes, reverse, out):
    """Fill `out` as `widen` does; arguments are not checked."""
    for t in range(codes.shape[0]):
        for p in range(codes.shape[1]):
            if reverse:
                _widen_backwards(codes[t, p], out[t, p])
            else:
                _widen_row(codes[t, p], out[t, p])


@jit_strict
def _widen_row(codes, out):
    """Convert one spectrum of one product to floats."""
    for c in range(codes.shape[0]):
        out[c] = np.float32(codes[c])


@jit_strict
def _widen_backwards(codes, out):
    """As `_widen_row`, with the last channel first."""
    n = np.uint64(codes.shape[0])  # unsigned as in `_row_backwards`
    for c in range(n):
        out[c] = np.float32(codes[n - np.uint64(1) - c])


def fit_scales(
    values: np.ndarray,
    n_bits: int = 8,
    *,
    out: np.ndarray | None = None,
    scale: np.ndarray | None = None,
    offset: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes that cover the range of each product and channel; `apply_scales` inverts this.

    ``scale = (most - least) / (2^n_bits - 1)``, ``out = round((values - offset) / scale)``, with
    halves rounded to even, where least and most are the extremes of the finite values. No value is
    clipped. Whole numbers with a range no larger than that of the codes have the scale 1, and are
    exact up to 2^24.

    Parameters
    ----------
    values : ndarray, shape (n_time, n_product, n_chan), float32, any unit
        Spectra, with any strides. Values that are not finite count as missing.
    n_bits : int
        8 for unsigned codes, or 16 for signed codes.
    out : ndarray, shape of values, uint8 or int16, dimensionless, optional
        Receives the codes; a missing value receives the code of the mean of the others.
    scale, offset : ndarray, shape (n_product, n_chan), float32, unit of values, optional
        Receive the step, and the value of code 0. The step is 1 if all values are equal. If all
        values are missing, they are treated as 0.

    Returns
    -------
    out, scale, offset : ndarray
        As above; new arrays if none were given.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or has the wrong dtype.
    ValueError
        If a shape or the number of bits is wrong.

    Notes
    -----
    ``scale codes + offset`` differs from the values by no more than half a step and the rounding of
    float32. A call allocates a few kB when all outputs are given; the GIL is released. The bits
    depend neither on strides nor on other channels.
    """
    _check.array("values", values, ("float32",), 3)
    n_bits = _check.count("n_bits", n_bits)
    if n_bits not in (8, 16):
        raise ValueError(f"n_bits: found {n_bits}, allowed 8 or 16")
    out = _check.output("out", out, values.shape, "uint8" if n_bits == 8 else "int16", values)
    scale = _check.output("scale", scale, values.shape[1:], "float32", values, out)
    offset = _check.output("offset", offset, values.shape[1:], "float32", values, out, scale)
    fit_scales_nb(values, 0 if n_bits == 8 else -(2**15), 2**n_bits - 1, out, scale, offset)
    return out, scale, offset


@jit_strict
def fit_scales_nb(values, first, span, out, scale, offset):
    """Fill the outputs as `fit_scales` does, with codes from `first` to ``first + span``."""
    sums = np.empty((5, _TILE))
    for p in range(values.shape[1]):
        for start in range(0, values.shape[2], _TILE):
            stop = min(start + _TILE, values.shape[2])
            tile = values[:, p, start:stop]
            steps, zeros = scale[p, start:stop], offset[p, start:stop]
            _ranges(tile, sums)
            _steps(sums, first, span, steps, zeros)
            _nearest(tile, sums[2], first, span, steps, zeros, out[:, p, start:stop])


@jit_strict
def _ranges(values, sums):
    """Compute the least, most, sum and number of finite values; count those that are not whole."""
    least, most, total, count, broken = sums[0], sums[1], sums[2], sums[3], sums[4]
    least[:], most[:] = np.inf, -np.inf
    total[:], count[:], broken[:] = 0.0, 0.0, 0.0
    for t in range(values.shape[0]):
        for c in range(values.shape[1]):
            x = np.float64(values[t, c])
            if np.isfinite(x):
                least[c] = min(least[c], x)
                most[c] = max(most[c], x)
                total[c] += x
                count[c] += 1.0
                broken[c] += np.floor(x) != x


@jit_strict
def _steps(sums, first, span, scale, offset):
    """Compute the scale and offset of each channel, and replace the sums by the means."""
    least, most, mean, count, broken = sums[0], sums[1], sums[2], sums[3], sums[4]
    for c in range(scale.shape[0]):
        if count[c] == 0:
            least[c], most[c], count[c] = 0.0, 0.0, 1.0
        mean[c] /= count[c]
        wide = most[c] - least[c]
        whole = broken[c] == 0 and wide <= span
        scale[c] = np.float32(1.0) if whole or wide == 0 else np.float32(wide / span)
        if scale[c] == 0:  # values differ by less than float32 can represent
            scale[c] = np.float32(1.0)
        offset[c] = np.float32(least[c] - first * np.float64(scale[c]))


@jit_strict
def _nearest(values, mean, first, span, scale, offset, out):
    """Compute the codes of (time, chan) values."""
    for t in range(values.shape[0]):
        for c in range(values.shape[1]):
            x = np.float64(values[t, c])
            x = x if np.isfinite(x) else mean[c]
            code = np.rint((x - np.float64(offset[c])) / np.float64(scale[c]))
            out[t, c] = min(max(code, np.float64(first)), np.float64(first + span))
