"""How a chain will run: which stages are fused, in what pieces, with how much memory.

A plan's units are whole output rows, or single segments of a long integration. They are cut from
the stream alone; workers and memory decide how many run at a time, never what a unit adds up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from fastsig.budget import Need, reach, root
from fastsig.errors import PlanError
from fastsig.memory import resident_bytes
from fastsig.shared import shared_by
from fastsig.stages.channelize import Channelize
from fastsig.stages.detect import Detect
from fastsig.stages.flag import Flag
from fastsig.stages.integrate import SEGMENT, Integrate
from fastsig.stages.spectrometer import Spectrometer
from fastsig.stream import Block, SpectrumStream, Stream, Sums, means

__all__ = ["Node", "Plan", "Unit", "fuse", "plan", "plan_many"]

_ALLOWANCE = 2**26  # interpreter, compiler and allocator growth while running


class Unit(NamedTuple):
    """Output rows `row` to ``row + n - 1``, or one segment of row `row`."""

    row: int
    n: int
    segment: int | None
    last: bool


@dataclass(frozen=True)
class Node:
    """A step of a plan, for `--explain` and the schedule of memory."""

    name: str
    stages: tuple[str, ...]
    rows: int
    halo: int
    alignment: int
    row_bytes: int
    work_bytes: int


@dataclass(frozen=True)
class Plan:
    """A chain ready to run.

    Parameters
    ----------
    stream : SpectrumStream
        The chain, its runs of stages replaced by fused ones.
    workers, in_flight : int
        Threads, and most units begun and not yet written.
    unit_rows : int
        Output rows a unit.
    memory, floor : int
        Bytes that the process is expected to take, and would take at the least.
    shared_bytes : int
        Voltages that are kept for other chains of the same run, part of `memory`.
    """

    stream: SpectrumStream
    workers: int
    in_flight: int
    unit_rows: int
    memory: int
    floor: int
    shared_bytes: int = 0

    @property
    def segmented(self) -> bool:
        """Whether a unit is a segment of a row."""
        return isinstance(self.stream, Integrate) and self.stream.n_int > SEGMENT

    def units(self) -> Iterator[Unit]:
        """The units, in order."""
        rows = self.stream.shape[0]
        if not (self.segmented and isinstance(self.stream, Integrate)):
            for row in range(0, rows, self.unit_rows):
                yield Unit(row, min(self.unit_rows, rows - row), None, True)
            return
        for row in range(rows):
            count = len(self.stream.segments(row))
            for segment in range(count):
                yield Unit(row, 1, segment, segment == count - 1)

    def work(self, unit: Unit) -> Block | Sums:
        """What a worker does with a unit."""
        if unit.segment is None:
            return self.stream.read_block(unit.row, unit.n)
        stream = cast(Integrate, self.stream)
        return stream.segment_sums(*stream.segments(unit.row)[unit.segment])

    def begin(self, unit: Unit) -> int:
        """First input row that a unit needs, by which units of several chains are put in order."""
        if unit.segment is None:
            return reach(self.stream, unit.row, unit.n)[0]
        stream = cast(Integrate, self.stream)
        return reach(stream.source, *stream.segments(unit.row)[unit.segment])[0]

    def blocks(self) -> Combiner:
        """The object that turns units' results, in order, into blocks of rows."""
        return Combiner(self.stream)

    def nodes(self) -> list[Node]:
        """The steps, from the file on."""
        steps: list[Node] = []
        stream: Stream | None = self.stream
        while stream is not None:
            steps.append(_node(stream))
            inner = stream.source if isinstance(stream, Spectrometer) else stream
            stream = inner.inputs()[0] if inner.inputs() else None
        return steps[::-1]

    def explain(self) -> str:
        """The plan as text."""
        lines = [
            f"{'step':<16}{'stages':<20}{'rows':>12}{'halo':>10}{'align':>8}{'row bytes':>12}"
            f"{'thread bytes':>14}"
        ]
        for node in self.nodes():
            lines.append(
                f"{node.name:<16}{'+'.join(node.stages):<20}{node.rows:>12}{node.halo:>10}"
                f"{node.alignment:>8}{node.row_bytes:>12}{node.work_bytes:>14}"
            )
        unit = f"segments of {SEGMENT} spectra" if self.segmented else f"{self.unit_rows} rows"
        kept = f"{self.shared_bytes / 1e6:.0f} MB kept for all, " if self.shared_bytes else ""
        lines.append(
            f"{self.workers} workers, {self.in_flight} units in flight, a unit is {unit}; {kept}"
            f"memory about {self.memory / 1e6:.0f} MB (at least {self.floor / 1e6:.0f} MB)"
        )
        return "\n".join(lines)


