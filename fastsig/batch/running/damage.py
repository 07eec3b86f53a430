"""Checks of the products of finished tasks, read in full by ``fastsig validate`` in workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fastsig.batch.engines.job_queue import Engine, Queue, Stop
from fastsig.batch.engines.jobs import Job, Outcome, Setup
from fastsig.batch.engines.local import LocalEngine
from fastsig.batch.ledger.journal import Ledger
from fastsig.batch.ledger.records import Record
from fastsig.batch.recipe.model import Limits
from fastsig.batch.tasks import products
from fastsig.batch.tasks.model import Step, Task
from fastsig.work.threads import processors

__all__ = ["find_damage", "verify_products"]

# Pictures, pages and tables have no reader here: only their sizes and times are checked.
_UNREAD = (".png", ".pdf", ".svg", ".html", ".json", ".csv", ".txt", ".ecsv", ".inf", ".xlsx")

_TIMES = b"FORMAT 1\n"
_INVALID = 1  # exit code of `fastsig validate` for files that are not good


def find_damage(
    tasks: Sequence[Task], ledger: Ledger, *, engine: Engine | None = None,
    workers: int | None = None, limits: Limits | None = None, node_cache: bool = True,
    stop: Stop | None = None,
) -> tuple[list[tuple[Record, str]], list[tuple[Record, str]]]:
    """Return finished tasks with damaged products, and those that could not be verified.

    A product is damaged if it is missing, changed or corrupt. Tasks cannot be verified if the
    process that reads their products dies, or exceeds its time or memory. Each task comes with the
    reason. Parameters are those of `fastsig.batch.run`.
    """
    damages: list[tuple[Record, str]] = []
    unverified: list[tuple[Record, str]] = []
    jobs = []
    done = {}
    for task in tasks:
        record = ledger.records.get(task.id)
        if record is None or record.state != "done":
            continue
        line = products.changes(task.folder, record.outputs)
        paths = [path for path in (os.path.join(task.folder, name) for name, _, _ in record.outputs)
                 if not (path.lower().endswith(_UNREAD) or _is_times(path))]
        if line:
            damages.append((record, line))
        elif paths:
            done[task.id] = record
            step = Step("validate", ("--quiet", *paths), ())
            jobs.append(Job(Task(task.id, task.name, (), (step,), task.folder)))

    def ended(job: Job, outcome: Outcome) -> bool:
        if outcome.state not in ("done", "preempted"):
            invalid = outcome.state == "failed" and outcome.code == _INVALID
            (damages if invalid else unverified).append((done[job.task.id], outcome.error))
        return False

    if jobs:
        n = max(1, min(workers or processors(), len(jobs)))
        setup = Setup(max(1, processors() // n), ("validate",), node_cache)
        stop = stop or Stop()
        queue = Queue(jobs, lambda job: None, ended, stop)
        bounds = Limits(time=None if limits is None else limits.time)
        with stop.heeded():
            (engine or LocalEngine(n))(queue, setup, bounds)
    return damages, unverified


def _is_times(path: str) -> bool:
    """Whether a file contains times of arrival as text; SIGPROC's time series end in .tim, too."""
    try:
        with open(path, "rb") as file:
            return file.read(len(_TIMES)) == _TIMES
    except OSError:  # reported by the validation
        return False


def verify_products(tasks: Sequence[Task], ledger: Ledger, note: Callable[[str], None],
                    **options: Any) -> tuple[str, ...]:
    """Record finished tasks with damaged products, and pass a line for each task to `note`.

    Return the names of the tasks that could not be verified; they are still recorded as done.
    Options are those of `find_damage`.
    """
    damages, unverified = find_damage(tasks, ledger, **options)
    for record, line in damages:
        ledger.append(replace(record, state="damaged", error=line))
        note(line)
    for record, line in unverified:
        note(f"{record.name}: not verified: {line}")
    return tuple(record.name for record, _ in unverified)
