"""Functions that Dask workers call: they run jobs, each in a worker process of fastsig.

Each thread of a Dask worker keeps one `Supervisor`, so that limits, kills and logs are those of the
local engine. Jobs and outcomes are sent as JSON. A job names the Dask process that is to run it: if
that process died and Dask gives the job to another, the job is not silently run a second time.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
from dataclasses import asdict
from typing import Any

from fastsig._version import __version__
from fastsig.batch.engines import environment
from fastsig.batch.engines.job_queue import Stop
from fastsig.batch.engines.jobs import Job, Outcome, Setup
from fastsig.batch.engines.supervisor import Supervisor
from fastsig.batch.ledger.folder import FOLDER, host_name
from fastsig.batch.recipe.model import Limits
from fastsig.batch.tasks.model import task_from

__all__ = ["about", "end", "perform", "stop_now"]

_IDLE = 60.0  # s without a new job, after which the worker process of a run is ended

#: Distinguishes this process from its successors.
TOKEN = secrets.token_hex(8)

_lock = threading.Lock()
_warming = threading.Lock()
_kept: dict[int, _Kept] = {}  # by thread: a process is killed when the thread that began it ends
_stopped: set[str] = set()  # runs that must stop now


class _Wanted(threading.Event):
    """Set if the run must stop, or Dask no longer wants the job.

    Dask no longer wants the job if the scheduler, or the client that submitted the job, is gone.
    """

    def __init__(self, run: str) -> None:
        super().__init__()
        from distributed import get_worker

        self._worker: Any = get_worker()
        self._key = self._worker.get_current_task()
        self._run = run

    def is_set(self) -> bool:
        """Return whether the job must end."""
        if self._run in _stopped or self._worker.status.name != "running":
            return True
        known = self._worker.state.tasks.get(self._key)
        return known is None or known.state not in ("executing", "long-running")


class _Kept:
    """A supervisor and the run to which it belongs."""

    def __init__(self, run: str, setup: Setup, limits: Limits) -> None:
        self.run, self.busy, self.stop = run, True, Stop()
        self.supervisor = Supervisor(setup, limits, self.stop)
        self._timer: threading.Timer | None = None

    def take(self) -> None:
        """Reserve the supervisor for a job."""
        self.busy = True
        if self._timer is not None:
            self._timer.cancel()

    def give(self) -> None:
        """Release the supervisor, and close it if no job comes."""
        self.busy = False
        self._timer = threading.Timer(_IDLE, _let_go, (self,))
        self._timer.daemon = True
        self._timer.start()


def about() -> dict[str, Any]:
    """Return the token, version and host of this process, for the client."""
    return {"token": TOKEN, "version": __version__, "host": host_name()}


def stop_now(run: str) -> None:
    """Stop the jobs of a run in this process."""
    _stopped.add(run)


def end(run: str) -> None:
    """End the worker processes of a run."""
    with _lock:
        of_run = [kept for kept in _kept.values() if kept.run == run]
    for kept in of_run:
        threading.Thread(target=_let_go, args=(kept,), daemon=True).start()


def _let_go(kept: _Kept) -> None:
    with _lock:
        number = next((thread for thread, held in _kept.items() if held is kept), None)
        if number is None or kept.busy:
            return
        del _kept[number]
    kept.supervisor.close()


def perform(text: str) -> str:
    """Run a job; job and outcome are JSON."""
    order = json.loads(text)
    if order["token"] != TOKEN:
        return _answer(Outcome("killed", error="its Dask worker died and was replaced"))
    values = order["job"]
    job = Job(**{**values, "task": task_from(values["task"])})
    if not os.path.isdir(os.path.join(job.task.folder, FOLDER, "journal")):
        return json.dumps({"wrong": f"{job.task.folder} does not exist on {host_name()}: the "
                           "output folder must be shared with the Dask workers"})
    setup = Setup(**{**order["setup"], "commands": tuple(order["setup"]["commands"])})
    try:
        return _answer(_perform(job, order, setup, Limits(**order["limits"])))
    except Exception as error:  # as text: the client might not be able to unpickle it
        return json.dumps({"wrong": f"{host_name()}: {error}"})


def _perform(job: Job, order: dict[str, Any], setup: Setup, limits: Limits) -> Outcome:
    kept = _keep(order["run"], setup, limits)
    try:
        kept.stop.now = _Wanted(order["run"])
        if order["warm"]:
            with _warming:  # one thread at a time; the processes of a node wait for one another
                environment.warm(setup, kept.stop, lambda line: None)
        return kept.supervisor.perform(job)
    finally:
        kept.give()


def _keep(run: str, setup: Setup, limits: Limits) -> _Kept:
    """Return the supervisor of this thread and run."""
    with _lock:
        kept = _kept.get(threading.get_ident())
        if kept is not None and kept.run == run:
            kept.take()
            return kept
        _kept[threading.get_ident()] = made = _Kept(run, setup, limits)
    if kept is not None:
        with contextlib.suppress(OSError):
            kept.supervisor.close()
    return made


def _answer(outcome: Outcome) -> str:
    return json.dumps({"outcome": asdict(outcome)})
