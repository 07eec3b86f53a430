"""Simulated scans of 19 beams: held against geometry by hand, ERFA and closed forms.

Recordings of one wide channel have so many samples that a value scatters by less than 1e-4.
"""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import astropy.units as u
import erfa
import numpy as np
import pytest
from astropy.coordinates import TETE, EarthLocation, SkyCoord, SpectralCoord
from astropy.time import Time
from astropy.utils import iers

from fastsig.errors import UsageError
from fastsig.simulate import (
    Continuum,
    Diode,
    FastScan,
    GainDrift,
    HIDisk,
    Jones,
    PointSource,
    Ripple,
    SkyPulsar,
    Tcal,
    beams,
    write_ky,
)
from fastsig.simulate.track import Horizon

START = "2023-12-01T16:30:00"  # 5h +20d is 11 deg from the zenith
WIDE = {"backend": "psrfits", "n_chan": 1, "bandwidth": "400MHz", "fstart": "1200MHz",
        "integration": "0.5s", "noise": False, "bandpass": "flat", "level": 20,
        "start_time": START}
TARGET = {"ra": "5h0m0s", "dec": "20d"}
LATITUDE = np.deg2rad(25.6529518)
SIDEREAL = 15.0410686  # arcsec a second


def kelvin(scan: FastScan, beam: int = 1) -> np.ndarray:
    """All spectra of a beam, K: level and system temperature are 20."""
    recording = scan.recordings[beam]
    return recording.generate(0, recording.n_time)[0].astype(float)


def seconds(scan: FastScan) -> np.ndarray:
    return (np.arange(scan.n_time) + 0.5) * float(scan.integration)


def crossing(scan: FastScan, beam: int = 1) -> tuple[float, float, float]:
    """Time, height (K of a polarisation) and width (s) of a source's passage."""
    power = kelvin(scan, beam)[:, :2, 0].mean(axis=1)
    near = power > power.max() / 4
    a, b, c = np.polyfit(seconds(scan)[near], np.log(power[near]), 2, w=power[near])
    return -b / (2 * a), float(np.exp(c - b * b / (4 * a))), float(np.sqrt(-4 * np.log(2) / a))


@pytest.mark.parametrize("offset_arcmin", [0.0, 3.0])
def test_a_source_passes_when_geometry_says(offset_arcmin: float) -> None:
    source = PointSource(f"{75 + offset_arcmin / 60}deg", "20deg", "2Jy", q=0.1)
    scan = FastScan(duration="80s", beams="1", sky=[source], **TARGET, **WIDE)
    when, height, width = crossing(scan)
    later = offset_arcmin * 60 / SIDEREAL
    assert abs(when - 40 - later) < 0.01  # 0.15 arcsec
    # M01 at 1400 MHz and 11.16 deg: efficiency 7.87e-4 ZA + 0.614, 25.6 K/Jy of all.
    za = 90 - altitude(75, 20, Time(START) + (40 + later) * u.s)
    gain = 25.6 * (7.87e-4 * za + 0.614)
    assert abs(height / (2 * gain) - 1) < 1e-3  # (T_AA + T_BB) / 2 = G S
    hpbw_s = 2.82 * 60 / (SIDEREAL * np.cos(np.deg2rad(20)))
    assert abs(width / hpbw_s - 1) < 2e-3


def seen_at(ra: float, dec: float, time: Time) -> tuple[float, float]:
    """Hour angle and declination of the date, rad."""
    with iers.conf.set_temp("auto_download", False):
        place = SkyCoord(ra * u.deg, dec * u.deg).transform_to(TETE(obstime=time))
        sidereal = time.sidereal_time("apparent", 106.8566669 * u.deg).rad
    return float((sidereal - place.ra.rad + np.pi) % (2 * np.pi) - np.pi), float(place.dec.rad)


def altitude(ra: float, dec: float, time: Time) -> float:
    hour, high = seen_at(ra, dec, time)
    return float(np.rad2deg(np.arcsin(np.sin(LATITUDE) * np.sin(high) + np.cos(LATITUDE)
                                      * np.cos(high) * np.cos(hour))))


