"""Loops of friends of friends: runs of events in each row, and runs of other rows they meet."""

import numpy as np

from ._jit import jit_strict, jit_strict_inner


@jit_strict_inner
def _root_nb(parent, i):
    """Return the first run of a group; shorten the way to it."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@jit_strict_inner
def _join_nb(parent, i, j):
    i, j = _root_nb(parent, i), _root_nb(parent, j)
    parent[max(i, j)] = min(i, j)


@jit_strict
def link_nb(order, time, row, end, row_link, out):
    """Write the number of the burst of each event.

    `order` sorts events by row, then time; `end` is where the boxcars end, widened.
    """
    n = order.size
    run, n_run, n_row = np.empty(n, np.int64), 0, 0
    start, stop = np.empty(n, np.int64), np.empty(n, np.int64)
    rows, runs = np.empty(n, np.int64), np.empty(n + 1, np.int64)
    for k in range(n):
        i = order[k]
        is_new_row = k == 0 or row[i] != row[order[k - 1]]
        if is_new_row:
            rows[n_row], runs[n_row] = row[i], n_run
            n_row += 1
        if is_new_row or time[i] >= stop[n_run - 1]:
            start[n_run], stop[n_run] = time[i], end[i]
            n_run += 1
        stop[n_run - 1] = max(stop[n_run - 1], end[i])
        run[i] = n_run - 1
    runs[n_row] = n_run
    parent = np.arange(n_run)
    for r in range(n_row):
        other = r - 1
        while other >= 0 and rows[r] - rows[other] <= row_link:
            _meet_nb(parent, start, stop, runs[other], runs[other + 1], runs[r], runs[r + 1])
            other -= 1
    number = np.full(n_run, -1, np.int64)
    n_found = 0
    for i in range(n):
        root = _root_nb(parent, run[i])
        if number[root] < 0:
            number[root] = n_found
            n_found += 1
        out[i] = number[root]


@jit_strict_inner
def _meet_nb(parent, start, stop, i, i_end, j, j_end):
    """Join runs of two rows that overlap; runs of a row are in order, and do not overlap."""
    while i < i_end and j < j_end:
        if start[i] < stop[j] and start[j] < stop[i]:
            _join_nb(parent, i, j)
        if stop[i] < stop[j]:
            i += 1
        else:
            j += 1
