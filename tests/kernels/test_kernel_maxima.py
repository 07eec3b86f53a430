"""Running maxima along tracks and over planes, against their twins and their contract."""

import numpy as np
import pytest
from fastsig_kernels import boxcar_maxima, group_median, reference, relative_to_level, track_maxima

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
    found, total = relative_to_level(x, np.nan_to_num(level), 16, valid=valid)
    twin = reference.relative_to_level(x, np.nan_to_num(level), 16, valid)
    np.testing.assert_allclose(found, twin, rtol=0, atol=1e-6)
    np.testing.assert_allclose(total, found.sum(axis=0), rtol=0, atol=1e-6)
    assert not found[2].any()
