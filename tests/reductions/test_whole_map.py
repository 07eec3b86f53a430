"""The whole way: two drift scans of 19 beams over a known sky, to a cube that gives it back.

What is measured in the cube is fitted here by NumPy and SciPy, which know nothing of fastsig, and
held against what was put into the simulation.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import FK4, SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from scipy.optimize import least_squares
from thorough import many

import fastsig as fs
from fastsig.cli.main import cli

C_KM_S, HI_HZ = 299792.458, 1420405751.768
POINTS = ((75.05, 20.03, 2.0), (74.90, 20.05, 1.0), (75.20, 19.97, 3.0), (74.75, 19.95, 1.5),
          (75.35, 20.04, 1.2))
DISK = {"ra": 74.60, "dec": 20.02, "mass": 3e9, "distance": 10, "velocity": 100}
LINE = {"ra": 75.52, "dec": 19.98, "mass": 2e9, "distance": 10, "velocity": 90}
#: One strip, and another half a track further north: together they sample the sky densely.
STRIPS = (("2023-12-01T16:30:00", "20d", "1"), ("2023-12-02T16:26:04", "20d0m35s", "2"))
#: Of the shorter scans that are only held against one another.
BEAMS = many("1-3", "1-19")
DIODE = "temperature=high,period=2013265920,on=251658240"

SCRIPT = """
import fastsig as fs
from fastsig import simulate
from fastsig.reductions.diode.calibration import calibrated, solve
spectra = []
for folder, strip in enumerate(STRIPS):
    *beams, cabin, truth = simulate.write_scan(simulate.FastScan(**strip, **COMMON), str(folder))
    streams = [fs.open(name).stream for name in beams]
    spectra += [calibrated(s, solve(s, "12.5K", gain_time="600s"), ky=cabin, flux=True)
                for s in streams]
fs.grid(spectra, frame="lsrk", rest="HI", zero="median").write("cube.fits")
"""


def run(*arguments: str) -> None:
    """A command, in this process: a new one takes a second and a half for each of the beams."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cli.main([*arguments, "-q"], standalone_mode=False)


def with_units(parts: dict[str, Any]) -> dict[str, Any]:
    units = {"ra": "deg", "dec": "deg", "distance": "Mpc", "velocity": "km/s"}
    return {key: f"{value}{units.get(key, '')}" for key, value in parts.items()}


