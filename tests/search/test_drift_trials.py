"""Hits that are expected of noise, against searches of it."""

import numpy as np
import pytest

from bench.drift_trials import counted, plan_of
from fastsig.search.drift.trials import false_alarms, trials


@pytest.mark.parametrize(("drift", "shape"), [(1.5, 1e5), (10.0, 20.0)])
def test_hits_of_noise_are_as_many_as_expected(drift, shape):
    # The seeds and the drifts are not those by which the constants were found.
    found = counted(16, drift, 8, 2, seed=77, shape=shape, n_chan=2**16)
    assert found[0].found > 4
    assert all(each.is_right for each in found[:2])


def test_trials_grow_with_the_range_and_fall_with_the_width():
    few, many = (trials(plan_of(16, drift, 8), 10.0) for drift in (0.5, 2.0))
    assert all(many[width] > few[width] for width in few)
    assert few[1] > few[8] and 10 < sum(few.values()) < 200


def test_powers_have_far_more_than_gaussian_noise():
    """51 x 16 samples: above 10 sigma, hundreds of times as many."""
    plan = plan_of(16, 26.0, 8)
    powers, gaussian = (false_alarms(plan, 10.0, [(2**20, shape)]) for shape in (51.0, np.inf))
    assert powers > 300 * gaussian
    assert powers == pytest.approx(2 * false_alarms(plan, 10.0, [(2**19, 51.0)]))
    assert false_alarms(plan, 10.0, []) == 0
