"""Submission of the jobs of a queue to the workers of a Dask cluster, and their outcomes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue as queues
import secrets
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, wait
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from fastsig._version import __version__
from fastsig.batch.engines import dask_worker
from fastsig.batch.engines.job_queue import Queue
from fastsig.batch.engines.jobs import Job, Outcome, Setup
from fastsig.batch.engines.supervisor import WorkerError
from fastsig.batch.recipe.model import Limits

__all__ = ["Dispatcher", "one_line"]

_GLANCE = 0.1  # s between checks for signals
_CENSUS = 1.0  # s between listings of the workers in the cluster
_PATIENCE = 15.0  # s that jobs have to stop
_WORD = 2.0  # s for a message to all workers; Dask waits 30 s for one that has just died
_SILENCE = 20.0  # s without a worker, after which this is reported


@dataclass
class _Node:
    """A Dask worker process: its token, the number of jobs that it accepts, its current jobs.

    It gets no job before it has sent its token, nor after it is `broken`. `why` is the reason, to
    be reported.
    """

    token: str = ""
    host: str = ""
    slots: int = 0
    keys: set[str] = field(default_factory=set)
    broken: bool = False
    why: str = ""


class Dispatcher:
    """Passes jobs from the queue to the workers of a cluster.

    Nothing here waits long for a single worker: one that dies or hangs must not hold up the others.
    """

    def __init__(self, client: Any, queue: Queue, setup: Setup, limits: Limits,
                 most: int | None, warm: bool, say: Callable[[str], None]) -> None:
        self._client, self._queue, self._most, self._say = client, queue, most, say
        self._run = secrets.token_hex(8)
        self._order = {"run": self._run, "setup": asdict(setup), "limits": asdict(limits),
                       "warm": warm}
        self._nodes: dict[str, _Node] = {}
        self._flying: dict[str, tuple[str, Job, Any]] = {}  # address, job, future by key
        self._landed: queues.SimpleQueue[Callable[[], None]] = queues.SimpleQueue()
        self._census = self._seen = 0.0
        self._stopping: float | None = None

    def work(self) -> None:
        """Run all jobs."""
        self._seen = time.monotonic()
        try:
            while not self._queue.done():
                self._check()
                self._count()
                self._submit()
                self._land()
                self._heed()
        finally:
            self._explain()
            lost = self._client.status != "running"
            self._abandon("the Dask scheduler was lost" if lost else "the run ended")
            if not lost:
                self._everywhere(dask_worker.end)

    def _check(self) -> None:
        if self._client.status != "running":
            n = len(self._flying)
            raise WorkerError(f"the Dask scheduler {self._client.scheduler.address} is lost, with "
                              f"{n} task{'s' * (n != 1)} on its workers; run the same command "
                              "again to continue")

    def _count(self) -> None:
        """Register new workers, and those that have left."""
        now = time.monotonic()
        if now < self._census:
            return
        self._census = now + _CENSUS
        threads = self._ask(self._client.nthreads)
        if threads is None:
            return
        for address in [known for known in self._nodes if known not in threads]:
            self._lose(address, "it left the cluster")
        for address in [new for new in threads if new not in self._nodes]:
            self._nodes[address] = _Node()
            self._soon(self._client.run(dask_worker.about, workers=[address], on_error="return",
                                        asynchronous=True),
                       partial(self._meet, address, int(threads[address])))
        self._explain()
        self._judge(now)

    def _explain(self) -> None:
        """Report why workers that are still present are not used."""
        for node in self._nodes.values():
            if node.why:
                self._say(node.why)
                node.why = ""

    def _soon(self, call: Coroutine[Any, Any, Any], then: Callable[[Future[Any]], None]
              ) -> Future[Any]:
        """Make a call in Dask's event loop; `_land` passes its answer to `then`."""
        answer = asyncio.run_coroutine_threadsafe(call, self._client.loop.asyncio_loop)
        answer.add_done_callback(lambda done: self._landed.put(partial(then, done)))
        return answer

    def _ask(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Ask the scheduler; None if it does not answer, which `_check` may then explain."""
        from distributed.comm import CommClosedError

        try:
            return call(*args, **options)
        except (OSError, TimeoutError, CommClosedError):
            time.sleep(_GLANCE)
            return None

    def _meet(self, address: str, threads: int, answer: Future[Any]) -> None:
        """Register the answer of a worker to `dask_worker.about`, or its error."""
        node = self._nodes.get(address)
        if node is None:
            return  # it died meanwhile
        try:
            about = answer.result().get(address)
        except Exception as error:
            about = error
        if isinstance(about, OSError):  # the call failed, e.g. the connection closed: ask again
            del self._nodes[address]
            return
        if isinstance(about, dict) and about.get("version") == __version__:
            node.token, node.host, node.slots = about["token"], about["host"], max(1, threads)
            return
        why = (f"it has fastsig {about.get('version')}, this is {__version__}"
               if isinstance(about, dict) else one_line(about))
        node.broken, node.why = True, f"Dask worker {address} is not used: {why}"

    def _judge(self, now: float) -> None:
        """Report a cluster without workers; give up if none of its workers can be used."""
        if any(node.slots and not node.broken for node in self._nodes.values()):
            self._seen = now
        elif self._nodes and all(node.broken for node in self._nodes.values()):
            raise WorkerError("none of the Dask workers can run tasks")
        elif now - self._seen > _SILENCE:
            self._seen = now
            answer = " that answer" if self._nodes else ""
            self._say(f"waiting: the Dask cluster has no workers{answer}")

    def _lose(self, address: str, why: str) -> None:
        """Remove a Dask worker that is gone, and count its jobs as killed."""
        node = self._nodes.pop(address)
        for key in list(node.keys):
            _, job, future = self._flying.pop(key)
            self._ask(future.cancel)
            self._queue.put(job, Outcome("killed", error=f"its Dask worker died: {address} on "
                                         f"{node.host}: {why}"))

    def _submit(self) -> None:
        """Submit a job to each free thread."""
        for address, node in list(self._nodes.items()):
            while not node.broken and len(node.keys) < node.slots and (
                    self._most is None or len(self._flying) < self._most):
                job = self._queue.take(wait=False)
                if job is None:
                    return
                self._fly(address, node, job)

    def _fly(self, address: str, node: _Node, job: Job) -> None:
        key = f"fastsig-{job.task.id[:16]}-{job.attempt}-{secrets.token_hex(4)}"
        order = json.dumps({**self._order, "token": node.token, "job": job.plain()})
        future = self._client.submit(dask_worker.perform, order, key=key, workers=[address],
                                     allow_other_workers=False, retries=0, pure=False)
        node.keys.add(key)
        self._flying[key] = (address, job, future)
        self._soon(self._client.gather(future, asynchronous=True), partial(self._take_back, key))

    def _land(self) -> None:
        """Process the answers that have arrived."""
        with contextlib.suppress(queues.Empty):
            self._landed.get(timeout=_GLANCE)()
            while True:
                self._landed.get_nowait()()

    def _take_back(self, key: str, answer: Future[Any]) -> None:
        if key not in self._flying or self._client.status != "running":
            return
        address, job, _ = self._flying.pop(key)
        node = self._nodes.get(address)
        if node is not None:
            node.keys.discard(key)
        self._queue.put(job, self._outcome(answer, address, node))

    def _outcome(self, answer: Future[Any], address: str, node: _Node | None) -> Outcome:
        try:
            values = json.loads(answer.result())
        except Exception as error:  # raised by Dask, or by a call that it could not run
            values = {"wrong": one_line(error)}
            if type(error).__name__ == "KilledWorker" or isinstance(error, CancelledError):
                return Outcome("killed", error=f"its Dask worker died: {address}")
        if "wrong" not in values:
            outcome = values["outcome"]
            outputs = tuple((str(name), int(size), int(mtime))
                            for name, size, mtime in outcome.pop("outputs"))
            return Outcome(**{**outcome, "warnings": tuple(outcome["warnings"])}, outputs=outputs)
        if node is not None and not node.broken:
            node.broken = True
            node.why = f"Dask worker {address} is no longer used: {values['wrong']}"
        return Outcome("killed", error=f"Dask worker {address}: {values['wrong']}")

    def _heed(self) -> None:
        """Stop the running jobs, if the run is to stop now."""
        if not self._queue.stop.now.is_set():
            return
        now = time.monotonic()
        if self._stopping is None:
            self._stopping = now
            self._everywhere(dask_worker.stop_now)
        elif now - self._stopping > _PATIENCE:
            self._abandon("the run was stopped")

    def _everywhere(self, call: Callable[[str], None]) -> None:
        """Make a call for this run on all workers that answer."""
        wait([self._soon(self._client.run(call, self._run, workers=[address], on_error="ignore",
                                          asynchronous=True), lambda answer: None)
              for address, node in self._nodes.items() if node.slots and not node.broken], _WORD)

    def _abandon(self, why: str) -> None:
        """Give up the submitted jobs; Dask makes its workers stop them."""
        flying, self._flying = self._flying, {}
        for _, job, future in flying.values():
            with contextlib.suppress(Exception):
                if self._client.status == "running":
                    future.cancel(force=True)
            self._queue.put(job, Outcome("preempted", error=why))


def one_line(error: Any) -> str:
    """Return the message of an error on one line, shortened."""
    return " ".join(str(error).split())[:300] or type(error).__name__