def test_beams_pass_in_turn() -> None:
    # At rotation 0 M05, M01 and M02 follow each other from west to east, 5.8 arcmin apart.
    scan = FastScan(duration="120s", beams="1+2+5", rotation=0, **TARGET,
                    sky=[PointSource("75deg", "20deg", "2Jy")], **WIDE)
    found = {beam: crossing(scan, beam)[0] for beam in (1, 2, 5)}
    pitch = np.rad2deg(0.27 / (300 * (1 - 0.4665))) * 3600
    apart = pitch / (SIDEREAL * np.cos(np.deg2rad(20)))
    # A beam to the east of M01 meets the source before M01 does.
    np.testing.assert_allclose([found[2] - found[1], found[5] - found[1]], [-apart, apart],
                               atol=0.03)


def test_figures_of_the_receiver() -> None:
    np.testing.assert_allclose(beams.gain(1, 1.4e9, [10, 26.4, 40]), [15.92, 16.25, 11.58],
                               atol=0.005)
    assert beams.gain(1, 1.4e9, 10, 25) - beams.gain(1, 1.4e9, 10) == pytest.approx(
        (4.7e-5 * 1400 - 1.4e-3) * 10)
    assert np.rad2deg(beams.hpbw_rad(1, 1.31e9)) * 60 == pytest.approx((3.01 + 2.98) / 2)
    # Offsets of Jiang et al. 2020, arcmin, against the lattice at its distance.
    told = {2: (5.76, -0.01), 3: (2.86, -4.98), 8: (11.55, -0.02), 13: (-8.67, -5.05),
            17: (-0.03, 10.0), 19: (8.63, 4.98)}
    for beam, place in told.items():
        seen = -np.rad2deg(beams.feed_m(beam)[:2] / beams.FOCAL_RADIUS_M) * 60
        np.testing.assert_allclose(seen, place, atol=0.12)


def sheet(path: Path) -> tuple[list[str], list[list[str]]]:
    """Name of the sheets, and the rows of the first, by the XML alone."""
    name = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(path) as book:
        trees = {part: ElementTree.fromstring(book.read(f"xl/{part}.xml"))
                 for part in ("workbook", "sharedStrings", "worksheets/sheet1")}
    texts = ["".join(item.itertext()) for item in trees["sharedStrings"].findall("m:si", name)]
    rows = [[texts[int(cell.findtext("m:v", "", name))] if cell.get("t") == "s"
             else cell.findtext("m:v", "", name) for cell in row]
            for row in trees["worksheets/sheet1"].iterfind(".//m:row", name)]
    return [each.get("name", "") for each in trees["workbook"].iterfind(".//m:sheet", name)], rows


def turned(yaw: float, pitch: float, roll: float, angle: float) -> np.ndarray:
    """Rz(yaw) Ry(pitch) Rx(roll) Rz(angle)."""
    def z(x: float) -> np.ndarray:
        return np.array([[np.cos(x), -np.sin(x), 0], [np.sin(x), np.cos(x), 0], [0, 0, 1]])

    y = np.array([[np.cos(pitch), 0, np.sin(pitch)], [0, 1, 0], [-np.sin(pitch), 0, np.cos(pitch)]])
    x = np.array([[1, 0, 0], [0, np.cos(roll), -np.sin(roll)], [0, np.sin(roll), np.cos(roll)]])
    return np.asarray(z(yaw) @ y @ x @ z(angle))


def observed(position: np.ndarray, time: Time, air: tuple[float, ...]) -> tuple[float, float]:
    """ICRS place, deg, of a phase centre at a position, by ERFA alone."""
    x, y, z = position
    site = EarthLocation.from_geocentric(*beams.SITE_M, unit="m").geodetic
    table = iers.IERS_Auto.open()
    pole = [float(each.to_value("rad")) for each in table.pm_xy(time)]
    ut1 = float(table.ut1_utc(time).to_value("s"))
    ra, dec = erfa.atoc13(
        "A", np.arctan2(-x, -y), np.arctan2(np.hypot(x, y), -z), time.utc.jd1, time.utc.jd2, ut1,
        site.lon.rad, site.lat.rad, site.height.value, *pole, *air)
    return float(np.rad2deg(ra)), float(np.rad2deg(dec))


