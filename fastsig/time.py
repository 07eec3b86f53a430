"""Exact sample clocks: an integer sample number, a rational rate, a two-part start time.

A sample's time is ``start + n / rate``, summed on the TAI scale, so leap seconds count as the
seconds they are and the result is right to well under a nanosecond after 1e12 samples.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from fractions import Fraction

import numpy as np
from astropy.time import Time, TimeDelta

from fastsig.errors import UsageError
from fastsig.units import fraction

__all__ = [
    "DUBIOUS_YEAR",
    "elapsed",
    "format_rate",
    "iso",
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
    return (start.tai + _delta(Fraction(int(n)) / rate)).utc


def sample_times(start: Time, numbers: Iterable[int], rate: Fraction) -> Time:
    """UTC times of many samples at once, as `sample_time` for each."""
    seconds = [Fraction(int(n)) / rate for n in numbers]
    whole = np.array([float(s.numerator // s.denominator) for s in seconds])
    part = np.array([float(s - (s.numerator // s.denominator)) for s in seconds])
    return (start.tai + TimeDelta(whole, part, format="sec", scale="tai")).utc


def elapsed(start: Time, stop: Time) -> Fraction:
    """Exact seconds (TAI) that the two-part values of two times differ by."""
    first, second = start.tai, stop.tai
    days = Fraction(second.jd1) - Fraction(first.jd1) + Fraction(second.jd2) - Fraction(first.jd2)
    return days * 86400


def time_from_mjd(day: int, seconds: Fraction | int | float = 0) -> Time:
    """UTC time from a day number and seconds of that day, for STT_IMJD and its like.

    The seconds are added on TAI: ``MJD + s / 86400`` would be wrong by up to a second on a day
    with a leap second, which astropy stretches over the whole day.
    """
    if int(day) != day:
        raise UsageError(f"day number {day!r} is not a whole day; give the rest as seconds")
    return (Time(int(day), format="mjd", scale="utc").tai + _delta(Fraction(seconds))).utc


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


def leap_seconds_known(time: Time) -> bool:
    """Whether it is known how far UTC is off TAI: from 1960 up to some years from now."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _ = Time(time.jd1, time.jd2, format="jd", scale=time.scale).tai  # not what `time` keeps
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
