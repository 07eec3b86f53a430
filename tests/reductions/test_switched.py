"""Switched scans of SDFITS: recorded ones against GBTIDL, made ones of known truth, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from cli import fastsig
from recordings import recorded

import fastsig as fs
from fastsig.errors import DataError, FastsigWarning, FormatError, UsageError
from fastsig.io.sdfits import reader as sdfits
from fastsig.reductions.switching.scans import (
    frequency_switched,
    nodded,
    position_switched,
    total_power,
)
from fastsig.reductions.switching.spectrum import average, write

_T = "dysh/TGBT21A_501_11/TGBT21A_501_11"
_A = "dysh/AGBT04A_008_02/AGBT04A_008_02"
_RAW = f"{_A}.raw.acs/AGBT04A_008_02.raw.acs.testrim.fits"
_NOD = "dysh/AGBT21B_024_01/AGBT21B_024_01.raw.vegas/AGBT21B_024_01.raw.vegas.testtrim.fits"
_FSW = "dysh/TGBT17A_506_11/TGBT17A_506_11.raw.vegas.A_truncated_rows.fits"

N_CHAN, STEP = 512, 1000.0
SYSTEM, DIODE = 20.0, 2.0
AT = np.arange(N_CHAN)
GAIN = 1000 * (1 + 0.2 * np.sin(AT / 80))


@pytest.mark.recorded
@pytest.mark.parametrize(("raw", "scan", "picks", "made", "row", "tsys"), [
    # GBTIDL wrote float32: 17 K has steps of 2e-6 K, the 280 K at the edge of 296's band 3e-5 K.
    (f"{_T}_ifnum_0_int_0-2.fits", 152, {}, f"{_T}_ifnum_0_int_0-2_getps_152_plnum_0.fits", 0,
     17.18925),
    (f"{_T}_ifnum_0_int_0-2.fits", 153, {"plnum": 1},
     f"{_T}_ifnum_0_int_0-2_getps_152_plnum_1.fits", 0, 16.90866),
    (f"{_T}.raw.vegas.fits", 152, {}, f"{_T}_getps_scan_152_intnum_0_ifnum_0_plnum_0.fits", 0,
     17.24000),
    (f"{_T}.raw.vegas.fits", 152, {"smooth_ref": 15},
     f"{_T}_getps_scan_152_ifnum_0_plnum_0_smthoff_15.fits", 0, 17.24000),
    (_RAW, 220, {}, f"{_A}.cal.acs.testtrim.fits", 0, 59.29974),
    (_RAW, 264, {}, f"{_A}.cal.acs.testtrim.fits", 1, 28.06992),
    (_RAW, 296, {"tsys": "28K"}, f"{_A}.cal.acs.testtrim.fits", 2, 28.0),
])
def test_recorded_pairs_are_those_of_gbtidl(
    raw: str, scan: int, picks: dict[str, Any], made: str, row: int, tsys: float,
) -> None:
    found = average(position_switched(recorded(raw), scan, **picks))
    table = sdfits.table(recorded(made))
    expected = table.spectra(row).astype("f8")
    off = found.values[0, 0, :: -1 if table.line(row)[1] < 0 else 1] - expected
    assert abs(found.tsys[0, 0] - tsys) < 1e-5
    assert abs(found.tsys[0, 0] - table.value(row, "TSYS")) < 1e-4
    assert (np.isfinite(found.values[0, 0]).sum() == np.isfinite(expected).sum()
            and np.isfinite(off).sum() == np.isfinite(expected).sum())
    assert np.sqrt(np.nanmean(off**2)) < 3e-6 and np.nanmax(abs(off)) < 1e-4
    assert found.exposure[0] == pytest.approx(table.value(row, "EXPOSURE"), rel=1e-6)
    np.testing.assert_allclose(found.channels.centers.to_value("Hz"),
                               np.sort(table.frequencies(row)), rtol=1e-14)
    assert found.header.unit == "K"
    if "TGBT21A" in raw:  # what correlators of few levels lose is not in the expectation
        assert found.ratio[0, 0] == pytest.approx(1, abs=0.03)


@pytest.mark.recorded
def test_recorded_total_power_is_that_of_gbtidl() -> None:
    found = total_power(recorded(f"{_T}.raw.156.fits"), 156)
    text = recorded("dysh/gbtidl_spectra/onoff-L_gettp_156_intnum_0_TOPO.ascii").read_text()
    _, counts = np.array([line.split() for line in text.splitlines()[3:]], float).T
    np.testing.assert_allclose(found.values[0, 0, ::-1], counts, rtol=5e-7)
    assert found.header.unit is None and found.unit == "counts"
    assert found.tsys[0, 0] == pytest.approx(16.9536, abs=1e-4)
    assert found.exposure[0] == pytest.approx(2 * 1.97692, rel=1e-5)
    assert found.ratio[0, 0] == pytest.approx(1, abs=0.05)


@pytest.mark.recorded
@pytest.mark.parametrize(("reduce", "name", "scan", "picks", "message"), [
    (position_switched, f"{_T}.raw.156.fits", 156, {},
     "scan 156 is 1 of 2 of OnOff; its partner, scan 157, is missing; the file has scans 156"),
    (position_switched, _RAW, 274, {}, "scan 274 is 1 of 1 of 'Track'"),
    (position_switched, _NOD, 104, {"fdnum": 10}, "scan 105 has only CAL = F; Tsys needs"),
    (position_switched, _NOD, 104, {}, "no row of scan 104 has fdnum = 0; allowed: 10"),
    (position_switched, _NOD, 154, {}, "no row has scan = 154; allowed: 19, 20, 104, 105"),
    (nodded, _NOD, 19, {}, "scan 19 lacks a second feed: nodding needs two; .* plnum 0: 10"),
    (nodded, _NOD, 20, {"feeds": (10, 11)}, "scan 20 lacks feed 11"),
    (nodded, _NOD, 20, {"feeds": (10, 10)}, "allowed: two different ones"),
    (frequency_switched, _FSW, 6, {"plnum": 1}, "scan 6 has only CAL = F"),
    (frequency_switched, _FSW, 14, {"plnum": 1}, "scan 14 has no rows with SIG = 'F'; it has T"),
])
def test_recorded_scans_that_do_not_fit(
    reduce: Any, name: str, scan: int, picks: dict[str, Any], message: str,
) -> None:
    if name == _NOD and reduce is position_switched and picks:
        with pytest.raises(FormatError, match="has only CAL = F"):
            reduce(recorded(name), scan, **picks)
        assert reduce(recorded(name), scan, tsys="100K", **picks).tsys[0, 0] == 100
        return
    with pytest.raises((FormatError, UsageError), match=message) as caught:
        reduce(recorded(name), scan, **picks)
    assert "\n" not in str(caught.value)


def line(center: float = 250, height: float = 3.0) -> np.ndarray:
    return height * np.exp(-0.5 * ((AT - center) / 6) ** 2)


def state(scan: int, start: float, temperature: Any, **columns: Any) -> dict[str, Any]:
    """A row of some power, of `temperature` above the system's; `cal` adds the diode."""
    cal = columns.get("CAL", "F") == "T"
    minutes, seconds = divmod(start, 60)
    return {"SCAN": scan, "DATE-OBS": f"2021-02-10T07:{30 + int(minutes):02d}:{seconds:05.2f}",
            "DATA": GAIN * (SYSTEM + temperature + DIODE * cal), **columns}


