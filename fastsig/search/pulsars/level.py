"""The slowly varying level of a series, and the noise of the series."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError

__all__ = ["levelled", "sums_of", "without_mean"]

F4 = NDArray[np.float32]

_BLOCKS = 25  # in a window of the median, odd
_ROW = 1024  # blocks whose medians are computed in one lane
_MOST = 2**17  # values from which the noise is measured
_QUARTILE = 0.6744897501960817  # of a Gaussian


def without_mean(series: F4, weight: F4 | None, n_sample: int) -> tuple[F4, F4 | None]:
    """Return a series with a weighted mean of 0, set to 0 where it is not valid, and its weights.

    Samples are sums of their valid terms, so their mean is proportional to their weight.

    Raises
    ------
    UsageError
        If a shape is wrong, or a weight is not between 0 and 1.
    """
    x = np.asarray(series, np.float32)
    w = None if weight is None else np.asarray(weight, np.float32)
    if x.shape != (n_sample,) or (w is not None and w.shape != x.shape):
        raise UsageError(f"a series of shape {x.shape}; allowed: ({n_sample},), and the same of "
                         "weights")
    if w is not None and not ((w >= 0) & (w <= 1)).all():
        raise UsageError("weight: found a value outside 0 to 1; allowed: 0 to 1")
    lost = ~np.isfinite(x)
    if lost.any():
        w = np.where(lost, np.float32(0), np.float32(1) if w is None else w)
    if w is None:
        return x - np.float32(x.mean(dtype=np.float64)), None
    whole = np.where(w > 0, x, np.float32(0))
    total = w.sum(dtype=np.float64)
    mean = np.float32(whole.sum(dtype=np.float64) / total) if total > 0 else np.float32(0)
    return np.where(w > 0, whole - mean * w, np.float32(0)), w


def sums_of(x: F4, weight: F4 | None, size: int) -> tuple[F4, F4 | None]:
    """Return sums of `size` samples, and the means of their weights."""
    if size == 1:
        return x, weight
    n = len(x) // size * size
    total = x[:n].reshape(-1, size).sum(axis=1)
    return total, None if weight is None else weight[:n].reshape(-1, size).mean(axis=1)


def levelled(x: F4, weight: F4 | None, window: int, n_bin: int = 1) -> F4:
    """Return a series with a level of 0, and noise whose variance is the weight.

    The level is the running mean of the running median, both over `window` samples, of the means of
    short blocks; lines connect the middles of blocks. The noise is that of the sums of `n_bin`
    samples.

    Parameters
    ----------
    x : ndarray, shape (n,), float32, any unit
        Sums of the valid terms: their level is proportional to the weight.
    weight : ndarray, shape (n,), float32, optional
        Weights, 0 to 1; 1 by default.
    window, n_bin : int
        Numbers of samples.
    """
    size = max(1, min(window, len(x)) // _BLOCKS)
    level = _smooth(_medians(_block_means(x, weight, size)))
    flat = x - _along(level, size, len(x), weight)
    flat = flat if weight is None else np.where(weight > 0, flat, np.float32(0))
    sigma = _noise(*sums_of(flat, weight, n_bin)) / n_bin**0.5
    return flat / np.float32(sigma) if sigma > 0 else np.zeros_like(flat)


def _block_means(x: F4, weight: F4 | None, size: int) -> F4:
    """Return the means of blocks, NaN where nothing is valid; the last block may be shorter."""
    starts = np.arange(0, len(x), size)
    total = np.add.reduceat(x if weight is None else np.where(weight > 0, x, np.float32(0)), starts,
                            dtype=np.float64)
    count = np.diff(np.append(starts, len(x))) if weight is None else np.add.reduceat(
        weight, starts, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: F4 = np.where(count > 0, total / count, np.nan).astype(np.float32)
    return found


def _smooth(level: F4) -> F4:
    """Return running means; beyond the ends, a row continues as its point reflection.

    A running median or mean alone passes frequencies of 1.5 turns in its window with a negative
    sign. What is left of a series without it is amplified there, by up to 1.2, and profiles of such
    periods too: noise exceeded a high S/N several times too often.
    """
    half = min(_BLOCKS // 2, len(level) - 1)
    if not half:
        return level
    wide = np.pad(level.astype(np.float64), half, mode="reflect", reflect_type="odd")
    sums = np.concatenate([[0.0], np.cumsum(wide)])
    return np.asarray((sums[2 * half + 1 :] - sums[: -2 * half - 1]) / (2 * half + 1), np.float32)


def _medians(means: F4) -> F4:
    """Return running medians of a row; where none is valid, the nearest one that is."""
    from fastsig_kernels import moving_median

    half, n = _BLOCKS // 2, len(means)
    n_row = -(-n // _ROW)
    padded = np.full(n_row * _ROW + 2 * half, np.nan, np.float32)
    padded[half : half + n] = means
    rows = np.lib.stride_tricks.sliding_window_view(padded, _ROW + 2 * half)[::_ROW]
    found = moving_median(rows, _BLOCKS)[:, half : half + _ROW].ravel()[:n]
    good = np.flatnonzero(np.isfinite(found))
    if good.size in (0, n):
        return np.asarray(np.nan_to_num(found), np.float32)
    return np.asarray(np.interp(np.arange(n), good, found[good]), np.float32)


def _along(knots: F4, size: int, n: int, weight: F4 | None) -> F4:
    """Return lines through values at the middles of blocks, times the weights."""
    if size == 1:
        level = knots
    else:
        edges = np.concatenate([knots[:1], knots, knots[-1:]])
        share = ((np.arange(size) + 0.5) / size).astype(np.float32)
        # From the middle of a block to that of the next one, beginning half a block early.
        lines = edges[:-1, np.newaxis] + np.diff(edges)[:, np.newaxis] * share
        level = lines.ravel()[size - size // 2 : size - size // 2 + n]
    return level if weight is None else level * weight


def _noise(x: F4, weight: F4 | None) -> float:
    """Return the noise of samples of weight 1, from the quartiles of about 100,000 samples."""
    every = max(1, len(x) // _MOST)
    some: NDArray[np.floating[Any]] = x[::every]
    if weight is not None:
        w = weight[::every]
        some = some[w > 0] / np.sqrt(w[w > 0])
    if not some.size:
        return 0.0
    low, high = np.percentile(some, [25, 75])
    return float(high - low) / (2 * _QUARTILE)
