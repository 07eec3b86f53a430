"""Dispersed pulses: where they are found, with what S/N, and what a stream promises."""

import fastsig_kernels as fk
import numpy as np
import pytest

N_CHAN, N_TIME = 48, 9000
LADDER = fk.boxcar_ladder(0.05, 100)
OPTIONS = {"segment": 2048, "n_segment": 3, "threshold": 6.5}
DELAYS = np.arange(0.0, 90.0)


def curve_of(n_chan=N_CHAN):
    """Delays relative to the highest frequency, which is the last channel."""
    if n_chan == 1:
        return np.ones(1)
    f = 1000 + (np.arange(n_chan) + 0.5) * 500 / n_chan
    return (f**-2 - f[-1]**-2) / (f[0]**-2 - f[-1]**-2)


def spectra(pulses, n_chan=N_CHAN, n_time=N_TIME, seed=1):
    """Normalised noise with pulses: delay, time, width and S/N of each."""
    x = 16 * np.random.default_rng(seed).standard_normal((n_time, n_chan))
    for delay, time, width, snr in pulses:
        for c, lag in enumerate(np.rint(delay * curve_of(n_chan)).astype(int)):
            there = slice(max(0, time + lag), max(0, time + lag + width))
            x[there, c] += 16 * snr / np.sqrt(width * n_chan)
    return np.clip(np.rint(x), -127, 127).astype("i1")


def events(plan, x, valid=None, cuts=()):
    found = []
    for start, stop in zip([0, *cuts], [*cuts, len(x)], strict=True):
        some = [None if each is None else each[start:stop] for each in (x, valid)]
        if not plan._by_time:
            some = [None if each is None else np.ascontiguousarray(each.T) for each in some]
        found.append(plan.process(some[0], valid=some[1]))
    return np.concatenate([*found, plan.finish()])


def best_of(found, start=-1000, stop=10**6):
    some = found[(found["time"] >= start) & (found["time"] < stop)]
    return some[np.argmax(some["snr"])]


