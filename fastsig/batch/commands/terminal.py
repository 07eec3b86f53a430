"""Progress of a run on the terminal: a bar with rate and remaining time, or plain lines."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from fastsig.batch.engines.jobs import Job
from fastsig.batch.ledger.records import Record
from fastsig.batch.ledger.states import STATES
from fastsig.batch.ledger.status import Status
from fastsig.batch.running.choosing import Choice
from fastsig.batch.running.run import Summary
from fastsig.batch.running.watcher import Watcher
from fastsig.batch.tasks.model import Task
from fastsig.cli import common
from fastsig.work.counted import counted

__all__ = ["TerminalWatcher", "shards_line", "total_line"]

_MOST_STALE = 20  # names listed; status --json lists all


class TerminalWatcher(Watcher):
    """Reports a run on standard error.

    Parameters
    ----------
    quiet : bool
        Whether to report only tasks that did not succeed.
    """

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._verbose = logging.getLogger("fastsig").isEnabledFor(logging.INFO) and not quiet
        self._lock = threading.Lock()
        self._n_ended = self._n_jobs = self._n_failed = 0
        #: Number of tasks that are done, but with warnings.
        self.n_warned = 0
        self.tasks: Sequence[Task] = ()  # with --follow: all tasks at the last look
        self._bar: Any = None
        self._task: Any = None

    def planned(self, choice: Choice, stale: Sequence[str]) -> None:
        """Report the number of tasks to do, and the tasks that cannot run."""
        self._n_jobs = len(choice.jobs)
        for line in choice.changed:
            common.say(f"{line}; it will be remade", self._quiet)
        for task, reason, _ in choice.refused:
            common.say(f"refused {task.name}: {reason}")
        for name in stale[:_MOST_STALE]:
            common.say(f"stale {name}: no task of this recipe makes it", self._quiet)
        if len(stale) > _MOST_STALE:
            common.say(f"stale: {len(stale) - _MOST_STALE} more", self._quiet)
        for record in choice.left:
            if record.state == "poison":
                common.say(f"set aside {record.name}: {record.error}")
        left = _count_states(record.state for record in choice.left if record.state != "poison")
        if left:
            common.say(f"not selected: {left}; --all selects all that are not done", self._quiet)
        common.say(f"{counted(self._n_jobs, 'task')} to do, {len(choice.finished)} done "
                   "before", self._quiet)

    def came(self, tasks: Sequence[Task], choice: Choice) -> None:
        """Report the number of new tasks, and the tasks that cannot run."""
        with self._lock:
            self.tasks = tasks
            self._n_jobs += len(choice.jobs)
            for line in choice.changed:
                self._say(f"{line}; it will be remade")
            for task, reason, _ in choice.refused:
                self._say(f"refused {task.name}: {reason}")
            if not self._quiet and (choice.jobs or choice.finished):
                self._say(f"{counted(len(choice.jobs), 'new task')}, "
                          f"{len(choice.finished)} done before")
            if self._bar is not None:
                self._bar.update(self._task, total=self._n_jobs)

    def begun(self, job: Job) -> None:
        """Start the bar with the first task, so that its rate is that of the work alone."""
        with self._lock:
            if self._bar is None and not self._quiet and _is_terminal():
                self._begin_bar()

    def _begin_bar(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("tasks"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
            TextColumn("[red]{task.fields[failed]}"), console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("tasks", total=self._n_jobs, rate="", failed="")
        self._bar.start()
        self._begun = time.monotonic()

    def ended(self, job: Job, record: Record, again: bool) -> None:
        """Report how a task ended; tasks that are done are reported only with ``-v``."""
        with self._lock:
            self._n_ended += not again
            self._n_failed += record.state != "done" and not again
            if self._bar is not None:
                self._advance()
            if record.state == "done":
                self.n_warned += bool(record.warnings)
                if self._verbose:
                    self._say(f"[{self._n_ended}/{self._n_jobs}] done {record.name} "
                              f"({record.seconds:.2f} s)")
            elif record.state != "preempted" or self._verbose:
                more = "; it is tried again" if again else ""
                self._say(f"{record.state} {record.name}: {record.error}{more}")

    def _advance(self) -> None:
        rate = self._n_ended / max(1e-3, time.monotonic() - self._begun)
        text = f"{rate:.1f}/s" if rate >= 1 else f"{60 * rate:.1f}/min"
        self._bar.update(self._task, completed=self._n_ended, rate=text,
                         failed=f"{self._n_failed} not done" if self._n_failed else "")

    def note(self, text: str) -> None:
        """Print the text."""
        self._say(text)

    def _say(self, text: str) -> None:
        if self._bar is None:
            common.say(text)
        else:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _count_states(states: Iterable[str]) -> str:
    """Return the number of tasks in each state, as ``2 failed, 1 killed``."""
    counts = Counter(states)
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])


def _is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def total_line(summary: Summary) -> str:
    """Return the totals as ``300 tasks: 290 done (12 before), 10 failed; 12.3 s``."""
    counts = summary.counts
    parts = [f"{counts[state]} {state}" + (
        f" ({summary.n_before} before)" if state == "done" and summary.n_before else "")
        for state in STATES if counts.get(state)]
    return (f"{counted(sum(counts.values()), 'task')}: {', '.join(parts) or 'none'}; "
            f"{summary.seconds:.1f} s")


def shards_line(status: Status, shard: tuple[int, int]) -> str:
    """Return the totals of all shards, and whether other runs are still at work."""
    counts = ", ".join(f"{n} {state}" for state, n in status.counts.items()) or "none"
    left = len(status.workers)
    how = f"{counted(left, 'run')} still at work" if left else "no other is at work"
    return (f"shard {shard[0]} of {shard[1]} has ended, {how}; all shards: "
            f"{counted(len(status.rows), 'task')}: {counts}")
