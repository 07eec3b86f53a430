"""The needs of one task: from the commands' own plans, and from a trial on its first seconds.

Both run in separate processes, so that the memory is that of a worker, and a file that makes a
library hang affects only the trial. A trial writes only in a temporary folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastsig.batch.recipe.vocabulary import vocabulary
from fastsig.batch.tasks.model import Task
from fastsig.batch.tasks.relocation import relocated

__all__ = ["Run", "Stated", "Trial", "ask_commands", "most_bytes", "try_task"]

_PATIENCE_S = 120.0
_UNIT_BYTES = 2**24  # bytes of input that a thread reads at once
_LONG = 2**27


@dataclass(frozen=True, order=True)
class Run:
    """One run of a trial: bytes read, time, bytes written by each step, and peak memory."""

    bytes_in: float
    seconds: float
    bytes_out: tuple[int, ...]
    peak_bytes: int


@dataclass(frozen=True)
class Trial:
    """A short and a long run of one task; or the reason why there are none."""

    runs: tuple[Run, ...] = ()
    error: str = ""
    code: int = 0


@dataclass(frozen=True)
class Stated:
    """The commands' own plans, as stated by ``--dry-run``.

    Parameters
    ----------
    bytes_out : dict
        Most bytes that a step writes, by its index, for the steps that state it.
    memory : int or None
        Memory used by the step that needs most, in bytes.
    error, code
        Message and exit code of the first command that refused.
    """

    bytes_out: dict[int, int] = field(default_factory=dict)
    memory: int | None = None
    error: str = ""
    code: int = 0


@contextlib.contextmanager
def _moved(task: Task) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield a temporary folder, and the steps of a task with all their products in it."""
    with tempfile.TemporaryDirectory(prefix="fastsig-trial-") as folder:
        steps = []
        for step in task.steps:
            outputs = [os.path.join(folder, name) for name in step.outputs]
            for name in outputs:
                os.makedirs(os.path.dirname(name), exist_ok=True)
            steps.append({"command": step.command, "outputs": outputs,
                          "first": step.argv[-len(task.inputs):] == task.inputs,
                          "argv": [relocated(word, task, folder) for word in step.argv]})
        yield folder, steps


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, sys.path))
    return {**os.environ, "PYTHONPATH": path, "MPLBACKEND": "agg"}


def ask_commands(task: Task, words: Mapping[str, str], patience_s: float = _PATIENCE_S) -> Stated:
    """Return the own plans of the commands that read the recordings.

    Parameters
    ----------
    task : Task
    words : mapping
        Options ``workers`` and ``memory``, passed to the commands that have them.
    patience_s : float
        Time after which a command is ended: some commands measure before they plan.
    """
    sizes: dict[int, int] = {}
    memory: int | None = None
    with _moved(task) as (_, steps):
        for index, step in enumerate(steps):
            known = vocabulary(step["command"])
            if not step["first"] or not known.offers("dry_run") or not known.offers("as_json"):
                continue
            more = [f"--{key}={value}" for key, value in words.items() if known.offers(key)]
            code, out, error = _ended([step["command"], "--dry-run", "--json", "--quiet", *more,
                                       *step["argv"]], patience_s)
            if code is None:
                continue
            if code:
                return Stated(sizes, memory, error, code)
            records = json.loads(out)
            for record in records if isinstance(records, list) else [records]:
                stated = record.get("bytes", 0)
                total = sum(stated) if isinstance(stated, list) else stated
                sizes[index] = sizes.get(index, 0) + total
                memory = max(memory or 0, record.get("memory_bytes", 0)) or None
    return Stated(sizes, memory)


def _ended(words: list[str], patience_s: float) -> tuple[int | None, str, str]:
    """Return exit code (None after a time-out), output and last error line of a command."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fastsig", *words], capture_output=True, text=True, check=False,
            timeout=patience_s, env=_environment(), stdin=subprocess.DEVNULL, errors="replace")
    except subprocess.TimeoutExpired:
        return None, "", ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("fastsig: ")
             and not line.startswith("fastsig: warning: ")]
    return done.returncode, done.stdout, (lines or [f"ended with {done.returncode}"])[-1][9:]


def try_task(task: Task, size: int, words: Mapping[str, str], bytes_out: int = 0,
             patience_s: float = _PATIENCE_S) -> Trial:
    """Run a task on the first seconds of its inputs, twice, and measure.

    Parameters
    ----------
    task : Task
    size : int
        Bytes of its inputs.
    words : mapping
        As for `ask_commands`.
    bytes_out : int
        Most bytes that the whole task would write, if known: the trial must not fill the disk of
        the temporary folder.
    patience_s : float
        Time after which the trial is ended; its measurements until then are returned.
    """
    with _moved(task) as (folder, steps):
        request = {"steps": steps, "inputs": list(task.inputs), "size": size,
                   "words": dict(words), "folder": folder,
                   "most": _within(folder, most_bytes(words), size, bytes_out)}
        result: dict[str, Any] = {}
        for warm in (True, False):  # the first compiles, which needs memory too
            ended = _child({**request, "warm": warm}, patience_s)
            with contextlib.suppress(OSError, ValueError), open(
                    os.path.join(folder, "result.json"), encoding="utf-8") as file:
                result = json.load(file)
            if result.get("error") or ended is None:
                break
        if ended is None and not result.get("runs"):
            return Trial((), f"did not end within {patience_s:.0f} s")
        if ended and not result:
            return Trial((), f"its process ended with {ended}", 70)
    runs = tuple(Run(run["bytes_in"], run["seconds"], tuple(run["bytes_out"]),
                     run["peak_bytes"]) for run in result.get("runs", []))
    return Trial(runs, result.get("error", ""), result.get("code", 0))


def most_bytes(words: Mapping[str, str]) -> int:
    """Return the bytes of input of the longer run: enough to fill all buffers twice.

    The shorter run has a quarter of it.
    """
    threads = int(words.get("workers") or len(os.sched_getaffinity(0)))
    return max(_LONG, 2 * _UNIT_BYTES * (threads + 2))


def _within(folder: str, most: int, size: int, bytes_out: int) -> int:
    """Return the bytes of input of the longer run, so that its products fit into half the space."""
    if not bytes_out:
        return most
    return min(most, int(size * shutil.disk_usage(folder).free / 2 / bytes_out))


def _child(request: dict[str, Any], patience_s: float) -> int | None:
    """Run the process of a trial, and return its exit code; None if it took too long."""
    try:
        return subprocess.run(
            [sys.executable, "-m", "fastsig.batch.planning.trial_child"], text=True, check=False,
            input=json.dumps(request), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=patience_s, env=_environment()).returncode
    except subprocess.TimeoutExpired:
        return None
