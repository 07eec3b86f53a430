"""Rows of PSRFITS tables that are written: their number of spectra, and codes without scales."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import OutputError
from fastsig.io.psrfits.written_header import fields_of
from fastsig.stream import Codes

__all__ = ["BLANKS", "CODES", "N_BLOCK", "block_length", "fill_lost", "level_of", "plain_codes",
           "row_bytes"]

F4 = NDArray[np.float32]

#: What lost values become: the values of `blank`, in words.
BLANKS = {"mean": "the mean of the others", "zero": "0", "nan": "NaN"}
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


def fill_lost(values: F4, blank: str, n_bits: int, level: int | None,
              before: Callable[[], NDArray[np.float64]]) -> None:
    """Replace the lost values of a row, which are not finite, in place.

    Parameters
    ----------
    values : ndarray, shape (time, product, chan), float32
        Values. Those that become codes with scales remain NaN unless all of a product and channel
        are lost: `fit_scales` replaces them, and whole numbers must remain whole until then.
    blank : {"mean", "zero", "nan"}
        As for `fastsig.io.psrfits.writer.PsrfitsWriter`.
    n_bits : int
    level : int or None
        The value of code 0, if the values are whole numbers.
    before : callable
        Returns the means (product, chan) of the row before.
    """
    scaled = n_bits < 32 and level is None
    if scaled and np.isfinite(values[0]).all():  # no product and channel is lost throughout
        return
    lost = ~np.isfinite(values)
    if blank == "nan" or not lost.any():
        return
    values[lost] = 0
    if blank == "mean":
        count = len(values) - np.count_nonzero(lost, axis=0)
        mean = values.sum(axis=0, dtype=np.float64) / np.maximum(count, 1)
        if not count.all():
            mean = np.where(count > 0, mean, before())
        if scaled:
            mean = np.where(count > 0, np.nan, mean)
        new = mean if level is None else np.rint(mean)
        np.copyto(values, new.astype(np.float32), where=lost)


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
