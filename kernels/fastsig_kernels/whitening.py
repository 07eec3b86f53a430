"""Whitening: spectra of series divided by the square root of the mean power around each bin."""

import numpy as np

from . import _check
from ._jit import jit, jit_inner
from ._order import on_lines
from ._periodic_tables import (
    BRIGHT,
    CUT,
    FEWEST,
    LOBES,
    SAMPLED,
    block_edges,
    gain_knots,
    hann_noise,
    mean_of_truncated,
    median_share,
)

__all__ = ["whiten", "whiten_nb"]

_ALL = np.empty(0, np.bool_)
_WHITE = np.ones(1)
_LEAST_NOISE = 1e-6  # of that of white noise; rounding leaves 1e-16 where there is none


def whiten(x: np.ndarray, *, valid: np.ndarray | None = None, lags: np.ndarray | None = None,
           first: int = 8, least: int = 16, growth: float = 0.4, most: int = 8192,
           out: np.ndarray | None = None) -> np.ndarray:
    """Divide amplitudes by the square root of the level around them: noise gets a mean power of 1.

    The level is the mean power of blocks whose widths grow with frequency. Bright lines do not
    raise the level, because it is computed from the mean of the powers below a limit of about 3
    times the level, on the assumption of an exponential distribution. The sidelobes of very bright
    lines do not raise it either. Where these sidelobes are significant, and a power in the block or
    beside it is 100 times the level, the block uses the amplitudes of the series with a Hann
    window, ``A_k - (A_(k-1) + A_(k+1)) / 2``. The sidelobes of this window decrease with the third
    power of the distance. Between the centres of blocks, the logarithm of the level is interpolated
    in the logarithm of frequency. The level of a block of fewer than 128 bins is the value of a
    straight line fitted to this block and its neighbours.

    Parameters
    ----------
    x : ndarray, shape (n_bin,), complex64, any unit, C-contiguous
        Amplitudes of a real series without its mean, from frequency 0 on. Bin 0 is not used.
    valid : ndarray, shape (n_bin,), bool, C-contiguous, optional
        Whether each bin is used; all are by default.
    lags : ndarray, shape (n_lag,), complex, optional
        Correlation of the noise of bins k and k - d, caused for example by gaps in the series; by
        default, the noise is not correlated.
    first : int
        First bin of the first block. Levels at lower frequencies are extrapolated.
    least, most : int
        Smallest and largest number of bins in a block.
    growth : float
        Width of a block divided by the frequency at which it begins, above 0 and at most 1.
    out : ndarray, shape (n_bin,), complex64, C-contiguous, optional
        Receives the result; may be `x`.

    Returns
    -------
    ndarray, shape (n_bin,), complex64, dimensionless
        `out`, or a new array; 0 where bins are not valid, and where the level is 0.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, dtype or shape, or is out of range.

    Notes
    -----
    A call allocates memory for the blocks if `out` is given. Amplitudes that are NaN remain NaN and
    do not change the level. The GIL is released.
    """
    _check.array("x", x, ("complex64",), 1)
    _check.c_contiguous("x", x)
    first = _check.count("first", first, maximum=2**24)
    least = _check.count("least", least, FEWEST)
    most = _check.count("most", most, least, 2**24)
    growth = _check.number("growth", growth)
    if not 0 < growth <= 1:
        raise ValueError(f"growth: found {growth}, allowed above 0, up to 1")
    valid = checked_validity(valid, x.size)
    if out is None:
        out = on_lines(x.shape, x.dtype)
    else:
        _check.target("out", out, x.shape, "complex64", valid, lags)
        _check.apart_or_same("out", out, x)
        _check.c_contiguous("out", out)
    if x.size < 2:
        out[...] = 0
        return out
    edges = block_edges(x.size, first, least, growth, most)
    noise = float(checked_noise(np.float64(hann_noise(checked_lags(lags)))))
    knots, gain = gain_knots(edges, _levels(x, valid, edges, noise))
    whiten_nb(x.view(np.float32), valid, knots, gain.astype(np.float32), out.view(np.float32))
    return out


def checked_lags(lags: np.ndarray | None) -> np.ndarray:
    """Return correlations of noise as complex128; without them, bins are not correlated."""
    if lags is None:
        return _WHITE
    _check.array("lags", lags, ("complex128", "complex64", "float64", "float32"), 1)
    if lags.size == 0 or not abs(lags[0] - 1) < 1e-6:
        raise ValueError("lags: found a first correlation that is not 1, allowed 1 at lag 0")
    if not (abs(lags) <= 1 + 1e-6).all():
        raise ValueError("lags: found values beyond 1 or NaN, allowed correlations")
    return lags.astype(np.complex128)


def checked_noise(noise: np.ndarray) -> np.ndarray:
    """Return the mean powers of noise of some filters; refuse values that are not powers."""
    if not (noise > _LEAST_NOISE).all():
        raise ValueError("lags: found values with which noise has no power, allowed the "
                         "correlation of noise")
    return noise


def checked_validity(valid: np.ndarray | None, n_bin: int) -> np.ndarray:
    """Return the validity of bins, or an empty array if all are valid."""
    if valid is None:
        return _ALL
    _check.array("valid", valid, ("bool",), 1)
    _check.shape("valid", valid, (n_bin,))
    _check.c_contiguous("valid", valid)
    return _ALL if valid.all() else valid


