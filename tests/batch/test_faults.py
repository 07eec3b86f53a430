"""Kills, limits, signals, full disks, vanished inputs: each its own state, the rest is done."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import batches
import pytest
from batches import batch, begin, has_begun, products, recipe, states, wait_for
from cli import limiting
from thorough import many


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> str:
    return batches.install(tmp_path_factory.mktemp("plugin"))


def test_each_fault_is_its_own_state_and_the_rest_is_done(tmp_path: Path, plugin: str) -> None:
    """A process that dies once, one that always dies, a hang, too much memory, a corrupt file."""
    deeds = {
        "corrupt": {}, "dies": {"die": signal.SIGSEGV}, "dies_once": {
            "die": signal.SIGKILL, "once": str(tmp_path / "marker")},
        "fine": {}, "hangs": {"hang": 1}, "greedy": {"allocate": 1.5e9}, "last": {}}
    path = recipe(tmp_path, deeds)
    (tmp_path / "in" / "corrupt.try").write_text("TRY{")
    done = batch(path, "--time", "4s", "--memory", "600MB", "--retries", 1, "-j", 2, plugin=plugin,
                 code=1)
    assert states(path) == {
        "corrupt": "failed", "dies": "poison", "dies_once": "done", "fine": "done",
        "hangs": "timeout", "greedy": "memory", "last": "done"}
    lines = done.stderr.splitlines()
    told = {name: [line for line in lines if f" {name}: " in line] for name in deeds}
    assert [len(told[name]) for name in ("corrupt", "hangs", "greedy", "fine")] == [1, 1, 1, 0]
    assert "limit of 4 s" in told["hangs"][0] and "limit is 600 MB" in told["greedy"][0]
    assert "SIGSEGV" in told["dies"][0] and "2 processes died" in told["dies"][1]
    assert "SIGKILL; it is tried again" in told["dies_once"][0]
    assert lines[-1].startswith("7 tasks: 3 done, 1 failed, 1 timeout, 1 memory, 1 poison; ")
    assert set(products(tmp_path / "out")) == {"dies_once.h5", "fine.h5", "last.h5"}
    # What was set aside is left alone; the others are tried again, and retry takes it too.
    again = batch(path, "--killed", "--retries", 0, "-j", 1, command="retry", plugin=plugin, code=1)
    assert "dies" in again.stderr and states(path)["corrupt"] == "failed"


def n_done(out: Path, pid: int) -> int:
    """Tasks that a run has recorded as done."""
    journals = list((out / ".fastsig-batch" / "journal").glob(f"*-{pid}-*.jsonl"))
    return sum(path.read_text().count('"state":"done"') for path in journals)


def kill_workers(process: subprocess.Popen[str], out: Path, rng: random.Random) -> int:
    """Kill one of a run's workers twice, each time when more was done; returns how many it met."""
    killed = 0
    for n in range(1, 3):
        wait_for(lambda n=n: n_done(out, process.pid) >= n or process.poll() is not None)
        workers = batches.children(process.pid)
        if workers and process.poll() is None:
            os.kill(rng.choice(workers), signal.SIGKILL)
            killed += 1
        time.sleep(0.2 * rng.random())
    return killed


def test_killed_workers_and_parents_lose_nothing(tmp_path: Path, plugin: str) -> None:
    """SIGKILL of random workers, of the parent: the end has the bytes of an undisturbed run."""
    deeds = {f"n{number}": {"rows": 100_000, "sleep": 0.15} for number in range(many(12, 18))}
    calm = recipe(tmp_path / "calm", deeds)
    batch(calm, "-j", 2, plugin=plugin)
    expected = products(tmp_path / "calm" / "out")
    path = recipe(tmp_path / "rough", deeds)
    out = tmp_path / "rough" / "out"
    rng = random.Random(1)
    killed, n_parent = 0, many(2, 3)
    for parent in range(n_parent):
        process = begin(path, "-j", 2, "--retries", 20, plugin=plugin)
        killed += kill_workers(process, out, rng)
        if parent < n_parent - 1:
            process.kill()
        process.communicate(timeout=60)
    assert killed >= n_parent + 1
    batch(path, "-j", 1, plugin=plugin)
    assert products(out) == expected
    assert set(states(path).values()) == {"done"}
    batch(path, command="verify", plugin=plugin)
    told = (out / "n4.h5").stat()  # a disk that forgets: size and time tell nothing
    (out / "n4.h5").write_bytes(expected["n4.h5"][:-1] + b"x")
    os.utime(out / "n4.h5", ns=(told.st_atime_ns, told.st_mtime_ns))
    assert set(states(path).values()) == {"done"}
    assert "n4.h5: " in batch(path, "--verify", "-j", 1, plugin=plugin).stderr
    assert products(out) == expected
    (out / "n3.h5").write_bytes(expected["n3.h5"][:-1] + b"x")
    assert "n3.h5" in batch(path, command="verify", plugin=plugin, code=1).stderr
    assert states(path)["n3"] == "damaged"
    batch(path, "-j", 1, plugin=plugin)
    assert products(out) == expected


