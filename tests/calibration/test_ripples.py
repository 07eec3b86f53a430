"""Standing waves removed: to the noise, with the line's flux; gaps, weights, groups of rows."""

from __future__ import annotations

import numpy as np
import pytest

from fastsig.calibration import lines
from fastsig.calibration.baseline import polynomial
from fastsig.calibration.lines import inside
from fastsig.calibration.ripple import fourier, sine
from fastsig.errors import UsageError

STEP = 500 / 65536  # MHz, of FAST's mode W
X = 1405 + (np.arange(4096) + 0.5) * STEP
PROTECT = [(1419.0, 1421.5)]
LINE = 20 * np.exp(-4 * np.log(2) * ((X - 1420.3) / 0.5) ** 2)


def ripple(period: float, phase: float = 0.3, size: float = 4.0) -> np.ndarray:
    return size * np.cos(2 * np.pi * (X - X.mean()) / period + phase)


def removed(method: str, values: np.ndarray, **options: object) -> np.ndarray:
    if method == "fourier":
        return fourier(values, X, protect=PROTECT, **options)
    return sine(values, X, protect=PROTECT, **options).model


def rms(values: np.ndarray, order: int = 5) -> float:
    """Of channels outside of the window, less a trend."""
    flat = values - polynomial(values, X, order=order, protect=PROTECT)
    return float(flat[..., ~inside(X, PROTECT)].std())


@pytest.mark.parametrize("method", ["fourier", "sine"])
@pytest.mark.parametrize("period", [1.08, 1.045, 1.13])
def test_noise_is_reached_and_the_line_stays(method: str, period: float) -> None:
    rng = np.random.default_rng(int(1000 * period))
    noise = rng.normal(0, 1, (16, 2, 4096))
    trend = 300 + 5 * ((X - 1418) / 15) - 3 * ((X - 1418) / 15) ** 2
    values = trend + ripple(period) + LINE + noise
    assert 2.9 < rms(values) < 3.1
    left = values - removed(method, values)
    assert 0.97 < rms(left) < 1.02  # 1.15 is asked
    within = inside(X, PROTECT)
    flux = (left - trend)[..., within].sum(axis=-1).mean() / LINE.sum()
    scatter = np.sqrt(within.sum() / 32) / LINE.sum()  # the noise's own, 0.3 %
    assert abs(flux - 1) < 0.005 + 3 * scatter  # 2 % is asked
    mean = (left - trend - LINE).mean(axis=(0, 1))
    assert np.abs(mean[:64].mean()) < 0.25 and np.abs(mean[-64:].mean()) < 0.25  # and the ends


def test_the_line_would_be_harmed_without_its_window() -> None:
    values = (100 + ripple(1.08) + LINE)[np.newaxis]
    for method, call in (("fourier", fourier), ("sine", lambda *each: sine(*each).model)):
        off = [np.abs(model - ripple(1.08))[..., abs(X - 1420) < 5].max()
               for model in (removed(method, values), call(values, X))]
        assert off[0] < 0.06 and off[1] > 5 * off[0]


def test_the_model_without_noise() -> None:
    slow = 1 + 0.1 * np.sin((X - 1405) / 6)  # amplitudes change along the band
    truth = ripple(1.1) * slow
    values = (100 + 4 * ((X - 1420) / 15) ** 2 + truth + 1000 * inside(X, PROTECT))[np.newaxis]
    off = removed("fourier", values)[0] - truth
    assert np.abs(off).max() < 0.04 and off.std() < 0.004  # of an amplitude of 4
    wave = sine(values / slow, X, protect=PROTECT, trend=8).model[0]
    assert np.abs(wave - ripple(1.1)).max() < 0.06


def test_gaps_and_weights() -> None:
    rng = np.random.default_rng(4)
    values = 100 + ripple(1.1) + rng.normal(0, 1, (6, 1, 4096))
    weight = rng.uniform(0.5, 1, (6, 1, 4096))
    values[1, 0, 500:600] = np.nan
    weight[2, 0, 1000:1200] = 0
    values[2, 0, 1000:1200] = 1e9
    values[3] = np.nan
    for model in (fourier(values, X, weight), sine(values, X, weight).model):
        assert np.isnan(model[3]).all() and np.isfinite(np.delete(model, 3, axis=0)).all()
        off = np.delete(model, 3, axis=0) - ripple(1.1)
        assert off.std() < 0.2 and np.abs(off[2, 0, 1000:1200]).max() < 0.5


