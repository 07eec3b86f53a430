"""Transforms against NumPy's in float64, analytic truth, and what a plan promises."""

import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import fastsig_kernels
import numpy as np
import pytest
from fastsig_kernels.fft import fft_plan
from thorough import thorough

UNIT = 2.0**-24
WAYS = [(kind, way) for kind in ("complex", "real") for way in ("forward", "inverse")]
all_ways = pytest.mark.parametrize(("kind", "direction"), WAYS)


def needed(kind, direction, n):
    """Whether `make test` does these: vectors of every width, and the longest, in some way.

    Vectors of 4 and 8 lanes, of 16 to 128 complex points, are compiled for one direction.
    """
    n_point = n if kind == "complex" else n // 2
    if n >= 2**20:  # with 2^21 and 2^22 points in memory, in place
        return (kind, direction, n) in {("complex", "forward", 2**22), ("real", "inverse", 2**22)}
    return direction == "forward" or n & (n - 1) or not 16 <= n_point <= 128


def each(*lengths, ways=WAYS):
    """All ways of all lengths, some of them in `make thorough` alone."""
    return [pytest.param(*way, n, marks=[] if needed(*way, n) else thorough)
            for way in ways for n in lengths]



def signal(plan, *shape, seed=1):
    """White noise as a plan takes it, for an inverse plan the spectrum of such noise."""
    rng = np.random.default_rng(seed)
    n, dtype = plan.input_shape
    if dtype.kind == "f":
        return rng.standard_normal((*shape, n)).astype(dtype)
    x = rng.standard_normal((*shape, 2 * n)).view(complex).astype(dtype)
    if plan.output_shape[1].kind == "f":
        x[..., 0].imag = 0
        if plan.n % 2 == 0:
            x[..., -1].imag = 0
    return x


def truth(x, n, kind, direction):
    """The same transform in float64."""
    if kind == "real":
        return np.fft.irfft(x.astype(complex), n) if direction == "inverse" else (
            np.fft.rfft(x.astype(float)))
    return (np.fft.ifft if direction == "inverse" else np.fft.fft)(x.astype(complex))


def error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize(("kind", "direction", "log2"), [
    pytest.param(*way, log2, marks=[] if needed(*way, 2**log2) else thorough)
    for way in WAYS for log2 in range(3, 25)])
def test_error(kind, direction, log2):
    plan = fft_plan(2**log2, kind=kind, direction=direction)
    # Real signals of 8 samples would be transforms of 4.
    assert plan.own_code == (log2 > 3 or kind == "complex")
    # Many short transforms show their mean error; of the long ones one will do.
    x = signal(plan, max(1, min(200, 2**14 >> log2)))
    before = x.tobytes()
    found = plan.process(x)
    assert (found.shape[-1], found.dtype) == plan.output_shape
    assert x.tobytes() == before
    assert error(found, truth(x, plan.n, kind, direction)) <= UNIT * np.sqrt(log2)


def without_large_factors(n):
    """Whether the code of the package does such transforms of complex signals."""
    for factor in (2, 3, 5, 7):
        while n % factor == 0:
            n //= factor
    return n == 1


# Every first radix; whole groups of numbers and overlapping ones; padded parts, and many passes.
@pytest.mark.parametrize("n", [5, 6, 7, 9, 10, 14, 15, 18, 22, 24, 30, 35, 96, 210, 1000, 3125,
                               3 * 2**10, 50000, pytest.param(2**17 - 2**7, marks=thorough)])
@all_ways
def test_other_lengths(kind, direction, n):
    plan = fft_plan(n, kind=kind, direction=direction)
    assert plan.own_code == (without_large_factors(n) and (
        kind == "complex" or (n % 2 == 0 and n >= 10)))
    x = signal(plan, *((2, 3) if n > 100 else (3, 9)))
    found = plan.process(x)
    assert found.shape == (*x.shape[:-1], plan.output_shape[0])
    assert found.dtype == plan.output_shape[1]
    # NumPy's own single precision is a little worse for odd radices.
    allowed = 1 if plan.own_code else 2
    assert error(found, truth(x, n, kind, direction)) <= allowed * UNIT * np.sqrt(np.log2(n) + 1)
    out = np.full(found.shape, np.nan, found.dtype)
    assert plan.process(x, out=out) is out and out.tobytes() == found.tobytes()


