"""The queue between a run and its engine, and the request to stop."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from fastsig.batch.engines.jobs import Job, Outcome, Setup
from fastsig.batch.recipe.model import Limits

__all__ = ["Engine", "Queue", "Stop"]


class Stop:
    """A request to stop: `finish` the running jobs and start no others, or stop `now`."""

    def __init__(self) -> None:
        self.finishing = threading.Event()
        self.now = threading.Event()
        self.code = 0
        self.n_working = 0

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Mark that an engine is at work and checks for the request.

        Otherwise signals end the run directly.
        """
        self.n_working += 1
        try:
            yield
        finally:
            self.n_working -= 1

    def finish(self, code: int = 130) -> None:
        """Request that no further job is started."""
        self.code = code
        self.finishing.set()

    def at_once(self, code: int = 130) -> None:
        """Request that running jobs are killed."""
        self.finish(code)
        self.now.set()


class Queue:
    """The jobs that engines take, and the functions that record them; safe from any thread.

    Parameters
    ----------
    jobs : iterable of Job
    begun : callable
        Called with each job that is taken.
    ended : callable
        Called with a job and its outcome; returns True if the job is to be repeated.
    stop : Stop
    """

    def __init__(
        self, jobs: Iterable[Job], begun: Callable[[Job], None],
        ended: Callable[[Job, Outcome], bool], stop: Stop,
    ) -> None:
        self.stop = stop
        self._waiting = deque(jobs)
        self._begun, self._ended = begun, ended
        self._flying: list[Job] = []
        self._closed = self._held = False
        self._change = threading.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    def most(self, n: int) -> int:
        """Return how many of `n` workers can be used, at least one."""
        return n if self._held else max(1, min(n, len(self)))

    def hold(self) -> None:
        """Keep the queue open for jobs from `add`, until `let_go`; `take` waits for them."""
        self._held = True

    def let_go(self) -> None:
        """Declare that no more jobs will be added."""
        with self._change:
            self._held = False
            self._change.notify_all()

    def add(self, jobs: Iterable[Job]) -> bool:
        """Add more jobs; return False if the queue is closed."""
        with self._change:
            if self._shut():
                return False
            self._waiting.extend(jobs)
            self._change.notify_all()
        return True

    def idle(self) -> bool:
        """Return whether no job waits or runs."""
        with self._change:
            return not self._waiting and not self._flying

    def withdraw(self, names: Iterable[str]) -> set[str]:
        """Drop the waiting jobs that make products of these names.

        Returns the names of all products of running jobs.
        """
        wanted = set(names)
        with self._change:
            self._waiting = deque(job for job in self._waiting
                                  if wanted.isdisjoint(job.task.outputs))
            return {name for job in self._flying for name in job.task.outputs}

    def take(self, wait: bool = True) -> Job | None:
        """Return the next job; None if there is none, or none yet and `wait` is false."""
        with self._change:
            while wait and not self._shut() and not self._waiting and (
                    self._flying or self._held):
                self._change.wait(0.2)
            if self._shut() or not self._waiting:
                return None
            job = self._waiting.popleft()
            self._flying.append(job)
        self._begun(job)
        return job

    def put(self, job: Job, outcome: Outcome) -> None:
        """Report the outcome of a job that was taken."""
        again = self._ended(job, outcome)
        with self._change:
            self._flying.remove(job)
            if again:
                self._waiting.append(replace(
                    job, attempt=job.attempt + 1, deaths=job.deaths + 1, overwrite=True))
            self._change.notify_all()

    def done(self) -> bool:
        """Return whether no job runs and none is left to take, now or later."""
        with self._change:
            more = self._waiting or self._held
            return not self._flying and (self._shut() or not more)

    def close(self) -> list[Job]:
        """Close the queue, and return the jobs that were waiting."""
        with self._change:
            self._closed = True
            self._change.notify_all()
            left = list(self._waiting)
            self._waiting.clear()
            return left

    def _shut(self) -> bool:
        return self._closed or self.stop.finishing.is_set()


class Engine(Protocol):
    """Runs the jobs of a queue, and returns when the queue is done."""

    def __call__(self, queue: Queue, setup: Setup, limits: Limits) -> None:
        """Run all jobs."""
