"""Threads of one plan that share the work of a call."""

import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any

import numpy as np

_PAUSE = 1e-3  # s
_LEAST_FRAMES = 16  # for a thread; fewer take less time than it takes to wake one


class Crew:
    """Threads that do a few calls at the same time, one of them in the thread that asks.

    They are daemons, for which a program that ends does not wait: with those of `concurrent`, it
    may wait forever if Ctrl-C has interrupted the start of one.
    """

    def __init__(self, n_thread: int) -> None:
        self._n_other = n_thread - 1
        self._tasks: _Tasks | None = None
        self._process = 0

    def run(self, calls: Sequence[Callable[[], object]],
            stop: Callable[[], object] = lambda: None) -> None:
        """Do all calls, and return when none is in progress; raise what one of them raises.

        `stop` is called if one of them fails or the wait for them is interrupted, so that the
        others do not wait for it. Further interruptions are then ignored until no call is in
        progress, since the calls write to memory of the caller.
        """
        began: list[int] = []
        ended: list[int] = []
        refused: list[bool] = []
        failed: list[BaseException] = []
        gates = [threading.Lock() for _ in calls]

        def guarded(number: int) -> None:
            # A thread that finds nothing refused has been listed before: it is waited for.
            began.append(number)
            try:
                if not refused:
                    calls[number]()
            except BaseException as error:
                failed.append(error)
                stop()
            finally:
                ended.append(number)
                gates[number].release()

        try:
            for number in range(1, len(calls)):
                gates[number].acquire()
                self._threads().put(partial(guarded, number))
            calls[0]()
            for gate in gates:
                gate.acquire()
        except BaseException:
            while not refused or len(ended) < len(began):
                with suppress(KeyboardInterrupt):
                    refused.append(True)
                    self._dismiss()
                    stop()
                    time.sleep(_PAUSE)
            raise
        if failed:
            raise failed.pop()

    def _threads(self) -> "_Tasks":
        """Return the queue of the threads, which begin with the first call."""
        if self._tasks is None or self._process != os.getpid():  # a fork has none of the threads
            tasks: _Tasks = SimpleQueue()
            weakref.finalize(self, tasks.put, None)  # ends the threads
            for _ in range(self._n_other):
                threading.Thread(target=_work, args=(tasks,), name="fastsig-kernels",
                                 daemon=True).start()
            self._tasks, self._process = tasks, os.getpid()
        return self._tasks

    def _dismiss(self) -> None:
        """End the threads, and leave the queue, in which an interruption may have left tasks."""
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            tasks.put(None)


_Tasks = SimpleQueue[Callable[[], None] | None]


def _work(tasks: _Tasks) -> None:
    """Do tasks until one is None, which is then left for the next thread."""
    while (task := tasks.get()) is not None:
        task()
        del task  # with the arrays that it uses
    tasks.put(None)


class Team:
    """Threads that share frames, each of which computes whole sums.

    Each has a work space of its own, except the first, which uses that of the plan.

    Parameters
    ----------
    engine : Integrator, StackIntegrator or GenericIntegrator
    n_thread : int
        Number of threads, with the one that calls.
    least, n_stream : int
        As for `engine.work`.
    """

    def __init__(self, engine: Any, n_thread: int, least: int, n_stream: int) -> None:
        self._engine = engine
        self._works = [engine.work(least, n_stream) for _ in range(n_thread - 1)]
        self._crew = Crew(n_thread)

    @property
    def memory_bytes(self) -> int:
        """Size of the work spaces, in bytes."""
        return sum(int(work.memory_bytes) for work in self._works)

    def run(self, work: Any, x: np.ndarray, start: int, first_frame: int, ends: np.ndarray,
            energy: np.ndarray, signs: tuple[int, int], divisors: np.ndarray, hop: int,
            rows: np.ndarray, **options: Any) -> Any:
        """Do `engine.call` on all threads, with the same bits; return the work space to go on with.

        The first thread continues the sum in `work`; each other thread begins with the frame after
        the end of a sum. The last one has the unfinished sum.
        """
        cuts = self._cuts(ends)
        works = [work, *self._works[: len(cuts) - 2]]
        sums = np.concatenate([[0], np.cumsum(ends, dtype=np.int64)])[cuts]

        calls = []
        for i, own in enumerate(works):
            frames, place = slice(cuts[i], cuts[i + 1]), slice(sums[i], sums[i + 1])
            calls.append(self._engine.call(
                x, start + cuts[i] * hop, first_frame + cuts[i], ends[frames], energy[frames],
                signs, divisors[place], own, rows[place], **options))
        self._crew.run(calls)
        self._works = [each for each in (work, *self._works) if each is not works[-1]]
        for each in self._works:
            each.reset()
        return works[-1]

    def _cuts(self, ends: np.ndarray) -> list[int]:
        """Return the first frame of each thread, and the number of frames."""
        n = len(ends)
        stops = np.flatnonzero(ends) + 1
        most = min(len(self._works) + 1, n // _LEAST_FRAMES)
        wanted = [n * i // most for i in range(1, most)]
        places = np.searchsorted(stops, wanted)
        inner = {int(stops[place]) for place in places if place < len(stops)} - {n}
        return [0, *sorted(inner), n]
