"""Memory of a run: how many rows, units, threads and kept voltages fit into a bound."""

from __future__ import annotations

from typing import Any

from fastsig.shared import Shared
from fastsig.stages.integrate import SEGMENT, Integrate
from fastsig.stages.spectrometer import Spectrometer
from fastsig.stream import SpectrumStream, Stream

__all__ = ["Need", "reach", "root"]

_UNIT_BYTES = 2**24  # input that a unit reads: long enough to hide the cost of a task
_RESULT_BYTES = 2**22


def root(stream: Stream) -> Stream:
    """The file that a chain reads."""
    while stream.inputs():
        stream = stream.inputs()[0]
    return stream


def reach(stream: Stream, start: int, n: int) -> tuple[int, int]:
    """First row and number of rows of the shared input, or of the file, that rows need."""
    while stream.inputs() and not isinstance(stream, Shared):
        start, n = stream.needs(start, n)
        stream = stream.inputs()[0]
    return start, n


def unit_rows(stream: SpectrumStream) -> int:
    """Rows that read about `_UNIT_BYTES` of the file and give at most `_RESULT_BYTES`.

    They are whole segments where the stream is made of these, one at the least.
    """
    file: Any = root(stream)
    ratio = file.header.sample_rate / stream.header.sample_rate
    fused: Any = stream.source if isinstance(stream, Integrate) else stream
    unit, row = _UNIT_BYTES, file.row_bytes
    if isinstance(fused, Spectrometer):
        unit, row = max(unit, fused.read_bytes), fused.input_row_bytes
    by_input = int(unit // max(1, ratio * row))
    by_result = _RESULT_BYTES // max(1, stream.row_bytes)
    step = stream.segment_rows
    whole = max(step, min(by_input, by_result) // step * step)
    return max(1, min(whole, stream.shape[0]))


class Need:
    """Memory of running chains side by side, on one thread pool.

    Parameters
    ----------
    streams : list of SpectrumStream
        The chains.
    base : int
        What the process takes besides.
    shared : Shared, optional
        What they all read.
    """

    def __init__(self, streams: list[SpectrumStream], base: int, shared: Shared | None) -> None:
        self.streams, self.base, self.shared = streams, base, shared

    def kept(self, flight: int, rows: list[int]) -> int:
        """Voltages to keep so that none is read twice.

        Units run in the order of their first row, so what lies before the first one in flight is
        done with: left are the longest unit, and the way that the shortest make in the meantime.
        """
        if self.shared is None:
            return 0
        units = [_longest(stream, n) for stream, n in zip(self.streams, rows, strict=True)]
        span = max(units) + (flight + 1) * min(units)
        return span * self.shared.row_bytes + 2 * self.shared.page_bytes

    @property
    def least_kept(self) -> int:
        """Voltages that are kept at the least."""
        return 0 if self.shared is None else 2 * self.shared.page_bytes

    def __call__(self, threads: int, flight: int, rows: list[int], kept: int) -> int:
        """Bytes of the process."""
        pairs = list(zip(self.streams, rows, strict=True))
        work = max(stream.work_bytes(n) for stream, n in pairs)
        return self.base + kept + threads * work + flight * max(
            n * stream.row_bytes for stream, n in pairs)

    def fit(self, threads: int, memory: int | None) -> tuple[int, int, list[int], int]:
        """Threads, units in flight, rows a unit and bytes kept: as many as `memory` allows.

        What is given up first costs least: long units, single reading, units ahead, threads.
        """
        rows, flight = [unit_rows(stream) for stream in self.streams], threads + 2
        kept = self.kept(flight, rows)
        while memory is not None and (over := self(threads, flight, rows, kept) - memory) > 0:
            if max(rows) > 1:
                rows = [max(1, n // 2) for n in rows]
                kept = self.kept(flight, rows)
            elif kept > self.least_kept:
                kept = max(self.least_kept, kept - over)
            elif flight > threads:
                flight -= 1
            else:
                threads, flight = threads - 1, threads - 1
            if threads <= 1 and max(rows) == 1 and kept == self.least_kept:
                return 1, 1, rows, kept
        return threads, flight, rows, kept


def _longest(stream: SpectrumStream, rows: int) -> int:
    """Input rows of a unit."""
    if isinstance(stream, Integrate) and stream.n_int > SEGMENT:
        return reach(stream.source, 0, min(SEGMENT, stream.source.shape[0]))[1]
    return reach(stream, 0, min(rows, stream.shape[0]))[1]
