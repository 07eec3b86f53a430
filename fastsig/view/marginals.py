"""Marginals: the mean spectrum in every channel and the power in every row, at any pixel size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.stream import Block, Sink, SpectrumStream

__all__ = ["Marginals", "Means"]

_CHANNELS = 2**22  # maximum number of points of a spectrum
_ROWS = 2**16  # maximum number of points over time
_PIECE_BYTES = 2**24

F8 = NDArray[np.float64]


class Means(NamedTuple):
    """Weighted means of one product, NaN where nothing is valid.

    Parameters
    ----------
    spectrum : ndarray, shape (ceil(n_chan / n_freq),), float64
        Means over all rows, of `n_freq` channels each.
    n_freq : int
        1 for up to 4 million channels.
    lowest, highest : ndarray, shape (ceil(n_time / n_int),), float64
        The lowest and the highest of the means over channels, of `n_int` rows each.
    n_int : int
        1 for up to 65536 rows.
    """

    spectrum: F8
    n_freq: int
    lowest: F8
    highest: F8
    n_int: int


class _Part(NamedTuple):
    """The first bin of some rows, sums by channel, and the lowest and highest mean of each bin."""

    first: int
    total: F8
    weight: F8
    lowest: F8
    highest: F8


class Marginals(Sink):
    """Compute the mean spectrum and the mean power of every row of one product, as `Means`.

    A pixel of a waterfall may be the mean of many channels and rows, in which a narrow line or a
    short pulse is lost; marginals keep them. Sums are taken over segments that depend on the stream
    alone, so that they do not depend on threads.

    Parameters
    ----------
    stream : SpectrumStream
    index : int
        Number of the product.
    """

    name = "draw"

    def __init__(self, stream: SpectrumStream, index: int) -> None:
        super().__init__(stream)
        n_time, _, n_chan = stream.shape
        self._index, self._n_chan = index, n_chan
        self._n_freq, self._n_int = max(1, -(-n_chan // _CHANNELS)), max(1, -(-n_time // _ROWS))
        self._columns = np.arange(0, n_chan, self._n_freq)
        axis = stream.header.channels
        self._half = None if axis is None or n_chan == 1 else axis.half_channel
        self._total, self._weight = np.zeros((2, len(self._columns)))
        self._range = np.full((2, -(-n_time // self._n_int)), np.nan)
        rows = max(1, _PIECE_BYTES // max(1, stream.row_bytes))
        self.segment = max(stream.align, rows // stream.align * stream.align)

    @property
    def held_bytes(self) -> int:  # type: ignore[override]
        """Return the memory of the sums, and of their means."""
        return 3 * int(self._total.nbytes) + 2 * int(self._range.nbytes)

    def work_bytes(self, n: int) -> int:
        """Return the memory of the values and weights as float64."""
        return 32 * min(n, self.segment or n) * self._n_chan

    def part_bytes(self, n: int) -> int:
        """Return the memory of the sums."""
        return 16 * (len(self._columns) + n // self._n_int + 2)

    def partial(self, block: Block) -> _Part:
        """Return the sums over the rows of a block, and the means of its rows."""
        weight = np.broadcast_to(block.valid, block.data.shape)[:, self._index].astype(np.float64)
        values = np.where(weight > 0, block.data[:, self._index], 0) * weight
        total, held = (np.add.reduceat(each.sum(axis=0), self._columns)
                       for each in (values, weight))
        if self._half is not None:  # its scale is not that of whole channels
            values[:, self._half] = weight[:, self._half] = 0
        with np.errstate(invalid="ignore", divide="ignore"):
            means = values.sum(axis=1) / weight.sum(axis=1)
        first = block.start // self._n_int
        starts = np.arange(first * self._n_int, block.start + block.n, self._n_int) - block.start
        starts = np.maximum(starts, 0)
        return _Part(first, total, held, np.fmin.reduceat(means, starts),
                     np.fmax.reduceat(means, starts))

    def merge(self, part: _Part) -> None:
        """Add the sums of the next rows."""
        self._total += part.total
        self._weight += part.weight
        bins = slice(part.first, part.first + len(part.lowest))
        lowest, highest = self._range[:, bins]
        np.fmin(lowest, part.lowest, out=lowest)
        np.fmax(highest, part.highest, out=highest)

    def finish(self, n_rows: int) -> Means:
        """Return the means of all rows."""
        with np.errstate(invalid="ignore", divide="ignore"):
            spectrum = self._total / self._weight
        if self._half is not None and self._n_freq == 1:
            spectrum[self._half] = np.nan
        lowest, highest = self._range[:, : -(-n_rows // self._n_int)]
        return Means(spectrum, self._n_freq, lowest, highest, self._n_int)
