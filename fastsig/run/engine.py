"""The engine: passes of chains through sinks, on a pool of threads.

Units of lanes that have a file in common are done in the order of their first input row, and one
file after the other. The thread that reads a unit
makes the sinks' parts of it; parts are merged here, in the order of rows. The first exception stops
all: blocks in flight end, sinks close as if nothing had begun, and the exception is raised with the
file and the rows that it came from.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from typing import Any

from fastsig.run.chains import roots
from fastsig.run.keeping import keepers
from fastsig.run.lanes import Lane, Unit, describe_unit, sharing
from fastsig.run.long_rows import RowFeed
from fastsig.run.plan import Plan, plan
from fastsig.stream import Block, Sink
from fastsig.work.scheduler import run as run_tasks
from fastsig.work.signals import held

__all__ = ["Progress", "execute", "run", "sharing_rows"]

_log = logging.getLogger(__name__)

#: Called with the name of a pass, the input rows done since the last call, and those of the pass:
#: 0 where the end is not known.
Progress = Callable[[str, int, int], Any]


def run(sinks: Sequence[Sink], *, workers: int | None = None, memory: int | None = None,
        fused: bool = True, progress: Progress | None = None) -> list[Any]:
    """Take chains through sinks, in one pass or as many as the sinks ask for.

    Parameters
    ----------
    sinks : sequence of Sink
        Each with its chain; what chains have in common is computed once.
    workers : int, optional
        Threads; as many as the process may use by default.
    memory : int, optional
        Most bytes that the process may take.
    fused : bool
        Whether to use fused kernels (same result, byte for byte).
    progress : callable, optional
        Called with the name of a pass, input rows done since the last call, and all of the pass.

    Returns
    -------
    list
        The product of each sink; of one that asked for a further pass, that of its last sink.

    Raises
    ------
    UsageError, PlanError
        As of `fastsig.run.plan.plan`.
    DataError
        Where an input cannot be read to its end.
    OutputError
        Where a product cannot be written. Products that were being written are removed.
    """
    ready = plan(sinks, workers=workers, memory=memory, fused=fused)
    results = execute(ready, progress=progress)
    return _further(sinks, results, lambda more: run(
        more, workers=workers, memory=memory, fused=fused, progress=progress))


def _further(sinks: Sequence[Sink], results: list[Any],
             run_more: Callable[[Sequence[Sink]], list[Any]]) -> list[Any]:
    """Results after the passes that sinks ask for: those of all sinks go side by side."""
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
    """Run a plan; the product of every sink, in the order of the sinks given to the plan.

    Raises
    ------
    DataError, OutputError
        As of `run`.
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
    """Keep as many rows between units as was planned, and none afterwards."""
    keepers = ready.keepers
    for keeper, n_bytes in zip(keepers, ready.shares(), strict=True):
        keeper.hold(n_bytes)
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.forget()


class _Feed:
    """What a lane's sinks are given: parts on the threads, merged here in order."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        #: Rows that the sinks have been given.
        self.rows = 0
        self._rows_of = None if lane.long is None else RowFeed(
            lane.stream, lane.long, lane.feed_rows)

    def work(self, unit: Unit) -> Any:
        """What a thread does with a unit: sums of segments, or the parts of every sink."""
        made = self.lane.read(unit)
        return made if self._rows_of is not None else (made.n, self._parts(made))

    def _parts(self, block: Block) -> list[list[Any]]:
        return [[sink.partial(piece) for piece in _pieces(block, sink.segment)]
                for sink in self.lane.sinks]

    def take(self, unit: Unit, made: Any) -> None:
        """Merge what `work` made, in order."""
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
    """A block as parts of exactly a segment each."""
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
    """Do the units of all lanes: file by file, by the input row that they begin at."""
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

    def consume(task: tuple[int, int, Unit], made: Any) -> None:
        ended.before(task[1])
        feeds[task[1]].take(task[2], made)
        advance(task[1], task[2])

    run_tasks(
        tasks(), lambda task: feeds[task[1]].work(task[2]), consume, workers=ready.workers,
        in_flight=ready.in_flight,
        describe=lambda task: describe_unit(feeds[task[1]].lane, task[2]))
    advance.end()


def _lag(ready: Plan, group: Sequence[int]) -> int:
    """Rows by which other lanes of a group lag behind its first, which makes what they share.

    Side by side, the threads of the others would wait for it.
    """
    first = ready.lanes[group[0]]
    if len(group) == 1 or not ready.asked or ready.reads_again:
        return 0
    begins = [first.begin(unit) for unit in islice(first.units(), 2)]
    return ready.in_flight * (begins[-1] - begins[0])


class _Ended:
    """Gives back what groups of lanes kept, once a later one is merged."""

    def __init__(self, ready: Plan) -> None:
        #: Numbers of lanes that have a file in common.
        self.groups = sharing(ready.lanes)
        self._lanes, self._current = ready.lanes, 0

    def before(self, index: int) -> None:
        """A unit of a lane is merged: the groups before its own have ended."""
        while index not in self.groups[self._current]:
            for keeper in keepers([self._lanes[each].stream
                                   for each in self.groups[self._current]]):
                keeper.forget()
            self._current += 1


class _Advance:
    """Reports the input rows that each lane has gone through, to the last one."""

    def __init__(self, ready: Plan, progress: Progress | None) -> None:
        self._ready, self._name, self._progress = ready, ready.name, progress
        self._done = [0] * len(ready.lanes)
        self._all = [roots(lane.stream)[0].shape[0] for lane in ready.lanes]
        self._total = sum(self._all)
        self._endless = [lane for lane in ready.lanes if lane.stream.endless]

    def __call__(self, index: int, unit: Unit) -> None:
        """A unit of a lane is done."""
        lane = self._ready.lanes[index]
        head = lane.stream if lane.long is None else lane.long
        share = Fraction(unit.row + unit.n, head.shape[0])
        if lane.long is not None and not unit.last:
            segments = lane.long.segments(unit.row)
            share = Fraction(unit.row) / head.shape[0] + Fraction(
                unit.segment + unit.n_segment, segments * head.shape[0])
        self._report(index, int(share * self._all[index]))

    def end(self) -> None:
        """Everything is done; the number of rows is known now, wherever it was not."""
        for index, lane in enumerate(self._ready.lanes):
            self._report(index, roots(lane.stream)[0].shape[0])

    def _report(self, index: int, rows: int) -> None:
        new, self._done[index] = rows - self._done[index], rows
        if self._progress is not None and new > 0:
            endless = any(lane.stream.endless for lane in self._endless)
            self._progress(self._name, new, 0 if endless else self._total)
