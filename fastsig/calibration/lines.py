"""Channels that fits use or ignore: windows of frequency, lost samples and spectral lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastsig.errors import UsageError

__all__ = ["Windows", "find_lines", "inside", "prepared"]

F8 = NDArray[np.float64]

#: Ends of ranges of an axis, both included, in the axis's unit.
Windows = Sequence[tuple[float, float]]

_CHUNK = 2**16  # values fitted at once: they and the work arrays stay in the cache
_PASSES = 20


def inside(x: ArrayLike, windows: Windows) -> NDArray[np.bool_]:
    """Return whether points of an axis lie in a window, both ends included.

    Parameters
    ----------
    x : array_like, shape (chan,)
        The axis.
    windows : sequence of (low, high)
        Windows in the unit of the axis.

    Returns
    -------
    ndarray, shape (chan,), bool
    """
    axis = np.asarray(x, np.float64)
    found = np.zeros(axis.shape, bool)
    for low, high in windows:
        if not low <= high:
            raise UsageError(f"window {low:g} to {high:g}; allowed: the lower end first")
        found |= (axis >= low) & (axis <= high)
    return found


def prepared(
    values: ArrayLike, x: ArrayLike, weight: ArrayLike | None, protect: Windows = (),
    include: Windows = (),
) -> tuple[F8, F8]:
    """Prepare values and weights for fits: float64, both 0 in channels that do not count.

    Weights are scaled relative to the largest of each spectrum.

    Parameters
    ----------
    values : array_like, shape (..., chan)
        Spectra; values that are not finite do not count.
    x : array_like, shape (chan,)
        Axis of the channels.
    weight : array_like or None
        Weights that broadcast against `values`; all 1 by default.
    protect, include : sequence of (low, high)
        Windows of `x` in which channels do not count, and windows outside of which channels do not
        count, if there are any.

    Raises
    ------
    UsageError
        If shapes do not match.
    """
    y, axis = np.array(values, np.float64), np.asarray(x, np.float64)
    if y.ndim < 1 or axis.ndim != 1 or y.shape[-1] != axis.size or not axis.size:
        raise UsageError(f"values {y.shape} with an axis {axis.shape}; allowed: (..., chan) with "
                         "(chan,)")
    use = ~inside(axis, protect)
    if len(include):
        use &= inside(axis, include)
    w = np.broadcast_to(1.0 if weight is None else np.asarray(weight, np.float64), y.shape)
    w = np.where(np.isfinite(y) & (w > 0) & use, w, 0.0)
    y[w == 0] = 0
    most = w.max(axis=-1, keepdims=True)
    return y, np.divide(w, most, out=w, where=most > 0)


def chunks(n_row: int, n_chan: int) -> Iterator[slice]:
    """Yield slices of rows to fit at once; no result depends on them."""
    step = max(1, _CHUNK // max(1, n_chan))
    for first in range(0, n_row, step):
        yield slice(first, min(n_row, first + step))


def find_lines(
    values: ArrayLike, x: ArrayLike, weight: ArrayLike | None = None, *, sigma: float = 5.0,
    widths: Sequence[int] = (1, 4, 16, 64), edge: float = 0.25,
) -> list[tuple[float, float]]:
    """Find windows around lines of one spectrum, in emission or absorption.

    The spectrum is averaged over each number of channels in `widths`. The scatter of the mean is
    1.4826 times its median absolute deviation from the median. It is computed again without the
    lines, until no more lines are found. A line extends as far as the mean deviates by more than
    one scatter, and its window is wider by `edge` times that length on each side.

    Parameters
    ----------
    values : array_like, shape (chan,)
        A spectrum without baseline and ripple.
    x : array_like, shape (chan,)
        Axis of the channels, ascending.
    weight : array_like, shape (chan,), optional
        Channels of weight 0 are excluded from means.
    sigma : float
        Lowest height of a line divided by the scatter.
    widths : sequence of int
        Numbers of channels to average: about the widths of lines, and small ones for narrow lines.
        Numbers above a quarter of the number of valid channels are not used.
    edge : float
        Fraction of a line's length by which its window is wider on each side.

    Returns
    -------
    list of (float, float)
        Positions on `x` of the first and the last channel of each window. The windows are disjoint
        and in ascending order.

    Raises
    ------
    UsageError
        If `sigma` or `widths` are not above 0.
    """
    if not sigma > 0 or min(widths, default=0) < 1:
        raise UsageError(f"sigma = {sigma}, widths = {tuple(widths)}; allowed: above 0")
    axis = np.asarray(x, np.float64)
    y, w = prepared(np.asarray(values).reshape(-1), axis, weight)
    found = np.zeros(y.shape, bool)
    for width in widths:
        if 4 * width <= np.count_nonzero(w):
            found |= _standing_out(*_averaged(y, w, width), sigma, edge)
    return [(float(axis[first]), float(axis[last])) for first, last in _runs(found)]


def _averaged(y: F8, w: F8, width: int) -> tuple[F8, NDArray[np.bool_]]:
    """Return running means over `width` channels, and whether half of the channels count."""
    box = np.ones(width)
    total, count = (np.convolve(part, box, "same")[: y.size] for part in (w * y, w))
    good = count >= width / 2
    return np.divide(total, count, out=np.zeros_like(total), where=good), good


def _standing_out(
    mean: F8, good: NDArray[np.bool_], sigma: float, edge: float
) -> NDArray[np.bool_]:
    """Return the channels of lines in a running mean."""
    found = ~good
    for _ in range(_PASSES):
        rest = mean[~found]
        if not rest.size:
            break
        middle = np.median(rest)
        off = np.abs(mean - middle)
        scatter = 1.4826 * np.median(np.abs(rest - middle))
        new = _grown(good & (off > sigma * scatter), good & (off > scatter), edge)
        if not (new & ~found).any():
            break
        found |= new
    return found & good


def _grown(
    high: NDArray[np.bool_], low: NDArray[np.bool_], edge: float
) -> NDArray[np.bool_]:
    """Return runs of `low` that contain some of `high`, widened by `edge` on each side."""
    grown = np.zeros_like(high)
    for first, last in _runs(low):
        if high[first : last + 1].any():
            more = int(np.ceil(edge * (last + 1 - first)))
            grown[max(0, first - more) : last + 1 + more] = True
    return grown


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first and last index of every run of True."""
    steps: NDArray[Any] = np.diff(np.concatenate([[0], mask.view(np.int8), [0]]))
    return list(zip(np.flatnonzero(steps == 1).tolist(),
                    (np.flatnonzero(steps == -1) - 1).tolist(), strict=True))
