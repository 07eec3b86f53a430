"""Rows of PSRFITS tables that are written: their number of spectra, and codes without scales."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import OutputError
from fastsig.io.psrfits.written_header import fields_of
from fastsig.stream import Codes

__all__ = ["CODES", "N_BLOCK", "block_length", "level_of", "plain_codes", "row_bytes"]

F4 = NDArray[np.float32]

#: Largest number of spectra in a row by default, as at FAST.
N_BLOCK = 1024
#: The smallest and the largest code of a file, by number of bits.
CODES = {8: (0, 2**8 - 1), 16: (-(2**15), 2**15 - 1)}


def block_length(n_time: int, asked: int | None = None) -> int:
    """Return the spectra per row: `asked`, or the number that leaves the last row fullest."""
    if asked is not None or n_time <= N_BLOCK:
        return min(N_BLOCK if asked is None else asked, n_time)
    return min(range(N_BLOCK, N_BLOCK // 4 - 1, -1), key=lambda length: -n_time % length)


def level_of(codes: Codes, n_bits: int) -> int:
    """Return the value of code 0 for whole numbers of a range: 0 if they all fit as they are."""
    low, high = CODES[n_bits]
    return 0 if low <= codes.low and codes.high <= high else codes.low - low


def row_bytes(shape: tuple[int, ...], n_bits: int, n_block: int | None = None) -> int:
    """Return the bytes per row of the table for spectra of shape (time, product, chan)."""
    return sum(np.dtype(field.dtype).itemsize * field.count for field in fields_of(
        block_length(shape[0], n_block), shape[1], shape[2], n_bits))


def plain_codes(values: F4, level: int, n_bits: int, path: str) -> F4:
    """Return codes of whole numbers.

    Parameters
    ----------
    values : ndarray, shape (time, product, chan), float32
        Values.
    level : int
        The value of code 0.
    n_bits : int
    path : str
        Name of the file, for the error.

    Raises
    ------
    OutputError
        Where a value is not a code.
    """
    codes: F4 = values - np.float32(level)
    low, high = CODES[n_bits]
    wrong = (codes != np.rint(codes)) | (codes < low) | (codes > high)
    if wrong.any():
        raise OutputError(path, f"contains {values[wrong][0]:g}; allowed with level = {level}: "
                          f"whole numbers within {n_bits} bits")
    return codes
