"""Spectral kurtosis, its exact thresholds and the keep decision."""

from itertools import product

import numpy as np
import pytest
from fastsig_kernels.filters import prototype
from fastsig_kernels.spectral_kurtosis import (
    frame_correlation,
    keep,
    keep_nb,
    kurtosis,
    kurtosis_nb,
    kurtosis_thresholds,
    least_frames,
)
from scipy import integrate, optimize, stats
from thorough import many

TAIL = stats.norm.sf(3)


def sums(shape=(5, 2, 12), n_sum=40, k=1.0, seed=1):
    power = np.random.default_rng(seed).gamma(k, size=(n_sum, *shape))
    return power.sum(axis=0).astype("float32"), (power**2).sum(axis=0).astype("float32")


def twin(s1, s2, n_sum, k):
    s1, s2, m = s1.astype(float), s2.astype(float), np.asarray(n_sum, float)
    return (m * k + 1) / (m - 1) * (m * s2 / s1**2 - 1)


def central_moments(m, k):
    """Variance, third and fourth central moment: Nita & Gary 2010, MNRAS 406, equation 9."""
    mk = m * k
    second = 2 * m**2 * k * (1 + k) / ((m - 1) * (2 + mk) * (3 + mk))
    third = 8 * m**3 * k * (1 + k) * (-2 + k * (-5 + m * (4 + k)))
    third /= (m - 1) ** 2 * (2 + mk) * (3 + mk) * (4 + mk) * (5 + mk)
    inner = -245 - 93 * k + m * (125 + k * (68 + m + (3 + m) * k))
    fourth = 12 * m**4 * k * (1 + k) * (24 + k * (48 + 84 * k + m * (-32 + k * inner)))
    fourth /= (m - 1) ** 3 * (2 + mk) * (3 + mk) * (4 + mk) * (5 + mk) * (6 + mk) * (7 + mk)
    return second, third, fourth


# The estimator.


@pytest.mark.parametrize("shape", [(12,), (2, 12), (5, 2, 12)])
def test_twin_of_any_axes_and_strides(shape):
    s1, s2 = sums(shape)
    found = kurtosis(s1, s2, 40, 1)
    assert found.dtype == np.float32 and found.shape == shape
    # Near 1, from a difference of numbers near 2: absolute, one rounding to float32.
    np.testing.assert_allclose(found, twin(s1, s2, 40, 1), rtol=2.0**-24, atol=1e-14)
    out = np.full((*shape[:-1], 24), np.nan, "float32")[..., ::2]
    assert kurtosis(np.asfortranarray(s1), s2[..., ::-1][..., ::-1], 40, 1.0, out=out) is out
    assert out.tobytes() == found.tobytes()


def test_counts_and_shapes_broadcast():
    s1, s2 = sums()
    k = np.ones(12)
    k[0] = 0.5
    per_channel = np.arange(20, 32)
    per_row = np.array([[30], [40]])
    full = np.broadcast_to(per_channel, s1.shape)
    for n_sum in (np.int64(40), np.array(40), per_channel, per_row, full, per_row[None]):
        found = kurtosis(s1, s2, n_sum, k)
        np.testing.assert_allclose(found, twin(s1, s2, n_sum, k), rtol=2.0**-23, atol=1e-6)
    again = kurtosis(s1, s2, 40, k.astype("float32"))
    assert again.tobytes() == kurtosis(s1, s2, np.full(s1.shape, 40), k).tobytes()
    assert not np.allclose(again[..., 0], kurtosis(s1, s2, 40, 1)[..., 0])


def test_python_function():
    s1, s2 = sums((2, 2, 6))
    for n_sum in (np.array([[[40], [1]]]).repeat(2, 0), np.full((2, 2, 6), 40)):
        found, again = np.empty_like(s1), np.empty_like(s1)
        kurtosis_nb(s1, s2, n_sum, np.full(6, 0.5), found)
        with np.errstate(all="ignore"):
            kurtosis_nb.py_func(s1, s2, n_sum, np.full(6, 0.5), again)
        np.testing.assert_array_equal(found, again)


def test_extremes_are_exact():
    # Equal powers have no spread; one power alone is the farthest that SK reaches.
    s1, s2 = np.array([8, 3], "float32"), np.array([4, 9], "float32")
    np.testing.assert_array_equal(kurtosis(s1, s2, 16, 1), np.array([0, 17], "float32"))
    np.testing.assert_array_equal(kurtosis(s1, s2, 16, 0.5), np.array([0, 9], "float32"))


