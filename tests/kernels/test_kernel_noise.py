"""Addressed noise: known answers, addressing, distribution, independence."""

import math

import numpy as np
import pytest
from fastsig_kernels import (
    gamma,
    gamma_nb,
    gaussian,
    gaussian_nb,
    philox_nb,
    uniform,
    uniform_nb,
)
from scipy import stats

ONES = 0xFFFFFFFF
N = 200_000

# Known answers that the authors of the generator publish with it.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_known_answers(counter, key, words):
    arguments = [np.uint64(word) for word in counter + key]
    assert tuple(int(word) for word in philox_nb(*arguments)) == words
    assert tuple(int(word) for word in philox_nb.py_func(*arguments)) == words


def test_gaussian_is_box_muller_of_the_stated_words():
    seed, stream, i = 0x0123456789ABCDEF, 77, (5 << 34) + 8
    block = i // 4
    counter = block & ONES, block >> 32, stream, 0, seed & ONES, seed >> 32
    w = [int(word) for word in philox_nb(*(np.uint64(word) for word in counter))]
    expected = []
    for a, b in ((w[0], w[1]), (w[2], w[3])):
        radius = np.sqrt(-2 * np.log((a + 1) / 2**32))
        expected += [radius * np.cos(2 * np.pi * b / 2**32), radius * np.sin(2 * np.pi * b / 2**32)]
    found = gaussian(i, 4, seed=seed, stream=stream)
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_uniform_is_53_bits_of_the_stated_words():
    seed, stream, i = 0xFEDCBA9876543210, 2**32 - 1, (7 << 33) + 6
    block = i // 2
    counter = block & ONES, block >> 32, stream, 1, seed & ONES, seed >> 32
    w = [int(word) for word in philox_nb(*(np.uint64(word) for word in counter))]
    expected = [((a << 32 | b) >> 11) / 2**53 for a, b in ((w[0], w[1]), (w[2], w[3]))]
    assert uniform(i, 2, seed=seed, stream=stream).tolist() == expected


def gamma6(start, n, *, seed, stream, out=None):
    """Gamma numbers of shape 6, called as the other two are."""
    return gamma(start, n, 6, seed=seed, stream=stream, out=out)


DRAWS = [gaussian, uniform, gamma6]


def test_gamma_is_the_first_try_that_passes():
    seed, stream, start, shape = 0xFEDCBA9876543210, 5, (9 << 32) + 1, 1.0
    d = shape - 1 / 3
    expected, tries = [], []
    for i in range(start, start + 60):
        for kind in range(2, 100):
            counter = i & ONES, i >> 32, stream, kind, seed & ONES, seed >> 32
            w = [int(word) for word in philox_nb(*(np.uint64(word) for word in counter))]
            z = math.sqrt(-2 * math.log((w[0] + 1) / 2**32)) * math.cos(math.tau * w[1] / 2**32)
            u = 1 - ((w[2] << 32 | w[3]) >> 11) / 2**53
            v = (1 + z / math.sqrt(9 * d)) ** 3
            if v > 0 and math.log(u) < z * z / 2 + d - d * v + d * math.log(v):
                break
        expected.append(d * v)
        tries.append(kind - 1)
    found = gamma(start, 60, shape, seed=seed, stream=stream)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert max(tries) > 1


