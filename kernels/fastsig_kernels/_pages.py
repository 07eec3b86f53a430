"""Memory for tables and work spaces, in large pages where the system has them.

A plan runs through its tables and frames again and again, in the second-level cache. In pages of
4 KiB, which lie anywhere in physical memory, some sets of that cache are asked for more lines than
they have, and others for fewer: rates then differ by up to a quarter from one process to the next.
In a page of 2 MiB, neighbouring lines fall into neighbouring sets.
"""

import mmap
import os
import weakref
from contextlib import suppress

import numpy as np

#: Size of a large page, in bytes.
PAGE = 2**21
#: Pieces begin on a cache line.
_LINE = 64

#: The newest page, and where the rest of it begins and ends, for plans and for tables that outlive
#: them. Only its pieces keep a page: a program that makes a plan for each of its files would
#: otherwise walk through the rest of a page, which only the last plan of many would free. A call
#: takes the rest out, in one step, so that it has it alone: another call meanwhile begins a page. A
#: lock would remain locked in a process forked at that time, and in a signal handler that makes a
#: plan.
_rest: dict[bool, tuple[weakref.ref[np.ndarray], int, int]] = {}
if hasattr(os, "register_at_fork"):  # to write to a page that two processes share would copy it
    os.register_at_fork(after_in_child=_rest.clear)


def aligned(n_byte: int, *, lasting: bool = False) -> np.ndarray:
    """Return zeroed bytes that start on a cache line.

    A page is freed with the last array that lies in it. Tables that outlive plans are `lasting`:
    they lie in pages of their own. MemoryError is raised if the system refuses the memory.
    """
    size = -(-n_byte // _LINE) * _LINE
    if size > PAGE // 2:
        memory, start = _mapped(size)
        return memory[start : start + n_byte]
    page, start, stop = _rest.pop(lasting, (None, 0, 0))
    newest = None if page is None else page()
    if newest is None or start + size > stop:
        newest, start = _mapped(PAGE)
        stop = start + PAGE
    _rest[lasting] = weakref.ref(newest), start + size, stop
    return newest[start : start + n_byte]


def _mapped(n_byte: int) -> tuple[np.ndarray, int]:
    """Return memory, and where zeroed bytes begin in it: on a large page, if there are any."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        data = np.zeros(n_byte + PAGE, np.uint8)
    else:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        try:
            memory = mmap.mmap(-1, n_byte + PAGE, flags=flags)
        except (OSError, OverflowError) as error:
            raise MemoryError(f"unable to allocate {n_byte} bytes") from error
        with suppress(OSError):  # a kernel may have been built without large pages
            memory.madvise(mmap.MADV_HUGEPAGE)
        data = np.frombuffer(memory, np.uint8)
    return data, -data.ctypes.data % PAGE
