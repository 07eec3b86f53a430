"""Improvement of period, derivative and DM: maps against rotation of a cube, truth, coverage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pulses_made import gaussian, scaled

from fastsig.errors import UsageError
from fastsig.pulsar.harmonics import rotate
from fastsig.pulsar.improving import Improvement, improve
from fastsig.pulsar.significance import best_boxcar

F8 = NDArray[np.float64]
K = 1 / 2.41e-4
PERIOD, SPAN = 0.1, 600.0


def _axes(n_subint: int, n_chan: int) -> tuple[F8, F8]:
    return ((np.arange(n_subint) + 0.5) * SPAN / n_subint,
            1000 + 500 * (np.arange(n_chan) + 0.5) / n_chan)


def _cube(shape: tuple[int, int, int], period: float, derivative: float, dm: float, snr: float,
          rng: np.random.Generator) -> F8:
    """Noise of 1, and a pulsar folded with `PERIOD` and no DM; its own values are given at 0 s."""
    times, freq = _axes(*shape[:2])
    # A pulse arrives when the pulsar's own phase is whole; this is its phase in the fold.
    own = times / period - derivative / period**2 * times**2 / 2
    late = (times / PERIOD - own)[:, np.newaxis] + K * dm * (freq**-2 - 1250.0**-2) / PERIOD
    pulse = gaussian(shape[2], 0.3, 0.04)
    height = scaled(pulse, snr / np.sqrt(shape[0] * shape[1])).max() / pulse.max()
    return height * gaussian(shape[2], 0.3 + late % 1, 0.04) + rng.normal(size=shape)


def _found(cube: F8, **options: Any) -> Improvement:
    return improve(cube, *_axes(*cube.shape[:2]), period_s=PERIOD, **options)


def test_maps_are_those_of_a_rotated_cube() -> None:
    shape = (6, 5, 32)
    rng = np.random.default_rng(0)
    weights, noise = rng.integers(0, 4, shape[:2]).astype(float), np.array([1.0, 2, 1, 0.5, 1])
    cube = _cube(shape, PERIOD * (1 + 4e-5), 0.0, 1.0, 30, rng)
    found = _found(cube, weights=weights, noise=noise, n_trial=9)
    times, freq = _axes(*shape[:2])
    gain = weights / noise**2
    centre = (gain.sum(axis=1) @ times) / gain.sum()
    best_dm = found.trials.dm[np.argmax(found.trials.chi2_dm)]
    for i, j in ((2, 6), (4, 4), (8, 0)):
        df = found.trials.frequency_hz[i] - found.trials.frequency_hz[4]
        df1 = found.trials.derivative_hz_s[j]
        turns = (df * (times - centre) + df1 * (times - centre)**2 / 2)[:, np.newaxis] - (
            K * best_dm * freq**-2 / PERIOD)
        aligned = rotate(cube, turns)
        profile = (gain[..., np.newaxis] * aligned).sum(axis=(0, 1)) / gain.sum()
        spectrum = np.fft.rfft(profile)
        spectrum[[0, -1]] = 0
        profile, sigma = np.fft.irfft(spectrum), gain.sum() ** -0.5
        assert found.trials.chi2[i, j] == pytest.approx((profile**2).sum() / sigma**2, rel=1e-4)
        assert found.trials.snr[i, j] == pytest.approx(best_boxcar(profile, sigma).snr, rel=1e-4)


def test_map_of_dm_is_that_of_a_rotated_cube() -> None:
    found = _found(_cube((4, 6, 32), PERIOD, 0.0, 2.0, 100, np.random.default_rng(0)),
                   noise=np.ones(6), n_trial=33, turns=2.0)
    i, j = np.unravel_index(np.argmax(found.trials.chi2), found.trials.chi2.shape)
    k = int(np.argmax(found.trials.chi2_dm))
    assert found.trials.chi2[i, j] == pytest.approx(found.trials.chi2_dm[k], rel=1e-5)
    assert found.trials.snr[i, j] == pytest.approx(found.trials.snr_dm[k], rel=1e-4)
    assert found.trials.n_trial == 33 * 33 + 33
    assert abs(found.trials.dm[k] - 2) < 1.1 * (found.trials.dm[1] - found.trials.dm[0])


@pytest.mark.parametrize("snr", [12.0, 60.0])
def test_values_come_back_with_errors_that_cover(snr: float) -> None:
    rng = np.random.default_rng(8)
    z = []
    for _ in range(25):
        a, b, c = rng.uniform(-0.5, 0.5, 3)
        truth = (PERIOD + a * PERIOD**2 / SPAN, b * PERIOD**2 / SPAN**2, 4 * c)
        found = _found(_cube((12, 12, 32), *truth, snr, rng), n_trial=33)
        spin = found.spin.at(0.0)
        z.append([(spin.period_s - truth[0]) / spin.period_error_s,
                  (spin.period_derivative - truth[1]) / spin.period_derivative_error,
                  (found.dm - truth[2]) / found.dm_error])
        assert not found.at_edge
    deviations = np.array(z)
    assert np.abs(deviations).max() < 5
    assert np.abs(deviations.mean(axis=0)).max() < 4 / np.sqrt(25)
    assert np.abs((deviations**2).mean(axis=0) - 1).max() < 4 * np.sqrt(2 / 25)


def test_significance_counts_the_trials() -> None:
    rng = np.random.default_rng(3)
    found = _found(_cube((12, 12, 32), PERIOD, 0.0, 0.0, 15, rng), n_trial=33)
    assert 9 < found.sigma < found.sigma_single < 15
    assert found.chi2 - found.dof == pytest.approx(15**2, rel=0.4)
    noise = [_found(rng.normal(size=(6, 6, 32)), n_trial=17).sigma for _ in range(20)]
    assert max(noise) < 3


def test_profile_is_aligned_and_keeps_its_level() -> None:
    cube = 7 + _cube((12, 12, 32), PERIOD * (1 + 8e-5), 0.0, 1.5, 200, np.random.default_rng(1))
    found = _found(cube, n_trial=65, noise=np.ones(12))
    assert found.profile.mean() == pytest.approx(cube.mean(), abs=1e-9)
    assert found.profile.max() - found.profile.min() > 0.9 * np.ptp(
        scaled(gaussian(32, 0.3, 0.04), 200 / 12))
    assert found.snr > 180


def test_lost_cells_and_noisy_channels_do_not_matter() -> None:
    rng = np.random.default_rng(2)
    cube = _cube((12, 12, 32), PERIOD, 0.0, 2.0, 60, rng)
    cube[3, 4], cube[5, 5, 7], cube[:, 9] = np.nan, np.inf, 4.0
    cube[:, 2] *= 1e3
    found = _found(cube, n_trial=33)
    assert abs(found.dm - 2) < 5 * found.dm_error
    assert abs(found.spin.period_s - PERIOD) < 5 * found.spin.period_error_s


def test_a_maximum_beyond_the_range_is_reported() -> None:
    cube = _cube((12, 12, 32), PERIOD, 0.0, 49.0, 200, np.random.default_rng(1))
    assert _found(cube, n_trial=17).at_edge


@pytest.mark.parametrize(("options", "message"), [
    ({"n_trial": 4}, "n_trial"), ({"turns": 0.0}, "turns"), ({"period_s": 0.0}, "period_s"),
    ({"constant": -1.0}, "constant"), ({"weights": np.ones(3)}, "weights"),
    ({"weights": np.zeros((4, 4))}, "two subintegrations"), ({"noise": np.zeros(4)}, "noise"),
    ({"times_s": np.ones(3)}, "times_s"), ({"freq_mhz": np.zeros(4)}, "freq_mhz"),
    ({"times_s": np.ones(4)}, "two subintegrations"), ({"cube": np.ones((4, 32))}, "cube")])
def test_bad_input_is_refused(options: dict[str, Any], message: str) -> None:
    times, freq = _axes(4, 4)
    given = {"cube": np.random.default_rng(0).normal(size=(4, 4, 32)), "times_s": times,
             "freq_mhz": freq, "period_s": PERIOD, **options}
    with pytest.raises(UsageError, match=message) as caught:
        improve(**given)
    assert "\n" not in str(caught.value)
