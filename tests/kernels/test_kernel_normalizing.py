"""Normalisation of spectra against its twin, and what it leaves of pulses."""

import fastsig_kernels as fk
import numpy as np
import pytest
from fastsig_kernels import reference

DTYPES = ["uint8", "int8", "uint16", "int16", "float32"]


def spectra(n_time, n_chan, dtype="uint8", seed=1):
    """Noise of different levels, of which channel 2 is constant, and channel 3 in the beginning."""
    rng = np.random.default_rng(seed)
    level = rng.uniform(60, 100, n_chan)
    x = np.clip(rng.normal(level, 9, (n_time, n_chan)), 0, 127)
    x[:, 2], x[:600, 3] = 7, 5
    return (np.rint(x) if dtype != "float32" else x).astype(dtype)


def valid_of(x, seed=2):
    valid = np.random.default_rng(seed).random(x.shape) < 0.9
    valid[:700, 4], valid[300:320] = False, False
    return valid


def normalized(plan, x, valid=None, cuts=(), series=None):
    made = []
    for start, stop in zip([0, *cuts], [*cuts, len(x)], strict=True):
        some, less = (None if each is None else each[start:stop] for each in (valid, series))
        made.append(plan.process(x[start:stop], valid=some, series=less))
    made.append(plan.finish())
    codes = np.concatenate([each[0] for each in made])
    good = np.concatenate([np.ones(each[0].shape, bool) if each[1] is None else each[1]
                           for each in made])
    return codes, good


@pytest.mark.parametrize("n", [1, 100, 300, 600, 1500, 256 * 9 + 200])
@pytest.mark.parametrize(("half", "masked"), [(1, False), (2, True), (4, False)])
def test_as_the_twin(n, half, masked):
    x = spectra(n, 6)
    valid = valid_of(x) if masked else None
    codes, good = normalized(fk.Normalizer(6, segment=256, half=half), x, valid)
    expected, kept = reference.normalize_channels(x, valid, segment=256, half=half)
    np.testing.assert_array_equal(codes, expected)
    np.testing.assert_array_equal(good, kept)
    assert not codes[~good].any()


@pytest.mark.parametrize("n", [100, 600, 256 * 9 + 200])
@pytest.mark.parametrize("ahead", [1, 3])
def test_fewer_segments_ahead_are_as_the_twin(n, ahead):
    x = spectra(n, 6)
    valid = valid_of(x)
    options = {"segment": 256, "half": 4, "ahead": ahead}
    plan = fk.Normalizer(6, **options)
    assert plan.latency == 256 * ahead and plan.n_output(256 * (ahead + 1)) == 256
    codes, good = normalized(plan, x, valid)
    expected, kept = reference.normalize_channels(x, valid, **options)
    np.testing.assert_array_equal(codes, expected)
    np.testing.assert_array_equal(good, kept)


