"""The Dask engine: jobs go to the workers of a Dask cluster, one to each of their threads.

The client alone keeps queue and ledger. A job goes to one worker, by its address: Dask neither
moves nor repeats it, so that each death is counted here. What survives what: a worker's death costs
its job a try; without the scheduler or the client, workers stop what they do, and the run that is
given again takes it from the ledger.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from fastsig.batch.engines.dask_dispatcher import Dispatcher, one_line
from fastsig.batch.engines.job_queue import Queue
from fastsig.batch.engines.jobs import Setup
from fastsig.batch.recipe.model import Limits
from fastsig.errors import UsageError

__all__ = ["LOCAL", "DaskEngine", "Tls"]

#: In place of an address: a cluster on this machine, for this run.
LOCAL = "local"

_CALL = 10.0  # s for the scheduler to answer


@dataclass(frozen=True)
class Tls:
    """Files in PEM for an encrypted scheduler, in place of Dask's own configuration."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def __bool__(self) -> bool:
        return any((self.ca, self.cert, self.key))


class DaskEngine:
    """Worker processes wherever a Dask cluster has workers.

    Parameters
    ----------
    scheduler : str
        Its address, such as ``tcp://host:8786``, or the path of its file; ``local`` for a cluster
        on this machine that lives as long as the run.
    workers : int, optional
        Most jobs at a time; by default one a thread of the workers. Of a local cluster, its
        processes: one a processor by default.
    tls : Tls, optional
    warm : bool
        Compile the kernels on each node first, where none is cached.
    note : callable, optional
        Given a line for each thing to know.
    """

    def __init__(self, scheduler: str, *, workers: int | None = None, tls: Tls | None = None,
                 warm: bool = True, note: Callable[[str], None] | None = None) -> None:
        self.scheduler, self.workers, self.tls, self.warm = scheduler, workers, tls or Tls(), warm
        self._note = note or (lambda line: None)

    def __call__(self, queue: Queue, setup: Setup, limits: Limits) -> None:
        """Do all jobs.

        Raises
        ------
        UsageError
            Where the scheduler cannot be reached.
        WorkerError
            Where the scheduler is lost, or no worker can do jobs.
        """
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise UsageError(f"Dask: {error}; allowed: with pip install 'fastsig[batch]'"
                             ) from error
        local = self.scheduler == LOCAL
        with _quiet(), (self._start(queue) if local else self._connect()) as client:
            warm = self.warm and not local  # this node was warmed before
            setup = setup if local else replace(setup, threads=1)  # a thread of theirs, one of ours
            Dispatcher(client, queue, setup, limits, self.workers, warm, self._note).work()

    @contextlib.contextmanager
    def _connect(self) -> Iterator[Any]:
        from distributed import Client

        where = ({"scheduler_file": self.scheduler} if os.path.isfile(self.scheduler)
                 else {"address": self.scheduler})
        try:
            client = Client(**where, security=self._security(), timeout=_CALL,
                            set_as_default=False)
        except (OSError, TimeoutError, ValueError, TypeError, KeyError) as error:
            raise UsageError(f"--dask-scheduler {self.scheduler}: cannot be reached: "
                             f"{one_line(error)}") from error
        try:
            yield client
        finally:
            with contextlib.suppress(Exception):
                client.close(timeout=_CALL)

    def _security(self) -> Any:
        from distributed.security import Security

        if not self.tls:
            return None  # as Dask is configured
        return Security(tls_ca_file=self.tls.ca, tls_client_cert=self.tls.cert,
                        tls_client_key=self.tls.key, require_encryption=True)

    @contextlib.contextmanager
    def _start(self, queue: Queue) -> Iterator[Any]:
        """A cluster of processes that only this one can talk to: its keys are in memory."""
        from distributed import Client, LocalCluster
        from distributed.security import Security

        from fastsig.work.threads import processors

        n = queue.most(self.workers or processors())
        with _deaf():  # a terminal's Ctrl-C and a scheduler's SIGTERM reach them too
            cluster = LocalCluster(
                n_workers=n, threads_per_worker=1, processes=True, memory_limit=0,
                dashboard_address=None, worker_dashboard_address=None, host="tls://127.0.0.1",
                security=Security.temporary(), silence_logs=logging.CRITICAL)
        try:
            with Client(cluster, set_as_default=False) as client:
                yield client
        finally:
            with contextlib.suppress(Exception):
                cluster.close(timeout=_CALL)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what Dask logs on standard error: what matters is said here."""
    root, known = logging.getLogger("distributed"), logging.Logger.manager.loggerDict
    loggers = [root, *(logger for name, logger in known.items() if name.startswith("distributed.")
                       and isinstance(logger, logging.Logger))]
    before = [logger.level for logger in loggers]
    for logger in loggers:  # some, as the client's, have a level of their own
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started meanwhile ignore signals of the terminal and of Slurm."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
