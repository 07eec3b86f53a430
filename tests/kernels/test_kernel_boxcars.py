"""Boxcars against their twin, exact boxcars and what noise is known to be; ladders of widths."""

import fastsig_kernels as fk
import numpy as np
import pytest
from fastsig_kernels import _noise_widths, reference
from fastsig_kernels._boxcar_events import EVERY, GROUP, TILE, Levels, Times
from fastsig_kernels._noise_loops import scale

LADDER = fk.boxcar_ladder(0.05, 100)
SMALL = fk.Ladder(8, (1, 2, 3, 5, 7, 12), (8, 13), 4, 0.2)
OPTIONS = {"noise": 3.0, "threshold": 4.0, "segment": TILE, "n_segment": 3}


def noise_of(n_row, n_time, seed=1, sigma=1.0):
    return (sigma * np.random.default_rng(seed).standard_normal((n_row, n_time))).astype("f4")


def events(plan, x, weight=None, cuts=()):
    """Events of a stream in pieces."""
    found = []
    for start, stop in zip([0, *cuts], [*cuts, x.shape[1]], strict=True):
        some = None if weight is None else weight[:, start:stop]
        found.append(plan.process(x[:, start:stop], weight=some))
    return np.concatenate([*found, plan.finish()])


def same(a, b):
    assert len(a) == len(b)
    for name in ("row", "time", "width"):
        np.testing.assert_array_equal(a[name], b[name])
    np.testing.assert_allclose(a["snr"], b["snr"], rtol=1e-5)
    np.testing.assert_allclose(a["weight"], b["weight"], rtol=1e-5)


def weights_of(shape, seed=3):
    """A gap in all rows, half of the terms from some time on, and samples lost at random."""
    rng = np.random.default_rng(seed)
    weight = np.ones(shape, "f4")
    weight[:, 1000:1100] = 0
    weight[:, 2200:] = 0.5
    weight[0] *= rng.random(shape[1]) < 0.9
    return weight


def rows_with_a_pulse(weighted):
    """Two of these rows are measured; some of their samples may be lost."""
    x = noise_of(EVERY + 1, 3000, sigma=3)
    x[3, 2000:2060] += 6
    weight = weights_of(x.shape) if weighted else None
    return x if weight is None else x * np.sqrt(weight), weight


@pytest.mark.parametrize("weighted", [False, True])
def test_as_the_twin(weighted):
    """The last segments and tiles are not complete."""
    x, weight = rows_with_a_pulse(weighted)
    found = events(fk.Boxcars(len(x), SMALL, **OPTIONS), x, weight)
    same(found, reference.boxcar_events(x, SMALL, weight, **OPTIONS))
    assert len(found) > 3 and (weight is None) == (found["weight"].min() == 1)


def test_levels_longer_than_a_tile_are_as_the_twin():
    """Those of level 8 and beyond are searched every few tiles, with samples that wait."""
    ladder = fk.Ladder(8, SMALL.first, SMALL.later, 10, 0.2)
    x = noise_of(1, 30000)
    x[0, 6000:8500] += 0.5
    options = {**OPTIONS, "noise": 1.0, "segment": 8192, "n_segment": 8}
    found = events(fk.Boxcars(1, ladder, **options), x, cuts=[10000])
    same(found, reference.boxcar_events(x, ladder, **options))
    assert found["width"].max() >= 2048


