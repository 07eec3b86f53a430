"""The plan of a batch: what it reads, writes, takes, and whether it can fit, before the first byte.

Tasks of one kind (the same steps, endings and sizes of inputs) are taken to be alike: the commands
are asked about one of each kind, and a trial runs its first seconds; the rest is scaled by size.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fastsig.batch import trials
from fastsig.batch.inputs import look
from fastsig.batch.tasks import Task
from fastsig.batch.trials import Trial
from fastsig.cli.common import plural
from fastsig.errors import FastsigError, OutputError, PlanError, UsageError

__all__ = ["Kind", "Plan", "plan"]

_MOST_KINDS = 4  # that are asked about; others are scaled from the nearest
_TRIES = 3  # tasks of a kind, where the files of the first are bad
_LEAST_RECORDED = 5


@dataclass(frozen=True)
class Kind:
    """Tasks that are taken to be alike.

    Parameters
    ----------
    n_task, bytes_in : int
        Tasks, and bytes that they read.
    example : str
        The one that was asked about.
    bytes_out, bytes_temporary : int or None
        What stays of all of them, and the most of one that is deleted at its end; None where
        unknown.
    memory : int or None
        Bytes that the process of one task is expected to take.
    memory_bound : int or None
        Most that the commands' own plan says it takes.
    seconds : float or None
        Of all, one after the other.
    how : str
        How this was found out.
    error : str
        What the command said that would not do the example.
    code : int
        Its exit code.
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


@dataclass(frozen=True)
class Plan:
    """What a batch takes; see `plan`.

    Parameters
    ----------
    folder : str
        Output folder.
    n_task, n_product : int
        Tasks to do and files that stay, `{file}` counted once.
    refused : tuple of (str, str)
        Tasks that may not run: name and reason.
    kinds : tuple of Kind
    processes : int
        Tasks that run at once.
    memory_limit : int or None
        Bytes of one task.
    free_bytes : int
        Free on the file system of the output folder.
    """

    folder: str
    n_task: int
    n_product: int
    refused: tuple[tuple[str, str], ...]
    kinds: tuple[Kind, ...]
    processes: int
    memory_limit: int | None
    free_bytes: int

    @property
    def bytes_in(self) -> int:
        """Bytes to read."""
        return sum(kind.bytes_in for kind in self.kinds)

    @property
    def bytes_out(self) -> int | None:
        """Bytes of what stays; None where those of some kind are not known."""
        total: int | None = _total(kind.bytes_out for kind in self.kinds)
        return total

    @property
    def bytes_needed(self) -> int:
        """Bytes that the disk needs at the least: what stays, and what running tasks hold."""
        temporary = max((kind.bytes_temporary or 0 for kind in self.kinds), default=0)
        return sum(kind.bytes_out or 0 for kind in self.kinds) + temporary * min(
            self.processes, max(1, self.n_task))

    @property
    def memory(self) -> int | None:
        """Bytes of the largest task's process; None where that of some kind is not known."""
        found = [kind.memory for kind in self.kinds]
        return None if None in found or not found else max(each for each in found if each)

    @property
    def seconds(self) -> float | None:
        """Estimate of the time of all, by all processes."""
        total = _total(kind.seconds for kind in self.kinds)
        return None if total is None else total / max(1, min(self.processes, self.n_task))

    def refusal(self) -> FastsigError | None:
        """Why the run cannot fit: `PlanError` (exit 2) or `OutputError` (exit 4); None if it can.

        A bad input refuses its own task only, when that runs.
        """
        wrong = [kind for kind in self.kinds if kind.code == 2]
        if wrong and len(wrong) == len(self.kinds):
            return PlanError(f"{wrong[0].example}: {wrong[0].error}")
        least = min((kind.memory or 0 for kind in self.kinds), default=0)
        if self.memory_limit is not None and least > self.memory_limit:
            return PlanError(f"a task takes about {_bytes(least)}; its limit is "
                             f"{_bytes(self.memory_limit)}")
        if self.bytes_needed > self.free_bytes:
            return OutputError(self.folder, f"the disk is too small: about {self.bytes_needed} "
                               f"bytes are needed, {self.free_bytes} are free")
        return None

    def check(self) -> None:
        """Raise the `refusal`, where there is one."""
        error = self.refusal()
        if error is not None:
            raise error

    def to_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        refusal = self.refusal()
        return {**asdict(self), "bytes_in": self.bytes_in, "bytes_out": self.bytes_out,
                "bytes_needed": self.bytes_needed, "memory_bytes": self.memory,
                "seconds": self.seconds, "refusal": str(refusal) if refusal else None}

    def summary(self) -> str:
        """The plan as lines of text."""
        lines = [f"{plural(self.n_task, 'task')}, {plural(self.n_product, 'product')} in "
                 f"{self.folder}"]
        lines += [f"  refused: {name}: {why}" for name, why in self.refused]
        lines += [f"read     {_bytes(self.bytes_in)}",
                  f"write    {_bytes(self.bytes_out)}, {_bytes(self.free_bytes)} free",
                  f"memory   {_bytes(self.memory)} a task, {self.processes} at once; "
                  f"{_bytes(self.memory_limit) if self.memory_limit else 'no'} limit",
                  f"time     {_time(self.seconds)}"]
        for kind in self.kinds:
            lines.append(f"  {kind.n_task} like {kind.example}: {_bytes(kind.bytes_in)} to "
                         f"{_bytes(kind.bytes_out)}, {_bytes(kind.memory)}, "
                         f"{_time(kind.seconds)} of one process; {kind.how}")
            if kind.error:
                lines.append(f"  {kind.example}: {kind.error}")
        refusal = self.refusal()
        return "\n".join([*lines, f"cannot run: {refusal}"] if refusal else lines)


