"""GBT's SDFITS: recorded truths, astropy as oracle, picks, times, damage."""

from __future__ import annotations

import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from cli import fastsig
from hostile import change_bytes
from recordings import recorded

import fastsig as fs
from fastsig.axes.time import iso
from fastsig.errors import FastsigError, FastsigWarning, FormatError, UsageError
from fastsig.io.probe import Probe
from fastsig.io.sdfits import reader as sdfits
from fastsig.products.validate import validate

N_CHAN = 16
TGBT21 = "dysh/TGBT21A_501_11/TGBT21A_501_11"
RECORDED = (
    "dysh/AGBT04A_008_02/AGBT04A_008_02.cal.acs.testtrim.fits",
    "dysh/AGBT04A_008_02/AGBT04A_008_02.raw.acs/AGBT04A_008_02.raw.acs.testrim.fits",
    "dysh/AGBT17A_404_01/AGBT17A_404_01_scan_19_prebaseline.fits",
    "dysh/AGBT21B_024_01/AGBT21B_024_01.raw.vegas/AGBT21B_024_01.raw.vegas.testtrim.fits",
    "dysh/TGBT17A_506_11/TGBT17A_506_11.raw.vegas.A_truncated_rows.fits",
    f"{TGBT21}.raw.156.fits", f"{TGBT21}_2.raw.vegas.fits", f"{TGBT21}_ifnum_0_int_0-2.fits",
    f"{TGBT21}_getps_scan_152_intnum_0_ifnum_0_plnum_0.fits",
)


def opened(path: Path, **overrides: Any) -> Any:
    return fs.open(path, **overrides).stream


@pytest.mark.recorded
@pytest.mark.parametrize("name", RECORDED)
def test_recorded_tables_are_those_of_astropy(name: str) -> None:
    path = recorded(name)
    found = sdfits.table(path)
    with fits.open(path) as file:
        tables = [(number, hdu) for number, hdu in enumerate(file) if hdu.name == "SINGLE DISH"]
        at = 0
        for number, hdu in tables:
            rows = found.rows[at : at + len(hdu.data)]
            assert (rows["TABLE"] == number).all() and (rows["ROW"] == np.arange(len(rows))).all()
            for column in hdu.columns.names:
                if column != "DATA":
                    expected = np.char.strip(hdu.data[column]) if hdu.data[column].dtype.kind in (
                        "U") else hdu.data[column]
                    np.testing.assert_array_equal(rows[column], expected, err_msg=column)
            spectra = found.spectra(range(at, at + len(rows)))
            assert spectra.dtype == np.float32 and spectra.dtype.isnative
            np.testing.assert_array_equal(spectra, hdu.data["DATA"])
            for row in range(len(rows)):
                values = {key: float(hdu.data[key][row]) for key in ("CRVAL1", "CRPIX1", "CDELT1")}
                n = hdu.data["DATA"].shape[1]
                expected = values["CRVAL1"] + (np.arange(n) + 1 - values["CRPIX1"]) * (
                    values["CDELT1"])
                np.testing.assert_allclose(found.frequencies(at + row), expected, rtol=1e-14)
                time = Time(hdu.data["DATE-OBS"][row].strip(), scale="utc")
                assert abs((found.times([at + row])[0] - time).sec) < 1e-9
            at += len(rows)
        assert len(found) == at
    found.close()


@pytest.mark.recorded
def test_recorded_tables_of_two_widths() -> None:
    for name, sizes in ((RECORDED[1], [(8, 8192), (10, 32768)]),
                        (RECORDED[4], [(3, 32768), (5, 4096)])):
        found = sdfits.table(recorded(name))
        table = np.array(found.rows["TABLE"])
        assert [found.spectra(table == number).shape for number in (1, 2)] == sizes
        with pytest.raises(UsageError, match="rows of one table"):
            found.spectra([0, len(found) - 1])


