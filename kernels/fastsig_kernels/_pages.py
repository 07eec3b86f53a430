"""Memory for tables and work spaces, in large pages where the system has them.

A plan runs through its tables and frames again and again, in the second-level cache. In pages of
4 KiB, which lie anywhere in physical memory, some sets of that cache are asked for more lines than
they have, and others for fewer: rates then differ by up to a quarter from one process to the next.
In a page of 2 MiB, neighbouring lines fall into neighbouring sets.
"""

import mmap
import threading
from contextlib import suppress

import numpy as np

#: Size of a large page, in bytes.
PAGE = 2**21
#: Pieces begin on a cache line.
_LINE = 64

_lock = threading.Lock()
#: What is left of the newest page, for plans and for tables that outlive them.
_rest: dict[bool, np.ndarray] = {}


def aligned(n_byte: int, *, lasting: bool = False) -> np.ndarray:
    """Return zeroed bytes that start on a cache line.

    A page is freed with the last array that lies in it. Tables that outlive plans are `lasting`:
    they lie in pages of their own.
    """
    size = -(-n_byte // _LINE) * _LINE
    if size > PAGE // 2:
        return _mapped(size)[:n_byte]
    with _lock:
        page = _rest.get(lasting)
        if page is None or size > len(page):
            page = _mapped(PAGE)
        _rest[lasting] = page[size:]
    return page[:n_byte]


def _mapped(n_byte: int) -> np.ndarray:
    """Return zeroed bytes that start on a large page, if the system has any."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        data = np.zeros(n_byte + PAGE, np.uint8)
    else:
        memory = mmap.mmap(-1, n_byte + PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with suppress(OSError):  # a kernel may have been built without large pages
            memory.madvise(mmap.MADV_HUGEPAGE)
        data = np.frombuffer(memory, np.uint8)
    start = -data.ctypes.data % PAGE
    return data[start : start + n_byte]
