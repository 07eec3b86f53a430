"""Vectors lane by lane, and the codelets written on them, against NumPy."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import fastsig_kernels
import numpy as np
import pytest
from fastsig_kernels._codelets import DFT, Complex, deinterleave, interleave, transpose
from fastsig_kernels._simd import (
    Emitter,
    Spec,
    address_of,
    fma,
    host_lanes,
    host_permutes,
    load,
    reverse,
    splat,
    store,
)
from llvmlite import ir
from numba import njit, types
from numba.core import config
from numba.core.errors import TypingError
from numba.core.extending import intrinsic

LANES = [16, 8, 4]
#: LLVM splits vectors that are wider than the host's registers, so any width runs anywhere.
ALL_LANES = [2, *LANES]
X86 = platform.machine() in ("x86_64", "AMD64")


def numbers(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


# In compiled code.


@njit
def arithmetic_nb(spec, a, b, out):
    x, y = load(spec, address_of(a)), load(spec, address_of(b))
    step = 4 * a.size
    store(x + y, address_of(out))
    store(x - y, address_of(out) + step)
    store(x * y, address_of(out) + 2 * step)
    store(reverse(x), address_of(out) + 3 * step)


@njit
def fma_nb(spec, a, b, c, out):
    x, y, z = load(spec, address_of(a)), load(spec, address_of(b)), load(spec, address_of(c))
    store(fma(x, y, z), address_of(out))


@njit
def splat_nb(spec, value, out):
    store(splat(spec, value), address_of(out))


@njit
def running_sum_nb(spec, x, out):
    total = splat(spec, np.float32(0))
    for i in range(x.shape[0]):
        total = total + load(spec, address_of(x[i]))
        if i % 3 == 2:
            total = reverse(total)
    store(total, address_of(out))


@njit
def copy_nb(spec, source, target, offset):
    store(load(spec, address_of(source) + offset), address_of(target) + offset)


@njit
def mixed_nb(spec, other, x):
    store(load(spec, address_of(x)) + load(other, address_of(x)), address_of(x))


@pytest.mark.parametrize("lanes", LANES)
def test_arithmetic(lanes):
    a, b = numbers(2, lanes)
    a[:4], b[:4] = (np.nan, -0.0, np.inf, 1), (1, -0.0, -np.inf, 2.0**-30)
    out = np.full((4, lanes), 7, "float32")
    arithmetic_nb(Spec(lanes=lanes), a, b, out)
    with np.errstate(invalid="ignore"):
        expected = np.stack([a + b, a - b, a * b, a[::-1]])
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(np.signbit(out[:3, 1]), np.signbit(expected[:3, 1]))


@pytest.mark.parametrize("lanes", LANES)
def test_load_and_store_touch_their_lanes_only(lanes):
    source = numbers(lanes + 8)
    for offset in range(9):  # any alignment
        target = np.full(lanes + 8, 7, "float32")
        expected = target.copy()
        expected[offset : offset + lanes] = source[offset : offset + lanes]
        copy_nb(Spec(lanes=lanes), source, target, 4 * offset)
        np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("lanes", LANES)
def test_splat(lanes):
    out = np.zeros(lanes + 1, "float32")
    splat_nb(Spec(lanes=lanes), np.float32(0.1), out)
    assert out.tolist() == [np.float32(0.1)] * lanes + [0]


@pytest.mark.parametrize("lanes", LANES)
def test_fma_rounds_once_or_twice(lanes):
    a, b, c = numbers(3, lanes)
    # Where a product's rounding error is all that is left, the two ways differ.
    c[::2] = -(a[::2] * b[::2])
    out = np.empty(lanes, "float32")
    fma_nb(Spec(lanes=lanes), a, b, c, out)
    # A float64 product of two float32 is exact.
    once = (a.astype(float) * b + c).astype("float32")
    fused = out == once
    assert (fused | (out == a * b + c)).all()
    assert (once != a * b + c).any() and (fused.all() or not X86 or host_lanes() < 8)


@pytest.mark.parametrize("lanes", LANES)
def test_a_vector_lives_in_a_variable_across_a_loop(lanes):
    x = numbers(20, lanes)
    out = np.empty(lanes, "float32")
    running_sum_nb(Spec(lanes=lanes), x, out)
    expected = np.zeros(lanes, "float32")
    for i, row in enumerate(x):
        expected = (expected + row)[:: -1 if i % 3 == 2 else 1]
    np.testing.assert_array_equal(out, expected)


def test_widths_do_not_mix():
    with pytest.raises(TypingError):
        mixed_nb(Spec(lanes=8), Spec(lanes=4), numbers(8))


def test_a_spec_is_its_items():
    @njit
    def nothing_nb(spec):
        return 0

    for spec in (Spec(lanes=4, a="b"), Spec(a="b", lanes=4), Spec(lanes=4)):
        assert nothing_nb(spec) == 0
    assert len(nothing_nb.signatures) == 2
    assert Spec(lanes=4, a="b").numba_type.items == {"lanes": 4, "a": "b"}


# While code is written: small intrinsics of the tests' own.


def _rotated(emit, x):
    """Every lane of b and then of a, one place on."""
    n = emit.lanes
    return [emit.shuffle(x[0], x[1], [(i + n + 1) % (2 * n) for i in range(n)])]


def _chosen(emit, x):
    first = ir.Constant(ir.IntType(32), 0)
    a, b = (emit.builder.extract_element(vector.value, first) for vector in x)
    return [emit.select(emit.builder.fcmp_ordered("<", a, b), *x)]


def _transformed(n):
    def function(emit, x):
        y = DFT[n]([Complex(x[i], x[n + i]) for i in range(n)])
        return [v.re for v in y] + [v.im for v in y]

    return function


OPERATIONS = {
    "rotate": _rotated,
    "select": _chosen,
    "negate": lambda emit, x: [-x[0]],
    "scale": lambda emit, x: [x[0] * 3.0, x[0].fma(3.0, x[1])],
    "deinterleave": lambda emit, x: list(deinterleave(emit, *x)),
    "interleave": interleave,
    "transpose": transpose,
    **{f"dft{n}": _transformed(n) for n in DFT},
}


@intrinsic
def operate(typingctx, spec, source, target):
    items = spec.items

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, items["lanes"])
        x = [emit.load(args[1], 4 * emit.lanes * i) for i in range(items["n"])]
        for i, y in enumerate(OPERATIONS[items["name"]](emit, x)):
            emit.store(y, args[2], 4 * emit.lanes * i)
        return context.get_dummy_value()

    return types.void(spec, types.int64, types.int64), codegen


@njit
def operate_nb(spec, source, target):
    operate(spec, address_of(source), address_of(target))


def operated(name, x, n_out):
    """Vectors (rows of x) after an operation."""
    out = np.full((n_out, x.shape[1]), 7, "float32")
    operate_nb(Spec(name=name, lanes=x.shape[1], n=len(x)), x, out)
    return out


@pytest.mark.parametrize("lanes", ALL_LANES)
def test_shuffle_select_negate_scale(lanes):
    x = numbers(2, lanes)
    both = x.ravel()
    np.testing.assert_array_equal(operated("rotate", x, 1)[0], np.roll(both, -lanes - 1)[:lanes])
    np.testing.assert_array_equal(operated("negate", -0 * x, 1)[0], 0)
    assert not np.signbit(operated("negate", -np.zeros((1, lanes), "f4"), 1)).any()
    for first in (0.5, 2.0):
        x[:, 0] = first, 1
        np.testing.assert_array_equal(operated("select", x, 1)[0], x[0 if first < 1 else 1])
    found = operated("scale", x, 2)
    np.testing.assert_array_equal(found[0], x[0] * np.float32(3))
    np.testing.assert_allclose(found[1], 3.0 * x[0] + x[1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("lanes", ALL_LANES)
def test_transpose(lanes):
    x = numbers(lanes, lanes)
    np.testing.assert_array_equal(operated("transpose", x, lanes), x.T)


@pytest.mark.parametrize("lanes", ALL_LANES)
def test_interleave_and_back(lanes):
    for count in (1, 2, 4, 8, 16):
        if count <= lanes:
            x = numbers(count, lanes)
            found = operated("interleave", x, count)
            np.testing.assert_array_equal(found.ravel(), x.T.ravel())
    x = numbers(2, lanes)
    found = operated("deinterleave", x, 2)
    np.testing.assert_array_equal(found, x.reshape(lanes, 2).T)
    np.testing.assert_array_equal(operated("interleave", found, 2), x)


@pytest.mark.parametrize("lanes", [4, 16])
@pytest.mark.parametrize("n", sorted(DFT))
def test_compiled_codelets(n, lanes):
    x = numbers(2 * n, lanes)
    found = operated(f"dft{n}", x, 2 * n).astype(float)
    expected = np.fft.fft(x[:n] + 1j * x[n:].astype(float), axis=0)
    error = np.linalg.norm(found[:n] + 1j * found[n:] - expected) / np.linalg.norm(expected)
    assert error <= 2.0**-24 * np.sqrt(np.log2(n))


@intrinsic
def convert(typingctx, spec, source, target):
    items = spec.items

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, items["lanes"])
        values = emit.load_integers(args[1], 0, emit.lanes, items["bits"])
        emit.store(emit.to_float(values, items["signed"]), args[2])
        return context.get_dummy_value()

    return types.void(spec, types.int64, types.int64), codegen


@njit
def convert_nb(spec, source, n_byte, target):
    for i in range(target.shape[0]):
        convert(spec, address_of(source) + i * n_byte, address_of(target[i]))


@pytest.mark.parametrize("lanes", ALL_LANES)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32"])
def test_integers_become_float(dtype, lanes):
    kind = np.dtype(dtype)
    if kind.itemsize == 1:
        x = np.arange(256).astype(dtype)
    else:
        x = np.random.default_rng(3).integers(np.iinfo(kind).min, np.iinfo(kind).max, 64)
        x = x.astype(dtype)
        x[:6] = np.array([0, 1, 128, 127, 255, 256]).astype(dtype)
        x[6:8] = np.iinfo(kind).min, np.iinfo(kind).max
        if kind.kind == "i":
            x[8:12] = -128, -129, -1, -256
    memory = np.zeros(x.nbytes + 1, "uint8")
    memory[1:] = x.view("uint8")  # nowhere near its alignment
    out = np.empty((x.size // lanes, lanes), "float32")
    spec = Spec(lanes=lanes, bits=8 * kind.itemsize, signed=kind.kind == "i")
    convert_nb(spec, memory[1:], lanes * kind.itemsize, out)
    np.testing.assert_array_equal(out.ravel(), x.astype("float32"))


@intrinsic
def look_up(typingctx, spec, table, index, target):
    items = spec.items

    def codegen(context, builder, signature, args):
        emit = Emitter(builder, items["lanes"])
        index = emit.load_integers(args[2], 0, emit.lanes, 32)
        emit.store(emit.lookup(args[1], index, items["size"]), args[3])
        return context.get_dummy_value()

    return types.void(spec, types.int64, types.int64, types.int64), codegen


@njit
def look_up_nb(spec, table, index, out):
    for i in range(out.shape[0]):
        look_up(spec, address_of(table), address_of(index[i]), address_of(out[i]))


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("size", [2, 4, 16])
def test_lookup(size, lanes):
    table = np.full(16, np.nan, "float32")
    table[:size] = numbers(size)
    index = np.random.default_rng(2).integers(0, size, (16, lanes)).astype("int32")
    index.ravel()[: size] = np.arange(size)
    out = np.full(index.shape, 7, "float32")
    look_up_nb(Spec(lanes=lanes, size=size), table, index, out)
    np.testing.assert_array_equal(out, table[index])


# The same codelets on arrays.


class Lanes:
    """What `_simd.Vector` does, on an array of float64."""

    def __init__(self, value):
        self.value = np.asarray(value, float)

    def __add__(self, other):
        return Lanes(self.value + other.value)

    def __sub__(self, other):
        return Lanes(self.value - other.value)

    def __mul__(self, other):
        return Lanes(self.value * (other if isinstance(other, float) else other.value))

    def __neg__(self):
        return Lanes(-self.value)

    def fma(self, factor, addend):
        return self * factor + addend


class ArrayEmitter:
    """Shuffles arrays as `_simd.Emitter` shuffles vectors."""

    def __init__(self, lanes):
        self.lanes = lanes

    def shuffle(self, a, b, mask):
        return np.concatenate([a, b])[list(mask)]


@pytest.mark.parametrize("n", sorted(DFT))
def test_codelets(n):
    rng = np.random.default_rng(n)
    # All unit impulses tell every entry of the matrix, noise their sum.
    x = np.hstack([np.eye(n), rng.standard_normal((n, 50)) + 1j * rng.standard_normal((n, 50))])
    y = DFT[n]([Complex(Lanes(row.real), Lanes(row.imag)) for row in x])
    found = np.array([v.re.value + 1j * v.im.value for v in y])
    expected = np.fft.fft(x, axis=0)
    assert np.linalg.norm(found - expected) <= 1e-15 * np.linalg.norm(expected)


@pytest.mark.parametrize("lanes", ALL_LANES)
def test_moves_of_lanes(lanes):
    emit = ArrayEmitter(lanes)
    x = np.arange(lanes * lanes).reshape(lanes, lanes)
    np.testing.assert_array_equal(transpose(emit, list(x)), x.T)
    for count in (1, 2, 4, 8, 16)[: lanes.bit_length()]:
        part = x[:count]
        np.testing.assert_array_equal(np.ravel(interleave(emit, list(part))), part.T.ravel())
    np.testing.assert_array_equal(deinterleave(emit, *x[:2]), x[:2].reshape(-1, 2).T)


def test_product_with_a_number_and_with_vectors():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal(5) + 1j * rng.standard_normal(5), 0.3 - 0.8j
    x = Complex(Lanes(a.real), Lanes(a.imag))
    for factor in (b, Complex(Lanes(b.real), Lanes(b.imag))):
        y = x.times(factor)
        np.testing.assert_allclose(y.re.value + 1j * y.im.value, a * b, rtol=1e-15)


# The width of the host.


def test_host_lanes():
    assert host_lanes() in (16, 8, 4)
    assert host_lanes() is host_lanes()


@pytest.mark.skipif(not X86, reason="names of x86 processors")
@pytest.mark.parametrize(
    ("name", "features", "lanes"),
    [
        ("haswell", "", 8),
        ("haswell", None, 8),
        ("znver4", "", 16),
        ("sapphirerapids", "-avx512f", 8),
        ("generic", "", 4),
        ("generic", "+avx2", 8),
        ("nehalem", None, 4),
    ],
)
def test_lanes_of_processors(monkeypatch, name, features, lanes):
    monkeypatch.setattr(config, "CPU_NAME", name)
    monkeypatch.setattr(config, "CPU_FEATURES", features)
    assert host_lanes.__wrapped__() == lanes


@pytest.mark.skipif(not X86, reason="names of x86 processors")
@pytest.mark.parametrize(("name", "permutes"), [
    ("haswell", True), ("znver4", True), ("sandybridge", False), ("nehalem", False)])
def test_processors_that_permute(monkeypatch, name, permutes):
    monkeypatch.setattr(config, "CPU_NAME", name)
    monkeypatch.setattr(config, "CPU_FEATURES", "")
    assert host_permutes.__wrapped__() == permutes


@pytest.mark.skipif(not X86, reason="names of x86 processors")
def test_lanes_follow_the_environment():
    environment = dict(os.environ, NUMBA_CPU_NAME="haswell", NUMBA_CPU_FEATURES="")
    environment["PYTHONPATH"] = str(Path(fastsig_kernels.__file__).parents[1])
    code = "from fastsig_kernels._simd import host_lanes; print(host_lanes())"
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment,
                            capture_output=True, text=True, timeout=60)
    assert (result.stdout.strip(), result.stderr) == ("8", "")
