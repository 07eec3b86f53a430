"""The command line as its users meet it: output, exit codes, one clear line an error."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from cli import ONE_FORM, ROOT, command, environment, fastsig
from streams import header, noise, write_native

import fastsig as fs
from fastsig.work.memory import parse_bytes


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(2)
    path = tmp_path_factory.mktemp("cli") / "voltages.h5"
    return write_native(path, noise(rng, 500_000), header())


INFO = {"path", "format", "kind", "n_time", "n_pol", "n_chan", "n_bits", "complex", "source",
        "sample_rate_hz", "tsamp_s", "start_time", "duration_s", "frequency_mhz", "telescope",
        "ra_deg", "dec_deg", "valid_fraction", "warnings"}


def test_info_json(recording: Path, tmp_path: Path) -> None:
    (fields,) = json.loads(fastsig("info", recording, "--json").stdout)
    assert set(fields) >= INFO
    assert fields["kind"] == "voltage" and fields["n_time"] == 500_000 and fields["n_bits"] == 8
    assert fields["start_time"] == "2021-03-04T05:06:07.123456789"
    assert fields["frequency_mhz"] == [1000.0, 1000.5] and fields["valid_fraction"] == 1
    assert fields["sample_rate_hz"] == 1e6 and fields["duration_s"] == 0.5
    fastsig("spectra", recording, "-o", tmp_path / "s.h5", "--n-chan", 50, "--integrate", "10ms")
    shallow, deep = (json.loads(fastsig("info", tmp_path / "s.h5", "--json", *more).stdout)[0]
                     for more in ((), ("--deep",)))
    assert shallow["kind"] == "spectra" and shallow["valid_fraction"] is None
    assert 0.9 < deep["valid_fraction"] <= 1 and shallow["sample_rate_hz"] is None
    assert deep["tsamp_s"] == pytest.approx(0.01)


def test_info_goes_on_after_a_bad_file(recording: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.h5"
    bad.write_bytes(recording.read_bytes()[:5000])
    done = fastsig("info", bad, recording, tmp_path / "absent", "--json", code=1)
    records = json.loads(done.stdout)
    assert ["error" in record for record in records] == [True, False, True]
    assert "bad.h5: truncated: 5000 of" in done.stderr and "absent: No such file" in done.stderr
    text = fastsig("info", recording).stdout
    assert "start_time       2021-03-04T05:06:07.123456789" in text


BAD = {
    "no such command": (("frobnicate",), 2, "No such command"),
    "no such option": (("info", "--frobnicate", "x"), 2, "No such option"),
    "odd channels": (("spectra", "IN", "-o", "OUT", "--n-chan", "33"), 2, "even number"),
    "too many channels": (("spectra", "IN", "-o", "OUT", "--n-chan", "100000"), 2, "needs 1600000"),
    "a window": (("spectra", "IN", "-o", "OUT", "--n-chan", "32", "--window", "x"), 2, "hamming"),
    "two integrations": (("spectra", "IN", "-o", "OUT", "--n-chan", "32", "--n-int", "3",
                          "--integrate", "1ms"), 2, "not both"),
    "a time in metres": (("spectra", "IN", "-o", "OUT", "--n-chan", "32", "--integrate", "1m"), 2,
                         "not a value in s"),
    "a memory": (("spectra", "IN", "-o", "OUT", "--n-chan", "32", "--memory", "much"), 2,
                 "not a size"),
    "too little memory": (("spectra", "IN", "-o", "OUT", "--n-chan", "32", "--memory", "1MB"), 2,
                          "below the floor"),
    "a set": (("info", "IN", "--set", "frequency"), 2, "KEY=VALUE"),
    "an unknown set": (("spectra", "IN", "-o", "OUT", "--n-chan", "32", "--set", "x=1"), 2,
                       "unknown override 'x'"),
    "a span outside": (("spectra", "IN", "-o", "OUT", "--n-chan", "32", "--tstart", "9s"), 2,
                       "no rows"),
    "no channels": (("spectra", "IN", "-o", "OUT", "--n-chan", "32", "--fstart", "2GHz"), 2,
                    "no channels"),
    "a picture": (("view", "IN", "-o", "OUT.txt"), 2, "a picture ends in"),
    "a product": (("view", "IN", "-o", "OUT.png", "--product", "Z"), 2, "voltages have no"),
    "absent": (("spectra", "ABSENT", "-o", "OUT", "--n-chan", "32"), 3, "No such file"),
    "empty": (("spectra", "EMPTY", "-o", "OUT", "--n-chan", "32"), 3, "the file is empty"),
    "not a recording": (("view", "TEXT", "-o", "OUT.png"), 3, "not a file of a known format"),
    "a folder": (("spectra", "FOLDER", "-o", "OUT", "--n-chan", "32"), 3, "is a folder"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_line_and_the_right_code(name: str, recording: Path, tmp_path: Path) -> None:
    arguments, code, text = BAD[name]
    (tmp_path / "EMPTY").touch()
    (tmp_path / "TEXT").write_text("hello")
    (tmp_path / "FOLDER").mkdir()
    words = [str(recording) if word == "IN" else word for word in arguments]
    before = sorted(os.listdir(tmp_path))
    done = fastsig(*words, code=code, cwd=tmp_path)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("try ")]
    assert len(lines) == 1 and lines[0].startswith("fastsig: ") and text in lines[0], done.stderr
    assert sorted(os.listdir(tmp_path)) == before


def test_spectra_of_spectra_is_refused(recording: Path, tmp_path: Path) -> None:
    fastsig("spectra", recording, "-o", tmp_path / "s.h5", "--n-chan", 50, "--integrate", "10ms")
    done = fastsig("spectra", tmp_path / "s.h5", "-o", tmp_path / "t.h5", "--n-chan", 2, code=3)
    assert "s.h5: contains spectra; allowed: voltages" in done.stderr


def test_dry_run_touches_nothing(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    done = fastsig("spectra", recording, "-o", out, "--n-chan", 64, "--dry-run")
    first, second, third = done.stdout.splitlines()
    assert first.startswith("time under 1 s on ") and second.startswith("memory about ")
    assert third.startswith(f"would write {out}: up to ") and third.endswith(" MB free")
    assert os.listdir(tmp_path) == []
    told = fastsig("spectra", recording, "-o", out, "--n-chan", 64, "--dry-run", "--explain").stdout
    for word in ("Spectrometer", "channelize+detect", "overlap", "align"):
        assert word in told and word not in done.stdout


def test_spectra_does_what_the_library_does(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    # No vector code, which would be compiled for this number of taps.
    done = fastsig("spectra", recording, "-o", out, "--n-chan", 50, "--products", "IQUV",
                   "--integrate", "0.77ms", "--window", "kaiser:9", "--n-tap", 6, "--verify",
                   "--explain")
    assert "spectra of 0.0008 s" in done.stderr  # the actual time, a whole number of spectra
    chain = fs.open(recording).channelize(50, n_tap=6, window="kaiser:9").detect("IQUV")
    chain.integrate(n_int=8).write(tmp_path / "library.h5")
    assert out.read_bytes() == (tmp_path / "library.h5").read_bytes()
    fastsig("spectra", recording, "-o", out, "--n-chan", 50, "--products", "IQUV", "--n-int", 8,
            "--window", "kaiser:9", "--n-tap", 6, "--overwrite", "--unfused", "-q", "-j", 1)
    assert out.read_bytes() == (tmp_path / "library.h5").read_bytes()


def test_spans(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    fastsig("spectra", recording, "-o", out, "--n-chan", 64, "--tstart", "100ms", "--tstop",
            "2021-03-04T05:06:07.323456789", "--fstart", "1000.1MHz", "--fstop", "1000.2MHz")
    chain = fs.open(out)
    assert chain.shape == (100_000 // 128 - 7, 1, 13)
    assert chain.frequency.value.min() >= 1000.1 and chain.frequency.value.max() <= 1000.2
    whole = fs.open(recording)[100_000:200_000].channelize(64).detect("I").read()
    np.testing.assert_array_equal(chain.read().values, whole.values[:, :, 13:26])


def test_validate(recording: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.h5"
    content = bytearray(recording.read_bytes())
    content[len(content) // 4] ^= 1
    bad.write_bytes(content)
    done = fastsig("validate", recording, bad, code=1)
    assert done.stdout == f"{recording}: good\n"
    assert "bad.h5: checksum of polarisation 0 fails" in done.stderr
    fastsig("spectra", bad, "-o", tmp_path / "x.h5", "--n-chan", 64, "--verify", code=3)
    assert os.listdir(tmp_path) == ["bad.h5"]


def test_view_every_kind(recording: Path, tmp_path: Path) -> None:
    fastsig("spectra", recording, "-o", tmp_path / "s.h5", "--n-chan", 50, "--products", "IQUV")
    for source, more in ((recording, ()), (tmp_path / "s.h5", ("--product", "V"))):
        for suffix, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"),
                              (".html", b"<!doctype html>")):
            out = tmp_path / f"{source.stem}{suffix}"
            fastsig("view", source, "-o", out, *more)
            assert out.read_bytes().startswith(start) and out.stat().st_size > 5000
    page = (tmp_path / "s.html").read_text()
    assert "://" not in page and 'id="model"' in page  # nothing from elsewhere
    page = (tmp_path / f"{recording.stem}.html").read_text()
    assert "://" not in page and "data:image/png;base64," in page


def test_help_of_every_command_tells_its_options() -> None:
    text = fastsig("--help").stdout
    for name in ("info", "spectra", "simulate", "view", "validate", "doctor", "warmup"):
        assert name in text
        assert "Usage" in fastsig(name, "--help").stdout
    assert fs.__version__ in fastsig("--version").stdout


def test_doctor_and_warmup() -> None:
    report = json.loads(fastsig("doctor", "--json").stdout)
    assert report["numba"] and report["problems"] == []
    assert "kernels" in fastsig("warmup", before=ONE_FORM).stderr
    assert "were in the cache already" in fastsig("warmup", before=ONE_FORM).stderr
    assert fastsig("warmup", "-q", before=ONE_FORM).stderr == ""


#: Python that hides a package, as if it were not installed.
HIDE = """
import importlib.metadata, sys
class Hidden:
    def find_spec(self, name, *_):
        if name == LACK.replace("-", "_"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
def version(name, real=importlib.metadata.version):
    if name == LACK:
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)
sys.meta_path.insert(0, Hidden())
importlib.metadata.version = version
"""


@pytest.mark.parametrize("name", [
    "numpy", "scipy", "numba", "llvmlite", "astropy", "astropy-iers-data", "h5py", "matplotlib",
    "rich"])
def test_doctor_reports_a_missing_package(name: str) -> None:
    done = subprocess.run(command("doctor", "--json", before=f"LACK = {name!r}\n{HIDE}"),
                          env=environment(), capture_output=True, text=True, timeout=100)
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["problems"] == [f"{name} is not installed"] and report[name] == "missing"
    assert report["executable"]


def test_doctor_lists_what_is_required() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = {re.split("[<>=]", each)[0] for each in project["dependencies"]}
    assert required <= set(json.loads(fastsig("doctor", "--json").stdout))


def test_doctor_tells_which_kernels_are_compiled(tmp_path: Path) -> None:
    before = f"import os; os.environ['NUMBA_CACHE_DIR'] = {str(tmp_path / 'cache')!r}\n"

    def compiled(code: str = "") -> str:
        report = json.loads(fastsig("doctor", "--json", before=before + code).stdout)
        return str(report["kernels compiled"])

    assert compiled() == "no"
    one = compiled("from fastsig.cli.warming import voltages; voltages()\n")
    assert one.startswith("in part: nothing for banks, ") and "voltages" not in one


def test_the_first_compile_is_said_once(recording: Path, tmp_path: Path) -> None:
    def converted() -> str:
        before = f"import os; os.environ['NUMBA_CACHE_DIR'] = {str(tmp_path / 'cache')!r}\n"
        return fastsig("convert", recording, "-o", tmp_path / "c.h5", "--bits", 16, "--overwrite",
                       before=before).stderr

    assert converted().count("compiling kernels; once") == 1
    assert "compiling" not in converted()


def test_internal_errors_are_told_apart(recording: Path) -> None:
    before = "import fastsig.io.opening; fastsig.io.opening.describe = lambda *a, **k: 1 / 0\n"
    done = fastsig("info", recording, code=70, before=before)
    assert "internal error: ZeroDivisionError" in done.stderr and "--debug" in done.stderr


def test_sizes() -> None:
    assert parse_bytes("500MB") == 500_000_000 and parse_bytes("1.5GiB") == 3 * 2**29
    assert parse_bytes("2g") == 2 * 10**9 and parse_bytes("7") == 7
    for text in ("", "MB", "-1MB", "0", "1.2.3MB", "1 parsec"):
        with pytest.raises(fs.UsageError):
            parse_bytes(text)


def test_memory_bounds_the_whole_process(tmp_path: Path) -> None:
    """128 MB of voltages under a bound a little above the floor; the process's own peak tells."""
    out = tmp_path / "big.h5"
    fastsig("simulate", "fast-voltage", "-o", out, "--duration", "64ms")
    words = ("spectra", out, "-o", tmp_path / "s.h5", "--n-chan", 4096, "--products", "IQUV",
             "--n-int", 8, "-j", 2, "--overwrite")
    told = """
import atexit
from fastsig.work.memory import peak_bytes
atexit.register(lambda: print(peak_bytes()))
"""
    fastsig(*words)  # so that no kernel is left to compile
    refused = fastsig(*words, "--memory", "50MB", code=2, before=told).stderr
    floor = int(refused.rpartition(", ")[2].removesuffix("MB\n"))
    for bound in (floor + 15, 1000):
        peak = int(fastsig(*words, "--memory", f"{bound}MB", before=told).stdout)
        assert peak < bound * 10**6


def test_blas_has_one_thread_in_commands_unless_the_user_says_otherwise():
    text = ("import os, sys; from fastsig.cli import main as m; "
            "m.run = lambda alone: print(os.environ['OPENBLAS_NUM_THREADS'], "
            "'numpy' in sys.modules); "
            "m.main()")
    given = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    for more, threads in (({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")):
        done = subprocess.run([sys.executable, "-c", text], env={**given, **more}, text=True,
                              capture_output=True, check=True)
        assert done.stdout.split() == [threads, "False"]
