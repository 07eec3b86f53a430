"""Recorded files of other telescopes through `info`, `spectra` and `view`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli import fastsig
from recordings import recorded

import fastsig as fs

TBB = "lofar_dal_h5/L59640_CS011_D20110719T110541.036Z_tbb.h5"
EXAMPLE = "digital_rf/example/ch0"
SYNTHETIC = "digital_rf/synthetic/fc32_x8_n200_d3_10s_1000ms_c1"

pytestmark = pytest.mark.recorded


def info(path: Path, cwd: Path) -> dict:
    (fields,) = json.loads(fastsig("info", path, "--json", "--deep", cwd=cwd).stdout)
    return fields


def product(path: Path, folder: Path, *options: object) -> fs.Chain:
    fastsig("spectra", path, "-o", folder / "s.h5", *options, cwd=folder)
    fastsig("validate", folder / "s.h5")
    for source in (path, folder / "s.h5"):
        fastsig("view", source, "-o", folder / "p.png", "--overwrite", cwd=folder)
        assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")
    return fs.open(folder / "s.h5")


def test_digital_rf_example(tmp_path: Path) -> None:
    path = recorded(EXAMPLE)
    fields = info(path, tmp_path)
    assert fields["start_time"] == "2019-08-29T19:08:20.000000000"
    assert fields["n_time"] == 10_000 and fields["complex"] and fields["n_bits"] == 16
    assert fields["valid_fraction"] == pytest.approx(1 - 1e-4)  # the first sample is fill
    assert fields["frequency_mhz"] == pytest.approx([439.995, 440.005], abs=1e-6)
    block = fs.open(path).read(0, 3)
    assert block.valid[0].tolist() == [[1, 3]] and block.values[1, 0] == 19 + 27j
    # Of one tap: at 8 the first sample holds 1e-8 of a frame's energy, less than float32 tells. No
    # power of two: vector code would take seconds to compile.
    chain = product(path, tmp_path, "--n-chan", 50, "--integrate", "50ms", "--n-tap", 1,
                    "--window", "none")
    weight = chain.read().weight[:, 0, 0]
    assert weight[0] == pytest.approx(1 - 1 / 50 / 10, abs=1e-6) and (weight[1:-1] == 1).all()
    assert chain.frequency.value == pytest.approx(440 + (np.arange(50) - 25) * 0.01 / 50, abs=1e-6)


def test_digital_rf_synthetic(tmp_path: Path) -> None:
    path = recorded(SYNTHETIC)
    fields = info(path, tmp_path)
    assert fields["start_time"] == "2014-03-09T12:30:30.000000000"
    assert fields["n_pol"] == 8 and fields["sample_rate_hz"] == pytest.approx(200 / 3)
    assert fields["n_time"] == 1000 and fields["frequency_mhz"] is None
    chain = fs.open(path)
    data = chain.read()
    missing = 92957882334, 92957882400  # of second 1394368235
    first = 92957882000
    for pol, spans in enumerate(data.valid):
        valid = np.zeros(1000, bool)
        for start, stop in spans:
            valid[start:stop] = True
        assert not valid[missing[0] - first : missing[1] - first].any()
        assert np.isfinite(data.values[:, pol]).all() and not data.values[~valid, pol].any()
        assert valid.sum() < 1000 - 66  # and what is not finite
    # sample 400 is the first of second ...236: 6 s on, to the ns
    assert abs((chain.stream.time_of(400) - chain.start_time).sec - 6) < 1e-9
    done = fastsig("spectra", path, "-o", tmp_path / "s.h5", "--n-chan", 8, code=3)
    assert "--set frequency" in done.stderr
    choose = ("--set", "frequency=440MHz")
    done = fastsig("spectra", path, "-o", tmp_path / "s.h5", "--n-chan", 8, *choose, code=2)
    assert "not 8" in done.stderr and "subchannel" in done.stderr
    spectra = product(path, tmp_path, "--n-chan", 8, "--n-tap", 1, "--set", "subchannel=3", *choose,
                      "--min-valid", 0.5)
    weight = spectra.read().weight[:, 0, 0]
    assert (weight[42:49] == 0).all() and weight.max() > 0.5


def test_lofar_tbb(tmp_path: Path) -> None:
    path = recorded(TBB).resolve()
    fields = info(path, tmp_path)  # from another working directory than the raw files'
    assert fields["start_time"] == "2011-07-19T11:05:41.036421120"
    assert fields["n_time"] == 6144 and fields["frequency_mhz"] == [0.0, 100.0]
    chain = fs.open(path)
    first, second = chain.read().valid
    assert first.tolist() == [[0, 5120]]
    assert second.tolist() == [[1024, 1024 + 3072], [1024 + 4096, 6144]]
    spectra = product(path, tmp_path, "--n-chan", 30, "--products", "AABBCRCI", "--n-int", 8)
    weight = spectra.read().weight[:, :, 0]
    assert weight[0, 0] == 1 and weight[0, 1] < 0.1  # dipole 011 starts 1024 samples later
    assert (weight[:, 2] <= weight[:, :2].min(axis=1)).all()


def test_blimpys_file(tmp_path: Path) -> None:
    path = recorded("fbh5_derived/gbt_sgrb2_fine.h5")
    fields = info(path, tmp_path)
    assert fields["kind"] == "spectra" and fields["telescope"] == "GBT"
    assert fields["valid_fraction"] == 1
    fastsig("view", path, "-o", tmp_path / "p.png")
    assert "no checksums" in fastsig("validate", path).stdout