@pytest.mark.parametrize("dtype", DTYPES)
def test_types(dtype):
    x = spectra(1300, 5, dtype)
    codes, good = normalized(fk.Normalizer(5, dtype=dtype, segment=256, half=3), x)
    expected, kept = reference.normalize_channels(x, segment=256, half=3)
    assert np.abs(codes.astype(int) - expected).max() <= 1  # ties
    np.testing.assert_array_equal(good, kept)
    assert abs(codes[:, [0, 1, 4]].std() / 16 - 1) < 0.03


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("masked", [False, True])
def test_results_do_not_depend_on_splits_and_threads(dtype, masked):
    x = spectra(2100, 40, dtype)
    valid = valid_of(x) if masked else None
    expected = normalized(fk.Normalizer(40, dtype=dtype, segment=256, half=2), x, valid)
    for cuts in ([1, 255, 256, 257], [1000], list(range(100, 2100, 100))):
        plan = fk.Normalizer(40, dtype=dtype, segment=256, half=2, threads=2)
        for found, wanted in zip(normalized(plan, x, valid, cuts), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("masked", [False, True])
def test_a_series_is_subtracted_first(masked):
    """With the bits of values from which it was subtracted before, for any split."""
    x = spectra(1300, 40)
    valid, series = valid_of(x) if masked else None, np.random.default_rng(4).normal(
        0, 5, 1300).astype("float32")
    expected = normalized(fk.Normalizer(40, dtype="float32", segment=256, half=2),
                          x - series[:, np.newaxis], valid)
    found = normalized(fk.Normalizer(40, segment=256, half=2, threads=2), x, valid, [300, 301, 900],
                       series)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_rows_are_returned_after_half_of_the_window():
    plan = fk.Normalizer(4, segment=256, half=2)
    x = spectra(256, 4)
    assert [len(plan.process(x)[0]) for _ in range(5)] == [0, 0, 256, 256, 256]
    assert plan.latency == 512 and len(plan.finish()[0]) == 512
    assert len(plan.process(x)[0]) == 0  # of another stream


def test_memory_that_is_used_again():
    x = spectra(1024, 5)
    valid = valid_of(x)
    plan, other = (fk.Normalizer(5, segment=256, half=1) for _ in range(2))
    out, out_valid = np.empty((1000, 5), "i1"), np.empty((1000, 5), bool)
    assert plan.n_output(511) == 0 and plan.n_output(1024) == 768
    codes, good = plan.process(x, valid=valid, out=out, out_valid=out_valid)
    assert codes.base is out and good.base is out_valid and len(codes) == 768
    for found, wanted in zip((codes, good), other.process(x, valid=valid), strict=True):
        np.testing.assert_array_equal(found, wanted)
    with pytest.raises(ValueError, match="out: found 100 rows, allowed 1024 or more"):
        plan.process(x, out=out[:100])
    codes, good = fk.halve(out[:512], out=out[600:856])
    np.testing.assert_array_equal(codes, fk.halve(out[:512])[0])
    assert good is None


def test_values_that_are_not_finite_are_not_valid():
    x = spectra(600, 4, "float32")
    x[100, 0], x[200:300, 1] = np.nan, np.inf
    codes, good = normalized(fk.Normalizer(4, dtype="float32", segment=256, half=1), x)
    assert not good[100, 0] and not good[200:300, 1].any() and good[:100, :2].all()
    assert abs(codes[good].std() / 16 - 1) < 0.1 and not codes[~good].any()


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_a_large_level_and_constants(offset):
    x = np.full((512, 3), offset + 0.1, "f4")
    x[:, 1] += np.random.default_rng(1).standard_normal(512)
    codes, good = normalized(fk.Normalizer(3, dtype="float32", segment=256, half=1), x)
    assert good.all(axis=0).tolist() == [False, True, False] and not good[:, [0, 2]].any()
    assert abs(codes[:, 1].std() / 16 - 1) < 0.02


def test_a_level_that_drifts():
    """By 3 sigma in the window; what is left of the drift is 2 % of sigma."""
    rng = np.random.default_rng(1)
    n, half = 2**15, 4
    drift = np.linspace(0, 3 * n / (2 * half * 256), n)[:, np.newaxis]
    x = (rng.standard_normal((n, 8)) + drift + 50).astype("f4")
    codes, _ = normalized(fk.Normalizer(8, dtype="float32", segment=256, half=half), x)
    middle = codes[2048:-2048].reshape(-1, 2048, 8).mean(axis=(1, 2)) / 16
    assert np.abs(middle).max() < 0.02 and abs(codes[2048:-2048].std() / 16 - 1) < 0.03


@pytest.mark.parametrize(("rows", "height"), [(20, 6.0), (300, 3.0), (1200, 1.5)])
def test_pulses_are_not_removed(rows, height):
    """Also if they are as long as 5 of the 16 segments from which a level is measured."""
    rng = np.random.default_rng(3)
    x = 20 * rng.standard_normal((8192, 64)) + 100
    x[4000 : 4000 + rows] += 20 * height
    x = np.clip(np.rint(x), 0, 1000).astype("u2")
    codes, _ = normalized(fk.Normalizer(64, dtype="uint16", segment=256, half=8), x)
    kept = codes[4000 : 4000 + rows].mean() / 16 - codes[:3000].mean() / 16
    assert 0.97 < kept / height < 1.02 and abs(codes[:3000].mean() / 16) < 0.01


@pytest.mark.parametrize("masked", [False, True])
def test_half_the_rate_as_the_twin(masked):
    rng = np.random.default_rng(1)
    x = rng.integers(-127, 128, (300, 37)).astype("i1")
    valid = rng.random(x.shape) < 0.8 if masked else None
    codes, good = fk.halve(x, valid)
    expected, both = reference.halve(x, valid)
    np.testing.assert_array_equal(codes, expected)
    assert (good is None) == (both is None) and np.array_equal(good, both)
    with pytest.raises(ValueError, match="x: found 299 rows"):
        fk.halve(x[:299])


def test_octaves_keep_the_noise():
    x = np.clip(np.rint(16 * np.random.default_rng(1).standard_normal((4096, 50))), -127, 127)
    x = x.astype("i1")
    for _ in range(4):
        x, _ = fk.halve(x)
        assert abs(x.std() / 16 - 1) < 0.02


@pytest.mark.parametrize(("options", "name"), [
    ({"segment": 300}, "segment"), ({"segment": 0}, "segment"), ({"half": 0}, "half"),
    ({"dtype": "int32"}, "dtype"), ({"n_chan": 0}, "n_chan")])
def test_no_plan(options, name):
    with pytest.raises(ValueError, match=f"{name}: found"):
        fk.Normalizer(**{"n_chan": 4, **options})
