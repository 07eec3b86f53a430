"""Quantiles against NumPy's."""

import numpy as np
import pytest
from fastsig_kernels import quantiles, quantiles_nb, reference

SHARES = np.array([0.0, 0.125, 0.37, 0.5, 0.875, 1.0])


@pytest.mark.parametrize("n", [1, 2, 3, 17, 500])
@pytest.mark.parametrize("digits", [0, 6])
def test_twin(n, digits):
    """With ties, of both signs, and without what is not finite."""
    rng = np.random.default_rng(n)
    x = np.round(rng.normal(0, 3, n), digits).astype("float32")
    np.testing.assert_array_equal(quantiles(x, SHARES), reference.quantiles(x, SHARES))
    holes = np.insert(x, [0, n // 2, n], [np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(quantiles(holes, SHARES), quantiles(x, SHARES))
    turned = np.repeat(x, 2)[::2]
    np.testing.assert_array_equal(quantiles(turned, SHARES), quantiles(x, SHARES))


def test_nothing_outputs_and_python():
    nothing = np.full(3, np.nan, np.float32)
    assert np.isnan(quantiles(nothing, SHARES)).all()
    assert np.isnan(quantiles(nothing[:0], SHARES)).all()
    x = np.array([3, -1, 2, 8], np.float32)
    out, again = np.empty((2, len(SHARES)))
    assert quantiles(x, SHARES, out=out) is out
    quantiles_nb.py_func(x, SHARES, again)
    np.testing.assert_array_equal(again, out)
    for bad in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="shares: found a value outside 0 to 1"):
            quantiles(x, np.array([bad]))
