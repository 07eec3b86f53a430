"""Scatter of boxcars: the twin, signals that do not raise it, and lost samples."""

import numpy as np
import pytest
from fastsig_kernels import boxcar_scatter, reference

MAD = 0.6744897501960817  # of Gaussian noise


@pytest.mark.parametrize("n", [5, 100, 1500, 20_000])
@pytest.mark.parametrize("some_lost", [False, True])
def test_the_twin(n, some_lost, rng):
    x = rng.standard_normal(n).astype(np.float32)
    x[n // 3 : n // 2] += 3  # a wide signal
    weights = None
    if some_lost:
        weights = rng.choice([0, 0.25, 0.75, 1], n).astype(np.float32)
        x *= np.sqrt(weights)
    deviation, count = boxcar_scatter(x, 6, weights=weights)
    twin = reference.boxcar_scatter(x, 6, weights)
    np.testing.assert_allclose(deviation, twin, rtol=2e-5)
    assert ((count >= 16) == np.isfinite(twin)).all()


def test_signals_do_not_raise_it(rng):
    """Noise of every width is right to a few per cent with or without a wide strong signal."""
    x = rng.standard_normal(2**17).astype(np.float32)
    expected = MAD * np.sqrt(2.0 ** np.arange(8))
    np.testing.assert_allclose(boxcar_scatter(x, 8)[0], expected, rtol=0.06)
    x[40_000:70_000] += 2
    np.testing.assert_allclose(boxcar_scatter(x, 8)[0], expected, rtol=0.08)


def test_few_values_and_what_is_refused():
    deviation, count = boxcar_scatter(np.arange(40, dtype=np.float32), 3)
    assert count.tolist() == [40, 20, 10]
    assert np.isnan(deviation[2])
    assert np.isnan(boxcar_scatter(np.empty(0, np.float32), 1)[0]).all()
    for change in ({"x": np.zeros(4)}, {"n_width": 0}, {"n_width": 41},
                   {"weights": np.zeros(3, np.float32)}):
        with pytest.raises((TypeError, ValueError)):
            boxcar_scatter(**{"x": np.zeros(4, np.float32), "n_width": 1, **change})
