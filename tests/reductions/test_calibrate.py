"""Scans calibrated by their diode: kelvin, jansky, Stokes and places of known skies come back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import astropy.units as u
import h5py
import numpy as np
import pytest
from cli import fastsig
from diode_scans import Made, spectra
from scipy.optimize import least_squares

import fastsig as fs
from fastsig import simulate, telescopes
from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.chain import Chain
from fastsig.errors import DataError, DoubtWarning, FastsigWarning, PlanError, UsageError
from fastsig.reductions.diode.calibration import calibrated, check, described, solve
from fastsig.run.products import write
from fastsig.simulate import FastScan, PointSource, write_scan
from fastsig.stream import Block

SAMPLES = Path("data/samples")
SIMHI = [SAMPLES / f"SIMHI_onoff-M01_W_000{n}.fits" for n in (1, 2)]


def test_kelvin_under_drift_and_an_uneven_diode() -> None:
    recording = spectra(
        tcal=simulate.Tcal(q=0.05), drift=simulate.GainDrift(0.03, period="150s"),
        source=simulate.Source("6K", q="1K"))
    found = solve(Made(recording), "13.125K,11.875K", gain_time="20s")
    assert found.cycle.mode == "1 sample in 8" and found.cycle.phase == 0
    block = calibrated(Made(recording), found).read_block(0, recording.n_time)
    assert block.valid.all()
    n = recording.n_sum * recording.n_time * 64
    for product, kelvin in ((0, 20 + 3.5), (1, 20 + 2.5)):
        error = kelvin * (n**-0.5 + 2.6 * (n / 8)**-0.5 * 2)  # of the scale, mostly
        assert abs(block.data[:, product].mean() - kelvin) < 5 * error
        level = block.data[:, product].mean(axis=1)  # the drift is gone
        smooth = level[: len(level) // 40 * 40].reshape(-1, 40).mean(axis=1)
        assert np.ptp(smooth) < 0.01 * kelvin
    for got, wanted in zip(found.tsys, (23.5, 22.5), strict=True):
        assert abs(got / wanted - 1) < 3e-3
    assert all(abs(ratio - 1) < 0.02 for ratio in found.noise_ratio)


@pytest.mark.parametrize("sign_q, sign_v", [(1, 1), (-1, 1), (1, -1)])
def test_stokes_through_an_uneven_receiver(sign_q: int, sign_v: int) -> None:
    source = {"i": 40.0, "q": 12.0, "u": -9.0, "v": 6.0}
    recording = spectra(
        duration="300s", n_chan=16, jones=simulate.Jones(ratio=1.2, phase="60deg"),
        tcal=simulate.Tcal(q=0.05),
        source=simulate.Source(**{key: f"{value}K" for key, value in source.items()}))
    made = Made(recording)
    raw = made.values.mean(axis=(0, 2))
    found = solve(made, "13.125K,11.875K", phase=True, smooth="0Hz")
    out = calibrated(made, found, stokes="IQUV", sign_q=sign_q, sign_v=sign_v)
    got = out.read_block(0, out.shape[0]).data.mean(axis=(0, 2)) - [40, 0, 0, 0]  # less Tsys
    assert abs(raw[0] / raw[1] / 1.2 / (32.0 + 14) * (28.0 + 6) - 1) < 0.5  # uneven at first
    wanted = np.array([source["i"], sign_q * source["q"], source["u"], sign_v * source["v"]])
    assert np.abs(got - wanted).max() < 0.002 * 80  # of the total intensity there is
    assert abs(np.rad2deg(np.arctan2(got[2], sign_q * got[1]) - np.arctan2(-9.0, 12.0))) / 2 < 0.2
    assert out.polarization.sign_q == sign_q and out.polarization.frame == "receiver"


# Arcmin to the east in right ascension, arcmin to the north, Jy.
PLACES = ((-6, 1.0, 3), (0, -0.5, 5), (4, 3.8, 2), (9, -3.0, 4), (13, 0.3, 1))
DUMPS = {"0.50331648s": 125829120, "1.00663296s": 251658240}  # in ticks of 4 ns


@pytest.fixture(scope="module")
def drift_scans(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Two scans of four beams over five sources, of both dumps."""
    folders = {}
    sources = [PointSource(f"{75 + away / 60}deg", f"{20 + up / 60}deg", f"{flux}Jy",
                           index=-0.7)
               for away, up, flux in PLACES]
    for dump in DUMPS:
        folder = tmp_path_factory.mktemp("scan")
        scan = FastScan(
            duration="150s", beams="1+2+3+6", ra="75deg", dec="20deg", sky=sources, n_chan=128,
            fstart="1399.5MHz", integration=dump, start_time="2023-12-01T16:30:00", bandpass="flat",
            diode=simulate.Diode("12.5K", period=8 * DUMPS[dump], on=DUMPS[dump]),
            drift=simulate.GainDrift(0.02, period="400s"))
        write_scan(scan, folder)
        folders[dump] = folder
    return folders


