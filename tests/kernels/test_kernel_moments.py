"""Sums of powers against their twin and their contract."""

import numpy as np
import pytest
from fastsig_kernels import power_sums, power_sums_nb, reference


def piece(shape=(23, 530), seed=1):
    x = np.random.default_rng(seed).normal(50, 5, shape).astype("float32")
    x[4, 7], x[:, 9], x[8, 3] = np.nan, np.nan, np.inf
    return x


@pytest.mark.parametrize("n_time", [0, 1, 3, 4, 23])
def test_twin(n_time):
    x = piece()[:n_time]
    np.testing.assert_allclose(power_sums(x), reference.power_sums(x), rtol=1e-13)
    center = np.linspace(40, 60, 530).astype("float32")
    found = power_sums(x, center=center)
    np.testing.assert_allclose(found, reference.power_sums(x, center), rtol=1e-9, atol=1e-9)
    assert found[0, 9] == 0 and found[0, 7] == max(0, n_time - (n_time > 4))


def test_sums_of_integers_are_exact():
    x = np.random.default_rng(2).integers(0, 256, (1001, 3)).astype(np.uint8)
    exact = [(x.astype(object) ** p).sum(axis=0) for p in range(5)]
    np.testing.assert_array_equal(power_sums(x).astype(object), exact)
    np.testing.assert_array_equal(power_sums(x), power_sums(x.astype("float32")))


@pytest.mark.parametrize("n_chan", [64, 150])
def test_codes_are_summed_as_floats(n_chan):
    """In vectors and after them, of more rows than a sum of 32 bits takes, about whole numbers."""
    x = np.random.default_rng(3).integers(0, 256, (600, n_chan)).astype(np.uint8)
    x[:, 5] = 255
    center = np.random.default_rng(4).integers(-255, 256, n_chan).astype("float32")
    for each in (None, center, center + np.float32(0.5)):
        expected = power_sums(x.astype("float32"), center=each)
        np.testing.assert_array_equal(power_sums(x, center=each), expected)
        np.testing.assert_array_equal(power_sums(np.asfortranarray(x), center=each), expected)


def test_strides_and_python():
    x, out = piece((9, 40)), np.empty((5, 40))
    assert power_sums(x, out=out) is out
    np.testing.assert_array_equal(power_sums(np.asfortranarray(x)), out)
    np.testing.assert_array_equal(power_sums(np.repeat(x, 2, axis=1)[:, ::2]), out)
    again = np.empty_like(out)
    power_sums_nb.py_func(x, np.zeros(40, np.float32), again)
    np.testing.assert_array_equal(again, out)


def test_moments_of_a_tone():
    """A square wave of +-3 about 100 has a variance of 9 and a kurtosis of 1."""
    x = (100 + 3 * (-1.0) ** np.arange(64))[:, np.newaxis].astype("float32")
    n, s1, s2, s3, s4 = power_sums(x, center=np.full(1, 100, np.float32))[:, 0]
    assert (n, s1, s2, s3, s4) == (64, 0, 64 * 9, 0, 64 * 81)
