"""The bench runs, its idioms agree with the kernels, and loops are vector code."""

from __future__ import annotations

import importlib
import json
import re

import numba
import numpy as np
import pytest
from benches import CHOSEN, HOST, WIDE, x86
from ephemerides import needs_pint
from fastsig_kernels import Channelizer, Spectrometer, detect, detect_accumulate, unpack
from fastsig_kernels._simd import Spec, host_lanes
from thorough import thorough

import fastsig as fs
from bench import __main__ as command
from bench import (
    commands,
    dispersion_accuracy,
    idioms,
    live,
    live_beams,
    live_soak,
    live_trigger,
    machine,
    peers,
    probe,
    scaling,
    sessions,
    spectra_files,
    toa_accuracy,
    whole,
)
from bench.cases import CASES
from bench.timing import Case, Mark, Result, Scale, Task, Timing, Yardstick, measure


def test_several_patterns():
    found = [case.name for case in command.select("fused-i*,ifft-262144")]
    assert found == ["fused-i", "fused-i-2", "fused-iquv", "fused-iquv-2", "fused-iquv-threads",
                     "ifft-262144"]


def test_list_and_pattern(capsys):
    assert command.main(["--list", "--case", "spectra-*"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [case.name for case in CASES if case.name.startswith("spectra-")]
    assert len(names) == 4
    assert command.main(["--case", "no-such-case"]) == 2
    assert "no-such-case" in capsys.readouterr().err


def test_a_missing_library_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr(peers, "is_there", lambda name: name != "ducc0")
    assert command.main(["--quick", "--no-save", "--case", "fused-i"]) == 1
    assert "missing: ducc0" in capsys.readouterr().err


def test_calls_take_turns_and_the_task_is_closed(tmp_path):
    order = []
    task = Task(6, lambda: order.append("a"),
                {"b": lambda: order.append("b"), "c": Yardstick(lambda: order.append("c"), 2)},
                lambda: order.append("end"))
    scale = Scale(False, tmp_path)
    result = measure(Case("x", "MS", lambda scale: task, ""), scale)
    assert order == ["a", "b", "c"] * (1 + scale.repeats) + ["end"]
    assert len(result.call.seconds) == len(result.yardsticks["b"].seconds) == scale.repeats
    assert [timing.work for timing in result.yardsticks.values()] == [6, 2]


def known(*marks: tuple[Mark, ...]) -> Result:
    """10 MS/s beside 2 and 4."""
    return Result(Case("x", "MS", lambda scale: None, "", marks), Timing((2.0, 3.0), 20),
                  {"slow": Timing((5.0, 6.0), 10), "fast": Timing((0.5, 0.5), 2)}, {"none": "gone"})


def test_best_rate_and_ratio_of_known_times():
    record = Timing((3.0, 2.0, 4.0), 10).record()
    assert (record["best_s"], record["median_s"], record["rate"]) == (2, 3, 5)
    assert known().rate == 10
    assert known().ratios() == {"slow": 5, "fast": 2.5}


def test_marks_of_known_times():
    low, high = Mark(2.5, ("slow", "fast")), Mark(2.6, ("slow", "fast"))
    result = known((low,), (high,), (high, low), (Mark(10.5),), (Mark(9.0),))
    assert [mark["met"] for mark in result.marks()] == [True, False, True, False, True]
    assert [mark["found"] for mark in result.marks()][1:4] == [[2.5], [2.5, 2.5], [10]]
    rows = command.lines(result)
    assert rows[3].strip() == "none: GONE"
    assert rows[4].strip() == "mark 2.5 x the fastest of slow, fast: 2.5 - met"
    assert rows[7].strip() == "mark 10.5 MS/s: 10 - MISSED"
    assert "marks met: 3 of 5" in command.verdict([result], quick=False)


def test_slope_of_known_times():
    runs = [[whole.Run(2.0, 100), whole.Run(1.0, 50)], [whole.Run(5.0, 2 * 10**9)]]
    found = whole.summary((10, 50), (1000, 9000), runs, 500, (0.5, 0.25))
    assert (found["slope_rate"], found["kernel_rate"], found["ratio"]) == (2000, 2000, 1)
    assert [mark["met"] for mark in found["marks"]] == [True, False]
    assert whole.size("1.5GB") == 1_500_000_000 and whole.size("20 kb") == 20_000


def test_a_command_that_writes_nothing_is_an_error(tmp_path):
    path = commands.dada_file(tmp_path, 10**6)
    found = fs.open(path)
    assert found.shape == (10**6, 2) and found.header.sample_rate == commands._RATE
    with pytest.raises(RuntimeError, match="digifil did not write 65536 bytes"):
        commands.digifil("true", path, 10**6).call()


def test_scaling_tables():
    cells = [{"n_chan": n, "n_tap": t, "bits": b, "rate": {"1": 100.0 * t, "2": 180.0 * t}}
             for n, t, b in ((64, 4, 8), (64, 8, 8), (4096, 8, 8), (4096, 8, 2), (4096, 8, 32))]
    assert scaling.by_channels(cells) == [
        "| channels | 4 taps | 8 taps |", "| --- | --- | --- |",
        "| 64 | 400 / 720 | 800 / 1440 |", "| 4096 |  | 800 / 1440 |"]
    rows = scaling.by_bits(cells)[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| 2", "| 8", "| float32"]


def test_snr_of_dispersed_pulses(capsys):
    """A small version of the table, with all its bounds; trials without bias."""
    found = dispersion_accuracy.run(quick=True, keep=False)
    assert len(found["cells"]) == 12 and not any(each.faults for each in found["cells"])
    assert {each.downsampling for each in found["cells"]} == {1, 4}
    for each in found["trials"]:
        assert 15 < each.mean_snr < 18 and abs(each.bias) < 3 * each.error
        assert 0.7 < each.scatter < 1.3
    assert "| 903.6 | 2 | 4 | 20 %, 10 % |" in capsys.readouterr().out


@thorough
@needs_pint
def test_times_of_arrival(capsys):
    """A small version of the figures, with all their bounds."""
    found = toa_accuracy.run(quick=True, keep=False)
    assert len(found) == 11 and all(each.is_right for each in found), capsys.readouterr().out


@thorough
def test_packets_are_received_in_both_ways(capsys):
    cell, = live.run(quick=True, keep=False)
    assert cell["floor"] > 0 and cell["placed"] > 0 and "ratio" in capsys.readouterr().out


@thorough
def test_late_lost_and_wrong_bursts_are_faults():
    right = {"posted_s": 1.1, "copied_s": 1.2, "dm": 499.9, "snr": 400.0, "coherent_dm": 499.99,
             "coherent_snr": 770.0, "fwhm_ms": 1.004}
    found = {"sent": 3, "dm": 500.0, "delay_s": 0.19, "exit": 0, "sender_exit": 0,
             "bursts": [right] * 3}
    assert not live_trigger.faults(found)
    found |= {"exit": 1, "bursts": [{**right, "copied_s": 2.3}, {**right, "coherent_dm": 498.0}]}
    wrong = live_trigger.faults(found)
    assert [each.split()[0] for each in wrong] == ["exit", "2", "burst", "burst"]
    assert len(live_trigger.lines({**found, "faults": wrong})) == 7


@pytest.mark.parametrize("beams", [1, 19])
def test_beams_are_all_right(capsys, tmp_path, beams):
    """A session whose spectra are those of files; every packet is counted."""
    found = live_beams.run(quick=True, keep=False, minutes=0, rate=0.002, beams=beams,
                           folder=tmp_path)
    assert not found["faults"] and len(found["compared"]) == beams
    for each in found["compared"]:
        assert each["equal"] >= 5 and each["incomplete"] <= 1 and each["different"] == 0
    assert "packets: " in capsys.readouterr().out


def test_faults_of_a_session():
    right = {"packets": 1000, "late_s": 0.0}
    counts = {"received": 1000, "placed": 1000, "lost": 0, "kernel_drops": 0, "overwritten": 0}
    for name, text in (("received", "999 received"), ("placed", "999 placed"),
                       ("lost", "999 packets lost"), ("kernel_drops", "999 packets dropped"),
                       ("overwritten", "999 samples overwritten")):
        found = {"exit": 0, "sent": [right], "counts": [{**counts, name: 999}]}
        assert any(text in each for each in live_beams.faults(found))
    found = {"exit": 1, "sent": [{**right, "late_s": 2}], "counts": [counts]}
    assert live_beams.faults(found) == ["exit code 1", "beam 1: the last packet was 2 s late"]
    some = {"rows": 2, "equal": 1, "incomplete": 0, "different": 1}
    found = {"exit": 0, "sent": [right], "counts": [counts], "compared": [some]}
    assert live_beams.faults(found) == [
        "beam 1: 2 spectra of 2, of which 1 differ and 0 are incomplete"]


def test_spectra_are_compared_byte_for_byte(tmp_path):
    """A bit of a value, and spectra in another order, are seen."""
    sessions.spectra_of(sessions.cycle_file(tmp_path / "x.dada", 1, 2, times=3)).write(
        tmp_path / "x.h5")
    values, weight = sessions.reference(tmp_path, 1, 2)
    files = [tmp_path / "x.h5"]
    assert sessions.compare(files, (values, weight)) == (6, 5, 1, 0)  # the last one is short
    wrong = values.copy()
    wrong.view(np.uint32)[1, 2, 77] ^= 1
    assert sessions.compare(files, (wrong, weight)) == (6, 3, 1, 2)
    assert sessions.compare(files, (values[::-1], weight)) == (6, 0, 1, 5)


def test_growth_of_a_session():
    """Memory that grows, or only varies, and a file that stays open."""
    used = [sessions.Usage(10.0 * i, 10**8 + 10**6 * i, 40 + (i > 50), {})
            for i in range(60)]
    found = live_soak.growth(used, 300)
    assert found["slope_per_hour"] == pytest.approx(6e6 * 60, rel=1e-4) and found["opened"] == 1
    assert len(live_soak._grown(found)) == 2 and found["growth"] > 3e6
    busy = [each._replace(private=10**8 + 10**7 * (i % 3), descriptors=40)
            for i, each in enumerate(used)]
    assert not live_soak._grown(live_soak.growth(busy, 300))
    dip = [each._replace(private=10**8 - 10**7 * (i == 33), descriptors=40)
           for i, each in enumerate(used)]  # memory that has just been returned, seen only once
    assert not live_soak._grown(live_soak.growth(dip, 300))
    flat = live_soak.growth([each._replace(private=10**8, descriptors=40) for each in used], 300)
    assert flat["spread"] == 0 and not live_soak._grown(flat)


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
    assert set(found) == {"python", "numpy", "scipy", "numba", "llvmlite", "h5py", "fastsig",
                          "commit", *machine.PEERS}
    assert found["numpy"] == np.__version__
    assert found["commit"] is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", found["commit"])
    assert [case["name"] for case in record["cases"]] == ["detect", "detect-sum"]
    for case in record["cases"]:
        assert case["unit"] == "Mvalues" and case["work"] > 0
        assert case["rate"] == pytest.approx(case["work"] / case["best_s"])
        assert case["missing"] == {} and case["marks"] == []
        for peer in case["yardsticks"].values():
            assert peer["ratio"] == pytest.approx(case["rate"] / peer["rate"])


def test_file_name_tells_a_part_from_a_whole_run(saved):
    record = json.loads(saved.read_text())
    stem = f"{record['date'][:10]}-{record['machine']['cpu']}"
    assert saved.name == f"{stem}-quick-part.json"
    full = {**record, "quick": False, "pattern": None}
    assert machine.file_name(full) == f"{stem}.json"
    assert machine.file_name({**full, "kind": "scaling"}) == f"{stem}-scaling.json"


class _StartedError(Exception):
    pass


def test_tables_have_files_of_their_own(monkeypatch):
    kinds = []

    def start(*, kind="cases", **_):
        kinds.append(kind)
        raise _StartedError

    monkeypatch.setattr(machine, "start_record", start)
    monkeypatch.setattr(peers, "is_there", lambda name: True)
    for other in command.OTHERS.values():
        with pytest.raises(_StartedError):
            other.run(quick=True, keep=False, **{name: usual for name, usual, _ in other.numbers})
    assert len(kinds) == len(set(kinds)) == len(command.OTHERS) and "cases" not in kinds


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


def test_spectrometer_idiom_agrees(rng):
    n_int, plan = idioms._FRAMES + 3, Spectrometer(64, n_int=idioms._FRAMES + 3, scale="sum")
    x = rng.integers(-128, 128, plan.taps.size + (3 * n_int - 1) * 128).astype(np.int8)
    out = np.full((3, 64), np.nan, np.float32)
    expected = plan.process(x)[:, 0]
    for idiom in (idioms.spectrometer, idioms.plain_spectrometer):
        out[:] = np.nan
        idiom(x, plan.taps, n_int, out)
        np.testing.assert_allclose(out, expected, rtol=1e-5)


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


def test_flag_idiom_agrees(rng):
    from fastsig.stages.flag_statistics import Settings, judge

    x = (100 + rng.standard_normal((128, 512))).astype("float32")
    x[40, 100] += 12
    x[60:100, 300] += 3
    x[90, 200:230] += 2.5
    found = idioms.flag(x, 5.0, 6.0, 101, 64)
    settings = Settings(5.0, 6.0, 64, 51, 101, np.zeros(512, bool))
    expected = judge(x, np.zeros(128, np.int8), power=True, settings=settings)
    for flags in (found, expected):
        assert flags[40, 100] and flags[60:100, 300].all() and flags[90, 200:230].mean() > 0.9
    assert (found != expected).mean() < 0.01


def test_psrfits_idioms_agree(tmp_path):
    from fastsig.io.psrfits import reader as psrfits
    from fastsig.io.psrfits.writer import PsrfitsWriter

    path = spectra_files.recording(tmp_path / "s.fits", PsrfitsWriter, "AABB", 32, n_block=32)
    expected = psrfits.open(path).read_block(0, 32).data
    assert np.ptp(expected) > 250
    for idiom in (idioms.psrfits, idioms.psrfits_in_place):
        out = np.full(expected.shape, np.nan, np.float32)
        idiom(path, out)
        np.testing.assert_array_equal(out, expected)


# Vector code. The registers must be the wide ones where the host has them: half-filled xmm
# registers also turn up in loops that handle one complex number at a time.
REGISTERS = "[yz]" if HOST.get("avx") and not CHOSEN else "[xyz]"
PACKED = re.compile(rf"\sv?(?:mul|add|sub|fn?m(?:add|sub)\d+)ps\s[^\n]*%{REGISTERS}mm\d")


def assembly(function: numba.core.dispatcher.Dispatcher, *arguments: object) -> str:
    """Assembly of a kernel for these arguments, compiled anew: the cache keeps none."""
    left_out = ("cache", "nopython", "no_cpython_wrapper")
    options = {key: value for key, value in function.targetoptions.items() if key not in left_out}
    fresh = numba.njit(**options)(function.py_func)
    fresh.compile(tuple(map(numba.typeof, arguments)))  # functions that only kernels call, too
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


MEMORY = np.zeros(4096, np.float32)
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
    "_boxcar_loops._above_nb": lambda: (
        Spec(first=(1, 2, 5), later=(8, 12), lanes=16), False, 0, 4, *(MEMORY.ctypes.data,) * 4,
        ONE),
    "_normalizing_loops._scale_row_nb": lambda: (
        np.ones(64, np.uint8), ONE, sums(), sums(), sums(), np.zeros(64, np.int8), ONE),
    "_normalizing_loops._halve_row_nb": lambda: (np.zeros(64, np.int8),) * 3,
    "_run_loops._fill_nb": lambda: (
        Spec(kind="u1", lanes=16), MEMORY.ctypes.data, 64, sums(), sums(), True,
        *(MEMORY.ctypes.data, 4096), sums()),
}


@x86
@pytest.mark.parametrize("name", LOOPS)
def test_hot_loop_is_vector_code(name):
    assert is_packed(assembly(kernel(name), *LOOPS[name]()))


def decoding(n_bits: int, values: str) -> tuple[object, ...]:
    """Arguments of the loop that decodes: 256 bytes, a table of levels, room for samples."""
    spec = Spec(lanes=host_lanes(), bits=n_bits, msb=False, values=values,
                past_cache=False)
    source, table, target = (MEMORY[start:].ctypes.data for start in (0, 64, 320))
    return spec, source, 0, 1, 1, 256, table, 4, ONE, target, 0, 4


#: Loops with little or no arithmetic on floats, and the instruction that does their work.
DECODE = "unpacking.blocks_nb"
MOVES = {
    "1 bit": (DECODE, "vperm(?:d|ps|ilps)", lambda: decoding(1, "levels")),
    "2 bits": (DECODE, "vperm(?:d|ps|ilps)", lambda: decoding(2, "levels")),
    "4 bits": (DECODE, "vperm(?:d|ps|ilps)", lambda: decoding(4, "levels")),
    "8 bits": (DECODE, "vcvtdq2ps", lambda: decoding(8, "signed")),
    "8 bits, offset": (DECODE, "vsubps", lambda: decoding(8, "offset")),
    "12 bits": (DECODE, "vcvtdq2ps", lambda: decoding(12, "offset")),
    "16 bits": (DECODE, "vcvtdq2ps", lambda: decoding(16, "signed")),
    "nearest": ("packing.nearest_codes_nb", "vpaddd", lambda: (
        sums(), np.arange(4, dtype=np.uint8), sums()[:4], sums()[:5], np.zeros(64, np.uint8))),
    "sums of spectra": ("_normalizing_loops._add_nb", "v(?:add|fmadd[0-9]+)pd", lambda: (
        np.ones(64, np.uint8), ONE, np.zeros(64, np.uint8), np.zeros(64), np.zeros(64))),
    "powers of codes": ("_code_sums.sum_codes_nb", "vpmulld", lambda: (
        np.ones((4, 64), np.uint8), np.zeros((5, 64), np.int64))),
    "rounding": ("packing.round_codes_nb", "v(?:rndscale|round)pd", lambda: (
        sums(), ONE, 0, 255, np.zeros(64, np.uint8))),
    "windows of samples": ("_run_loops._columns_above_nb", "vpaddw", lambda: (
        *(MEMORY.ctypes.data,) * 2, 64, MEMORY.ctypes.data, 0, MEMORY.ctypes.data)),
}


@x86
@WIDE
@pytest.mark.parametrize("name", MOVES)
def test_samples_are_decoded_and_encoded_by_vector_code(name):
    function, instruction, arguments = MOVES[name]
    text = assembly(kernel(function), *arguments())
    assert re.search(rf"\s{instruction}\s[^\n]*%{REGISTERS}mm\d", text)
    found = probe.count(text)
    assert "gather" not in found
    if function == DECODE:
        register = {16: "z", 8: "y"}[host_lanes()]
        assert len(re.findall(rf"\svmov\w+\s+%{register}mm\d+, [^,]*\(", text)) >= 2
        assert "scalar" not in found


RUNS = np.array([[0, 0, 0, 1, 33], [33, 1, 31, -1, 31]])  # channels of 64 points of real input


@x86
@WIDE
@pytest.mark.parametrize(("name", "arguments"), [
    ("_stack_loops._finish_nb", (sums(), 0, 64, 64, RUNS, sums(), sums().reshape(1, 64))),
    ("_stack_loops._put_channels_nb", (complex_row().reshape(1, 64), RUNS, True, complex_row())),
])
def test_results_are_copied_in_order(name, arguments):
    text = assembly(kernel(name), *arguments)
    assert "gather" not in text and "scatter" not in text
    assert re.search(rf"\svmov\w+\s+[^\n]*%{REGISTERS}mm\d", text)


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


def test_the_probe_counts_what_is_there():
    text = """
\tvfmadd213ps\t(%rax), %zmm1, %zmm2
\tvaddps\t%ymm1, %ymm2, %ymm3
\tvmulss\t%xmm1, %xmm2, %xmm3
\tvgatherdps\t(%rax,%zmm1), %zmm2 {%k1}
\tvpgatherqq\t(%rax,%zmm1), %zmm2 {%k1}
\tmovabsq\t$fmaf, %rax
\tcallq\t*%rax
"""
    assert probe.count(text) == {
        "fused": 1, "vector": 2, "zmm": 1, "ymm": 1, "scalar": 1, "gather": 2, "fma call": 1}
