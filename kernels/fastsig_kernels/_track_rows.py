"""Rows of the work space of sums along tracks."""

import numpy as np

from ._jit import jit_strict_inner_arrays

__all__ = ["rows_nb"]

_LINE = 64  # bytes of a cache line


@jit_strict_inner_arrays
def rows_nb(n, columns, kind):
    """Return new rows that begin on cache lines, at distances that are not a power of two."""
    item = np.empty(0, kind).itemsize
    lanes = _LINE // item
    columns += -columns % lanes
    columns += lanes if columns % (2 * lanes) == 0 else 0
    memory = np.empty(n * columns + lanes, kind)
    start = (-memory.ctypes.data % _LINE) // item
    return memory[start : start + n * columns].reshape((n, columns))
