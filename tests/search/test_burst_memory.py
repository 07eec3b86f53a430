"""The memory of a search for bursts: what a plan states, and whether it is true."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cli import environment

from fastsig.pulsar.stretches import Recording
from fastsig.search.bursts.engine import BurstSearch
from fastsig.search.bursts.plan import search_plan
from fastsig.work.memory import resident_bytes


@pytest.mark.parametrize("switch", [1.0, 1.5])
def test_a_beam_of_fast_takes_less_than_two_gigabytes(switch: float) -> None:
    """With room for the process, and for samples that are lost anywhere."""
    before = resident_bytes()
    band = Recording.of_band("1GHz", "500MHz", 4096, "49.152us")
    search = BurstSearch(search_plan(band, switch=switch), dtype="uint8")
    assert search.memory_bytes < 1.6e9
    # What it keeps is not in memory before it is needed, so that a plan counts it once.
    assert resident_bytes() - before < 0.3e9


def test_the_memory_is_stated_before_samples_are_lost() -> None:
    """Of all channels, of some, and here and there, in each block; in a process of its own."""
    done = subprocess.run([sys.executable, "-c", """
import numpy as np
from fastsig.pulsar.stretches import Recording
from fastsig.search.bursts.engine import BurstSearch
from fastsig.search.bursts.plan import search_plan
from fastsig.work.memory import resident_bytes
band = Recording.of_band("1GHz", "500MHz", 1024, "196.608us")
plan = search_plan(band, (0, 2000))
rng = np.random.default_rng(1)
x = rng.integers(60, 140, (4096, 1024), "u1")
small = BurstSearch(search_plan(band, (0, 2)), dtype="uint8")  # compiles
small.process(x, rng.random(x.shape) < 0.9)
small.finish()
del small
before = resident_bytes()
search = BurstSearch(plan, dtype="uint8")
stated, most = search.memory_bytes, 0
for k in range(16):
    valid = rng.random(x.shape, "f4") < 0.95
    valid[100 * k : 100 * k + 50] = valid[:, 10 * k : 10 * k + 8] = False
    search.process(x, valid)
    most = max(most, resident_bytes() - before)
assert search.memory_bytes < 1.01 * stated + 5e6, search.memory_bytes  # candidates of noise
assert 0.5 * stated < most < stated + 50e6, (stated, most)
"""], capture_output=True, text=True, env=environment(), timeout=300)
    assert done.returncode == 0, done.stderr
