"""Running maxima of boxcars over sums along tracks, and over the rows of a plane of sums."""

import numpy as np

from . import _check
from ._jit import jit_strict, jit_strict_inner
from ._maxima_loops import COLUMNS, raise_lines, raise_weighted_lines, sum_track_lines

__all__ = ["boxcar_maxima", "boxcar_maxima_nb", "track_maxima", "track_maxima_nb"]

_PIECE = 1024  # columns at a time: their sums and maxima stay in the first-level cache
_NONE = np.empty((0, 0), np.float32)


def boxcar_maxima(
    sums: np.ndarray, widths: np.ndarray, scale: np.ndarray, best: np.ndarray, *,
    weights: np.ndarray | None = None, full: float = 1.0, min_share: float = 0.5,
) -> None:
    """Raise running maxima over the rows of a plane to the S/N of its boxcars.

    ``best[t] = max(best[t], scale[k] sum_{j < widths[k]} sums[r, t + j])`` over r and k. With
    weights, the S/N is multiplied by the square root of ``full * widths[k]`` over the weight of the
    boxcar.

    Parameters
    ----------
    sums : ndarray, shape (n_row, n), float32, any unit
        Sums without their mean, 0 where nothing is valid.
    widths : ndarray, shape (n_width,), int64
        Widths of the boxcars in columns, ascending, from 1 to n.
    scale : ndarray, shape (n_width,), float32, inverse of the unit of sums
        Inverse of the noise of a boxcar of each width in which every sample is valid.
    best : ndarray, shape (n - widths[-1] + 1,), float32, dimensionless
        Highest S/N so far; modified in place.
    weights : ndarray, shape of sums, float32, optional
        Number of valid samples in each sum; by default, all samples are valid.
    full : float
        Number of samples in a sum.
    min_share : float
        Boxcars with a smaller share of valid samples are left out; above 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape, or a number is out of range.

    Notes
    -----
    Allocates memory for a few thousand columns; boxcars that contain NaN are left out; the GIL is
    released. The bits of a sum do not depend on where the plane begins.
    """
    _check.array("sums", sums, ("float32",), 2)
    _check_widths(widths, scale, sums.shape[1])
    _check.target("best", best, (sums.shape[1] - int(widths[-1]) + 1,), "float32", sums, weights,
                  widths, scale)
    full = _check.number("full", full)
    if not 0 < full < np.inf:
        raise ValueError(f"full: found {full}, allowed above 0")
    if weights is not None:
        _check.array("weights", weights, ("float32",), 2)
        _check.shape("weights", weights, sums.shape)
    tables = _tables(widths, scale, full, min_share, weights is not None)
    boxcar_maxima_nb(sums, _NONE if weights is None else weights, *tables, best)


