"""``fastsig dedisperse``: a burst that was recorded, and files for one and many measures."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import astropy.units as u
import h5py
import numpy as np
import pytest
from cli import fastsig
from dispersed import AXIS
from recordings import recorded
from streams import header

import fastsig as fs
from fastsig import telescopes
from fastsig.axes.polarization import PolBasis
from fastsig.errors import OutputError
from fastsig.io.presto.inf import parse_inf
from fastsig.io.presto.many import SeriesWriter, series_names
from fastsig.io.sigproc.writer import SigprocWriter
from fastsig.run.plan_files import read_plan
from fastsig.telescopes.barycentric_clock import BarycentricClock

VOLTAGES = Path(__file__).parents[1] / "data" / "samples" / "frb_carrier_16MHz.h5"
N, LATE = 900, 24  # spectra, and those by which the lowest channel is late at DM 8
HEAD = header(1000, start="2026-03-04T00:00:00").replace(
    channels=AXIS, polarization=PolBasis("unknown", ("I",)), n_bits=8, is_complex=False, beam=None)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pulse at 150 ms and DM 8 on noise, in codes of 8 bits."""
    path = tmp_path_factory.mktemp("scan") / "scan.fil"
    data = np.random.default_rng(5).normal(100, 5, (N, 1, 24)).round().astype(np.float32)
    delay = 8 / 2.41e-4 * (AXIS.centers.value**-2 - AXIS.centers.value[-1] ** -2) * 1000
    data[150 + np.round(delay).astype(int), 0, np.arange(24)] += 60
    with SigprocWriter(path, HEAD, data.shape, n_bits=8) as writer:
        writer.append(data, np.ones((N, 1, 1), np.float32))
    return path


@pytest.mark.parametrize("name", ["a.fil", "a.h5", "s.tim", "s.dat", "s.h5"])
def test_one_measure(name: str, scan: Path, tmp_path: Path) -> None:
    series = ["--series"] if name.startswith("s") else []
    fastsig("dedisperse", scan, "-o", tmp_path / name, "--dm", "8", *series)
    with fs.open(tmp_path / name) as found:
        power = np.nan_to_num(found.read().values[:, 0]).mean(axis=1)
        n = N if name.endswith("h5") else N - LATE
        assert len(found) == n and found.header.dm == 8 and power[: N - LATE].argmax() == 150
        assert float(found.header.dm_reference_hz) == AXIS.centers.value[-1] * 1e6
        if name == "a.fil":
            assert found.header.n_bits == 8


@pytest.mark.parametrize("name", ["s.tim", "s.dat"])
def test_names_of_series_imply_series(name: str, scan: Path, tmp_path: Path) -> None:
    for folder, options in (("a", []), ("b", ["--series"])):
        (tmp_path / folder).mkdir()
        fastsig("dedisperse", scan, "-o", tmp_path / folder / name, "--dm", "8", *options)
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with fs.open(tmp_path / "a" / name) as found:
        assert found.shape == (N - LATE, 1, 1)
    with pytest.raises(fs.UsageError, match="x.tim: a .tim file contains one time series, and the "
                                            "spectra have 24 channels; allowed: .fil, or"):
        fs.open(scan).write(tmp_path / "x.tim")


def test_many_series(scan: Path, tmp_path: Path) -> None:
    fastsig("dedisperse", scan, "-o", tmp_path / "s.dat", "--dm", "6:10:0.5")
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names[:2] == ["s_DM10.00.dat", "s_DM10.00.inf"] and len(names) == 18
    cards = parse_inf(str(tmp_path / "s_DM8.00.inf")).cards
    assert (cards["DM"], cards["channels"], cards["low_mhz"]) == ("8", "24", "388.5")
    fastsig("dedisperse", scan, "-o", tmp_path / "one.dat", "--dm", "8", "--series")
    with fs.open(tmp_path / "one.dat") as one, fs.open(tmp_path / "s_DM8.00.dat") as many:
        assert one.start_time == many.start_time and one.header.channels == many.header.channels
        np.testing.assert_array_equal(one.read().values[: len(many)], many.read().values)