@pytest.mark.parametrize("n", [1, 2, 4, 11, 3 * 2**16, 2**17 - 1])
@all_ways
def test_lengths_of_numpy(kind, direction, n):
    plan = fft_plan(n, kind=kind, direction=direction)
    if kind == "complex" or n < 2**17:
        assert not plan.own_code and plan.memory_bytes == 0
    x = signal(plan, 2, 1)
    found = plan.process(x)
    assert found.shape == (2, 1, plan.output_shape[0]) and found.dtype == plan.output_shape[1]
    assert error(found, truth(x, n, kind, direction)) <= 2 * UNIT * np.sqrt(np.log2(n) + 1)
    out = np.full(found.shape, np.nan, found.dtype)
    assert plan.process(x, out=out) is out and out.tobytes() == found.tobytes()


@pytest.mark.parametrize("n", [15, 64, 1000])
@all_ways
def test_double_precision(kind, direction, n):
    plan = fft_plan(n, kind=kind, direction=direction, dtype="complex128")
    assert not plan.own_code
    x = signal(plan, 3)
    found = plan.process(x)
    assert found.dtype == ("f8" if (kind, direction) == ("real", "inverse") else "c16")
    assert error(found, truth(x, n, kind, direction)) < 1e-15


@thorough
@pytest.mark.parametrize(("kind", "direction"), WAYS)
def test_the_longest_transforms(kind, direction):
    # Two tones whose transform is known, since the same in float64 takes a minute.
    n = 2**27
    plan = fft_plan(n, kind=kind, direction=direction)
    x = np.zeros(plan.input_shape[0], plan.input_shape[1])
    places = (3, n // 2 - 12345)
    x[list(places)] = 1
    found = plan.process(x)
    for at in (0, 1, 77, 2**20 + 1, found.size - 1):
        turns = np.array([at * place % n / n for place in places])
        sign = 1 if direction == "inverse" else -1
        expected = np.exp(sign * 2j * np.pi * turns).sum()
        if direction == "inverse":
            expected = (expected if kind == "complex" else 2 * expected.real) / n
        assert abs(found[at] - expected) <= 8 * UNIT * (2 / n if direction == "inverse" else 2)


# Analytic truth. 8: vectors of two lanes; 64, 256 and 4096: no passes, and two.


@pytest.mark.parametrize("n", [8, pytest.param(64, marks=thorough), 256, 4096])
def test_impulses_and_tones(n):
    forward, inverse = fft_plan(n), fft_plan(n, direction="inverse")
    half, back = fft_plan(2 * n, kind="real"), fft_plan(2 * n, kind="real", direction="inverse")
    j = np.arange(2 * n)
    for where in (0, 1, n // 2 - 1, n - 1):
        impulse = np.zeros(2 * n, "float32")
        impulse[where] = 1
        turns = np.exp(-2j * np.pi * where * np.arange(n + 1) / (2 * n))
        tone = np.exp(2j * np.pi * where * np.arange(n) / n)
        # Twiddles of unit size, multiplied together: two roundings for each factor of 4.
        options = {"rtol": 0, "atol": (1 + np.log2(n)) * UNIT}
        np.testing.assert_allclose(half.process(impulse), turns, **options)
        np.testing.assert_allclose(forward.process(impulse[:n].astype("c8")), tone.conj(),
                                   **options)
        np.testing.assert_allclose(inverse.process(impulse[:n].astype("c8")) * n, tone, **options)
        expected = n * impulse[:n]
        np.testing.assert_allclose(forward.process(tone.astype("c8")), expected, atol=n * UNIT)
        spectrum = impulse[: n + 1].astype("c8")
        expected = np.cos(2 * np.pi * where * j / (2 * n)) / (n if where else 2 * n)
        np.testing.assert_allclose(back.process(spectrum), expected, atol=4 * UNIT / n)


@pytest.mark.parametrize("n", [16, 1024])
def test_linear(n):
    plan = fft_plan(n)
    x, y = signal(plan, 2)
    a, b = np.complex64(0.3 - 2j), np.complex64(1.5j)
    expected = a * plan.process(x) + b * plan.process(y)
    assert error(plan.process(a * x + b * y), expected) < 3 * UNIT * np.sqrt(np.log2(n))
    # Powers of two are exact.
    np.testing.assert_array_equal(plan.process(-4 * x), -4 * plan.process(x))


@pytest.mark.parametrize("n", [16, 1024, 2**16])
def test_parseval(n):
    plan = fft_plan(n)
    x = signal(plan)
    energy = np.linalg.norm(x.astype(complex)) ** 2
    found = np.linalg.norm(plan.process(x).astype(complex)) ** 2 / n
    assert abs(found / energy - 1) < 2 * UNIT * np.sqrt(np.log2(n))


@pytest.mark.parametrize("n", [8, pytest.param(256, marks=thorough), 512, 2**14])
@pytest.mark.parametrize("kind", ["complex", "real"])
def test_there_and_back(kind, n):
    forward, inverse = (fft_plan(n, kind=kind, direction=way) for way in ("forward", "inverse"))
    x = signal(forward, 3)
    assert error(inverse.process(forward.process(x)), x) < 2 * UNIT * np.sqrt(np.log2(n))


def test_real_spectra_end_in_real_points():
    for n in (16, 2048):
        found = fft_plan(n, kind="real").process(signal(fft_plan(n, kind="real"), 5))
        assert (found[:, [0, -1]].imag == 0).all()
        # As in NumPy, the imaginary parts there do not count on the way back.
        back = fft_plan(n, kind="real", direction="inverse")
        expected = back.process(found)
        found[:, [0, -1]] += 3j
        assert back.process(found).tobytes() == expected.tobytes()


# Memory: where rows lie, and where results go.


@pytest.mark.parametrize(("kind", "direction", "n"), each(8, 15, 16, 512, 4096))
def test_bits_of_a_row_are_its_own(kind, direction, n):
    plan = fft_plan(n, kind=kind, direction=direction)
    x = signal(plan, 5)
    whole = plan.process(x)
    for row, expected in zip(x, whole, strict=True):
        assert plan.process(row).tobytes() == expected.tobytes()
    spoilt = x.copy()
    spoilt[1], spoilt[2], spoilt[3, n // 3] = -0.0, np.inf, np.nan
    with np.errstate(invalid="ignore"):  # lengths that NumPy does
        found = plan.process(spoilt)
    assert found[[0, 4]].tobytes() == whole[[0, 4]].tobytes()
    assert (found[1] == 0).all() and not np.isfinite(found[2:4]).all(axis=1).any()


@pytest.mark.parametrize(("kind", "direction", "n"), each(8, 15, 64, 4096, ways=WAYS[:2]))
def test_in_place(kind, direction, n):
    plan = fft_plan(n, kind=kind, direction=direction)
    x = signal(plan, 3)
    expected = plan.process(x)
    assert plan.process(x, out=x) is x
    assert x.tobytes() == expected.tobytes()
    row = signal(plan)
    expected = plan.process(row)
    assert plan.process(row, out=row) is row and row.tobytes() == expected.tobytes()


def test_long_rows_in_place_apart_and_misaligned():
    plan = fft_plan(2**21)
    x = np.empty((2, 2**21 + 5), "complex64")
    x[:, 1:-4] = signal(plan, 2)
    expected = plan.process(x[:, 1:-4])
    assert plan.process(x[1, 1:-4]).tobytes() == expected[1].tobytes()
    raw = np.zeros(expected[0].nbytes + 8, "u1")
    plan.process(x[0, 1:-4], out=raw[7:-1].view("complex64"))
    assert raw[7:-1].tobytes() == expected[0].tobytes() and not raw[:7].any() and not raw[-1]
    before = x[:, [0, -4, -1]]
    plan.process(x[:, 1:-4], out=x[:, 1:-4])
    assert x[:, 1:-4].tobytes() == expected.tobytes()
    assert x[:, [0, -4, -1]].tobytes() == before.tobytes()


@pytest.mark.parametrize(("kind", "direction", "n"), each(11, 15, 64, 1024))
def test_axes_strides_and_out(kind, direction, n):
    plan = fft_plan(n, kind=kind, direction=direction)
    n_in, n_out = plan.input_shape[0], plan.output_shape[0]
    x = signal(plan, 2, 3, 2)
    expected = plan.process(x.reshape(12, n_in)).reshape(2, 3, 2, n_out)
    assert plan.process(x).tobytes() == expected.tobytes()
    assert plan.process(x[1, 2, 0]).tobytes() == expected[1, 2, 0].tobytes()
    assert plan.process(x[:0]).shape == (0, 3, 2, n_out)
    assert plan.process(x[0, 0, :0]).shape == (0, n_out)
    # Other axes, every other row, every other point, backwards, one row many times.
    spread = np.full((2, 3, 4, 2 * n_in), np.nan, x.dtype)
    spread[:, :, ::2, 1::2] = x
    views = [
        (np.asfortranarray(x), expected),
        (x.transpose(2, 1, 0, 3), expected.transpose(2, 1, 0, 3)),
        (spread[:, :, ::2, 1::2], expected),
        (spread[0, 0, ::2, 1::2], expected[0, 0]),
        (np.ascontiguousarray(x[0, 0, :, ::-1])[:, ::-1], expected[0, 0]),
        (x[0, ::-1, 1], expected[0, ::-1, 1]),
        (np.broadcast_to(x[0, 0, 0], (4, n_in)), np.broadcast_to(expected[0, 0, 0], (4, n_out))),
    ]
    for view, wanted in views:
        out = np.full((*view.shape[:-1], 3 * n_out), 7, plan.output_shape[1])[..., 1::3]
        assert plan.process(view, out=out) is out
        assert out.tobytes() == wanted.tobytes()
        assert (out.base[..., ::3] == 7).all() and (out.base[..., 2::3] == 7).all()
    # Rows apart, each of them contiguous: no copy is needed, nothing between is touched.
    out = np.full((2, 2 * n_out + 5), 7, plan.output_shape[1])
    plan.process(x[0, 0], out=out[::-1, 3 : 3 + n_out])
    assert out[::-1, 3 : 3 + n_out].tobytes() == expected[0, 0].tobytes()
    assert (out[:, :3] == 7).all() and (out[:, 3 + n_out :] == 7).all()


@pytest.mark.parametrize(("kind", "direction", "n"), each(11, 15, 16, 1024))
def test_misaligned_and_read_only_rows(kind, direction, n):
    plan = fft_plan(n, kind=kind, direction=direction)
    x = signal(plan, 3)
    expected = plan.process(x)
    for offset in (1, 2, 4, 7):
        memory = bytes(offset) + x.tobytes()
        view = np.frombuffer(memory, x.dtype, offset=offset).reshape(x.shape)
        assert not view.flags.writeable
        assert plan.process(view).tobytes() == expected.tobytes()
        raw = np.zeros(expected.nbytes + 8, "u1")
        out = raw[offset : offset + expected.nbytes].view(expected.dtype).reshape(expected.shape)
        plan.process(view, out=out)
        assert out.tobytes() == expected.tobytes()
        assert not raw[:offset].any() and not raw[offset + expected.nbytes :].any()


@pytest.mark.parametrize("shape", [(), (16,), (4, 4), (2, 2, 4)])
@all_ways
def test_given_out_nothing_large_is_allocated(kind, direction, shape):
    plan = fft_plan(2**14, kind=kind, direction=direction)
    x = signal(plan, *shape)
    out = plan.process(x)
    tracemalloc.start()
    plan.process(x, out=out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A row takes 64 KiB or more; what is left are views and small tables.
    assert peak < 20_000


def test_copies_in_threads():
    for kind, direction in WAYS:
        plan = fft_plan(2048, kind=kind, direction=direction)
        x = signal(plan, 8, 100)
        expected = [plan.process(part) for part in x]
        found = [np.empty_like(part) for part in expected]
        gate = threading.Barrier(8)

        def run(i, plan=plan, x=x, found=found, gate=gate):
            mine = plan.copy()
            gate.wait()
            for row in range(0, 100, 10):
                mine.process(x[i, row : row + 10], out=found[i][row : row + 10])

        threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one, other in zip(found, expected, strict=True):
            assert one.tobytes() == other.tobytes()


def test_copy_is_the_same_plan():
    plan = fft_plan(1024)
    other = plan.copy()
    assert (other.n, other.own_code, other.memory_bytes) == (1024, True, plan.memory_bytes)
    assert 8 * 1024 < plan.memory_bytes < 10 * 8 * 1024
    for n in (11, 15):
        assert fft_plan(n).copy().process(np.ones(n, "c8"))[0] == n


def test_shapes():
    plan = fft_plan(16, kind="real")
    assert (plan.n, plan.input_shape, plan.output_shape) == (16, (16, np.dtype("f4")), (9, "c8"))
    plan = fft_plan(np.int64(15), kind="real", direction="inverse", dtype="complex128")
    assert (plan.input_shape, plan.output_shape) == ((8, np.dtype("c16")), (15, np.dtype("f8")))


class Quantity(np.ndarray):
    """An array with a unit."""


def test_refused():
    plan = fft_plan(16)
    x = np.zeros((2, 16), "complex64")
    for bad in (x.view(Quantity), np.ma.array(x)):
        with pytest.raises(TypeError, match="x: found .*subclass would lose its unit or mask"):
            plan.process(bad)
        with pytest.raises(TypeError, match="out: found .*subclass"):
            plan.process(x, out=bad)
    with pytest.raises(TypeError, match="x: found builtins.list"):
        plan.process([1, 2])
    for dtype in ("complex128", "float32", ">c8", "int8"):
        with pytest.raises(TypeError, match=r"x: found dtype .*, allowed complex64"):
            plan.process(np.zeros((2, 16), dtype))
    with pytest.raises(TypeError, match="allowed float32"):
        fft_plan(16, kind="real").process(x)
    with pytest.raises(ValueError, match="x: found 15 points, allowed 16"):
        plan.process(x[:, :15])
    with pytest.raises(ValueError, match="x: found 16 points, allowed 9"):
        fft_plan(16, kind="real", direction="inverse").process(x)
    with pytest.raises(ValueError, match="x: found 0 axes"):
        plan.process(np.zeros((), "complex64"))
    with pytest.raises(ValueError, match=r"out: found shape \(1, 16\), allowed \(2, 16\)"):
        plan.process(x, out=x[:1].copy())
    with pytest.raises(TypeError, match="out: found dtype complex128"):
        plan.process(x, out=x.astype(complex))
    frozen = x.copy()
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="out: found a read-only array"):
        plan.process(x, out=frozen)


def test_plans_refused():
    for n in (0, -8):
        with pytest.raises(ValueError, match=f"n: found {n}"):
            fft_plan(n)
    for n in (8.0, "8", True):
        with pytest.raises(TypeError, match="n: found"):
            fft_plan(n)
    with pytest.raises(ValueError, match="kind: found 'cosine', allowed complex, real"):
        fft_plan(8, kind="cosine")
    with pytest.raises(ValueError, match="direction: found 1, allowed forward, inverse"):
        fft_plan(8, direction=1)
    with pytest.raises(ValueError, match="dtype: found 'float32', allowed complex64, complex128"):
        fft_plan(8, dtype="float32")


COMPILE = """
import gc, os
import numpy as np
from numba.core.dispatcher import Dispatcher
from fastsig_kernels.fft import fft_plan

def versions():
    # Of every compiled function, loaded from a cache or not.
    return {d.py_func.__qualname__: len(d.overloads) for d in gc.get_objects()
            if isinstance(d, Dispatcher)}

for kind in ("complex", "real"):
    for direction in ("forward", "inverse"):
        # A process of its own, that has compiled nothing yet.
        child = os.fork()
        if not child:
            plan = fft_plan(512, kind=kind, direction=direction)
            plan.compile()
            before = versions()
            x = np.zeros((3, plan.input_shape[0]), plan.input_shape[1])
            frozen = x.copy()
            frozen.flags.writeable = False
            wide = np.zeros((3, plan.output_shape[0] + 5), plan.output_shape[1])
            misaligned = np.frombuffer(bytes(1) + x.tobytes(), x.dtype, offset=1)
            calls = [(x, None), (x[0], None), (x[::2], None), (frozen, None), (x[:, ::-1], None),
                     (x, wide[:, 5:]), (x, wide[:, :-5][::-1]), (x, np.asfortranarray(wide[:, 5:])),
                     (misaligned.reshape(x.shape), None)]
            for view, out in calls:
                plan.process(view, out=out)
            new = [name for name, n in versions().items() if n != before.get(name, 0)]
            print(kind, direction, *new, flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
"""


def test_nothing_is_compiled_after_compile():
    environment = dict(os.environ, PYTHONPATH=str(Path(fastsig_kernels.__file__).parents[1]))
    result = subprocess.run([sys.executable, "-W", "error", "-c", COMPILE], env=environment,
                            capture_output=True, text=True, timeout=250)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [f"{kind} {direction}" for kind, direction in WAYS]


@pytest.mark.parametrize("n", [3 * 2**18, 11 * 2**10, 15 * 2**15, 13 * 2**12])
def test_real_lengths_with_an_odd_factor(n):
    plan = fft_plan(n, kind="real")
    x = np.random.default_rng(n).standard_normal((2, n)).astype(np.float32)
    found, exact = plan.process(x), np.fft.rfft(x.astype(np.float64))
    error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert plan.own_code and error <= 2**-24 * np.sqrt(1 + np.log2(n))
    np.testing.assert_array_equal(plan.copy().process(x[1:]), found[1:])