@pytest.mark.recorded
def test_recorded_total_power_is_that_of_gbtidl() -> None:
    path = recorded(f"{TGBT21}.raw.156.fits")
    text = recorded("dysh/gbtidl_spectra/onoff-L_gettp_156_intnum_0_TOPO.ascii").read_text()
    freq_ghz, counts = np.array([line.split() for line in text.splitlines()[3:]], float).T
    found = sdfits.table(path)
    rows = found.rows
    picked = np.flatnonzero((rows["IFNUM"] == 0) & (rows["PLNUM"] == 0))
    assert picked.tolist() == [2, 3]
    mean = found.spectra(picked).astype("f8").mean(axis=0)
    np.testing.assert_allclose(mean, counts, rtol=5e-7)
    np.testing.assert_allclose(found.frequencies(2) / 1e9, freq_ghz, rtol=0, atol=1e-15 * 2)
    on, off = (opened(path, ifnum=0, plnum=0, cal=cal) for cal in "TF")
    both = (on.read_block(0, 1).data + off.read_block(0, 1).data.astype("f8")) / 2
    np.testing.assert_allclose(both[0, 0, ::-1], counts, rtol=5e-7)
    np.testing.assert_allclose(on.frequency.to_value("GHz")[::-1], freq_ghz, rtol=0, atol=2e-15)
    assert iso(on.start_time) == "2021-02-10T07:57:41.000000000"  # as in the ASCII's first line
    assert on.header.source == "NGC2782" and on.header.telescope == "GBT"
    assert on.header.polarization.names == ("BB",) and on.header.receiver == "Rcvr1_2"
    assert on.header.sample_rate == 1 / Fraction("1.999285") and on.header.n_bits == 32
    assert on.header.ra_deg == pytest.approx(138.5, abs=0.1) and on.header.dec_deg is not None
    assert on.header.extra["frame"] == "topocentric" and on.header.extra["VELDEF"] == "OPTI-HEL"


@pytest.mark.recorded
def test_recorded_scans_on_one_clock() -> None:
    path = recorded(f"{TGBT21}_ifnum_0_int_0-2.fits")
    with pytest.raises(FormatError, match="scan 152, 153; ifnum 0; plnum 1, 0; fdnum 0; cal F, T"):
        opened(path)
    stream = opened(path, scan=152, plnum=0, cal="F")
    # 07:38:37.50, 39.50 and 41.49 are 1.9965 s apart, rounded.
    assert stream.shape == (3, 1, 32768) and float(1 / stream.header.sample_rate) == pytest.approx(
        1.9965, abs=0.006)
    with fits.open(path) as file:
        data = file[1].data
        mask = (data["SCAN"] == 152) & (data["PLNUM"] == 0) & (data["CAL"] == "F")
        np.testing.assert_array_equal(stream.read_block(0, 3).data[:, 0, ::-1], data["DATA"][mask])
    moved = stream.header.extra["frequency_moves_channels"]
    assert moved == pytest.approx(1 / 715.2557373, rel=1e-6)
    with pytest.warns(FastsigWarning) as caught:
        both = opened(path, plnum=0, cal="F")
    told = " ".join(str(each.message) for each in caught)
    assert "labels of channels move by up to 1.16 channels" in told
    assert "DATE-OBS of 3 of 6 rows deviates from a clock" in told
    assert both.slots.tolist()[:3] == [0, 1, 2] and both.slots[3] in (157, 158)
    assert both.read_block(0, both.shape[0]).valid[:, 0, 5].sum() == 6
    with pytest.raises(UsageError, match=r"no row has scan = 154; allowed: table 1; scan 152, 153"):
        opened(path, scan=154)
    with pytest.raises(UsageError, match="unknown override 'beam'"):
        opened(path, beam=1)


@pytest.mark.recorded
def test_recorded_files_open() -> None:
    """Every file of the folder, by picks where it holds several states."""
    picks: dict[str, dict[str, Any]] = {
        RECORDED[0]: {"table": 1}, RECORDED[1]: {"table": 1, "cal": "T", "scan": 220},
        RECORDED[3]: {"table": 2, "scan": 104},
        RECORDED[4]: {"table": 2, "ifnum": 0, "plnum": 0, "cal": "F"},
        RECORDED[5]: {"ifnum": 1, "plnum": 1, "cal": "T"},
        RECORDED[6]: {"scan": 153, "cal": "F"}, RECORDED[7]: {"scan": 152, "cal": "F", "plnum": 1},
    }
    for name in RECORDED:
        stream = opened(recorded(name), **picks.get(name, {}))
        block = stream.read_block(0, stream.shape[0])
        assert np.isfinite(block.data).mean() > 0.9 and (np.diff(stream.frequency.value) > 0).all()
        assert fs.info(recorded(name), **picks.get(name, {}))["format"] == "sdfits"


