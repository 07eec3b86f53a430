"""The fast dispersion measure transform against sums channel by channel, and the exact delays."""

import tracemalloc
from functools import partial

import numpy as np
import pytest
from fastsig_kernels import FDMT, _fdmt_program
from fastsig_kernels._fdmt_channels import ChannelRows
from fastsig_kernels._fdmt_cut import CutRows
from fastsig_kernels._meeting import Meeting, meet_nb
from fastsig_kernels._team import Crew
from thorough import thorough

DTYPES = ["uint8", "int8", "uint16", "int16", "float32"]


def curve_of(n_chan, low=1000.0, high=1500.0):
    """Delays of channels of ascending frequency, relative to that from the first to the last."""
    f = low + (np.arange(n_chan) + 0.5) * (high - low) / n_chan
    return (f**-2 - f[-1]**-2) / (f[0]**-2 - f[-1]**-2) if n_chan > 1 else np.ones(1)


def spectra(n_time, n_chan, dtype="uint8", seed=1):
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return rng.standard_normal((n_time, n_chan), dtype="f4")
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, (n_time, n_chan), dtype, endpoint=True)


def sums(plan, x, valid=None):
    """The same sums and weights, channel by channel in float64."""
    valid = np.ones(x.shape, bool) if valid is None else valid
    valid = valid & ~plan._left_out
    x, delays = np.where(valid, x, 0).astype(float), plan.channel_delays()
    out, weight = np.zeros((2, plan.n_delay, len(x)))
    for d, row in enumerate(delays):
        for c, n in enumerate(row):
            if 0 <= n < len(x):
                out[d, n:] += x[: len(x) - n, c]
                weight[d, n:] += valid[: len(x) - n, c]
    return out, weight


def in_pieces(plan, x, cuts, valid=None):
    """Process a stream in pieces of the plan's order; return sums and weights."""
    made = []
    for start, stop in zip([0, *cuts], [*cuts, len(x)], strict=True):
        parts = [None if each is None else each[start:stop] for each in (x, valid)]
        if not plan._by_time:
            parts = [None if part is None else np.ascontiguousarray(part.T) for part in parts]
        made.append((plan.process(parts[0], valid=parts[1]), plan.weight))
    return tuple(np.concatenate(each, axis=1) for each in zip(*made, strict=True))


@pytest.mark.parametrize("longest", [0.0, 0.6, 2.0])
@pytest.mark.parametrize("track", ["sample", "exact"])
def test_halves_of_the_band_that_need_nothing_of_the_past(track, longest):
    """With many channels and delays of up to a sample, over several runs of samples."""
    delays = np.unique([0.0, longest])
    plan = FDMT(curve_of(1100)[::-1].copy(), delays, dtype="uint8", track=track)
    x = spectra(4500, 1100)
    found, _ = in_pieces(plan, x, [341, 2000])
    np.testing.assert_array_equal(found, sums(plan, x)[0])


