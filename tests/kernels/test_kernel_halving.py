"""Halves of a rate against a loop of NumPy, and their noise."""

import numpy as np
import pytest
from fastsig_kernels import halve, reference


@pytest.mark.parametrize("shape", [(2, 1), (0, 5), (10, 33), (64, 64)])
def test_sums_of_pairs_are_those_of_the_twin(shape):
    rng = np.random.default_rng(1)
    x = rng.integers(-127, 128, shape).astype("int8")
    for valid in (None, rng.random(shape) < 0.7):
        made, expected = halve(x, valid), reference.halve(x, valid)
        np.testing.assert_array_equal(made[0], expected[0])
        if valid is not None:
            np.testing.assert_array_equal(made[1], expected[1])


def test_every_pair_of_values_is_rounded_to_the_nearest():
    values = np.arange(-128, 128)
    x = np.stack(np.meshgrid(values, values)).reshape(2, -1).astype("int8")
    np.testing.assert_array_equal(halve(x)[0], reference.halve(x)[0])


def test_noise_stays_the_same_and_has_no_mean():
    x = np.clip(np.rint(16 * np.random.default_rng(2).normal(size=(4096, 64))), -127, 127)
    x = x.astype("int8")
    for _ in range(3):
        x, _ = halve(x)
    assert abs(x.std() / 16 - 1) < 0.01
    assert abs(x.mean()) < 0.1


def test_other_strides_give_the_same_values():
    x = np.arange(-60, 60, dtype="int8").reshape(12, 10)
    np.testing.assert_array_equal(halve(x[:, ::-1])[0], halve(x)[0][:, ::-1])


@pytest.mark.parametrize("threads", [2, 7])
def test_threads_give_the_same_values(threads):
    rng = np.random.default_rng(3)
    for n in (0, 2, 130):
        x = rng.integers(-127, 128, (n, 20)).astype("int8")
        for valid in (None, rng.random(x.shape) < 0.7):
            for one, other in zip(halve(x, valid, threads=threads), halve(x, valid), strict=True):
                np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="threads: found 0"):
        halve(x, threads=0)


def test_an_odd_number_of_spectra_is_refused():
    with pytest.raises(ValueError, match=r"x: found 3 rows, allowed an even number"):
        halve(np.zeros((3, 4), "int8"))
