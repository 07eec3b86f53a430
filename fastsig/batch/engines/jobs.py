"""What engines are given and give back: jobs, limits, outcomes, and the queue between."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from fastsig.batch.ledger.journal import Product
from fastsig.batch.tasks.survey import Step, Task

__all__ = ["Engine", "Job", "Limits", "Outcome", "Queue", "Setup", "Stop", "task_of"]


@dataclass(frozen=True)
class Limits:
    """Bounds of a task.

    Parameters
    ----------
    memory : int, optional
        Bytes of its whole worker process.
    time : float, optional
        Seconds.
    retries : int
        How often it is tried again after its worker died.
    """

    memory: int | None = None
    time: float | None = None
    retries: int = 2


@dataclass(frozen=True)
class Setup:
    """What worker processes are started with.

    Parameters
    ----------
    threads : int
        Processors that one may use.
    commands : tuple of str
        What the tasks will call, imported before the first.
    node_cache : bool
        Whether compiled kernels are kept in a folder of this node.
    """

    threads: int = 1
    commands: tuple[str, ...] = ()
    node_cache: bool = True


@dataclass(frozen=True)
class Job:
    """An attempt at a task.

    Parameters
    ----------
    task : Task
    log : str
        File that gets the commands' messages; empty for none.
    attempt, deaths : int
        Which time; how many workers died of it before.
    overwrite : bool
        Whether what stands under its names may be replaced.
    scratch : str
        Folder on a disk of the node that it is done in; empty for none.
    """

    task: Task
    log: str = ""
    attempt: int = 1
    deaths: int = 0
    overwrite: bool = False
    scratch: str = ""

    def plain(self) -> dict[str, Any]:
        """The job as plain data, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended; parameters as of `fastsig.batch.ledger.Record`."""

    state: str
    outputs: tuple[Product, ...] = ()
    error: str = ""
    step: str = ""
    code: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0


def task_of(values: dict[str, Any]) -> Task:
    """The task that `dataclasses.asdict` made these of."""
    steps = tuple(Step(step["command"], tuple(step["argv"]), tuple(step["outputs"]), step["keep"])
                  for step in values["steps"])
    return Task(**{**values, "inputs": tuple(values["inputs"]), "steps": steps})


class Stop:
    """A wish to end: `finish` what runs and begin nothing new, or stop `now`."""

    def __init__(self) -> None:
        self.finishing = threading.Event()
        self.now = threading.Event()
        self.code = 0
        self.n_working = 0

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """While an engine works, which looks at the wish; else signals end a run by themselves."""
        self.n_working += 1
        try:
            yield
        finally:
            self.n_working -= 1

    def finish(self, code: int = 130) -> None:
        """Begin nothing new."""
        self.code = code
        self.finishing.set()

    def at_once(self, code: int = 130) -> None:
        """Kill what runs."""
        self.finish(code)
        self.now.set()


class Queue:
    """Jobs that engines take, and what is made of their outcomes; safe from any thread.

    Parameters
    ----------
    jobs : iterable of Job
    begun : callable
        Told of each job that is taken.
    ended : callable
        Given a job and its outcome; True where the job is to be tried again.
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
        """How many of `n` workers may have something to do, at least one."""
        return n if self._held else max(1, min(n, len(self)))

    def hold(self) -> None:
        """More jobs may come by `add`, until `let_go`: who takes one waits."""
        self._held = True

    def let_go(self) -> None:
        """No more come."""
        with self._change:
            self._held = False
            self._change.notify_all()

    def add(self, jobs: Iterable[Job]) -> bool:
        """Take in more jobs; False where the queue gives out none any more."""
        with self._change:
            if self._shut():
                return False
            self._waiting.extend(jobs)
            self._change.notify_all()
        return True

    def idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        with self._change:
            return not self._waiting and not self._flying

    def withdraw(self, names: Iterable[str]) -> set[str]:
        """Forget the jobs that wait and make products of these names; those of what runs."""
        wanted = set(names)
        with self._change:
            self._waiting = deque(job for job in self._waiting
                                  if wanted.isdisjoint(job.task.outputs))
            return {name for job in self._flying for name in job.task.outputs}

    def take(self, wait: bool = True) -> Job | None:
        """The next job; None where there is none, or none yet and `wait` is false."""
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
        """Tell how a job ended that was taken."""
        again = self._ended(job, outcome)
        with self._change:
            self._flying.remove(job)
            if again:
                self._waiting.append(replace(
                    job, attempt=job.attempt + 1, deaths=job.deaths + 1, overwrite=True))
            self._change.notify_all()

    def done(self) -> bool:
        """Whether nothing is left to take, now or later."""
        with self._change:
            more = self._waiting or self._held
            return not self._flying and (self._shut() or not more)

    def close(self) -> list[Job]:
        """Give nothing more out; returns what was waiting."""
        with self._change:
            self._closed = True
            self._change.notify_all()
            left = list(self._waiting)
            self._waiting.clear()
            return left

    def _shut(self) -> bool:
        return self._closed or self.stop.finishing.is_set()


class Engine(Protocol):
    """Does the jobs of a queue until it is done; returns then."""

    def __call__(self, queue: Queue, setup: Setup, limits: Limits) -> None:
        """Do all jobs."""
