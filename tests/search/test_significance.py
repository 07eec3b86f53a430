"""Significance of sums of Fourier powers."""

import numpy as np
import pytest
from scipy.stats import chi2

from fastsig.errors import UsageError
from fastsig.search.pulsars import significance as found


def test_published_values():
    powers = [found.power_of_sigma(6, n, 1e6) for n in (1, 2, 4, 8, 16, 32)]
    np.testing.assert_allclose(
        powers, [34.5523, 38.2215, 44.1950, 54.0983, 70.7803, 99.4017], atol=5e-5)
    sigmas = [float(found.sigma(*case)) for case in ((30, 1, 1), (50, 8, 1e5), (100, 16, 1e6))]
    np.testing.assert_allclose(sigmas, [7.3577, 5.7927, 9.1327], atol=5e-5)


def test_chance_is_that_of_chi_squared():
    power, n = np.linspace(0, 60, 13), np.array([[1], [3], [16]])
    np.testing.assert_allclose(np.exp(found.log_chance(power, n)), chi2.sf(2 * power, 2 * n),
                               rtol=1e-10)


@pytest.mark.parametrize("trials", [1, 37.5, 1e12])
@pytest.mark.parametrize("wanted", [-2, 0.5, 6, 300])
def test_powers_have_the_significance_they_are_made_for(trials, wanted):
    power = [found.power_of_sigma(wanted, n, trials) for n in (1, 5, 32)]
    np.testing.assert_allclose(found.sigma(power, [1, 5, 32], trials), wanted, atol=1e-7)


def test_chance_of_many_trials_is_at_most_one():
    assert np.exp(found.combined_log_chance(np.log(0.5), 3)) == pytest.approx(0.875)
    assert found.sigma(0.5, 1, 1e6) == -np.inf
    rare = found.combined_log_chance([-24.9, -25.1], 1.0)
    np.testing.assert_allclose(rare, [-24.9, -25.1], atol=1e-9)


@pytest.mark.parametrize("wrong", [lambda: found.log_chance(np.nan, 1),
                                   lambda: found.log_chance(-1.0, 1),
                                   lambda: found.log_chance(1.0, 0),
                                   lambda: found.sigma(1.0, 1, 0.5),
                                   lambda: found.power_of_sigma(np.nan, 1)])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(UsageError, match="allowed"):
        wrong()
