"""Spectra at a place, sources and moments of cubes whose truth is made apart from the code."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import astropy.units as u
import cubes_made as made
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from cli import fastsig

import fastsig as fs
from fastsig.axes.sky import place as sky_place
from fastsig.cubes.cube import Cube
from fastsig.errors import DataError, DoubtWarning, FormatError
from fastsig.reductions.mapping.noise import clipped_scatter, measure, sum_noise
from fastsig.reductions.sources.position import PositionSpectrum

KINDS = ("FREQ", "VRAD", "VOPT-F2W", "VOPT", "VELO-LSR")
OFF = (2.3, -3.4)  # arcmin east and north of the middle: between pixels


def opened(path: Path, **options: Any) -> Cube:
    """A cube, whatever it does not tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtWarning)
        return fs.open_cube(path, **options)


def bright(path: Path, kind: str = "FREQ", *, n: int = 64, ny: int = 24, nx: int = 30,
           step_hz: float = 30e3, weight: bool = True, **more: Any
           ) -> tuple[Path, SkyCoord, np.ndarray, np.ndarray]:
    """A noiseless point source with a line: path, place, frequencies and flux of the channels."""
    cards, frequency = made.axis(kind, n, step_hz=step_hz)
    head = made.header(ny, nx, cards, **more)
    image, at = made.point(head, ny, nx, *OFF)
    flux = made.line(frequency, 0.5, 300.0, 45.0) + 0.02
    y = np.mgrid[:ny, :nx][0]
    seen = 20.0 + y if weight else None
    made.write(path, (flux[:, np.newaxis, np.newaxis] * image).astype(np.float32), head, seen)
    return path, at, frequency, flux


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beam", [(3.0, 3.0, 0.0), (4.0, 2.6, 35.0)])
def test_point_sources_on_every_axis(kind: str, beam: tuple[float, float, float], tmp_path: Path
                                     ) -> None:
    path, at, frequency, flux = bright(tmp_path / "c.fits", kind, beam=beam)
    spectrum = opened(path).spectrum(at)
    order = np.argsort(frequency)
    np.testing.assert_allclose(spectrum.frequency.to_value("Hz"), frequency[order], rtol=1e-11)
    # The file's float32, and that the map's offsets are a tangent plane's here.
    np.testing.assert_allclose(spectrum.flux.to_value("Jy"), flux[order], rtol=3e-5)
    assert spectrum.frame == "LSRK" and spectrum.method == "beam"
    np.testing.assert_allclose(spectrum.velocity().value,
                               made.C * (1 - frequency[order] / made.HI) / 1e3, atol=1e-3)


@pytest.mark.parametrize("order", ["stokes last", "stokes third"])
def test_stokes_and_orders_of_axes(order: str, tmp_path: Path) -> None:
    cards, frequency = made.axis("FREQ", 16)
    head = made.header(20, 22, cards)
    image, at = made.point(head, 20, 22, *OFF)
    stokes = {"CTYPE": "STOKES", "CRVAL": 1.0, "CRPIX": 1.0, "CDELT": 1.0}
    data = np.stack([np.full((16, 1, 1), k + 1.0) * image for k in range(4)])  # Stokes first
    if order == "stokes third":
        for key in ("CTYPE", "CRVAL", "CRPIX", "CDELT", "CUNIT"):
            head[f"{key}4"] = head.pop(f"{key}3")
        data = data.transpose(1, 0, 2, 3)
    number = 3 if order == "stokes third" else 4
    head.update({f"{key}{number}": value for key, value in stokes.items()})
    path = made.write(tmp_path / "c.fits", data.astype(np.float32), head)
    for k, name in enumerate("IQUV"):
        spectrum = opened(path, stokes=name).spectrum(at)
        np.testing.assert_allclose(spectrum.flux.value, k + 1, rtol=3e-5)
        np.testing.assert_allclose(spectrum.frequency.value, frequency, rtol=1e-12)
    with pytest.raises(fs.UsageError, match="has I, Q, U, V"):
        opened(path, stokes="RR")