def table(states: list[dict[str, Any]], data: np.ndarray, **columns: str) -> fits.BinTableHDU:
    """Rows as GBT has them, some of the columns."""
    usual = {"OBJECT": "SRC", "DATE-OBS": "2021-02-10T07:38:37.50", "DURATION": 0.5,
             "EXPOSURE": 0.49, "CTYPE1": "FREQ-OBS", "CRVAL1": 1.42e9, "CRPIX1": 9.0,
             "CDELT1": -1000.0, "CTYPE2": "RA", "CRVAL2": 10.5, "CTYPE3": "DEC", "CRVAL3": -20.25,
             "CRVAL4": -5, "SCAN": 1, "VELDEF": "OPTI-LSR", "SIG": "T", "CAL": "F", "IFNUM": 0,
             "PLNUM": 0, "FDNUM": 0}
    forms = {"OBJECT": "32A", "DATE-OBS": "22A", "CRVAL4": "I", "SCAN": "J", "CTYPE1": "8A",
             "CTYPE2": "4A", "CTYPE3": "4A", "VELDEF": "8A", "SIG": "A", "CAL": "A", "IFNUM": "I",
             "PLNUM": "I", "FDNUM": "I", **columns}
    rows = [{**usual, **state} for state in states]
    made = [fits.Column(name, forms.get(name, "D"), array=[row[name] for row in rows])
            for name in usual]
    made.insert(5, fits.Column("DATA", f"{data.shape[1]}E", array=data))
    return fits.BinTableHDU.from_columns(made, name="SINGLE DISH")


def write(path: Path, states: list[dict[str, Any]], data: np.ndarray | None = None, *more: Any,
          **cards: Any) -> Path:
    data = spectra(len(states)) if data is None else data
    hdus = [table(states, data), *more]
    primary = fits.PrimaryHDU()
    primary.header["TELESCOP"] = "NRAO_GBT"
    for key, value in cards.items():
        hdus[0].header[key] = value
    fits.HDUList([primary, *hdus]).writeto(path, overwrite=True)
    return path


def spectra(n: int, n_chan: int = N_CHAN) -> np.ndarray:
    return np.random.default_rng(2).normal(100, 1, (n, n_chan)).astype(np.float32)


def at(seconds: float) -> dict[str, str]:
    minutes, rest = divmod(seconds, 60)
    return {"DATE-OBS": f"2021-02-10T07:{38 + int(minutes):02d}:{rest:05.2f}"}


@pytest.mark.parametrize("step", [1000.0, -1000.0])
def test_impulse_and_tone(tmp_path: Path, step: float) -> None:
    data = np.ones((5, N_CHAN), np.float32)
    data[3] += 100
    data[:, 4] += 10
    states = [{**at(2 * row), "CDELT1": step} for row in range(5)]
    stream = opened(write(tmp_path / "i.fits", states, data))
    block = stream.read_block(0, 5).data
    row = int(np.argmax(block[:, 0].mean(axis=1)))
    assert iso(stream.time_of(row)) == "2021-02-10T07:38:06.000000000"
    chan = int(np.argmax(block[0, 0]))
    assert stream.frequency.to_value("Hz")[chan] == pytest.approx(1.42e9 + (5 - 9) * step, abs=1e-3)
    assert stream.header.channels.step_hz == 1000 and stream.header.sample_rate == Fraction(1, 2)
    part = stream.band(2, 7)
    np.testing.assert_array_equal(part.read_block(0, 5).data, block[:, :, 2:7])
    assert part.frequency[0] == stream.frequency[2]


