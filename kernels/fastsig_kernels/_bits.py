"""Units of packed samples: bytes, pairs of bytes, or words with bits left over."""

import numpy as np

from . import _check

WHOLE = (1, 2, 4, 8)

_ORDERS = ("lsb", "msb")
_MOST_BITS = 16
_SIGNED = (8, 16)

_NO_LEVELS = np.zeros(1, np.float32)
_NO_LEVELS.flags.writeable = False


def unit_of(n_bits: int) -> tuple[int, int]:
    """Return the number of bytes and of samples in a unit."""
    if n_bits in WHOLE:
        return 1, 8 // n_bits
    return (2, 1) if n_bits == 16 else (4, 32 // n_bits)


def code_type(n_bits: int) -> str:
    return "uint8" if n_bits <= 8 else "uint16"


def check_bits(n_bits: int) -> int:
    n_bits = _check.count("n_bits", n_bits)
    if n_bits > _MOST_BITS:
        raise ValueError(f"n_bits: found {n_bits}, allowed 1 to {_MOST_BITS}")
    return n_bits


def is_msb(order: str, n_bits: int) -> bool:
    if _check.choice("order", order, _ORDERS) == "msb" and n_bits not in WHOLE:
        raise ValueError(f"order: found 'msb', allowed lsb for {n_bits} bits")
    return order == "msb"


def values_of(n_bits: int, levels: np.ndarray | None, offset: float | None
              ) -> tuple[str, np.ndarray]:
    """Return how codes become values, and the levels (a placeholder if there are none)."""
    if levels is None:
        if offset is not None and not np.isfinite(_check.number("offset", offset)):
            raise ValueError(f"offset: found {offset}, allowed a finite number")
        signed = n_bits in _SIGNED and offset is None
        return "signed" if signed else "offset", _NO_LEVELS
    if offset is not None:
        raise ValueError(f"offset: found {offset}, allowed without levels")
    if n_bits > 8:
        raise ValueError(f"levels: found a table for {n_bits} bits, allowed for up to 8")
    _check.array("levels", levels, ("float32",), 1)
    _check.shape("levels", levels, (2**n_bits,))
    return "levels", levels
