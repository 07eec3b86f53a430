"""The one-pass spectrometer: against float64, against the separate steps, and as a stream."""

import itertools
import os
import subprocess
import sys
import threading
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import fastsig_kernels
import numpy as np
import pytest
from fastsig_kernels import (
    PRODUCTS,
    Channelizer,
    _bank,
    accumulate,
    cumulative_energy,
    detect,
    frame_energy,
    intersect_spans,
    normalize,
    reference,
    spectrometer,
)
from fastsig_kernels.layout import Layout
from fastsig_kernels.spectral_kurtosis import (
    frame_correlation,
    keep,
    kurtosis,
    kurtosis_thresholds,
)
from fastsig_kernels.spectrometer import Spectrometer
from scipy import stats
from thorough import many, thorough

TAIL = stats.norm.sf(3)


class Case(NamedTuple):
    """What a plan's code depends on."""

    n_chan: int
    is_complex: bool
    n_pol: int
    products: str
    lower: bool
    n_tap: int

    def plan(self, **options):
        return Spectrometer(
            self.n_chan, n_tap=self.n_tap, n_pol=self.n_pol, products=self.products,
            lower_sideband=self.lower, layout=Layout(is_complex=self.is_complex), **options,
        )

    @property
    def n_fft(self):
        return self.n_chan if self.is_complex else 2 * self.n_chan

    def samples(self, n_frame, seed=1):
        """int8 voltages of a bit more than `n_frame` frames, polarisations alike in part."""
        rng = np.random.default_rng(seed)
        n = (n_frame + self.n_tap - 1) * self.n_fft + self.n_fft // 3
        x = 20 * rng.standard_normal((self.n_pol, n, 2 if self.is_complex else 1))
        x[1:] += 0.7 * x[:1]
        x = np.clip(np.round(x), -128, 127).astype("int8")
        return x if self.is_complex else x[:, :, 0]


# Vectors of 4 lanes, and as wide as the host's; one, some and many leaves; no pass, one
# and two; rows so long that they are collected first. Another case costs up to 8 seconds to
# compile, unless it differs from one of these in nothing but a length above 4096.
SMALL = Case(16, False, 1, "I", False, 1)
STOKES = Case(4096, False, 2, "IQUV", True, 8)
COMPLEX = Case(512, True, 2, "AABBCRCI", True, 32)
LONG = [STOKES._replace(n_chan=n_chan) for n_chan in (8192, 2**15)]
OTHER = [  # stacked, one frame in each lane, and through NumPy
    Case(30, False, 2, "IQUV", True, 4),
    Case(1000, True, 2, "AABBCRCI", False, 4),
    Case(30, True, 1, "I", False, 32),
    Case(1000, False, 2, "V", True, 1),
    Case(14, True, 2, "AABB", True, 8),
    Case(2, False, 2, "I", False, 8),
    Case(22, False, 2, "IQUV", True, 4),
]
CASES = [SMALL, STOKES, COMPLEX, *LONG, *OTHER]
FEW = [SMALL, STOKES, COMPLEX, OTHER[0], OTHER[2], OTHER[-1]]
some_cases = pytest.mark.parametrize("case", FEW, ids=str)


