"""Levels and noise of channels, and deviations, against twins and known distributions."""

import numpy as np
import pytest
from fastsig_kernels import (
    channel_levels,
    channel_levels_nb,
    deviations,
    deviations_nb,
    reference,
)


def piece(n_time=200, n_chan=150, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.gamma(12, 5, (n_time, n_chan)).astype("float32")
    x[rng.random(x.shape) < 0.05] *= 20
    x[rng.random(x.shape) < 0.02] = np.nan
    x[:, 7], x[:, 8] = np.nan, 3
    return x


@pytest.mark.parametrize("n_time", [1, 2, 63, 64, 200])
def test_levels_twin(n_time):
    x = piece(n_time)
    for found, expected in zip(channel_levels(x), reference.channel_levels(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)
    level, sigma = channel_levels(x)
    assert np.isnan(level[7]) and (level[8], sigma[8]) == (3, 0)


@pytest.mark.parametrize("kind", ["float32", "uint8"])
@pytest.mark.parametrize("n_time", [1, 2, 31, 64, 200])
def test_vectors_have_the_bits_of_the_plain_code(kind, n_time):
    """Also for channels that do not fill a tile, of all kinds of numbers, minus a series."""
    x = piece(n_time) if kind == "float32" else np.random.default_rng(2).integers(
        0, 120, (n_time, 150)).astype(kind)
    series = np.random.default_rng(3).normal(0, 5, n_time).astype("float32")
    found, expected = channel_levels(x, series=series), np.empty((2, 150), np.float32)
    channel_levels_nb(x, series, *expected)
    np.testing.assert_array_equal(found, expected)
    twin = reference.channel_levels(x, series)
    np.testing.assert_allclose(found, twin, rtol=2e-5, atol=1e-5)
    turned = channel_levels(np.asfortranarray(x), series=series)
    np.testing.assert_array_equal(found, turned)


def test_levels_of_noise_with_outliers():
    rng = np.random.default_rng(2)
    x = rng.normal(100, 5, (1000, 60)).astype("float32")
    x[rng.random(x.shape) < 0.1] += 500
    level, sigma = channel_levels(x)
    np.testing.assert_allclose(level, 100, atol=1)
    np.testing.assert_allclose(sigma, 5, rtol=0.12)
    assert sigma.mean() == pytest.approx(5, rel=0.01)


SHAPES = ({}, {"middle": 0.3, "scale": 1.7, "offset": 0.2},
          {"middle": 0.1, "unit": 3.0, "scale": 2.0, "offset": -0.1},
          {"middle": -0.1, "unit": -2.0, "scale": -2.5})


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_deviations_twin(shape):
    x = piece()
    level, sigma = channel_levels(x)
    found, expected = deviations(x, level, sigma, **shape), reference.deviations(
        x, level, sigma, **shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert np.isnan(found[:, 7:9]).all()
    same = x.copy()
    assert deviations(same, level, sigma, out=same, **shape) is same
    np.testing.assert_array_equal(same, found)


def test_powers_become_gaussian():
    """With the parameters of Wilson and Hilferty for a gamma distribution of shape 12."""
    rng, k = np.random.default_rng(3), 12
    x = rng.gamma(k, 1, (2000, 50)).astype("float32")
    level, sigma = np.full(50, k, np.float32), np.full(50, np.sqrt(k), np.float32)
    z = deviations(x, level, sigma, middle=0.0, unit=np.sqrt(k), scale=3 * np.sqrt(k),
                   offset=-1 / (3 * np.sqrt(k)))
    assert z.mean() == pytest.approx(0, abs=0.01) and z.std() == pytest.approx(1, abs=0.01)
    assert (z > 3).mean() == pytest.approx(0.00135, rel=0.3)


def test_strides_outputs_and_python():
    x = np.ascontiguousarray(piece()[:, :70])
    level, sigma = np.empty(70, np.float32), np.empty(70, np.float32)
    assert channel_levels(x, out=level, out_sigma=sigma)[0] is level
    for each, one in zip(channel_levels(np.asfortranarray(x)), (level, sigma), strict=True):
        np.testing.assert_array_equal(each, one)
    again = np.empty((2, 3), np.float32)
    with np.errstate(all="ignore"):
        channel_levels_nb.py_func(x[:20, 40:43].copy(), np.zeros(20, np.float32), *again)
        np.testing.assert_allclose(again, channel_levels(x[:20, 40:43]), rtol=1e-6)
        out = np.empty((5, 70), np.float32)
        deviations_nb.py_func(x[:5], level, sigma, 0.1, 3.0, 2.0, 0.5, out)
    expected = deviations(x[:5], level, sigma, middle=0.1, unit=3.0, scale=2.0, offset=0.5)
    np.testing.assert_allclose(out, expected, rtol=1e-5)
    np.testing.assert_array_equal(deviations(np.asfortranarray(x), level, sigma)[3:8],
                                  deviations(x[3:8], level, sigma))


def test_refused():
    x, level = np.ones((4, 5), np.float32), np.ones(5, np.float32)
    for bad in (0.0, np.nan):
        with pytest.raises(ValueError, match="unit: found"):
            deviations(x, level, level, unit=bad)
    with pytest.raises(ValueError, match="scale: found inf"):
        deviations(x, level, level, scale=np.inf)
