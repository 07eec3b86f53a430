"""Distribution of the third moment of powers of noise, divided by the cube of their mean.

Values with a gamma distribution, divided by their sum, have a Dirichlet distribution, so that the
moments of every polynomial of them are known exactly (Lukacs 1955).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache

__all__ = ["skewness_moments", "skewness_threshold"]

_DIGITS = 10**6  # the shape is rounded, so that moments are exact fractions of moderate size


def skewness_moments(n: int, shape: float) -> tuple[float, float, float, float]:
    """Return the mean, variance, skewness and excess kurtosis of the third moment of noise.

    The third moment of `n` powers is ``g = mean of (x / mean(x) - 1)^3``; for many powers its mean
    is ``2 / k^2``.

    Parameters
    ----------
    n : int
        Number of powers.
    shape : float
        Shape k of the gamma distribution of the powers.
    """
    k = Fraction(round(shape * _DIGITS), _DIGITS)
    raw = [_raw(n, k, order) for order in range(5)]
    mean = raw[1]
    second = raw[2] - mean**2
    third = raw[3] - 3 * mean * raw[2] + 2 * mean**3
    fourth = raw[4] - 4 * mean * raw[3] + 6 * mean**2 * raw[2] - 3 * mean**4
    spread = float(second) ** 0.5
    return (float(mean), float(second), float(third) / spread**3,
            float(fourth / second**2) - 3)


def skewness_threshold(n: int, shape: float, sigma: float) -> float:
    """Return the threshold that the third moment of noise exceeds as a Gaussian exceeds `sigma`.

    It is that of a shifted log-normal distribution with the same mean, variance and skewness. Its
    excess kurtosis is within a quarter of the true one, and at 1e-3 the probability is that of
    noise within a third; the lower tail is not as well described.
    """
    mean, variance, skew, _ = skewness_moments(n, shape)
    spread = _log_spread(skew)
    unit = math.sqrt(variance / math.expm1(spread**2))
    return mean + unit * math.expm1(sigma * spread - spread**2 / 2)


def _log_spread(skew: float) -> float:
    """Return the standard deviation of the logarithm of a log-normal variable, from its skewness.

    The skewness is ``(w + 2) sqrt(w - 1)``, where w is the exponential of the variance.
    """
    root = math.pow((math.sqrt(skew**2 + 4) + skew) / 2, 2 / 3)
    w = root + 1 / root - 1
    return math.sqrt(math.log(w))


def _raw(n: int, k: Fraction, order: int) -> Fraction:
    """Return the expected value of a power of ``n^2 P3 - 3 n P2 + 2``, P being sums of powers."""
    total = Fraction(0)
    for third in range(order + 1):
        for second in range(order + 1 - third):
            ways = math.comb(order, third) * math.comb(order - third, second)
            factor = ways * Fraction(n) ** (2 * third + second) * (-3) ** second
            factor *= 2 ** (order - third - second)
            total += factor * _joint(n, k, (3,) * third + (2,) * second)
    return total


@lru_cache(maxsize=256)
def _joint(n: int, k: Fraction, powers: tuple[int, ...]) -> Fraction:
    """Return the expected value of the product of the sums of powers of `n` Dirichlet variables."""
    total = Fraction(0)
    for blocks in _partitions(powers):
        term = Fraction(1)
        for number, exponent in enumerate(blocks):
            term *= (n - number) * _rising(k, exponent)
        total += term
    return total / _rising(n * k, sum(powers))


def _partitions(powers: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the sums within the blocks of every partition of a set of powers."""
    if not powers:
        yield ()
        return
    first, rest = powers[0], powers[1:]
    for blocks in _partitions(rest):
        yield (first, *blocks)
        for number in range(len(blocks)):
            yield (*blocks[:number], blocks[number] + first, *blocks[number + 1:])


def _rising(x: Fraction, n: int) -> Fraction:
    """Return ``x (x + 1) ... (x + n - 1)``."""
    made = Fraction(1)
    for step in range(n):
        made *= x + step
    return made
