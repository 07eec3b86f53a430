"""SumThreshold: flags of runs of samples whose mean is too far from zero."""

import math

import numpy as np

from . import _check
from ._jit import jit_strict

_LINES = 16  # columns of a piece that are turned into lines at a time


def sum_thresholds(threshold: float, max_window: int = 64, rho: float = 1.5) -> np.ndarray:
    """Thresholds of the windows 1, 2, 4, ... up to `max_window`.

    ``chi_M = chi_1 / rho^(log2 M)``

    Parameters
    ----------
    threshold : float, any unit
        chi_1, of a single sample; above 0.
    max_window : int
        Longest window, a power of two.
    rho : float
        How fast thresholds fall, 1 or more.

    Returns
    -------
    ndarray, shape (n_window,), float64, unit of threshold

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    References
    ----------
    A. R. Offringa et al., MNRAS 405, 155 (2010), section 3.2; rho = 1.5 is theirs.
    """
    max_window = _check.count("max_window", max_window)
    if max_window & (max_window - 1):
        raise ValueError(f"max_window: found {max_window}, allowed a power of two")
    if not 0 < threshold < math.inf:
        raise ValueError(f"threshold: found {threshold}, allowed above 0")
    if not 1 <= rho < math.inf:
        raise ValueError(f"rho: found {rho}, allowed 1 or more")
    return threshold / rho ** np.arange(max_window.bit_length(), dtype=np.float64)


def sum_threshold(
    x: np.ndarray, flags: np.ndarray, thresholds: np.ndarray, axis: int
) -> None:
    """Flag runs of 1, 2, 4, ... samples along an axis whose mean is beyond their threshold.

    A window of M samples is flagged where ``|sum| > M chi_M``. Samples that are flagged count as
    chi_M with the sign of the sum, so that what is known already flags no neighbours: that is the
    same as ``|sum of the others| > chi_M x number of the others``. Samples that are not finite
    count as 0, what is expected, and are not flagged. Windows of one length see the flags of all
    shorter ones, none of each other's.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_chan), float32, any unit
        Residuals: samples less what is expected of them, over their noise. Of any strides.
    flags : ndarray, shape (n_time, n_chan), bool
        What is flagged already, changed in place.
    thresholds : ndarray, shape (n_window,), float64, unit of x
        Of windows of 1, 2, 4, ... samples, as from `sum_thresholds`.
    axis : {0, 1}
        0 for windows of neighbouring times, 1 for neighbouring channels.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong type, dtype or shape.

    Notes
    -----
    Allocates some lines of working memory, not a copy of the piece; NaN counts as 0; the GIL is
    released. The flags of a line depend on no other.

    References
    ----------
    A. R. Offringa et al., MNRAS 405, 155 (2010), section 3.2, equations 6 and 7.
    """
    _check.array("x", x, ("float32",), 2)
    _check.target("flags", flags, x.shape, "bool")
    _check.array("thresholds", thresholds, ("float64",), 1)
    if axis not in (0, 1):
        raise ValueError(f"axis: found {axis!r}, allowed 0 or 1")
    sum_threshold_nb(x, flags, thresholds, axis)


@jit_strict
def sum_threshold_nb(x, flags, thresholds, axis):
    """Change `flags` as `sum_threshold` does; arguments are not checked."""
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
    """Clear `kept` (n,) bool where windows along a line are beyond; whether any is.

    `x` (n,) float32, what is not finite is taken out of `kept` besides; `sums` (n + 1,) float64,
    `counts` (n + 1,) int64 and `over` (n,) bool are working memory, the first entries 0.
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
    """Take every window of `size` that is over out of `kept`."""
    stop = 0
    for k in range(n):
        if k <= n - size and over[k]:
            stop = k + size
        if k < stop:
            kept[k] = False
