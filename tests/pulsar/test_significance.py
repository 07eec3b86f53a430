"""Off-pulse regions, baselines, S/N and flux densities: unbiased, with errors that cover."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from numpy.typing import NDArray
from pulses_made import assert_calibrated, gaussian, scaled

from fastsig.errors import UsageError
from fastsig.pulsar.off_pulse import boxcar_widths, find_off_pulse
from fastsig.pulsar.significance import baseline, best_boxcar, pulse_signal, radiometer_flux

F8 = NDArray[np.float64]
OFF = np.abs((np.arange(128) / 128 - 0.3 + 0.5) % 1 - 0.5) > 0.15


def _profiles(n: int, snr: float, seed: int = 0) -> tuple[F8, float]:
    """Profiles with a baseline of 7, and the mean of the pulse."""
    pulse = scaled(gaussian(128, 0.3, 0.03), snr)
    return 7 + pulse + np.random.default_rng(seed).normal(size=(n, 128)), float(pulse.mean())


@pytest.mark.parametrize("snr", [5.0, 50.0])
def test_errors_of_level_and_signal_cover_in_a_given_region(snr: float) -> None:
    rows, mean = _profiles(500, snr)
    found = [pulse_signal(each, OFF) for each in rows]
    assert_calibrated([(each.baseline.level - 7) / each.baseline.error for each in found])
    assert_calibrated([(each.mean - mean) / each.mean_error for each in found])
    assert np.mean([each.baseline.sigma for each in found]) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("snr", [10.0, 50.0, 200.0])
def test_a_region_that_is_searched_for_leaves_no_bias(snr: float) -> None:
    rows, mean = _profiles(100, snr)
    found = [pulse_signal(each) for each in rows]
    level = np.array([(each.baseline.level - 7) / each.baseline.error for each in found])
    signal = np.array([(each.mean - mean) / each.mean_error for each in found])
    assert abs(level.mean()) < 0.5
    assert abs(signal.mean()) < 0.5
    assert level.std() < 1.6 and signal.std() < 1.6
    assert np.mean([each.baseline.off.mean() for each in found]) > 0.6


def test_region_of_a_bright_pulse_excludes_its_wings_and_nothing_else() -> None:
    rows, _ = _profiles(1, 1000)
    off = find_off_pulse(rows[0])
    phase = np.abs((np.arange(128) / 128 - 0.3 + 0.5) % 1 - 0.5)
    assert not off[phase < 2.9 * 0.03].any()
    assert off[phase > 0.25].all()


def test_profile_without_a_pulse_is_almost_all_off_pulse() -> None:
    rows = np.random.default_rng(3).normal(size=(50, 64))
    assert np.mean([find_off_pulse(each).mean() for each in rows]) > 0.95
    assert abs(np.mean([pulse_signal(each).snr for each in rows])) < 1


def test_profile_without_a_baseline_has_its_lowest_quarter() -> None:
    profile = 500 * (1 + np.cos(2 * np.pi * (np.arange(64) / 64 - 0.4)))
    profile += np.random.default_rng(0).normal(size=64)
    off = find_off_pulse(profile)
    assert 8 <= off.sum() <= 16
    lowest = np.abs((np.arange(64) / 64 - 0.9 + 0.5) % 1 - 0.5) <= 0.13
    assert lowest[off].all()


def test_weights_per_bin_make_the_errors_right() -> None:
    rng = np.random.default_rng(5)
    weight = rng.integers(1, 9, 128).astype(float)
    pulse = scaled(gaussian(128, 0.3, 0.03), 30)
    rows = pulse + rng.normal(size=(500, 128)) / np.sqrt(weight)
    found = [pulse_signal(each, OFF, weight) for each in rows]
    assert_calibrated([each.baseline.level / each.baseline.error for each in found])
    assert_calibrated([(each.mean - pulse.mean()) / each.mean_error for each in found])
    assert np.mean([each.baseline.sigma for each in found]) == pytest.approx(
        weight.mean() ** -0.5, rel=0.02)


def test_bins_without_data_are_ignored() -> None:
    rows, _ = _profiles(1, 100)
    weight = np.ones(128)
    lost = rows[0].copy()
    lost[60:70], weight[60:70] = np.nan, 0
    kept = np.delete(rows[0], np.s_[60:70])
    assert baseline(lost, OFF, weight).level == baseline(kept, np.delete(OFF, np.s_[60:70])).level
    assert not find_off_pulse(lost, weight)[60:70].any()
    assert baseline(lost, OFF).level == baseline(lost, OFF, weight).level


def test_best_boxcar_is_that_of_all_boxcars() -> None:
    rows, _ = _profiles(5, 15)
    for row in rows:
        moved = row - row.mean()
        slow = {(w, k): np.take(moved, np.arange(k, k + w), mode="wrap").sum() / np.sqrt(
            w * (1 - w / 128)) / 2 for w in boxcar_widths(128) for k in range(128)}
        found = best_boxcar(row, 2.0)
        assert found.snr == pytest.approx(max(slow.values()))
        assert (found.width, found.first) == max(slow, key=lambda key: slow[key])
        assert found.n_trial == len(slow)


def test_flux_is_that_of_the_radiometer_equation() -> None:
    # Noise of a bin in Jy by hand: SEFD 1.2 Jy, two polarisations, 400 MHz for 10 s in 128 bins.
    sigma_jy = 1.2 / np.sqrt(2 * 400e6 * 10 / 128)
    flux_jy, pulse = 3e-3, gaussian(128, 0.3, 0.03)
    rng = np.random.default_rng(1)
    z = []
    for _ in range(300):
        row = flux_jy * pulse / pulse.mean() + sigma_jy * rng.normal(size=128)
        found = radiometer_flux(pulse_signal(17 * row + 100, OFF), sefd_jy=1.2,
                                time_bandwidth=400e6 * 10)
        z.append((found.mean_jy - flux_jy) / found.mean_error_jy)
        assert found == radiometer_flux(pulse_signal(17 * row + 100, OFF), sefd_jy=1.2 * u.Jy,
                                        time_bandwidth=400 * u.MHz * 10 * u.s)
        assert found.jy_per_unit == pytest.approx(1 / 17, rel=0.3)
    assert abs(np.mean(z)) < 0.3
    assert np.std(z) == pytest.approx(1, abs=0.15)


def test_a_pulse_is_found_in_ten_bins_and_fewer_are_refused() -> None:
    """Of eight bins, all would be off-pulse, and the brightest pulse would have S/N 0."""
    for n_bin in (8, 9, 10):
        profile = np.random.default_rng(1).normal(size=n_bin)
        profile[3] += 50
        if n_bin < 10:
            with pytest.raises(UsageError, match=f"{n_bin} bins with data; at least 10"):
                find_off_pulse(profile)
            continue
        assert pulse_signal(profile).snr > 15


@pytest.mark.parametrize(("call", "message"), [
    (lambda: pulse_signal(np.ones(64)), "noise"),
    (lambda: pulse_signal(np.ones((2, 64))), "axes"),
    (lambda: pulse_signal(np.ones(4)), "at least 8"),
    (lambda: pulse_signal(np.full(64, np.nan)), "bins with data"),
    (lambda: pulse_signal(["a"] * 64), "numbers"),
    (lambda: baseline(np.arange(64.0), np.ones(64)), "bool"),
    (lambda: baseline(np.arange(64.0), np.zeros(64, bool)), "at least 4"),
    (lambda: baseline(np.arange(64.0), weights=np.full(64, -1.0)), "weights"),
    (lambda: best_boxcar(np.arange(64.0), 0.0), "sigma"),
    (lambda: radiometer_flux(pulse_signal(np.arange(64.0) % 7), sefd_jy=0, time_bandwidth=1),
     "sefd_jy"),
])
def test_bad_input_is_refused(call, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
