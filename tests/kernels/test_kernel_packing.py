"""Packed samples: inverse pairs, twins and rounding."""

import itertools
import os
import platform
import subprocess
import sys
from pathlib import Path

import fastsig_kernels
import numpy as np
import pytest
from fastsig_kernels import (
    pack,
    pack_nb,
    quantize,
    quantize_nb,
    reference,
    unpack,
    unpack_nb,
    unpacking,
)
from fastsig_kernels._simd import host_lanes
from fastsig_kernels.packing import nearest_codes_nb, round_codes_nb, to_codes
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit, types
from thorough import many, thorough

HERE = Path(__file__).resolve()
BITS = range(1, 17)
CASES = [(bits, order) for bits in (1, 2, 4, 8) for order in ("lsb", "msb")]
CASES += [(bits, "lsb") for bits in BITS if bits not in (1, 2, 4, 8)]
WHOLE = CASES[:8]
BYTES = np.arange(256, dtype=np.uint8)
#: Of a row: nothing, less than a block of words, blocks of every host with and without a rest.
UNITS = (0, 1, 3, 15, 16, 64, 67, 129, 300)


def unit(n_bits):
    """Bytes of a unit, and its samples."""
    return {1: (1, 8), 2: (1, 4), 4: (1, 2), 8: (1, 1), 16: (2, 1)}.get(n_bits, (4, 32 // n_bits))


def random_bytes(*shape, seed=1):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def random_levels(n_bits, seed=2):
    return np.random.default_rng(seed).standard_normal(2**n_bits).astype("float32")


def values_of(n_bits):
    """Options of `unpack`: the default, offset binary, and levels where there may be any."""
    options = [{}, {"offset": 0.5 + 2 ** (n_bits - 1)}]
    options += [{"levels": random_levels(n_bits)}] * (n_bits <= 8)
    # Each is compiled anew. Of sizes that nothing records, offset binary, which other tests here
    # take too, stands for all.
    return options if n_bits in (1, 2, 3, 4, 5, 8, 10, 12, 16) else many(options[1:2], options)


@pytest.mark.parametrize(("n_bits", "order"), WHOLE)
def test_every_byte_against_the_twin(n_bits, order):
    found = unpack(BYTES, n_bits, order=order)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, reference.unpack(BYTES, n_bits, order))
    levels = np.random.default_rng(1).standard_normal(2**n_bits).astype("float32")
    found = unpack(BYTES, n_bits, order=order, levels=levels)
    np.testing.assert_array_equal(found, reference.unpack(BYTES, n_bits, order, levels))


@pytest.mark.parametrize(("n_bits", "order"), CASES)
def test_any_length_and_place_against_the_twin(n_bits, order):
    n_byte, n_sample = unit(n_bits)
    for options in values_of(n_bits):
        for n in UNITS:
            # Nowhere near an alignment, between values that have to stay.
            packed = random_bytes(n * n_byte + 1)[1:]
            memory = np.full(n * n_sample + 2, 7, "float32")
            found = unpack(packed, n_bits, order=order, out=memory[1:-1], **options)
            expected = reference.unpack(packed, n_bits, order, **options)
            np.testing.assert_array_equal(found, expected.astype("float32"))
            assert memory[0] == memory[-1] == 7


def test_known_values():
    byte = np.array([0b11010010], dtype=np.uint8)
    assert unpack(byte, 1).tolist() == [0, 1, 0, 0, 1, 0, 1, 1]
    assert unpack(byte, 1, order="msb").tolist() == [1, 1, 0, 1, 0, 0, 1, 0]
    assert unpack(byte, 2).tolist() == [2, 0, 1, 3]
    assert unpack(byte, 4, order="msb").tolist() == [13, 2]
    assert unpack(byte, 8).tolist() == [0b11010010 - 256]
    np.testing.assert_array_equal(unpack(BYTES, 8), BYTES.view(np.int8))
    np.testing.assert_array_equal(unpack(BYTES, 8, offset=127.5), BYTES - 127.5)
    word = np.array([0xFEDCBA98], "<u4").view(np.uint8)
    assert unpack(word, 12).tolist() == [0xA98, 0xDCB]
    assert unpack(word, 10, offset=512).tolist() == [0x298 - 512, 0x32E - 512, 0x3ED - 512]
    assert unpack(word, 16, offset=0).tolist() == [0xBA98, 0xFEDC]
    assert unpack(word, 16).tolist() == word.view("<i2").tolist()
    assert pack(np.array([0xA98, 0xDCB], np.uint16), 12).tolist() == [0x98, 0xBA, 0xDC, 0]


@given(st.sampled_from(CASES), st.data())
@settings(deadline=None)
def test_pack_and_unpack_are_inverse(case, data):
    n_bits, order = case
    n_byte, n_sample = unit(n_bits)
    raw = data.draw(st.binary(max_size=80))
    packed = np.frombuffer(raw[: len(raw) // n_byte * n_byte], dtype=np.uint8)
    codes = unpack(packed, n_bits, order=order, offset=0)
    codes = codes.astype(np.uint8 if n_bits <= 8 else np.uint16)
    again = pack(codes, n_bits, order=order)
    kept = (1 << n_sample * n_bits) - 1
    words, found = (array.view(f"<u{n_byte}") for array in (packed, again))
    np.testing.assert_array_equal(found, words & found.dtype.type(kept))
    np.testing.assert_array_equal(unpack(again, n_bits, order=order, offset=0), codes)


@pytest.mark.parametrize(("n_bits", "order"), WHOLE)
def test_out_strides_and_python_functions(n_bits, order):
    levels = np.arange(2**n_bits, dtype=np.float32)
    expected = unpack(BYTES, n_bits, order=order, levels=levels)
    wide = np.zeros(512, np.uint8)
    wide[::-2] = BYTES
    out = np.zeros((expected.size, 2), np.float32)[:, 1]
    assert unpack(wide[::-2], n_bits, order=order, levels=levels, out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert not out.base[:, 0].any()
    found = unpack(BYTES, n_bits, order=order, levels=np.repeat(levels, 3)[::3])
    np.testing.assert_array_equal(found, expected)
    codes = np.zeros((expected.size, 2), np.uint8)
    codes[:, 0] = expected
    packed = np.zeros(256, np.uint8)
    assert pack(codes[:, 0], n_bits, order=order, out=packed) is packed
    np.testing.assert_array_equal(packed, BYTES)
    pack_nb.py_func(codes[:, 0], n_bits, order == "msb", packed)
    np.testing.assert_array_equal(packed, BYTES)


@pytest.mark.parametrize("n_bits", [3, 12, 16])
def test_strides_of_words(n_bits):
    n_byte, n_sample = unit(n_bits)
    packed = random_bytes(50 * n_byte, 2)[:, 1]
    out = np.zeros((50 * n_sample, 3), np.float32)[::-1, 1]
    assert unpack(packed, n_bits, offset=0, out=out) is out
    np.testing.assert_array_equal(out, reference.unpack(packed, n_bits, offset=0))
    codes = out.astype(np.uint8 if n_bits <= 8 else np.uint16).repeat(2)[::2]
    again = np.zeros((packed.size, 2), np.uint8)[:, 0]
    assert pack(codes, n_bits, out=again) is again
    np.testing.assert_array_equal(unpack(again, n_bits, offset=0), out)
    plain = np.zeros(packed.size, np.uint8)
    pack_nb.py_func(codes, n_bits, False, plain)
    np.testing.assert_array_equal(plain, again)


@pytest.mark.parametrize(("n_bits", "n_byte"), [(2, 200), (2, 24), (8, 96), (3, 100), (12, 8)])
def test_rows_within_frames(n_bits, n_byte):
    frames = random_bytes(7, 32 + n_byte)
    payload = frames[:, 32:]
    expected = np.stack([unpack(row, n_bits) for row in payload])
    out = np.full(expected.shape, np.nan, "float32")
    assert unpack(payload, n_bits, out=out) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(unpack(payload, n_bits), expected)
    np.testing.assert_array_equal(unpack(payload.copy(), n_bits), expected)
    np.testing.assert_array_equal(unpack(payload[::-2], n_bits), expected[::-2])
    np.testing.assert_array_equal(reference.unpack(payload, n_bits), expected)
    # Rows of the output apart; of both, by samples; one row again and again.
    wide = np.full((7, expected.shape[1] + 5), 7, "float32")
    unpack(payload, n_bits, out=wide[:, 2:-3])
    np.testing.assert_array_equal(wide[:, 2:-3], expected)
    assert (wide[:, :2] == 7).all() and (wide[:, -3:] == 7).all()
    found = unpack(np.asfortranarray(payload), n_bits, out=np.empty(expected.shape, "f4", "F"))
    np.testing.assert_array_equal(found, expected)
    found = unpack(np.broadcast_to(payload[0], payload.shape), n_bits)
    np.testing.assert_array_equal(found, expected[:1].repeat(7, axis=0))


@pytest.mark.parametrize(("n_bits", "order", "past_cache"), [
    *((*case, False) for case in CASES), (2, "lsb", True), (4, "msb", True), (12, "lsb", True)])
def test_results_on_lines_of_the_cache(n_bits, order, past_cache, monkeypatch):
    """At every place in a line of the cache, with rests, in rows that begin alike or not."""
    if past_cache:
        monkeypatch.setattr(unpacking, "STREAMED_BYTES", 0)
    n_byte, n_sample = unit(n_bits)
    for options in values_of(n_bits):
        for n_unit in (129, 300):
            packed = random_bytes(3, n_unit * n_byte + 5)[:, 5:]
            expected = reference.unpack(packed, n_bits, order, **options).astype("float32")
            n = n_unit * n_sample
            for at, apart in itertools.product(range(16), (-n % 16, -n % 16 + 1)):
                memory = np.full(32 + 3 * (n + apart), 7, "float32")
                at += -memory.ctypes.data // 4 % 16
                before, rows, after = np.split(memory, [at, at + 3 * (n + apart)])
                rows = rows.reshape(3, -1)
                unpack(packed, n_bits, order=order, out=rows[:, :n], **options)
                np.testing.assert_array_equal(rows[:, :n], expected)
                assert all((rest == 7).all() for rest in (before, rows[:, n:], after))


def test_large_results_alone_pass_the_cache(monkeypatch):
    specs = []
    monkeypatch.setattr(unpacking, "blocks_nb", lambda spec, *_: specs.append(spec))
    for n in (unpacking.STREAMED_BYTES // 16 - 1, unpacking.STREAMED_BYTES // 16):
        unpack(np.zeros(n, np.uint8), 2)
    assert [spec.numba_type.items["past_cache"] for spec in specs] == [False, True]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="looks for instructions of x86")
@pytest.mark.parametrize("past_cache", [False, True])
def test_instructions_that_pass_the_cache(past_cache):
    spec = unpacking._spec(2, False, "levels", past_cache)
    fresh = njit(unpacking.blocks_nb.py_func)  # what comes from a file has no assembly
    fresh.compile((spec.numba_type, *[types.int64] * 7, types.float32, *[types.int64] * 3))
    assert ("movnt" in next(iter(fresh.inspect_asm().values()))) == past_cache


@pytest.mark.parametrize("shape", [(0,), (0, 8), (3, 0)])
def test_nothing(shape):
    for n_bits in (2, 12):
        found = unpack(np.zeros(shape, np.uint8), n_bits)
        assert found.size == 0 and found.ndim == len(shape) and len(found) == shape[0]


@pytest.mark.parametrize("n_bits", [1, 2, 4, 5, 8])
def test_levels_may_hold_nan(n_bits):
    levels = random_levels(n_bits)
    bits = levels.view("u4")
    bits[:2] = 0x7FC12345, 0xFF800000  # NaN with a message, and minus infinity
    packed = random_bytes(400)
    codes = unpack(packed, n_bits, offset=0).astype(int)
    found = unpack(packed, n_bits, levels=levels)
    np.testing.assert_array_equal(found.view("u4"), bits[codes])
    assert np.isnan(found).any()


@njit
def unpacked_nb(packed, n_bits, msb, levels, out):
    unpack_nb(packed, n_bits, msb, levels, out)


def test_in_other_compiled_code():
    packed = random_bytes(150)
    for n_bits, order in WHOLE:
        levels = random_levels(n_bits)
        expected = unpack(packed[::-1].copy(), n_bits, order=order, levels=levels)
        for compiled in (unpacked_nb, unpack_nb):  # within other code, and as other code
            out = np.full((expected.size, 2), np.nan, "float32")
            compiled(packed[::-1], n_bits, order == "msb", levels, out[::-1, 0])
            np.testing.assert_array_equal(out[::-1, 0], expected)


@thorough
def test_contiguous_arrays_in_other_compiled_code():
    packed = random_bytes(150)
    for n_bits, order in WHOLE:
        levels = random_levels(n_bits)
        expected = unpack(packed, n_bits, order=order, levels=levels)
        out = np.full(expected.size, np.nan, "float32")
        unpacked_nb(packed, n_bits, order == "msb", levels, out)
        np.testing.assert_array_equal(out, expected)


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or host_lanes() < 8,
    reason="needs a processor with AVX2",
)
@pytest.mark.parametrize("processor", [
    pytest.param("haswell", marks=thorough), "sandybridge", pytest.param("nehalem", marks=thorough)
])
def test_on_other_processors(processor):
    """8 lanes, 8 of floats only, and 4."""
    # Each compiles what it runs. Bits of a byte in one order, words of whole and odd numbers.
    names = (*(f"every_byte_against_the_twin[{case}]" for case in
               many(("1-lsb", "4-lsb"), ("1-lsb", "2-msb", "4-lsb", "8-lsb"))),
             "any_length_and_place_against_the_twin[3-lsb]",
             *(f"results_on_lines_of_the_cache[{case}]" for case in
               many(("2-msb-False", "12-lsb-True"),
                    ("2-msb-False", "12-lsb-True", "16-lsb-False"))),
             "rows_within_frames[8-96]", "levels_may_hold_nan[4]",
             "to_codes_twin[4-options6-float32]", "to_codes_twin[16-options12-int16]")
    environment = dict(os.environ, NUMBA_CPU_NAME=processor, NUMBA_CPU_FEATURES="")
    environment["NUMBA_CACHE_DIR"] = f"{os.environ['NUMBA_CACHE_DIR']}/{processor}"
    environment["PYTHONPATH"] = str(Path(fastsig_kernels.__file__).parents[1])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
               *(f"{HERE}::test_{name}" for name in names)]
    result = subprocess.run(command, env=environment, cwd=HERE.parents[2], capture_output=True,
                            text=True, timeout=280)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert " passed" in result.stdout and "skipped" not in result.stdout


# Rounding.


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


def samples(dtype, scale, n=1500):
    """Gaussian samples, many of them halves or whole numbers."""
    x = scale * np.random.default_rng(4).standard_normal(n)
    if dtype != "float32":
        return np.clip(np.round(x), np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)
    x = x.astype("float32")
    x[::3] = np.round(2 * x[::3]) / 2
    x[1::5] = np.round(x[1::5])
    x[:2] = np.inf, -np.inf
    return x


@pytest.mark.parametrize("dtype", ["float32", "int16", "int8"])
@pytest.mark.parametrize(("n_bits", "options"), [
    (1, {"levels": np.array([-1, 1], "f4")}),
    (2, {"levels": np.array([-3.3359, -1, 1, 3.3359], "f4")}),
    (2, {"levels": np.array([3.3359, 1, -1, -3.3359], "f4")}),
    (2, {"levels": np.array([1, -0.25, 0.1, 7], "f4")}),
    (3, {"levels": np.array([0, 1, 2, 3, -4, -3, -2, -1], "f4")}),
    (4, {"levels": np.arange(-7.5, 8).astype("f4")}),
    (4, {"levels": random_levels(4)}),
    (4, {"offset": 8}), (8, {}), (8, {"offset": 127.5}), (8, {"offset": 128}), (10, {}),
    (16, {}), (16, {"offset": 32768}),
])
def test_to_codes_twin(dtype, n_bits, options):
    x = samples(dtype, 2.0**n_bits / 3)[: 1500 if n_bits < 10 else 200]
    expected, *counts = reference.to_codes(x, n_bits, **options)
    codes, *found = to_codes(x, n_bits, **options)
    assert codes.dtype == (np.uint8 if n_bits <= 8 else np.uint16)
    np.testing.assert_array_equal(codes, expected)
    assert found == counts and {type(n) for n in found} == {int}
    inexact = unpack(pack(codes[:120], n_bits), n_bits, **options)[:120] != x[:120]
    assert to_codes(x[:120], n_bits, **options)[2] == inexact.sum()


def test_to_codes_counts():
    x = np.array([-1, 1, 0, 2, 2.1, -2, -2.1, np.inf], "f4")
    codes, n_clipped, n_inexact = to_codes(x, 1, levels=np.array([-1, 1], "f4"))
    # Halfway between two levels, the upper one; so 2 is halfway to what would be the next.
    assert codes.tolist() == [0, 1, 1, 1, 1, 0, 0, 1]
    assert (n_clipped, n_inexact) == (4, 6)
    codes, *counts = to_codes(np.array([-8.5, -8.6, 7.5, 0.5, 3], "f4"), 4, offset=8)
    assert codes.tolist() == [0, 0, 15, 8, 11] and counts == [2, 4]
    assert to_codes(np.array([-128, 127, -1, 200], "i2"), 8)[0].tolist() == [128, 127, 255, 127]
    x = np.array([-40000, -32768, -1, 5.5], "f4")
    codes, *counts = to_codes(x, 16)
    assert codes.view("i2").tolist() == [-32768, -32768, -1, 6] and counts == [1, 2]
    assert to_codes(np.array([5, 1], "i1"), 2, levels=np.array([5, 1, 5, 5], "f4"))[1:] == (0, 0)
    assert to_codes(np.empty(0, "f4"), 2)[1:] == (0, 0)


@pytest.mark.parametrize("n", [1023, 1024, 1025, 3001])
def test_to_codes_strides_parts_and_python_functions(n):
    x = samples("float32", 3, n)[2:]
    levels = random_levels(2)
    for options in ({"levels": levels}, {"offset": 2}):
        codes, *counts = to_codes(x, 2, **options)
        out = np.zeros((x.size, 2), np.uint8)[:, 1]
        found, *again = to_codes(x.repeat(2)[::-2][::-1], 2, out=out, **options)
        assert found is out and again == counts and not out.base[:, 0].any()
        np.testing.assert_array_equal(out, codes)
        parts = [to_codes(part, 2, **options) for part in (x[:700], x[700:])]
        np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), codes)
        assert np.sum([part[1:] for part in parts], axis=0).tolist() == counts