def test_series_at_the_barycentre(scan: Path, tmp_path: Path) -> None:
    options = ["--barycenter", "--ephemeris", "erfa"]
    fastsig("dedisperse", scan, "-o", tmp_path / "s.dat", "--dm", "6:8:1", *options)
    fastsig("dedisperse", scan, "-o", tmp_path / "one.dat", "--dm", "8", "--series", *options)
    found = [parse_inf(str(tmp_path / f"{name}.inf")).cards
             for name in ("s_DM6.00", "s_DM8.00", "one")]
    assert {each["barycentered"] for each in found} == {"1"}
    assert len({each["epoch"] for each in found}) == 1
    clock = BarycentricClock((123.5, -12.25), telescopes.get("FAST").location)
    day, seconds = clock.start(HEAD.start_time)
    assert float(found[0]["epoch"]) == pytest.approx(day + float(seconds) / 86400, abs=2e-11)
    fastsig("dedisperse", scan, "-o", tmp_path / "a.h5", "--dm", "8", *options)
    with fs.open(tmp_path / "a.h5") as spectra:
        assert spectra.header.extra["barycentered"] == 1
        assert spectra.start_time.mjd == pytest.approx(float(found[0]["epoch"]), abs=2e-11)
        assert "ERFA epv00" in json.dumps(spectra.stream.provenance)
    fastsig("dedisperse", scan, "-o", tmp_path / "a.fil", "--dm", "8", *options)  # nothing is lost
    with pytest.warns(fs.FastsigWarning, match="barycentric = 1"), fs.open(
            tmp_path / "a.fil") as spectra:
        assert spectra.header.extra["barycentric"] == 1


def test_a_plane(scan: Path, tmp_path: Path) -> None:
    done = fastsig("dedisperse", scan, "-o", tmp_path / "a.h5", "--dm", "0:20:0.5", "--json")
    assert json.loads(done.stdout)["format"] == "planes"
    with h5py.File(tmp_path / "a.h5") as file:
        plane = np.where(file["weights"][0] == 1, file["data"][0], 0)
        row, time = np.unravel_index(plane.argmax(), plane.shape)
        assert file["dm"][row] == 8 and abs(time - 150) <= 1 and plane.shape == (41, N)


def test_a_plan(scan: Path, tmp_path: Path) -> None:
    fastsig("plan-dm", scan, "--dm", "0:100", "-o", tmp_path / "plan.ecsv", "-q")
    plan = read_plan(tmp_path / "plan.ecsv")
    assert [each.downsampling for each in plan] == [1, 2, 4]
    done = fastsig("dedisperse", scan, "--plan", tmp_path / "plan.ecsv", "--json", "-o",
                   tmp_path / "p_{file}.h5")
    assert len(json.loads(done.stdout)["products"]) == 3
    source = fs.open(scan)
    for k, each in enumerate(plan):
        with h5py.File(tmp_path / f"p_{k:04d}.h5") as file:
            found = source.integrate(n_int=each.downsampling, last="drop").planes(each).read()
            np.testing.assert_array_equal(file["data"][0], found.values[:, 0].T)
            assert file["dm"][()].tolist() == each.dms.tolist()
    fastsig("dedisperse", scan, "--plan", tmp_path / "plan.ecsv", "-o", tmp_path / "s.dat",
            "--lossy")
    assert len(list(tmp_path.glob("s_DM*.inf"))) == sum(each.n_dm for each in plan)
    with pytest.raises(fs.UsageError, match="the plan has 3 stretches; allowed: one at a time"):
        source.planes(plan)
    with pytest.raises(fs.UsageError, match=r"integrate\(n_int=2\) makes them"):
        source.planes(list(plan)[1])


@pytest.mark.parametrize(("options", "message"), [
    ([], "--dm or --plan; allowed: one of them"),
    (["--dm", "nan"], "dm = 'nan' is not a dispersion measure; allowed: a number of pc cm"),
    (["--dm", "-3"], "dm = '-3'; allowed: 0 to 1000000"),
    (["--dm", "1e9"], "dm = '1e9'; allowed: 0 to 1000000"),
    (["--dm", "900"], "scan.fil: dm = 900 delays the lowest channel by"),
    (["--dm", "0:900:100"], "scan.fil: dm = 900 delays the lowest channel by"),
    (["--dm", "5:1:1"], "dms = '5:1:1'; allowed: first:last:step"),
    (["--dm", "0:5:1", "--ref", "infinity"], "--ref infinity with several"),
    (["--dm", "5", "--ephemeris", "erfa"], "--ephemeris without --barycenter; allowed: both"),
    (["--dm", "5", "--ref", "1400"], "ref = '1400' has no unit"),
    (["--dm", "5", "--constant", "4"], "constant = '4'; allowed: about 4149"),
    (["--dm", "0:5:1", "--to", "sigproc"], "--to sigproc: .* contains planes; allowed: planes"),
    (["--dm", "5", "--to", "planes"], "--to planes: .* contains spectra; allowed: fbh5")])
def test_errors_of_one_line(options: list[str], message: str, scan: Path, tmp_path: Path) -> None:
    done = fastsig("dedisperse", scan, "-o", tmp_path / "a.h5", *options, code=2)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("try ")]
    assert len(lines) == 1

    assert re.search(message, lines[0]), lines[0]
    assert not os.listdir(tmp_path)


