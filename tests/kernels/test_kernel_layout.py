"""Formats of voltages in memory: each must be as good as float32 made of it before."""

import ctypes
import itertools
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from fastsig_kernels import Channelizer, reference
from fastsig_kernels._simd import Emitter, Spec, address_of
from fastsig_kernels._sources import load_alternate, load_numbers
from fastsig_kernels.layout import Layout, samples_of
from fastsig_kernels.spectrometer import Spectrometer
from numba import njit, types
from numba.core.extending import intrinsic
from thorough import thorough

#: Neither symmetric nor evenly spaced, nor in order.
LEVELS = {1: (0.5, -2.25), 2: (-3.5, -0.75, 1, 3.25),
          4: tuple(np.random.default_rng(9).permutation(16) ** 1.5 - 20)}
NUMBERS = ["int8", "uint8", "int16", "float32"]
PACKED = [(bits, order) for bits in LEVELS for order in ("lsb", "msb")]


def packed(bits, order, is_complex=False):
    return Layout("packed", bits=bits, order=order, levels=LEVELS[bits], is_complex=is_complex)


def layouts(is_complex):
    plain = [Layout(kind, is_complex=is_complex) for kind in NUMBERS]
    return plain + [packed(*options, is_complex) for options in PACKED]


LAYOUTS = [layout for is_complex in (False, True) for layout in layouts(is_complex)]


def name(layout):
    words = [layout.kind, str(layout.bits), layout.order] if layout.kind == "packed" else [
        layout.kind]
    return "-".join(words + ["complex"] * layout.is_complex + ["pairs"] * layout.interleaved)


