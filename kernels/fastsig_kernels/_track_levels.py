"""Maxima along tracks of a plane, and of sums of 2, 4, 8... of its columns, in one call.

A search makes such calls for each piece of a band, and for the surroundings of each signal. One
call, instead of one for each step of it, lets threads work without waiting for each other.
"""

import numpy as np

from ._jit import jit_strict, jit_strict_inner, jit_strict_inner_arrays
from ._track_loops import track_maxima_nb
from .leveling import add_pairs_nb
from .medians import place_nb

__all__ = ["level_maxima_nb"]

_STRETCH = 1024  # columns in which samples are all valid, or weights are computed
_BLOCK = 256  # columns that are looked through at a time


@jit_strict
def level_maxima_nb(x, row, n, valid, lost, gone, levels, tracks, widths, scale, min_share, limits,
                    plane, best):
    """Return the columns whose maximum is above 0, and these maxima, for sets of tracks.

    Parameters
    ----------
    x : ndarray, shape (n_row * row,), float32
        Samples without their mean, 0 where they are not valid. The memory of the last row may end
        after `n` values.
    row, n : int
        Distance of rows, and number of columns.
    valid : ndarray, shape (n_row, n), bool
        Which samples are valid; (0, 0) if all are.
    lost, gone : ndarray, int64
        Columns with samples that are not valid, and those of which no sample is valid, ascending.
    levels : ndarray, shape (n_level, 5), int64
        Number of columns that are summed, a power of two, in ascending order; numbers of sets of
        tracks, of tracks in a set, and of widths; and the last column of tracks.
    tracks, widths, scale : ndarray, int64, int64 and float32
        Those of all levels, one after the other, each of them as for `track_maxima`.
    min_share : float64
    limits : ndarray, shape (n_level,), float64
        As for `track_maxima`, for each level.
    plane, best : ndarray, float32
        Work space for as many values as the samples, and for one of each column and set.

    Returns
    -------
    stops : ndarray, shape (number of all sets + 1,), int64
        The maxima of a set are those between two items.
    columns, heights : ndarray, int64 and float32
        The columns, in ascending order for each set, and the maxima.
    """
    n_row, n_sum = x.size // row, 1
    stops = np.zeros(levels[:, 1].sum() + 1, np.int64)
    columns, heights = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.float32)
    cells, used, last_used = x.reshape((n_row, row))[:, :n], 0, 0
    n_found, n_set, first_track, first_width = 0, 0, 0, 0
    for k in range(levels.shape[0]):
        while n_sum < levels[k, 0]:
            n //= 2
            out = plane[used : used + n_row * n].reshape((n_row, n))
            if n_sum == 1:
                for i in range(n_row):
                    add_pairs_nb(x[i * row : i * row + 2 * n], out[i])
            else:
                for i in range(n_row):
                    begin = last_used + i * cells.shape[1]
                    add_pairs_nb(plane[begin : begin + 2 * n], out[i])
            last_used, used = used, used + n_row * n
            cells, n_sum = out[:, :n], 2 * n_sum
        _, sets, n_track, n_width, reach = levels[k]
        some = tracks[first_track : first_track + sets * n_track * n_row].reshape(
            (sets, n_track, n_row))
        wide = widths[first_width : first_width + n_width]
        factor = scale[first_width : first_width + n_width]
        reach += wide[-1] - 1
        n_best = max(0, n - reach)
        found = best[: sets * n_best].reshape((sets, n_best))
        found[:] = 0
        begin = 0
        while begin < n_best:
            if _are_gone_nb(gone, n_sum, begin, min(begin + _STRETCH, n_best) + reach):
                begin = min(begin + _STRETCH, n_best)
                continue
            stop, is_whole = _stretch_nb(lost, gone, n_sum, begin, n_best, reach)
            weights = _weights_nb(valid, begin, begin if is_whole else stop + reach, n_sum)
            track_maxima_nb(cells[:, begin : stop + reach], weights, some, wide, factor, min_share,
                            limits[k], found[:, begin:stop])
            begin = stop
        for i in range(sets):
            for first in range(0, n_best, _BLOCK):
                if n_found + _BLOCK > columns.size:
                    columns, heights = _longer_nb(columns), _longer_nb(heights)
                n_found = _above_nb(found[i, first : first + _BLOCK], first, n_found, columns,
                                    heights)
            n_set += 1
            stops[n_set] = n_found
        first_track, first_width = first_track + some.size, first_width + n_width
    return stops, columns[:n_found].copy(), heights[:n_found].copy()


@jit_strict_inner
def _number_nb(places, first, stop):
    """Return how many ascending places are from `first` to ``stop - 1``."""
    return place_nb(places, places.size, stop) - place_nb(places, places.size, first)


@jit_strict_inner
def _are_gone_nb(gone, n_sum, begin, stop):
    """Return whether no sample of some sums of columns is valid."""
    return _number_nb(gone, n_sum * begin, n_sum * stop) == n_sum * (stop - begin)


@jit_strict_inner
def _stretch_nb(lost, gone, n_sum, begin, n, reach):
    """Return the end of a stretch, and whether all samples of all tracks in it are valid."""
    if lost.size == 0:
        return n, True
    stop = min(begin + _STRETCH, n)
    is_whole = _number_nb(lost, n_sum * begin, n_sum * (stop + reach)) == 0
    while stop < n:
        end = min(stop + _STRETCH, n)
        if (_number_nb(lost, n_sum * stop, n_sum * (end + reach)) == 0) != is_whole or (
                _are_gone_nb(gone, n_sum, stop, end + reach)):
            break
        stop = end
    return stop, is_whole


@jit_strict_inner_arrays
def _weights_nb(valid, begin, stop, n_sum):
    """Return the fraction of valid samples in sums of columns; (0, 0) if there are no sums."""
    out = np.empty((valid.shape[0] if stop > begin else 0, stop - begin), np.float32)
    for i in range(out.shape[0]):
        for c in range(begin, stop):
            count = 0
            for k in range(n_sum * c, n_sum * (c + 1)):
                count += valid[i, k]
            out[i, c - begin] = np.float32(count) / np.float32(n_sum)
    return out


@jit_strict_inner
def _above_nb(line, first, n, columns, heights):
    """Append the columns, counted from `first`, of values above 0, and these; return the number."""
    count = np.int32(0)
    for c in range(line.size):
        count += np.int32(line[c] > 0)
    if count > 0:
        for c in range(line.size):
            if line[c] > 0:
                columns[n], heights[n] = first + c, line[c]
                n += 1
    return n


@jit_strict_inner_arrays
def _longer_nb(values):
    """Return values with room for as many again."""
    out = np.empty(2 * values.size, values.dtype)
    out[: values.size] = values
    return out
