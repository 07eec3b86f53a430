"""Flags applied to values and weights of any shape that broadcasts."""

import itertools

import numpy as np
import pytest
from fastsig_kernels import apply_flags, apply_flags_nb, reference

N, P, C = 6, 2, 9
CASES = [((N, wp, wc), (fn, fp, C)) for wp, wc, fn, fp in itertools.product(
    (1, P), (1, C), (1, N), (1, P))]


@pytest.mark.parametrize(("of_weight", "of_flags"), CASES)
def test_twin(of_weight, of_flags):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, P, C)).astype("float32")
    x[2, 1, 3] = np.nan
    weight = rng.random(of_weight).astype("float32")
    flags = rng.random(of_flags) < 0.4
    found, expected = apply_flags(x, weight, flags), reference.apply_flags(x, weight, flags)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    outs = np.empty_like(x), np.empty_like(found[1])
    assert apply_flags(x, weight, flags, out=outs[0], out_weight=outs[1])[1] is outs[1]
    turned = apply_flags(np.asfortranarray(x), np.asfortranarray(weight), np.asfortranarray(flags))
    apply_flags_nb.py_func(x, weight, flags, *outs)
    for one, other, third in zip(found, turned, outs, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, third)


def test_refused():
    x, weight = np.ones((N, P, C), np.float32), np.ones((N, 1, 1), np.float32)
    for flags in (np.ones((2, 1, C), bool), np.ones((N, 3, C), bool), np.ones((N, 1, 1), bool)):
        with pytest.raises(ValueError, match="flags: found shape"):
            apply_flags(x, weight, flags)
    with pytest.raises(ValueError, match="weight: found shape"):
        apply_flags(x, weight[:1], np.ones((1, 1, C), bool))
