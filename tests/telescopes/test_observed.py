"""Azimuth and zenith distance to ICRS: against published figures and astropy's slow way."""

from __future__ import annotations

from typing import Any

import astropy.units as u
import erfa
import numpy as np
import pytest
from astropy.coordinates import ICRS, AltAz, SkyCoord, get_sun, position_angle
from astropy.time import Time

import fastsig as fs
from fastsig import telescopes
from fastsig.telescopes.earth import offline
from fastsig.telescopes.observed import (
    Refraction,
    icrs_to_observed,
    observed_to_icrs,
    observer_velocity,
    parallactic_angle,
)

FAST = telescopes.get("FAST").location


def astropys(az: u.Quantity, zd: u.Quantity, times: Time, air: Refraction | None) -> SkyCoord:
    """Every time on its own, nothing interpolated."""
    more = {} if air is None else {
        "pressure": air.pressure_hpa * u.hPa, "temperature": air.temperature_c * u.deg_C,
        "relative_humidity": air.humidity, "obswl": air.wavelength_m * u.m}
    frame = AltAz(az=az, alt=90 * u.deg - zd, obstime=times[:, None], location=FAST, **more)
    with offline():
        return SkyCoord(frame).transform_to(ICRS())


@pytest.mark.parametrize("air", [None, Refraction()], ids=["none", "air"])
def test_as_astropy_to_a_thousandth_of_an_arcsecond(rng: np.random.Generator,
                                                    air: Refraction | None) -> None:
    start = Time("2021-09-19T20:00:00", scale="utc")
    times = start + np.sort(rng.uniform(0, 6 * 3600, 60)) * u.s
    times = times[rng.permutation(60)]  # in no order
    az, zd = rng.uniform(0, 360, (60, 7)) * u.deg, rng.uniform(0.01, 60, (60, 7)) * u.deg
    ra, dec = observed_to_icrs(az, zd, times, FAST, refraction=air)
    assert SkyCoord(ra, dec).separation(astropys(az, zd, times, air)).max() < 0.001 * u.arcsec


def test_near_the_sun() -> None:
    """Where light is bent most: from half a degree outwards, at the same bound."""
    times = Time(["2021-09-20T04:00:00"], scale="utc")
    with offline():
        sun = get_sun(times).transform_to(AltAz(obstime=times, location=FAST))
    off = np.array([0.5, 1, 3, 10, 40]) * u.deg
    az, zd = sun.az + 0 * off[None], (90 * u.deg - sun.alt) + off[None]
    ra, dec = observed_to_icrs(az, zd, times, FAST)
    assert SkyCoord(ra, dec).separation(astropys(az, zd, times, None)).max() < 0.001 * u.arcsec


def test_there_and_back() -> None:
    times = Time("2023-03-05T13:30:00", scale="utc") + np.arange(5) * 100 * u.s
    az, zd = np.linspace(5, 355, 5) * u.deg, np.linspace(1, 39, 5) * u.deg
    for air in (None, Refraction(humidity=0.3)):
        back = icrs_to_observed(*observed_to_icrs(az, zd, times, FAST, refraction=air), times, FAST,
                                refraction=air)
        assert np.abs(back[0] - az).max() < 1e-4 * u.arcsec
        assert np.abs(back[1] - zd).max() < 1e-4 * u.arcsec


def test_no_times() -> None:
    ra, dec = observed_to_icrs(np.zeros((0, 3)) * u.deg, np.zeros((0, 3)) * u.deg,
                               Time([], format="mjd", scale="utc"), FAST)
    assert ra.shape == dec.shape == (0, 3)


def test_parallactic_angle_is_that_of_the_zenith(rng: np.random.Generator) -> None:
    """On the celestial sphere of date: hour angle and declination by the cosine rule."""
    latitude, az, zd = np.radians(25.65), rng.uniform(0, 2 * np.pi, 50), rng.uniform(0.05, 1.2, 50)
    to = np.stack([np.sin(zd) * np.cos(az), np.sin(zd) * np.sin(az), np.cos(zd)])  # N, E, up
    pole = np.array([np.cos(latitude), 0, np.sin(latitude)])
    dec = np.arcsin(pole @ to)
    # hour angle, west positive; the zenith has none
    hour = np.arctan2(-to[1], to[2] * np.cos(latitude) - to[0] * np.sin(latitude))
    want = position_angle(-hour, dec, 0, latitude).wrap_at(180 * u.deg)
    found = parallactic_angle(az * u.rad, zd * u.rad, latitude * u.rad)
    assert found.to_value(u.deg) == pytest.approx(want.deg, abs=1e-9)
    east = parallactic_angle(90 * u.deg, 30 * u.deg, latitude * u.rad)
    assert -90 < east.value < 0


def test_air_that_is_none() -> None:
    for wrong in ({"pressure_hpa": 92500}, {"temperature_c": 288}, {"humidity": 80}):
        with pytest.raises(fs.UsageError, match="humidity from 0 to 1"):
            Refraction(**wrong)


def test_a_time_has_the_same_bits_whatever_comes_with_it():
    location = FAST
    times = Time("2021-03-04T23:59:07.5") + np.arange(200) * 1.7 * u.s
    ra, dec = np.full(200, 187.5) * u.deg, np.full(200, 12.4) * u.deg
    together = np.stack([each.value for each in icrs_to_observed(ra, dec, times, location)])
    moves = observer_velocity(times, location)
    for part in (slice(3, 4), slice(50, 150)):
        some = icrs_to_observed(ra[part], dec[part], times[part], location)
        assert np.array_equal(np.stack([each.value for each in some]), together[:, part])
        assert np.array_equal(observer_velocity(times[part], location), moves[part])


@pytest.mark.parametrize("garbage", [np.inf, 1e308, np.nan])
def test_what_erfa_leaves_in_memory_is_not_used(monkeypatch: pytest.MonkeyPatch, garbage: float
                                                ) -> None:
    """apco13 does not set the latitude: whatever its bits are, they give no warning."""
    apco13 = erfa.apco13

    def with_garbage(*arguments: Any) -> Any:
        context, rest = apco13(*arguments)
        context["phi"] = garbage * (-1.0) ** np.arange(context.size).reshape(context.shape)
        return context, rest

    times = Time("2021-09-19T20:00:00", scale="utc") + np.arange(0, 600, 7.0) * u.s
    az, zd = np.full((len(times), 1), 30) * u.deg, np.full((len(times), 1), 20) * u.deg
    expected = observed_to_icrs(az, zd, times, FAST)
    monkeypatch.setattr(erfa, "apco13", with_garbage)
    found = observed_to_icrs(az, zd, times, FAST)
    np.testing.assert_array_equal(found, expected)
