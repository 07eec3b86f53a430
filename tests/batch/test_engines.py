"""Engines: one outcome of all; deaths of Dask's workers, scheduler and client; shards."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import batches
import pytest
from batches import begin, has_begun, products, recipe, states, wait_for
from cli import fastsig
from clusters import Cluster
from engines import check, engines
from thorough import many

from fastsig.batch.tasks.model import Task
from fastsig.batch.tasks.shards import from_environment, of_shard, parse
from fastsig.errors import UsageError


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> str:
    return batches.install(tmp_path_factory.mktemp("plugin"))


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory, plugin: str) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"), plugin)
    yield made
    made.close()


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """A scheduler that lives, and two workers: those that the test before left, where it did."""
    shared_cluster.renew(2)
    return shared_cluster


def test_three_engines_have_one_outcome(tmp_path: Path) -> None:
    """Same bytes, states and causes; a corrupt one, an unreadable one, two of one name."""
    n = many(12, 30)
    found = engines(tmp_path, n, many(2, 3))
    check(found)
    counts = Counter(state for state, _ in found["local"].states.values())
    n_failed = many(2, 3)
    assert counts == {"done": n - 2 - n_failed, "failed": n_failed, "refused": 2}
    assert len(found["local"].sums) == 2 * counts["done"]


def test_worker_of_dask_dies_and_a_poisonous_task(tmp_path: Path, plugin: str,
                                                  cluster: Cluster) -> None:
    """The death of a Dask worker costs its task one try; a task's own deaths set it aside."""
    path = recipe(tmp_path, {
        "a": {"sleep": 30, "once": str(tmp_path / "marker")}, "b": {},
        "dies": {"die": signal.SIGSEGV}, "late": {}})
    process = begin(path, "--dask-scheduler", cluster.file, "--retries", 1, plugin=plugin)
    wait_for((tmp_path / "marker").exists)
    (worker,) = [each for each in cluster.workers if _is_at(each.pid, "a")]
    worker.kill()
    worker.wait()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert states(path) == {"a": "done", "b": "done", "dies": "poison", "late": "done"}
    assert "killed a: its Dask worker died" in errors
    assert "2 processes died while running it" in errors
    assert set(products(tmp_path / "out")) == {"a.h5", "b.h5", "late.h5"}


def _is_at(worker: int, name: str) -> bool:
    """Whether the log of a task is open in a process of a Dask worker."""
    for child in batches.children(worker):
        try:
            if f"/{name}-" in os.readlink(f"/proc/{child}/fd/1"):
                return True
        except OSError:
            continue
    return False


def test_scheduler_dies_and_client_dies(tmp_path: Path, plugin: str, cluster: Cluster) -> None:
    """Each ends what runs, everywhere; the run that is given again goes on."""
    deeds = {name: {"sleep": 60, "once": str(tmp_path / f"{name}.once")} for name in "ab"}
    path = recipe(tmp_path, {**deeds, "c": {}})
    client = begin(path, "--dask-scheduler", cluster.file, plugin=plugin)
    wait_for(lambda: all((tmp_path / f"{name}.once").exists() for name in "ab"))
    client.kill()  # Dask's workers stop what nobody waits for
    client.communicate()
    wait_for(lambda: not any(map(batches.children, [each.pid for each in cluster.workers])), 20)
    assert states(path) == {"a": "abandoned", "b": "abandoned", "c": "waiting"}
    (tmp_path / "a.once").unlink()
    process = begin(path, "--dask-scheduler", cluster.file, "-j", 1, plugin=plugin)
    wait_for((tmp_path / "a.once").exists)
    children = [child for each in cluster.workers for child in batches.children(each.pid)]
    cluster.scheduler.kill()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "is lost, with 1 task on its workers" in errors, errors
    assert "Traceback" not in errors, errors
    assert states(path) == {"a": "preempted", "b": "abandoned", "c": "waiting"}
    wait_for(lambda: not any(os.path.exists(f"/proc/{child}") for child in children), 40)
    batches.batch(path, plugin=plugin)
    assert set(states(path).values()) == {"done"}
    assert set(products(tmp_path / "out")) == {"a.h5", "b.h5", "c.h5"}


# The worker dies when a task is done, before the client fetches its result.
UNFETCHED = """
import os, signal
from distributed import Client
fetch, pids = Client._gather_remote, [{pid}]
async def gather(*words):
    while pids:
        os.kill(pids.pop(), signal.SIGKILL)
    return await fetch(*words)
Client._gather_remote = gather
"""


def test_worker_of_dask_dies_with_a_result(tmp_path: Path, plugin: str, cluster: Cluster) -> None:
    """It counts as dead at once: nobody waits for the result."""
    cluster.keep(1)
    path = recipe(tmp_path, {"a": {}, "b": {}})
    process = begin(path, "--dask-scheduler", cluster.file, plugin=plugin,
                    before=UNFETCHED.format(pid=cluster.workers[0].pid))
    wait_for(lambda: cluster.workers[0].poll() is not None)
    cluster.renew(1)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "its Dask worker died" in errors and "not used" not in errors, errors
    assert set(states(path).values()) == {"done"}


