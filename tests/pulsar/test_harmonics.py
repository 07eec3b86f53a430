"""Fourier series of profiles: rotation, resampled series, significant harmonics."""

from __future__ import annotations

import numpy as np
import pytest
from pulses_made import gaussian

from fastsig.errors import UsageError
from fastsig.pulsar.chi2 import log_probability, sigma_of
from fastsig.pulsar.harmonics import harmonics, n_significant, rotate, series
from fastsig.pulsar.spin import Spin


@pytest.mark.parametrize("n_bin", [64, 65])
def test_rotation_by_whole_and_by_parts_of_bins(n_bin: int) -> None:
    pulse = gaussian(n_bin, 0.3, 0.05)
    np.testing.assert_allclose(rotate(pulse, 5 / n_bin), np.roll(pulse, 5), atol=1e-12)
    np.testing.assert_allclose(rotate(pulse, [0.123, -0.7]), gaussian(
        n_bin, np.array([0.423, -0.4]), 0.05), atol=1e-6)


@pytest.mark.parametrize("n_bin", [32, 33])
def test_series_of_harmonics_is_the_profile_without_its_mean(n_bin: int) -> None:
    pulse = 3 + gaussian(n_bin, 0.3, 0.05)
    found = series(harmonics(pulse), 4 * n_bin, n_bin)
    np.testing.assert_allclose(found[::4], pulse - pulse.mean(), atol=1e-5)
    moved = series(harmonics(pulse), 4 * n_bin, n_bin, first=0.1)
    np.testing.assert_allclose(moved + pulse.mean(), 3 + gaussian(4 * n_bin, 0.2, 0.05), atol=1e-5)


def test_significant_harmonics_are_those_of_the_pulse() -> None:
    rng = np.random.default_rng(0)
    phase = np.arange(256) / 256
    tone = 3 * np.cos(2 * np.pi * 5 * phase)
    found = [n_significant(tone + rng.normal(size=256), 1.0) for _ in range(50)]
    assert np.median(found) == 5


def test_chi2_probability_and_its_gaussian_equivalent() -> None:
    from scipy.stats import chi2, norm

    assert log_probability(100.0, 62) == pytest.approx(chi2.logsf(100, 62))
    assert log_probability(1e5, 126) < -4e4
    assert log_probability(0.0, 2) == 0
    assert sigma_of(norm.logsf(5.0)) == pytest.approx(5)
    assert sigma_of(np.log(1e-9), 1000) == pytest.approx(norm.isf(1e-6), rel=1e-3)
    assert sigma_of(np.log(0.1), 10**6) == 0
    # Powers for 6 sigma after a million trials, of the sum of 16 harmonics.
    assert sigma_of(log_probability(2 * 70.7803, 32), 10**6) == pytest.approx(6, abs=1e-3)
    with pytest.raises(UsageError, match="dof"):
        log_probability(3.0, 3)


def test_spin_at_another_time_has_its_frequency_and_error() -> None:
    spin = Spin(10.0, -1e-6, 100.0, 1e-7, 1e-9, 0.0)
    later = spin.at(1100.0)
    assert later.frequency_hz == pytest.approx(10 - 1e-3)
    assert later.frequency_error_hz == pytest.approx(np.hypot(1e-7, 1e-6))
    assert later.at(100.0).frequency_error_hz == pytest.approx(1e-7, rel=1e-6)
    assert spin.period_s == pytest.approx(0.1)
    assert spin.period_derivative == pytest.approx(1e-8)
    made = Spin.of_period(0.1, 1e-8)
    assert (made.frequency_hz, made.derivative_hz_s) == pytest.approx((10, -1e-6))
    with pytest.raises(UsageError, match="period_s"):
        Spin.of_period(0.0)
    with pytest.raises(UsageError, match="finite"):
        Spin.of_period(0.1, np.nan)


@pytest.mark.parametrize("values", [3.0, "a", [[1.0] * 4]])
def test_profiles_of_the_wrong_kind_are_refused(values: object) -> None:
    with pytest.raises(UsageError):
        rotate(values, 0.1)
