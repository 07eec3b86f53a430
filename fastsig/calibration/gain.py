"""The gain over time and the diode's spectrum: power of the diode = gain(t) x shape(frequency)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import DataError

__all__ = ["GainCurve", "gain_curve", "smooth_shape"]

F8 = NDArray[np.float64]

_ROUNDS = 8
_OUTLYING = 6.0  # robust standard deviations
_TO_SIGMA = 1.4826  # of a median deviation


@dataclass(frozen=True)
class GainCurve:
    """Relative gain of each polarisation over time, its mean over good cycles 1.

    Parameters
    ----------
    times_s : ndarray, shape (k,)
        Knots, s; straight lines between.
    gain, error : ndarray, shape (k, pol)
        At the knots, with standard errors.
    cycle_gain : ndarray, shape (cycle, pol)
        Of each cycle; NaN where it was not seen.
    bad : ndarray of bool, shape (cycle,)
        Cycles that were left out.
    """

    times_s: F8
    gain: F8
    error: F8
    cycle_gain: F8
    bad: NDArray[np.bool_]


def gain_curve(step: F8, variance: F8, times_s: F8, gain_time_s: float, *, path: str = "spectra"
               ) -> GainCurve:
    r"""Fit ``step[c, p, b] = g[c, p] s[p, b]`` and average g over times.

    Weighted least squares for g and s in turn. Cycles whose gain lies more than 6 robust standard
    deviations off the median of those around, in any polarisation, are left out, and so are single
    sub-bands of a cycle that lie as far off the model.

    Parameters
    ----------
    step : ndarray, shape (cycle, pol, sub-band)
        Power with the diode on less that with it off; NaN where unknown.
    variance : ndarray, same shape
        Of `step`.
    times_s : ndarray, shape (cycle,)
        Of the cycles, ascending.
    gain_time_s : float
        Time over which cycles are averaged to a knot, s.
    path : str
        What messages begin with.

    Raises
    ------
    DataError
        Where no cycle is good, or the diode adds nothing.
    """
    weight = np.where(np.isfinite(step) & (variance > 0), 1 / variance, 0.0)
    value = np.where(weight > 0, step, 0.0)
    with np.errstate(all="ignore"):
        shape = np.nan_to_num(np.nanmedian(np.where(weight > 0, step, np.nan), axis=0))
    gain = np.ones(step.shape[:2])
    bad = np.zeros(len(step), bool)
    for _ in range(_ROUNDS):
        gain, error = _ratio(value, shape[np.newaxis], weight, axis=2)
        bad = _outlying(gain, error)
        used = weight * ~bad[:, np.newaxis, np.newaxis]
        shape, _ = _ratio(value, gain[:, :, np.newaxis], used, axis=0)
        mean = _mean_gain(gain, error, bad, path)
        gain, shape = gain / mean, shape * mean[:, np.newaxis]
        off = np.abs(value - gain[:, :, np.newaxis] * shape) * np.sqrt(weight)
        weight = np.where(off > _OUTLYING * max(1.0, _robust(off[used > 0])), 0.0, weight)
    gain, error = _ratio(value, shape[np.newaxis], weight, axis=2)
    knots = _knots(times_s, gain, error, bad, gain_time_s)
    return GainCurve(*knots, np.where(np.isfinite(error), gain, np.nan), bad)


def _robust(off: F8) -> float:
    return float(_TO_SIGMA * np.median(off)) if off.size else 1.0


def _ratio(value: F8, model: F8, weight: F8, axis: int) -> tuple[F8, F8]:
    """Factors of a model, and their standard errors; 1 and infinity where there is nothing."""
    model = np.nan_to_num(model)
    norm = (weight * model * model).sum(axis=axis)
    top = (weight * value * model).sum(axis=axis)
    safe = np.where(norm > 0, norm, 1.0)
    return np.where(norm > 0, top / safe, 1.0), np.where(norm > 0, 1 / np.sqrt(safe), np.inf)


def _mean_gain(gain: F8, error: F8, bad: NDArray[np.bool_], path: str) -> F8:
    used = ~bad[:, np.newaxis] & np.isfinite(error)
    if not used.any(axis=0).all():
        raise DataError(path, "no cycle of the noise diode can be used")
    mean = np.asarray(np.where(used, gain, 0).sum(axis=0) / used.sum(axis=0))
    if not (mean > 0).all():
        raise DataError(path, "the noise diode adds no power to one of the polarisations")
    return mean


def _outlying(gain: F8, error: F8) -> NDArray[np.bool_]:
    """Cycles whose gain is not like that of those around, or that none was seen of."""
    from scipy.ndimage import median_filter

    seen = np.isfinite(error).all(axis=1)
    bad = ~seen
    rows = np.flatnonzero(seen)
    if len(rows) < 5:
        return bad
    near = median_filter(gain[rows], (min(15, len(rows) // 2 * 2 - 1), 1), mode="nearest")
    off = np.abs(gain[rows] - near)
    spread = np.maximum(_TO_SIGMA * np.median(off, axis=0), error[rows])
    bad[rows] = (off > _OUTLYING * spread).any(axis=1)
    return bad


def _knots(times_s: F8, gain: F8, error: F8, bad: NDArray[np.bool_], gain_time_s: float
           ) -> tuple[F8, F8, F8]:
    """Means of good cycles over times of `gain_time_s`, weighted by their errors."""
    rows = np.flatnonzero(~bad & np.isfinite(error).all(axis=1))
    times = times_s[rows]
    span = times[-1] - times[0]
    n = max(1, round(span / gain_time_s)) if gain_time_s > 0 else len(rows)
    place = np.minimum((np.arange(n) + 1)[:, np.newaxis] * (span or 1) / n, np.inf)[:, 0]
    number = np.searchsorted(place, times - times[0])
    number = np.minimum(number, n - 1)
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    weight = 1 / error[rows] ** 2
    total = np.add.reduceat(weight, starts, axis=0)
    return (np.add.reduceat(times, starts) / np.diff([*starts, len(rows)]),
            np.add.reduceat(weight * gain[rows], starts, axis=0) / total, 1 / np.sqrt(total))


def smooth_shape(shape: F8, variance: F8, width: int) -> F8:
    """A spectrum smoothed by parabolas over `width` channels around each.

    Parameters
    ----------
    shape, variance : ndarray, shape (product, chan)
        Values and their variances; NaN, or a variance that is not above 0, is not used.
    width : int
        Channels, odd; up to 2 leave the spectrum as it is.

    Returns
    -------
    ndarray, shape (product, chan)
        NaN where fewer than half of the channels around can be used.
    """
    if width < 3:
        return np.where(variance > 0, shape, np.nan)
    from scipy.signal import fftconvolve

    half = min(width, shape.shape[1]) // 2
    x = np.arange(-half, half + 1) / max(1, half)
    used = np.isfinite(shape) & (variance > 0)
    weight = np.where(used, 1.0, 0.0)
    value = np.where(used, shape, 0.0)
    scale = np.maximum(np.abs(value).max(axis=1, keepdims=True), 1e-300)

    def moment(data: F8, power: int) -> F8:
        kernel = (x**power)[::-1][np.newaxis]
        return np.asarray(fftconvolve(data, kernel, mode="full")[:, half : half + data.shape[1]])

    w = [moment(weight, power) for power in range(5)]
    y = [moment(value / scale, power) for power in range(3)]
    matrix = np.stack([np.stack([w[i + j] for j in range(3)], -1) for i in range(3)], -2)
    matrix += 1e-9 * np.eye(3) * np.maximum(w[0], 1)[..., np.newaxis, np.newaxis]
    found = np.linalg.solve(matrix, np.stack(y, -1)[..., np.newaxis])[..., 0, 0] * scale
    return np.where(w[0] > (half + 1) / 2, found, np.nan)
