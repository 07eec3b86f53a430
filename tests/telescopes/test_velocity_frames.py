"""Frames of velocity, against astropy's SpectralCoord and the frequencies that GBTIDL recorded."""

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import GCRS, HCRS, ICRS, LSRK, SkyCoord, SpectralCoord
from astropy.time import Time
from recordings import recorded

import fastsig as fs
from fastsig import telescopes
from fastsig.errors import UsageError
from fastsig.telescopes import earth
from fastsig.telescopes.velocity_frames import FRAMES, factor, frame_of, known_frame

C = 299792458.0
OBSERVERS = {"barycentric": lambda t: ICRS(), "heliocentric": lambda t: HCRS(obstime=t),
             "geocentric": lambda t: GCRS(obstime=t), "lsrk": lambda t: LSRK()}
STILL = {"distance": 1e9 * u.kpc, "pm_ra_cosdec": 0 * u.mas / u.yr, "pm_dec": 0 * u.mas / u.yr,
         "radial_velocity": 0 * u.km / u.s}


def by_astropy(frame, ra, dec, time, location):
    """f_frame / f_topo of a source at rest, far away."""
    with earth.offline(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seen = SpectralCoord(1 * u.GHz, observer=location.get_itrs(time),
                             target=SkyCoord(ra, dec, **STILL))
        moved = seen.with_observer_stationary_relative_to(OBSERVERS[frame](time))
        return float(moved.to_value(u.GHz))


@pytest.mark.parametrize("frame", OBSERVERS)
def test_factors_are_those_of_astropy(frame):
    rng = np.random.default_rng(1)
    location = telescopes.get("FAST").location
    times = Time("2016-01-04T18:00:00") + np.sort(rng.uniform(0, 3000, 8)) * u.day
    ra, dec = rng.uniform(0, 360, 8) * u.deg, rng.uniform(-90, 90, 8) * u.deg
    found = factor(frame, ra, dec, times, location)
    for i, time in enumerate(times):
        expected = by_astropy(frame, ra[i], dec[i], time, location)
        # 0.03 m/s: astropy takes velocities from differences of positions.
        assert abs(found[i] - expected) * C < 0.1


def test_interpolation_over_time_is_exact_to_a_tenth_of_a_metre_a_second():
    location = telescopes.get("FAST").location
    times = Time("2021-03-04T05:06:07") + np.linspace(0, 7200, 400) * u.s
    for frame in OBSERVERS:
        together = factor(frame, 187.5 * u.deg, 12.4 * u.deg, times, location)
        alone = np.concatenate([factor(frame, 187.5 * u.deg, 12.4 * u.deg, times[i : i + 1],
                                       location) for i in range(0, 400, 57)])
        assert np.abs(together[::57] - alone).max() * C < 0.002
        # Rotation and orbit change it by up to 0.04 m/s a second.
        assert 0 < np.abs(np.diff(together)).max() * C < 0.04 * 18.1


def test_shapes_signs_and_places_that_are_not_known():
    location = telescopes.get("FAST").location
    times = Time("2021-03-04T05:06:07") + np.arange(3) * u.s
    ra = np.array([[10.0, 190], [10, np.nan], [10, 190]]) << u.deg
    found = factor("barycentric", ra, ra * 0, times, location)
    assert found.shape == (3, 2)
    assert np.isnan(found).tolist() == [[False, False], [False, True], [False, False]]
    # Against each other, as the places are opposite.
    assert found[0, 0] * found[0, 1] == pytest.approx(1, abs=1e-12)
    topo = factor("topocentric", ra, ra * 0, times, location)
    assert topo[0, 0] == 1 and np.isnan(topo[1, 1])
    # The Sun flies towards 18h, +30: the LSRK sees that way lower frequencies than the barycentre.
    apex = [factor(each, 270 * u.deg, 30 * u.deg, times[:1], location)[0]
            for each in ("lsrk", "barycentric")]
    assert (apex[0] / apex[1] - 1) * C == pytest.approx(-20e3, rel=1e-3)


def test_names():
    called = {"LSRK": "lsrk", "lsr": "lsrk", " Bary ": "barycentric", "HELIOCEN": "heliocentric",
              "TOPOCENT": "topocentric", "OBS": "topocentric"}
    assert {name: frame_of(name) for name in called} == called
    assert [frame_of(name) for name in FRAMES] == list(FRAMES)
    assert known_frame("GALACTOC") is None
    with pytest.raises(UsageError, match="allowed: topocentric"):
        frame_of("LSRD")


@pytest.mark.parametrize(("label", "frame"), [
    ("TOPO", "topocentric"), ("LSR", "lsrk"), ("BAR", "barycentric"), ("HEL", "heliocentric")])
def test_frequencies_that_gbtidl_recorded(label, frame):
    text = recorded(f"dysh/gbtidl_spectra/onoff-L_gettp_156_intnum_0_{label}.ascii")
    told = np.loadtxt(text, skiprows=3)[:, 0] * 1e3
    spec = fs.open(recorded("dysh/TGBT21A_501_11/TGBT21A_501_11.raw.156.fits"), ifnum=0, plnum=1,
                   cal="F")
    assert spec.header.specsys == "topocentric"
    middle = spec.start_time + 0.5 / float(spec.header.sample_rate) * u.s
    location = telescopes.get("GBT").location
    pointed = spec.stream.read_columns(0, 1)
    # GBTIDL takes the target's place, 4 arcsec from where the beam pointed: 0.3 m/s.
    places = {"beam": (pointed["ra_deg"][0], pointed["dec_deg"][0], 1.0),
              "target": (138.5213016666667, 40.11369888888888, 0.3)}
    for ra, dec, allowed in places.values():
        found = factor(frame, ra * u.deg, dec * u.deg, Time([middle]), location)[0]
        mhz = spec.frequency.value[::-1] * found
        assert np.abs(mhz / told - 1).max() * C < allowed