def spans_of(*pairs):
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def losses(case, n, seed=2):
    """Spans of samples for each polarisation: short gaps, long ones, touching spans."""
    rng = np.random.default_rng(seed)
    result = []
    for _ in range(case.n_pol):
        gaps = [(n // 3, n // 3 + max(1, case.n_fft // 50)), (n // 2, n // 2 + 2 * case.n_fft)]
        gaps += [(int(a), int(a) + 1) for a in rng.integers(0, n, 3)]
        good = np.ones(n + 2, bool)
        good[[0, -1]] = False
        for first, stop in gaps:
            good[first + 1 : stop + 1] = False
        edges = np.flatnonzero(np.diff(good))
        spans = edges.reshape(-1, 2).tolist()
        first, stop = spans.pop(0)
        middle = (first + stop) // 2
        result.append(spans_of((first, middle), (middle, stop), *spans))
    return result


def blanked(x, valid):
    """A copy with zeros for what is not valid."""
    out = np.zeros_like(x)
    for pol, spans in enumerate(valid):
        for first, stop in spans:
            out[pol, first:stop] = x[pol, first:stop]
    return out


def names_of(case):
    return PRODUCTS[case.products] if case.n_pol == 2 else ("AA",)


def twin(case, x, valid, plan, min_valid=0.9):
    """Numerators and weights of every frame in float64, from the definition."""
    x = blanked(x, valid).astype(float)
    x = x[..., 0] + 1j * x[..., 1] if case.is_complex else x
    options = {"is_complex": case.is_complex, "lower_sideband": case.lower}
    spectra = np.stack([reference.channelize(row, plan.taps, **options) for row in x], axis=1)
    sets = [*valid, reference.intersect_spans(*valid)] if case.n_pol == 2 else valid
    n = len(spectra)
    energy = np.stack([reference.frame_energy(s, 0, n, plan.taps, plan.n_fft) for s in sets], 1)
    energy[energy < min_valid] = 0
    return reference.detect(spectra, energy, names_of(case))


@pytest.mark.parametrize(("n_chan", "options"), [
    (4096, {}), (4096, {"oversample": "4/3"}), (2**15, {})], ids=str)
def test_polarisations_that_alternate_in_memory(n_chan, options):
    """They are filtered together; rows are rotated, or so long that they are collected first."""
    case = STOKES._replace(n_chan=n_chan)
    x = case.samples(5)
    apart = case.plan(n_int=2, **options)
    together = Spectrometer(n_chan, n_tap=case.n_tap, n_pol=2, products=case.products, n_int=2,
                            lower_sideband=case.lower, layout=Layout(interleaved=True), **options)
    found = together.process(np.ascontiguousarray(x.T).T)
    assert len(found) and found.tobytes() == apart.process(x).tobytes()


@pytest.mark.parametrize("threads", [1, 2])
def test_spectra_that_pass_the_cache(threads, monkeypatch):
    """Their bits are those of spectra on no line of the cache, which cannot pass it."""
    x = STOKES.samples(40)
    plan = STOKES.plan(n_int=1, threads=threads)
    n_output = plan.n_output(x.shape[1])
    expected = np.empty(n_output * 4 * 4096 + 1, "f4")[1:].reshape(n_output, 4, 4096)
    plan.process(x, out=expected)
    given = []
    run = _bank.integrate_nb
    monkeypatch.setattr(spectrometer, "STREAMED_BYTES", expected.nbytes)
    monkeypatch.setattr(_bank, "integrate_nb", lambda *args: given.append(args[-1]) or run(*args))
    for n, streamed in ((n_output, 1), (n_output - 1, 0)):
        plan.reset()
        found = plan.process(x[:, : (n + STOKES.n_tap - 1) * STOKES.n_fft])
        assert found.tobytes() == expected[:n].tobytes()
        assert set(given) == {streamed}
        given.clear()
    plan.reset()
    plan.process(x, out=expected)
    assert set(given) == {0}



def means(power, weight, n_int):
    n = len(power) // n_int
    total = power[: n * n_int].reshape(n, n_int, *power.shape[1:]).sum(axis=1)
    weight = weight[: n * n_int].reshape(n, n_int, -1).sum(axis=1)
    return total / np.where(weight == 0, np.nan, weight)[..., None], weight / n_int


@pytest.mark.parametrize("case", CASES, ids=str)
def test_twin(case):
    plan = case.plan(n_int=5)
    x = case.samples(12)
    valid = losses(case, x.shape[1])
    found = plan.process(x, valid=valid)
    expected, weight = means(*twin(case, x, valid, plan), 5)
    assert found.shape == expected.shape == (2, len(names_of(case)), case.n_chan)
    assert found.dtype == np.float32 and plan.weight.shape == (*found.shape[:2], 1)
    np.testing.assert_allclose(plan.weight[..., 0], weight, rtol=1e-6)
    assert ((weight < 1) & (weight > 0)).any() and np.isfinite(expected).all()
    for p in range(found.shape[1]):
        error = np.linalg.norm(found[:, p] - expected[:, p])
        # Differences are as exact as the powers they are differences of.
        scale = np.linalg.norm(expected[:, p])
        assert error <= 1e-6 * scale, names_of(case)[p]


# The separate steps.


def spectra_of(case, x, plan, first_frame=0):
    bank = Channelizer(case.n_chan, taps=plan.taps, layout=plan.layout,
                       lower_sideband=case.lower, oversample=Fraction(plan.n_fft, plan.hop))
    return np.stack([bank.process(row, first_frame=first_frame) for row in x], axis=1)


def energies(case, valid, n, plan, min_valid=0.9):
    cumulative = cumulative_energy(plan.taps)
    sets = [*valid, intersect_spans(*valid)] if case.n_pol == 2 else valid
    energy = np.stack([frame_energy(s, 0, n, cumulative, plan.hop) for s in sets], axis=1)
    energy[energy < min_valid] = 0
    return energy


def sums_of(power, weight):
    total = np.zeros(power.shape[1:], "float32")
    total_weight = np.zeros(weight.shape[1])
    accumulate(power, weight, total, total_weight)
    return total, total_weight


@pytest.mark.parametrize("n_int", [1, 3, 6])
@pytest.mark.parametrize("case", [SMALL, STOKES, OTHER[0], OTHER[2]], ids=str)
def test_same_bits_as_the_separate_steps(case, n_int):
    plan = case.plan(n_int=n_int)
    x = case.samples(37)
    valid = losses(case, x.shape[1])
    spectra = spectra_of(case, blanked(x, valid), plan)
    steps = detect(spectra, energies(case, valid, len(spectra), plan), case.products)
    found = plan.process(x, valid=valid)
    assert len(found) == 37 // n_int
    for i, mean in enumerate(found):
        part = slice(i * n_int, (i + 1) * n_int)
        expected, weight = normalize(*sums_of(*(step[part] for step in steps)), n_int)
        np.testing.assert_array_equal(mean, expected)
        np.testing.assert_array_equal(plan.weight[i, :, 0], weight)


@pytest.mark.parametrize("case", [SMALL, OTHER[0]], ids=str)
def test_outer_sums_are_of_inner_ones_in_double_precision(case):
    x = case.samples(640)
    valid = losses(case, x.shape[1])
    mean, total = (case.plan(n_int=300, n_inner=128, scale=scale) for scale in ("mean", "sum"))
    found, sums = mean.process(x, valid=valid), total.process(x, valid=valid)
    assert found.dtype == np.float32 and sums.dtype == np.float64 == total.weight.dtype
    assert len(found) == len(sums) == 2
    spectra = spectra_of(case, blanked(x, valid), mean)
    steps = detect(spectra, energies(case, valid, len(spectra), mean), case.products)
    for i in range(2):
        outer, weight = 0, 0
        for first, stop in ((0, 128), (128, 256), (256, 300)):
            part = slice(300 * i + first, 300 * i + stop)
            inner = sums_of(*(step[part] for step in steps))
            outer = outer + inner[0].astype(float)
            weight = weight + inner[1]
        np.testing.assert_array_equal(sums[i], outer)
        np.testing.assert_allclose(total.weight[i, :, 0], weight, rtol=1e-14)
        np.testing.assert_array_equal(found[i], (outer / weight[:, None]).astype("float32"))
        np.testing.assert_array_equal(mean.weight[i, :, 0], (weight / 300).astype("float32"))


@pytest.mark.parametrize("n_int", [1, 7, 128])
def test_inner_sums_are_single(n_int):
    # Up to n_inner frames there is one sum in float32, kept as it is.
    case = SMALL
    plan = case.plan(n_int=n_int, scale="sum")
    assert plan.process(case.samples(300)).dtype == np.float32
    assert plan.weight.dtype == np.float64 and (plan.weight == n_int).all()


# A stream that is entered in its middle.

# Through vectors and through NumPy; a bank that is sampled critically does not turn.
RATIOS = [(SMALL, "4/3"), (SMALL, "8/7"), (STOKES, 1), (STOKES, "32/27"), (COMPLEX, "4/3"),
          (OTHER[0], 1), (OTHER[0], "4/3"), (OTHER[2], "6/5"), (OTHER[2], 2)]
ratios = pytest.mark.parametrize(("case", "oversample"), RATIOS, ids=str)
FIRST_FRAMES = [0, 1, 5, 10**12 + 7, 2**62]


@pytest.mark.parametrize("n_int", [1, 5])
@ratios
def test_frames_are_numbered_as_by_the_separate_steps(case, oversample, n_int):
    plan = case.plan(n_int=n_int, oversample=oversample)
    x = case.samples(20)
    valid = losses(case, x.shape[1])
    clean = blanked(x, valid)
    for seed, first_frame in enumerate(FIRST_FRAMES):
        spectra = spectra_of(case, clean, plan, first_frame)
        steps = detect(spectra, energies(case, valid, len(spectra), plan), case.products)
        plan.reset(first_frame=first_frame)
        found, weights = in_pieces(plan, x, valid, seed)
        assert len(found) == -(-len(spectra) // n_int) >= 4
        for i, mean in enumerate(found):
            part = slice(i * n_int, (i + 1) * n_int)
            expected, weight = normalize(*sums_of(*(step[part] for step in steps)), n_int)
            assert mean.tobytes() == expected.tobytes()
            np.testing.assert_allclose(weights[i, :, 0], weight, rtol=1e-6)


@pytest.mark.parametrize(("case", "oversample", "first_frame"), [
    pytest.param(STOKES, "4/3", 3, marks=thorough), (STOKES, "4/3", 2**62 + 1),
    (OTHER[0], "4/3", 3), (OTHER[0], "4/3", 2**62 + 1)], ids=str)
def test_frames_are_numbered_where_kurtosis_decides(case, oversample, first_frame):
    plan = case.plan(n_int=70, n_inner=30, flag_sigma=3.0, scale="sum", oversample=oversample)
    x = with_tone(case, case.samples(70))
    valid = losses(case, x.shape[1])
    plan.reset(first_frame=first_frame)
    found = plan.process(x, valid=valid)
    total, weight = decided(case, x, valid, plan, 30, first_frame)
    assert (weight.min(axis=1) < weight.max(axis=1)).all()
    assert found[0].tobytes() == total.tobytes()
    np.testing.assert_allclose(plan.weight[0], weight, rtol=1e-14)


@pytest.mark.parametrize(("case", "oversample"), [(STOKES, "4/3"), (OTHER[2], "6/5")], ids=str)
def test_sums_begin_with_any_frame(case, oversample):
    # The bits of a sum depend on where its frames lie in the stream alone.
    x = case.samples(12)
    whole = case.plan(oversample=oversample).process(x)
    plan = case.plan(oversample=oversample)
    for first in range(1, 8):
        plan.reset(first)
        assert plan.process(x[:, first * plan.hop :]).tobytes() == whole[first:].tobytes()
    # They do depend on that: frames of another number are rounded in another way.
    plan.reset(first_frame=1)
    found = plan.process(x)
    assert found.tobytes() != whole.tobytes()
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-5 * np.abs(whole).max())


@pytest.mark.parametrize("case", [SMALL, STOKES, OTHER[0]], ids=str)
def test_a_critically_sampled_bank_does_not_depend_on_the_first_frame(case):
    x = case.samples(40)
    plan = case.plan(n_int=3)
    expected = plan.process(x)
    for first_frame in FIRST_FRAMES:
        plan.reset(first_frame=first_frame)
        assert plan.process(x).tobytes() == expected.tobytes()


def test_voltages_of_a_stream_entered_in_its_middle():
    case = SMALL._replace(products="voltages")
    plan = case.plan(oversample="4/3")
    x = case.samples(30)
    for first_frame in FIRST_FRAMES:
        plan.reset(first_frame=first_frame)
        found = np.concatenate([plan.process(part) for part in np.array_split(x, 4, axis=1)])
        assert found.tobytes() == spectra_of(case, x, plan, first_frame).tobytes()


def test_frames_are_numbered_from_0_by_default():
    x = SMALL.samples(30)
    plan = SMALL.plan(n_int=4, oversample="4/3")
    expected = plan.process(x)
    for end in (plan.reset, plan.flush):
        plan.reset(first_frame=1)
        assert plan.process(x).tobytes() != expected.tobytes()
        assert plan.copy().process(x).tobytes() == expected.tobytes()
        end()
        assert plan.process(x).tobytes() == expected.tobytes()


@pytest.mark.parametrize(("bad", "error"), [(-1, ValueError), (1.5, TypeError), (True, TypeError)])
def test_first_frames_refused(bad, error):
    x = SMALL.samples(30)
    plan = SMALL.plan(n_int=7, oversample="4/3")
    plan.reset(first_frame=3)
    expected = plan.process(x)
    plan.reset(first_frame=3)
    parts = [plan.process(x[:, :200])]
    with pytest.raises(error, match="first_frame: found"):
        plan.reset(first_frame=bad)
    parts.append(plan.process(x[:, 200:]))
    assert np.concatenate(parts).tobytes() == expected.tobytes()


# Some of the channels.

# Whole parts of the band and not, its ends, one channel, all.
BANDS = [(0, 1), (0.25, 0.5), (0.3, 0.4), (0.45, 0.85), (0.97, 1), (0, 0.03), (0.5, 0.5)]


def channels_of(case, band):
    """First channel and stop, one channel at least."""
    first = min(int(band[0] * case.n_chan), case.n_chan - 1)
    return first, max(first + 1, int(band[1] * case.n_chan))


@pytest.mark.parametrize("options", [
    {"n_int": 1}, {"n_int": 4}, {"n_int": 4, "scale": "sum"}, {"n_int": 25, "n_inner": 9},
    {"n_int": 25, "n_inner": 9, "scale": "sum", "oversample": 2},
], ids=str)
@some_cases
def test_some_channels_have_the_bits_of_all(case, options):
    x = case.samples(90)
    valid = losses(case, x.shape[1])
    whole = case.plan(**options)
    assert whole.channels == (0, case.n_chan)
    expected = whole.process(x, valid=valid)
    expected, weight = np.concatenate([expected, whole.flush()]), whole.weight
    for seed, band in enumerate(BANDS):
        first, stop = channels_of(case, band)
        plan = case.plan(channels=(first, stop), **options)
        assert plan.channels == (first, stop) and plan.n_chan == case.n_chan
        assert plan.out_dtype == expected.dtype and plan.weight_width == 1
        found, weights = in_pieces(plan, x, valid, seed)
        assert found.shape == (*expected.shape[:2], stop - first)
        assert found.tobytes() == expected[:, :, first:stop].tobytes()
        np.testing.assert_allclose(weights[len(weights) - len(weight) :], weight, rtol=1e-14)


@pytest.mark.parametrize("case", [STOKES, OTHER[0]], ids=str)
def test_some_channels_where_kurtosis_decides(case):
    options = {"n_int": 70, "n_inner": 30, "flag_sigma": 3.0}
    x = with_tone(case, case.samples(100))
    valid = losses(case, x.shape[1])
    for scale in ("mean", "sum"):
        whole = case.plan(scale=scale, **options)
        expected = whole.process(x, valid=valid)
        assert (whole.weight.min(axis=2) < whole.weight.max(axis=2)).any()
        for band in BANDS:
            first, stop = channels_of(case, band)
            plan = case.plan(scale=scale, channels=(first, stop), **options)
            found = plan.process(x, valid=valid)
            assert plan.weight_width == stop - first
            assert found.tobytes() == expected[:, :, first:stop].tobytes()
            assert plan.weight.tobytes() == whole.weight[:, :, first:stop].tobytes()


@pytest.mark.parametrize("n_chan", [64, 30])
def test_some_channels_of_complex_input(n_chan):
    plan, x = float_plan(n_chan, n_int=2)
    expected = plan.process(x)
    for first in range(0, n_chan, 1 if n_chan < 64 else many(3, 1)):
        for stop in range(first + 1, n_chan + 1, 4 if n_chan < 64 else many(15, 4)):
            found = float_plan(n_chan, n_int=2, channels=(first, stop))[0].process(x)
            assert found.tobytes() == expected[:, :, first:stop].tobytes()


def test_some_channels_of_voltages():
    case = SMALL._replace(products="voltages")
    x = case.samples(30)
    expected = case.plan().process(x)
    for band in BANDS:
        first, stop = channels_of(case, band)
        found = case.plan(channels=(first, stop)).process(x)
        assert found.tobytes() == expected[:, :, first:stop].tobytes()


def test_some_channels_into_memory_of_any_strides():
    case = STOKES
    x = case.samples(20)
    expected = case.plan(n_int=3).process(x)
    for first, stop in ((1024, 2048), (1000, 2001)):
        plan = case.plan(n_int=3, channels=(first, stop))
        plan.compile()
        for out in (np.full((9, 4, stop - first), 7, "f4"),
                    np.full((9, 4, 2 * (stop - first)), 7, "f4")[:, :, ::-2]):
            found = plan.copy().process(x, out=out)
            assert np.shares_memory(found, out) and (out[6:] == 7).all()
            assert found.tobytes() == expected[:, :, first:stop].tobytes()
        with pytest.raises(ValueError, match="out: found shape"):
            plan.process(x, out=np.empty((9, 4, 4096), "f4"))


@pytest.mark.parametrize(("channels", "error"), [
    ((0, 17), ValueError), ((-1, 3), ValueError), ((3, 3), ValueError), ((9, 3), ValueError),
    ((16, 17), ValueError), ((0, 2**63), ValueError), ((0, 1, 2), TypeError), (3, TypeError),
    ((0.0, 3), TypeError), ((False, True), TypeError),
])
def test_channels_refused(channels, error):
    with pytest.raises(error, match="channels: found"):
        SMALL.plan(channels=channels)


# A stream in pieces.


def in_pieces(plan, x, valid, seed):
    """Spectra and weights of a stream that comes in pieces of any length."""
    rng = np.random.default_rng(seed)
    sizes = (0, 1, 3, plan.hop - 1, plan.hop, 3 * plan.hop + 1, 11 * plan.hop)
    found, weights, position = [], [], 0
    while position < x.shape[1]:
        stop = min(position + int(rng.choice(sizes)), x.shape[1])
        spans = [intersect_spans(v, spans_of((position, stop))) - position if stop > position
                 else spans_of() for v in valid]
        n_output = plan.n_output(stop - position)
        found.append(plan.process(x[:, position:stop], valid=spans))
        assert len(found[-1]) == len(plan.weight) == n_output
        weights.append(plan.weight)
        position = stop
    found.append(plan.flush())
    weights.append(plan.weight)
    return np.concatenate(found), np.concatenate(weights)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", [
    {"n_int": 1}, {"n_int": 4}, {"n_int": 4, "scale": "sum"},
    {"n_int": 25, "n_inner": 9}, {"n_int": 25, "n_inner": 9, "scale": "sum"},
], ids=str)
@some_cases
def test_pieces_of_a_stream(case, options, seed):
    x = case.samples(90, seed)
    valid = losses(case, x.shape[1], seed)
    whole = case.plan(**options)
    found, weight = whole.process(x, valid=valid), whole.weight
    expected = np.concatenate([found, whole.flush()])
    weights = np.concatenate([weight, whole.weight])
    pieces, piece_weights = in_pieces(case.plan(**options), x, valid, seed)
    assert pieces.shape == expected.shape and pieces.dtype == expected.dtype
    np.testing.assert_array_equal(pieces, expected)
    np.testing.assert_allclose(piece_weights, weights, rtol=1e-14)


