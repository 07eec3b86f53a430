"""Tables of candidates: their columns, files, and the formats of other programs."""

from __future__ import annotations

import json
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from cli import fastsig
from search.candidates_made import START, candidates

import fastsig as fs
from fastsig.errors import DataError, FormatError, UsageError
from fastsig.io.ecsv.tables import read_table, write_table
from fastsig.run.candidate_files import read_candidates, write_candidates
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.bursts.exports import heimdall_text, singlepulse_text, transientx_text


def test_columns_have_units_and_parts_are_candidates() -> None:
    made = candidates()
    assert made["dm"][1] == 110 * u.pc / u.cm**3
    assert made["width"].unit == u.s
    assert made["n_member"].tolist() == [5, 6, 7]
    part = made[made.values("snr") > 8.5]
    assert (len(part), part["time"][0].isot) == (2, "2021-03-04T05:06:09.123456789")
    assert made.sorted().values("snr").tolist() == [10, 9, 8]
    assert "DM 100.00, S/N 8.0, width 2 ms" in repr(made)
    assert "3 candidates" in made._repr_html_()
    with pytest.raises(UsageError, match="no column 'flux'"):
        made["flux"]


def test_columns_that_are_missing_or_not_known_are_refused() -> None:
    made = {name: candidates()._columns[name] for name in candidates().names}
    with pytest.raises(UsageError, match="candidates have the column 'flux'"):
        Candidates({**made, "flux": np.ones(3)})
    with pytest.raises(UsageError, match="different lengths"):
        Candidates({**made, "dm": np.ones(2)})
    made.pop("dm")
    with pytest.raises(UsageError, match="candidates lack the column 'dm'"):
        Candidates(made)


@pytest.mark.parametrize("n", [0, 3])
def test_a_file_has_the_candidates_that_were_written(tmp_path: Path, n: int) -> None:
    made = candidates(n, injected=np.arange(n))
    write_candidates(made, tmp_path / "a.ecsv")
    write_candidates(read_candidates(tmp_path / "a.ecsv"), tmp_path / "b.ecsv")
    assert (tmp_path / "a.ecsv").read_bytes() == (tmp_path / "b.ecsv").read_bytes()
    found = read_candidates(tmp_path / "b.ecsv")
    assert found.names == made.names
    assert (abs(found["time"] - made["time"]).to_value("ns") < 1).all()
    for name in made.names[1:]:
        assert (found[name] == made[name]).all()
    assert found.meta["stretches"] == made.meta["stretches"]
    table = read_table(tmp_path / "a.ecsv", kind="burst candidates")
    assert table["dm"].info.description == "dispersion measure"


def test_other_tables_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    write_candidates(candidates(), tmp_path / "a.ecsv")
    text = (tmp_path / "a.ecsv").read_text()
    (tmp_path / "short.ecsv").write_text(text[: text.rindex("2021")])
    with pytest.raises(DataError, match="n_row = 3"):
        read_candidates(tmp_path / "short.ecsv")
    table = candidates().table()
    table.meta = {}
    table.remove_column("dm")
    write_table(table, tmp_path / "less.ecsv", kind="burst candidates", provenance={})
    with pytest.raises(FormatError, match="lack the column 'dm'"):
        read_candidates(tmp_path / "less.ecsv")
    table.remove_column("snr")
    write_table(table, tmp_path / "other.ecsv", kind="spectrum", provenance={})
    with pytest.raises(FormatError, match="of kind 'spectrum'"):
        read_candidates(tmp_path / "other.ecsv")


def test_prestos_table_has_the_sample_at_the_centre() -> None:
    head, first, *rest = singlepulse_text(candidates()).splitlines()
    assert head.split()[1:4] == ["DM", "Sigma", "Time"]
    assert first == " 100.00    8.00      1.000000       1001     2"
    assert len(rest) == 2


def test_heimdalls_table_numbers_the_measures_of_the_plan() -> None:
    rows = [line.split("\t") for line in heimdall_text(candidates()).splitlines()]
    assert rows[0] == ["8", "1001", "1", "1", "200", "100", "5", "1000", "1001"]
    assert rows[1][4] == "210"  # DM 110 is the eleventh of the second stretch
    with pytest.raises(UsageError, match="the table has no plan"):
        heimdall_text(Candidates(candidates()._columns, {}))


def test_transientxs_table_has_the_day_to_the_nanosecond() -> None:
    cells = transientx_text(candidates()).splitlines()[0].split("\t")
    assert cells[:2] + cells[3:] == ["1", "1", "100.0000", "2", "8.000", "1000.000000",
                                     "1500.000000", "none", "1", "night_0001.fits"]
    assert abs(float(cells[2]) - START.mjd - 1 / 86400) < 1e-9


def test_joined_tables_have_the_brightest_first_and_common_columns() -> None:
    other = candidates(2, snr=[20.0, 5.0], injected=[0, 1])
    found = Candidates.join([candidates(), other])
    assert found.values("snr").tolist() == [20, 10, 9, 8, 5]
    assert "injected" not in found
    assert len(found.meta["searches"]) == 2


def test_commands_describe_verify_and_convert_tables(tmp_path: Path) -> None:
    write_candidates(candidates(), tmp_path / "a.ecsv")
    record, = json.loads(fastsig("info", tmp_path / "a.ecsv", "--json", code=0).stdout)
    assert (record["table"], record["n_row"]) == ("burst candidates", 3)
    fastsig("validate", tmp_path / "a.ecsv", code=0)
    fastsig("convert", tmp_path / "a.ecsv", "-o", tmp_path / "a.singlepulse", code=0)
    assert (tmp_path / "a.singlepulse").read_text() == singlepulse_text(candidates())
    made = json.loads(fastsig("convert", tmp_path / "a.ecsv", tmp_path / "a.ecsv", "-o",
                              tmp_path / "both.ecsv", "--json", code=0).stdout)
    assert made["n_candidate"] == len(read_candidates(tmp_path / "both.ecsv")) == 6
    fastsig("convert", tmp_path / "a.ecsv", "-o", tmp_path / "a.cand", "--dry-run",
            code=0)
    assert not (tmp_path / "a.cand").exists()
    for given, code in (("a.ecsv", 4), ("b.fil", 2), ("b.cand --bits 8", 2)):
        name, *more = given.split()
        fastsig("convert", tmp_path / "a.ecsv", "-o", tmp_path / name, *more, code=code)
    with pytest.raises(FormatError):
        fs.open(tmp_path / "a.ecsv")