def voltages(layout, n_pol, n, seed=1):
    """Arrays as a plan takes them: any code, both ends of integers among them."""
    rng = np.random.default_rng(seed)
    if layout.kind == "packed":
        return rng.integers(0, 256, (n_pol, n * layout.sample_bits // 8), "u1")
    shape = (n, n_pol, 2)[: 3 if layout.is_complex else 2]
    if layout.kind == "float32":
        x = rng.standard_normal(shape).astype("f4")
    else:
        ends = np.iinfo(layout.kind)
        x = rng.integers(ends.min, ends.max, shape, layout.kind, endpoint=True)
        x[:2] = ends.min
    x = x.swapaxes(0, 1)
    return x if layout.interleaved else np.ascontiguousarray(x)


def floats(layout, x):
    """The same voltages, one number after the other, without the code under test."""
    if layout.kind == "packed":
        levels = np.array(layout.levels, "f4")
        rows = [reference.unpack(row, layout.bits, layout.order, levels) for row in x]
        numbers = np.array(rows).astype("f4")
    else:
        numbers = x.astype("f4") - (128 if layout.kind == "uint8" else 0)
    if layout.is_complex:
        numbers = numbers.reshape(len(x), -1, 2)
        return numbers[..., 0] + 1j * numbers[..., 1]
    return numbers


# The first instructions of the filter.


@intrinsic
def load_here(typingctx, spec, address, levels, phase, target):
    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        for half in range(2):
            x = load_numbers(emit, spec.items, args[1], half, args[2], args[3])
            emit.store(x, args[4], 4 * emit.lanes * half)
        return context.get_dummy_value()

    return types.void(spec, *[types.int64] * 4), codegen


@njit
def load_nb(spec, source, n_byte, levels, phase, out):
    for i in range(out.shape[0]):
        load_here(spec, address_of(source) + i * n_byte, address_of(levels), phase,
                  address_of(out[i]))


def loaded(layout, lanes, x, phase, step):
    """All numbers of memory that begins at an odd address."""
    memory = np.zeros(x.nbytes + 1, "u1")
    memory[1:] = np.frombuffer(x.tobytes(), "u1")
    n_byte = 2 * lanes * layout.bits * step // 8
    levels = np.zeros(16, "f4")
    levels[: len(layout.levels or ())] = layout.levels or ()
    out = np.full((x.nbytes // n_byte, 2 * lanes), 7, "f4")
    spec = Spec(lanes=lanes, kind=layout.kind, bits=layout.bits, pair=layout.pair, step=step,
                msb_first=layout.order == "msb")
    load_nb(spec, memory[1:], n_byte, levels, phase, out)
    return out.ravel()


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("layout", layouts(False), ids=name)
def test_loading_numbers(layout, lanes):
    x = voltages(layout, 1, 512)
    np.testing.assert_array_equal(loaded(layout, lanes, x, 0, 1), floats(layout, x)[0])


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("kind", NUMBERS)
def test_loading_one_of_two_polarisations(kind, is_complex, lanes):
    if kind == "float32" and is_complex:
        return  # wider than one integer: the way through NumPy does these
    layout = Layout(kind, is_complex=is_complex, interleaved=True)
    x = voltages(layout, 2, 256)
    expected = np.ascontiguousarray(floats(layout, x)).view("f4")
    memory = np.ascontiguousarray(x.swapaxes(0, 1))
    for phase in range(2):
        found = loaded(layout, lanes, memory, phase, 2)
        np.testing.assert_array_equal(found, expected[phase])


@intrinsic
def load_both_here(typingctx, spec, address, first, second):
    def codegen(context, builder, signature, args):
        emit = Emitter(builder, spec.items["lanes"])
        for half in range(2):
            for x, target in zip(load_alternate(emit, spec.items, args[1], half), args[2:],
                                 strict=True):
                emit.store(x, target, 4 * emit.lanes * half)
        return context.get_dummy_value()

    return types.void(spec, *[types.int64] * 3), codegen


@njit
def load_both_nb(spec, source, n_byte, out):
    for i in range(out.shape[1]):
        load_both_here(spec, address_of(source) + i * n_byte, address_of(out[0, i]),
                       address_of(out[1, i]))


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("kind", NUMBERS)
def test_loading_both_polarisations(kind, is_complex, lanes):
    if kind == "float32" and is_complex:
        return  # as above
    layout = Layout(kind, is_complex=is_complex, interleaved=True)
    x = voltages(layout, 2, 256)
    memory = np.ascontiguousarray(x.swapaxes(0, 1))
    n_byte = 4 * lanes * layout.bits // 8
    out = np.full((2, memory.nbytes // n_byte, 2 * lanes), 7, "f4")
    spec = Spec(lanes=lanes, kind=kind, bits=layout.bits, pair=layout.pair, step=2,
                msb_first=False)
    load_both_nb(spec, memory.reshape(-1).view("u1"), n_byte, out)
    expected = np.ascontiguousarray(floats(layout, x)).view("f4")
    np.testing.assert_array_equal(out.reshape(2, -1), expected)


# Whole plans.


def plans(layout, n_chan, n_pol, **options):
    """A plan, and one for the same as float32 in a polarisation of its own."""
    # With 64 channels an example of the README compiles the same for float32.
    options = {"n_tap": 8 if n_chan == 64 else 4, "n_int": 3, "min_valid": 0.5, **options}
    plain = Layout("float32", is_complex=layout.is_complex)
    products = "AABB" if n_pol == 2 else "I"
    return (Spectrometer(n_chan, layout=layout, n_pol=n_pol, products=products, **options),
            Spectrometer(n_chan, layout=plain, **options))


def expected_of(layout, x, other):
    numbers = floats(layout, x)
    return np.concatenate([other.copy().process(row) for row in numbers], axis=1)


@pytest.mark.parametrize("layout", LAYOUTS, ids=name)
def test_same_bits_as_float32_through_numpy(layout):
    plan, other = plans(layout, 12, 2)
    x = voltages(layout, 2, plan.n_fft * 20)
    assert plan.process(x).tobytes() == expected_of(layout, x, other).tobytes()


# Compiling takes seconds, so few of them go through whole vector code.
COMPLEX16, COMPLEX = Layout("int16", is_complex=True), Layout("float32", is_complex=True)
GUPPI = Layout("int8", is_complex=True, interleaved=True)


# Vectors of 8 lanes and of 4.
vectors = [64, pytest.param(16, marks=thorough)]


@pytest.mark.parametrize("n_chan", vectors)
def test_same_bits_as_float32(n_chan):
    layout = packed(2, "msb", True)
    plan, other = plans(layout, n_chan, 1)
    x = voltages(layout, 1, plan.n_fft * 20)
    expected = expected_of(layout, x, other)
    assert plan.process(x).tobytes() == expected.tobytes()
    # In pieces of an odd number of samples, of whole bytes if packed.
    plan.reset()
    cuts = [0, 8, 104, 224, 23 * 16, plan.layout.n_time(x.shape)]
    parts = [plan.process(layout.cut(x, *cut)) for cut in itertools.pairwise(cuts)]
    assert np.concatenate(parts).tobytes() == expected.tobytes()


@pytest.mark.parametrize(("layout", "n_chan"), [
    (GUPPI, 64), pytest.param(GUPPI, 16, marks=thorough), (GUPPI, 12),
    *((Layout(kind, interleaved=True), 12) for kind in NUMBERS),
], ids=lambda value: value if isinstance(value, int) else name(value))
def test_polarisations_that_lie_together(layout, n_chan):
    plan, other = plans(layout, n_chan, 2)
    x = voltages(layout, 2, plan.n_fft * 20)
    assert x.strides[0] < x.strides[1]
    expected = expected_of(layout, x, other)
    assert plan.process(x).tobytes() == expected.tobytes()
    # Any other strides are copied.
    for view in (np.ascontiguousarray(x), np.asfortranarray(x),
                 np.ascontiguousarray(x[:, ::-1])[:, ::-1]):
        assert plan.copy().process(view).tobytes() == expected.tobytes()
    pieces = plan.copy()
    cuts = [0, 1, 33, 300, 301, x.shape[1]]
    parts = [pieces.process(x[:, a:b]) for a, b in itertools.pairwise(cuts)]
    assert np.concatenate(parts).tobytes() == expected.tobytes()
    # Lost samples are blanked in one polarisation and not in the other.
    n = x.shape[1]
    valid = [np.array([[0, 100], [110, n]]), np.array([[0, n]])]
    clean = x.copy()
    clean[0, 100:110] = 128 if layout.kind == "uint8" else 0
    plain = plan.copy()
    found = plan.copy().process(x, valid=valid)
    assert found.tobytes() == plain.process(clean, valid=valid, zeroed=True).tobytes()
    assert (plain.weight[:, 0] < 1).any() and (plain.weight[:, 1] == 1).all()


def test_uint8_is_blanked_with_its_own_zero():
    plan, other = plans(Layout("uint8"), 12, 1)
    x = voltages(plan.layout, 1, plan.n_fft * 10)
    valid = np.array([[0, 100], [105, x.shape[1]]])
    found = plan.process(x, valid=valid)
    numbers = floats(plan.layout, x)
    expected = other.process(numbers, valid=valid)
    assert found.tobytes() == expected.tobytes() and (plan.weight < 1).any()


def test_interleaved_needs_two_polarisations():
    # Memory goes on after the array, so that reading past it does no harm here.
    memory = voltages(Layout(), 1, 2 * 32 * 20)
    x = memory[:, : memory.shape[1] // 2]
    plain, layout = Layout(), Layout(interleaved=True)
    with suppress(ValueError):  # refused, or right
        found = Spectrometer(16, n_tap=1, layout=layout).process(x)
        assert found.tobytes() == Spectrometer(16, n_tap=1, layout=plain).process(x).tobytes()
    with suppress(ValueError):
        found = Channelizer(16, n_tap=1, layout=layout).process(x[0])
        expected = Channelizer(16, n_tap=1).process(x[0])
        assert found.tobytes() == expected.tobytes()


def test_guppi_block():
    # [channel][time][polarisation][real, imaginary], int8: a spectrometer a channel.
    rng = np.random.default_rng(5)
    block = rng.integers(-128, 128, (3, 1000, 2, 2), "int8")
    plan, other = plans(GUPPI, 64, 2)
    for channel in block:
        found = plan.copy().process(channel.swapaxes(0, 1))
        voltages_ = (channel[..., 0] + 1j * channel[..., 1].astype("f4")).astype("c8")
        expected = [other.copy().process(np.ascontiguousarray(v)) for v in voltages_.T]
        assert found.tobytes() == np.concatenate(expected, axis=1).tobytes()


def test_views_of_interleaved_memory_are_not_copied():
    plan, _ = plans(GUPPI, 64, 2, n_int=1000)
    plan.compile()  # the compiler needs memory too
    x = voltages(plan.layout, 2, 2**22)
    out = np.empty((plan.n_output(2**22), 2, 64), "f4")
    peaks = []
    for view in (x, np.ascontiguousarray(x)):
        plan.reset()
        tracemalloc.start()
        plan.process(view, out=out)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] > 0.9 * x.nbytes


# Strides, alignment and byte order.


def variants(x):
    """The same array with other strides, alignment and flags."""
    time = 1
    yield np.repeat(x, 3, axis=time)[:, ::3]
    yield np.ascontiguousarray(np.flip(x, time))[:, ::-1]
    yield np.asfortranarray(x)
    yield np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    yield np.concatenate([x, x], axis=time)[:, : x.shape[time]]
    for offset in (1, 2, 3):
        memory = bytes(offset) + x.tobytes()
        view = np.frombuffer(memory, x.dtype, offset=offset).reshape(x.shape)
        assert not view.flags.writeable
        yield view


STRIDED = [(COMPLEX, 64), (packed(2, "msb", True), 64)] + [
    (layout, 12)
    for layout in (Layout("float32"), Layout("int16"), COMPLEX, COMPLEX16, packed(2, "msb", True))
]


@pytest.mark.parametrize(("layout", "n_chan"), STRIDED,
                         ids=lambda value: value if isinstance(value, int) else name(value))
def test_strides_and_alignment(layout, n_chan):
    plan, _ = plans(layout, n_chan, 1)
    x = voltages(layout, 1, plan.n_fft * 16)
    expected = plan.process(x).tobytes()
    for view in variants(x):
        plan.reset()
        assert plan.process(view).tobytes() == expected
    # A stream of pieces, each of another kind.
    n = x.shape[1] // 8
    pieces = [view[:, i * n : (i + 1) * n] for i, view in enumerate(variants(x))]
    plan.reset()
    assert b"".join(plan.process(piece).tobytes() for piece in pieces) == expected


@pytest.mark.parametrize("n_chan", [*vectors, 12])
def test_complex64_is_pairs_of_float32(n_chan):
    plan, _ = plans(COMPLEX, n_chan, 1)
    x = voltages(COMPLEX, 1, plan.n_fft * 16)
    expected = plan.process(x).tobytes()
    for view in variants(x.view("c8")[..., 0]):
        plan.reset()
        assert plan.process(view).tobytes() == expected
    plan.reset()
    assert plan.process(x.view("c8")[0, :, 0]).tobytes() == expected
    # Blanked like any other.
    n = x.shape[1]
    valid = np.array([[0, 50], [54, n]])
    plan.reset()
    found = plan.process(x, valid=valid)
    plan.reset()
    assert plan.process(x.view("c8")[..., 0], valid=valid).tobytes() == found.tobytes()


@pytest.mark.parametrize("dtype", [">i2", ">f4", ">c8"])
def test_other_byte_orders_are_refused(dtype):
    x = np.ones((1, 640), dtype)
    is_complex = dtype == ">c8"
    layout = Layout("int16" if dtype == ">i2" else "float32", is_complex=is_complex)
    with pytest.raises(TypeError, match="x: found dtype"):
        Spectrometer(16, n_tap=1, layout=layout).process(x)
    with pytest.raises(TypeError, match="x: found dtype"):
        Channelizer(16, n_tap=1, layout=layout).process(x[0])


@pytest.mark.parametrize("layout", [Layout("uint8"), packed(2, "msb", True), COMPLEX16], ids=name)
def test_channelizer(layout):
    # Its vectors are loaded as the spectrometer's are.
    plan = Channelizer(12, n_tap=2, layout=layout)
    other = Channelizer(12, n_tap=2, layout=Layout("float32", is_complex=layout.is_complex))
    x = voltages(layout, 1, plan.n_fft * 9)[0]
    expected = other.process(floats(layout, x[np.newaxis])[0])
    assert plan.process(x).tobytes() == expected.tobytes()


# The description itself.


@pytest.mark.parametrize("layout", LAYOUTS, ids=name)
def test_to_float(layout):
    x = voltages(layout, 2, 64)
    found = layout.to_float(x)
    assert found.dtype == ("c8" if layout.is_complex else "f4")
    np.testing.assert_array_equal(found, floats(layout, x))
    np.testing.assert_array_equal(layout.to_float(x[1]), found[1])
    wide = np.concatenate([x, x], axis=-1 if layout.kind == "packed" else 1)
    np.testing.assert_array_equal(layout.to_float(wide)[:, 64:], found)
    assert x.tobytes() == voltages(layout, 2, 64).tobytes()


@pytest.mark.parametrize("layout", LAYOUTS, ids=name)
def test_to_float_of_other_arrays(layout):
    x = voltages(layout, 2, 64)
    for other in (x.tolist(), np.ma.masked_array(x), x.astype("f8"), x.astype(object)):
        with pytest.raises(TypeError, match="x: found"):
            layout.to_float(other)
    if x.ndim == 3:
        for other in (x[:, :, :1], x[0, :, 0], x[:, :, 0]):
            with pytest.raises(ValueError, match="x: found shape"):
                layout.to_float(other)
        if layout.kind != "float32":
            with pytest.raises(TypeError, match="x: found dtype complex64"):
                layout.to_float(x[..., 0].astype("c8"))
    with pytest.raises(ValueError, match="x: found 0 axes"):
        layout.to_float(np.zeros((), layout.dtype))
    assert layout.to_float(x[:0]).shape == (0, 64)
    assert layout.to_float(layout.cut(x, 0, 0)).shape == (2, 0)


@pytest.mark.parametrize("layout", LAYOUTS, ids=name)
def test_sizes_and_cuts(layout):
    x = voltages(layout, 2, 64)
    assert layout.n_time(x.shape) == layout.n_time(x[0].shape) == 64
    assert x.dtype == layout.dtype and x.nbytes == 2 * 64 * layout.sample_bits // 8
    found = layout.to_float(layout.cut(x, 8, 32))
    np.testing.assert_array_equal(found, layout.to_float(x)[:, 8:32])
    assert np.shares_memory(layout.cut(x, 8, 32), x)
    if layout.kind == "float32":
        whole = x.view("c8")[..., 0] if layout.is_complex else x
        np.testing.assert_array_equal(layout.cut(whole, 8, 32), found)
        assert layout.to_float(whole) is whole


def test_layouts_are_values():
    assert Layout() == Layout("int8") != Layout("int16")
    assert packed(2, "lsb") == packed(2, "lsb") and hash(packed(2, "lsb")) == hash(packed(2, "lsb"))
    assert packed(2, "lsb") != packed(2, "msb")
    layout = Layout("packed", bits=1, levels=np.array([0.1, 1]))
    assert layout.levels == (float(np.float32(0.1)), 1.0)
    with pytest.raises(AttributeError):
        layout.bits = 2


def test_refused():
    with pytest.raises(ValueError, match="kind: found 'int32', allowed int8, uint8, int16"):
        Layout("int32")
    with pytest.raises(ValueError, match="order: found 'big', allowed lsb, msb"):
        Layout("packed", bits=1, levels=(0, 1), order="big")
    with pytest.raises(ValueError, match="bits: found 3, allowed 1, 2, 4 for packed"):
        Layout("packed", bits=3, levels=range(8))
    for levels in (None, (0, 1), range(5), (0, 1, 2, np.nan), (0, 1, 2, np.inf)):
        with pytest.raises(ValueError, match="levels: found .*, allowed 4 numbers"):
            Layout("packed", bits=2, levels=levels)
    with pytest.raises(ValueError, match="levels: found a table for int8"):
        Layout("int8", levels=(0, 1))
    with pytest.raises(ValueError, match="interleaved: found True"):
        Layout("packed", bits=1, levels=(0, 1), interleaved=True)


def test_arrays_refused():
    plan = Spectrometer(16, n_tap=1, layout=COMPLEX16)
    with pytest.raises(ValueError, match=r"x: found a last axis of 3, allowed 2"):
        plan.process(np.zeros((1, 64, 3), "int16"))
    with pytest.raises(TypeError, match="x: found dtype complex64, allowed int16"):
        plan.process(np.zeros((1, 64), "c8"))
    with pytest.raises(TypeError, match="x: found dtype int8, allowed uint8"):
        Spectrometer(16, n_tap=1, layout=packed(2, "lsb")).process(np.zeros((1, 64), "int8"))
    with pytest.raises(TypeError, match="x: found .*subclass"):
        Spectrometer(16, n_tap=1, layout=COMPLEX).process(np.ma.zeros((1, 64), "c8"))


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "float32"])
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_samples_of_any_order_in_memory(kind, is_complex, order):
    """Streams, polarisations and samples, that follow each other in memory in any order."""
    tail = (2,) if is_complex else ()
    for shape in ((3, 2, 70), (40, 1, 33), (1, 2, 200)):
        stored = [shape[axis] for axis in order]
        x = np.random.default_rng(1).integers(0, 100, (*stored, *tail)).astype(kind)
        back = np.argsort(order)
        x = x.transpose(*back, *([3] if is_complex else []))
        assert x.shape[:3] == shape
        for view in (x, x[:, :, ::-1], x[:, :, 1::3], x[::2]):
            for interleaved in (False, True):
                layout = Layout(kind, is_complex=is_complex, interleaved=interleaved)
                found = samples_of(view, layout, shape[1])
                size = layout.sample_bits // 8
                step = 2 * size if interleaved and shape[1] == 2 else size
                for s, p in np.ndindex(view.shape[:2]):
                    start = found.base[s, p] + (size * p if step > size else 0)
                    for t in (0, 1, view.shape[2] - 1):
                        data = ctypes.string_at(int(start) + t * step, size)
                        assert data == np.ascontiguousarray(view[s, p, t]).tobytes()


def test_bits_of_few_bits():
    """With bits as a number of 8 bits, numbers of samples above 127 could not be computed."""
    made = Layout("packed", np.int8(2), levels=LEVELS[2])
    assert made == packed(2, "lsb") and type(made.bits) is int
    x = voltages(made, 1, 2000)
    np.testing.assert_array_equal(Spectrometer(16, n_tap=4, layout=made).process(x),
                                  Spectrometer(16, n_tap=4, layout=packed(2, "lsb")).process(x))