@some_cases
def test_weights_do_not_depend_on_the_pieces(case):
    for seed in range(3):
        x = case.samples(90, seed)
        valid = losses(case, x.shape[1], seed)
        for n_int, n_inner in ((4, 128), (25, 9)):
            whole = case.plan(n_int=n_int, n_inner=n_inner, scale="sum")
            whole.process(x, valid=valid)
            expected = whole.weight
            _, weights = in_pieces(whole.copy(), x, valid, seed)
            np.testing.assert_array_equal(weights[: len(expected)], expected)


def test_a_long_call():
    # Longer than what is handled at a time, in frames and in results.
    case = SMALL
    x = case.samples(200_001)
    for options in ({"n_int": 1}, {"n_int": 1000, "n_inner": 77}):
        plan = case.plan(**options)
        whole = plan.process(x)
        other = plan.copy()
        half = 3_000_017
        parts = [other.process(x[:, :half]), other.process(x[:, half:])]
        assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert len(whole) == 200


def test_sizes():
    plan = STOKES.plan(n_int=6)
    assert (plan.n_chan, plan.n_fft, plan.hop, plan.n_int) == (4096, 8192, 8192, 6)
    assert plan.history == 7 * 8192 and plan.latency == plan.history + 6 * 8192
    assert plan.layout == Layout() and plan.taps.shape == (8, 8192)
    sizes = [0, 2**16 - 1, 2**16, 2**16 + 8191, 2**16 + 8192]
    assert [plan.n_frame(n) for n in sizes] == [0, 0, 1, 1, 2]
    x = STOKES.samples(30)
    assert plan.process(x[:, : plan.latency - 1]).shape == (0, 4, 4096)
    assert plan.weight.shape == (0, 4, 1)
    assert plan.n_output(0) == 0 and plan.n_output(1) == 1
    assert plan.process(x[:, plan.latency - 1 : plan.latency]).shape == (1, 4, 4096)
    assert plan.n_output(6 * 8192 - 1) == 0 and plan.n_output(6 * 8192) == 1
    assert plan.memory_bytes > plan.taps.nbytes