def _total(values: Iterable[Any]) -> Any:
    found = list(values)
    return None if None in found else sum(found)


def _bytes(n: int | None) -> str:
    if n is None:
        return "unknown"
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n} B"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"about {seconds:.2g} s"
    return f"about {seconds / 60:.0f} min" if seconds < 7200 else f"about {seconds / 3600:.1f} h"


def plan(tasks: Sequence[Task], *, sizes: Sequence[int] | None = None, processes: int = 1,
         threads: int | None = None, memory: int | None = None, trial: bool = True,
         recorded: Sequence[tuple[int, float]] = ()) -> Plan:
    """Plan a batch; nothing is written but in a temporary folder, and that is removed.

    Parameters
    ----------
    tasks : sequence of Task
        Those to do; what is done already is left out by who asks.
    sizes : sequence of int, optional
        Bytes of the inputs of each, as of `Survey`; looked up where not given.
    processes, threads : int
        Tasks that run at once, and threads of each.
    memory : int, optional
        Bound on the process of one task, bytes.
    trial : bool
        Whether to run the first seconds of one task of each kind: 128 MB of its input, more with
        many threads, for at most 2 minutes in each of two processes.
    recorded : sequence of (int, float), optional
        Bytes and seconds of tasks that were done before: where there are some, they tell the time.

    Raises
    ------
    UsageError
        Where there are no tasks, or `processes` or `threads` is none.
    """
    if not tasks:
        raise UsageError("no tasks; allowed: 1 or more")
    if processes < 1 or (threads is not None and threads < 1):
        raise UsageError(f"processes = {processes}, threads = {threads}; allowed: 1 or more")
    found = list(sizes) if sizes is not None else [_size(task) for task in tasks]
    pairs = [(task, size) for task, size in zip(tasks, found, strict=True) if not task.refused]
    words = {key: str(value) for key, value in (("workers", threads), ("memory", memory)) if value}
    folder = tasks[0].folder
    return Plan(
        folder, len(pairs), sum(len(task.outputs) for task, _ in pairs),
        tuple((task.name, task.refused) for task in tasks if task.refused),
        tuple(_kinds(pairs, words, trial, recorded)), processes, memory, _free(folder))


def _size(task: Task) -> int:
    return sum(each.size for each in map(look, task.inputs) if each)


