"""SumThreshold: flagging of runs of samples with a mean too far from zero."""

import math

import numpy as np

from . import _check
from ._jit import jit_strict, one_form
from ._level_vectors import LANES
from ._line_loops import double_and_test_nb, flag_lines_nb, put_nb, take_marks_nb
from ._run_loops import flag_runs_nb
from ._run_vectors import MOST_WINDOWS
from ._simd import Spec
from .levels import check_deviations, deviation_factors_nb, finish_deviations_nb

_LINES, _MOST_LINES = 16, 64  # columns that are tested at a time: lines of the cache
_SAMPLES = 2**14  # samples that are tested at a time, if the columns are short enough


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
        Factor, 1 or more, by which thresholds decrease when the length of the window doubles.

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

    A window of M samples is flagged if ``|sum| > M chi_M``. Flagged samples count as chi_M with the
    sign of the sum, so that they do not cause flags of their neighbours. The condition is therefore
    ``|sum of the others| > chi_M x number of the others``. Samples that are not finite count as 0,
    the expected value, and are not flagged. Windows of one length use the flags from all shorter
    windows, but not those from each other.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32, any unit
        Residuals, which are samples minus their expected values, divided by their noise; with any
        strides.
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
    A call allocates a few lines of working memory, but no copy of x. NaN counts as 0, and the GIL
    is released. Sums are in float32. The flags of a line do not depend on other lines.

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
    sum_threshold_nb(_check.read_only(x), flags, thresholds, axis)


@jit_strict
def sum_threshold_nb(x, flags, thresholds, axis):
    """Modify `flags` as `sum_threshold` does; arguments are not checked."""
    none = np.empty(0, np.float32)
    _test_lines(x, flags, thresholds, axis, none, none, False, np.float32(1), np.float32(0))


def flag_deviations(
    x: np.ndarray, flags: np.ndarray, thresholds: np.ndarray, level: np.ndarray,
    sigma: np.ndarray, *, series: np.ndarray | None = None, middle: float = 0.0,
    unit: float = math.inf, scale: float = 1.0, offset: float = 0.0,
) -> None:
    """Apply `sum_threshold` in time, and then in frequency, to the `deviations` of spectra.

    Deviations are computed while they are tested, which is faster than storing them.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32 or uint8, any unit
        Spectra, with any strides. NaN is not flagged, nor are channels with a sigma of 0 or NaN.
    flags : ndarray, shape (n_time, n_chan), bool
        Samples that are already flagged; modified in place.
    thresholds : ndarray, shape (n_window,), float64, standard deviations
        As for `sum_threshold`.
    level, sigma : ndarray, shape (n_chan,), float32, unit of x
        Levels and noise of the channels.
    series : ndarray, shape (n_time,), float32, unit of x, optional
        Values that are first subtracted from all channels, as by `subtract_series`.
    middle, unit, scale, offset : float, dimensionless
        As for `deviations`.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape, or is not allowed.

    Notes
    -----
    A call allocates a few lines of working memory, and a copy of x if its channels are not
    neighbours in memory, for windows of more than 64 samples, or if a threshold is infinite or not
    above 0. The GIL is released.
    """
    check_deviations(x, level, sigma, middle, unit, scale, offset, series)
    _check.array("thresholds", thresholds, ("float64",), 1)
    _check.target("flags", flags, x.shape, "bool", x, thresholds, level, sigma, series)
    if thresholds.size == 0:
        raise ValueError("thresholds: found none, allowed one or more")
    shape = tuple(map(float, (middle, unit, scale, offset)))
    if thresholds.size > MOST_WINDOWS or not ((thresholds > 0) & (thresholds < math.inf)).all():
        less = x if series is None else x - series[:, np.newaxis]
        flag_deviations_nb(_check.read_only(less.astype(np.float32, copy=False)), flags, thresholds,
                           level, sigma, *shape)
    elif x.size:
        _flag_runs(x, flags, thresholds, level, sigma, series, shape)


def _flag_runs(x: np.ndarray, flags: np.ndarray, thresholds: np.ndarray, level: np.ndarray,
               sigma: np.ndarray, series: np.ndarray | None, shape: tuple[float, ...]) -> None:
    """Do `flag_deviations` for windows of up to 64 samples."""
    if x.strides[1] != x.itemsize:
        x = np.ascontiguousarray(x)
    series = np.zeros(len(x), np.float32) if series is None else np.ascontiguousarray(series)
    factor, base = np.empty((2, level.size), np.float32)
    size, less = deviation_factors_nb(level, sigma, *shape, factor, base)
    spec, floats = (Spec(kind=kind, lanes=LANES) for kind in (x.dtype.str[1:], "f4"))
    flag_runs_nb(spec, floats, _check.read_only(x), series, flags, thresholds, factor, base,
                 math.isfinite(shape[1]), size, less)


@jit_strict
def flag_deviations_nb(x, flags, thresholds, level, sigma, middle, unit, scale, offset):
    """Modify `flags` as `flag_deviations` does; arguments are not checked."""
    factor, base = np.empty(level.size, np.float32), np.empty(level.size, np.float32)
    size, less = deviation_factors_nb(level, sigma, middle, unit, scale, offset, factor, base)
    for axis in range(2):
        _test_lines(x, flags, thresholds, axis, factor, base, np.isfinite(unit), size, less)


@one_form
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
            take_marks_nb(flagged, marks[t * flagged.size : (t + 1) * flagged.size])
        if not flag_lines_nb(values[:m], counts[:m], marks[:m], n, thresholds, sums[:m],
                             spare[:m], held[:m], other[:m]):
            continue
        for t in range(n if axis == 0 else 1):
            flagged = flags[t, first : first + k] if axis == 0 else flags[first]
            put_nb(marks[t * flagged.size : (t + 1) * flagged.size], flagged)


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
        calm = not double_and_test_nb(sums, spare, count, apart, limit)
        sums, spare = spare, sums
    return calm