def test_scale_does_not_matter():
    s1, s2 = sums((12,))
    for scale in (2.0**-30, 2.0**30):
        scaled = s1 * np.float32(scale), s2 * np.float32(scale**2)
        assert kurtosis(*scaled, 40, 1).tobytes() == kurtosis(s1, s2, 40, 1).tobytes()


def test_nan():
    s1, s2 = sums((2, 6))
    s1[0, 1] = np.nan
    s2[0, 2] = np.nan
    s1[1, 3] = s2[1, 3] = 0
    n_sum = np.full((2, 6), 40)
    n_sum[1, 4:] = 1, 0
    expected = np.zeros((2, 6), bool)
    expected[[0, 0, 1, 1, 1], [1, 2, 3, 4, 5]] = True
    np.testing.assert_array_equal(np.isnan(kurtosis(s1, s2, n_sum, 1)), expected)
    expected[1, 4:] = False
    np.testing.assert_array_equal(np.isnan(kurtosis(s1, s2, 40, 1)), expected)


@pytest.mark.parametrize(("m", "k"), [(16, 0.5), (32, 1), (20, 6)])
def test_mean_and_variance_of_noise(m, k):
    found = kurtosis(*sums((200_000,), m, k, seed=5), m, k).astype(float)
    second, _, fourth = central_moments(m, k)
    # Five standard errors.
    assert abs(found.mean() - 1) < 5 * np.sqrt(second / found.size)
    assert abs(found.var() - second) < 5 * np.sqrt((fourth - second**2) / found.size)


def test_refused():
    s1, s2 = sums((2, 6))
    with pytest.raises(TypeError, match="s1: found .*subclass"):
        kurtosis(np.ma.array(s1), s2, 40, 1)
    with pytest.raises(TypeError, match="s2: found .*subclass"):
        kurtosis(s1, np.ma.array(s2), 40, 1)
    with pytest.raises(TypeError, match="s1: found dtype float64"):
        kurtosis(s1.astype(float), s2, 40, 1)
    with pytest.raises(ValueError, match="s1: found 4 axes"):
        kurtosis(s1[None, None], s2, 40, 1)
    with pytest.raises(ValueError, match="s2: found shape"):
        kurtosis(s1, s2[:1], 40, 1)
    with pytest.raises(ValueError, match="n_sum: found 1, allowed 2"):
        kurtosis(s1, s2, 1, 1)
    with pytest.raises(TypeError, match="n_sum: found float"):
        kurtosis(s1, s2, 40.0, 1)
    with pytest.raises(TypeError, match="n_sum: found dtype int32"):
        kurtosis(s1, s2, np.full(6, 40, "int32"), 1)
    for shape in (5,), (2, 2, 6), (3, 1):
        with pytest.raises(ValueError, match="n_sum: found"):
            kurtosis(s1, s2, np.full(shape, 40), 1)
    for k in (0, -1.0, np.nan, np.inf, np.zeros(6)):
        with pytest.raises(ValueError, match="shape: found"):
            kurtosis(s1, s2, 40, k)
    with pytest.raises(ValueError, match=r"shape: found shape \(5,\)"):
        kurtosis(s1, s2, 40, np.ones(5))
    for k in ("1", True, 1j):
        with pytest.raises(TypeError, match="shape: found"):
            kurtosis(s1, s2, 40, k)
    with pytest.raises(ValueError, match="out: found shape"):
        kurtosis(s1, s2, 40, 1, out=s1[:1])
    with pytest.raises(TypeError, match="out: found dtype"):
        kurtosis(s1, s2, 40, 1, out=np.empty((2, 6)))


# The thresholds.


@pytest.mark.parametrize(("m", "k"), many(
    [(32, 0.5), (32, 30), (200, 1), (10**5, 3), (2**31, 0.5)],
    list(product([32, 200, 10**5, 2**31], [0.5, 1, 3, 30]))))