@pytest.mark.parametrize("weighted", [False, True])
def test_short_tiles_are_as_the_twin(weighted):
    """Events are returned at the end of the first segment, and of each tile from then on."""
    x, weight = rows_with_a_pulse(weighted)
    options = {**OPTIONS, "tile": 128, "segment": 256, "n_segment": 8, "n_first": 1}
    plan = fk.Boxcars(len(x), SMALL, **options)
    found = [plan.process(x[:, at : at + 128], weight=None if weight is None else
                          weight[:, at : at + 128]) for at in range(0, 2944, 128)]
    expected = reference.boxcar_events(x, SMALL, weight, **options)
    rest = plan.process(x[:, 2944:], weight=None if weight is None else weight[:, 2944:])
    same(np.concatenate([*found, rest, plan.finish()]), expected)
    assert plan.segment == 256 and plan.latency <= 1024 and len(expected) > 3
    pulse = expected[(expected["row"] == 3) & (expected["snr"] > 10)]
    last = pulse["time"].max() + plan.latency
    assert len(pulse) and sum(map(len, found[: last // 128 + 1])) >= len(
        expected[expected["time"] <= pulse["time"].max()])


@pytest.mark.parametrize("weighted", [False, True])
def test_events_do_not_depend_on_splits_and_threads(weighted):
    x = noise_of(GROUP + 20, 9000)
    x[70, 3000:3040] += 3
    weight = weights_of(x.shape) if weighted else None
    options = {**OPTIONS, "noise": 1.0}
    expected = events(fk.Boxcars(len(x), LADDER, **options), x, weight)
    for cuts in ([1, 2, 2047, 2049], [4096, 8192], list(range(700, 9000, 700))):
        plan = fk.Boxcars(len(x), LADDER, **options, threads=2)
        np.testing.assert_array_equal(events(plan, x, weight, cuts), expected)
    assert len(expected) > 20


def test_groups_of_rows_have_noise_of_their_own():
    x = noise_of(2 * GROUP, 6000)
    x[GROUP:] *= 4
    found = events(fk.Boxcars(len(x), LADDER, **OPTIONS), x)
    other = events(fk.Boxcars(GROUP, LADDER, **OPTIONS), x[GROUP:])
    mine = found[found["row"] >= GROUP]
    mine["row"] -= GROUP
    np.testing.assert_array_equal(mine, other)


def test_events_are_in_order_and_do_not_overlap_better_ones():
    x = noise_of(3, TILE - 100)
    found = events(fk.Boxcars(3, LADDER, noise=1.0, threshold=2.5, segment=2 * TILE), x)
    assert len(found) > 50 and (np.diff(found["time"]) >= 0).all()
    for row in range(3):
        some = found[found["row"] == row]
        assert (some["time"][1:] >= (some["time"] + some["width"])[:-1]).all()


@pytest.mark.parametrize("snr", [10, 30])
def test_signal_to_noise_is_within_5_percent_of_exact_boxcars(snr):
    """Rectangular pulses of 0.5 to 16 ms of 49 us, in any phase; the noise of the mean is 0.5 %."""
    rng = np.random.default_rng(2)
    for width in (10, 20, 41, 81, 163, 325):
        x = noise_of(20, 64 * TILE, seed=width)
        exact, places = [], []
        for row in range(len(x)):
            start = 3000 + 100 * rng.random()
            at = np.arange(4000)
            share = np.clip(np.minimum(at + 1, start + width) - np.maximum(at, start), 0, 1)
            x[row, :4000] += (snr / np.sqrt(width) * share).astype("f4")
            places.append(int(start))
            some = x[row, places[-1] - 3 : places[-1] + width + 4].astype(float)
            exact.append(np.convolve(some, np.ones(width), "valid").max() / np.sqrt(width))
        plan = fk.Boxcars(20, fk.boxcar_ladder(0.05, 325), threshold=5.0)
        found = events(plan, x)
        best = np.zeros(len(x))
        near = np.abs(found["time"] - 3050) < 60 + width // 2
        np.maximum.at(best, found["row"][near], found["snr"][near])
        ratio = best / exact
        assert (best > 0).all() and 0.95 < ratio.mean() < 1.05, (width, ratio.mean())


def test_noise_that_is_correlated_in_time():
    """S/N is that of the noise of the width, of which the root of the width is a fraction."""
    rng = np.random.default_rng(4)
    n, width, amplitude = 2**17, 100, 3.0
    drift = np.empty((4, n))
    drift[:, 0], step = 0, rng.standard_normal((4, n))
    for t in range(1, n):
        drift[:, t] = 0.99 * drift[:, t - 1] + 0.14 * step[:, t]
    x = (noise_of(4, n) + 0.5 * drift).astype("f4")
    total = np.cumsum(x.astype(float), axis=1)
    sigma = (total[:, width:] - total[:, :-width]).std()
    assert sigma > 3 * np.sqrt(width)
    x[1, 50000 : 50000 + width] += amplitude
    found = events(fk.Boxcars(4, LADDER, threshold=5.0), x)
    best = found[np.argmax(found["snr"])]
    assert best["row"] == 1 and abs(best["time"] - 50000) < 60
    assert 0.85 < best["snr"] / (amplitude * width / sigma) < 1.15
    assert len(found) <= 3  # with white noise of the same samples, there are hundreds


def test_share_of_valid_samples():
    """A tenth of the time lost, and 30 % of the terms: S/N is the root of what is left."""
    rng = np.random.default_rng(6)
    weight = np.full((GROUP, 8 * TILE), 0.7, "f4")
    weight[rng.random(weight.shape) < 0.1] = 0
    x = noise_of(*weight.shape) * np.sqrt(weight)
    starts = np.arange(1000, 8 * TILE - 1000, 100)
    there = starts[:, np.newaxis] + np.arange(10)
    x[5, there] += weight[5, there] * np.float32(30 / np.sqrt(10))
    found = events(fk.Boxcars(GROUP, LADDER, threshold=8.0), x, weight)
    share, best = weight[5, there].sum(axis=1) / 10, np.zeros(len(starts))
    np.maximum.at(best, np.searchsorted(starts, found["time"] + 50) - 1, found["snr"])
    assert 0.99 < (best / (30 * np.sqrt(share))).mean() < 1.04 and (found["row"] == 5).all()
    exact = found[(found["width"] == 10) & np.isin(found["time"], starts)]
    assert len(exact) > 50
    np.testing.assert_allclose(
        exact["weight"], share[np.searchsorted(starts, exact["time"])], rtol=1e-5)


@pytest.mark.parametrize(("width", "least"), [(20, 0.93), (2000, 0.9), (20000, 0.8)])
def test_bright_and_wide_pulses_are_kept(width, least):
    """S/N 1000, and a second at 49 us; the loss of the ladder is up to 5 %."""
    x = noise_of(16, 2**18)
    x[:, 100000 : 100000 + width] += np.float32(1000 / np.sqrt(width))
    found = events(fk.Boxcars(16, fk.boxcar_ladder(0.05, 20000)), x)
    assert 1000 * least < found["snr"].max() < 1100


def test_a_storm_is_bounded():
    """The best are kept, whatever the threads and splits, and the others counted."""
    x = noise_of(2 * GROUP, 4 * TILE)
    x[:, ::40] += 20
    plans = [fk.Boxcars(len(x), LADDER, segment=2 * TILE, n_segment=2, most=50, threads=threads)
             for threads in (1, 2)]
    first, second = events(plans[0], x), events(plans[1], x, cuts=[100, 3000])
    np.testing.assert_array_equal(first, second)
    assert plans[0].n_dropped == plans[1].n_dropped > 1000
    assert 50 <= len(first) <= 4 * 50
    every = events(fk.Boxcars(len(x), LADDER, segment=2 * TILE, n_segment=2), x)
    assert first["snr"].max() == every["snr"].max() and len(every) > 1000


def test_rows_with_much_noise_do_not_push_out_others():
    """After the first tile, in which their noise is not known."""
    x = noise_of(2 * GROUP, 8 * TILE)
    x[:GROUP] *= 8
    x[100, 3000:3010] += 5
    plan = fk.Boxcars(len(x), LADDER, segment=8 * TILE, most=500)
    found = events(plan, x)
    assert found["row"].tolist() == [100] and plan.n_dropped > 1000


def test_segments_are_short_in_the_beginning():
    times = Times.of(LADDER, 5 * TILE)
    ends = times.ends(17 * TILE)
    assert (ends // TILE).tolist() == [1, 2, 4, 5, 10, 15, 17]
    assert [n for n in range(1, 17) if times.is_end(n * TILE)] == [1, 2, 4, 5, 10, 15]


def test_the_count_of_what_was_dropped_is_of_the_last_stream():
    x = noise_of(2, TILE)
    x[:, ::40] += 20
    plan = fk.Boxcars(2, LADDER, most=1)
    events(plan, x)
    assert plan.n_dropped > 0
    plan.process(x[:, :0])
    plan.reset()
    assert plan.n_dropped == 0


def test_nothing_and_constants():
    plan = fk.Boxcars(2, LADDER)
    assert not len(plan.finish()) and not len(events(plan, np.zeros((2, 0), "f4")))
    assert not len(events(plan, np.zeros((2, 3 * TILE), "f4")))
    assert not len(events(plan, np.zeros((2, 100), "f4"), np.zeros((2, 100), "f4")))
    assert not len(events(plan, np.full((2, 5000), np.nan, "f4")))
    assert not len(events(plan, np.full((2, 5000), -1e30, "f4")))


def test_a_value_that_is_not_a_number_is_in_no_event():
    x = noise_of(1, 2 * TILE)
    x[0, 2000:2050] += 3
    x[0, 2100] = np.nan
    found = events(fk.Boxcars(1, LADDER), x)
    assert found["snr"].max() > 15 and np.isfinite(found["snr"]).all()
    assert not ((found["time"] <= 2100) & (found["time"] + found["width"] > 2100)).any()


def test_boxcars_with_few_valid_samples_are_no_events():
    x, weight = np.zeros((1, 5000), "f4"), np.zeros((1, 5000), "f4")
    x[0, 1000], weight[0, 1000] = 100, 1
    found = events(fk.Boxcars(1, LADDER, least_share=0.5), x, weight)
    assert found["width"].max() <= 2 and found["weight"].min() >= 0.5


def test_latency():
    """The event of a boxcar is returned `latency` samples after its beginning."""
    plan = fk.Boxcars(1, LADDER, segment=TILE, n_segment=1)
    x = noise_of(1, 8 * TILE)
    x[0, 9000:9100] += 3
    before, last = 0, None
    for start in range(0, x.shape[1], 64):
        found = plan.process(x[:, start : start + 64])
        if (np.abs(found["time"] - 9000) < 50).any():
            last = start + 64
    assert last is not None and before < last - 9000 <= plan.latency


# Ladders.


def rectangular_losses(ladder, width, n_phase=64):
    """The loss of a rectangular pulse, as sums of samples in float64: the worst phase."""
    step = int(ladder.steps[ladder.widths <= 2 * width + 1].max())
    worst = 0.0
    for phase in np.arange(n_phase) * step / n_phase:
        start = 8 * step + phase
        at = np.arange(int(start + 3 * width) + 16 * step + 3)
        share = np.clip(np.minimum(at + 1, start + width) - np.maximum(at, start), 0, 1)
        total = np.concatenate([[0], np.cumsum(share)])
        best = max(((total[w:] - total[:-w])[::s].max() / np.sqrt(w * width)
                    for w, s in zip(ladder.widths, ladder.steps, strict=True) if w < len(at)))
        worst = max(worst, 1 - best)
    return worst


@pytest.mark.parametrize("loss", [0.02, 0.05, 0.1, 0.2])
def test_losses_of_a_ladder(loss):
    ladder = fk.boxcar_ladder(loss, 300)
    widths = np.array([1, 1.5, 2, 3, 5, 7.7, 9.2, 16.5, 33, 47.3, 70, 101])
    expected = [rectangular_losses(ladder, width) for width in widths]
    found = ladder.losses(widths)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert (found >= np.array(expected) - 1e-9).all()
    every = np.geomspace(ladder.holds_from, 300, 400)
    assert ladder.losses(every).max() <= loss + 1e-9
    assert ladder.losses(np.array([1.0]))[0] == pytest.approx(1 - 0.5**0.5)
    assert ladder.widths[-1] >= 300 and (np.diff(ladder.widths) > 0).all()
    assert not (ladder.widths % ladder.steps).any()


def test_the_ladder_of_5_percent():
    """One of 8 samples that begins half-way between two loses 5.7 %, whatever the widths."""
    ladder = fk.boxcar_ladder(0.05, 2048)
    assert len(ladder.first) + len(ladder.later) <= 19 and ladder.holds_from < 9.2
    assert ladder.losses(np.array([8.0]))[0] == pytest.approx(1 - np.sqrt(8 / 9), abs=1e-3)


def test_widths_are_as_long_as_needed():
    for longest in (1, 2, 9, 30, 1000):
        ladder = fk.boxcar_ladder(0.1, longest)
        assert longest <= ladder.widths[-1] < 4 * longest


@pytest.mark.parametrize("change", [
    {"first": ()}, {"first": (2, 1)}, {"first": (0, 1)}, {"later": (7, 9)}, {"later": (8, 16)},
    {"n_level": 0}, {"base": 0}, {"loss": np.nan}, {"loss": -0.1}, {"loss": 1.0}])
def test_no_ladder(change):
    given = {"base": 8, "first": (1, 2), "later": (8, 9), "n_level": 2, "loss": 0.1, **change}
    with pytest.raises(ValueError, match="found"):
        fk.Ladder(**given)


@pytest.mark.parametrize("first", [np.array([1, 2]), "12", 1, None, iter((1, 2)), (1, 2.0), {1, 2}])
def test_no_widths(first):
    with pytest.raises(TypeError, match="first: found"):
        fk.Ladder(8, first, (8, 9), 2, 0.1)


def test_a_ladder_of_small_integers():
    """A width of 8 bits, times the step of a level, became 0."""
    small = fk.boxcar_ladder(0.1, 4000)
    made = fk.Ladder(np.uint8(small.base), list(map(np.uint8, small.first)),
                     tuple(map(np.int8, small.later)), np.int8(small.n_level), small.loss)
    np.testing.assert_array_equal(made.widths, small.widths)
    assert made == small and hash(made) == hash(small)


def test_no_loss():
    for loss in (0.001, 0.5, np.nan):
        with pytest.raises(ValueError, match="loss: found"):
            fk.boxcar_ladder(loss, 10)
    with pytest.raises(TypeError, match="ladder: found"):
        fk.Boxcars(1, [1, 2, 3])
    for name, wrong in (("tile", 64), ("tile", 4096), ("tile", 384), ("n_first", 17),
                        ("n_first", 0)):
        with pytest.raises(ValueError, match=f"{name}: found {wrong}"):
            fk.Boxcars(1, LADDER, **{name: wrong})


# Noise.


def test_noise_of_values_within_a_cut():
    """Gaussian values, of which a share that is far away is left out; in both ways of computing."""
    rng = np.random.default_rng(1)
    sums, cut = np.zeros((3, 4, 1, 5)), np.array([2.0, 3.0, 5.0, 1.2])
    true = np.array([0.7, 1.0, 1.5, 3.0, 9.0])
    for s, j in np.ndindex(4, 5):
        values = true[j] * rng.standard_normal(40000)
        values[:400] = 1000
        inside = values[np.abs(values) < cut[s]]
        sums[:, s, 0, j] = (inside**2).sum(), len(inside), len(values)
    cuts = np.broadcast_to(cut[:, np.newaxis, np.newaxis], (4, 1, 5)).copy()
    found = scale(*sums, cuts)
    np.testing.assert_allclose(found, _noise_widths.scale(*sums, cuts), rtol=1e-6)
    np.testing.assert_allclose(found[0, :3], true[:3], rtol=0.01)
    # With a cut that is much lower than the noise, from the share of values within.
    np.testing.assert_allclose(found[0, 3:], true[3:], rtol=0.35)
    assert np.isnan(scale(*(0 * sums), cuts)).all()


def test_a_level_is_found_and_does_not_count_as_noise():
    """Gaussian values about a small level, of which a share is far away; a large one is noise."""
    rng = np.random.default_rng(1)
    for offset, most in ((-0.3, 0.01), (0.2, 0.01), (0.0, 0.01), (2.0, None)):
        values = 1.7 * (rng.standard_normal(10**6) + offset)
        values[::50] = 1000
        inside = values[np.abs(values) < 1.7 * _noise_widths.CUT]
        n, every = len(inside), np.array([float(len(values))])
        noise = scale(*(np.array(each).reshape(1, 1, 1) for each in (
            (inside**2).sum(), n, len(values), 1.7 * _noise_widths.CUT)))[0]
        # Boxcars of 4 samples: a value is their sum, divided by 2.
        about, level = _noise_widths.leveled(noise, np.array([float(n)]), np.array(
            [2 * inside.sum()]), np.array([4.0 * n]), every)
        if most is None:
            assert about > 2.5 and 2 * level <= noise / 2
        else:
            assert abs(about / 1.7 - 1) < most and abs(2 * level / 1.7 - offset) < most
    few = _noise_widths.leveled(np.ones(1), np.array([4.0]), np.array([1.0]), np.array([4.0]),
                                np.array([4.0]))[1]
    assert 0 < few < 0.25 / 4


def test_bright_pulses_do_not_lower_the_others():
    """Wide pulses every 100 widths: without the mean of all samples, the S/N are the same."""
    rng, width, snr = np.random.default_rng(5), 64, 30.0
    x = noise_of(1, 2**19, seed=3)
    starts = np.arange(2000, 2**19 - 2000, 100 * width)
    for at in starts:
        x[0, at : at + width] += snr / np.sqrt(width)
    weight = np.ones_like(x)
    weight[:, rng.random(x.shape[1]) < 0.1] = 0
    for lost in (None, weight):
        means = []
        for level in (0, np.float32(x.mean())):  # 0.3 of the noise of a boxcar of 64 samples
            y = x - level if lost is None else (x - level) * lost
            found = events(fk.Boxcars(1, LADDER, threshold=8.0), y, lost)
            near = [found["snr"][np.abs(found["time"] - at) < width].max() for at in starts[20:]]
            means.append(np.mean(near))
        assert means[1] == pytest.approx(means[0], rel=0.005), means


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("tile", [256, TILE])
def test_a_level_below_0_is_subtracted_as_by_the_twin(tile, masked):
    x = noise_of(EVERY + 1, 9000, seed=4, sigma=3) - 2
    x[3, 6000:6060] += 6
    weight = weights_of(x.shape) if masked else None
    x = x if weight is None else x * weight
    options = {**OPTIONS, "tile": tile, "segment": 1, "n_segment": 8, "n_first": 2}
    found = events(fk.Boxcars(len(x), SMALL, **options), x, weight)
    same(found, reference.boxcar_events(x, SMALL, weight, **options))
    best = found[np.argmax(found["snr"])]
    assert best["row"] == 3 and abs(best["time"] - 6000) < 5


@pytest.mark.parametrize(("amplitude", "width", "least"), [
    (3, 27, 0.9), (10, 27, 0.95), (100, 27, 0.95), (3, 60, 0.8), (30, 60, 0.75)])
def test_all_pulses_of_a_bright_pulsar_are_found(amplitude, width, least):
    """A pulse every 450 samples; the mean of all samples is 0. Without levels, 0 to 0.9."""
    x, starts = noise_of(GROUP, 2**17), np.arange(3000, 2**17 - 3000, 450)
    for at in starts:
        x[:, at : at + width] += amplitude
    found = events(fk.Boxcars(len(x), LADDER, threshold=8.0), x - x.mean())
    snr = [found["snr"][np.abs(found["time"] - at) < width].max(initial=0) for at in starts]
    kept = np.array(snr) / (amplitude * np.sqrt(width))
    assert kept.min() > least and kept.max() < 1.2


@pytest.mark.parametrize("shape", [0.5, 2, 8, None])
def test_skewness_of_noise_is_no_level(shape):
    """The median of powers is below their mean; so is that of a few different values."""
    rng = np.random.default_rng(2)
    noise = rng.choice([-2.0, 3.0], (GROUP, 8 * TILE), p=[0.6, 0.4]) if shape is None else (
        rng.gamma(shape, size=(GROUP, 8 * TILE)) - shape)
    levels = Levels(GROUP, Times.of(LADDER))
    halo = np.zeros((GROUP, Times.of(LADDER).halo))
    for tile in np.split(noise, 8, axis=1):
        x = np.concatenate([halo, tile], axis=1).astype("f4")
        before = x.copy()
        levels.advance()
        levels.subtract(x, None)
        np.testing.assert_array_equal(x, before)


def test_few_values_hardly_change_the_noise():
    noise = np.array([[2.0, np.nan, 50.0, 2.0]])
    found = _noise_widths.steadied(noise, np.array([[1e5, 0.0, 1.0, 1e5]]))
    np.testing.assert_allclose(found, [[2, 2, 2 * 25 ** (1 / 17), 2]], rtol=1e-3)