def integrations(scan: int, temperature: Any, n: int = 2, **columns: Any) -> list[dict[str, Any]]:
    """Both states of the diode, n times."""
    return [state(scan, 60 * (scan % 7) + 2 * i, temperature, CAL=cal, **columns)
            for i in range(n) for cal in "TF"]


def written(path: Path, rows: list[dict[str, Any]], seed: int | None = None) -> Path:
    """An SDFITS file; with radiometer noise where a seed is given."""
    usual = {"OBJECT": "SRC", "DATE-OBS": "", "DURATION": 1.0, "EXPOSURE": 0.9,
             "OBSMODE": "OnOff:PSWITCHON:TPWCAL", "PROCSEQN": 1, "PROCSIZE": 2,
             "CTYPE1": "FREQ-OBS", "CRVAL1": 1.42e9, "CRPIX1": 257.0, "CDELT1": -STEP,
             "CTYPE2": "RA", "CRVAL2": 10.5, "CTYPE3": "DEC", "CRVAL3": -20.25, "CRVAL4": -5,
             "TCAL": DIODE, "SCAN": 1, "SIG": "T", "CAL": "F", "IFNUM": 0, "PLNUM": 0, "FDNUM": 0,
             "SUBREF_STATE": 1}
    forms = {"OBJECT": "32A", "DATE-OBS": "22A", "OBSMODE": "32A", "CTYPE1": "8A", "CTYPE2": "4A",
             "CTYPE3": "4A", "SIG": "A", "CAL": "A", "SCAN": "J"}
    rows = [{**usual, **row} for row in rows]
    data = np.array([row["DATA"] for row in rows], float)
    if seed is not None:
        noise = np.random.default_rng(seed).normal(0, 1, data.shape)
        data *= 1 + noise / np.sqrt(STEP * 0.9)
    columns = [fits.Column(name, forms.get(name, "I" if isinstance(value, int) else "D"),
                           array=[row[name] for row in rows]) for name, value in usual.items()]
    columns.append(fits.Column("DATA", f"{N_CHAN}E", array=data.astype(np.float32)))
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="SINGLE DISH")]
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def pair(n: int = 2, **columns: Any) -> list[dict[str, Any]]:
    """An OffOn pair, off first."""
    off = {"OBSMODE": "OffOn:PSWITCHOFF:TPWCAL", "PROCSEQN": 1}
    on = {"OBSMODE": "OffOn:PSWITCHON:TPWCAL", "PROCSEQN": 2}
    return [*integrations(8, 0.0, n, **off, **columns),
            *integrations(9, line(), n, **on, **columns)]


