"""Tables: units and descriptions are demanded, bytes decided, damage is seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, QTable, Table
from astropy.time import Time
from cli import fastsig
from thorough import many

import fastsig as fs
from fastsig.errors import DataError, FastsigWarning, FormatError, OutputError, UsageError
from fastsig.io.ecsv import tables
from fastsig.io.ecsv.text import parts_of
from fastsig.io.opening import detect
from fastsig.products.validate import validate, verify
from fastsig.products.view import Wanted, draw_file

MADE = {"inputs": [{"name": "night.h5"}], "threshold": 7.0}


def made() -> QTable:
    """Candidates: every type of column."""
    table = QTable({
        "number": Column([1, 2, 3]), "dm": [0.1, 1 / 3, np.nan] * u.pc / u.cm**3,
        "snr": [7.5, 8, 9] * u.dimensionless_unscaled,
        "time": Time(["2023-12-02T00:00:00.123456789", "2016-12-31T23:59:60.5", "2024-01-01"]),
        "name": Column(["one", "two\nlines", 'a "quoted" word']),
        "at": SkyCoord([1, 2, 3] * u.deg, [4, 5, 6] * u.deg), "real": Column([True, False, True])})
    for name in table.colnames:
        table[name].info.description = f"The {name} of a candidate"
    return table


def write(path: Path, table: Table | None = None, **options: Any) -> Path:
    tables.write_table(made() if table is None else table, path, kind="candidates",
                       provenance=MADE, **options)
    return path


def test_a_table_comes_back(tmp_path: Path) -> None:
    table = made()
    table["dm"].info.format = "%.1f"  # of the screen: the file has all digits
    table.meta["search"] = {"dm_max": 100.0, "beams": [1, 2]}
    path = write(tmp_path / "t.ecsv", table)
    found = tables.read_table(path, kind="candidates")
    assert found.colnames == table.colnames
    for name in table.colnames:
        assert found[name].info.description == f"The {name} of a candidate"
    for name in ("dm", "snr"):
        np.testing.assert_array_equal(found[name].value, table[name].value)
        assert found[name].unit == table[name].unit
    assert found["number"].dtype == np.int64 and list(found["real"]) == [True, False, True]
    assert abs((found["time"] - table["time"]).to_value("ns")).max() < 1e-3
    assert list(found["name"]) == list(table["name"])
    assert found["at"].separation(table["at"]).max() == 0 * u.deg
    assert found.meta["search"] == table.meta["search"]
    assert found.meta["provenance"] == {"fastsig": fs.__version__, **MADE}
    assert list(table.meta) == ["search"] and table["time"].format == "isot"
    by_astropy = QTable.read(path)
    assert by_astropy.meta["kind"] == "candidates" and by_astropy.meta["n_row"] == 3


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name).read_bytes() for name in ("a.ecsv", "b.ecsv"))
    assert first == second
    with pytest.raises(OutputError, match=r"a\.ecsv: exists"):
        write(tmp_path / "a.ecsv")
    write(tmp_path / "a.ecsv", made()[:1], overwrite=True)
    assert len(tables.read_table(tmp_path / "a.ecsv")) == 1
    empty = write(tmp_path / "none.ecsv", made()[:0])
    assert len(tables.read_table(empty)) == 0 and verify(empty)


def bad(name: str, column: Any, description: str = "Something") -> Table:
    table = Table({name: column})
    table[name].info.description = description
    return table


@pytest.mark.parametrize(("table", "message"), [
    (bad("dm", [1.0]), "'dm' has no unit"), (bad("dm", [1.0] * u.s, " "), "'dm' has no desc"),
    (bad("z", [1j]), "'z' has no unit"), (bad("x", [{"a": 1}]), "'x' has Python objects"),
    (Table(), "no columns"), (Table({"n": [1]}, meta={"provenance": 1}), "'provenance'"),
    (Table({"n": [1]}, descriptions=["Number"], meta={"x": np.arange(3)}), "meta: .*JSON"),
])
def test_what_cannot_be_written(table: Table, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        write(tmp_path / "t.ecsv", table)
    assert not list(tmp_path.iterdir())


def test_provenance_is_what_json_holds(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="provenance: .*allowed: values of JSON"):
        tables.write_table(made(), tmp_path / "t.ecsv", kind="x", provenance={"a": {1, 2}})
    assert not list(tmp_path.iterdir())


def test_info_and_validate(tmp_path: Path) -> None:
    path = write(tmp_path / "t.txt")  # by content, whatever the name
    assert detect(path)[0] == "ecsv"
    (record,) = json.loads(fastsig("info", path, "--json").stdout)
    assert (record["format"], record["kind"], record["table"]) == ("ecsv", "table", "candidates")
    assert record["n_row"] == 3 and record["warnings"] == [] and record["n_time"] is None
    assert record["columns"][1] == {"name": "dm", "unit": "pc / cm3", "type": "float64",
                                    "description": "The dm of a candidate"}
    assert record["provenance"]["threshold"] == 7
    text = fastsig("info", path, "--deep").stdout
    assert "  n_row            3\n" in text and "frequency_mhz" not in text
    assert "  columns          number  int64  The number of a candidate\n" in text
    assert " " * 19 + "dm  pc / cm3  float64  The dm of a candidate\n" in text
    assert fastsig("validate", path).stdout == f"{path}: good\n"
    fastsig("info", path, "--set", "telescope=FAST", code=2)
    assert "no stream" not in fastsig("convert", path, "-o", tmp_path / "x.h5", code=3).stderr
    done = fastsig("view", path, "-o", tmp_path / "x.png", code=3)
    assert "t.txt: contains a table of kind 'candidates', which cannot be drawn" in done.stderr
    assert "because no column of numbers has a unit of frequency or velocity" in done.stderr


@pytest.mark.parametrize("axis", [np.linspace(1419, 1421, 50) * u.MHz,
                                  np.linspace(-300, 300, 50) * u.km / u.s])
def test_spectra_in_tables_are_drawn_as_lines(tmp_path: Path, axis: u.Quantity,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever kind the table has; without a time, which a stream would need."""
    from fastsig.view import columns

    table = QTable({"axis": axis, "flux": np.sin(np.arange(50)) * u.Jy,
                    "noise": np.ones(50) * u.Jy})
    for name in table.colnames:
        table[name].info.description = name
    tables.write_table(table, tmp_path / "s.ecsv", kind="spectrum", provenance={})
    made = []
    real = columns.draw_columns
    monkeypatch.setattr(columns, "draw_columns", lambda *args: made.append(real(*args)) or made[0])
    draw_file(str(tmp_path / "s.ecsv"), str(tmp_path / "s.png"))
    axes = made[0].axes[0]
    what = "frequency (MHz)" if axis.unit == u.MHz else "velocity (km/s)"
    assert (axes.get_xlabel(), axes.get_ylabel()) == (what, "flux (Jy)")
    np.testing.assert_allclose(axes.lines[0].get_xdata(), axis.value)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), table["flux"].value)
    assert (tmp_path / "s.png").stat().st_size > 10_000
    with pytest.raises(UsageError, match="product= has no meaning for a table"):
        draw_file(str(tmp_path / "s.ecsv"), str(tmp_path / "t.png"), Wanted(product="I"))


