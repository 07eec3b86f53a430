"""Stages that give weight 0 to samples, whatever decides which."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.stages.segments import SegmentStage
from fastsig.stream import Block, Codes, SpectraStage, SpectrumStream, Sums

__all__ = ["FlagStage", "FlaggedSpectra"]

Flags = NDArray[np.bool_]


class FlaggedSpectra(SpectraStage):
    """Spectra in which flagged samples have weight 0; a subclass defines `_parts`."""

    source: SpectrumStream

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis."""
        return self.shape[2]

    def codes(self) -> Codes | None:
        """Same as for the source: flagged values are NaN, and have the weight 0."""
        return self.source.codes()

    @property
    def row_bytes(self) -> int:
        """Bytes of one spectrum and its weights in memory."""
        return self.shape[1] * self.shape[2] * 8

    @property
    def _flag_products(self) -> int:
        """Products that have flags of their own: 1 if flags are those of all products."""
        return 1

    def _parts(self, start: int, n: int, block: Block | None) -> list[tuple[int, int, int, Flags]]:
        """Return flags of parts of rows: first row, row after the last, row of the first flags.

        Flags have the shape (n or 1, product or 1, chan), where 1 stands for all. `block` are the
        rows of the source, if they were read.
        """
        raise NotImplementedError

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return mean spectra (NaN where the weight is 0) and weights, both float32."""
        self._check_range(start, n)
        block = self.source.read_block(start, n)
        data = np.empty(block.data.shape, np.float32) if out is None else out[:n]
        weight = np.empty((n, max(block.valid.shape[1], self._flag_products), self.shape[2]),
                          np.float32)
        for begin, end, first, flags in self._parts(start, n, block):
            rows = slice(begin - start, end - start)
            flags = flags if len(flags) == 1 else flags[begin - first : end - first]
            np.copyto(data[rows], block.data[rows])
            np.copyto(weight[rows], block.valid[rows])
            if flags.any():
                np.copyto(data[rows], np.float32(np.nan), where=flags)
                np.copyto(weight[rows], np.float32(0), where=flags)
        view = data.view()
        view.flags.writeable = weight.flags.writeable = False
        return Block(view, weight, start, n)

    def read_sums(self, start: int, n: int) -> Sums:
        """Return rows in their additive form."""
        self._check_range(start, n)
        sums = self.source.read_sums(start, n)
        total = np.array(sums.total)
        weight = np.array(np.broadcast_to(sums.weight, total.shape))
        for begin, end, first, flags in self._parts(start, n, None):
            rows = slice(begin - start, end - start)
            flags = flags if len(flags) == 1 else flags[begin - first : end - first]
            np.copyto(total[rows], total.dtype.type(0), where=flags)
            np.copyto(weight[rows], 0.0, where=flags)
        return Sums(total, weight)


class FlagStage(SegmentStage, FlaggedSpectra):
    """Spectra with flags that are found in segments; a subclass defines `_result`, the flags."""

    @property
    def _result_bytes(self) -> int:
        return self.shape[1] * self.shape[2]  # flags of channels
