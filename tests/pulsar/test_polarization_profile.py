"""Linear polarisation without bias, and position angles whose errors cover at a low S/N."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pulses_made import gaussian

from fastsig.errors import UsageError
from fastsig.pulsar.polarization_profile import (
    debiased,
    pa_error,
    polarization_profile,
    to_sky,
)

F8 = NDArray[np.float64]
OFF = np.abs((np.arange(128) / 128 - 0.5 + 0.5) % 1 - 0.5) > 0.2


def _iquv(seed: int = 0, noise: float = 1.0) -> F8:
    """A pulse with 50 per cent of linear and -20 per cent of circular polarisation, PA 40 deg."""
    pulse = 200 * gaussian(128, 0.5, 0.03)
    turn = np.exp(2j * np.radians(40))
    parts = np.array([1, 0.5 * turn.real, 0.5 * turn.imag, -0.2])
    return parts[:, np.newaxis] * pulse + np.array([90, 3, -2, 1])[:, np.newaxis] + (
        noise * np.random.default_rng(seed).normal(size=(4, 128)))


def _measured(p: float, n: int = 50000) -> tuple[F8, F8]:
    """Measured L and PA, rad, for a true L of p sigma at an angle of 0."""
    rng = np.random.default_rng(1)
    z = p + rng.normal(size=n) + 1j * rng.normal(size=n)
    return np.abs(z), np.angle(z) / 2


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 5.0, 10.0, 40.0])
def test_error_for_a_known_ratio_covers_68_per_cent(p: float) -> None:
    _, angle = _measured(p)
    assert (np.abs(angle) < pa_error(p)).mean() == pytest.approx(0.6827, abs=0.01)


@pytest.mark.parametrize(("p", "at_most"), [(1.0, 0.05), (2.0, 0.07), (3.0, 0.05), (5.0, 0.02)])
def test_error_for_the_estimated_ratio_covers_nearly_as_much(p: float, at_most: float) -> None:
    linear, angle = _measured(p)
    covered = (np.abs(angle) < pa_error(debiased(linear, 1.0))).mean()
    assert -0.02 < covered - 0.6827 < at_most
    if p < 3:  # half of the inverse ratio, as for a high S/N, covers less
        assert (np.abs(angle) < 0.5 / linear).mean() < 0.66


def test_error_tends_to_half_of_the_inverse_and_is_61_degrees_without_signal() -> None:
    assert np.degrees(pa_error(0.0)) == pytest.approx(0.6827 * 90, abs=0.01)
    np.testing.assert_allclose(pa_error([15.0, 19.999, 20.001, 1e3]),
                               0.5 / np.array([15.0, 19.999, 20.001, 1e3]), rtol=3e-3)


def test_probability_is_that_of_the_paper() -> None:
    from scipy.special import erf

    angle, p = np.linspace(0, np.pi / 2, 20001), 1.7
    e = p * np.cos(2 * angle) / np.sqrt(2)
    density = np.exp(-p**2 / 2) * (1 / np.sqrt(np.pi) + e * np.exp(e**2) * (1 + erf(e))) / (
        np.sqrt(np.pi))
    inside = 2 * np.trapezoid(np.where(angle <= pa_error(p), density, 0), angle)
    assert inside == pytest.approx(0.6827, abs=1e-3)


def test_linear_polarisation_is_unbiased() -> None:
    for p, most in ((2.0, 0.2), (4.0, 0.02), (10.0, 0.02)):
        linear = _measured(p)[0]
        assert abs(debiased(linear, 1.0).mean() - p) < most
        assert linear.mean() - p > abs(debiased(linear, 1.0).mean() - p)
    assert debiased([1.56, 1.58], 1.0) == pytest.approx([0, np.sqrt(1.58**2 - 1)])


def test_profile_of_a_known_pulsar() -> None:
    found = polarization_profile(_iquv(), OFF)
    good = found.significant(5)
    z = (found.pa_deg[good] - 40) / found.pa_error_deg[good]
    assert good.sum() > 15
    assert np.abs(z).max() < 4
    assert z.std() == pytest.approx(1, abs=0.5)
    for which, truth in (("linear", 0.5), ("circular", -0.2), ("absolute", 0.2)):
        value, error = found.fraction(which)
        assert abs(value - truth) < 4 * error
        assert error < 0.02
    assert found.sigma == pytest.approx((1, 1, 1, 1), abs=0.25)
    assert np.abs(found.v[OFF].mean()) < 1e-9


def test_unpolarised_pulses_have_no_polarisation() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(4, 128))
    values[0] += 500 * gaussian(128, 0.5, 0.03)
    found = polarization_profile(values, OFF)
    for which in ("circular", "absolute"):
        value, error = found.fraction(which)
        assert abs(value) < 4 * error
    assert found.fraction("linear")[0] < 0.02


def test_signs_and_frames_are_options_that_the_result_states() -> None:
    psr = polarization_profile(_iquv(), OFF)
    iau = polarization_profile(_iquv(), OFF, convention="IAU")
    np.testing.assert_array_equal(iau.v, -psr.v)
    np.testing.assert_array_equal(iau.pa_deg, psr.pa_deg)
    assert (psr.convention, iau.convention, psr.frame) == ("PSR/IEEE", "IAU", "receiver")
    same = polarization_profile(_iquv(), OFF, handedness="IAU", convention="IAU")
    np.testing.assert_array_equal(same.v, psr.v)
    sky = polarization_profile(_iquv(), OFF, parallactic_deg=30.0)
    good = psr.significant(5)
    np.testing.assert_allclose(sky.pa_deg[good], psr.pa_deg[good] + 30, atol=1e-9)
    assert sky.frame == "sky"
    assert np.angle(to_sky(1.0, 30.0)) / 2 == pytest.approx(np.radians(30))


@pytest.mark.parametrize(("options", "message"), [
    ({"iquv": np.ones((3, 64))}, "iquv"), ({"convention": "IEEE"}, "convention"),
    ({"handedness": "left"}, "handedness"), ({"frame": "galactic"}, "frame"),
    ({"frame": "sky", "parallactic_deg": 3.0}, "already")])
def test_bad_input_is_refused(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        polarization_profile(**{"iquv": _iquv(), **options})
    with pytest.raises(UsageError, match="sigma"):
        debiased([1.0], 0.0)
    with pytest.raises(UsageError, match="which"):
        polarization_profile(_iquv(), OFF).fraction("all")