def test_scaled_integers_with_blanks(tmp_path: Path) -> None:
    path, at, _, flux = bright(tmp_path / "a.fits")
    with fits.open(path) as file:
        data, head = np.array(file[0].data), file[0].header
    data[:, :3] = np.nan
    whole = np.where(np.isfinite(data), np.round((data - 0.1) / 2e-5), -32768).astype(np.int16)
    head = fits.Header([card for card in head.cards if card.keyword not in (
        "CHECKSUM", "DATASUM", "BITPIX", "SIMPLE", "NAXIS", "EXTEND")])
    unit = fits.PrimaryHDU(whole, head)
    unit.header["BSCALE"], unit.header["BZERO"], unit.header["BLANK"] = 2e-5, 0.1, -32768
    unit.writeto(tmp_path / "b.fits")
    cube = opened(tmp_path / "b.fits")
    assert np.isnan(cube.read()[:, :3]).all() and np.isfinite(cube.read()[:, 3:]).all()
    np.testing.assert_allclose(cube.spectrum(at).flux.value, flux, atol=1e-5)


def test_apertures(tmp_path: Path) -> None:
    """A point source's share of the circle; a sheet's brightness times the circle."""
    path, at, _, flux = bright(tmp_path / "a.fits", pixel=0.5, ny=60, nx=60)
    for radius in (2.0, 3.0, 6.0):
        found = opened(path).spectrum(at, f"{radius}arcmin")
        share = 1 - 2 ** -((2 * radius / 3.0) ** 2)
        # A pixel that the edge cuts counts by its part at the value of its middle: 0.7 % at 2'.
        np.testing.assert_allclose(found.flux.to_value("Jy"), share * flux, rtol=1e-2)
        assert found.facts["point_source_share"] == pytest.approx(share)
        assert found.radius_deg == pytest.approx(radius / 60)
    with pytest.raises(fs.UsageError, match="leaves the map .*; allowed here: up to 11.6 arcmin"):
        opened(path).spectrum(at, "12arcmin")  # a part of the flux would be missing
    cards, _ = made.axis("FREQ", 8)
    head = made.header(40, 40, cards, beam=(3.0, 2.0, 20.0))
    made.write(tmp_path / "b.fits", np.full((8, 40, 40), 0.1, np.float32), head)
    sheet = opened(tmp_path / "b.fits").spectrum(f"{made.RA},{made.DEC}", 10 * u.arcmin)
    area = np.pi * 10**2 / (np.pi * 3 * 2 / (4 * np.log(2)))
    # The circle in hundredths of pixels, and a tangent plane's pixels.
    np.testing.assert_allclose(sheet.flux.value, 0.1 * area, rtol=1e-3)


def noisy(path: Path, seed: int, *, flux: float = 0.0, n: int = 128, size: int = 48,
          wide: float = 0.0, tail: str = "") -> tuple[Path, SkyCoord, np.ndarray]:
    """Noise that pixels share, on weights that fall outwards; a point source's line."""
    rng = np.random.default_rng(seed)
    cards, frequency = made.axis("FREQ", n)
    head = made.header(size, size, cards)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    weight = np.float32(20 * np.exp(-(x**2 + y**2) / 2 / 18**2))
    weight[np.hypot(x, y) > 22] = 0
    data = made.noise(rng, (n, size, size), 1.4, weight, 0.05)
    if tail == "hann":  # channels share noise by 2/3 and 1/6
        data[:, weight == 0] = 0
        data = (np.roll(data, 1, 0) / 4 + data / 2 + np.roll(data, -1, 0) / 4) / np.sqrt(3 / 8)
    image, at = made.point(head, size, size, *OFF)
    line = made.line(frequency, flux, 150.0, 45.0) + wide
    data += line[:, np.newaxis, np.newaxis] * image
    data[:, weight == 0] = np.nan
    made.write(path, data.astype(np.float32), head, weight)
    return path, at, frequency