@pytest.mark.parametrize("shape", [1, 2, 6.5, 7680, 1e6])
def test_gamma_moments(shape):
    x = gamma(-N // 2, N, shape, seed=2024, stream=0)
    assert x.dtype == np.float64 and x.min() > 0
    # Four standard errors each; the fourth central moment is 3 shape^2 + 6 shape.
    assert abs(x.mean() - shape) < 4 * np.sqrt(shape / N)
    assert abs(x.var() - shape) < 4 * np.sqrt((2 * shape**2 + 6 * shape) / N)
    assert stats.kstest(x, "gamma", (shape,)).pvalue > 1e-3


def test_plain_ints_give_the_same_words():
    for counter, key, words in KNOWN:
        assert philox_nb(*counter, *key) == words


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("start", [0, 1, 2, 3, -5, 10**15 + 1, 2**63 - 100, -(2**63)])
def test_any_split_gives_the_same_bits(draw, start):
    whole = draw(start, 100, seed=3, stream=4)
    for n in (1, 2, 3, 4, 5, 33):
        parts = [draw(start + m, min(n, 100 - m), seed=3, stream=4) for m in range(0, 100, n)]
        assert np.concatenate(parts).tobytes() == whole.tobytes()


@pytest.mark.parametrize("draw", DRAWS)
def test_out_and_empty(draw):
    expected = draw(-3, 11, seed=3, stream=4)
    out = np.full((11, 2), np.nan, dtype=expected.dtype)[:, 0]
    assert draw(-3, 11, seed=3, stream=4, out=out) is out
    assert out.tobytes() == expected.tobytes()
    assert draw(5, 0, seed=0, stream=0).shape == (0,)


def test_python_functions():
    address = np.uint64(2**64 - 3), np.uint64(9), np.uint64(1)
    for draw, kernel in ((gaussian, gaussian_nb), (uniform, uniform_nb)):
        expected = draw(-3, 11, seed=9, stream=1)
        again = np.empty_like(expected)
        kernel.py_func(*address, again)
        assert again.tobytes() == expected.tobytes()
    again = np.empty(11)
    with np.errstate(over="ignore"):  # counters wrap round
        gamma_nb.py_func(address[0], 6.0, *address[1:], again)
    np.testing.assert_allclose(again, gamma(-3, 11, 6, seed=9, stream=1), rtol=1e-12)


def test_gaussian_moments():
    x = gaussian(-N // 2, N, seed=2024, stream=0).astype(float)
    assert gaussian(0, 1, seed=0, stream=0).dtype == np.float32
    # Four standard errors each.
    assert abs(x.mean()) < 4 / np.sqrt(N)
    assert abs(x.var() - 1) < 4 * np.sqrt(2 / N)
    assert abs((x**3).mean()) < 4 * np.sqrt(15 / N)
    assert abs((x**4).mean() - 3) < 4 * np.sqrt(96 / N)
    assert stats.kstest(x, "norm").pvalue > 1e-3


def test_uniform_moments():
    x = uniform(-N // 2, N, seed=2024, stream=0)
    assert x.dtype == np.float64 and x.min() >= 0 and x.max() < 1
    assert abs(x.mean() - 0.5) < 4 / np.sqrt(12 * N)
    assert stats.kstest(x, "uniform").pvalue > 1e-3
    # All 53 bits are in use.
    assert np.unique((x * 2**53).astype(np.uint64) & np.uint64(7)).size == 8


def correlation(x, y):
    return abs(np.corrcoef(x, y)[0, 1])


def test_lags_are_independent():
    x = gaussian(0, N + 64, seed=11, stream=3).astype(float)
    for lag in (1, 2, 3, 4, 5, 8, 16, 64):
        assert correlation(x[:N], x[lag : N + lag]) < 4 / np.sqrt(N)
        assert correlation(x[:N] ** 2, x[lag : N + lag] ** 2) < 4 / np.sqrt(N)


@pytest.mark.parametrize("draw", DRAWS)
def test_streams_and_seeds_are_independent(draw):
    first = draw(0, N, seed=11, stream=3)
    others = [(11, 4), (11, 2), (11, 2**32 - 1), (12, 3), (11 + 2**32, 3), (2**64 - 1, 3)]
    for seed, stream in others:
        other = draw(0, N, seed=seed, stream=stream)
        assert correlation(first, other) < 4 / np.sqrt(N)
        assert correlation(np.square(first), np.square(other)) < 4 / np.sqrt(N)


def test_distributions_of_one_stream_are_independent():
    normal, flat, power = (draw(0, N, seed=11, stream=3).astype(float) for draw in DRAWS)
    for x, y in ((normal, flat), (normal, power), (flat, power)):
        assert correlation(x, y) < 4 / np.sqrt(N)
        assert correlation(x**2, y) < 4 / np.sqrt(N)


@pytest.mark.parametrize("shape", [0.99, 0, -1, np.nan, np.inf])
def test_shapes_of_gamma_that_are_refused(shape):
    with pytest.raises(ValueError, match="shape: found .*, allowed 1 or more"):
        gamma(0, 4, shape, seed=0, stream=0)


@pytest.mark.parametrize("draw", DRAWS)
def test_refused(draw):
    good = {"seed": 0, "stream": 0}
    for bad in ({"seed": -1}, {"seed": 2**64}, {"stream": -1}, {"stream": 2**32}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            draw(0, 4, **(good | bad))
    with pytest.raises(ValueError, match="start"):
        draw(2**63 - 3, 4, **good)
    with pytest.raises(ValueError, match="start"):
        draw(-(2**63) - 1, 4, **good)
    with pytest.raises(ValueError, match="n: found -1"):
        draw(0, -1, **good)
    with pytest.raises(TypeError, match="start: found float"):
        draw(0.0, 4, **good)
    with pytest.raises(TypeError, match="out: found"):
        draw(0, 4, **good, out=np.ma.zeros(4))
    with pytest.raises(ValueError, match="out: found shape"):
        draw(0, 4, **good, out=np.zeros(5, dtype=draw(0, 1, **good).dtype))
