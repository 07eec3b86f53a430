"""Long integrations: their segments are summed side by side, what stands above reads whole rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastsig.stages.integrate import Integrate
from fastsig.stream import Block, SpectraStage, Stage, Stream, Sums, means
from fastsig.stream.kept import Kept

__all__ = ["FinishedRows", "above", "long_integration"]


def long_integration(stream: Stream) -> Integrate | None:
    """The deepest integration of a chain whose rows have several segments; None without one.

    What several chains share is made row by row, and not looked into.
    """
    found = None
    while isinstance(stream, Stage) and len(stream.inputs()) == 1 and not isinstance(stream, Kept):
        if isinstance(stream, Integrate) and stream.is_long:
            found = stream
        stream = stream.inputs()[0]
    return found


class FinishedRows(SpectraStage):
    """Rows of an integration that are finished and still needed; they arrive in order."""

    name = "integrate"
    recorded = False
    source: Integrate

    def __init__(self, source: Integrate) -> None:
        super().__init__(source)
        self._rows: dict[int, Sums] = {}
        #: Rows that have arrived.
        self.count = 0

    @property
    def columns(self) -> Any:
        """As of the integration."""
        return self.source.columns

    def work_bytes(self, n: int) -> int:
        """Memory of rows, which are there already."""
        return n * self.row_bytes

    def add(self, row: Sums) -> None:
        """Take the next row."""
        self._rows[self.count] = row
        self.count += 1

    def drop(self, before: int) -> None:
        """Forget rows that are not needed any more."""
        for number in [number for number in self._rows if number < before]:
            del self._rows[number]

    def read_sums(self, start: int, n: int) -> Sums:
        """Rows that have arrived."""
        rows = [self._rows[number] for number in range(start, start + n)]
        if not rows:
            return self.source.read_sums(start, 0)
        return Sums(np.concatenate([row.total for row in rows]),
                    np.concatenate([row.weight for row in rows]))


def above(stream: Stream, integration: Integrate, finished: FinishedRows) -> Stream:
    """The chain over an integration, on its finished rows."""
    if stream is integration:
        return finished
    source, = stream.inputs()
    made: Any = stream
    return made.with_source(above(source, integration, finished))  # type: ignore[no-any-return]


class RowFeed:
    """Blocks of a chain over a long integration, as soon as the rows that they need are there.

    Parameters
    ----------
    stream : Stream
        The chain.
    integration : Integrate
        The integration in it.
    unit_rows : int
        Rows of a block.
    """

    def __init__(self, stream: Stream, integration: Integrate, unit_rows: int) -> None:
        self._finished = FinishedRows(integration)
        self._stream = above(stream, integration, self._finished)
        self._integration, self._unit, self._done = integration, unit_rows, 0
        self._parts: list[Sums] = []

    def add(self, part: Sums, *, last: bool) -> Iterator[Block]:
        """Take sums of segments, in order; give the blocks that are complete with them."""
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
        """Rows of the integration that rows of the chain are made of."""
        stream = self._stream
        while stream is not self._finished:
            start, n = stream.needs(start, n)
            stream = stream.inputs()[0]
        return start, n