def test_python_functions_of_to_codes():
    x = samples("float32", 60, 300)[2:]
    codes, *counts = to_codes(x, 8)
    out = np.zeros(x.size, np.uint8)
    assert round_codes_nb.py_func(x, np.float32(0), -128, 127, out) == (*counts, 0)
    np.testing.assert_array_equal(out, codes)
    levels, order = np.array([-40, 0, 30, 50], "f4"), np.array([2, 0, 1, 3])
    codes, *counts = to_codes(x, 2, levels=levels[np.argsort(order)])
    least = np.array([-60, -20, 15, 40, 60], "f4")
    arguments = x, order.astype(np.uint8), levels, least, out
    assert nearest_codes_nb.py_func(*arguments) == (*counts, 0)
    np.testing.assert_array_equal(out, codes)


@given(st.integers(1, 4), st.data())
@settings(deadline=None)
def test_levels_come_back_as_their_codes(n_bits, data):
    number = st.floats(-(2.0**100), 2.0**100, width=32)
    size = 2**n_bits
    levels = np.array(data.draw(st.lists(number, min_size=size, max_size=size, unique=True)), "f4")
    codes = np.tile(np.arange(size, dtype=np.uint8), 40)
    values = unpack(pack(codes, n_bits), n_bits, levels=levels)
    found, n_clipped, n_inexact = to_codes(values, n_bits, levels=levels)
    np.testing.assert_array_equal(found, codes)
    assert (n_clipped, n_inexact) == (0, 0)


