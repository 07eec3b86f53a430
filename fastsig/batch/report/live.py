"""The report while a run is at work: a process beside it rewrites the page.

``python -m fastsig.batch.report.live`` has the lowest priority and rests 25 times as long as a page
takes: the tasks keep the processors, and what hangs in a product hangs there alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from fastsig.batch.engines.environment import environment
from fastsig.batch.engines.jobs import Job, Setup, task_of
from fastsig.batch.ledger.journal import Record
from fastsig.batch.report.page import NAME, check_page, write_report
from fastsig.batch.running.choosing import Choice
from fastsig.batch.running.run import Watcher
from fastsig.batch.tasks.survey import Task
from fastsig.errors import FastsigError

__all__ = ["Reporter", "main"]

_REST = 25  # times what a page takes
_PICTURES = 2.0  # s for new thumbnails of one page, while the run goes on
_LAST = 60.0  # s for those of the last
_PATIENCE = 90.0  # s for the last page
_HURRY = 4.0  # s for it where the run was told to stop
_DEATH_OF_PARENT = 1  # PR_SET_PDEATHSIG


class Reporter(Watcher):
    """Keeps the page of a run up to date, beside another watcher.

    Parameters
    ----------
    tasks : sequence of Task
        All of the recipe.
    folder : str
        The output folder, which gets the page.
    watcher : Watcher
        Told of all that this is told of.
    title : str
    every : float
        Seconds between pages.
    live : bool
        Whether the page is written while the run goes on, or only at its end.
    follow : bool
        Whether more tasks may come.
    """

    def __init__(self, tasks: Sequence[Task], folder: str, watcher: Watcher, *,
                 title: str = "batch", every: float = 30.0, live: bool = True,
                 follow: bool = False) -> None:
        self._folder, self._watcher, self._live = folder, watcher, live
        self._tasks, self._title, self._every = tasks, title, every
        self._follow = follow
        self._process: subprocess.Popen[bytes] | None = None
        self._given: threading.Thread | None = None
        self._planned = False

    def planned(self, choice: Choice, stale: Sequence[str]) -> None:
        """Write the first page."""
        self._watcher.planned(choice, stale)
        try:
            check_page(os.path.join(self._folder, NAME), self._tasks)
        except FastsigError as error:
            self._watcher.told(f"no report: {error}")
            return
        self._planned = True
        if self._live and (choice.jobs or self._follow):
            self._start()

    def came(self, tasks: Sequence[Task], choice: Choice) -> None:
        """Have the pages tell of them too."""
        self._watcher.came(tasks, choice)
        self._tasks = tasks
        if self._process is not None and self._given is not None:
            self._given.join(_PATIENCE)
            self._send({"tasks": [_short(task) for task in tasks]})

    def begun(self, job: Job) -> None:
        """Hand on."""
        self._watcher.begun(job)

    def ended(self, job: Job, record: Record, again: bool) -> None:
        """Hand on."""
        self._watcher.ended(job, record, again)

    def told(self, text: str) -> None:
        """Hand on."""
        self._watcher.told(text)

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fastsig.batch.report.live"], env=environment(Setup()),
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=True)
        self._given = threading.Thread(target=self._give, name="fastsig-report", daemon=True)
        self._given.start()

    def _give(self) -> None:
        assert self._process is not None
        self._send({
            "tasks": [_short(task) for task in self._tasks], "folder": self._folder,
            "title": self._title, "every": self._every, "live": self._live,
            "parent": os.getpid()})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def close(self, *, hurry: bool = False) -> None:
        """Write the last page, once the run has ended; with `hurry` no more thumbnails."""
        if not self._planned:
            return
        if self._process is None:
            self._start()
        assert self._process is not None and self._given is not None
        patience = _HURRY if hurry else _PATIENCE
        self._given.join(patience)
        if not self._given.is_alive():
            self._send({"pictures": not hurry})
        try:
            _, errors = self._process.communicate(timeout=patience)
            lines = errors.decode(errors="replace").strip().splitlines()
            if self._process.returncode:
                self.told(f"no report: {lines[-1] if lines else 'its process died'}")
        except subprocess.TimeoutExpired:
            self.told("the report is not up to date; fastsig batch report writes it")
            self._process.kill()
            self._process.communicate()


def _short(task: Task) -> dict[str, Any]:
    """A task without its command lines, of which the page tells nothing."""
    return asdict(replace(task, steps=tuple(replace(step, argv=()) for step in task.steps)))


def _lines() -> Any:
    """Lines of standard input as they come, and None when that ends; waits as long as is told."""
    rest = b""
    wait = yield
    while True:
        end = None if wait is None else time.monotonic() + wait
        while b"\n" not in rest:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([0], [], [], left)[0]:
                break
            data = os.read(0, 2**20)
            if not data:
                return
            rest += data
        line, found, after = rest.partition(b"\n")
        rest = after if found else rest
        wait = yield json.loads(line) if found else {}


def main() -> None:
    """Write pages until the run ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the run tells when to leave
    os.nice(19)
    warnings.simplefilter("ignore")
    lines = _lines()
    next(lines)
    try:
        _report(lines.send(None), lines)
    except StopIteration:  # the run died; the page is as it was
        return
    except FastsigError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def _report(told: dict[str, Any], lines: Any) -> None:
    from fastsig.batch.report.thumbnails import Thumbnails

    ctypes.CDLL(None).prctl(_DEATH_OF_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != told["parent"]:
        return
    tasks, folder = [task_of(values) for values in told["tasks"]], told["folder"]
    known = Thumbnails(os.path.join(folder, NAME))
    order: dict[str, Any] = {}
    while told["live"] and not order:
        begun = time.monotonic()
        write_report(tasks, folder, title=told["title"], reload=told["every"], thumbnails=known,
                     seconds=_PICTURES)
        rest = begun + max(told["every"], (_REST + 1) * (time.monotonic() - begun))
        while not order and (left := rest - time.monotonic()) > 0:
            order = lines.send(left)
            if "tasks" in order:  # more came; they stand in the next page
                tasks, order = [task_of(values) for values in order["tasks"]], {}
    if not told["live"]:
        order = lines.send(None)
    write_report(tasks, folder, title=told["title"], thumbnails=known,
                 pictures=order["pictures"], seconds=_LAST)


if __name__ == "__main__":
    main()
