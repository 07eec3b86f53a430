"""Rotation measures by synthesis and fit: truth, signs, coverage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.rotation_measure import derotate, fit_rm, synthesize_rm

F8 = NDArray[np.float64]
C16 = NDArray[np.complex128]
FREQ = 1000 + 500 * (np.arange(48) + 0.5) / 48
LAMBDA_SQ = (299.792458 / FREQ) ** 2
#: A swing of the position angle that would depolarise the sum over bins.
PULSE = np.exp(-np.linspace(-2, 2, 16) ** 2) * np.exp(2j * np.linspace(-1.5, 1.5, 16))


def _linear(rm: float, snr: float, rng: np.random.Generator, sigma: F8 | None = None) -> C16:
    noise = np.ones(48) if sigma is None else sigma
    total = np.sqrt((np.abs(PULSE) ** 2).sum() * (1 / noise**2).sum())
    signal = np.outer(np.exp(2j * rm * LAMBDA_SQ), PULSE) * snr / total
    return signal + noise[:, np.newaxis] * (rng.normal(size=signal.shape)
                                            + 1j * rng.normal(size=signal.shape))


@pytest.mark.parametrize("snr", [20.0, 100.0])
def test_errors_cover(snr: float) -> None:
    rng = np.random.default_rng(3)
    z, sigma = [], rng.uniform(0.5, 2, 48)
    for _ in range(60):
        rm = rng.uniform(-200, 200)
        x = _linear(rm, snr, rng, sigma)
        found = synthesize_rm(x.real, x.imag, FREQ, sigma)
        fitted = fit_rm(x.real, x.imag, FREQ, sigma, start=found)
        z.append([(found.rm - rm) / found.error, (fitted.rm - rm) / fitted.error])
        assert found.reduced_chi2 == pytest.approx(1, abs=0.3)
    deviations = np.array(z)
    assert np.abs(deviations.mean(axis=0)).max() < 0.5
    assert deviations.std(axis=0) == pytest.approx([1, 1], abs=0.3)


def test_errors_cover_for_a_pulsar_that_is_brighter_than_the_noise() -> None:
    """The pulsar's own noise raises that of its bins, which off-pulse bins do not show."""
    rng = np.random.default_rng(5)
    z, own = [], 1 + 3 * np.abs(PULSE)
    for _ in range(100):
        x = _linear(100.0, 300, rng)
        x += (own - 1) * (rng.normal(size=x.shape) + 1j * rng.normal(size=x.shape))
        found = synthesize_rm(x.real, x.imag, FREQ, np.ones(48))
        fitted = fit_rm(x.real, x.imag, FREQ, np.ones(48), start=found)
        z.append([(each.rm - 100) / each.error for each in (found, fitted)])
        assert fitted.reduced_chi2 > 3
    assert np.std(z, axis=0) == pytest.approx([1, 1], abs=0.25)


def test_chi2_is_that_of_derotated_sums() -> None:
    x = _linear(57.0, 30, np.random.default_rng(0))
    found = synthesize_rm(x.real, x.imag, FREQ, np.ones(48), most_rm=100)
    for k in (3, found.trials.size // 2, int(np.argmax(found.chi2))):
        sums = derotate(x, FREQ, found.trials[k]).sum(axis=0)
        assert found.chi2[k] == pytest.approx((np.abs(sums) ** 2).sum() / 48)


def test_angles_at_the_reference_wavelength_follow_the_pulse() -> None:
    x = _linear(100.0, 1000, np.random.default_rng(0))
    found = synthesize_rm(x.real, x.imag, FREQ, np.ones(48))
    truth = np.degrees(np.angle(PULSE * np.exp(2j * 100 * found.lambda0_sq))) / 2
    off = (found.pa_deg - truth + 90) % 180 - 90
    assert np.abs(off[found.used]).max() < 5
    assert found.sigma_single > found.sigma > 20
    assert found.width == pytest.approx(3.79 / np.ptp(LAMBDA_SQ))


def test_rm_is_positive_if_angles_increase_with_wavelength_and_sign_u_reverses_it() -> None:
    x = _linear(50.0, 100, np.random.default_rng(1))
    assert synthesize_rm(x.real, x.imag, FREQ, np.ones(48)).rm == pytest.approx(50, abs=3)
    found = synthesize_rm(x.real, x.imag, FREQ, np.ones(48), sign_u=-1)
    assert found.rm == pytest.approx(-50, abs=3)
    assert found.sign_u == -1
    assert fit_rm(x.real, x.imag, FREQ, np.ones(48), start=found).rm == pytest.approx(-50, abs=3)


def test_fit_allows_for_the_spectrum_and_for_wide_channels() -> None:
    rng = np.random.default_rng(4)
    spectrum, width, rm = (FREQ / 1250) ** -3, 500 / 48, 400.0
    fine = FREQ[:, np.newaxis] + width * (np.arange(101) - 50) / 101
    turned = np.exp(2j * rm * (299.792458 / fine) ** 2).mean(axis=1)
    x = 5 * np.outer(spectrum * turned, PULSE)
    x += rng.normal(size=x.shape) + 1j * rng.normal(size=x.shape)
    start = synthesize_rm(x.real, x.imag, FREQ, np.ones(48), most_rm=600)
    plain = fit_rm(x.real, x.imag, FREQ, np.ones(48), start=start)
    found = fit_rm(x.real, x.imag, FREQ, np.ones(48), start=start, channel_mhz=width,
                   spectrum=spectrum)
    assert plain.reduced_chi2 > 1.3
    assert found.reduced_chi2 == pytest.approx(1, abs=0.15)
    assert found.rm == pytest.approx(rm, abs=4 * found.error)


def test_lost_channels_are_ignored() -> None:
    x = _linear(50.0, 100, np.random.default_rng(1))
    sigma = np.ones(48)
    kept = np.delete(np.arange(48), [5, 9])
    alone = synthesize_rm(x.real[kept], x.imag[kept], FREQ[kept], sigma[kept], most_rm=200)
    x[5], sigma[9] = np.nan, np.inf
    found = synthesize_rm(x.real, x.imag, FREQ, sigma, most_rm=200)
    assert (found.rm, found.error) == pytest.approx((alone.rm, alone.error), rel=1e-12)


@pytest.mark.parametrize(("options", "message"), [
    ({"q": np.ones((4, 3))}, "shapes"), ({"sigma": np.zeros(48)}, "above 0"),
    ({"freq_mhz": -FREQ}, "freq_mhz"), ({"freq_mhz": np.full(48, 1e3)}, "same frequency"),
    ({"sigma": np.full(48, np.inf)}, "at least 3"), ({"most_rm": 0.0}, "most_rm"),
    ({"most_rm": 1e12}, "trials"), ({"sign_u": 0}, "sign_u")])
def test_bad_input_is_refused(options: dict[str, Any], message: str) -> None:
    given = {"q": np.ones((48, 3)), "u": np.ones((48, 3)), "freq_mhz": FREQ, "sigma": np.ones(48)}
    with pytest.raises(UsageError, match=message):
        synthesize_rm(**{**given, **options})
    start = synthesize_rm(**given)
    with pytest.raises(UsageError, match="spectrum"):
        fit_rm(**given, start=start, spectrum=np.ones(3))
    with pytest.raises(UsageError, match="channel_mhz"):
        fit_rm(**given, start=start, channel_mhz=-1.0)
