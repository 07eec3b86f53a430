"""Tables of the Earth's rotation: old ones, none for a date, never the network."""

from __future__ import annotations

import socket

import astropy.units as u
import numpy as np
import pytest
from astropy.time import Time
from astropy.utils import iers

import fastsig as fs
from fastsig import telescopes
from fastsig.telescopes import earth
from fastsig.telescopes.observed import observed_to_icrs

WHERE = telescopes.get("FAST").location


def limits() -> tuple[float, float, float]:
    """First day, first predicted day and last day of the installed tables."""
    with earth.offline():
        table = iers.earth_orientation_table.get()
    first, last = (float(table["MJD"][i].value) for i in (0, -1))
    return first, float(table.meta["predictive_mjd"]), last


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def shut(*args: object, **options: object) -> None:
        raise AssertionError("the network was reached for")

    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, shut)
    monkeypatch.setattr(socket.socket, "connect", shut)


def day(mjd: float) -> Time:
    return Time(mjd + np.array([0.0, 0.01]), format="mjd", scale="utc")


def positions(times: Time) -> u.Quantity:
    ra, dec = observed_to_icrs([1, 1] * u.rad, [0.3, 0.3] * u.rad, times, WHERE)
    return u.Quantity([ra, dec])


def test_a_measured_day_needs_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    _, measured, _ = limits()
    # However late it is: the day's own values are final.
    late = Time(measured + 500, format="mjd", scale="utc")
    monkeypatch.setattr(Time, "now", classmethod(lambda cls: late))
    assert np.isfinite(positions(day(measured - 100))).all()
    assert earth.accuracy(day(measured - 100))[0] < 0.01


def test_tables_60_days_old_are_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    _, measured, _ = limits()
    times = day(measured + 60)
    monkeypatch.setattr(Time, "now", classmethod(lambda cls: times[0]))
    with pytest.warns() as caught:
        found = positions(times)
    assert np.isfinite(found).all()
    (warning,) = caught
    assert warning.category is fs.FastsigWarning
    # 0.00025 * 60^0.75 s of time, 0.00068 * 60^0.8 arcsec
    left = np.hypot(0.0054 * 15, 0.018)
    assert f"good to {left:.2g} arcsec" in str(warning.message)
    assert Time(measured, format="mjd").strftime("%Y-%m-%d") in str(warning.message)


def test_dates_outside_say_what_accuracy_is_left() -> None:
    first, measured, last = limits()
    with pytest.warns(fs.FastsigWarning, match=r"tables end on .*; directions are good to 0\.\d+"):
        positions(day(last + 60))
    days = last + 60.01 - measured
    assert earth.accuracy(day(last + 60))[0] == pytest.approx(
        np.hypot(0.00025 * days**0.75 * 15, 0.00068 * days**0.8))
    with pytest.warns(fs.FastsigWarning, match="begin on 1973-01-02; .* good to 1[34] arcsec"):
        positions(day(first - 1000))


def test_outside_the_nearest_values_stand() -> None:
    _, _, last = limits()
    inside, beyond = (earth.orientation(day(mjd), warn=False) for mjd in (last - 0.02, last + 30))
    assert beyond.dut1 == pytest.approx(inside.dut1, abs=1e-3)
    assert beyond.xp == pytest.approx(inside.xp, abs=1e-3)


def test_nothing_stays_set() -> None:
    before = iers.conf.auto_max_age, iers.conf.auto_download
    with pytest.raises(ZeroDivisionError), earth.offline():
        assert iers.conf.auto_max_age is None and not iers.conf.auto_download
        raise ZeroDivisionError
    positions(day(59000))
    assert (iers.conf.auto_max_age, iers.conf.auto_download) == before


def test_two_threads_leave_in_another_order_than_they_came() -> None:
    before = iers.conf.auto_max_age, iers.conf.auto_download
    first, second = earth.offline(), earth.offline()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert iers.conf.auto_max_age is None and not iers.conf.auto_download
    second.__exit__(None, None, None)
    assert (iers.conf.auto_max_age, iers.conf.auto_download) == before


def test_ut1_over_a_leap_second() -> None:
    # 2 s of TAI lie between the first two, and between the next two.
    times = Time(["2016-12-31T23:59:59.5", "2017-01-01T00:00:00.5", "2017-01-01T00:00:02.5"],
                 scale="utc")
    one = np.ones(3)
    ra, _ = observed_to_icrs(one * u.rad, 0.3 * one * u.rad, times, WHERE)
    over, after = np.diff(ra.to_value(u.arcsec))
    assert over == pytest.approx(after, abs=1e-3) and after == pytest.approx(30.1, abs=0.05)
