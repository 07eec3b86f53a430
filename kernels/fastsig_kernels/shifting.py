"""Shifting: channels of spectra, or rows, each moved in time by a separate number of samples."""

import numpy as np

from . import _check
from ._jit import jit_strict

#: Channels in a cache line of float32. A column of lines does not fit into the cache if the length
#: of a row is a power of 2, hence the buffer.
_TILE = 16
_MOST = 2**62


def shift_channels(x: np.ndarray, shift: np.ndarray, first: int, out: np.ndarray) -> None:
    """Put rows of spectra where they belong after a shift of each channel.

    ``out[first + m - shift[c], :, c] = x[m, :, c]`` for those rows that `out` has.

    Parameters
    ----------
    x : ndarray, shape (n_row, n_product, n_chan), float32, any unit
        Rows.
    shift : ndarray, shape (n_chan,), int64, samples
        Number of samples by which each channel is moved to earlier times.
    first : int
        Row of `out` at which the first row would be without a shift; it may be negative.
    out : ndarray, shape (n_out, n_product, n_chan), float32, unit of x
        Modified in place; values that no row supplies are unchanged.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape.

    Notes
    -----
    Values are copied bit for bit, through a buffer of 16 channels, so that each line of memory is
    read and written once; the GIL is released.
    """
    _check.array("x", x, ("float32",), 3)
    _check.array("shift", shift, ("int64",), 1)
    _check.shape("shift", shift, x.shape[2:])
    _check.array("out", out, ("float32",), 3)
    _check.target("out", out, (len(out), *x.shape[1:]), "float32", x, shift)
    first = _check.count("first", first, -_MOST, _MOST)
    shift_channels_nb(np.ascontiguousarray(x), np.ascontiguousarray(shift), first, out)


@jit_strict
def shift_channels_nb(x, shift, first, out):
    """Put rows in their places as `shift_channels` does; arguments are not checked."""
    n_row, n_product, n_chan = x.shape
    tile = np.empty((_TILE, n_row), x.dtype)
    low, high = np.empty(_TILE, np.int64), np.empty(_TILE, np.int64)
    for p in range(n_product):
        for start in range(0, n_chan, _TILE):
            n = min(_TILE, n_chan - start)
            for m in range(n_row):
                for k in range(n):
                    tile[k, m] = x[m, p, start + k]
            begin, end = len(out), 0
            for k in range(n):
                low[k] = first - shift[start + k]
                high[k] = low[k] + n_row
                begin, end = min(begin, low[k]), max(end, high[k])
            for r in range(max(0, begin), min(len(out), end)):
                row = out[r, p]
                for k in range(n):
                    if low[k] <= r < high[k]:
                        row[start + k] = tile[k, r - low[k]]


def shift_rows(x: np.ndarray, shift: np.ndarray, first: int, out: np.ndarray) -> None:
    """Put rows of samples where they belong after a shift of each row.

    ``out[r, first + m - shift[r]] = x[r, m]`` for those samples that `out` has.

    Parameters
    ----------
    x : ndarray, shape (n_row, n_time), float32, any unit
        Rows.
    shift : ndarray, shape (n_row,), int64, samples
        Number of samples by which each row is moved to earlier times.
    first : int
        Column of `out` at which the first sample would be without a shift; it may be negative.
    out : ndarray, shape (n_row, n_out), float32, unit of x
        Modified in place; values that no sample supplies are unchanged.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape.

    Notes
    -----
    A call allocates nothing for C-contiguous arrays. Values are copied bit for bit, and the GIL is
    released.
    """
    _check.array("x", x, ("float32",), 2)
    _check.array("shift", shift, ("int64",), 1)
    _check.shape("shift", shift, x.shape[:1])
    _check.array("out", out, ("float32",), 2)
    _check.target("out", out, (len(x), out.shape[1]), "float32", x, shift)
    first = _check.count("first", first, -_MOST, _MOST)
    shift_rows_nb(np.ascontiguousarray(x), np.ascontiguousarray(shift), first, out)


@jit_strict
def shift_rows_nb(x, shift, first, out):
    """Put rows in their places as `shift_rows` does; arguments are not checked."""
    n_out = out.shape[1]
    for r in range(x.shape[0]):
        to = first - shift[r]
        begin, end = max(0, -to), min(x.shape[1], n_out - to)
        if begin < end:
            out[r, to + begin : to + end] = x[r, begin:end]