def test_reset_and_copy_begin_a_stream():
    case = STOKES
    x = case.samples(20)
    plan = case.plan(n_int=4)
    expected = plan.process(x)
    plan.process(x[:, :100_000])
    for fresh in (plan.copy(), plan):
        if fresh is plan:
            plan.reset()
        assert fresh.weight.shape == (0, 4, 1) and fresh.n_frame(2**16) == 1
        assert fresh.process(x).tobytes() == expected.tobytes()


def test_flush():
    case = STOKES
    x = case.samples(23)
    valid = losses(case, x.shape[1])
    for options in ({}, {"n_inner": 3}):
        plan = case.plan(n_int=5, **options)
        # The whole integrations, and one whose last frames were not observed.
        expected, _ = means(*twin(case, x, valid, plan), 5)
        power, weight = (step[20:] for step in twin(case, x, valid, plan))
        found = plan.process(x, valid=valid)
        rest = plan.flush()
        assert rest.shape == (1, 4, 4096) and rest.dtype == np.float32
        # 3 of 5 frames.
        np.testing.assert_allclose(plan.weight[0, :, 0], weight.sum(axis=0) / 5, rtol=1e-6)
        np.testing.assert_allclose(rest[0, 0], power.sum(axis=0)[0] / weight.sum(axis=0)[0],
                                   rtol=1e-5)
        # And the plan is as new.
        assert plan.flush().shape == (0, 4, 4096) and plan.weight.shape == (0, 4, 1)
        assert plan.process(x, valid=valid).tobytes() == found.tobytes()
        assert len(expected) == len(found)


def test_flush_of_whole_integrations_and_of_nothing():
    plan = SMALL.plan(n_int=4, scale="sum")
    assert plan.flush().shape == (0, 1, 16)
    x = SMALL.samples(8)
    assert len(plan.process(x)) == 2 and plan.flush().shape == (0, 1, 16)
    # Samples of a frame that is not whole are dropped.
    assert plan.n_frame(31) == 0


@pytest.mark.parametrize("case", [STOKES, OTHER[0]], ids=str)
def test_copies_share_no_state(case):
    plan = case.plan(n_int=25, n_inner=9)
    streams = [case.samples(80, seed) for seed in range(2)]
    expected = [plan.copy().process(x) for x in streams]
    plans, found = (plan, plan.copy()), ([], [])
    step = 6 * case.n_fft + 9
    for first in range(0, streams[0].shape[1], step):
        for mine, parts, x in zip(plans, found, streams, strict=True):
            parts.append(mine.process(x[:, first : first + step]))
    for parts, one in zip(found, expected, strict=True):
        assert np.concatenate(parts).tobytes() == one.tobytes()


def test_copies_in_threads():
    case = STOKES
    plan = case.plan(n_int=3)
    streams = [case.samples(60, seed) for seed in range(8)]
    expected = [plan.copy().process(x) for x in streams]
    found = [None] * 8
    gate = threading.Barrier(8)

    def run(i):
        mine = plan.copy()
        gate.wait()
        parts = [mine.process(part) for part in np.array_split(streams[i], 5, axis=1)]
        found[i] = np.concatenate(parts)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(found, expected, strict=True):
        assert one.tobytes() == other.tobytes()


# Validity.


@some_cases
def test_invalid_samples_do_not_matter(case):
    x = case.samples(20)
    valid = losses(case, x.shape[1])
    clean = blanked(x, valid)
    assert not np.array_equal(x, clean)
    before = x.tobytes()
    plan = case.plan(n_int=2)
    found = plan.process(x, valid=valid)
    assert x.tobytes() == before
    assert plan.copy().process(clean, valid=valid).tobytes() == found.tobytes()
    assert plan.copy().process(clean, valid=valid, zeroed=True).tobytes() == found.tobytes()
    # Taken at its word: nothing is looked at, nothing copied.
    trusted = plan.copy().process(x, valid=valid, zeroed=True)
    assert not np.array_equal(trusted, found)


def test_one_list_serves_two_polarisations():
    case = STOKES
    x = case.samples(20)
    spans = losses(case, x.shape[1])[0]
    plan = case.plan(n_int=2)
    found = plan.process(x, valid=spans)
    other = plan.copy()
    assert other.process(x, valid=[spans, spans.copy()]).tobytes() == found.tobytes()
    assert other.weight.tobytes() == plan.weight.tobytes()
    assert (plan.weight < 1).any()


def test_polarisations_are_lost_apart():
    case = Case(30, False, 2, "AABBCRCI", False, 1)  # every product counts the frames it has
    x = case.samples(4)
    n = x.shape[1]
    plan = case.plan(n_int=4)
    found = plan.process(x, valid=[spans_of((60, n)), spans_of((0, 120), (240, n))])
    assert plan.weight[0, :, 0].tolist() == [0.75, 0.5, 0.25, 0.25]
    assert np.isfinite(found).all()
    plan = case.plan(n_int=2)
    found = plan.process(x, valid=[spans_of((60, n)), spans_of((0, 60))])
    # No frame has both: no number poses as data.
    assert plan.weight[:, :, 0].tolist() == [[0.5, 0.5, 0, 0], [1, 0, 0, 0]]
    assert np.isnan(found).all(axis=2).tolist() == [[False, False, True, True],
                                                    [False, True, True, True]]


