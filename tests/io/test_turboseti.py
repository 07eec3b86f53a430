"""Tables of hits of turboSETI: what is read of them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli import fastsig

import fastsig as fs
from fastsig.errors import FormatError, UsageError
from fastsig.products.info import info
from fastsig.products.validate import validate

#: As turboSETI 2.3.2 writes it.
_RULE = "# --------------------------\n"
_HEAD = "# -------------------------- o --------------------------\n"
_NAMES = ("Top_Hit_#", "Drift_Rate", "SNR", "Uncorrected_Frequency", "Corrected_Frequency", "Index",
          "freq_start", "freq_end", "SEFD", "SEFD_freq", "Coarse_Channel_Number",
          "Full_number_of_hits")
TEXT = (f"{_HEAD}# File ID: t1m.h5 \n{_HEAD}# Source:TEST\n"
        "# MJD: 57650.779999999999\tRA: 12h34m56s\tDEC: 12d34m56s\n"
        "# DELTAT:  18.253611\tDELTAF(Hz):  -2.793968\tmax_drift_rate:   4.000000"
        f"\tobs_length: 292.057776\n{_RULE}# " + " \t".join(_NAMES) + f" \t\n{_RULE}"
        "000001\t  1.867379\t 93.009705\t   8423.738091\t   8423.738091\t68575"
        "\t   8423.740282\t   8423.735903\t0.0\t      0.000000\t0\t4358\t\n"
        "000002\t  -1.663294\t 46.579281\t   8423.598393\t   8423.598393\t118575"
        "\t   8423.600583\t   8423.596205\t0.0\t      0.000000\t0\t4358\t\n")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t1m.dat"
    path.write_text(TEXT)
    return path


def test_it_is_recognised_beside_a_header_of_presto(table: Path) -> None:
    record = info(table)
    assert (record["format"], record["kind"], record["table"]) == (
        "turboseti", "table", "drifting carriers")
    assert record["n_row"] == 2
    assert [each["name"] for each in record["columns"]][:4] == ["time", "frequency", "drift", "snr"]
    table.with_suffix(".inf").write_text(" Data file name without suffix          =  t1m\n")
    assert info(table)["format"] == "turboseti"
    assert "TEST" in str(info(table, cards=True)["cards"])
    assert validate(table) == {"path": str(table), "valid": True, "checksums": False, "doubts": []}


def test_its_values(table: Path) -> None:
    hits = fs.read_hits(table)
    assert hits.values("frequency").tolist() == [8423.738091, 8423.598393]
    assert hits.values("drift").tolist() == [1.867379, -1.663294]
    assert hits.values("snr").tolist() == hits.values("snr_turboseti").tolist()
    assert hits.values("source").tolist() == ["TEST"] * 2
    # The file counts channels within a coarse channel of unknown width, the table over the band.
    assert hits.values("channel").tolist() == [-1, -1]
    assert hits.values("coarse_channel").tolist() == [0, 0]
    assert hits["ra"][0].value == pytest.approx(188.7333333, abs=1e-6)
    assert hits["time"][0].isot.startswith("2016-09-19T18:43:21.12")  # half a spectrum later


def test_it_is_converted_and_is_no_stream(table: Path, tmp_path: Path) -> None:
    fastsig("convert", table, "-o", tmp_path / "a.ecsv")
    assert info(tmp_path / "a.ecsv")["table"] == "drifting carriers"
    assert len(fs.read_hits(tmp_path / "a.ecsv")) == 2
    fastsig("convert", tmp_path / "a.ecsv", table, "-o", tmp_path / "b.ecsv")
    assert len(fs.read_hits(tmp_path / "b.ecsv")) == 4
    done = fastsig("convert", tmp_path / "b.ecsv", "-o", tmp_path / "c.dat", code=2)
    assert "of several searches" in done.stderr
    done = fastsig("convert", table, "-o", tmp_path / "c.dat", code=2)
    assert "were read from a .dat file" in done.stderr
    assert "table of hits" in fastsig("cut", table, "-o", tmp_path / "x.h5", code=3).stderr
    with pytest.raises(UsageError, match="no options"):
        info(table, frequency="1GHz")


@pytest.mark.parametrize(("old", "new", "words"), [
    ("\t4358\t\n", "\n", "12 columns"), ("93.009705", "x", "not a number"),
    ("93.009705", "nan", "not finite"), ("-2.793968", "0", "step is 0"),
    ("MJD: 5", "MJD: x", "not a number"), ("obs_length", "length", "missing"),
    ("18.253611", "1e-300", "step is 0"),
])
def test_damaged_tables_are_refused(table: Path, old: str, new: str, words: str) -> None:
    table.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(FormatError, match=words):
        fs.read_hits(table)