def test_gaps_order_and_times(tmp_path: Path) -> None:
    seconds = [0, 1.5, 3, 9, 4.5]  # the last two in the other order, 6 and 7.5 missing
    data = spectra(5)
    stream = opened(write(tmp_path / "g.fits", [at(each) for each in seconds], data))
    assert stream.header.sample_rate == Fraction(2, 3) and stream.shape[0] == 7
    block = stream.read_block(0, 7)
    assert block.valid[:, 0, 0].tolist() == [1, 1, 1, 1, 0, 0, 1]
    np.testing.assert_array_equal(block.data[[0, 1, 2, 6, 3], 0, ::-1], data)
    assert stream.slots.tolist() == [0, 1, 2, 3, 6]
    assert stream.header.extra["clock"] == "regular"
    np.testing.assert_allclose((stream.times - stream.times[0]) * 86400, sorted(seconds), atol=2e-6)


def test_irregular_rows_come_at_their_mean_cadence(tmp_path: Path) -> None:
    seconds = [0, 1, 4.3, 5.7, 11.9, 13.6]
    path = write(tmp_path / "m.fits", [at(each) for each in seconds])
    with pytest.warns(FastsigWarning, match="rows are irregular .* mean cadence of 2.72 s"):
        stream = opened(path)
    assert stream.shape[0] == 6 and 1 / stream.header.sample_rate == Fraction("2.72")
    assert stream.header.extra["clock"] == "mean cadence"
    np.testing.assert_allclose((stream.times - stream.times[0]) * 86400, seconds, atol=2e-6)
    assert iso(sdfits.table(path).times([2])[0]) == "2021-02-10T07:38:04.300000000"
    with pytest.warns(FastsigWarning, match="deviates from a clock"):
        assert opened(path, sample_rate=1).shape[0] == 15


