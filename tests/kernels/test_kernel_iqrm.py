"""IQRM against the package of its authors, and against the twin."""

import iqrm
import numpy as np
import pytest
from fastsig_kernels import iqrm_mask, iqrm_mask_nb, reference
from fastsig_kernels.iqrm import _lags


def statistic(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 200))
    x = rng.normal(5, 1, n) + np.linspace(0, rng.uniform(0, 20), n)
    x[rng.random(n) < 0.1] *= 2
    if seed % 3 == 0:
        x = np.round(x)  # ties
    ignored = np.flatnonzero(rng.random(n) < 0.05) if seed % 2 else np.array([], int)
    return x, ignored, int(rng.integers(1, 2 * n + 5)), float(rng.uniform(1, 4))


@pytest.mark.filterwarnings("ignore:All-NaN slice:RuntimeWarning")
@pytest.mark.parametrize("first", range(0, 100, 10))
def test_marks_are_those_of_the_package(first):
    for seed in range(first, first + 10):
        x, ignored, radius, threshold = statistic(seed)
        known = np.delete(np.arange(len(x)), ignored)
        expected, _ = iqrm.iqrm_mask(x, radius, threshold, ignored.tolist())
        given = x.copy()
        given[ignored] = np.nan
        found = iqrm_mask(given, radius, threshold)
        np.testing.assert_array_equal(found[known], expected[known])
        np.testing.assert_array_equal(found, reference.iqrm_mask(given, radius, threshold))
        assert not found[ignored].any()


def test_what_stands_out_of_a_slope_and_python():
    x = np.linspace(0, 100, 300) + np.random.default_rng(1).normal(0, 0.1, 300)
    x[[40, 41, 200]] += 30
    marks = iqrm_mask(x, 30)
    assert {40, 41, 200} <= set(np.flatnonzero(marks)) and marks.sum() < 12
    out = np.empty(300, bool)
    assert iqrm_mask(x, 30, out=out) is out
    again = np.empty(300, bool)
    iqrm_mask_nb.py_func(x, _lags(30), 3.0, again)
    np.testing.assert_array_equal(again, marks)
    np.testing.assert_array_equal(iqrm_mask(np.repeat(x, 2)[::2], 30), marks)


def test_nothing_and_far_lags():
    assert not iqrm_mask(np.full(20, np.nan), 3).any() and iqrm_mask(np.empty(0), 3).size == 0
    x = np.random.default_rng(2).normal(size=50)
    np.testing.assert_array_equal(iqrm_mask(x, 2**63), iqrm_mask(x, 100))
    with pytest.raises(ValueError, match="threshold: found 0"):
        iqrm_mask(x, 3, 0.0)
