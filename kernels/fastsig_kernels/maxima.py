"""Running maxima of boxcars over sums along tracks, and over the rows of a plane of sums."""

import numpy as np

from . import _check
from ._jit import jit_strict
from ._maxima_limits import limits_nb, raise_nb
from ._maxima_loops import COLUMNS, has_high
from ._track_loops import track_maxima_nb

__all__ = ["best_boxcar", "best_boxcar_nb", "boxcar_maxima", "boxcar_maxima_nb", "track_maxima",
           "track_maxima_nb"]

_WIDE = 192  # columns at a time: sums of two rows stay in the first-level cache
_LANES = 16  # columns of a cache line
_MOST = 2**40  # columns
_NONE = np.empty((0, 0), np.float32)
_NO_COUNTS = np.empty((0, 0))


def boxcar_maxima(
    sums: np.ndarray, widths: np.ndarray, scale: np.ndarray, best: np.ndarray, *,
    weights: np.ndarray | None = None, full: float = 1.0, min_share: float = 0.5,
    limit: float = 0.0,
) -> None:
    """Raise running maxima over the rows of a plane to the S/N of its boxcars.

    ``best[t] = max(best[t], scale[k] sum_{j < widths[k]} sums[r, t + j])`` over r and k. With
    weights, the S/N is multiplied by the square root of ``full * widths[k]`` divided by the weight
    of the boxcar.

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
        Boxcars with a smaller fraction of valid samples are left out; above 0 and at most 1.
    limit : float
        Boxcars whose S/N is not above this limit, 0 or more, are left out. The higher it is, the
        fewer of them are computed.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape, or a number is out of range.

    Notes
    -----
    A call allocates memory for a few thousand columns. Boxcars that contain NaN are left out, and
    the GIL is released. The bits of a sum do not depend on where the plane begins.
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
    boxcar_maxima_nb(sums, _NONE if weights is None else weights, widths, scale, full,
                     _share(min_share), _limit(limit), best)


def track_maxima(
    x: np.ndarray, tracks: np.ndarray, widths: np.ndarray, scale: np.ndarray, best: np.ndarray, *,
    valid: np.ndarray | None = None, min_share: float = 0.5,
    limit: float = 0.0,
) -> None:
    """Raise running maxima to the S/N of boxcars over sums of rows along tracks.

    ``best[t] = max(best[t], scale[k] sum_{j < widths[k]} sum_i x[i, t + j + tracks[r, i]])`` over
    r and k. With `valid`, the S/N is multiplied by the square root of the number of samples divided
    by the number of valid samples.

    Parameters
    ----------
    x : ndarray, shape (n_row, n), float32, any unit
        Samples without their mean, 0 where they are not valid.
    tracks : ndarray, shape (n_track, n_row) or (n_set, n_track, n_row), int64, columns
        Column of each track in each row, 0 or more. Several sets of tracks share work.
    widths : ndarray, shape (n_width,), int64
        Widths of the boxcars in columns, ascending.
    scale : ndarray, shape (n_width,), float32, inverse of the unit of x
        Inverse of the noise of a sum of each width in which every sample is valid.
    best : ndarray, shape (n - tracks.max() - widths[-1] + 1,), float32, dimensionless
        Highest S/N so far; modified in place. If there are several sets of tracks, it has a row for
        each set.
    valid : ndarray, shape of x, float32, optional
        1 for samples that are valid, otherwise 0; by default, all are valid.
    min_share : float
        Sums with a smaller fraction of valid samples are left out; above 0 and at most 1.
    limit : float
        As for `boxcar_maxima`.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape, or a number is out of range.

    Notes
    -----
    Every sample of every track is added, so for many rows a tree such as `FDMT`, followed by
    `boxcar_maxima`, takes less time. A call allocates memory for a few thousand columns of each
    row. Sums that contain NaN are left out, and the GIL is released. The bits of a sum do not
    depend on where the rows begin.
    """
    _check.array("x", x, ("float32",), 2)
    _check.array("tracks", tracks, ("int64",), 3 if np.ndim(tracks) == 3 else 2)
    _check.shape("tracks", tracks, (*tracks.shape[:-1], x.shape[0]))
    last = int(tracks.max()) if tracks.size else -1
    if tracks.size == 0 or tracks.min() < 0 or last >= x.shape[1]:
        raise ValueError(f"tracks: found none, or columns outside 0 to {x.shape[1] - 1}")
    n = x.shape[1] - last
    _check_widths(widths, scale, n)
    _check.target("best", best, (*tracks.shape[:-2], n - int(widths[-1]) + 1), "float32", x, valid,
                  tracks, widths, scale)
    if valid is not None:
        _check.array("valid", valid, ("float32",), 2)
        _check.shape("valid", valid, x.shape)
    if tracks.ndim == 2:
        tracks, best = tracks[np.newaxis], best[np.newaxis]
    track_maxima_nb(_by_columns(x), _NONE if valid is None else _by_columns(valid), tracks, widths,
                    scale, _share(min_share), _limit(limit), best)


def best_boxcar(
    sums: np.ndarray, starts: np.ndarray, drifts: np.ndarray, widths: np.ndarray,
    scale: np.ndarray, *, counts: np.ndarray | None = None, min_share: float = 0.5,
) -> np.ndarray:
    """Return the boxcar with the highest S/N among those that follow straight tracks.

    In row i of N, a boxcar begins at column ``floor(start + drift i / (N - 1) + 1/2)``. Its S/N is
    its sum times `scale` and, with `counts`, divided by the square root of the fraction of valid
    samples.

    Parameters
    ----------
    sums : ndarray, shape (n_row, n + 1), float64, any unit
        Cumulative sums of the rows, from 0.
    starts : ndarray, shape (n_start, n_drift), float64, columns
        Columns at which tracks begin in the first row.
    drifts : ndarray, shape (n_drift,), float64, columns
        Displacements of the tracks in the last row.
    widths : ndarray, shape (n_width,), int64
        Widths of boxcars in columns, 1 or more.
    scale : ndarray, shape (n_width,), float64, inverse of the unit of sums
        Inverse of the noise of a boxcar of each width; widths for which it is not a positive finite
        number are left out.
    counts : ndarray, shape of sums, float64, optional
        Cumulative numbers of valid samples; by default, all are valid.
    min_share : float
        Boxcars with a smaller fraction of valid samples are left out; above 0 and at most 1.

    Returns
    -------
    ndarray, shape (6,), float64
        Start, drift, width, S/N, sum and fraction of valid samples; zeros if no boxcar that lies
        between the first and the last column in all rows has an S/N above 0.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape, or a number is out of range.

    Notes
    -----
    A call allocates no memory besides the result; the GIL is released. Of boxcars with the same
    S/N, the first is returned, in the order of widths, then of starts.
    """
    _check.array("sums", sums, ("float64",), 2)
    _check.array("starts", starts, ("float64",), 2)
    _check.array("drifts", drifts, ("float64",), 1)
    _check.shape("starts", starts, (starts.shape[0], drifts.shape[0]))
    _check.array("widths", widths, ("int64",), 1)
    _check.array("scale", scale, ("float64",), 1)
    _check.shape("scale", scale, widths.shape)
    if widths.size and (widths.min() < 1 or widths.max() > _MOST):
        raise ValueError(f"widths: found {widths}, allowed numbers from 1 to {_MOST}")
    if not (np.isfinite(starts).all() and np.isfinite(drifts).all()) or max(
            np.abs(starts).max(initial=0), np.abs(drifts).max(initial=0)) > _MOST:
        raise ValueError(f"starts, drifts: found numbers beyond {_MOST}, allowed smaller ones")
    share = _share(min_share)
    if counts is not None:
        _check.array("counts", counts, ("float64",), 2)
        _check.shape("counts", counts, sums.shape)
    out = np.zeros(6)
    best_boxcar_nb(sums, _NO_COUNTS if counts is None else counts, starts, drifts, widths, scale,
                   share, out)
    return out


def _by_columns(x: np.ndarray) -> np.ndarray:
    """Return an array whose columns are neighbours in memory."""
    return x if x.strides[1] == x.itemsize else np.ascontiguousarray(x)


def _check_widths(widths: np.ndarray, scale: np.ndarray, n: int) -> None:
    _check.array("widths", widths, ("int64",), 1)
    _check.array("scale", scale, ("float32",), 1)
    _check.shape("scale", scale, widths.shape)
    if not widths.size or (widths[1:] <= widths[:-1]).any() or widths[0] < 1 or widths[-1] > n:
        raise ValueError(f"widths: found {widths}, allowed ascending numbers from 1 to {n}")


def _share(min_share: float) -> float:
    share = _check.number("min_share", min_share)
    if not 0 < share <= 1:
        raise ValueError(f"min_share: found {share}, allowed above 0 to 1")
    return share


def _limit(limit: float) -> float:
    limit = _check.number("limit", limit)
    if not 0 <= limit < np.inf:
        raise ValueError(f"limit: found {limit}, allowed finite numbers from 0")
    return limit


@jit_strict
def boxcar_maxima_nb(sums, weights, widths, scale, full, min_share, limit, best):
    """Modify `best` as `boxcar_maxima` does; `weights` may be of shape (0, 0)."""
    longest = widths[-1]
    limits = limits_nb(widths, scale, full, min_share, limit, weights.size > 0)
    pair, alone = limits.bounds[2], limits.bounds[3]
    line = _WIDE - (longest - 1 + -(longest - 1) % _LANES)
    work, best_line = np.zeros((2, _WIDE + COLUMNS), np.float32), np.zeros(_WIDE, np.float32)
    for first in range(0, best.shape[0], line):
        n = min(line, best.shape[0] - first)
        held = n + longest - 1
        best_line[:n] = best[first : first + n]
        for row in range(sums.shape[0]):
            work[0, :held] = sums[row, first : first + held]
            is_high = 0
            for at in range(0, 4 * held, 4 * COLUMNS):
                is_high |= has_high(work[0].ctypes.data + at, pair, alone)
            if is_high == 0:
                continue
            if weights.size:
                work[1, :held] = weights[row, first : first + held]
            raise_nb(work, weights.size > 0, best_line, n, limits)
        best[first : first + n] = best_line[:n]


@jit_strict
def best_boxcar_nb(sums, counts, starts, drifts, widths, scale, min_share, out):
    """Fill `out` as `best_boxcar` does; `counts` may be of shape (0, 0)."""
    n_row, stop = sums.shape
    steps = np.float64(max(1, n_row - 1))
    for k in range(widths.shape[0]):
        width, factor = widths[k], scale[k]
        if not 0 < factor < np.inf:
            continue
        for i in range(starts.shape[0]):
            for j in range(drifts.shape[0]):
                total, count, inside = 0.0, 0.0, True
                whole = np.floor(starts[i, j])
                rest = starts[i, j] - whole  # the track has the same form wherever it begins
                for row in range(n_row):
                    at = np.int64(whole + np.floor(rest + drifts[j] * (row / steps) + 0.5))
                    if at < 0 or at + width >= stop:
                        inside = False
                        break
                    total += sums[row, at + width] - sums[row, at]
                    if counts.size:
                        count += counts[row, at + width] - counts[row, at]
                share = count / (n_row * width) if counts.size else 1.0
                if inside and share >= min_share:
                    snr = total / np.sqrt(share) * factor
                    if snr > out[3]:
                        out[0], out[1], out[2] = starts[i, j], drifts[j], width
                        out[3], out[4], out[5] = snr, total, share
