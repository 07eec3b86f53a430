"""SumThreshold: flagging of runs of samples with a mean too far from zero."""

import math

import numpy as np

from . import _check
from ._jit import jit_strict

_LINES = 16  # columns of a piece that are copied to lines at a time


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
    Allocates a few lines of working memory, not a copy of the piece; NaN counts as 0; the GIL is
    released. The flags of a line do not depend on other lines.

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
    n = x.shape[axis]
    n_line = x.shape[1 - axis]
    lines = np.empty((_LINES, n), np.float32)
    kept = np.empty((_LINES, n), np.bool_)
    sums, counts, over = np.zeros(n + 1), np.zeros(n + 1, np.int64), np.empty(n, np.bool_)
    for first in range(0, n_line, _LINES):
        count = min(_LINES, n_line - first)
        if axis == 1:
            for i in range(count):
                for k in range(n):
                    lines[i, k] = x[first + i, k]
                    kept[i, k] = not flags[first + i, k]
        else:
            for k in range(n):
                for i in range(count):
                    lines[i, k] = x[k, first + i]
                    kept[i, k] = not flags[k, first + i]
        for i in range(count):
            if flag_line_nb(lines[i], kept[i], thresholds, sums, counts, over):
                for k in range(n):
                    if not kept[i, k] and np.isfinite(lines[i, k]):
                        if axis == 1:
                            flags[first + i, k] = True
                        else:
                            flags[k, first + i] = True


@jit_strict
def flag_line_nb(x, kept, thresholds, sums, counts, over):
    """Clear `kept` (n,) bool where windows along a line exceed their threshold.

    Returns whether any window does. `kept` is also cleared where `x` (n,) float32 is not finite.
    `sums` (n + 1,) float64, `counts` (n + 1,) int64 and `over` (n,) bool are working memory, with
    the first entries of `sums` and `counts` 0.
    """
    n = x.size
    found = False
    for k in range(n):
        good = kept[k] and np.isfinite(x[k])
        beyond = good and abs(x[k]) > thresholds[0]
        found |= beyond
        kept[k] = good and not beyond
    stale = True
    for w in range(1, thresholds.size):
        size = 1 << w
        if size > n:
            break
        if stale:
            for k in range(n):
                sums[k + 1] = sums[k] + (np.float64(x[k]) if kept[k] else 0.0)
                counts[k + 1] = counts[k] + (kept[k] or not np.isfinite(x[k]))
        any_over = False
        for k in range(n - size + 1):
            total = abs(sums[k + size] - sums[k])
            over[k] = total > thresholds[w] * (counts[k + size] - counts[k])
            any_over |= over[k]
        stale = any_over
        if any_over:
            found = True
            _clear(kept, over, size, n)
    return found


@jit_strict
def _clear(kept, over, size, n):
    """Clear `kept` in every window of `size` samples that is marked in `over`."""
    stop = 0
    for k in range(n):
        if k <= n - size and over[k]:
            stop = k + size
        if k < stop:
            kept[k] = False
