"""SumThreshold: flagging of runs of samples with a mean too far from zero."""

import math

import numpy as np

from . import _check
from ._jit import jit_strict
from .levels import check_deviations, deviation_factors_nb, finish_deviations_nb

_LINES, _MOST_LINES = 16, 64  # columns that are tested at a time: lines of the cache
_SAMPLES = 2**14  # samples that are tested at a time, if the columns are short enough
_FLAGGED, _LOST = np.float32(1), np.float32(2)
_PIECE = 256  # windows that are searched for an excess together


def sum_thresholds(threshold: float, max_window: int = 64, rho: float = 1.5) -> np.ndarray:
    """Return the thresholds for windows of 1, 2, 4, ... up to `max_window` samples.

    ``chi_M = chi_1 / rho^(log2 M)``

    Parameters
    ----------
    threshold : float, any unit
        chi_1, the threshold of a single sample; above 0.
    max_window : int
        Longest window, a power of two.
    rho : float
        Factor by which thresholds decrease when the window doubles, 1 or more.

    Returns
    -------
    ndarray, shape (n_window,), float64, unit of threshold

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    References
    ----------
    A. R. Offringa et al., MNRAS 405, 155 (2010), section 3.2, which uses rho = 1.5.
    """
    max_window = _check.count("max_window", max_window)
    if max_window & (max_window - 1):
        raise ValueError(f"max_window: found {max_window}, allowed a power of two")
    threshold, rho = _check.number("threshold", threshold), _check.number("rho", rho)
    if not 0 < threshold < math.inf:
        raise ValueError(f"threshold: found {threshold}, allowed above 0")
    if not 1 <= rho < math.inf:
        raise ValueError(f"rho: found {rho}, allowed 1 or more")
    return threshold / rho ** np.arange(max_window.bit_length(), dtype=np.float64)


def sum_threshold(
    x: np.ndarray, flags: np.ndarray, thresholds: np.ndarray, axis: int
) -> None:
    """Flag runs of 1, 2, 4, ... samples along an axis if their mean exceeds a threshold.

    A window of M samples is flagged if ``|sum| > M chi_M``. Flagged samples count as chi_M with
    the sign of the sum, so that they do not cause flags of their neighbours; this is the same as
    ``|sum of the others| > chi_M x number of the others``. Samples that are not finite count as
    0, the expected value, and are not flagged. Windows of one length use the flags from all
    shorter windows, but not those from each other.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32, any unit
        Residuals: samples minus their expected values, divided by their noise. Any strides.
    flags : ndarray, shape (n_time, n_chan), bool
        Samples that are already flagged; modified in place.
    thresholds : ndarray, shape (n_window,), float64, unit of x
        Thresholds for windows of 1, 2, 4, ... samples, as from `sum_thresholds`.
    axis : {0, 1}
        0 for windows of neighbouring times, 1 for windows of neighbouring channels.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape.

    Notes
    -----
    Allocates some lines of working memory, not a copy of the piece; NaN counts as 0; the GIL is
    released. Sums are in float32. The flags of a line do not depend on other lines.

    References
    ----------
    A. R. Offringa et al., MNRAS 405, 155 (2010), section 3.2, equations 6 and 7.
    """
    _check.array("x", x, ("float32",), 2)
    _check.array("thresholds", thresholds, ("float64",), 1)
    _check.target("flags", flags, x.shape, "bool", x, thresholds)
    if thresholds.size == 0:
        raise ValueError("thresholds: found none, allowed one or more")
    axis = _check.count("axis", axis, 0, 1)
    sum_threshold_nb(x, flags, thresholds, axis)


@jit_strict
def sum_threshold_nb(x, flags, thresholds, axis):
    """Modify `flags` as `sum_threshold` does; arguments are not checked."""
    none = np.empty(0, np.float32)
    _test_lines(x, flags, thresholds, axis, none, none, False, np.float32(1), np.float32(0))


def flag_deviations(
    x: np.ndarray, flags: np.ndarray, thresholds: np.ndarray, level: np.ndarray,
    sigma: np.ndarray, *, middle: float = 0.0, unit: float = math.inf, scale: float = 1.0,
    offset: float = 0.0,
) -> None:
    """Apply `sum_threshold` in time, and then in frequency, to the `deviations` of spectra.

    Deviations are computed while they are tested, twice, which is faster than storing them.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32, any unit
        Spectra, with any strides. NaN is not flagged, nor are channels with a sigma of 0 or NaN.
    flags : ndarray, shape (n_time, n_chan), bool
        Samples that are already flagged; modified in place.
    thresholds : ndarray, shape (n_window,), float64, standard deviations
        As for `sum_threshold`.
    level, sigma : ndarray, shape (n_chan,), float32, unit of x
        Levels and noise of the channels.
    middle, unit, scale, offset : float, dimensionless
        As for `deviations`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape, or is not allowed.

    Notes
    -----
    Allocates some lines of working memory; the GIL is released.
    """
    check_deviations(x, level, sigma, middle, unit, scale, offset)
    _check.array("thresholds", thresholds, ("float64",), 1)
    _check.target("flags", flags, x.shape, "bool", x, thresholds, level, sigma)
    if thresholds.size == 0:
        raise ValueError("thresholds: found none, allowed one or more")
    flag_deviations_nb(x, flags, thresholds, level, sigma, float(middle), float(unit),
                       float(scale), float(offset))


