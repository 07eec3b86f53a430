"""Stages that treat segments of spectra separately, counted from the first row."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.units import whole
from fastsig.errors import PlanError, UsageError
from fastsig.stream import Block, CodedBlock, SpectraStage, SpectrumStream, Stream

__all__ = ["SegmentStage"]

_SEGMENT_VALUES = 2**20  # values of a product in a segment, by default
_SEGMENT_ROWS = 32, 1024
_KEPT_BYTES = 2**24  # results that are kept for the next block in the same segment
_LONGEST = 2**20


class SegmentStage(SpectraStage):
    """Spectra that are computed from segments of rows, which are counted from the first row.

    A subclass defines `_result`, which is computed once for each segment, by the first thread that
    needs it. The last segment includes a remainder of less than half a segment.

    Parameters
    ----------
    source : SpectrumStream
    n_segment : int or None
        Rows in a segment; by default, 32 to 1024, so that a product has about 2^20 values in it.
    """

    source: SpectrumStream

    def __init__(self, source: Stream, n_segment: int | None, **changes: Any) -> None:
        if not isinstance(source, SpectrumStream):
            raise PlanError(f"{self.name} requires spectra, not {source.kind}")
        super().__init__(source, **changes)
        self.n_segment = self._segment_length(n_segment)
        self._set_up()

    def _replace(self, *sources: Stream) -> None:
        super()._replace(*sources)
        self._set_up()

    def _set_up(self) -> None:
        self._results: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()

    def _segment_length(self, n_segment: int | None) -> int:
        low, high = _SEGMENT_ROWS
        if n_segment is None:
            return min(high, max(low, _SEGMENT_VALUES // self.shape[2]))
        n_segment = whole("n_segment", n_segment)
        if not 1 <= n_segment <= _LONGEST:
            raise UsageError(f"n_segment = {n_segment}; allowed: 1 to {_LONGEST}")
        return n_segment

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the rows of the complete segments in which the given rows lie.

        If the end is not known, half a segment is added: a remainder shorter than that belongs to
        the last segment.
        """
        if not n:
            return start, 0
        first = self._bounds(self._segment(start))[0]
        more = -(-self.n_segment // 2) if self.endless else 0
        return first, self._bounds(self._segment(start + n - 1))[1] - first + more

    @property
    def align(self) -> int:
        """Rows that are best read together."""
        return self.n_segment

    @property
    def row_bytes(self) -> int:
        """Bytes of one spectrum and its weights in memory."""
        return self._values * 8

    @property
    def _values(self) -> int:
        return self.shape[1] * self.shape[2]

    @property
    def _result_bytes(self) -> int:
        """Memory used by the result of a segment."""
        raise NotImplementedError

    @property
    def _most_kept(self) -> int:
        """Largest number of segments whose results are kept in memory."""
        return max(4, _KEPT_BYTES // max(1, self._result_bytes))

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs for `n` rows: whole segments, and the results."""
        rows = min(self.shape[0], n + 2 * self.n_segment)
        kept = min(self.shape[0] // self.n_segment + 1, self._most_kept)
        return (self.source.work_bytes(rows) + rows * self._values * 12
                + kept * self._result_bytes + self._working_bytes)

    @property
    def _working_bytes(self) -> int:
        """Memory that is needed to compute the result of a segment."""
        return 0

    def _segment(self, row: int) -> int:
        """Return the number of a row's segment; a remainder below half of one joins the last."""
        count = max(1, (2 * self.shape[0] + self.n_segment) // (2 * self.n_segment))
        return min(row // self.n_segment, count - 1)

    def _bounds(self, number: int) -> tuple[int, int]:
        """Return the first row of a segment, and the row after its last."""
        start = number * self.n_segment
        is_last = self._segment(self.shape[0] - 1) == number
        return start, self.shape[0] if is_last else start + self.n_segment

    def _parts(self, start: int, n: int, block: Block | CodedBlock | None
               ) -> list[tuple[int, int, int, Any]]:
        """Return first row, row after the last, first of the segment and result of each part."""
        if not n:
            return []
        found = []
        for number in range(self._segment(start), self._segment(start + n - 1) + 1):
            first, stop = self._bounds(number)
            found.append((max(start, first), min(start + n, stop), first,
                          self._kept(number, block)))
        return found

    def _kept(self, number: int, block: Block | CodedBlock | None) -> Any:
        """Return the result of a segment, which the first thread that needs it computes."""
        with self._lock:
            made = self._results.get(number)
            mine = made is None
            if made is None:
                made = self._results[number] = Future()
                self._make_room()
        if mine:
            try:
                made.set_result(self._computed(number, block))
            except BaseException as error:
                with self._lock:
                    self._results.pop(number, None)
                made.set_exception(error)
        return made.result()

    def _make_room(self) -> None:
        """Drop the earliest segments: rows are mostly read in ascending order."""
        for number in sorted(self._results)[: max(0, len(self._results) - self._most_kept)]:
            del self._results[number]

    def _computed(self, number: int, block: Block | CodedBlock | None) -> Any:
        first, stop = self._bounds(number)
        if block is None or block.start > first or block.start + block.n < stop:
            read = self.source.read_coded if self.coded else self.source.read_block
            block = read(first, stop - first)
        if isinstance(block, CodedBlock):
            return self._coded_result(first, block.part(first, stop))
        rows = slice(first - block.start, stop - block.start)
        data, weight = block.data[rows], np.broadcast_to(block.valid[rows], block.data[rows].shape)
        return self._result(first, data, weight)

    def _coded_result(self, first: int, block: CodedBlock) -> Any:
        """Return the result of a segment of codes; by default, that of its values."""
        made = block.block()
        return self._result(first, made.data, np.broadcast_to(made.valid, made.data.shape))

    def _result(self, first: int, data: NDArray[np.float32], weight: NDArray[np.float32]) -> Any:
        """Return the result of a segment that begins with row `first`.

        Values and weights have the shape (n, product, chan).
        """
        raise NotImplementedError
