"""Medians of groups and running medians against their twins and their contract."""

import numpy as np
import pytest
from fastsig_kernels import (
    column_median,
    column_median_nb,
    group_median,
    group_median_nb,
    median_nb,
    reference,
    running_median,
    running_median_nb,
)

NO_FLAGS = np.empty((0, 0), bool)


def piece(shape=(5, 90), seed=1, whole=False):
    rng = np.random.default_rng(seed)
    x = rng.integers(-4, 5, shape) if whole else rng.standard_normal(shape)
    x = x.astype("float32")
    x[rng.random(shape) < 0.1] = np.nan
    x[2, :] = np.inf
    return x, rng.random(shape) < 0.15


@pytest.mark.parametrize("whole", [False, True])  # whole numbers have ties
@pytest.mark.parametrize("n", [1, 2, 7, 90, 200])
def test_group_twin(n, whole):
    x, flags = piece(whole=whole)
    for each in (None, flags):
        found = group_median(x, n, flags=each)
        assert found.shape == (5, -(-90 // n)) and found.dtype == np.float32
        # Rounded once.
        np.testing.assert_allclose(found, reference.group_median(x, n, each), rtol=2.0**-23)
        assert np.isnan(found[2]).all()


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("shape", [(5, 90), (8, 64), (64, 70), (3, 1), (4, 65)])
def test_column_twin(shape, whole):
    x, flags = piece(shape, whole=whole)
    x[:, 0] = np.nan
    for each in (None, flags):
        expected = reference.group_median(x.T, len(x), None if each is None else each.T)[:, 0]
        for laid, out in ((x, None), (np.asfortranarray(x), np.zeros(2 * shape[1], "f4")[::2])):
            found = column_median(laid, flags=each, out=out)
            np.testing.assert_allclose(found, expected, rtol=2.0**-23)
    assert np.isnan(found[0]) and column_median(x[:0]).shape == (shape[1],)


def test_medians_of_all_floats():
    """Of any sign and size: whole numbers in the order of floats, halved over all their range."""
    rng = np.random.default_rng(8)
    x = rng.integers(0, 2**32, (7, 500), dtype=np.uint32).view("float32")
    x[:, 0], x[0, :2] = 0, -0.0
    x = np.where(np.isfinite(x), x, 0).astype("float32")
    np.testing.assert_array_equal(column_median(x), np.median(x, axis=0))
    rows = np.ascontiguousarray(x.T)
    np.testing.assert_array_equal(group_median(rows, 7)[:, 0], np.median(x, axis=0))


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("width", [1, 3, 15, 89, 91, 301])
def test_running_twin(width, even, whole):
    x, flags = piece(whole=whole)
    for each in (None, flags):
        found, scale = running_median(x, width, flags=each, even=even)
        expected = reference.running_median(x, width, each, even)
        np.testing.assert_array_equal(found, expected[0])
        np.testing.assert_allclose(scale, expected[1], rtol=2.0**-23)


def test_running_is_scipys_inside():
    from scipy.ndimage import median_filter

    x = np.random.default_rng(3).standard_normal((3, 200)).astype("float32")
    found, _ = running_median(x, 21)
    np.testing.assert_array_equal(found[:, 10:-10], median_filter(x, (1, 21))[:, 10:-10])


def test_a_slope_leaves_nothing_where_windows_shrink():
    x = np.arange(50, dtype="float32")[np.newaxis]
    assert np.array_equal(running_median(x, 15)[0], x)
    cut = running_median(x, 15, even=False)[0][0]
    assert cut[0] == 7 == cut[6] and cut[-1] == 42 and np.array_equal(cut[7:-7], x[0, 7:-7])


def test_scale_is_the_standard_deviation_of_noise():
    x = np.random.default_rng(5).normal(7, 3, (1, 20_001)).astype("float32")
    x[0, ::20] = 1e9  # a twentieth moves a median by 0.07 sigma
    median, scale = running_median(x, 20_001, even=False)
    assert abs(median[0, 10_000] - 7) < 0.3 and abs(scale[0, 10_000] / 3 - 1) < 0.12


@pytest.mark.parametrize("n", [9, 64, 1001, 2**12, 2**18 + 2])
def test_median_of_any_distribution(n):
    rng = np.random.default_rng(n)
    noise = rng.standard_normal(n)
    for values in (noise, noise**2, rng.gamma(51, 1, n), np.tan(3 * noise), np.exp(15 * noise),
                   rng.integers(0, 3, n), rng.integers(-100, 100, n), np.ones(n),
                   np.where(noise > 0, 1e20, -1e-20), noise + 1e30 * (rng.random(n) < 0.4),
                   np.arange(n), np.sort(noise)[::-1], np.minimum(noise, 0)):
        values = values.astype("float32")
        below, upper = np.sort(values)[[(n - 1) // 2, n // 2]].astype(float)
        assert median_nb(values.copy(), n) == np.float32(0.5 * (below + upper))


def test_median_of_few():
    for n in range(1, 40):
        for seed in range(5):
            values = np.random.default_rng(seed).integers(0, 8, n).astype("float32")
            assert median_nb(values.copy(), n) == np.float32(np.median(values))
    assert np.isnan(median_nb(np.empty(0, "float32"), 0))
    rising = np.arange(1001, dtype="float32")
    assert median_nb(rising.copy(), 1001) == 500 == median_nb(rising[::-1].copy(), 1001)


def test_out_strides_and_python_functions():
    x, flags = piece((4, 30))
    wide = np.asfortranarray(x), np.asfortranarray(flags)
    found, scale = running_median(x, 7, flags=flags)
    out, out_scale = np.zeros((4, 60), "float32")[:, ::2], np.zeros((30, 4), "float32").T
    again = running_median(wide[0], 7, flags=wide[1], out=out, out_scale=out_scale)
    assert again[0] is out and again[1] is out_scale
    np.testing.assert_array_equal(out, found)
    np.testing.assert_array_equal(out_scale, scale)
    running_median_nb.py_func(x, 7, flags, True, out, out_scale)
    np.testing.assert_array_equal(out, found)
    groups = np.zeros((5, 4), "float32").T
    assert group_median(wide[0], 7, flags=wide[1], out=groups) is groups
    np.testing.assert_array_equal(groups, group_median(x, 7, flags=flags))
    columns = np.zeros(60, "float32")[::2]
    assert column_median(wide[0], out=columns) is columns
    again = columns.copy()
    column_median_nb.py_func(x, NO_FLAGS, columns)
    np.testing.assert_array_equal(columns, again)
    group_median_nb.py_func(x, 7, NO_FLAGS, groups)
    np.testing.assert_array_equal(groups, group_median(x, 7))


def test_refused():
    x, flags = piece()
    with pytest.raises(ValueError, match="width: found 4, allowed an odd number"):
        running_median(x, 4)
    with pytest.raises(TypeError, match="x: found dtype float64"):
        running_median(x.astype(float), 3)
    with pytest.raises(ValueError, match="flags: found shape"):
        running_median(x, 3, flags=flags[:, 1:])
    with pytest.raises(TypeError, match="flags: found dtype uint8"):
        group_median(x, 3, flags=flags.astype("uint8"))
    with pytest.raises(ValueError, match="n: found 0, allowed 1 or more"):
        group_median(x, 0)
    with pytest.raises(TypeError, match="x: found .*allowed numpy.ndarray"):
        group_median(np.ma.masked_array(x), 3)
    with pytest.raises(ValueError, match="out: found shape"):
        group_median(x, 3, out=np.zeros((5, 3), "float32"))