@pytest.mark.parametrize("n_bits", BITS)
def test_codes_come_back(n_bits):
    codes = np.arange(2**n_bits).astype(np.uint8 if n_bits <= 8 else np.uint16)
    codes = np.resize(codes, codes.size * unit(n_bits)[1])
    for options in values_of(n_bits)[: 3 if n_bits <= 4 else 2]:
        values = unpack(pack(codes, n_bits), n_bits, **options)
        found, n_clipped, n_inexact = to_codes(values, n_bits, **options)
        np.testing.assert_array_equal(found, codes)
        assert (n_clipped, n_inexact) == (0, 0)


@pytest.mark.parametrize("options", [{"offset": 8}, {"levels": random_levels(4)}])
def test_to_codes_refuses_nan(options):
    x = np.array([1, np.nan, 3, np.nan], dtype=np.float32)
    out = np.zeros(4, np.uint8)
    with pytest.raises(ValueError, match="x: found 2 NaN"):
        to_codes(x, 4, out=out, **options)
    assert out[::2].tolist() == to_codes(x[::2], 4, **options)[0].tolist()


def test_refused():
    with pytest.raises(ValueError, match="n_bits: found 17, allowed 1 to 16"):
        unpack(BYTES, 17)
    with pytest.raises(ValueError, match="n_bits: found 0, allowed 1 or more"):
        pack(BYTES, 0)
    with pytest.raises(ValueError, match="order: found 'big'"):
        unpack(BYTES, 4, order="big")
    with pytest.raises(ValueError, match="order: found 'msb', allowed lsb for 3 bits"):
        unpack(BYTES, 3, order="msb")
    with pytest.raises(ValueError, match="levels: found shape"):
        unpack(BYTES, 4, levels=np.zeros(8, np.float32))
    with pytest.raises(TypeError, match="levels: found dtype float64"):
        unpack(BYTES, 4, levels=np.zeros(16))
    with pytest.raises(ValueError, match="levels: found a table for 9 bits, allowed for up to 8"):
        unpack(BYTES, 9, levels=np.zeros(512, np.float32))
    with pytest.raises(ValueError, match="offset: found 0, allowed without levels"):
        unpack(BYTES, 1, levels=np.zeros(2, np.float32), offset=0)
    with pytest.raises(ValueError, match="packed: found 254 bytes, allowed a multiple of 4"):
        unpack(BYTES[2:], 3)
    with pytest.raises(ValueError, match="packed: found 3 axes"):
        unpack(BYTES.reshape(4, 8, 8), 2)
    with pytest.raises(ValueError, match=r"out: found shape \(1024,\)|out: found 1 axes"):
        unpack(BYTES.reshape(4, 64), 2, out=np.zeros(1024, np.float32))
    with pytest.raises(TypeError, match="packed: found dtype int8"):
        unpack(BYTES.view(np.int8), 8)
    with pytest.raises(TypeError, match="packed: found .*allowed numpy.ndarray"):
        unpack(np.ma.masked_array(BYTES), 8)
    with pytest.raises(ValueError, match="codes: found 4, allowed up to 3"):
        pack(np.array([0, 4, 0, 0], np.uint8), 2)
    with pytest.raises(ValueError, match="codes: found 3, allowed a multiple of 4"):
        pack(np.zeros(3, np.uint8), 2)
    with pytest.raises(ValueError, match="codes: found 4096, allowed up to 4095"):
        pack(np.array([0, 4096], np.uint16), 12)
    with pytest.raises(TypeError, match="codes: found dtype uint8, allowed uint16"):
        pack(np.zeros(2, np.uint8), 12)
    with pytest.raises(TypeError, match="x: found dtype float64"):
        quantize(np.zeros(3))
    with pytest.raises(TypeError, match="x: found .*allowed numpy.ndarray"):
        quantize(np.ma.zeros(3, dtype="float32"))
    with pytest.raises(TypeError, match="x: found dtype float64"):
        to_codes(np.zeros(3), 8)
    with pytest.raises(TypeError, match="x: found .*allowed numpy.ndarray"):
        to_codes(np.ma.zeros(3, dtype="float32"), 8)
    with pytest.raises(ValueError, match="levels: found a table for 5 bits, allowed for up to 4"):
        to_codes(np.zeros(3, "f4"), 5, levels=np.zeros(32, "f4"))
    with pytest.raises(ValueError, match="levels: found .*nan.*, allowed finite numbers"):
        to_codes(np.zeros(3, "f4"), 1, levels=np.array([1, np.nan], "f4"))
    with pytest.raises(ValueError, match="offset: found 0, allowed without levels"):
        to_codes(np.zeros(3, "f4"), 1, levels=np.zeros(2, "f4"), offset=0)
    with pytest.raises(TypeError, match="out: found dtype uint8, allowed uint16"):
        to_codes(np.zeros(3, "f4"), 9, out=np.zeros(3, np.uint8))


@pytest.mark.parametrize(("sigma", "expected"), [(4, 0.9948), (8, 0.9987), (32, 0.99991),
                                                 (64, 0.9895)])
def test_efficiency_of_8_bits(sigma, expected):
    # The square of the correlation of a Gaussian with its integers, by summing over the former.
    t = np.linspace(-8, 8, 200_001)
    weight = np.exp(-t * t / 2)
    q = quantize((sigma * t).astype("f4"))[0].astype(float)
    found = (weight @ (t * q)) ** 2 / ((weight @ (t * t)) * (weight @ (q * q)))
    assert abs(found - expected) < 6e-5