def test_states_are_picked(tmp_path: Path) -> None:
    states = [{**at(2 * i), "CAL": cal, "PLNUM": pol, "CRVAL4": -5 - pol, "SCAN": 5 + i // 2}
              for i in range(4) for pol in (0, 1) for cal in "TF"]
    data = spectra(len(states))
    wide = table([at(0)], spectra(1, 2 * N_CHAN))
    path = write(tmp_path / "p.fits", states, data, wide)
    with pytest.raises(FormatError, match=r"p\.fits: contains rows of several states: table 1, 2; "
                       r"scan 5, 6, 1; ifnum 0; plnum 0, 1; fdnum 0; cal T, F; sig T; select one, "
                       r"for example by table=1 plnum=0 cal='T'"):
        opened(path)
    stream = opened(path, table="1", plnum="1", cal="t")
    np.testing.assert_array_equal(stream.read_block(0, 4).data[:, 0, ::-1], data[2::4])
    assert stream.header.polarization.names == ("BB",)
    assert opened(path, plnum=0, cal="F", scan="6,5", table=1).shape[0] == 4
    assert opened(path, plnum=0, cal="F", scan=6).shape[0] == 2
    assert opened(path, table=2).shape == (1, 1, 2 * N_CHAN)
    with pytest.raises(UsageError, match="no row has sig = 'F'; allowed: "):
        opened(path, sig="F")


def test_info_lists_the_states(tmp_path: Path) -> None:
    rows = [{**at(2 * i), "CAL": cal, "PLNUM": pol, "SCAN": 5 + i // 2}
            for i in range(4) for pol in (0, 1) for cal in "TF"]
    path = write(tmp_path / "p.fits", rows, spectra(len(rows)))
    found = fs.info(path)
    assert found["kind"] == "spectra" and found["n_time"] is None and found["n_chan"] == N_CHAN
    assert [(each["plnum"], each["cal"]) for each in found["states"]] == [
        (0, "T"), (0, "F"), (1, "T"), (1, "F")]
    assert all(each["n_time"] == 4 and each["scan"] == "5, 6" and each["table"] == 1
               for each in found["states"])
    assert found["telescope"] == fs.open(path, plnum=0, cal="F").header.telescope
    assert "states" not in fs.info(path, plnum=0, cal="F")
    done = fastsig("info", path)
    assert "  plnum 1  fdnum 0  cal T  sig T  n_time 4  n_chan" in done.stdout
    assert "unknown" not in done.stdout  # the file states the frequency of each state
    assert "other commands one, selected by --set plnum=0 --set cal=T" in done.stdout
    assert json.loads(fastsig("info", path, "--json").stdout)[0]["states"] == found["states"]


def test_all_states_are_validated(tmp_path: Path) -> None:
    rows = [{**at(2 * i), "CAL": cal, "PLNUM": pol, "SCAN": 5 + i // 2}
            for i in range(4) for pol in (0, 1) for cal in "TF"]
    rows.append({**rows[0], "SCAN": 9})  # a stream of this state is refused for its times
    path = write(tmp_path / "p.fits", rows, spectra(len(rows)))
    whole = path.read_bytes()
    good = {"path": str(path), "valid": True, "checksums": False, "doubts": []}
    assert validate(path) == good and validate(path, plnum=1) == good
    assert fastsig("validate", path).stdout == f"{path}: readable; fastsig verified no checksums\n"
    rows[7]["DATE-OBS"] = "yesterday"
    write(path, rows, spectra(len(rows)))
    assert "table 1, row 7: DATE-OBS = 'yesterday'" in validate(path)["error"]
    path.write_bytes(whole[:-2880])
    assert not validate(path)["valid"] and "p.fits: " in validate(path)["error"]


def test_recorded_files_of_several_states_are_validated() -> None:
    for name in (RECORDED[1], RECORDED[4], RECORDED[5]):
        assert validate(recorded(name))["valid"]


def test_one_time_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.fits", [{**at(0), "SCAN": scan} for scan in (1, 2)])
    with pytest.raises(FormatError, match="row 0 and row 1 have the same DATE-OBS"):
        opened(path)
    assert opened(path, scan=2).shape[0] == 1


@pytest.mark.parametrize(("code", "names", "kind"), [
    (-5, ("AA",), "linear"), (-6, ("BB",), "linear"), (-1, ("RR",), "circular"),
    (1, ("I",), "unknown"), (4, ("V",), "unknown"), (99, ("unknown",), "unknown")])
def test_products(tmp_path: Path, code: int, names: tuple[str, ...], kind: str) -> None:
    stream = opened(write(tmp_path / "c.fits", [{**at(0), "CRVAL4": code}]))
    assert stream.header.polarization.names == names
    assert stream.header.polarization.kind == kind
    assert (stream.header.ra_deg, stream.header.dec_deg) == (10.5, -20.25)


def test_positions_of_rows(tmp_path: Path) -> None:
    rows = [{**at(n), "CRVAL2": 10.5 + 0.1 * n, "CRVAL3": -20.25} for n in (0, 1, 2, 3, 5, 6)]
    stream = opened(write(tmp_path / "p.fits", rows))
    assert stream.columns == {"ra_deg": "deg", "dec_deg": "deg"}
    found = stream.read_columns(3, 3)
    np.testing.assert_allclose(found["ra_deg"], [10.8, np.nan, 11.0])
    np.testing.assert_allclose(found["dec_deg"], [-20.25, np.nan, -20.25])
    other = opened(write(tmp_path / "g.fits", [{**at(0), "CTYPE2": "GLON"}]))
    assert other.columns == {} and other.read_columns(0, 1) == {}


def test_a_column_may_be_a_card(tmp_path: Path) -> None:
    hdu = table([at(0)], spectra(1))
    hdu = fits.BinTableHDU.from_columns(
        [hdu.columns[name] for name in hdu.columns.names if name != "OBJECT"], name="SINGLE DISH")
    hdu.header["OBJECT"] = "VIRTUAL"
    path = tmp_path / "v.fits"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    assert opened(path).header.source == "VIRTUAL"


@pytest.mark.parametrize(("stated", "unit"), [
    ("Ta", "K"), ("Ta*", "K"), ("Tmb", "K"), ("K", "K"), ("Jy", "Jy"), ("mK", "mK"),
    ("Counts", None), ("counts", None), ("", None), ("nonsense", None)])
@pytest.mark.parametrize("place", ["card", "column"])
def test_units_of_values(tmp_path: Path, stated: str, unit: str | None, place: str) -> None:
    path = tmp_path / "u.fits"
    if place == "card":
        write(path, [at(0), at(1)], TUNIT6=stated)
    else:
        hdu = table([at(0), at(1)], spectra(2))
        columns = [*hdu.columns, fits.Column("TUNIT6", "8A", array=[stated, stated])]
        hdus = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="SINGLE DISH")]
        fits.HDUList(hdus).writeto(path)
    head = opened(path).header
    assert head.unit == unit and head.extra.get("TUNIT", "") == stated
    assert fs.info(path)["unit"] == unit


def test_rows_of_two_units_are_refused(tmp_path: Path) -> None:
    hdu = table([at(0), at(1)], spectra(2))
    columns = [*hdu.columns, fits.Column("TUNIT6", "8A", array=["Ta", "Counts"])]
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="SINGLE DISH")]
    fits.HDUList(hdus).writeto(tmp_path / "u.fits")
    with pytest.raises(FormatError, match=r"row 1: values in Counts, but in Ta .*: one unit"):
        opened(tmp_path / "u.fits")


