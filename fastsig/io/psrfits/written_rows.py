"""Rows of PSRFITS tables that are written: how many spectra they hold, and codes without scales."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import OutputError
from fastsig.io.psrfits.written_header import fields_of
from fastsig.stream import Codes

__all__ = ["CODES", "N_BLOCK", "block_length", "level_of", "plain_codes", "row_bytes"]

F4 = NDArray[np.float32]

#: Most spectra of a row, unless asked for: as FAST has them.
N_BLOCK = 1024
#: Codes of the file, by their bits: the least and the largest.
CODES = {8: (0, 2**8 - 1), 16: (-(2**15), 2**15 - 1)}


def block_length(n_time: int, asked: int | None = None) -> int:
    """Spectra of a row: as many as asked for, else what leaves least of the last row empty."""
    if asked is not None or n_time <= N_BLOCK:
        return min(N_BLOCK if asked is None else asked, n_time)
    return min(range(N_BLOCK, N_BLOCK // 4 - 1, -1), key=lambda length: -n_time % length)


def level_of(codes: Codes, n_bits: int) -> int:
    """The value of code 0 where values are whole numbers of a range: 0 if all fit as they are."""
    low, high = CODES[n_bits]
    return 0 if low <= codes.low and codes.high <= high else codes.low - low


def row_bytes(shape: tuple[int, ...], n_bits: int, n_block: int | None = None) -> int:
    """Bytes of a row of the table that holds spectra of (time, product, chan)."""
    return sum(np.dtype(field.dtype).itemsize * field.count for field in fields_of(
        block_length(shape[0], n_block), shape[1], shape[2], n_bits))


def plain_codes(values: F4, level: int, n_bits: int, path: str) -> F4:
    """Codes of values that are whole numbers; where one is missing, the mean of its channel's.

    Parameters
    ----------
    values : ndarray, shape (time, product, chan), float32
        NaN where they are missing.
    level : int
        The value of code 0.
    n_bits : int
    path : str
        For the error.

    Raises
    ------
    OutputError
        Where a value is no code.
    """
    lost = np.isnan(values)
    if lost.any():
        count = np.maximum(1, (~lost).sum(axis=0))
        mean = np.where(lost, 0, values).sum(axis=0, dtype=np.float64) / count
        values = np.where(lost, np.rint(mean).astype(np.float32), values)
    codes: F4 = values - np.float32(level)
    low, high = CODES[n_bits]
    wrong = (codes != np.rint(codes)) | (codes < low) | (codes > high)
    if wrong.any():
        raise OutputError(path, f"holds {values[wrong][0]:g}; allowed with level = {level}: whole "
                          f"numbers within {n_bits} bits")
    return codes
