"""The plan of a batch: bytes to read and write, memory and time, and whether the batch fits.

Tasks of one kind (the same steps, extensions and sizes of inputs) are assumed to be similar. For
one task of each kind, the commands' own plans are read, and a trial processes its first seconds.
The other tasks are scaled by size.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fastsig.batch.planning.kinds import Kind, kinds_of, size_text, total_of
from fastsig.batch.tasks.input_files import look
from fastsig.batch.tasks.model import Task
from fastsig.errors import FastsigError, OutputError, PlanError, UsageError
from fastsig.work.counted import counted

__all__ = ["Kind", "Plan", "plan"]


@dataclass(frozen=True)
class Plan:
    """The resources that a batch needs; see `plan`.

    Parameters
    ----------
    folder : str
        Output folder.
    n_task, n_product : int
        Numbers of tasks to do and of files that are kept; a name with `{file}` counts as one file.
    refused : tuple of (str, str)
        Name and reason for each task that may not run.
    kinds : tuple of Kind
        Kinds of similar tasks, with their needs.
    processes : int
        Number of tasks that run at once.
    memory_limit : int or None
        Limit of one task, in bytes.
    free_bytes : int
        Free space on the file system of the output folder.
    machine_bytes : int
        Memory of the machine, which the processes share; 0 for no limit.
    """

    folder: str
    n_task: int
    n_product: int
    refused: tuple[tuple[str, str], ...]
    kinds: tuple[Kind, ...]
    processes: int
    memory_limit: int | None
    free_bytes: int
    machine_bytes: int = 0

    @property
    def bytes_in(self) -> int:
        """Bytes to read."""
        return sum(kind.bytes_in for kind in self.kinds)

    @property
    def usable(self) -> tuple[Kind, ...]:
        """Kinds that no command refuses; all kinds if every one is refused.

        Their needs are summed.
        """
        return tuple(kind for kind in self.kinds if not kind.error) or self.kinds

    @property
    def bytes_out(self) -> int | None:
        """Bytes of the products of `usable` kinds that are kept; None if unknown for some kinds."""
        total: int | None = total_of(kind.bytes_out for kind in self.usable)
        return total

    @property
    def bytes_needed(self) -> int:
        """Bytes of disk space needed: products that are kept, and temporary ones of running tasks.

        Unknown sizes are counted as 0.
        """
        temporary = max((kind.bytes_temporary or 0 for kind in self.kinds), default=0)
        return sum(kind.bytes_out or 0 for kind in self.kinds) + temporary * min(
            self.processes, max(1, self.n_task))

    @property
    def memory(self) -> int | None:
        """Bytes of memory of the process of the largest task of the `usable` kinds.

        None if unknown.
        """
        bytes_of = [kind.memory for kind in self.usable]
        return None if None in bytes_of or not bytes_of else max(filter(None, bytes_of))

    @property
    def seconds(self) -> float | None:
        """Estimated time of all tasks of `usable` kinds with all processes."""
        total = total_of(kind.seconds for kind in self.usable)
        return None if total is None else total / max(1, min(self.processes, self.n_task))

    def refusal(self) -> FastsigError | None:
        """Return why the run cannot start: `PlanError` (exit 2), `OutputError` (exit 4), or None.

        A bad input affects only its own task, when that task runs.
        """
        wrong = [kind for kind in self.kinds if kind.code == 2]
        if wrong and len(wrong) == len(self.kinds):
            return PlanError(f"{wrong[0].example}: {wrong[0].error}")
        least = min((kind.memory or 0 for kind in self.kinds), default=0)
        if self.memory_limit is not None and least > self.memory_limit:
            return PlanError(f"a task needs about {size_text(least)}; its limit is "
                             f"{size_text(self.memory_limit)}")
        together = (self.memory or 0) * min(self.processes, self.n_task)
        if 0 < self.machine_bytes < together:
            return PlanError(f"{min(self.processes, self.n_task)} tasks at once need about "
                             f"{size_text(together)}, the machine has "
                             f"{size_text(self.machine_bytes)}; allowed: fewer --workers")
        if self.bytes_needed > self.free_bytes:
            return OutputError(self.folder, f"the disk is too small: about {self.bytes_needed} "
                               f"bytes are needed, {self.free_bytes} are free")
        return None

    def check(self) -> None:
        """Raise the `refusal`, if there is one."""
        error = self.refusal()
        if error is not None:
            raise error

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        refusal = self.refusal()
        return {**asdict(self), "bytes_in": self.bytes_in, "bytes_out": self.bytes_out,
                "bytes_needed": self.bytes_needed, "memory_bytes": self.memory,
                "seconds": self.seconds, "refusal": str(refusal) if refusal else None}

    def summary(self) -> str:
        """Return the plan as lines of text."""
        lines = [f"{counted(self.n_task, 'task')}, {counted(self.n_product, 'product')} in "
                 f"{self.folder}"]
        lines += [f"  refused: {name}: {why}" for name, why in self.refused]
        lines += [f"read     {size_text(self.bytes_in)}",
                  f"write    {size_text(self.bytes_out)}, {size_text(self.free_bytes)} free",
                  f"memory   {size_text(self.memory)} per task, {self.processes} at once; "
                  f"{size_text(self.memory_limit) if self.memory_limit else 'no'} limit",
                  f"time     {_time(self.seconds)}, with compiled kernels"]
        bad = [kind for kind in self.kinds if kind not in self.usable]
        if bad:
            lines.append("not in write, memory and time: " + ", ".join(
                kind.example if kind.n_task == 1 else f"{kind.n_task} like {kind.example}"
                for kind in bad))
        for kind in self.kinds:
            lines.append(f"  {kind.n_task} like {kind.example}: {size_text(kind.bytes_in)} to "
                         f"{size_text(kind.bytes_out)}, {size_text(kind.memory)}, "
                         f"{_time(kind.seconds)} with one process; {kind.how}")
            if kind.error:
                lines.append(f"  {kind.example}: {kind.error}")
        refusal = self.refusal()
        return "\n".join([*lines, f"cannot run: {refusal}"] if refusal else lines)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"about {seconds:.2g} s"
    return f"about {seconds / 60:.0f} min" if seconds < 7200 else f"about {seconds / 3600:.1f} h"


def plan(tasks: Sequence[Task], *, sizes: Sequence[int] | None = None, processes: int = 1,
         threads: int | None = None, memory: int | None = None, trial: bool = True,
         recorded: Sequence[tuple[int, float]] = (), machine_bytes: int | None = None,
         folder: str | None = None) -> Plan:
    """Plan a batch; files are written only in a temporary folder, which is removed.

    Parameters
    ----------
    tasks : sequence of Task
        Tasks to do, without those that are already done.
    sizes : sequence of int, optional
        Bytes of the inputs of each task, as in `Survey`; read from the disk by default.
    processes, threads : int
        Number of tasks that run at the same time, and number of threads for each.
    memory : int, optional
        Limit on the memory of the process of one task, in bytes.
    trial : bool
        Whether to run the first seconds of one task of each kind: 128 MB of its input, more with
        many threads, for at most 2 minutes in each of two processes.
    recorded : sequence of (int, float), optional
        Bytes and seconds of tasks that were done before: if there are enough, the time is
        estimated from them.
    machine_bytes : int, optional
        Memory that the processes share; by default, that of this machine; 0 for no limit.
    folder : str, optional
        Output folder; that of the tasks by default.

    Raises
    ------
    UsageError
        If there are neither tasks nor a folder, or `processes` or `threads` is below 1.
    """
    if folder is None and not tasks:
        raise UsageError("no tasks; allowed: 1 or more")
    if processes < 1 or (threads is not None and threads < 1):
        raise UsageError(f"processes = {processes}, threads = {threads}; allowed: 1 or more")
    known = list(sizes) if sizes is not None else [_size(task) for task in tasks]
    pairs = [(task, size) for task, size in zip(tasks, known, strict=True) if not task.refused]
    words = {key: str(value) for key, value in (("workers", threads), ("memory", memory)) if value}
    folder = tasks[0].folder if folder is None else folder
    return Plan(
        folder, len(pairs), sum(len(task.outputs) for task, _ in pairs),
        tuple((task.name, task.refused) for task in tasks if task.refused),
        tuple(kinds_of(pairs, words, trial, recorded)), processes, memory, _free(folder),
        _machine_bytes() if machine_bytes is None else machine_bytes)


def _size(task: Task) -> int:
    return sum(file.size for file in map(look, task.inputs) if file)


def _machine_bytes() -> int:
    """Return the memory of this machine, or the limit of its control group if that is lower."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        with open("/sys/fs/cgroup/memory.max") as file:
            return min(physical, int(file.read()))
    except (OSError, ValueError):  # "max", or no such group
        return physical


def _free(folder: str) -> int:
    """Return the free bytes of the file system of a folder, which need not exist yet."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return shutil.disk_usage(folder).free
