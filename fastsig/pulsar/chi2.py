"""Probabilities of chi^2 with an even number of degrees of freedom, and Gaussian equivalents."""

from __future__ import annotations

import numpy as np

from fastsig.errors import UsageError

__all__ = ["log_probability", "sigma_of"]


def log_probability(chi2: float, dof: int) -> float:
    """Return the natural logarithm of the probability that noise exceeds a value.

    For ``dof = 2 m``, the probability is ``exp(-chi2 / 2) sum_(k < m) (chi2 / 2)^k / k!``, summed
    in logarithms, so that it does not vanish for bright pulsars.

    Raises
    ------
    UsageError
        If `dof` is not even and above 0, or `chi2` is below 0.
    """
    from scipy.special import gammaln, logsumexp

    if dof < 2 or dof % 2 or not chi2 >= 0:
        raise UsageError(f"chi2 = {chi2}, dof = {dof}; allowed: from 0, and even numbers from 2")
    if chi2 == 0:
        return 0.0
    k = np.arange(dof // 2)
    return min(0.0, float(logsumexp(k * np.log(chi2 / 2) - gammaln(k + 1)) - chi2 / 2))


def sigma_of(log_p: float, n_trial: int = 1) -> float:
    """Return how many standard deviations of a Gaussian a probability corresponds to.

    The probability of at least one such value in independent trials, ``1 - (1 - p)^n``, is used;
    the result is 0 if it exceeds one half.

    Parameters
    ----------
    log_p : float
        Natural logarithm of the probability of a single trial.
    n_trial : int
        Number of trials.
    """
    from scipy.special import ndtri_exp

    expected = log_p + np.log(n_trial)
    if expected > -30:  # below, 1 - (1 - p)^n is n p
        expected = float(np.log(-np.expm1(n_trial * np.log1p(-np.exp(min(log_p, -1e-12))))))
    return max(0.0, -float(ndtri_exp(expected)))
