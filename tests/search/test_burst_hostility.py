"""Searches for bursts in data that nothing can be found in, without room, and interrupted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cli import begin, fastsig, limiting
from search.spectra_made import SAMPLE_S, chain, noise, with_bursts

from fastsig.run.candidate_files import read_candidates, write_candidates
from fastsig.simulate.injections import Injection

GIVEN = ("--dm", "0:100", "--width", "2ms:30ms")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise with a burst in it."""
    path = tmp_path_factory.mktemp("hostile") / "a.fil"
    chain(with_bursts(noise(9000), [Injection(5.0, 50.0, 10e-3, 30.0)])).write(
        path, bits=32, lossy=True)
    return path


def _search(path: Path, output: Path, *more: object, **options: object) -> str:
    done = fastsig("search", "bursts", path, "-o", output, *GIVEN, *more, **options)
    return done.stderr + done.stdout


def test_a_file_that_is_flagged_entirely_gives_an_empty_table(
        recording: Path, tmp_path: Path) -> None:
    (tmp_path / "mask.txt").write_text("1000MHz-1500MHz\n")
    text = _search(recording, tmp_path / "a.ecsv", "--mask", tmp_path / "mask.txt")
    assert "0 candidates" in text
    found = read_candidates(tmp_path / "a.ecsv")
    assert len(found) == 0
    for kind in ("singlepulse", "heimdall", "transientx"):
        write_candidates(found, tmp_path / f"a.{kind}", to=kind)


def test_measures_beyond_the_data_find_the_part_of_a_burst_that_is_there() -> None:
    # At this measure a burst takes 0.98 s to cross the band, and the data end after 0.7 s of it.
    data = with_bursts(noise(1200), [Injection(0.5, 800.0, 20e-3, 30.0)])
    found = chain(data).bursts((0, 1500), width="2ms:60ms")
    assert len(found) == 1
    assert abs(found.values("dm")[0] - 800) < 4 * found.values("dm_error")[0]
    assert abs(found.values("time_s")[0] - 0.5) < 0.05
    assert 0.5 < found.values("valid_share")[0] < 0.9
    assert 20 < found.values("snr")[0] < 30


def test_a_storm_of_interference_is_bounded_and_what_was_left_out_is_reported(
        tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    data = noise(9000)
    data[rng.random(9000) < 0.2] += 30
    chain(data).write(tmp_path / "a.fil", bits=32, lossy=True)
    few = ("from fastsig.search.bursts import engine, groups\n"
           "engine.BurstSearch.__init__.__kwdefaults__['most'], groups.MOST = 50, 5\n")
    text = _search(tmp_path / "a.fil", tmp_path / "a.ecsv", before=few)
    assert "fainter events and" in text and "were left out, because there were too many" in text
    found = read_candidates(tmp_path / "a.ecsv")
    assert found.meta["n_event"] == 50 and found.meta["n_dropped"] > 500
    assert len(found) <= 5


def test_a_full_disk_leaves_nothing(recording: Path, tmp_path: Path) -> None:
    text = _search(recording, tmp_path / "a.ecsv", code=4, before=limiting(1000))
    assert f"{tmp_path / 'a.ecsv'}: cannot be written: File too large" in text
    assert not list(tmp_path.iterdir())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, which only a privileged user may mount."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk],
                          capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a file system of 1 MB cannot be mounted: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no program mount")
def test_a_file_system_without_room_for_the_table_or_for_a_cut_out(
        recording: Path, small_disk: Path) -> None:
    filler, table = small_disk / "filler", small_disk / "a.ecsv"
    filler.write_bytes(bytes(2**20 - 4096))
    text = _search(recording, table, "-q", code=4)
    assert text.splitlines() == [f"fastsig: {table}: cannot be written: No space left on device"]
    assert list(small_disk.iterdir()) == [filler]
    filler.write_bytes(bytes(10**6))
    text = _search(recording, table, "--cut-out", "1s", "-q", code=4)
    line, = text.splitlines()
    assert line.startswith(f"fastsig: {small_disk}/a_") and "No space left on device" in line
    assert sorted(small_disk.iterdir()) == [table, filler]  # the table is complete
    assert len(read_candidates(table)) == 1


def test_where_nothing_can_be_written_is_known_before_the_search(
        recording: Path, tmp_path: Path) -> None:
    for output, cause in ((tmp_path / "no" / "a.ecsv", "does not exist"),
                          (tmp_path, "is a folder"), (recording / "a.ecsv", "is not a folder")):
        begun = time.monotonic()
        text = _search(recording, output, "--to", "ecsv", code=4)
        assert cause in text and str(output) in text and len(text.splitlines()) == 1
        assert time.monotonic() - begun < 60


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143),
                                            (signal.SIGKILL, -signal.SIGKILL)])
def test_an_interrupted_search_writes_nothing(
        recording: Path, tmp_path: Path, sent: signal.Signals, code: int) -> None:
    process = begin("search", "bursts", recording, "-o", tmp_path / "a.ecsv", *GIVEN,
                    "--json-lines")
    time.sleep(0.2)
    process.send_signal(sent)
    text = "".join(process.communicate())
    assert process.returncode == code or os.path.exists(tmp_path / "a.ecsv")
    assert "Traceback" not in text
    for line in text.splitlines():
        assert not line.startswith("{") or json.loads(line)
    left = [each.name for each in tmp_path.iterdir()]
    if process.returncode == code and sent != signal.SIGKILL:
        assert not left
    _search(recording, tmp_path / "a.ecsv", "--overwrite")
    assert len(read_candidates(tmp_path / "a.ecsv")) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["a.ecsv"]


def test_one_channel_is_refused_with_the_name_of_the_file(tmp_path: Path) -> None:
    chain(noise(1000))[:, :1].write(tmp_path / "a.fil", bits=32, lossy=True)
    text = _search(tmp_path / "a.fil", tmp_path / "a.ecsv", code=2)
    assert "a.fil" in text and "the band has one channel" in text
    assert SAMPLE_S and not (tmp_path / "a.ecsv").exists()
