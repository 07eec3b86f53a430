"""SumThreshold against its twin, its definition and its contract."""

import numpy as np
import pytest
from fastsig_kernels import (
    flag_deviations,
    flag_deviations_nb,
    flag_lines_nb,
    reference,
    sum_threshold,
    sum_threshold_nb,
    sum_thresholds,
)


def piece(shape=(37, 45), seed=1):
    """Noise with runs of weak interference along both axes, NaN and flags."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype("float32")
    x[10:26, 7] += 2
    x[3, 20:40] -= 2.5
    x[30, 30] = 50
    x[rng.random(shape) < 0.02] = np.nan
    x[5, 5] = np.inf
    return x, rng.random(shape) < 0.05


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("max_window", [1, 4, 32, 64])
@pytest.mark.parametrize("seed", range(4))
def test_twin(axis, max_window, seed):
    x, flags = piece(seed=seed)
    thresholds = sum_thresholds(4, max_window)
    expected = reference.sum_threshold(x, flags, thresholds, axis)
    found = flags.copy()
    assert sum_threshold(x, found, thresholds, axis) is None
    np.testing.assert_array_equal(found, expected)
    assert found.sum() > flags.sum() and not found[~np.isfinite(x) & ~flags].any()
    other = np.asfortranarray(x), np.asfortranarray(flags)
    sum_threshold(*other, thresholds, axis)
    np.testing.assert_array_equal(other[1], expected)


def test_a_weak_run_is_found_by_its_window_alone():
    thresholds = sum_thresholds(6, 16)
    np.testing.assert_allclose(thresholds, 6 / 1.5 ** np.arange(5))
    x = np.zeros((1, 64), "float32")
    x[0, 20:36] = thresholds[4] * 1.01
    for max_window, count in ((8, 0), (16, 16)):
        flags = np.zeros(x.shape, bool)
        sum_threshold(x, flags, sum_thresholds(6, max_window), 1)
        assert flags.sum() == count and (count == 0 or flags[0, 20:36].all())
        turned = np.zeros(x.T.shape, bool)
        sum_threshold(-np.ascontiguousarray(x.T), turned, sum_thresholds(6, max_window), 0)
        np.testing.assert_array_equal(turned.T, flags)


def test_a_strong_sample_takes_no_neighbours_with_it():
    x = np.zeros((1, 100), "float32")
    x[0, 50] = 1e6
    flags = np.zeros(x.shape, bool)
    sum_threshold(x, flags, sum_thresholds(6, 64), 1)
    assert list(np.flatnonzero(flags)) == [50]


def test_noise_is_kept():
    x = np.random.default_rng(2).standard_normal((512, 512)).astype("float32")
    flags = np.zeros(x.shape, bool)
    for axis in (0, 1):
        sum_threshold(x, flags, sum_thresholds(6, 64), axis)
    assert flags.mean() < 2e-3


def test_python_function_and_short_lines():
    x, flags = (np.ascontiguousarray(part[2:5, :20]) for part in piece())
    thresholds = sum_thresholds(3, 8)
    found, again = flags.copy(), flags.copy()
    sum_threshold(x, found, thresholds, 1)
    sum_threshold_nb.py_func(x, again, thresholds, 1)
    np.testing.assert_array_equal(again, found)
    values, counts, *work = np.empty((6, 20), np.float32)
    values[:], marks = x[0], flags[0].astype(np.float32)
    flag_lines_nb.py_func(values, counts, marks, 20, thresholds, *work)
    np.testing.assert_array_equal((marks == 1) | flags[0], found[0])
    for shape in ((0, 5), (5, 0), (1, 1)):
        sum_threshold(np.zeros(shape, "float32"), np.zeros(shape, bool), thresholds, 0)


@pytest.mark.parametrize("shape", [{}, {"middle": -0.1, "unit": 3.0, "scale": 9.0, "offset": 0.1}])
def test_flags_of_deviations_are_those_of_their_twin(shape):
    rng = np.random.default_rng(5)
    x = (rng.gamma(12, 5, (150, 70)) * np.linspace(1, 3, 70)).astype("float32")
    x[rng.random(x.shape) < 0.02] = np.nan
    x[40:70, 33] *= 2
    level, sigma = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    sigma[50] = 0
    flags, thresholds = rng.random(x.shape) < 0.01, sum_thresholds(5, 32)
    expected = reference.flag_deviations(x, flags, thresholds, level, sigma, **shape)
    found, turned = flags.copy(), np.asfortranarray(flags)
    assert flag_deviations(x, found, thresholds, level, sigma, **shape) is None
    np.testing.assert_array_equal(found, expected)
    assert found[40:70, 33].mean() > 0.9 and not (found & ~flags)[:, 50].any()
    flag_deviations(np.asfortranarray(x), turned, thresholds, level, sigma, **shape)
    np.testing.assert_array_equal(turned, expected)
    small = flags[:6, :9].copy()
    flag_deviations_nb.py_func(x[:6, :9], small, thresholds, level[:9], sigma[:9], 0.0, np.inf,
                               1.0, 0.0)
    again = flags[:6, :9].copy()
    flag_deviations(np.ascontiguousarray(x[:6, :9]), again, thresholds, level[:9], sigma[:9])
    np.testing.assert_array_equal(small, again)
    with pytest.raises(ValueError, match="unit: found 0"):
        flag_deviations(x, found, thresholds, level, sigma, unit=0.0)


@pytest.mark.parametrize("n_chan", [70, 150])
@pytest.mark.parametrize("max_window", [8, 64, 128])
def test_flags_of_codes_are_those_of_floats(n_chan, max_window):
    """Runs that begin and end anywhere: in tiles, between them, and at the edges."""
    rng = np.random.default_rng(max_window)
    x = np.clip(np.round(rng.gamma(12, 5, (200, n_chan))), 0, 255).astype(np.uint8)
    x[20:90, 33] = np.minimum(x[20:90, 33], 200) + 25
    x[150, 40 : n_chan - 5] += 12
    x[-30:, -1] += 40
    x[0, :20] += 50
    series = rng.normal(0, 3, 200).astype("float32")
    floats = x.astype("float32") - series[:, np.newaxis]
    level, sigma = floats.mean(axis=0), floats.std(axis=0)
    sigma[7] = np.nan
    shape, thresholds = {"middle": -0.1, "unit": 3.5, "scale": 10.0}, sum_thresholds(5, max_window)
    before = rng.random(x.shape) < 0.002
    expected, found, turned = before.copy(), before.copy(), before.copy()
    flag_deviations_nb(floats, expected, thresholds, level, sigma, *shape.values(), 0.0)
    flag_deviations(x, found, thresholds, level, sigma, series=series, **shape)
    np.testing.assert_array_equal(found, expected)
    flag_deviations(floats, turned, thresholds, level, sigma, **shape)
    np.testing.assert_array_equal(turned, expected)
    assert expected.sum() > before.sum() + (60 if max_window > 8 else 20)


@pytest.mark.parametrize("shape", [{}, {"unit": 0.02, "scale": 60.0, "offset": 0.5},
                                   {"middle": 0.2, "unit": -4.0, "scale": -12.0}])
@pytest.mark.parametrize("thresholds", [
    [5.0, 4.9, 4.8, 0.4], [4.0, 0.9, 9.0, 0.6, 0.4, 0.3, 0.2], [3.0, 1e-3], [np.inf, 2.5, 1.5],
    [6.0, np.inf, 1.2], [1e30, 2.0], [0.01, 0.005]])
def test_flags_of_any_thresholds(thresholds, shape):
    """Windows near their limits are found, whatever the ratio of the limits."""
    rng = np.random.default_rng(8)
    x = rng.normal(0, 1, (130, 140)).astype("float32")
    x[30:94] += np.float32(0.5) * (rng.random(140) < 0.2)
    x[100, 20:100] += np.float32(1)
    x[5, 5], x[120, 130], x[60, :3] = 1e30, -1e9, np.nan
    level, sigma = np.zeros(140, "float32"), np.ones(140, "float32")
    flags, limits = np.zeros(x.shape, bool), np.array(thresholds)
    expected, found = flags.copy(), flags.copy()
    options = {"middle": 0.0, "unit": np.inf, "scale": 1.0, "offset": 0.0, **shape}
    flag_deviations_nb(x, expected, limits, level, sigma, *options.values())
    flag_deviations(x, found, limits, level, sigma, **options)
    np.testing.assert_array_equal(found, expected)


def test_refused():
    x, flags = piece()
    thresholds = sum_thresholds(6)
    with pytest.raises(ValueError, match="axis: found 2, allowed 0 or 1"):
        sum_threshold(x, flags, thresholds, 2)
    with pytest.raises(ValueError, match="flags: found shape"):
        sum_threshold(x, flags[1:], thresholds, 0)
    with pytest.raises(TypeError, match="flags: found dtype uint8"):
        sum_threshold(x, flags.astype("uint8"), thresholds, 0)
    with pytest.raises(TypeError, match="x: found .*allowed numpy.ndarray"):
        sum_threshold(np.ma.masked_array(x), flags, thresholds, 0)
    with pytest.raises(ValueError, match="max_window: found 48, allowed a power of two"):
        sum_thresholds(6, 48)
    for bad in (0, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match="threshold: found"):
            sum_thresholds(bad)
    with pytest.raises(ValueError, match="rho: found"):
        sum_thresholds(6, 8, 0.5)
