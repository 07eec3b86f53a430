"""The series of dispersion measure 0 and its removal, against twins."""

import numpy as np
import pytest
from fastsig_kernels import (
    band_mean,
    band_mean_nb,
    reference,
    series_gain,
    series_gain_nb,
    subtract_series,
    subtract_series_nb,
)


def piece(n_chan=200, seed=1):
    x = np.random.default_rng(seed).normal(50, 5, (20, n_chan)).astype("float32")
    x[3, ::3], x[5, 0] = np.nan, np.inf
    return x


@pytest.mark.parametrize("n_chan", [1, 63, 64, 200])
def test_twins(n_chan):
    x, level = piece(n_chan), np.linspace(30, 70, n_chan).astype("float32")
    level[n_chan // 2] = np.nan if n_chan > 1 else 30
    for each in (None, level):
        expected = band_mean(x, level=each)
        known = np.isfinite(expected)
        np.testing.assert_allclose(expected[known], reference.band_mean(x, each)[known], rtol=1e-6)
        assert known.sum() >= 18
    series = band_mean(x)
    np.testing.assert_allclose(series_gain(x, series), reference.series_gain(x, series),
                               rtol=1e-5, atol=1e-6)
    gain = np.linspace(0, 2, n_chan).astype("float32")
    for each in (None, gain):
        np.testing.assert_allclose(subtract_series(x, series, gain=each),
                                   reference.subtract_series(x, series, each), rtol=1e-5,
                                   atol=1e-4)


def test_the_series_does_not_change_with_the_valid_channels():
    bandpass = np.linspace(10, 90, 128).astype("float32")
    common = np.sin(np.arange(50)).astype("float32")
    x = bandpass + common[:, np.newaxis]
    level = x.mean(axis=0)
    x[10:20, :60] = np.nan
    series = band_mean(x, level=level)
    np.testing.assert_allclose(series - series[0], common - common[0], atol=2e-5)
    left = subtract_series(x, series)
    np.testing.assert_allclose(left, np.where(np.isnan(x), np.nan, bandpass - series.mean()
                                              + common.mean()), atol=2e-5)


def test_gains_of_a_known_mixture():
    rng = np.random.default_rng(3)
    series = rng.normal(size=400).astype("float32")
    truth = np.linspace(-1, 3, 40).astype("float32")
    x = 7 + series[:, np.newaxis] * truth
    np.testing.assert_allclose(series_gain(x, series), truth, atol=1e-5)
    assert np.isnan(series_gain(x, np.ones(400, np.float32))).all()


def test_rows_strides_outputs_and_python():
    x, level = piece(), np.zeros(200, np.float32)
    whole = band_mean(x)
    parts = [band_mean(x[k : k + 3]) for k in range(0, 20, 3)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(band_mean(np.asfortranarray(x)), whole)
    out = np.empty(20, np.float32)
    assert band_mean(x, out=out) is out
    band_mean_nb.py_func(x[:2, :70], level[:70], out[:2])
    np.testing.assert_array_equal(out[:2], band_mean(x[:2, :70]))
    gain = np.empty(200, np.float32)
    assert series_gain(x, whole, out=gain) is gain
    np.testing.assert_array_equal(series_gain(np.asfortranarray(x), whole), gain)
    again = np.empty(5, np.float32)
    series_gain_nb.py_func(x[:, :5], whole, again)
    np.testing.assert_array_equal(again, gain[:5])
    left, same = subtract_series(x, whole), x.copy()
    assert subtract_series(same, whole, out=same) is same
    np.testing.assert_array_equal(same, left)
    subtract_series_nb.py_func(x, whole, np.ones(200, np.float32), same)
    np.testing.assert_array_equal(same, left)


def test_codes_have_the_mean_of_floats():
    """Also of some channels, and of none."""
    x = np.random.default_rng(6).integers(0, 256, (30, 150)).astype(np.uint8)
    valid = np.arange(150) % 3 > 0
    for each in (None, valid, np.zeros(150, bool)):
        used = x.astype("float32")
        used[:, [] if each is None else ~each] = np.nan
        expected = band_mean(used)
        np.testing.assert_array_equal(band_mean(x, valid=each), expected)
        np.testing.assert_array_equal(band_mean(np.asfortranarray(x), valid=each), expected)
    np.testing.assert_allclose(band_mean(x, valid=valid), reference.band_mean(x, valid=valid),
                               rtol=1e-6)
    level = x[0].astype("float32")
    np.testing.assert_array_equal(band_mean(x, level=level),
                                  band_mean(x.astype("float32"), level=level))
    with pytest.raises(ValueError, match="valid: found for float32 or with a level"):
        band_mean(x.astype("float32"), valid=valid)