@pytest.mark.parametrize("dump", DUMPS)
def test_places_and_fluxes_of_a_drift_scan(dump: str, drift_scans: Mapping[str, Path]) -> None:
    folder = drift_scans[dump]
    track, = folder.glob("*.xlsx")
    rows = []
    for beam in (1, 2, 3, 6):
        chain = fs.open(sorted(folder.glob(f"*M{beam:02d}*.fits")))
        found = solve(chain.stream, "12.5K")
        flux = calibrated(chain.stream, found, ky=str(track), flux=True)
        assert described(flux) == ["positions: without refraction"]
        block, place = flux.read_block(0, flux.shape[0]), flux.read_columns(0, flux.shape[0])
        assert flux.header.unit == "Jy" and not place["extrapolated"].any()
        total = np.nanmean(block.data[:, :2], axis=(1, 2))
        rows.append((beam, place["ra_deg"], place["dec_deg"], total))
    fit, error = _fitted(rows, 5)
    truth = np.array([[75 + east / 60, 20 + north / 60, flux] for east, north, flux in PLACES])
    off = (fit - truth) * [3600 * np.cos(np.deg2rad(20)), 3600, 1]
    assert (truth[:, 2] / error[:, 2] > 200).all()
    assert np.abs(off[:, :2]).max() < 1.0
    assert np.abs(off[:, 2] / truth[:, 2]).max() < 0.01


def test_temperatures_as_quantities() -> None:
    made = Made(spectra(duration="100s", n_chan=16))
    texts = solve(made, "12.5K,11.5K")
    for tcal in ([12.5 * u.K, 11500 * u.mK], (12.5 * u.K, 11.5 * u.K), [12.5, 11.5] * u.K):
        np.testing.assert_allclose(solve(made, tcal).tcal, texts.tcal)
    for wrong in (None, 12.5, [12.5, 11.5], [12.5 * u.K, "11.5K"], [1 * u.m, 1 * u.K], []):
        with pytest.raises(UsageError, match="tcal"):
            solve(made, wrong)


def test_refraction_in_place_of_the_track_s(drift_scans: Mapping[str, Path]) -> None:
    folder = drift_scans["1.00663296s"]
    track, = folder.glob("*.xlsx")
    stream = fs.open(sorted(folder.glob("*M01*.fits"))).stream
    found = solve(stream, "12.5K")
    dec = {}
    for air in (None, "none", "925,15,0.8,0.3m"):
        kelvin = calibrated(stream, found, ky=str(track), refraction=air, stokes="I")
        dec[air] = kelvin.read_columns(0, 1)["dec_deg"][0] * 3600
        lines = described(kelvin)
    assert lines == ["positions: refraction of 925 hPa, 15 C, humidity 0.8, at 0.3 m"]
    assert dec[None] == dec["none"] and 3 < abs(dec["925,15,0.8,0.3m"] - dec["none"]) < 30
    assert described(stream) == []


