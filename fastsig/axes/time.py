"""Exact sample clocks: an integer sample number, a rational rate, a two-part start time.

A sample's time is ``start + n / rate``, summed on the TAI scale, so leap seconds count as the
seconds they are and the result is right to well under a nanosecond after 1e12 samples.

UTC and TAI are converted by ERFA, as astropy does, bit for bit, but with the leap seconds that are
installed: before its first conversion astropy loads its tables, 0.2 s of work, and asks the network
for newer leap seconds where the installed ones expire in a few months.
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


#: What ERFA warns of with every conversion of a time whose leap seconds it does not know.
DUBIOUS_YEAR = ".*dubious year"

_FASTEST = 10**18
_NOISE_S = Fraction(2, 10**11)


def _delta(seconds: Fraction) -> TimeDelta:
    """Two-part TimeDelta of an exact number of seconds."""
    whole = seconds.numerator // seconds.denominator
    return TimeDelta(float(whole), float(seconds - whole), format="sec", scale="tai")


@cache
def _take_leap_seconds() -> None:
    """Give ERFA the leap seconds that are installed; it knows those of the day it was built."""
    from astropy_iers_data import IERS_LEAP_SECOND_FILE

    columns = [("month", "i4"), ("year", "i4"), ("tai_utc", "f8")]
    erfa.leap_seconds.update(np.loadtxt(IERS_LEAP_SECOND_FILE, columns, usecols=(2, 3, 4)))


def _tai(time: Time) -> tuple[Any, Any]:
    """The two parts of a time's TAI day number: those of ``time.tai``."""
    if time.scale != "utc":
        return time.tai.jd1, time.tai.jd2
    _take_leap_seconds()
    first, second = day_frac(*erfa.utctai(time.jd1, time.jd2))
    return first, second


def later(start: Time, delta: TimeDelta) -> Time:
    """The UTC time that is a difference after another: ``(start.tai + delta).utc``."""
    first, second = _tai(start)
    first, second = day_frac(first + delta.jd1, second + delta.jd2)
    found = Time(*erfa.taiutc(first, second), format="jd", scale="utc",
                 precision=start.precision, location=start.location)
    found.format = start.format
    found.out_subfmt = start.out_subfmt
    return found


def sample_time(start: Time, n: int, rate: Fraction) -> Time:
    """UTC time of sample `n` of a stream: ``start + n / rate``.

    Parameters
    ----------
    start : Time
        Time of sample 0.
    n : int
        Sample number; may be negative.
    rate : Fraction
        Samples a second, Hz.
    """
    return later(start, _delta(Fraction(int(n)) / rate))


def sample_times(start: Time, numbers: Iterable[int], rate: Fraction) -> Time:
    """UTC times of many samples at once, as `sample_time` for each."""
    counts = np.asarray(numbers if isinstance(numbers, (range, np.ndarray)) else list(numbers))
    most = max((abs(int(n)) for n in (counts.min(), counts.max())), default=0) if counts.size else 0
    # Within these bounds integers are exact, and so is the rounding of their quotient.
    exact = most * rate.denominator < 2**63 and rate.numerator < 2**53
    turns = counts.astype(np.int64 if exact else object) * rate.denominator
    whole, rest = turns // rate.numerator, turns % rate.numerator
    part = (rest / rate.numerator).astype(np.float64)
    return later(start, TimeDelta(whole.astype(np.float64), part, format="sec", scale="tai"))


def elapsed(start: Time, stop: Time) -> Fraction:
    """Exact seconds (TAI) that the two-part values of two times differ by."""
    first, second = _tai(start), _tai(stop)
    days = Fraction(second[0]) - Fraction(first[0]) + Fraction(second[1]) - Fraction(first[1])
    return days * 86400


def time_from_mjd(day: int, seconds: Fraction | int | float = 0) -> Time:
    """UTC time from a day number and seconds of that day, for STT_IMJD and its like.

    The seconds are added on TAI: ``MJD + s / 86400`` would be wrong by up to a second on a day
    with a leap second, which astropy stretches over the whole day.
    """
    if int(day) != day:
        raise UsageError(f"day number {day!r} is not a whole day; give the rest as seconds")
    start = as_iso(Time(int(day), format="mjd", scale="utc"))
    return later(start, _delta(Fraction(seconds)))


def mjd_and_seconds(time: Time) -> tuple[int, Fraction]:
    """UTC day number and seconds of that day: what `time_from_mjd` takes.

    A two-part time has steps of 5 ps: they are whole nanoseconds where these are within 20 ps, else
    in steps of 10 ps.
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
    raise UsageError(f"{time!r} is no time of day")


def time_from_unix(seconds: Fraction | int) -> Time:
    """UTC time of a POSIX time stamp, which counts 86400 s in every day."""
    seconds = Fraction(seconds)
    day = seconds.numerator // (seconds.denominator * 86400)
    return time_from_mjd(40587 + day, seconds - day * 86400)


def parse_time(text: str) -> Time:
    """UTC time from ISO text such as ``2021-03-04T05:06:07.123456789``; a final Z is allowed."""
    try:
        return Time(text.strip().removesuffix("Z"), scale="utc", precision=9)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a UTC time such as 2021-03-04T05:06:07.5") from error


def iso(time: Time) -> str:
    """ISO text of a time, UTC, with nine decimals."""
    utc = time.utc.copy()
    utc.precision = 9
    return str(utc.isot)


def as_iso(time: Time) -> Time:
    """The same time, which prints as ISO text with nine decimals."""
    if time.format == "isot" and time.precision == 9:
        return time
    shown = Time(time, format="isot", copy=True)
    shown.precision = 9
    return shown


def leap_seconds_known(time: Time) -> bool:
    """Whether it is known how far UTC is off TAI: from 1960 up to some years from now."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _tai(Time(time.jd1, time.jd2, format="jd", scale=time.scale))  # not what `time` keeps
    return not any(re.match(DUBIOUS_YEAR, str(each.message), re.DOTALL) for each in caught)


def parse_rate(value: str | int | float | Fraction) -> Fraction:
    """Exact rate from a number, its decimal text or ``numerator/denominator`` text, in Hz."""
    try:
        rate = fraction(str(value) if isinstance(value, float) else value)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UsageError(f"{value!r} is not a rate in Hz such as 1e9 or 200/3") from error
    if not 0 < rate < _FASTEST:
        raise UsageError(f"a rate must be above 0 and below {_FASTEST:.0e} Hz, not {value!r}")
    return rate


def format_rate(rate: Fraction) -> str:
    """Text that `parse_rate` reads back exactly."""
    return str(rate)
