"""Tables of pulsar candidates: their columns, files, and the formats of other programs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time
from cli import fastsig
from search.pulsars_made import pulsars

import fastsig as fs
from fastsig.errors import FormatError, UsageError
from fastsig.run.pulsar_files import read_pulsars, write_pulsars
from fastsig.search.pulsars.candidates import PulsarCandidates
from fastsig.search.pulsars.exports import accel_text, riptide_text


def test_columns_have_units_and_the_most_significant_is_first() -> None:
    made = pulsars(name=["", "B0329+54", ""])
    assert made["period"][1] == 0.2 * u.s
    assert made["acceleration"].unit == u.m / u.s**2
    assert made.sorted().values("sigma").tolist() == [9, 8, 7]
    assert "0.2 s  DM 40.00, 8.0 sigma, S/N 10.0, ffa, B0329+54" in repr(made)
    assert "3 pulsar candidates" in made._repr_html_()


@pytest.mark.parametrize("n", [0, 3])
def test_a_file_has_the_pulsars_that_were_written(tmp_path: Path, n: int) -> None:
    made = pulsars(n, fold_snr=np.arange(n))
    write_pulsars(made, tmp_path / "a.ecsv")
    write_pulsars(fs.read_pulsars(tmp_path / "a.ecsv"), tmp_path / "b.ecsv")
    assert (tmp_path / "a.ecsv").read_bytes() == (tmp_path / "b.ecsv").read_bytes()
    found = read_pulsars(tmp_path / "b.ecsv")
    assert found.names == made.names
    for name in set(made.names) - {"epoch", "width"}:
        assert (found[name] == made[name]).all()
    assert found.meta["ffa"] == made.meta["ffa"]


@pytest.mark.parametrize("n", [0, 3])
def test_epochs_are_utc_or_tdb(tmp_path: Path, n: int) -> None:
    days = 59000 + np.arange(n)
    there = pulsars(n, epoch=Time(days, format="mjd", scale="tdb"))
    write_pulsars(there, tmp_path / "a.ecsv")
    here = pulsars(n, epoch=Time(days, format="mjd", scale="tai"))
    read, joined = fs.read_pulsars(tmp_path / "a.ecsv"), there.join([there, there])
    for made, scale in ((read, "tdb"), (joined, "tdb"), (here, "utc"),
                        (there.join([there, pulsars(n)]), "utc")):
        assert made["epoch"].scale == scale
    np.testing.assert_allclose(read["epoch"].tdb.mjd, days, rtol=0, atol=1e-12)


def test_epochs_as_text_have_the_scale_of_the_frame() -> None:
    """Other programs may write times as text."""
    for frame, scale in (("barycentric", "tdb"), ("topocentric", "utc")):
        plain = pulsars().table()
        plain["epoch"], plain.meta["frame"] = plain["epoch"].isot, frame
        found = PulsarCandidates.from_table(plain)["epoch"]
        assert found.scale == scale and (found.isot == plain["epoch"]).all()


def test_accel_files_have_the_rows_that_presto_parses() -> None:
    n_fft = 1.1 * 2**20
    text = accel_text(pulsars(r=n_fft * 64e-6 / (0.1 * np.arange(1, 4))))
    rows = [line.split() for line in text.splitlines() if re.match(r"^\d", line)]
    # As PRESTO's sifting: number, sigma, power, coherent power, harmonics, ..., bin, ..., z.
    assert [(int(row[0]), float(row[1]), float(row[2]), int(row[4])) for row in rows] == [
        (1, 7.0, 50.0, 8), (2, 9.0, 52.0, 8)]
    # The transform may have been longer than the series, to whose duration T the bins refer.
    length, drift = 2**20 * 64e-6, 1e-5
    mean = np.array([1 / 0.1, 1 / 0.3]) + drift * length / 2
    assert [float(row[7]) for row in rows] == pytest.approx(mean * length, abs=1e-3)
    assert [float(row[9]) for row in rows] == [round(drift * length**2, 2)] * 2
    assert rows[0][5:7] == ["99.997(1)", "10.0003(1)"]
    ending = {line.split("=")[0].strip(): line.split("=")[1].strip()
              for line in text.splitlines() if line.startswith(" ") and "=" in line}
    assert ending == {"Number of bins in the time series": "1048576",
                      "Width of each time series bin (sec)": "6.4e-05"}


def test_riptide_tables_have_the_rows_of_fast_folding() -> None:
    head, row, end = riptide_text(pulsars()).split("\n")
    assert (head, end) == ("period,freq,dm,width,ducy,snr", "")
    assert row == "0.200000000,5.000000000,40.000000000,12,0.050000000,10.000000000"


def test_tables_of_several_searches_have_no_series() -> None:
    joined = pulsars().join([pulsars(), pulsars()])
    with pytest.raises(UsageError, match="no length of the series"):
        accel_text(joined)
    with pytest.raises(UsageError, match="no number of bins"):
        riptide_text(joined)


def test_accel_files_are_refused_for_candidates_of_segments(tmp_path: Path) -> None:
    """The bin and the drift in a file are those in the whole series."""
    made = pulsars(segment=np.array([0, 2, 1]))
    with pytest.raises(UsageError, match="ACCEL files state one length for all candidates"):
        accel_text(made)
    write_pulsars(made, tmp_path / "a.ecsv")
    for options in ((), ("--dry-run",)):
        done = fastsig("convert", tmp_path / "a.ecsv", "-o", tmp_path / "a.accel", *options, code=2)
        assert "candidates of segments: ACCEL files state one length" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["a.ecsv"]
    fastsig("convert", tmp_path / "a.ecsv", "-o", tmp_path / "a.csv", "-q")


def test_commands_describe_convert_and_draw_the_table(tmp_path: Path) -> None:
    table = tmp_path / "a.ecsv"
    write_pulsars(pulsars(), table)
    about = json.loads(fastsig("info", table, "--json").stdout)[0]
    assert (about["table"], about["n_row"]) == ("pulsar candidates", 3)
    assert fastsig("validate", table).returncode == 0
    fastsig("convert", table, "-o", tmp_path / "a.csv", "-q")
    assert (tmp_path / "a.csv").read_text() == riptide_text(pulsars())
    fastsig("convert", table, table, "-o", tmp_path / "two.ecsv", "-q")
    assert len(read_pulsars(tmp_path / "two.ecsv")) == 6
    fastsig("view", table, "-o", tmp_path / "a.png", "-q")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(FormatError, match="of kind 'pulsar candidates'"):
        fs.read_candidates(table)
