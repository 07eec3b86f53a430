"""Sums, averages and means against their twins and their contract."""

import numpy as np
import pytest
from fastsig_kernels import (
    accumulate,
    accumulate_groups,
    accumulate_groups_nb,
    accumulate_nb,
    average_channels,
    average_channels_nb,
    normalize,
    normalize_nb,
    reference,
)


def powers(n_frame=50, n_product=3, n_chan=21, seed=1):
    rng = np.random.default_rng(seed)
    power = rng.exponential(size=(n_frame, n_product, n_chan)).astype("float32")
    return power, rng.uniform(0, 1, (n_frame, n_product))


def zeros(n_product=3, n_chan=21):
    return np.zeros((n_product, n_chan), "float32"), np.zeros(n_product)


def test_accumulate_twin():
    power, weight = powers()
    total, total_weight = zeros()
    assert accumulate(power, weight, total, total_weight) is None
    expected = reference.accumulate(power, weight)
    # Fifty additions in single precision, all of one sign.
    np.testing.assert_allclose(total, expected[0], rtol=50 * 2.0**-24)
    np.testing.assert_allclose(total_weight, expected[1], rtol=1e-14)


def test_accumulate_adds_in_order():
    power, weight = powers()
    total, total_weight = zeros()
    accumulate(power, weight, total, total_weight)
    expected, expected_weight = zeros()
    for m in range(50):
        expected += power[m]
        expected_weight += weight[m]
    assert total.tobytes() == expected.tobytes()
    assert total_weight.tobytes() == expected_weight.tobytes()


def test_accumulate_any_split_and_strides():
    power, weight = powers()
    total, total_weight = zeros()
    accumulate(power, weight, total, total_weight)
    for n in (1, 7, 49):
        part = np.zeros((21, 3), "float32").T, np.zeros(6)[::2]
        for m in range(0, 50, n):
            accumulate(np.asfortranarray(power)[m : m + n], weight[m : m + n], *part)
        assert part[0].tobytes() == total.tobytes() and part[1].tobytes() == total_weight.tobytes()


def test_accumulate_python_function_and_nan():
    power, weight = powers(n_frame=4)
    power[2, 1, 5] = np.nan
    found, again = zeros(), zeros()
    accumulate(power, weight, *found)
    accumulate_nb.py_func(power, weight, *again)
    np.testing.assert_array_equal(found[0], again[0])
    assert np.isnan(found[0][1, 5]) and np.isnan(found[0]).sum() == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(24,), (3, 24), (5, 3, 24)])
