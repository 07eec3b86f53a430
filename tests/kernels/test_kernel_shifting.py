"""Shifts of channels against a loop over single values."""

import numpy as np
import pytest
from fastsig_kernels import reference, shift_channels, shift_channels_nb, shift_rows


@pytest.mark.parametrize(("n_chan", "first"), [(1, 0), (16, 5), (37, -9), (40, 200)])
def test_rows_go_where_the_twin_puts_them(n_chan, first):
    rng = np.random.default_rng(n_chan)
    x = rng.normal(size=(30, 2, n_chan)).astype("float32")
    x[3] = np.nan
    shift = rng.integers(-20, 40, n_chan)
    out = np.full((25, 2, n_chan), -1, "float32")
    expected = reference.shift_channels(x, shift, first, out)
    shift_channels(x, shift, first, out)
    np.testing.assert_array_equal(out, expected)


def test_rows_in_pieces_are_those_of_the_whole():
    rng = np.random.default_rng(1)
    x = np.asfortranarray(rng.normal(size=(50, 1, 20)).astype("float32"))
    shift = np.sort(rng.integers(0, 30, 20))[::-1]
    whole, parts = np.zeros((2, 40, 1, 20), "float32")
    shift_channels(x, shift, 4, whole)
    for start in range(0, 50, 7):
        shift_channels_nb.py_func(np.ascontiguousarray(x[start : start + 7]), shift, 4 + start,
                                  parts)
    np.testing.assert_array_equal(parts, whole)


@pytest.mark.parametrize("first", [0, -9, 200])
def test_samples_of_rows_go_where_the_twin_puts_them(first):
    rng = np.random.default_rng(3)
    x, shift = rng.normal(size=(12, 30)).astype("float32"), rng.integers(-20, 40, 12)
    out = np.full((12, 25), -1, "float32")
    expected = reference.shift_rows(x, shift, first, out)
    shift_rows(x, shift, first, out)
    np.testing.assert_array_equal(out, expected)