@pytest.mark.parametrize(("parameters", "air"), [
    ({"observing": "drifting", "yaw": "5deg"}, (0, 0, 0, 0)),
    ({"observing": "tracking", "rotation": "30deg", "refraction": True}, (925, 15, 0.8, 3e5)),
    ({"observing": "onoff", "dwell": "10s", "slew": "4s"}, (0, 0, 0, 0)),
])
def test_the_cabin_file_leads_to_the_beams(
        parameters: dict[str, Any], air: tuple[float, ...], tmp_path: Path) -> None:
    start = "2023-12-01T16:30:00.3"
    scan = FastScan(duration="30s", **TARGET, **parameters, **{**WIDE, "start_time": start})
    write_ky(scan.track, tmp_path / "a.xlsx")
    names, rows = sheet(tmp_path / "a.xlsx")
    assert names == ["整控-馈源舱数据", "fastsig"]  # of which the second states the air
    assert rows[0] == ["SysTime", "SDP_PhaPos_X", "SDP_PhaPos_Y", "SDP_PhaPos_Z",
                       "SDP_SwtDPose_Y", "SDP_SwtDPose_P", "SDP_SwtDPose_R", "SDP_AngleM"]
    assert rows[1][0] == "2023-12-02 00:29:57.000"
    with iers.conf.set_temp("auto_download", False):
        times = Time([row[0] for row in rows[1:]], scale="utc") - 8 * u.hour
        numbers = np.array([row[1:] for row in rows[1:]], float)
        at = (times - Time(start)).sec
        assert at[0] <= -2 and at[-1] >= 32
        for beam in (1, 2, 12, 19):
            told = scan.truth["beams"][f"M{beam:02d}"]
            for row in (0, 17, 59):
                when = (row + 0.5) * 0.5
                found = [np.interp(when, at, column) for column in numbers.T]
                position = np.array(found[:3]) + turned(*found[3:]) @ beams.feed_m(beam)
                ra, dec = observed(position, Time(start) + when * u.s, air)
                assert abs(ra - told["ra_deg"][row]) * np.cos(np.deg2rad(dec)) < 0.01 / 3600
                assert abs(dec - told["dec_deg"][row]) < 0.01 / 3600


@pytest.mark.parametrize(("time", "position", "refraction", "place"), [
    # Computed with ERFA's atoc13 from the same site, apart from any code of this project.
    ("2023-03-05T13:30:00", (12.345, -70.125, -145.0), False, (104.928429, 51.281602)),
    ("2023-03-05T13:30:00", (12.345, -70.125, -145.0), True, (104.924890, 51.290060)),
    ("2021-09-19T19:00:00.200", (-55.5, 30.25, -146.5), False, (51.381374, 13.020222)),
])
def test_places_of_directions(time: str, position: tuple[float, ...], refraction: bool,
                              place: tuple[float, float]) -> None:
    direction = -np.array([position]) / np.linalg.norm(position)
    found = Horizon(Time(time), refraction).places(direction, np.zeros(1))
    np.testing.assert_allclose((found.ra.deg[0], found.dec.deg[0]), place, atol=1e-6)


def test_beams_keep_their_places_on_the_sky() -> None:
    scan = FastScan(duration="60s", observing="tracking", beams="1+2+17", rotation="30deg",
                    yaw="-8deg",
                    **TARGET, **WIDE)
    told = scan.truth["beams"]
    place = {beam: SkyCoord(told[beam]["ra_deg"], told[beam]["dec_deg"], unit="deg")
             for beam in told}
    assert place["M01"].separation(SkyCoord(75 * u.deg, 20 * u.deg)).arcsec.max() < 1e-3
    # Rotation is from east to north.
    angle = place["M01"].position_angle(place["M02"]).deg
    np.testing.assert_allclose(angle, 60, atol=1e-3)
    np.testing.assert_allclose(place["M01"].position_angle(place["M17"]).deg, 330, atol=0.01)
    np.testing.assert_allclose(scan.truth["angle_a_deg"], angle, atol=1e-3)


def test_parallactic_angle_by_the_usual_formula() -> None:
    scan = FastScan(duration="5s", observing="tracking", beams="1", **TARGET, **WIDE)
    hour, dec = seen_at(75, 20, Time(START) + 0.25 * u.s)
    angle = np.arctan2(np.sin(hour), np.tan(LATITUDE) * np.cos(dec) - np.sin(dec) * np.cos(hour))
    assert angle < -0.9  # east of the meridian
    # North of the date is not that of ICRS: by 0.13 deg x sin(ra) / cos(dec).
    assert abs(scan.truth["parallactic_deg"][0] - np.rad2deg(angle)) < 0.2


LINE = {"n_chan": 512, "fstart": "1415.5MHz", "noise": False, "bandpass": "flat", "level": 20,
        "observing": "tracking", "duration": "20s", "start_time": START}