def test_worker_of_dask_that_does_not_answer(tmp_path: Path, plugin: str, cluster: Cluster) -> None:
    """It holds up neither the beginning, nor others, nor the end."""
    cluster.keep(0)  # both begin at once, or the first would do both tasks
    cluster.renew(2)
    path = recipe(tmp_path, {name: {"sleep": 2} for name in "ab"})
    process = begin(path, "--dask-scheduler", cluster.file, plugin=plugin)
    wait_for(lambda: all(batches.children(each.pid) for each in cluster.workers))  # both are there
    process.communicate(timeout=60)
    cluster.workers[-1].send_signal(signal.SIGSTOP)
    path = recipe(tmp_path, {name: {"seed": 7} for name in "abcd"})
    batches.batch(path, "--dask-scheduler", cluster.file, "--replace-stale", plugin=plugin)
    cluster.keep(1)  # the other one
    assert set(states(path).values()) == {"done"}


def test_told_to_stop(tmp_path: Path, plugin: str) -> None:
    """SIGTERM, to all processes as Slurm sends it: soon ended, in its state, nothing left."""
    path = recipe(tmp_path, {"hangs": {"hang": 1}, "later": {}})
    process = begin(path, "--dask-scheduler", "local", "-j", 1, plugin=plugin,
                    before="import os; os.setpgrp()\n")
    wait_for(lambda: has_begun(tmp_path / "out", ["hangs"]))
    begun = time.monotonic()
    os.killpg(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert time.monotonic() - begun < 20
    assert states(path) == {"hangs": "preempted", "later": "waiting"}
    assert batches.children(process.pid) == []


def test_what_is_asked_wrongly(tmp_path: Path) -> None:
    path = recipe(tmp_path, {"a": {}})
    for words, told in ((("--shard", "4/3"), "allowed: K/N with 1 <= K <= N"),
                        (("--dask-tls-ca", "x"), "with --dask-scheduler"),
                        (("--dask-scheduler", "tcp://127.0.0.1:1"), "cannot be reached")):
        done = fastsig("batch", "run", "-c", path, "--no-plan", "--no-warmup", *words, code=2)
        assert told in done.stderr


def test_shards_of_a_slurm_array() -> None:
    def array(number: int, first: int, last: int, count: int) -> dict[str, str]:
        values = {"ID": number, "MIN": first, "MAX": last, "COUNT": count}
        return {f"SLURM_ARRAY_TASK_{key}": str(value) for key, value in values.items()}

    assert from_environment({}) is None
    assert from_environment(array(0, 0, 7, 8)) == (1, 8)
    assert from_environment(array(20, 0, 30, 4)) == (3, 4)
    assert from_environment(array(5, 5, 5, 1)) == (1, 1)
    for wrong in (array(3, 1, 7, 3), {**array(1, 1, 2, 2), "SLURM_ARRAY_TASK_COUNT": "x"},
                  {"SLURM_ARRAY_TASK_ID": "1"}):
        with pytest.raises(UsageError, match="shard= K/N"):
            from_environment(wrong)
    for text in ("0/3", "4/3", "1", "a/b", "1/0", "-1/2"):
        with pytest.raises(UsageError, match="allowed: K/N"):
            parse(text)


def test_shards_are_disjoint_and_do_not_move() -> None:
    """Each task in one shard, whatever other tasks there are."""
    tasks = [Task(f"{number * 2654435761 % 2**64:016x}" + "0" * 48, str(number), (), (), "/x")
             for number in range(300)]
    parts = [of_shard(tasks, (k, 7)) for k in range(1, 8)]
    assert sorted(task.name for part in parts for task in part) == sorted(
        task.name for task in tasks)
    assert min(map(len, parts)) > 20
    assert of_shard(tasks[::3], (2, 7)) == [task for task in parts[1] if task in tasks[::3]]


def test_shard_in_an_array_tells_totals(tmp_path: Path, plugin: str,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """By environment; each shard reports where all stand, status merges their journals."""
    # So many that both shards have some: which task is whose depends on the folder's name.
    path = recipe(tmp_path, {f"n{number}": {} for number in range(20)})
    for key, value in (("MIN", 0), ("MAX", 1), ("COUNT", 2)):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{key}", str(value))
    told = []
    for number in (0, 1):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(number))
        told.append(batches.batch(path, plugin=plugin).stderr.splitlines()[-1])
    assert told[0].startswith("fastsig: shard 1 of 2 has ended, no other is at work") or told[
        0].startswith("shard 1 of 2 has ended, no other is at work"), told
    assert "waiting" in told[0] and told[1].endswith("all shards: 20 tasks: 20 done")
    journals = list((tmp_path / "out" / ".fastsig-batch" / "journal").glob("*.jsonl"))
    assert len(journals) == 2
    done = fastsig("batch", "status", "-c", path, "--json")
    assert json.loads(done.stdout)["totals"] == {"tasks": 20, "done": 20}
    assert (tmp_path / "out" / "report.html").read_text().count("<tr data-state=done") == 20
