"""Gains of powers and cross products: the twin, the formula in float32, and what memory may be."""

import numpy as np
import pytest
from fastsig_kernels import apply_gain, apply_gain_nb, reference


def spectra(shape, seed=1):
    rng = np.random.default_rng(seed)
    values = rng.normal(5, 2, shape).astype("f4")
    n_power = min(shape[1], 2)
    gain = rng.gamma(3, 0.3, (n_power, shape[2])).astype("f4")
    cross = rng.normal(size=(shape[2], 2)).astype("f4").view("c8")[:, 0]
    row = rng.gamma(9, 0.1, shape[:2]).astype("f4")
    weight = rng.integers(0, 3, shape).astype("f4")
    return values, gain, cross if shape[1] > 2 else None, row, weight


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 37), (2, 3, 16), (5, 2, 256), (0, 4, 5),
                                   (4, 1, 0)])
@pytest.mark.parametrize("shared", ["none", "row", "all", "products", "channels", "both"])
def test_twin(shape, shared):
    values, gain, cross, row, weight = spectra(shape)
    gain = gain[: shape[1] - (2 if cross is not None else 0)]
    row = None if shared == "none" else row
    weight = {"none": None, "row": None, "all": weight, "products": weight[:, :1],
              "channels": weight[:, :, :1], "both": weight[:, :1, :1]}[shared]
    found = apply_gain(values, gain, cross=cross, row=row, weight=weight)
    assert found.dtype == np.float32
    twin = reference.apply_gain(values, gain, cross, row, weight)
    largest = np.abs(values).max(initial=0) * max(
        gain.max(initial=0), np.abs(cross if cross is not None else 0).max(initial=0)) * 3
    np.testing.assert_allclose(found, twin, rtol=0, atol=4 * 2.0**-24 * largest)


def test_the_formula_in_float32():
    values, gain, cross, row, _ = spectra((6, 4, 50))
    found = apply_gain(values, gain, cross=cross, row=row)
    np.testing.assert_array_equal(found[:, :2], values[:, :2] * gain * row[:, :2, None])
    a, b = values[:, 2], values[:, 3]
    np.testing.assert_array_equal(found[:, 2], (a * cross.real - b * cross.imag) * row[:, 2:3])
    np.testing.assert_array_equal(found[:, 3], (a * cross.imag + b * cross.real) * row[:, 3:])


def test_a_phase_turns_the_cross_product():
    values = np.zeros((1, 4, 3), "f4")
    values[0, 2] = 2
    turn = np.exp(1j * np.array([0, np.pi / 2, np.pi])).astype("c8")
    found = apply_gain(values, np.ones((2, 3), "f4"), cross=turn)
    np.testing.assert_allclose(found[0, 2], [2, 0, -2], atol=1e-6)
    np.testing.assert_allclose(found[0, 3], [0, 2, 0], atol=1e-6)


def test_python_function_is_the_compiled_one():
    values, gain, cross, row, weight = spectra((3, 4, 9))
    by_hand = np.empty(values.shape, "f4")
    apply_gain_nb.py_func(values, gain, cross.real.copy(), cross.imag.copy(), row, weight, by_hand)
    np.testing.assert_array_equal(
        apply_gain(values, gain, cross=cross, row=row, weight=weight), by_hand)


def test_out_in_place_strides_and_blocks():
    values, gain, cross, row, weight = spectra((7, 4, 33))
    told = {"cross": cross, "weight": weight}
    whole = np.empty(values.shape, "f4")
    assert apply_gain(values, gain, row=row, out=whole, **told) is whole
    pieces = [apply_gain(values[a:b], gain, cross=cross, row=row[a:b], weight=weight[a:b])
              for a, b in ((0, 3), (3, 4), (4, 7))]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    wide = np.zeros((14, 4, 66), "f4")
    wide[::2, :, ::2] = values
    target = np.zeros((7, 8, 66), "f4")
    apply_gain(wide[::2, :, ::2], gain, row=row, out=target[:, ::2, 1::2], **told)
    np.testing.assert_array_equal(target[:, ::2, 1::2], whole)
    assert not target[:, 1::2].any() and not target[:, :, ::2].any()
    apply_gain(values, gain, row=row, out=values, **told)
    np.testing.assert_array_equal(values, whole)


def test_nan_is_passed_on():
    values, gain, cross, _, _ = spectra((2, 4, 6))
    values[0, 0, 1], gain[1, 2], cross[3] = np.nan, np.nan, np.nan
    missing = np.isnan(apply_gain(values, gain, cross=cross))
    expected = np.zeros(values.shape, bool)
    expected[0, 0, 1] = expected[:, 1, 2] = expected[:, 2:, 3] = True
    np.testing.assert_array_equal(missing, expected)


def test_what_is_not_allowed():
    values, gain, cross, row, weight = spectra((2, 4, 9))
    with pytest.raises(ValueError, match="gain: found shape"):
        apply_gain(values, gain)
    with pytest.raises(ValueError, match="gain: found shape"):
        apply_gain(values[:, :1], gain[:1], cross=cross)
    with pytest.raises(ValueError, match="cross: found shape"):
        apply_gain(values, gain, cross=cross[1:])
    with pytest.raises(ValueError, match="row: found shape"):
        apply_gain(values, gain, cross=cross, row=row[:1])
    with pytest.raises(ValueError, match="weight: found shape"):
        apply_gain(values, gain, cross=cross, weight=weight[:, :2])
    with pytest.raises(TypeError, match="values: found dtype float64"):
        apply_gain(values.astype("f8"), gain, cross=cross)
    with pytest.raises(ValueError, match="out: found shape"):
        apply_gain(values, gain, cross=cross, out=np.empty((2, 4, 8), "f4"))
