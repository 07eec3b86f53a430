"""The kernels as a processor with AVX2 and without AVX-512 runs them: vectors of 8 lanes."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import fastsig_kernels
import numpy as np
import pytest
from fastsig_kernels._simd import host_lanes
from fastsig_kernels.fft import fft_plan
from fastsig_kernels.spectrometer import Spectrometer
from thorough import THOROUGH, thorough

HERE = Path(__file__).resolve()

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or host_lanes() < 8,
    reason="needs a processor with AVX2",
)


def run(*command):
    """Run Python as on such a processor, with a cache of its own."""
    environment = dict(os.environ, NUMBA_CPU_NAME="haswell", NUMBA_CPU_FEATURES="")
    environment["NUMBA_CACHE_DIR"] = os.environ["NUMBA_CACHE_DIR"] + "/haswell"
    # The package, and what tests share.
    folders = Path(fastsig_kernels.__file__).parents[1], HERE.parents[1]
    environment["PYTHONPATH"] = os.pathsep.join(map(str, folders))
    result = subprocess.run([sys.executable, *command], env=environment, cwd=HERE.parents[2],
                            capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


STOKES = "Case(n_chan=8192, is_complex=False, n_pol=2, products='IQUV', lower=True, n_tap=8)"
TESTS = {
    "simd": ["::test_" + name for name in (
        "arithmetic", "fma_rounds_once_or_twice", "transpose", "interleave_and_back",
        "compiled_codelets", "lookup", "lanes_follow_the_environment")],
    "layout": ["::test_loading_numbers", "::test_loading_one_of_two_polarisations"],
    # Vectors of 2, 8 and 8 lanes; no pass, and some.
    "fft": [f"::test_error[{kind}-{log2}]" for log2 in (3, 6, 12)
            for kind in ("complex-forward", "real-inverse")] + ["::test_in_place"],
    "bitshuffle": [f"::test_planes[520-{item}]" for item in (1, 4)],
    "spectrometer": [f"::test_twin[{STOKES}]"],
    "periodicity": ["::test_sums_of_harmonics_equal_their_twin[32]"],
    "acceleration": ["::test_events_equal_their_twin[4-41.5-16]"],
}


@thorough
def test_the_same_tests():
    folder = HERE.parent.relative_to(HERE.parents[2])
    tests = [f"{folder}/test_kernel_{name}.py{test}" for name in TESTS for test in TESTS[name]]
    found = run("-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert " passed" in found and "skipped" not in found


def numbers():
    """Results, by name, of what has vectors as wide as the host's."""
    rng = np.random.default_rng(1)
    found = {"lanes": np.array(host_lanes())}
    for n in (64, 2**12):
        x = (rng.standard_normal((2, 2 * n)).astype("f4")).view("c8")
        found[f"fft {n}"] = fft_plan(n).process(x)
        if n > 64 or THOROUGH:  # no other test compiles short inverse transforms here
            found[f"back {n}"] = fft_plan(2 * n, kind="real", direction="inverse").process(
                fft_plan(2 * n, kind="real").process(x.view("f4")))
    plan = Spectrometer(8192, n_tap=8, n_pol=2, products="IQUV", n_int=5,
                        lower_sideband=True)
    x = rng.integers(-128, 128, (2, plan.history + 11 * plan.n_fft), "int8")
    valid = np.array([[0, plan.hop * 3], [plan.hop * 3 + 7, x.shape[1]]])
    for name, power in zip("IQUV", plan.process(x, valid=valid).swapaxes(0, 1), strict=True):
        found[name] = power
    found["weight"] = plan.weight
    return found


def test_numbers_agree(tmp_path):
    code = f"""
import runpy
import numpy as np
np.savez({str(tmp_path / "found.npz")!r}, **runpy.run_path({str(HERE)!r})["numbers"]())
"""
    run("-W", "error", "-c", code)
    here = numbers()
    with np.load(tmp_path / "found.npz") as there:
        assert there["lanes"] == 8 and set(there) == set(here)
        for name in sorted(set(here) - {"lanes"}):
            error = np.linalg.norm(there[name] - here[name]) / np.linalg.norm(here[name])
            # Rounding of transforms, and of their squares, on either side.
            assert error < 2e-6, name
