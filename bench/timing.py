"""Cases and their timing: a call and its yardsticks take turns, and the best of several counts."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Call = Callable[[], object]


@dataclass(frozen=True)
class Scale:
    """The size of a run.

    Parameters
    ----------
    quick : bool
        Whether to use sizes that only show that a case works: the figures then mean nothing.
    folder : Path
        A temporary folder that the cases share and that is removed after the run.
    rounds : int
        How often each call is timed, unless quick.
    """

    quick: bool
    folder: Path
    rounds: int = 9

    @property
    def repeats(self) -> int:
        """How often each call is timed."""
        return 1 if self.quick else self.rounds

    def pick(self, full: int, quick: int) -> int:
        """Return the size for this run."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Yardstick:
    """Another way to do the work.

    Parameters
    ----------
    call : callable
    work : float
        Units of work per call.
    """

    call: Call
    work: float


@dataclass(frozen=True)
class Task:
    """The result of a set-up.

    Parameters
    ----------
    work : float
        Units of work per `call`.
    call : callable
        The call of fastsig.
    yardsticks : mapping
        Name -> `Yardstick`, or a callable that does as much work as `call`.
    missing : mapping
        Name of a yardstick -> why it is missing. It is reported, not hidden.
    close : callable
        Releases the resources of the set-up.
    rounds : int, optional
        How often each call is timed at most, for calls that take seconds.
    """

    work: float
    call: Call
    yardsticks: Mapping[str, Yardstick | Call]
    close: Call = field(default=lambda: None)
    missing: Mapping[str, str] = field(default_factory=dict)
    rounds: int | None = None


@dataclass(frozen=True)
class Mark:
    """The figure that a case must reach.

    Parameters
    ----------
    least : float
        Least ratio to the fastest of `names`; without names, least rate.
    names : tuple of str
        Yardsticks, all of which are needed.
    """

    least: float
    names: tuple[str, ...] = ()

    def found(self, result: Result) -> float:
        """Return the figure that the case reached; NaN if a yardstick is missing."""
        if not self.names:
            return result.rate
        rates = result.rates()
        if not set(self.names) <= set(rates):
            return math.nan
        return result.rate / max(rates[name] for name in self.names)

    def text(self, unit: str) -> str:
        """Return the required figure in words."""
        if not self.names:
            return f"{self.least:g} {unit}/s"
        fastest = "the fastest of " if len(self.names) > 1 else ""
        return f"{self.least:g} x {fastest}{', '.join(self.names)}"


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Parameters
    ----------
    name : str
        Name that ``--case`` matches.
    unit : str
        Unit of work: a rate is in this unit per second.
    setup : callable
        Makes the data, and returns the calls and the amount of work.
    about : str
        One line for ``--list``.
    marks : tuple of tuple of Mark
        Marks, of which one in each inner tuple must be reached.
    """

    name: str
    unit: str
    setup: Callable[[Scale], Task]
    about: str
    marks: tuple[tuple[Mark, ...], ...] = ()


@dataclass(frozen=True)
class Timing:
    """Wall times of one call, s, in the order of measurement, and its units of work."""

    seconds: tuple[float, ...]
    work: float

    @property
    def best(self) -> float:
        """The shortest time, which the machine needs when nothing disturbs it."""
        return min(self.seconds)

    @property
    def rate(self) -> float:
        """Units of work per second."""
        return self.work / self.best

    def record(self) -> dict[str, Any]:
        """Return the figures for the JSON."""
        return {"work": self.work, "best_s": self.best,
                "median_s": statistics.median(self.seconds), "rate": self.rate,
                "seconds": list(self.seconds)}


@dataclass(frozen=True)
class Result:
    """The timings of a case."""

    case: Case
    call: Timing
    yardsticks: Mapping[str, Timing]
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Units of work per second."""
        return self.call.rate

    def rates(self) -> dict[str, float]:
        """Return the units of work per second of each yardstick."""
        return {name: timing.rate for name, timing in self.yardsticks.items()}

    def ratios(self) -> dict[str, float]:
        """Return how many times faster fastsig is than each yardstick, best against best."""
        return {name: self.rate / rate for name, rate in self.rates().items()}

    def marks(self) -> list[dict[str, Any]]:
        """Return each mark in words, the figures reached, and whether they are enough."""
        rows = []
        for either in self.case.marks:
            found = [mark.found(self) for mark in either]
            rows.append({
                "mark": " or ".join(mark.text(self.case.unit) for mark in either),
                "found": found,
                "met": any(f >= mark.least for f, mark in zip(found, either, strict=True)),
            })
        return rows

    def record(self) -> dict[str, Any]:
        """Return the figures for the JSON."""
        ratios = self.ratios()
        peers = {name: {**timing.record(), "ratio": ratios[name]}
                 for name, timing in self.yardsticks.items()}
        return {"name": self.case.name, "unit": self.case.unit, **self.call.record(),
                "yardsticks": peers, "missing": dict(self.missing), "marks": self.marks()}


def measure(case: Case, scale: Scale) -> Result:
    """Set up a case and time its calls in turn: A B A B ..., after one round that compiles."""
    task = case.setup(scale)
    calls = {None: Yardstick(task.call, task.work)} | {
        name: each if isinstance(each, Yardstick) else Yardstick(each, task.work)
        for name, each in task.yardsticks.items()
    }
    rounds = scale.repeats if task.rounds is None else min(scale.repeats, task.rounds)
    try:
        seconds = in_turn({name: each.call for name, each in calls.items()}, rounds)
    finally:
        task.close()
    timings = {name: Timing(tuple(seconds[name]), each.work) for name, each in calls.items()}
    own = timings.pop(None)
    named = {name: timing for name, timing in timings.items() if name is not None}
    return Result(case, own, named, task.missing)


def in_turn(calls: Mapping[Any, Call], rounds: int) -> dict[Any, list[float]]:
    """Return wall times of calls that take turns, so that noise affects all alike.

    A first round is not counted.
    """
    for call in calls.values():
        call()
    gc.collect()
    seconds: dict[Any, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            seconds[name].append(timed(call))
    return seconds


def timed(call: Call) -> float:
    """Return the wall time of one call, s, without garbage collection."""
    gc.disable()
    try:
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin
    finally:
        gc.enable()
