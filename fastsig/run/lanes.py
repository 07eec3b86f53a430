"""Lanes of a pass: a chain, the sinks that receive its blocks, and the units in which it runs.

A unit is several complete rows, or several segments of one row of the deepest long integration in
the chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import lcm
from typing import Any, NamedTuple

from fastsig.run.chains import ended, have_come, missing_end, reach, roots
from fastsig.run.long_rows import long_integration
from fastsig.stages.integrate import Integrate
from fastsig.stream import Sink, SpectrumStream, Stream

__all__ = ["Lane", "Unit", "describe_unit", "sharing", "whole_steps"]


_GLANCE = 0.05  # s for which rows are waited for, before others that have come are attended to
_LIVE = 0  # used instead of an id: stands for all streams without a known end


class Unit(NamedTuple):
    """Rows `row` to ``row + n - 1``, or `n_segment` segments of one row from `segment` on."""

    row: int
    n: int
    segment: int = 0
    n_segment: int = 0
    last: bool = True


@dataclass
class Lane:
    """A chain, and the sinks that receive its blocks.

    Parameters
    ----------
    stream : Stream
        The chain as it is read, fused and with shared stages.
    sinks : list of Sink
        Sinks with the same length of segments, or without segments.
    step : int
        Units are multiples of this number of rows.
    rows : int
        Number of rows in a unit.
    segments : int
        Number of segments in a unit, if the chain has a long integration.
    """

    stream: Stream
    sinks: list[Sink]
    step: int = 1
    rows: int = 1
    segments: int = 1
    long: Integrate | None = field(default=None)

    def __post_init__(self) -> None:
        # Rows of an endless stream are not split: the last one is shorter than it seems.
        self.long = None if self.stream.endless else long_integration(self.stream)
        self.step = lcm(self.step, *(sink.segment or 1 for sink in self.sinks))

    def read(self, unit: Unit) -> Any:
        """Read a unit, on any thread: return a block, or sums of segments."""
        if self.long is not None:
            return self.long.segment_sums(unit.row, unit.segment, unit.n_segment)
        if isinstance(self.stream, SpectrumStream) and self.stream.coded and all(
                sink.as_codes for sink in self.sinks):
            return self.stream.read_coded(unit.row, unit.n)
        block = self.stream.read_block(unit.row, unit.n)
        return self.stream.checked(block) if isinstance(self.stream, SpectrumStream) else block

    def units(self) -> Iterator[Unit]:
        """Yield the units, in order; one of no rows means that the next rows have not come yet."""
        if self.long is not None:
            yield from self._segments(self.long)
            return
        if any(sink.sparse for sink in self.sinks):
            yield from (Unit(start, stop - start) for start, stop in self.sinks[0].spans())
            return
        row = 0
        while self.stream.endless and row < self.stream.shape[0]:
            n = min(self.rows, self.stream.shape[0] - row)
            while not have_come(self.stream, row, n, _GLANCE):
                yield Unit(row, 0)
            end = missing_end(self.stream, row, n)
            if end is None:
                yield Unit(row, n)
                row += n
            else:
                self.stream = ended(self.stream, *end)
        for first in range(row, self.stream.shape[0], self.rows):
            yield Unit(first, min(self.rows, self.stream.shape[0] - first))

    def _segments(self, long: Integrate) -> Iterator[Unit]:
        run = self.segments
        for row in range(long.shape[0]):
            count = long.segments(row)
            for first in range(0, count, run):
                n = min(run, count - first)
                yield Unit(row, 1, first, n, first + n == count)

    def first_units(self) -> list[Unit]:
        """Return the first two units, whether they have come or not."""
        if self.stream.endless:
            return [Unit(0, self.rows), Unit(self.rows, self.rows)]
        return list(islice(self.units(), 2))

    def begin(self, unit: Unit) -> int:
        """Return the first row needed of the nearest `Kept` or the file, which orders units."""
        if self.long is not None:
            return reach(self.long.source, *self.long.segment_needs(unit.row, unit.segment, 1))[0]
        return reach(self.stream, unit.row, unit.n)[0]

    @property
    def feed_rows(self) -> int:
        """Number of rows in a block above a long integration, as few as stages and sinks allow."""
        halo = int(4 * getattr(self.stream, "halo", 0)) if self.stream is not self.long else 1
        step = whole_steps(self.step, self.stream.align, halo)
        return max(1, min(-(-max(1, halo) // step) * step, self.stream.shape[0]))


def whole_steps(step: int, align: int, rows: int) -> int:
    """Return the number of which rows of units are multiples: required by sinks, best for streams.

    The latter is ignored if multiples of both would be longer than either and than `rows`.
    """
    both = lcm(step, align)
    return both if step == 1 or both <= max(rows, step, align) else step


def sharing(lanes: Sequence[Lane]) -> list[list[int]]:
    """Return groups of lanes that have a file in common, in the order of their first lane.

    A pass processes one group after the other, so that of thousands of files only a few are read at
    a time. Streams without a known end are read together, as none can wait for the end of another.
    """
    groups: dict[int, tuple[list[int], set[int]]] = {}  # members and files, by each file
    for index, lane in enumerate(lanes):
        members, files = [index], {id(file) for file in roots(lane.stream)}
        files |= {_LIVE} if lane.stream.endless else set()
        for group in {id(groups[file]): groups[file] for file in files if file in groups}.values():
            members, files = [*group[0], *members], files | group[1]
        merged = sorted(members), files
        groups.update(dict.fromkeys(files, merged))
    found = {id(group): group[0] for group in groups.values()}
    return sorted(found.values())


def describe_unit(lane: Lane, unit: Unit) -> str:
    """Describe a unit for notes on errors: the file and its range of samples."""
    file: Any = roots(lane.stream)[0]
    head = lane.stream if lane.long is None else lane.long
    ratio = file.header.sample_rate / head.header.sample_rate
    first, stop = int(unit.row * ratio), int((unit.row + unit.n) * ratio)
    return f"rows {unit.row} to {unit.row + unit.n} ({file.path}, from sample {first} to {stop})"
