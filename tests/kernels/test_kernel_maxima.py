"""Running maxima along tracks and over planes, against their twins and their contract."""

import numpy as np
import pytest
from fastsig_kernels import (
    best_boxcar,
    boxcar_maxima,
    group_median,
    pair_sums,
    reference,
    relative_to_level,
    track_maxima,
)

WIDTHS = np.array([1, 2, 3, 6])


def scales(n_row):
    return (1 / np.sqrt(n_row * WIDTHS)).astype(np.float32)


def tracks_of(n_row, drifts):
    """Straight tracks, of which those with a negative drift begin at their largest column."""
    drifts = np.asarray(drifts)[:, np.newaxis] * np.arange(n_row) / max(1, n_row - 1)
    return np.floor(drifts - np.minimum(drifts[:, -1:], 0) + 0.5).astype(np.int64)


@pytest.mark.parametrize("n_row", [1, 2, 5, 16])
@pytest.mark.parametrize("n", [100, 1090, 2500])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_tracks_against_their_twin(n_row, n, is_weighted, rng):
    x = rng.normal(size=(n_row, n)).astype(np.float32)
    valid = (rng.random((n_row, n)) > 0.3).astype(np.float32) if is_weighted else None
    if valid is not None:
        x *= valid
    tracks = tracks_of(n_row, [0, 1, 7, 40, -3, -40])
    best = np.zeros(n - tracks.max() - WIDTHS[-1] + 1, np.float32)
    track_maxima(x, tracks, WIDTHS, scales(n_row), best, valid=valid, min_share=0.6)
    twin = reference.track_maxima(x, tracks, WIDTHS, scales(n_row), valid, 0.6)
    np.testing.assert_allclose(best, twin, rtol=0, atol=3e-6)
    lower = best.copy()
    track_maxima(x, tracks[3:4], WIDTHS, scales(n_row), best, valid=valid, min_share=0.6)
    np.testing.assert_array_equal(best, lower)  # maxima never fall


@pytest.mark.parametrize("is_weighted", [False, True])
def test_a_plane_against_its_twin(is_weighted, rng):
    sums = rng.normal(size=(9, 1500)).astype(np.float32)
    weights = rng.integers(0, 4, sums.shape).astype(np.float32) if is_weighted else None
    best = np.zeros(1500 - WIDTHS[-1] + 1, np.float32)
    boxcar_maxima(sums, WIDTHS, scales(3), best, weights=weights, full=3.0)
    twin = reference.boxcar_maxima(sums, WIDTHS, scales(3), weights, 3.0)
    np.testing.assert_allclose(best, twin, rtol=0, atol=3e-6)
    backwards = np.zeros_like(best)
    turned = sums[:, ::-1].copy()[:, ::-1]
    boxcar_maxima(turned, WIDTHS, scales(3), backwards, full=3.0,
                  weights=None if weights is None else weights[:, ::-1].copy()[:, ::-1])
    np.testing.assert_array_equal(backwards, best)


@pytest.mark.parametrize("n_row", [1, 3, 16])
@pytest.mark.parametrize("widths", [[1, 2, 3, 4, 6, 8], [2, 4], [3], [1, 64]])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_a_limit_leaves_out_what_is_lower_and_nothing_else(n_row, widths, is_weighted, rng):
    n, widths = 3000, np.array(widths)
    x = rng.gamma(3, size=(n_row, n)).astype(np.float32) - 3
    valid = (rng.random((n_row, n)) > 0.2).astype(np.float32) if is_weighted else None
    x = x if valid is None else x * valid
    tracks = tracks_of(n_row, range(-9, 10))
    scale = (1 / np.sqrt(3 * n_row * widths)).astype(np.float32)
    every, high = np.zeros((2, n - tracks.max() - widths[-1] + 1), np.float32)
    track_maxima(x, tracks, widths, scale, every, valid=valid)
    limit = np.float32(np.quantile(every, 0.97))
    track_maxima(x, tracks, widths, scale, high, valid=valid, limit=float(limit))
    np.testing.assert_array_equal(high, np.where(every > limit, every, 0))
    plane, both = np.zeros((2, n - widths[-1] + 1), np.float32)
    boxcar_maxima(x, widths, scale, plane, weights=valid, full=1.0)
    boxcar_maxima(x, widths, scale, both, weights=valid, full=1.0, limit=float(limit))
    np.testing.assert_array_equal(both, np.where(plane > limit, plane, 0))


@pytest.mark.parametrize("limit", [0.0, 4.0])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_sets_of_tracks_are_as_if_alone(limit, is_weighted, rng):
    x = rng.normal(size=(16, 3000)).astype(np.float32)
    valid = (rng.random(x.shape) > 0.2).astype(np.float32) if is_weighted else None
    x = x if valid is None else x * valid
    sets = np.array([tracks_of(16, range(31)), tracks_of(16, range(0, -31, -1))])
    both, alone = np.zeros((2, 2, 3000 - 30 - 5), np.float32)
    track_maxima(x, sets, WIDTHS, scales(16), both, valid=valid, limit=limit)
    for tracks, best in zip(sets, alone, strict=True):
        track_maxima(x, tracks, WIDTHS, scales(16), best, valid=valid, limit=limit)
    assert (both > 0).any(axis=1).all()
    np.testing.assert_array_equal(both, alone)


