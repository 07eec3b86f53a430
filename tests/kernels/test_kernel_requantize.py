"""8-bit codes: the twin, the clipping that cannot be, and what quantisation costs."""

import numpy as np
import pytest
from fastsig_kernels import requantize, requantize_nb, restore, restore_nb
from fastsig_kernels.requantizing import MEAN_CODE, STEPS
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats


def twin(power):
    """`requantize` by the definition, in float64 but for the two tables."""
    codes = np.full(power.shape, MEAN_CODE, np.uint8)
    scale, offset = np.zeros((2, *power.shape[1:]), np.float32)
    clipped = np.zeros(2, int)
    for p, c in np.ndindex(power.shape[1:]):
        x = power[:, p, c].astype(float)
        finite = x[np.isfinite(x)]
        if finite.size:
            step = max(finite.std() / STEPS, abs(finite.mean()) * 2.0**-23)
            scale[p, c] = step if finite.min() < finite.max() else 0
            offset[p, c] = min(finite.mean() - MEAN_CODE * float(scale[p, c]), finite.min())
            x[np.isnan(x)] = finite.mean()
        there = ~np.isnan(x) & ((scale[p, c] > 0) | np.isinf(x))
        with np.errstate(divide="ignore"):
            code = np.rint((x[there] - offset[p, c]) / np.float64(scale[p, c]))
        clipped += (code < 0).sum(), (code > 255).sum()
        codes[there, p, c] = np.clip(code, 0, 255)
    return codes, scale, offset, tuple(clipped.tolist())


def powers(shape=(100, 2, 300), k=4, seed=1):
    return np.random.default_rng(seed).gamma(k, 7 / k, shape).astype("float32")