def test_thresholds_hold_the_exact_moments(m, k):
    # E g(SK) is the integral of g(quantile) over a Gaussian; the rule of equal steps is
    # as good as exact for it.
    sigma = np.arange(0.125, 6, 0.25)
    chance = 0.25 * stats.norm.pdf(sigma)
    found = np.array([kurtosis_thresholds(m, k, s) for s in sigma])
    assert abs((chance @ found).sum() - 1) < 1e-5
    spread = (found - 1) / np.sqrt(central_moments(m, k)[0])
    for n, moment in zip((2, 3, 4), central_moments(m, k), strict=True):
        expected = moment / central_moments(m, k)[0] ** (n / 2)
        # Fourth moments lose what lies beyond 6 sigma, where SK is at 30 deviations.
        tolerance = (1e-4, 1e-3, 4e-3)[n - 2]
        assert abs((chance @ spread**n).sum() - expected) < tolerance * max(1, expected)


@pytest.mark.parametrize("m", [32, 64, 1000, 10**6])
@pytest.mark.parametrize("sigma", [0.5, 3, 4.5, 6])
def test_large_shapes_give_the_distribution_of_a_variance(m, sigma):
    # Powers with k -> infinity are Gaussian, and SK their normalised sample variance.
    low, high = kurtosis_thresholds(m, 2**20, sigma)
    gauge = stats.chi2(m - 1, scale=1 / (m - 1))
    tail = stats.norm.sf(sigma)
    assert abs(gauge.cdf(low) / tail - 1) < 2e-3
    assert abs(gauge.sf(high) / tail - 1) < 2e-3


@pytest.mark.parametrize(
    ("m", "k", "sigma", "expected"),
    [
        (16, 0.5, 3, (0.2534305, 3.719302)),
        (16, 0.5, 5, (0.0905902, 6.959994)),
        (32, 0.5, 6, (0.1395581, 9.782716)),
        (64, 0.5, 3, (0.4754367, 2.529008)),
        (64, 1, 6, (0.2623004, 6.959178)),
        (256, 0.5, 6, (0.4755163, 4.409160)),
        (300, 10, 6, (0.5791161, 1.658263)),
    ],
)
def test_thresholds_of_a_slow_integration(m, k, sigma, expected):
    # The same integral with 3000 points, wider and finer grids, and another path.
    np.testing.assert_allclose(kurtosis_thresholds(m, k, sigma), expected, rtol=6e-5)


def test_table_of_nita_and_gary():
    m, k = 300, 10
    second, third, _ = central_moments(m, k)

    # Their Table 1 is a fit to three moments, a Pearson VI of unit scale ...
    def misfit(logs):
        fit = stats.betaprime(*np.exp(logs))
        return fit.var() / second - 1, fit.stats("s") / (third / second**1.5) - 1

    fit = stats.betaprime(*np.exp(optimize.fsolve(misfit, (6.0, 6.0))))
    table = [float(q) - fit.mean() + 1 for q in (fit.ppf(TAIL), fit.isf(TAIL))]
    np.testing.assert_allclose(table, (0.76648, 1.28313), rtol=0, atol=6e-6)
    # ... which lies this near to the exact distribution: half a per cent of a deviation.
    found = kurtosis_thresholds(m, k)
    np.testing.assert_allclose(found, (0.76648, 1.28313), rtol=0, atol=0.006 * second**0.5)
    np.testing.assert_allclose(found, (0.76626, 1.28353), rtol=0, atol=1e-5)


def pearson_thresholds(m, k):
    """Quantiles of the Pearson distribution with the four moments, by its equation."""
    second, third, fourth = central_moments(m, k)
    skew, kurt = third / second**1.5, fourth / second**2
    # Here of type IV: no real roots, all the line.
    scale = 10 * kurt - 12 * skew**2 - 18
    b0, b1, b2 = (4 * kurt - 3 * skew**2) / scale, skew * (kurt + 3) / scale, 0.0
    b2 = (2 * kurt - 3 * skew**2 - 6) / scale
    assert b1**2 < 4 * b0 * b2
    z = np.linspace(-12, 15, 54_001)
    logs = integrate.cumulative_trapezoid(-(z + b1) / (b0 + b1 * z + b2 * z * z), z, initial=0)
    chance = integrate.cumulative_trapezoid(np.exp(logs - logs.max()), z, initial=0)
    return 1 + np.sqrt(second) * np.interp((TAIL, 1 - TAIL), chance / chance[-1], z)


