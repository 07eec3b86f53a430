"""Energy of frames on valid samples, and spans."""

import numpy as np
import pytest
from fastsig_kernels import (
    cumulative_energy,
    frame_energy,
    frame_energy_nb,
    intersect_spans,
    intersect_spans_nb,
    prototype,
    reference,
)
from hypothesis import given, settings
from hypothesis import strategies as st

N_FFT, N_TAP = 16, 4
LENGTH = N_FFT * N_TAP
TAPS = prototype(N_FFT, N_TAP).astype("float32")
CUMULATIVE = cumulative_energy(TAPS)


def spans_of(*pairs):
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def energy(spans, start, n_frame):
    return frame_energy(spans, start, n_frame, CUMULATIVE, N_FFT)


@st.composite
def span_lists(draw):
    edges = draw(st.lists(st.integers(-100, 400), unique=True, max_size=24).map(sorted))
    return spans_of(*zip(edges[::2], edges[1::2], strict=False))


def clipped(spans, first, stop):
    return intersect_spans(spans, spans_of((first, stop)))


@given(span_lists(), st.integers(-120, 200))
@settings(deadline=None)
def test_twin(spans, start):
    found = energy(spans, start, 12)
    expected = reference.frame_energy(spans, start, 12, TAPS, N_FFT)
    # Differences of prefix sums near 1: an absolute error, one rounding a gap.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
    assert ((found >= 0) & (found <= 1)).all()


@given(span_lists(), st.integers(-8, 8), st.integers(1, 6), st.integers(0, 40))
@settings(deadline=None)
def test_bits_do_not_depend_on_the_block(spans, first, n_frame, margin):
    whole = energy(spans, -8 * N_FFT, 30)
    start = first * N_FFT
    part = clipped(spans, start - margin, start + (n_frame - 1) * N_FFT + LENGTH + margin)
    expected = whole[first + 8 : first + 8 + n_frame].tobytes()
    assert energy(spans, start, n_frame).tobytes() == expected
    assert energy(part, start, n_frame).tobytes() == expected


@given(span_lists())
@settings(deadline=None)
def test_bits_do_not_depend_on_where_touching_spans_are_cut(spans):
    cut = [(n, n + 1) for first, stop in spans for n in range(first, stop)]
    assert energy(spans, 0, 20).tobytes() == energy(spans_of(*cut), 0, 20).tobytes()


def test_bits_do_not_depend_on_the_absolute_sample():
    spans = spans_of((0, 30), (41, 77), (80, 200))
    near = energy(spans, 0, 9)
    far = energy(spans + 10**15, 10**15, 9)
    assert near.tobytes() == far.tobytes()


def test_whole_and_lost_frames_are_exact():
    spans = spans_of((0, 160), (400, 900))
    found = energy(spans, -320, 80)
    starts = -320 + N_FFT * np.arange(80)
    whole = (starts >= 0) & (starts + LENGTH <= 160)
    whole |= (starts >= 400) & (starts + LENGTH <= 900)
    lost = (starts + LENGTH <= 0) | ((starts >= 160) & (starts + LENGTH <= 400)) | (starts >= 900)
    np.testing.assert_array_equal(found == 1, whole)
    np.testing.assert_array_equal(found == 0, lost)
    np.testing.assert_array_equal(energy(spans_of(), 0, 5), np.zeros(5))
    everything = spans_of((-(2**63), 2**63 - 1))
    np.testing.assert_array_equal(energy(everything, -(2**61), 5), np.ones(5))
    np.testing.assert_array_equal(energy(everything, 2**62, 5), np.ones(5))


def test_one_lost_sample():
    for n in range(LENGTH):
        parts = [pair for pair in ((0, n), (n + 1, LENGTH)) if pair[0] < pair[1]]
        expected = 1 - TAPS.ravel()[n].astype(float) ** 2 / CUMULATIVE[-1]
        assert abs(energy(spans_of(*parts), 0, 1)[0] - expected) < 1e-15


def test_cumulative():
    assert CUMULATIVE.shape == (LENGTH + 1,) and CUMULATIVE[0] == 0
    np.testing.assert_allclose(np.diff(CUMULATIVE), TAPS.ravel().astype(float) ** 2, atol=1e-15)
    with pytest.raises(ValueError, match="energy"):
        cumulative_energy(np.zeros((2, 2)))
    with pytest.raises(TypeError, match="taps"):
        cumulative_energy(np.ma.ones((2, 2)))


def test_python_function_and_out():
    spans = spans_of((3, 50), (60, 61), (64, 300))
    expected = energy(spans, -20, 15)
    out = np.full((15, 2), np.nan)[:, 0]
    assert frame_energy(spans, -20, 15, CUMULATIVE, N_FFT, out=out) is out
    again = np.empty(15)
    frame_energy_nb.py_func(spans, -20, CUMULATIVE, N_FFT, again)
    assert out.tobytes() == again.tobytes() == expected.tobytes()
    assert energy(spans, 0, 0).shape == (0,)


@given(span_lists(), span_lists())
@settings(deadline=None)
def test_intersection(a, b):
    found = intersect_spans(a, b)
    np.testing.assert_array_equal(found, reference.intersect_spans(a, b))
    np.testing.assert_array_equal(found, intersect_spans(b, a))
    out = np.empty((len(a) + len(b), 2), dtype=np.int64)
    n = intersect_spans_nb.py_func(a, b, out)
    np.testing.assert_array_equal(out[:n], found)


def test_refused():
    good = spans_of((0, 5), (5, 9))
    intersect_spans(good, good[::1])
    for bad in ((0, 5), (4, 9)), ((0, 0),), ((5, 2),), ((7, 9), (0, 3)):
        with pytest.raises(ValueError, match="b: found"):
            intersect_spans(good, spans_of(*bad))
        with pytest.raises(ValueError, match="spans: found"):
            energy(spans_of(*bad), 0, 1)
    with pytest.raises(TypeError, match="spans: found dtype int32"):
        energy(good.astype("int32"), 0, 1)
    with pytest.raises(TypeError, match="spans: found .*allowed numpy.ndarray"):
        energy([(0, 5)], 0, 1)
    with pytest.raises(ValueError, match="spans: found shape"):
        energy(np.zeros((2, 3), dtype=np.int64), 0, 1)
    with pytest.raises(ValueError, match="n_frame"):
        energy(good, 0, -1)
    with pytest.raises(TypeError, match="start"):
        energy(good, 0.0, 1)
    with pytest.raises(ValueError, match="start"):
        energy(good, 2**63 - 64, 1)
    with pytest.raises(ValueError, match="hop: found 0"):
        frame_energy(good, 0, 1, CUMULATIVE, 0)
    with pytest.raises(ValueError, match="taps_cumulative"):
        frame_energy(good, 0, 1, np.zeros(5), 4)
    with pytest.raises(ValueError, match="out: found shape"):
        frame_energy(good, 0, 1, CUMULATIVE, N_FFT, out=np.zeros(2))