def option(**parts: Any) -> str:
    return ",".join(f"{key}={value}" for key, value in parts.items())


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cube, by the command line."""
    return make_cube(tmp_path_factory.mktemp("show"))


def make_cube(folder: Path, duration: str = "400s", beams: str = "1-19") -> Path:
    """By the command line: simulate, calibrate, grid."""
    sky = [item for ra, dec, flux in POINTS
           for item in ("--point", option(**with_units({"ra": ra, "dec": dec}), flux=f"{flux}Jy"))]
    sky += ["--disk", option(**with_units(DISK), inclination="50deg", rotation="40km/s",
                              radius="2kpc", dispersion="8km/s"),
            "--disk", option(**with_units(LINE), inclination=0, radius="0.1kpc",
                              dispersion="5km/s")]
    for number, (start, dec, seed) in enumerate(STRIPS):
        (folder / str(number)).mkdir()
        run("simulate", "fast-scan", "-o", str(folder / str(number)), "--duration", duration,
            "--beams", beams, "--n-chan", "136", "--fstart", "1419.42MHz", "--ra", "5h0m0s",
            "--dec", dec, "--start-time", start, "--seed", seed, "--diode", DIODE, *sky)
        cabin, = (folder / str(number)).glob("*.xlsx")
        for beam in sorted((folder / str(number)).glob("*.fits")):
            run("calibrate", str(beam), "-o", f"{folder}/{number}{beam.stem}.h5", "--tcal", "12.5K",
                "--gain-time", "600s", "--ky", str(cabin), "--flux")
    run("grid", *map(str, sorted(folder.glob("*.h5"))), "-o", str(folder / "cube.fits"),
        "--frame", "lsrk", "--rest", "HI", "--zero", "median")
    return folder / "cube.fits"


class Cube:
    """A cube in memory, as a reader that knows FITS alone has it."""

    def __init__(self, path: Path) -> None:
        with fits.open(path, checksum=True) as units, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the observatory's place in other coordinates
            self.header = units[0].header
            self.values = units[0].data.astype(float)
            self.weight = np.broadcast_to(units["WEIGHT"].data, self.values.shape)
            self.wcs = WCS(self.header).celestial
        y, x = np.indices(self.values.shape[1:])
        self.places = SkyCoord(*self.wcs.all_pix2world(x, y, 0), unit="deg")
        steps = np.arange(len(self.values))
        hertz = self.header["CRVAL3"] + self.header["CDELT3"] * steps
        self.velocity = C_KM_S * (1 - hertz / HI_HZ)
        # Nothing but continuum, and no channel that some spectra lack.
        self.free = ((np.abs(self.velocity - lsr(DISK)) > 70) & (steps > 3)
                     & (steps < len(steps) - 4))
        self.beam = self.header["BMAJ"]
        pixel = abs(self.header["CDELT1"] * self.header["CDELT2"])
        self.beam_pixels = np.pi * self.beam**2 / (4 * np.log(2)) / pixel

    def apart(self, ra: float, dec: float) -> np.ndarray:
        found: np.ndarray = self.places.separation(SkyCoord(ra, dec, unit="deg")).deg
        return found


def lsr(disk: dict[str, Any]) -> float:
    """Velocity against the local standard of rest: 20 km/s towards 18h, +30 deg of 1900."""
    apex = SkyCoord(270 * u.deg, 30 * u.deg, frame=FK4(equinox="B1900", obstime="B1900")).icrs
    at = SkyCoord(disk["ra"], disk["dec"], unit="deg")
    shift = 20 * float(apex.cartesian.xyz.value @ at.cartesian.xyz.value) / C_KM_S
    ratio = np.sqrt((1 - shift) / (1 + shift)) * (1 - disk["velocity"] / C_KM_S)
    return float(C_KM_S * (1 - ratio))


def fit_point(cube: Cube, ra: float, dec: float) -> tuple[float, float, float, float]:
    """Flux, offsets east and north in arcsec, signal to noise of a source near a place."""
    plane = cube.values[cube.free].mean(axis=0)
    near = (cube.apart(ra, dec) < 1.2 * cube.beam) & np.isfinite(plane)

    def residual(p: np.ndarray) -> np.ndarray:
        at = SkyCoord(ra + p[1] / 3600 / np.cos(np.radians(dec)), dec + p[2] / 3600, unit="deg")
        apart = cube.places[near].separation(at).deg
        found: np.ndarray = (p[0] * np.exp(-4 * np.log(2) * (apart / cube.beam) ** 2) + p[3]
                             - plane[near])
        return found

    flux, east, north, _ = least_squares(residual, [1, 0, 0, 0], x_scale=[1, 10, 10, 0.01]).x
    each = np.nanstd(cube.values[cube.free][:, near], axis=0).mean()
    return flux, east, north, flux / (each / np.sqrt(cube.free.sum()))


def test_points(cube: Path) -> None:
    measured = Cube(cube)
    for ra, dec, flux in POINTS:
        found, east, north, snr = fit_point(measured, ra, dec)
        assert snr > 200
        assert np.hypot(east, north) < 1, (ra, east, north)
        assert abs(found / flux - 1) < 0.02, (ra, found / flux)


def line_offset(measured: Cube) -> tuple[float, float]:
    """Error of the bright line's velocity in m/s, and its width over the true one."""
    y, x = np.unravel_index(np.argmin(measured.apart(LINE["ra"], LINE["dec"])),
                            measured.values.shape[1:])
    seen = measured.values[4:-4, y, x]
    velocity = measured.velocity[4:-4]

    def residual(p: np.ndarray) -> np.ndarray:
        found: np.ndarray = p[0] * np.exp(-(((velocity - p[1]) / p[2]) ** 2) / 2) + p[3] - seen
        return found

    _, middle, width, _ = least_squares(residual, [seen.max(), lsr(LINE), 5, 0]).x
    return (middle - lsr(LINE)) * 1000, abs(width) / 5


def test_velocity_of_a_bright_line(cube: Path) -> None:
    error, width = line_offset(Cube(cube))
    assert abs(error) < 15
    # Channels and their resampling widen it by a per cent or two.
    assert abs(width - 1) < 0.03


