"""IQRM: outliers of a statistic of channels, by votes of the channels around each."""

import math

import numpy as np

from . import _check
from ._jit import jit_strict

_QUARTILES = 1.349  # difference of the quartiles of a Gaussian, standard deviations
_GROWTH = 1.5  # by which lags increase
_NEAR = 0.08  # of the interquartile range, by which quartiles of successive lags differ at most


def iqrm_mask(x: np.ndarray, radius: int, threshold: float = 3.0, *,
              out: np.ndarray | None = None) -> np.ndarray:
    """Mark the channels whose statistic is an outlier above those of the channels around them.

    For lags of 1, 2, 3, 4, 6, 9, ... channels up to `radius`, in both directions, the statistic of
    a channel minus that of the channel at that lag is compared with all such differences. The
    channel receives a vote from the other one if its difference exceeds their median by `threshold`
    times their interquartile range divided by 1.349. A channel is marked if it has a vote from a
    channel that casts fewer votes than the first channel receives. Beyond the ends, missing
    channels are replaced by the first or the last channel.

    Parameters
    ----------
    x : ndarray, shape (n_chan,), float64, any unit
        Statistic that is larger where there is interference, such as the standard deviation in
        time; NaN for channels that are left out, which are not marked.
    radius : int
        Longest lag, in channels; a tenth of the number of channels is recommended.
    threshold : float
        Number of standard deviations, above 0.
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
    A call allocates memory for the votes, a byte for each lag and channel. NaN is ignored, and the
    GIL is released. The marks are those of the package iqrm 0.2.

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
    apart, work, some = np.empty(n), np.empty(n), np.empty(n + 1)
    quartiles = np.full((2, 3), np.nan)  # of the latest lags in both directions
    received, cast = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for k in range(lags.size):
        _differences(x, lags[k], apart)
        count = 0
        for i in range(n):
            work[count] = apart[i]
            count += not np.isnan(apart[i])
        if count == 0:
            continue
        found = quartiles[k % 2]
        _quartiles(work[:count], found, some)
        low, middle, high = found[0], found[1], found[2]
        limit = threshold * ((high - low) / _QUARTILES)
        row = votes[k]
        for i in range(n):
            row[i] = apart[i] - middle > limit
        for i in range(n):
            if row[i]:
                row[i] = _is_first(votes, lags, k, i, n)
                received[i] += row[i]
                cast[_caster(i, lags[k], n)] += row[i]
    out[:] = False
    for k in range(lags.size):
        row = votes[k]
        for i in range(n):
            if row[i]:
                out[i] |= cast[_caster(i, lags[k], n)] < received[i]


@jit_strict
def _caster(i, lag, n):
    return min(max(i - lag, 0), n - 1)


@jit_strict
def _differences(x, lag, out):
    n, far = x.size, min(abs(lag), x.size)
    late, early, to = x[far:], x[: n - far], out[far:] if lag > 0 else out[: n - far]
    if lag > 0:
        for i in range(n - far):
            to[i] = late[i] - early[i]
        for i in range(far):
            out[i] = x[i] - x[0]
    else:
        for i in range(n - far):
            to[i] = early[i] - late[i]
        for i in range(n - far, n):
            out[i] = x[i] - x[n - 1]


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
def _quartiles(values, found, work):
    """Put the quartiles of values, interpolated linearly as NumPy does, into `found`.

    They are sought near those that it contains; it may contain NaN.
    """
    near = _NEAR * (found[2] - found[0])
    for k in range(3):
        found[k] = _quantile(values, 0.25 * (k + 1), found[k] - near, found[k] + near, work)


@jit_strict
def _quantile(values, share, low, high, work):
    """Return a quantile, by selecting the two values around it."""
    place = share * (values.size - 1)
    rank = int(np.floor(place))
    fraction = place - rank
    one, other = _around(values, rank, low, high, work)
    if fraction == 0.0:
        return one
    step = other - one
    return other - step * (1 - fraction) if fraction >= 0.5 else one + step * fraction


@jit_strict
def _around(values, rank, low, high, work):
    """Return the value of a rank and the next one, which are probably within limits."""
    below, count = 0, 0
    for k in range(values.size):
        value = values[k]
        below += value < low
        work[count] = value
        count += (value >= low) & (value <= high)
    if rank < below or rank + 1 >= below + count:
        below, count = 0, values.size
        work[:count] = values
    rank -= below
    _select(work, 0, count, rank)
    other = work[min(rank + 1, count - 1)]
    for k in range(rank + 2, count):
        other = min(other, work[k])
    return work[rank], other


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
