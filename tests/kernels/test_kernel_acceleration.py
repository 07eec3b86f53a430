"""Sums of harmonics of drifting frequency."""

import numpy as np
import pytest
from fastsig_kernels import AccelerationSearch, HarmonicSearch, reference
from fastsig_kernels._drift_tiles import Templates, best_tile
from fastsig_kernels._periodic_tables import jerk_taps, templates

RNG = np.random.default_rng(22)


def noise(n: int) -> np.ndarray:
    """Return amplitudes of noise with a mean power of 1."""
    return (np.array([1, 1j]) @ RNG.standard_normal((2, n)) / np.sqrt(2)).astype(np.complex64)


def tone(r: float, z: float, n_bin: int, w: float = 0) -> np.ndarray:
    """Return the spectrum of a tone of mean frequency r, drift z and jerk w, by brute force."""
    n = 16 * n_bin
    v = (np.arange(n) + 0.5) / n - 0.5
    wave = np.exp(2j * np.pi * (r * (v + 0.5) + z * (v**2 - 0.25) / 2 + w * (v**3 / 6 - v / 24)))
    bins = np.arange(n_bin)[:, np.newaxis]
    return (wave * np.exp(-2j * np.pi * bins * (v + 0.5))).mean(axis=1)


@pytest.mark.parametrize("z", [0, 2, -14, 200, 600, 1200])
def test_templates_equal_a_fourier_sum(z):
    half = 160 if abs(z) <= 200 else 700
    for r in (half, half + 0.5):
        brute = tone(r, z, 2 * half)
        k = np.arange(2 * half)
        made = np.exp(1j * np.pi * (r - z / 4)) * (1 - 2 * (k % 2)) * templates(
            np.array([float(z)]), k - r)[0].conj()
        np.testing.assert_allclose(made, brute, atol=1e-4 * np.abs(brute).max())


@pytest.mark.parametrize("z, w", [(0, 20), (6, -20), (-40, 300), (100, -600), (0, 1200)])
def test_templates_of_jerk_equal_a_fourier_sum(z, w):
    k, taps = np.arange(320), jerk_taps(w, 700)
    for r in (160.0, 160.5):
        brute = tone(r, z, 320, w)
        # The conjugate, at distances k - r of r.
        wide = templates(np.array([float(z)]), np.arange(k[0] - 700, k[-1] + 701) - r)[0]
        made = np.exp(1j * np.pi * (r - z / 4)) * (1 - 2 * (k % 2)) * np.convolve(
            wide, taps, "valid").conj()
        np.testing.assert_allclose(made, brute, atol=1e-4 * np.abs(brute).max())


@pytest.mark.parametrize("w", [20, 300, 600, 6000])
def test_templates_of_jerk_hold_the_power(w):
    assert 0.998 < (jerk_taps(w) ** 2).sum() < 1


@pytest.mark.parametrize("z", [0, 3, 50, 100])
def test_templates_hold_most_of_the_power(z):
    assert ((np.abs(Templates(z, 16).taps[z]) ** 2).sum(axis=-1) > 0.985).all()


@pytest.mark.parametrize("n_harmonic, z_max, n_side", [(1, 41, 16), (2, 0, 16), (4, 41.5, 16),
                                                       (16, 12, 5)])
def test_events_equal_their_twin(n_harmonic, z_max, n_side):
    n = 1501
    x, valid, lags = noise(n), RNG.random(n) > 0.03, np.exp((-1 + 0.3j) * np.arange(8))
    x[150:900:150] += 3
    thresholds = 5 + 1.8 * np.arange(1, n_harmonic + 1)
    for good in (None, valid):
        x[~valid] = x[~valid] if good is None else 0
        plan = AccelerationSearch(n, thresholds, z_max=z_max, r_min=5.3, r_max=701,
                                  n_side=n_side)
        found = plan.process(x, valid=good, lags=lags)
        twin = reference.acceleration_events(x, thresholds, good, z_max=z_max, r_min=5.3, r_max=701,
                                             n_side=n_side, lags=lags)
        assert len(found) >= 3 and plan.n_dropped == 0
        for name in ("r", "z", "n_harmonic", "n_valid"):
            np.testing.assert_array_equal(found[name], twin[name])
        np.testing.assert_allclose(found["power"], twin["power"], rtol=1e-4)


