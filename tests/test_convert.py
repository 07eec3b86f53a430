"""``convert``, ``cut``, ``simulate --to`` and standard input, as a user runs them."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cli import fastsig, piped
from streams import header, write_native

import fastsig as fs
from fastsig.axes.time import elapsed
from fastsig.errors import DoubtWarning

CHANNELLED = "frb_coarse_16MHz.*.raw"
ORDINARY = "frb_carrier_16MHz.h5"


def same(first: fs.Chain, second: fs.Chain) -> None:
    """The same samples, validity and clock."""
    assert first.shape == second.shape
    one, two = first.read(), second.read()
    np.testing.assert_array_equal(one.values, two.values)
    for a, b in zip(one.valid, two.valid, strict=True):
        np.testing.assert_array_equal(a, b)
    assert abs(elapsed(first.start_time, second.start_time)) < Fraction(2, 10**11)
    assert first.header.channels == second.header.channels


def test_convert_there_and_back(samples: Path, tmp_path: Path) -> None:
    names = sorted(map(str, samples.glob(CHANNELLED)))
    done = fastsig("convert", *names, "-o", "a.h5", cwd=tmp_path)
    assert "wrote a.h5" in done.stderr
    fastsig("convert", "a.h5", "-o", "b.{file}.dada", "-j", 1, cwd=tmp_path)
    assert sorted(path.name for path in tmp_path.glob("b*")) == ["b.0000.dada", "b.0001.dada"]
    fastsig("convert", "b", "-o", "c.raw", "--memory", "1GB", cwd=tmp_path)
    source = fs.open(names)
    same(source, fs.open(tmp_path / "a.h5"))
    same(source, fs.open(str(tmp_path / "b")))
    same(source, fs.open(tmp_path / "c.raw"))
    assert fs.open(tmp_path / "c.raw").stream.header.beam == 1
    record = fs.open(tmp_path / "a.h5").stream.provenance
    assert [each["name"] for each in record["inputs"][0]["files"]] == [
        Path(name).name for name in names]
    fastsig("validate", "a.h5", "b.0000.dada", "c.raw", cwd=tmp_path)


def test_losses_are_told_first(samples: Path, tmp_path: Path) -> None:
    done = fastsig("convert", samples / ORDINARY, "-o", "a.vdif", cwd=tmp_path, code=2)
    assert "no place for the sky frequency, the telescope" in done.stderr
    assert "--lossy writes it" in done.stderr and not os.listdir(tmp_path)
    done = fastsig("convert", samples / ORDINARY, "-o", "a.vdif", "--dry-run", cwd=tmp_path)
    assert "would write a.vdif: 9.0 MB of 8 bits" in done.stdout
    assert "would lose: vdif has no place for the sky frequency" in done.stdout
    done = fastsig("convert", samples / ORDINARY, "-o", "a.vdif", "--dry-run", "--json",
                   cwd=tmp_path)
    plan = json.loads(done.stdout)
    assert plan["outputs"] == ["a.vdif"] and plan["dry_run"] and plan["free_bytes"] > 0
    assert not os.listdir(tmp_path)
    done = fastsig("convert", samples / ORDINARY, "-o", "a.vdif", "--lossy", "--json", cwd=tmp_path)
    told = json.loads(done.stdout)
    assert told["outputs"] == ["a.vdif"] and told["format"] == "vdif" and told["n_bits"] == 8
    assert len(told["losses"]) == 1 and told["losses"][0] in done.stderr
    assert {key: plan[key] for key in told if key != "n_clipped"} == {
        key: value for key, value in told.items() if key != "n_clipped"}
    assert told["bytes"] == [os.path.getsize(tmp_path / "a.vdif")]
    source, found = fs.open(samples / ORDINARY), fs.open(tmp_path / "a.vdif")
    one, two = source.read(), found.read()
    np.testing.assert_array_equal(one.values, two.values)  # packets of 4096 are whole frames
    for a, b in zip(one.valid, two.valid, strict=True):
        np.testing.assert_array_equal(a, b)
    done = fastsig("convert", samples / ORDINARY, "-o", "a.raw", cwd=tmp_path, code=2)
    assert "real voltages do not fit into GUPPI RAW" in done.stderr


def test_wrong_use(samples: Path, tmp_path: Path) -> None:
    source = samples / ORDINARY
    for words, code, message in (
        (("-o", "x.dat"), 2, "its extension indicates no format"),
        (("-o", "x.dat", "--to", "wav"), 2, "'wav' is not one of"),
        (("-o", "x.h5", "--memory", "10MB"), 2, "below the floor"),
        (("-o", "x.h5", "--bits", "4"), 2, "bits = 4; allowed for native: 8, 16, 32"),
        (("-o", "no/x.h5"), 4, "the folder no does not exist"),
        (("-o", "x.dada", "--lossy"), 2, "needs 3 files; allowed: a name with {file} in it"),
        (("-o", "x.h5", "--file-size", "1MB"), 2, "native files are not split"),
        (("-o", "-"), 2, "-o '-': a product needs the name of a file"),
        (("-o", "x.h5", "--dry-run", "--memory", "10MB"), 2, "below the floor"),
        (("-o", "no/x.h5", "--dry-run"), 4, "the folder no: No such file or directory"),
        (("-o", "x.h5", "--set", "source=A", "--set", "source=A"), 2, "source is given twice"),
        (("-o", "x.h5", "--scale", "-1"), 2, "scale = -1"),
    ):
        done = fastsig("convert", source, *words, cwd=tmp_path, code=code)
        assert message in done.stderr and done.stderr.count("\n") <= 2, done.stderr
    fastsig("spectra", source, "-o", "s.h5", "--n-chan", 64, "-q", cwd=tmp_path)
    done = fastsig("cut", "s.h5", "-o", "t.h5", "--to", "vdif", cwd=tmp_path, code=2)
    assert "contains spectra; allowed: fbh5, sigproc" in done.stderr
    done = fastsig("cut", source, "-o", "t.h5", "--fstart", "1410MHz", cwd=tmp_path, code=2)
    assert "a band can be selected from channels only" in done.stderr
    assert os.listdir(tmp_path) == ["s.h5"]


def test_cut_is_exact(samples: Path, tmp_path: Path) -> None:
    names = sorted(map(str, samples.glob(CHANNELLED)))
    whole = fs.open(names)
    band = ("--fstart", "1416MHz", "--fstop", "1422MHz")
    fastsig("cut", *names, "-o", "cut.raw", "--tstart", "8.192ms", "--tstop",
            "2020-04-28T14:34:24.264336", *band, cwd=tmp_path)
    found = fs.open(tmp_path / "cut.raw")
    first, stop = 16_384, 28_672
    assert found.shape == (stop - first, 2, 3)
    expected = whole.stream.read_block(first, stop - first)
    block = found.stream.read_block(0, stop - first)
    np.testing.assert_array_equal(block.data, expected.data[:, :, 2:5])
    np.testing.assert_array_equal(block.valid[0] + first, expected.valid[0])
    assert found.frequency.value.tolist() == [1417, 1419, 1421]
    assert abs((found.start_time - whole.start_time).sec - 8.192e-3) < 2e-11
    # Where no block begins with the gap, GUPPI RAW cannot tell of it.
    odd = ("--tstart", "9ms", "--tstop", "14ms")
    done = fastsig("cut", *names, "-o", "odd.raw", *odd, cwd=tmp_path, code=2)
    assert "lost samples lie in blocks" in done.stderr and "native files keep" in done.stderr
    fastsig("cut", *names, "-o", "odd.h5", *odd, *band, cwd=tmp_path)
    block = fs.open(tmp_path / "odd.h5").read()
    np.testing.assert_array_equal(block.values,
                                  whole.stream.read_block(18_000, 10_000).data[:, :, 2:5])
    assert block.valid[0].tolist() == [[0, 2480], [6576, 10_000]]
    # Of the input's format, where the name tells none.
    fastsig("cut", *names, "-o", "cut.dat", "--tstop", "1ms", cwd=tmp_path)
    assert fs.info(tmp_path / "cut.dat")["format"] == "guppi"
    # Spectra of the cut are those of the whole, where no window reaches beyond it.
    for name, files in (("all.h5", names), ("part.h5", ["cut.raw"])):
        fastsig("spectra", *files, "-o", name, "--n-chan", 16, "--n-tap", 4, "-q", cwd=tmp_path)
    one = fs.open(tmp_path / "all.h5").read().values[first // 16 :, :, 32:80]
    two = fs.open(tmp_path / "part.h5").read().values
    np.testing.assert_array_equal(one[: len(two)], two)


def test_cut_of_spectra(samples: Path, tmp_path: Path) -> None:
    fastsig("spectra", samples / ORDINARY, "-o", "s.h5", "--n-chan", 64, "--n-int", 32, "-q",
            "--products", "AABB", cwd=tmp_path)
    fastsig("cut", "s.h5", "-o", "t.h5", "--tstart", "20ms", "--tstop", "40ms", "--fstart",
            "1410MHz", "--fstop", "1412MHz", cwd=tmp_path)
    whole, part = fs.open(tmp_path / "s.h5"), fs.open(tmp_path / "t.h5")
    first = round((part.start_time - whole.start_time).sec * whole.sample_rate.value)
    data, cut = whole.read(first, part.shape[0]), part.read()
    channels = slice(16, 16 + part.shape[2])
    np.testing.assert_array_equal(cut.values, data.values[:, :, channels])
    np.testing.assert_array_equal(cut.weight, data.weight)
    assert part.frequency[0].value == 1410 and part.frequency[-1].value == 1412


def test_simulate_in_other_formats(tmp_path: Path) -> None:
    common = ("--duration", "1ms", "--bandwidth", "8MHz", "-q")
    fastsig("simulate", "fast-voltage", "-o", "a.raw", "--to", "guppi", "--coarse", 4, *common,
            "--truth", "a.json", cwd=tmp_path)
    fastsig("simulate", "fast-voltage", "-o", "a.h5", "--coarse", 4, *common, cwd=tmp_path)
    fastsig("simulate", "fast-voltage", "-o", "a.dada", *common, cwd=tmp_path)  # by its ending
    assert (tmp_path / "a.dada").read_bytes().startswith(b"HEADER DADA")
    done = fastsig("simulate", "fast-voltage", "-o", "n.h5", "--file-size", "1MB", *common,
                   cwd=tmp_path, code=2)
    assert "native files are not split" in done.stderr
    fastsig("convert", "a.dada", "-o", "n.{file}.h5", cwd=tmp_path)
    assert (tmp_path / "n.0000.h5").exists()
    same(fs.open(tmp_path / "a.raw"), fs.open(tmp_path / "a.h5"))
    assert json.loads((tmp_path / "a.json").read_text()) == fs.open(tmp_path / "a.h5").stream.truth
    assert fs.open(tmp_path / "a.dada").shape == (16_000, 2)
    before = (tmp_path / "a.h5").read_bytes()
    for name, code in (("a.h5", 2), ("no/t.json", 4), (".", 4)):
        fastsig("simulate", "fast-voltage", "-o", "a.h5", "--overwrite", "--truth", name, *common,
                cwd=tmp_path, code=code)
    assert (tmp_path / "a.h5").read_bytes() == before
    done = fastsig("simulate", "fast-voltage", "-o", "b.raw", "--to", "guppi", *common,
                   cwd=tmp_path, code=2)
    assert "real voltages do not fit" in done.stderr
    done = fastsig("simulate", "fast-voltage", "-o", "b.vdif", "--to", "vdif", *common,
                   cwd=tmp_path, code=2)
    assert "--lossy writes it" in done.stderr


RAW = ("--set", "n_bits=8", "--set", "sample_rate=1MHz", "--set", "start_time=2026-01-02T00:00:00",
       "--set", "frequency=1400.25MHz", "--set", "n_pol=2", "--set", "feed=linear")


def test_standard_input(tmp_path: Path, rng: np.random.Generator) -> None:
    data = rng.normal(0, 20, (100_000, 2)).round().astype(np.int8)
    native = write_native(tmp_path / "n.h5", data, header(low_hz=1_400_000_000,
                                                         start="2026-01-02T00:00:00"))
    words = ("--n-chan", 32, "--n-int", 16, "--products", "IQUV", "-q")
    fastsig("spectra", native, "-o", "a.h5", *words, cwd=tmp_path)
    piped(data.tobytes(), "spectra", "-", "-o", "b.h5", *words, *RAW, cwd=tmp_path)
    (tmp_path / "x.bin").write_bytes(data.tobytes())
    with open(tmp_path / "x.bin", "rb") as file:  # a file needs no copy
        piped(file, "spectra", "-", "-o", "c.h5", *words, *RAW, cwd=tmp_path)
    one, two, three = (fs.open(tmp_path / name) for name in ("a.h5", "b.h5", "c.h5"))
    np.testing.assert_array_equal(one.read().values, two.read().values)
    assert (tmp_path / "b.h5").read_bytes() == (tmp_path / "c.h5").read_bytes()
    assert three.header.channels == one.header.channels
    with open(tmp_path / "x.bin", "rb") as file:  # from where it stands
        file.seek(1000)
        piped(file, "convert", "-", "-o", "e.h5", *RAW, cwd=tmp_path)
    np.testing.assert_array_equal(fs.open(tmp_path / "e.h5").read().values, data[500:])
    assert two.stream.provenance["inputs"][0]["files"][0]["name"] == "-"
    told = piped(data.tobytes(), "info", "-", *RAW, cwd=tmp_path)
    assert "n_time           100000" in told and "frequency_mhz    1400, 1400.5" in told
    piped(data.tobytes(), "convert", "-", "-o", "d.h5", *RAW, cwd=tmp_path)
    np.testing.assert_array_equal(fs.open(tmp_path / "d.h5").read().values, data)


def test_standard_input_of_other_numbers(tmp_path: Path, rng: np.random.Generator) -> None:
    numbers = rng.integers(-2000, 2000, (500, 3, 2, 2))  # (time, chan, pol, part)
    complex_ = ("--set", "complex=yes", "--set", "n_chan=3")
    expected = (numbers[..., 0] + 1j * numbers[..., 1]).swapaxes(1, 2)
    for raw, words in (
        (numbers.astype(">i2"), ("n_bits=16", "byte_order=big")),
        ((numbers + 2**15).astype("<u2"), ("n_bits=16", "encoding=offset")),
        (numbers.astype("<f4"), ("n_bits=32",)),
        (numbers.swapaxes(1, 2).astype("<i2"), ("n_bits=16", "order=TPF")),
    ):
        sets = [item for word in words for item in ("--set", word)]
        piped(raw.tobytes(), "convert", "-", "-o", "x.h5", "--overwrite", *RAW[2:], *complex_,
              *sets, cwd=tmp_path)
        np.testing.assert_array_equal(fs.open(tmp_path / "x.h5").read().values, expected)


def test_standard_input_that_is_none(tmp_path: Path) -> None:
    for data, words, code, message in (
        (b"", RAW, 3, "standard input has no sample"), (b"12", RAW[2:], 3, "give --set n_bits=8"),
        (b"12", RAW[:2], 3, "give --set sample_rate=1GHz"),
        (b"12", (*RAW[2:], "--set", "n_bits=7"), 2, "n_bits = '7'; allowed: 8, 16, 32"),
        (b"12", (*RAW, "--set", "n_bits=16"), 2, "--set n_bits is given twice"),
        (b"12", (*RAW, "--set", "colour=red"), 2, "unknown override 'colour' for raw"),
        (b"12", (*RAW, "--set", "order=FTP"), 2, "order = 'FTP'; allowed: TFP, TPF"),
    ):
        output = piped(data, "spectra", "-", "-o", "x.h5", "--n-chan", 8, *words, cwd=tmp_path,
                     code=code)
        assert message in output
    head = b"HDR_VERSION 1.0\nHDR_SIZE 4096\nNBIT 8\nNDIM 1\nNPOL 1\nNCHAN 1\n".ljust(3000, b"\0")
    output = piped(head, "validate", "-", cwd=tmp_path, code=1)
    assert "-: truncated: 3000 bytes, but its header alone has 4096" in output
    assert "/proc" not in output
    output = piped(b"1234", "spectra", "-", "x.raw", "-o", "x.h5", "--n-chan", 8, *RAW,
                   cwd=tmp_path, code=2)
    assert "cannot be combined with files" in output
    done = fastsig("spectra", "-", "-o", "x.h5", "--n-chan", 8, *RAW, cwd=tmp_path, code=3,
                   before="import os; os.close(0);")
    assert "standard input is closed" in done.stderr
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("to", ["native", "guppi", "dada", "vdif"])
def test_ctrl_c_and_full_disk_leave_nothing(to: str, tmp_path: Path, rng: np.random.Generator
                                            ) -> None:
    data = rng.integers(-99, 99, (400_000, 2, 2), np.int8)
    native = write_native(tmp_path / "n.h5", data, header(is_complex=True,
                                                         start="2026-01-02T00:00:00"))
    stop = ("import fastsig.io.files.outputs as w, fastsig.io.native.writer as n, os, signal\n"
            "def write(*a, **k): os.kill(os.getpid(), signal.SIGINT)\n"
            "w.OutputFiles.write = write; n.NativeWriter.append = write\n")
    done = fastsig("convert", native, "-o", "x.out", "--to", to, "--lossy", cwd=tmp_path, code=130,
                   before=stop)
    assert "nothing was left half-written" in done.stderr
    full = ("import os, errno\n"
            "def full(*a): raise OSError(errno.ENOSPC, 'full')\n"
            "import fastsig.io.files.outputs as w, fastsig.io.native.writer as n\n"
            "w.write_from = n.write_from = full\n")
    done = fastsig("convert", native, "-o", "x.out", "--to", to, "--lossy", cwd=tmp_path, code=4,
                   before=full)
    assert "x.out: cannot be written: No space left on device" in done.stderr
    assert os.listdir(tmp_path) == ["n.h5"]


def test_clipped_numbers_are_told_once(samples: Path, tmp_path: Path) -> None:
    done = fastsig("convert", samples / CHANNELLED.replace("*", "0000"), "-o", "x.raw", "--lossy",
                   "--scale", 50, cwd=tmp_path)
    assert done.stderr.count("clipped") == 1


def test_some_files_do_not_know_an_override(samples: Path, tmp_path: Path) -> None:
    native, guppi = samples / ORDINARY, samples / CHANNELLED.replace("*", "0000")
    for name, good in (("info", "format           guppi"), ("validate", "readable")):
        done = fastsig(name, native, guppi, "--set", "n_pol=2", code=1)
        assert good in done.stdout
        assert f"{native}: unknown override 'n_pol' for native" in done.stderr
        done = fastsig(name, native, guppi, "--set", "colour=red", code=2)
        assert "unknown override 'colour'" in done.stderr and not done.stdout


def test_years_without_leap_seconds(tmp_path: Path) -> None:
    """One line, where ERFA warns with every conversion."""
    done = fastsig("simulate", "fast-voltage", "-o", "a.h5", "--bandwidth", "8MHz", "--start-time",
                   "2055-01-02", "-q", cwd=tmp_path)
    assert not done.stderr
    done = fastsig("convert", "a.h5", "-o", "b.dada", "-q", cwd=tmp_path)
    told = "the leap seconds of 2055 are not known: times may be off by seconds"
    assert done.stderr == f"fastsig: warning: a.h5: {told}\n"
    assert fs.info(tmp_path / "b.dada")["warnings"] == [f"{tmp_path / 'b.dada'}: {told}"]
    with pytest.warns(DoubtWarning) as caught:
        fs.open(tmp_path / "a.h5").close()
    assert len(caught) == 1
    done = fastsig("validate", "a.h5", cwd=tmp_path)
    assert done.stdout == "a.h5: good\n" and told in done.stderr
