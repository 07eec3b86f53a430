"""FAST's spectral FITS as it is written: columns, cards and times by astropy, what is refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PRODUCTS, PolBasis
from fastsig.axes.time import time_from_mjd
from fastsig.errors import OutputError, PlanError, UsageError
from fastsig.io.fast.spectral import F_WIDTH
from fastsig.io.fast.spectral_writer import FastSpectralWriter
from fastsig.stream.header import Header

N_CHAN = 24
STEP = Fraction("0.50331648")
# FAST's 21 columns, in order.
COLUMNS = {
    "OBSNUM": "K", "SCAN": "K", "OBSTYPE": "16A", "QUALITY": "L", "UTOBS": "D", "DATE-OBS": "24A",
    "OBJ_RA": "D", "OBJ_DEC": "D", "OFF_RA": "D", "OFF_DEC": "D", "TSYS": "D", "EXPOSURE": "D",
    "NCHAN": "K", "FREQ": "D", "CHAN_BW": "D", "BEAM_EFF": "D", "PRESSURE": "D", "TAMBIENT": "D",
    "WINDSPD": "D", "WINDDIR": "D", "DATA": f"{4 * N_CHAN}E"}


def header(**changes: Any) -> Header:
    return Header(
        time_from_mjd(59000, Fraction("86390.25")), 1 / STEP,
        ChannelAxis(10**9 + Fraction(15, 2) * F_WIDTH, 16 * F_WIDTH, N_CHAN),
        polarization=PolBasis("linear", PRODUCTS["AABBCRCI"]), n_bits=32, telescope="FAST",
        backend="fastsig", source="M 31", ra_deg=10.6847, dec_deg=41.2688).replace(**changes)


def spectra(n: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.normal(5e11, 1e11, (n, 4, N_CHAN)).astype("f4")


def write(path: Path, x: np.ndarray, head: Header | None = None, **options: Any) -> list[str]:
    with FastSpectralWriter(path, head or header(), x.shape, **options) as writer:
        for start in range(0, len(x), 7):
            writer.append(x[start : start + 7])
    return writer.files


def test_tables_are_those_of_fast(tmp_path: Path) -> None:
    x = spectra(50)
    names = write(tmp_path / "x-M03_W_{file}.fits", x, file_rows=32, obs_type="DRIFTING")
    assert [Path(name).name for name in names] == ["x-M03_W_0001.fits", "x-M03_W_0002.fits"]
    rows = []
    for name, n_row in zip(names, (32, 18), strict=True):
        assert Path(name).stat().st_size % 2880 == 0
        with fits.open(name) as file:
            file.verify("exception")
            primary, unit = file
            assert primary.data is None and unit.name == "SINGLE DISH"
            assert len(unit.data) == n_row
            assert {c.name: c.format for c in unit.columns} == COLUMNS
            assert [c.name for c in unit.columns] == list(COLUMNS)
            assert unit.header["TDIM21"] == f"(4,{N_CHAN})"
            cards = unit.header
            assert (cards["TELESCOP"], cards["INSTRUME"]) == ("FAST", "MBSPEC")
            assert (cards["SPECSYS"], cards["SSYSOBS"]) == ("LSRK", "TOPOCENT")
            assert (cards["OBJECT"], cards["ORIGIN"]) == ("M 31", "fastsig")
            rows.append(np.array(unit.data))
    table = np.concatenate(rows)
    np.testing.assert_array_equal(table["DATA"].transpose(0, 2, 1), x)
    np.testing.assert_array_equal(table["OBSNUM"], np.arange(50))
    assert set(table["OBSTYPE"]) == {b"DRIFTING"} and (table["EXPOSURE"] == float(STEP)).all()
    assert (table["FREQ"] == 1000.0035762786865).all() and (table["NCHAN"] == N_CHAN).all()
    assert (table["CHAN_BW"] == 500 / 65536).all() and (table["OBJ_DEC"] == 41.2688).all()
    expected = Time(59000, (86390.25 + np.arange(50) * float(STEP)) / 86400, format="mjd")
    assert abs(table["UTOBS"] - expected.mjd).max() <= np.spacing(59000.0)
    told = Time(np.char.decode(table["DATE-OBS"]), format="isot")
    late = (expected - told).to_value("s")
    assert late.min() > -1e-5 and late.max() < 0.001
    assert table["DATE-OBS"][0] == b"2020-05-31T23:59:50.250"


def test_reader_gives_the_same(tmp_path: Path) -> None:
    x, slots = spectra(40), np.r_[0:10, 13:20, 25:48]
    names = write(tmp_path / "x-M03_W_{file}.fits", x, slots=slots, file_rows=16)
    chain = fs.open(names)
    found = chain.read()
    assert chain.shape == (48, 4, N_CHAN) and chain.header.beam == 3
    np.testing.assert_array_equal(found.values[slots], x)
    np.testing.assert_array_equal(np.flatnonzero(found.weight[:, 0].min(axis=1)), slots)
    assert chain.header.channels == header().channels
    assert chain.header.sample_rate == header().sample_rate
    assert abs((chain.start_time - header().start_time).to_value("s")) < 1e-6
    assert chain.header.source == "M 31"


def test_leap_second(tmp_path: Path) -> None:
    head = header(start_time=Time("2016-12-31T23:59:59.5", scale="utc"))
    (name,) = write(tmp_path / "a.fits", spectra(5), head)
    table = fits.getdata(name, 1)
    assert table["DATE-OBS"].tolist() == [
        "2016-12-31T23:59:59.500", "2016-12-31T23:59:60.003", "2016-12-31T23:59:60.506",
        "2017-01-01T00:00:00.009", "2017-01-01T00:00:00.513"]
    seconds = (table["UTOBS"] - 57754) * 86400
    np.testing.assert_allclose(seconds[3:], [0.00994944, 0.51326592], atol=1e-6)


def test_one_file_is_what_2_gib_hold() -> None:
    from fastsig.io.fast.spectral_writer import FILE_BYTES

    assert [FILE_BYTES // (16 * n) for n in (2**16, 2**20)] == [2048, 128]


@pytest.mark.parametrize(("change", "error", "told"), [
    ({"file_rows": 0}, UsageError, "file_rows = 0"), ({"obs_type": "x" * 17}, UsageError, "16"),
    ({"obs_type": "Häuser"}, UsageError, "ASCII"), ({"obs_type": ""}, UsageError, "obs_type"),
    ({"slots": np.arange(3)}, UsageError, "one per row"),
    ({"slots": np.r_[0, 0, 1:9]}, UsageError, "ascending"),
    ({"file_rows": 3}, UsageError, "4 files"),
])
def test_wrong_options(
    tmp_path: Path, change: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        write(tmp_path / "a.fits", spectra(10), **change)
    assert not list(tmp_path.iterdir())


def test_what_the_format_cannot_hold(tmp_path: Path) -> None:
    for shape, changes, told in (
            ((3, 4, N_CHAN), {"channels": None}, "frequencies"),
            ((3, 2, N_CHAN), {}, "AA, BB, CR, CI"), ((0, 4, N_CHAN), {}, "one or more rows"),
            ((3, 4, 5), {}, "24 channels"),
            ((3, 4, N_CHAN), {"polarization": PolBasis("linear", PRODUCTS["IQUV"])}, "not I, Q")):
        with pytest.raises(PlanError, match=told):
            FastSpectralWriter(tmp_path / "a.fits", header(**changes), shape)


def test_all_rows_or_no_file(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    with pytest.raises(UsageError, match="2 of 3 announced"), FastSpectralWriter(
            path, header(), (3, 4, N_CHAN)) as writer:
        writer.append(spectra(2))
    with pytest.raises(UsageError, match="more rows than the 3"), FastSpectralWriter(
            path, header(), (3, 4, N_CHAN)) as writer:
        writer.append(spectra(4))
    assert not list(tmp_path.iterdir())
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="overwrite"):
        write(path, spectra(2))
    assert path.read_bytes() == b"mine"
    write(path, spectra(2), overwrite=True)
    assert len(fits.getdata(path, 1)) == 2