def _levels(x: np.ndarray, valid: np.ndarray, edges: np.ndarray, noise: float) -> np.ndarray:
    """Return the level of each block, 0 where too few bins are valid.

    `noise` is the mean power of noise with Hann's window, relative to that without.
    """
    pairs = x.view(np.float32)
    few, count, smooth, n_smooth, mean, peak = np.zeros((6, len(edges) - 1))
    _medians_nb(pairs, valid, edges, False, few, count)
    _medians_nb(pairs, valid, edges, True, smooth, n_smooth)
    enough = count >= FEWEST
    first = np.where(enough, few / median_share(count.astype(np.int64)), 0)
    other = np.where(n_smooth >= FEWEST, smooth / median_share(n_smooth.astype(np.int64)) / noise,
                     np.inf)
    cut = (CUT * first).astype(np.float32)
    _truncated_nb(pairs, valid, edges, cut, mean, peak)
    lobes = (other * (1 + LOBES / np.sqrt(np.maximum(n_smooth, 1))) < first) & _beside(
        peak > BRIGHT * first)
    cut[lobes] = CUT * noise * other[lobes]
    _smooth_nb(pairs, valid, edges, lobes, cut, mean)
    known = enough & (mean > 0)
    level = np.zeros(len(mean))
    level[known] = mean_of_truncated(mean[known], cut[known])
    return np.where(lobes, level / noise, level)


def _beside(bright: np.ndarray) -> np.ndarray:
    """Return which blocks are bright or have a neighbour that is."""
    found = bright.copy()
    found[1:] |= bright[:-1]
    found[:-1] |= bright[1:]
    return found


@jit_inner
def _power_nb(x, k):
    return x[2 * k] * x[2 * k] + x[2 * k + 1] * x[2 * k + 1]


@jit_inner
def _hann_nb(x, valid, k):
    """Return the power with Hann's window, -1 where a neighbour is not valid or beyond the ends."""
    if k < 2 or 2 * k + 3 >= x.size or (valid.size > 0 and not (valid[k - 1] and valid[k + 1])):
        return np.float32(-1)
    half = np.float32(0.5)
    re = x[2 * k] - half * (x[2 * k - 2] + x[2 * k + 2])
    im = x[2 * k + 1] - half * (x[2 * k - 1] + x[2 * k + 3])
    return re * re + im * im


@jit
def _medians_nb(x, valid, edges, hann, median, count):
    """Fill the medians of some valid powers of each block, and their numbers."""
    few = np.empty(SAMPLED, np.float32)
    for b in range(edges.size - 1):
        first, stop = edges[b], edges[b + 1]
        step = (stop - first + SAMPLED - 1) // SAMPLED
        n = 0
        for k in range(first, stop, step):
            if valid.size == 0 or valid[k]:
                power = _hann_nb(x, valid, k) if hann else _power_nb(x, k)
                if power >= 0:
                    few[n] = power
                    n += 1
        count[b] = n
        ordered = np.sort(few[:n])
        median[b] = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2 if n > 0 else 0.0


@jit
def _truncated_nb(x, valid, edges, cut, mean, peak):
    """Fill the means of the valid powers of each block below its cut, and the highest powers."""
    for b in range(edges.size - 1):
        first, stop = edges[b], edges[b + 1]
        pairs = x[2 * first : 2 * stop]
        whole = True
        if valid.size > 0:
            for each in valid[first:stop]:
                whole &= each
        if whole:
            total, n, peak[b] = _below_nb(pairs, cut[b])
        else:
            total, n, peak[b] = _valid_below_nb(pairs, valid[first:stop], cut[b])
        mean[b] = total / n if n > 0 else 0.0


@jit
def _smooth_nb(x, valid, edges, chosen, cut, mean):
    """Fill the means of powers with Hann's window below the cut, of some blocks."""
    for b in range(edges.size - 1):
        if chosen[b]:
            mean[b] = _hann_below_nb(x, valid, edges[b], edges[b + 1], cut[b])


@jit_inner
def _hann_below_nb(x, valid, first, stop, cut):
    total, n = 0.0, 0
    for k in range(first, stop):
        power = _hann_nb(x, valid, k)
        if 0 <= power < cut and (valid.size == 0 or valid[k]):
            total += power
            n += 1
    return total / n if n > 0 else 0.0


@jit_inner
def _below_nb(pairs, cut):
    total, n, peak = np.float32(0), np.int32(0), np.float32(0)
    for k in range(pairs.size // 2):
        power = pairs[2 * k] * pairs[2 * k] + pairs[2 * k + 1] * pairs[2 * k + 1]
        below = power < cut
        total += power if below else np.float32(0)
        n += np.int32(1) if below else np.int32(0)
        peak = power if power > peak else peak
    return total, n, peak


@jit_inner
def _valid_below_nb(pairs, valid, cut):
    total, n, peak = np.float32(0), np.int32(0), np.float32(0)
    for k in range(valid.size):
        power = pairs[2 * k] * pairs[2 * k] + pairs[2 * k + 1] * pairs[2 * k + 1]
        if valid[k] and power < cut:
            total += power
            n += np.int32(1)
        if valid[k] and power > peak:
            peak = power
    return total, n, peak


@jit
def whiten_nb(x, valid, knots, gain, out):
    """Multiply amplitudes, as pairs of float32, by a gain that is linear between knots.

    Invalid bins, and bin 0, become 0; `valid` may have no items if all are valid.
    """
    for i in range(knots.size - 1):
        first, stop = knots[i], knots[i + 1]
        slope = (gain[i + 1] - gain[i]) / np.float32(max(stop - first, 1))
        _ramp_nb(x[2 * first : 2 * stop], gain[i], slope, out[2 * first : 2 * stop])
    for k in range(valid.size):
        if not valid[k]:
            out[2 * k] = out[2 * k + 1] = 0
    out[0] = out[1] = 0


@jit_inner
def _ramp_nb(x, gain, slope, out):
    for k in range(x.size // 2):
        factor = gain + slope * np.float32(np.int32(k))
        out[2 * k] = x[2 * k] * factor
        out[2 * k + 1] = x[2 * k + 1] * factor