def line(scan: FastScan, beam: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies, Hz, and the flux that a beam sees, Jy."""
    axis = scan.recordings[beam].axis
    hertz = float(axis.first_hz) + np.arange(axis.n_chan) * float(axis.step_hz)
    gain = beams.gain(beam, hertz, np.mean(scan.truth["beams"][f"M{beam:02d}"]["zenith_angle_deg"]))
    return hertz, kelvin(scan, beam)[:, :2].sum(axis=1).mean(axis=0) / (2 * gain)


@pytest.mark.parametrize("frame", ["barycentric", "lsrk", "topocentric"])
def test_flux_and_frequency_of_a_small_disk(frame: str) -> None:
    disk = HIDisk("75deg", "20deg", mass=3e9, distance="50Mpc", velocity="700km/s", radius="0.2kpc",
                  turnover="0.05kpc", frame=frame)
    hertz, flux = line(FastScan(beams="1", sky=[disk], **TARGET, **LINE), 1)
    total = flux.sum() * float(2**-16 * 500e6)
    assert abs(total / (3e9 / (2.356e5 * 50**2) * 1420.405751768e6 / 299792.458) - 1) < 3e-3
    center = (hertz * flux).sum() / flux.sum()
    factor = 1.0
    if frame != "topocentric":
        with iers.conf.set_temp("auto_download", False), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of velocities and distances that it takes for 0
            site = EarthLocation.from_geocentric(*beams.SITE_M, unit="m")
            seen = SpectralCoord(1e9 * u.Hz, observer=site.get_itrs(Time(START) + 10 * u.s),
                                 target=SkyCoord(75 * u.deg, 20 * u.deg))
            kind = {"barycentric": "icrs", "lsrk": "lsrk"}[frame]
            factor = 1e9 / seen.with_observer_stationary_relative_to(kind).value
        assert abs(factor - 1) > 1e-5
    told = 1420.405751768e6 * (1 - 700 / 299792.458) * factor
    assert abs(center - told) < 700  # 0.15 km/s: the scatter of samples


def cloud(east: float, north: float) -> tuple[float, float, float]:
    """Share that a beam at an offset, arcmin, sees of a disk, mean and width of velocity, km/s.

    By clouds at random: radius 3 arcmin, position angle 30 deg, inclination 50 deg.
    """
    random = np.random.default_rng(7)
    radius, angle = random.gamma(2, 3, 400_000), random.uniform(0, 2 * np.pi, 400_000)
    tilt, turn = np.deg2rad(50), np.deg2rad(30)
    along, across = radius * np.cos(angle), radius * np.sin(angle) * np.cos(tilt)
    x = along * np.sin(turn) + across * np.cos(turn) - east
    y = along * np.cos(turn) - across * np.sin(turn) - north
    speed = 100 * (1 - np.exp(-radius / 1.5)) * np.cos(angle) * np.sin(tilt)
    weight = 0.5 ** ((x**2 + y**2) / (2.82 / 2) ** 2)
    mean = np.average(speed, weights=weight)
    return float(weight.mean()), float(mean), float(np.sqrt(
        np.average((speed - mean) ** 2, weights=weight) + 10**2))


def test_a_disk_that_turns() -> None:
    scale = 3 / 60 / 180 * np.pi * 1000  # kpc of 3 arcmin at 1 Mpc
    disk = HIDisk("75deg", "20deg", mass=1e8, distance="1Mpc", velocity="700km/s",
                  radius=f"{scale}kpc",
                  turnover=f"{scale / 2}kpc", rotation="100km/s", inclination="50deg",
                  position_angle="30deg",
                  dispersion="10km/s", frame="topocentric")
    # Rotation 90 puts M02 to the north; HPBW of others is a little wider: take M01's for all.
    scan = FastScan(beams="1+2+5", rotation="90deg", sky=[disk], **TARGET, **LINE)
    total = 1e8 / 2.356e5
    pitch = np.rad2deg(0.27 / beams.FOCAL_RADIUS_M) * 60
    for beam, north in ((1, 0.0), (2, pitch), (5, -pitch)):
        hertz, flux = line(scan, beam)
        speed = 299792.458 * (1 - hertz / 1420.405751768e6) - 700
        seen = flux.sum() * 2**-16 * 500e6 * 299792.458 / 1420.405751768e6
        mean = (speed * flux).sum() / flux.sum()
        wide = np.sqrt((speed**2 * flux).sum() / flux.sum() - mean**2)
        share, expected, width = cloud(0, north)
        assert abs(seen / (total * share) - 1) < 0.03  # widths of beams differ by 1.1 %
        assert abs(mean - expected) < 1.5 and abs(wide - width) < 1.5
        assert np.sign(mean) == np.sign(north) or beam == 1  # the northern half recedes


@pytest.mark.parametrize(("feed_angle", "expected"), [
    (0, (-0.3, -0.1)), (90, (0.3, 0.1)), (-45, (0.1, -0.3))])
def test_polarisation_turns_from_the_sky_to_the_feeds(
        feed_angle: float, expected: tuple[float, float]) -> None:
    # Q > 0 is north to south, U > 0 north-east to south-west. A at 0 lies east to west (M02 is
    # east), at 90 north to south, at -45 north-east to south-west with B north-west.
    source = PointSource("75deg", "20deg", "2Jy", q=0.3, u=0.1, v=-0.2)
    scan = FastScan(duration="20s", observing="tracking", beams="1", sky=[source],
                    feed_angle=f"{feed_angle}deg", **TARGET, **WIDE)
    aa, bb, cr, ci = kelvin(scan)[..., 0].mean(axis=0)
    total = aa + bb
    np.testing.assert_allclose([(aa - bb) / total, 2 * cr / total, 2 * ci / total],
                               [*expected, -0.2], atol=3e-4)


def test_receiver_that_is_not_ideal() -> None:
    noisy = {**WIDE, "noise": True, "n_chan": 4, "integration": "1s"}
    scan = FastScan(
        duration="8s", observing="tracking", beams="1", jones=Jones(1.2, "60deg", "1ns"),
        tcal=Tcal(q=0.05, phase="20deg", slope_a=0.2, slope_b=-0.1), sky=[],
        diode=Diode("10K", period=500_000_000, on=250_000_000), **TARGET, **noisy)
    data = kelvin(scan)
    off = data[1::2].mean(axis=0)
    assert off[0] / off[1] == pytest.approx([1.2] * 4, rel=5e-4)
    assert off[0] + off[1] == pytest.approx([40] * 4, rel=5e-4)
    step = (data[::2] - data[1::2]).mean(axis=0)
    x = np.array([-0.375, -0.125, 0.125, 0.375])
    a, b = 10 * 1.05 * (1 + 0.2 * x), 10 * 0.95 * (1 - 0.1 * x)
    np.testing.assert_allclose(step[0], a * 2.4 / 2.2, rtol=3e-3)
    np.testing.assert_allclose(step[1], b * 2 / 2.2, rtol=3e-3)
    np.testing.assert_allclose(scan.truth["beams"]["M01"]["tcal_a_k"], a)
    cross = (step[2] + 1j * step[3]) / np.sqrt(a * b * 4.8 / 2.2**2)
    turns = np.deg2rad(60 + 20) + 2 * np.pi * 1e-9 * x * 400e6  # 1 ns over 400 MHz
    np.testing.assert_allclose(cross, np.exp(1j * turns), atol=5e-3)


def test_drift_ripple_and_continuum() -> None:
    drift = GainDrift(0.03, "20s", "90deg", "0.6")
    wave = Ripple("2K", "200MHz", phase="90deg", phase_rate="3deg/s", amplitude_rate="0.01/s",
                  phase_b="180deg", on=2)
    scan = FastScan(
        duration="20s", observing="tracking", beams="1+2", drift=drift, ripples=[wave],
        continuum=Continuum("1K", 0), **TARGET, **{**WIDE, "n_chan": 16, "noise": True})
    at = seconds(scan)
    for beam, phase in ((1, 90), (2, 90 + 137.5)):
        data = kelvin(scan, beam)
        gain = 1 + 0.03 * np.sin(2 * np.pi * at / 20 + np.deg2rad(phase)) + 0.6 / 3600 * at
        np.testing.assert_allclose(data[:, :2].mean(axis=(1, 2)), 21 * gain, rtol=1e-3)
        np.testing.assert_allclose(
            scan.truth["beams"][f"M{beam:02d}"]["drift_gain"], gain, rtol=2e-4)
        half = (data[:, 0] - data[:, 1]) / 2 / gain[:, None]
        place = (np.arange(16) + 0.5) * 25e6 / 200e6
        expected = 2 * (1 + 0.01 * at)[:, None] * np.sinc(1 / 8) * np.cos(
            2 * np.pi * place + np.deg2rad(90 + 3 * at)[:, None])
        assert abs(half - expected).max() < 5 * 21 / np.sqrt(2 * 25e6 * 0.5)
    with pytest.raises(UsageError, match="ripple amplitude"):
        FastScan(duration="5s", ripples=[Ripple("25K")], **TARGET, **{**WIDE, "noise": True})


@pytest.mark.parametrize("integration", ["0.50331648s", "1.00663296s"])
def test_noise_follows_the_radiometer_equation(integration: str) -> None:
    scan = FastScan(duration="200s", beams="1+9", observing="tracking", integration=integration,
                    n_chan=64, fstart="1300MHz", bandpass="flat", drift=GainDrift(),
                    start_time=START, **TARGET)
    n = 7629.39453125 * float(integration[:-1])
    relative = {}
    for beam in (1, 9):
        gain = np.array(scan.truth["beams"][f"M{beam:02d}"]["drift_gain"])
        data = kelvin(scan, beam)
        level = 5e11 * gain[:, None]
        relative[beam] = np.stack([data[:, 0] / level - 1, data[:, 1] / level - 1,
                                   data[:, 2] / level * 2**0.5, data[:, 3] / level * 2**0.5], 1)
        found = relative[beam].std(axis=(0, 2)) * np.sqrt(n)
        count = relative[beam][:, 0].size
        np.testing.assert_allclose(found, 1, atol=5 / np.sqrt(2 * count))
        assert abs(relative[beam].mean(axis=(0, 2)) * np.sqrt(n * count)).max() < 5
    shared = (relative[1] * relative[9]).mean() * n
    assert abs(shared) * np.sqrt(relative[1].size) < 5  # each beam has noise of its own


def test_pulsar_on_the_sky() -> None:
    pulsar = SkyPulsar("75deg", "20deg", "3Jy", "100ms", "20", duty=0.1, time="30ms",
                       linear=0.5, angle="45deg")
    scan = FastScan(duration="2s", observing="tracking", beams="1", sky=[pulsar], **TARGET,
                    **{**WIDE, "integration": "1ms", "n_chan": 2, "fstart": "1400MHz",
                       "bandwidth": "2MHz"})
    data = kelvin(scan).reshape(20, 100, 4, 2).mean(axis=0)
    gain = beams.gain(1, 1.4e9, scan.truth["beams"]["M01"]["zenith_angle_deg"][0])
    phase = np.arange(100) + 0.5
    for chan, mhz in enumerate((1400.5, 1401.5)):
        peak = 30 + 20 / 2.41e-4 * (mhz**-2 - 1402**-2) * 1e3
        power = data[:, 0, chan] + data[:, 1, chan]
        expected = 2 * gain * 3 * np.exp(-4 * np.log(2) * ((phase - peak) / 10) ** 2)
        assert abs(power - expected).max() < 0.02 * expected.max()
        # U of the sky is all there is; A lies east to west: it becomes -U.
        assert abs(data[:, 2, chan] * 2 + 0.5 * expected).max() < 0.02 * expected.max()
        assert abs(data[:, 0, chan] - data[:, 1, chan]).max() < 0.02 * expected.max()


def test_on_and_off() -> None:
    scan = FastScan(duration="50s", observing="onoff", beams="1", dwell="15s", slew="5s",
                    off_ra="20arcmin", sky=[PointSource("75deg", "20deg", "2Jy")], **TARGET, **WIDE)
    power = kelvin(scan)[:, :2, 0].sum(axis=1)
    on, off = scan.truth["track"]["rows_on"], scan.truth["track"]["rows_off"]
    assert on == [*range(30), *range(80, 100)] and off == list(range(40, 70))
    gain = np.array(scan.truth["beams"]["M01"]["gain_k_jy"])
    np.testing.assert_allclose(power[on] / (2 * gain[on]), 2, rtol=1e-3)
    assert power[off].max() < 1e-6
    place = scan.truth["beams"]["M01"]
    apart = (place["ra_deg"][50] - 75) * np.cos(np.deg2rad(20)) * 60
    assert abs(apart - 20) < 0.01 and abs(place["ra_deg"][0] - 75) < 1e-6
