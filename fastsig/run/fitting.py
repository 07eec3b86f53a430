"""Memory of a pass: fit rows per unit, units, threads and kept rows into a limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from fastsig.run.chains import roots
from fastsig.run.keeping import keepers as find_keepers
from fastsig.run.lanes import Lane, sharing, whole_steps
from fastsig.stream import Stream, VoltageStream
from fastsig.stream.kept import Kept

__all__ = ["Fit", "Need", "unit_rows", "unit_segments"]

_UNIT_BYTES = 2**24  # input of a unit: long enough to hide the cost of a task
_RESULT_BYTES = 2**23  # output of a unit: with half, many coarse channels have little work each
_LEAST_UNIT_BYTES = 2**20  # input of a unit: threads are given up before units become shorter
_HALOS = 4  # length of a unit in halos: the halo is then a fifth of what is read

_LIVE_S = Fraction(1, 4)  # longest unit of a stream without a known end

_LONG_BYTES = 2**28  # size of a unit that is long because of its halo


def unit_rows(stream: Stream, step: int = 1) -> int:
    """Return the rows of a unit: about `_UNIT_BYTES` of input, at most `_RESULT_BYTES` of output.

    Those of a stream without a known end last at most a quarter of a second.

    The number is a multiple of `step`, which the sinks require, and large compared with the overlap
    of a unit. It is also a multiple of the stream's `align`, unless units would become longer than
    both for this reason.
    """
    file: Any = roots(stream)[0]
    ratio = file.header.sample_rate / stream.header.sample_rate
    by_input = int(max(_UNIT_BYTES, _read_bytes(stream)) // max(1, ratio * _input_bytes(file)))
    by_result = _RESULT_BYTES // max(1, stream.row_bytes)
    by_halo = min(int(_HALOS * getattr(stream, "halo", 0)),
                  _LONG_BYTES // max(1, stream.row_bytes))
    rows = min(by_input, by_result)
    if stream.endless:  # what has come is not to wait for long
        rows = min(rows, int(_LIVE_S * stream.header.sample_rate))
    rows = max(rows, by_halo)
    step = whole_steps(step, stream.align, rows)
    return max(1, min(max(step, rows // step * step), stream.shape[0]))


def unit_segments(lane: Lane) -> int:
    """Return the number of segments of a long integration for about `_UNIT_BYTES` of input."""
    if lane.long is None:
        return 1
    file: Any = roots(lane.stream)[0]
    ratio = file.header.sample_rate / lane.long.source.header.sample_rate
    row = ratio * _input_bytes(file) * lane.long.segment_needs(0, 0, 1)[1]
    by_input = int(max(_UNIT_BYTES, _read_bytes(lane.stream)) // max(Fraction(1), row))
    return max(1, min(by_input, lane.long.run_segments))


def _read_bytes(stream: Stream) -> int:
    """Return the largest preferred number of bytes of input that a stage of the chain reads."""
    return max([getattr(stream, "read_bytes", 0), *map(_read_bytes, stream.inputs())])


def _input_bytes(file: Stream) -> int:
    """Return the bytes of a row of a file as it is read, with voltages as recorded."""
    return (file.as_recorded() if isinstance(file, VoltageStream) else file).row_bytes


@dataclass(frozen=True)
class Fit:
    """Threads, units in flight, rows per unit of each lane, and bytes kept."""

    threads: int
    flight: int
    rows: list[int]
    kept: int


class Need:
    """The memory needed to run lanes together, on one pool of threads.

    Parameters
    ----------
    lanes : list of Lane
    base : int
        Other memory of the process, bytes.
    keepers : list of Kept
        The stages that keep rows between units and lanes.
    """

    def __init__(self, lanes: Sequence[Lane], base: int, keepers: Sequence[Kept]) -> None:
        self.lanes, self.base, self.keepers = lanes, base, keepers
        place = {id(keeper): number for number, keeper in enumerate(keepers)}
        self._groups = [[place[id(keeper)] for keeper in find_keepers(
            [lanes[index].stream for index in group])] for group in sharing(lanes)]

    def kept(self, flight: int, rows: Sequence[int]) -> int:
        """Return the bytes of rows to keep so that no row is computed twice.

        Units run in the order of their first row, so that rows before the first unit in flight are
        no longer needed. The others are those of the longest unit with its overlap, of the advance
        of the shortest units in the meantime, and of the lag of other lanes behind the first. Lanes
        without a common file run one after the other: a group begins while the previous one ends.
        """
        return self._at_a_time(self.kept_each(flight, rows))

    def _at_a_time(self, each: Sequence[int]) -> int:
        """Return the largest sum for two neighbouring groups, given that of each of `keepers`."""
        sums = [sum(each[number] for number in group) for group in self._groups]
        return max(one + other for one, other in zip(sums, [*sums[1:], 0], strict=True))

    def kept_each(self, flight: int, rows: Sequence[int]) -> list[int]:
        """Return `kept` for each of `keepers`."""
        return [self._kept_by(keeper, flight, rows) for keeper in self.keepers]

    def _kept_by(self, keeper: Kept, flight: int, rows: Sequence[int]) -> int:
        spans = [span for lane, n in zip(self.lanes, rows, strict=True)
                 for span in _spans(lane, n, keeper)]
        longest = max((count for count, _ in spans), default=0)
        advance = min((step for _, step in spans), default=0)
        lag = flight * spans[0][1] if len(spans) > 1 else 0
        n_rows = min(longest + (flight + 1) * advance + lag, keeper.shape[0])
        return n_rows * keeper.kept_row_bytes + 2 * keeper.page_bytes

    @property
    def least_kept(self) -> int:
        """Smallest number of bytes kept: two pages of each."""
        return self._at_a_time([2 * keeper.page_bytes for keeper in self.keepers])

    def __call__(self, fit: Fit) -> int:
        """Return the bytes that the process needs."""
        pairs = list(zip(self.lanes, fit.rows, strict=True))
        work = max(_work(lane, n) for lane, n in pairs)
        result = max(_result(lane, n) for lane, n in pairs)
        return self.base + fit.kept + fit.threads * work + fit.flight * result

    def floor(self) -> int:
        """Return the smallest number of bytes that the process needs."""
        return self(Fit(1, 1, [self._least(lane, 1) for lane in self.lanes], self.least_kept))

    @staticmethod
    def _least(lane: Lane, rows: int) -> int:
        """Return rows as a multiple of the number that the sinks of the lane require."""
        rows = max(lane.step, rows // lane.step * lane.step)
        return max(1, min(rows, lane.stream.shape[0]))

    def fit(self, threads: int, memory: int | None) -> Fit:
        """Return as many threads, units and kept rows as `memory` allows.

        The least costly is reduced first: units in flight; then the length of units, down to their
        overlap and to 1 MiB of input, below which a task costs more than its work; then threads;
        then the length of units further; and last the rows kept, so that rows are read again.
        """
        rows = [unit_rows(lane.stream, lane.step) for lane in self.lanes]
        fit = Fit(threads, threads + 2, rows, self.kept(threads + 2, rows))
        if memory is None:
            return fit
        smaller = fit
        for smaller in self._smaller(fit):
            if self(smaller) <= memory:
                return smaller
        over = self(smaller) - memory
        return replace(smaller, kept=max(self.least_kept, smaller.kept - over))

    def _smaller(self, fit: Fit) -> Iterator[Fit]:
        """Yield fits with decreasing memory that keep all rows."""
        yield fit
        for flight in range(fit.flight - 1, fit.threads - 1, -1):
            fit = self._with(fit, flight=flight)
            yield fit
        soft = [self._least(lane, _shortest(lane)) for lane in self.lanes]
        shorter = list(self._shortened(fit, soft))
        yield from shorter
        fit = shorter[-1]
        for threads in range(fit.threads - 1, 0, -1):
            fit = self._with(fit, threads=threads, flight=threads)
            yield fit
        yield from self._shortened(fit, [self._least(lane, 1) for lane in self.lanes])

    def _shortened(self, fit: Fit, least: Sequence[int]) -> Iterator[Fit]:
        """Yield fits with units that are halved repeatedly, down to the smallest length."""
        yield fit
        while any(n > low for n, low in zip(fit.rows, least, strict=True)):
            rows = [max(low, self._least(lane, n // 2)) if n > low else n
                    for lane, n, low in zip(self.lanes, fit.rows, least, strict=True)]
            fit = self._with(fit, rows=rows)
            yield fit

    def _with(self, fit: Fit, **changes: Any) -> Fit:
        fit = replace(fit, **changes)
        return replace(fit, kept=self.kept(fit.flight, fit.rows))


def _shortest(lane: Lane) -> int:
    """Return the rows of a unit below which its overlap or the cost of a task dominates."""
    stream, file = lane.stream, roots(lane.stream)[0]
    ratio = file.header.sample_rate / stream.header.sample_rate
    return max(int(getattr(stream, "halo", 0)),
               int(_LEAST_UNIT_BYTES // max(Fraction(1), ratio * file.row_bytes)))


def _work(lane: Lane, rows: int) -> int:
    """Return the bytes that a thread needs for a unit, including the work of its sinks."""
    sinks = max((sink.work_bytes(rows) for sink in lane.sinks), default=0)
    reading = (lane.long if lane.long is not None else lane.stream).work_bytes(rows)
    return reading + sinks


def _result(lane: Lane, rows: int) -> int:
    """Return the bytes of a unit that wait to be merged."""
    return max([rows * lane.stream.row_bytes, *(sink.part_bytes(rows) for sink in lane.sinks)])


def _spans(lane: Lane, rows: int, keeper: Kept) -> list[tuple[int, int]]:
    """Return pairs of kept rows: those that a unit of a lane reads, and the advance to the next."""
    if lane.long is None:
        return _spans_of(lane.stream, rows, keeper)
    run = lane.long.segment_needs(0, 0, lane.segments)[1]
    return _spans_of(lane.long.source, run, keeper)


def _spans_of(stream: Stream, rows: int, keeper: Kept) -> list[tuple[int, int]]:
    if stream is keeper:
        return [(rows, rows)]
    found = []
    for index, source in enumerate(stream.inputs()):
        count = stream.needs_of(index, 0, min(rows, stream.shape[0]))[1]
        advance = int(rows * source.header.sample_rate / stream.header.sample_rate)
        found += [(max(span, _beyond(source, count, keeper)), step)
                  for span, step in _spans_of(source, advance, keeper)]
    return found


def _beyond(stream: Stream, rows: int, keeper: Kept) -> int:
    """Return the number of kept rows over which rows of a stream extend."""
    while stream is not keeper and stream.inputs():
        rows = stream.needs_of(0, 0, min(rows, stream.shape[0]))[1]
        stream = stream.inputs()[0]
    return rows