def test_inputs_that_cannot_be_dedispersed(scan: Path, tmp_path: Path) -> None:
    fastsig("dedisperse", scan, "-o", tmp_path / "s.tim", "--dm", "8", "--series")
    fs.open(scan).integrate(n_freq=24).write(tmp_path / "one.h5")
    for name, code, message in (
            ("s.tim", 3, "does not state its sky frequency"),
            ("one.h5", 2, "has one channel, and therefore no delay to remove"),
            (scan.parent / "no.fil", 3, "No such file")):
        done = fastsig("dedisperse", tmp_path / name, "-o", tmp_path / "x.h5", "--dm", "1",
                       code=code)
        assert message in done.stderr and done.stderr.count("\n") == 1, done.stderr
    voltages = Path(__file__).parents[1] / "data" / "samples" / "pulsar_lower_8MHz.h5"
    done = fastsig("dedisperse", voltages, "-o", tmp_path / "x.h5", "--dm", "1", code=3)
    assert "contains voltage; allowed: spectra. Make them with fastsig spectra" in done.stderr


def test_all_series_or_none(tmp_path: Path) -> None:
    dms = np.array([1.0, 2, 3])
    head = HEAD.replace(channels=AXIS.averaged(24), dm_reference_hz=AXIS.first_hz)
    writer = SeriesWriter(tmp_path / "a", head, 50, dms)
    (tmp_path / "a_DM2.00.dat").write_bytes(b"of another program")
    with pytest.raises(OutputError, match="a_DM2.00.dat: was created by another"), writer:
        writer.append(np.ones((50, 1, 3), np.float32), np.ones((50, 1, 1), np.float32))
    assert os.listdir(tmp_path) == ["a_DM2.00.dat"]


@pytest.mark.parametrize(("dms", "last"), [
    ([0.0, 475], "s_DM475.00.dat"), ([0.125], "s_DM0.125.dat"), ([1 / 3], "s_DM0.333333333.dat")])
def test_names_have_the_decimals_of_prepsubband(dms: list[float], last: str) -> None:
    assert series_names("s.dat", np.array(dms))[-1] == last


def test_names_that_are_equal_are_refused(scan: Path, tmp_path: Path) -> None:
    done = fastsig("dedisperse", scan, "-o", tmp_path / "s.dat", "--dm", "1e-10,2e-10", code=2)
    assert "s_DM0.000000000.dat: the name of two series" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.recorded
def test_a_burst_that_was_recorded(tmp_path: Path) -> None:
    """FRB 180417: DM 475 within 3, 2.028 s within 0.003 s, S/N 14.6 or more."""
    fastsig("dedisperse", recorded("your/28.fil"), "-o", tmp_path / "a.h5", "--dm", "440:510:1")
    with h5py.File(tmp_path / "a.h5") as file:
        whole = (file["weights"][0] == 1).all(axis=0)
        plane, dms, time = file["data"][0][:, whole], file["dm"][()], file["time"][whole]
    best = (0.0, 0.0, 0.0)
    for width in (1, 2, 3, 4):
        ends = np.cumsum(np.pad(plane.astype(np.float64), ((0, 0), (1, 0))), axis=1)
        sums = (ends[:, width:] - ends[:, :-width]) / width**0.5
        middle = np.median(sums, axis=1, keepdims=True)
        snr = (sums - middle) / (1.4826 * np.median(abs(sums - middle), axis=1, keepdims=True))
        row, at = np.unravel_index(snr.argmax(), snr.shape)
        best = max(best, (snr[row, at], dms[row], time[at] + width / 2 * time[1]))
    assert best[0] >= 14.6 and abs(best[1] - 475) <= 3 and abs(best[2] - 2.028) <= 0.003


def test_spectra_with_a_dispersion_measure(tmp_path: Path) -> None:
    words = ["spectra", VOLTAGES, "--n-chan", "8", "-q"]
    fastsig(*words, "--dm", "300", "--integrate", "0.1ms", "-o", tmp_path / "a.h5")
    with fs.open(tmp_path / "a.h5") as made:
        assert made.header.coherent_dm == 300
        series = made.dedisperse(300)[: 80 * u.ms].to_series().read()
    power = series.values[:, 0, 0] - np.nanmedian(series.values)
    above = np.flatnonzero(power > power.max() / 2)
    assert above[-1] - above[0] < 10  # 0.5 ms; 1.6 ms with the dispersion within channels
    # Without dispersion, the spectra are those of the filter bank.
    for name, more in (("b", ["--dm", "0"]), ("c", [])):
        fastsig(*words, *more, "--n-int", "64", "-o", tmp_path / f"{name}.h5")
    b, c = (fs.open(tmp_path / f"{name}.h5").read() for name in "bc")
    assert b.values.tobytes() == c.values.tobytes() and b.header.coherent_dm is None


