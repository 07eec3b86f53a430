"""Template matching: against a likelihood in the time domain, and coverage of the errors."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pulses_made import assert_calibrated, gaussian, pulls, scaled

from fastsig.errors import UsageError
from fastsig.pulsar.arrival import Shifts, match_template
from fastsig.pulsar.harmonics import rotate

F8 = NDArray[np.float64]


def _simulated(n: int, snr: float, n_bin: int = 64, sigma: float = 0.05, seed: int = 1
               ) -> tuple[F8, F8, F8]:
    """Profiles, their shifts, and the template."""
    rng = np.random.default_rng(seed)
    shift = rng.uniform(-0.5, 0.5, n)
    profiles = scaled(gaussian(n_bin, 0.3 + shift, sigma), snr) + rng.normal(size=(n, n_bin))
    return profiles + 7, shift, gaussian(n_bin, 0.3, sigma)


def _off(found: Shifts, truth: F8) -> F8:
    return (found.shift - truth + 0.5) % 1 - 0.5


def _slow(profile: F8, template: F8, shifts: F8) -> F8:
    """Probability of shifts: least squares in the time domain, b > 0 and sigma integrated."""
    from scipy.stats import t as student

    n = profile.size
    nu = 2 * ((n - 1) // 2) - 1
    values = rotate(profile, 0.0)
    # The harmonic n / 2 is not used by either.
    spectrum = np.fft.rfft(values)
    spectrum[[0, -1]] = 0
    values = np.fft.irfft(spectrum)
    model = rotate(template - template.mean(), shifts)
    norm = (model**2).sum(axis=1)
    scale = model @ values / norm
    rest = ((values - scale[:, np.newaxis] * model) ** 2).sum(axis=1)
    log = -nu / 2 * np.log(rest / rest.min())
    found = np.exp(log) * student.cdf(scale * np.sqrt(norm / (rest / nu)), nu)
    return found / found.sum()


@pytest.mark.parametrize("snr", [3.0, 6.0, 15.0])
def test_errors_are_those_of_the_probability_of_every_shift(snr: float) -> None:
    profiles, _, template = _simulated(3, snr, seed=4)
    found = match_template(profiles, template)
    offsets = np.linspace(-0.5, 0.5, 4001)
    for profile, shift, error, error68 in zip(
            profiles, found.shift, found.error, found.error68, strict=True):
        p = _slow(profile, template, shift + offsets)
        assert p.argmax() == pytest.approx(2000, abs=1)
        assert error == pytest.approx(np.sqrt((p * offsets**2).sum()), rel=0.01)
        inside = np.abs(offsets)[:, np.newaxis] <= error68 * np.array([0.97, 1.03])
        low, high = (p[:, np.newaxis] * inside).sum(axis=0)
        assert low < 0.6827 < high


@pytest.mark.parametrize("snr", [10.0, 30.0, 1000.0])
def test_thousand_toas_have_a_reduced_chi2_of_1_and_cover_68_per_cent(snr: float) -> None:
    profiles, truth, template = _simulated(1000, snr)
    found = match_template(profiles, template)
    z = _off(found, truth) / found.error
    assert abs((z**2).mean() - 1) < 3 * np.sqrt(2 / 1000)
    assert_calibrated(z)
    assert found.reliable.all()
    assert found.snr.mean() == pytest.approx(snr, rel=0.03)
    assert found.sigma.mean() == pytest.approx(1, abs=0.02)


def test_at_a_low_snr_the_error_by_curvature_is_too_small_and_this_one_is_not() -> None:
    profiles, truth, template = _simulated(2000, 4.5, 64, 0.04)
    found = match_template(profiles, template)
    off = _off(found, truth)
    assert (off**2 / found.error_curvature**2).mean() > 1.3
    assert (off**2 / found.error**2).mean() < 1.1
    covered = (np.abs(off) < found.error68).mean()
    assert 0.65 < covered < 0.74
    assert 0.1 < (~found.reliable).mean() < 0.9


def test_noise_alone_has_errors_of_a_large_part_of_a_turn() -> None:
    rng = np.random.default_rng(2)
    found = match_template(rng.normal(size=(200, 64)), gaussian(64, 0.5, 0.05))
    assert found.error.mean() > 0.2
    assert found.error68.max() <= 0.5
    assert found.reliable.mean() < 0.05


def test_shift_is_exact_without_noise_and_scale_too() -> None:
    template = gaussian(128, 0.2, 0.04) + 0.3 * gaussian(128, 0.5, 0.02)
    shifts = np.array([[0.0, 0.25], [-0.4999, 0.1234567]])
    found = match_template(5 + 3 * rotate(template, shifts) + 1e-6 * gaussian(128, 0.9, 0.1),
                           template)
    assert found.shift.shape == (2, 2)
    np.testing.assert_allclose(found.shift, shifts, atol=1e-6)
    np.testing.assert_allclose(found.scale, 3, rtol=1e-6)


def test_scale_has_the_right_error() -> None:
    profiles, _, template = _simulated(1000, 20)
    found = match_template(profiles, template)
    moved = template - template.mean()
    z = pulls(found.scale, 20 / np.sqrt((moved**2).sum()), found.scale_error)
    assert z.std() == pytest.approx(1, abs=0.08)


def test_profiles_without_data_in_all_bins_have_no_shift() -> None:
    profiles, _, template = _simulated(3, 20)
    profiles[1, 5] = np.nan
    profiles[2] = 4
    found = match_template(profiles, template)
    assert np.isfinite(found.shift).tolist() == [True, False, False]
    assert np.isnan(found.error[1:]).all()
    assert not found.reliable[1]


def test_results_do_not_depend_on_the_number_of_profiles() -> None:
    profiles, _, template = _simulated(300, 12)
    whole, part = match_template(profiles, template), match_template(profiles[200:210], template)
    np.testing.assert_array_equal(whole.shift[200:210], part.shift)
    np.testing.assert_allclose(whole.error[200:210], part.error, rtol=1e-12)


@pytest.mark.parametrize("template", [np.ones(64), np.full(64, np.nan), np.ones((2, 64)),
                                      gaussian(32, 0.5, 0.1), gaussian(4, 0.5, 0.1)])
def test_unusable_templates_are_refused(template: F8) -> None:
    with pytest.raises(UsageError, match="template"):
        match_template(_simulated(2, 10)[0], template)
