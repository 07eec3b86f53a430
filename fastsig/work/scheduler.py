"""Process blocks on a pool of threads, in order, and stop at the first error.

The number of blocks in flight is limited. Kernels release the GIL, so that threads compute in
parallel; results reach `consume` in the order of the tasks, whichever thread ends first.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from fastsig.work import signals, threads

__all__ = ["run"]

_GLANCE = 0.2  # s between checks for signals while waiting for a block

Task = TypeVar("Task")
Result = TypeVar("Result")


def run(
    tasks: Iterable[Task],
    work: Callable[[Task], Result],
    consume: Callable[[Task, Result], None],
    *,
    workers: int = 1,
    in_flight: int | None = None,
    describe: Callable[[Task], str] = str,
    idle: Callable[[Task], bool] = lambda task: False,
) -> None:
    """Run every task on a worker thread and consume the results on this thread, in order.

    Parameters
    ----------
    tasks : iterable
        The tasks; taken one by one as workers become free.
    work : callable
        Runs on a worker thread.
    consume : callable
        Runs on the calling thread: ``consume(task, result)``.
    workers : int
        Number of threads.
    in_flight : int, optional
        Largest number of tasks begun and not yet consumed; workers + 2 by default.
    describe : callable
        Describes a task in a note that is added to the error it raised.
    idle : callable
        Whether a task is a placeholder, which only states that the next one is not yet available.

    Raises
    ------
    BaseException
        The first exception that `work` or `consume` raised, after the tasks in flight have ended.
    """
    limit = workers + 2 if in_flight is None else in_flight
    cancel = threading.Event()
    waiting: deque[tuple[Task, Future[Result | None]]] = deque()

    def guarded(task: Task) -> Result | None:
        if cancel.is_set():
            return None
        try:
            return work(task)
        except BaseException:
            cancel.set()
            raise

    def take_first() -> None:
        task, future = waiting.popleft()
        while not wait((future,), _GLANCE).done:
            signals.check()
        try:
            result = future.result()
        except Exception as error:
            error.add_note(f"while making {describe(task)}")
            raise
        if result is not None:
            consume(task, result)
        signals.check()

    with ThreadPoolExecutor(workers, "fastsig", threads.enter_pool) as pool:
        try:
            for task in tasks:
                if idle(task):
                    while waiting and waiting[0][1].done():
                        take_first()
                    signals.check()
                    continue
                waiting.append((task, pool.submit(guarded, task)))
                while len(waiting) >= max(1, limit):
                    take_first()
            while waiting:
                take_first()
        except BaseException:
            cancel.set()
            raise
