"""FAST's pointing tables as workbooks."""

from __future__ import annotations

import sys
from pathlib import Path

import astropy.units as u
import ky_files
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time

import fastsig as fs
from fastsig.io.fast import ky

ROW = [12.345, -70.125, -145.0, 0.01, -0.02, 0.03, 0.4]


def rows(n: int = 30, first: int = 0) -> list[list[object]]:
    return [[f"2023-03-05 21:30:{first + k / 5:06.3f}", *ROW] for k in range(n)]


def test_clock_columns_and_units(tmp_path: Path) -> None:
    track = ky.read(ky_files.write(tmp_path / "k.xlsx", rows()))
    assert track.time[1].isot == "2023-03-05T13:30:00.200000000"  # Beijing is 8 h ahead of UTC
    assert track.place[0].tolist() == ROW[:3] and track.pose[3].tolist() == ROW[3:6]
    assert track.angle[29] == 0.4 and track.path.endswith("k.xlsx")
    same = ky.read(tmp_path / "k.xlsx", utc_offset=0 * u.h)
    assert (same.time[0] - track.time[0]).to_value(u.h) == pytest.approx(8)


def test_a_check_value_from_the_file(tmp_path: Path) -> None:
    path = ky_files.write(tmp_path / "k.xlsx", rows())
    for air, place in ((None, (104.924890, 51.290060)), ("none", (104.928429, 51.281602))):
        found = ky.read(path).positions(Time(["2023-03-05T13:30:00.000"]), 1, refraction=air)
        want = SkyCoord(*place, unit="deg")
        assert SkyCoord(found.ra[0, 0], found.dec[0, 0]).separation(want) < 0.01 * u.arcsec


def test_more_columns_in_another_order_and_the_first_sheet(tmp_path: Path) -> None:
    names = ["Nr", *reversed(ky_files.COLUMNS), "SDP_Else"]
    table = [[k, *reversed(row), "x"] for k, row in enumerate(rows())]
    path = ky_files.write(tmp_path / "k.xlsx", table, columns=names, sheets=("Sheet1",))
    track = ky.read(path)
    assert len(track.time) == 30 and track.place[0].tolist() == ROW[:3]


def test_rows_that_are_not_whole_are_left_out(tmp_path: Path) -> None:
    table = [*rows(10), *rows(3), ["2023/03/05 21:29:59", *ROW], [None, *ROW],
             ["2023-03-05 21:31:00", *ROW[:3], "", *ROW[4:]],
             ["2023-03-05 21:31:01", "nan", *ROW[1:]], [None] * 8]
    path = ky_files.write(tmp_path / "k.xlsx", table)
    with pytest.warns(fs.FastsigWarning, match="6 of 17 rows") as caught:
        track = ky.read(path)
    assert len(caught) == 1 and len(track.time) == 10 + 1
    assert track.time[0].isot == "2023-03-05T13:29:59.000000000"
    assert (np.diff(track.time.mjd) > 0).all()


def wrong(path: Path, **change: object) -> list[list[object]]:
    table = rows(4)
    for name, value in change.items():
        table[2][ky_files.COLUMNS.index(name)] = value
    ky_files.write(path, table)
    return table


@pytest.mark.parametrize(("change", "message"), [
    ({"SDP_PhaPos_Z": -145000.0}, "the cabin hangs 100 to 200 m below"),
    ({"SDP_PhaPos_Z": 145.0}, "SDP_PhaPos = 12.345, -70.125, 145;"),
    ({"SDP_AngleM": 23.4}, "radians within two turns"),
    ({"SysTime": "yesterday"}, "SysTime = 'yesterday'; allowed: times such as"),
    ({"SysTime": 44990.5}, "SysTime = '44990.5'"),
])
def test_what_no_cabin_does(tmp_path: Path, change: dict[str, object], message: str) -> None:
    wrong(tmp_path / "k.xlsx", **change)
    with pytest.raises(fs.FormatError, match=message) as caught:
        ky.read(tmp_path / "k.xlsx")
    assert "\n" not in str(caught.value)


def test_tables_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "k.xlsx"
    ky_files.write(path, rows(), columns=["Time", *ky_files.COLUMNS[1:]])
    with pytest.raises(fs.FormatError, match="no column SysTime"):
        ky.read(path)
    ky_files.write(path, [row[:7] for row in rows()], columns=ky_files.COLUMNS[:7])
    with pytest.raises(fs.FormatError, match="lacks SDP_AngleM; it has SysTime"):
        ky.read(path)
    ky_files.write(path, [["2023-03-05 21:30:00", *[""] * 7]])
    with pytest.raises(fs.FormatError, match="no row of the table"):
        ky.read(path)
    ky_files.write(path, [])
    with pytest.raises(fs.FormatError, match="no row of the table"):
        ky.read(path)


def test_files_that_are_no_workbooks(tmp_path: Path) -> None:
    good = ky_files.write(tmp_path / "k.xlsx", rows()).read_bytes()
    for name, content in (("text", b"SysTime,x\n"), ("cut", good[: len(good) // 2]), ("none", b"")):
        path = tmp_path / f"{name}.xlsx"
        path.write_bytes(content)
        with pytest.raises(fs.FormatError, match="not a readable workbook"):
            ky.read(path)
    with pytest.raises(fs.FormatError, match="No such file"):
        ky.read(tmp_path / "missing.xlsx")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(fs.UsageError, match=r"pip install 'fastsig\[spectral\]'"):
        ky.read(tmp_path / "k.xlsx")


def test_flipped_bytes(tmp_path: Path, rng: np.random.Generator) -> None:
    good = bytearray(ky_files.write(tmp_path / "k.xlsx", rows(5)).read_bytes())
    path = tmp_path / "f.xlsx"
    refused = 0
    for place in rng.integers(0, len(good), 150):
        bad = good.copy()
        bad[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        try:
            ky.read(path)
        except fs.FastsigError:
            refused += 1
        except fs.FastsigWarning:
            pass
    assert refused > 20
