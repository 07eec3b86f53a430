"""What the plan of a search for bursts costs pulses, without noise, and whether it says so."""

from __future__ import annotations

import numpy as np
import pytest
from fastsig_kernels import FDMT, Ladder

from fastsig.pulsar import smearing
from fastsig.pulsar.stretches import Recording, Stretch
from fastsig.search.bursts.plan import SearchPlan, search_plan
from fastsig.simulate.injections import Injection, Injector

#: Channels as wide as 32 of FAST, and samples as much longer: the same plan with small trees.
SAMPLE = f"{32 * 49.152}us"
BAND = Recording.of_band("1GHz", "500MHz", 128, SAMPLE)
MHZ = np.linspace(BAND.low_mhz, BAND.high_mhz, BAND.n_chan)
WIDTH_S = 10 * BAND.sample_s
NEAR = np.arange(-3, 4)  # rows that may have the highest S/N


@pytest.fixture(scope="module")
def plan() -> SearchPlan:
    return search_plan(BAND)


def best(series: np.ndarray, widths: np.ndarray, steps: np.ndarray) -> float:
    """Highest S/N of boxcars, for white noise of 1."""
    total = np.concatenate([[0.0], np.cumsum(series)])
    return max(float((total[w:] - total[:-w])[::step].max()) / np.sqrt(w)
               for w, step in zip(widths, steps, strict=True) if w < len(total))


def summed(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sum of the values of each row, from a row that is a multiple of all steps, and some more."""
    first = (int(rows.min()) - 64) // 4096 * 4096
    return np.bincount((rows - first).ravel(), values.ravel(), 8192)


def kept(stretch: Stretch, ladder: Ladder, dm: float, width_s: float, at_s: float) -> float:
    """S/N by the tree and the ladder, divided by that of an exact boxcar at the full rate."""
    pulse = Injection(at_s, dm, width_s, 1.0)
    injector = Injector([pulse], MHZ, BAND.sample_s, np.ones(BAND.n_chan), BAND.constant)
    before, after = injector._reach(pulse)
    delays = injector.delays_s(dm)
    middle = (at_s + delays) / BAND.sample_s
    first = np.floor(middle - before / BAND.sample_s).astype(np.int64)
    n = int((before + after) / BAND.sample_s) + 2
    values = injector._pulses(pulse, first - middle, n)
    rows = first + np.arange(n)[:, np.newaxis]
    late = np.rint(delays / BAND.sample_s).astype(np.int64)
    every = np.arange(1, 200)
    exact = best(summed(rows - late, values), every, np.ones_like(every))
    near = np.unique(np.clip(np.argmin(np.abs(stretch.dms - dm)) + NEAR, 0, stretch.n_dm - 1))
    tracks = FDMT(BAND.curve, stretch.delays[near], dtype="float32").channel_delays()
    found = max(best(summed(rows // stretch.downsampling + track, values), ladder.widths,
                     ladder.steps) for track in tracks)
    return found / np.sqrt(stretch.downsampling) / exact


def test_pulses_of_ten_spectra_lose_little_at_every_dispersion_measure(plan: SearchPlan) -> None:
    assert plan.resolved_s == WIDTH_S
    rng = np.random.default_rng(1)
    stated = plan.kept_at(WIDTH_S)
    every = []
    for stretch, ladder, least in zip(plan.stretches, plan.ladders, stated, strict=True):
        dms = stretch.low + stretch.step * (1 + rng.uniform(-0.5, 0.5, 8))
        found = [kept(stretch, ladder, dm, WIDTH_S, rng.uniform(100, 101)) for dm in dms]
        # The plan states the loss half a step off, in the worst track; on average it is smaller.
        assert -0.01 < np.mean(found) - least < 0.04
        assert np.mean(found) > 0.93
        every += found
    assert min(every) > 0.9 and np.mean(every) > 0.96


def test_the_shortest_pulses_keep_what_is_stated(plan: SearchPlan) -> None:
    rng = np.random.default_rng(2)
    width_s = 2 * BAND.sample_s
    for stretch, ladder, least in zip(plan.stretches, plan.ladders, plan.kept_at(width_s),
                                      strict=True):
        dms = stretch.low + stretch.step * (1 + rng.uniform(-0.5, 0.5, 8))
        found = [kept(stretch, ladder, dm, width_s, rng.uniform(100, 101)) for dm in dms]
        assert -0.02 < np.mean(found) - least < 0.09


@pytest.mark.parametrize("n_chan", [2, 128])
@pytest.mark.parametrize("dms", [(0, 3000), (0, 0), (475, 475), (12.3, 90), (2065, 2068)])
@pytest.mark.parametrize("width", [None, "5ms:100ms", "0.5s:1s"])
def test_steps_that_grow_lose_no_more_than_allowed(
        n_chan: int, dms: tuple[float, float], width: str | None) -> None:
    band = Recording.of_band("1GHz", "500MHz", n_chan, SAMPLE)
    plan = search_plan(band, dms, widths=width)
    every = np.concatenate([each.dms for each in plan.stretches])
    steps = np.concatenate([np.full(each.n_dm, each.step) for each in plan.stretches])
    assert every[0] == dms[0] and (np.diff(every) > 0).all()
    assert (np.diff(every) <= steps[:-1] * (1 + 1e-9)).all()
    assert dms[1] - steps[-1] / 2 <= every[-1] <= dms[1] + steps[-1]
    for each in plan.stretches:
        pulse = smearing.total_s(plan.widths_s[0], each.channel_smear_s(each.low), each.sample_s)
        assert smearing.kept_off_dm(each.step_smear_s, pulse) >= 0.95


def test_trees_are_not_divided_and_steps_grow_along_with_the_smear(plan: SearchPlan) -> None:
    for each, later in zip(plan.stretches, plan.stretches[1:], strict=False):
        if each.downsampling == later.downsampling:
            assert 1.2 < later.step / each.step < 1.8