@pytest.mark.recorded
def test_recorded_units() -> None:
    for name, unit in ((RECORDED[2], "K"), (RECORDED[8], "K"), (RECORDED[3], None)):
        picks = {"ifnum": 0, "plnum": 0, "table": 1, "cal": "F"} if unit is None else {}
        assert opened(recorded(name), **picks).header.unit == unit


def test_tables_of_other_columns(tmp_path: Path) -> None:
    other = table([at(0)], spectra(1))
    other = fits.BinTableHDU.from_columns(
        [*other.columns, fits.Column("INT", "J", array=[7])], name="SINGLE DISH")
    found = sdfits.table(write(tmp_path / "o.fits", [at(0), at(1)], None, other))
    assert found.rows["INT"].tolist() == [None, None, 7]  # masked
    assert len(found) == 3 and found.rows["SCAN"].tolist() == [1, 1, 1]


def test_labels_that_move(tmp_path: Path) -> None:
    rows = [{**at(i), "CRVAL1": 1.42e9 + 20 * i} for i in range(4)]
    assert opened(write(tmp_path / "a.fits", rows)).header.extra[
        "frequency_moves_channels"] == pytest.approx(0.06)
    rows[3]["CRVAL1"] += 500
    with pytest.warns(FastsigWarning, match="move by up to 0.56 channels"):
        opened(write(tmp_path / "b.fits", rows))
    rows[3]["CRVAL1"] += 10_000
    with pytest.raises(FormatError, match="tuned up to 10.56 channels apart"):
        opened(write(tmp_path / "c.fits", rows))
    rows[3]["CDELT1"] = 999.0
    with pytest.raises(FormatError, match="row 3: its channels differ"):
        opened(write(tmp_path / "d.fits", rows))


def test_nan_is_weight_zero(tmp_path: Path) -> None:
    data = spectra(3)
    data[1, 0], data[2] = np.nan, np.inf
    block = opened(write(tmp_path / "n.fits", [at(i) for i in range(3)], data)).read_block(0, 3)
    assert block.valid[1, 0].tolist() == [1] * (N_CHAN - 1) + [0] and not block.valid[2].any()


def test_threads_read_what_one_reads(tmp_path: Path) -> None:
    data = spectra(50)
    stream = opened(write(tmp_path / "t.fits", [at(i) for i in range(50)], data))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: stream.read_block(row, 3).data, range(47)))
    for row, block in enumerate(found):
        np.testing.assert_array_equal(block[:, 0, ::-1], data[row : row + 3])
    stream.close()
    np.testing.assert_array_equal(stream.read_block(7, 1).data[0, 0, ::-1], data[7])


