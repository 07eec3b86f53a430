"""Running medians of many rows, and curves through knots, against twins."""

import numpy as np
import pytest
from fastsig_kernels import (
    moving_median,
    moving_median_nb,
    reference,
    running_median,
    through_knots,
    through_knots_nb,
)


def piece(shape, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.integers(-4, 5, shape).astype("float32") + (rng.random(shape) < 0.5) * 0.5
    x[rng.random(shape) < 0.1] = np.nan
    x[-1, ::3] = np.inf
    if shape[0] > 2:
        x[1] = np.nan
    return x.astype("float32")


@pytest.mark.parametrize(("shape", "width"), [
    ((70, 40), 7), ((3, 5), 9), ((130, 50), 33), ((2, 1), 1), ((65, 30), 1), ((4, 20), 2**63 - 1)])
def test_twin_and_the_other_running_median(shape, width):
    x = piece(shape)
    found = moving_median(x, width)
    np.testing.assert_array_equal(found, reference.moving_median(x, width).astype("float32"))
    other = running_median(x, min(width, 99), even=False)[0]
    np.testing.assert_array_equal(found, other)


def test_rows_strides_outputs_and_python():
    x = piece((9, 30))
    whole, out = moving_median(x, 5), np.empty((9, 30), np.float32)
    assert moving_median(x, 5, out=out) is out
    np.testing.assert_array_equal(moving_median(np.asfortranarray(x), 5), whole)
    np.testing.assert_array_equal(moving_median(x[4:7], 5), whole[4:7])
    again = np.empty((2, 8), np.float32)
    moving_median_nb.py_func(x[:2, :8], 3, again)
    np.testing.assert_array_equal(again, moving_median(x[:2, :8], 3))
    for bad in (4, 0):
        with pytest.raises(ValueError, match="width: found"):
            moving_median(x, bad)


def test_curves_through_knots():
    rng = np.random.default_rng(2)
    knots = rng.normal(size=(6, 12)).astype("float32")
    first, weight = rng.integers(0, 9, 40), rng.normal(size=(4, 40)).astype("float32")
    found = through_knots(knots, first, weight)
    np.testing.assert_allclose(found, reference.through_knots(knots, first, weight), atol=1e-5)
    np.testing.assert_array_equal(through_knots(np.asfortranarray(knots), first, weight), found)
    out = np.empty((6, 40), np.float32)
    assert through_knots(knots, first, weight, out=out) is out
    through_knots_nb.py_func(knots[:2], first, weight, out[:2])
    np.testing.assert_array_equal(out, found)
    line = through_knots(np.arange(12, dtype=np.float32)[np.newaxis], np.arange(11),
                         np.full((2, 11), 0.5, np.float32))
    np.testing.assert_array_equal(line[0], np.arange(11) + 0.5)
    with pytest.raises(ValueError, match="first: found 0 to 9, allowed 0 to 8"):
        through_knots(knots, np.arange(10), np.ones((4, 10), np.float32))