@pytest.mark.parametrize("n", [1, 3, 24])
def test_average_twin(dtype, shape, n):
    total = np.random.default_rng(3).standard_normal(shape).astype(dtype)
    found = average_channels(total, n)
    assert found.dtype == np.float64 and found.shape == (*shape[:-1], 24 // n)
    # Cancelling sums: absolute, for values near 1.
    np.testing.assert_allclose(found, reference.average_channels(total, n), rtol=0, atol=1e-14)
    out = np.full((*shape[:-1], 2 * (24 // n)), np.nan)[..., ::2]
    assert average_channels(np.asfortranarray(total), n, out=out) is out
    assert out.tobytes() == found.tobytes()


def test_average_python_function_and_nan():
    total = np.random.default_rng(3).standard_normal((2, 3, 24))
    total[1, 2, 7] = np.nan
    found = average_channels(total, 4)
    again = np.empty_like(found)
    average_channels_nb.py_func(total, 4, again)
    np.testing.assert_array_equal(found, again)
    assert np.isnan(found[1, 2, 1]) and np.isnan(found).sum() == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lead", [(), (4,)])
def test_normalize_twin(dtype, lead):
    rng = np.random.default_rng(4)
    total = rng.exponential(size=(*lead, 3, 10)).astype(dtype)
    weight = rng.uniform(1, 8, (*lead, 3))
    weight[..., 1] = 0
    mean, fraction = normalize(total, weight, 8)
    expected = reference.normalize(total, weight, 8)
    assert mean.dtype == fraction.dtype == np.float32
    np.testing.assert_allclose(mean, expected[0], rtol=2.0**-24)
    np.testing.assert_allclose(fraction, expected[1], rtol=2.0**-24)
    assert np.isnan(mean[..., 1, :]).all() and (fraction[..., 1] == 0).all()
    assert np.isfinite(mean[..., ::2, :]).all()


def test_normalize_out_and_python_function():
    total = np.arange(24.0).reshape(2, 3, 4)
    total[0, 0, 0] = np.nan
    weight = np.full((2, 3), 5.0)
    weight[1, 1] = 0
    mean, fraction = normalize(total, weight, 8)
    out, out_weight = np.zeros((2, 3, 8), "float32")[..., ::2], np.zeros((3, 2), "float32").T
    found = normalize(total, weight, 8, out=out, out_weight=out_weight)
    assert found[0] is out and found[1] is out_weight
    np.testing.assert_array_equal(out, mean)
    np.testing.assert_array_equal(out_weight, fraction)
    with np.errstate(all="ignore"):
        normalize_nb.py_func(total, weight, 8, out, out_weight)
    np.testing.assert_array_equal(out, mean)
    assert np.isnan(mean[0, 0, 0]) and np.isnan(mean).sum() == 5


def test_whole_integration_has_weight_one():
    _, fraction = normalize(np.ones((1, 4)), np.array([16.0]), 16)
    assert fraction[0] == 1


def test_refused():
    power, weight = powers()
    total, total_weight = zeros()
    with pytest.raises(ValueError, match="weight: found shape"):
        accumulate(power, weight[:, :1], total, total_weight)
    with pytest.raises(ValueError, match="total: found shape"):
        accumulate(power, weight, total[:1], total_weight)
    with pytest.raises(TypeError, match="total: found dtype float64"):
        accumulate(power, weight, total.astype(float), total_weight)
    with pytest.raises(TypeError, match="power: found .*allowed numpy.ndarray"):
        accumulate(np.ma.masked_array(power), weight, total, total_weight)
    with pytest.raises(ValueError, match="n: found 4, allowed a divisor of n_chan = 21"):
        average_channels(total, 4)
    with pytest.raises(ValueError, match="total: found 4 axes"):
        average_channels(np.zeros((1, 1, 1, 4)), 2)
    with pytest.raises(TypeError, match="out: found dtype float32"):
        average_channels(total, 3, out=np.zeros((3, 7), "float32"))
    with pytest.raises(ValueError, match="n_full"):
        normalize(total, total_weight, 0)
    with pytest.raises(ValueError, match="total_weight: found shape"):
        normalize(total, total_weight[:2], 4)
    with pytest.raises(TypeError, match="total_weight: found"):
        normalize(total, np.ma.masked_array(total_weight), 4)


@pytest.mark.parametrize("wide", [1, 21])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_accumulate_groups_twin_and_any_split(dtype, wide):
    power, _ = powers()
    power = power.astype(dtype)
    weight = np.random.default_rng(3).uniform(0, 1, (50, 3, wide))
    total, total_weight = np.zeros((8, 3, 21), dtype), np.zeros((8, 3, wide))
    assert accumulate_groups(power, weight, total, total_weight, 7) is None
    expected = reference.accumulate_groups(power, weight, 7)
    np.testing.assert_allclose(total, expected[0], rtol=7 * np.finfo(dtype).eps)
    np.testing.assert_allclose(total_weight, expected[1], rtol=1e-14)
    for n in (1, 9, 50):
        part = np.zeros_like(total), np.zeros_like(total_weight)
        for m in range(0, 50, n):
            accumulate_groups(np.asfortranarray(power)[m : m + n], weight[m : m + n], *part, 7, m)
        assert part[0].tobytes() == total.tobytes()
        assert part[1].tobytes() == total_weight.tobytes()
    part = np.zeros_like(total), np.zeros_like(total_weight)
    accumulate_groups_nb.py_func(power, weight, *part, 7, 0)
    assert part[0].tobytes() == total.tobytes()


def test_accumulate_groups_carries_nan_into_its_group_alone():
    power, weight = np.ones((9, 1, 2), "float32"), np.ones((9, 1, 1))
    power[4, 0, 1] = np.nan
    total = np.zeros((3, 1, 2), "float32")
    accumulate_groups(power, weight, total, np.zeros((3, 1, 1)), 3)
    assert np.isnan(total).nonzero()[0].tolist() == [1] and total[0, 0, 0] == 3


@pytest.mark.parametrize("n_each, first", [
    (0, 0), (-1, 0), (-(2**63), 0), (2**63 - 1, 0), (2**63, 0), (2**64, 0), (2**200, 0), (7, -1),
    (7, 21 - 4), (7, 2**31), (7, 2**63 - 1), (7, 2**63), (7, -(2**63)), (7, 2**64),
    (2**62, 2**62 + 1)])
def test_accumulate_groups_refuses_integers_that_lead_elsewhere(n_each, first):
    total = np.zeros((3, 1, 2), "float32")
    with pytest.raises(ValueError, match="n_each|first"):
        accumulate_groups(np.ones((5, 1, 2), "float32"), np.ones((5, 1, 1)), total,
                          np.zeros((3, 1, 1)), n_each, first)
    assert not total.any()


@pytest.mark.parametrize("n_each, first, group", [(7, 16, 2), (2**62, 0, 0), (2**62, 2**62, 1),
                                                  (2**31, 2**32 - 5, 1)])
def test_accumulate_groups_at_its_bounds(n_each, first, group):
    total = np.zeros((3, 1, 2), "float32")
    accumulate_groups(np.ones((5, 1, 2), "float32"), np.ones((5, 1, 1)), total,
                      np.zeros((3, 1, 1)), n_each, first)
    assert total[group, 0, 0] == 5 and total.sum() == 10
