"""Copying of matrices whose rows alternate in memory, such as channels sample by sample."""

import numpy as np

from ._jit import jit
from ._memory import move
from ._simd import address_of

_LINE = 64  # size of a cache line, in bytes
_TILE = 32  # elements in a row of a tile: most are 2 bytes, so that a row is a line of a cache


@jit
def transpose_nb(source, target, n_row, n_column, row_step, column_step, size):
    """Copy a matrix to contiguous rows; addresses and steps are in bytes, nothing is checked.

    `size` is that of an element: 1, 2, 4, 8 or 16.
    """
    if size == 1:
        _transpose_nb(8, source, target, n_row, n_column, row_step, column_step)
    elif size == 2:
        _transpose_nb(16, source, target, n_row, n_column, row_step, column_step)
    elif size == 4:
        _transpose_nb(32, source, target, n_row, n_column, row_step, column_step)
    elif size == 8:
        _transpose_nb(64, source, target, n_row, n_column, row_step, column_step)
    else:
        _transpose_nb(128, source, target, n_row, n_column, row_step, column_step)


@jit
def _transpose_nb(bits, source, target, n_row, n_column, row_step, column_step):
    size = bits // 8
    if abs(column_step) < _LINE:
        for i in range(n_row):
            here, there = source + i * row_step, target + i * n_column * size
            for j in range(n_column):
                move(bits, here + j * column_step, there + j * size)
        return
    # Each line of the source is read once, into a tile: columns that are a power of two apart map
    # to the same few sets of a cache.
    memory = np.empty(_TILE * _TILE * 16, np.uint8)
    tile = address_of(memory)
    for column in range(0, n_column, _TILE):
        width = min(_TILE, n_column - column)
        for row in range(0, n_row, _TILE):
            height = min(_TILE, n_row - row)
            for j in range(width):
                here = source + row * row_step + (column + j) * column_step
                there = tile + j * _TILE * size
                for i in range(height):
                    move(bits, here + i * row_step, there + i * size)
            for i in range(height):
                there = target + ((row + i) * n_column + column) * size
                for j in range(width):
                    move(bits, tile + (j * _TILE + i) * size, there + j * size)