def track_maxima(
    x: np.ndarray, tracks: np.ndarray, widths: np.ndarray, scale: np.ndarray, best: np.ndarray, *,
    valid: np.ndarray | None = None, min_share: float = 0.5,
) -> None:
    """Raise running maxima to the S/N of boxcars over sums of rows along tracks.

    ``best[t] = max(best[t], scale[k] sum_{j < widths[k]} sum_i x[i, t + j + tracks[r, i]])`` over
    r and k. With `valid`, the S/N is multiplied by the square root of the number of samples over
    the number of valid ones.

    Parameters
    ----------
    x : ndarray, shape (n_row, n), float32, any unit
        Samples without their mean, 0 where they are not valid.
    tracks : ndarray, shape (n_track, n_row), int64, columns
        Where each track is in each row, from 0 on.
    widths : ndarray, shape (n_width,), int64
        Widths of the boxcars in columns, ascending.
    scale : ndarray, shape (n_width,), float32, inverse of the unit of x
        Inverse of the noise of a sum of each width in which every sample is valid.
    best : ndarray, shape (n - tracks.max() - widths[-1] + 1,), float32, dimensionless
        Highest S/N so far; modified in place.
    valid : ndarray, shape of x, float32, optional
        1 for samples that are valid, otherwise 0; by default, all are.
    min_share : float
        Sums with a smaller share of valid samples are left out; above 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape, or a number is out of range.

    Notes
    -----
    Every sample of every track is added: for many rows, a tree such as `FDMT` and `boxcar_maxima`
    take less time. Allocates memory for a few thousand columns of each row; sums that contain NaN
    are left out; the GIL is released. The bits of a sum do not depend on where the rows begin.
    """
    _check.array("x", x, ("float32",), 2)
    _check.array("tracks", tracks, ("int64",), 2)
    _check.shape("tracks", tracks, (tracks.shape[0], x.shape[0]))
    if not tracks.size or tracks.min() < 0 or tracks.max() >= x.shape[1]:
        raise ValueError(f"tracks: found none, or columns outside 0 to {x.shape[1] - 1}")
    n = x.shape[1] - int(tracks.max())
    _check_widths(widths, scale, n)
    _check.target("best", best, (n - int(widths[-1]) + 1,), "float32", x, valid, tracks, widths,
                  scale)
    if valid is not None:
        _check.array("valid", valid, ("float32",), 2)
        _check.shape("valid", valid, x.shape)
    tables = _tables(widths, scale, x.shape[0], min_share, valid is not None)
    track_maxima_nb(x, _NONE if valid is None else valid, tracks, *tables, best)


def _check_widths(widths: np.ndarray, scale: np.ndarray, n: int) -> None:
    _check.array("widths", widths, ("int64",), 1)
    _check.array("scale", scale, ("float32",), 1)
    _check.shape("scale", scale, widths.shape)
    if not widths.size or (np.diff(widths) <= 0).any() or widths[0] < 1 or widths[-1] > n:
        raise ValueError(f"widths: found {widths}, allowed ascending numbers from 1 to {n}")


