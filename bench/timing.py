"""Cases, and their timing: a call and its yardsticks in turn, the best of several."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Call = Callable[[], object]


@dataclass(frozen=True)
class Scale:
    """How large a run is.

    Parameters
    ----------
    quick : bool
        Sizes that only show that a case works: the figures mean nothing.
    folder : Path
        A temporary folder that the cases share and the run removes.
    """

    quick: bool
    folder: Path

    @property
    def repeats(self) -> int:
        """How often each call is timed."""
        return 1 if self.quick else 9

    def pick(self, full: int, quick: int) -> int:
        """The size of this run."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Task:
    """What a set-up returns.

    Parameters
    ----------
    work : float
        Units of work that `call` does, and every yardstick as well.
    call : callable
        fastsig.
    yardsticks : mapping
        Name -> callable that does as much in another way.
    close : callable
        Gives back what the set-up holds.
    """

    work: float
    call: Call
    yardsticks: Mapping[str, Call]
    close: Call = field(default=lambda: None)


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Parameters
    ----------
    name : str
        What ``--case`` matches.
    unit : str
        Unit of work: a rate is in this unit a second.
    setup : callable
        Makes the data, and returns the calls and the amount of work.
    about : str
        One line for ``--list``.
    """

    name: str
    unit: str
    setup: Callable[[Scale], Task]
    about: str


@dataclass(frozen=True)
class Timing:
    """Wall times of one call, s, in the order they were taken."""

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The shortest: what the machine can do when nothing disturbs it."""
        return min(self.seconds)

    def record(self, work: float) -> dict[str, Any]:
        """The figures for the JSON."""
        return {"best_s": self.best, "median_s": statistics.median(self.seconds),
                "rate": work / self.best, "seconds": list(self.seconds)}


@dataclass(frozen=True)
class Result:
    """The timings of a case."""

    case: Case
    work: float
    call: Timing
    yardsticks: Mapping[str, Timing]

    @property
    def rate(self) -> float:
        """Units of work a second."""
        return self.work / self.call.best

    def ratios(self) -> dict[str, float]:
        """How many times faster than each yardstick, best against best."""
        return {name: timing.best / self.call.best for name, timing in self.yardsticks.items()}

    def record(self) -> dict[str, Any]:
        """The figures for the JSON."""
        ratios = self.ratios()
        peers = {name: {**timing.record(self.work), "ratio": ratios[name]}
                 for name, timing in self.yardsticks.items()}
        return {"name": self.case.name, "unit": self.case.unit, "work": self.work,
                **self.call.record(self.work), "yardsticks": peers}


def measure(case: Case, scale: Scale) -> Result:
    """Set a case up and time its calls in turn: A B A B ..., after one round that compiles."""
    task = case.setup(scale)
    calls: dict[str | None, Call] = {None: task.call, **task.yardsticks}
    seconds: dict[str | None, list[float]] = {name: [] for name in calls}
    try:
        for call in calls.values():
            call()
        for _ in range(scale.repeats):
            for name, call in calls.items():
                seconds[name].append(timed(call))
    finally:
        task.close()
    timings = {name: Timing(tuple(found)) for name, found in seconds.items()}
    return Result(case, task.work, timings.pop(None), timings)


def timed(call: Call) -> float:
    """Wall time of one call, s; the garbage collector waits."""
    gc.collect()
    gc.disable()
    try:
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin
    finally:
        gc.enable()
