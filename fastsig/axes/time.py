"""Exact sample clocks: an integer sample number, a rational rate, a two-part start time.

The time of a sample is ``start + n / rate``, added on the TAI scale, so that leap seconds are
counted and the result is correct to well under a nanosecond after 1e12 samples.

ERFA converts between UTC and TAI here, with the installed leap seconds; the results have the same
bits as those of astropy. Before its first conversion, astropy itself loads its tables, which takes
0.2 s, and downloads newer leap seconds if the installed ones expire within a few months.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from typing import Any

import erfa
import numpy as np
from astropy.time import Time, TimeDelta
from astropy.time.utils import day_frac

from fastsig.axes.units import fraction
from fastsig.errors import UsageError

__all__ = [
    "DUBIOUS_YEAR",
    "as_iso",
    "day_and_seconds",
    "elapsed",
    "format_rate",
    "iso",
    "later",
    "leap_seconds_known",
    "mjd_and_seconds",
    "parse_rate",
    "parse_time",
    "sample_time",
    "sample_times",
    "time_from_mjd",
    "time_from_unix",
]


#: The warning that ERFA gives for every conversion of a time with unknown leap seconds.
DUBIOUS_YEAR = ".*dubious year"

_FASTEST = 10**18
_NOISE_S = Fraction(2, 10**11)


def _delta(seconds: Fraction) -> TimeDelta:
    """Return an exact number of seconds as a two-part TimeDelta."""
    whole = seconds.numerator // seconds.denominator
    return TimeDelta(float(whole), float(seconds - whole), format="sec", scale="tai")


@cache
def _take_leap_seconds() -> None:
    """Pass the installed leap seconds to ERFA, which only knows those of the day it was built."""
    from astropy_iers_data import IERS_LEAP_SECOND_FILE

    columns = [("month", "i4"), ("year", "i4"), ("tai_utc", "f8")]
    erfa.leap_seconds.update(np.loadtxt(IERS_LEAP_SECOND_FILE, columns, usecols=(2, 3, 4)))


def _tai(time: Time) -> tuple[Any, Any]:
    """Return the two parts of the TAI day number of a time, as in ``time.tai``."""
    if time.scale != "utc":
        return time.tai.jd1, time.tai.jd2
    _take_leap_seconds()
    first, second = day_frac(*erfa.utctai(time.jd1, time.jd2))
    return first, second


def later(start: Time, delta: TimeDelta) -> Time:
    """Return the UTC time `delta` after `start`: ``(start.tai + delta).utc``."""
    first, second = _tai(start)
    first, second = day_frac(first + delta.jd1, second + delta.jd2)
    found = Time(*erfa.taiutc(first, second), format="jd", scale="utc",
                 precision=start.precision, location=start.location)
    found.format = start.format
    found.out_subfmt = start.out_subfmt
    return found


def sample_time(start: Time, n: int, rate: Fraction) -> Time:
    """Return the UTC time of sample `n` of a stream: ``start + n / rate``.

    Parameters
    ----------
    start : Time
        Time of sample 0.
    n : int
        Sample number; may be negative.
    rate : Fraction
        Samples per second, Hz.
    """
    return later(start, _delta(Fraction(int(n)) / rate))


def sample_times(start: Time, numbers: Iterable[int], rate: Fraction) -> Time:
    """Return the UTC times of many samples at once, as `sample_time` does for one."""
    counts = np.asarray(numbers if isinstance(numbers, (range, np.ndarray)) else list(numbers))
    most = max((abs(int(n)) for n in (counts.min(), counts.max())), default=0) if counts.size else 0
    # Within these bounds the integers are exact, and their quotient is rounded correctly.
    exact = most * rate.denominator < 2**63 and rate.numerator < 2**53
    turns = counts.astype(np.int64 if exact else object) * rate.denominator
    whole, rest = turns // rate.numerator, turns % rate.numerator
    part = (rest / rate.numerator).astype(np.float64)
    return later(start, TimeDelta(whole.astype(np.float64), part, format="sec", scale="tai"))


def elapsed(start: Time, stop: Time) -> Fraction:
    """Return the exact difference of the two-part values of two times, in seconds (TAI)."""
    first, second = _tai(start), _tai(stop)
    days = Fraction(second[0]) - Fraction(first[0]) + Fraction(second[1]) - Fraction(first[1])
    return days * 86400


def time_from_mjd(day: int, seconds: Fraction | int | float = 0) -> Time:
    """Return the UTC time of a day number and the seconds of that day, as in STT_IMJD.

    The seconds are added on the TAI scale: ``MJD + s / 86400`` would be wrong by up to a second on
    a day with a leap second, which astropy stretches over the whole day.
    """
    if int(day) != day:
        raise UsageError(f"day number {day!r} is not a whole day; give the rest as seconds")
    start = as_iso(Time(int(day), format="mjd", scale="utc"))
    return later(start, _delta(Fraction(seconds)))


def mjd_and_seconds(time: Time) -> tuple[int, Fraction]:
    """Return the UTC day number and the seconds of that day, as `time_from_mjd` accepts them.

    A two-part time has steps of 5 ps. The seconds are a whole number of nanoseconds if one is
    within 20 ps of them, and otherwise a multiple of 10 ps.
    """
    utc = time.utc
    day = int(np.floor(utc.mjd))
    for first in (day, day - 1, day + 1):  # a float day number may be rounded over midnight
        exact = elapsed(time_from_mjd(first), utc)
        seconds = Fraction(round(exact * 10**9), 10**9)
        if abs(seconds - exact) > _NOISE_S:
            seconds = Fraction(round(exact * 10**11), 10**11)
        length = elapsed(time_from_mjd(first), time_from_mjd(first + 1))
        if 0 <= seconds < round(length):
            return first, seconds
    raise UsageError(f"{time!r} is not a time of day")


def day_and_seconds(day: int, seconds: Fraction) -> tuple[int, Fraction]:
    """Return the UTC day number and the seconds of that day, given seconds outside `day`.

    A day with a leap second lasts 86401 s.
    """
    while seconds < 0:
        day -= 1
        seconds += _day_length_s(day)
    while seconds >= (length := _day_length_s(day)):
        day, seconds = day + 1, seconds - length
    return day, seconds


@cache
def _day_length_s(day: int) -> int:
    return round(elapsed(time_from_mjd(day), time_from_mjd(day + 1)))


def time_from_unix(seconds: Fraction | int) -> Time:
    """Return the UTC time of a POSIX time stamp, which counts 86400 s in every day."""
    seconds = Fraction(seconds)
    day = seconds.numerator // (seconds.denominator * 86400)
    return time_from_mjd(40587 + day, seconds - day * 86400)


def parse_time(text: str) -> Time:
    """Read a UTC time from text such as ``2021-03-04T05:06:07.123456789``; a Z may follow."""
    try:
        return Time(text.strip().removesuffix("Z"), scale="utc", precision=9)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a UTC time such as 2021-03-04T05:06:07.5") from error


def iso(time: Time) -> str:
    """Format a time as ISO text, UTC, with nine decimal places."""
    utc = time.utc.copy()
    utc.precision = 9
    return str(utc.isot)


def as_iso(time: Time) -> Time:
    """Return the same time in a format that prints as ISO text with nine decimal places."""
    if time.format == "isot" and time.precision == 9:
        return time
    shown = Time(time, format="isot", copy=True)
    shown.precision = 9
    return shown


def leap_seconds_known(time: Time) -> bool:
    """Return whether TAI - UTC is known at a time: from 1960 until a few years from now."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _tai(Time(time.jd1, time.jd2, format="jd", scale=time.scale))  # not values cached in `time`
    return not any(re.match(DUBIOUS_YEAR, str(each.message), re.DOTALL) for each in caught)


def parse_rate(value: str | int | float | Fraction) -> Fraction:
    """Return the exact rate, Hz, given by a number, decimal text or ``numerator/denominator``."""
    try:
        rate = fraction(str(value) if isinstance(value, float) else value)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UsageError(f"{value!r} is not a rate in Hz such as 1e9 or 200/3") from error
    if not 0 < rate < _FASTEST:
        raise UsageError(f"a rate must be above 0 and below {_FASTEST:.0e} Hz, not {value!r}")
    return rate


def format_rate(rate: Fraction) -> str:
    """Format a rate as text from which `parse_rate` recovers it exactly."""
    return str(rate)
