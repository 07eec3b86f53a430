"""Packed integers to floats and back."""

import numpy as np

from . import _check
from ._jit import jit

_BITS = (1, 2, 4, 8)
_ORDERS = ("lsb", "msb")


def _default_levels(n_bits: int) -> np.ndarray:
    codes = np.arange(2**n_bits)
    values = np.where(codes < 128, codes, codes - 256) if n_bits == 8 else codes
    levels = values.astype(np.float32)
    levels.flags.writeable = False
    return levels


_LEVELS = {n_bits: _default_levels(n_bits) for n_bits in _BITS}


def unpack(
    packed: np.ndarray,
    n_bits: int,
    *,
    order: str = "lsb",
    levels: np.ndarray | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Values of samples packed 1, 2, 4 or 8 bits each.

    ``out[i s + j] = levels[code j of packed[i]]`` with ``s = 8 / n_bits``.

    Parameters
    ----------
    packed : ndarray, shape (n_byte,), uint8, dimensionless
        Packed codes, of any stride.
    n_bits : int
        Bits a sample: 1, 2, 4 or 8.
    order : str
        ``"lsb"`` if a byte's first sample is in its lowest bits, or ``"msb"``.
    levels : ndarray, shape (2**n_bits,), float32, any unit, optional
        Value of each code. By default the two's complement value for 8 bits, and
        the code itself, an unsigned integer, for fewer bits.
    out : ndarray, shape (n_byte 8 / n_bits,), float32, unit of levels, optional
        Receives the result.

    Returns
    -------
    ndarray, shape (n_byte 8 / n_bits,), float32, unit of levels
        `out`, or a new array.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or of another dtype.
    ValueError
        If a shape, the bits or the order is not allowed.

    Notes
    -----
    Allocates nothing when `out` is given; a NaN level is passed on; the GIL is
    released.
    """
    _check.array("packed", packed, ("uint8",), 1)
    n_bits = _check_bits(n_bits)
    msb = _is_msb(order)
    if levels is None:
        levels = _LEVELS[n_bits]
    _check.array("levels", levels, ("float32",), 1)
    _check.shape("levels", levels, (2**n_bits,))
    out = _check.output("out", out, (packed.size * (8 // n_bits),), "float32")
    unpack_nb(packed, n_bits, msb, levels, out)
    return out


@jit
def unpack_nb(packed, n_bits, msb, levels, out):
    """Fill `out` as `unpack` does; arguments are not checked."""
    per_byte = 8 // n_bits
    mask = (1 << n_bits) - 1
    for j in range(per_byte):
        shift = 8 - (j + 1) * n_bits if msb else j * n_bits
        lane = out[j::per_byte]
        for i in range(packed.size):
            lane[i] = levels[np.uint64((packed[i] >> shift) & mask)]


def pack(
    codes: np.ndarray, n_bits: int, *, order: str = "lsb", out: np.ndarray | None = None
) -> np.ndarray:
    """Pack codes of 1, 2, 4 or 8 bits into bytes: the inverse of `unpack`.

    ``out[i] = sum_j codes[i s + j] 2^(shift of j)`` with ``s = 8 / n_bits``.

    Parameters
    ----------
    codes : ndarray, shape (n_sample,), uint8, dimensionless
        Codes below ``2**n_bits``, as many as fill whole bytes; any stride.
    n_bits : int
        Bits a sample: 1, 2, 4 or 8.
    order : str
        ``"lsb"`` or ``"msb"``, see `unpack`.
    out : ndarray, shape (n_sample n_bits / 8,), uint8, dimensionless, optional
        Receives the result.

    Returns
    -------
    ndarray, shape (n_sample n_bits / 8,), uint8, dimensionless
        `out`, or a new array.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or of another dtype.
    ValueError
        If a code is too large, a byte is not filled, or an option not allowed.

    Notes
    -----
    Allocates nothing when `out` is given; the GIL is released.
    """
    _check.array("codes", codes, ("uint8",), 1)
    n_bits = _check_bits(n_bits)
    msb = _is_msb(order)
    if codes.size % (8 // n_bits):
        raise ValueError(f"codes: found {codes.size}, allowed a multiple of {8 // n_bits}")
    if codes.size and codes.max() >= 2**n_bits:
        raise ValueError(f"codes: found {codes.max()}, allowed up to {2**n_bits - 1}")
    out = _check.output("out", out, (codes.size // (8 // n_bits),), "uint8")
    pack_nb(codes, n_bits, msb, out)
    return out


@jit
def pack_nb(codes, n_bits, msb, out):
    """Fill `out` as `pack` does; arguments are not checked."""
    per_byte = 8 // n_bits
    out[:] = 0
    for j in range(per_byte):
        shift = 8 - (j + 1) * n_bits if msb else j * n_bits
        lane = codes[j::per_byte]
        for i in range(out.size):
            out[i] |= np.uint8(lane[i] << shift)


def quantize(x: np.ndarray, *, out: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """Round floats to 8-bit integers and count those that do not fit.

    ``out = min(max(round(x), -128), 127)``, halves to the even neighbour.

    Parameters
    ----------
    x : ndarray, shape (n_sample,), float32, units of the last place of `out`
        Samples, of any stride. Inf is clipped.
    out : ndarray, shape (n_sample,), int8, unit of x, optional
        Receives the result.

    Returns
    -------
    out : ndarray, shape (n_sample,), int8, unit of x
        `out`, or a new array.
    n_clipped : int
        Number of samples whose rounded value was out of range.

    Raises
    ------
    TypeError
        If an array is an ndarray subclass or of another dtype.
    ValueError
        If a shape is wrong, or x holds NaN, which no integer stands for; `out` then
        holds 0 in its place.

    Notes
    -----
    Allocates nothing when `out` is given; the GIL is released.
    """
    _check.array("x", x, ("float32",), 1)
    out = _check.output("out", out, x.shape, "int8")
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


def _check_bits(n_bits: int) -> int:
    n_bits = _check.count("n_bits", n_bits)
    if n_bits not in _BITS:
        raise ValueError(f"n_bits: found {n_bits}, allowed {', '.join(map(str, _BITS))}")
    return n_bits


def _is_msb(order: str) -> bool:
    if order not in _ORDERS:
        raise ValueError(f"order: found {order!r}, allowed {', '.join(_ORDERS)}")
    return order == "msb"
