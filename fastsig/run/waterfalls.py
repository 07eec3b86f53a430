"""Waterfalls: the sink that averages spectra until they fit a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.run.engine import run
from fastsig.stream import Block, Sink, SpectrumStream

__all__ = ["Cells", "Waterfall", "pixels_of", "reduced"]

_PIXELS = 1024  # maximum number of rows and of channels of a waterfall
_PIECE_BYTES = 2**24

F8 = NDArray[np.float64]


class Cells(NamedTuple):
    """Weighted means of cells of a waterfall, and their mean weights.

    Both have the shape (product, row, channel), float32; the last row and channel may contain
    fewer spectra and channels.
    """

    values: NDArray[np.float32]
    weights: NDArray[np.float32]


class _Sums(NamedTuple):
    """The first row of cells of a part, and sums (product, row, channel) of values and weights."""

    first: int
    total: F8
    weight: F8


class Waterfall(Sink):
    """Compute weighted means of `n_int` spectra by `n_freq` channels, and mean weights: `Cells`.

    `fastsig.stages.integrate.Integrate` is not used, because each of its rows costs about 0.1 ms
    regardless of its size. Sums over more rows than are read together are added up from parts that
    depend on the stream alone, so that the picture does not depend on threads.

    Parameters
    ----------
    stream : SpectrumStream
    products : sequence of int
        Numbers of the products in the stream.
    n_int, n_freq : int
    """

    name = "draw"

    def __init__(self, stream: SpectrumStream, products: Sequence[int], n_int: int, n_freq: int
                 ) -> None:
        super().__init__(stream)
        n_time, _, self._n_chan = stream.shape
        self._products, self._n_int = tuple(products), n_int
        self._columns = np.arange(0, self._n_chan, n_freq)
        shape = (len(self._products), -(-n_time // n_int), len(self._columns))
        self._total, self._weight = np.zeros(shape), np.zeros(shape)
        if n_int > 1:
            rows = max(1, _PIECE_BYTES // max(1, stream.row_bytes))
            self.segment = max(stream.align, rows // stream.align * stream.align)

    @property
    def held_bytes(self) -> int:  # type: ignore[override]
        """Return the memory of the sums, and of their means."""
        return 4 * int(self._total.nbytes)

    def work_bytes(self, n: int) -> int:
        """Return the memory of the values and weights of one product, as float64."""
        return 32 * min(n, self.segment or n) * self._n_chan

    def part_bytes(self, n: int) -> int:
        """Return the memory of the sums."""
        rows = -(-n // self._n_int) + (-(-n // self.segment) if self.segment else 1)
        return 16 * len(self._products) * rows * len(self._columns)

    def partial(self, block: Block) -> _Sums:
        """Return the sums of the cells to which a block contributes."""
        n_int, start = self._n_int, block.start
        firsts = np.arange(-(-start // n_int) * n_int, start + block.n, n_int) - start
        rows = firsts if firsts.size and firsts[0] == 0 else np.append(0, firsts)
        counts = np.broadcast_to(block.valid, block.data.shape)
        shape = (len(self._products), len(rows), len(self._columns))
        part = _Sums(start // n_int, np.empty(shape), np.empty(shape))
        for place, index in enumerate(self._products):
            weight = counts[:, index].astype(np.float64)
            values = np.where(weight > 0, block.data[:, index], 0) * weight
            part.total[place] = _summed(values, rows, self._columns)
            part.weight[place] = _summed(weight, rows, self._columns)
        return part

    def merge(self, part: _Sums) -> None:
        """Add the sums of the next part."""
        rows = slice(part.first, part.first + part.total.shape[1])
        self._total[:, rows] += part.total
        self._weight[:, rows] += part.weight

    def finish(self, n_rows: int) -> Cells:
        """Return the means of all rows."""
        heights = np.diff(np.append(np.arange(0, n_rows, self._n_int), n_rows))
        cells = np.multiply.outer(heights, np.diff(np.append(self._columns, self._n_chan)))
        total, weight = (sums[:, : len(heights)] for sums in (self._total, self._weight))
        with np.errstate(invalid="ignore", divide="ignore"):
            return Cells((total / weight).astype(np.float32),
                         (weight / cells).astype(np.float32))


def _summed(values: F8, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> F8:
    """Return the sums of blocks that begin at these rows and columns."""
    if len(columns) < values.shape[1]:
        values = np.add.reduceat(values, columns, axis=1)
    return np.add.reduceat(values, rows, axis=0) if len(rows) < len(values) else values


def pixels_of(stream: SpectrumStream) -> tuple[int, int]:
    """Return the numbers of rows and channels in a pixel of a picture."""
    return max(1, -(-stream.shape[0] // _PIXELS)), max(1, -(-stream.shape[2] // _PIXELS))


def reduced(stream: SpectrumStream, products: Sequence[int], n_int: int, n_freq: int) -> Cells:
    """Read all rows, and return the cells of a waterfall."""
    cells: Cells = run([Waterfall(stream, products, n_int, n_freq)])[0]
    return cells
