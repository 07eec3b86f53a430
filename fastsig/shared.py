"""Voltages that several chains read: every piece is read from the file once."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig import validity
from fastsig.errors import PlanError
from fastsig.stream import Block, Stream, VoltageStream
from fastsig.validity import Spans

__all__ = ["Shared", "shared_by"]

_PAGE_BYTES = 2**22


class Shared(VoltageStream):
    """The voltages of another stream, kept for a while for the next who reads them.

    Chains on one `Shared` read each piece of the source once where they go through it side by
    side, as `fastsig.reduce.write_many` makes them. What they read is the same in any case.

    Parameters
    ----------
    source : VoltageStream
        A file or a span of one.

    Raises
    ------
    PlanError
        Where the source is no voltage stream.
    """

    recorded = False

    def __init__(self, source: Stream) -> None:
        if not isinstance(source, VoltageStream):
            raise PlanError(f"voltages can be shared, not {source.kind}: share before channelize")
        super().__init__(source.header, source.shape, source.dtype, source.path)
        self.source = source
        self.page_rows = max(1, _PAGE_BYTES // source.row_bytes)
        self.capacity = 2**26
        self._pages: dict[int, Future[Block]] = {}
        self._lock = threading.Lock()

    def inputs(self) -> tuple[Stream, ...]:
        """The voltages."""
        return (self.source,)

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to read `n` rows, what is kept for others apart."""
        return n * self.row_bytes + self.source.work_bytes(self.page_rows)

    @property
    def page_bytes(self) -> int:
        """Memory of a piece that is read at once."""
        return self.page_rows * self.row_bytes

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        spans: list[list[Spans]] = [[] for _ in range(self.n_pol)]
        for number in range(start // self.page_rows, -(-(start + n) // self.page_rows)):
            page = self._page(number)
            first, stop = max(start, page.start), min(start + n, page.start + page.n)
            out[first - start : stop - start] = page.data[first - page.start : stop - page.start]
            for each, valid in zip(spans, page.valid, strict=True):
                each.append(validity.clip(valid, first, stop))
        return tuple(validity.as_spans(np.concatenate([validity.full(0, 0), *each]))
                     for each in spans)

    def _page(self, number: int) -> Block:
        """A piece from memory, or from the source, on which others then wait."""
        with self._lock:
            page = self._pages.get(number)
            mine = page is None
            if page is None:
                page = self._pages[number] = Future()
                self._make_room()
        if mine:
            self._load(number, page)
        return page.result()

    def _make_room(self) -> None:
        """Drop the earliest pieces: chains go forward, so these are done with first."""
        most = max(1, self.capacity // self.page_bytes)
        for number in sorted(self._pages)[: max(0, len(self._pages) - most)]:
            del self._pages[number]

    def _load(self, number: int, page: Future[Block]) -> None:
        first = number * self.page_rows
        try:
            page.set_result(
                self.source.read_block(first, min(self.page_rows, self.shape[0] - first))
            )
        except BaseException as error:
            with self._lock:
                self._pages.pop(number, None)
            page.set_exception(error)

    def forget(self) -> None:
        """Give the memory of all pieces back."""
        with self._lock:
            self._pages.clear()


def shared_by(stream: Stream) -> Shared | None:
    """The `Shared` that a chain stands on, if it does."""
    while not isinstance(stream, Shared):
        if not stream.inputs():
            return None
        stream = stream.inputs()[0]
    return stream
