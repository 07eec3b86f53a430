"""Spectra as the 8-bit codes in which they were recorded, with the flags found so far.

Codes take a quarter of the memory of float32, and a pass over them takes a fraction of the time.
Stages that flag samples, or subtract a time series from all channels, need not change them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.stream.base import Block

__all__ = ["CodedBlock"]

_ROWS = 64  # that are expanded at a time: they stay in the cache

F4 = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class CodedBlock:
    """A piece of a stream of spectra of one product, whose values are ``codes - series``.

    Parameters
    ----------
    codes : ndarray, shape (n, chan), uint8
        Codes, as recorded.
    weight : ndarray, shape (n, 1, 1 or chan), float32
        Weights without regard to flags.
    start, n : int
        First row and number of rows.
    flags : ndarray, shape (n or 1, chan), bool, optional
        Samples of weight 0; None if there are none.
    changes : tuple of int, optional
        Rows of the stream at which flags of channels begin and end; None if they may do so at any
        row.
    series : ndarray, shape (n,), float32, optional
        Series that is subtracted from all channels.
    sums : dict
        Sums of powers of the codes, with the first row and the row after the last as keys; shared
        by all stages.
    room : ndarray, shape (n, chan), bool, optional
        Memory, all False, for the flags that a stage finds.
    """

    codes: NDArray[np.uint8]
    weight: F4
    start: int
    n: int
    flags: Flags | None = None
    changes: tuple[int, ...] | None = ()
    series: F4 | None = None
    sums: dict[tuple[int, int], NDArray[np.float64]] = field(default_factory=dict)
    room: Flags | None = None

    def part(self, first: int, stop: int) -> CodedBlock:
        """Return the rows of the stream from `first` to ``stop - 1``."""
        rows = slice(first - self.start, stop - self.start)
        return replace(
            self, codes=self.codes[rows], weight=self.weight[rows], start=first, n=stop - first,
            flags=self.flags if self.flags is None or len(self.flags) == 1 else self.flags[rows],
            series=None if self.series is None else self.series[rows],
            room=None if self.room is None else self.room[rows])

    def counted(self, start: int, channels: slice) -> CodedBlock:
        """Return some channels of the block, with its rows numbered from another start."""
        late = start - self.start
        weight = self.weight if self.weight.shape[2] == 1 else self.weight[:, :, channels]
        return replace(
            self, codes=np.ascontiguousarray(self.codes[:, channels]), weight=weight, start=start,
            flags=None if self.flags is None else self.flags[:, channels], sums={},
            changes=None if self.changes is None else tuple(row + late for row in self.changes))

    def flagged(self, flags: Flags, changes: tuple[int, ...] | None) -> CodedBlock:
        """Return the rows with other flags, which include the present ones.

        `changes` are the rows of the stream at which the further flags change.
        """
        both = None if changes is None or self.changes is None else (*self.changes, *changes)
        return replace(self, flags=flags, changes=both)

    def without(self, rows: Flags) -> CodedBlock:
        """Return the block with weight 0 in all channels of the given rows, (n,) bool."""
        weight = np.where(rows[:, np.newaxis, np.newaxis], np.float32(0), self.weight)
        weight.flags.writeable = False
        return replace(self, weight=weight)

    def lost_rows(self) -> Flags:
        """Return which rows have weight 0 in all channels, without regard to flags, (n,)."""
        if not self.n or self.weight.min() > 0:
            return np.zeros(self.n, np.bool_)
        return np.asarray(~(self.weight[:, 0] > 0).any(axis=1))

    def lost_channels(self) -> Flags | None:
        """Return which channels have weight 0 in all rows; None if others have weight 0 in some.

        Rows that are lost do not count.
        """
        kept = ~self.lost_rows()
        found = self._without_weight(kept)
        if found is None or self.flags is None:
            return found
        steady = self.changes is not None and not any(
            self.start < row < self.start + self.n for row in self.changes)
        if steady or len(self.flags) == 1:
            return np.asarray(found | self.flags[0])
        flags = self.flags if kept.all() else self.flags[kept]
        return None if (flags != flags[:1]).any() else np.asarray(found | flags[0])

    def _without_weight(self, kept: Flags) -> Flags | None:
        """Return the same without regard to flags; None if all rows are lost."""
        n_chan = self.codes.shape[1]
        if not kept.any():
            return None
        if self.weight.shape[2] == 1:  # of rows that are kept, above 0
            return np.zeros(n_chan, np.bool_)
        lost = ~(self.weight[kept, 0] > 0)
        return None if (lost != lost[:1]).any() else np.broadcast_to(lost[0], n_chan)

    def power_sums(self) -> NDArray[np.float64]:
        """Return the sums of powers 0 to 4 of the codes of channels, (5, chan), flagged or not.

        Rows that are lost do not contribute. All sums are exact.
        """
        from fastsig_kernels import power_sums

        rows, lost = (self.start, self.start + self.n), self.lost_rows()
        if rows not in self.sums:
            self.sums[rows] = power_sums(self.codes)
        if not lost.any():
            return self.sums[rows]
        return np.asarray(self.sums[rows] - power_sums(self.codes[lost]))

    def block(self, out: NDArray[Any] | None = None) -> Block:
        """Return values (NaN where the weight is 0) and weights, both float32."""
        shape = self.n, 1, self.codes.shape[1]
        data = np.empty(shape, np.float32) if out is None else out[: self.n]
        lost = self.flags
        if not (self.weight > 0).all():
            lost = ~(self.weight[:, 0] > 0) if lost is None else lost | ~(self.weight[:, 0] > 0)
        for first in range(0, self.n, _ROWS):
            rows = slice(first, first + _ROWS)
            self._expand(rows, data[rows, 0], lost)
        view = data.view()
        view.flags.writeable = False
        return Block(view, self._weights(), self.start, self.n)

    def _expand(self, rows: slice, out: F4, lost: Flags | None) -> None:
        np.copyto(out, self.codes[rows])
        if self.series is not None:
            out -= self.series[rows, np.newaxis]
        if lost is not None:
            lost = lost if len(lost) == 1 else lost[rows]
            np.copyto(out, np.float32(np.nan), where=lost)

    def _weights(self) -> F4:
        """Return weights, which are stored once if all rows have the same."""
        if self.flags is None:
            return self.weight
        weight = self.weight
        steady = len(self.flags) == 1 and (weight == weight[:1]).all()
        weight = np.where(self.flags[:, np.newaxis], np.float32(0),
                          weight[:1] if steady else weight)
        weight.flags.writeable = False
        return np.broadcast_to(weight, (self.n, *weight.shape[1:]))
