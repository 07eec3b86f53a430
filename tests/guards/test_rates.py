"""Guards of rates, and of the vector code that they rest on: ``make guard``.

A rate is measured beside its yardstick, so that one machine is as good as another; whatever else
runs meanwhile disturbs both unequally, so these run after the tests, in one process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from benches import WIDE, environment, x86

from bench import excision, machine, peers, probe, readers, spectrometers, stages, transforms
from bench.timing import Case, Scale, Task, measure

pytestmark = pytest.mark.guard

#: Parts that are compiled apart, with few fused operations in their smallest form: a pass of radix
#: 2 has one twiddle, and a leaf that is its own partner one spectrum of each pair.
_FEW_FUSED = {"_passes.columns_nb": 4, "_detect.add_own_nb": 6}


class Probe:
    """A process that compiles the hot loops for a processor, and then times them on request.

    What it compiles stays in the cache, for the tests that come after.
    """

    def __init__(self, cache: str, **processor: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.probe"], cwd=machine.ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=environment(NUMBA_CACHE_DIR=cache, **processor),
        )

    def hear(self) -> str:
        line = self.process.stdout.readline()
        assert line, f"the probe ended with {self.process.wait()}"
        return line

    def seconds(self) -> float:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.hear())


@pytest.fixture(scope="module")
def probes() -> Iterator[dict[str, Probe]]:
    """This processor and one without AVX-512: they compile side by side."""
    cache = os.environ["NUMBA_CACHE_DIR"]
    made = {
        "host": Probe(cache),
        "haswell": Probe(f"{cache}/haswell", NUMBA_CPU_NAME="haswell", NUMBA_CPU_FEATURES=""),
    }
    try:
        for each in made.values():
            each.report = json.loads(each.hear())
        yield made
    finally:
        for each in made.values():
            each.process.stdin.close()
            each.process.wait(60)
            each.process.stdout.close()


@x86
@WIDE
@pytest.mark.timeout(600)
@pytest.mark.parametrize("processor", ["host", "haswell"])
def test_hot_loops_fill_the_registers(probes, processor):
    report = probes[processor].report
    lanes = report["lanes"]
    assert lanes == 8 if processor == "haswell" else lanes >= 8
    assert set(report["functions"]) == set(probe.HOT)
    for name, versions in report["functions"].items():
        assert versions, name
        for found in versions:
            where = f"{name}: {found}"
            own = min(lanes, 8) if name in probe.STACKED else lanes
            wide = found.get({16: "zmm", 8: "ymm"}[own], 0)
            # The last step moves numbers, and divides them at the most.
            least = -1 if name == "_passes.gather_nb" else 10
            assert wide >= 0.9 * found.get("vector", 0) > least, where
            assert found.get("fused", 0) > _FEW_FUSED.get(name, least), where
            assert found.get("scalar", 0) <= 8 and found["fma call"] == 0, where
            assert "gather" not in found, where


@x86
@WIDE
@pytest.mark.timeout(600)
@pytest.mark.parametrize("processor", ["host", "haswell"])
def test_hot_loops_of_16_bits_fill_the_registers(probes, processor):
    report = probes[processor].report
    register = {16: "short zmm", 8: "short ymm"}[report["lanes"]]
    assert set(report["short"]) == set(probe.SHORT)
    for name, versions in report["short"].items():
        assert versions, name
        for found in versions:
            assert found.get(register, 0) >= 0.9 * found.get("short", 0) > 10, f"{name}: {found}"


@x86
@WIDE
@pytest.mark.timeout(600)
def test_half_the_lanes_keep_their_rate(probes):
    if probes["host"].report["lanes"] == 8:
        pytest.skip("this processor has no AVX-512")
    for each in probes.values():
        each.seconds()
    best = {name: min(each.seconds() for _ in range(1)) for name, each in probes.items()}
    for _ in range(9):
        best = {name: min(best[name], each.seconds()) for name, each in probes.items()}
    ratio = best["host"] / best["haswell"]
    # Usual is 0.5 to 0.7.
    assert ratio >= 0.3


# Guards: a little above half of what is usual, so that only a loss of the vector code, or of
# the cache, falls below. Each is measured beside its yardstick, and again if that was noise.
ATTEMPTS = 4
GUARDS: dict[str, tuple[float, Callable[[Scale], Task]]] = {
    "fused-i": (1.2, partial(spectrometers.fused, names=(peers.SCIPY,))),
    "fused-iquv": (1.0, partial(spectrometers.fused, names=(peers.SCIPY,), n_pol=2,
                                products="IQUV", n_int=6)),
    "fused-65536": (0.8, partial(spectrometers.fused, names=(peers.SCIPY,), n_chan=2**16)),
    "fft-4096": (0.6, partial(transforms.transforming, n=2**12, names=(peers.FFTW,))),
    "fft-65536": (0.6, partial(transforms.transforming, n=2**16, names=(peers.FFTW,))),
    # Within the caches: where memory is slow, it alone is measured beyond them (7.1 GB/s, as of
    # np.copyto, on a processor that fills its cache at 21).
    "unpack-4bit": (1.6, partial(stages.unpacking, n_bits=4, n_byte=2**20)),
    "unpack-2bit": (0.9, partial(stages.unpacking, n_bits=2, n_byte=2**20)),
    "excise": (0.25, partial(excision.excising, excised=excision.everything)),
    "read-guppi": (0.3, partial(readers.to_kernel, to="guppi")),
    "read-vdif": (0.15, partial(readers.to_kernel, to="vdif")),
    "vdif-stream-2bit": (5.0, partial(readers.vdif_stream, n_bits=2)),
    "read-fbh5": (1.8, readers.fbh5),
}


@x86
@WIDE
@pytest.mark.parametrize("name", GUARDS)
def test_rate_is_not_lost(tmp_path, name):
    least, setup = GUARDS[name]
    found = []
    for _ in range(ATTEMPTS):
        result = measure(Case(name, "MS", setup, ""), Scale(False, tmp_path, rounds=5))
        ratios = result.ratios()
        found.append(min(ratios[peer] for peer in ratios if peer != transforms.COPY))
        if found[-1] >= least:
            return
    pytest.fail(f"{name}: found {found} x the yardstick, allowed {least} or more")


