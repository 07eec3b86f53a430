"""Codes to floats by scales: the twin, the formula in float32, and what memory may look like."""

import numpy as np
import pytest
from fastsig_kernels import (
    apply_scales,
    apply_scales_nb,
    fit_scales,
    fit_scales_nb,
    reference,
    widen,
    widen_nb,
)

DTYPES = {"uint8": (0, 256), "int8": (-128, 128), "int16": (-(2**15), 2**15)}


def tables(shape, seed=1):
    rng = np.random.default_rng(seed)
    scale = rng.gamma(2, 0.3, shape[1:]).astype("f4")
    return scale, rng.normal(0, 9, shape[1:]).astype("f4"), rng.normal(0, 4, shape[1]).astype("f4")


def numbers(dtype, shape, seed=2):
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return rng.normal(0, 30, shape).astype("f4")
    return rng.integers(*DTYPES[dtype], shape).astype(dtype)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [*DTYPES, "float32"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 37), (2, 2, 256), (0, 1, 5), (4, 1, 0)])
def test_twin_and_the_formula_in_float32(shape, dtype, reverse):
    codes = numbers(dtype, shape)
    scale, offset, zero = tables(shape)
    found = apply_scales(codes, scale, offset, zero=zero, reverse=reverse)
    assert found.dtype == np.float32
    expected = reference.apply_scales(codes, scale, offset, zero, reverse)
    largest = np.abs(np.array([codes.max(initial=0), codes.min(initial=0)], "f8")).max() + 20
    bound = 3 * 2.0**-24 * (largest * scale.max(initial=0) + np.abs(offset).max(initial=0))
    assert (np.abs(found - expected) <= bound).all()
    by_numpy = (codes.astype("f4") - zero[:, None]) * scale + offset
    np.testing.assert_array_equal(found, by_numpy[:, :, ::-1] if reverse else by_numpy)


def test_no_zero_is_zero():
    codes = numbers("uint8", (2, 2, 9))
    scale, offset, _ = tables(codes.shape)
    expected = apply_scales(codes, scale, offset, zero=np.zeros(2, "f4"))
    np.testing.assert_array_equal(apply_scales(codes, scale, offset), expected)


@pytest.mark.parametrize("reverse", [False, True])
def test_python_function_is_the_compiled_one(reverse):
    codes = numbers("uint8", (2, 2, 9))
    scale, offset, zero = tables(codes.shape)
    by_hand = np.empty(codes.shape, "f4")
    apply_scales_nb.py_func(codes, scale, offset, zero, reverse, by_hand)
    compiled = apply_scales(codes, scale, offset, zero=zero, reverse=reverse)
    np.testing.assert_array_equal(compiled, by_hand)


def test_out_strides_and_blocks():
    codes = numbers("uint8", (7, 2, 33))
    scale, offset, zero = tables(codes.shape)
    whole = np.empty(codes.shape, "f4")
    assert apply_scales(codes, scale, offset, zero=zero, out=whole) is whole
    pieces = [apply_scales(codes[a:b], scale, offset, zero=zero)
              for a, b in ((0, 3), (3, 4), (4, 7))]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    wide = np.zeros((14, 2, 66), "u1")
    wide[::2, :, ::2] = codes
    target = np.zeros((7, 4, 66), "f4")
    apply_scales(wide[::2, :, ::2], scale, offset, zero=zero, out=target[:, ::2, 1::2])
    np.testing.assert_array_equal(target[:, ::2, 1::2], whole)
    assert not target[:, 1::2].any() and not target[:, :, ::2].any()


def test_nan_of_a_table_is_passed_on():
    codes = numbers("uint8", (2, 1, 4))
    scale, offset, zero = tables(codes.shape)
    offset[0, 1], scale[0, 2] = np.nan, np.nan
    found = apply_scales(codes, scale, offset, zero=zero)
    np.testing.assert_array_equal(np.isnan(found), [[[False, True, True, False]]] * 2)


def test_what_is_not_allowed():
    codes = numbers("uint8", (2, 2, 9))
    scale, offset, zero = tables(codes.shape)
    with pytest.raises(ValueError, match="scale: found shape"):
        apply_scales(codes, scale[:1], offset)
    with pytest.raises(ValueError, match="zero: found shape"):
        apply_scales(codes, scale, offset, zero=zero[:1])
    with pytest.raises(TypeError, match="codes: found dtype uint16"):
        apply_scales(codes.astype("u2"), scale, offset)
    with pytest.raises(TypeError, match="offset: found dtype float64"):
        apply_scales(codes, scale, offset.astype("f8"))
    with pytest.raises(TypeError, match="reverse"):
        apply_scales(codes, scale, offset, reverse=1)
    with pytest.raises(ValueError, match="out: found shape"):
        apply_scales(codes, scale, offset, out=np.empty((2, 2, 8), "f4"))


def spectra(shape=(50, 2, 300), seed=5):
    return np.random.default_rng(seed).gamma(9, 7, shape).astype("f4")


