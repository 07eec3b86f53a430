"""Files mapped into memory at multiples of a huge page, and in huge pages where possible.

With pages of 4 KiB, each packet is in a page of its own, whose address the processor must look up:
putting it there takes a third longer than in pages of 2 MiB. Python's `mmap` does not choose
addresses.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import weakref
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["HUGE", "allocate", "mapped"]

#: Bytes of a huge page.
HUGE = 2**21
_READ_WRITE, _SHARED_FIXED, _PRIVATE_ANONYMOUS = 3, 0x11, 0x22
_FAILED = 2**64 - 1
# Advice of madvise; the last two came with Linux 5.14 and 6.1.
_HUGE_PAGE, _POPULATE_WRITE, _COLLAPSE = 14, 23, 25


@cache
def _system() -> Any:
    """Return the library with the types of its functions."""
    library = ctypes.CDLL(None, use_errno=True)
    size, place = ctypes.c_size_t, ctypes.c_void_p
    library.mmap.restype = size
    library.mmap.argtypes = [place, size, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    library.munmap.argtypes = [place, size]
    library.madvise.argtypes = [place, size, ctypes.c_int]
    return library


def mapped(descriptor: int) -> NDArray[np.uint8]:
    """Map a whole file, which stays mapped while the array or a part of it is used.

    Raises
    ------
    OSError
        If the file cannot be mapped.
    """
    n, system = os.fstat(descriptor).st_size, _system()
    # Addresses are reserved for more than the file, so that one of them fits.
    reserved = system.mmap(None, n + HUGE, 0, _PRIVATE_ANONYMOUS, -1, 0)
    if reserved == _FAILED:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    place = -(-reserved // HUGE) * HUGE
    if system.mmap(place, n, _READ_WRITE, _SHARED_FIXED, descriptor, 0) == _FAILED:
        number = ctypes.get_errno()
        system.munmap(reserved, n + HUGE)
        raise OSError(number, os.strerror(number))
    memory = (ctypes.c_uint8 * n).from_address(place)
    weakref.finalize(memory, system.munmap, reserved, n + HUGE).atexit = False
    return np.frombuffer(memoryview(memory), np.uint8)


def allocate(memory: NDArray[np.uint8], descriptor: int, *, huge: bool) -> None:
    """Allocate all pages of a mapped file, so that no access fails later.

    Huge pages, which take two to three times as long, are also cleared here; the other pages are
    cleared when they are first used, by the process or thread that uses them.

    Raises
    ------
    OSError
        If there is not enough memory.
    """
    if not huge:
        os.posix_fallocate(descriptor, 0, len(memory))
        return
    for offset in range(0, len(memory), HUGE):  # a huge page is made of a page
        os.posix_fallocate(descriptor, offset, 1)
    for advice in (_HUGE_PAGE, _COLLAPSE):
        with contextlib.suppress(OSError):  # not for this kind of file, or not by this kernel
            _advise(memory, advice)
    try:
        _advise(memory, _POPULATE_WRITE)
    except OSError:
        os.posix_fallocate(descriptor, 0, len(memory))


def _advise(memory: NDArray[np.uint8], advice: int) -> None:
    if _system().madvise(memory.ctypes.data, len(memory), advice):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
