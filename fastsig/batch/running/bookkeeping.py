"""Bookkeeping of a run: jobs go to an engine, and their outcomes are written into the ledger."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from fastsig.batch.engines.job_queue import Engine, Queue, Stop
from fastsig.batch.engines.jobs import Job, Outcome, Setup
from fastsig.batch.ledger.journal import Ledger
from fastsig.batch.ledger.records import Record
from fastsig.batch.ledger.standing import standing
from fastsig.batch.recipe.model import Limits
from fastsig.batch.running.choosing import Choice
from fastsig.batch.running.damage import verify_products
from fastsig.batch.running.follow import Follow
from fastsig.batch.running.watcher import Watcher
from fastsig.batch.tasks import products
from fastsig.batch.tasks.model import Task

__all__ = ["Bookkeeper", "sweep_temporary"]

_FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))


class Bookkeeper:
    """Links engine and ledger: gives out jobs, and records their outcomes.

    Parameters
    ----------
    tasks : sequence of Task
    ledger : Ledger
    limits : Limits
    watcher : Watcher
    stop : Stop
    scratch : str
        Folder on a disk of the node in which jobs run; empty for none.
    """

    def __init__(self, tasks: Sequence[Task], ledger: Ledger, limits: Limits, watcher: Watcher,
                 stop: Stop, scratch: str = "") -> None:
        self._tasks, self._ledger, self._limits = tasks, ledger, limits
        self._scratch = scratch
        self._watcher, self._stop = watcher, stop
        self._queue: Queue | None = None

    def do(self, jobs: Sequence[Job], engine: Engine, setup: Setup) -> None:
        """Run jobs and record their outcomes."""
        self._queue = Queue(self._placed(jobs), self._begin, self._end, self._stop)
        with self._stop.heeded():
            engine(self._queue, setup, self._limits)

    def _placed(self, jobs: Sequence[Job]) -> list[Job]:
        return [replace(job, scratch=self._scratch) for job in jobs]

    def follow(self, follow: Follow, choice: Choice, choose: Callable[[Sequence[Task]], Choice],
               engine: Engine, setup: Setup) -> None:
        """Run jobs, and those of new tasks, for which `choose` decides what is to be done."""
        queue = self._queue = Queue(self._placed(choice.jobs), self._begin, self._end, self._stop)

        def take(tasks: Sequence[Task], new: Sequence[Task]) -> bool:
            self._tasks = tasks
            more = choose(new)
            choice.finished += more.finished
            choice.refused += more.refused
            choice.left += more.left
            self.refuse(more)
            self._watcher.came(tasks, more)
            sweep_temporary(more, self._ledger.folder)
            return queue.add(self._placed(more.jobs))

        queue.hold()
        with self._stop.heeded(), follow.looking(queue, take, self._watcher.note):
            engine(queue, setup, self._limits)

    def record(self, job: Job, outcome: Outcome) -> Record:
        """Record the outcome of a job."""
        return self._ledger.append(Record(
            job.task.id, outcome.state, job.task.name, job.attempt, outputs=outcome.outputs,
            error=outcome.error, step=outcome.step, code=outcome.code, seconds=outcome.seconds,
            peak_bytes=outcome.peak_bytes, warnings=outcome.warnings,
            deaths=job.deaths + (outcome.state == "killed")))

    def refuse(self, choice: Choice) -> None:
        """Record which tasks were refused, and why."""
        for task, reason, state in choice.refused:
            last = self._ledger.records.get(task.id)
            self.record(Job(task, attempt=0 if last is None else last.attempt),
                        Outcome(state, error=reason))

    def _begin(self, job: Job) -> None:
        outputs = tuple((name, -1, -1) for name in products.names_of(job.task, kept=False))
        self._ledger.append(Record(job.task.id, "running", job.task.name, job.attempt,
                                   outputs=outputs, deaths=job.deaths))
        self._watcher.begun(job)

    def _end(self, job: Job, outcome: Outcome) -> bool:
        again = outcome.state == "killed" and job.deaths < self._limits.retries
        record = self.record(job, outcome)
        if outcome.state == "killed" and not again:
            record = self._ledger.append(Record(**{
                **record.__dict__, "state": "poison",
                "error": f"{record.error}; {record.deaths} processes died while running it"}))
        self._watcher.ended(job, record, again)
        if outcome.state == "disk-full" and any(text in outcome.error for text in _FULL):
            self._close(outcome.error.startswith("scratch "))
        return again

    def _close(self, scratch: bool) -> None:
        """Start no further job, as the disk is full, and record the waiting ones."""
        disk = f"scratch {self._scratch}" if scratch else "disk"
        left = [] if self._queue is None else self._queue.close()
        if left:
            self._watcher.note(f"the {disk} is full: no further task is started, {len(left)} "
                               "tasks wait")
        for job in left:
            self.record(replace(job, attempt=job.attempt - 1), Outcome(
                "disk-full", error=f"not started: the {disk} was full"))

    def verify(self, workers: int | None, engine: Engine | None, node_cache: bool) -> None:
        """Read the products of finished tasks in full, and record damaged tasks."""
        verify_products(self._tasks, self._ledger, self._watcher.note, engine=engine,
                        workers=workers, limits=self._limits, node_cache=node_cache,
                        stop=self._stop)

    def counts(self, choice: Choice) -> dict[str, int]:
        """Return the number of tasks in each state now."""
        finished = {record.task for record in choice.finished}
        return dict(Counter("done" if task.id in finished or self._just_done(task)
                            else standing(task, self._ledger).state for task in self._tasks))

    def _just_done(self, task: Task) -> bool:
        """Return whether this run has done a task, whose products need no second look."""
        last = self._ledger.records.get(task.id)
        return last is not None and last.state == "done" and last.pid == os.getpid()


def sweep_temporary(choice: Choice, folder: str) -> None:
    """Remove the temporary files that dead writers left for products that are to be made."""
    names = {os.path.realpath(os.path.join(folder, name)) for job in choice.jobs
             for name in products.names_of(job.task, kept=False)}
    folders = {os.path.dirname(name) for name in names}
    if any("{file}" in where or any(name.endswith(".part") for name in _list(where))
           for where in folders):
        from fastsig.io.files.leftovers import sweep_names  # importing it takes half a second

        sweep_names(names)


def _list(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
