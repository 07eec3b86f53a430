"""Exact clocks: leap seconds, long streams, day numbers with seconds of day."""

from __future__ import annotations

from fractions import Fraction

import pytest
from astropy.time import Time

from fastsig.errors import UsageError
from fastsig.time import (
    elapsed,
    format_rate,
    iso,
    parse_rate,
    parse_time,
    sample_time,
    sample_times,
    time_from_mjd,
    time_from_unix,
)

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