def test_expected_noise_is_the_noise_there_is(tmp_path: Path) -> None:
    """What weights and pixels that share noise give, against spectra of places without sources."""
    path, _, _ = noisy(tmp_path / "c.fits", 1)
    cube = opened(path)
    rng = np.random.default_rng(2)
    places = [f"{made.RA + each[0]},{made.DEC + each[1]}"
              for each in rng.uniform(-0.2, 0.2, (12, 2))]
    for radius in (None, "4arcmin"):
        pulls = []
        for place in places:
            found = cube.spectrum(place, radius, noise="weights")
            pulls.append(found.flux.value / found.expected.value)
            assert found.facts["noise_over_independent_pixels"] > 1.5  # as if each were alone
        # 12 places of 128 channels, some beside one another: 3 %, and 3 % for rho as measured.
        assert np.std(pulls) == pytest.approx(1, abs=0.07)
    assert found.facts["noise_of_one_second"] == pytest.approx(0.05, rel=0.02)


def test_noise_that_channels_share(tmp_path: Path) -> None:
    path, at, _ = noisy(tmp_path / "c.fits", 3, flux=0.3, tail="hann")
    found = opened(path).spectrum(at)
    assert found.correlation[0] == pytest.approx(2 / 3, abs=0.03)
    assert found.correlation[1] == pytest.approx(1 / 6, abs=0.05)
    assert found.scatter == pytest.approx(1, abs=0.25)  # of 128 channels, half of them independent


def test_noise_without_weights(tmp_path: Path) -> None:
    path, at, _ = noisy(tmp_path / "c.fits", 4, flux=0.4)
    with fits.open(path) as file:
        data, head = np.array(file[0].data), file[0].header
    made.write(tmp_path / "d.fits", data, fits.Header(
        [card for card in head.cards if card.keyword not in ("CHECKSUM", "DATASUM")]))
    with pytest.warns(DoubtWarning, match="does not state weights"):
        cube = fs.open_cube(tmp_path / "d.fits")
    plain, weighted = cube.spectrum(at), opened(path).spectrum(at)
    assert np.median(plain.noise.value) == pytest.approx(np.median(weighted.noise.value), rel=0.2)


def test_continuum_sources(tmp_path: Path) -> None:
    """Position and flux density of a point source, and how far off they may be."""
    pulls = []
    for seed in range(40):
        path, at, _ = noisy(tmp_path / "c.fits", 100 + seed, n=24, wide=0.05)
        near = at.spherical_offsets_by(0.8 * u.arcmin, -0.5 * u.arcmin)
        found = opened(path).source(near)
        east, north = at.spherical_offsets_to(found.at)
        pulls.append([(found.flux.to_value("Jy") - 0.05) / found.flux_error.value,
                      east.to_value("arcsec") / found.ra_error.value,
                      north.to_value("arcsec") / found.dec_error.value])
        assert found.channels == 24
    spread, mean = np.std(pulls, axis=0), np.mean(pulls, axis=0)
    # 40 of them: a scatter of 11 %, means of 0.16.
    np.testing.assert_allclose(spread, 1, atol=0.35)
    np.testing.assert_allclose(mean, 0, atol=0.6)
    assert np.std(pulls) == pytest.approx(1, abs=0.15)
    # A source that the beam does not fit: what is left is no noise, and errors tell.
    path, at, _ = noisy(tmp_path / "c.fits", 200, n=24, wide=5.0)
    right, wrong = (opened(path, beam=f"{beam}arcmin").source(at) for beam in (3.0, 3.3))
    assert right.flux_error.value < 0.01 and abs(right.flux.value - 5) < 0.02
    assert wrong.flux_error.value > 10 * right.flux_error.value
    with pytest.raises(DataError, match="no point source"):
        opened(path).source(f"{made.RA},{made.DEC + 0.2}")