@pytest.mark.parametrize("scan", [8, 9])
def test_a_made_pair(tmp_path: Path, scan: int) -> None:
    path = written(tmp_path / "p.fits", pair(3))
    found = position_switched(path, scan)
    assert found.values.shape == (3, 1, N_CHAN)
    np.testing.assert_allclose(found.tsys, SYSTEM + DIODE / 2, rtol=1e-5)
    # Tsys is that with half the diode, and so is the power: the line is what it is.
    np.testing.assert_allclose(found.values[1, 0, ::-1], line(), atol=1e-4)
    assert found.header.sample_rate == 0.5 and found.starts[2] == "2021-02-10T07:32:04.000000000"
    np.testing.assert_allclose(found.exposure, 0.9)
    beam, = found.stages[0]["parameters"]["beams"]
    assert (beam["fdnum"], beam["on_scan"], beam["off_scan"]) == (0, 9, 8)
    assert beam["tsys_k"] == pytest.approx(found.tsys.mean(), abs=1e-5)
    one = position_switched(path, scan, integrations=[2])
    np.testing.assert_array_equal(one.values[0], found.values[2])
    for picks in ({"integrations": [3]}, {"tsys": "-1K"}, {"tcal": np.nan * u.K},
                  {"feed": 1}):
        with pytest.raises(UsageError, match="allowed: "):
            position_switched(path, scan, **picks)
    np.testing.assert_allclose(position_switched(path, scan, tcal=2 * DIODE * u.K).tsys,
                               2 * SYSTEM + DIODE, rtol=1e-5)


def test_the_noise_is_the_radiometers(tmp_path: Path) -> None:
    rows = [{**row, "DATA": GAIN * (row["DATA"] / GAIN + 9 * (row["SCAN"] == 9))}
            for row in pair(40)]  # a source of 9 K, and a diode of 2 K
    found = position_switched(written(tmp_path / "n.fits", rows, seed=3), 9)
    assert found.ratio.mean() == pytest.approx(1, abs=0.012)  # 40 x 400 differences: 0.008
    mean = average(found)
    assert mean.ratio[0, 0] == pytest.approx(1, abs=0.12)
    np.testing.assert_allclose(mean.expected, found.expected.mean() / np.sqrt(40), rtol=0.01)
    assert mean.exposure[0] == pytest.approx(36)


def test_nan_channels_and_missing_states(tmp_path: Path) -> None:
    rows = pair(3)
    rows[2]["DATA"] = rows[2]["DATA"].copy()
    rows[2]["DATA"][30] = np.nan
    path = written(tmp_path / "h.fits", rows)
    found = position_switched(path, 8)
    assert np.isnan(found.values[1, 0, -31]) and np.isnan(found.values).sum() == 1
    mean = average(found)
    assert mean.weight[0, 0, -31] == pytest.approx(2 / 3) and np.isfinite(mean.values).all()
    rows[5]["DATA"] = np.full(N_CHAN, np.nan)
    with pytest.raises(DataError, match="table 1, row 5: the spectrum contains only NaN"):
        position_switched(written(path, rows), 8)
    with pytest.warns(FastsigWarning, match="scan 8: 1 integrations lack a state of the noise"), (
            pytest.warns(FastsigWarning, match="have 3 and 2 integrations")):
        assert len(position_switched(written(path, pair(3)[:5] + pair(3)[6:]), 9).values) == 2


