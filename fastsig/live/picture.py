"""Picture: the last minute of a chain, drawn again every few seconds."""

from __future__ import annotations

import os
import time
from collections import deque
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import sample_time
from fastsig.io.spectra.segments import FileSpectra
from fastsig.live.children import trim_heap
from fastsig.stream import Block, Sink, SpectrumStream
from fastsig.stream.header import Header

__all__ = ["Picture"]

_SPAN_S, _ROWS, _CHANNELS = 60, 300, 1024

F4 = NDArray[np.float32]


class _Held(FileSpectra):
    """Spectra in memory."""

    def __init__(self, header: Header, data: F4, weight: F4, path: str) -> None:
        super().__init__(header, data.shape, path, weight_channels=1, may_have_nan=True)
        self._data, self._weight = data, weight

    @property
    def files(self) -> list[str]:
        """None: the spectra are in memory."""
        return []

    def _values(self, start: int, n: int) -> tuple[F4, F4]:
        rows = slice(start, start + n)
        return self._data[rows].copy(), self._weight[rows].copy()


class Picture(Sink):
    """Averages spectra and channels, keeps the last minute, and draws it.

    Parameters
    ----------
    stream : SpectrumStream
    path : str
        The picture, which is replaced.
    every_s : float
        Seconds between pictures.
    """

    name = "picture"
    takes_endless = True
    stream: SpectrumStream

    def __init__(self, stream: Any, path: str, every_s: float) -> None:
        super().__init__(stream)
        self.path, self._every_s = path, every_s
        rate = stream.header.sample_rate
        self.segment = max(1, round(Fraction(_SPAN_S, _ROWS) * rate))
        n_chan = stream.shape[2]
        self._n_freq = next(n for n in range(-(-n_chan // _CHANNELS), n_chan + 1)
                            if n_chan % n == 0)
        self._kept: deque[tuple[int, F4, F4]] = deque(maxlen=_ROWS)
        self._rows, self._last = 0, time.monotonic()

    def part_bytes(self, n: int) -> int:
        """Return the memory of a mean spectrum."""
        return 8 * int(np.prod(self.stream.shape[1:])) // self._n_freq

    def partial(self, block: Block) -> tuple[int, F4, F4]:
        """Return the number of rows, their weighted mean, and the weights of products."""
        weight = np.broadcast_to(block.valid, block.data.shape).astype(np.float64)
        total = np.where(weight > 0, block.data, 0) * weight
        shape = (*self.stream.shape[1:2], -1, self._n_freq)
        sums, weights = (each.sum(axis=0).reshape(shape).sum(axis=2) for each in (total, weight))
        with np.errstate(invalid="ignore"):
            mean = (sums / weights).astype(np.float32)
        share = weights.mean(axis=1, keepdims=True) / (block.n * self._n_freq)
        return block.n, mean, share.astype(np.float32)

    def merge(self, part: tuple[int, F4, F4]) -> None:
        """Keep a mean spectrum, and draw the picture if it is due."""
        self._kept.append((self._rows, *part[1:]))
        self._rows += part[0]
        if time.monotonic() > self._last + self._every_s:
            self.draw()

    def draw(self) -> None:
        """Draw what is kept."""
        from fastsig.chain import Chain

        header, axis = self.stream.header, self.stream.header.require_channels(self.path)
        first = self._kept[0][0]
        about = header.later(
            sample_time(header.start_time, first, header.sample_rate),
            first / header.sample_rate).replace(
            sample_rate=header.sample_rate / (self.segment or 1),
            channels=axis.averaged(self._n_freq), n_bits=32)
        data, weight = (np.stack([each[index] for each in self._kept]) for index in (1, 2))
        Chain(_Held(about, data, weight, os.path.basename(self.path))).plot(
            self.path, overwrite=True)
        trim_heap()
        self._last = time.monotonic()

    def finish(self, n_rows: int) -> None:
        """Draw the last picture."""
        if self._kept:
            self.draw()
