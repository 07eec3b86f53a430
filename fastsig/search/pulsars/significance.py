"""Significance of sums of Fourier powers, and the powers that a significance requires.

Powers of noise have a mean of 1 and an exponential distribution, so the sum of n independent powers
exceeds S by chance with the probability ``Q(n, S) = exp(-S) sum_(k < n) S^k / k!``, which is the
probability that chi^2 with 2 n degrees of freedom exceeds 2 S. In N independent trials, at least
one sum does so with the probability ``1 - (1 - Q)^N``. The significance is the deviation, in
standard deviations, that one Gaussian value exceeds with that probability. Everything is computed
with logarithms, so that no power is too large.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError

__all__ = ["combined_log_chance", "log_chance", "log_chance_of_sigma", "power_of_sigma", "sigma",
           "sigma_of_log_chance"]

F8 = NDArray[np.float64]

#: Below this chance (logarithm), that of N trials is N times that of one.
_RARE = -25.0
_STEPS = 60  # of Newton's method, which needs about 6


def log_chance(power: Any, n: Any) -> F8:
    """Return the logarithm of the chance that a sum of `n` powers of noise exceeds `power`.

    Parameters
    ----------
    power : array of float
        Sums of powers with a mean of 1.
    n : array of int
        Numbers of powers in each sum, 1 or more; broadcast with `power`.

    Raises
    ------
    UsageError
        If a power is negative or not a number, or a number of powers is below 1.
    """
    s, count = np.broadcast_arrays(np.asarray(power, np.float64), np.asarray(n, np.int64))
    if not (s >= 0).all():
        raise UsageError("power: negative or not a number; allowed: 0 or more")
    if not (count >= 1).all():
        raise UsageError("n: below 1; allowed: 1 or more powers in a sum")
    found = np.empty(s.shape)
    for each in np.unique(count):
        found[count == each] = _log_upper(s[count == each], int(each))
    return found


def _log_upper(s: F8, n: int) -> F8:
    """Return ``ln Q(n, s)`` for one whole n."""
    from scipy.special import gammaln, logsumexp, xlogy

    k = np.arange(n)
    terms = xlogy(k, s[:, np.newaxis]) - gammaln(k + 1)
    return np.minimum(np.asarray(logsumexp(terms, axis=1) - s, np.float64), 0.0)


def combined_log_chance(chance: Any, trials: float) -> F8:
    """Return the logarithm of the chance in any of `trials`, given that in one trial.

    Parameters
    ----------
    chance : array of float
        Logarithm of the chance in one trial.
    trials : float
        Number of independent trials, 1 or more.

    Raises
    ------
    UsageError
        If `trials` is below 1.
    """
    _check_trials(trials)
    one = np.asarray(chance, np.float64)
    with np.errstate(divide="ignore", under="ignore"):
        exact = np.log(-np.expm1(trials * np.log1p(-np.exp(one))))
    return np.where(one + np.log(trials) < _RARE, one + np.log(trials), exact)


def sigma_of_log_chance(chance: Any) -> F8:
    """Return the deviation that one Gaussian value exceeds with a chance of given logarithm."""
    from scipy.special import ndtri_exp

    return np.asarray(-ndtri_exp(np.asarray(chance, np.float64)), np.float64)


def log_chance_of_sigma(sigma: float) -> float:
    """Return the logarithm of the chance that one Gaussian value exceeds `sigma`."""
    from scipy.special import log_ndtr

    return float(log_ndtr(-sigma))


def sigma(power: Any, n: Any, trials: float = 1.0) -> F8:
    """Return the significance of sums of powers, in standard deviations.

    Parameters
    ----------
    power, n
        As for `log_chance`.
    trials : float
        Number of independent trials.

    Raises
    ------
    UsageError
        As for `log_chance` and `combined_log_chance`.
    """
    return sigma_of_log_chance(combined_log_chance(log_chance(power, n), trials))


def power_of_sigma(sigma: float, n: int, trials: float = 1.0) -> float:
    """Return the sum of `n` powers whose significance after `trials` trials is `sigma`.

    Raises
    ------
    UsageError
        If the significance is not a number from -5 to 1000, or as for `log_chance`.
    """
    if not -5 <= sigma <= 1000:
        raise UsageError(f"sigma = {sigma}; allowed: -5 to 1000")
    _check_trials(trials)
    chance = log_chance_of_sigma(sigma)
    # The chance in one trial, 1 - (1 - p)^(1 / N).
    one = chance - np.log(trials) if chance < _RARE else np.log(
        -np.expm1(np.log1p(-np.exp(chance)) / trials))
    return _power_of(float(one), n)


def _power_of(chance: float, n: int) -> float:
    """Solve ``ln Q(n, S) = chance`` by Newton's method.

    The logarithm is concave and decreases, so from a power that is too large the method approaches
    the solution from one side.
    """
    from scipy.special import gammaln

    s = n - chance + np.sqrt(2 * n * max(-chance, 0.0)) + 1.0
    for _ in range(_STEPS):
        q = float(log_chance(s, n))
        slope = -np.exp((n - 1) * np.log(s) - s - gammaln(n) - q)
        step = (q - chance) / slope
        s = max(s - step, s / 10)
        if abs(step) <= 1e-12 * s:
            break
    return float(s)


def _check_trials(trials: float) -> None:
    if not trials >= 1:
        raise UsageError(f"trials = {trials}; allowed: 1 or more")