@pytest.mark.parametrize(("change", "error", "message"), [
    (lambda rows: [row | {"CAL": "T" if row["CAL"] == "F" else "F"} for row in rows], DataError,
     "the power with the noise diode on is not above that with it off"),
    (lambda rows: [row for row in rows if row["CAL"] == "T"], FormatError, "has only CAL = T"),
    (lambda rows: [row for row in rows if row["SCAN"] == 9], FormatError, "scan 8, is missing"),
    (lambda rows: [row | {"TCAL": 0.0} for row in rows], FormatError, "TCAL = 0; allowed: above 0"),
    (lambda rows: [row | {"TCAL": np.nan} for row in rows], FormatError, "TCAL = nan"),
    (lambda rows: [row | {"EXPOSURE": -1.0} for row in rows], FormatError, "EXPOSURE = -1"),
    (lambda rows: [row | {"OBSMODE": "Nod:NONE:TPWCAL"} for row in rows], FormatError,
     "of 'Nod' .* allowed: of 2 of OnOff or OffOn"),
    (lambda rows: [row | {"PROCSEQN": 2} for row in rows], FormatError, "allowed as partner"),
    (lambda rows: [*rows, rows[-1]], FormatError, "a second row with CAL = 'F' and the same DATE"),
    (lambda rows: [*rows, *integrations(9, 0, SIG="F")], FormatError, "it was switched in freq"),
    (lambda rows: [row | {"CDELT1": STEP * (1 + (row["SCAN"] == 8))} for row in rows], FormatError,
     "CDELT1 = 2000.0; allowed: as in table 1, row 5, 1000.0"),
    (lambda rows: [row | {"CAL": "X"} for row in rows], FormatError, "CAL = 'X'; allowed: T, F"),
])
def test_what_does_not_fit(tmp_path: Path, change: Any, error: Any, message: str) -> None:
    path = written(tmp_path / "w.fits", change(pair()))
    with pytest.raises(error, match=message) as caught:
        position_switched(path, 9)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("step", [STEP, -STEP])
@pytest.mark.parametrize("shift", [100, -100])
def test_a_made_frequency_switched_scan(tmp_path: Path, step: float, shift: int) -> None:
    """A line at 1.42 GHz, where channel 256 is in the one state and 256 - shift in the other."""
    usual = {"OBSMODE": "Track:NONE:FSWITCH", "PROCSIZE": 1, "CDELT1": step}
    rows = [*integrations(3, line(256), SIG="T", **usual),
            *integrations(3, line(256 - shift), SIG="F", CRVAL1=1.42e9 + shift * step, **usual)]
    found = frequency_switched(written(tmp_path / "f.fits", rows), 3)
    ghz = found.channels.centers.to_value("GHz")
    peak = int(np.nanargmax(found.values[1, 0]))
    assert ghz[peak] == pytest.approx(1.42, abs=1e-9)
    # Tsys has the line's own share of the middle of the band, 0.1 K.
    assert found.values[1, 0, peak] == pytest.approx(3 * (1 + 0.1 / 21), rel=1e-3)
    assert np.isnan(found.values[0]).sum() == abs(shift)
    np.testing.assert_allclose(found.exposure, 2 * 0.9)
    assert (found.weight == np.isfinite(found.values)).all()
    with pytest.raises(FormatError, match="2 integrations with SIG = T and 1 with F"):
        frequency_switched(written(tmp_path / "g.fits", rows[:-2]), 3)


def test_noise_of_folding(tmp_path: Path) -> None:
    rows = [row for sig in "TF" for row in integrations(
        3, 0, 30, SIG=sig, OBSMODE="Track:NONE:FSWITCH", CRVAL1=1.42e9 + 60400 * (sig == "F"))]
    path = written(tmp_path / "n.fits", rows, seed=4)
    found = frequency_switched(path, 3)
    assert found.ratio.mean() == pytest.approx(1, abs=0.015)
    even, odd = (frequency_switched(path, 3, smooth_ref=n) for n in (2, 3))  # of the same window
    np.testing.assert_array_equal(even.values, odd.values)
    np.testing.assert_array_equal(even.expected, odd.expected)


