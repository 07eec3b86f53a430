"""Products of voltages as dspsr reads them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli import fastsig
from foreign_readers import dspsr_dada, dspsr_guppi, dspsr_vdif
from streams import MemoryVoltages, header, write_native

import fastsig as fs
from fastsig.axes import validity

N = 16_000
START = "2021-03-04T05:06:07"


def samples(n: int = N, n_pol: int = 2, *, is_complex: bool = False) -> np.ndarray:
    rng = np.random.default_rng(7)
    real = rng.integers(-100, 100, (n, n_pol, 2 if is_complex else 1)).astype("f4")
    return real[..., 0] + 1j * real[..., 1] if is_complex else real[..., 0].astype("i1")


def source(data: np.ndarray, valid: Any = None, **changes: Any) -> fs.Chain:
    about = header(10**6, is_complex=np.iscomplexobj(data), n_pol=data.shape[1], start=START)
    kind = "c8" if np.iscomplexobj(data) else data.dtype
    return fs.Chain(MemoryVoltages(data.astype(kind), about.replace(**changes), valid))


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("n_pol", [1, 2])
def test_dspsr_reads_both_polarisations(n_pol: int, is_complex: bool, tmp_path: Path) -> None:
    data = samples(n_pol=n_pol, is_complex=is_complex)
    made = source(data, sideband="lower").write(tmp_path / "a.vdif", dspsr_header=True, lossy=True)
    assert sorted(os.listdir(tmp_path)) == ["a.vdif", "a.vdif.hdr"] and len(made.files) == 2
    assert not any("threads" in each for each in made.cautions)
    keys, found = dspsr_vdif(tmp_path / "a.vdif.hdr")
    parts = np.stack([data.real, data.imag], axis=-1) if is_complex else data[..., None]
    np.testing.assert_array_equal(found, parts)
    assert (keys["FREQ"], keys["BW"]) == (("1000.5", "-1") if is_complex else ("1000.25", "-0.5"))
    assert keys["TSAMP"] == "1" and keys["RA"] == "08:14:00.000000000"
    assert (keys["TELESCOPE"], keys["SOURCE"], keys["BASIS"]) == ("FAST", "TEST", "Linear")


def test_one_thread_comes_back(tmp_path: Path) -> None:
    data = samples()
    valid = (validity.as_spans(np.array([[0, 8000], [12_000, N]])),) * 2
    source(data, valid).write(tmp_path / "a.vdif", one_thread=True, lossy=True)
    found = fs.open(tmp_path / "a.vdif").read()
    assert found.header.extra["threads"] == [0] and found.values.shape == (N, 2)
    for pol in (0, 1):
        np.testing.assert_array_equal(found.valid[pol], valid[pol])
        for first, stop in valid[pol].tolist():
            np.testing.assert_array_equal(found.values[first:stop, pol], data[first:stop, pol])


def test_what_dspsr_cannot_read_is_said(tmp_path: Path) -> None:
    made = source(samples()).write(tmp_path / "a.vdif", lossy=True)
    assert any("2 threads, which dspsr reads as one polarisation; --one-thread" in each
               for each in made.cautions)
    for change, match in (({"channels": None}, "sky frequency is not known"),):
        with pytest.raises(fs.PlanError, match=match):
            source(samples(), **change).write(tmp_path / "b.vdif", dspsr_header=True, lossy=True)
    with pytest.raises(fs.PlanError, match="2 files; dspsr's header describes one"):
        source(samples()).write(tmp_path / "b.{file}.vdif", dspsr_header=True, lossy=True,
                                file_bytes=20_000)
    with pytest.raises(fs.PlanError, match="3 polarisations and channels; allowed in one thread"):
        source(samples(n_pol=3)).write(tmp_path / "b.vdif", one_thread=True, lossy=True)
    with pytest.raises(fs.UsageError, match="one-thread is not an option of dada; allowed"):
        source(samples()).write(tmp_path / "b.dada", one_thread=True, lossy=True)
    assert os.listdir(tmp_path) == ["a.vdif"]


@pytest.mark.parametrize("n", [4000, 4002, 6250, 64_000])
@pytest.mark.parametrize("named", [False, True])
def test_guppi_has_two_blocks_and_all_cards(n: int, named: bool, tmp_path: Path) -> None:
    nothing = dict.fromkeys(("telescope", "source", "ra_deg", "dec_deg", "beam"))
    data = samples(n, is_complex=True)
    made = source(data, **({} if named else nothing)).write(tmp_path / "a.raw")
    blocks = dspsr_guppi(tmp_path / "a.raw")
    assert sum(int(each["BLOCSIZE"]) for each in blocks) == 4 * n
    found = fs.open(tmp_path / "a.raw")
    np.testing.assert_array_equal(found.read().values[..., 0], data)
    head = found.header
    assert (head.telescope, head.source) == (("FAST", "TEST") if named else (None, None))
    assert (head.ra_deg is None) == (head.dec_deg is None) == (not named)
    assert any("RA_STR and DEC_STR" in each for each in made.cautions) == (not named)


def test_dada_names_telescope_instrument_and_source(tmp_path: Path) -> None:
    source(samples(), telescope=None, backend=None, source=None).write(tmp_path / "a.dada")
    assert dspsr_dada(tmp_path / "a.dada")["SOURCE"] == "unknown"
    head = fs.open(tmp_path / "a.dada").header
    assert (head.telescope, head.backend, head.source) == (None, None, None)


def test_one_block_is_said(tmp_path: Path) -> None:
    made = source(samples(4001, is_complex=True)).write(tmp_path / "a.raw")  # a prime number
    assert any("one block" in each and "dspsr refuses" in each for each in made.cautions)
    assert fs.open(tmp_path / "a.raw").shape[0] == 4001


def test_command(tmp_path: Path) -> None:
    write_native(tmp_path / "v.h5", samples(), header(start=START))
    done = fastsig("convert", "v.h5", "-o", "a.vdif", "--lossy", "--dspsr-header", "--json",
                   cwd=tmp_path)
    assert json.loads(done.stdout)["outputs"] == ["a.vdif", "a.vdif.hdr"]
    np.testing.assert_array_equal(dspsr_vdif(tmp_path / "a.vdif.hdr")[1][..., 0], samples())
    done = fastsig("convert", "v.h5", "-o", "b.vdif", "--lossy", cwd=tmp_path)
    assert "note: b.vdif: it has 2 threads" in done.stderr
    done = fastsig("convert", "v.h5", "-o", "b.dada", "--one-thread", cwd=tmp_path, code=2)
    assert "one-thread is not an option of dada" in done.stderr
