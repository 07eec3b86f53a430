"""The bench runs, its idioms agree with the kernels, and the hot loops are vector code."""

from __future__ import annotations

import importlib
import json
import os
import platform
import re
import subprocess
import sys

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from fastsig_kernels import Channelizer, detect, detect_accumulate, unpack

from bench import __main__ as command
from bench import idioms, machine
from bench.cases import CASES
from bench.timing import Case, Scale, Task, Timing, measure

LINE = re.compile(r"^(\S+) +(\S+) ms +(\S+) (MS|Mvalues|starts)/s +(\S+)  \S")


def run_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=machine.ROOT, capture_output=True,
        text=True, timeout=240, env={**os.environ, "PYTHONPATH": path},
    )


def test_quick_run_prints_every_case_with_a_rate():
    before = sorted(machine.RESULTS.glob("*"))
    done = run_bench("--quick", "--no-save")
    assert done.returncode == 0, done.stderr
    found = {line[1]: line for line in map(LINE.match, done.stdout.splitlines()) if line}
    assert list(found) == [case.name for case in CASES]
    for line in found.values():
        assert float(line[2]) > 0 and float(line[3]) > 0 and float(line[5]) > 0
    assert sorted(machine.RESULTS.glob("*")) == before


def test_list_and_pattern(capsys):
    assert command.main(["--list", "--case", "spectra-*"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [case.name for case in CASES if case.name.startswith("spectra-")]
    assert len(names) == 4
    assert command.main(["--case", "no-such-case"]) == 2
    assert "no-such-case" in capsys.readouterr().err


def test_calls_take_turns_and_the_task_is_closed(tmp_path):
    order = []
    task = Task(6, lambda: order.append("a"), {"b": lambda: order.append("b")},
                lambda: order.append("end"))
    scale = Scale(False, tmp_path)
    result = measure(Case("x", "MS", lambda scale: task, ""), scale)
    assert order == ["a", "b"] * (1 + scale.repeats) + ["end"]
    assert len(result.call.seconds) == len(result.yardsticks["b"].seconds) == scale.repeats


def test_best_rate_and_ratio_of_known_times():
    record = Timing((3.0, 2.0, 4.0)).record(10)
    assert (record["best_s"], record["median_s"], record["rate"]) == (2, 3, 5)
    result = command.Result(CASES[0], 10, Timing((2.0, 3.0)), {"peer": Timing((9.0, 8.0))})
    assert result.rate == 5
    assert result.ratios() == {"peer": 4}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    scale = Scale(True, folder)
    record = machine.start_record(quick=True, pattern="detect*", repeats=scale.repeats)
    cases = [measure(case, scale).record() for case in command.select("detect*")]
    return machine.save(record, cases, folder)


def test_json_has_its_fields(saved):
    record = json.loads(saved.read_text())
    host, found = record["machine"], record["versions"]
    assert set(host) == {"cpu", "model", "cores", "memory_bytes", "lanes", "load"}
    assert host["cores"] >= 1 and host["memory_bytes"] > 0 and host["lanes"] in (4, 8, 16)
    assert set(found) == {
        "python", "numpy", "scipy", "numba", "llvmlite", "h5py", "fastsig", "commit"}
    assert found["numpy"] == np.__version__
    assert found["commit"] is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", found["commit"])
    assert [case["name"] for case in record["cases"]] == ["detect", "detect-sum"]
    for case in record["cases"]:
        assert case["unit"] == "Mvalues" and case["work"] > 0
        assert case["rate"] == pytest.approx(case["work"] / case["best_s"])
        for peer in case["yardsticks"].values():
            assert peer["ratio"] == pytest.approx(case["rate"] / peer["rate"])


def test_file_name_tells_a_part_from_a_whole_run(saved):
    record = json.loads(saved.read_text())
    stem = f"{record['date'][:10]}-{record['machine']['cpu']}"
    assert saved.name == f"{stem}-quick-part.json"
    assert machine.file_name({**record, "quick": False, "pattern": None}) == f"{stem}.json"


@pytest.mark.parametrize("n_bits", [2, 4])
def test_unpack_idiom_agrees(rng, n_bits):
    packed = rng.integers(0, 256, idioms._BYTES + 5, dtype=np.uint8)
    out = np.full(packed.size * 8 // n_bits, np.nan, np.float32)
    idioms.unpack(packed, idioms.unpack_table(n_bits), out)
    np.testing.assert_array_equal(out, unpack(packed, n_bits))


def test_filter_bank_idiom_agrees(rng):
    bank = Channelizer(64, n_tap=8)
    n_frame = 2 * idioms._FRAMES + 3
    x = rng.integers(-128, 128, bank.n_sample(n_frame)).astype(np.int8)
    out = np.full((n_frame, 64), np.nan, np.complex64)
    idioms.polyphase(x, bank.taps, out)
    expected = bank.process(x)
    assert np.linalg.norm(out - expected) < 1e-6 * np.linalg.norm(expected)


def test_stokes_idioms_agree(rng):
    n_frame = 2 * idioms._FRAMES + 3
    x = rng.standard_normal((n_frame, 2, 20), dtype=np.float32).view(np.complex64)
    out = np.full((n_frame, 4, 10), np.nan, np.float32)
    idioms.stokes(x, out)
    # Values up to some 20, a few roundings of 2^-24 each; sums of 35 of them.
    np.testing.assert_allclose(out, detect(x, np.ones((n_frame, 3)), "IQUV")[0], atol=1e-5)
    total, expected = np.zeros((2, 4, 10), np.float32)
    idioms.stokes_sum(x, total)
    detect_accumulate(x, np.ones((n_frame, 3)), "IQUV", expected, np.zeros(4))
    np.testing.assert_allclose(total, expected, atol=1e-4)


# Vector code. The registers must be the wide ones where the host has them: half-filled xmm
# registers also turn up in loops that handle one complex number at a time.
HOST = llvm.get_host_cpu_features()
CHOSEN = any(name in os.environ for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"))
REGISTERS = "[yz]" if HOST.get("avx") and not CHOSEN else "[xyz]"
PACKED = re.compile(rf"\sv?(?:mul|add|sub|fn?m(?:add|sub)\d+)ps\s[^\n]*%{REGISTERS}mm\d")
x86 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"),
    reason="the check reads x86 assembly",
)


def assembly(function: numba.core.dispatcher.Dispatcher, *arguments: object) -> str:
    """Assembly of a kernel for these arguments, compiled anew: the cache keeps none."""
    left_out = ("cache", "nopython")
    options = {key: value for key, value in function.targetoptions.items() if key not in left_out}
    fresh = numba.njit(**options)(function.py_func)
    fresh(*arguments)
    return fresh.inspect_asm(fresh.signatures[0])


def is_packed(text: str) -> bool:
    return PACKED.search(text) is not None


def kernel(name: str) -> numba.core.dispatcher.Dispatcher:
    module, _, attribute = name.partition(".")
    return getattr(importlib.import_module(f"fastsig_kernels.{module}"), attribute)


def complex_row() -> np.ndarray:
    return np.ones(64, np.complex64)


def sums() -> np.ndarray:
    return np.zeros(64, np.float32)


ONE = np.float32(1)
LOOPS = {
    "fir.polyphase_fir_nb": lambda: (
        np.ones(192, np.int8), np.ones((2, 64), np.float32), np.empty((2, 64), np.float32)),
    "detection._add_power": lambda: (complex_row(), sums()),
    "detection._add_powers": lambda: (complex_row(), complex_row(), ONE, ONE, sums()),
    "detection._add_real": lambda: (complex_row(), complex_row(), ONE, sums()),
    "detection._add_imag": lambda: (complex_row(), complex_row(), ONE, sums()),
    "detection.detect_accumulate_nb": lambda: (
        np.ones((3, 2, 64), np.complex64), np.ones((3, 3)), np.array([4, 5, 6, 7]), 1, 1,
        np.zeros((4, 64), np.float32), np.zeros(4)),
    "integrate.accumulate_nb": lambda: (
        np.ones((3, 2, 64), np.float32), np.ones((3, 2)), np.zeros((2, 64), np.float32),
        np.zeros(2)),
}


@x86
@pytest.mark.parametrize("name", LOOPS)
def test_hot_loop_is_vector_code(name):
    assert is_packed(assembly(kernel(name), *LOOPS[name]()))


def serial(x, out):
    """Every value needs the one before it."""
    value = np.float32(0)
    for i in range(x.size):
        value = value * np.float32(0.5) + x[i]
        out[i] = value


def scattered(a, total):
    """Power, but of values in an order that only the data tells."""
    for i in range(a.size):
        total[int(a[i].real)] += a[i].real * a[i].real + a[i].imag * a[i].imag


@x86
@pytest.mark.parametrize(
    "function, arguments",
    [(serial, lambda: (np.ones(64, np.float32), sums())),
     (scattered, lambda: (complex_row(), sums()))],
)
def test_the_check_tells_scalar_code(function, arguments):
    text = assembly(numba.njit(error_model="numpy")(function), *arguments())
    assert re.search(r"v?mulss\s", text)
    assert not is_packed(text)
