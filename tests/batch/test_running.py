"""Runs from Python: recipes, watchers, limits, a process that cannot be killed, other engines."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import batches
import pytest

import fastsig.batch
from fastsig.batch.engines import worker_process
from fastsig.batch.engines.dask_engine import DaskEngine
from fastsig.batch.engines.job_queue import Queue, Stop
from fastsig.batch.engines.jobs import Job, Setup
from fastsig.batch.engines.local import LocalEngine
from fastsig.batch.engines.supervisor import Supervisor, WorkerError
from fastsig.batch.ledger.records import Record
from fastsig.batch.recipe.model import Limits
from fastsig.batch.running.choosing import Choice
from fastsig.batch.running.run import run, setup_of
from fastsig.batch.running.watcher import Watcher
from fastsig.errors import PlanError, UsageError
from fastsig.work.threads import processors


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches.install(tmp_path / "plugin")
    monkeypatch.syspath_prepend(tmp_path / "plugin")


class Listener(Watcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.ends: list[tuple[str, str, bool]] = []

    def planned(self, choice: Choice, stale: object) -> None:
        self.jobs = [job.task.name for job in choice.jobs]

    def ended(self, job: Job, record: Record, again: bool) -> None:
        self.ends.append((job.task.name, record.state, again))


def test_a_recipe_runs_from_python(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed, signals are as they were, a second run does nothing."""
    much = "a.try: 29.2 % of the samples outside --bands were flagged; --picture shows which"
    path = batches.recipe(tmp_path, {"a": {"warn": [much, much, "x" * 500]}, "b": {"rows": -1}})
    recipe, listener = fastsig.batch.Recipe.read(path), Listener()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    summary = recipe.run(workers=1, warm=False, watcher=listener)
    assert summary.counts == {"done": 1, "failed": 1} and summary.code == 1
    assert listener.jobs == ["a", "b"]
    assert listener.ends == [("a", "done", False), ("b", "failed", False)]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    status = recipe.status()
    assert status.counts == {"done": 1, "failed": 1} and status.code == 1
    assert status.rows[0].warnings == (much, "x" * 400) and status.warned == 1
    assert status.rows[1].warnings == ()
    row = status.rows[1]
    assert "internal error: ValueError" in row.error and row.step == "cut" and row.attempt == 1
    log = Path(row.log).read_text()
    assert "# attempt 1: fastsig cut --workers" in log and "# exit 70, " in log
    plain = status.record()
    assert plain["totals"] == {"tasks": 2, "done": 1, "failed": 1} and plain["bytes"] > 2000
    assert plain["tasks"][0]["warnings"] == (much, "x" * 400)
    assert recipe.run(["in/a.try"] if Path.cwd() == tmp_path else [tmp_path / "in" / "a.try"],
                      warm=False).counts == {"done": 1}
    assert capfd.readouterr() == ("", "")


def test_memory_below_the_floor(tmp_path: Path) -> None:
    """The command's own refusal; the second task is tried in a new worker before it is believed."""
    path = batches.recipe(tmp_path, {"a": {}, "b": {}})
    tasks = batches.tasks(path)
    summary = run(tasks, tasks[0].folder, workers=1, warm=False, limits=Limits(memory=130_000_000))
    assert summary.counts == {"memory": 2}
    log = next((tmp_path / "out" / ".fastsig-batch" / "logs").glob("b-*")).read_text()
    assert log.count("is below the floor") == 2 and log.count("--memory 130000000") == 2