def test_a_made_nodding_pair(tmp_path: Path) -> None:
    usual = {"OBSMODE": "Nod:NONE:TPWCAL"}
    rows = [row | {"EXPOSURE": 0.9 if feed == 1 else 1.8} for feed in (1, 3)
            for seq, scan in ((1, 4), (2, 5))
            for row in integrations(scan, line() if (feed == 1) == (seq == 1) else 0.0,
                                    FDNUM=feed, PROCSEQN=seq, **usual)]
    path = written(tmp_path / "n.fits", rows)
    for scan in (4, 5):
        found = nodded(path, scan)
        np.testing.assert_allclose(found.values[0, 0, ::-1], line(), atol=1e-4)
        np.testing.assert_allclose(found.exposure, 0.9 + 1.8)
        beams = found.stages[0]["parameters"]["beams"]
        assert [(beam["fdnum"], beam["on_scan"], beam["off_scan"]) for beam in beams] == [
            (1, 4, 5), (3, 5, 4)]
        for beam in beams:
            assert beam["tsys_k"] == pytest.approx(SYSTEM + DIODE / 2, rel=1e-5)
    np.testing.assert_array_equal(nodded(path, 4, feeds=(1, 3)).values, found.values)
    assert nodded(path, 4, feeds=(3, 1)).values.min() < -2.5  # the other way round: negative
    with pytest.raises(UsageError, match="fdnum is not an option of nodding"):
        nodded(path, 4, fdnum=1)
    with pytest.raises(FormatError, match="scan 5 lacks feed 7: nodding"):
        nodded(path, 5, feeds=(1, 7))


def sub_beam_nod(mode: str) -> list[dict[str, Any]]:
    """A scan in which the subreflector nods: on feed 1, on its way, on the other feed."""
    states = (-1, 0, 1, 0)
    return [row for i in range(8) for row in [
        state(43, 2 * i, line() if states[i % 4] == -1 else 0.0, CAL=cal, FDNUM=feed, OBSMODE=mode,
              PROCSEQN=1, PROCSIZE=1, SUBREF_STATE=states[i % 4])
        for cal in "TF" for feed in (0, 1)]]


@pytest.mark.parametrize("mode", ["SubBeamNod:NONE:TPWCAL", "Nod:NONE:TPWCAL"])
@pytest.mark.parametrize("reduce", [position_switched, frequency_switched, nodded, total_power])
def test_a_nodding_subreflector_is_refused_by_name(tmp_path: Path, mode: str, reduce: Any) -> None:
    path = written(tmp_path / "s.fits", sub_beam_nod(mode))
    with pytest.raises(FormatError, match="scan 43 is SubBeamNod: the subreflector nods"):
        reduce(path, 43)
    with pytest.raises(FormatError, match="several states: .*; subref -1, 0, 1; select one, for "
                       "example by .*subref=-1"):
        fs.open(path)
    rows = fs.open(path, cal="F", fdnum=0, subref=-1)
    assert rows.stream.shape == (2, 1, N_CHAN)


def test_rows_in_which_the_subreflector_moves_are_left_out(tmp_path: Path) -> None:
    rows = [row | {"SUBREF_STATE": int(k > 1)} for k, row in enumerate(pair(3))]
    with pytest.warns(FastsigWarning, match="scan 8: 2 of 6 rows are left out: the subrefl"), (
            pytest.warns(FastsigWarning, match="have 3 and 2 integrations")):
        found = position_switched(written(tmp_path / "m.fits", rows), 9)
    np.testing.assert_allclose(found.values[1, 0, ::-1], line(), atol=1e-4)
    still = [row | {"SUBREF_STATE": 0} for row in pair()]
    with pytest.raises(FormatError, match="scan 9: the subreflector moves in all rows"):
        position_switched(written(tmp_path / "m.fits", still), 9)


