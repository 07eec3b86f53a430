"""Spectra from text, tables and specutils: units, order, what is not stated, round trips."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable, Table
from recordings import recorded
from streams import MemorySpectra, header

import fastsig as fs
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import iso
from fastsig.chain import Chain
from fastsig.errors import FormatError, UsageError
from fastsig.io.opening import detect

WHEN = {"start_time": "2026-01-02T03:04:05.25", "exposure": "60s"}
MHZ = 1420.0 + np.arange(16) * 0.125
K = np.round(20 + np.random.default_rng(3).normal(0, 1, (2, 16)), 4)


def _csv(sep: str = ",", order: int = 1) -> str:
    rows = zip(MHZ[::order], *K[:, ::order], strict=True)
    return "\n".join(sep.join(f"{each}" for each in row) for row in rows) + "\n"


def _check(chain: Any, n_product: int = 2) -> None:
    assert chain.shape == (1, n_product, 16) and chain.header.unit == "K"
    axis = chain.header.channels
    assert (axis.first_hz, axis.step_hz, axis.n_chan) == (1_420_000_000, 125_000, 16)
    np.testing.assert_array_equal(chain.read().values[0], K[:n_product].astype("f4"))


@pytest.mark.parametrize(("head", "sep"), [
    ("frequency (MHz),XX (K),YY (K)\n", ","), ("Freq [mhz];XX [K];YY [K]\n", ";"),
    ("# a spectrum\n#frequency_mhz\tXX\tYY\n#MHz\tK\tK\n", "\t"),
    ("frequency (MHz)  XX (K)  YY (K)\n", "  "), ("! frequency XX YY\n! MHz K K\n", " ")])
@pytest.mark.parametrize("order", [1, -1])
def test_text_with_units(tmp_path: Path, head: str, sep: str, order: int) -> None:
    path = tmp_path / "s.txt"
    path.write_text(head + _csv(sep, order))
    assert detect(path)[0] == "text"
    chain = fs.open(path, **WHEN)
    _check(chain)
    assert chain.header.polarization.names == ("AA", "BB")
    assert chain.header.polarization.kind == "linear"
    assert iso(chain.start_time) == "2026-01-02T03:04:05.250000000"
    assert chain.header.sample_rate == 1 / chain.header.sample_rate / 3600
    assert chain.stream.files == [str(path)]


def test_text_without_units_or_names(tmp_path: Path) -> None:
    path = tmp_path / "s.dat"
    path.write_text(_csv(" "))
    with pytest.raises(FormatError, match=r"the unit of the axis, 1420 to 1421.875, .* "
                                          r"frequency_unit='MHz'"):
        fs.open(path, **WHEN)
    with pytest.raises(FormatError, match=r"does not state its time; give start_time=\S+ "
                                          "exposure='60s'"):
        fs.open(path, frequency_unit="MHz", columns="column 2")
    with pytest.raises(FormatError, match="column 2, column 3: which of them are spectra"):
        fs.open(path, frequency_unit="MHz", **WHEN)
    chain = fs.open(path, frequency_unit="MHz", unit="K", columns="column 2", telescope="FAST",
                    **WHEN)
    _check(chain, 1)
    assert chain.header.telescope == "FAST" and chain.header.polarization.names == ("I",)
    for wrong, words in (({"unit": "Q!"}, "unit = 'Q!'"), ({"columns": "ZZ"}, "columns = 'ZZ'"),
                         ({"frequency_unit": "s"}, "of frequency or velocity"),
                         ({"exposure": "0s"}, "above 0 s"), ({"gain": 1}, "unknown override")):
        with pytest.raises(UsageError, match=words):
            fs.open(path, **{"frequency_unit": "MHz", "columns": "column 2", **WHEN, **wrong})


def test_values_that_lines_before_the_table_state(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("# start_time: 2026-01-02T03:04:05\n# exposure = 300\n# source = M51\n"
                    "# telescope = GBT\n# ra_deg = 202.5\n# dec_deg = 47.2\n# restfrq = 1.42e9\n"
                    "# frame = LSR\nfrequency (MHz),flux (mJy),noise (mJy)\n" + _csv())
    about = fs.open(path).header
    assert (about.source, about.telescope, about.unit) == ("M51", "GBT", "mJy")
    assert (about.ra_deg, about.dec_deg, about.rest_hz, about.specsys) == (
        202.5, 47.2, 1.42e9, "lsrk")
    assert about.sample_rate * 300 == 1 and about.polarization.names == ("I",)
    assert fs.open(path, source="NGC 5194").header.source == "NGC 5194"


def test_empty_cells_are_lost_channels(tmp_path: Path) -> None:
    lines = _csv().splitlines()
    lines[4] = lines[4].rpartition(",")[0] + ","
    path = tmp_path / "s.csv"
    path.write_text("f (MHz),XX (K),YY (K)\n" + "\n".join(lines))
    block = fs.open(path, **WHEN).stream.read_block(0, 1)
    assert np.argwhere(block.valid[0] == 0).tolist() == [[1, 4]]
    assert np.isnan(block.data[0, 1, 4]) and np.isfinite(block.data[0, 0]).all()


def test_letters_of_any_encoding_in_comments(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    text = "# observer: Ångström\nfrequency (MHz),XX (K),YY (K)\n" + _csv()
    for raw in (text.encode("latin-1"), text.encode(), text.encode("utf-8-sig"),
                text.replace("\n", "\r\n").encode()):
        path.write_bytes(raw)
        _check(fs.open(path, **WHEN))


def test_axes_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    moved = _csv().replace("1420.625", "1420.64")
    path.write_text("f (MHz),XX (K),YY (K)\n" + moved)
    with pytest.raises(FormatError, match="channel 5 is 0.12 channels off an even spacing"):
        fs.open(path, **WHEN)
    path.write_text("f (MHz),XX (K),YY (K)\n" + _csv() + "1,x,2\n")
    with pytest.raises(FormatError, match="rows from line 2 on are not a table of numbers"):
        fs.open(path, **WHEN)
    path.write_text("f (MHz),XX (K)\n" + "".join(f"{i - 3},2\n" for i in range(9)))
    with pytest.raises(FormatError, match="the axis begins at -3 MHz; allowed: above 0"):
        fs.open(path, **WHEN)


def test_velocities_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text("v (km/s),flux (Jy)\n" + "".join(f"{i * 5 - 40},{i}\n" for i in range(16)))
    with pytest.raises(FormatError, match="the line is not stated; give rest='HI'"):
        fs.open(path, **WHEN)
    chain = fs.open(path, rest="HI", **WHEN)
    data = chain.read()
    np.testing.assert_array_equal(data.values[0, 0], np.arange(16)[::-1])
    np.testing.assert_allclose(data.velocity().to_value("km/s"), 35 - np.arange(16) * 5.0,
                               atol=1e-6)


@pytest.mark.recorded
def test_gbtidl_s_text_is_its_spectrum() -> None:
    path = recorded("dysh/gbtidl_spectra/onoff-L_gettp_156_intnum_0_LSR.ascii")
    chain = fs.open(path, telescope="GBT", **WHEN)
    about, data = chain.header, chain.read()
    assert (about.source, about.specsys, about.unit) == ("NGC2782", "lsrk", None)
    assert about.polarization.names == ("BB",) and data.values.shape == (1, 1, 32768)
    lines = path.read_text().splitlines()
    first, value = map(float, lines[3].split())
    assert data.frequency[-1].to_value("GHz") == pytest.approx(first, abs=1e-12)
    assert data.values[0, 0, -1] == value


def test_tables(tmp_path: Path) -> None:
    table = QTable({"name": ["x"] * 16, "frequency": MHZ[::-1] / 1000 * u.GHz,
                    "XX": K[0, ::-1] * u.K, "YY": K[1, ::-1] * u.K, "noise": np.ones(16) * u.K},
                   meta={"start_time": "2026-01-02", "exposure": 60.0, "OBJECT": "M51"})
    chain = fs.from_table(table)
    _check(chain)
    assert chain.header.source == "M51" and chain.stream.files == []
    table.write(tmp_path / "t.ecsv")
    _check(fs.open(tmp_path / "t.ecsv", telescope="FAST"))
    one = fs.from_table(table, columns="XX", start_time="2027-01-01")
    _check(one, 1)
    assert iso(one.start_time)[:4] == "2027"
    plain = Table({"f": MHZ, "XX": np.ma.masked_equal(K[0], K[0, 3])})
    with pytest.raises(UsageError, match="no column of the table has a unit of frequency"):
        fs.from_table(plain, **WHEN)
    found = fs.from_table(plain, frequency_unit="MHz", unit="K", **WHEN).read()
    assert np.flatnonzero(np.isnan(found.values[0, 0])).tolist() == [3]
    assert pickle.loads(pickle.dumps(one.stream)).header.unit == "K"
    Table({"dm": [1.0], "snr": [9.0]}).write(tmp_path / "c.ecsv")
    with pytest.raises(FormatError, match="contains a table; allowed here: a stream in time, or"):
        fs.open(tmp_path / "c.ecsv")


def test_spectra_of_specutils_and_back() -> None:
    specutils = pytest.importorskip("specutils")
    values = np.random.default_rng(2).normal(9, 1, (5, 2, 16)).astype("f4")
    values[2, 1, 7] = np.nan
    about = header(2, n_chan=16, n_bits=32).replace(
        polarization=PolBasis("linear", ("AA", "BB")), unit="K", rest_hz=1.42e9)
    source = Chain(MemorySpectra(values, about))
    back = fs.from_specutils(source.read().to_specutils())
    np.testing.assert_array_equal(back.read().values, values)
    assert back.header == source.read().header.replace(channels=back.header.channels)
    np.testing.assert_allclose(back.frequency.value, source.frequency.value, rtol=1e-14)
    plain = specutils.Spectrum(flux=K[0] * u.Jy, spectral_axis=MHZ * u.MHz, mask=K[0] > 20)
    with pytest.raises(FormatError, match="does not state its time"):
        fs.from_specutils(plain)
    found = fs.from_specutils(plain, **WHEN)
    assert found.header.unit == "Jy" and found.shape == (1, 1, 16)
    np.testing.assert_array_equal(np.isnan(found.read().values[0, 0]), K[0] > 20)
    rows = specutils.Spectrum(flux=K * u.K, spectral_axis=MHZ * u.MHz)
    assert fs.from_specutils(rows, **WHEN).shape == (2, 1, 16)
    with pytest.raises(UsageError, match="allowed: a Spectrum of specutils"):
        fs.from_specutils(3)


def test_a_table_is_reduced_and_written(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("frequency (MHz),XX (K),YY (K)\n" + _csv())
    chain = fs.open(path, telescope="FAST", **WHEN)
    chain.baseline("polynomial", order=1).write(tmp_path / "s.h5")
    again = fs.open(tmp_path / "s.h5")
    assert again.header.unit == "K" and again.shape == (1, 2, 16)
    left = again.read().values[0]
    assert np.abs(left).max() < 4 and abs(left.mean()) < 1e-3


def _hostile(home: Path) -> Any:
    notes = "".join(f"# note {i}: the weather was fine, and the observer awake\n" for i in range(9))
    text = (notes + "# start_time: 2026-01-02T03:04:05\n# exposure = 300\n# ra_deg = 202.5\n"
            "# dec_deg = 47.2\n# restfrq = 1.42e9\n# frame = LSR\nfrequency (MHz),XX (K),YY (K)\n")
    (home / "s.csv").write_text(text + _csv())
    return ["s.csv"], {"s.csv": [(0, len(text) + 60)]}, "bytes", {}


HOSTILE = {"spectra": [("csv", _hostile)]}


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize(("head", "more"), [
    ("frequency (MHz),XX (K),YY (K)\n", {}),
    ("frequency,XX (K),YY (K)\n", {"frequency_unit": "MHz"})])
def test_a_spectrum_of_few_rows(tmp_path: Path, n: int, head: str, more: dict[str, str]) -> None:
    path = tmp_path / "s.csv"
    path.write_text(head + "".join(_csv().splitlines(keepends=True)[:n]))
    chain = fs.open(path, **WHEN, **more)
    assert chain.shape == (1, 2, n)
    np.testing.assert_array_equal(chain.read().values[0], K[:, :n].astype("f4"))


def test_what_a_text_lacks_to_be_a_spectrum(tmp_path: Path) -> None:
    path, rows = tmp_path / "s.csv", _csv().splitlines(keepends=True)
    path.write_text("frequency (MHz),XX (K),YY (K)\n" + rows[0])
    with pytest.raises(FormatError, match="the axis has 1 channels; allowed: 2 or more"):
        fs.open(path, **WHEN)
    for head, body, what in (
            ("x,y,z\n", rows[:3], "its first column, 'x', has 3 rows and no unit of frequency or "
             "velocity; as text of a spectrum it needs one .* 'frequency \\(MHz\\), I', or 4 or "
             "more rows"),
            ("", rows[:1], "its first column, 'column 1', has 1 row and"),
            ("x,y,z\n", [rows[0], rows[1], rows[3], rows[9]], "'x', has uneven steps and no unit")):
        path.write_text(head + "".join(body))
        with pytest.raises(FormatError, match=what):
            fs.open(path, **WHEN)
    path.write_text("no numbers\n")
    with pytest.raises(FormatError, match=r"not a file of a known format \([^)]*\)$"):
        fs.open(path)
