"""Conversion of numbers to integers of few bits, and packing of these into bytes."""


import numpy as np

from . import _check
from ._bits import check_bits, code_type, is_msb, unit_of, values_of
from ._jit import jit, jit_strict

_MOST_LEVEL_BITS = 4  # up to this many bits, `to_codes` supports levels


def pack(
    codes: np.ndarray, n_bits: int, *, order: str = "lsb", out: np.ndarray | None = None
) -> np.ndarray:
    """Pack codes of 1 to 16 bits into bytes: the inverse of `unpack`.

    ``unit i of out = sum_j codes[i s + j] 2^(shift of j)``, with units of s samples as for
    `unpack`. Unused bits are 0.

    Parameters
    ----------
    codes : ndarray, shape (n_sample,), uint8 or for more than 8 bits uint16, dimensionless
        Codes below ``2**n_bits``, which must fill whole units; any stride.
    n_bits : int
        Bits per sample, 1 to 16.
    order : str
        ``"lsb"`` or ``"msb"``; see `unpack`.
    out : ndarray, shape (n_byte,), uint8, dimensionless, optional
        Receives the result.

    Returns
    -------
    ndarray, shape (n_byte,), uint8, dimensionless
        `out`, or a new array.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or has the wrong dtype.
    ValueError
        If a code is too large, a unit is not filled, or an option is not allowed.

    Notes
    -----
    A call allocates nothing when `out` is given; the GIL is released.
    """
    n_bits = check_bits(n_bits)
    _check.array("codes", codes, (code_type(n_bits),), 1)
    msb = is_msb(order, n_bits)
    unit, per_unit = unit_of(n_bits)
    if codes.size % per_unit:
        raise ValueError(f"codes: found {codes.size}, allowed a multiple of {per_unit}")
    if codes.size and codes.max() >= 2**n_bits:
        raise ValueError(f"codes: found {codes.max()}, allowed up to {2**n_bits - 1}")
    out = _check.output("out", out, (codes.size // per_unit * unit,), "uint8", codes)
    pack_nb(codes, n_bits, msb, out)
    return out


@jit
def pack_nb(codes, n_bits, msb, out):
    """Fill `out` as `pack` does; arguments are not checked."""
    if n_bits != 1 and n_bits != 2 and n_bits != 4 and n_bits != 8:
        _pack_words_nb(codes, n_bits, out)
        return
    per_byte = 8 // n_bits
    out[:] = 0
    for j in range(per_byte):
        shift = 8 - (j + 1) * n_bits if msb else j * n_bits
        lane = codes[j::per_byte]
        for i in range(out.size):
            out[i] |= np.uint8(lane[i] << shift)


@jit
def _pack_words_nb(codes, n_bits, out):
    """Do `pack_nb` for units of several bytes."""
    unit = 2 if n_bits == 16 else 4
    per_unit = 8 * unit // n_bits
    for i in range(out.size // unit):
        word = np.uint32(0)
        for j in range(per_unit):
            word |= np.uint32(codes[np.uint64(i * per_unit + j)]) << np.uint32(j * n_bits)
        for j in range(unit):
            out[np.uint64(i * unit + j)] = np.uint8(word >> np.uint32(8 * j))


def quantize(x: np.ndarray, *, out: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """Round floats to 8-bit integers and count those that do not fit.

    ``out = min(max(round(x), -128), 127)``, with halves rounded to even.

    Parameters
    ----------
    x : ndarray, shape (n_sample,), float32, units of the last place of `out`
        Samples, with any stride. Inf is clipped.
    out : ndarray, shape (n_sample,), int8, unit of x, optional
        Receives the result.

    Returns
    -------
    out : ndarray, shape (n_sample,), int8, unit of x
        `out`, or a new array.
    n_clipped : int
        Number of samples with a rounded value out of range.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or has the wrong dtype.
    ValueError
        If a shape is wrong, or x contains NaN, which no integer can represent; NaN is then 0 in
        `out`.

    Notes
    -----
    A call allocates nothing when `out` is given; the GIL is released.
    """
    _check.array("x", x, ("float32",), 1)
    out = _check.output("out", out, x.shape, "int8", x)
    n_clipped, n_nan = quantize_nb(x, out)
    if n_nan:
        raise ValueError(f"x: found {n_nan} NaN, allowed numbers")
    return out, int(n_clipped)


@jit
def quantize_nb(x, out):
    """Fill `out` as `quantize` does and return (n_clipped, n_nan); NaN becomes 0."""
    n_clipped = 0
    n_nan = 0
    for i in range(x.size):
        value = np.rint(x[i])
        n_nan += np.isnan(value)
        n_clipped += (value < -128) | (value > 127)
        value = np.float32(0) if np.isnan(value) else value
        out[i] = np.int8(min(max(value, np.float32(-128)), np.float32(127)))
    return n_clipped, n_nan


def to_codes(
    x: np.ndarray,
    n_bits: int,
    *,
    levels: np.ndarray | None = None,
    offset: float | None = None,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, int, int]:
    """Return the codes that best represent samples, and count clipped and inexact samples.

    ``out = argmin_c |x - levels[c]|``, with the higher of two equally close levels. Without
    levels, ``out = min(max(round(x + offset), 0), 2^n_bits - 1)``, with halves rounded to even.
    If the codes are packed, `unpack` with the same options gives their values.

    Parameters
    ----------
    x : ndarray, shape (n_sample,), float32, int16 or int8, unit of levels
        Samples, with any stride. Inf is clipped.
    n_bits : int
        Bits per code, 1 to 16.
    levels : ndarray, shape (2**n_bits,), float32, any unit, optional
        Value of each code, in any order, for up to 4 bits.
    offset : float, unit of a code, optional
        The code with the value 0, converted to float32. By default, codes of 8 and 16 bits are in
        two's complement, and the offset of others is 0.
    out : ndarray, shape (n_sample,), uint8 or for more than 8 bits uint16, dimensionless, optional
        Receives the codes.

    Returns
    -------
    out : ndarray, shape (n_sample,), uint8 or uint16, dimensionless
        `out`, or a new array.
    n_clipped : int
        Number of samples beyond the outermost values by more than half a step, or, with levels, by
        more than half the distance between the outermost two.
    n_inexact : int
        Number of samples that their codes do not represent exactly, including clipped samples.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or has the wrong dtype.
    ValueError
        If a shape, the bits or a level is not allowed, levels and offset are both given, or x
        contains NaN, for which there is no code; its code in `out` is then arbitrary.

    Notes
    -----
    A call allocates a few kB when `out` is given; the GIL is released.
    """
    _check.array("x", x, ("float32", "int16", "int8"), 1)
    n_bits = check_bits(n_bits)
    kind, levels = values_of(n_bits, levels, offset)
    if kind == "levels":
        if n_bits > _MOST_LEVEL_BITS:
            raise ValueError(f"levels: found a table for {n_bits} bits, allowed for up to "
                             f"{_MOST_LEVEL_BITS}")
        if not np.isfinite(levels).all():
            raise ValueError(f"levels: found {levels.tolist()}, allowed finite numbers")
    out = _check.output("out", out, x.shape, code_type(n_bits), x, levels)
    if kind == "levels":
        found = nearest_codes_nb(x, *_thresholds(levels), out)
    else:
        least = -(2 ** (n_bits - 1)) if kind == "signed" else 0
        found = round_codes_nb(x, np.float32(offset or 0), least, least + 2**n_bits - 1, out)
    n_clipped, n_inexact, n_nan = found
    if n_nan:
        raise ValueError(f"x: found {n_nan} NaN, allowed numbers")
    return out, int(n_clipped), int(n_inexact)


def _thresholds(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes sorted by level, the sorted levels, and the lowest float32 in each level's cell.

    The first threshold belongs to the lowest level, the last to a level beyond the highest.
    """
    codes = np.argsort(levels, kind="stable")
    level = levels[codes].astype(np.float64)
    # Add one level at each end, continuing the spacing of the outermost two levels.
    level = np.concatenate([2 * level[:1] - level[1:2], level, 2 * level[-1:] - level[-2:-1]])
    middle = (level[1:] + level[:-1]) / 2
    with np.errstate(over="ignore"):
        least = middle.astype(np.float32)
    least = np.where(least < middle, np.nextafter(least, np.float32(np.inf)), least)
    return codes.astype(np.uint8), levels[codes], least


_TILE = 1024  # samples that are compared with all levels while in the first-level cache


@jit_strict
def nearest_codes_nb(x, codes, levels, least, out):
    """Fill `out` with the codes of the nearest of ascending `levels`; nothing is checked.

    ``least[k]`` is the lowest sample of level k; its last entry is the lowest sample that is
    clipped at the upper end. The function returns (n_clipped, n_inexact, n_nan).
    """
    n_clipped = 0
    n_inexact = 0
    n_nan = 0
    # All numbers have the width of samples, and sums replace conditions, so that this becomes
    # vector code on all processors. A level that equals the sample adds 256 to the sum of the
    # steps between codes.
    samples, sums = np.empty(_TILE, np.float32), np.empty(_TILE, np.int32)
    low, high = least[0], least[-1]
    for first in range(0, x.size, _TILE):
        part = x[first : first + _TILE]
        target = out[first : first + _TILE]
        n = part.size
        for i in range(n):
            samples[i] = np.float32(part[i])
            sums[i] = np.int32(codes[0]) + np.int32(samples[i] == levels[0]) * np.int32(256)
        for k in range(1, levels.size):
            bound, level = least[k], levels[k]
            step = np.int32(codes[k]) - np.int32(codes[k - 1])
            for i in range(n):
                sums[i] += (np.int32(samples[i] >= bound) * step
                            + np.int32(samples[i] == level) * np.int32(256))
        for i in range(n):
            value, inexact = samples[i], sums[i] < 256
            n_nan += np.isnan(value)
            n_inexact += inexact
            n_clipped += inexact & ((value < low) | (value >= high))
            target[i] = np.uint8(sums[i])
    return n_clipped, n_inexact, n_nan


@jit_strict
def round_codes_nb(x, offset, least, most, out):
    """Fill `out` with ``round(x + offset)``, between `least` and `most`; nothing is checked.

    Negative codes are stored in two's complement. The function returns (n_clipped, n_inexact,
    n_nan).
    """
    n_clipped = 0
    n_inexact = 0
    n_nan = 0
    low, high = np.float64(least), np.float64(most)
    for i in range(x.size):
        sample = np.float32(x[i])
        n_nan += np.isnan(sample)
        value = np.rint(np.float64(sample) + np.float64(offset))
        n_clipped += (value < low) | (value > high)
        value = low if np.isnan(value) else min(max(value, low), high)
        n_inexact += np.float32(value) - offset != sample
        out[i] = np.int32(value)
    return n_clipped, n_inexact, n_nan
