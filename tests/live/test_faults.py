"""What a session makes of faults: each has a line and a counter, and finished files are whole."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import begin as running
from live_runs import (
    SPECTRA,
    WORDS,
    Endless,
    Sender,
    errors_of,
    feeding,
    files,
    sink,
    status,
    until,
)
from streams import noise

import fastsig as fs
from fastsig.cli.live import _Screen
from fastsig.errors import OutputError
from fastsig.io.native import writer
from fastsig.live import session
from fastsig.live import status as status_file
from fastsig.live.clock import Clock
from fastsig.live.rolling import DiskFullError
from fastsig.live.settings import Settings, Source
from fastsig.live.sinks import rolling

PACKETS = ("--record", "native", "--beam", 1, "--set", "sample_rate=1638400Hz", "--epoch",
           "2026-01-02T00:00:00", "--ring", "16MB", "--roll", "300ms", *SPECTRA)


def all_are_whole(folder: Path) -> int:
    """Read all files; return their number."""
    found = files(folder, "*.h5")
    for each in found:
        assert fs.open(each).read().values.size
    return len(found)


@pytest.fixture
def receiving(tmp_path: Path) -> Iterator[Any]:
    """A session to which packets come, with files of both kinds already there."""
    data = noise(np.random.default_rng(1), 100_000)
    process = running("live", "udp://:0", "-o", tmp_path / "out", *PACKETS)
    until(lambda: status(tmp_path / "out")["sources"][0].get("receiver", {}).get("port"), 120)
    sender = Sender(status(tmp_path / "out")["sources"][0]["receiver"]["port"], data)
    try:
        until(lambda: all(sink(tmp_path / "out", kind).get("files")
                          for kind in ("record", "spectra")), 60)
        yield process
    finally:
        sender.close()
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)


def test_a_product_that_is_killed_begins_again(receiving: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pid = sink(out, "spectra")["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: sink(out, "spectra").get("pid") not in (None, pid))
    there = len(files(out, "spectra*.h5"))
    until(lambda: len(files(out, "spectra*.h5")) > there + 1)
    assert status(out)["sources"][0]["sink_deaths"] == 1
    receiving.send_signal(signal.SIGTERM)
    errors = errors_of(receiving, 30)
    assert receiving.returncode == 1, errors
    assert "spectra: the process was ended by SIGKILL; its unfinished file is lost" in errors
    assert "spectra: started again" in errors and all_are_whole(out) > 4


def test_a_disk_that_stalls_costs_only_its_product(receiving: Any, tmp_path: Path) -> None:
    """A process that is stopped is like one that waits for a disk."""
    out = tmp_path / "out"
    pid = sink(out, "record")["pid"]
    os.kill(pid, signal.SIGSTOP)
    there = sink(out, "spectra")["files"]
    until(lambda: sink(out, "record").get("lag", 0) > 1)  # of the whole ring
    until(lambda: sink(out, "spectra")["files"] > there + 2)
    assert sink(out, "spectra")["weight"] > 0.9
    receiving.send_signal(signal.SIGTERM)
    errors = errors_of(receiving, 60)
    assert receiving.returncode == 4, errors
    assert "record: lags by" in errors and "record: has not completed its file" in errors
    assert "spectra: has not" not in errors and all_are_whole(out) > 4


def test_a_disk_that_stalls_for_some_time_is_counted(receiving: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pid = sink(out, "record")["pid"]
    os.kill(pid, signal.SIGSTOP)
    until(lambda: sink(out, "record").get("lag", 0) > 1.2)
    os.kill(pid, signal.SIGCONT)
    until(lambda: sink(out, "record").get("overwritten", 0))
    there = sink(out, "record")["files"]
    until(lambda: sink(out, "record")["files"] > there)
    until(lambda: sink(out, "record")["lag"] < 0.2)
    looked = status(out)["running_s"]
    until(lambda: status(out)["running_s"] > looked)  # the supervisor has looked once more
    receiving.send_signal(signal.SIGTERM)
    errors = errors_of(receiving, 30)
    assert receiving.returncode == 0, errors
    assert "record: too slow: " in errors and "no longer lags" in errors
    assert sink(out, "record")["overwritten"] > 0  # also after the end
    valid = [fs.open(each).stream.valid_fraction() for each in files(out, "voltages*.h5")]
    assert 0 < np.mean(valid) < 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB, where this user may make one."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", place],
                          capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this user may not mount a file system")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_ends_what_is_written_there(tmp_path: Path, small_disk: Path) -> None:
    out, data = small_disk / "out", noise(np.random.default_rng(1), 100_000).tobytes()
    with feeding(tmp_path / "pipe", data):
        process = running("live", tmp_path / "pipe", "-o", out, "--record", "native", *SPECTRA,
                          "--roll", "1s", *WORDS)
        until(lambda: sink(out, "record").get("state") == "failed", 60)
        there = sink(out, "spectra")["files"]
        until(lambda: sink(out, "spectra")["files"] > there)
        process.send_signal(signal.SIGTERM)
        errors = errors_of(process, 30)
    assert process.returncode == 4, errors
    assert errors.count("the disk is full: this file ") == 1
    assert all_are_whole(out) > 4 and len(files(out, "voltages*.h5")) in (2, 3)
    assert sink(out, "spectra")["state"] == "ended"


@pytest.mark.parametrize("to", ["native", "dada", "vdif"])
def test_a_recording_leaves_room_for_other_products(small_disk: Path, to: str) -> None:
    """It ends before the disk is full, so that what is written at the same moment does not fail."""
    live = Endless(noise(np.random.default_rng(1), 4_000_000))
    made = rolling("record", live, Settings(str(small_disk), record=to, roll_s=Fraction(3, 4)), "",
                   lambda said: None, lambda: live)
    with pytest.raises(OutputError, match="the disk is full: "):
        made.run(workers=1)
    disk = os.statvfs(small_disk)
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    assert size / 16 <= free < size / 16 + 2**22
    (small_disk / "another").write_bytes(bytes(size // 16))


@pytest.mark.parametrize("writes", [2, 10**9])
def test_a_disk_that_is_full_leaves_no_empty_file(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """The second file cannot be begun."""
    original, written = writer.write_from, list[int]()

    def write_from(descriptor: int, samples: np.ndarray, offset: int) -> None:
        written.append(len(samples))
        if len(written) > writes:
            raise OSError(errno.ENOSPC, "full")
        original(descriptor, samples, offset)

    monkeypatch.setattr(writer, "write_from", write_from)
    live, said = Endless(noise(np.random.default_rng(1), 60_000)), list[dict[str, Any]]()
    made = rolling("record", live, Settings(str(tmp_path), record="native",
                                            roll_s=Fraction(1, 50)), "", said.append, lambda: live)
    full = writes == 2
    with pytest.raises(DiskFullError, match="is full: this file is not begun") if full else (
            contextlib.nullcontext()):
        made.run(workers=1)
    found = [fs.open(each).shape[0] for each in files(tmp_path, "voltages*.h5")]
    assert found == [20_000] * (1 if full else 3) and not files(tmp_path, ".*part")
    assert sum("wrote" in each for each in said) == len(found)


def test_a_status_that_cannot_be_written_ends_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    found = {"folder": str(tmp_path), "running_s": 1.0, "sources": []}
    with _Screen(str(tmp_path), [""], {"quiet": False, "metrics": None, "page": None}) as screen:
        with monkeypatch.context() as full:
            def fail(*_: Any, **options: Any) -> None:
                raise OutputError("x", "no space")

            full.setattr(status_file, "write_bytes", fail)
            screen.show(found)
            screen.show(found)
        screen.show(found)
        assert (tmp_path / status_file.FILE).exists()
    assert capsys.readouterr().err.count("the status cannot be written: x: no space") == 1


def test_a_process_that_dies_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After 20 deaths within an hour; those of a session of days do not add up."""
    now, beam = [0.0], session.Beam(Source("udp://:0", "", "none"))
    monkeypatch.setattr(session.time, "monotonic", lambda: now[0])
    for _ in range(50):
        assert beam.may_begin("record")
        beam.note_begun("record")
        now[0] += 200
    for _ in range(20):
        beam.note_begun("spectra")
    assert not beam.may_begin("spectra") and beam.may_begin("receiver")
    now[0] += 3601
    assert beam.may_begin("spectra")


def test_a_clock_that_steps_is_counted(tmp_path: Path) -> None:
    wall, steady = [1000.0], [5.0]
    clock, said = Clock(lambda: wall[0], lambda: steady[0]), list[str]()
    made = session.Session([Source("udp://:1", "", "none")], Settings(str(tmp_path), spectra=True),
                           said.append, lambda status: None, clock=clock)
    for by in (0.0, 0.01, -37.0, 0.0, 2.0):
        wall[0], steady[0] = wall[0] + 1 + by, steady[0] + 1
        made._look_at_clock()
    assert made.status()["clock_steps"] == 2 and len(said) == 2
    assert "stepped by -37 s" in said[0] and "stepped by +2 s" in said[1]
    assert any("has stepped 2 times" in line for line in status_file.lines(made.status()))
