"""Stages of a test's own: what a plug-in would write."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsig.stream import Block, SpectraStage, Stream


class Delayed(SpectraStage):
    """Spectra less the mean of rows around them: an overlap that is not the same on both sides.

    Parameters
    ----------
    source : SpectrumStream
    before, after : int
        Rows of the mean.
    """

    name = "delayed"
    api = 1

    def __init__(self, source: Stream, before: int = 2, after: int = 0) -> None:
        super().__init__(source)
        self.before, self.after = before, after
        self.overlap = before, after

    def read_block(self, start: int, n: int, out: Any = None) -> Block:
        first, count = self.needs(start, n)
        block = self.source.read_block(first, count)
        whole = np.nan_to_num(np.rint(block.data))  # so that sums are exact, however they begin
        total = np.concatenate([np.zeros((1, *block.data.shape[1:])),
                                np.cumsum(whole, axis=0, dtype=np.float64)])
        rows = np.arange(start, start + n)
        low = np.maximum(rows - self.before, 0) - first
        high = np.minimum(rows + self.after + 1, self.shape[0]) - first
        mean = (total[high] - total[low]) / (high - low)[:, np.newaxis, np.newaxis]
        data = np.subtract(block.data[start - first : start - first + n], mean, dtype=np.float32)
        data.flags.writeable = False
        return Block(data, block.valid[start - first : start - first + n], start, n)


class Misnamed(SpectraStage):
    """A stage that calls itself something else than its entry point does."""

    name = "other"

    def read_block(self, start: int, n: int, out: Any = None) -> Block:
        return self.source.read_block(start, n, out)
