"""Runs jobs one by one in a worker process, which is watched, and replaced if it dies.

Engines differ in where jobs come from; each job is run by `Supervisor.perform`, on any thread or
node. One supervisor belongs to one thread.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import replace
from typing import Any

from fastsig.batch.engines import worker_process
from fastsig.batch.engines.job_queue import Stop
from fastsig.batch.engines.jobs import Job, Outcome, Setup
from fastsig.batch.engines.worker_process import WorkerProcess
from fastsig.batch.ledger.states import state_of
from fastsig.batch.recipe.model import Limits
from fastsig.errors import FastsigError

__all__ = ["Supervisor", "WorkerError"]

_GLANCE = 0.1  # s between checks of clock, memory and requests to stop
_MARGIN = 10**8  # bytes allowed above the memory limit, or a tenth of it if that is more
_STARTS = 3  # workers in a row that may fail to start
_KILLS = 20  # workers in a row that may be killed while they start
_MOST_WARNINGS, _LONGEST_WARNING = 10, 400  # of an attempt, in the ledger; its log has them all


class WorkerError(FastsigError):
    """Worker processes cannot be started; the message contains their last output."""


class Supervisor:
    """Runs jobs in a worker process, and starts a new one if it died or was killed.

    Parameters
    ----------
    setup : Setup
    limits : Limits
    stop : Stop
    """

    def __init__(self, setup: Setup, limits: Limits, stop: Stop) -> None:
        self._setup, self._limits, self._stop = setup, limits, stop
        self._worker: WorkerProcess | None = None
        self._used = False  # whether the worker had done other tasks before

    @property
    def pid(self) -> int | None:
        """The id of the worker process, or None if there is none."""
        return None if self._worker is None else self._worker.process.pid

    def start(self) -> bool:
        """Start a worker if there is none, and wait for it; return False if `stop` came first.

        Raises
        ------
        WorkerError
            If the worker cannot be started.
        """
        failed = killed = 0
        while self._worker is None:
            self._worker = WorkerProcess(self._setup)
            if self._await_ready(self._worker):
                return True
            words = self._worker.last_words()
            code = self._end()
            if self._stop.now.is_set():
                return False
            died = code is not None and code < 0
            failed, killed = failed + (not died), killed + died
            if failed >= _STARTS or killed >= _KILLS:
                raise WorkerError(f"worker processes cannot be started: {_how(code)}"
                                  f"{': ' if words else ''}{words}")
        return True

    def _discard(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._end()

    def _await_ready(self, worker: WorkerProcess) -> bool:
        while not self._stop.now.is_set():
            messages = worker.receive(_GLANCE)
            if messages is None:
                return False
            if messages:
                worker.resident = int(messages[0]["resident"])
                return True
        worker.kill()
        return False

    def _end(self) -> int | None:
        """Clean up after a worker that has ended or was killed; return its exit code."""
        worker, self._worker = self._worker, None
        if worker is None:
            return None
        code = worker.reap()
        worker.close()
        return code

    def perform(self, job: Job) -> Outcome:
        """Run a job, and return its outcome.

        Raises
        ------
        WorkerError
            If no worker can be started.
        """
        outcome = self._attempt(job)
        if outcome.state == "memory" and self._used:  # earlier tasks may have left memory in use
            self._discard()
            outcome = self._attempt(replace(job, overwrite=True))
        return outcome

    def _attempt(self, job: Job) -> Outcome:
        if self._worker is not None and self._worker.process.poll() is not None:
            self._end()  # it was killed while it waited
        if not self.start():
            return Outcome("preempted", error="stopped before it began")
        assert self._worker is not None
        self._used = self._worker.n_done > 0
        worker, begun = self._worker, time.monotonic()
        worker.send({"job": job.plain(), "memory": self._limits.memory})
        watch = _Watch(worker, self._limits, self._stop, begun)
        while True:
            messages = worker.receive(_GLANCE)
            if messages is None or watch.is_stuck():
                return self._after_death(job, watch)
            for message in messages:
                if "done" in message:
                    return replace(self._after(message["done"], watch),
                                   warnings=tuple(watch.warnings))
                watch.hear(message)
            watch.look()

    def _after(self, values: dict[str, Any], watch: _Watch) -> Outcome:
        """Return the outcome that a worker reports."""
        worker = watch.worker
        worker.n_done += 1
        resident = int(values.pop("resident"))
        if worker.n_done == 1:  # now it has imported all that these tasks need
            worker.resident = resident
        outputs = tuple((str(name), int(size), int(mtime))
                        for name, size, mtime in values.pop("outputs"))
        missing = values.pop("missing")
        outcome = Outcome(state=values.pop("state", "done"), outputs=outputs, **values)
        if watch.reason and outcome.state != "done":
            outcome = Outcome(watch.reason, error=watch.error, step=outcome.step,
                              code=outcome.code, seconds=outcome.seconds,
                              peak_bytes=outcome.peak_bytes)
        elif outcome.code:
            outcome = Outcome(**{**outcome.__dict__,
                                 "state": state_of(outcome.code, outcome.error, missing)})
        if watch.reason or self._grown(worker, resident):
            self._discard()
        return outcome

    def _grown(self, worker: WorkerProcess, resident: int) -> bool:
        """Return whether a worker uses so much memory that the next task would lack it."""
        limit = self._limits.memory
        most = worker.resident + 2**30 if limit is None else max(
            limit // 2, worker.resident + limit // 10)
        return resident > most

    def _after_death(self, job: Job, watch: _Watch) -> Outcome:
        """Return the outcome of a job whose worker ended while running it."""
        code = self._end()
        seconds = round(time.monotonic() - watch.begun, 3)
        state, error = watch.reason, watch.error
        if code is None:
            error += "; its process does not end: is the file system stalled?"
        else:
            self._sweep(job, watch.worker.process.pid)
        if not state and code is not None and code > 0:  # it exited itself, e.g. on a full disk
            error = watch.said or f"ended with {code}"
            state = state_of(code, error, [p for p in job.task.inputs if not os.path.exists(p)])
        elif not state:
            state, error = "killed", f"its worker process died: {_how(code)}"
            if watch.said:
                error += f"; its last error was: {watch.said}"
        return Outcome(state, error=error, step=watch.step, code=code or 0, seconds=seconds,
                       peak_bytes=watch.peak, warnings=tuple(watch.warnings))

    def _sweep(self, job: Job, pid: int) -> None:
        """Remove the temporary files that a dead worker left."""
        from fastsig.io.files.leftovers import sweep

        if job.scratch:
            from fastsig.batch.engines import staging

            staging.sweep(job.scratch, pid)

        for step in job.task.steps:
            for output in step.outputs:
                sweep(os.path.realpath(os.path.join(job.task.folder, output)))

    def close(self) -> None:
        """Let the worker exit; kill it if it does not."""
        if self._worker is not None:
            self._worker.close()
            try:
                self._worker.process.wait(worker_process.PATIENCE)
            except subprocess.TimeoutExpired:
                self._worker.kill()
            self._end()

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *exc: Any) -> None:
        if self._worker is not None and exc[0] is not None:
            self._worker.kill()
        self.close()


class _Watch:
    """The progress of a running job, and the reason if its worker was killed."""

    def __init__(self, worker: WorkerProcess, limits: Limits, stop: Stop, begun: float) -> None:
        self.worker, self.begun = worker, begun
        self._limits, self._stop = limits, stop
        self._killed_at: float | None = None
        self.reason = self.error = self.said = self.step = ""
        self.warnings: list[str] = []
        self.peak = 0

    def hear(self, message: dict[str, Any]) -> None:
        """Record a message that the worker sends during the job."""
        self.said = message.get("said", self.said)
        self.step = message.get("step", self.step)
        warning = message.get("warned", "")[:_LONGEST_WARNING]
        if warning and warning not in self.warnings and len(self.warnings) < _MOST_WARNINGS:
            self.warnings.append(warning)

    def is_stuck(self) -> bool:
        """Return whether the worker was killed and does not end: it hangs in the kernel."""
        return (self._killed_at is not None
                and time.monotonic() - self._killed_at > worker_process.PATIENCE)

    def look(self) -> None:
        """Kill the worker if it exceeds a limit, or if the run is to stop now."""
        if self.reason:
            return
        if self._stop.now.is_set():
            self._kill("preempted", "the run was stopped")
        elif self._limits.time is not None and (
                time.monotonic() - self.begun > self._limits.time):
            self._kill("timeout", f"took longer than the limit of {self._limits.time:g} s")
        else:
            self._weigh(self._limits.memory)

    def _weigh(self, limit: int | None) -> None:
        resident = self.worker.memory()
        self.peak = max(self.peak, resident)
        if limit is not None and resident > limit + max(_MARGIN, limit // 10):
            self._kill("memory", f"used {resident / 1e6:.0f} MB; the limit is {limit / 1e6:.0f} MB")

    def _kill(self, reason: str, error: str) -> None:
        self.reason, self.error = reason, error
        self._killed_at = time.monotonic()
        self.worker.kill()


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
