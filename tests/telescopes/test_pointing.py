"""The cabin's way to positions of beams."""

from __future__ import annotations

from fractions import Fraction

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time
from scipy.spatial.transform import Rotation

import fastsig as fs
from fastsig import telescopes
from fastsig.telescopes.observed import observed_to_icrs
from fastsig.telescopes.pointing import CabinTrack, Refraction, mid_times

L19 = telescopes.get("FAST").receiver()
START = Time("2023-03-05T13:30:00", scale="utc")


def track(n: int = 101, step: float = 0.2, start: Time = START, place: object = (0.1, -0.2, -160.0),
          pose: object = (0.0, 0.0, 0.0), angle: object = 0.0) -> CabinTrack:
    return CabinTrack("ky.xlsx", start + np.arange(n) * step * u.s,
                      np.broadcast_to(np.array(place, float), (n, 3)),
                      np.broadcast_to(np.array(pose, float), (n, 3)),
                      np.broadcast_to(np.array(angle, float), (n,)))


# Time UTC+8, place, azimuth and zenith distance, refraction, RA and Dec by ERFA's atoc13: degrees.
CHECKS = [
    ("2023-03-05T21:30:00.000", (12.345, -70.125, -145.0), (350.015793, 26.153691), None,
     (104.928429, 51.281602)),
    ("2023-03-05T21:30:00.000", (12.345, -70.125, -145.0), (350.015793, 26.153691), Refraction(),
     (104.924890, 51.290060)),
    ("2021-09-20T03:00:00.200", (-55.5, 30.25, -146.5), (118.592374, 23.338132), None,
     (51.381374, 13.020222)),
]


@pytest.mark.parametrize(("clock", "place", "seen", "air", "sky"), CHECKS)
def test_check_values_to_a_hundredth_of_an_arcsecond(clock, place, seen, air, sky) -> None:
    when = Time([clock], scale="utc") - 8 * u.h
    found = track(3, start=when[0] - 0.2 * u.s, place=place).positions(
        when, 1, refraction=air or "none")
    assert found.azimuth[0, 0].value == pytest.approx(seen[0], abs=1e-6)
    assert found.zenith_distance[0, 0].value == pytest.approx(seen[1], abs=1e-6)
    there = SkyCoord(found.ra[0, 0], found.dec[0, 0])
    assert there.separation(SkyCoord(*sky, unit="deg")) < 0.01 * u.arcsec
    assert found.beams == (1,) and not found.extrapolated.any()


def test_the_air_is_the_track_s_own_by_default() -> None:
    """That of HiFAST for a recorded track; another, or none, as text or as an object."""
    when = START[None] + 1 * u.s
    one = track(place=(12.345, -70.125, -145.0))
    dec = {air: one.positions(when, 1, refraction=air).dec[0, 0].to_value(u.arcsec)
           for air in (None, Refraction(), "925,15,0.8,0.3m", "none", "600,-5,0.1,30cm")}
    assert dec[None] == dec[Refraction()] == dec["925,15,0.8,0.3m"]
    assert dec[None] - dec["none"] == pytest.approx(30.5, abs=0.1)
    assert 15 < dec["600,-5,0.1,30cm"] - dec["none"] < 21
    vacuum = CabinTrack("k", one.time, one.place, one.pose, one.angle, air=None)
    assert vacuum.positions(when, 1).dec[0, 0].to_value(u.arcsec) == dec["none"]
    assert Refraction.parse(str(Refraction(612.25, -5.5, 0.05, 0.21))) == Refraction(
        612.25, -5.5, 0.05, 0.21)


@pytest.mark.parametrize("air", ["air", "925,15,0.8", "925,15,0.8,0.3m,1", "925,15,0.8,0.3MHz",
                                 "9250,15,0.8,0.3m", "", False, 925])
def test_what_is_no_air(air: object) -> None:
    with pytest.raises(fs.UsageError, match="refraction"):
        track().positions(START[None], 1, refraction=air)


def test_horns_turn_with_the_cabin(rng: np.random.Generator) -> None:
    place, pose, angle = np.array([20.0, 40.0, -153.0]), np.array([0.02, -0.12, 0.2]), 0.41
    found = track(place=place, pose=pose, angle=angle).positions(START[None] + 1 * u.s)
    turn = Rotation.from_euler("ZYX", pose) * Rotation.from_euler("Z", angle)
    horns = np.concatenate([L19.feeds.to_value(u.m), np.zeros((19, 1))], axis=1)
    to = -(place + turn.apply(horns))
    to /= np.linalg.norm(to, axis=1, keepdims=True)
    az = np.degrees(np.arctan2(to[:, 0], to[:, 1])) % 360
    assert found.azimuth[0].value == pytest.approx(az, abs=1e-9)
    zd = np.degrees(np.arccos(to[:, 2]))
    assert found.zenith_distance[0].value == pytest.approx(zd, abs=1e-9)


