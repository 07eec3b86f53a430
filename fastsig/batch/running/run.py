"""A run: tasks chosen by the ledger, done by an engine, recorded as they end."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from fastsig.batch.engines import environment
from fastsig.batch.engines.jobs import Engine, Job, Limits, Outcome, Queue, Setup, Stop
from fastsig.batch.engines.local import LocalEngine
from fastsig.batch.engines.staging import check_scratch, sweep
from fastsig.batch.ledger.claims import Claim
from fastsig.batch.ledger.journal import Ledger, Record
from fastsig.batch.running.choosing import Choice, choose, stale_products
from fastsig.batch.running.follow import Follow
from fastsig.batch.running.verification import find_damage
from fastsig.batch.tasks import products
from fastsig.batch.tasks.survey import Task
from fastsig.errors import UsageError
from fastsig.threads import processors

__all__ = ["Summary", "Watcher", "run", "setup_of", "stopping"]

_MANY = 1024  # tasks that may come
_FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))


class Watcher:
    """Told of a run as it goes on; each method does nothing. Called from several threads."""

    def planned(self, choice: Choice, stale: Sequence[str]) -> None:
        """What is to be done, before the first task; `stale`: products that no task has."""

    def came(self, tasks: Sequence[Task], choice: Choice) -> None:
        """New recordings were found: all tasks that there are now, and what becomes of the new."""

    def begun(self, job: Job) -> None:
        """A task begins."""

    def ended(self, job: Job, record: Record, again: bool) -> None:
        """A task ended; `again`: it is tried once more."""

    def told(self, text: str) -> None:
        """Something to know, one line."""


@dataclass(frozen=True)
class Summary:
    """How a run ended.

    Parameters
    ----------
    counts : dict
        Tasks by state, of all that the run was given.
    n_before : int
        Done before it began.
    seconds : float
    refused, stale : tuple of str
        A line each: tasks that were not done as a name is taken; products that no task has.
    signal_code : int
        130, 143 or 129 where the run was told to stop, else 0.
    """

    counts: dict[str, int]
    n_before: int
    seconds: float
    refused: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    signal_code: int = 0

    @property
    def code(self) -> int:
        """Exit code: 0 where all tasks are done, 1 where not all are, or of the signal."""
        not_done = sum(n for state, n in self.counts.items() if state != "done")
        return self.signal_code or int(not_done > 0)


@contextlib.contextmanager
def stopping(stop: Stop, told: Watcher | None = None) -> Iterator[None]:
    """Let Ctrl-C ask to finish, and again to stop, SIGTERM and SIGHUP to stop; main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        handler = before[number]
        if not stop.n_working and callable(handler):
            handler(number, frame)
        elif number == signal.SIGINT and not stop.finishing.is_set():
            stop.finish()
            if told is not None:
                told.told("finishing what runs; Ctrl-C again stops now")
        else:
            stop.at_once(stop.code or 128 + number)

    numbers: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before: dict[int, Any] = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            if before[number] is not signal.SIG_IGN:  # nohup asks to go on
                signal.signal(number, on_signal)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def setup_of(tasks: Iterable[Task], n_jobs: int, workers: int | None = None, *,
             node_cache: bool = True) -> tuple[int, Setup]:
    """How many worker processes, and what each is started with.

    Processes times threads is never above the number of processors, unless `workers` is.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"workers = {workers}; allowed: 1 or more")
    there = processors()
    n = max(1, min(there if workers is None else workers, n_jobs))
    commands = sorted({step.command for task in tasks for step in task.steps})
    return n, Setup(max(1, there // n), tuple(commands), node_cache)


def run(
    tasks: Sequence[Task], folder: str | os.PathLike[str], *, engine: Engine | None = None,
    workers: int | None = None, limits: Limits | None = None,
    states: Iterable[str] | None = None, shard: tuple[int, int] | None = None,
    every: Sequence[Task] | None = None, overwrite: bool = False, replace_stale: bool = False,
    verify: bool = False, plan: bool = False, warm: bool = True, node_cache: bool = True,
    scratch: str | None = None, follow: Follow | None = None, watcher: Watcher | None = None,
    stop: Stop | None = None,
) -> Summary:
    """Do what is missing, changed or failed of some tasks.

    In the main thread Ctrl-C, SIGTERM and SIGHUP end the run in order.

    Parameters
    ----------
    tasks : sequence of Task
        All with `folder` as theirs.
    folder : path
        The output folder; it is made where it is not there.
    engine : Engine, optional
        Worker processes on this machine by default.
    workers : int, optional
        Worker processes; one a processor by default.
    limits : Limits, optional
    states : iterable of str, optional
        Only tasks in these states, as `fastsig.batch.states.chosen_by` gives them.
    shard : (int, int), optional
        K and N, where `tasks` are those of shard K of N.
    every : sequence of Task, optional
        All tasks of the recipe, to name products that none of them has.
    overwrite, replace_stale : bool
        Whether files may be replaced that are nobody's, or another task's.
    verify : bool
        Read the products of finished tasks whole, and do again what is damaged.
    plan : bool
        Ask before the first task whether all fit into memory and disk.
    warm : bool
        Compile the kernels before the workers start, where none is cached.
    node_cache : bool
        Keep compiled kernels in a folder of this node, unless ``NUMBA_CACHE_DIR`` says where.
    scratch : str, optional
        Folder on a disk of the node: each task is done there on copies of its inputs, and its
        products are copied back.
    follow : Follow, optional
        Where more tasks come from while the run goes on; `tasks` may be none then.
    watcher : Watcher, optional
        Told of what goes on.
    stop : Stop, optional
        Another way to end the run.

    Returns
    -------
    Summary

    Raises
    ------
    OutputError
        Where another run is at work in the folder, the ledger cannot be written, or by the `plan`
        the disk is too small.
    PlanError
        Where by the `plan` the memory is.
    WorkerError
        Where worker processes cannot be started.
    """
    begun = time.monotonic()
    base, watcher, stop = os.path.abspath(folder), watcher or Watcher(), stop or Stop()
    if scratch is not None and engine is None:
        scratch = check_scratch(scratch, base)
        sweep(scratch)
    with stopping(stop, watcher), Claim(base, shard) as claim:
        ledger = Ledger(base)
        ledger.begin(len(tasks) if follow is None else _MANY)
        try:
            if claim.alone():
                ledger.sweep(keep=ledger.path)
            running = _Run(tasks, ledger, limits or Limits(), watcher, stop, scratch or "")
            if verify:
                running.verify(workers, engine, node_cache)
            choice = choose(tasks, ledger, states=states, overwrite=overwrite,
                            replace_stale=replace_stale)
            stale = [] if every is None else stale_products(every, ledger, base)
            watcher.planned(choice, stale)
            _sweep(choice, base)
            running.refuse(choice)
            n, setup = setup_of(tasks, len(choice.jobs), workers, node_cache=node_cache)
            if follow is not None:
                n, setup = setup_of(tasks, _MANY, workers, node_cache=node_cache)
                setup = replace(setup, commands=follow.commands)
            if choice.jobs and plan and not stop.finishing.is_set():
                _check_fit(choice.jobs, n, setup, limits)
            if warm and (choice.jobs or follow):
                environment.warm(setup, stop, watcher.told)
            if follow is not None:
                def chosen(found: Sequence[Task]) -> Choice:
                    return choose(found, ledger, states=states, overwrite=overwrite,
                                  replace_stale=replace_stale)

                running.follow(follow, choice, chosen, engine or LocalEngine(n), setup)
            elif choice.jobs:
                running.do(choice.jobs, engine or LocalEngine(n), setup)
        finally:
            ledger.close(alone=claim.alone())
        return Summary(
            running.counts(choice), len(choice.finished), time.monotonic() - begun,
            tuple(reason for _, reason in choice.refused), tuple(stale), stop.code)


def _list(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _check_fit(jobs: Sequence[Job], n: int, setup: Setup, limits: Limits | None) -> None:
    from fastsig.batch.planning.plan import plan

    plan([job.task for job in jobs], processes=n, threads=setup.threads,
         memory=None if limits is None else limits.memory, trial=False).check()


def _sweep(choice: Choice, folder: str) -> None:
    """Remove the temporary files of dead writers of what is to be made."""
    names = {os.path.realpath(os.path.join(folder, name)) for job in choice.jobs
             for name in products.names_of(job.task, kept=False)}
    folders = {os.path.dirname(name) for name in names}
    if any("{file}" in each or any(name.endswith(".part") for name in _list(each))
           for each in folders):
        from fastsig.io._leftovers import sweep_names  # half a second of imports

        sweep_names(names)


class _Run:
    """Between engine and ledger."""

    def __init__(self, tasks: Sequence[Task], ledger: Ledger, limits: Limits, watcher: Watcher,
                 stop: Stop, scratch: str = "") -> None:
        self._tasks, self._ledger, self._limits = tasks, ledger, limits
        self._scratch = scratch
        self._watcher, self._stop = watcher, stop
        self._queue: Queue | None = None

    def do(self, jobs: Sequence[Job], engine: Engine, setup: Setup) -> None:
        """Do jobs and record how they end."""
        self._queue = Queue(self._placed(jobs), self._begin, self._end, self._stop)
        with self._stop.heeded():
            engine(self._queue, setup, self._limits)

    def _placed(self, jobs: Sequence[Job]) -> list[Job]:
        return [replace(job, scratch=self._scratch) for job in jobs]

    def follow(self, follow: Follow, choice: Choice, chosen: Callable[[Sequence[Task]], Choice],
               engine: Engine, setup: Setup) -> None:
        """Do jobs, and those of tasks that come; `chosen` tells what becomes of new ones."""
        queue = self._queue = Queue(self._placed(choice.jobs), self._begin, self._end, self._stop)

        def take(found: Sequence[Task], new: Sequence[Task]) -> bool:
            self._tasks = found
            more = chosen(new)
            choice.finished += more.finished
            choice.refused += more.refused
            choice.left += more.left
            self.refuse(more)
            self._watcher.came(found, more)
            _sweep(more, self._ledger.folder)
            return queue.add(self._placed(more.jobs))

        queue.hold()
        with self._stop.heeded(), follow.looking(queue, take, self._watcher.told):
            engine(queue, setup, self._limits)

    def record(self, job: Job, outcome: Outcome) -> Record:
        """Write down how a job ended."""
        return self._ledger.append(Record(
            job.task.id, outcome.state, job.task.name, job.attempt, outputs=outcome.outputs,
            error=outcome.error, step=outcome.step, code=outcome.code, seconds=outcome.seconds,
            peak_bytes=outcome.peak_bytes, deaths=job.deaths + (outcome.state == "killed")))

    def refuse(self, choice: Choice) -> None:
        """Write down which tasks were refused, and why."""
        for task, reason in choice.refused:
            last = self._ledger.records.get(task.id)
            self.record(Job(task, attempt=0 if last is None else last.attempt),
                        Outcome("refused", error=reason))

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
                "error": f"{record.error}; {record.deaths} processes died of it"}))
        self._watcher.ended(job, record, again)
        if outcome.state == "disk-full" and any(text in outcome.error for text in _FULL):
            self._close(outcome.error.startswith("scratch "))
        return again

    def _close(self, scratch: bool) -> None:
        """Begin nothing more: the disk is full, for what waits as well."""
        disk = f"scratch {self._scratch}" if scratch else "disk"
        left = [] if self._queue is None else self._queue.close()
        if left:
            self._watcher.told(f"the {disk} is full: nothing more is begun, {len(left)} tasks wait")
        for job in left:
            self.record(replace(job, attempt=job.attempt - 1), Outcome(
                "disk-full", error=f"not begun: the {disk} was full"))

    def verify(self, workers: int | None, engine: Engine | None, node_cache: bool) -> None:
        """Record as damaged what does not read whole of what is done."""
        for record, line in find_damage(
                self._tasks, self._ledger, engine=engine, workers=workers, limits=self._limits,
                node_cache=node_cache, stop=self._stop):
            self._ledger.append(damaged(record, line))
            self._watcher.told(line)

    def counts(self, choice: Choice) -> dict[str, int]:
        """Tasks by state, now."""
        finished = {record.task for record in choice.finished}
        found: Counter[str] = Counter()
        for task in self._tasks:
            last = self._ledger.records.get(task.id)
            state = "waiting" if last is None else last.state
            if state == "done" and task.id not in finished and not self._recent(task):
                state = "damaged"
            found["abandoned" if state == "running" else state] += 1
        return dict(found)

    def _recent(self, task: Task) -> bool:
        """Whether a task that is done was done by this run."""
        return self._ledger.records[task.id].pid == os.getpid()


def damaged(record: Record, line: str) -> Record:
    """The record that a finished task's product is not what it was."""
    return Record(**{**record.__dict__, "state": "damaged", "error": line})
