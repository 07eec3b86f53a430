"""Running maxima along tracks: line by line of columns, by sums of 16 bits where these are enough.

Where signals are so dense that these leave much, all sums are made in float32. Neither changes a
bit of the maxima.
"""

import numpy as np

from ._jit import jit_strict, jit_strict_inner_arrays
from ._maxima_limits import limits_nb
from ._maxima_loops import COLUMNS
from ._track_floats import floats_nb, raise_all_nb
from ._track_shorts import raise_quickly_nb, short_bounds_nb, shorts_nb

__all__ = ["track_maxima_nb"]

_MOST_PAUSE = 15  # lines in which sums of 16 bits are not tried again


@jit_strict
def track_maxima_nb(x, valid, tracks, widths, scale, min_share, limit, best):
    """Modify `best` as `track_maxima` does; `valid` may be of shape (0, 0).

    The columns of `x` and `valid` are neighbours in memory.
    """
    n_row, is_weighted = x.shape[0], valid.size > 0
    limits = limits_nb(widths, scale, np.float64(n_row), min_share, limit, is_weighted)
    bounds = short_bounds_nb(limits.bounds, n_row, is_weighted)
    steps, places = _pairs_nb(tracks)
    shorts = shorts_nb(bounds, n_row, tracks, widths[-1], steps, places)
    floats = floats_nb(n_row, is_weighted, tracks, widths[-1], steps, places)
    best_line = np.zeros(shorts.line + -shorts.line % COLUMNS, np.float32)
    # Sums of 16 bits are tried again after ever more lines in which they leave too much.
    wait, pause = 0 if bounds[0] > 0 else best.shape[0], 0
    for first in range(0, best.shape[0], shorts.line):
        piece = best[first : first + shorts.line]
        n = piece.size
        best_line[:n] = piece
        is_done = wait == 0 and raise_quickly_nb(x, tracks, steps, first, shorts, limits,
                                                 best_line, n)
        if is_done:
            pause = 0
        elif wait > 0:
            wait -= 1
        else:
            wait, pause = pause, min(2 * pause + 1, _MOST_PAUSE)
        if not is_done:
            raise_all_nb(x, valid, steps, first, floats, limits, best_line, n)
        piece[:] = best_line[:n]


@jit_strict_inner_arrays
def _pairs_nb(tracks):
    """Return the pairs of rows that tracks need: two rows are added once for each of their steps.

    The first result is the first row of each pair, and the step of the track to the next row; the
    second one is the pair that each track needs, for every second row. The last row of an odd
    number is a pair of its own.
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
    return steps[:count].copy(), places
