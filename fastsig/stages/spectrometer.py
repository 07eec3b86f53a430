"""Spectrometer: Channelize and Detect fused, for integration without spectra in between."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastsig_kernels import detect_accumulate
from numpy.typing import NDArray

from fastsig.stages.channelize import Channelize
from fastsig.stages.detect import Detect
from fastsig.stream import Scratch

__all__ = ["Spectrometer"]

_READ_BYTES = 2**22


class Spectrometer(Detect):
    """A `Detect` whose `accumulate` adds frames up in the cache, bit for bit as unfused."""

    source: Channelize

    @classmethod
    def fuse(cls, detect: Detect) -> Spectrometer:
        """The fused form of a `Detect` that reads a `Channelize`."""
        return cls(detect.source, detect.products, **detect.signs)

    def __init__(self, source: Any, products: str = "I", **signs: int) -> None:
        super().__init__(source, products, **signs)
        self._tile = self.source.tile
        hop = self.source.n_fft * self.source.source.row_bytes
        self._read = max(self._tile, _READ_BYTES // hop)
        self._scratch = Scratch(self._make_scratch)

    @property
    def accumulate_bytes(self) -> int:
        """Memory that a thread takes to accumulate."""
        bank = self.source
        samples = bank.samples(0, self._read)[1]
        return (bank.source.work_bytes(samples) + self._tile * bank.row_bytes
                + bank.scratch_bytes)

    def _make_scratch(self) -> tuple[NDArray[Any], NDArray[np.complex64]]:
        voltages = self.source.source
        return (voltages.empty(self.source.samples(0, self._read)[1]),
                np.empty((self._tile, *self.source.shape[1:]), np.complex64))

    def accumulate(
        self, start: int, n: int, total: NDArray[Any], weight: NDArray[np.float64]
    ) -> None:
        """Add frames, in order, to `total` (product, chan) and `weight` (product, 1)."""
        buffer, frames = scratch = self._scratch.take()
        try:
            for first in range(start, start + n, self._read):
                count = min(self._read, start + n - first)
                self._add(first, count, buffer, frames, total, weight[:, 0])
        finally:
            self._scratch.give(scratch)

    def _add(
        self, first: int, count: int, buffer: NDArray[Any], frames: NDArray[np.complex64],
        total: NDArray[Any], weight: NDArray[np.float64],
    ) -> None:
        bank = self.source
        block = bank.source.read_block(*bank.samples(first, count), out=buffer)
        energy = bank.energy(block.valid, first, count)
        for tile in range(0, count, self._tile):
            n = min(self._tile, count - tile)
            begin, length = bank.samples(tile, n)
            bank.transform(block.data[begin : begin + length], frames[:n])
            detect_accumulate(frames[:n], energy[tile : tile + n], self.products, total, weight,
                              **self.signs)