def test_a_cut_file_gives_its_whole_rows(tmp_path: Path) -> None:
    data = spectra(6)
    path = write(tmp_path / "c.fits", [at(i) for i in range(6)], data)
    raw = path.read_bytes()
    with fits.open(path) as file:
        width, begin = file[1].header["NAXIS1"], file[1].fileinfo()["datLoc"]
    path.write_bytes(raw[: begin + 4 * width + 5])
    with pytest.warns(FastsigWarning, match="NAXIS2 = 6; 4 complete rows"):
        stream = opened(path)
    np.testing.assert_array_equal(stream.read_block(0, 4).data[:, 0, ::-1], data[:4])
    for length in (2880, 4000, begin, begin + width - 1):
        path.write_bytes(raw[:length])
        with pytest.raises(FormatError, match=r"c\.fits: "), warnings.catch_warnings():
            warnings.simplefilter("ignore", FastsigWarning)
            opened(path)


@pytest.mark.parametrize(("change", "message"), [
    ({"DATE-OBS": "10/02/21"}, "DATE-OBS = '10/02/21'"), ({"DATE-OBS": ""}, "DATE-OBS = ''"),
    ({"DATE-OBS": "2021-02-30T00:00:00"}, "DATE-OBS = '2021-02-30"),
    ({"DATE-OBS": "2021-02-10T24:00:00"}, "DATE-OBS = '2021-02-10T24"),
    ({"CTYPE1": "VELO-LSR"}, "CTYPE1 = 'VELO-LSR'"), ({"CDELT1": 0.0}, "CDELT1 = 0"),
    ({"CDELT1": np.nan}, "CDELT1 = nan"), ({"CRVAL1": np.inf}, "CRVAL1 = inf"),
    ({"DURATION": 0.0}, "give sample_rate="), ({"DURATION": np.nan}, "DURATION = nan"),
])
def test_nonsense_is_named(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(FormatError, match=r"h\.fits: ") as caught:
        opened(write(tmp_path / "h.fits", [change]))
    assert message in str(caught.value)


def test_several_products_a_row_are_refused(tmp_path: Path) -> None:
    """As Parkes writes them, (chan, pol, 1, 1)."""
    hdu = table([at(0)], spectra(1))
    columns = [hdu.columns[name] for name in hdu.columns.names]
    columns[5] = fits.Column("DATA", f"{N_CHAN}E", dim=f"({N_CHAN // 2},2,1,1)",
                             array=spectra(1).reshape(1, 1, 1, 2, -1))
    path = tmp_path / "p.fits"
    fits.HDUList([fits.PrimaryHDU(),
                  fits.BinTableHDU.from_columns(columns, name="SINGLE DISH")]).writeto(path)
    with pytest.raises(FormatError, match=r"TDIM6 = \(8, 2, 1, 1\) of 16 numbers"):
        opened(path)
    assert len(sdfits.table(path)) == 1


def test_headers_with_changed_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "h.fits", [at(i) for i in range(2)])
    raw = path.read_bytes()
    with fits.open(path) as file:
        begin = file[1].fileinfo()["datLoc"]
    change_bytes(raw, tmp_path / "x.fits", lambda rng: int(rng.integers(2880, begin + 250)),
                 lambda name: sdfits.open(name))


@pytest.mark.parametrize("name", ["CRVAL1", "CRPIX1", "CDELT1", "DURATION", "CRVAL2"])
@pytest.mark.parametrize("value", [1e300, -1e300, 5e-324])
def test_hostile_numbers(tmp_path: Path, name: str, value: float) -> None:
    path = write(tmp_path / "e.fits", [{name: value}])
    try:
        stream = opened(path)
    except FastsigError as error:
        assert "e.fits" in str(error)
        return
    assert stream.read_block(0, 1).data.shape == (1, 1, N_CHAN)


def test_sniffing(tmp_path: Path) -> None:
    path = write(tmp_path / "noname", [at(0)])
    assert sdfits.sniff(Probe(path))
    other = tmp_path / "other.fits"
    hdu = table([at(0)], spectra(1))
    hdu.name = "SUBINT"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(other)
    assert not sdfits.sniff(Probe(other))
    with pytest.raises(FormatError, match="no table is named SINGLE DISH"):
        sdfits.table(other)