@pytest.mark.parametrize(("words", "message"), [
    (["--dm", "300", "--n-tap", "4"], "--n-tap 4 with --dm"),
    (["--dm", "300", "--window", "hann"], "--window hann with --dm"),
    (["--dm", "300", "--oversample", "4/3"], "--oversample 4/3 with --dm"),
    (["--dm", "300", "--n-int", "64", "--flag", "sk"], "--flag sk with --dm"),
    (["--constant", "4148.808"], "--constant 4148.808 without --dm"),
    (["--dm", "-3"], "dm = '-3'; allowed: 0 to"), (["--dm", "nan"], "dm = 'nan'"),
    (["--dm", "1e9"], "dm = '1e9'"), (["--dm", "1000000"], "allowed: less than the length"),
    (["--dm", "30000"], "allowed: less than the length of the data")])
def test_refused_with_a_dispersion_measure(words: list[str], message: str, tmp_path: Path) -> None:
    done = fastsig("spectra", VOLTAGES, "--n-chan", "8", *words, "-o",
                   tmp_path / "x.h5", code=2)
    assert message in done.stderr.replace("\n", " ")
    assert len(done.stderr.splitlines()) <= 2 and not list(tmp_path.iterdir())



@pytest.mark.recorded
def test_the_header_of_a_recorded_burst_for_presto(tmp_path: Path) -> None:
    """Field by field, in the order and with the labels of PRESTO's ioinf.c."""
    fastsig("dedisperse", recorded("your/28.fil"), "-o", tmp_path / "x.dat", "--dm", "475",
            "--lossy")
    lines = (tmp_path / "x.inf").read_text().splitlines()
    assert all(line[40] == "=" for line in lines[:19])
    assert [(line[1:40].strip(), line[41:].strip()) for line in lines[:20] if "=" in line] == [
        ("Data file name without suffix", "x"), ("Telescope used", "GMRT"),
        ("Instrument used", "Unknown"), ("Object being observed", "src1"),
        ("J2000 Right Ascension (hh:mm:ss.ssss)", "12:26:37.636079520"),
        ("J2000 Declination     (dd:mm:ss.ssss)", "13:57:52.11203724"),
        ("Data observed by", "Unknown"),
        ("Epoch of observation (MJD)", "58682.620316710374027778"),
        ("Barycentered?           (1 yes, 0 no)", "0"),
        ("Number of bins in the time series", "4626"),
        ("Width of each time series bin (sec)", "0.00126646875"),
        ("Any breaks in the data? (1 yes, 0 no)", "0"),
        ("Type of observation (EM band)", "Radio"), ("Beam diameter (arcsec)", "0"),
        ("Dispersion measure (cm-3 pc)", "475"), ("Central freq of low channel (MHz)", "1130"),
        ("Total bandwidth (MHz)", "336"), ("Number of channels", "336"),
        ("Channel bandwidth (MHz)", "1"), ("Data analyzed by", "fastsig")]
    with fs.open(recorded("your/28.fil")) as spectra, fs.open(tmp_path / "x.dat") as series:
        values = spectra.read().values[:, 0].astype(np.float64)
        mhz = spectra.frequency.to_value("MHz")
        delay = 475 / 2.41e-4 * (mhz**-2 - mhz[-1] ** -2) / 0.00126646875
        rows = np.arange(4626)[:, np.newaxis] + np.round(delay).astype(int)
        mean = values[rows, np.arange(336)].mean(axis=1)
        np.testing.assert_allclose(series.read().values[:, 0, 0], mean, rtol=1e-6)
        assert abs(mean.argmax() * 0.00126646875 - 2.028) < 0.003


def test_tracks_of_several_measures(scan: Path, tmp_path: Path) -> None:
    for track in ("sample", "half", "exact"):
        fastsig("dedisperse", scan, "-o", tmp_path / f"{track}.h5", "--dm", "0:12:0.5", "--track",
                track)
    made = {}
    for track in ("sample", "half", "exact"):
        with h5py.File(tmp_path / f"{track}.h5") as file:
            made[track] = np.nan_to_num(file["data"][: N - LATE - 12])
    off = {track: np.abs(data - made["exact"]).mean() for track, data in made.items()}
    # Of so few channels, tracks in half samples are hardly closer to the exact delays than others.
    assert off["exact"] == 0 < off["half"] != off["sample"] > 0
    assert "with one dispersion measure" in fastsig(
        "dedisperse", scan, "-o", tmp_path / "a.h5", "--dm", "8", "--track", "half", code=2).stderr
