"""The engine: run passes of chains into sinks, on a pool of threads.

A lane is a chain with the sinks that receive its blocks. Lanes with a common file run together, in
the order of the first input row of their units; files are read one after the other. The thread that
reads a unit also computes the parts of the sinks; parts are merged on the calling thread, in the
order of rows. The first exception stops everything: blocks in flight are finished, sinks remove
what they have written, and the exception is raised with the file and the rows from which it came.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from fastsig.run.chains import first_needed, roots
from fastsig.run.keeping import keepers
from fastsig.run.lanes import Lane, Unit, describe_unit, sharing
from fastsig.run.long_rows import RowFeed
from fastsig.run.plan import Plan, plan
from fastsig.stream import Block, Sink, Stream
from fastsig.work.scheduler import run as run_tasks
from fastsig.work.signals import held

__all__ = ["Progress", "execute", "run", "sharing_rows"]

_log = logging.getLogger(__name__)

#: Called with the name of a pass, the number of input rows done since the last call, and the number
#: of input rows of the pass, which is 0 if the end is not known.
Progress = Callable[[str, int, int], Any]


def run(sinks: Sequence[Sink], *, workers: int | None = None, memory: int | None = None,
        fused: bool = True, progress: Progress | None = None) -> list[Any]:
    """Run chains into sinks, in one pass or in as many passes as the sinks require.

    Parameters
    ----------
    sinks : sequence of Sink
        The sinks, each with its chain; parts that chains have in common are computed once.
    workers : int, optional
        Number of threads; by default, as many as the process may use.
    memory : int, optional
        Maximum memory of the process, bytes.
    fused : bool
        Whether to use fused kernels; the result is the same, byte for byte.
    progress : callable, optional
        Called with the name of a pass, the number of input rows processed since the last call, and
        the number of input rows of the pass.

    Returns
    -------
    list
        The product of each sink; if a sink required further sinks, that of the last of them.

    Raises
    ------
    UsageError, PlanError
        As for `fastsig.run.plan.plan`.
    DataError
        If an input cannot be read to its end.
    OutputError
        If a product cannot be written. Unfinished products are removed.
    """
    ready = plan(sinks, workers=workers, memory=memory, fused=fused)
    results = execute(ready, progress=progress)
    return _further(sinks, results, lambda more: run(
        more, workers=workers, memory=memory, fused=fused, progress=progress))


def _further(sinks: Sequence[Sink], results: list[Any],
             run_more: Callable[[Sequence[Sink]], list[Any]]) -> list[Any]:
    """Return results after further passes required by sinks; one pass serves all sinks."""
    asked = [tuple(sink.then(result)) for sink, result in zip(sinks, results, strict=True)]
    more = [sink for group in asked for sink in group]
    if not more:
        return results
    made = iter(run_more(more))
    for index, group in enumerate(asked):
        for _ in group:
            results[index] = next(made)
    return results


def execute(ready: Plan, *, progress: Progress | None = None) -> list[Any]:
    """Run a plan and return the products of the sinks, in the order given to the plan.

    Raises
    ------
    DataError, OutputError
        As for `run`.
    """
    if _log.isEnabledFor(logging.INFO):
        _log.info("plan\n%s", ready.explain())
    begun = time.perf_counter()
    with held(), sharing_rows(ready), contextlib.ExitStack() as stack:
        for sink in ready.sinks:
            stack.enter_context(sink)
        feeds = [_Feed(lane) for lane in ready.lanes]
        _run(ready, feeds, progress)
        results = {id(sink): sink.finish(feed.rows) for feed in feeds for sink in feed.lane.sinks}
    _log.info("%s: %d rows in %.3g s", ready.name, ready.input_rows, time.perf_counter() - begun)
    return [results[id(sink)] for sink in ready.given]


@contextlib.contextmanager
def sharing_rows(ready: Plan) -> Iterator[None]:
    """Keep as many rows between units as planned, and release them afterwards."""
    keepers = ready.keepers
    for keeper, n_bytes in zip(keepers, ready.shares(), strict=True):
        keeper.hold(n_bytes)
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.forget()


class _Feed:
    """Feed the sinks of a lane: compute parts on worker threads, and merge them in order."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        #: Number of rows that the sinks have received.
        self.rows = 0
        self._rows_of = None if lane.long is None else RowFeed(
            lane.stream, lane.long, lane.feed_rows)

    def work(self, unit: Unit) -> Any:
        """Process a unit on a worker thread: return sums of segments, or the parts of all sinks."""
        made = self.lane.read(unit)
        return made if self._rows_of is not None else (made.n, self._parts(made))

    def _parts(self, block: Block) -> list[list[Any]]:
        return [[sink.partial(piece) for piece in _pieces(block, sink.segment)]
                for sink in self.lane.sinks]

    def take(self, unit: Unit, made: Any) -> None:
        """Merge a result of `work`; results are merged in order."""
        if self._rows_of is None:
            self._merge(*made)
            return
        for block in self._rows_of.add(made, last=unit.last):
            self._merge(block.n, self._parts(block))

    def _merge(self, n: int, parts: list[list[Any]]) -> None:
        for sink, own in zip(self.lane.sinks, parts, strict=True):
            for part in own:
                sink.merge(part)
        self.rows += n


