"""Order in memory: cache lines, and the final position of each point of a transform of 2^n points.

NumPy only. The radices and twiddles of transforms are here; `_passes` explains them.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ._pages import aligned

#: Padding after each part of the first pass, since parts at distances of a power of two would
#: map to the same few sets of a cache.
PAD = 128

#: Size of a cache line, in bytes.
LINE = 64

#: Results of this many bytes or more are not kept in a cache for their reader.
STREAMED_BYTES = 2**24


class Shape(NamedTuple):
    """Decomposition of a transform of `n_point` points for vectors of `lanes` lanes.

    ``n_point = prod(radices) lanes^2``.
    """

    n_point: int
    lanes: int
    radices: tuple[int, ...]

    @property
    def n_leaf(self) -> int:
        """Number of leaves."""
        return self.n_point // self.lanes**2

    @property
    def part_bytes(self) -> int:
        """Size of each part that the first pass produces, in bytes, without padding."""
        return 8 * self.n_point // (self.radices[0] if self.radices else 1)

    @property
    def n_part(self) -> int:
        """Number of parts."""
        return self.radices[0] if self.radices else 1

    @property
    def work_bytes(self) -> int:
        """Size of one transform in progress, in bytes, including padding."""
        return self.n_part * (self.part_bytes + PAD)


def shape(n_point: int, lanes: int) -> Shape:
    """Choose lanes (no more than the host's) and radices: few passes, largest radix first."""
    while lanes**2 > n_point:
        lanes //= 2
    rest, radices = n_point // lanes**2, []
    while rest > 1:
        radix = min(16, rest)
        radices.append(radix)
        rest //= radix
    return Shape(n_point, lanes, tuple(radices))


def even_radices(n: int) -> list[int]:
    """Return few radices of at most 8 whose product is `n`, a power of two; the largest come first.

    Passes of radix 16 over whole rows have more numbers than registers: two smaller ones take less
    time.
    """
    bits = n.bit_length() - 1
    count = -(-bits // 3)
    return [2 ** (bits // count + (i < bits % count)) for i in range(count)]


def on_lines(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return a new array that begins on a cache line."""
    size = math.prod(shape)
    memory = np.empty(size + LINE // dtype.itemsize, dtype)
    start = -address(memory) % LINE // dtype.itemsize
    return memory[start : start + size].reshape(shape)


def flat_rows(x: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the memory of a plane, from its first value to its last, and the distance of its rows.

    numba knows that the values of this array are neighbours in memory, as it does not of the rows
    of a plane that is part of another one. A plane whose columns are not neighbours is copied.
    """
    step, (apart, beside) = x.itemsize, x.strides
    if not x.size or beside != step or apart % step or apart < step * x.shape[1]:
        x = np.ascontiguousarray(x)
    if not x.size:
        return x.reshape(-1), x.shape[1]
    row = x.strides[0] // step
    return np.lib.stride_tricks.as_strided(
        x, ((x.shape[0] - 1) * row + x.shape[1],), (step,), writeable=False), row


def address(array: np.ndarray) -> int:
    """Return the address of an array's first element."""
    return int(array.__array_interface__["data"][0])


def split_blocks(values: np.ndarray, lanes: int, *, lasting: bool = False) -> np.ndarray:
    """Return complex values, (..., n), as aligned float32 split blocks; see `_pages.aligned`."""
    blocks = values.reshape(-1, lanes)
    out = aligned(8 * values.size, lasting=lasting).view(np.float32).reshape(-1, 2, lanes)
    out[:, 0] = blocks.real
    out[:, 1] = blocks.imag
    return out


def roots(n: int, k: np.ndarray) -> np.ndarray:
    """Return ``exp(-2 pi i k / n)``, accurate to the last bit of float64."""
    # Reduce to the first eighth of a turn, where sine and cosine are most accurate.
    k = np.asarray(k) % n
    eighth = 8 * k // n
    rest = k - (eighth + 1) // 2 * n / 4
    angle = 2 * np.pi * rest / n
    quarter = (eighth + 1) // 2 % 4
    turn = np.array([1, -1j, -1, 1j])[quarter]
    return turn * (np.cos(angle) - 1j * np.sin(angle))


@lru_cache(maxsize=64)
def pass_twiddles(n_point: int, radix: int, lanes: int) -> np.ndarray:
    """Return the twiddles of one pass, in order of use: (column, radix - 1, 2, lanes) float32."""
    n_column = n_point // radix
    k, n = np.arange(1, radix)[:, np.newaxis], np.arange(n_column)
    out = aligned(8 * (radix - 1) * n_column, lasting=True).view(np.float32)
    out = out.reshape(n_column // lanes, radix - 1, 2, lanes)
    step = max(lanes, 2**18 // radix)
    for first in range(0, n_column, step):
        part = roots(n_point, k * n[first : first + step])
        part = part.reshape(radix - 1, -1, lanes).transpose(1, 0, 2)
        blocks = out[first // lanes : (first + step) // lanes]
        blocks[:, :, 0], blocks[:, :, 1] = part.real, part.imag
    out.flags.writeable = False
    return out


@lru_cache(maxsize=8)
def leaf_twiddles(lanes: int) -> np.ndarray:
    """Return the twiddles within a leaf: (lanes - 1, 2, lanes) float32."""
    k, n = np.arange(1, lanes)[:, np.newaxis], np.arange(lanes)
    return split_blocks(roots(lanes**2, k * n), lanes, lasting=True)


def leaf_numbers(shape: Shape) -> np.ndarray:
    """Return the number kb of the leaf at each place: the digits of the place, reversed."""
    places = np.arange(shape.n_leaf)
    number, weight, left = np.zeros_like(places), 1, shape.n_leaf
    for radix in shape.radices:
        left //= radix
        number += places // left % radix * weight
        weight *= radix
    return number


def leaf_offsets(shape: Shape) -> np.ndarray:
    """Return the byte offset of the leaf at each place in the work space of one transform."""
    places = np.arange(shape.n_leaf)
    parts = places // max(1, shape.n_leaf // shape.n_part)
    return places * 8 * shape.lanes**2 + parts * PAD


def inner_levels(shape: Shape) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the rows for `_bank_loops.inner_nb` on one part, and twiddles to keep alive."""
    rows, tables = [], []
    n_point, count = shape.n_point, 1
    for i, radix in enumerate(shape.radices):
        if i:
            table = pass_twiddles(n_point, radix, shape.lanes)
            tables.append(table)
            rows.append((radix, 8 * n_point, count, address(table)))
            count *= radix
        n_point //= radix
    return np.array(rows, dtype=np.int64).reshape(-1, 4), tables


def scalar_levels(n: int, radices: list[int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the rows for `_fft_loops.inner_levels_nb`, and the twiddles to keep alive."""
    rows, tables, count = [], [], 1
    for radix in radices:
        table = scalar_twiddles(n, radix)
        tables.append(table)
        rows.append((radix, n, count, address(table)))
        count *= radix
        n //= radix
    return np.array(rows, dtype=np.int64).reshape(-1, 4), tables


def scalar_twiddles(n: int, radix: int) -> np.ndarray:
    """Return the twiddles of one pass, the same in all lanes: (n / radix, radix - 1) complex64."""
    j, k = np.arange(n // radix)[:, np.newaxis], np.arange(1, radix)
    return roots(n, j * k).astype(np.complex64)


def block_starts(n: int, radices: tuple[int, ...], block: int) -> np.ndarray:
    """Return the byte offset of each group of blocks of the last pass, in the result's order."""
    places = np.arange(n // radices[-1])
    number, weight, left = np.zeros_like(places), 1, len(places)
    for radix in radices[:-1]:
        left //= radix
        number += places // left % radix * weight
        weight *= radix
    n_part = radices[0] if len(radices) > 1 else 1
    offsets = places * radices[-1] * block + places // (len(places) // n_part) * PAD
    starts = np.empty(len(places), np.int64)
    starts[number] = offsets
    return starts
