"""The Dask engine: jobs run on the workers of a Dask cluster, one on each of their threads.

Only the client keeps the queue and the ledger. A job is sent to one worker, by its address: Dask
neither moves nor repeats it, so each death of a worker is counted here. If a worker dies, its job
loses an attempt. If the scheduler or the client dies, workers stop their jobs, and the next run
continues from the ledger.
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

#: Instead of an address: a cluster on this machine, for this run.
LOCAL = "local"

_CALL = 10.0  # s within which the scheduler must answer


@dataclass(frozen=True)
class Tls:
    """PEM files for an encrypted scheduler, instead of Dask's own configuration."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def __bool__(self) -> bool:
        return any((self.ca, self.cert, self.key))


class DaskEngine:
    """Worker processes on the nodes of a Dask cluster.

    Parameters
    ----------
    scheduler : str
        Address of the scheduler, such as ``tcp://host:8786``, or path of its scheduler file;
        ``local`` for a cluster on this machine that exists only during the run.
    workers : int, optional
        Maximum number of jobs at a time; by default, one per thread of the workers. For a local
        cluster, the number of its processes; by default, one per processor.
    tls : Tls, optional
        PEM files, if the scheduler is encrypted; by default, Dask's own configuration.
    warm : bool
        Whether to compile the kernels on each node first, if none is cached.
    note : callable, optional
        Called with each line to be reported.
    """

    @property
    def here(self) -> bool:
        """Whether the tasks run on this machine."""
        return self.scheduler == LOCAL

    def __init__(self, scheduler: str, *, workers: int | None = None, tls: Tls | None = None,
                 warm: bool = True, note: Callable[[str], None] | None = None) -> None:
        self.scheduler, self.workers, self.tls, self.warm = scheduler, workers, tls or Tls(), warm
        self._note = note or (lambda line: None)

    def __call__(self, queue: Queue, setup: Setup, limits: Limits) -> None:
        """Run all jobs.

        Raises
        ------
        UsageError
            If the scheduler cannot be reached.
        WorkerError
            If the scheduler is lost, or no worker can run jobs.
        """
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise UsageError(f"Dask: {error}; allowed: with pip install 'fastsig[batch]'"
                             ) from error
        local = self.scheduler == LOCAL
        with _quiet(), (self._start(queue) if local else self._connect()) as client:
            warm = self.warm and not local  # this node has compiled its kernels already
            setup = setup if local else replace(setup, threads=1)  # one for each of Dask's threads
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
            return None  # Dask's own configuration
        return Security(tls_ca_file=self.tls.ca, tls_client_cert=self.tls.cert,
                        tls_client_key=self.tls.key, require_encryption=True)

    @contextlib.contextmanager
    def _start(self, queue: Queue) -> Iterator[Any]:
        """Start a cluster that only this process can connect to: its keys are in memory."""
        from distributed import Client, LocalCluster
        from distributed.security import Security

        from fastsig.work.threads import processors

        n = queue.most(self.workers or processors())
        with _deaf():  # Ctrl-C on a terminal and SIGTERM from Slurm reach its processes too
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
    """Silence the log that Dask writes to standard error; relevant events are reported here."""
    root, known = logging.getLogger("distributed"), logging.Logger.manager.loggerDict
    loggers = [root, *(logger for name, logger in known.items() if name.startswith("distributed.")
                       and isinstance(logger, logging.Logger))]
    before = [logger.level for logger in loggers]
    for logger in loggers:  # some, such as the client's, have their own level
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Make processes that are started meanwhile ignore signals of the terminal and of Slurm."""
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