@pytest.mark.parametrize("k", [1, 16, 1000])
@pytest.mark.parametrize("n_time", [1, 2, 37, 256])
def test_twin(n_time, k):
    power = powers((n_time, 2, 259), k)
    power[n_time // 2, 1, :40] = np.nan
    codes, scale, offset, clipped = requantize(power)
    expected = twin(power)
    assert codes.dtype == np.uint8 and clipped == expected[3]
    # The sums are in another order: a last bit of float32, and a code that lay between two.
    np.testing.assert_allclose(scale, expected[1], rtol=2e-7, atol=0)
    np.testing.assert_allclose(offset, expected[2], rtol=2e-7, atol=7 * 2e-7)
    apart = np.abs(codes.astype(int) - expected[0])
    assert apart.max() <= 1 and apart.mean() < 1e-3


def test_restored_values_are_within_half_a_step():
    power = powers()
    codes, scale, offset, clipped = requantize(power)
    values = restore(codes, scale, offset)
    assert values.dtype == np.float32 and clipped == (0, 0)
    # Half a step, and the rounding of values up to about 50 to float32.
    assert (np.abs(values.astype(float) - power) <= 0.5 * scale + 50 * 2.0**-24).all()
    by_hand = offset.astype(float) + scale.astype(float) * codes
    np.testing.assert_array_equal(values, by_hand.astype(np.float32))


def efficiency(k):
    """Squared correlation of Gamma(k) powers and their codes: the loss in integration time.

    For powers of a given shape the response of a mean to a change of level is a covariance with
    the power, ``d<q> / d<x> = cov(q, x) / var(x)``, so this is the ratio of squared S/N.
    """
    mean, sigma = k, np.sqrt(k)
    edges = mean + (np.arange(256) - MEAN_CODE - 0.5) * sigma / STEPS
    edges = np.concatenate([[0], np.maximum(edges[1:], 0), [np.inf]])
    chance = np.diff(stats.gamma.cdf(edges, k))
    first = np.diff(mean * stats.gamma.cdf(edges, k + 1))  # integral of x within each code
    code = np.arange(256)
    level = (chance * code).sum()
    cov = (first * code).sum() - mean * level
    return cov**2 / (sigma**2 * ((chance * code**2).sum() - level**2)), chance[0], chance[-1]


@pytest.mark.parametrize("k, floor", [(1, 0.9993), (16, 0.9993), (1000, 0.9993)])
def test_efficiency_is_above_a_per_mille(k, floor):
    found, _, high = efficiency(k)
    # Steps of 1/11 sigma cost 1 - 1 / (1 + 1 / (12 x 121)), 0.07 %; clipping nothing.
    assert floor < found < 0.99932
    assert high < 1e-6
    x = powers((256, 1, 4000), k)
    values = restore(*requantize(x)[:3])
    measured = np.corrcoef(x.ravel(), values.ravel())[0, 1] ** 2
    assert abs(measured - found) < 2e-5  # levels of each channel's own 256 values


@given(st.integers(2, 256), st.floats(1, 1e6), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_nothing_is_out_of_range(n_time, strength, seed):
    """Not even pulses of either sign: n values span sqrt(2 n) sigmas at the most."""
    rng = np.random.default_rng(seed)
    power = rng.gamma(4, 1, (n_time, 1, 6)).astype("float32")
    first, second = rng.permutation(n_time)[:2]
    power[first, 0, 1] *= strength
    power[first, 0, 2] *= -strength
    power[first, 0, 3], power[second, 0, 3] = strength, -strength
    power[:, 0, 4:] = 1
    power[first, 0, 4] = strength
    power[first, 0, 5], power[second, 0, 5] = 1 + strength, 1 - strength
    codes, scale, offset, clipped = requantize(power)
    assert clipped == (0, 0)
    error = np.abs(restore(codes, scale, offset).astype(float) - power)
    # Half a step, the rounding of the value, and that of the offset where steps are smallest.
    assert (error <= 0.5 * scale + np.spacing(np.abs(power).max(axis=0))).all()


def test_missing_constant_and_infinite():
    power = np.full((8, 1, 6), 1 / 3, "float32")
    power[:, 0, 1] = np.nan
    power[2:, 0, 2] = np.nan
    power[3, 0, 3] = np.inf
    power[4, 0, 4] = -np.inf
    power[:, 0, 5] = 7, 8, 7, np.nan, 8, 9, np.inf, 6
    codes, scale, offset, clipped = requantize(power)
    assert (codes[:, 0, :3] == MEAN_CODE).all() and not scale[0, :5].any()
    assert offset[0].tolist()[:5] == [np.float32(1 / 3), 0] + 3 * [np.float32(1 / 3)]
    assert codes[3, 0, 3] == 255 and codes[4, 0, 4] == 0 and clipped == (1, 2)
    assert abs(codes[3, 0, 5] - float(7.5 - offset[0, 5]) / scale[0, 5]) < 0.51
    assert codes[6, 0, 5] == 255
    values = restore(codes, scale, offset)
    assert (values[:, 0, 0] == power[:, 0, 0]).all()
    kept = np.isfinite(power[:, 0, 5])
    assert np.abs(values[kept, 0, 5] - power[kept, 0, 5]).max() < 0.05


def test_values_of_the_last_bits_stay():
    """A deviation below what float32 can tell of the mean: steps are no finer."""
    power = np.full((256, 1, 1), 1e6, "float32")
    power[77] = np.nextafter(np.float32(1e6), np.float32(2e6))
    codes, scale, offset, clipped = requantize(power)
    assert clipped == (0, 0)
    spread = np.abs(restore(codes, scale, offset) - power).max()
    assert spread <= np.spacing(np.float32(1e6))


def test_out_strides_and_python_functions():
    power = powers((9, 2, 5))
    power[3, 1, 2] = np.nan
    expected = requantize(power)
    out = np.zeros((5, 2, 18), np.uint8).T[::2]
    tables = np.zeros((2, 5, 2), np.float32)
    found = requantize(np.asfortranarray(power), out=out, scale=tables[0].T, offset=tables[1].T)
    assert found[0] is out and found[3] == expected[3]
    for got, want in zip(found[:3], expected[:3], strict=True):
        np.testing.assert_array_equal(got, want)
    again = [np.zeros_like(item) for item in expected[:3]]
    assert requantize_nb.py_func(power, *again) == expected[3]
    values = restore(*expected[:3])
    target = np.zeros((5, 2, 9), np.float32).T
    assert restore(out, tables[0].T, tables[1].T, out=target) is target
    np.testing.assert_array_equal(target, values)
    for got, want in zip(again, expected[:3], strict=True):
        np.testing.assert_array_equal(got, want)
    restore_nb.py_func(*again, target)
    np.testing.assert_array_equal(target, values)


def test_channels_do_not_depend_on_each_other():
    power = powers((40, 2, 700))
    whole = requantize(power)
    for first, stop in ((0, 1), (255, 258), (300, 700)):
        part = requantize(power[:, :, first:stop])
        for got, want in zip(part[:3], whole[:3], strict=True):
            np.testing.assert_array_equal(got, want[..., first:stop])


def test_no_rows():
    codes, scale, offset, clipped = requantize(np.empty((0, 1, 3), np.float32))
    assert codes.shape == (0, 1, 3) and not scale.any() and not offset.any() and clipped == (0, 0)


def test_refused():
    power = powers((4, 1, 3))
    codes, scale, offset, _ = requantize(power)
    with pytest.raises(TypeError, match="power: found dtype float64"):
        requantize(power.astype(float))
    with pytest.raises(TypeError, match="power: found .*allowed numpy.ndarray"):
        requantize(np.ma.masked_array(power))
    with pytest.raises(ValueError, match="power: found 2 axes"):
        requantize(power[0])
    with pytest.raises(ValueError, match="scale: found shape"):
        requantize(power, scale=scale[:, :2])
    with pytest.raises(TypeError, match="out: found dtype int8"):
        requantize(power, out=codes.view(np.int8))
    with pytest.raises(TypeError, match="codes: found dtype float32"):
        restore(power, scale, offset)
    with pytest.raises(ValueError, match="offset: found shape"):
        restore(codes, scale, offset[:, :1])