def test_total_power_of_one_state(tmp_path: Path) -> None:
    path = written(tmp_path / "t.fits", [row for row in pair() if row["CAL"] == "F"])
    found = total_power(path, 8)
    np.testing.assert_allclose(found.values[0, 0, ::-1], GAIN * SYSTEM, rtol=1e-6)
    assert np.isnan(found.tsys).all() and np.isfinite(average(found).expected).all()
    assert total_power(path, 8, tsys="20K").tsys.tolist() == [[20.0]] * len(found.tsys)
    on = written(tmp_path / "u.fits", [row for row in pair() if row["CAL"] == "T"])
    with pytest.raises(FormatError, match="only CAL = T; allowed: rows with the noise diode off"):
        total_power(on, 8)
    write(average(found), tmp_path / "t.h5")
    assert fs.open(tmp_path / "t.h5").header.extra["tsys_k"] == [[None]]


def test_the_command_line(tmp_path: Path) -> None:
    written(tmp_path / "p.fits", pair(3), seed=1)
    call = ("switch", "p.fits", "--mode", "ps", "--scan", 8)
    told = json.loads(fastsig(*call, "-o", "a.h5", "--json", cwd=tmp_path).stdout)
    assert told["unit"] == "K" and told["shape"] == [1, 1, N_CHAN]
    assert told["tsys_k"][0][0] == pytest.approx(21, abs=0.5)
    done = fastsig(*call, "-o", "r.h5", "--rows", "all", "--picture", "r.png", cwd=tmp_path)
    assert "3 rows of 2.7 s effective exposure; AA: Tsys 21" in done.stderr
    assert "; feed 0: on scan 9, off scan 8, Tsys 21" in done.stderr
    assert (tmp_path / "r.png").stat().st_size > 10_000
    expected = position_switched(tmp_path / "p.fits", 8)
    data = fs.open(tmp_path / "r.h5").read()
    np.testing.assert_array_equal(data.values, expected.values.astype(np.float32))
    assert data.header.unit == "K" and data.header.polarization.names == ("AA",)
    np.testing.assert_allclose(data.columns["tsys_AA"], expected.tsys[:, 0])
    np.testing.assert_allclose(data.columns["radiometer_AA"], expected.expected[:, 0])
    stages = fs.info(tmp_path / "a.h5")["stages"]
    assert stages[0].startswith("position_switched(") and stages[1].startswith("average(n=3")
    first = (tmp_path / "a.h5").read_bytes()
    fastsig(*call, "-o", "a.h5", "--overwrite", "-q", cwd=tmp_path)
    assert (tmp_path / "a.h5").read_bytes() == first
    fastsig("validate", "a.h5", "r.h5", cwd=tmp_path)


@pytest.mark.parametrize(("words", "code", "message"), [
    (("--mode", "ps"), 2, "--mode ps requires --scan"),
    (("--mode", "ps", "--scan", "8", "--feeds", "0,1"), 2, "--feeds is not an option of --mode ps"),
    (("--mode", "nod", "--scan", "8", "--fdnum", "1"), 2, "--fdnum is not an option of --mode nod"),
    (("--mode", "ps", "--scan", "8", "--period", "2s"), 2,
     "--period is not an option of --mode ps"),
    (("--mode", "ps", "--scan", "8", "--set", "source=X"), 2, "--set is not an option"),
    (("--mode", "ps", "--scan", "8", "--integrations", "0,0"), 2, "distinct whole"),
    (("--mode", "ps", "--scan", "8", "--tsys", "20K,21K"), 2, "--tsys accepts one temperature"),
    (("--mode", "ps", "--scan", "8", "--tsys", "x"), 2, "is not a value in K"),
    (("--mode", "ps", "--scan", "8", "--picture", "x.txt"), 2, "a picture ends in"),
    (("--mode", "ps", "--scan", "8", "--overwrite", "-o", "p.fits"), 4, "is an input"),
    (("--mode", "nod", "--scan", "8"), 3, "lacks a second feed"),
    (("--mode", "onoff"), 2, "--mode onoff requires --period"),
    (("--mode", "onoff", "--period", "2s", "--scan", "8"), 2, "--scan is not an option"),
])
def test_wrong_use(tmp_path: Path, words: tuple[str, ...], code: int, message: str) -> None:
    written(tmp_path / "p.fits", pair())
    done = fastsig("switch", "p.fits", "-o", "a.h5", *words, cwd=tmp_path, code=code)
    assert message in done.stderr and not (tmp_path / "a.h5").exists()