@pytest.mark.parametrize("degrees", [0, 23.4, -60])
def test_beams_lie_where_the_table_of_offsets_has_them(degrees: float) -> None:
    """Near the zenith, with the receiver turned: east stays east, and the turn has its sign."""
    made = track(angle=np.radians(degrees))
    found = made.positions(START[None])
    angle = made.receiver_angle(START[None])[0]
    # The ICRS's north is turned from that of date by precession, less than 0.3 deg.
    assert angle.value == pytest.approx(-degrees, abs=0.3)
    center = SkyCoord(found.ra[0, 0], found.dec[0, 0])
    east, north = center.spherical_offsets_to(SkyCoord(found.ra[0], found.dec[0]))
    want = (L19.offsets(angle=-angle) - L19.offsets(1)).to_value(u.arcmin)
    assert np.stack([east.arcmin, north.arcmin], 1) == pytest.approx(want, abs=0.2)


def test_drift_over_a_resting_cabin() -> None:
    times = mid_times(START, Fraction(2), 20)
    found = track(place=(0.0, 0.0, -160.0)).positions(times, [1, 8])
    rate = np.diff(found.ra[:, 0].to_value(u.arcsec)) / 0.5
    assert rate == pytest.approx(15.041 * 1.0003, abs=0.01)  # sidereal, and precession's part
    assert found.ra.shape == found.parallactic_angle.shape == (20, 2)


def test_the_cabin_moves_between_rows() -> None:
    made = track()
    ramp = made.place + np.linspace(0, 1, 101)[:, None] * np.array([4.0, -2.0, 0.0])
    moving = CabinTrack("ky.xlsx", made.time, ramp, made.pose, made.angle)
    when = START + np.array([0.1, 7.77]) * u.s
    found = moving.positions(when, 1)
    x, y, z = (ramp[0][:, None] + np.array([0.1, 7.77]) / 20 * np.array([[4.0], [-2], [0]]))
    want = observed_to_icrs(np.arctan2(-x, -y) * u.rad, np.arctan2(np.hypot(x, y), -z) * u.rad,
                            when, telescopes.get("FAST").location, refraction=Refraction())
    assert found.ra[:, 0].value == pytest.approx(want[0].value, abs=1e-10)
    assert found.dec[:, 0].value == pytest.approx(want[1].value, abs=1e-10)
    # It goes on for a second beyond the table, as fast; then it stands.
    ends = moving.positions(START + np.array([-0.9, 0, 20.9, 21.0, 30]) * u.s, 1)
    assert ends.extrapolated.tolist() == [False, False, False, False, True]
    state, _ = moving._at(START + np.array([-0.9, 20.9, 30]) * u.s)
    assert state[:, 0] - ramp[0, 0] == pytest.approx([-0.18, 4.18, 4.2], abs=1e-9)


def test_a_gap_in_the_table_is_flagged() -> None:
    whole = track()
    keep = np.r_[0:20, 60:101]  # 3.8 s to 12 s are missing
    made = CabinTrack("k", whole.time[keep], whole.place[keep], whole.pose[keep], whole.angle[keep])
    found = made.positions(START + np.array([3.0, 4.7, 4.9, 8, 10.9, 11.1]) * u.s, 1)
    assert found.extrapolated.tolist() == [False, False, True, True, True, False]


def test_angles_over_a_turn_are_interpolated_the_short_way() -> None:
    whole = track(2, 1.0)
    turns = np.array([np.pi - 0.1, 0.1 - np.pi])
    made = CabinTrack("k", whole.time, whole.place, whole.pose, turns)
    state, _ = made._at(START[None] + 0.5 * u.s)
    assert np.cos(state[0, 6]) == pytest.approx(-1)


def test_table_of_another_day() -> None:
    with pytest.raises(fs.FormatError) as caught:
        track().positions(START + np.array([86400.0, 86401]) * u.s)
    message = str(caught.value)
    assert message.startswith("ky.xlsx: the table covers 2023-03-05T13:30:00.000000000 to ")
    assert "2023-03-06T13:30:00" in message and "another scan?" in message
    assert "\n" not in message


def test_wrong_beams_and_rows() -> None:
    with pytest.raises(fs.UsageError, match="beams 1 to 19"):
        track().positions(START[None], [1, 20])
    with pytest.raises(fs.UsageError, match="ascend"):
        made = track()
        CabinTrack("k", made.time[::-1], made.place, made.pose, made.angle)
    with pytest.raises(fs.UsageError, match="equal numbers of rows"):
        CabinTrack("k", made.time, made.place[:5], made.pose, made.angle)
    with pytest.raises(fs.UsageError, match="one axis"):
        made.positions(START)


def test_middles_of_spectra() -> None:
    times = mid_times(START, Fraction(10**8, 100663296), 2, first=10)
    want = (np.array([10.5, 11.5]) * 1.00663296)
    assert (times - START).to_value(u.s) == pytest.approx(want, abs=1e-9)


def test_the_other_site() -> None:
    """Its vertical is another one: 7.2 m west is 0.23 arcsec."""
    when = START[None]
    low = track(place=(12.0, -70.0, -145)).positions(when, 1)
    high = track(place=(12.0, -70.0, -145)).positions(
        when, 1, location=telescopes.get("FAST", site="header").location)
    apart = SkyCoord(low.ra[0], low.dec[0]).separation(SkyCoord(high.ra[0], high.dec[0]))
    assert 0.1 * u.arcsec < apart[0] < 0.4 * u.arcsec
