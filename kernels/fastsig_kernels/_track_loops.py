"""Running maxima along tracks: line by line of columns, by sums of 16 bits where these are enough.

Where signals are so dense that these leave much, all sums are made in float32. Neither changes a
bit of the maxima.
"""

import numpy as np

from ._jit import jit_strict, jit_strict_inner_arrays
from ._maxima_limits import limits_nb
from ._maxima_loops import COLUMNS
from ._track_floats import floats_nb, raise_all_nb
from ._track_shorts import raise_quickly_nb, read_nb, short_bounds_nb, shorts_nb

__all__ = ["track_maxima_nb"]

_MOST_PAUSE = 31  # lines in which sums of 16 bits are not tried again


@jit_strict
def track_maxima_nb(x, valid, tracks, widths, scale, min_share, limit, best):
    """Modify `best` as `track_maxima` does, for sets of tracks; `valid` may be of shape (0, 0).

    `tracks` is (n_set, n_track, n_row), and `best` (n_set, n). The columns of `x` and `valid` are
    neighbours in memory.
    """
    n_set, n_row, is_weighted = tracks.shape[0], x.shape[0], valid.size > 0
    limits = limits_nb(widths, scale, np.float64(n_row), min_share, limit, is_weighted)
    bounds = short_bounds_nb(limits.bounds, n_row, is_weighted)
    steps, stops, places = _pairs_nb(tracks)
    shorts = shorts_nb(bounds, n_row, tracks, widths[-1], steps, stops, places)
    floats = floats_nb(n_row, is_weighted, tracks, widths[-1], steps, stops, places)
    best_line = np.zeros((n_set, shorts.line + -shorts.line % COLUMNS), np.float32)
    # Sums of 16 bits are tried again after ever more lines if they left too much.
    wait, pause = 0 if bounds[0] > 0 else best.shape[1], 1
    for first in range(0, best.shape[1], shorts.line):
        n = min(shorts.line, best.shape[1] - first)
        is_tried, all_done = wait == 0, True
        if is_tried:
            read_nb(x, first - shorts.before, shorts)
        for k in range(n_set):
            line, pairs = best_line[k], steps[stops[k] : stops[k + 1]]
            line[:n] = best[k, first : first + n]
            is_done = is_tried and raise_quickly_nb(x, tracks[k], pairs, first, shorts,
                                                    shorts.rows[k], limits, line, n)
            if not is_done:
                raise_all_nb(x, valid, pairs, first, floats, floats.rows[:, k], limits, line, n)
            all_done &= is_done
            best[k, first : first + n] = line[:n]
        if not is_tried:
            wait -= 1
        elif all_done:
            pause = 1
        else:
            wait, pause = pause, min(2 * pause + 1, _MOST_PAUSE)


@jit_strict_inner_arrays
def _pairs_nb(tracks):
    """Return the pairs of rows that tracks need: two rows are added once for each of their steps.

    The first result is the first row of each pair, and the step of a track to the next row. Pairs
    of a set of tracks are those between two items of the second one. The third one is the pair, of
    those of its set, that each track needs for every second row. The last row of an odd number is a
    pair of its own.
    """
    n_set, n_track, n_row = tracks.shape
    n_pair = (n_row + 1) // 2
    places = np.empty((n_set, n_track, n_pair), np.int64)
    steps = np.empty((n_set * n_track * n_pair, 2), np.int64)
    stops = np.zeros(n_set + 1, np.int64)
    for k in range(n_set):
        count = stops[k]
        for i in range(n_pair):
            first = count
            for track in range(n_track):
                row = tracks[k, track]
                step = row[2 * i + 1] - row[2 * i] if 2 * i + 1 < n_row else 0
                at = first
                while at < count and steps[at, 1] != step:
                    at += 1
                if at == count:
                    steps[at, 0], steps[at, 1] = 2 * i, step
                    count += 1
                places[k, track, i] = at - stops[k]
        stops[k + 1] = count
    return steps[: stops[n_set]].copy(), stops, places
