"""Fast folding: against its slow twin, against folding at the period, and on noise."""

from __future__ import annotations

import numpy as np
import pytest
from fastsig_kernels import FFA, reference

WIDTHS = 1, 2, 4


def _noise(n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n).astype(np.float32)


def _plan(n_time: int, shortest: float, longest: float, n_step: int = 9) -> FFA:
    return FFA(n_time, shortest, longest, n_bin=24, widths=WIDTHS, n_step=n_step)


def _slow(plan: FFA, x: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """S/N of each width at each period, by the twins."""
    good = np.ones(len(x)) if weight is None else weight
    found = []
    for trial in plan._trials:
        size = max(1, 2 ** int(np.log2(trial.factor / 4)))  # samples that are summed first
        shared = 0.0 if (trial.factor / size).is_integer() else size / 3
        sums, counts = (reference.ffa_turns(_turns(each, trial.factor, size, trial))
                        for each in (np.where(good > 0, x, 0), good))
        found += [[reference.ffa_snr(sums[k], counts[k], width,
                                     shared / (trial.n_bin * trial.factor)) for width in WIDTHS]
                  for k in range(trial.first, trial.stop)]
    return np.array(found)


def _turns(x: np.ndarray, factor: float, size: int, trial: object) -> np.ndarray:
    whole = x[: len(x) // size * size].reshape(-1, size).sum(axis=1)
    bins = reference.ffa_bins(whole, factor / size)
    n_row, n_bin = trial.n_row, trial.n_bin  # type: ignore[attr-defined]
    return bins[: n_row * n_bin].reshape(n_row, n_bin)


@pytest.mark.parametrize(("n_time", "shortest", "longest"), [
    (2000, 24, 31), (2003, 24, 31), (1500, 60, 70), (6007, 140, 150), (1201, 500, 600),
    (68_000, 24.5, 24.51), (99_000, 30, 30.02)])  # trees of sixteen parts
def test_results_are_those_of_the_twin(n_time: int, shortest: float, longest: float) -> None:
    plan, x = _plan(n_time, shortest, longest, 3), _noise(n_time)
    snr, width = plan.process(x)
    expected = _slow(plan, x)
    np.testing.assert_allclose(snr, expected.max(axis=1), atol=3e-6)
    chosen = expected[np.arange(len(snr)), width]
    np.testing.assert_allclose(chosen, expected.max(axis=1), atol=3e-6)


def test_short_integers_add_a_small_error_unless_a_pulse_is_too_strong() -> None:
    x = _noise(30_000)
    short, exact = (FFA(len(x), 100, 400, n_bin=100, widths=WIDTHS, exact=each)
                    for each in (False, True))
    expected, _ = exact.process(x)
    snr, _ = short.process(x)
    error = snr - expected
    assert 0.01 < error.std() < 0.03
    assert abs(error.mean()) < 0.003
    for strong in (np.where(np.arange(len(x)) % 250 == 7, 200, x),  # in the sums of many turns
                   np.where(np.arange(len(x)) == 5000, 1e4, x)):  # in a sample
        values = strong.astype(np.float32)
        (snr, _), (expected, _) = short.process(values), exact.process(values)
        best = int(np.argmax(expected))
        assert snr[best] == expected[best] > 80
        assert np.abs(snr - expected).max() < 0.12


@pytest.mark.parametrize(("n_time", "amplitude"), [(30_000, 4), (230_000, 1)])
def test_a_strong_pulse_that_leaves_int16_has_the_same_results_in_any_range(
        n_time: int, amplitude: float) -> None:
    x = _noise(n_time) + amplitude * (np.arange(n_time) % 101.3 < 30)
    x = (x - x.mean()).astype(np.float32)
    wide, narrow, exact = (FFA(n_time, shortest, longest, n_bin=100, widths=WIDTHS, exact=each)
                           for shortest, longest, each in (
                               (101, 101.6, False), (101.29, 101.6, False), (101, 101.6, True)))
    found, expected = wide.process(x)[0], exact.process(x)[0]
    assert expected.max() > 50
    assert 0 < np.abs(found - expected).max() < 0.12  # of integers, and not of float32
    of_wide = dict(zip(wide.periods.tolist(), found.tolist(), strict=True))
    again = narrow.process(x)[0].tolist()
    assert [of_wide[each] for each in narrow.periods.tolist()] == again


@pytest.mark.parametrize(("n_time", "shortest", "longest"), [(1400, 24, 31), (2803, 140, 150)])
def test_gaps_have_no_weight(n_time: int, shortest: float, longest: float) -> None:
    plan, x = _plan(n_time, shortest, longest, 3), _noise(n_time)
    weight = np.random.default_rng(2).choice([0, 0.5, 1], n_time, p=[0.1, 0.2, 0.7])
    weight[300:700] = 0
    expected = _slow(plan, x, weight).max(axis=1)
    x[weight == 0] = 1e6
    snr, _ = plan.process(x, weight=weight.astype(np.float32))
    np.testing.assert_allclose(snr, expected, atol=2e-4)
    x[weight == 0] = np.nan  # what is not finite has no weight
    again, _ = plan.process(x, weight=np.where(weight > 0, weight, 1).astype(np.float32))
    np.testing.assert_array_equal(again, snr)


def test_no_valid_samples_give_no_signal() -> None:
    plan = _plan(600, 24, 31)
    snr, width = plan.process(np.full(600, np.nan, np.float32))
    assert not snr.any()
    assert not width.any()


def test_periods_are_complete_and_do_not_depend_on_the_range() -> None:
    x = _noise(3000)
    wide, narrow = _plan(3000, 24, 200), _plan(3000, 50, 90)
    periods = np.sort(wide.periods)
    assert periods[0] == 24
    assert 199 < periods[-1] < 200
    # The pulse drifts by no more than a bin of the smallest profile from one to the next.
    assert (np.diff(1 / periods) * -3000 * 24 < 1.35).all()
    of_wide = dict(zip(wide.periods.tolist(), wide.process(x)[0].tolist(), strict=True))
    found, _ = narrow.process(x)
    assert [of_wide[each] for each in narrow.periods.tolist()] == found.tolist()
    assert ((narrow.periods >= 50) & (narrow.periods < 90)).all()


def test_a_pulse_has_its_period_width_and_signal_to_noise_ratio() -> None:
    """The test of riptide: 128 s, 256 us, a period of 1 s, S/N 20 and a duty cycle of 2 %."""
    n, period = 500_000, 1 / 256e-6
    kappa = np.log(2) / (2 * np.sin(np.pi * 0.02 / 2) ** 2)  # a von Mises pulse
    x = np.exp(kappa * (np.cos(2 * np.pi * (np.arange(n) / period - 0.3)) - 1))
    x *= 20 / np.sqrt((x**2).sum())
    widths = [1, 2, 3, 4, 6, 9, 13, 19, 28, 42]
    # Exact, because without noise, integers lose what is below a half of their step.
    plan = FFA(n, 0.95 * period, 1.05 * period, n_bin=480, widths=widths, exact=True)
    snr, width = plan.process(x.astype(np.float32))
    best = int(np.argmax(snr))
    assert snr[best] == pytest.approx(18.5, abs=0.15)
    assert widths[width[best]] == 13
    assert plan.periods[best] == pytest.approx(period, rel=2e-5)


def test_the_noise_of_a_boxcar_is_as_stated() -> None:
    """Bins that share samples have less noise; a third of the time has no samples at all."""
    rng, factor, n_bin, n_row, width = np.random.default_rng(3), 4.3, 24, 5, 5
    n = int(factor * n_bin * n_row) + 1
    valid = np.arange(n) % 90 < 60
    found = []
    for _ in range(3000):
        x = rng.normal(size=n) * valid
        sums, counts = (reference.ffa_bins(each, factor).reshape(n_row, n_bin).sum(axis=0)
                        for each in (x, valid))
        inside = np.arange(n_bin) < width
        w_in, w_out = counts[inside].sum(), counts[~inside].sum()
        both = 1 / w_in + 1 / w_out
        shared = counts.sum() / (n_bin * factor) / 3
        found.append((sums[inside].sum() / w_in - sums[~inside].sum() / w_out)
                     / np.sqrt(both - shared * both**2))
    assert np.std(found) == pytest.approx(1, abs=4 / np.sqrt(2 * 3000))


def test_arguments_that_are_not_allowed_are_refused() -> None:
    with pytest.raises(ValueError, match="half of"):
        FFA(1000, 24, 600, n_bin=24, widths=[1])
    with pytest.raises(ValueError, match="shortest"):
        FFA(1000, 20, 100, n_bin=24, widths=[1])
    with pytest.raises(ValueError, match="widths"):
        FFA(1000, 24, 100, n_bin=24, widths=[2, 1])
    for widths in (3, None, np.array(3), iter([1, 2]), {1, 2}, "12"):
        with pytest.raises(TypeError, match="widths: found"):
            FFA(1000, 24, 100, n_bin=24, widths=widths)
    with pytest.raises(ValueError, match="no trial period from 24.5 to 24.6"):
        FFA(100, 24.5, 24.6, n_bin=24, widths=[1])
    plan = _plan(1000, 24, 100)
    with pytest.raises(ValueError, match="shape"):
        plan.process(np.zeros(999, np.float32))
    with pytest.raises(TypeError, match="x"):
        plan.process(np.zeros(1000))