def noise_ratio(measured: Cube, folder: Path) -> float:
    """Noise over the radiometer's: the beams' system level over the root of bandwidth and weight.
    """
    levels = []
    for path in sorted(folder.glob("*.h5")):
        data = fs.open(path).read().values[:, :2]
        levels.append(np.nanmedian(data[:, :, 5:-5]))
    bandwidth = measured.header["CDELT3"]
    expected = np.sqrt(np.mean(np.square(levels))) / np.sqrt(2 * bandwidth)
    empty = np.all([measured.apart(*place[:2]) > 2.5 * measured.beam
                    for place in (*POINTS, (DISK["ra"], DISK["dec"]),
                                  (LINE["ra"], LINE["dec"]))], axis=0)
    weight = measured.weight[measured.free].mean(axis=0)
    empty &= weight > 0.3 * np.median(weight[weight > 0])
    values = measured.values[measured.free][:, empty]
    scaled = values.std(axis=0, ddof=1) * np.sqrt(weight[empty])
    assert empty.sum() > 500
    return float(np.sqrt((scaled**2).mean()) / expected)


def test_noise_is_the_radiometers(cube: Path) -> None:
    assert abs(noise_ratio(Cube(cube), cube.parent) - 1) < 0.03


def mass_ratio(measured: Cube) -> float:
    """Mass of the disk over the true one."""
    apart = measured.apart(DISK["ra"], DISK["dec"])
    seen = np.isfinite(measured.values[5:-5]).all(axis=0)
    inside, around = seen & (apart < 2.2 * measured.beam), seen & (
        np.abs(apart - 3 * measured.beam) < 0.5 * measured.beam)
    # The median of a track that the disk is on for a while is a little high.
    level = measured.values[:, around].mean(axis=1)
    spectrum = (measured.values[:, inside].sum(axis=1) - level * inside.sum()
                ) / measured.beam_pixels
    line = np.abs(measured.velocity - lsr(DISK)) < 70
    fit = np.polyfit(measured.velocity[measured.free], spectrum[measured.free], 1)
    flux = (spectrum - np.polyval(fit, measured.velocity))[line].sum() * abs(
        np.diff(measured.velocity).mean())
    return float(2.356e5 * DISK["distance"] ** 2 * flux / DISK["mass"])


def test_mass_of_the_disk(cube: Path) -> None:
    assert abs(mass_ratio(Cube(cube)) - 1) < 0.03


def test_ten_lines_of_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cube of the command line, value by value, without files between; of few beams."""
    from fastsig import simulate

    (tmp_path / "commands").mkdir()
    expected = make_cube(tmp_path / "commands", "50s", BEAMS)

    assert len([line for line in SCRIPT.splitlines() if line.strip()]) <= 11
    lines = SCRIPT.replace("ky=cabin, flux=True)\n                for", "ky=cabin, flux=True) for")
    assert len([line for line in lines.splitlines() if line.strip()]) <= 10
    sky = [simulate.PointSource(**with_units({"ra": ra, "dec": dec}), flux=f"{flux}Jy")
           for ra, dec, flux in POINTS]
    sky += [simulate.HIDisk(**with_units(DISK), inclination="50deg", rotation="40km/s",
                                radius="2kpc", dispersion="8km/s"),
            simulate.HIDisk(**with_units(LINE), inclination=0, radius="0.1kpc", dispersion="5km/s")]
    common = {"duration": "50s", "beams": BEAMS, "n_chan": 136, "fstart": "1419.42MHz",
              "ra": "5h0m0s", "sky": sky,
              "diode": simulate.Diode(temperature="high", period=2013265920, on=251658240)}
    strips = [{"start_time": start, "dec": dec, "seed": seed} for start, dec, seed in STRIPS]
    for number in range(2):
        (tmp_path / str(number)).mkdir()
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(lines, {"STRIPS": strips, "COMMON": common})
    ours, theirs = Cube(tmp_path / "cube.fits"), Cube(expected)
    # Positions between rows of the track round otherwise in blocks of other lengths.
    np.testing.assert_allclose(ours.values, theirs.values, rtol=0, atol=2e-6)
    np.testing.assert_allclose(ours.weight, theirs.weight, rtol=1e-5)
