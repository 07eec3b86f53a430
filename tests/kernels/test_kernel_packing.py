"""Packed samples: inverse pairs, twins and rounding."""

import numpy as np
import pytest
from fastsig_kernels import pack, pack_nb, quantize, quantize_nb, reference, unpack, unpack_nb
from hypothesis import given, settings
from hypothesis import strategies as st

CASES = [(bits, order) for bits in (1, 2, 4, 8) for order in ("lsb", "msb")]
BYTES = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize(("n_bits", "order"), CASES)
def test_every_byte_against_the_twin(n_bits, order):
    found = unpack(BYTES, n_bits, order=order)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, reference.unpack(BYTES, n_bits, order))
    levels = np.random.default_rng(1).standard_normal(2**n_bits).astype("float32")
    found = unpack(BYTES, n_bits, order=order, levels=levels)
    np.testing.assert_array_equal(found, reference.unpack(BYTES, n_bits, order, levels))


def test_known_values():
    byte = np.array([0b11010010], dtype=np.uint8)
    assert unpack(byte, 1).tolist() == [0, 1, 0, 0, 1, 0, 1, 1]
    assert unpack(byte, 1, order="msb").tolist() == [1, 1, 0, 1, 0, 0, 1, 0]
    assert unpack(byte, 2).tolist() == [2, 0, 1, 3]
    assert unpack(byte, 4, order="msb").tolist() == [13, 2]
    assert unpack(byte, 8).tolist() == [0b11010010 - 256]
    np.testing.assert_array_equal(unpack(BYTES, 8), BYTES.view(np.int8))


@given(st.sampled_from(CASES), st.data())
@settings(deadline=None)
def test_pack_and_unpack_are_inverse(case, data):
    n_bits, order = case
    packed = np.frombuffer(data.draw(st.binary(max_size=40)), dtype=np.uint8)
    levels = np.arange(2**n_bits, dtype=np.float32)
    codes = unpack(packed, n_bits, order=order, levels=levels).astype(np.uint8)
    assert pack(codes, n_bits, order=order).tobytes() == packed.tobytes()


@pytest.mark.parametrize(("n_bits", "order"), CASES)
def test_out_strides_and_python_functions(n_bits, order):
    levels = np.arange(2**n_bits, dtype=np.float32)
    expected = unpack(BYTES, n_bits, order=order, levels=levels)
    wide = np.zeros(512, np.uint8)
    wide[::-2] = BYTES
    out = np.zeros((expected.size, 2), np.float32)[:, 1]
    assert unpack(wide[::-2], n_bits, order=order, levels=levels, out=out) is out
    np.testing.assert_array_equal(out, expected)
    again = np.empty_like(expected)
    unpack_nb.py_func(BYTES, n_bits, order == "msb", levels, again)
    np.testing.assert_array_equal(again, expected)
    codes = np.zeros((expected.size, 2), np.uint8)
    codes[:, 0] = expected
    packed = np.zeros(256, np.uint8)
    assert pack(codes[:, 0], n_bits, order=order, out=packed) is packed
    np.testing.assert_array_equal(packed, BYTES)
    pack_nb.py_func(codes[:, 0], n_bits, order == "msb", packed)
    np.testing.assert_array_equal(packed, BYTES)


def test_levels_may_hold_nan():
    levels = np.array([1, np.nan], dtype=np.float32)
    assert np.isnan(unpack(BYTES[1:2], 1, levels=levels)).sum() == 1


def test_quantize_rounds_halves_to_even_and_counts():
    x = [0.5, 1.5, 2.5, -0.5, -1.5, 127.4, 127.5, -128.5, -128.6, np.inf, -np.inf, 3.2]
    x = np.array(x, dtype=np.float32)
    expected = [0, 2, 2, 0, -2, 127, 127, -128, -128, 127, -128, 3]
    out, n_clipped = quantize(x)
    assert out.dtype == np.int8 and out.tolist() == expected
    assert n_clipped == 4 and type(n_clipped) is int
    target = np.zeros(24, np.int8)[::2]
    found, _ = quantize(x.repeat(3)[::3], out=target)
    assert found is target and target.tolist() == expected
    assert quantize_nb.py_func(x, target) == (4, 0) and target.tolist() == expected


def test_quantize_twin():
    x = (60 * np.random.default_rng(2).standard_normal(10_001)).astype("float32")
    out, n_clipped = quantize(x)
    whole = np.round(x)
    np.testing.assert_array_equal(out, np.clip(whole, -128, 127))
    assert n_clipped == np.sum((whole < -128) | (whole > 127)) > 0


def test_quantize_refuses_nan():
    x = np.array([1, np.nan, 3, np.nan], dtype=np.float32)
    out = np.ones(4, np.int8)
    with pytest.raises(ValueError, match="x: found 2 NaN"):
        quantize(x, out=out)
    assert out.tolist() == [1, 0, 3, 0]


def test_refused():
    with pytest.raises(ValueError, match="n_bits: found 3, allowed 1, 2, 4, 8"):
        unpack(BYTES, 3)
    with pytest.raises(ValueError, match="order: found 'big'"):
        unpack(BYTES, 4, order="big")
    with pytest.raises(ValueError, match="levels: found shape"):
        unpack(BYTES, 4, levels=np.zeros(8, np.float32))
    with pytest.raises(TypeError, match="levels: found dtype float64"):
        unpack(BYTES, 4, levels=np.zeros(16))
    with pytest.raises(TypeError, match="packed: found dtype int8"):
        unpack(BYTES.view(np.int8), 8)
    with pytest.raises(TypeError, match="packed: found .*allowed numpy.ndarray"):
        unpack(np.ma.masked_array(BYTES), 8)
    with pytest.raises(ValueError, match="codes: found 4, allowed up to 3"):
        pack(np.array([0, 4, 0, 0], np.uint8), 2)
    with pytest.raises(ValueError, match="codes: found 3, allowed a multiple of 4"):
        pack(np.zeros(3, np.uint8), 2)
    with pytest.raises(TypeError, match="x: found dtype float64"):
        quantize(np.zeros(3))
    with pytest.raises(TypeError, match="x: found .*allowed numpy.ndarray"):
        quantize(np.ma.zeros(3, dtype="float32"))


@pytest.mark.parametrize(("sigma", "expected"), [(4, 0.9948), (8, 0.9987), (32, 0.99991),
                                                 (64, 0.9895)])
def test_efficiency_of_8_bits(sigma, expected):
    # The square of the correlation of a Gaussian with its integers, by summing over the former.
    t = np.linspace(-8, 8, 200_001)
    weight = np.exp(-t * t / 2)
    q = quantize((sigma * t).astype("f4"))[0].astype(float)
    found = (weight @ (t * q)) ** 2 / ((weight @ (t * t)) * (weight @ (q * q)))
    assert abs(found - expected) < 6e-5
