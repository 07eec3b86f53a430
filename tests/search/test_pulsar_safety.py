"""Full disks and killed searches for pulsars: nothing is left but the inputs."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cli import command, environment, fastsig, limiting
from search.spectra_made import chain, noise
from waiting import wait_for

OPTIONS = ["--dm", "0:200", "--loss", "0.05", "--period", "none", "--harmonics", "2", "-j", "1",
           "-q"]
#: No series are in memory, so that they are in a file beside the table.
ON_DISK = "import fastsig.reductions.periodic.request as request; request._SHARE = 0\n"


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    chain(noise(2**15)).write(tmp_path / "a.fil", bits=32, lossy=True)
    return tmp_path / "a.fil"


def _arguments(scan: Path) -> list[Any]:
    return ["search", "pulsars", scan, "-o", scan.with_name("a.ecsv"), *OPTIONS]


def test_a_full_disk_ends_the_search_with_one_line(scan: Path) -> None:
    done = fastsig(*_arguments(scan), code=4, before=ON_DISK + limiting(2**20))
    assert done.stderr.splitlines() == [
        f"fastsig: {scan.parent}: series cannot be written there: File too large"]
    assert os.listdir(scan.parent) == ["a.fil"]


def _has_series(pid: int) -> bool:
    """Whether a process has an open file without a name in a folder of tests."""
    with contextlib.suppress(OSError):
        for each in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                name = os.readlink(f"/proc/{pid}/fd/{each}")
                if name.endswith("(deleted)") and "pytest" in name:
                    return True
    return False


def test_a_killed_search_leaves_nothing(scan: Path) -> None:
    process = subprocess.Popen(command(*_arguments(scan), before=ON_DISK), env=environment())
    wait_for(lambda: process.poll() is not None or _has_series(process.pid), every=0.001)
    assert process.poll() is None
    process.kill()
    process.wait()
    assert os.listdir(scan.parent) == ["a.fil"]


def test_a_dry_run_refuses_a_memory_as_the_run_does(scan: Path) -> None:
    arguments = [*_arguments(scan), "--memory"]
    for size in ("50MB", "190MB"):
        lines = [fastsig(*arguments, size, *more, code=2).stderr.splitlines()
                 for more in ([], ["--dry-run"])]
        assert [len(each) for each in lines] == [1, 1]
        words = [each[0].split("MB")[0] for each in lines]
        assert words[0] == words[1] and "memory" in words[0]
    fastsig(*arguments, "2GB", "--dry-run")
    assert os.listdir(scan.parent) == ["a.fil"]


def test_a_series_of_two_thousand_million_samples_is_planned_within_the_memory(
        tmp_path: Path) -> None:
    """The files are sparse: nothing is read."""
    inf = (tmp_path / "a.inf")
    chain(noise(64)).dedisperse(10).to_series().write(tmp_path / "a.dat", lossy=True)
    text = inf.read_text()
    for n, code, message in (
            (2**31, 2, "memory = 4000 MB; this search requires 4"),
            (2**31 + 8, 2, "a series of 2147483656 samples; allowed: 64 to 2147483648")):
        os.truncate(tmp_path / "a.dat", 4 * n)
        inf.write_text("\n".join(
            f"{line.split('=')[0]}= {n}" if "Number of bins" in line else line
            for line in text.splitlines()) + "\n")
        done = fastsig("search", "pulsars", tmp_path / "a.dat", "-o", tmp_path / "a.ecsv",
                       "--memory", "4GB", "--period", "none", code=code)
        assert message in done.stderr and len(done.stderr.splitlines()) == 1
    assert sorted(os.listdir(tmp_path)) == ["a.dat", "a.inf"]


@pytest.mark.parametrize(("name", "options", "search"), [
    ("a.csv", ["--period", "none"], "fast folding"),
    ("a.accel", ["--harmonics", "0", "--period", "0.01s:0.1s"], "the Fourier search")])
def test_a_format_of_the_other_search_is_refused(scan: Path, name: str, options: list[str],
                                                 search: str) -> None:
    done = fastsig("search", "pulsars", scan, "-o", scan.with_name(name), "--dm", "0:20", *options,
                   code=2)
    assert f"contains the candidates of {search}, which this search does not" in done.stderr