def test_a_process_that_cannot_be_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that waits in the kernel for a file system: it is left behind, the rest is done."""
    left = []
    monkeypatch.setattr(worker_process, "PATIENCE", 0.3)
    monkeypatch.setattr(
        worker_process.WorkerProcess, "kill", lambda self: left.append(self.process))
    path = batches.recipe(tmp_path, {"a": {"hang": 1}, "b": {}})
    tasks = batches.tasks(path)
    try:
        summary = run(tasks, tasks[0].folder, workers=1, warm=False, limits=Limits(time=1.0))
        assert summary.counts == {"timeout": 1, "done": 1}
        assert "is the file system stalled?" in fastsig.batch.status(
            tasks, tasks[0].folder).rows[0].error
    finally:
        for each in left:
            with contextlib.suppress(ProcessLookupError):  # it may have ended meanwhile
                os.killpg(each.pid, signal.SIGKILL)
            each.wait()
        worker_process._stuck.clear()


def test_workers_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [sys.executable, "-c", "raise SystemExit('no such library')"]
    monkeypatch.setattr(worker_process, "worker_words", lambda: words)
    tasks = batches.tasks(batches.recipe(tmp_path, {"a": {}}))
    with pytest.raises(WorkerError, match="cannot be started: exit 1: no such library"):
        run(tasks, tasks[0].folder, warm=False)
    assert fastsig.batch.status(tasks, tasks[0].folder).counts == {"waiting": 1}


def test_another_engine_has_the_same_worker(tmp_path: Path) -> None:
    """One that takes jobs from a thread of its own, as a cluster's client does."""
    tasks = batches.tasks(batches.recipe(tmp_path, {"a": {}, "b": {}}))

    def engine(queue: Queue, setup: Setup, limits: Limits) -> None:
        def work() -> None:
            with Supervisor(setup, limits, Stop()) as supervisor:
                while (job := queue.take()) is not None:
                    queue.put(job, supervisor.perform(job))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    summary = run(tasks, tasks[0].folder, engine=engine, warm=False)
    assert summary.counts == {"done": 2}


def test_the_memory_of_this_machine_is_not_that_of_a_cluster(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def planned(*_: Any, machine_bytes: int | None, **__: Any) -> Any:
        seen.append(machine_bytes)
        raise PlanError("planned")

    monkeypatch.setattr(importlib.import_module("fastsig.batch.planning.plan"), "plan", planned)
    tasks = batches.tasks(batches.recipe(tmp_path, {"a": {}}))
    for engine in (None, DaskEngine("local"), DaskEngine("tcp://127.0.0.1:1")):
        with pytest.raises(PlanError, match="planned"):
            run(tasks, tasks[0].folder, engine=engine, warm=False, plan=True)
    assert seen == [None, None, 0]  # by default, the memory of this machine; 0 for no limit


def test_processes_times_threads_is_never_above_the_processors(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastsig.batch.running.run.processors", lambda: 8)
    for workers, jobs, n, threads in ((None, 100, 8, 1), (None, 3, 3, 2), (3, 100, 3, 2),
                                      (1, 5, 1, 8), (4, 1, 1, 8), (16, 100, 16, 1)):
        found, setup = setup_of([], jobs, workers)
        assert (found, setup.threads) == (n, threads)
    with pytest.raises(UsageError, match="allowed: 1 or more"):
        setup_of([], 1, 0)


def test_threads_of_a_worker_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastsig.batch.engines.environment import environment
    from fastsig.work import threads

    monkeypatch.setattr(threads, "_most", None)
    there = processors()
    threads.limit_processors(1)
    assert processors() == 1 <= there
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    values = environment(Setup(threads=3))
    assert values["OMP_NUM_THREADS"] == "1" and values["NUMBA_NUM_THREADS"] == "3"
    folder = Path(values["NUMBA_CACHE_DIR"])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "NUMBA_CACHE_DIR" not in environment(Setup(node_cache=False))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/elsewhere")
    assert environment(Setup())["NUMBA_CACHE_DIR"] == "/elsewhere"


def test_a_cache_that_others_can_write_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies there is executed."""
    from fastsig.batch.engines import environment

    monkeypatch.setattr(environment.tempfile, "gettempdir", lambda: os.fspath(tmp_path))
    folder = environment._node_cache()
    assert folder is not None
    os.chmod(folder, 0o777)
    assert environment._node_cache() is None
    os.rmdir(folder)
    (tmp_path / "theirs").mkdir(mode=0o700)
    os.symlink(tmp_path / "theirs", folder)
    assert environment._node_cache() is None


def test_outputs_that_lead_outside_are_refused(tmp_path: Path) -> None:
    """A link that came up after the tasks were made."""
    path = batches.recipe(tmp_path, {"a": {}}, batches.RECIPE.replace("{stem}", "sub/{stem}"))
    tasks = batches.tasks(path)
    (tmp_path / "out").mkdir()
    (tmp_path / "away").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "away")
    summary = run(tasks, tasks[0].folder, warm=False)
    assert summary.counts == {"failed": 1} and os.listdir(tmp_path / "away") == []
    (tmp_path / "out" / "sub").unlink()
    assert run(tasks, tasks[0].folder, engine=LocalEngine(1), warm=False).code == 0
    assert os.listdir(tmp_path / "out" / "sub") == ["a.h5"]
