"""Times at the barycentre: astropy's and tempo2's, as columns and by function."""

from __future__ import annotations

import pickle
from typing import Any

import astropy.units as u
import erfa
import numpy as np
import pytest
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time
from recordings import recorded
from streams import MemorySpectra, header

import fastsig as fs
from fastsig import telescopes
from fastsig.axes.polarization import PolBasis
from fastsig.chain import Chain
from fastsig.telescopes.barycenter import light_travel_times
from fastsig.telescopes.earth import offline
from fastsig.telescopes.pointing import mid_times

N = 500


def spectra(**changes: Any) -> MemorySpectra:
    about = header(2, n_chan=4, n_bits=32).replace(
        polarization=PolBasis("unknown", ("I",)), **changes)
    return MemorySpectra(np.random.default_rng(2).normal(9, 1, (N, 1, 4)), about)


def test_light_travel_times_are_those_of_erfa_and_astropy() -> None:
    where = telescopes.get("FAST").location
    times = Time(57000.0 + np.random.default_rng(1).random(60) * 2000, format="mjd")
    for ra, dec in ((123.0, -20.0), (0.0, 89.0), (266.0, -29.0)):
        source = SkyCoord(ra * u.deg, dec * u.deg)
        with offline():
            there = times.light_travel_time(source, "barycentric", location=where,
                                            ephemeris="builtin").to_value("s")
            earth = erfa.epv00(times.tdb.jd1, times.tdb.jd2)[1]["p"] * (erfa.DAU / erfa.CMPS)
            place = where.get_gcrs_posvel(times)[0].xyz.to_value("m").T / erfa.CMPS
        found = light_travel_times(times, ra, dec, where)
        direct = (earth + place) @ source.cartesian.xyz.value
        np.testing.assert_allclose(found, direct, rtol=0, atol=3e-7)
        # astropy shifts the observer's place by the aberration of light: by up to 2 us.
        np.testing.assert_allclose(found, there, rtol=0, atol=2.5e-6)


@pytest.mark.recorded
def test_light_travel_times_are_those_of_tempo2() -> None:
    lines = recorded("pint/tests/datafile/testtimes.par.tempo2_test").read_text().splitlines()
    table = np.array([[float(each) for each in line.split()] for line in lines[1:] if line.strip()])
    columns = dict(zip(lines[0].split(), table.T, strict=True))
    day = np.floor(columns["Ttt"])
    times = Time(day, columns["Ttt"] - day, format="mjd", scale="tt").utc[:4]  # those of the GBT
    where = telescopes.get("GBT").location
    for axis, (ra, dec) in enumerate(((0.0, 0.0), (90.0, 0.0), (0.0, 90.0))):
        expected = (columns[f"ep{axis}"] + columns[f"tp{axis}"])[:4]
        # ERFA's series for the Earth against JPL's DE421.
        np.testing.assert_allclose(light_travel_times(times, ra, dec, where), expected, rtol=0,
                                   atol=2.5e-5)


def test_columns_are_barycentric_times() -> None:
    source = spectra()
    chain = Chain(source).barycenter()
    found = chain.stream.read_columns(100, 300)
    assert dict(chain.stream.columns) == {"barycentric_mjd": "d", "barycentric_s": "s"}
    times = mid_times(source.start_time, source.header.sample_rate, N)[100:400]
    expected = fs.barycentric_times(times, (123.5 * u.deg, -12.25 * u.deg), "FAST")
    assert expected.scale == "tdb" and len(str(expected[0]).partition(".")[2]) == 9
    np.testing.assert_allclose(found["barycentric_mjd"], expected.mjd, rtol=0, atol=1e-11)
    assert np.abs(found["barycentric_s"]).max() < 510
    late = (expected.tdb - times.tdb).to_value("s")
    np.testing.assert_allclose(found["barycentric_s"], late, rtol=0, atol=3e-6)
    parts = [chain.stream.read_columns(i, 1)["barycentric_s"][0] for i in (100, 250, 399)]
    np.testing.assert_array_equal(parts, found["barycentric_s"][[0, 150, 299]])
    np.testing.assert_array_equal(chain.stream.read_block(3, 9).data, source.spectra[3:12])
    other = Chain(spectra(ra_deg=None)).barycenter(position="123.5deg,-12.25deg", location="GBT")
    assert other.stream.read_columns(0, 1)["barycentric_s"] != found["barycentric_s"][0]
    assert other.stream.parameters()["position_deg"] == [123.5, -12.25]
    again = pickle.loads(pickle.dumps(chain.stream.arguments()))
    assert again is not None and chain.stream.on(source).columns == chain.stream.columns


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(fs.UsageError, match="the position is not known; .*position = "):
        Chain(spectra(ra_deg=None)).barycenter()
    with pytest.raises(fs.UsageError, match="the telescope is not known; give location"):
        Chain(spectra(telescope=None)).barycenter()
    with pytest.raises(fs.PlanError, match="barycentric = 1: its times are barycentric already"):
        Chain(spectra(extra={"barycentric": 1})).barycenter()
    with pytest.raises(fs.UsageError, match="position = 'x'"):
        fs.barycentric_times(Time(60000.0, format="mjd"), "x", "FAST")
    with pytest.raises(fs.UsageError, match="times = 60000; allowed: an astropy Time"):
        fs.barycentric_times(60000, "1deg,2deg", EarthLocation(0 * u.m, 0 * u.m, 0 * u.m))


@pytest.mark.parametrize("given", [
    "12:30:00,+12:24:00", "12:30:00 12:24:00", ("12:30:00", "+12:24:00"), "12h30m00s,+12d24m00s",
    "187.5deg,12.4deg", (12.5 * u.hourangle, 12.4 * u.deg), SkyCoord(187.5, 12.4, unit="deg")])
def test_a_position_is_the_same_in_every_form(given: Any) -> None:
    """Right ascensions with colons are hours, for every function that accepts a position."""
    for stage in (Chain(spectra()).barycenter(position=given).stream,
                  Chain(spectra()).frame("lsrk", position=given).stream):
        assert stage.position == pytest.approx((187.5, 12.4))
    time = Time(["2024-05-06T07:08:09"])
    found = fs.barycentric_times(time, given, "FAST")
    expected = fs.barycentric_times(time, "187.5deg,12.4deg", "FAST")
    assert abs((found - expected).to_value("s")).max() < 1e-6


def test_a_position_needs_units() -> None:
    with pytest.raises(fs.UsageError, match="ra = 187.5; allowed"):
        fs.barycentric_times(Time(["2024-05-06T07:08:09"]), (187.5, 12.4), "FAST")
