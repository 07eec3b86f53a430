"""Maps: what goes in, the grid that is laid, the cube that comes out."""

from __future__ import annotations

import json
import threading
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from cli import fastsig
from maps import N_CHAN, drift, head
from streams import MemorySpectra

import fastsig as fs
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.errors import FastsigWarning, OutputError, PlanError, UsageError
from fastsig.reductions.mapping import closed_files


def source(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    """A source of 3 Jy in FAST's beam M01 at 1420 MHz."""
    found: np.ndarray = 3 * np.exp(-4 * np.log(2) * (east**2 + north**2) / (2.82 / 60) ** 2)
    return found


def test_a_source_peaks_at_its_flux_and_integrates_to_it() -> None:
    made = fs.grid(drift(value=source, rows=33), center="50deg,20deg")
    found = made.read()
    y, x = (round(float(each)) for each in made.celestial.all_world2pix(50, 20, 0)[::-1])
    plane, width = found.values[0], found.header["BMAJ"]
    np.testing.assert_allclose(plane[y, x], 3, rtol=2e-3)  # samples 0.6 arcmin apart
    beam = np.pi * width**2 / (4 * np.log(2))
    total = np.nansum(plane) * abs(found.header["CDELT1"] * found.header["CDELT2"]) / beam
    np.testing.assert_allclose(total, 3, rtol=5e-3)  # the same, and the rim of the map
    assert np.isclose(width * 60, np.hypot(2.82, 1.41), rtol=1e-3)
    assert found.header["BUNIT"] == "Jy/beam"


def test_sparse_tracks_are_reported_with_their_error() -> None:
    """The error stated is the one that a source on a track has in the map."""
    with pytest.warns(FastsigWarning, match="tracks are too sparse") as caught:
        made = fs.grid(drift(value=source, rows=11, step=1.6), center="50deg,20deg")
    y, x = (round(float(each)) for each in made.celestial.all_world2pix(50, 20, 0)[::-1])
    error = made.read().values[0, y, x] / 3 - 1
    assert 0.05 < error < 0.12 and f" {error * 100:.0f} % too bright" in str(caught[0].message)
    fs.grid(drift(value=source, rows=11, step=0.4 * 2.82))  # 0.4 beams apart: no warning
    assert "wider kernel" in str(caught[0].message)
    with pytest.warns(FastsigWarning, match=r"apart$"):  # two tracks are no wider than a kernel
        fs.grid(drift(value=source, rows=2, step=2.3))


def test_weights_tell_the_noise() -> None:
    rng = np.random.default_rng(3)
    parts = []
    for share in (1.0, 0.5):
        spectra = drift(rows=61, n=200)
        spectra.spectra = rng.normal(0, 1, spectra.shape).astype(np.float32)
        spectra.spectra[rng.random(len(spectra.spectra)) > share] = np.nan
        parts.append(spectra)
    found = fs.grid(parts).read()
    inner = (slice(None), slice(5, -5), slice(5, -5))
    # Rows are of 2 s and rms 1 in AA and BB: of I in 1 s the rms is sqrt(2 / 2).
    scaled = found.values[inner] * np.sqrt(found.weight[inner])
    n = scaled.size / 6  # pixels share samples: a kernel covers five
    assert abs(np.sqrt((scaled**2).mean()) - 1) < 3 / np.sqrt(2 * n)
    assert found.weight[inner].std() > 0.05 * found.weight[inner].mean()


def test_one_beam_for_all() -> None:
    """Tracks of wide and of narrow beams by turns: a source between them keeps place and flux."""
    wide = 2.95 / 2.82

    def seen(factor: float) -> Any:
        return lambda east, north: 3 * np.exp(
            -4 * np.log(2) * (east**2 + north**2) / (2.82 * factor / 60) ** 2)

    from fastsig.telescopes import get

    widths = get("FAST").receiver().hpbw([1, 10], [1420.0, 1420.0] * u.MHz).to_value("arcmin")
    wide = widths[1] / widths[0]
    parts = [drift(dec=20 + 5 / 60, rows=17, value=lambda e, n: seen(1)(e, n + 5 / 60)),
             drift(dec=20 - 5.1 / 60, rows=17, beam=10, value=lambda e, n: seen(wide)(
                 e, n - 5.1 / 60))]
    made = fs.grid(parts, center="50deg,20deg", pixel="0.5arcmin")
    plane = made.read().values[0]
    y, x = np.indices(plane.shape)
    ra, dec = made.celestial.all_pix2world(x, y, 0)
    apart = np.hypot((ra - 50) * np.cos(np.radians(20)), dec - 20)
    core = apart < 0.4 * made.header["BMAJ"]
    peak = np.average(dec[core] - 20, weights=plane[core]) * 3600
    assert abs(peak) < 1 and abs(plane.max() / 3 - 1) < 0.01


@pytest.mark.parametrize("ra, dec, projection", [
    (0.0, -10.0, "TAN"), (359.99, 60.0, "SIN"), (120.0, 89.97, "TAN"), (20.0, 30.0, "SFL"),
    (20.0, 30.0, "CAR"), (200.0, 45.0, "COE"), (10.0, 20.0, "ZEA"), (10.0, 20.0, "HPX")])
def test_anywhere_in_any_projection(ra: float, dec: float, projection: str) -> None:
    if dec > 89:
        spectra = drift(0, 0, rows=21)
        east, north = spectra.known["ra_deg"].copy(), spectra.known["dec_deg"]
        east[east > 180] -= 360
        spectra.known = {"ra_deg": (ra + np.degrees(np.arctan2(east, north))) % 360,
                         "dec_deg": 90 - np.hypot(east, north)}
    else:
        spectra = drift(ra, dec, rows=21)
    found = fs.grid(spectra, projection=projection).read()
    assert found.values.size < 6000 * N_CHAN  # no map around the sky
    wcs = found.wcs.celestial
    x, y = wcs.all_world2pix(spectra.known["ra_deg"], spectra.known["dec_deg"], 0)
    seen = found.values[0, np.round(y).astype(int), np.round(x).astype(int)]
    # A constant of 1 Jy in the telescope's beam is 1 Jy times the ratio of solid angles.
    np.testing.assert_allclose(seen, found.header["BEAMSCAL"], rtol=1e-5)
    if projection in ("CAR", "SFL"):
        assert found.header["CRVAL2"] == 0


def opened(path: Path) -> fits.HDUList:
    """The file, its checksums compared: a wrong one is a warning, so an error."""
    return fits.open(path, checksum=True)


#: Keywords of FITS Standard 4.0 that a cube needs: 4.4.1, 8.1 to 8.5, 9.
NEEDED = ("SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "BUNIT", "BMAJ", "BMIN", "BPA",
          "WCSAXES", *(f"{key}{axis}" for axis in (1, 2, 3)
                       for key in ("CTYPE", "CRVAL", "CDELT", "CRPIX", "CUNIT")), "RADESYS",
          "SPECSYS", "SSYSOBS", "RESTFRQ", "TELESCOP", "OBJECT", "DATE-OBS", "MJD-OBS", "TIMESYS",
          "OBSGEO-X", "OBSGEO-Y", "OBSGEO-Z", "DATASUM", "CHECKSUM")


@pytest.mark.parametrize("axis", ["FREQ", "VRAD", "VOPT"])
def test_the_cube_as_others_read_it(tmp_path: Path, axis: str) -> None:
    path = tmp_path / "cube.fits"
    made = fs.grid(drift(), rest="HI", axis=axis, frame="lsrk")
    made.write(path)
    with opened(path) as units:
        assert [unit.name for unit in units] == ["PRIMARY", "PROVENANCE", "WEIGHT"]
        units.verify("exception")
        header, values = units[0].header, units[0].data
        missing = [key for key in NEEDED if key not in header]
        assert not missing
        assert header["SPECSYS"] == "LSRK" and header["RESTFRQ"] == 1420405751.768
        assert (header["DATE-OBS"], header["MJD-OBS"]) == ("2023-12-01T16:30:00.000000000",
                                                           60279.6875)
        assert units["WEIGHT"].header["BUNIT"] == "s"
        told = json.loads(units["PROVENANCE"].data.tobytes())
        assert told["map"]["products"] == "I" and told["inputs"][0]["stages"][0]["stage"] == "frame"
        found = made.read()
        np.testing.assert_array_equal(values, found.values)
        np.testing.assert_array_equal(
            np.broadcast_to(units["WEIGHT"].data, values.shape), found.weight)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the observatory's place in other coordinates
            hertz = WCS(header).spectral.pixel_to_world(np.arange(len(values))).to_value(
                u.Hz, doppler_rest=1420405751.768 * u.Hz,
                doppler_convention={"VOPT": "optical"}.get(axis, "radio"))
    np.testing.assert_allclose(hertz, made.axis.centers.to_value(u.Hz), atol=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports, with newer astropy
        from spectral_cube import SpectralCube

        cube = SpectralCube.read(path)
        assert cube.unit == u.Jy / u.beam and cube.shape == made.shape
        assert np.isclose(cube.beam.major.to_value("deg"), header["BMAJ"])
        speeds = cube.with_spectral_unit(u.km / u.s, "radio", 1420405751.768 * u.Hz).spectral_axis
    expected = 299792.458 * (1 - made.axis.centers.value / 1420.405751768)
    np.testing.assert_allclose(np.sort(speeds.value), np.sort(expected), atol=1e-5)


def test_weights_that_are_alike_are_one_plane(tmp_path: Path) -> None:
    spectra = drift()
    fs.grid(spectra).write(tmp_path / "one.fits")
    spectra.spectra[100:200, :, 2] = np.nan
    fs.grid(spectra).write(tmp_path / "all.fits")
    with opened(tmp_path / "one.fits") as one, opened(tmp_path / "all.fits") as every:
        assert one["WEIGHT"].shape == one[0].shape[1:] and every["WEIGHT"].shape == every[0].shape
        assert WCS(one["WEIGHT"].header).naxis == 2
        np.testing.assert_array_equal(one["WEIGHT"].data, every["WEIGHT"].data[0])
        assert (every["WEIGHT"].data[2] < every["WEIGHT"].data[0]).any()


def test_stokes(tmp_path: Path) -> None:
    spectra = drift(polarization=PolBasis("linear", ("I", "Q", "U", "V"), frame="sky"))
    spectra.spectra = spectra.spectra * np.float32([4, 3, 2, 1])[:, np.newaxis]
    made = fs.grid(spectra, products="IQUV")
    made.write(tmp_path / "stokes.fits")
    with opened(tmp_path / "stokes.fits") as units:
        header, values = units[0].header, units[0].data
    assert values.shape == (4, *made.shape[1:]) and header["CTYPE4"] == "STOKES"
    assert [header[f"{key}4"] for key in ("CRVAL", "CDELT", "CRPIX")] == [1, 1, 1]
    middle = values[:, 0, values.shape[2] // 2, values.shape[3] // 2] / header["BEAMSCAL"]
    np.testing.assert_allclose(middle, [4, 3, 2, 1], rtol=1e-5)
    kelvin = drift(unit="K")
    kelvin.spectra = kelvin.spectra * np.float32([[1], [3]])
    found = fs.grid(kelvin).read()  # the mean of AA and BB, as seen: brightness is not scaled
    np.testing.assert_allclose(np.nanmedian(found.values), 2, rtol=1e-6)
    assert found.header["BUNIT"] == "K"
    total = drift(unit="K", polarization=PolBasis("linear", ("I",)))  # AA + BB
    np.testing.assert_allclose(np.nanmedian(fs.grid(total).read().values), 0.5, rtol=1e-6)


def test_rows_that_are_left_out() -> None:
    marks = np.zeros(17 * 60)
    marks[:50] = 1
    lit = np.zeros(17 * 60)
    lit[40:100] = 0.5
    spectra = drift(columns={"extrapolated": marks, "diode_on": lit})
    spectra.known["ra_deg"][200:203] = np.nan
    spectra.spectra[:100] = 1e9
    made = fs.grid(spectra)
    assert made.left_out == {"no position": 3, "position extrapolated": 50, "noise diode on": 50}
    assert np.nanmax(made.read().values) < 2
    assert np.nanmax(fs.grid(spectra, keep=("extrapolated", "diode")).read().values) > 1e8
    small = fs.grid(spectra, center="50deg,20deg", size="2arcmin")
    assert small.left_out["outside of the map"] > 100 and small.shape[1:] == (2, 2)
    whole = made.celestial.wcs.crval  # near pixels are the same, whatever lies outside
    assert abs(whole[0] - 50) < 0.01


def test_narrow_beams_reach_as_far_as_their_own_kernels() -> None:
    """The kernel of a narrow beam is wider than the mean one, with which maps are laid out."""
    def far(east: np.ndarray, north: np.ndarray) -> np.ndarray:
        return 1 + 1e5 * (np.hypot(east, north) > reach)

    options: dict[str, Any] = {"center": "50deg,20deg", "pixel": "0.5arcmin"}
    even = [drift(step=0.3, rows=41), drift(beam=10, step=0.3, rows=41)]
    plain = fs.grid(even, size="5arcmin", **options)
    # From the middle to a corner pixel, and the radius of the mean kernel.
    reach = np.hypot(2.25, 2.25) / 60 + plain.kernel.radius_deg
    parts = [drift(step=0.3, rows=41, value=far), even[1]]
    small = fs.grid(parts, size="5arcmin", **options).read()
    large = fs.grid(parts, size="10arcmin", **options).read()
    assert small.values.shape[1:] == (10, 10) and large.values.shape[1:] == (20, 20)
    inner = large.values[:, 5:15, 5:15]
    assert inner[0, 0, 0] > 2  # spectra beyond this reach contribute
    np.testing.assert_allclose(small.values, inner, rtol=1e-4)


def test_zero_level_of_each_input() -> None:
    parts = [drift(value=lambda e, n: source(e, n) + 5), drift(value=lambda e, n: source(e, n) + 9)]
    found = fs.grid(parts, zero="median", center="50deg,20deg").read()
    edge = found.values[0, 2, 2]
    assert abs(edge) < 0.05 and abs(np.nanmax(found.values[0]) - 3) < 0.1
    assert np.nanmin(fs.grid(parts).read().values) > 6


@pytest.mark.parametrize("frame", [None, "lsrk"])
def test_zero_level_does_not_depend_on_the_size_of_the_map(frame: str | None) -> None:
    """The level is that of the whole file, also if a source fills the map."""
    def made(level: float, zero: str) -> Any:
        lit = np.zeros(17 * 60)
        lit[:50] = 1
        spectra = drift(value=lambda e, n: source(e, n) + level, columns={"diode_on": lit})
        spectra.spectra[:50] = 1e9  # left out, and not in the median
        found = fs.grid(spectra, zero=zero, center="50deg,20deg", size="2arcmin", frame=frame)
        assert found.left_out["outside of the map"] > 500
        return found.read().values[2]

    np.testing.assert_allclose(made(5, "median"), made(0, "keep"), atol=0.05)


@pytest.mark.filterwarnings("ignore:.*tracks are too sparse")  # single tracks suffice here
@pytest.mark.parametrize("change, options, message", [
    ({"unit": None}, {}, "units of the recorder"),
    ({"unit": "K"}, {}, "one unit for all"),
    ({"polarization": PolBasis("linear", ("CR", "CI"))}, {}, "a map of I needs"),
    ({"channels": ChannelAxis(Fraction(1_420_003_000), Fraction(10_000), N_CHAN)}, {},
     "are not those of"),
    ({"specsys": "lsrk"}, {}, "must be in one frame"),
    ({"telescope": None}, {}, "states no telescope"),
    ({}, {"projection": "XYZ"}, "allowed: one that astropy.wcs knows"),
    ({}, {"pixel": "1deg"}, "effective beam"),
    ({}, {"kernel": "0.1arcmin", "beam_size": None}, None),
    ({}, {"center": "here"}, "is not a place"),
    ({}, {"center": "80deg,-20deg", "size": "1deg"}, "no spectrum can be used"),
    ({}, {"size": "-1deg"}, "allowed: above 0"),
    ({}, {"axis": "VRAD"}, "rest frequency"),
    ({}, {"vstart": "0km/s", "vstop": "9km/s"}, "rest frequency"),
    ({}, {"vstart": "0km/s", "rest": "HI"}, "both, or none"),
    ({}, {"fstart": "1.5GHz"}, "no channel in the band"),
    ({}, {"keep": ("rfi",)}, "allowed: extrapolated, diode"),
    ({}, {"products": "AABB"}, "allowed: I, IQUV, V"),
    ({}, {"products": "V"}, "a map of V needs"),
    ({}, {"zero": "mean"}, "allowed: keep, median"),
    ({}, {"rest": "HII"}, "allowed"),
])
def test_what_is_refused(change: dict[str, Any], options: dict[str, Any], message: str | None
                         ) -> None:
    parts = [drift(rows=3), drift(rows=3, **change)]
    if message is None:
        fs.grid(parts, **options)
        return
    with pytest.raises((UsageError, PlanError), match=message) as error:
        fs.grid(parts, **options)
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore:.*tracks are too sparse")  # single tracks suffice here
def test_refused_without_positions_or_rows(tmp_path: Path) -> None:
    bare = MemorySpectra(np.ones((4, 2, N_CHAN)), head())
    with pytest.raises(PlanError, match="positions of its spectra are not known"):
        fs.grid(bare)
    lit = drift(columns={"diode_on": np.ones(17 * 60)})
    with pytest.raises(PlanError, match="no spectrum can be used.*noise diode on"):
        fs.grid(lit)
    with pytest.raises(UsageError, match="no spectra"):
        fs.grid([])
    (tmp_path / "there.fits").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        fs.grid(drift(rows=3)).write(tmp_path / "there.fits")
    with pytest.raises(PlanError, match="below the floor of this map, [0-9]+MB"):
        fs.grid(drift(rows=3)).write(tmp_path / "new.fits", memory=10**7)
    assert (tmp_path / "there.fits").read_text() == "mine" and not (tmp_path / "new.fits").exists()


@pytest.mark.filterwarnings("ignore:.*tracks are too sparse")  # single tracks suffice here
def test_a_single_spectrum_and_channel_are_described_in_the_singular() -> None:
    spectra = drift(rows=1, n=2)
    spectra.known["ra_deg"][0] = np.nan
    made = fs.grid(spectra, fstart="1420.01MHz", fstop="1420.01MHz")
    text = made.explain(workers=1)
    assert text.startswith("1 channel at a time, 1 thread, ")
    assert "\n1 spectrum of 1 file\nleft out: 1 spectrum, no position\n" in text
    assert "\n1 channel, 1420.0" in text
    assert repr(made).startswith("<Map of 1 spectrum, ")


@pytest.mark.filterwarnings("ignore:.*tracks are too sparse")  # single tracks suffice here
def test_bands() -> None:
    other = ChannelAxis(Fraction(1_420_020_000), Fraction(10_000), N_CHAN)
    made = fs.grid([drift(rows=3), drift(rows=3, channels=other)])
    assert made.axis == ChannelAxis(Fraction(1_420_020_000), Fraction(10_000), 4)
    made = fs.grid(drift(rows=3), fstart="1420.01MHz", fstop="1420.03MHz")
    assert (float(made.axis.first_hz), made.axis.n_chan) == (1.42001e9, 3)
    made = fs.grid(drift(rows=3), vstart="80km/s", vstop="84km/s", rest="HI")
    velocity = 299792.458 * (1 - made.axis.centers.value / 1420.405751768)
    assert made.axis.n_chan == 2 and velocity.min() > 80 and velocity.max() < 84
    assert fs.grid(drift(rows=3), center=SkyCoord(50.01, 20, unit="deg")).celestial.wcs.crval[
        0] == 50.01


def test_same_bytes_whatever_is_at_hand(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    parts = [drift(value=source, beam=beam) for beam in (1, 10)]
    for part in parts:
        part.spectra = part.spectra + rng.normal(0, 1, part.shape).astype(np.float32)
        part.spectra[rng.random(part.shape) < 0.01] = np.nan
    for number, (workers, blocks) in enumerate(((1, 1), (2, 6), (3, 2))):
        made = fs.grid(parts, frame="lsrk", rest="HI", zero="median")
        plan = made.plan

        def few(n: int = -(-6 // blocks), do: Any = plan, **options: Any) -> Any:
            from dataclasses import replace

            return replace(do(**options), n_chan=n)

        made.plan = few  # type: ignore[method-assign]
        made.write(tmp_path / f"{number}.fits", workers=workers)
    first, *others = [(tmp_path / f"{number}.fits").read_bytes() for number in range(3)]
    assert all(each == first for each in others)


@pytest.mark.filterwarnings("ignore:.*tracks are too sparse")  # single tracks suffice here
def test_files_are_open_while_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A map of any number of files: one after the other, no more open than there are threads."""
    files = [tmp_path / f"{number}.h5" for number in range(9)]
    for number, name in enumerate(files):
        fs.Chain(drift(value=source, rows=3, beam=number + 1)).write(name)
    made = fs.grid(files)
    opened_, open_now, most, lock = [], set(), 0, threading.Lock()

    def counted(name: str, do: Any = closed_files.open_stream, **overrides: Any) -> Any:
        nonlocal most
        stream = do(name, **overrides)
        with lock:
            opened_.append(name)
            open_now.add(id(stream))
            most = max(most, len(open_now))
        close = stream.close

        def closing() -> None:
            with lock:
                open_now.discard(id(stream))
            close()

        stream.close = closing
        return stream

    monkeypatch.setattr(closed_files, "open_stream", counted)
    found = made.read(workers=2)
    assert not open_now and 1 <= most <= 2
    assert sorted(opened_) == sorted(map(str, files))  # each once, of a few pixels and channels
    monkeypatch.undo()
    np.testing.assert_array_equal(found.values, made.read(workers=1).values)


def test_the_command(tmp_path: Path) -> None:
    """Files through the command line: the bytes of the library, plans, and one-line errors."""
    for number, beam in enumerate((1, 5)):
        fs.Chain(drift(value=source, beam=beam)).write(tmp_path / f"b{number}.h5")
    files = sorted(tmp_path.glob("b?.h5"))
    options = ("--frame", "lsrk", "--rest", "HI", "--axis", "VRAD", "--center", "50deg,20deg",
               "--size", "10arcmin,6arcmin")
    told = json.loads(fastsig("grid", *files, "-o", tmp_path / "cube.fits", *options,
                              "--json").stdout)
    made = fs.grid(files, frame="lsrk", rest="HI", axis="VRAD", center="50deg,20deg",
                   size="10arcmin,6arcmin")
    made.write(tmp_path / "mine.fits", workers=1)
    assert (tmp_path / "mine.fits").read_bytes() == (tmp_path / "cube.fits").read_bytes()
    assert told["shape"] == list(made.shape) and told["spectra"] == made.n_spectra
    dry = fastsig("grid", *files, "-o", tmp_path / "dry.fits", "--dry-run")
    assert "would write" in dry.stdout and "arcsec" in dry.stderr
    assert not (tmp_path / "dry.fits").exists()
    done = fastsig("grid", *files, "-o", tmp_path / "cube.fits", code=4)
    assert "exists" in done.stderr
    for arguments, code in (
        ((files[0], "-o", files[0], "--overwrite"), 4),
        ((files[0], "-o", tmp_path / "x.fits", "--memory", "20MB"), 2),
        ((files[0], "-o", tmp_path / "x.fits", "--center", "10deg,-50deg", "--size", "1deg"), 2),
        ((tmp_path / "none.h5", "-o", tmp_path / "x.fits"), 3),
    ):
        done = fastsig("grid", *arguments, code=code)
        assert len([line for line in done.stderr.splitlines() if line]) <= 2
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "x.fits").exists()