def _pieces(block: Block, segment: int | None) -> list[Block]:
    """Split a block into pieces of one segment."""
    if segment is None or block.n <= segment:
        return [block]
    return [_rows_of(block, first, min(segment, block.n - first))
            for first in range(0, block.n, segment)]


def _rows_of(block: Block, first: int, n: int) -> Block:
    rows = slice(first, first + n)
    if isinstance(block.data, tuple):  # of aligned streams
        parts = [_rows_of(Block(data, valid, block.start, block.n), first, n)
                 for data, valid in zip(block.data, block.valid, strict=True)]
        data: Any = tuple(part.data for part in parts)
        return Block(data, tuple(part.valid for part in parts), block.start + first, n)
    valid = block.valid if isinstance(block.valid, tuple) else block.valid[rows]
    return Block(block.data[rows], valid, block.start + first, n)


def _run(ready: Plan, feeds: Sequence[_Feed], progress: Progress | None) -> None:
    """Process the units of all lanes, file by file, in the order of their first input row."""
    advance, ended = _Advance(ready, progress), _Ended(ready)

    def units(index: int, lag: int) -> Iterator[tuple[int, int, Unit]]:
        lane = feeds[index].lane
        for unit in lane.units():
            if all(sink.satisfied for sink in lane.sinks):
                return
            yield lane.begin(unit) + lag, index, unit

    def tasks() -> Iterator[tuple[int, int, Unit]]:
        for group in ended.groups:
            lag = _lag(ready, group)
            yield from heapq.merge(*(units(index, lag if index != group[0] else 0)
                                     for index in group), key=lambda task: task[:2])

    released = _Released(ready)

    def consume(task: tuple[int, int, Unit], made: Any) -> None:
        ended.before(task[1])
        feeds[task[1]].take(task[2], made)
        released.by(task[1], task[2])
        advance(task[1], task[2])

    run_tasks(
        tasks(), lambda task: feeds[task[1]].work(task[2]), consume, workers=ready.workers,
        in_flight=ready.in_flight, idle=lambda task: not task[2].n,
        describe=lambda task: describe_unit(feeds[task[1]].lane, task[2]))
    advance.end()


def _lag(ready: Plan, group: Sequence[int]) -> int:
    """Return the rows by which other lanes of a group lag behind its first lane.

    The first lane computes the rows that they share. Without a lag, the threads of the others would
    wait for it.
    """
    first = ready.lanes[group[0]]
    if len(group) == 1 or not ready.asked or ready.reads_again:
        return 0
    begins = [first.begin(unit) for unit in first.first_units()]
    return ready.in_flight * (begins[-1] - begins[0])


class _Ended:
    """Release the rows kept for groups of lanes, as soon as a later group is merged."""

    def __init__(self, ready: Plan) -> None:
        #: Groups of numbers of lanes that have a file in common.
        self.groups = sharing(ready.lanes)
        self._lanes, self._current = ready.lanes, 0

    def before(self, index: int) -> None:
        """Note that a unit of a lane is about to be merged: groups before its own have ended."""
        while index not in self.groups[self._current]:
            for keeper in keepers([self._lanes[each].stream
                                   for each in self.groups[self._current]]):
                keeper.forget()
            self._current += 1


class _Released:
    """Release rows of files without a known end, when no lane needs them any more."""

    def __init__(self, ready: Plan) -> None:
        self._lanes = ready.lanes
        self._rows = {index: 0 for index, lane in enumerate(ready.lanes) if lane.stream.endless}

    def by(self, index: int, unit: Unit) -> None:
        """Note that a unit of a lane is merged; those in flight may need its last row."""
        if index not in self._rows:
            return
        self._rows[index] = unit.row
        needed: dict[int, tuple[Stream, int]] = {}
        for number, row in self._rows.items():
            for file, first in first_needed(self._lanes[number].stream, row):
                before = needed.get(id(file), (file, first))[1]
                needed[id(file)] = file, min(first, before)
        for file, first in needed.values():
            file.release(first)


class _Advance:
    """Report the input rows that each lane has processed, up to the last one."""

    def __init__(self, ready: Plan, progress: Progress | None) -> None:
        self._ready, self._name, self._progress = ready, ready.name, progress
        self._done = [0] * len(ready.lanes)
        self._all = [roots(lane.stream)[0].shape[0] for lane in ready.lanes]
        self._total = sum(self._all)
        self._endless = [lane for lane in ready.lanes if lane.stream.endless]

    def __call__(self, index: int, unit: Unit) -> None:
        """Note that a unit of a lane is done."""
        lane = self._ready.lanes[index]
        head = lane.stream if lane.long is None else lane.long
        share = Fraction(unit.row + unit.n, head.shape[0])
        if lane.long is not None and not unit.last:
            segments = lane.long.segments(unit.row)
            share = Fraction(unit.row) / head.shape[0] + Fraction(
                unit.segment + unit.n_segment, segments * head.shape[0])
        self._report(index, int(share * self._all[index]))

    def end(self) -> None:
        """Note that everything is done; the number of rows is now known for all lanes."""
        for index, lane in enumerate(self._ready.lanes):
            self._report(index, roots(lane.stream)[0].shape[0])

    def _report(self, index: int, rows: int) -> None:
        new, self._done[index] = rows - self._done[index], rows
        if self._progress is not None and new > 0:
            endless = any(lane.stream.endless for lane in self._endless)
            self._progress(self._name, new, 0 if endless else self._total)
