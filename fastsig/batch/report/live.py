"""The report during a run: a separate process rewrites the page."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from fastsig.batch.engines.environment import environment
from fastsig.batch.engines.jobs import Job, Setup
from fastsig.batch.ledger.records import Record
from fastsig.batch.report.page import NAME, check_page
from fastsig.batch.running.choosing import Choice
from fastsig.batch.running.watcher import Watcher
from fastsig.batch.tasks.model import Task
from fastsig.errors import FastsigError

__all__ = ["Reporter"]

_PATIENCE = 90.0  # s for the last page
_HURRY = 4.0  # s for the last page if the run must stop


class Reporter(Watcher):
    """Keeps the page of a run up to date, and passes all events to another watcher.

    Parameters
    ----------
    tasks : sequence of Task
        All tasks of the recipe.
    folder : str
        The output folder, where the page is written.
    watcher : Watcher
        Receives all events too.
    title : str
    every : float
        Seconds between pages.
    live : bool
        Whether the page is written during the run, or only at its end.
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
            self._watcher.note(f"no report: {error}")
            return
        self._planned = True
        if self._live and (choice.jobs or self._follow):
            self._start()

    def came(self, tasks: Sequence[Task], choice: Choice) -> None:
        """Include the new tasks in the next pages."""
        self._watcher.came(tasks, choice)
        self._tasks = tasks
        if self._process is not None and self._given is not None:
            self._given.join(_PATIENCE)
            self._send({"tasks": [_short(task) for task in tasks]})

    def begun(self, job: Job) -> None:
        """Pass the event to the other watcher."""
        self._watcher.begun(job)

    def ended(self, job: Job, record: Record, again: bool) -> None:
        """Pass the event to the other watcher."""
        self._watcher.ended(job, record, again)

    def note(self, text: str) -> None:
        """Pass the note to the other watcher."""
        self._watcher.note(text)

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fastsig.batch.report.page_writer"], env=environment(Setup()),
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
        """Write the last page after the run has ended; with `hurry` without new thumbnails."""
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
                self.note(f"no report: {lines[-1] if lines else 'its process died'}")
        except subprocess.TimeoutExpired:
            self.note("the report is not up to date; fastsig batch report writes it")
            self._process.kill()
            self._process.communicate()


def _short(task: Task) -> dict[str, Any]:
    """Return a task as plain data without its command lines, which the page does not show."""
    return asdict(replace(task, steps=tuple(replace(step, argv=()) for step in task.steps)))
