"""Widths of profiles: Gaussians with known widths, and coverage of the errors."""

from __future__ import annotations

import numpy as np
import pytest
from pulses_made import FWHM, gaussian, scaled

from fastsig.errors import UsageError
from fastsig.pulsar.widths import pulse_widths

OFF = np.abs((np.arange(128) / 128 - 0.5 + 0.5) % 1 - 0.5) > 0.15
SIGMA = 0.03
TRUTH = {"w50": FWHM * SIGMA, "w10": 2 * np.sqrt(2 * np.log(10)) * SIGMA,
         "equivalent": np.sqrt(2 * np.pi) * SIGMA}


def test_widths_of_a_gaussian_without_much_noise() -> None:
    profile = 5 + 1e4 * gaussian(128, 0.003, SIGMA) + np.random.default_rng(0).normal(size=128)
    found = pulse_widths(profile)
    for name, width in TRUTH.items():
        assert getattr(found, name).turns == pytest.approx(width, rel=1e-3), name
    assert found.peak_phase == pytest.approx(0.003, abs=1e-4)
    assert found.w50.first == pytest.approx((0.003 - TRUTH["w50"] / 2) % 1, abs=1e-4)
    assert found.w50.last == pytest.approx(0.003 + TRUTH["w50"] / 2, abs=1e-4)


@pytest.mark.parametrize(("snr", "names"), [(50.0, ["w50", "equivalent"]),
                                            (400.0, ["w50", "w10", "equivalent"])])
def test_errors_cover(snr: float, names: list[str]) -> None:
    rng = np.random.default_rng(7)
    pulse = scaled(gaussian(128, 0.5, SIGMA), snr)
    found = [pulse_widths(pulse + rng.normal(size=128), OFF) for _ in range(80)]
    for name in names:
        z = np.array([(getattr(each, name).turns - TRUTH[name]) / getattr(each, name).error
                      for each in found])
        assert abs(z.mean()) < 0.45, name
        assert z.std() == pytest.approx(1, abs=0.25), name
    peak = np.array([(each.peak - pulse.max()) / each.peak_error for each in found])
    assert abs(peak.mean()) < 0.45


def test_outermost_edges_count_for_a_double_pulse() -> None:
    double = gaussian(128, 0.4, 0.02) + 0.8 * gaussian(128, 0.55, 0.02)
    profile = 1e3 * double + np.random.default_rng(0).normal(size=128)
    half = FWHM * 0.02 / 2
    right = 0.55 + 0.02 * np.sqrt(2 * np.log(0.8 / 0.5))
    assert pulse_widths(profile).w50.turns == pytest.approx(right - 0.4 + half, rel=0.01)


def test_a_level_within_the_noise_has_no_width() -> None:
    profile = scaled(gaussian(128, 0.5, SIGMA), 20) + np.random.default_rng(3).normal(size=128)
    found = pulse_widths(profile)
    assert np.isnan(found.w10.turns) and np.isnan(found.w10.error)
    assert found.w50.turns == pytest.approx(TRUTH["w50"], abs=5 * found.w50.error)


@pytest.mark.parametrize(("profile", "n", "message"), [
    (np.where(np.arange(64) == 3, np.nan, np.arange(64.0)), None, "all bins"),
    (np.arange(64.0), 0, "n_harmonic"), (np.arange(64.0), 32, "n_harmonic")])
def test_bad_input_is_refused(profile: np.ndarray, n: int | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pulse_widths(profile, n_harmonic=n)
