"""Where things lie in FITS files: held against astropy."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from recordings import recorded

from fastsig.errors import DataError, FastsigWarning, FormatError
from fastsig.io.fits.layout import read_column, tables


def mixed(path: Path) -> Path:
    """Units of all sorts, and columns of all types."""
    rng = np.random.default_rng(1)
    n = 5
    columns = [
        fits.Column("NUMBER", "D", "s", array=rng.normal(size=n)),
        fits.Column("few", "3E", dim="(3,1)", array=rng.normal(size=(n, 1, 3))),
        fits.Column("TEXT", "9A", array=np.array(["a b", "", "it's", "x" * 9, " y"])),
        fits.Column("YES", "L", array=np.array([True, False, True, True, False])),
        fits.Column("BITS", "11X", array=rng.integers(0, 2, (n, 11)).astype(bool)),
        fits.Column("BYTE", "2B", array=rng.integers(0, 256, (n, 2))),
        fits.Column("SHORT", "I", array=rng.integers(0, 9, n)),
        fits.Column("LONG", "6J", dim="(2,3)", array=rng.integers(0, 9, (n, 3, 2))),
        fits.Column("HUGE", "K", array=rng.integers(0, 2**60, n)),
        fits.Column("PAIR", "2C", array=rng.normal(size=(n, 2)).astype("c8")),
        fits.Column("PAIRS", "M", array=rng.normal(size=n).astype("c16")),
        fits.Column("HEAP", "PE()", array=np.array([np.ones(i, "f4") for i in range(n)], object)),
        fits.Column("NONE", "0E", array=np.empty((n, 0))),
    ]
    first = fits.BinTableHDU.from_columns(columns, name="mixed")
    first.header["TEXT1"] = "it's 'quoted' / no comment"
    first.header["LONGTEXT"] = "all of it & " * 12
    first.header["EXACT"] = 0.000049152
    second = fits.BinTableHDU.from_columns([fits.Column("A", "D", array=np.arange(800.0))],
                                           name="SECOND")
    image = fits.ImageHDU(rng.normal(size=(7, 11)), name="PICTURE")
    ascii_table = fits.TableHDU.from_columns([fits.Column("B", "I6", array=np.arange(3))])
    primary = fits.PrimaryHDU(np.arange(10, dtype=np.int16))
    fits.HDUList([primary, image, first, ascii_table, second]).writeto(path)
    with fits.open(path, mode="update") as file:
        file["MIXED"].header["TSCAL7"], file["MIXED"].header["TZERO7"] = 0.5, 10.0
    return path


def compare(path: Path) -> None:
    """Every unit, card that counts and column as astropy has them."""
    with fits.open(path) as file:
        found = tables(str(path))
        assert len(found) == len(file)
        for unit, other in zip(found, file, strict=True):
            if not isinstance(other, fits.BinTableHDU):
                assert not unit.columns and unit.n_row == 0
                continue
            assert unit.name == other.name.upper() and unit.data_offset == other._data_offset
            assert unit.n_row == len(other.data) and unit.row_bytes == other.header["NAXIS1"]
            for name in other.columns.names:
                column = unit.columns[name.upper()]
                if column.code in "PQ":
                    with pytest.raises(FormatError, match="of variable length"):
                        read_column(str(path), unit, name.upper())
                    continue
                values, expected = read_column(str(path), unit, name.upper()), other.data[name]
                if column.code == "L":
                    values = values == b"T"
                elif column.code == "X":
                    bits = np.unpackbits(values, axis=1)
                    values = bits[:, : expected.shape[1]].astype(bool)
                elif column.code == "A":
                    expected = np.char.encode(np.asarray(expected), "ascii")
                assert values.shape == expected.shape, name
                np.testing.assert_array_equal(values, expected)


def test_all_sorts_of_units_and_columns(tmp_path: Path) -> None:
    path = mixed(tmp_path / "a.fits")
    compare(path)
    units = tables(str(path))
    assert [(unit.name, unit.kind) for unit in units] == [
        ("PRIMARY", "PRIMARY"), ("PICTURE", "IMAGE"), ("MIXED", "BINTABLE"),
        ("HEADER 3", "TABLE"), ("SECOND", "BINTABLE")]
    mixed_unit = units[2]
    assert mixed_unit.cards["TEXT1"] == "it's 'quoted' / no comment"
    assert mixed_unit.cards["LONGTEXT"] == ("all of it & " * 12).rstrip()
    assert mixed_unit.cards.exact("EXACT") == Fraction("0.000049152")
    assert mixed_unit.columns["LONG"].shape == (3, 2) and mixed_unit.columns["TEXT"].shape == ()
    assert mixed_unit.columns["NUMBER"].unit == "s"
    second = units[4]
    np.testing.assert_array_equal(read_column(str(path), second, "A", 5, 8), [5, 6, 7])
    assert len(read_column(str(path), second, "A", 790, 9000)) == 10
    with pytest.raises(FormatError, match="the table SECOND has no column B; it has A"):
        read_column(str(path), second, "B")


@pytest.mark.recorded
@pytest.mark.parametrize("name", [
    "dysh/AGBT04A_008_02/AGBT04A_008_02.raw.acs/AGBT04A_008_02.raw.acs.testrim.fits",
    "dysh/TGBT17A_506_11/TGBT17A_506_11.raw.vegas.A_truncated_rows.fits",
    "dysh/TGBT21A_501_11/TGBT21A_501_11.raw.156.fits", "your/28.fits", "your/small.fits"])
def test_recorded_files(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what astropy says of their cards
        compare(recorded(name))


def test_numbers_as_they_are_written(tmp_path: Path) -> None:
    cards = {"SIMPLE": "T", "BITPIX": "8", "NAXIS": "0", "A": "1.5D-3", "B": "-2.E+2 / comment",
             "C": "1E99999999", "D": "'1D3'", "E": "0.1234567890123456789012", "F": "+.5d0",
             "G": "1E0000001"}
    raw = "".join(f"{key:<8}= {value:>20}".ljust(80) for key, value in cards.items())
    path = tmp_path / "a.fits"
    path.write_bytes((raw + "END".ljust(80)).ljust(2880).encode())
    found = tables(str(path))[0].cards
    assert found.exact("A") == Fraction(3, 2000) and found.exact("B") == -200
    assert found.exact("E") == Fraction("0.1234567890123456789012") and found["D"] == "1D3"
    assert found.exact("F") == Fraction(1, 2) and found.exact("G") == 10
    with pytest.raises(FormatError, match="C = '1 e99999999'; allowed: "):
        found.exact("C")  # 10^99999999 would fill the memory


def test_truncations_and_what_follows(tmp_path: Path) -> None:
    path = mixed(tmp_path / "a.fits")
    raw, units = path.read_bytes(), tables(str(path))
    start = units[4].data_offset
    cut = tmp_path / "cut.fits"
    cut.write_bytes(raw[: start + 8 * 100 + 3])
    with pytest.warns(FastsigWarning, match=r"header 4 \(SECOND\): NAXIS2 = 800; 100 complete"):
        found = tables(str(cut))
    np.testing.assert_array_equal(read_column(str(cut), found[4], "A"), np.arange(100.0))
    cut.write_bytes(raw[: start - 2880])
    assert len(tables(str(cut))) == 4
    cut.write_bytes(raw[: start - 2600])
    with pytest.warns(FastsigWarning, match="no header at byte"):
        assert len(tables(str(cut))) == 4
    cut.write_bytes(raw + b"junk" * 1000)
    with pytest.warns(FastsigWarning, match="the last 4000 bytes are left out"):
        assert len(tables(str(cut))) == 5
    for head in (b"", b"SIMPLE  =", raw[:200], b"x" * 9000):
        cut.write_bytes(head)
        if head:
            with pytest.raises(FormatError, match="not a FITS file"):
                tables(str(cut))
    path.write_bytes(raw[: start + 80])
    with pytest.raises(DataError, match="ends at byte"):
        read_column(str(path), units[4], "A")
    with pytest.raises(FormatError, match="No such file"):
        tables(str(tmp_path / "none.fits"))


@pytest.mark.parametrize("key, value, match", [
    ("NAXIS1", "7", "NAXIS1 = 7; its columns need 8 bytes"),
    ("NAXIS", "3", "has no NAXIS3"), ("NAXIS", "1", "NAXIS = 1, BITPIX = 8; allowed: 2 and 8"),
    ("BITPIX", "16", "BITPIX = 16"), ("TFORM1", "'Z'", "TFORM1 = 'Z'; allowed: a number and one"),
    ("TFIELDS", "1000", "TFIELDS = '1000'; allowed: a whole number from 0 to 999"),
    ("NAXIS2", "-5", "NAXIS2 = '-5'"), ("PCOUNT", "1E30", "PCOUNT = '1e30'")])
def test_layouts_that_cannot_be(key: str, value: str, match: str, tmp_path: Path) -> None:
    path = mixed(tmp_path / "bad.fits")
    raw = path.read_bytes()
    at = raw.rindex(f"{key:<8}= ".encode())
    path.write_bytes(raw[:at] + f"{key:<8}= {value:>20}".ljust(80).encode() + raw[at + 80 :])
    with pytest.raises(FormatError, match=rf"bad\.fits: .*{match}"):
        tables(str(path))
