"""The third moment of powers of noise: its moments, and how often its threshold is exceeded."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kurtosis, norm, skew

from fastsig.calibration.gamma_skewness import skewness_moments, skewness_threshold


def third(n: int, shape: float, count: int, seed: int = 1) -> np.ndarray:
    x = np.random.default_rng(seed).gamma(shape, 1, (n, count))
    return np.asarray(((x / x.mean(axis=0) - 1) ** 3).mean(axis=0))


@pytest.mark.parametrize(("n", "shape"), [(64, 6.0), (256, 12.0), (256, 0.5), (300, 400.25)])
def test_moments_against_a_simulation(n: int, shape: float) -> None:
    made = third(n, shape, 10_000)
    mean, variance, skewness, excess = skewness_moments(n, shape)
    assert made.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / len(made)))
    assert made.var() == pytest.approx(variance, rel=4 * np.sqrt((excess + 2) / len(made)))
    assert skew(made) == pytest.approx(skewness, rel=0.25, abs=0.1)
    assert kurtosis(made) == pytest.approx(excess, rel=0.7, abs=0.2)


def test_moments_of_many_powers_are_those_of_the_distribution() -> None:
    mean, variance, skewness, _ = skewness_moments(2**20, 12.0)
    assert mean == pytest.approx(2 / 12**2, rel=1e-4)
    assert variance < 1e-7 and skewness < 0.02


@pytest.mark.parametrize(("n", "shape"), [(256, 1.0), (256, 12.0), (64, 6.0)])
def test_noise_exceeds_the_threshold_as_stated(n: int, shape: float) -> None:
    made = third(n, shape, 20_000, 2)
    for share in (0.01, 0.001):
        over = (made > skewness_threshold(n, shape, norm.isf(share))).mean()
        assert over == pytest.approx(share, rel=0.35, abs=4 * np.sqrt(share / len(made)))