def _free(folder: str) -> int:
    """Free bytes of the file system that a folder lies in, or will."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return shutil.disk_usage(folder).free


Pairs = list[tuple[Task, int]]


def _kinds(pairs: Pairs, words: Mapping[str, str], trial: bool,
           recorded: Sequence[tuple[int, float]]) -> list[Kind]:
    """Kinds, the largest first; the small ones are scaled from the nearest that was asked about."""
    groups: dict[tuple[Any, ...], Pairs] = {}
    for task, size in pairs:
        groups.setdefault(_key(task, size), []).append((task, size))
    ordered = sorted(groups.values(), key=lambda group: -sum(size for _, size in group))
    asked = [_Asked(group, words, trial) for group in ordered[:_MOST_KINDS]]
    kinds = [each.kind(group, recorded) for each, group in zip(asked, ordered, strict=False)]
    for group in ordered[_MOST_KINDS:]:
        near = min(asked, key=lambda each: abs(each.size - group[0][1]))
        kinds.append(near.kind(group, recorded))
    return kinds


def _key(task: Task, size: int) -> tuple[Any, ...]:
    """What alike tasks have in common."""
    suffix = os.path.splitext(task.inputs[0])[1].lower()
    return (tuple(step.command for step in task.steps), suffix, size.bit_length(),
            len(task.inputs).bit_length(), tuple(len(step.outputs) for step in task.steps))


class _Asked:
    """What is known of one task of a kind."""

    def __init__(self, group: Pairs, words: Mapping[str, str], trial: bool) -> None:
        self.most = trials.most_bytes(words)
        middle = sorted(group, key=lambda pair: pair[1])[len(group) // 2]
        for task, size in [middle, *(pair for pair in group if pair is not middle)][:_TRIES]:
            self.task, self.size = task, size
            self.told = trials.ask_commands(task, words)
            self.trial = Trial()
            if trial and not self.told.error:
                self.trial = trials.try_task(task, size, words, sum(self.told.bytes_out.values()))
            if self.told.code not in (3, 70) and self.trial.code not in (3, 70):
                break

    def kind(self, group: Pairs, recorded: Sequence[tuple[int, float]]) -> Kind:
        """The kind of a group, by what is known of this task."""
        sizes = [size for _, size in group]
        error, code = ((self.told.error, self.told.code) if self.told.error else
                       (self.trial.error, self.trial.code))
        kept, gone = self._bytes_out(sizes)
        seconds, how = self._seconds(sizes, recorded)
        return Kind(len(group), sum(sizes), self.task.name, kept, gone, self._memory(),
                    self.told.memory, seconds, self._how(how), error, code)

    def _memory(self) -> int | None:
        """What a trial took that was long enough to fill all buffers, else the commands' plan."""
        if not self.trial.runs:
            return self.told.memory
        longest = max(self.trial.runs)
        filled = longest.bytes_in >= 0.99 * min(self.size, self.most)
        return max(longest.peak_bytes, 0 if filled else self.told.memory or 0)

    def _bytes_out(self, sizes: Sequence[int]) -> tuple[int | None, int | None]:
        """Bytes that stay of all, and those of one that do not."""
        each = [self._step_bytes(index) for index in range(len(self.task.steps))]
        totals = [None if made is None else [made(size) for size in sizes] for made in each]
        kept = _total(None if total is None else sum(total)
                      for total, step in zip(totals, self.task.steps, strict=True) if step.keep)
        gone = _total(None if total is None else max(total)
                      for total, step in zip(totals, self.task.steps, strict=True)
                      if not step.keep)
        return kept, gone

    def _step_bytes(self, index: int) -> Any:
        """A function from bytes of the input to bytes of a step's products, or None."""
        bound = self.told.bytes_out.get(index)
        runs = self.trial.runs
        if not runs:
            return None if bound is None else lambda size: round(bound * size / max(1, self.size))
        line = _line([(run.bytes_in, run.bytes_out[index]) for run in runs])
        if bound is None:
            return lambda size: round(line(size))
        return lambda size: round(min(line(size), bound * max(1.0, size / max(1, self.size))))

    def _seconds(self, sizes: Sequence[int], recorded: Sequence[tuple[int, float]]
                 ) -> tuple[float | None, str]:
        """Time of all, one after the other, and where it is from."""
        if len(recorded) >= _LEAST_RECORDED:
            rates = sorted(seconds / max(1, size) for size, seconds in recorded)
            return sum(sizes) * rates[len(rates) // 2], f"time of {len(recorded)} done before"
        if not self.trial.runs:
            return None, ""
        line = _line([(run.bytes_in, run.seconds) for run in self.trial.runs])
        return sum(map(line, sizes)), ""

    def _how(self, time_from: str) -> str:
        """How all this was found out."""
        parts = ["by the commands' own plan"] if self.told.bytes_out else []
        if self.trial.runs:
            longest = max(run.bytes_in for run in self.trial.runs)
            share = "all" if longest >= self.size else "the first"
            parts.append(f"by a trial on {share} {_bytes(round(longest))} of {self.task.name}")
        return " and ".join(parts + ([time_from] if time_from else [])) or "no trial"


def _line(points: Sequence[tuple[float, float]]) -> Any:
    """What is proportional to size, and what is not, by the smallest and the largest run."""
    (x0, y0), (x1, y1) = min(points), max(points)
    if x1 <= x0:
        return lambda x: y1 * x / max(1.0, x1)
    slope = max(0.0, (y1 - y0) / (x1 - x0))
    return lambda x: max(0.0, y1 + slope * (x - x1))


