"""False alarms that are expected of noise, against searches of it."""

from __future__ import annotations

import numpy as np
import pytest
from fastsig_kernels import boxcar_ladder
from scipy.special import ndtr

from bench.burst_trials import counted, plan_of
from fastsig.search.bursts.engine import BurstSearch
from fastsig.search.bursts.trials import chance, degrees_of, false_alarms, trials


@pytest.mark.parametrize(("degrees", "lossy"), [(0, False), (6, False), (24, True)])
def test_candidates_in_noise_are_as_many_as_expected(degrees: float, lossy: bool) -> None:
    # The seeds and the widths are not those by which the constants were found.
    found = counted(1.3, 50, 150_000, seed=77, degrees=degrees, lossy=lossy)
    for each in found[:3]:
        assert each.is_right
    assert found[0].found > 100


def test_trials_of_one_series_are_its_samples() -> None:
    one = boxcar_ladder(0.05, 1)
    assert 0.9 < trials(1.0, 1, one, 6.0).sum() < 1.2
    # Delays that are far apart are independent; those that are the same add nothing.
    assert 0.9 < trials(50.0, 100, one, 6.0).sum() / 100 < 1.2
    assert trials(1e-9, 100, one, 6.0).sum() < 1.2
    wide = trials(1.0, 100, boxcar_ladder(0.05, 1000), 6.0)
    assert (np.diff(wide[-10:]) < 0).any() and wide.sum() < 1000


def test_tails_of_powers_are_longer_than_those_of_gaussian_noise() -> None:
    shape = 4096 * 24 / 2
    assert chance(6.0, np.inf) == ndtr(-6.0)
    assert chance(6.0, shape) / chance(6.0, np.inf) == pytest.approx(1.4, abs=0.05)
    assert chance(7.0, shape) / chance(7.0, np.inf) == pytest.approx(1.7, abs=0.05)
    assert chance(6.0, 1e12) == ndtr(-6.0)
    assert degrees_of(500e6 / 4096, 49.152e-6, 2) == pytest.approx(24)


def test_false_alarms_grow_with_time_and_fall_with_the_threshold() -> None:
    plan = plan_of(1.0, 100)
    assert false_alarms(plan, 20.0) == pytest.approx(2 * false_alarms(plan, 10.0))
    levels = [false_alarms(plan, 10.0, threshold=level) for level in (5, 6, 7)]
    assert levels[0] > 100 * levels[1] > 10000 * levels[2]


def test_lost_samples_lengthen_the_tails_of_sums() -> None:
    plan, rng = plan_of(1.0, 16), np.random.default_rng(2)
    search = BurstSearch(plan)
    valid = np.ones((8192, 64), bool)
    valid[:, ::4] = False
    valid[4000:4100] = False
    search.process(rng.standard_normal(valid.shape, dtype=np.float32), valid)
    found = search.finish()
    assert found.live_share == pytest.approx(1 - 100 / 8192)
    assert found.valid_share == pytest.approx(0.75)
    few, many = (false_alarms(plan, 10.0, degrees=24 * each, threshold=7) for each in (0.75, 1))
    assert few > 1.2 * many