def _tables(widths: np.ndarray, scale: np.ndarray, full: float, min_share: float,
            is_weighted: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the factor and the least weight for every width up to the longest."""
    share = _check.number("min_share", min_share)
    if not 0 < share <= 1:
        raise ValueError(f"min_share: found {share}, allowed above 0 to 1")
    factor, least = np.zeros((2, int(widths[-1])), np.float32)
    whole = full * widths
    factor[widths - 1] = scale * np.sqrt(whole) if is_weighted else scale
    least[widths - 1] = share * whole
    return factor, least


@jit_strict
def boxcar_maxima_nb(sums, weights, scale, least, best):
    """Modify `best` as `boxcar_maxima` does; `weights` may be of shape (0, 0).

    `scale` and `least` have an item for each width from 1 to the longest: the factor of the sum (0
    for widths that are not wanted) and the least weight.
    """
    longest = scale.shape[0]
    work = np.zeros((3, _PIECE + longest + COLUMNS), np.float32)
    for first in range(0, best.shape[0], _PIECE):
        n = min(_PIECE, best.shape[0] - first)
        work[2, :n] = best[first : first + n]
        for row in range(sums.shape[0]):
            work[0, : n + longest - 1] = sums[row, first : first + n + longest - 1]
            if weights.size:
                work[1, : n + longest - 1] = weights[row, first : first + n + longest - 1]
            _raise_nb(work, weights.size > 0, n, scale, least)
        best[first : first + n] = work[2, :n]


@jit_strict
def track_maxima_nb(x, valid, tracks, scale, least, best):
    """Modify `best` as `track_maxima` does; `valid` may be of shape (0, 0).

    `scale` and `least` are as for `boxcar_maxima_nb`.
    """
    longest = scale.shape[0]
    work = np.zeros((3, _PIECE + longest + COLUMNS), np.float32)
    places, steps = _pairs_nb(tracks)
    # Rows of a piece lie side by side: those of a plane as long as a power of two would displace
    # each other from the cache.
    reach = longest - 1 + tracks.max()
    tile = np.empty((x.shape[0], _PIECE + reach + COLUMNS), np.float32)
    pairs = np.empty((steps.shape[0], tile.shape[1] + COLUMNS), np.float32)
    known = np.empty((pairs.shape[0] if valid.size else 0, pairs.shape[1]), np.float32)
    rows = np.empty(max(2, places.shape[1]), np.int64)  # addresses
    for first in range(0, best.shape[0], _PIECE):
        n = min(_PIECE, best.shape[0] - first)
        work[2, :n] = best[first : first + n]
        tile[:, : n + reach] = x[:, first : first + n + reach]
        _add_pairs_nb(tile, steps, rows, n + reach, pairs)
        if valid.size:
            tile[:, : n + reach] = valid[:, first : first + n + reach]
            _add_pairs_nb(tile, steps, rows, n + reach, known)
        for row in range(tracks.shape[0]):
            _sum_track_nb(pairs, places[row], tracks[row], rows, n + longest - 1, work[0])
            if valid.size:
                _sum_track_nb(known, places[row], tracks[row], rows, n + longest - 1, work[1])
            _raise_nb(work, valid.size > 0, n, scale, least)
        best[first : first + n] = work[2, :n]


@jit_strict
def _pairs_nb(tracks):
    """Return the pairs of rows that tracks need: two rows are added once for each of their steps.

    The first result is the pair that each track needs, for every second row; the second one is the
    first row of each pair, and the step of the track to the next row. The last row of an odd number
    is a pair of its own.
    """
    n_track, n_row = tracks.shape
    n_pair = (n_row + 1) // 2
    places = np.empty((n_track, n_pair), np.int64)
    steps = np.empty((n_track * n_pair, 2), np.int64)
    count = 0
    for i in range(n_pair):
        first = count
        for track in range(n_track):
            step = tracks[track, 2 * i + 1] - tracks[track, 2 * i] if 2 * i + 1 < n_row else 0
            at = first
            while at < count and steps[at, 1] != step:
                at += 1
            if at == count:
                steps[at, 0], steps[at, 1] = 2 * i, step
                count += 1
            places[track, i] = at
    return places, steps[:count].copy()


@jit_strict_inner
def _add_pairs_nb(tile, steps, rows, n, out):
    """Fill `out` with sums of two rows; those at which the second row is not known are not used."""
    for i in range(steps.shape[0]):
        row, step = steps[i]
        is_pair = row + 1 < tile.shape[0]
        low, high = (max(0, -step), min(n, n - step)) if is_pair else (0, n)
        rows[0] = tile[row].ctypes.data
        rows[1] = tile[row + 1].ctypes.data + 4 * step if is_pair else 0
        for at in range(4 * low, 4 * high, 4 * COLUMNS):
            sum_track_lines(rows.ctypes.data, 1 + is_pair, at, out[i].ctypes.data + at)


@jit_strict_inner
def _sum_track_nb(pairs, places, track, rows, n, out):
    """Sum `n` columns of pairs of rows along a track; rows have room for more columns."""
    for i in range(places.shape[0]):
        rows[i] = pairs[places[i]].ctypes.data + 4 * track[2 * i]
    for at in range(0, 4 * n, 4 * COLUMNS):
        sum_track_lines(rows.ctypes.data, places.shape[0], at, out.ctypes.data + at)


@jit_strict_inner
def _raise_nb(work, is_weighted, n, scale, least):
    """Raise the maxima in the last row of `work` to the boxcars of the sums in its first."""
    sums, weights, best = work[0].ctypes.data, work[1].ctypes.data, work[2].ctypes.data
    for at in range(0, 4 * n, 4 * COLUMNS):
        if is_weighted:
            raise_weighted_lines(sums + at, weights + at, scale.ctypes.data, least.ctypes.data,
                                 scale.shape[0], best + at)
        else:
            raise_lines(sums + at, scale.ctypes.data, scale.shape[0], best + at)
