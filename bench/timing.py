"""Cases, and their timing: a call and its yardsticks in turn, the best of several."""

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
    """How large a run is.

    Parameters
    ----------
    quick : bool
        Sizes that only show that a case works: the figures mean nothing.
    folder : Path
        A temporary folder that the cases share and the run removes.
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
        """The size of this run."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Yardstick:
    """Another way to do the work.

    Parameters
    ----------
    call : callable
    work : float
        Units of work that a call does.
    """

    call: Call
    work: float


@dataclass(frozen=True)
class Task:
    """What a set-up returns.

    Parameters
    ----------
    work : float
        Units of work that `call` does.
    call : callable
        fastsig.
    yardsticks : mapping
        Name -> `Yardstick`, or a callable that does as much as `call`.
    missing : mapping
        Name of a yardstick -> why it is not there. It is told, not hidden.
    close : callable
        Gives back what the set-up holds.
    """

    work: float
    call: Call
    yardsticks: Mapping[str, Yardstick | Call]
    close: Call = field(default=lambda: None)
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Mark:
    """What a case has to reach.

    Parameters
    ----------
    least : float
        Least ratio to the fastest of `names`; without names, least rate.
    names : tuple of str
        Yardsticks that must all be there.
    """

    least: float
    names: tuple[str, ...] = ()

    def found(self, result: Result) -> float:
        """What the case reached."""
        if not self.names:
            return result.rate
        rates = result.rates()
        if not set(self.names) <= set(rates):
            return math.nan
        return result.rate / max(rates[name] for name in self.names)

    def text(self, unit: str) -> str:
        """What is asked for, in words."""
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
        What ``--case`` matches.
    unit : str
        Unit of work: a rate is in this unit a second.
    setup : callable
        Makes the data, and returns the calls and the amount of work.
    about : str
        One line for ``--list``.
    marks : tuple of tuple of Mark
        Of each inner tuple, one has to be reached.
    """

    name: str
    unit: str
    setup: Callable[[Scale], Task]
    about: str
    marks: tuple[tuple[Mark, ...], ...] = ()


@dataclass(frozen=True)
class Timing:
    """Wall times of one call, s, in the order they were taken, and its units of work."""

    seconds: tuple[float, ...]
    work: float

    @property
    def best(self) -> float:
        """The shortest: what the machine can do when nothing disturbs it."""
        return min(self.seconds)

    @property
    def rate(self) -> float:
        """Units of work a second."""
        return self.work / self.best

    def record(self) -> dict[str, Any]:
        """The figures for the JSON."""
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
        """Units of work a second."""
        return self.call.rate

    def rates(self) -> dict[str, float]:
        """Units of work a second of each yardstick."""
        return {name: timing.rate for name, timing in self.yardsticks.items()}

    def ratios(self) -> dict[str, float]:
        """How many times faster than each yardstick, best against best."""
        return {name: self.rate / rate for name, rate in self.rates().items()}

    def marks(self) -> list[dict[str, Any]]:
        """Each mark in words, what was found, and whether that is enough."""
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
        """The figures for the JSON."""
        ratios = self.ratios()
        peers = {name: {**timing.record(), "ratio": ratios[name]}
                 for name, timing in self.yardsticks.items()}
        return {"name": self.case.name, "unit": self.case.unit, **self.call.record(),
                "yardsticks": peers, "missing": dict(self.missing), "marks": self.marks()}


def measure(case: Case, scale: Scale) -> Result:
    """Set a case up and time its calls in turn: A B A B ..., after one round that compiles."""
    task = case.setup(scale)
    calls = {None: Yardstick(task.call, task.work)} | {
        name: each if isinstance(each, Yardstick) else Yardstick(each, task.work)
        for name, each in task.yardsticks.items()
    }
    try:
        seconds = in_turn({name: each.call for name, each in calls.items()}, scale.repeats)
    finally:
        task.close()
    timings = {name: Timing(tuple(seconds[name]), each.work) for name, each in calls.items()}
    own = timings.pop(None)
    named = {name: timing for name, timing in timings.items() if name is not None}
    return Result(case, own, named, task.missing)


def in_turn(calls: Mapping[Any, Call], rounds: int) -> dict[Any, list[float]]:
    """Wall times of calls that take turns, so that noise hits all alike; a first round is free."""
    for call in calls.values():
        call()
    gc.collect()
    seconds: dict[Any, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            seconds[name].append(timed(call))
    return seconds


def timed(call: Call) -> float:
    """Wall time of one call, s; the garbage collector waits."""
    gc.disable()
    try:
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin
    finally:
        gc.enable()
