"""Measure whether the power steps up and down like a diode's, or rises and falls like a pulse.

A diode is switched in all channels at once and is steady while it is on. A pulsar has a profile,
and it is dispersed, so its power is uneven within the on-time of the box-car that fits it best.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.diode.cycle import DiodeCycle
from fastsig.calibration.diode.folding import Series
from fastsig.calibration.diode.power_series import columns_of

__all__ = ["unevenness"]

F8 = NDArray[np.float64]

_PARTS = 4  # of the on-time; two more parts of the same length are before and after it
_SIGMA = 5.0  # least significance of the diode in a column that counts, and of the unevenness


def unevenness(power: Any, weight: Any, step_s: Any, cycle: DiodeCycle) -> float:
    """Return the rms deviation of power from a box-car, in quarters of the on-time and beside it.

    It is relative to the step. The contribution of noise is subtracted, and the result is the
    median over columns.

    Parameters
    ----------
    power : array, shape (time,), (time, pol) or (time, pol, sub-band), any unit
        Power; NaN is missing.
    weight : array, broadcastable to power from the left, dimensionless, or None
    step_s : Fraction, int or float
        Length of a row, s.
    cycle : DiodeCycle
        The box-car.

    Returns
    -------
    float
        0 for a diode; about 0.25 for a Gaussian pulse; also 0 if rows are too long to show it, or
        if noise hides it.
    """
    columns, weights = columns_of(power, weight, "total power")
    period, on, phase, error = (float(time / step_s) for time in (
        cycle.period, cycle.on, cycle.phase, cycle.phase_error_s))
    part = _parts(len(columns), period, on, phase, 0.25 + 3 * error)
    if np.bincount(part[part > 0], minlength=_PARTS + 1)[1 : _PARTS + 1].min() < 2:
        return 0.0
    found = [_excess(Series(y, w).detrended(period), part)
             for y, w in zip(columns.T, weights.T, strict=True) if (w > 0).sum() > 2 * period]
    known = np.array([each for each in found if np.isfinite(each[0])]).reshape(-1, 2)
    if not len(known):
        return 0.0
    excess, noise = np.median(known, axis=0)
    likely = _SIGMA * 1.25 * noise * (2 / (_PARTS + 2) / len(known)) ** 0.5
    return float(np.sqrt(excess)) if excess > likely else 0.0


def _parts(n: int, period: float, on: float, phase: float, guard: float) -> NDArray[np.int8]:
    """Label rows: 1 to 4 in quarters of the on-time, 5 before it, 6 after it, -1 at edges, or 0."""
    begin = (np.arange(n) - phase) % period  # of a row
    middle = begin + 0.5
    beside = min(on / _PARTS, (period - on) / 4)
    part = np.zeros(n, np.int8)
    part[(middle > on) & (middle < on + guard + beside + 1)] = _PARTS + 2
    part[middle > period - guard - beside - 1] = _PARTS + 1
    lit = middle < on
    part[lit] = 1 + np.minimum(_PARTS * middle[lit] / on, _PARTS - 1).astype(np.int8)
    away = np.abs(middle[:, np.newaxis] - [0, on, period]).min(axis=1)
    part[away < 0.5 + guard] = -1
    return part


def _excess(flat: Series, part: NDArray[np.int8]) -> tuple[float, float]:
    """Return the mean square of the deviations minus that of noise, and that of noise.

    Both are NaN if there is no step.
    """
    used = (flat.w > 0) & (part >= 0)
    n = np.bincount(part[used], minlength=_PARTS + 3)
    if n.min() < 2:
        return np.nan, np.nan
    mean = np.bincount(part[used], flat.y[used], _PARTS + 3) / n
    rest = np.bincount(part[used], (flat.y[used] - mean[part[used]]) ** 2, _PARTS + 3)
    variance = rest.sum() / (n.sum() - len(n))
    lit, dark = mean[1 : _PARTS + 1], mean[0]
    step = lit.mean() - dark
    if step < _SIGMA * np.sqrt(variance * (1 / n[1 : _PARTS + 1].sum() + 1 / n[0])):
        return np.nan, np.nan
    off = np.concatenate([lit - lit.mean(), mean[_PARTS + 1 :] - dark]) / step
    noise = variance * (1 / n[1:]).mean() / step**2
    return float((off**2).mean() - noise), float(noise)