class Combiner:
    """Rows from the results of units that arrive in order."""

    def __init__(self, stream: SpectrumStream) -> None:
        self._stream = stream
        self._parts: list[Sums] = []

    def add(self, unit: Unit, result: Block | Sums) -> Block | None:
        """The block that is complete with this result, if one is."""
        if isinstance(result, Block):
            return result
        self._parts.append(result)
        if not unit.last:
            return None
        parts, self._parts = self._parts, []
        stream = cast(Integrate, self._stream)
        return means(stream.combine(parts), stream.header.n_sum, unit.row)


def _node(stream: Stream) -> Node:
    name = type(stream).__name__
    stages: tuple[str, ...] = (name.lower(),) if stream.inputs() else ("read",)
    bank = stream.source if isinstance(stream, Spectrometer) else stream
    if isinstance(stream, Spectrometer):
        stages = ("channelize", "detect")
    work = stream.work_bytes(1)
    halo, hop = 0, stream.segment_rows
    if isinstance(bank, Channelize):
        halo, hop = bank.pad_end, bank.hop
    return Node(name, stages, stream.shape[0], halo, hop, stream.row_bytes, work)


def fuse(stream: Stream) -> Stream:
    """The chain with every run of stages for which there is a fused form replaced by it."""
    if type(stream) is Detect and isinstance(stream.source, Channelize):
        return Spectrometer.fuse(stream)
    if isinstance(stream, Integrate):
        inner = fuse(stream.source)
        if inner is not stream.source:
            return Integrate(inner, n_int=stream.n_int, n_freq=stream.n_freq,
                             flag_sigma=stream.flag_sigma)
    if isinstance(stream, Flag):
        inner = fuse(stream.source)
        if inner is not stream.source and isinstance(inner, SpectrumStream):
            return stream.on(inner)
    return stream


def plan(
    stream: Stream, *, workers: int = 1, memory: int | None = None, fused: bool = True,
    writer_bytes: int = 0,
) -> Plan:
    """Plan a chain that ends in spectra.

    Parameters
    ----------
    stream : SpectrumStream
        The chain.
    workers : int
        Most threads to use; fewer where `memory` is tight.
    memory : int, optional
        Most bytes that the whole process may take.
    fused : bool
        Whether to use fused kernels (same result, byte for byte).
    writer_bytes : int
        What the writer of the product holds.

    Raises
    ------
    PlanError
        Where the chain does not end in spectra, or `memory` is below the floor, which it names.
    """
    return plan_many([stream], workers=workers, memory=memory, fused=fused,
                     writer_bytes=writer_bytes)[0]


def plan_many(
    streams: Sequence[Stream], *, workers: int = 1, memory: int | None = None, fused: bool = True,
    writer_bytes: int = 0,
) -> list[Plan]:
    """Plan chains that run side by side; parameters as of `plan`, `memory` is that of them all."""
    for stream in streams:
        if not isinstance(stream, SpectrumStream):
            raise PlanError(f"a plan ends in spectra, not in {stream.kind}: detect first")
    ready = [cast(SpectrumStream, fuse(stream) if fused else stream) for stream in streams]
    need = Need(ready, resident_bytes() + _ALLOWANCE + writer_bytes, shared_by(ready[0]))
    floor = need(1, 1, [1] * len(ready), need.least_kept)
    if memory is not None and memory < floor:
        raise PlanError(
            f"--memory {memory / 1e6:.0f}MB is below the floor of this plan, "
            f"{-(-floor // 10**6)}MB"
        )
    threads, flight, rows, kept = need.fit(max(1, workers), memory)
    total = need(threads, flight, rows, kept)
    return [Plan(stream, threads, flight, n, total, floor, kept)
            for stream, n in zip(ready, rows, strict=True)]


def describe_unit(plan: Plan, unit: Unit) -> str:
    """A unit as text for error notes: the file and its sample range."""
    file: Any = root(plan.stream)
    ratio = file.header.sample_rate / plan.stream.header.sample_rate
    first, stop = int(unit.row * ratio), int((unit.row + unit.n) * ratio)
    return f"rows {unit.row} to {unit.row + unit.n} ({file.path}, from sample {first} to {stop})"
