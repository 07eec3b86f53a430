"""Positioned reads and writes: thread-safe, without a shared file position."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import DataError


def octets(array: NDArray[Any]) -> memoryview:
    """The bytes of a C-contiguous array, shared."""
    return memoryview(array.view(np.uint8).reshape(-1))  # type: ignore[arg-type]


def read_into(descriptor: int, out: NDArray[Any], offset: int, path: str) -> None:
    """Fill a C-contiguous array from byte `offset` of a file.

    Raises
    ------
    DataError
        Where the file ends before, or cannot be read.
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


def write_from(descriptor: int, data: NDArray[Any], offset: int) -> None:
    """Write a C-contiguous array at byte `offset` of a file; raises `OSError`."""
    view = octets(data)
    done = 0
    while done < len(view):
        done += os.pwritev(descriptor, [view[done:]], offset + done)
