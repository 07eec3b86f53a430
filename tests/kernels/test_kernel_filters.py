"""Prototype filters: published responses, normalisation, refusals."""

import numpy as np
import pytest
from fastsig_kernels import prototype, response, window_names

# Response in dB at 0.45, 0.5, 0.75 and 1 channel, and equivalent noise bandwidth,
# N = 1024. None where only a null or nothing is stated.
TABLE = [
    (4, "hamming", (-4.4, -6.1, -22, -50), 0.80),
    (8, "hamming", (-3.0, -6.0, -51, -64), 0.91),
    (8, "kaiser:9", (-3.6, -6.0, -38, -94), 0.87),
    (12, "kaiser:9", (-2.7, -6.0, -92, -97), 0.91),
    (16, "hamming", (-1.2, -6.0, -61, -65), 0.96),
]


def decibels(taps, offset):
    return 20 * np.log10(np.abs(response(taps, offset) / response(taps, 0)))


@pytest.mark.parametrize(("n_tap", "window", "expected", "bandwidth"), TABLE)
def test_published_table(n_tap, window, expected, bandwidth):
    taps = prototype(1024, n_tap, window)
    measured = decibels(taps, np.array([0.45, 0.5, 0.75, 1.0]))
    for found, stated in zip(measured, expected, strict=True):
        # Half a unit of the last digit that the table states.
        assert abs(found - stated) <= (0.5 if isinstance(stated, int) else 0.05)
    # A whole unit here: 16 taps give 0.95488, which the table rounds up to 0.96.
    assert abs(1024 / np.abs(response(taps, 0)) ** 2 - bandwidth) <= 0.01


# Computed once, apart, by a Fourier sum over each coefficient in turn.
FINE = [
    (4, "hamming", (-4.39, -6.08, -22.07, -50.25)),
    (8, "hamming", (-2.99, -6.01, -51.29, -63.95)),
    (8, "kaiser:9", (-3.60, -6.02, -37.69)),
    (12, "kaiser:9", (-2.70, -6.02)),
    (16, "hamming", (-1.21, -6.01, -61.08, -64.64)),
]


@pytest.mark.parametrize(("n_tap", "window", "expected"), FINE)
def test_response_to_a_hundredth_of_a_decibel(n_tap, window, expected):
    measured = decibels(prototype(1024, n_tap, window), np.array([0.45, 0.5, 0.75, 1.0]))
    np.testing.assert_allclose(measured[: len(expected)], expected, atol=0.006)


def test_plain_transform():
    taps = prototype(1024, 1, "none")
    assert np.ptp(taps) == 0
    assert abs(decibels(taps, 0.5) - -3.92) < 0.005
    assert np.abs(response(taps, np.arange(1.0, 5.0))).max() < 1e-11
    assert abs(1024 / np.abs(response(taps, 0)) ** 2 - 1) < 1e-12


@pytest.mark.parametrize("window", ["hamming", "hann", "blackman", "rect", "kaiser:0", "kaiser:9"])
@pytest.mark.parametrize(("n_fft", "n_tap"), [(16, 1), (10, 3), (7, 4), (1024, 8)])
def test_unit_energy_and_exact_symmetry(window, n_fft, n_tap):
    taps = prototype(n_fft, n_tap, window)
    assert taps.shape == (n_tap, n_fft) and taps.dtype == np.float64
    assert abs(np.sum(taps**2) - 1) < 1e-14
    assert np.array_equal(taps, taps[::-1, ::-1])


def test_response_is_the_direct_sum_about_the_centre():
    taps = prototype(12, 3, "hann")
    taps[1, 4] += 0.1
    offset = np.array([[0.3, -0.3, 2.0], [0.0, 7.5, -11.25]])
    i = np.arange(36) - 17.5
    expected = np.exp(-2j * np.pi / 12 * offset[..., None] * i) @ taps.ravel()
    np.testing.assert_allclose(response(taps, offset), expected, atol=1e-13)
    assert response(taps, 0.0).shape == ()
    many = response(taps, np.linspace(-3, 3, 131))
    np.testing.assert_allclose(many[::10], response(taps, np.linspace(-3, 3, 14)), atol=1e-13)


def test_symmetric_taps_have_a_real_response():
    found = response(prototype(64, 4), np.linspace(-2, 2, 41))
    assert np.abs(found.imag).max() < 1e-13


def test_smallest():
    np.testing.assert_allclose(prototype(1, 1), [[1.0]])
    assert prototype(2, 1, "hamming").shape == (1, 2)


@pytest.mark.parametrize("window", ["hann", "blackman"])
def test_window_without_a_coefficient(window):
    with pytest.raises(ValueError, match="coefficients are 0"):
        prototype(2, 1, window)


@pytest.mark.parametrize(
    "window",
    ["", "Hamming", "kaiser", "kaiser:", "kaiser:x", "kaiser:nan", "kaiser:-1", "kaiser:inf"]
    + ["kaiser:1e9", "hann:3", "welch"],
)
def test_refused_window_lists_the_allowed(window):
    with pytest.raises(ValueError, match="window") as caught:
        prototype(16, 2, window)
    assert all(name in str(caught.value) for name in window_names)


@pytest.mark.parametrize(
    ("n_fft", "n_tap"), [(0, 4), (-8, 4), (8, 0), (8, -1), (2**40, 1), (2**20, 2**20)]
)
def test_refused_sizes(n_fft, n_tap):
    with pytest.raises(ValueError, match="n_fft|n_tap"):
        prototype(n_fft, n_tap)


def test_refused_types():
    with pytest.raises(TypeError, match="n_fft"):
        prototype(8.0, 4)
    with pytest.raises(TypeError, match="n_tap"):
        prototype(8, True)
    with pytest.raises(TypeError, match="window"):
        prototype(8, 4, 9)
    with pytest.raises(ValueError, match="n_tap = 2"):
        prototype(8, 2, "none")
    with pytest.raises(TypeError, match="taps"):
        response([[1.0]], 0)
    with pytest.raises(ValueError, match="offset"):
        response(np.ones((1, 4)), np.nan)
