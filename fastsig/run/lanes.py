"""Lanes of a pass: a chain, the sinks that take its blocks, and the units that it runs in.

A unit is some whole rows, or a run of segments of one row of the chain's deepest long integration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import lcm
from typing import Any, NamedTuple

from fastsig.run.chains import ended, missing_end, reach, roots
from fastsig.run.long_rows import long_integration
from fastsig.stages.integrate import Integrate
from fastsig.stream import Sink, SpectrumStream, Stream

__all__ = ["Lane", "Unit", "describe_unit", "sharing", "whole_steps"]


_LIVE = 0  # in the place of an id: what all streams without a known end have in common


class Unit(NamedTuple):
    """Rows `row` to ``row + n - 1``; or of one row `n_segment` segments from `segment` on."""

    row: int
    n: int
    segment: int = 0
    n_segment: int = 0
    last: bool = True


@dataclass
class Lane:
    """A chain, and the sinks that take its blocks.

    Parameters
    ----------
    stream : Stream
        The chain as it is read, fused and with what it shares.
    sinks : list of Sink
        All of one length of segment, or of any.
    step : int
        Units are multiples of so many rows.
    rows : int
        Rows of a unit.
    segments : int
        Segments of a unit, where the chain has a long integration.
    """

    stream: Stream
    sinks: list[Sink]
    step: int = 1
    rows: int = 1
    segments: int = 1
    long: Integrate | None = field(default=None)

    def __post_init__(self) -> None:
        # Rows of an endless stream are made whole: the last one is shorter than it seems.
        self.long = None if self.stream.endless else long_integration(self.stream)
        self.step = lcm(self.step, *(sink.segment or 1 for sink in self.sinks))

    def read(self, unit: Unit) -> Any:
        """What a thread reads for a unit: a block, or sums of segments."""
        if self.long is not None:
            return self.long.segment_sums(unit.row, unit.segment, unit.n_segment)
        block = self.stream.read_block(unit.row, unit.n)
        return self.stream.checked(block) if isinstance(self.stream, SpectrumStream) else block

    def units(self) -> Iterator[Unit]:
        """The units, in order."""
        if self.long is not None:
            yield from self._segments(self.long)
            return
        if any(sink.sparse for sink in self.sinks):
            yield from (Unit(start, stop - start) for start, stop in self.sinks[0].spans())
            return
        row = 0
        while self.stream.endless:
            end = missing_end(self.stream, row, self.rows)
            if end is None:
                yield Unit(row, self.rows)
                row += self.rows
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

    def begin(self, unit: Unit) -> int:
        """First row of what it shares, or of the file, that a unit needs: units go by it."""
        if self.long is not None:
            return reach(self.long.source, *self.long.segment_needs(unit.row, unit.segment, 1))[0]
        return reach(self.stream, unit.row, unit.n)[0]

    @property
    def feed_rows(self) -> int:
        """Rows of a block above a long integration: as few as its stages and sinks allow."""
        halo = int(4 * getattr(self.stream, "halo", 0)) if self.stream is not self.long else 1
        step = whole_steps(self.step, self.stream.align, halo)
        return max(1, min(-(-max(1, halo) // step) * step, self.stream.shape[0]))


def whole_steps(step: int, align: int, rows: int) -> int:
    """Rows of which units are multiples: of what sinks insist on, and of what streams do best with.

    The latter is left out where multiples of both would be longer than either and than `rows`.
    """
    both = lcm(step, align)
    return both if step == 1 or both <= max(rows, step, align) else step


def sharing(lanes: Sequence[Lane]) -> list[list[int]]:
    """Numbers of lanes that have a file in common, in the order of the first of them.

    A pass goes from one group to the next: of thousands of files, a few are read at a time. Streams
    without a known end are read side by side, as none can wait for the end of another.
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
    """A unit as text for error notes: the file and its sample range."""
    file: Any = roots(lane.stream)[0]
    head = lane.stream if lane.long is None else lane.long
    ratio = file.header.sample_rate / head.header.sample_rate
    first, stop = int(unit.row * ratio), int((unit.row + unit.n) * ratio)
    return f"rows {unit.row} to {unit.row + unit.n} ({file.path}, from sample {first} to {stop})"