@pytest.mark.parametrize("n_row", [4, 16, 128])
def test_dense_signals_among_noise(n_row, rng):
    x = rng.normal(size=(n_row, 30_000)).astype(np.float32)
    for first in range(0, 30_000, 6000):  # some lines have many signals, and others none
        places = first + rng.integers(0, 3000, 300)
        x[:, places] += (rng.uniform(0, 12, 300) / np.sqrt(n_row)).astype(np.float32)
    tracks = tracks_of(n_row, range(12))
    every, high = np.zeros((2, 30_000 - tracks.max() - 5), np.float32)
    track_maxima(x, tracks, WIDTHS, scales(n_row), every)
    track_maxima(x, tracks, WIDTHS, scales(n_row), high, limit=7.0)
    assert 0.02 < (high > 0).mean() < 0.9
    np.testing.assert_array_equal(high, np.where(every > 7, every, 0))


def test_the_same_bits_wherever_rows_begin(rng):
    x = rng.normal(size=(16, 3000)).astype(np.float32)
    tracks = tracks_of(16, range(31))
    whole = np.zeros(3000 - 30 - 5, np.float32)
    track_maxima(x, tracks, WIDTHS, scales(16), whole)
    for first, stop in ((1, 2000), (777, 2801)):
        part = np.zeros(stop - first - 35, np.float32)
        track_maxima(x[:, first:stop], tracks, WIDTHS, scales(16), part)
        np.testing.assert_array_equal(part, whole[first : stop - 35])


def test_nan_is_left_out():
    x = np.ones((4, 200), np.float32)
    x[2, 100] = np.nan
    best = np.zeros(195, np.float32)
    track_maxima(x, np.zeros((1, 4), np.int64), WIDTHS, scales(4), best)
    assert np.isfinite(best).all() and best[100] == 0 and best[0] == pytest.approx(24**0.5)


@pytest.mark.parametrize(("change", "message"), [
    ({"widths": np.array([2, 1, 3, 4])}, "widths"), ({"min_share": 0.0}, "min_share"),
    ({"tracks": np.full((1, 4), -1)}, "tracks"), ({"tracks": np.full((1, 4), 200)}, "tracks"),
])
def test_what_is_refused(change, message):
    arguments = {"x": np.ones((4, 200), np.float32), "tracks": np.zeros((1, 4), np.int64),
                 "widths": WIDTHS, "scale": scales(4), "best": np.zeros(195, np.float32)}
    with pytest.raises(ValueError, match=message):
        track_maxima(**{**arguments, **change})


@pytest.mark.parametrize("n_chan", [1, 7, 64, 100])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_deviations_against_their_twin(n_chan, is_weighted, rng):
    x = (5 + np.arange(n_chan) / 10 + rng.normal(size=(3, n_chan))).astype(np.float32)
    x[1, n_chan // 2] = np.nan
    valid = rng.random(x.shape) > 0.2 if is_weighted else None
    level = group_median(x, 16)
    level[2] = 0  # unknown
    count = np.empty(n_chan, np.float32)
    found, total, _ = relative_to_level(x, np.nan_to_num(level), 16, valid=valid, count=count)
    twin = reference.relative_to_level(x, np.nan_to_num(level), 16, valid)
    np.testing.assert_allclose(found, twin, rtol=0, atol=1e-6)
    np.testing.assert_allclose(total, found.sum(axis=0), rtol=0, atol=1e-6)
    assert not found[2].any()
    known = np.isfinite(x[:2]) if valid is None else valid[:2] & np.isfinite(x[:2])
    np.testing.assert_array_equal(count, known.sum(axis=0))
    part = np.pad(x, ((0, 0), (3, 4)))[:, 3:-4]  # rows of a larger plane
    again, *_ = relative_to_level(part, np.nan_to_num(level), 16, valid=valid)
    np.testing.assert_array_equal(again, found)


@pytest.mark.parametrize("n", [0, 1, 2, 37, 100])
def test_sums_of_neighbours_against_their_twin(n, rng):
    x = rng.normal(size=(3, n + 5)).astype(np.float32)[:, 2 : n + 2]
    np.testing.assert_allclose(pair_sums(x), reference.pair_sums(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("n_row", [1, 16])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_best_boxcar_against_its_twin(n_row, is_weighted, rng):
    x = rng.normal(size=(n_row, 80)) + np.arange(80) / 90
    valid = (rng.random(x.shape) > 0.4).astype(float) if is_weighted else None
    sums, counts = (np.pad(np.cumsum(each, axis=1), ((0, 0), (1, 0)))
                    for each in (x if valid is None else x * valid, np.ones_like(x) * valid
                                 if valid is not None else x))
    starts = rng.uniform(-2, 75, (3, 5))
    arguments = (sums, starts, np.linspace(-20, 20, 5), WIDTHS, 1 / np.sqrt(n_row * WIDTHS))
    found = best_boxcar(*arguments, counts=counts if is_weighted else None, min_share=0.6)
    twin = reference.best_boxcar(*arguments, counts if is_weighted else None, 0.6)
    np.testing.assert_allclose(found, twin, rtol=1e-12)
    assert found[3] > 0
    assert not best_boxcar(0 * sums, *arguments[1:]).any()
    assert not best_boxcar(*arguments[:4], np.full(4, np.nan)).any()
    with pytest.raises(ValueError, match="starts"):
        best_boxcar(sums, starts * np.nan, *arguments[2:])
    with pytest.raises(ValueError, match="widths"):
        best_boxcar(*arguments[:3], 0 * WIDTHS, arguments[4])