def test_moments_are_those_of_numpy(tmp_path: Path) -> None:
    path, _, frequency = noisy(tmp_path / "c.fits", 5, flux=0.6, n=96, size=32)
    cube = opened(path)
    speed = made.C * (1 - frequency / made.HI) / 1e3
    inside = (speed > 50) & (speed < 250)
    with fits.open(path) as file:
        data, weight = np.array(file[0].data, float), np.array(file[1].data, float)
    step = abs(speed[1] - speed[0])
    with np.errstate(all="ignore"):
        cut = np.where(data > 4 * 0.05 / np.sqrt(weight), data, np.nan)[inside]
        total = np.nansum(cut, axis=0)
        first = np.nansum(cut * speed[inside, np.newaxis, np.newaxis], axis=0) / total
        away = speed[inside, np.newaxis, np.newaxis] - first
        second = np.sqrt(np.nansum(cut * away**2, axis=0) / total)
    zero = cube.moment(0, vrange=("50km/s", "250km/s"))
    seen = weight > 0
    np.testing.assert_allclose(zero.values[seen], data[inside].sum(axis=0)[seen] * step, rtol=1e-4,
                               atol=1e-4)
    assert np.isnan(zero.values[~seen]).all() and zero.unit == "Jy / beam km/s"
    error = step * np.sqrt(inside.sum()) * 0.05 / np.sqrt(weight[seen])
    np.testing.assert_allclose(zero.error[seen], error, rtol=0.04)  # the noise is measured
    where = np.unravel_index(np.nanargmax(zero.values), zero.values.shape)
    for order, truth in ((1, first), (2, second)):
        found = cube.moment(order, vrange=("50km/s", "250km/s"), sigma=4)
        # The cut's noise is measured: of pixels near it another channel may count.
        assert found.values[where] == pytest.approx(truth[where], rel=3e-3)
        agree = np.isfinite(found.values) & np.isfinite(truth)
        assert np.median(np.abs(found.values - truth)[agree]) < 1e-3
        assert agree.sum() > 10


@pytest.mark.parametrize("convention", ["radio", "optical"])
def test_moments_over_channels_of_uneven_width(convention: str, tmp_path: Path) -> None:
    """Over 40 MHz channels of one width in frequency differ by 6 % in optical velocity."""
    cards, frequency = made.axis("FREQ", 128, first_hz=1.38e9, step_hz=320e3)
    head = made.header(8, 8, cards)
    flux = made.line(frequency, 1.0, 500.0, 400.0)
    path = made.write(tmp_path / "c.fits", np.ones((128, 8, 8), np.float32)
                      * flux[:, np.newaxis, np.newaxis].astype(np.float32), head, np.ones((8, 8)))
    speed = {"radio": made.C * (1 - frequency / made.HI),
             "optical": made.C * (made.HI / frequency - 1)}[convention] / 1e3
    found = opened(path).moment(0, convention=convention)
    area = flux * np.abs(np.gradient(speed))
    np.testing.assert_allclose(found.values, area.sum(), rtol=1e-5)
    mean = (area * speed).sum() / area.sum()
    found = opened(path).moment(1, convention=convention)
    np.testing.assert_allclose(found.values, mean, rtol=1e-6)
    width = np.sqrt((area * (speed - mean) ** 2).sum() / area.sum())
    found = opened(path).moment(2, convention=convention)
    np.testing.assert_allclose(found.values, width, rtol=1e-5)


@pytest.mark.parametrize("n", [4, 32])
def test_a_cut_needs_noise_that_can_be_measured(n: int, tmp_path: Path) -> None:
    """Not that of 4 channels, nor that of a map without noise: a map of NaN would result."""
    cards, _ = made.axis("FREQ", n)
    path = made.write(tmp_path / "c.fits", np.ones((n, 8, 8), np.float32),
                      made.header(8, 8, cards))
    for order in (0, 1, 2):
        assert np.isfinite(opened(path).moment(order).values).all()
        with pytest.raises(fs.UsageError, match="sigma = 3: the noise of .*c.fits cannot be meas"):
            opened(path).moment(order, sigma=3)