@jit_strict
def flag_deviations_nb(x, flags, thresholds, level, sigma, middle, unit, scale, offset):
    """Modify `flags` as `flag_deviations` does; arguments are not checked."""
    factor, base = np.empty(level.size, np.float32), np.empty(level.size, np.float32)
    size, less = deviation_factors_nb(level, sigma, middle, unit, scale, offset, factor, base)
    for axis in range(2):
        _test_lines(x, flags, thresholds, axis, factor, base, np.isfinite(unit), size, less)


@jit_strict
def _test_lines(x, flags, thresholds, axis, factor, base, curved, size, less):
    """Modify `flags` as `sum_threshold` does, for samples or, with factors, their deviations."""
    n, n_line = x.shape[axis], x.shape[1 - axis]
    step = max(_LINES, min(_MOST_LINES, _SAMPLES // max(1, n))) if axis == 0 else 1
    values, counts = np.empty(n * step, np.float32), np.empty(n * step, np.float32)
    marks, bits = np.empty(n * step, np.float32), np.empty(n * step, np.int32)
    sums, spare = np.empty(n * step, np.float32), np.empty(n * step, np.float32)
    held, other = np.empty(n * step, np.float32), np.empty(n * step, np.float32)
    for first in range(0, n_line, step):
        k = min(step, n_line - first)
        some, m = False, n * k
        for t in range(n if axis == 0 else 1):
            row, flagged, channel = ((x[t, first : first + k], flags[t, first : first + k], first)
                                     if axis == 0 else (x[first], flags[first], 0))
            line = values[t * row.size : (t + 1) * row.size]
            some |= _take(row, flagged, line)
            if factor.size > 0:
                _scale(line, factor[channel : channel + row.size],
                       base[channel : channel + row.size])
        if factor.size > 0:
            finish_deviations_nb(values[:m], bits[:m], curved, size, less)
        if not some and _are_calm(values[:m], n, thresholds, sums[:m], spare[:m]):
            continue
        for t in range(n if axis == 0 else 1):
            flagged = flags[t, first : first + k] if axis == 0 else flags[first]
            _take_marks(flagged, marks[t * flagged.size : (t + 1) * flagged.size])
        if not flag_lines_nb(values[:m], counts[:m], marks[:m], n, thresholds, sums[:m],
                             spare[:m], held[:m], other[:m]):
            continue
        for t in range(n if axis == 0 else 1):
            flagged = flags[t, first : first + k] if axis == 0 else flags[first]
            _put(marks[t * flagged.size : (t + 1) * flagged.size], flagged)


@jit_strict
def _scale(line, factor, base):
    for c in range(line.size):
        line[c] = line[c] * factor[c] + base[c]


@jit_strict
def _take(row, flagged, values):
    """Copy samples; return whether any is flagged."""
    some = np.int32(0)
    for c in range(row.size):
        values[c] = row[c]
    for c in range(row.size):
        some |= np.int32(flagged[c])
    return some != 0


@jit_strict
def _take_marks(flagged, marks):
    for c in range(flagged.size):
        marks[c] = np.float32(1) if flagged[c] else np.float32(0)


@jit_strict
def _are_calm(values, n, thresholds, sums, spare):
    """Return whether no window along lines without flags exceeds its threshold."""
    over, limit, n_line = np.int32(0), np.float32(thresholds[0]), values.size // n if n else 0
    for k in range(values.size):
        value = values[k]
        sums[k] = value if abs(value) < np.inf else np.float32(0)
        over |= np.int32(abs(sums[k]) > limit)
    calm = over == 0
    for w in range(1, thresholds.size):
        size = 1 << w
        if size > n or not calm:
            break
        count, apart = (n - size + 1) * n_line, (size // 2) * n_line
        limit = np.float32(thresholds[w]) * np.float32(size)
        calm = not _double_and_test(sums, spare, count, apart, limit)
        sums, spare = spare, sums
    return calm


@jit_strict
def _put(marks, flags):
    for c in range(flags.size):
        flags[c] |= marks[c] == _FLAGGED


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
            over = _double_and_test(sums, spare, count, apart, limit * np.float32(size))
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
        marks[k] = _LOST if not good else one if gone else zero
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
def _double_and_test(x, out, count, apart, limit):
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
                        marks[at] = _FLAGGED
                        values[at] = counts[at] = np.float32(0)
