"""Exact clocks: leap seconds, long streams, day numbers with seconds of day."""

from __future__ import annotations

import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from astropy.time import Time, TimeDelta
from cli import environment
from hypothesis import given, settings
from hypothesis import strategies as st

from fastsig.axes.time import (
    as_iso,
    elapsed,
    format_rate,
    iso,
    later,
    parse_rate,
    parse_time,
    sample_time,
    sample_times,
    time_from_mjd,
    time_from_unix,
)
from fastsig.errors import UsageError
from fastsig.stream.header import Header

NS = Fraction(1, 10**9)


@pytest.mark.parametrize("rate, expected", [
    # 10^12 samples after 23:59:50 on a day of 86401 s; by hand: 10 s to 23:59:60, 11 s to 0 h.
    ("1e9", "2017-01-01T00:16:29.000000000"),
    ("1e11", "2016-12-31T23:59:60.000000000"),
    ("95000000000", "2016-12-31T23:59:60.526315789"),
    ("2e6", "2017-01-06T18:53:09.000000000"),
])
def test_sample_a_million_million(rate: str, expected: str) -> None:
    start = parse_time("2016-12-31T23:59:50")
    found = sample_time(start, 10**12, parse_rate(rate))
    assert abs(elapsed(parse_time(expected), found)) <= NS
    assert iso(found) == expected


def test_every_second_across_the_leap() -> None:
    start = parse_time("2016-12-31T23:59:50")
    times = sample_times(start, range(0, 14 * 10**9, 10**9), Fraction(10**9))
    clock = [iso(time)[11:19] for time in times]
    assert clock == [f"23:59:{second}" for second in range(50, 61)] + [
        "00:00:00", "00:00:01", "00:00:02"]
    for n, time in enumerate(times):
        assert abs(elapsed(start, time) - n) <= NS
        assert abs(elapsed(time, sample_time(start, n * 10**9, Fraction(10**9)))) <= NS


def test_stt_style_starts_on_that_day() -> None:
    """Day 57753 is 2016-12-31: second 86400 of it is the leap second, 43200 is noon."""
    for seconds, text in ((43200, "2016-12-31T12:00:00"), (86399, "2016-12-31T23:59:59"),
                          (86400, "2016-12-31T23:59:60"), (86401, "2017-01-01T00:00:00")):
        found = time_from_mjd(57753, seconds + Fraction(1, 4))
        assert abs(elapsed(parse_time(text), found) - Fraction(1, 4)) <= NS
    # what a sum of day fractions would give, and by how much it is wrong there
    stretched = Time(57753, 43200 / 86400, format="mjd", scale="utc")
    assert abs(float(elapsed(time_from_mjd(57753, 43200), stretched))) == pytest.approx(0.5)
    with pytest.raises(UsageError, match="not a whole day"):
        time_from_mjd(57753.5)


def test_unix_times() -> None:
    assert iso(time_from_unix(1567105700)) == "2019-08-29T19:08:20.000000000"
    exact = time_from_unix(Fraction(15671057000001, 10000))
    assert abs(elapsed(parse_time("2019-08-29T19:08:20.0001"), exact)) <= NS
    assert iso(time_from_unix(1483228799)) == "2016-12-31T23:59:59.000000000"
    assert iso(time_from_unix(1483228800)) == "2017-01-01T00:00:00.000000000"


def test_rates_are_exact() -> None:
    assert parse_rate("200/3") == Fraction(200, 3) == parse_rate(format_rate(Fraction(200, 3)))
    assert parse_rate("0.1") == Fraction(1, 10) == parse_rate(0.1)
    assert parse_rate("1e9") == 10**9
    for bad in ("", "0", "-1", "x", "1/0", 0):
        with pytest.raises(UsageError):
            parse_rate(bad)


def test_texts_of_times() -> None:
    assert iso(parse_time("2021-03-04T05:06:07.123456789Z")) == "2021-03-04T05:06:07.123456789"
    for bad in ("", "now", "2021-13-01"):
        with pytest.raises(UsageError):
            parse_time(bad)


def times(mjd: float, form: str) -> Time:
    """A time near a day number, in one of the ways in which headers give them."""
    if form == "isot":
        return Time(Time(mjd, format="mjd").isot, scale="utc", precision=9)
    if form in ("tai", "tt"):
        return Time(int(mjd), mjd % 1, format="mjd", scale=form)
    return Time(Time(mjd, format="mjd"), format=form)


@settings(deadline=None)
@given(st.floats(37000, 70000), st.sampled_from(["isot", "mjd", "jd", "unix", "tai", "tt"]),
       st.integers(-10**9, 10**9), st.integers(0, 10**9))
def test_conversions_are_astropys_bit_for_bit(mjd: float, form: str, seconds: int, ns: int) -> None:
    delta = TimeDelta(float(seconds), ns / 1e9, format="sec", scale="tai")
    deltas = TimeDelta(np.full(3, float(seconds)), ns / np.arange(1e9, 4e9, 1e9), format="sec",
                       scale="tai")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of years without known leap seconds
        start = times(mjd, form)
        for step in (delta, deltas):
            found, expected = later(start, step), (start.tai + step).utc
            assert np.array_equal([found.jd1, found.jd2], [expected.jd1, expected.jd2])
            assert np.array_equal(found.value, expected.value)
            assert (found.format, found.scale, found.precision, found.out_subfmt) == (
                expected.format, expected.scale, expected.precision, expected.out_subfmt)
        stop = (start.tai + delta).utc
        first, second = start.tai, stop.tai
        days = (Fraction(float(second.jd1)) - Fraction(float(first.jd1))
                + Fraction(float(second.jd2)) - Fraction(float(first.jd2)))
        assert elapsed(start, stop) == 86400 * days


def test_leap_seconds_come_from_the_installed_table(tmp_path: Path) -> None:
    """One is added that ERFA does not know; neither astropy's tables nor the network are asked."""
    code = f"""
import socket, sys
def shut(*args, **options): raise OSError("the network was reached for")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = shut
import astropy_iers_data as data
table = open(data.IERS_LEAP_SECOND_FILE).read()
data.IERS_LEAP_SECOND_FILE = {str(tmp_path / "leap.dat")!r}
open(data.IERS_LEAP_SECOND_FILE, "w").write(table + "    69988.0    1  7 2050       38\\n")
from fastsig.axes.time import elapsed, time_from_mjd
lengths = {{day: round(elapsed(time_from_mjd(day), time_from_mjd(day + 1)))
           for day in range(69986, 69990)}}
assert lengths == {{69986: 86400, 69987: 86401, 69988: 86400, 69989: 86400}}, lengths
assert "astropy.utils.iers" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "ignore:.*dubious year", "-c", code], env=environment(),
                   check=True)


@pytest.mark.parametrize("time", [
    time_from_mjd(58682, Fraction("53595.363776316")), Time(58682.5, format="mjd"),
    Time("2019-07-18T14:53:15.25"), Time(np.datetime64("2019-07-18T14:53:15"), scale="utc"),
    Time(1.5e9, format="unix"), parse_time("2016-12-31T23:59:60.5")])
def test_times_of_headers_print_as_iso_text(time: Time) -> None:
    shown = Header(start_time=time, sample_rate=Fraction(1000)).start_time
    assert (shown.jd1, shown.jd2) == (time.jd1, time.jd2)
    assert str(shown) == iso(time) and len(str(shown).partition(".")[2]) == 9
    assert str(sample_time(shown, 7, Fraction(1000))) == iso(sample_time(time, 7, Fraction(1000)))
    assert as_iso(shown) is shown