@pytest.mark.parametrize("n_bits", [8, 16])
def test_fitted_scales_are_those_of_the_twin(n_bits):
    power = spectra()
    power[3, 1, :40] = np.nan
    power[:, 0, 7], power[4, 0, 8], power[:, 1, 9] = np.nan, np.inf, 3.25
    power[:, 1, 11] = np.rint(power[:, 1, 11])
    power[:, 1, 12] = 1e30 * power[:, 1, 12]
    codes, scale, offset = fit_scales(power, n_bits)
    expected = reference.fit_scales(power, n_bits)
    for found, twin in zip((codes, scale, offset), expected, strict=True):
        np.testing.assert_array_equal(found, twin)
    assert codes.dtype == ("uint8" if n_bits == 8 else "int16")
    assert scale[0, 7] == scale[1, 9] == scale[1, 11] == 1


@pytest.mark.parametrize("n_bits", [8, 16])
def test_values_come_back_within_half_a_step(n_bits):
    power = spectra()
    codes, scale, offset = fit_scales(power, n_bits)
    back = apply_scales(codes, scale, offset)
    # Half a step; and the rounding of step, offset, product and sum, all below their own size.
    rounding = 4 * 2.0**-24 * (2**n_bits * scale + np.abs(offset))
    assert (np.abs(back.astype(float) - power) <= 0.5 * scale + rounding).all()
    span = power.max(axis=0).astype(float) - power.min(axis=0)
    np.testing.assert_allclose(scale, span / (2**n_bits - 1), rtol=1e-7)


@pytest.mark.parametrize("n_bits, least, most", [(8, -100, 155), (16, -40000, 25535)])
def test_whole_numbers_are_exact(n_bits, least, most):
    power = np.random.default_rng(1).integers(least, most + 1, (400, 1, 5)).astype("f4")
    power[0], power[1] = least, most
    codes, scale, offset = fit_scales(power, n_bits)
    assert (scale == 1).all()
    np.testing.assert_array_equal(apply_scales(codes, scale, offset), power)


def test_fitted_out_strides_and_python():
    power = spectra((6, 2, 20))
    whole = fit_scales(power)
    given = np.empty(power.shape, "u1"), np.empty((2, 20), "f4"), np.empty((2, 20), "f4")
    out = fit_scales(power, out=given[0], scale=given[1], offset=given[2])
    assert all(a is b for a, b in zip(out, given, strict=True))
    wide = np.zeros((12, 2, 40), "f4")
    wide[::2, :, ::2] = power
    apart = fit_scales(wide[::2, :, ::2])
    by_hand = np.empty(power.shape, "u1"), np.empty((2, 20), "f4"), np.empty((2, 20), "f4")
    fit_scales_nb.py_func(power, 0, 255, *by_hand)
    for found in (given, apart, by_hand):
        for a, b in zip(found, whole, strict=True):
            np.testing.assert_array_equal(a, b)
    some = fit_scales(power[:, 1:, 3:9])
    np.testing.assert_array_equal(some[0], whole[0][:, 1:, 3:9])


def test_what_cannot_be_fitted():
    with pytest.raises(ValueError, match="n_bits: found 4, allowed 8 or 16"):
        fit_scales(spectra((2, 1, 3)), 4)
    with pytest.raises(TypeError, match="values: found dtype float64"):
        fit_scales(spectra((2, 1, 3)).astype("f8"))
    with pytest.raises(TypeError, match="out: found dtype uint8"):
        fit_scales(spectra((2, 1, 3)), 16, out=np.empty((2, 1, 3), "u1"))


# Codes without a scale.


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 37), (2, 2, 256), (0, 1, 5), (4, 1, 0)])
def test_widened_codes(shape, dtype, reverse):
    codes = numbers(dtype, shape)
    found = widen(codes, reverse=reverse)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, reference.widen(codes, reverse))
    out = np.full((shape[0], 2 * shape[1], shape[2] + 1), np.nan, "f4")
    target = out[:, ::2, 1:]
    assert widen(codes, reverse=reverse, out=target) is target
    np.testing.assert_array_equal(target, found)
    assert np.isnan(out[:, 1::2]).all() and np.isnan(out[:, :, 0]).all()


@pytest.mark.parametrize("n", [1, 15, 16, 100, 1000])
def test_floats_are_copied_with_all_their_bits(n):
    floats = np.random.default_rng(n).integers(0, 2**32, (3, 2, n), dtype="u4").view("f4")
    for made, expected in ((widen(floats), floats), (widen(floats, reverse=True),
                                                     floats[:, :, ::-1])):
        np.testing.assert_array_equal(made.view("u4"), expected.view("u4"))


def test_widened_by_hand_strided_and_refused():
    codes = numbers("uint8", (4, 4, 18))
    by_hand = np.empty((2, 2, 9), "f4")
    widen_nb.py_func(codes[::2, ::2, ::-2], True, by_hand)
    np.testing.assert_array_equal(widen(codes[::2, ::2, ::-2], reverse=True), by_hand)
    with pytest.raises(TypeError, match="codes"):
        widen(codes.astype("f8"))
    with pytest.raises(TypeError, match="codes"):
        widen(codes.view(np.recarray))
    with pytest.raises(ValueError, match="codes"):
        widen(codes[0])
    with pytest.raises(TypeError, match="reverse"):
        widen(codes, reverse=1)
    with pytest.raises(ValueError, match="out"):
        widen(codes, out=np.empty((4, 4, 17), "f4"))
