"""Polyphase FIR against its twin, analytic cases and its contract."""

import numpy as np
import pytest
from fastsig_kernels import (
    polyphase_fir,
    polyphase_fir_complex_nb,
    polyphase_fir_nb,
    prototype,
    reference,
)

DTYPES = ["int8", "int16", "float32", "complex64"]

# Eight rounded products and sums of values up to 1 in single precision.
TOLERANCE = 8 * 2.0**-24


def samples(n, dtype, seed=1):
    rng = np.random.default_rng(seed)
    if dtype.startswith("int"):
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max + 1, n).astype(dtype)
    x = rng.standard_normal(n).astype("float32")
    return x if dtype == "float32" else (x + 1j * rng.standard_normal(n)).astype(dtype)


def filter_taps(n_fft, n_tap):
    return prototype(n_fft, n_tap).astype("float32")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("n_fft", "n_tap", "extra"), [(16, 4, 0), (7, 3, 5), (1, 1, 0), (130, 8, 1)]
)
def test_twin(dtype, n_fft, n_tap, extra):
    x = samples(n_fft * (n_tap + 4) + extra, dtype)
    taps = filter_taps(n_fft, n_tap)
    y = polyphase_fir(x, taps)
    expected = reference.polyphase_fir(x, taps)
    assert y.shape == (5, n_fft)
    assert y.dtype == ("complex64" if dtype == "complex64" else "float32")
    scale = np.abs(x.astype(complex)).max() * np.abs(taps).sum(axis=0).max()
    assert np.abs(y - expected).max() <= TOLERANCE * scale


@pytest.mark.parametrize("dtype", DTYPES)
def test_python_function_gives_the_same_bits(dtype):
    x, taps = samples(70, dtype), filter_taps(10, 3)
    y = polyphase_fir(x, taps)
    kernel = polyphase_fir_complex_nb if dtype == "complex64" else polyphase_fir_nb
    again = np.empty_like(y)
    kernel.py_func(x, taps, again)
    assert y.tobytes() == again.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_impulse_gives_the_taps(dtype):
    taps = filter_taps(12, 4)
    x = np.zeros(12 * 7, dtype=dtype)
    x[12 * 3 + 5] = 1
    y = polyphase_fir(x, taps)
    np.testing.assert_array_equal(y[:, 5], taps[::-1, 5])
    assert np.count_nonzero(np.delete(y, 5, axis=1)) == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stride", [2, 3, -1])
def test_strides_give_the_same_bits(dtype, stride):
    taps = filter_taps(32, 4)
    x = samples(32 * 9, dtype)
    wide = np.zeros(x.size * abs(stride), dtype=dtype)
    view = wide[::stride]
    view[:] = x
    assert polyphase_fir(view, taps).tobytes() == polyphase_fir(x, taps).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_fft", [16, 37])
def test_frames_do_not_depend_on_the_call(dtype, n_fft):
    taps = filter_taps(n_fft, 4)
    x = samples(n_fft * 23, dtype)
    whole = polyphase_fir(x, taps)
    for first in range(20):
        for n in (1, 2, 5, 20):
            part = polyphase_fir(x[first * n_fft :][: (n + 3) * n_fft], taps)
            assert part.tobytes() == whole[first : first + len(part)].tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_out(dtype):
    taps = filter_taps(16, 4)
    x = samples(16 * 9, dtype)
    y = polyphase_fir(x, taps)
    out = np.full(y.shape, np.nan, dtype=y.dtype)
    assert polyphase_fir(x, taps, out=out) is out
    assert out.tobytes() == y.tobytes()
    wide = np.full((6, 3, 32), np.nan, dtype=y.dtype)[:, 1, ::2]
    assert polyphase_fir(x, taps, out=wide) is wide
    assert wide.tobytes() == y.tobytes()


def test_read_only_input():
    x = samples(64, "int8")
    x.flags.writeable = False
    taps = filter_taps(16, 4)
    taps.flags.writeable = False
    assert polyphase_fir(x, taps).shape == (1, 16)


def test_nan_reaches_its_frames_and_column_only():
    x = samples(16 * 9, "float32")
    x[16 * 4 + 3] = np.nan
    bad = np.isnan(polyphase_fir(x, filter_taps(16, 4)))
    assert bad[1:5, 3].all() and bad.sum() == 4


def test_infinity_in_one_part_leaves_the_other():
    x = samples(16 * 4, "complex64")
    x[3] = complex(np.inf, 1)
    y = polyphase_fir(x, filter_taps(16, 4))
    assert np.isinf(y[0, 3].real) and np.isfinite(y[0, 3].imag)


def test_flags():
    for kernel in (polyphase_fir_nb, polyphase_fir_complex_nb):
        assert kernel.targetoptions["nogil"] and not kernel.targetoptions["fastmath"]


def test_too_short_says_how_many_are_needed():
    with pytest.raises(ValueError, match="x: found 63 samples, allowed 64"):
        polyphase_fir(samples(63, "int8"), filter_taps(16, 4))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float64", "complex128", ">i2", "bool"])
def test_refused_dtype(dtype):
    with pytest.raises(TypeError, match="x: found dtype .* allowed int8, int16"):
        polyphase_fir(np.zeros(64, dtype=dtype), filter_taps(16, 4))


def test_refused_subclasses():
    class Quantity(np.ndarray):
        pass

    taps = filter_taps(16, 4)
    x = np.zeros(64, dtype="float32")
    for bad in (np.ma.masked_array(x), x.view(Quantity), list(x)):
        with pytest.raises(TypeError, match="x: found .* allowed numpy.ndarray"):
            polyphase_fir(bad, taps)
    with pytest.raises(TypeError, match="taps: found"):
        polyphase_fir(x, taps.view(Quantity))
    with pytest.raises(TypeError, match="out: found"):
        polyphase_fir(x, taps, out=np.zeros((1, 16), dtype="float32").view(Quantity))


def test_refused_shapes():
    taps = filter_taps(16, 4)
    x = np.zeros(80, dtype="float32")
    with pytest.raises(ValueError, match="x: found 2 axes"):
        polyphase_fir(x[None], taps)
    with pytest.raises(ValueError, match="taps: .* C-contiguous"):
        polyphase_fir(x, taps[:, ::2])
    with pytest.raises(ValueError, match="taps: found shape"):
        polyphase_fir(x, taps[:0])
    with pytest.raises(TypeError, match="taps: found dtype float64"):
        polyphase_fir(x, taps.astype("float64"))
    with pytest.raises(ValueError, match=r"out: found shape \(1, 16\), allowed \(2, 16\)"):
        polyphase_fir(x, taps, out=np.zeros((1, 16), dtype="float32"))
    with pytest.raises(TypeError, match="out: found dtype complex64"):
        polyphase_fir(x, taps, out=np.zeros((2, 16), dtype="complex64"))
    out = np.zeros((2, 16), dtype="float32")
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        polyphase_fir(x, taps, out=out)