def test_moments_as_files(tmp_path: Path) -> None:
    path, *_ = noisy(tmp_path / "c.fits", 9, size=32)
    for name in ("a.fits", "b.fits"):
        opened(path).moment(0, vrange=("100km/s", "200km/s")).write(tmp_path / name)
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()
    with fits.open(tmp_path / "a.fits", checksum=True) as file:
        head = file[0].header
        assert [unit.name for unit in file] == ["PRIMARY", "ERROR"]
        assert head["BUNIT"] == "Jy/beam.km/s" and head["BMAJ"] == pytest.approx(3 / 60)
        assert head["INFILE"] == "c.fits" and head["ORIGIN"] == f"fastsig {fs.__version__}"
        assert head["INSHA256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert head["VLOW"] >= 100 and head["VHIGH"] <= 200
        with fits.open(path) as cube:
            same = WCS(cube[0].header).celestial.pixel_to_world(3, 4)
        assert WCS(head).pixel_to_world(3, 4).separation(same).arcsec < 1e-6
    with pytest.raises(fs.OutputError, match="exists"):
        opened(path).moment(0).write(tmp_path / "a.fits")
    with pytest.raises(fs.UsageError, match="allowed: 0, 1, 2"):
        opened(path).moment(3)
    with pytest.raises(fs.UsageError, match="no channel lies between"):
        opened(path).moment(0, vrange=("5000km/s", "6000km/s"))


def test_cubes_of_spectral_cube(tmp_path: Path) -> None:
    """What it writes, in velocities and with a beam, is read as it means it."""
    path, at, frequency, flux = bright(tmp_path / "c.fits", beam=(4.0, 2.6, 35.0))
    for convention in ("radio", "optical"):
        theirs = opened(path).to_spectral_cube().with_spectral_unit(
            u.km / u.s, velocity_convention=convention)
        theirs.write(tmp_path / f"{convention}.fits")
        cube = opened(tmp_path / f"{convention}.fits")
        np.testing.assert_allclose(cube.frequency.value, frequency, rtol=1e-9)
        np.testing.assert_allclose(cube.spectrum(at).flux.to_value("Jy"), flux, rtol=3e-5)
        assert cube.beam is not None and cube.beam.pa == pytest.approx(35)


def test_spectral_cube_takes_it(tmp_path: Path) -> None:
    path, _, frequency, _ = bright(tmp_path / "c.fits")
    cube = opened(path).to_spectral_cube()
    assert cube.unit == u.Jy / u.beam and cube.shape == (64, 24, 30)
    np.testing.assert_allclose(cube.spectral_axis.to_value("Hz"), frequency)
    assert cube.beam.major.to_value("arcmin") == pytest.approx(3)
    np.testing.assert_array_equal(cube[3].value, opened(path).read()[3])


def test_kelvin_is_told(tmp_path: Path) -> None:
    path, at, frequency, flux = bright(tmp_path / "c.fits", BUNIT="K", BEAMSCAL=1.25)
    cube = opened(path)
    np.testing.assert_allclose(cube.spectrum(at).flux.to_value("K"), flux, rtol=3e-5)
    gain = cube.spectrum(at, kelvin="16K/Jy")
    np.testing.assert_allclose(gain.flux.to_value("Jy"), flux * 1.25 / 16, rtol=3e-5)
    area = np.pi * np.radians(3 / 60) ** 2 / (4 * np.log(2))
    jansky = 2 * 1.380649e-23 * (frequency / made.C) ** 2 * area * 1e26
    found = cube.spectrum(at, kelvin="brightness")
    np.testing.assert_allclose(found.flux.to_value("Jy"), flux * jansky, rtol=3e-5)
    with pytest.raises(fs.UsageError, match="kelvin = brightness, or a gain"):
        cube.spectrum(at, "4arcmin")
    with pytest.raises(fs.FormatError, match="BUNIT = 's'; allowed: Jy/beam"):
        opened(bright(tmp_path / "d.fits", BUNIT="s")[0]).spectrum(at)


def test_what_cannot_be(tmp_path: Path) -> None:
    path, at, *_ = bright(tmp_path / "c.fits")
    with fits.open(path, mode="update") as file:
        del file[0].header["BMAJ"]
    with pytest.raises(fs.UsageError, match="has no beam"):
        opened(path).spectrum(at)
    assert np.isfinite(opened(path, beam="3arcmin").spectrum(at).flux.value).all()
    with pytest.raises(fs.UsageError, match="lies off the map"):
        opened(path, beam="3arcmin").spectrum(f"{made.RA + 10},{made.DEC}")
    with pytest.raises(fs.UsageError, match="lies off the map"):
        opened(path, beam="3arcmin").spectrum(f"{made.RA - 180},{-made.DEC}")
    with pytest.raises(fs.UsageError, match="at = 'somewhere'; allowed: a SkyCoord"):
        opened(path, beam="3arcmin").spectrum("somewhere")
    with pytest.raises(fs.UsageError, match="near = 'somewhere'; allowed: .*187.7,12.39"):
        opened(path, beam="3arcmin").source("somewhere")
    with pytest.raises(fs.UsageError, match="source: missing a required argument: 'near'"):
        opened(path, beam="3arcmin").source()
    with pytest.raises(fs.UsageError, match="noise = 'none'"):
        opened(path, beam="3arcmin").spectrum(at, noise="none")
    empty = made.header(20, 20, made.axis("FREQ", 8)[0])
    made.write(tmp_path / "e.fits", np.full((8, 20, 20), np.nan, np.float32), empty)
    with pytest.raises(DataError, match="nothing was observed"):
        opened(tmp_path / "e.fits").spectrum(f"{made.RA},{made.DEC}")


@pytest.mark.parametrize("text", ["187.5,12.3", "187.5 12.3", "12:30:00,+12:18:00",
                                  "12h30m00s +12d18m00s", "12 30 00, +12 18 00",
                                  "187.5deg,+12.3"])
def test_places(text: str) -> None:
    assert sky_place(text, bare_degrees=True) == pytest.approx((187.5, 12.3))
    if ":" not in text and "h" not in text and text.count(" ") < 2:
        with pytest.raises(fs.UsageError, match="ra = '187.5'|dec = '.12.3'"):
            sky_place(text)


def test_spectra_as_files(tmp_path: Path) -> None:
    path, at, _ = noisy(tmp_path / "c.fits", 6, flux=0.4, size=32)
    spectrum = opened(path).spectrum(at)
    spectrum.write(tmp_path / "s.ecsv", fit=spectrum.fit(1))
    back = PositionSpectrum.read(tmp_path / "s.ecsv")
    for name in ("frequency", "flux", "noise", "expected"):
        np.testing.assert_allclose(getattr(back, name).value, getattr(spectrum, name).value)
    assert back.at.separation(at).arcsec < 1e-6 and back.frame == "LSRK"
    assert back.scatter == spectrum.scatter and back.rest_hz == pytest.approx(made.HI)
    assert dict(back.facts) == json.loads(json.dumps(dict(spectrum.facts)))
    found = back.to_specutils(convention="optical")
    assert found.uncertainty.array.shape == found.flux.shape == (128,)
    assert found.rest_value.to_value("Hz") == pytest.approx(made.HI)
    text = (tmp_path / "s.ecsv").read_text()
    for old, new in (("spectrum of a place", "another"), ("unit: Hz", "unit: s"), ("%ECSV", "%X")):
        (tmp_path / "t.ecsv").write_text(text.replace(old, new))
        with pytest.raises(fs.FormatError, match=r"t\.ecsv: "):
            PositionSpectrum.read(tmp_path / "t.ecsv")


def test_measured_noise_parts() -> None:
    rng = np.random.default_rng(7)
    values = rng.normal(0, 2, 20000)
    assert clipped_scatter(values)[0] == pytest.approx(2, rel=0.02)
    values[:5000] += 50  # a quarter of something else
    assert clipped_scatter(values)[0] == pytest.approx(2, rel=0.03)
    assert np.isnan(clipped_scatter(np.full(5, np.nan))[0])
    assert np.isnan(measure(np.zeros((3, 4, 4)), np.ones((1, 4, 4)), 1).unit_noise)
    amounts, rho = rng.normal(size=(9, 8)), np.zeros((5, 5))
    rho[1:4, 1:4] = [[0.1, 0.3, 0.1], [0.3, 1, 0.3], [0.1, 0.3, 0.1]]
    amounts = np.abs(amounts)
    places = np.argwhere(np.ones(amounts.shape))
    direct = sum(amounts[tuple(a)] * amounts[tuple(b)] * rho[tuple(a - b + 2)]
                 for a in places for b in places if (abs(a - b) <= 2).all())
    assert sum_noise(amounts, rho) == pytest.approx(np.sqrt(direct))


def test_extract_and_moment(tmp_path: Path) -> None:
    path, at, _ = noisy(tmp_path / "c.fits", 8, flux=0.5, size=32)
    place = f"{at.ra.deg:.6f},{at.dec.deg:.6f}"
    done = fastsig("extract", path, "--at", place, "--fit", 1, "--distance", "20Mpc", "-o",
                   tmp_path / "s.ecsv", "--picture", tmp_path / "s.png", "--json")
    record = json.loads(done.stdout)
    (line,) = record["fit"]["lines"]
    assert line["velocity_km_s"] == pytest.approx(150, abs=4 * line["velocity_error_km_s"])
    truth = 0.5 * 45 * np.sqrt(np.pi / (4 * np.log(2)))
    assert line["flux_jy_km_s"] == pytest.approx(truth, abs=4 * line["flux_error_jy_km_s"])
    assert record["hi_mass_msun"] == pytest.approx(2.356e5 * 400 * line["flux_jy_km_s"])
    assert (tmp_path / "s.png").stat().st_size > 10_000
    told = fastsig("extract", path, "--at", place, "--locate", "--window", "100km/s,200km/s",
                   "--fit", "profile", "-o", tmp_path / "t.ecsv").stdout
    assert "source" in told and "velocity" in told and "km/s, radio, LSRK" in told
    fastsig("extract", path, "--at", place, "-o", tmp_path / "s.ecsv", code=4)
    fastsig("extract", path, "--at", place, "-o", path, "--overwrite", code=4)
    fastsig("extract", path, "--at", "0,0", "-o", tmp_path / "u.ecsv", code=2)
    fastsig("extract", path, "--at", place, "--distance", "3Mpc", "-o", tmp_path / "u.ecsv", code=2)
    fastsig("extract", path, "--at", f"{made.RA},{made.DEC + 0.2}", "--fit", 1, "--window",
            "-400km/s,-100km/s", "-o", tmp_path / "u.ecsv", code=3)
    assert not (tmp_path / "u.ecsv").exists()
    done = fastsig("moment", path, "-o", tmp_path / "m.fits", "--order", 1, "--sigma", 4, "--json")
    assert json.loads(done.stdout)["unit"] == "km/s"
    assert fastsig("validate", tmp_path / "m.fits").stdout.endswith("good\n")
    fastsig("moment", path, "-o", tmp_path / "m.fits", code=4)
    fastsig("moment", tmp_path / "s.ecsv", "-o", tmp_path / "n.fits", code=3)


def test_streams_are_named(samples: Path) -> None:
    """What is no cube is said to be spectra, not a broken FITS file."""
    for name, kind in (("SIMHI_onoff-M01_W_0001.fits", "spectra"),
                       ("fast_band_1GSa.h5", "voltage")):
        with pytest.raises(FormatError, match=f"{name}: contains {kind}.*; allowed: a cube"):
            fs.open_cube(samples / name)
