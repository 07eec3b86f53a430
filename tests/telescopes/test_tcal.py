"""Tables of noise diodes: as recorded, masked, of several dates, in other channels."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time
from recordings import recorded

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.telescopes import tcal

FOLDER = "fast_tcal_txt/calibration"
PULSAR = ChannelAxis(Fraction(10**9), Fraction(500 * 10**6, 4096), 4096)


def archive(path: Path, tcal_k: np.ndarray, mhz: np.ndarray | None = None) -> Path:
    mhz = 1000 + 500 / len(tcal_k) * np.arange(len(tcal_k)) if mhz is None else mhz
    np.savez(path, freq=mhz, tcal=tcal_k)
    return path


@pytest.mark.recorded
def test_medians_of_the_recorded_tables() -> None:
    table = tcal.read(recorded(FOLDER))
    medians = {place: float(np.nanmedian(values)) for place, values in table.values.items()}
    assert medians == pytest.approx({(1, 0): 1.146, (1, 1): 1.133, (9, 0): 1.117}, abs=5e-4)
    assert table.beams == (1, 9) and table.level == "low" and table.date is None
    first = {place: values[:2] for place, values in table.values.items()}
    assert np.isnan([first[1, 0][0], first[9, 0][0]]).all()  # -0.37 and -0.15 K
    assert all(np.isfinite(values[1:]).all() for values in table.values.values())
    found = table.at(PULSAR, 1)
    assert found.shape == (2, 4096) and found.unit == u.K and np.isfinite(found).all()
    means = [np.nanmean(table.values[1, pol]) for pol in (0, 1)]  # which averaging keeps
    assert found.value.mean(axis=1) == pytest.approx(means, abs=1e-4)
    with pytest.raises(fs.UsageError, match="no M09 pol 1; it has M01 pol 0, M01 pol 1, M09"):
        table.at(PULSAR, 9)
    np.testing.assert_array_equal(table.at(PULSAR, 1, n_pol=1), found[:1])
    assert table.at(PULSAR, 9, n_pol=1).shape == (1, 4096)


@pytest.mark.recorded
def test_the_recorded_archive() -> None:
    table = tcal.read(recorded("fast_after/highcal_20201014_psr_tny.npz"))
    assert table.date is not None and table.date.isot == "2020-10-14T00:00:00.000"
    assert table.level == "high" and len(table.beams) == 19
    assert np.nanmedian(table.values[1, 0]) == pytest.approx(12.65, abs=0.01)
    values = np.stack([table.at(PULSAR, beam).value for beam in table.beams])
    assert np.nanmin(values) > 0  # -19 K are there in beam 14, 0.8 K at the edge of beam 1
    assert table.at(PULSAR, 1)[0, 0].value == pytest.approx(13.8, abs=0.2)
    shares = [table.masked_share(beam) for beam in table.beams]
    assert max(shares[:13] + shares[14:]) < 0.003 and shares[13] == pytest.approx(0.083, abs=1e-3)


def test_what_is_masked(rng: np.random.Generator) -> None:
    values = 12 + np.linspace(0, 1, 4096) + 0.05 * rng.standard_normal(4096)
    bad = {0: 11.0, 1: 14.0, 100: -3.0, 200: np.nan, 300: np.inf, 400: 0.0, 4095: 10.0}
    for channel, value in bad.items():
        values[channel] = value
    values[2000] = 30  # not at an edge: a table may have lines
    found = tcal.masked(values)
    assert np.flatnonzero(np.isnan(found)).tolist() == sorted(bad)
    assert (found[np.isfinite(found)] == values[np.isfinite(found)]).all()


def test_in_wider_and_narrower_channels(tmp_path: Path) -> None:
    mhz = 1000 + 0.5 * np.arange(1000)
    slope = 10 + (mhz - 1000) / 50
    table = tcal.read(archive(tmp_path / "a.npz", np.stack([slope, 2 * slope], 1)[:, :, None], mhz))
    for step, n in ((Fraction(125000), 3000), (Fraction(4 * 10**6), 100)):
        axis = ChannelAxis(Fraction(1010 * 10**6), step, n)
        want = 10 + (axis.centers.value - 1000) / 50
        assert table.at(axis, 1).value == pytest.approx(np.stack([want, 2 * want]), rel=1e-9)
    wave = 10 + np.cos(2 * np.pi * mhz)  # 11, 9, 11 ...: over 4 channels it is 10
    table = tcal.read(archive(tmp_path / "b.npz", np.stack([wave, wave], 1)[:, :, None], mhz))
    axis = ChannelAxis(Fraction(1100 * 10**6), Fraction(2 * 10**6), 20)
    assert table.at(axis, 1).value == pytest.approx(10, abs=1e-9)


def test_gaps_are_bridged_up_to_a_bound(tmp_path: Path) -> None:
    values = np.full((500, 2, 1), 12.0)
    values[100:103] = np.nan
    values[200:210] = -1
    table = tcal.read(archive(tmp_path / "a.npz", values))
    axis = ChannelAxis(Fraction(999 * 10**6), Fraction(10**6), 503)
    found = np.isnan(table.at(axis, 1, max_gap=2.5).value[0])
    empty = axis.centers.value[found]
    assert empty.tolist() == [1202, 1203, 1204, 1205, 1206, 1207]
    assert np.isnan(table.at(axis, 1, max_gap=0.5).value[0]).sum() == 3 + 10 + 1 + 2


def test_of_several_dates(tmp_path: Path) -> None:
    ones = np.ones((64, 2, 1))
    names = ("low_20200101.npz", "low_2021-06-01.npz", "high_20210101.npz", "undated_low.npz")
    tables = tcal.TcalSet(tuple(tcal.read(archive(tmp_path / name, ones)) for name in names))
    assert tables.nearest(Time("2020-09-01"), "low").name == "low_20200101"
    assert tables.nearest(Time("2020-10-01"), "low").name == "low_2021-06-01"
    assert tables.nearest(Time("2020-10-01")).name == "high_20210101"
    assert tables.named("undated_low").date is None
    with pytest.raises(fs.UsageError, match="there are low_20200101"):
        tables.named("low_2022")
    with pytest.raises(fs.UsageError, match="no low Tcal table with a date"):
        tcal.TcalSet(tables.tables[2:]).nearest(Time("2020-10-01"), "low")


def text_table(path: Path, n: int = 65536, word: str = "1.25") -> Path:
    path.write_text("1.0\n" * (n - 1) + word + "\n")
    return path


def test_text_tables_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "20190115"
    folder.mkdir()
    for pol in (0, 1):
        text_table(folder / f"m19_tc_high_pol_{pol}.txt")
    (folder / "README").write_text("no table")
    table = tcal.read(folder)
    assert table.name == "20190115" and table.date.isot.startswith("2019-01-15")
    assert table.beams == (19,) and table.level == "high"
    assert table.frequency[[0, -1]] == pytest.approx([1000.00357628, 1499.99594688], abs=1e-6)
    text_table(folder / "m01_tc_low_pol_0.txt")
    with pytest.raises(fs.UsageError, match="both levels"):
        tcal.read(folder)


@pytest.mark.parametrize(("n", "word", "message"), [
    (65535, "1.0", "65535 numbers; a Tcal table has 65536"), (65536, "x", "one number per line")])
def test_wrong_text(tmp_path: Path, n: int, word: str, message: str) -> None:
    with pytest.raises(fs.FormatError, match=message):
        tcal.read(text_table(tmp_path / "m01_tc_low_pol_0.txt", n, word))


def test_wrong_archives(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez(path, freq=np.arange(4))
    with pytest.raises(fs.FormatError, match="lacks tcal"):
        tcal.read(path)
    for shape in ((4, 3, 19), (5, 2, 19), (4, 2)):
        np.savez(path, freq=np.arange(4), tcal=np.ones(shape))
        with pytest.raises(fs.FormatError, match=r"allowed: \(chan,\) and"):
            tcal.read(path)
    np.savez(path, freq=np.zeros(4), tcal=np.ones((4, 2, 1)))
    with pytest.raises(fs.FormatError, match="ascend"):
        tcal.read(path)
    path.write_bytes(b"PK no archive")
    with pytest.raises(fs.FormatError, match="not an archive"):
        tcal.read(path)
    with pytest.raises(fs.FormatError, match="No such file"):
        tcal.read(tmp_path / "none.npz")
    with pytest.raises(fs.UsageError, match=r"m01_tc_low_pol_0\.txt"):
        tcal.read(tmp_path)
