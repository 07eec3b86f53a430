"""Loops of the normalisation of spectra, over channels of a row.

Sums are float64, and are added row by row, so that they do not depend on how a stream is divided.
Nothing is checked here.
"""

import numpy as np

from ._jit import jit_strict, jit_strict_inner

#: Channels whose sums stay in the first-level cache; rows whose pages the processor can keep track
#: of, as each row is a page or more.
_CHANNELS, _ROWS = 512, 8


@jit_strict
def measure_nb(x, series, valid, has_valid, kept, kept_valid, sums, start, stop):
    """Keep rows of some channels, and add them to their sums: number, values, and squares.

    Values are those of `x` minus those of the series.
    """
    for above in range(0, x.shape[0], _ROWS):
        below = min(above + _ROWS, x.shape[0])
        for first in range(start, stop, _CHANNELS):
            last = min(first + _CHANNELS, stop)
            number, total, square = sums[0, first:last], sums[1, first:last], sums[2, first:last]
            for row in range(above, below):
                values, copy = x[row, first:last], kept[row, first:last]
                if has_valid:
                    good, keep = valid[row, first:last], kept_valid[row, first:last]
                    _add_valid_nb(values, series[row], good, copy, keep, number, total, square)
                else:
                    _add_nb(values, series[row], copy, total, square)


@jit_strict_inner
def _add_nb(x, base, copy, total, square):
    """Add a row."""
    for c in range(x.size):
        value = np.float64(np.float32(x[c]) - base)
        total[c] += value
        square[c] += value * value
        copy[c] = x[c]


@jit_strict_inner
def _add_valid_nb(x, base, valid, copy, keep, number, total, square):
    """Add the valid values of a row."""
    for c in range(x.size):
        value = np.float64(np.float32(x[c]) - base) if valid[c] else 0.0
        number[c] += np.float64(valid[c])
        total[c] += value
        square[c] += value * value
        copy[c], keep[c] = x[c], valid[c]


@jit_strict
def scale_nb(x, series, valid, has_valid, level, slope, gain, alive, out, out_valid, start, stop):
    """Normalise rows from `start` to `stop`; write which are valid if `has_valid`."""
    for row in range(start, stop):
        at = np.float32(row)
        if has_valid:
            _scale_valid_nb(x[row], series[row], valid[row], level, slope, gain, alive, out[row],
                            out_valid[row], at)
        else:
            _scale_row_nb(x[row], series[row], level, slope, gain, out[row], at)


@jit_strict_inner
def _code_nb(x, base, level, slope, gain, at):
    """Return a normalised value, rounded and limited."""
    value = np.rint(((np.float32(x) - base) - level) * gain - slope * at)
    return min(max(value, np.float32(-127)), np.float32(127))


@jit_strict_inner
def _scale_row_nb(x, base, level, slope, gain, out, at):
    for c in range(x.size):
        out[c] = np.int8(np.int32(_code_nb(x[c], base, level[c], slope[c], gain[c], at)))


@jit_strict_inner
def _scale_valid_nb(x, base, valid, level, slope, gain, alive, out, out_valid, at):
    for c in range(x.size):
        good = valid[c] & alive[c]
        code = _code_nb(x[c], base, level[c], slope[c], gain[c], at)
        out[c] = np.int8(np.int32(code if good else np.float32(0)))
        out_valid[c] = good


@jit_strict
def location_nb(window, out, start, stop):
    """Compute a mean over rows of the numbers in some columns that are not outliers.

    The columns are those from `start` to `stop`. Outliers are further than four standard deviations
    from the middle of the shortest interval with more than half of the numbers; its length is 1.349
    standard deviations. Of less than five numbers, the result is the median; NaN of none.
    """
    values = np.empty(window.shape[0])
    for c in range(start, stop):
        n = 0
        for row in range(window.shape[0]):
            value = window[row, c]
            if np.isfinite(value):
                at = n
                while at > 0 and values[at - 1] > value:
                    values[at] = values[at - 1]
                    at -= 1
                values[at] = value
                n += 1
        out[c] = _middle_nb(values, n) if n else np.nan


@jit_strict_inner
def _middle_nb(values, n):
    """Return the mean of sorted values without outliers."""
    if n < 5:
        return (values[(n - 1) // 2] + values[n // 2]) / 2
    half, best = n // 2, 0
    for i in range(1, n - half):
        if values[i + half] - values[i] < values[best + half] - values[best]:
            best = i
    middle = (values[best] + values[best + half]) / 2
    most = 4 / 1.349 * (values[best + half] - values[best])
    total, number = 0.0, 0
    for i in range(n):
        if abs(values[i] - middle) <= most:
            total += values[i]
            number += 1
    return total / number


@jit_strict
def halve_nb(x, valid, has_valid, out, out_valid, start, stop):
    """Add two rows at a time, divided by the root of 2: rows of `out` from `start` to `stop`."""
    for row in range(start, stop):
        if has_valid:
            _halve_valid_nb(x[2 * row], x[2 * row + 1], valid[2 * row], valid[2 * row + 1],
                            out[row], out_valid[row])
        else:
            _halve_row_nb(x[2 * row], x[2 * row + 1], out[row])


@jit_strict_inner
def _halved_nb(a, b):
    """Return the normalised sum of two codes."""
    value = np.rint(np.float32(np.int32(a) + np.int32(b)) * np.float32(0.5**0.5))
    return min(max(value, np.float32(-127)), np.float32(127))


@jit_strict_inner
def _halve_row_nb(a, b, out):
    for c in range(a.size):
        out[c] = np.int8(np.int32(_halved_nb(a[c], b[c])))


@jit_strict_inner
def _halve_valid_nb(a, b, a_valid, b_valid, out, out_valid):
    for c in range(a.size):
        one = np.int32(a[c]) if a_valid[c] else np.int32(0)
        other = np.int32(b[c]) if b_valid[c] else np.int32(0)
        both = a_valid[c] & b_valid[c]
        # A sample without a valid partner has the right noise as it is.
        out[c] = np.int8(np.int32(_halved_nb(a[c], b[c])) if both else one + other)
        out_valid[c] = a_valid[c] | b_valid[c]
