"""Long integrations: segments are summed in parallel, and stages above read complete rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastsig.stages.integrate import Integrate
from fastsig.stream import Block, SpectraStage, Stage, Stream, Sums, means
from fastsig.stream.kept import Kept

__all__ = ["FinishedRows", "above", "long_integration"]


def long_integration(stream: Stream) -> Integrate | None:
    """Return the deepest integration of a chain with several segments per row; None without one.

    Stages that several chains share are computed row by row, and are not searched.
    """
    found = None
    while isinstance(stream, Stage) and len(stream.inputs()) == 1 and not isinstance(stream, Kept):
        if isinstance(stream, Integrate) and stream.is_long:
            found = stream
        stream = stream.inputs()[0]
    return found


class FinishedRows(SpectraStage):
    """Rows of an integration that are finished and still needed; they are added in order."""

    name = "integrate"
    recorded = False
    source: Integrate

    def __init__(self, source: Integrate) -> None:
        super().__init__(source)
        self._rows: dict[int, Sums] = {}
        #: Number of rows that have been added.
        self.count = 0

    @property
    def columns(self) -> Any:
        """The columns of the integration."""
        return self.source.columns

    def work_bytes(self, n: int) -> int:
        """Memory of rows, which exist already."""
        return n * self.row_bytes

    def add(self, row: Sums) -> None:
        """Add the next row."""
        self._rows[self.count] = row
        self.count += 1

    def drop(self, before: int) -> None:
        """Release rows that are no longer needed."""
        for number in [number for number in self._rows if number < before]:
            del self._rows[number]

    def read_sums(self, start: int, n: int) -> Sums:
        """Return rows that have been added."""
        rows = [self._rows[number] for number in range(start, start + n)]
        if not rows:
            return self.source.read_sums(start, 0)
        return Sums(np.concatenate([row.total for row in rows]),
                    np.concatenate([row.weight for row in rows]))


def above(stream: Stream, integration: Integrate, finished: FinishedRows) -> Stream:
    """Return the stages above an integration, on its finished rows."""
    if stream is integration:
        return finished
    source, = stream.inputs()
    made: Any = stream
    return made.with_source(above(source, integration, finished))  # type: ignore[no-any-return]


class RowFeed:
    """Blocks of a chain with a long integration, as soon as the rows for them are finished.

    Parameters
    ----------
    stream : Stream
        The chain.
    integration : Integrate
        The integration in it.
    unit_rows : int
        Number of rows in a block.
    """

    def __init__(self, stream: Stream, integration: Integrate, unit_rows: int) -> None:
        self._finished = FinishedRows(integration)
        self._stream = above(stream, integration, self._finished)
        self._integration, self._unit, self._done = integration, unit_rows, 0
        self._parts: list[Sums] = []

    def add(self, part: Sums, *, last: bool) -> Iterator[Block]:
        """Add sums of segments, in order, and yield the blocks that are complete with them."""
        self._parts.append(part)
        if not last:
            return
        self._finished.add(self._integration.combine(self._parts))
        self._parts = []
        total = self._stream.shape[0]
        while self._done < total:
            n = min(self._unit, total - self._done)
            if sum(self._needs(self._done, n)) > self._finished.count:
                return
            yield self._block(n)
            self._done += n
            if self._done < total:
                self._finished.drop(self._needs(self._done, 1)[0])

    def _block(self, n: int) -> Block:
        if self._stream is self._finished:
            rows = self._finished.read_sums(self._done, n)
            return means(rows, self._stream.header.n_sum, self._done)
        return self._stream.read_block(self._done, n)

    def _needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the rows of the integration that are needed for rows of the chain."""
        stream = self._stream
        while stream is not self._finished:
            start, n = stream.needs(start, n)
            stream = stream.inputs()[0]
        return start, n