def _fitted(rows: list[tuple[Any, ...]], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and fluxes of Gaussian sources, and their errors, by all beams together."""
    receiver = telescopes.get("FAST").receiver()
    width = {beam: receiver.hpbw(beam, 1400 * u.MHz).value for beam, *_ in rows}

    def residual(p: np.ndarray) -> np.ndarray:
        out = []
        for index, (beam, ra, dec, total) in enumerate(rows):
            model = np.full(len(ra), p[3 * n + index])
            for a, d, s in p[: 3 * n].reshape(n, 3):
                away, up = (ra - a) * np.cos(np.deg2rad(d)) * 60, (dec - d) * 60
                model = model + s * np.exp(-4 * np.log(2) * (away**2 + up**2) / width[beam]**2)
            out.append(model - total)
        return np.concatenate(out)

    first = [[75 + east / 60 + 0.003, 20 + north / 60 - 0.004, 0.9 * flux]
             for east, north, flux in PLACES]
    scale = np.array([1e-4, 1e-4, 0.1] * n + [0.1] * len(rows))
    found = least_squares(residual, [*np.ravel(first), *([1.2] * len(rows))], x_scale=scale)
    cover = np.linalg.inv(found.jac.T @ found.jac) * 2 * found.cost / (found.fun.size - 19)
    return found.x[: 3 * n].reshape(n, 3), np.sqrt(np.diag(cover))[: 3 * n].reshape(n, 3)


def test_noise_of_intensity_mapping() -> None:
    # SEFD 1.25 Jy, 30 kHz, 1 s: 5.10 mJy of I, the mean of both polarisations.
    gain = telescopes.get("FAST").receiver().gain(1, 1400 * u.MHz, 10 * u.deg).value
    recording = spectra(duration="230s", n_chan=100, integration="1s", bandwidth="3MHz",
                        tsys=f"{1.25 * gain}K", seed=3,
                        diode=simulate.Diode("12.5K", period=2 * 10**9, on=25 * 10**7, first=0))
    made = Made(recording)
    found = solve(made, "12.5K", smooth="0.375MHz")
    flux = calibrated(made, found, stokes="I", flux=True, zenith_angle="10deg")
    values = flux.read_block(0, flux.shape[0]).data[:, 0]
    off = values[flux.read_columns(0, flux.shape[0])["diode_on"] == 0]
    assert off.size > 20_000
    assert abs(np.diff(off, axis=0).std() / 2**0.5 / 5.10e-3 - 1) < 0.01
    record = found.solution.facts["radiometer"]
    assert record["n_eff"] == 1.0 and record["bandwidth_hz"] == 30e3
    # The median over 80 channels of 200 differences each: to 0.7 %.
    assert all(abs(ratio - 1) < 0.025 for ratio in record["measured_over_expected"])


def test_a_gain_that_a_calibrator_gave() -> None:
    made = Made(spectra(duration="100s", n_chan=16))
    found = solve(made, "12.5K")
    kelvin = calibrated(made, found).read_block(0, 200).data
    jansky = calibrated(made, found, gain="16K/Jy")
    np.testing.assert_allclose(jansky.read_block(0, 200).data, kelvin / 16, rtol=1e-6)
    whole = calibrated(made, found, stokes="I", gain=16 * u.K / u.Jy).read_block(0, 200).data
    np.testing.assert_allclose(whole[:, 0], (kelvin[:, 0] + kelvin[:, 1]) / 32, rtol=1e-5)
    with pytest.raises(UsageError, match="gain = 0"):
        calibrated(made, found, gain="0K/Jy")


def test_edges_of_the_diode_count_neither_way() -> None:
    # On for 1.3 of 4 spectra: one whole, one partly.
    recording = spectra(duration="200s", diode=simulate.Diode(
        "12.5K", period=500 * 10**6, on=1625 * 10**5, first=0))
    made = Made(recording)
    found = solve(made, "12.5K", diode="period=2s,on=0.65s,first=0s")
    block = calibrated(made, found).read_block(0, 400)
    np.testing.assert_array_equal(block.valid[:, 0, 0], np.tile([1, 0, 1, 1], 100))
    assert np.isnan(block.data[1]).all() and abs(np.nanmean(block.data[:, :2]) - 20) < 0.1
    blank = calibrated(made, found, on="blank").read_block(0, 400)
    np.testing.assert_array_equal(blank.valid[:, 0, 0], np.tile([0, 0, 1, 1], 100))


def test_bad_cycles_are_left_out() -> None:
    def burst(values: np.ndarray) -> None:
        values[320] *= 5  # a spectrum with the diode on
        values[483:486] *= 3

    made = Made(spectra(), change=burst)
    found = solve(made, "12.5K")
    assert 1 <= found.model.bad.sum() <= 4
    quiet = solve(Made(spectra()), "12.5K")
    np.testing.assert_allclose(found.solution.kelvin[:2], quiet.solution.kelvin[:2], rtol=0.02)


@pytest.mark.parametrize("case, options, kind, text", [
    ("no diode", {}, DataError, "no noise diode"),
    ("always on", {}, DataError, "all the time|on throughout|during the whole scan|steady"),
    ("wrong user", {"diode": "period=3s,on=1s"}, DataError, r"period 4\.000000000 s"),
    ("stokes", {}, UsageError, "products I, Q, U, V cannot be calibrated"),
    ("kelvin", {}, PlanError, "is in K: calibrated already"),
    ("tables", {"tcal": "none.npz"}, fs.FormatError, "none.npz"),
    ("three", {"tcal": "1K,2K,3K"}, UsageError, "3 temperatures for 2 polarisations"),
    ("negative", {"tcal": "-1K"}, UsageError, "tcal = '-1K'"),
    ("mode", {"diode": "mode=disco"}, UsageError, "diode mode 'disco'; allowed: pulsar"),
    ("words", {"diode": "period=3s"}, UsageError, "allowed: mode=NAME, or period="),
])
def test_what_cannot_be_calibrated(case: str, options: dict[str, Any], kind: Any, text: str
                                   ) -> None:
    recording = spectra(duration="100s", n_chan=16, diode=None if case == "no diode" else
                        simulate.Diode("12.5K", period=10**9, on=125 * 10**6))
    made = Made(recording)
    if case == "stokes":
        pol = type(made.header.polarization)("linear", ("I", "Q", "U", "V"))
        made.header = made.header.replace(polarization=pol)
    if case == "kelvin":
        made.header = made.header.replace(unit="K")
    if case == "always on":
        options = {"diode": DiodeSchedule(10**9, 10**9)}
    with pytest.raises(kind, match=text):
        solve(made, **({"tcal": "12.5K"} | options))


def test_a_header_that_is_wrong_is_told() -> None:
    wrong = DiodeSchedule(750 * 10**6, 125 * 10**6)
    with pytest.warns(DoubtWarning, match="the header's noise diode"):
        found = solve(Made(spectra(), diode=wrong), "12.5K")
    assert found.cycle.period == 4


def test_one_polarisation_and_channels_without_values() -> None:
    def lose(values: np.ndarray) -> None:
        values[:, :, 5] = np.nan

    made = Made(spectra(), slice(0, 1))
    found = solve(made, "12.5K")
    assert found.solution.names == ("AA",) and abs(found.tsys[0] - 20) < 0.2

    class Lost(Made):
        weight_channels = 64

        def read_block(self, start: int, n: int, out: Any = None) -> Block:
            data = self.values[start : start + n]
            return Block(data, np.isfinite(data).astype(np.float32), start, n)

    lost = Lost(spectra(), slice(0, 2), lose)
    with pytest.warns(FastsigWarning, match="1 of 64 channels, where the noise diode is not seen"):
        found = solve(lost, "12.5K", smooth="0Hz")
    block = calibrated(lost, found).read_block(0, 50)
    assert (block.valid[:, :, 5] == 0).all() and (block.valid[:, :, 6] == 1).all()
    assert np.isnan(block.data[:, :, 5]).all() and abs(np.nanmean(block.data) - 20) < 0.3


def test_measuring_keeps_to_its_memory_and_says_what_it_does() -> None:
    stream = fs.open(SIMHI).stream
    with pytest.raises(fs.PlanError, match="below the floor"):
        solve(stream, "12.5K", memory=10**7)
    rows: dict[str, list[int]] = {}
    solve(stream, "12.5K", memory=10**12,
          progress=lambda name, n, total: rows.setdefault(name, [total]).append(n))
    assert list(rows) == ["find the diode", "measure the diode"]
    assert all(sum(n) == total == stream.shape[0] for total, *n in rows.values())


def test_same_bytes_whatever_the_workers(tmp_path: Path) -> None:
    stream = fs.open(SIMHI).stream
    for workers in (1, 3):
        found = solve(stream, "12.5K", workers=workers)
        write(calibrated(stream, found), tmp_path / f"{workers}.h5", workers=workers)
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "3.h5").read_bytes()


def test_command(tmp_path: Path) -> None:
    out, picture = tmp_path / "k.h5", tmp_path / "k.png"
    done = fastsig("calibrate", *SIMHI, "-o", out, "--tcal", "12.5K", "--picture", picture,
                   "--diode", "mode=onoff,first=1.00663296s")
    assert "noise diode: period 2.013265920 s" in done.stderr and picture.stat().st_size > 20_000
    data = Chain(fs.open(out).stream).read()
    assert data.header.unit == "K" and abs(np.nanmedian(data.values[:, 0]) - 22.5) < 0.3
    np.testing.assert_array_equal(data.columns["diode_on"][:4], [0, 1, 0, 1])
    with h5py.File(out) as file:
        record = json.loads(bytes(file["provenance"][()]))
    stage = next(each for each in record["stages"] if each["stage"] == "calibrate")
    stage = stage["parameters"]
    assert Fraction(stage["period_s"]) == Fraction("2.01326592") and len(stage["tsys_k"]) == 2
    done = fastsig("calibrate", *SIMHI, "-o", tmp_path / "no.h5", "--tcal", "12.5K", "--flux",
                   code=2)
    assert "--zenith-angle 20deg" in done.stderr
    done = fastsig("calibrate", *SIMHI, "-o", tmp_path / "no.h5", "--tcal", "12.5K", "--diode",
                   "period=3s,on=1s", code=3)
    assert "the user's noise diode" in done.stderr and "period 2.013265920 s" in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["k.h5", "k.png"]


def test_a_track_of_another_day(tmp_path: Path, drift_scans: Mapping[str, Path]) -> None:
    track, = drift_scans["1.00663296s"].glob("*.xlsx")
    done = fastsig("calibrate", *SIMHI, "-o", tmp_path / "no.h5", "--tcal", "12.5K", "--ky", track,
                   code=3)
    assert "a table of another scan?" in done.stderr and not list(tmp_path.iterdir())


def test_polarisation_of_the_sky(tmp_path: Path) -> None:
    """Through a feed at an angle, a turned receiver, unequal channels and an uneven diode."""
    source = PointSource("75deg", "20deg", "3Jy", q=0.2, u=-0.15, v=0.05)
    scan = FastScan(
        duration="120s", beams="1+4", observing="tracking", ra="75deg", dec="20deg",
        rotation="30deg",
        sky=[source], n_chan=64, fstart="1399.7MHz", integration="0.50331648s",
        start_time="2023-12-01T16:30:00", bandpass="flat", feed_angle="12deg",
        diode=simulate.Diode("12.5K", period=8 * 125829120, on=125829120),
        tcal=simulate.Tcal(q=0.05), jones=simulate.Jones(ratio=1.2, phase="60deg"))
    write_scan(scan, tmp_path)
    track, = tmp_path.glob("*.xlsx")
    means = {}
    for beam in (1, 4):  # M04 sees nothing but the receiver
        stream = fs.open(sorted(tmp_path.glob(f"*M{beam:02d}*.fits"))).stream
        found = solve(stream, "13.125K,11.875K", phase=True)
        sky = calibrated(stream, found, ky=str(track), stokes="IQUV", feed_angle="12deg", flux=True)
        assert sky.polarization.frame == "sky" and sky.header.unit == "Jy"
        means[beam] = np.nanmean(sky.read_block(0, sky.shape[0]).data, axis=(0, 2))
    gains = [scan.truth["beams"][f"M{beam:02d}"]["gain_k_jy"][0] for beam in (1, 4)]
    i, q, u_, v = means[1] - [means[4][0] * gains[1] / gains[0], 0, 0, 0]
    assert np.abs(np.array([i, q, u_, v]) - [3, 0.6, -0.45, 0.15]).max() < 0.002 * means[1][0]
    assert abs(np.rad2deg(np.arctan2(u_, q) - np.arctan2(-0.15, 0.2))) / 2 < 0.2


@pytest.mark.parametrize("wrong", ["period=20.1326592s,on=10.0663296s,first=1.00663296s",
                                   "period=20.1326592s,on=9.05969664s,first=0s",
                                   "period=20.0s,on=10.0s,first=0s"])
def test_a_schedule_that_is_wrong_by_a_spectrum(wrong: str) -> None:
    made = Made(spectra(duration="400s", integration="1.00663296s", bandwidth="31.25MHz", n_chan=64,
                        diode=simulate.Diode("12.5K", period=5033164800, on=2516582400)))
    assert abs(solve(made, "12.5K").tsys[0] - 20) < 0.1
    with pytest.raises(DataError, match=r"period 20\.132659200 s, on 10\.06632960. s, first on at"):
        solve(made, "12.5K", diode=wrong)


def test_the_ends_of_the_band_and_dead_channels() -> None:
    def kill(values: np.ndarray) -> None:
        values[:, :, 300] = 0

    made = Made(spectra(duration="200s", n_chan=640, bandwidth="19.2MHz", bandpass="fast"),
                change=kill)
    with pytest.warns(FastsigWarning, match="of 640 channels, where the noise diode is not seen"):
        found = solve(made, "12.5K")
    block = calibrated(made, found).read_block(0, 400)
    level = block.data[:, :2].mean(axis=0)
    for part in (slice(5, 60), slice(-60, -5)):
        assert np.abs(np.median(level[:, part], axis=1) - 20).max() < 0.3
        assert np.abs(level[:, part] - 20).max() < 2
    assert (block.valid[:, :, 300] == 0).all() and (block.valid[:, :, 299] == 1).all()


def test_intensity_alone(tmp_path: Path) -> None:
    recording = spectra(duration="200s")
    made = Made(recording, slice(0, 1))
    pair = recording.generate(0, recording.n_time)[0]
    made.values = pair[:, :1] + pair[:, 1:2]
    made.header = made.header.replace(polarization=type(made.header.polarization)("linear", ("I",)))
    found = solve(made, "12.5K")
    assert abs(found.tsys[0] - 40) < 0.3 and abs(found.noise_ratio[0] - 1) < 0.03
    table = tmp_path / "high.npz"
    mhz = np.linspace(1390, 1410, 200)
    np.savez(table, freq=mhz, tcal=np.full((200, 2, 19), 12.5))
    assert abs(solve(made, str(table), beam=3).tsys[0] - 40) < 0.3
    made.values = pair[:, :1]  # a single polarisation was recorded
    made.header = made.header.replace(polarization=dataclasses.replace(
        made.header.polarization, n_recorded=1))
    for found in (solve(made, "12.5K"), solve(made, str(table), beam=3)):
        assert abs(found.tsys[0] - 20) < 0.3 and abs(found.noise_ratio[0] - 1) < 0.03


@pytest.mark.parametrize("steps, text", [
    ({"feed_angle": "30deg"}, "feed_angle without stokes IQUV"),
    ({"sign_q": -1}, "sign_q or sign_v without Stokes"),
    ({"refraction": "925,15,0.8,0.3m"}, "refraction without a track"),
    ({"zenith_angle": "20deg"}, "zenith_angle without flux"),
    ({"gain": "16K/Jy", "flux": True}, "gain with flux"),
])
def test_what_would_have_no_effect(steps: dict[str, Any], text: str) -> None:
    made = Made(spectra(duration="100s", n_chan=16))
    with pytest.raises(UsageError, match=text):
        check(made, **steps)


def test_nothing_is_measured_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "k.h5").write_bytes(b"")
    done = fastsig("calibrate", *SIMHI, "-o", tmp_path / "k.h5", "--tcal", "12.5K", "--picture",
                   tmp_path / "k.png", code=4)
    assert "noise diode" not in done.stderr and not (tmp_path / "k.png").exists()
    done = fastsig("calibrate", *SIMHI, "-o", SIMHI[0], "--tcal", "12.5K", "--overwrite", code=4)
    assert "is an input" in done.stderr or "input" in done.stderr
    done = fastsig("calibrate", *SIMHI, "-o", tmp_path / "x.h5", "--tcal", "12.5K", "--smooth",
                   "1MHz", code=2)
    assert "smooth = 1MHz; allowed: 0 Hz to an eighth of the band" in done.stderr


def test_a_line_keeps_its_flux_under_the_default_smoothing() -> None:
    made = Made(spectra(duration="400s", n_chan=256, bandwidth="1.92MHz", integration="1s",
                        bandpass="fast", line=simulate.Line(peak="12K", fwhm="118kHz",
                                                            frequency="1399.9MHz"),
                        diode=simulate.Diode("12.5K", period=500 * 10**6, on=250 * 10**6)))
    flux = {}
    for smooth in (None, "0Hz"):
        found = solve(made, "12.5K", smooth=smooth)
        level = calibrated(made, found).read_block(0, 400).data[:, :2].mean(axis=(0, 1))
        flux[smooth] = (level - 20)[80:160].sum()
    assert abs(flux[None] / flux["0Hz"] - 1) < 0.01


def test_mueller_matrices_of_the_nearest_date(tmp_path: Path) -> None:
    leak = np.eye(4) + 0.02 * np.array([[0, 1, -1, 2], [1, 0, 0, 0], [-1, 0, 0, 0], [2, 0, 0, 0]])
    matrix = np.stack([np.broadcast_to(np.eye(4), (2, 4, 4)), np.broadcast_to(leak, (2, 4, 4))])
    table = tmp_path / "mueller.npz"
    np.savez(table, mjd=[50000.0, 61000.0], freq_mhz=[1390.0, 1410.0], matrix=matrix)
    made = Made(spectra(duration="100s", n_chan=16))
    found = solve(made, "12.5K")
    seen = calibrated(made, found, stokes="IQUV").read_block(0, 50).data
    true = calibrated(made, found, stokes="IQUV", mueller=str(table)).read_block(0, 50).data
    np.testing.assert_allclose(np.einsum("ij,njc->nic", leak, true), seen, rtol=1e-4, atol=1e-3)
    mhz = made.header.channels.centers.to_value("MHz")
    middle = float(np.median(mhz))
    np.savez(table, mjd=[61000.0], freq_mhz=[middle, mhz.max() + 1], matrix=matrix[1:])
    part = calibrated(made, found, stokes="IQUV", mueller=str(table)).read_block(0, 50)
    beyond = (mhz < middle) & np.ones((50, 4, 1), bool)
    np.testing.assert_array_equal(np.broadcast_to(part.valid, beyond.shape) == 0, beyond)
    np.testing.assert_array_equal(np.isnan(part.data), beyond)
    assert beyond.any() and not beyond.all()
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(fs.FormatError, match="bad.npz: is not a table of Mueller matrices"):
        calibrated(made, found, stokes="IQUV", mueller=str(tmp_path / "bad.npz"))


def test_independent_samples_of_our_own_bank(tmp_path: Path) -> None:
    from fastsig.calibration.radiometer import n_eff

    obs = fs.open("data/samples/frb_carrier_16MHz.h5")
    one = obs.channelize(64, n_tap=8).detect("AABB").integrate(n_int=100)
    assert abs(n_eff(one.header) * 1.032 - 1) < 1e-3
    one.write(tmp_path / "one.h5")
    assert n_eff(fs.open(tmp_path / "one.h5").header) == n_eff(one.header)
    assert n_eff(obs.channelize(64, n_tap=1, window="rect").detect("I").header) == 1
    assert n_eff(fs.open(SIMHI).header) == 1
