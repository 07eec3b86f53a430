"""Memory for tables and work spaces, in large pages where the system has them.

A plan runs through its tables and frames again and again, in the second-level cache. In pages of
4 KiB, which lie anywhere in physical memory, some sets of that cache are asked for more lines than
they have, and others for fewer: rates then differ by up to a quarter from one process to the next.
In a page of 2 MiB, neighbouring lines fall into neighbouring sets.
"""

import mmap
import os
import threading
import weakref
from contextlib import suppress

import numpy as np

#: Size of a large page, in bytes.
PAGE = 2**21
#: Pieces begin on a cache line.
_LINE = 64

class _Newest:
    """The newest page of a kind, and where the rest of it begins.

    Only its pieces keep the page. A program that makes a plan for each of its files would otherwise
    walk through the rest of a page, which only the last plan of many would free.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin with a page of its own: to write to one that two processes share would copy it."""
        self._lock = threading.Lock()  # another thread of the other process may hold the old one
        self._memory = weakref.ref(np.empty(0, np.uint8))  # of none
        self._start = self._stop = 0

    def piece(self, size: int) -> np.ndarray:
        """Return the next bytes of the page, or the first ones of another."""
        with self._lock:
            memory = self._memory()
            if memory is None or self._start + size > self._stop:
                memory, self._start = _mapped(PAGE)
                self._memory, self._stop = weakref.ref(memory), self._start + PAGE
            start, self._start = self._start, self._start + size
            return memory[start : start + size]


#: For plans, and for tables that outlive them.
_newest = {lasting: _Newest() for lasting in (False, True)}
if hasattr(os, "register_at_fork"):
    for _each in _newest.values():
        os.register_at_fork(after_in_child=_each.forget)


def aligned(n_byte: int, *, lasting: bool = False) -> np.ndarray:
    """Return zeroed bytes that start on a cache line.

    A page is freed with the last array that lies in it. Tables that outlive plans are `lasting`:
    they lie in pages of their own.
    """
    size = -(-n_byte // _LINE) * _LINE
    if size > PAGE // 2:
        memory, start = _mapped(size)
        return memory[start : start + n_byte]
    return _newest[lasting].piece(size)[:n_byte]


def _mapped(n_byte: int) -> tuple[np.ndarray, int]:
    """Return memory, and where zeroed bytes begin in it: on a large page, if there are any."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        data = np.zeros(n_byte + PAGE, np.uint8)
    else:
        memory = mmap.mmap(-1, n_byte + PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with suppress(OSError):  # a kernel may have been built without large pages
            memory.madvise(mmap.MADV_HUGEPAGE)
        data = np.frombuffer(memory, np.uint8)
    return data, -data.ctypes.data % PAGE