def test_workers_die_with_their_parent(tmp_path: Path, plugin: str) -> None:
    path = recipe(tmp_path, {"a": {"hang": 1}})
    process = begin(path, "-j", 1, plugin=plugin)
    wait_for(lambda: has_begun(tmp_path / "out", "a"))
    workers = batches.children(process.pid)
    assert workers
    process.kill()
    process.communicate()
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), 10)
    assert states(path) == {"a": "abandoned"}


@pytest.mark.parametrize("sent, code", [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_scheduler_stops_it_in_time(tmp_path: Path, plugin: str, sent: int, code: int) -> None:
    """What runs is preempted within 20 s though it hears nothing, and done by the next run."""
    marker = tmp_path / "marker"
    path = recipe(tmp_path, {"a": {"hang": 1, "once": str(marker)}, "b": {}})
    process = begin(path, "-j", 1, plugin=plugin)
    wait_for(marker.exists)
    begun = time.monotonic()
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - begun < 20
    assert process.returncode == code, errors
    assert states(path) == {"a": "preempted", "b": "waiting"}
    batch(path, "-j", 1, plugin=plugin)
    assert set(products(tmp_path / "out")) == {"a.h5", "b.h5"}


def test_ctrl_c_once_and_twice(tmp_path: Path, plugin: str) -> None:
    path = recipe(tmp_path, {name: {"sleep": 1.5} for name in "abc"})
    out = tmp_path / "out"
    process = begin(path, "-j", 1, plugin=plugin)
    wait_for(lambda: has_begun(out, "a"))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "Ctrl-C again stops now" in errors
    assert states(path) == {"a": "done", "b": "waiting", "c": "waiting"}
    process = begin(path, "-j", 1, plugin=plugin)
    wait_for(lambda: has_begun(out, "b"))
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert any("Ctrl-C again stops now" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert states(path) == {"a": "done", "b": "preempted", "c": "waiting"}
    assert set(products(out)) == {"a.h5"}


def test_a_disk_that_fills(tmp_path: Path, plugin: str) -> None:
    """A tmpfs of 2.5 MB: no further task is started; once there is room, the rest is done."""
    path = recipe(tmp_path, {name: {"rows": 500_000} for name in "abcd"})
    out = tmp_path / "out"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2500k", "tmpfs", str(out)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a file system; the limit on file size stands in")
    try:
        done = batch(path, "-j", 1, plugin=plugin, code=1)
        assert "No space left" in done.stderr and "no further task is started" in done.stderr
        assert states(path) == {"a": "done", "b": "done", "c": "disk-full", "d": "disk-full"}
        assert set(products(out)) == {"a.h5", "b.h5"}
        subprocess.run(["mount", "-o", "remount,size=30m", str(out)], check=True)
        batch(path, "--failed", "-j", 1, command="retry", plugin=plugin)
        assert set(products(out)) == {"a.h5", "b.h5", "c.h5", "d.h5"}
    finally:
        subprocess.run(["umount", str(out)], check=True)


@pytest.mark.parametrize("reserved", [True, False])
def test_files_that_may_not_grow(
    tmp_path: Path, plugin: str, reserved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on the size of files, as a quota has it: the big one ends, the small one is done.

    Without a reservation the write itself fails, after which the worker leaves by `os._exit`.
    """
    if not reserved:
        monkeypatch.setenv("TRY_UNRESERVED", "1")
    path = recipe(tmp_path, {"big": {"rows": 2_000_000}, "small": {}})
    batch(path, "-j", 1, plugin=plugin, code=1, before=limiting(2**20))
    assert states(path) == {"big": "disk-full", "small": "done"}
    assert set(products(tmp_path / "out")) == {"small.h5"}


def test_an_input_that_vanishes(tmp_path: Path, plugin: str) -> None:
    path = recipe(tmp_path, {"a": {"sleep": 2}, "b": {}})
    gone = tmp_path / "in" / "b.try"
    process = begin(path, "-j", 1, "--json", plugin=plugin)
    wait_for(lambda: has_begun(tmp_path / "out", "a"))
    text = gone.read_text()
    told = os.stat(gone)
    gone.unlink()
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "vanished b: " in errors
    assert '"vanished": 1' in out
    gone.write_text(text)
    os.utime(gone, ns=(told.st_atime_ns, told.st_mtime_ns))
    assert states(path) == {"a": "done", "b": "vanished"}
    batch(path, "--failed", "-j", 1, command="retry", plugin=plugin)
    assert states(path) == {"a": "done", "b": "done"}


def test_two_parents_at_once(tmp_path: Path, plugin: str) -> None:
    path = recipe(tmp_path, {"a": {"sleep": 3}})
    process = begin(path, "-j", 1, plugin=plugin)
    wait_for(lambda: has_begun(tmp_path / "out", "a"))
    other = batch(path, plugin=plugin, code=4)
    assert f"process {process.pid} on " in other.stderr and "is at work here" in other.stderr
    assert states(path) == {"a": "running"}
    process.communicate(timeout=60)
    assert process.returncode == 0