def test_pulses_are_found_where_they_are():
    """Row of the delay, first sample at the highest frequency, width and S/N."""
    pulses = [(0, 1000, 3, 20), (33, 3000, 20, 15), (80, 6000, 64, 25)]
    found = events(fk.PulseSearch(curve_of(), DELAYS, LADDER, **OPTIONS), spectra(pulses))
    for delay, time, width, snr in pulses:
        best = best_of(found, time - 100, time + 200)
        assert abs(best["row"] - delay) <= max(2, width // 4), delay
        assert abs(best["time"] - time) <= 2 + width // 4
        assert 0.6 < best["width"] / width < 1.6 and 0.9 < best["snr"] / snr < 1.15
        assert best["weight"] == 1


@pytest.mark.parametrize("masked", [False, True])
def test_events_are_those_of_boxcars_of_the_transform(masked):
    x = spectra([(40, 4000, 20, 15)])
    valid = np.random.default_rng(3).random(x.shape) < 0.8 if masked else None
    plan = fk.PulseSearch(curve_of(), DELAYS, LADDER, **{**OPTIONS, "threshold": 5.0})
    found = events(plan, x, valid)
    transform = fk.FDMT(curve_of(), DELAYS, dtype="int8")
    rest = transform.history, N_CHAN
    nothing = np.zeros(rest, "i1"), np.zeros(rest, bool)
    use = np.ones(x.shape, bool) if valid is None else valid
    sums = transform.process(np.concatenate([x, nothing[0]]),
                             valid=np.concatenate([use, nothing[1]]))
    boxcars = fk.Boxcars(len(DELAYS), LADDER, noise=16 * np.sqrt(N_CHAN),
                         **{**OPTIONS, "threshold": 5.0})
    other = np.concatenate([
        boxcars.process(sums, weight=transform.weight * np.float32(1 / N_CHAN)), boxcars.finish()])
    other["time"] -= np.rint(transform.delays).astype(int)[other["row"]]
    assert len(found) > 20
    np.testing.assert_array_equal(np.sort(found), np.sort(other))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("order", ["time", "channel"])
def test_events_do_not_depend_on_splits_and_threads(masked, order):
    x = spectra([(40, 4000, 20, 15)])
    valid = None
    if masked:
        valid = np.random.default_rng(3).random(x.shape) < 0.9
        valid[5000:5300] = False
    options = {**OPTIONS, "threshold": 4.5, "order": order}
    expected = events(fk.PulseSearch(curve_of(), DELAYS, LADDER, **options), x, valid)
    for cuts in ([1, 2048, 2049], [3000], list(range(500, N_TIME, 500))):
        plan = fk.PulseSearch(curve_of(), DELAYS, LADDER, **options, threads=2)
        np.testing.assert_array_equal(events(plan, x, valid, cuts), expected)
    assert len(expected) > 50


@pytest.mark.parametrize("masked", [False, True])
def test_parts_are_searched_as_if_each_had_a_plan(masked):
    """With gaps within blocks and across them, the beginning and the end: the same events."""
    x = spectra([(40, 4000, 20, 15), (5, 200, 20, 15), (85, 8800, 20, 20)], n_time=30000)
    valid = None
    if masked:
        valid = np.random.default_rng(3).random(x.shape) < 0.95
        valid[1000:] = True
        valid[5000:5300] = valid[8000:8300] = valid[20000:20030, 10:20] = False
    options = {**OPTIONS, "threshold": 4.0}
    delays = np.concatenate([np.arange(0.0, 70), np.arange(700.0, 900, 5)])
    whole = fk.PulseSearch(curve_of(), delays, LADDER, parts=[70, 40], **options)
    found = events(whole, x, valid, [3000, 9000])
    first, second = (events(fk.PulseSearch(curve_of(), each, LADDER, **options), x, valid)
                     for each in (delays[:70], delays[70:]))
    second["row"] += 70
    assert len(first) > 50 and len(second) > 20
    np.testing.assert_array_equal(np.sort(found), np.sort(np.concatenate([first, second])))
    with pytest.raises(ValueError, match="parts: found 100 rows, allowed 110"):
        fk.PulseSearch(curve_of(), delays, LADDER, parts=[60, 40])


def test_searches_with_one_work_space():
    x = spectra([(40, 4000, 20, 15)])
    made = [fk.PulseSearch(curve_of(), each, LADDER, **OPTIONS)
            for each in (DELAYS, DELAYS[::2].copy())]
    expected = [events(each, x) for each in made]
    made[0].prepare()
    made[1].prepare(made[0])
    stated = sum(each.memory_bytes for each in made)
    found = [[each.process(x[start : start + 1000]) for each in made]
             for start in range(0, N_TIME, 1000)]
    assert sum(each.memory_bytes for each in made) < 1.01 * stated
    for k, wanted in enumerate(expected):
        np.testing.assert_array_equal(
            np.concatenate([*(each[k] for each in found), made[k].finish()]), wanted)


def test_pulses_that_the_stream_cuts():
    """With about half of the band, S/N is that of the samples there are, which weights state."""
    delay, width = 80, 20
    middle = int(delay * np.median(curve_of()))
    for time in (-middle, N_TIME - middle):
        x = spectra([(delay, time, width, 40)])
        found = events(fk.PulseSearch(curve_of(), DELAYS, LADDER, **OPTIONS), x)
        best = best_of(found)
        assert abs(best["time"] - time) < 15 and 0.3 < best["weight"] < 0.8
        assert 0.9 < best["snr"] / (40 * np.sqrt(best["weight"])) < 1.1


def test_signal_to_noise_is_of_the_valid_samples():
    """30 % of the channels left out, and a tenth of the time lost: the root of what is left."""
    rng = np.random.default_rng(5)
    width, snr = 16, 30
    starts = np.arange(1000, 8000, 400)
    x = spectra([(30, start, width, snr) for start in starts])
    mask, valid = rng.random(N_CHAN) < 0.3, np.ones(x.shape, bool)
    valid[rng.random(len(x)) < 0.1] = False
    ratio, share = [], []
    plan = fk.PulseSearch(curve_of(), np.arange(29.0, 32.0), LADDER, mask=mask, **OPTIONS)
    found = events(plan, x, valid)
    for start in starts:
        best = best_of(found, start - 30, start + 30)
        share.append(best["weight"])
        ratio.append(best["snr"] / (snr * np.sqrt(best["weight"] * (1 - mask.mean()))))
    assert 0.85 < np.mean(share) < 0.95 and 0.94 < np.mean(ratio) < 1.04


def test_a_gap_through_a_pulse():
    x = spectra([(30, 4000, 60, 40)])
    valid = np.ones(x.shape, bool)
    valid[4020:4040] = False
    found = events(fk.PulseSearch(curve_of(), DELAYS, LADDER, **OPTIONS), x, valid)
    best = best_of(found)
    assert abs(best["row"] - 30) < 8 and 0.6 < best["weight"] < 0.95
    assert best["snr"] > 40 * np.sqrt(0.6)


def test_nothing_valid_and_short_streams():
    plan = fk.PulseSearch(curve_of(), DELAYS, LADDER, **OPTIONS)
    x = spectra([])
    assert not len(events(plan, x, np.zeros(x.shape, bool)))
    assert not len(plan.finish()) and not len(events(plan, x[:0])) and not len(events(plan, x[:5]))
    assert not len(events(plan, np.zeros_like(x)))


def test_one_channel():
    x = spectra([(0, 4000, 10, 30)], n_chan=1)
    found = events(fk.PulseSearch(np.ones(1), np.arange(3.0), LADDER, **OPTIONS), x)
    assert best_of(found)["snr"] > 15 and abs(best_of(found)["time"] - 4000) <= 3


def test_what_a_plan_states():
    plan = fk.PulseSearch(curve_of(), DELAYS, LADDER, **OPTIONS)
    assert (plan.n_chan, plan.n_delay, plan.block, plan.segment) == (N_CHAN, 90, 2048, 2048)
    assert plan.ladder is LADDER and plan.latency > plan.segment + 89
    assert plan.memory_bytes > 4 * 90 * 2048


@pytest.mark.parametrize("masked", [False, True])
def test_short_blocks_find_events_sooner(masked):
    x = spectra([(33, 6000, 20, 15)])
    valid = np.random.default_rng(3).random(x.shape) < 0.8 if masked else None
    options = {**OPTIONS, "segment": 0, "n_segment": 16, "n_first": 1}
    plans = [fk.PulseSearch(curve_of(), DELAYS, LADDER, **{
        **options, "tile": tile, "segment": 2048 if tile == 2048 else 1}) for tile in (2048, 128)]
    assert plans[1].block == 128 and plans[1].latency < plans[0].latency / 2
    best = [best_of(events(plan, x, valid, list(range(100, len(x), 100))), 5900, 6200)
            for plan in plans]
    assert best[0][["row", "time", "width"]] == best[1][["row", "time", "width"]]
    assert abs(best[0]["snr"] / best[1]["snr"] - 1) < 0.1
    plan, n = plans[1].copy(), 6000 + plans[1].latency
    found = plan.process(x[:n], valid=None if valid is None else valid[:n])
    assert (found["snr"] == best[1]["snr"]).any()


def test_the_state_after_a_refused_call():
    plan = fk.PulseSearch(curve_of(), DELAYS, LADDER, **OPTIONS)
    x = spectra([(33, 3000, 20, 15)])
    expected = events(plan, x)
    plan.process(x[:100])
    for wrong in (x[:, 1:], x.view("u1"), x[0]):
        with pytest.raises((TypeError, ValueError), match="x: found"):
            plan.process(wrong)
    found = np.concatenate([plan.process(x[100:]), plan.finish()])
    np.testing.assert_array_equal(found, expected)


def test_events_begin_no_earlier_than_stated():
    x = spectra([(40, time, 20, 15) for time in range(500, 9000, 700)])
    plan = fk.PulseSearch(curve_of(), DELAYS, LADDER, **{**OPTIONS, "threshold": 4.5})
    earliest = []
    for start in range(0, len(x), 512):
        stated = plan.earliest
        found = plan.process(x[start : start + 512])
        assert (found["time"] >= stated[found["row"]]).all()
        earliest.append(stated[40])
    found = plan.finish()
    assert len(found) > 20 and (found["time"] >= stated[found["row"]]).all()
    assert earliest[0] == -40
    # All but a segment and the longest boxcars.
    assert max(earliest) > len(x) - 2 * 2048 - 2 * plan.latency
