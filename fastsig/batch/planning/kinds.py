"""Kinds of similar tasks, and what they need: measured with one of them, scaled by size."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastsig.batch.planning import trials
from fastsig.batch.planning.trials import Trial
from fastsig.batch.tasks.model import Task

__all__ = ["Kind", "kinds_of", "size_text", "total_of"]

_MOST_KINDS = 4  # kinds that are examined; others are scaled from the nearest of these
_TRIES = 3  # tasks of a kind that are tried, if the files of the first are bad
_LEAST_RECORDED = 5


@dataclass(frozen=True)
class Kind:
    """Tasks that are assumed to be similar.

    Parameters
    ----------
    n_task, bytes_in : int
        Number of tasks, and bytes that they read.
    example : str
        Name of the task that was examined.
    bytes_out, bytes_temporary : int or None
        Bytes of the products of all tasks that are kept, and the largest size of the products of
        one task that are deleted at its end; None if unknown.
    memory : int or None
        Bytes that the process of one task is expected to need.
    memory_bound : int or None
        Upper limit of these bytes according to the commands' own plan.
    seconds : float or None
        Time of all tasks, one after the other.
    how : str
        How these values were estimated.
    error : str
        Message of the command that refused the example.
    code : int
        Exit code of that command.
    """

    n_task: int
    bytes_in: int
    example: str
    bytes_out: int | None = None
    bytes_temporary: int | None = None
    memory: int | None = None
    memory_bound: int | None = None
    seconds: float | None = None
    how: str = ""
    error: str = ""
    code: int = 0


Pairs = list[tuple[Task, int]]


def kinds_of(pairs: Pairs, words: Mapping[str, str], trial: bool,
           recorded: Sequence[tuple[int, float]]) -> list[Kind]:
    """Return the kinds, the largest first; small ones are scaled from the nearest one examined."""
    groups: dict[tuple[Any, ...], Pairs] = {}
    for task, size in pairs:
        groups.setdefault(_key(task, size), []).append((task, size))
    ordered = sorted(groups.values(), key=lambda group: -sum(size for _, size in group))
    asked = [_Asked(group, words, trial) for group in ordered[:_MOST_KINDS]]
    kinds = [example.kind(group, recorded)
             for example, group in zip(asked, ordered, strict=False)]
    for group in ordered[_MOST_KINDS:]:
        # A command that refuses one task says nothing about the others.
        good = [example for example in asked if not example.code] or asked
        near = min(good, key=lambda example: abs(example.size - group[0][1]))
        kinds.append(near.kind(group, recorded))
    return kinds


def _key(task: Task, size: int) -> tuple[Any, ...]:
    """Return the properties that similar tasks share."""
    suffix = os.path.splitext(task.inputs[0])[1].lower()
    return (tuple(step.command for step in task.steps), suffix, size.bit_length(),
            len(task.inputs).bit_length(), tuple(len(step.outputs) for step in task.steps))


class _Asked:
    """One task of a kind, with its commands' own plan and its trial."""

    def __init__(self, group: Pairs, words: Mapping[str, str], trial: bool) -> None:
        self.most = trials.most_bytes(words)
        middle = sorted(group, key=lambda pair: pair[1])[len(group) // 2]
        for task, size in [middle, *(pair for pair in group if pair is not middle)][:_TRIES]:
            self.task, self.size = task, size
            self.stated = trials.ask_commands(task, words)
            self.trial = Trial()
            if trial and not self.stated.error:
                self.trial = trials.try_task(task, size, words, sum(self.stated.bytes_out.values()))
            if self.stated.code not in (3, 70) and self.trial.code not in (3, 70):
                break

    @property
    def code(self) -> int:
        """Exit code of the command that refused this task; 0 if none did."""
        return self.stated.code if self.stated.error else self.trial.code

    def kind(self, group: Pairs, recorded: Sequence[tuple[int, float]]) -> Kind:
        """Return the kind of a group of tasks, estimated from this task."""
        sizes = [size for _, size in group]
        error, code = ((self.stated.error, self.stated.code) if self.stated.error else
                       (self.trial.error, self.trial.code))
        kept, gone = self._bytes_out(sizes)
        seconds, how = self._seconds(sizes, recorded)
        return Kind(len(group), sum(sizes), self.task.name, kept, gone, self._memory(),
                    self.stated.memory, seconds, self._how(how), error, code)

    def _memory(self) -> int | None:
        """Return the memory of the trial if it was long enough to fill all buffers.

        Otherwise return the larger of that and the commands' own plan.
        """
        if not self.trial.runs:
            return self.stated.memory
        longest = max(self.trial.runs)
        filled = longest.bytes_in >= 0.99 * min(self.size, self.most)
        return max(longest.peak_bytes, 0 if filled else self.stated.memory or 0)

    def _bytes_out(self, sizes: Sequence[int]) -> tuple[int | None, int | None]:
        """Return the bytes kept of all tasks, and the bytes deleted of the largest one."""
        laws = [self._step_bytes(index) for index in range(len(self.task.steps))]
        totals = [None if law is None else [law(size) for size in sizes] for law in laws]
        kept = total_of(None if total is None else sum(total)
                      for total, step in zip(totals, self.task.steps, strict=True) if step.keep)
        gone = total_of(None if total is None else max(total)
                      for total, step in zip(totals, self.task.steps, strict=True)
                      if not step.keep)
        return kept, gone

    def _step_bytes(self, index: int) -> Any:
        """Return a function from bytes of the input to bytes of a step's products, or None."""
        bound = self.stated.bytes_out.get(index)
        runs = self.trial.runs
        if not runs:
            return None if bound is None else lambda size: round(bound * size / max(1, self.size))
        line = _line([(run.bytes_in, run.bytes_out[index]) for run in runs])
        if bound is None:
            return lambda size: round(line(size))
        return lambda size: round(min(line(size), bound * max(1.0, size / max(1, self.size))))

    def _seconds(self, sizes: Sequence[int], recorded: Sequence[tuple[int, float]]
                 ) -> tuple[float | None, str]:
        """Return the time of all tasks, one after the other, and its source."""
        if len(recorded) >= _LEAST_RECORDED:
            rates = sorted(seconds / max(1, size) for size, seconds in recorded)
            return sum(sizes) * rates[len(rates) // 2], f"time of {len(recorded)} done before"
        if not self.trial.runs:
            return None, ""
        line = _line([(run.bytes_in, run.seconds) for run in self.trial.runs])
        return sum(map(line, sizes)), ""

    def _how(self, time_from: str) -> str:
        """Return a description of how the values were estimated."""
        parts = ["by the commands' own plan"] if self.stated.bytes_out else []
        if self.trial.runs:
            longest = max(run.bytes_in for run in self.trial.runs)
            share = "all" if longest >= self.size else "the first"
            parts.append(f"by a trial on {share} {size_text(round(longest))} of {self.task.name}")
        return " and ".join(parts + ([time_from] if time_from else [])) or "no trial"


def _line(points: Sequence[tuple[float, float]]) -> Any:
    """Return the straight line through the smallest and the largest run, as a function."""
    (x0, y0), (x1, y1) = min(points), max(points)
    if x1 <= x0:
        return lambda x: y1 * x / max(1.0, x1)
    slope = max(0.0, (y1 - y0) / (x1 - x0))
    return lambda x: max(0.0, y1 + slope * (x - x1))


def total_of(values: Iterable[Any]) -> Any:
    """Return the sum, or None if some value is unknown."""
    known = list(values)
    return None if None in known else sum(known)


def size_text(n: int | None) -> str:
    """Return a number of bytes as text for people."""
    if n is None:
        return "unknown"
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n} B"
