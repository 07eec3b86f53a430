"""Order in memory: lines of the cache, and where each point of a transform of 2^n points ends.

NumPy only. Of transforms, radices and twiddles; `_passes` says what they mean.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

#: Padding after each part of the first pass: parts a power of two apart would fall into
#: the same few sets of a cache.
PAD = 128

#: Bytes of a line of the cache.
LINE = 64

#: Results of so many bytes and more do not wait in a cache for their reader.
STREAMED_BYTES = 2**24


class Shape(NamedTuple):
    """How a transform of `n_point` points is done with vectors of `lanes`.

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
        """Bytes of each part that the first pass makes, without padding."""
        return 8 * self.n_point // (self.radices[0] if self.radices else 1)

    @property
    def n_part(self) -> int:
        """Number of parts."""
        return self.radices[0] if self.radices else 1

    @property
    def work_bytes(self) -> int:
        """Bytes of one transform at work, padding included."""
        return self.n_part * (self.part_bytes + PAD)


def shape(n_point: int, lanes: int) -> Shape:
    """Choose lanes (no more than the host's) and radices: few passes, largest first."""
    while lanes**2 > n_point:
        lanes //= 2
    rest, radices = n_point // lanes**2, []
    while rest > 1:
        radix = min(16, rest)
        radices.append(radix)
        rest //= radix
    return Shape(n_point, lanes, tuple(radices))


def aligned(n_byte: int) -> np.ndarray:
    """Return zeroed bytes that start on a cache line."""
    memory = np.zeros(n_byte + 64, dtype=np.uint8)
    start = -address(memory) % 64
    return memory[start : start + n_byte]


def address(array: np.ndarray) -> int:
    """Return the address of an array's first element."""
    return int(array.__array_interface__["data"][0])


def split_blocks(values: np.ndarray, lanes: int) -> np.ndarray:
    """Return complex values, (..., n), as aligned float32 split blocks."""
    blocks = values.reshape(-1, lanes)
    out = aligned(8 * values.size).view(np.float32).reshape(-1, 2, lanes)
    out[:, 0] = blocks.real
    out[:, 1] = blocks.imag
    return out


def roots(n: int, k: np.ndarray) -> np.ndarray:
    """Return ``exp(-2 pi i k / n)``, right to the last bit of float64."""
    # Reduced to the first eighth of a turn, where sine and cosine are at their best.
    k = np.asarray(k) % n
    eighth = 8 * k // n
    rest = k - (eighth + 1) // 2 * n / 4
    angle = 2 * np.pi * rest / n
    quarter = (eighth + 1) // 2 % 4
    turn = np.array([1, -1j, -1, 1j])[quarter]
    return turn * (np.cos(angle) - 1j * np.sin(angle))


@lru_cache(maxsize=64)
def pass_twiddles(n_point: int, radix: int, lanes: int) -> np.ndarray:
    """Twiddles of one pass, in the order of use: (column, radix - 1, 2, lanes) float32."""
    n_column = n_point // radix
    k, n = np.arange(1, radix)[:, np.newaxis], np.arange(n_column)
    out = aligned(8 * (radix - 1) * n_column).view(np.float32)
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
    """Twiddles within a leaf: (lanes - 1, 2, lanes) float32."""
    k, n = np.arange(1, lanes)[:, np.newaxis], np.arange(lanes)
    return split_blocks(roots(lanes**2, k * n), lanes)


def leaf_numbers(shape: Shape) -> np.ndarray:
    """Number kb of the leaf at each place: the place's digits, least significant last."""
    places = np.arange(shape.n_leaf)
    number, weight, left = np.zeros_like(places), 1, shape.n_leaf
    for radix in shape.radices:
        left //= radix
        number += places // left % radix * weight
        weight *= radix
    return number


def leaf_offsets(shape: Shape) -> np.ndarray:
    """Byte offset of the leaf at each place in one transform's work space."""
    places = np.arange(shape.n_leaf)
    parts = places // max(1, shape.n_leaf // shape.n_part)
    return places * 8 * shape.lanes**2 + parts * PAD


def inner_levels(shape: Shape) -> tuple[np.ndarray, list[np.ndarray]]:
    """Rows for `_passes.inner_passes_nb` on one part, and the twiddles to keep alive."""
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