def test_pearson_fits_agree_for_large_sums_only():
    for m, k, deviation in ((1024, 10, 1e-3), (6400, 1, 3e-3), (2**20, 0.5, 1e-3)):
        error = np.abs(pearson_thresholds(m, k) - kurtosis_thresholds(m, k))
        assert (error < deviation * central_moments(m, k)[0] ** 0.5).all()
    # The reason for not using them: the lower tail, here too rare by 40 %.
    error = (pearson_thresholds(128, 0.5) - kurtosis_thresholds(128, 0.5))[0]
    assert -0.08 < error / central_moments(128, 0.5)[0] ** 0.5 < -0.05


def ratios(m, k, n, rng):
    """S2 / S1^2 of n sums of m powers."""
    found = np.empty(n)
    for part in np.split(found, 50):
        size = part.size, m
        power = rng.standard_exponential(size) if k == 1 else rng.standard_normal(size) ** 2
        part[:] = np.einsum("ij,ij->i", power, power) / power.sum(axis=1) ** 2
    return found


def doubled(ratio, m, k, rng):
    """The same of sums of 2 m: pairs share S1 by a beta variate, independent of both."""
    share = rng.beta(m * k, m * k, size=ratio.size)
    return share**2 * ratio + (1 - share) ** 2 * rng.permutation(ratio)


@pytest.mark.parametrize(
    ("k", "first", "wanted"),
    [(0.5, 64, (64, 128, 256, 1024)), (1, 64, (64, 128, 256, 1024)), (1, 100, (6400,))],
)
def test_false_alarms_of_noise(k, first, wanted):
    n = many(500_000, 2_000_000)
    rng = np.random.default_rng(7)
    m, ratio = first, ratios(first, k, n, rng)
    while True:
        if m in wanted:
            found = kurtosis(np.ones(n, "float32"), ratio.astype("float32"), m, k)
            low, high = kurtosis_thresholds(m, k)
            below, above = ~keep(found, low, np.inf), ~keep(found, 0, high)
            # 2700 expected on either side: 10 % is five standard errors; 2.6 of a quarter.
            assert abs(below.sum() / (n * TAIL) - 1) < 0.1, (m, "low")
            assert abs(above.sum() / (n * TAIL) - 1) < 0.1, (m, "high")
            np.testing.assert_array_equal(keep(found, low, high), ~(below | above))
        if m == wanted[-1]:
            break
        m, ratio = 2 * m, doubled(ratio, m, k, rng)


@pytest.mark.parametrize(("m", "k"), [(16, 0.5), (64, 1), (500, 7.5), (2**31, 0.5)])
def test_thresholds_widen_with_sigma(m, k):
    found = np.array([kurtosis_thresholds(m, k, s) for s in (1e-9, 0.3, 1, 2, 3, 4, 5, 6)])
    assert found.dtype == np.float64 and (found[:, 0] >= 0).all()
    assert (np.diff(found[:, 0]) < 0).all() and (np.diff(found[:, 1]) > 0).all()
    # Both are the median first, below the mean as SK is skewed.
    np.testing.assert_allclose(found[0, 0], found[0, 1], rtol=1e-6)
    assert found[0, 0] < 1


def test_thresholds_move_smoothly_where_the_method_changes():
    for k in (9.999999, 84.0):
        near = [kurtosis_thresholds(64, k * (1 + i * 1e-6), 5) for i in (0, 1, 2)]
        np.testing.assert_allclose(near[0], near[2], rtol=1e-5)


def test_thresholds_are_kept():
    found = kurtosis_thresholds(80, 1, 3)
    assert type(found) is tuple and [type(x) for x in found] == [float, float]
    assert kurtosis_thresholds(np.int32(80), np.float64(1)) is found


def test_thresholds_refused():
    for m in (15, 0, -3, 2**31 + 1):
        with pytest.raises(ValueError, match=f"n_sum: found {m}"):
            kurtosis_thresholds(m, 1)
    for k in (0.49, 0, -1, 2.0**21, np.nan, np.inf):
        with pytest.raises(ValueError, match="shape: found"):
            kurtosis_thresholds(64, k)
    for sigma in (0, -3, 6.1, np.nan):
        with pytest.raises(ValueError, match="sigma: found"):
            kurtosis_thresholds(64, 1, sigma)
    with pytest.raises(TypeError, match="n_sum: found float"):
        kurtosis_thresholds(64.0, 1)
    with pytest.raises(TypeError, match="shape: found ndarray"):
        kurtosis_thresholds(64, np.ones(3))
    with pytest.raises(TypeError, match="sigma: found str"):
        kurtosis_thresholds(64, 1, "3")


