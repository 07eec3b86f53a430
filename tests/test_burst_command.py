"""``fastsig burst``: values, tables, pictures and cut-outs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bursts_made import spectra
from cli import fastsig
from streams import header, write_native

import fastsig as fs
from fastsig.io.ecsv.tables import read_table


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("burst")
    spectra(0.05).write(folder / "scan.h5")
    return folder / "scan.h5"


def test_values_table_picture_and_cut_outs(scan: Path, tmp_path: Path) -> None:
    import numpy as np

    # Voltages of the same time and band, 320 MHz, would be long: a narrow part of the band.
    head = header(10**6, low_hz=1_500_000_000)
    raw = write_native(tmp_path / "raw.h5", np.zeros((900_000, 2), np.int8), head)
    out = tmp_path / "out"
    out.mkdir()
    done = fastsig("burst", scan, "--at", "0.7s", "--dm", "51", "--tsys", "20K", "--gain",
                   "16K/Jy", "-o", tmp_path / "b.ecsv", "--picture", tmp_path / "b.png",
                   "--cut-out", "20ms", "--raw", raw, "--cut-out-to", out, "--json", code=0)
    report = json.loads(done.stdout)
    assert abs(report["dm"] - 50) < 4 * report["dm_error"]
    assert abs(report["time_s"] - 0.7) < 4 * report["time_error"]
    assert report["rm"] is None and report["fluence"] > 0
    table = read_table(tmp_path / "b.ecsv")
    assert table["dm"][0].value == report["dm"] and table.meta["kind"] == "burst measurements"
    assert table.meta["settings"] == {
        "at": "0.7s", "dm": "51", "width": None, "method": "snr", "tsys": "20K", "gain": "16K/Jy",
        "zenith_angle": None, "beam": None, "scale_error": 0.0, "constant": None, "index": 4.0,
        "most_rm": None, "coherent": None}
    assert table.meta["dispersion_constant"] == pytest.approx(1 / 2.41e-4)
    names = report["outputs"]
    assert len(names) == 4 and all(Path(name).exists() for name in names)
    assert [fs.open(name).stream.kind for name in names[2:]] == ["spectra", "voltage"]
    done = fastsig("burst", scan, "--at", "0.7s", "--dm", "51", "-o", tmp_path / "b.ecsv",
                   "--cut-out", "20ms", "--overwrite", "--json", code=0)
    assert [Path(name).parent for name in json.loads(done.stdout)["outputs"]] == [tmp_path] * 2
    text = fastsig("burst", scan, "--at", "0.7s", "--dm", "50", code=0).stdout
    assert [line.split()[0] for line in text.splitlines()] == ["time", "S/N", "DM", "FWHM"]
    assert fastsig("burst", scan, "--at", "0.7s", "--dm", "50", "-q", code=0).stdout == ""


@pytest.mark.parametrize(("options", "code", "message"), [
    (("--at", "0.7s", "--dm", "50", "-o", "x.txt"), 2, r"(.ecsv)"),
    (("--at", "0.7s", "--dm", "50", "--picture", "x.doc"), 2, "picture ends in"),
    (("--at", "0.7s", "--dm", "50", "--cut-out-to", "."), 2, "belongs to --cut-out"),
    (("--at", "0.7s", "--dm", "50", "--tsys", "20K"), 2, "without a gain"),
    (("--at", "0.2s", "--dm", "50"), 3, "the highest S/N near"),
    (("--at", "9s", "--dm", "50"), 2, "from 0 to 1.6 s"),
    (("--at", "0.7s", "--dm", "x"), 2, "dispersion measure")])
def test_what_is_refused(scan: Path, tmp_path: Path, options: tuple[str, ...], code: int,
                         message: str) -> None:
    assert message in fastsig("burst", scan, *options, code=code).stderr
    assert not list(tmp_path.iterdir())


def test_voltages_are_dedispersed_coherently(samples: Path, scan: Path) -> None:
    """A burst of 0.5 ms and DM 300 that arrives at 1422 MHz at 40 ms."""
    raw = samples / "frb_carrier_16MHz.h5"
    report = json.loads(fastsig("burst", raw, "--at", "40ms", "--dm", "299", "--coherent", "16",
                              "--width", "0.6ms", "--json", code=0).stdout)
    assert abs(report["dm"] - 300) < 4 * report["dm_error"]
    assert report["fwhm"] == pytest.approx(0.5e-3, abs=4 * report["fwhm_error"])
    late = 300 / 2.41e-4 * (report["reference_mhz"] ** -2 - 1422.0**-2)
    assert report["time_s"] == pytest.approx(0.04 + late, abs=1e-4)
    assert report["linear"] is not None
    done = fastsig("burst", raw, "--at", "40ms", "--dm", "300", code=2)
    assert "contains voltages" in done.stderr
    done = fastsig("burst", scan, "--at", "0.7s", "--dm", "50", "--coherent", "8", code=2)
    assert "with voltages" in done.stderr
