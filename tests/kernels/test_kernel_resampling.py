"""Resampling: against the twin and the bits of slices; flux, widths and noise as stated."""

import numba
import numpy as np
import pytest
from fastsig_kernels import (
    reference,
    resample,
    resample_nb,
    resampling_covariance,
    resampling_tables,
)
from fastsig_kernels.resampling import LOBES

N = 700


def one(x, position, step, n_out, **options):
    """Values and weights of one spectrum."""
    weight = options.pop("weight", None)
    values, weights = resample(
        x.astype(np.float32)[None, None], np.array([float(position)]), np.array([float(step)]),
        n_out, weight=None if weight is None else weight.astype(np.float32)[None, None], **options)
    return values[0, 0], weights[0, 0]


def width(y):
    """Full width at half maximum of the band-limited line that samples are of, channels."""
    fine = np.fft.irfft(np.fft.rfft(y), 32 * len(y)) * 32
    top = int(fine.argmax())
    below = np.flatnonzero(fine < fine[top] / 2)
    left, right = below[below < top].max(), below[below > top].min()
    half = fine[top] / 2
    start = left + (half - fine[left]) / (fine[left + 1] - fine[left])
    stop = right - (half - fine[right]) / (fine[right - 1] - fine[right])
    return (stop - start) / 32


def gaussian(fwhm, centre, n=N):
    """A line of peak 1; of one channel where it has no width."""
    if fwhm == 0:
        return (np.arange(n) == round(centre)).astype(float)
    return np.exp(-4 * np.log(2) * ((np.arange(n) - centre) / fwhm) ** 2)


# Coefficients are interpolated: within 2e-4 at the step's largest drift in a block, 6e-6 else.
@pytest.mark.parametrize(("step", "tolerance"),
                         [(1.0, 5e-5), (1.0003, 1e-3), (0.9999, 2e-4), (0.7, 1e-4), (2.5, 1e-4)])
@pytest.mark.parametrize("position", [0.3, -5.2, 12.0])
def test_as_the_twin(step, tolerance, position):
    rng = np.random.default_rng(1)
    x = rng.standard_normal(N)
    x[[50, 51, 120]] = np.nan, np.inf, np.nan
    weight = rng.uniform(0.2, 1, N)
    weight[200], weight[260] = 0, np.nan
    found = one(x, position, step, 250, weight=weight)
    expected = reference.resample(x, position, step, 250, weight)
    assert np.array_equal(np.isnan(found[0]), np.isnan(expected[0]))
    assert np.isnan(expected[0]).sum() in range(3, 60)
    assert np.nanmax(np.abs(found[0] - expected[0])) < tolerance
    assert np.max(np.abs(found[1] - expected[1])) < tolerance


@pytest.mark.parametrize("step", [1.0002, 1.7])
def test_slices_have_the_same_bits(step):
    rng = np.random.default_rng(2)
    x = rng.standard_normal(3000)
    x[::97] = np.nan
    weight = rng.choice([1.0, 0.5], 3000)
    whole = one(x, 3.3, step, 1600, weight=weight)
    first, n = 701, 333
    begin = int(3.3 + first * step) - int((LOBES + 2) * step) - 1
    stop = int(3.3 + (first + n) * step) + int((LOBES + 2) * step) + 2
    part = one(x[begin:stop], 3.3, step, n, weight=weight[begin:stop], first_in=begin,
               first_out=first)
    for all_of, some in zip(whole, part, strict=True):
        assert np.array_equal(all_of[first : first + n], some, equal_nan=True)


def test_a_whole_shift_changes_nothing():
    x = np.random.default_rng(3).standard_normal(N)
    x[40] = np.nan
    values, weights = one(x, 7, 1, 400)
    lost = np.isnan(values)
    assert np.flatnonzero(lost).tolist() == [33]
    assert np.allclose(values[~lost], x[7:407][~lost], rtol=0, atol=1e-6)
    assert np.array_equal(weights == 0, lost)


@pytest.mark.parametrize("step", [1.0, 1.0001, 0.99985, 0.8, 1.3, 4.0])
def test_flux_is_conserved(step):
    for fwhm in (0, 1.5, 5):
        for fraction in (0.0, 0.25, 0.5, 0.77):
            x = gaussian(fwhm, 350)
            values, _ = one(x, 100 + fraction, step, int(500 / step))
            flux = np.nansum(values) * step
            assert abs(flux / x.sum() - 1) < 1e-4, (fwhm, fraction)


