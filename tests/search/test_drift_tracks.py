"""Maxima of all octaves in one call, and tracks in fine steps, beside what is slow and obvious."""

import numpy as np
import pytest
from carriers import spectra
from fastsig_kernels import best_boxcar, pair_sums, reference

from fastsig.search.drift.known import Known
from fastsig.search.drift.plan import DriftPlan
from fastsig.search.drift.tracks import Refiner, maxima_of, window_of

SHARE = 0.5


def plan_of(n_time, reach):
    return DriftPlan(n_time, 18.253611, 2.7939677, -reach * 0.0102, reach * 0.0102)


def scene(rng, n_time, n_chan, reach, lost):
    """Return deviations, which samples are valid, and the noise by the width."""
    carriers = [(float(rng.uniform(0, n_chan)), float(rng.uniform(-reach, reach)), 2, 40.0)
                for _ in range(4)]
    y = spectra(n_time, n_chan, carriers, seed=int(rng.integers(1000))) - 1
    valid = rng.random(y.shape) > 0.02
    valid[:, rng.random(n_chan) > lost] = True  # most channels have all of their samples
    valid[2:5, 1500:1700] = False
    y[~valid] = 0
    # Multiples of 2^-24, as what `flatten` returns: sums in float64 are exact.
    y = (np.round(y * 2**24) / 2**24).astype(np.float32)
    plan = plan_of(n_time, reach)
    return y, valid, plan, {width: 0.5 * float(np.sqrt(width)) for width in plan.all_widths}


@pytest.mark.parametrize("n_time", [5, 16, 33])
@pytest.mark.parametrize("lost", [None, 0.001, 0.2])
def test_all_octaves_in_one_call(n_time, lost, rng):
    y, valid, plan, noise = scene(rng, n_time, 6000, 100.0, lost or 0.0)
    known = None if lost is None else Known(valid)
    limit = 2.0
    found = [*maxima_of(plan, lambda octave: limit, SHARE)(y, known, noise)]
    assert [octave for octave, _, _ in found] == [*plan.octaves]
    assert sum(len(cells) for _, cells, _ in found) > 10
    phase = np.arange(n_time) / (n_time - 1)
    for octave, cells, heights in found:
        sums, weights = y, valid.astype(np.float32)
        for _ in range(octave.n_sum.bit_length() - 1):
            sums, weights = pair_sums(sums), pair_sums(weights) / 2
        tracks = np.floor(octave.cells[:, np.newaxis]
                          * (phase if octave.sign > 0 else 1 - phase) + 0.5).astype(np.int64)
        scale = np.array([1 / noise[octave.n_sum * width] for width in octave.widths], np.float32)
        best = reference.track_maxima(sums, tracks, np.array(octave.widths), scale,
                                      None if lost is None else weights, SHARE)
        n = len(best) - (octave.last - int(tracks.max()))
        clear = np.flatnonzero(best[:n] > limit * (1 + 1e-5))
        assert set(clear.tolist()) <= set(cells.tolist())
        np.testing.assert_allclose(heights, best[cells], rtol=1e-5)


@pytest.mark.parametrize("some_lost", [False, True])
def test_no_neighbour_of_a_track_is_better(some_lost, rng):
    y, valid, plan, noise = scene(rng, 16, 6000, 100.0, 0.05)
    refiner = Refiner(plan, SHARE)
    refiner.measured(noise)
    checked = 0
    for octave, cells, heights in maxima_of(plan, lambda octave: 8.0, SHARE)(y, None, noise):
        if not cells.size:
            continue
        cell = int(cells[np.argmax(heights)])
        low, high = window_of(octave, cell, y.shape[1])
        piece, part = y[:, low:high], Known(valid[:, low:high]) if some_lost else None
        best = refiner.best(piece, part, octave, cell - low / octave.n_sum)
        sums = np.pad(np.cumsum(piece, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
        counts = None if part is None else np.pad(
            np.cumsum(part.samples, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
        drifts = best.drift + np.arange(-4, 5) * 0.5
        drifts = drifts[np.abs(drifts) <= plan.limits[1] + 0.5]
        lows = np.floor(best.low + np.arange(-4.0, 5.0))
        n_sum = 2 ** np.ceil(np.log2(np.maximum(np.abs(drifts) / 31, 1))).astype(int)
        for n in set(n_sum.tolist()):
            some = drifts[n_sum == n]
            widths = np.array([each for each in plan.widths_of(n)
                               if best.width / 2 <= each <= 2 * best.width], np.int64)
            scale = np.array([1 / noise[each] for each in widths.tolist()])
            around = best_boxcar(sums, lows[:, np.newaxis] - np.minimum(some, 0), some, widths,
                                 scale, counts=counts, min_share=SHARE)
            assert around[3] <= best.snr
        checked += 1
    assert checked > 4
