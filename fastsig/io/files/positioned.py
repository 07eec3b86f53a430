"""Positioned reads and writes: thread-safe, without a shared file position."""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import DataError


def octets(array: NDArray[Any]) -> memoryview:
    """Return a view of the bytes of a C-contiguous array."""
    return memoryview(array.view(np.uint8).reshape(-1))  # type: ignore[arg-type]


def read_into(descriptor: int, out: NDArray[Any], offset: int, path: str) -> None:
    """Fill a C-contiguous array from byte `offset` of a file.

    Raises
    ------
    DataError
        If the file ends too early, or cannot be read.
    """
    view = octets(out)
    done = 0
    while done < len(view):
        try:
            count = os.preadv(descriptor, [view[done:]], offset + done)
        except OSError as error:
            raise DataError(path, f"at byte {offset + done}: {os.strerror(error.errno or 0)}"
                            ) from error
        if not count:
            raise DataError(
                path, f"ends at byte {offset + done}; {len(view) - done} bytes more were expected"
            )
        done += count


_MOST_PIECES = 1024  # limit of one call, on Linux and macOS


def scatter_into(descriptor: int, places: NDArray[np.int64], offset: int) -> bool:
    """Read contiguous bytes of a file into many places of memory.

    Parameters
    ----------
    descriptor : int
        The file.
    places : ndarray, shape (piece, 2), int64
        Address and number of bytes of each piece; the caller is responsible for the memory.
        C-contiguous.
    offset : int
        Offset of the first piece in the file.

    Returns
    -------
    bool
        False if the system has no such call, or the file could not be read or ended: `read_into`
        then reports the cause.
    """
    preadv = _preadv()
    if preadv is None:
        return False
    for first in range(0, len(places), _MOST_PIECES):
        pieces = places[first : first + _MOST_PIECES]
        n_byte = int(pieces[:, 1].sum())
        address = pieces.__array_interface__["data"][0]
        if preadv(descriptor, address, len(pieces), offset) != n_byte:
            return False
        offset += n_byte
    return True


@lru_cache(maxsize=1)
def _preadv() -> Any:
    """Return `preadv` of the C library.

    The function of Python needs an object for each piece, which takes longer than reading.
    """
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    try:
        function = ctypes.CDLL(None).preadv
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
    function.restype = ctypes.c_ssize_t
    return function


def write_from(descriptor: int, data: NDArray[Any], offset: int) -> None:
    """Write a C-contiguous array at byte `offset` of a file; raises `OSError`."""
    view = octets(data)
    done = 0
    while done < len(view):
        done += os.pwritev(descriptor, [view[done:]], offset + done)
