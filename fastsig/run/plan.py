"""Plan a pass: which stages are fused and kept, the size of units, and the memory.

Workers and memory determine the length of units and how many run at a time, but never the order of
summation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm

from fastsig.errors import PlanError, UsageError
from fastsig.run.chains import roots
from fastsig.run.fitting import Need, unit_rows, unit_segments
from fastsig.run.fusing import STREAMING, fuse, narrowed
from fastsig.run.keeping import Kept, keepers, kept, unified
from fastsig.run.lanes import Lane
from fastsig.stream import Sink, Stage, Stream, VoltageStream
from fastsig.work.memory import available_bytes, resident_bytes
from fastsig.work.threads import processors

__all__ = ["Node", "Plan", "check_least_memory", "plan"]

_ALLOWANCE = 2**26  # interpreter, compiler and allocator growth while running


@dataclass(frozen=True)
class Node:
    """A step of a plan, for `--explain`."""

    name: str
    stages: tuple[str, ...]
    rows: int
    overlap: tuple[int, int]
    align: int
    row_bytes: int
    work_bytes: int


@dataclass(frozen=True)
class Plan:
    """A pass that is ready to run.

    Parameters
    ----------
    lanes : list of Lane
        Chains, each with the sinks that receive its blocks.
    given : list of Sink
        All sinks, in the order in which they were given.
    workers, in_flight : int
        Number of threads, and largest number of units begun and not yet merged.
    memory, floor : int
        Expected memory of the process, and the smallest possible memory, bytes.
    kept_bytes : int
        Bytes of rows kept for other units and lanes, part of `memory`.
    asked : list of int
        Bytes that each `Kept` would need so that nothing is read twice.
    asked_bytes : int
        Bytes needed by the `Kept` objects that are in use at the same time.
    """

    lanes: list[Lane]
    given: list[Sink]
    workers: int
    in_flight: int
    memory: int
    floor: int
    kept_bytes: int
    asked: list[int]
    asked_bytes: int

    @property
    def reads_again(self) -> bool:
        """Whether there is too little memory to keep all rows that are needed again."""
        return self.kept_bytes < self.asked_bytes

    def shares(self) -> list[int]:
        """Return the bytes that each `Kept` may use, in proportion to those in `asked`."""
        total = max(1, self.asked_bytes)
        return [self.kept_bytes * part // total for part in self.asked]

    @property
    def keepers(self) -> list[Kept]:
        """The stages that keep rows between units and lanes."""
        return keepers([lane.stream for lane in self.lanes])

    @property
    def sinks(self) -> list[Sink]:
        """All sinks."""
        return [sink for lane in self.lanes for sink in lane.sinks]

    @property
    def name(self) -> str:
        """Name of the pass, from the names of its sinks."""
        return " and ".join(dict.fromkeys(sink.name for sink in self.sinks))

    @property
    def input_rows(self) -> int:
        """Number of rows of files that the pass processes, counted for each lane."""
        return sum(roots(lane.stream)[0].shape[0] for lane in self.lanes)

    def nodes(self, lane: Lane) -> list[Node]:
        """Return the steps of a lane, beginning with the file."""
        steps: list[Node] = []
        stream: Stream | None = lane.stream
        while stream is not None:
            run = [stream]
            while len(run) < len(_stages(stream)):  # stages fused into this one
                run.append(run[-1].inputs()[0])
            steps.append(_node(run))
            stream = run[-1].inputs()[0] if run[-1].inputs() else None
        return steps[::-1]

    def explain(self) -> str:
        """Describe the plan as text, lane by lane."""
        return "\n".join([*map(self._explain_lane, self.lanes), self._explain_memory()])

    def _explain_lane(self, lane: Lane) -> str:
        lines = [f"{'step':<16}{'stages':<20}{'rows':>12}{'overlap':>14}{'align':>8}"
                 f"{'row bytes':>12}{'thread bytes':>14}"]
        for node in self.nodes(lane):
            overlap = "+".join(map(str, node.overlap))
            lines.append(
                f"{node.name:<16}{'+'.join(node.stages):<20}{node.rows:>12}{overlap:>14}"
                f"{node.align:>8}{node.row_bytes:>12}{node.work_bytes:>14}")
        unit = f"{lane.rows} rows" if lane.long is None else (
            f"up to {lane.segments} segments of "
            f"{lane.long.segment_needs(0, 0, 1)[1]} spectra")
        sinks = " and ".join(dict.fromkeys(sink.name for sink in lane.sinks)) or "nothing"
        return "\n".join([*lines, f"to {sinks}; a unit is {unit}"])

    def _explain_memory(self) -> str:
        keeps = f"{self.kept_bytes / 1e6:.0f} MB kept between units, " if self.kept_bytes else ""
        return (f"{self.workers} workers, {self.in_flight} units in flight; {keeps}"
                f"{self.memory_text()}")

    def memory_text(self) -> str:
        """Return ``memory about 170 MB (at least 110 MB)``, and the effect of too little memory."""
        again = "some rows are read again for lack of memory; " if self.reads_again else ""
        return (f"{again}memory about {self.memory / 1e6:.0f} MB "
                f"(at least {self.floor / 1e6:.0f} MB)")


def _stages(stream: Stream) -> tuple[str, ...]:
    return stream.stands_for if isinstance(stream, Stage) else ("read",)


def _node(run: Sequence[Stream]) -> Node:
    """Return the step of a stage, followed by the stages fused into it."""
    stream, first = run[0], run[-1]
    overlap = first.overlap if isinstance(first, Stage) else (0, 0)
    return Node(type(stream).__name__, _stages(stream), stream.shape[0], overlap, stream.align,
                stream.row_bytes, stream.work_bytes(1))


def plan(sinks: Sequence[Sink], *, workers: int | None = None, memory: int | None = None,
         fused: bool = True) -> Plan:
    """Plan a pass for sinks, each with its own chain.

    Parameters
    ----------
    sinks : sequence of Sink
        The sinks; equal parts of chains are computed once.
    workers : int, optional
        Largest number of threads; by default, as many as the process may use.
    memory : int, optional
        Largest memory of the whole process, bytes. By default, the number of threads and the length
        of units are limited to what fits into the available memory; a plan that does not fit at all
        is not refused.
    fused : bool
        Whether to use fused kernels; the result is the same, byte for byte.

    Raises
    ------
    UsageError
        If there are no sinks, or if `workers` is below 1.
    PlanError
        If `memory` is below the smallest possible value, which the message states, or if the end of
        a stream is not known and a sink needs the number of rows.
    """
    threads = processors() if workers is None else workers
    if threads < 1:
        raise UsageError(f"workers = {workers}; allowed: 1 or more")
    if not sinks:
        raise UsageError("no products; allowed: 1 or more")
    for sink in sinks:
        if sink.stream.endless and not sink.takes_endless:
            raise PlanError(f"{sink.stream.path}: the end of the stream is not known, and "
                            f"{sink.name} needs the number of rows; select rows first")
    lanes = _lanes(sinks, fused=fused)
    for lane in lanes:
        lane.segments = unit_segments(lane)
    check_least_memory(sinks, memory)
    base = resident_bytes() + _ALLOWANCE + sum(sink.held_bytes for sink in sinks)
    need = Need(lanes, base, keepers([lane.stream for lane in lanes]))
    floor = need.floor()
    _check_memory(memory, floor)
    fit = need.fit(threads, resident_bytes() + available_bytes() if memory is None else memory)
    for lane, rows in zip(lanes, fit.rows, strict=True):
        lane.rows = rows
    asked = need.kept_each(fit.flight, fit.rows)
    return Plan(lanes, list(sinks), fit.threads, fit.flight, need(fit), floor, fit.kept, asked,
                need.kept(fit.flight, fit.rows))


def check_least_memory(sinks: Sequence[Sink], memory: int | None) -> None:
    """Refuse a memory limit that is too small, before anything large is computed for a plan.

    Only sinks that state the least memory that they need are expensive to plan; for other sinks,
    the plan itself states the least memory.

    Raises
    ------
    PlanError
        If `memory` is less than the process and the sinks need.
    """
    least = sum(sink.least_held_bytes for sink in sinks)
    if least:
        _check_memory(memory, resident_bytes() + _ALLOWANCE + least, " or more")


def _check_memory(memory: int | None, floor: int, more: str = "") -> None:
    if memory is not None and memory < floor:
        raise PlanError(f"--memory {memory / 1e6:.0f}MB is below the floor of this plan, "
                        f"{-(-floor // 10**6)}MB{more}")


def _lanes(sinks: Sequence[Sink], *, fused: bool) -> list[Lane]:
    """Return lanes with equal stages merged, shared rows kept, and other stages fused."""
    chains = unified([narrowed(sink.stream) for sink in sinks])
    if fused:
        early: dict[int, Stream] = {}
        chains = [fuse(chain, early, STREAMING) for chain in chains]
    groups: list[tuple[Stream, list[Sink]]] = []
    of_chain: dict[int, list[list[Sink]]] = {}
    for chain, sink in zip(chains, sinks, strict=True):
        for members in of_chain.setdefault(id(chain), []):
            if _together(members, sink):
                members.append(sink)
                break
        else:
            groups.append((chain, [sink]))
            of_chain[id(chain)].append(groups[-1][1])
    streams = [stream for stream, _ in groups]
    rows = [unit_rows(stream, _step(members)) for stream, members in groups]
    streams = kept(streams, rows)
    made: dict[int, Stream] = {}
    if fused:
        streams = [fuse(stream, made) for stream in streams]
    return [Lane(_reading(stream, members), members)
            for stream, (_, members) in zip(streams, groups, strict=True)]


def _together(members: Sequence[Sink], sink: Sink) -> bool:
    """Return whether sinks can share blocks: segments of one length, and all rows."""
    every = [*members, sink]
    segments = {each.segment for each in every} - {None}
    return len(segments) <= 1 and len({each.as_recorded for each in every}) == 1 and not any(
        each.sparse for each in every)


def _step(sinks: Sequence[Sink]) -> int:
    return lcm(*(sink.segment or 1 for sink in sinks))


def _reading(stream: Stream, sinks: Sequence[Sink]) -> Stream:
    """Return the form in which voltages are read: as recorded for sinks that accept integers."""
    if isinstance(stream, VoltageStream) and all(sink.as_recorded for sink in sinks):
        recorded = stream.as_recorded()
        return recorded if recorded.dtype.kind == "i" else stream
    return stream
