"""The stacked bank: lengths with factors 3, 5 and 7, very short ones, and small rotations."""

from itertools import pairwise
from math import prod

import numpy as np
import pytest
from fastsig_kernels import Channelizer, Layout, Spectrometer, reference
from fastsig_kernels._bank import Transformer
from fastsig_kernels._codelets import DFT
from fastsig_kernels._generic_bank import GenericTransformer
from fastsig_kernels._stack_bank import StackTransformer, stacks
from fastsig_kernels._stack_order import radices
from kernel_layouts import FLOATS

BYTES = {pair: Layout("int8", is_complex=pair == 2) for pair in (1, 2)}


def error_bound(plan):
    """That of the transform, and a rounding for each tap of the filter."""
    return 2.0**-24 * (np.sqrt(np.log2(plan.n_fft)) + np.sqrt(plan.n_tap))


def noise(n, pair=1, seed=5):
    x = np.random.default_rng(seed).integers(-60, 60, (n, pair), dtype=np.int8)
    return x if pair == 2 else x[:, 0]


def test_radices():
    for n in range(1, 3000):
        rest = n
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        found = radices(n)
        assert (found is None) == (rest > 1)
        if found is not None:
            assert prod(found) == n and set(found) <= set(DFT)
            assert all(a >= b for a, b in pairwise(found))
    assert [len(radices(n)) for n in (16, 240, 3000, 4096)] == [1, 2, 4, 3]


@pytest.mark.parametrize(("n_chan", "kind"), [
    (100, StackTransformer), (8, StackTransformer), (96, StackTransformer), (64, Transformer),
    (22, GenericTransformer)])
def test_engines(n_chan, kind):
    plan = Channelizer(n_chan, n_tap=4)
    assert isinstance(plan._tables(), kind)


# Between them they have every radix, fewer points than lanes, ends that overlap, parts with and
# without padding, and parts that do not fit into a cache.
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("n_chan", [2, 4, 6, 8, 18, 42, 120, 150, 1050, 5000])
def test_spectra(n_chan, lower):
    for pair in (1, 2):
        plan = Channelizer(n_chan, n_tap=4, layout=BYTES[pair], lower_sideband=lower)
        n_frame = 3 if n_chan > 1000 else 19  # whole stacks, and a part of one
        x = noise(plan.n_sample(n_frame), pair)
        found = plan.process(x)
        expected = reference.channelize(
            x.astype("f4").view("c8")[:, 0] if pair == 2 else x, plan.taps,
            is_complex=pair == 2, lower_sideband=lower)
        assert (np.linalg.norm(found - expected)
                <= error_bound(plan) * np.linalg.norm(expected)), (n_chan, pair)


@pytest.mark.parametrize(("n_chan", "ratio"), [(64, "32/27"), (60, "4/3"), (54, "3/2")])
def test_rotated_frames(n_chan, ratio):
    """Of any bits of a stream: frame 7 on its own is frame 7 of the stream, and is right."""
    for pair in (1, 2):
        plan = Channelizer(n_chan, n_tap=4, layout=BYTES[pair], oversample=ratio)
        x = noise(plan.n_sample(12), pair)
        found = plan.process(x)
        alone = plan.process(x[7 * plan.hop :], first_frame=7)
        assert found[7:].tobytes() == alone.tobytes()
        time = np.arange(plan.taps.size) + 7 * plan.hop
        voltages = x[time].astype(float) @ ([1, 1j] if pair == 2 else [1]) if pair == 2 else x[time]
        k = np.arange(n_chan) - (n_chan // 2 if pair == 2 else 0)
        turns = np.exp(-2j * np.pi * (np.outer(k, time) % plan.n_fft) / plan.n_fft)
        expected = turns @ (plan.taps.astype(float).ravel() * voltages)
        assert (np.linalg.norm(found[7] - expected)
                <= 3 * error_bound(plan) * np.linalg.norm(expected))


@pytest.mark.parametrize("layout", [
    Layout("uint8"), Layout("int16", is_complex=True, interleaved=True),
    Layout("packed", bits=2, levels=(-3.3, -1, 1, 3.3)),
    Layout("packed", bits=4, is_complex=True, levels=tuple(range(-8, 8)))])
def test_layouts(layout):
    """Sums are those of the same numbers as float32, from pieces too."""
    assert stacks(120 if layout.is_complex else 240, 120 if layout.is_complex else 240, layout)
    rng = np.random.default_rng(8)
    n = 60 * 240
    if layout.kind == "packed":
        x = rng.integers(0, 256, (2, n * layout.sample_bits // 8), dtype=np.uint8)
    else:
        x = rng.integers(0, 200, (n, 2, layout.pair)).astype(layout.kind).swapaxes(0, 1)
        x = x if layout.is_complex else x[:, :, 0]
    options = {"n_tap": 4, "n_pol": 2, "products": "AABBCRCI", "n_int": 20}
    plan = Spectrometer(120, layout=layout, **options)
    found = plan.process(x)
    numbers = np.ascontiguousarray(layout.to_float(np.ascontiguousarray(x)))
    floats = Layout("float32", is_complex=layout.is_complex)
    assert found.tobytes() == Spectrometer(120, layout=floats, **options).process(
        numbers).tobytes()
    plan.reset()
    first = n // 3 // 240 * 240 + 80
    pieces = [plan.process(layout.cut(x, *span)) for span in ((0, first), (first, n))]
    assert np.concatenate(pieces).tobytes() == found.tobytes()


def test_lanes_do_not_touch_each_other():
    plan = Channelizer(100, n_tap=1, layout=FLOATS)
    x = noise(plan.n_sample(19)).astype("f4")
    clean = plan.process(x)
    x[7 * plan.n_fft + 3] = np.nan
    found = plan.process(x)
    assert np.isnan(found[7]).all()
    rest = np.arange(19) != 7
    assert found[rest].tobytes() == clean[rest].tobytes()
