"""Runs of bench, after the guards of its rates: by then most of their kernels are compiled."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from benches import environment

from bench import machine, scaling
from bench.cases import CASES
from bench.timing import Scale

pytestmark = pytest.mark.guard

LINE = re.compile(r"^(\S+) +(\S+) ms +(\S+) (MS|MB|Mvalues|starts)/s +fastsig$")
PEER = re.compile(r"^ +(\S+) ms +(\S+) (?:MS|MB|Mvalues|starts)/s +(\S+)  \S")


def run_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=machine.ROOT, capture_output=True,
        text=True, timeout=540, env=environment(),
    )


@pytest.mark.timeout(600)
def test_quick_run_prints_every_case_with_a_rate():
    before = sorted(machine.RESULTS.glob("*"))
    done = run_bench("--quick", "--no-save")
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    found = {line[1]: line for line in map(LINE.match, rows) if line}
    assert list(found) == [case.name for case in CASES]
    assert all(float(line[2]) > 0 and float(line[3]) > 0 for line in found.values())
    ratios = [float(line[3]) for line in map(PEER.match, rows) if line]
    assert all(np.isfinite(ratios))
    # Every case is followed by the peers with which its marks compare it.
    beside = dict.fromkeys(found, "")
    name = ""
    for row in rows:
        name = line[1] if (line := LINE.match(row)) else name
        if name:
            beside[name] += row + "\n"
    lacking = [(case.name, peer) for case in CASES for either in case.marks for mark in either
               for peer in mark.names if peer not in beside[case.name]]
    assert not lacking
    assert not any("mark" in row for row in rows)
    assert sorted(machine.RESULTS.glob("*")) == before


@pytest.mark.timeout(600)
def test_the_whole_command_is_timed_and_watched(tmp_path):
    done = run_bench("whole", "--no-save", "--small", "8MB", "--large", "32MB", "--rounds", "1",
                     "--dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    peak = re.search(r"mark below 1e9 bytes: (\S+) -", done.stdout)
    assert peak and 5e7 < float(peak[1]) < 1e10
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(600)
def test_scaling_measures_every_format(tmp_path):
    for n_bits in scaling.BITS:
        rate = scaling.cell(Scale(True, tmp_path), 64, 8, n_bits)["rate"]
        assert rate["1"] > 0 and rate["2"] > 0
