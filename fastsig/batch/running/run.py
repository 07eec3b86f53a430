"""A run: tasks are chosen from the ledger, run by an engine, and recorded when they end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fastsig.batch.engines import environment
from fastsig.batch.engines.job_queue import Engine, Stop
from fastsig.batch.engines.jobs import Job, Setup
from fastsig.batch.engines.local import LocalEngine
from fastsig.batch.engines.staging import check_scratch, sweep
from fastsig.batch.ledger.claims import Claim
from fastsig.batch.ledger.journal import Ledger
from fastsig.batch.ledger.status import stale_products
from fastsig.batch.recipe.model import Limits
from fastsig.batch.running.bookkeeping import Bookkeeper, sweep_temporary
from fastsig.batch.running.choosing import Choice, choose
from fastsig.batch.running.follow import Follow
from fastsig.batch.running.signals import stopping
from fastsig.batch.running.watcher import Watcher
from fastsig.batch.tasks.model import Task
from fastsig.errors import UsageError
from fastsig.work.threads import processors

__all__ = ["Summary", "run", "setup_of"]

_MANY = 1024  # tasks that are expected with `follow`


@dataclass(frozen=True)
class Summary:
    """The result of a run.

    Parameters
    ----------
    counts : dict
        Number of tasks of the run in each state.
    n_before : int
        Number of tasks that were done before.
    seconds : float
        Duration of the run, s.
    refused, stale : tuple of str
        One line for each task that was refused; names of products that no task makes.
    signal_code : int
        130, 143 or 129 if a signal ended the run, otherwise 0.
    """

    counts: dict[str, int]
    n_before: int
    seconds: float
    refused: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    signal_code: int = 0

    @property
    def code(self) -> int:
        """The exit code: that of the signal, or 0 if all tasks are done, otherwise 1."""
        not_done = sum(n for state, n in self.counts.items() if state != "done")
        return self.signal_code or int(not_done > 0)


def setup_of(tasks: Iterable[Task], n_jobs: int, workers: int | None = None, *,
             node_cache: bool = True) -> tuple[int, Setup]:
    """Return the number of worker processes, and their settings.

    Processes times threads never exceeds the number of processors, unless `workers` does.
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
    """Run those of the tasks that are not done, except those that were set aside (poison).

    A task is done if it has succeeded and its products still have the size and modification time
    that they had when they were made. In the main thread, Ctrl-C, SIGTERM and SIGHUP end the run in
    an orderly way.

    Parameters
    ----------
    tasks : sequence of Task
        Tasks whose output folder is `folder`.
    folder : path
        The output folder; it is created if it does not exist.
    engine : Engine, optional
        Engine that runs the tasks; by default, worker processes on this machine.
    workers : int, optional
        Number of worker processes; by default, one per processor.
    limits : Limits, optional
        Limits of each task; by default, those of ``Limits()``.
    states : iterable of str, optional
        Only tasks in these states, as `fastsig.batch.ledger.states.chosen_by` returns them, and
        tasks that replace a task in one of these states because the inputs, the recipe or the
        version of fastsig have changed.
    shard : (int, int), optional
        K and N, if `tasks` are those of shard K of N.
    every : sequence of Task, optional
        All tasks of the recipe, to list products that none of them makes.
    overwrite, replace_stale : bool
        Whether files that batch did not make may be replaced, and whether files that another task
        made may be replaced.
    verify : bool
        Whether to read the products of finished tasks in full, and remake damaged ones.
    plan : bool
        Whether to check before the first task that the tasks fit into memory and onto the disk.
    warm : bool
        Whether to compile the kernels before the workers start, if none is cached.
    node_cache : bool
        Whether to keep compiled kernels in a folder of this node, unless ``NUMBA_CACHE_DIR``
        specifies another.
    scratch : str, optional
        Folder on a disk of the node: each task runs there on copies of its inputs, and its
        products are copied back.
    follow : Follow, optional
        Source of further tasks during the run; `tasks` may then be empty.
    watcher : Watcher, optional
        Receives the events of the run.
    stop : Stop, optional
        Another way to end the run.

    Returns
    -------
    Summary

    Raises
    ------
    OutputError
        If another run is using the folder, the ledger cannot be written, or there is too little
        disk space according to the `plan`.
    PlanError
        If there is too little memory according to the `plan`.
    WorkerError
        If worker processes cannot be started.
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
            books = Bookkeeper(tasks, ledger, limits or Limits(), watcher, stop, scratch or "")
            if verify:
                books.verify(workers, engine, node_cache)
            choice = choose(tasks, ledger, states=states, overwrite=overwrite,
                            replace_stale=replace_stale)
            stale = [] if every is None else stale_products(every, ledger, base)
            watcher.planned(choice, stale)
            sweep_temporary(choice, base)
            books.refuse(choice)
            n, setup = setup_of(tasks, len(choice.jobs), workers, node_cache=node_cache)
            if follow is not None:
                n, setup = setup_of(tasks, _MANY, workers, node_cache=node_cache)
                setup = replace(setup, commands=follow.commands)
            if choice.jobs and plan and not stop.finishing.is_set():
                _check_fit(choice.jobs, n, setup, limits, here=getattr(engine, "here", True))
            if warm and (choice.jobs or follow):
                environment.warm(setup, stop, watcher.note)
            if follow is not None:
                def choose_new(new: Sequence[Task]) -> Choice:
                    return choose(new, ledger, states=states, overwrite=overwrite,
                                  replace_stale=replace_stale)

                books.follow(follow, choice, choose_new, engine or LocalEngine(n), setup)
            elif choice.jobs:
                books.do(choice.jobs, engine or LocalEngine(n), setup)
        finally:
            ledger.close(alone=claim.alone())
        return Summary(
            books.counts(choice), len(choice.finished), time.monotonic() - begun,
            tuple(refusal.reason for refusal in choice.refused), tuple(stale), stop.code)


def _check_fit(jobs: Sequence[Job], n: int, setup: Setup, limits: Limits | None, *, here: bool
               ) -> None:
    from fastsig.batch.planning.plan import plan

    plan([job.task for job in jobs], processes=n, threads=setup.threads,
         memory=None if limits is None else limits.memory, trial=False,
         machine_bytes=None if here else 0).check()