def test_a_table_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "t.ecsv"
    Table({"x": [1, 2], "y": [0.5, 0.25]}).write(path, delimiter=",")
    fields = fs.info(path)
    assert fields["table"] is None and fields["n_row"] == 2 and fields["provenance"] is None
    assert [column["name"] for column in fields["columns"]] == ["x", "y"]
    assert not verify(path) and validate(path)["valid"]
    with pytest.raises(FormatError, match=r"t\.ecsv: a table of kind 'None'; allowed: 'hits'"):
        tables.read_table(path, kind="hits")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(FastsigWarning, match="its last line has no line end"):
        assert len(tables.read_table(path)) == 2
    assert not validate(path)["valid"]


def test_truncated_anywhere(tmp_path: Path) -> None:
    """Every length but the whole is an error that names the file; within the rows a DataError."""
    content = write(tmp_path / "t.ecsv").read_bytes()
    rows = len(content) - len(parts_of(content, "t").body)
    path = tmp_path / "cut.ecsv"
    for size in [*range(1, rows, many(101, 37)), *range(rows, len(content) - 1, many(11, 5)),
                 len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises((DataError, FormatError), match=r"cut\.ecsv: ") as caught:
            tables.read_table(path)
        assert size < 8 or isinstance(caught.value, DataError), (size, caught.value)
        assert not validate(path)["valid"]


def test_changed_anywhere(tmp_path: Path, rng: np.random.Generator) -> None:
    """One byte changed in the rows is always seen; in the header it is never a crash."""
    content = write(tmp_path / "t.ecsv").read_bytes()
    rows = len(content) - len(parts_of(content, "t").body)
    path = tmp_path / "bad.ecsv"
    for place in rng.integers(0, len(content), many(40, 80)):
        changed = bytearray(content)
        changed[place] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        record = validate(path) if changed.startswith(b"# %ECSV ") else {"valid": False}
        assert place < rows or not record["valid"], place
        try:
            assert fs.info(path)["kind"] == "table" or place < 8
        except (FormatError, DataError) as error:
            assert "bad.ecsv: " in str(error)


def test_rows_are_counted_without_reading_them(tmp_path: Path) -> None:
    content = write(tmp_path / "t.ecsv").read_bytes()
    lost = content[: content.rindex(b"\n", 0, -1) + 1]  # whole lines alone
    path = tmp_path / "cut.ecsv"
    path.write_bytes(lost)
    fields = fs.info(path)
    assert fields["n_row"] == 2
    assert fields["warnings"] == [f"{path}: n_row = 3; the file has 2 rows"]
    with pytest.raises(DataError, match=r"cut\.ecsv: n_row = 3; .* 2 rows: it is truncated"):
        fs.info(path, deep=True)


HEADER = """# %ECSV 1.0
# ---
# datatype:
# - {name: x, datatype: int64, unit: 2020-01-01, description: "\\e[31mred"}
# meta: {provenance: PROVENANCE}
# schema: astropy-2.0
x
1
"""


@pytest.mark.parametrize("record", ["2020-01-01", "[1, !!binary aGk=]", "{2020-01-01: 3}",
                                    "!astropy.units.Unit {unit: m}", "&a {b: *a}"])
def test_headers_that_hold_what_json_cannot(record: str, tmp_path: Path) -> None:
    path = tmp_path / "t.ecsv"
    path.write_text(HEADER.replace("PROVENANCE", record))
    failed = record.startswith("&a")
    done = fastsig("info", path, "--json", code=int(failed))
    (found,) = json.loads(done.stdout)
    if failed:
        assert "t.ecsv: its header has more than 100000 values, or more" in found["error"]
        return
    assert found["columns"][0]["unit"] == "2020-01-01"
    assert "\\x1b[31mred" in fastsig("info", path).stdout


def test_headers_that_stand_for_any_number_of_values(tmp_path: Path) -> None:
    levels = "".join(f"#   - &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    text = HEADER.replace("# meta: {provenance: PROVENANCE}\n",
                          f"# meta:\n#   provenance:\n#   - &a0 [1]\n{levels}")
    (tmp_path / "t.ecsv").write_text(text)
    with pytest.raises(FormatError, match=r"t\.ecsv: its header has more than 100000 values"):
        fs.info(tmp_path / "t.ecsv")
    assert validate(tmp_path / "t.ecsv")["error"]  # of its unit, which is none


def test_files_that_are_no_table_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.ecsv")
    monkeypatch.setattr("fastsig.io.ecsv.text._LARGEST", 100)
    with pytest.raises(FormatError, match=r"t\.ecsv: is larger than"):
        tables.read_table(path)
    with pytest.raises(FormatError, match=r"none\.ecsv: No such file"):
        tables.read_table(tmp_path / "none.ecsv")
