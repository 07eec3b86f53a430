"""Checks of the products of finished tasks, read in full by ``fastsig validate`` in workers."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fastsig.batch.engines.job_queue import Engine, Queue, Stop
from fastsig.batch.engines.jobs import Job, Outcome, Setup
from fastsig.batch.engines.local import LocalEngine
from fastsig.batch.ledger.journal import Ledger
from fastsig.batch.ledger.records import Record
from fastsig.batch.recipe.model import Limits
from fastsig.batch.tasks import products
from fastsig.batch.tasks.model import Step, Task
from fastsig.work.threads import processors

__all__ = ["damaged", "find_damage"]

# Pictures, pages and tables have no reader here: only their sizes and times are checked.
_UNREAD = (".png", ".pdf", ".svg", ".html", ".json", ".csv", ".txt", ".ecsv", ".inf", ".xlsx")

_TIMES = b"FORMAT 1\n"


def find_damage(
    tasks: Sequence[Task], ledger: Ledger, *, engine: Engine | None = None,
    workers: int | None = None, limits: Limits | None = None, node_cache: bool = True,
    stop: Stop | None = None,
) -> list[tuple[Record, str]]:
    """Return finished tasks with a product that is missing, changed or corrupt, and the reason.

    Parameters are those of `fastsig.batch.run`.
    """
    damages: list[tuple[Record, str]] = []
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
            damages.append((done[job.task.id], outcome.error))
        return False

    if jobs:
        n = max(1, min(workers or processors(), len(jobs)))
        setup = Setup(max(1, processors() // n), ("validate",), node_cache)
        stop = stop or Stop()
        queue = Queue(jobs, lambda job: None, ended, stop)
        bounds = Limits(time=None if limits is None else limits.time)
        with stop.heeded():
            (engine or LocalEngine(n))(queue, setup, bounds)
    return damages


def _is_times(path: str) -> bool:
    """Whether a file contains times of arrival as text; SIGPROC's time series end in .tim, too."""
    try:
        with open(path, "rb") as file:
            return file.read(len(_TIMES)) == _TIMES
    except OSError:  # reported by the validation
        return False


def damaged(record: Record, line: str) -> Record:
    """Return the record that a product of a finished task is damaged."""
    return Record(**{**record.__dict__, "state": "damaged", "error": line})
