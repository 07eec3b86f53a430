"""Search of a series by fast folding: levels, ranges, gaps, lines."""

from __future__ import annotations

import numpy as np
import pytest

from fastsig.errors import UsageError
from fastsig.search.pulsars.ffa import FoldingSearch, widths_of
from fastsig.search.pulsars.level import levelled

N, SAMPLE_S = 2**16, 1e-3


def _series(snr: float = 25.0, period: float = 0.4517, duty: float = 0.05, seed: int = 1
            ) -> np.ndarray:
    """White noise with a pulse of a given S/N in a boxcar as wide as itself."""
    t = np.arange(N) * SAMPLE_S
    on = ((t / period + 0.25) % 1) < duty
    noise = np.random.default_rng(seed).normal(size=N)
    return (7 + 3 * (noise + on * snr / np.sqrt(on.sum() * (1 - duty)))).astype(np.float32)


def _search(**options: object) -> FoldingSearch:
    given = {"period": (0.3, 3.0), "duty": (1 / 240, 0.2), **options}
    return FoldingSearch(N, SAMPLE_S, **given)  # type: ignore[arg-type]


def test_a_pulse_is_first_with_its_period_signal_to_noise_ratio_and_width() -> None:
    found = _search().process(_series())
    assert found["period"][0] == pytest.approx(0.4517, rel=2e-4)
    assert abs(1 / 0.4517 - found["frequency"][0]) < 4 * found["frequency_error"][0]
    assert found["snr"][0] == pytest.approx(25, abs=2)
    assert found["duty"][0] == pytest.approx(0.05, rel=0.3)
    assert found["sigma"][0] < found["snr"][0]


def test_the_range_of_periods_does_not_change_the_signal_to_noise_ratio() -> None:
    wide, narrow = (_search(period=each).process(_series())[0]
                    for each in ((0.25, 5.0), (0.45, 0.46)))
    assert (wide["snr"], wide["period"]) == (narrow["snr"], narrow["period"])
    assert wide["sigma"] < narrow["sigma"]  # there are more trials


def test_gaps_and_red_noise_leave_the_signal_to_noise_ratio_unbiased() -> None:
    weight = np.ones(N, np.float32)
    weight[(np.arange(N) // 5000) % 4 == 1] = 0
    weight[::3] *= 0.5
    slow = 40 * np.sin(2 * np.pi * np.arange(N) * SAMPLE_S / 40)
    x = _series(40.0)
    rng = np.random.default_rng(2)
    # The level of a sample is in proportion to its weight, and its variance too.
    given = (weight * (x + slow) + 3 * rng.normal(size=N) * np.sqrt(weight - weight**2)).astype(
        np.float32)
    given[weight == 0] = np.nan
    found, whole = _search().process(given, weight)[0], _search().process(x)[0]
    assert found["period"] == pytest.approx(0.4517, rel=2e-4)
    assert found["snr"] == pytest.approx(whole["snr"] * np.sqrt(weight.mean()), abs=1.5)


def _red(seed: int, knee_hz: float = 1.0) -> np.ndarray:
    """Noise whose power rises below a frequency with the inverse square of the frequency."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=N))
    spectrum[1:] *= np.sqrt(1 + (knee_hz * N * SAMPLE_S / np.arange(1, spectrum.size)) ** 2)
    return np.fft.irfft(spectrum, N).astype(np.float32)


def test_red_noise_is_not_significant_and_a_pulse_in_it_is() -> None:
    search = _search(period=(0.3, 8.0))
    assert not sum(len(search.process(_red(seed))) for seed in range(6))
    white, red = (search.process(each + _series(60.0, 2.1) / 3) for each in (
        np.zeros(N, np.float32), _red(1)))
    for each in (white, red):
        assert each["period"][0] == pytest.approx(2.1, rel=1e-3)
    assert 6 < red["sigma"][0] < 0.7 * white["sigma"][0]


def test_lines_that_are_zapped_are_not_found() -> None:
    line = (_series(0.0) + 2 * np.sin(2 * np.pi * 2.0 * np.arange(N) * SAMPLE_S)).astype(np.float32)
    assert _search().process(line)["frequency"][0] == pytest.approx(2.0, abs=0.01)
    assert not len(_search().process(line, zapped=[(1.95, 2.05)]))


def test_noise_and_constant_series_have_no_candidates() -> None:
    search = _search()
    assert not len(search.process(_series(0.0)))
    assert not len(search.process(np.full(N, 3.0, np.float32)))
    assert not len(search.process(np.full(N, np.nan, np.float32)))


@pytest.mark.parametrize(("duty", "period", "seed"), [
    ((1 / 240, 0.2), (0.3, 3.0), 71), ((1 / 64, 0.3), (0.07, 3.0), 72)])
def test_false_alarms_are_as_many_as_stated(
        duty: tuple[float, float], period: tuple[float, float], seed: int) -> None:
    search, rng, n_series = _search(duty=duty, period=period), np.random.default_rng(seed), 40
    search.snr_min = 5.0
    snr = np.concatenate([search.process(rng.standard_normal(N, np.float32))["snr"]
                          for _ in range(n_series)])
    for level in (5.25, 5.5):
        expected = n_series * search.false_alarms(level)
        assert expected > 3
        assert abs((snr >= level).sum() - expected) < 0.2 * expected + 3 * expected**0.5


def test_significance_rises_with_the_snr_and_falls_with_the_trials() -> None:
    search = _search(trials=1000.0)
    sigma = np.array([search.sigma(each) for each in np.arange(8, 20, 0.05)])
    assert (np.diff(sigma) > 0).all()
    assert search.sigma(search.snr_min) == pytest.approx(6, abs=1e-6)
    assert search.sigma(9.0) < _search().sigma(9.0) < 9


def test_levels_follow_slow_changes_and_the_noise_becomes_one() -> None:
    rng = np.random.default_rng(3)
    x = (5 * rng.normal(size=10_000) + np.linspace(0, 90, 10_000)).astype(np.float32)
    flat = levelled(x, None, 500)
    assert flat.std() == pytest.approx(1, rel=0.03)
    assert abs(flat[:250].mean()) < 0.2
    assert abs(flat[-250:].mean()) < 0.2


def test_widths_and_arguments() -> None:
    assert widths_of(240, 0.2) == (1, 2, 3, 4, 6, 9, 13, 19, 28, 42)
    with pytest.raises(UsageError, match=r"at least 0.24 s \(240 samples\)"):
        _search(period=(0.1, 1.0))
    with pytest.raises(UsageError, match="duty"):
        _search(duty=(0.1, 0.2))