# The decision.


@pytest.mark.parametrize("shape", [(8,), (2, 8), (3, 2, 8)])
def test_keep(shape):
    sk = np.random.default_rng(2).uniform(0, 2, shape).astype("float32")
    low, high = np.linspace(0.2, 0.9, 8), np.linspace(1.8, 1.1, 8)
    found = keep(sk, low, high)
    assert found.dtype == np.bool_
    np.testing.assert_array_equal(found, (sk >= low) & (sk <= high))
    assert 0 < found.sum() < found.size
    np.testing.assert_array_equal(keep(sk, 0.7, high), (sk >= 0.7) & (sk <= high))
    for dtype in ("bool", "uint8"):
        out = np.ones((*shape[:-1], 16), dtype)[..., ::2]
        assert keep(np.asfortranarray(sk), low, high, out=out) is out
        np.testing.assert_array_equal(out, found)
        np.testing.assert_array_equal(out.base[..., 1::2], 1)


def test_keep_includes_the_thresholds_and_excludes_nan():
    sk = np.array([0.5, 0.4999999, 1.5, 1.5000001, np.nan, np.inf, -np.inf], "float32")
    expected = [True, False, True, False, False, False, False]
    assert keep(sk, 0.5, 1.5).tolist() == expected
    bytes_ = np.full(7, 7, "uint8")
    assert keep(sk, 0.5, 1.5, out=bytes_).tolist() == [1, 0, 1, 0, 0, 0, 0]
    assert not keep(sk, np.nan, 1.5).any() and not keep(sk, 0.5, np.nan).any()
    again = np.zeros((1, 1, 7), bool)
    keep_nb.py_func(sk[None, None], np.full(7, 0.5), np.full(7, 1.5), again)
    assert again.ravel().tolist() == expected


def test_keep_compares_in_double_precision():
    # 0.1 as float32 is above 0.1: rounding the threshold would lose the difference.
    sk = np.array([0.1], "float32")
    for limit in (0.1, np.array([0.1])):
        assert not keep(sk, 0.0, limit)[0] and keep(sk, limit, 1.0)[0]


def test_keep_refused():
    sk = np.ones((2, 6), "float32")
    with pytest.raises(TypeError, match="sk: found .*subclass"):
        keep(np.ma.array(sk), 0.5, 1.5)
    with pytest.raises(TypeError, match="sk: found dtype"):
        keep(sk.astype(float), 0.5, 1.5)
    with pytest.raises(ValueError, match="low: found shape"):
        keep(sk, np.ones(5), 1.5)
    with pytest.raises(TypeError, match="high: found .*subclass"):
        keep(sk, 0.5, np.ma.ones(6))
    with pytest.raises(TypeError, match="low: found NoneType"):
        keep(sk, None, 1.5)
    with pytest.raises(TypeError, match="out: found dtype float32"):
        keep(sk, 0.5, 1.5, out=np.ones((2, 6), "float32"))
    with pytest.raises(ValueError, match="out: found shape"):
        keep(sk, 0.5, 1.5, out=np.ones((2, 5), "uint8"))
    frozen = np.ones((2, 6), bool)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        keep(sk, 0.5, 1.5, out=frozen)


@pytest.mark.parametrize("hop", [16, 24, 28, 32])
def test_least_frames_is_the_fewest_that_thresholds_are_for(hop):
    correlation = frame_correlation(prototype(32, 8, "hamming"), hop)
    least = least_frames(correlation)
    assert least >= 16
    low, high = kurtosis_thresholds(least, 1.0, correlation=correlation)
    assert low < 1 < high
    with pytest.raises(ValueError, match="n_sum"):
        kurtosis_thresholds(least - 1, 1.0, correlation=correlation)


def test_least_frames_of_independent_powers_and_what_it_refuses():
    assert least_frames(np.zeros(0)) == least_frames(np.zeros(5)) == 16
    assert least_frames(np.full(4, 0.9)) > 40
    for wrong in (np.zeros((2, 2)), np.zeros(2, "f4"), [0.5]):
        with pytest.raises((TypeError, ValueError), match="correlation"):
            least_frames(wrong)
