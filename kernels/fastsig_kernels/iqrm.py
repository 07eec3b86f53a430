"""IQRM: outliers of a statistic of channels, by votes of the channels around each."""

import math

import numpy as np

from . import _check
from ._jit import jit_strict

_QUARTILES = 1.349  # difference of the quartiles of a Gaussian, standard deviations
_GROWTH = 1.5  # by which lags increase


def iqrm_mask(x: np.ndarray, radius: int, threshold: float = 3.0, *,
              out: np.ndarray | None = None) -> np.ndarray:
    """Mark the channels whose statistic stands out from those around them, upwards.

    For lags of 1, 2, 3, 4, 6, 9, ... channels up to `radius`, in both directions, a channel
    receives a vote from the channel at the lag if their difference exceeds the median of such
    differences by `threshold` times their interquartile range over 1.349. A channel is marked if
    it has a vote from a channel that casts fewer votes than it receives itself. Beyond the ends,
    the first and the last channel take the place of those that are missing.

    Parameters
    ----------
    x : ndarray, shape (n_chan,), float64, any unit
        Statistic that is larger where there is interference, such as the standard deviation in
        time; NaN for channels that are left out, which are not marked.
    radius : int
        Longest lag, channels; a tenth of their number is recommended.
    threshold : float
        Standard deviations; above 0.
    out : ndarray, shape (n_chan,), bool, optional
        Receives the marks.

    Returns
    -------
    ndarray, shape (n_chan,), bool
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape, or is not allowed.

    Notes
    -----
    Allocates memory for the votes, a byte for each lag and channel; NaN is ignored; the GIL is
    released. The marks are those of the package iqrm 0.2.

    References
    ----------
    V. Morello, K. M. Rajwade and B. W. Stappers, MNRAS 510, 1393 (2022).
    """
    _check.array("x", x, ("float64",), 1)
    radius = min(_check.count("radius", radius), 2 * x.size)  # longer lags give the same votes
    threshold = _check.number("threshold", threshold)
    if not 0 < threshold < math.inf:
        raise ValueError(f"threshold: found {threshold}, allowed above 0")
    out = _check.output("out", out, x.shape, "bool", x)
    iqrm_mask_nb(np.ascontiguousarray(x), _lags(radius), threshold, out)
    return out


def _lags(radius: int) -> np.ndarray:
    """Return the lags in both directions, the signs in turns, (n_lag,) int64."""
    lags, lag = [], 1
    while lag <= radius:
        lags += [lag, -lag]
        lag = max(int(_GROWTH * lag), lag + 1)
    return np.array(lags, np.int64)


@jit_strict
def iqrm_mask_nb(x, lags, threshold, out):
    """Fill `out` as `iqrm_mask` does for given lags; nothing is checked."""
    n = x.size
    votes = np.zeros((lags.size, n), np.bool_)
    apart, work = np.empty(n), np.empty(n)
    received, cast = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for k in range(lags.size):
        _differences(x, lags[k], apart)
        count = 0
        for i in range(n):
            if not np.isnan(apart[i]):
                work[count] = apart[i]
                count += 1
        if count == 0:
            continue
        low, middle, high = _quartiles(work[:count])
        limit = threshold * ((high - low) / _QUARTILES)
        for i in range(n):
            votes[k, i] = apart[i] - middle > limit and _is_first(votes, lags, k, i, n)
    for k in range(lags.size):
        for i in range(n):
            if votes[k, i]:
                received[i] += 1
                cast[_caster(i, lags[k], n)] += 1
    for i in range(n):
        out[i] = False
        for k in range(lags.size):
            out[i] |= votes[k, i] and cast[_caster(i, lags[k], n)] < received[i]


@jit_strict
def _caster(i, lag, n):
    return min(max(i - lag, 0), n - 1)


@jit_strict
def _differences(x, lag, out):
    n = x.size
    for i in range(n):
        out[i] = x[i] - x[_caster(i, lag, n)]


@jit_strict
def _is_first(votes, lags, k, i, n):
    """Whether no vote from the same channel has been counted, as at the ends of the band."""
    caster = _caster(i, lags[k], n)
    if 0 < caster < n - 1:
        return True
    before = False
    for other in range(k):
        before |= votes[other, i] and _caster(i, lags[other], n) == caster
    return not before


@jit_strict
def _quartiles(values):
    """Return the quartiles of values, which are put into another order, interpolated linearly."""
    n = values.size
    middle = _quantile(values, 0, n, 0.5)
    low = _quantile(values, 0, n, 0.25)
    return low, middle, _quantile(values, 0, n, 0.75)


@jit_strict
def _quantile(values, first, stop, share):
    """Return a quantile as NumPy does, by selecting the two values around it."""
    place = share * (values.size - 1)
    rank = int(np.floor(place))
    fraction = place - rank
    _select(values, first, stop, rank)
    one = values[rank]
    if fraction == 0.0:
        return one
    other = values[rank + 1]
    for k in range(rank + 2, stop):
        other = min(other, values[k])
    step = other - one
    return other - step * (1 - fraction) if fraction >= 0.5 else one + step * fraction


@jit_strict
def _select(values, low, stop, rank):
    """Put the value of a rank in its place, with smaller ones before it (Hoare 1961)."""
    high = stop - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