@pytest.mark.parametrize("case", [SMALL, OTHER[0]], ids=str)
def test_frames_below_the_least_energy_are_left_out(case):
    x = case.samples(8)
    n = x.shape[1]
    gap = case.n_fft * (case.n_tap // 2 + 3)
    for lost in (1, case.n_fft // 8, case.n_fft // 2):
        valid = [spans_of((0, gap), (gap + lost, n))] * case.n_pol
        for least in (1e-9, 0.5, 0.9, 1):
            plan = case.plan(n_int=8, min_valid=least)
            found = plan.process(x, valid=valid)
            power, weight = twin(case, x, valid, plan, least)
            weight = weight.sum(axis=0)
            np.testing.assert_allclose(plan.weight[0, :, 0], weight / 8, rtol=1e-6)
            expected = power.sum(axis=0)[0] / weight[0]
            np.testing.assert_allclose(found[0, 0], expected, rtol=2e-5)
    assert (plan.weight < 1).all()


def test_lost_samples_do_not_bias_the_mean():
    case = OTHER[0]
    x = case.samples(4000)
    n = x.shape[1]
    starts = np.arange(100, n - 200, 500) + np.random.default_rng(3).integers(0, 100)
    edges = np.stack([starts, starts + 20], axis=1).ravel()
    valid = np.concatenate([[0], edges, [n]]).reshape(-1, 2)
    plan = case.plan(n_int=4000, min_valid=0.5)
    found = plan.process(x, valid=valid)[0, 0]
    assert 0.9 < plan.weight[0, 0, 0] < 0.97
    whole = case.plan(n_int=4000).process(x)[0, 0]
    # Means of 4000 powers, most of them the same; without weights, 4 % would be missing.
    assert abs(found.mean() / whole.mean() - 1) < 2e-3


# Numbers.


@pytest.mark.parametrize("case", FEW, ids=str)
def test_the_lowest_integer_everywhere(case):
    plan = case.plan(n_int=4)
    x = np.full_like(case.samples(4), -128)
    found = plan.process(x)
    valid = [spans_of((0, x.shape[1]))] * case.n_pol
    expected, _ = means(*twin(case, x, valid, plan), 4)
    assert np.isfinite(found).all()
    # Everything is in one channel; rounding of its amplitude is all there is in others.
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


def test_tone_and_level():
    # int8 cosines of amplitude 100 at the centre of a channel: |X|^2 = (50 sum h)^2.
    case = STOKES
    plan = case.plan(n_int=3)
    i = np.arange(case.samples(3).shape[1])
    for channel in (1, 1700, 4094):
        turns = (4095 - channel) * i % case.n_fft / case.n_fft
        x = np.round(100 * np.cos(2 * np.pi * turns)).astype("int8")
        found = plan.copy().process(np.stack([x, -x]))[0]
        expected = 2 * (50 * plan.taps.sum(dtype=float)) ** 2
        assert found[0].argmax() == channel
        # Rounded to integers.
        np.testing.assert_allclose(found[0, channel], expected, rtol=5e-3)
        # B = -A: no Q, U = -I, no V.
        np.testing.assert_allclose(found[1:, channel] / found[0, channel], [0, -1, 0], atol=1e-6)


def test_signs():
    case = STOKES
    x = case.samples(6)
    found = case.plan(n_int=6).process(x)[0]
    for sign_q in (1, -1):
        for sign_v in (1, -1):
            other = case.plan(n_int=6, sign_q=sign_q, sign_v=sign_v).process(x)[0]
            expected = found * np.float32([1, sign_q, 1, sign_v])[:, None]
            np.testing.assert_array_equal(other, expected)


def float_plan(n_chan, **options):
    """A plan for complex64, and voltages of 12 frames."""
    # With 64 channels what an example of the README compiles.
    plan = Spectrometer(n_chan, n_tap=8, layout=Layout("float32", is_complex=True), **options)
    x = np.random.default_rng(1).standard_normal((1, 19 * plan.n_fft, 2)).astype("f4")
    return plan, x.view("c8")[..., 0]


@pytest.mark.parametrize("n_chan", [64, 30])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_floats_spoil_their_frames_only(n_chan, bad):
    plan, x = float_plan(n_chan)
    expected = plan.process(x)
    x[0, 9 * plan.n_fft + 3] = bad
    found = plan.copy().process(x)
    spoilt = (np.arange(12) >= 2) & (np.arange(12) <= 9)
    assert not np.isfinite(found[spoilt]).all(axis=(1, 2)).any()
    assert found[~spoilt].tobytes() == expected[~spoilt].tobytes()
    # Marked invalid it is no data.
    n = x.shape[1]
    at = 9 * plan.n_fft + 3
    plan.reset()
    found = plan.process(x, valid=spans_of((0, at), (at + 1, n)))
    assert np.isfinite(found).all() and (plan.weight[2:10] < 1).any()


@pytest.mark.parametrize("n_chan", [64, 30])
@pytest.mark.parametrize("bad", [np.nan, 1e38])
def test_frames_left_out_leave_nothing(n_chan, bad):
    # As `detect`: a frame of weight 0 gives 0, whatever its samples hold.
    plan, x = float_plan(n_chan, n_int=4, min_valid=1.0)
    gap = spans_of((0, plan.n_fft + 6), (2 * plan.n_fft, 19 * plan.n_fft))
    expected = plan.process(x, valid=gap)
    assert plan.weight[0] == 0.5 and np.isfinite(expected).all()
    x[0, plan.n_fft + 3] = bad  # valid, in two frames that are left out
    np.testing.assert_array_equal(plan.copy().process(x, valid=gap), expected)


# Arguments.


def test_one_polarisation_may_come_without_its_axis():
    x = SMALL.samples(9)
    plan = SMALL.plan(n_int=2)
    assert plan.process(x[0]).tobytes() == plan.copy().process(x).tobytes()


def test_a_larger_out_is_filled_from_its_start():
    case = STOKES
    x = case.samples(20)
    plan = case.plan(n_int=3)
    expected = plan.process(x)
    shape = expected.shape[1:]
    for out in (np.full((9, *shape), 7, "f4"), np.full((9, 4, 2, 4096), 7, "f4")[:, :, 1],
                np.full((9, 4, 8192), 7, "f4")[:, :, ::-2]):
        found = plan.copy().process(x, out=out)
        assert found.shape == expected.shape == (6, *shape) and np.shares_memory(found, out)
        assert found.tobytes() == out[:6].tobytes() == expected.tobytes()
        assert (out[6:] == 7).all()
    out = np.full((1, *shape), 7, "f4")
    assert plan.copy().process(x[:, :5], out=out).shape == (0, *shape) and (out == 7).all()


class Quantity(np.ndarray):
    """An array with a unit."""


def refused_calls(x):
    """Arguments that are refused, the error and its message."""
    n = x.shape[1]
    shape = (2, 4, 4096)
    good = spans_of((0, 5), (7, n))
    frozen = np.zeros(shape, "f4")
    frozen.flags.writeable = False
    yield TypeError, "x: found .*subclass", {"x": x.view(Quantity)}
    yield TypeError, "x: found .*subclass", {"x": np.ma.array(x)}
    yield TypeError, "x: found dtype int16, allowed int8", {"x": x.astype("int16")}
    yield ValueError, "x: found 1 polarisations, allowed 2", {"x": x[:1]}
    yield ValueError, "x: found 3 axes", {"x": x[None]}
    yield TypeError, "valid: found dtype int32", {"valid": good.astype("int32")}
    yield TypeError, "valid: found builtins.list", {"valid": [[(0, 5)], [(0, 5)]]}
    yield ValueError, "valid: found 1 lists of spans, allowed 2", {"valid": [good]}
    yield ValueError, "valid: found", {"valid": np.zeros((2, 3), np.int64)}
    yield ValueError, f"valid: found spans outside 0 to {n}", {"valid": good + 1}
    yield ValueError, f"valid: found spans outside 0 to {n}", {"valid": good - 1}
    # In the second list too, and where the samples would be enough for a spectrum.
    for bad in (spans_of((5, 5)), spans_of((9, 5)), spans_of((0, 9), (5, n)),
                spans_of((7, n), (0, 5))):
        yield ValueError, "found .*(empty span|out of order)", {"valid": [good, bad]}
        yield ValueError, "found .*(empty span|out of order)", {"valid": bad}
    yield ValueError, "out: found shape", {"out": np.zeros((1, 4, 4095), "f4")}
    yield ValueError, "out: found shape", {"out": np.zeros((0, 4, 4096), "f4")}
    yield TypeError, "out: found dtype float64", {"out": np.zeros(shape)}
    yield TypeError, "out: found .*subclass", {"out": np.zeros(shape, "f4").view(Quantity)}
    yield ValueError, "out: found a read-only array", {"out": frozen}


def test_errors_leave_the_state_as_it_was():
    case = STOKES
    x = case.samples(20)
    half = 70_000
    plan = case.plan(n_int=9)
    expected = plan.process(x)
    lengths = range(0, 30 * case.n_fft, 5000)
    for error, message, arguments in refused_calls(x[:, half:]):
        plan = case.plan(n_int=9)
        plan.process(x[:, :half])
        sizes = [plan.n_output(n) for n in lengths]
        with pytest.raises(error, match=message):
            plan.process(**{"x": x[:, half:], **arguments})
        assert [plan.n_output(n) for n in lengths] == sizes
        found = plan.process(x[:, half:])
        assert found.tobytes() == expected.tobytes(), arguments


def test_packed_numbers_have_no_zero():
    layout = Layout("packed", bits=2, levels=(-3, -1, 1, 3))
    plan = Spectrometer(12, n_tap=1, layout=layout)
    x = np.random.default_rng(1).integers(0, 256, (1, 32), "u1")
    expected = plan.process(x)
    plan.reset()
    with pytest.raises(ValueError, match="valid: found lost samples of packed numbers"):
        plan.process(x, valid=spans_of((0, 100)))
    assert plan.process(x).tobytes() == expected.tobytes()


def test_plans_refused():
    for n_chan in (0, 1, 7):
        with pytest.raises(ValueError, match="n_chan: found"):
            Spectrometer(n_chan)
    with pytest.raises(TypeError, match="layout: found str, allowed Layout"):
        Spectrometer(16, layout="int8")
    with pytest.raises(ValueError, match="n_pol: found 3"):
        Spectrometer(16, n_pol=3)
    with pytest.raises(ValueError, match="products: found 'IQUV' for 1"):
        Spectrometer(16, products="IQUV")
    with pytest.raises(ValueError, match="products: found 'IQUV' for a circular basis"):
        Spectrometer(16, products="IQUV", n_pol=2, basis="circular")
    for name in ("n_int", "n_inner"):
        with pytest.raises(ValueError, match=f"{name}: found 0"):
            Spectrometer(16, **{name: 0})
        with pytest.raises(TypeError, match=f"{name}: found float"):
            Spectrometer(16, **{name: 2.0})
    for least in (0, -1, 1.1, np.nan):
        with pytest.raises(ValueError, match="min_valid: found"):
            Spectrometer(16, min_valid=least)
    with pytest.raises(ValueError, match="scale: found 'median', allowed mean, sum"):
        Spectrometer(16, scale="median")
    for sigma in (0, 7, np.nan):
        with pytest.raises(ValueError, match="sigma: found"):
            Spectrometer(16, flag_sigma=sigma)
    for sign in ("sign_q", "sign_v"):
        with pytest.raises(ValueError, match=f"{sign}: found 0"):
            Spectrometer(16, **{sign: 0})
    with pytest.raises(TypeError, match="lower_sideband: found int"):
        Spectrometer(16, lower_sideband=1)
    # A hop of 3 numbers of 4 bits is no whole number of bytes.
    layout = Layout("packed", bits=4, levels=range(16))
    with pytest.raises(ValueError, match="oversample: found a hop of 15 samples, allowed whole"):
        Spectrometer(10, oversample="4/3", layout=layout)


def test_little_is_allocated():
    case = SMALL
    plan = case.plan(n_int=1000)
    x = np.zeros((1, 2**26), "int8")
    out = np.empty((plan.n_output(x.shape[1]), 1, 16), "f4")
    plan.process(x[:, : 2**16])
    plan.reset()
    tracemalloc.start()
    plan.process(x, out=out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Some MB for the tables of 4 MiB of samples, against 64 MiB that were given.
    assert peak < 24e6


# Spectral kurtosis.


def with_tone(case, x):
    """The voltages with a short tone, in one polarisation."""
    i = np.arange(x.shape[1])
    tone = 40 * np.cos(2 * np.pi * 8.3 * i / case.n_fft) * (i // case.n_fft == 17)
    x[1] = np.clip(x[1] + tone, -128, 127)
    return x


def decided(case, x, valid, plan, n_inner, first_frame=0):
    """Sums and weights of one integration of the separate steps, with a keep decision."""
    spectra = spectra_of(case, blanked(x, valid), plan, first_frame)
    energy = energies(case, valid, len(spectra), plan)
    power, weight = detect(spectra, energy, case.products)
    shape = np.ones(case.n_chan)
    correlation = frame_correlation(plan.taps, plan.hop)
    if not case.is_complex:
        shape[-1 if case.lower else 0] = 0.5
    total, total_weight = 0, 0
    for first in range(0, plan.n_int, n_inner):
        part = slice(first, min(first + n_inner, plan.n_int))
        inner, inner_weight = sums_of(power[part], weight[part])
        kept = np.ones(case.n_chan, bool)
        for pol in range(case.n_pol):
            use = energy[part, pol] > 0
            a, e = spectra[part, pol][use], energy[part, pol][use]
            s1, s2 = np.zeros((2, case.n_chan), "f4")
            for frame, factor in zip(a, (1 / e).astype("f4"), strict=True):
                p = factor * (frame.real * frame.real + frame.imag * frame.imag)
                s1, s2 = s1 + p, s2 + p * p
            if use.sum() >= 16:  # the least that thresholds are for
                limits = [kurtosis_thresholds(int(use.sum()), k, 3.0, correlation=correlation)
                          for k in shape.tolist()]
                kept &= keep(kurtosis(s1, s2, int(use.sum()), shape), *np.transpose(limits))
        total = total + inner.astype(float) * kept
        total_weight = total_weight + np.outer(inner_weight, kept)
    return total, total_weight


@pytest.mark.parametrize("case", [STOKES, OTHER[0]], ids=str)
def test_same_decisions_as_the_separate_steps(case):
    x = with_tone(case, case.samples(100))
    valid = losses(case, x.shape[1])
    options = {"n_int": 70, "n_inner": 30, "flag_sigma": 3.0}
    mean, sums = case.plan(**options), case.plan(scale="sum", **options)
    found, found_sums = mean.process(x, valid=valid), sums.process(x, valid=valid)
    assert found.shape == (1, 4, case.n_chan) and found.dtype == np.float32
    assert mean.weight.shape == found.shape and found_sums.dtype == np.float64
    total, weight = decided(case, x, valid, mean, 30)
    # Sums of 30, 30 and 10 frames: the last is always kept.
    assert len(np.unique(np.round(weight[0], 9))) > 1 and (weight > 0).all()
    np.testing.assert_array_equal(found_sums[0], total)
    np.testing.assert_allclose(sums.weight[0], weight, rtol=1e-14)
    np.testing.assert_allclose(mean.weight[0], weight / 70, rtol=1e-7)
    np.testing.assert_allclose(found[0], total / weight, rtol=1e-7)
    pieces, piece_weights = in_pieces(mean.copy(), x, valid, 4)
    np.testing.assert_array_equal(pieces[:1], found)
    np.testing.assert_allclose(piece_weights[:1], mean.weight, rtol=1e-7)
    assert len(pieces) == 2


# Cut to integers: what that adds is a thousandth of the power.
QUANTILES = (20 * stats.norm.ppf((np.arange(2**16) + 0.5) / 2**16)).astype("int8")


def noise(rng, *shape):
    # Equal chances of each entry, in a quarter of the time of Gaussian numbers.
    return QUANTILES[rng.integers(0, 2**16, shape, "u2")]


@pytest.fixture
def seen(monkeypatch):
    """Every kurtosis that plans decide on, by the number of frames."""
    found = {}

    decide = Spectrometer._decide

    def record(self, moments):
        for (s1, s2), n_sum in zip(moments.reshape(-1, 2, self.n_chan), self._inner_count,
                                   strict=True):
            found.setdefault(int(n_sum), []).append(kurtosis(s1, s2, int(n_sum), self._shape))
        return decide(self, moments)

    monkeypatch.setattr(Spectrometer, "_decide", record)
    return found


def test_false_alarms_of_noise(seen):
    plans = {m: STOKES.plan(flag_sigma=3.0, n_int=m, n_inner=m, scale="sum") for m in (128, 256)}
    rng = np.random.default_rng(6)
    weights = {m: [] for m in plans}
    for _ in range(32):
        x = noise(rng, 2, 2**22)
        for m, plan in plans.items():
            plan.process(x)
            weights[m].append(plan.weight[:, 0])
    for m in plans:
        # By polarisation; the lower sideband has channel 0 last.
        sk, kept = np.array(seen[m]).reshape(-1, 2, 4096), np.concatenate(weights[m]) == m
        inner, first = sk[:, :, :-2], sk[:, :, -1]
        correlation = frame_correlation(plans[m].taps, plans[m].hop)
        low, high = kurtosis_thresholds(m, 1, correlation=correlation)
        np.testing.assert_array_equal(kept[:, :-2], keep(inner, low, high).all(axis=1))
        # 1 million decisions for 128 frames, and 1350 expected on either side: 10 % is
        # 3.7 standard errors. The correlation of neighbouring frames moves them by 1 %.
        expected = inner.size * TAIL
        assert expected > 1340 * 128 / m
        assert abs((inner < low).sum() / expected - 1) < 0.1
        assert abs((inner > high).sum() / expected - 1) < 0.1
        # Channel 0 is real: SK would be near 2 there if taken for complex.
        assert abs(first.mean() - 1) < 0.1
        limits = kurtosis_thresholds(m, 0.5, correlation=correlation)
        np.testing.assert_array_equal(kept[:, -1], keep(first, *limits).all(axis=1))


def test_false_alarms_of_channel_0():
    # One channel of many: from single powers, and noise used again with other signs, of
    # which the channel makes independent sums.
    plan = SMALL.plan()
    rng = np.random.default_rng(8)
    signs = np.array([[1]], "int8")
    while len(signs) < 32:
        signs = np.block([[signs, signs], [signs, -signs]])
    m, below, above, n = 64, 0, 0, 0
    low, high = kurtosis_thresholds(m, 0.5)
    for _ in range(3):
        base = noise(rng, 2**18, 32)
        for sign in signs:
            plan.reset()
            power = plan.process((base * sign).reshape(1, -1))[:, 0, 0]
            power = power[: len(power) // m * m].reshape(-1, m)
            s1, s2 = power.sum(axis=1), np.einsum("ij,ij->i", power, power)
            sk = kurtosis(s1, s2, m, 0.5)
            below, above, n = below + (sk < low).sum(), above + (sk > high).sum(), n + sk.size
    # 530 expected on either side.
    assert n > 390_000
    assert abs(below / (n * TAIL) - 1) < 0.1
    assert abs(above / (n * TAIL) - 1) < 0.1


def test_false_alarms_of_an_oversampled_bank(seen):
    # Frames share half of their samples, which spreads their kurtosis: with the limits of
    # independent frames, 3 to 4 times as much would be flagged.
    plan = STOKES.plan(flag_sigma=3.0, n_int=128, oversample=2)
    rng = np.random.default_rng(7)
    for _ in range(3):
        plan.process(noise(rng, 2, 2**23))
    sk = np.array(seen[128])[:, :-2]
    low, high = kurtosis_thresholds(
        128, 1.0, correlation=frame_correlation(plan.taps, plan.hop))
    expected = sk.size * TAIL
    # Approximate to 10 %; and 5 % of statistics.
    assert expected > 500
    assert abs((sk < low).sum() / expected - 1) < 0.25
    assert abs((sk > high).sum() / expected - 1) < 0.25


def test_pulsed_carrier_is_left_out():
    # On for 13 frames of 128, then 30 times as strong as the noise of its channel.
    case = STOKES
    plan = case.plan(flag_sigma=3.0, n_int=256, n_inner=128)
    x = case.samples(256)
    frame, turns = np.divmod(np.arange(x.shape[1]), case.n_fft)
    amplitude = 2 * 20 * np.sqrt(30 / case.n_fft)
    pulses = amplitude * np.cos(2 * np.pi * 1000 * turns / case.n_fft) * (frame % 128 < 13)
    clean = case.plan(n_int=256).process(x)
    x[0] = np.clip(np.round(x[0] + pulses), -128, 127)
    found = plan.process(x)
    channel = 4095 - 1000
    assert (plan.weight[0, :, channel] == 0).all() and np.isnan(found[0, :, channel]).all()
    others = np.abs(np.arange(4096) - channel) > 2
    assert (plan.weight[0][:, others] == 1).mean() > 0.98
    # The mean without it is that of noise.
    np.testing.assert_allclose(np.nanmean(found[0, 0, others]), clean[0, 0, others].mean(),
                               rtol=0.002)


def test_noise_of_unequal_power_is_kept():
    case = STOKES
    plan = case.plan(flag_sigma=3.0, n_int=128)
    rng = np.random.default_rng(4)
    x = noise(rng, 2, 2**23)
    x[1] //= 4
    plan.process(x)
    lost = (plan.weight[:, 0, :-2] == 0).mean()
    # Either polarisation may say no; 32 000 decisions, 170 of them expected.
    assert abs(lost / (1 - (1 - 2 * TAIL) ** 2) - 1) < 0.25
    # What is kept of one product is kept of all.
    assert (plan.weight == plan.weight[:, :1]).all()


def test_short_and_lost_sums_are_not_decided_on():
    case = STOKES
    plan = case.plan(flag_sigma=0.001, n_int=40, n_inner=15)
    x = case.samples(80)
    plan.process(x)
    assert (plan.weight == 1).all()
    # With 16 frames a limit this narrow leaves nothing ...
    plan = case.plan(flag_sigma=0.001, n_int=40, n_inner=16, scale="sum")
    found = plan.process(x)
    # ... but the last 8.
    assert (plan.weight == 8).mean() > 0.97 and (found[:, 0] > 0).all()
    plan = case.plan(flag_sigma=3.0, n_int=40, n_inner=20)
    found = plan.process(x, valid=spans_of())
    assert (plan.weight == 0).all() and np.isnan(found).all()


# Compilation.

COMPILE = """
import gc, os, sys
import numpy as np
from numba.core.dispatcher import Dispatcher
from fastsig_kernels.layout import Layout
from fastsig_kernels.spectrometer import Spectrometer

def versions():
    # Of every compiled function, loaded from a cache or not.
    return {d.py_func.__qualname__: len(d.overloads) for d in gc.get_objects()
            if isinstance(d, Dispatcher)}

def calls(plan, x):
    n = x.shape[1]
    valid = [np.array([[3, n // 2], [n // 2 + 9, n]]), np.array([[0, n - 9]])][: len(x)]
    frozen = x.copy()
    frozen.flags.writeable = False
    plan.process(frozen)
    for view in (x, x[:, :1], x[:, 1:], np.ascontiguousarray(x[:, ::-1])[:, ::-1]):
        plan.process(view)
    plan.process(x, valid=valid)
    plan.process(x, valid=valid[0], zeroed=True)
    last = plan.process(x)
    out = np.empty((2 * len(last) + 4, *last.shape[1:]), last.dtype)
    plan.process(x, out=out)
    plan.process(x, out=out[::2, :, ::-1])
    plan.flush()

rng = np.random.default_rng(1)
wanted = map(int, sys.argv[1:])
one = rng.integers(-50, 50, (1, 2500), "int8")
two, long = (rng.integers(-50, 50, (2, n), "int8") for n in (2500, 100_000))
stokes = {"n_tap": 8, "n_pol": 2, "products": "IQUV", "lower_sideband": True}
pairs = np.repeat(one.astype("f4")[:, :, None], 2, axis=2)
complex_plan = Spectrometer(30, n_tap=4, layout=Layout("float32", is_complex=True))
plans = [
    (Spectrometer(16, n_tap=1), one),
    (Spectrometer(16, n_tap=1, n_int=25, n_inner=7), one),
    (Spectrometer(4096, **stokes), long),
    (Spectrometer(4096, n_int=30, flag_sigma=3.0, **stokes), long),
    (Spectrometer(30, **stokes), two),
    (Spectrometer(30, n_int=35, flag_sigma=3.0, **stokes), two),
    (Spectrometer(30, n_tap=4, layout=Layout("float32")), one.astype("f4")),
    (complex_plan, pairs),
    (complex_plan.copy(), pairs.view("c8")[:, :, 0]),
    (Spectrometer(4096, n_int=30, flag_sigma=3.0, channels=(1000, 2001), **stokes), long),
    (Spectrometer(30, n_int=35, flag_sigma=3.0, channels=(3, 8), **stokes), two),
]
for number in wanted:
    plan, x = plans[number]
    # A process of its own, that has compiled nothing yet.
    child = os.fork()
    if not child:
        plan.compile()
        before = versions()
        calls(plan, x)
        new = [name for name, n in versions().items() if n != before.get(name, 0)]
        print(number, *new, flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("options", [
    {"n_int": 3}, {"n_int": 300, "scale": "sum", "products": "I"}, {"n_int": 4, "products": "I"},
    {"n_int": 70, "n_inner": 30, "flag_sigma": 3.0},
    {"n_int": 1, "products": "voltages"}], ids=["short", "sums", "I", "kurtosis", "voltages"])
@pytest.mark.parametrize("n_chan", [64, 30, 22])
def test_streams_are_as_each_alone(n_chan, options):
    """In pieces, with losses, and channels that alternate in memory."""
    rng = np.random.default_rng(4)
    options = {"n_tap": 4, "n_pol": 2, "products": "IQUV", "n_int": 3,
               "layout": Layout("int8", is_complex=True), **options}
    n = 340 * n_chan + 11
    x = rng.integers(-60, 60, (n, 3, 2, 2), dtype=np.int8).transpose(1, 2, 0, 3)
    valid = [spans_of((0, n // 3), (n // 3 + n_chan // 2, n)), spans_of((5, n))]
    for pol, spans in enumerate(valid):
        x[:, pol, : spans[0, 0]] = 0
        if len(spans) > 1:
            x[:, pol, spans[0, 1] : spans[1, 0]] = 0
    many = Spectrometer(n_chan, n_stream=3, **options)
    n_out = {"I": 1, "IQUV": 4, "voltages": 2}[options["products"]]
    cuts = [0, n // 5, n // 5 + 7, n // 2, n]
    found, weights = [], []
    for first, stop in itertools.pairwise(cuts):
        part = [np.clip(spans, first, stop) - first for spans in valid]
        part = [spans[spans[:, 0] < spans[:, 1]] for spans in part]
        place = np.empty((many.n_output(stop - first), n_out, 3, n_chan), many.out_dtype)
        found.append(many.process(x[:, :, first:stop], valid=part, out=place.swapaxes(1, 2)))
        weights.append(many.weight)
    found.append(many.flush())
    weights.append(many.weight)
    found, weights = np.concatenate(found), np.concatenate(weights)
    for stream in range(3):
        plan = Spectrometer(n_chan, **options)
        alone = [plan.process(np.ascontiguousarray(x[stream]), valid=valid)]
        weight = [plan.weight]
        alone.append(plan.flush())
        weight.append(plan.weight)
        assert found[:, stream].tobytes() == np.concatenate(alone).tobytes()
        own = weights[:, stream] if weights.ndim == 4 else weights
        assert own.tobytes() == np.concatenate(weight).tobytes()
    with pytest.raises(ValueError, match="allowed 3"):
        many.process(x[:2])


@pytest.mark.parametrize("options", [
    {"n_int": 1}, {"n_int": 5}, {"n_int": 300, "n_inner": 20}, {"n_int": 10**6},
    {"n_int": 70, "n_inner": 30, "flag_sigma": 3.0}, {"n_int": 4, "n_stream": 2}], ids=str)
@pytest.mark.parametrize("n_chan", [64, 30])
def test_threads_give_the_same_bits(n_chan, options):
    rng = np.random.default_rng(6)
    options = {"n_tap": 4, "n_pol": 2, "products": "IQUV", **options}
    n = 900 * 2 * n_chan
    x = rng.integers(-60, 60, (options.get("n_stream", 1), 2, n), dtype=np.int8)
    x = x if "n_stream" in options else x[0]
    valid = [spans_of((0, n // 3), (n // 3 + 77, n)), spans_of((9, n))]
    expected = None
    for threads in (1, 2, 3, 7):
        plan = Spectrometer(n_chan, threads=threads, **options)
        assert (plan.memory_bytes > Spectrometer(n_chan, **options).memory_bytes) == (threads > 1)
        found = []
        for first, stop in itertools.pairwise([0, n // 7, n // 7 + 3, n // 2, n]):
            part = [np.clip(spans, first, stop) - first for spans in valid]
            part = [spans[spans[:, 0] < spans[:, 1]] for spans in part]
            found += [plan.process(x[..., first:stop], valid=part).tobytes(),
                      plan.weight.tobytes()]
        found += [plan.flush().tobytes(), plan.weight.tobytes()]
        expected = expected or found
        assert found == expected, threads


def test_nothing_is_compiled_after_compile():
    environment = dict(os.environ, PYTHONPATH=str(Path(fastsig_kernels.__file__).parents[1]))
    # Those left out differ from others in the length of sums, or have all channels; or they are
    # Stokes parameters without kurtosis.
    numbers = [str(number) for number in many((1, 6, 7, 8, 9, 10), range(11))]
    result = subprocess.run([sys.executable, "-W", "error", "-c", COMPILE, *numbers],
                            env=environment, capture_output=True, text=True, timeout=250)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == numbers
