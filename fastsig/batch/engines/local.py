"""The local engine: worker processes on this machine, with a thread of this process for each."""

from __future__ import annotations

import threading

from fastsig.batch.engines.job_queue import Queue
from fastsig.batch.engines.jobs import Outcome, Setup
from fastsig.batch.engines.supervisor import Supervisor
from fastsig.batch.recipe.model import Limits

__all__ = ["LocalEngine"]

_GLANCE = 0.1  # s between checks for signals


class LocalEngine:
    """Worker processes on this machine.

    Parameters
    ----------
    workers : int
        Number of processes.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def __call__(self, queue: Queue, setup: Setup, limits: Limits) -> None:
        """Run all jobs; raise the first error of the engine, such as a worker that cannot start."""
        errors: list[BaseException] = []
        threads = [
            threading.Thread(target=self._work, args=(queue, setup, limits, errors),
                             name=f"fastsig-batch-{number}", daemon=True)
            for number in range(queue.most(self.workers))]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(_GLANCE)
        if errors:
            raise errors[0]

    def _work(self, queue: Queue, setup: Setup, limits: Limits, errors: list[BaseException]
              ) -> None:
        try:
            with Supervisor(setup, limits, queue.stop) as supervisor:
                if not queue.stop.finishing.is_set():
                    supervisor.start()
                while (job := queue.take()) is not None:
                    outcome = Outcome("preempted", error="the run ended")
                    try:
                        outcome = supervisor.perform(job)
                    finally:
                        queue.put(job, outcome)
        except BaseException as error:
            errors.append(error)
            queue.close()
