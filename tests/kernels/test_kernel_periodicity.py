"""Whitening of spectra, powers at half bins and sums of harmonics."""

import numpy as np
import pytest
from fastsig_kernels import HarmonicSearch, detrend, half_bin_powers, reference, whiten

RNG = np.random.default_rng(21)


def noise(n: int) -> np.ndarray:
    """Return amplitudes of noise with a mean power of 1."""
    return (np.array([1, 1j]) @ RNG.standard_normal((2, n)) / np.sqrt(2)).astype(np.complex64)


def tone(r: float, n_bin: int, amplitude: float = 1.0) -> np.ndarray:
    """Return the spectrum of a complex tone at frequency r, in bins."""
    n = 8 * n_bin
    wave = np.exp(2j * np.pi * r * np.arange(n) / n)
    return (amplitude / n * np.fft.fft(wave)[:n_bin]).astype(np.complex64)


def mask(n: int) -> np.ndarray:
    """Return a validity with a gap and single bins lost."""
    valid = RNG.random(n) > 0.03
    valid[n // 5 : n // 5 + 40] = False
    return valid


@pytest.mark.parametrize("n, n_piece, n_part", [(1, 1, 1), (100, 7, 3), (100, 32, 64),
                                                (5003, 8, 5)])
def test_detrended_series_equal_their_twin(n, n_piece, n_part):
    x = (np.linspace(3, 9, n) ** 2 + RNG.standard_normal(n)).astype(np.float32)
    x[n // 2] = np.nan
    weight = RNG.random(n).astype(np.float32)
    weight[n // 3 : n // 2] = 0
    for given in (None, weight, np.zeros(n, np.float32)):
        out = np.full(n + 3, 7, np.float32)
        made, total = detrend(x, weight=given, n_piece=n_piece, n_part=n_part, out=out)
        twin, expected = reference.detrend(x, given, n_piece=n_piece, n_part=n_part)
        assert made is out and not out[n:].any()
        np.testing.assert_allclose(out[:n], twin, atol=3e-5)
        np.testing.assert_allclose(total, expected, rtol=1e-6)


def test_weights_beyond_their_range_are_refused():
    for wrong in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="weight"):
            detrend(np.zeros(9, np.float32), weight=np.full(9, wrong, np.float32))


@pytest.mark.parametrize("n", [1, 2, 60, 5001])
def test_whitening_equals_its_twin(n):
    x = noise(n) * (1 + 300 / np.arange(1, n + 1)).astype(np.float32)
    x[n // 2] *= 100
    for valid in (None, mask(n)):
        found = whiten(x, valid=valid)
        np.testing.assert_allclose(found, reference.whiten(x, valid), rtol=2e-5, atol=1e-6)
    same = x.copy()
    assert whiten(same, out=same) is same
    np.testing.assert_array_equal(same, whiten(x))


def test_whitened_noise_has_a_mean_power_of_one():
    n = 200_000
    slope = (1 + (2000 / np.arange(1, n + 1)) ** 2).astype(np.float32)
    x, valid = noise(n) * np.sqrt(slope) * 1e4, np.ones(n, bool)
    x[70_000:70_100] *= 50  # interference does not change the level around it
    valid[5000:6000] = False
    power = np.abs(whiten(x, valid=valid)) ** 2
    for first, stop in ((200, 2000), (6000, 20_000), (20_000, 69_000), (70_200, n)):
        assert power[first:stop].mean() == pytest.approx(1, abs=0.02 + 3 / np.sqrt(stop - first))
    assert (power[5000:6000] == 0).all()


def bright(n: int, amplitude: float, period: float = 67.3, n_valid: int | None = None
           ) -> np.ndarray:
    """The spectrum of noise and of pulses, with many harmonics; zeros from sample `n_valid` on."""
    t = np.arange(2 * n)
    x = np.random.default_rng(3).normal(size=2 * n) + amplitude * (t / period % 1 < 0.1)
    x = (x - x[:n_valid].mean()) * (t < (n_valid or 2 * n))
    return (np.fft.rfft(x)[:-1] / np.sqrt(n_valid or 2 * n)).astype(np.complex64)


@pytest.mark.parametrize(("amplitude", "n_valid"), [(3.0, None), (30.0, None), (300.0, None),
                                                    (3.0, 116_509), (30.0, 116_509)])
def test_side_lobes_of_bright_lines_do_not_raise_the_level(amplitude, n_valid):
    x = bright(2**16, amplitude, n_valid=n_valid)
    u = np.arange(n_valid or 2**17) / 2**17
    lags = np.array([np.exp(-2j * np.pi * d * u).mean() for d in range(3)])
    found = whiten(x, lags=lags)
    np.testing.assert_allclose(found, reference.whiten(x, lags=lags), rtol=2e-5, atol=1e-6)
    at = np.argsort(-np.abs(x))[:20]
    # The noise is 1, and side lobes are significant from 1.53 times its power on: 0.81.
    gain = np.abs(found[at] / x[at])
    assert ((gain > 0.8) & (gain < 1.1)).all()


def test_whitening_of_nothing_and_of_nan():
    assert not whiten(np.zeros(1000, np.complex64)).any()
    assert not whiten(noise(1000), valid=np.zeros(1000, bool)).any()
    x = noise(1000)
    x[500] = np.nan
    found = whiten(x)
    assert np.isnan(found[500]) and np.isfinite(np.delete(found, 500)).all()


@pytest.mark.parametrize("n", [3, 40, 1003])
def test_half_bin_powers_equal_their_twin(n):
    x, lags = noise(n), np.exp((-0.4 + 0.2j) * np.arange(9))
    np.testing.assert_allclose(half_bin_powers(x, lags=lags),
                               reference.half_bin_powers(x, lags=lags), rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(half_bin_powers(x, n_side=5),
                               reference.half_bin_powers(x, n_side=5), rtol=2e-5, atol=1e-6)


def test_loss_of_tones_between_steps():
    n_bin = 256
    raw, steps = {}, {}
    for part in (0, 0.25, 0.5):
        x = tone(100 + part, n_bin)
        raw[part], steps[part] = np.max(np.abs(x) ** 2), half_bin_powers(x).max()
    assert raw[0] == pytest.approx(1, abs=1e-4) and steps[0] == pytest.approx(1, abs=1e-4)
    assert steps[0.25] == pytest.approx(1 - 0.189, abs=1e-3)
    assert raw[0.5] == pytest.approx(1 - 0.595, abs=1e-3)
    assert steps[0.5] == pytest.approx(0.9874, abs=1e-3)


def test_noise_between_bins_has_a_mean_power_of_one_with_gaps():
    n = 2**17
    weight = np.ones(n, np.float32)
    weight[n // 3 : n // 2 + n // 4] = 0
    x = np.fft.rfft(RNG.standard_normal(n) * weight)[:-1] / np.sqrt(weight.sum())
    lags = np.fft.rfft(weight)[:40] / weight.sum()
    power = half_bin_powers(x.astype(np.complex64), lags=lags)
    assert power[1::2].mean() == pytest.approx(1, abs=0.015)


@pytest.mark.parametrize("n_harmonic", [1, 8, 32])
def test_sums_of_harmonics_equal_their_twin(n_harmonic):
    n = 3001
    x, thresholds = noise(n), 4 + 1.5 * np.arange(1, n_harmonic + 1)
    x[150:900:150] += 3
    lags = np.exp((-0.4 + 0.2j) * np.arange(9))
    for valid in (None, mask(n)):
        x[np.zeros(n, bool) if valid is None else ~valid] = 0
        plan = HarmonicSearch(n, thresholds, r_min=5.3, r_max=800.2)
        found = plan.process(x, valid=valid, lags=lags)
        twin = reference.harmonic_events(x, thresholds, valid, r_min=5.3, r_max=800.2, lags=lags)
        assert len(found) > 3 and plan.n_dropped == 0
        for name in ("r", "z", "n_harmonic", "n_valid"):
            np.testing.assert_array_equal(found[name], twin[name])
        np.testing.assert_allclose(found["power"], twin["power"], rtol=1e-5)
        assert (found["r"] >= 5.3).all() and (found["r"] <= 800.2).all()


def test_harmonics_that_are_lost_lower_the_threshold():
    n, valid = 4000, np.ones(4000, bool)
    x = np.zeros(n, np.complex64)
    x[100:900:100] = 3
    valid[300] = valid[500] = False
    x[~valid] = 0
    thresholds = np.array([20.0, 30, 40, 45, 50, 53.5, 60, 70])
    found = HarmonicSearch(n, thresholds).process(x, valid=valid)
    best = found[found["n_harmonic"] == 8]
    assert (best["r"][0], best["n_valid"][0], best["power"][0]) == (100, 6, 54)
    assert not (HarmonicSearch(n, thresholds + 1).process(x, valid=valid)["n_harmonic"] == 8).any()


def test_the_best_events_are_kept():
    x, thresholds = noise(5000), np.arange(1.0, 5)
    everything = HarmonicSearch(5000, thresholds).process(x)
    plan = HarmonicSearch(5000, thresholds, most=50)
    found = plan.process(x)
    assert len(everything) > 1000 and len(found) == 50
    assert plan.n_dropped == len(everything) - 50
    excess = np.sort(everything["power"] - everything["n_valid"])
    np.testing.assert_allclose(np.sort(found["power"] - found["n_valid"]), excess[-50:])


def test_spectra_without_events():
    plan = HarmonicSearch(100, np.array([5.0, 8]))
    assert len(plan.process(np.zeros(100, np.complex64))) == 0
    assert len(plan.process(np.full(100, np.nan, np.complex64))) == 0
    assert len(plan.process(noise(100), valid=np.zeros(100, bool))) == 0
    assert len(HarmonicSearch(100, np.array([5.0]), r_min=200).process(noise(100) * 9)) == 0


@pytest.mark.parametrize("change, message", [
    ({"thresholds": np.arange(1.0, 4)}, "found 3 values"),
    ({"thresholds": np.array([2.0, 1])}, "rising"),
    ({"r_min": 0.5}, "r_min"), ({"r_max": 0.9}, "r_max"), ({"n_bin": 1}, "n_bin")])
def test_wrong_arguments_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        HarmonicSearch(**{"n_bin": 100, "thresholds": np.array([5.0, 8]), **change})


def test_wrong_arrays_are_refused():
    with pytest.raises(ValueError, match="x: found shape"):
        HarmonicSearch(100, np.array([5.0])).process(noise(99))
    with pytest.raises(ValueError, match="valid: found shape"):
        whiten(noise(99), valid=np.ones(98, bool))
    for lags in ([0.5], [1, np.nan], [1, 5], [1, 1e300], np.ones(32)):
        with pytest.raises(ValueError, match="lags"):
            half_bin_powers(noise(99), lags=np.array(lags, complex))
    with pytest.raises(TypeError, match="x: found dtype"):
        whiten(np.zeros(4))
