r"""Phase as an exact polynomial of time, evaluated in two parts.

.. math:: \phi(t) = \sum_k c_k (t - t_0)^k

with t in SI seconds. The coefficients are fractions, moved exactly to the start of the requested
times; there the polynomial is evaluated in pairs of float64. The result is right to 1e-12 turn
after 1e11 turns; it is limited by the times, whose steps are 5 ps in an astropy `Time`.

References
----------
T. J. Dekker, Numer. Math. 18, 224 (1971): sums and products in two parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb, floor
from typing import Any

import numpy as np
from astropy.time import Time
from astropy.time.utils import two_product, two_sum
from numpy.typing import NDArray

from fastsig.axes.time import elapsed, time_from_mjd
from fastsig.errors import UsageError

__all__ = ["Instant", "PhasePolynomial", "evaluate", "moved", "slope"]

Array = NDArray[np.float64]
Turns = tuple[NDArray[np.int64], Array]

_FIRST_DAY = 51544  # days are counted in SI seconds from here


@dataclass(frozen=True, order=True)
class Instant:
    """An exact time: a UTC day number (MJD) and SI seconds since the start of that day.

    Parameters
    ----------
    day : int
    seconds : Fraction
        May reach into the following days, or be negative.
    """

    day: int
    seconds: Fraction = Fraction(0)

    @classmethod
    def of(cls, time: Time) -> Instant:
        """Return the exact value of the two parts of a time."""
        utc = time.utc
        days = Fraction(float(utc.jd1)) + Fraction(float(utc.jd2)) - Fraction(4800001, 2)
        day = floor(days)
        return cls(day, (days - day) * (midnight_s(day + 1) - midnight_s(day)))

    @property
    def time(self) -> Time:
        """The instant as an astropy `Time`, UTC, rounded to steps of 5 ps."""
        return time_from_mjd(self.day, self.seconds)

    def since(self, other: Instant) -> Fraction:
        """Return the SI seconds that have passed since another instant."""
        return (midnight_s(self.day) - midnight_s(other.day)) + self.seconds - other.seconds

    def later(self, seconds: Fraction) -> Instant:
        """Return the instant some SI seconds later."""
        return Instant(self.day, self.seconds + seconds)


@lru_cache(maxsize=1024)
def midnight_s(day: int) -> Fraction:
    """Return the SI seconds from the start of 2000-01-01 to that of a UTC day."""
    # Two-part times have steps of 5 ps; a difference of TAI - UTC has at most seven decimals.
    exact = elapsed(time_from_mjd(_FIRST_DAY), time_from_mjd(day))
    return Fraction(round(exact * 10**9), 10**9)


@dataclass(frozen=True)
class PhasePolynomial:
    """Phase in turns as a polynomial of the SI seconds since an epoch.

    Parameters
    ----------
    epoch : Instant
    coefficients : tuple of Fraction
        Turns per s^k, from k = 0 on.
    """

    epoch: Instant
    coefficients: tuple[Fraction, ...]

    def phase(self, start: Instant, seconds: Array) -> Turns:
        """Return whole turns and the fraction of a turn, some seconds after `start`."""
        return evaluate(moved(self.coefficients, start.since(self.epoch)), seconds)

    def frequency(self, start: Instant, seconds: Array) -> Array:
        """Return the frequency, Hz, some seconds after `start`."""
        return slope(moved(self.coefficients, start.since(self.epoch)), seconds)


@lru_cache(maxsize=128)
def moved(coefficients: tuple[Fraction, ...], by: Fraction) -> tuple[Fraction, ...]:
    """Return the coefficients of the same polynomial about another origin: p(x + by).

    Those of 15 terms take 1 ms to compute, and are requested repeatedly for the start of a stream.
    They are kept for the polynomials of about a day, because a session of several days has a start
    for each file.
    """
    powers = [Fraction(1)]
    for _ in coefficients:
        powers.append(powers[-1] * by)
    return tuple(sum((comb(j, k) * each * powers[j - k]
                      for j, each in enumerate(coefficients) if j >= k), Fraction(0))
                 for k in range(len(coefficients)))


def evaluate(coefficients: Sequence[Fraction], seconds: Any) -> Turns:
    """Evaluate a polynomial in two parts.

    Parameters
    ----------
    coefficients : sequence of Fraction
        Turns per s^k, from k = 0 on.
    seconds : array_like, float64
        Their values are exact.

    Returns
    -------
    turns : ndarray, int64
    fraction : ndarray, float64
        In [0, 1).

    Raises
    ------
    UsageError
        If a number of seconds is not finite.
    """
    x = np.asarray(seconds, np.float64)
    if not np.isfinite(x).all():
        raise UsageError("seconds after the start must be finite numbers")
    whole = floor(coefficients[0])
    high, low = np.zeros_like(x), np.zeros_like(x)
    for each in (*reversed(coefficients[1:]), coefficients[0] - whole):
        high, low = _times(high, low, x)
        high, low = _plus(high, low, each)
    return _split(whole, high, low)


def slope(coefficients: Sequence[Fraction], seconds: Any) -> Array:
    """Return the derivative of a polynomial, in float64.

    It is evaluated in two parts, because its terms nearly cancel far from the middle of a block of
    a polyco.
    """
    x = np.asarray(seconds, np.float64)
    high, low = np.zeros_like(x), np.zeros_like(x)
    for k in range(len(coefficients) - 1, 0, -1):
        high, low = _plus(*_times(high, low, x), k * coefficients[k])
    return np.asarray(high + low, np.float64)


def _times(high: Array, low: Array, x: Array) -> tuple[Array, Array]:
    product, rest = two_product(high, x)
    total, left = two_sum(product, rest + low * x)
    return total, left


def _plus(high: Array, low: Array, value: Fraction) -> tuple[Array, Array]:
    first = float(value)
    total, rest = two_sum(high, first)
    total, left = two_sum(total, rest + (low + float(value - Fraction(first))))
    return total, left


def _split(whole: int, high: Array, low: Array) -> Turns:
    """Separate whole turns from a fraction in [0, 1)."""
    turns = np.floor(high)
    part = (high - turns) + low
    more = np.floor(part)
    part = part - more
    over = part >= 1  # of a tiny negative number, its rest to the next turn is rounded to 1
    part = np.where(over, 0.0, part)
    return turns.astype(np.int64) + more.astype(np.int64) + over + whole, part
