"""Search of a series for periodic signals."""

import numpy as np
import pytest
from recordings import recorded

from fastsig.errors import UsageError
from fastsig.search.pulsars import birds
from fastsig.search.pulsars.fourier import FourierSearch

SAMPLE = 1e-3
N = 2**15


def pulses(f: float, duty: float, n: int = N, fdot: float = 0.0, fddot: float = 0.0
           ) -> np.ndarray:
    """Return Gaussian pulses with a mean of 0 and unit variance over time."""
    t = SAMPLE * np.arange(n)
    phase = (f * t + fdot * t**2 / 2 + fddot * t**3 / 6 + 0.5) % 1 - 0.5
    wave = np.exp(-0.5 * (phase / (duty / 2.355)) ** 2)
    return (wave - wave.mean()) / wave.std()


def noise(seed: int, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


def red(seed: int, n: int = N) -> np.ndarray:
    """Return noise whose power rises as 1 / f^2 below 2 Hz."""
    spectrum = np.fft.rfft(noise(seed, n))
    f = np.arange(spectrum.size) / (n * SAMPLE)
    spectrum[1:] *= np.sqrt(1 + (2 / f[1:]) ** 2)
    return np.fft.irfft(spectrum, n).astype(np.float32)


def test_power_of_a_pulsar_is_that_of_its_signal():
    f, snr, powers = 7.3, 12.0, []
    for seed in range(8):
        x = noise(seed) + snr / np.sqrt(N) * pulses(f, 0.1)
        best = FourierSearch(N, SAMPLE, n_harmonic=16, threshold=4).process(x)[0]
        assert best["frequency"] == pytest.approx(f, abs=4 * best["frequency_error"])
        assert best["frequency_error"] < 0.1 / (N * SAMPLE)
        powers.append(best["power"] - best["n_harmonic"])
    # Between steps, and beyond the harmonics that were summed, a part of snr^2 / 2 = 72 is lost.
    assert 0.7 * 72 < np.mean(powers) < 72


def test_errors_of_frequencies_are_those_of_many_trials():
    off = []
    for seed in range(30):
        f = 5 + 0.37 * seed / 30
        found = FourierSearch(N, SAMPLE, threshold=4).process(
            noise(seed) + 15 / np.sqrt(N) * pulses(f, 0.08))
        off.append((found["frequency"][0] - f) / found["frequency_error"][0])
    assert 0.6 < np.std(off) < 1.5


def test_red_noise_gaps_and_mains():
    f, lost = 3.17, slice(N // 4, N // 2)
    line = 0.3 * np.sin(2 * np.pi * 50.013 * SAMPLE * np.arange(N))
    x = red(3) + 18 / np.sqrt(N) * pulses(f, 0.06) + line
    weight = np.ones(N, np.float32)
    weight[lost], x[lost] = 0, 1000
    search = FourierSearch(N, SAMPLE, threshold=5)
    zapped = birds.mains(50, 500)
    found = search.process(x.astype(np.float32), weight, zapped)
    assert found["frequency"][0] == pytest.approx(f, abs=5 * found["frequency_error"][0])
    assert not (np.abs(found["frequency"] - 50.013) < 0.05).any()
    strongest = search.process(x.astype(np.float32), weight)[0]
    assert strongest["frequency"] == pytest.approx(50.013, abs=0.02)
    nan = np.where(weight > 0, x, np.nan).astype(np.float32)
    same = search.process(nan, None, zapped)
    np.testing.assert_allclose(same["sigma"], found["sigma"], rtol=1e-5)


def test_noise_has_no_candidates_whatever_its_gaps():
    weight = (np.random.default_rng(9).random(N) > 0.25).astype(np.float32)
    weight[5000:9000] = 0.5
    search = FourierSearch(N, SAMPLE, threshold=4)
    for seed in range(5):
        assert len(search.process(red(seed))) == 0
        x = 100 * weight + np.sqrt(weight) * red(seed)
        assert len(search.process(x.astype(np.float32), weight)) == 0


@pytest.mark.parametrize("n", [N, 30000, 20011])
def test_a_binary_pulsar_has_its_derivative(n):
    f, fdot = 31.2, -0.035
    x = noise(5, n) + 15 / np.sqrt(n) * pulses(f, 0.1, n, fdot)
    slow = FourierSearch(n, SAMPLE, n_harmonic=4, threshold=4).process(x)
    found = FourierSearch(n, SAMPLE, n_harmonic=4, z_max=200, threshold=4).process(x)
    assert found["sigma"][0] > 6 and not (slow["sigma"] > 6).any()
    best = found[0]
    assert best["frequency"] == pytest.approx(f, abs=0.02)
    assert best["fdot"] == pytest.approx(fdot, abs=0.001)


@pytest.mark.parametrize("n", [N, 20011])
def test_a_binary_pulsar_has_its_jerk(n):
    t = n * SAMPLE
    f, fdot, fddot = 31.2, -30 / t**2, 75 / t**3  # 4 harmonics: 120 and 300 bins at most
    x = noise(5, n) + 15 / np.sqrt(n) * pulses(f, 0.1, n, fdot, fddot)
    drifting, found = (FourierSearch(n, SAMPLE, n_harmonic=4, z_max=100, w_max=w, threshold=4)
                       .process(x) for w in (0, 400))
    assert found["sigma"][0] > 6 and not (drifting["sigma"] > 5).any()
    best = found[0]
    assert best["n_harmonic"] == 4 and best["power"] > 60
    assert best["fddot"] == pytest.approx(fddot, abs=5 / t**3)
    assert best["fdot"] == pytest.approx(fdot, abs=3 / t**2)
    assert best["frequency"] == pytest.approx(f, abs=1 / t)


def test_jerks_count_as_trials():
    one, more, drifting = (FourierSearch(N, SAMPLE, z_max=100, w_max=w) for w in (0, 60, 19))
    assert more.n_trial == pytest.approx(one.n_trial * 4.9, rel=0.03)
    assert drifting.n_trial == pytest.approx(one.n_trial, rel=0.01)


def test_weights_do_not_change_the_scale():
    x = noise(11) + 10 / np.sqrt(N) * pulses(9.1, 0.1)
    search = FourierSearch(N, SAMPLE, threshold=3)
    plain = search.process(x)[0]
    scaled = search.process(np.float32(1e-3) * x + np.float32(7), np.ones(N, np.float32))[0]
    assert scaled["power"] == pytest.approx(plain["power"], rel=1e-3)
    assert search.copy().process(x)[0] == plain


def test_trials_lower_the_significance():
    x = noise(11) + 10 / np.sqrt(N) * pulses(9.1, 0.1)
    one = FourierSearch(N, SAMPLE, threshold=3).process(x)[0]
    many = FourierSearch(N, SAMPLE, threshold=3, trials=1000).process(x)[0]
    assert many["power"] == one["power"] and many["sigma"] < one["sigma"] - 0.5


@pytest.mark.parametrize("series", [np.full(N, 5), np.zeros(N), np.full(N, np.nan),
                                    np.full(N, 3e38), np.eye(1, N)[0]])
def test_series_without_signals(series):
    assert len(FourierSearch(N, SAMPLE).process(series.astype(np.float32))) == 0


@pytest.mark.parametrize("n", [64, 65, 99, 1001])
def test_short_series(n):
    for z_max in (0, 20):
        search = FourierSearch(n, SAMPLE, n_harmonic=2, z_max=z_max, threshold=4)
        assert len(search.process(noise(2, n))) == 0
        tone = 2 * np.cos(2 * np.pi * 0.4 * np.arange(n))
        best = search.process((noise(2, n) + tone).astype(np.float32))[0]
        assert best["frequency"] * SAMPLE == pytest.approx(0.4, abs=1 / n)


def test_a_series_that_is_lost_has_no_candidates():
    assert len(FourierSearch(N, SAMPLE).process(noise(1), np.zeros(N, np.float32))) == 0


@pytest.mark.parametrize("wrong", [
    {"n_sample": 2}, {"n_sample": 2**31 + 1}, {"sample_s": 0}, {"n_harmonic": 3}, {"z_max": -1},
    {"z_max": np.nan}, {"w_max": -1}, {"w_max": 4214}, {"z_max": 930, "w_max": 1000},
    {"frequency": (3, 2)}, {"most": 0}, {"threshold": np.nan}, {"trials": 0}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(UsageError, match="allowed"):
        FourierSearch(**{"n_sample": 1024, "sample_s": SAMPLE, **wrong})


def test_wrong_series_are_refused():
    search = FourierSearch(1024, SAMPLE)
    for given in ((noise(1, 1000),), (noise(1, 1024), np.full(1024, 2.0)),
                  (noise(1, 1024), None, [(5, 4)])):
        with pytest.raises(UsageError, match="allowed"):
            search.process(*given)


def test_recorded_pulsar_comes_first():
    path = recorded("sigpyproc/GBT_J1807-0847.dat")
    x = np.fromfile(path, np.float32)
    best = FourierSearch(x.size, 0.00016384).process(x)[0]
    assert 1 / best["frequency"] == pytest.approx(0.163713, abs=2e-6)
    assert best["sigma"] > 100