@pytest.mark.parametrize("fwhm", [0, 1.0, 1.5, 2.0, 4.0])
def test_an_unresolved_line_keeps_its_width(fwhm):
    for fraction in np.linspace(0, 0.9, 10):
        x = gaussian(fwhm, 300)
        values, _ = one(x, 100 + fraction, 1.0001, 420)
        kept = values[np.isfinite(values)]
        assert abs(width(kept) / width(x) - 1) < 0.01
        assert abs(kept.argmax() - (200 - fraction)) <= 1


@pytest.mark.parametrize("step", [1.0001, 0.6, 2.7])
def test_noise_has_the_covariance_that_is_stated(step):
    rng = np.random.default_rng(4)
    n_out = 64
    x = rng.standard_normal((6000, 1, 320 if step > 2 else 190)).astype(np.float32)
    position = rng.uniform(50, 51, 6000) * (1 if step < 2 else 2.1)
    values, weights = resample(x, position, np.full(6000, step), n_out)
    good = values[:, 0][:, (weights[:, 0] > 0).all(axis=0)].astype(np.float64)
    n_good = good.shape[1]
    assert n_good > 24
    stated = resampling_covariance(step, 4)
    for lag in range(5):
        products = good[:, : n_good - lag] * good[:, lag:]
        error = products.mean(axis=1).std() / np.sqrt(len(products))
        found = products.mean()
        # 5 % of the variance, and well within the error of the trial itself.
        assert abs(found - stated[lag]) < 0.05 * stated[0]
        assert abs(found - stated[lag]) < 5 * error


def test_covariance_of_noise_that_is_correlated_already():
    rng = np.random.default_rng(5)
    raw = rng.standard_normal((4000, 202))
    x = (raw[:, 1:] + 0.5 * raw[:, :-1]) / np.sqrt(1.25)
    values, weights = resample(x.astype(np.float32)[:, None], np.full(4000, 60.4), np.ones(4000),
                               80)
    good = values[:, 0].astype(np.float64)
    stated = resampling_covariance(1.0, 2, fraction=0.4, correlation=np.array([1, 0.4]))
    assert (weights > 0).all()
    assert good.var() == pytest.approx(stated[0], rel=0.02)  # 4000 x 80 powers: 0.3 %
    assert (good[:, 1:] * good[:, :-1]).mean() == pytest.approx(stated[1], abs=0.02)


@pytest.mark.parametrize("step", [1.0, 1.7])
def test_the_bare_function_with_public_names(step):
    """As the checked function: from Python, and from other compiled code."""
    x = np.random.default_rng(2).normal(size=(3, 2, 300)).astype(np.float32)
    weight = np.ones((1, 1, 1), np.float32)
    position, steps = np.linspace(20, 21, 3), np.full(3, step)
    tables = resampling_tables(8)
    expected = resample(x, position, steps, 150, lobes=8)

    @numba.njit
    def other(out, out_weight):
        resample_nb(x, weight, position, steps, 0, 0, 8, 0.9, *tables, out, out_weight)

    for call in (other, other.py_func):
        found = np.empty((2, *expected[0].shape), np.float32)
        call(*found)
        np.testing.assert_array_equal(found, expected)


def test_weights_and_rows_that_are_lost():
    x = np.ones((3, 2, 200), np.float32)
    weight = np.full((3, 1, 1), 0.25, np.float32)
    weight[2] = 0
    position, step = np.array([60.5, np.nan, 60.5]), np.ones(3)
    values, weights = resample(x, position, step, 50, weight=weight)
    assert np.allclose(values[0], 1, rtol=0, atol=1e-6)
    assert np.all(weights[0] == 0.25)
    assert np.isnan(values[1:]).all()
    assert not weights[1:].any()


def test_what_is_refused():
    x, position, step = np.zeros((1, 1, 8), np.float32), np.zeros(1), np.ones(1)
    with pytest.raises(ValueError, match="step"):
        resample(x, position, -step, 8)
    with pytest.raises(ValueError, match="min_valid"):
        resample(x, position, step, 8, min_valid=0.3)
    with pytest.raises(ValueError, match="lobes"):
        resample(x, position, step, 8, lobes=1000)
    with pytest.raises(ValueError, match="weight"):
        resample(x, position, step, 8, weight=np.ones((1, 1, 3), np.float32))
    with pytest.raises(TypeError, match="float64"):
        resample(x, position.astype(np.float32), step, 8)
    with pytest.raises(ValueError, match="fraction"):
        resampling_covariance(fraction=2.0)