def test_several_periods_and_harmonics() -> None:
    rng = np.random.default_rng(6)
    truth = ripple(1.08, size=3) + ripple(1.92, 1.0, 2) + ripple(0.54, 0.2, 1)
    values = (truth + rng.normal(0, 1, (8, 4096)))[:, np.newaxis]
    found = fourier(values, X, period=(1.08, 1.92, 0.54))
    assert (found - truth).std() < 0.25
    waves = sine(values, X, period=(1.08, 1.92), harmonics=2)
    assert (waves.model - truth).std() < 0.15
    assert waves.period.shape == (8, 2) and waves.amplitude.shape == (8, 1, 2, 2)
    np.testing.assert_allclose(waves.period.mean(axis=0), [1.08, 1.92], rtol=1e-3)
    np.testing.assert_allclose(abs(waves.amplitude).mean(axis=(0, 1)), [[3, 1], [2, 0]], atol=0.06)
    # A cos + B sin of a wave cos(phase + .3) is cos .3 and -sin .3
    np.testing.assert_allclose(waves.amplitude[:, 0, 0, 0].mean(), 3 * np.exp(-0.3j), atol=0.05)
    narrow = 90 + ripple(0.039)[np.newaxis, np.newaxis]
    assert np.abs(fourier(narrow, X, period=0.039) - ripple(0.039))[..., 100:-100].max() < 0.02
    assert np.abs(sine(narrow, X, period=0.039).model - ripple(0.039)).max() < 0.05


@pytest.mark.parametrize("method", ["fourier", "sine"])
def test_groups_are_kept_apart(method: str) -> None:
    rng = np.random.default_rng(8)
    groups = np.arange(12) % 2
    on = groups[:, np.newaxis] == 1
    truth = np.where(on, ripple(1.1, 2.0, 6), ripple(1.06))[:, np.newaxis]
    values = truth + rng.normal(0, 1, (12, 1, 4096))
    apart = removed(method, values, groups=groups, n_rows=7)
    assert (apart - truth).std() < 0.2
    assert (removed(method, values, n_rows=7) - truth).std() > 1


def test_rows_help_one_another() -> None:
    rng = np.random.default_rng(9)
    values = ripple(1.1, size=0.2) + rng.normal(0, 1, (41, 1, 4096))
    alone, many = ((fourier(values, X, n_rows=n) - ripple(1.1, size=0.2)).std() for n in (1, 21))
    assert many < alone / 3
    periods = [sine(values, X, n_rows=n).period.std() for n in (1, 21)]
    assert periods[1] < periods[0] / 2


@pytest.mark.parametrize("method", ["fourier", "sine"])
def test_a_row_is_the_same_whatever_is_beside_it(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(10)
    values = (ripple(1.1) + rng.normal(0, 1, (9, 2, 4096))).astype(np.float32)
    values[4, 0, :300] = np.nan
    whole = removed(method, values, n_rows=3)
    monkeypatch.setattr(lines, "_CHUNK", 5000)
    for row in range(9):
        first = max(0, row - 1)
        part = removed(method, values[first : row + 2], n_rows=3,
                       rows=slice(row - first, row - first + 1))
        assert (part[0] == whole[row]).all()


@pytest.mark.parametrize(("options", "text"), [
    ({"period": 0}, "above 0"), ({"period": 0.012}, "two channels"), ({"period": 40}, "two thirds"),
    ({"width": 2}, "width = 2"), ({"trend": -1}, "trend"), ({"n_rows": 2}, "1, 3, 5"),
    ({"groups": [1, 2]}, "groups"), ({"x": X**2}, "evenly spaced"),
])
def test_refused(options: dict, text: str) -> None:
    for call in (fourier, sine):
        with pytest.raises(UsageError, match=text):
            call(np.ones((1, 4096)), **{"x": X, **options})
    with pytest.raises(UsageError, match="harmonics = 0"):
        sine(np.ones((1, 4096)), X, harmonics=0)