@pytest.mark.parametrize("order", ["time", "channel"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_chan", [1, 2, 3, 17, 100, pytest.param(300, marks=thorough)])
def test_twin(n_chan, dtype, order):
    plan = FDMT(curve_of(n_chan)[::-1].copy(), np.arange(30.0), dtype=dtype, order=order)
    x = spectra(2300, n_chan, dtype)
    found, weight = in_pieces(plan, x, [1, 8, 100, 1124, 1125])
    expected, counts = sums(plan, x)
    if dtype == "float32":
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * n_chan)
    else:
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(weight, counts)


@pytest.mark.parametrize("n_chan", [513, 1000, 2050])
def test_above_the_cut(n_chan):
    # Several levels of float32, over several blocks.
    plan = FDMT(curve_of(n_chan), np.arange(3.0, 300.0, 1.5))
    x = spectra(6000, n_chan)
    found, weight = in_pieces(plan, x, [700, 4000, 4001])
    rows = np.array([0, 57, 197])
    delays = plan.channel_delays(rows)
    for row, each in zip(rows, delays, strict=True):
        expected = np.zeros(6000)
        for c, n in enumerate(each):
            expected[n:] += x[: 6000 - n, c]
        np.testing.assert_array_equal(found[row], expected)
    assert (weight[:, 400:] == n_chan).all() and (weight[-1, :100] < n_chan).all()


@pytest.mark.parametrize("order", [1, -1])
def test_rows_above_the_cut_that_serve_most_delays(order):
    """At high frequencies of a wide band, which rows of the root shift by very different delays."""
    plan = FDMT(curve_of(1100, 100.0, 10000.0)[::order].copy(), np.arange(0, 900.0, 7))
    first = min((each.node for each in plan._root.terms), key=lambda each: each.n_row)
    assert first.n_row < 8 and plan.n_delay > 2 * 64
    x = spectra(2600, 1100)
    found, _ = in_pieces(plan, x, [700, 1724, 1730])
    for row in (0, 60, 128):
        expected = np.zeros(2600)
        for c, n in enumerate(plan.channel_delays(np.array([row]))[0]):
            expected[n:] += x[: 2600 - n, c]
        np.testing.assert_array_equal(found[row], expected)


@pytest.mark.parametrize("n_chan", [600, 1100])
def test_weights_above_the_cut(n_chan):
    plan = FDMT(curve_of(n_chan), np.arange(0, 60.0, 20))
    x = spectra(5000, n_chan)
    valid = np.random.default_rng(6).random(x.shape) > 0.1
    found, weight = in_pieces(plan, x, [300, 4500], valid)
    expected, counts = sums(plan, x, valid)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(weight, counts)


@pytest.mark.parametrize("n_chan", [600, 1200, 2100])
def test_delay_of_zero_above_the_cut(n_chan):
    # Levels are added one or two at a time.
    plan = FDMT(curve_of(n_chan), np.zeros(1))
    x = spectra(7000, n_chan)
    found, weight = in_pieces(plan, x, [5200])
    np.testing.assert_array_equal(found[0], x.sum(axis=1, dtype=float))
    assert (weight == n_chan).all()


@pytest.mark.parametrize(("track", "most", "rms"), [("sample", 1.8, 0.44), ("half", 1.5, 0.39)])
def test_tracks_follow_the_exact_delays(track, most, rms):
    curve, delays = curve_of(4096), np.arange(2048.0)
    plan = FDMT(curve, delays, track=track)
    found = plan.channel_delays()
    exact = delays[:, np.newaxis] * (curve.max() - curve)
    error = found - exact
    middle = (error.max(axis=1, keepdims=True) + error.min(axis=1, keepdims=True)) / 2
    assert np.abs(error - middle).max() <= most
    assert np.sqrt(((error - error.mean(axis=1, keepdims=True))**2).mean()) <= rms
    np.testing.assert_allclose(plan.jitter, error.std(axis=1), rtol=1e-9, atol=1e-9)
    # The constant itself is small, so that times are right.
    assert np.abs(middle).max() < 1
    assert plan.n_addition < (40_000 if track == "sample" else 67_000)


@pytest.mark.parametrize("mask", [None, [0, 5, 6, 63]])
def test_exact_tracks_are_the_nearest_samples(mask):
    curve, delays = curve_of(64), np.array([0, 7.3, 40, 41, 300])
    left_out = None if mask is None else np.isin(np.arange(64), mask)
    plan = FDMT(curve, delays, track="exact", mask=left_out)
    there = np.ones(64, bool) if left_out is None else ~left_out
    n = np.rint(delays[:, np.newaxis] * curve[there])
    np.testing.assert_array_equal(plan.channel_delays()[:, there], n.max(axis=1)[:, None] - n)
    np.testing.assert_allclose(plan.jitter, (n - delays[:, np.newaxis] * curve[there]).std(axis=1))
    x = spectra(1200, 64)
    found, weight = in_pieces(plan, x, [500, 501])
    expected, counts = sums(plan, x)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(weight, counts)
    # Fewer additions than one for each channel and delay: delays share what they can.
    assert plan.n_addition < 5 * 63


def test_delays_state_the_time_of_a_pulse():
    curve = curve_of(256)
    plan = FDMT(curve, np.array([0.0, 40, 80, 120]), dtype="float32")
    x = np.zeros((600, 256), "f4")
    n = np.rint(200 + 80 * curve).astype(int)
    x[n, np.arange(256)] = 1
    found = plan.process(x)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert row == 2 and abs(column - plan.delays[2] - 200) <= 0.5
    assert found[row, column - 2 : column + 3].sum() == 256


def test_forty_random_splits():
    curve, rng = curve_of(96), np.random.default_rng(4)
    x, valid = spectra(3000, 96, "float32"), rng.random((3000, 96)) > 0.1
    valid[1000:2000] = True
    delays = np.arange(0, 64.0)
    expected = in_pieces(FDMT(curve, delays, dtype="float32"), x, [], valid)
    for _ in range(40):
        cuts = np.sort(rng.choice(3001, rng.integers(1, 12)))
        found = in_pieces(FDMT(curve, delays, dtype="float32"), x, cuts.tolist(), valid)
        for one, other in zip(found, expected, strict=True):
            assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("order", ["time", "channel"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_chan", [17, 40, 300, 1100])
def test_channels_that_keep_the_past(n_chan, dtype, order, monkeypatch):
    """As where there are many delays: the bits of sums and weights are those of rows that keep it.

    With gaps within a block, at the edges of blocks, longer than these, and channel by channel.
    """
    options = {"dtype": dtype, "order": order, "threads": 2 if n_chan == 300 else 1}
    rng = np.random.default_rng(7)
    mask = rng.random(n_chan) < 0.1
    delays = np.unique(np.rint(np.linspace(0, 900, 150)))
    x, valid = spectra(9000, n_chan, dtype), np.ones((9000, n_chan), bool)
    valid[700:720] = valid[2047:2050] = valid[4000:6500] = False
    valid[1000:3000, n_chan // 3 : n_chan // 2] = False
    valid[6600:] &= rng.random((2400, n_chan)) < 0.9
    made = []
    for way in (CutRows, ChannelRows):
        monkeypatch.setattr(_fdmt_program, "_below", way)
        plan = FDMT(curve_of(n_chan), delays, mask=mask, **options)
        assert plan._transform()._program.by_channel == (way is ChannelRows)
        made.append(in_pieces(plan, x, [1, 300, 2348, 2350, 5000], valid))
        plan.reset()
        again = in_pieces(plan, x[:3000], [2048], valid[:3000])
        for one, other in zip(again, made[-1], strict=True):
            assert one.tobytes() == other[:, :3000].tobytes()
    for one, other in zip(*made, strict=True):
        assert one.tobytes() == other.tobytes()
    if n_chan == 40:
        expected, counts = sums(plan, x, valid)
        np.testing.assert_allclose(made[1][0], expected, rtol=1e-5, atol=1e-4)
        np.testing.assert_array_equal(made[1][1], counts)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_give_the_same_bits(threads):
    curve, delays = curve_of(1100), np.arange(500.0)
    x, valid = spectra(3000, 1100), np.ones((3000, 1100), bool)
    valid[1000:1010] = False
    plans = FDMT(curve, delays), FDMT(curve, delays, threads=threads)
    one, many = (in_pieces(plan, x, [1500, 1501], valid) for plan in plans)
    for expected, found in zip(one, many, strict=True):
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("order", ["time", "channel"])
def test_lost_samples_and_masked_channels(order):
    rng = np.random.default_rng(5)
    mask = rng.random(90) < 0.3
    mask[:2] = mask[-5:] = True
    plan = FDMT(curve_of(90), np.arange(40.0), order=order, mask=mask)
    x, valid = spectra(1500, 90), np.ones((1500, 90), bool)
    valid[300:340, 10:60] = False
    valid[1200:1201] = False
    valid[5, 0] = False  # a channel that is left out anyway
    found, weight = in_pieces(plan, x, [100, 330, 700, 1100], valid)
    expected, counts = sums(plan, x, valid)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(weight, counts)
    assert (plan.channel_delays()[:, mask] == -1).all()
    assert found.max() > 0 and weight.max() == 90 - mask.sum()


def test_weights_take_no_time_where_all_is_valid():
    plan = FDMT(curve_of(64), np.arange(20.0))
    x = spectra(500, 64)
    plan.process(x)
    assert plan.weight.strides[0] > 0
    valid = np.ones(x.shape, bool)
    plan.process(x, valid=valid)
    assert plan.weight.strides == (0, 0) and (plan.weight == 64).all()
    valid[495, 60] = False
    plan.process(x, valid=valid)
    plan.process(x)  # rows still reach the lost sample
    assert (plan.weight[:, :19] == 63).any() and (plan.weight[:, 40:] == 64).all()
    plan.process(x)
    assert plan.weight.strides == (0, 0)


def test_weights_are_where_they_are_wanted():
    plan, other = FDMT(curve_of(64), np.arange(20.0)), FDMT(curve_of(64), np.arange(20.0))
    x, valid = spectra(500, 64), np.random.default_rng(1).random((500, 64)) < 0.9
    out, weight = np.zeros((2, 20, 600), np.float32)
    plan.process(x, valid=valid, out=out[:, 50:550], out_weight=weight[:, 50:550])
    np.testing.assert_array_equal(out[:, 50:550], other.process(x, valid=valid))
    np.testing.assert_array_equal(weight[:, 50:550], other.weight)
    assert np.shares_memory(plan.weight, weight) and not weight[:, :50].any()
    with pytest.raises(ValueError, match="out_weight: "):
        plan.process(x, out=out[:, :500], out_weight=out[:, 50:550])
    with pytest.raises(ValueError, match="out_weight: found strides"):
        plan.process(x, out_weight=np.zeros((500, 20), "f4").T)


def test_plans_with_one_work_space():
    """In turns: the sums and weights are those of plans of their own, in less memory."""
    curve, x = curve_of(1100), spectra(9000, 1100, "int8")
    valid = np.random.default_rng(1).random(x.shape) < 0.9
    sets = np.arange(0, 3000.0, 8), np.arange(3000.0, 4000, 8)
    alone, together = ([FDMT(curve, each, dtype="int8") for each in sets] for _ in range(2))
    for plan in alone:
        plan.prepare()
    together[0].prepare()
    together[1].prepare(together[0])
    assert sum(each.memory_bytes for each in together) < 0.95 * sum(
        each.memory_bytes for each in alone)
    stated = [plan.memory_bytes for plan in together]
    for start in range(0, 9000, 3000):
        part = slice(start, start + 3000)
        for one, other in zip(alone, together, strict=True):
            found, expected = (plan.process(x[part], valid=valid[part]) for plan in (other, one))
            assert found.tobytes() == expected.tobytes()
            assert one.weight.tobytes() == other.weight.tobytes()
    assert [plan.memory_bytes for plan in together] == stated
    again = together[1].copy().process(x[:3000], valid=valid[:3000])
    together[1].prepare()
    assert again.tobytes() == together[1].process(x[:3000], valid=valid[:3000]).tobytes()


def test_sparse_delays_take_fewer_additions():
    curve = curve_of(1024)
    many, few = FDMT(curve, np.arange(1000.0)), FDMT(curve, np.arange(0, 1000.0, 50))
    assert few.n_addition < 0.6 * many.n_addition
    x = spectra(1500, 1024)
    rows = np.arange(0, 1000, 50)
    same = (many.channel_delays(rows) == few.channel_delays()).all(axis=1)
    assert same.all()
    np.testing.assert_array_equal(many.process(x)[rows], few.process(x))


def test_reset_and_copies_begin_anew():
    plan = FDMT(curve_of(32), np.arange(10.0))
    x = spectra(100, 32)
    expected = plan.process(x)
    other = plan.copy()
    plan.reset()
    for each in (plan, other):
        np.testing.assert_array_equal(each.process(x), expected)


def test_nan_and_strides():
    plan = FDMT(curve_of(20), np.arange(8.0), dtype="float32")
    x = spectra(200, 20, "float32")
    expected = plan.copy().process(x)
    spread = np.zeros((400, 60), "f4")[::2, ::3]
    spread[:] = x
    np.testing.assert_array_equal(plan.copy().process(spread), expected)
    x[100, 7] = np.nan
    found = plan.copy().process(x)
    # One sum of each delay.
    assert (np.isnan(found).sum(axis=1) == 1).all()
    valid = ~np.isnan(x)
    assert np.isfinite(plan.process(x, valid=valid)).all()
    assert (plan.weight[:, 10:] == 19).sum(axis=1).tolist() == [1] * 8


def test_given_out_nothing_large_is_allocated():
    plan = FDMT(curve_of(64), np.arange(32.0))
    x = spectra(5000, 64)
    plan.process(x)
    out = plan.process(x)
    tracemalloc.start()
    plan.process(x, out=out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000


def test_memory_of_a_large_plan():
    # What rows keep of the past is half of it: a few bytes for half the square of the delays.
    plan = FDMT(curve_of(4096), np.arange(2048.0))
    assert plan.memory_bytes < 20e6


@pytest.mark.parametrize(("n_chan", "delays", "by_channel"), [
    (4096, np.arange(0.0, 16000, 4), True), (4096, np.arange(1000.0), False),
    (4096, np.array([0.0, 16000]), False), (2, np.arange(0.0, 16000, 4), False)])
def test_what_keeps_the_past_takes_less_memory(n_chan, delays, by_channel, monkeypatch):
    curve = curve_of(n_chan)
    plan = FDMT(curve, delays, dtype="int8")
    assert plan._transform()._program.by_channel == by_channel
    if n_chan > 2:
        monkeypatch.setattr(_fdmt_program, "_below", CutRows if by_channel else ChannelRows)
        assert plan.memory_bytes < FDMT(curve, delays, dtype="int8").memory_bytes


def test_refused():
    curve, delays = curve_of(8), np.arange(4.0)
    for wrong, match in [({"curve": curve.astype("f4")}, "curve: found dtype"),
                         ({"curve": curve * 0}, "curve: found neighbours"),
                         ({"curve": curve[:0]}, "curve: found no numbers"),
                         ({"curve": curve * np.nan}, "curve: found no numbers"),
                         ({"delays": -delays}, "delays: found values below 0"),
                         ({"delays": delays[::-1]}, "delays: found values below 0"),
                         ({"delays": delays - 1}, "delays: found values below 0"),
                         ({"delays": delays + np.inf}, "delays: found no numbers"),
                         ({"delays": delays * 1e300}, "delays: found 3e\\+300 samples"),
                         ({"delays": delays + 2.0**32}, "delays: found 4.29497e\\+09 samples"),
                         ({"curve": curve * 1e308}, "delays: found inf samples"),
                         ({"delays": delays.tolist()}, "delays: found builtins.list"),
                         ({"dtype": "float64"}, "dtype: found 'float64', allowed uint8"),
                         ({"order": "f"}, "order: found 'f', allowed time, channel"),
                         ({"track": "third"}, "track: found 'third'"),
                         ({"mask": np.ones(8, bool)}, "mask: found all channels"),
                         ({"mask": np.zeros(7, bool)}, "mask: found shape"),
                         ({"mask": np.zeros(8)}, "mask: found dtype")]:
        with pytest.raises((TypeError, ValueError), match=match):
            FDMT(**{"curve": curve, "delays": delays, **wrong})
    plan, x = FDMT(curve, delays), spectra(10, 8)
    for wrong, match in [({"x": x[:, :7]}, "x: found shape"), ({"x": x.astype("i1")}, "x: found"),
                         ({"x": x[0]}, "x: found 1 axes"),
                         ({"valid": x}, "valid: found dtype"),
                         ({"valid": np.ones((9, 8), bool)}, "valid: found shape"),
                         ({"out": np.zeros((4, 9), "f4")}, "out: found shape"),
                         ({"out": np.zeros((10, 4), "f4").T}, "out: found strides")]:
        with pytest.raises((TypeError, ValueError), match=match):
            plan.process(**{"x": x, **wrong})
    with pytest.raises(ValueError, match="rows: found rows outside 0 to 3"):
        plan.channel_delays(np.array([4]))


def test_a_thread_that_fails_lets_the_others_go():
    def fail():
        raise MemoryError("no tables")

    for order in (1, -1):
        meeting = Meeting()
        with pytest.raises(MemoryError, match="no tables"):
            Crew(2).run([fail, partial(meet_nb, meeting.place, 2, 0)][::order], meeting.stop)
    assert meet_nb(Meeting().place, 1, 0) == 1
