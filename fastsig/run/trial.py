"""Estimate the run time of a plan, extrapolated from the first units of its lanes."""

from __future__ import annotations

import time
from itertools import islice

from fastsig.run.engine import sharing_rows
from fastsig.run.lanes import Lane, Unit
from fastsig.run.plan import Plan

__all__ = ["expected_seconds"]


def expected_seconds(ready: Plan) -> float | None:
    """Estimate the seconds for reading and computing; None if the end of the data is not known.

    Two units of each lane are read: the first loads the kernels, the second is timed. Writing is
    not included.
    """
    if any(lane.stream.endless for lane in ready.lanes):
        return None
    with sharing_rows(ready):
        return sum(_seconds(lane, ready.workers) for lane in ready.lanes)


def _seconds(lane: Lane, workers: int) -> float:
    first = list(islice(lane.units(), 2))
    if not first:
        return 0.0
    lane.read(first[0])
    begun = time.perf_counter()
    lane.read(first[-1])
    seconds = time.perf_counter() - begun
    sizes = [_size(unit) for unit in lane.units()]
    return seconds * sum(sizes) / _size(first[-1]) / min(workers, len(sizes))


def _size(unit: Unit) -> int:
    return unit.n_segment or unit.n
