"""Runs along lines of samples: marks of the windows whose mean is too far from zero.

Nothing is checked here.
"""

import numpy as np

from ._jit import jit_strict

#: Marks of samples that are flagged, and that are not finite.
FLAGGED, LOST = np.float32(1), np.float32(2)
_PIECE = 256  # windows that are searched for an excess together


@jit_strict
def take_marks_nb(flagged, marks):
    """Mark what is flagged of a line."""
    for c in range(flagged.size):
        marks[c] = np.float32(1) if flagged[c] else np.float32(0)


@jit_strict
def put_nb(marks, flags):
    """Flag what is marked of a line."""
    for c in range(flags.size):
        flags[c] |= marks[c] == FLAGGED


@jit_strict
def flag_lines_nb(values, counts, marks, n, thresholds, sums, spare, held, other):
    """Mark windows along some lines, sample by sample in turns, that exceed their threshold.

    Sample t of line k is ``[t * n_line + k]``. Sums of a window are those of its halves, so their
    bits do not depend on other windows.

    Parameters
    ----------
    values : ndarray, shape (n * n_line,), float32
        Samples; set to 0 where they are marked or not finite.
    counts : ndarray, shape of values, float32
        Receives 0 for samples that are marked, else 1.
    marks : ndarray, shape of values, float32
        1 for flagged samples; becomes 1 for those that are found, and 2 for those not finite.
    n : int
        Samples in a line.
    thresholds : ndarray, shape (n_window,), float64
    sums, spare, held, other : ndarray, shape of values, float32
        Working memory.

    Returns
    -------
    bool
        Whether anything was found.
    """
    n_line = values.size // n if n else 0
    found, some = _begin(values, counts, marks, np.float32(thresholds[0]))
    sums[:] = values
    held[:] = counts
    for w in range(1, thresholds.size):
        size = 1 << w
        if size > n:
            break
        count, apart = (n - size + 1) * n_line, (size // 2) * n_line
        limit = np.float32(thresholds[w])
        if some:
            _double(held, other, count, apart)
            held, other = other, held
            _double(sums, spare, count, apart)
            over = _over_count(spare, held, count, limit)
        else:
            over = double_and_test_nb(sums, spare, count, apart, limit * np.float32(size))
            for k in range(count if over else 0):
                held[k] = np.float32(size)
        sums, spare = spare, sums
        if over:
            found = some = True
            _mark(values, counts, marks, sums, held, count, limit, size, n_line)
            sums[:] = values
            held[:] = counts
            for v in range(1, w + 1):
                count, apart = (n - (1 << v) + 1) * n_line, (1 << (v - 1)) * n_line
                _double(sums, spare, count, apart)
                sums, spare = spare, sums
                _double(held, other, count, apart)
                held, other = other, held
    return found


@jit_strict
def _begin(values, counts, marks, limit):
    """Mark single samples; return whether any is, and whether any is marked at all."""
    new, old = np.int32(0), np.int32(0)
    zero, one = np.float32(0), np.float32(1)
    for k in range(values.size):
        value, before = values[k], marks[k] > zero
        good = abs(value) < np.inf
        over = good & (not before) & (abs(value) > limit)
        gone = before | over
        new |= np.int32(over)
        old |= np.int32(before)
        marks[k] = LOST if not good else one if gone else zero
        counts[k] = zero if good & gone else one
        values[k] = zero if (not good) | gone else value
    return new != 0, (new | old) != 0


@jit_strict
def _double(x, out, count, apart):
    """Add the sums of both halves of windows."""
    one, two = x[:count], x[apart : apart + count]
    for k in range(count):
        out[k] = one[k] + two[k]


@jit_strict
def double_and_test_nb(x, out, count, apart, limit):
    """Add the sums of both halves of windows; return whether any exceeds a limit."""
    one, two, over = x[:count], x[apart : apart + count], np.int32(0)
    for k in range(count):
        total = one[k] + two[k]
        out[k] = total
        over |= np.int32(abs(total) > limit)
    return over != 0


@jit_strict
def _over_count(sums, held, count, limit):
    over = np.int32(0)
    for k in range(count):
        over |= np.int32(abs(sums[k]) > limit * held[k])
    return over != 0


@jit_strict
def _mark(values, counts, marks, sums, held, count, limit, size, n_line):
    """Mark every sample of windows whose sum exceeds the limit."""
    for first in range(0, count, _PIECE):
        n = min(_PIECE, count - first)
        total, many = sums[first : first + n], held[first : first + n]
        if not _over_count(total, many, n, limit):
            continue
        for k in range(n):
            if abs(total[k]) > limit * many[k]:
                for i in range(size):
                    at = first + k + i * n_line
                    if marks[at] == 0:
                        marks[at] = FLAGGED
                        values[at] = counts[at] = np.float32(0)
