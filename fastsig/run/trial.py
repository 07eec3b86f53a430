"""Estimate the run time of a plan, extrapolated from the first units of its lanes."""

from __future__ import annotations

import time
from itertools import islice
from typing import NamedTuple

from fastsig.run.engine import sharing_rows
from fastsig.run.lanes import Lane, Unit
from fastsig.run.plan import Plan

__all__ = ["Expected", "expected_time"]


class Expected(NamedTuple):
    """The time that a run is expected to take in seconds, without its start and without writing.

    Parameters
    ----------
    seconds : float
        For reading and computing, and for compiling the kernels if these cannot be cached.
    compiling : float
        For compiling the kernels, which the trial did; 0 if they were in the cache.
    is_cached : bool
        Whether the run will find the compiled kernels in the cache.
    """

    seconds: float
    compiling: float
    is_cached: bool


def expected_time(ready: Plan) -> Expected | None:
    """Estimate the time of a run; None if the end of the data is not known.

    Two units of each lane are read: the first loads or compiles the kernels, the second is timed.
    """
    from fastsig_kernels import _cache
    from numba.core import event

    if any(lane.stream.endless for lane in ready.lanes):
        return None
    with sharing_rows(ready), event.install_recorder("numba:compile") as recorder:
        parts = [_seconds(lane, ready.workers) for lane in ready.lanes]
    work, start = (sum(column) for column in zip(*parts, strict=True)) if parts else (0.0, 0.0)
    if not recorder.buffer:
        return Expected(work, 0.0, True)
    kept = _cache.is_kept()
    return Expected(work if kept else work + start, start, kept)


def _seconds(lane: Lane, workers: int) -> tuple[float, float]:
    """Return the seconds that all units take, and those that the first takes longer than others."""
    first = list(islice(lane.units(), 2))
    if not first:
        return 0.0, 0.0
    times = [_timed(lane, unit) for unit in (first[0], first[-1])]
    rate = times[1] / _size(first[-1])
    sizes = [_size(unit) for unit in lane.units()]
    return (rate * sum(sizes) / min(workers, len(sizes)),
            max(0.0, times[0] - rate * _size(first[0])))


def _timed(lane: Lane, unit: Unit) -> float:
    begun = time.perf_counter()
    lane.read(unit)
    return time.perf_counter() - begun


def _size(unit: Unit) -> int:
    return unit.n_segment or unit.n