@pytest.mark.parametrize("n_harmonic, z_max, w_max", [(1, 0, 45), (2, 8, 20), (8, 6, 61)])
def test_events_with_jerk_equal_their_twin(n_harmonic, z_max, w_max):
    n = 901
    x, valid, lags = noise(n), RNG.random(n) > 0.03, np.exp((-1 + 0.3j) * np.arange(8))
    x[150:900:150] += 3
    x[~valid] = 0
    thresholds = 5 + 1.8 * np.arange(1, n_harmonic + 1)
    given = {"z_max": z_max, "w_max": w_max, "r_min": 5.3, "r_max": 401}
    plan = AccelerationSearch(n, thresholds, **given)
    found = plan.process(x, valid=valid, lags=lags)
    twin = reference.acceleration_events(x, thresholds, valid, lags=lags, **given)
    assert plan.w_max == w_max // 20 * 20 and len(set(found["w"])) > 2 and plan.n_dropped == 0
    for name in ("r", "z", "w", "n_harmonic", "n_valid"):
        np.testing.assert_array_equal(found[name], twin[name])
    np.testing.assert_allclose(found["power"], twin["power"], rtol=1e-4)


def test_a_pulsar_with_jerk_has_its_frequency_drift_and_jerk():
    n, r, z, w, x = 2000, 100.5, -6.0, 40.0, noise(2000) / 10
    for j in range(1, 5):
        x += (3 * tone(j * r, j * z, n, j * w)).astype(np.complex64)
    thresholds = 3 + 2.0 * np.arange(1, 5)
    drifting, found = (AccelerationSearch(n, thresholds, z_max=100, w_max=each).process(x)
                       for each in (0, 300))
    best = found[np.argmax(found["power"])]
    assert [best[name] for name in ("n_harmonic", "r", "z", "w")] == [4, r, z, w]
    assert best["power"] == pytest.approx(4 * 9, rel=0.03)
    assert drifting["power"].max() < 0.6 * best["power"]


def test_without_drift_events_are_those_of_the_other_search():
    x, thresholds = noise(5001), np.array([8.0, 11, 14, 16])
    found = AccelerationSearch(5001, thresholds, z_max=1.9).process(x)
    same = HarmonicSearch(5001, thresholds).process(x)
    np.testing.assert_array_equal(found["r"], same["r"])
    np.testing.assert_allclose(found["power"], same["power"], rtol=1e-4)


def test_a_drifting_pulsar_has_its_frequency_and_drift():
    n, r, z, x = 2000, 100.5, -12.0, noise(2000) / 10
    u = np.arange(16 * n) / (16 * n)
    for j in range(1, 9):
        wave = np.exp(2j * np.pi * j * (r * u + z * (u**2 - u) / 2))
        x += (3 * np.fft.fft(wave)[:n] / u.size).astype(np.complex64)
    thresholds = 20 + 4.0 * np.arange(1, 9)
    found = AccelerationSearch(n, thresholds, z_max=100).process(x)
    best = found[np.argmax(found["power"])]
    assert (best["n_harmonic"], best["r"], best["z"]) == (8, r, z)
    assert best["power"] == pytest.approx(8 * 9, rel=0.03)


@pytest.mark.parametrize("n_z, n_harmonic", [(0, 1), (100, 8), (100, 32), (600, 2)])
def test_pieces_of_a_tile_cover_its_rows(n_z, n_harmonic):
    tile = best_tile(n_z, n_harmonic, 16, 2**22)
    for row, side in enumerate(tile.sides):
        pieces = [each for each in tile.pieces if each.row == row]
        assert sum(each.n_bin for each in pieces) == -(-tile.n_bin * (row + 1) // n_harmonic) + 1
        assert all(each.n_bin + 2 * side <= each.length for each in pieces)
        assert side >= 16 + n_z * (row + 1) // n_harmonic


def test_the_best_events_are_kept():
    x, thresholds = noise(700), np.arange(1.0, 5)
    everything = AccelerationSearch(700, thresholds, z_max=8).process(x)
    plan = AccelerationSearch(700, thresholds, z_max=8, most=50)
    found = plan.process(x)
    assert len(found) == 50 and plan.n_dropped == len(everything) - 50
    excess = np.sort(everything["power"] - everything["n_valid"])
    np.testing.assert_allclose(np.sort(found["power"] - found["n_valid"]), excess[-50:])


def test_wrong_drifts_are_refused():
    with pytest.raises(ValueError, match="z_max"):
        AccelerationSearch(100, np.array([5.0]), z_max=1201)
    with pytest.raises(TypeError, match="z_max"):
        AccelerationSearch(100, np.array([5.0]), z_max=True)
    with pytest.raises(ValueError, match="w_max"):
        AccelerationSearch(100, np.array([5.0]), z_max=2, w_max=6001)
