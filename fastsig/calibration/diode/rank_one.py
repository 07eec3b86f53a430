"""Approximation of rank one to the spectra of the cycles of one polarisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.smoothing import fit_knots, knots_over
from fastsig.errors import DataError

__all__ = ["Part", "rank_one", "stand_out"]

F8 = NDArray[np.float64]

_ROUNDS = 30
_SETTLED = 1e-10
_REWEIGHTS = 10


class Part(NamedTuple):
    """One polarisation: the gain of every cycle, the shape, and the misfit of every cycle."""

    gain: F8
    gain_error: F8
    shape: F8
    shape_weight: F8
    misfit: F8


def rank_one(d: F8, w: F8, bad: NDArray[np.bool_], path: str) -> Part:
    """Fit (cycle, chan) by alternating least squares; bad cycles get gains but do not count."""
    ok = np.where(bad, 0.0, 1.0)[:, np.newaxis] * w
    total = ok.sum(axis=0)
    seen = total > 0
    if not seen.any():
        nothing = np.full(len(d), np.nan)
        return Part(nothing, nothing, np.full(d.shape[1], np.nan), total, nothing)
    gain = np.ones(len(d))
    for _ in range(_ROUNDS):
        norm = np.einsum("cf,c->f", ok, gain**2)
        shape = np.where(seen, np.einsum("cf,cf,c->f", ok, d, gain) / np.where(seen, norm, 1), 0)
        power = w @ shape**2
        new = np.where(power > 0, (w * d) @ shape / np.where(power > 0, power, 1), np.nan)
        middle = np.median(new[~bad & (power > 0)])
        if not (middle > 0 and np.median(shape[seen]) > 0):
            raise DataError(path, "the rows marked as having the diode on have no more power "
                                  "than the others")
        new = np.where(np.isfinite(new), new / middle, 0.0)
        done = np.abs(new - gain).max() < _SETTLED
        gain = new
        if done:
            break
    return _with_errors(d, w, ok, gain, shape * middle, power > 0, seen)


def _with_errors(
    d: F8, w: F8, ok: F8, gain: F8, shape: F8, used: NDArray[np.bool_], seen: NDArray[np.bool_]
) -> Part:
    """Compute errors from the residuals, which set the scale of the weights."""
    rest = w * (d - gain[:, np.newaxis] * shape) ** 2
    freedom = np.maximum((w > 0).sum(axis=1), 1)
    each = rest.sum(axis=1) / freedom
    alive = (ok > 0).any(axis=1)
    variance = max(float(np.median(each[alive])), 1e-300)
    power = w @ shape**2
    error = np.sqrt(variance / np.where(used, power, 1.0))
    misfit = (each / variance - 1) * np.sqrt(freedom / 2)
    weight = np.einsum("cf,c->f", ok, gain**2) / variance
    nan = np.nan
    return Part(np.where(used, gain, nan), np.where(used, error, nan),
                 np.where(seen, shape, nan), np.where(seen, weight, 0.0),
                 np.where(used, misfit, nan))


def stand_out(
    parts: Sequence[Part], times: F8, bad: NDArray[np.bool_], gain_s: float, n_sigma: float
) -> NDArray[np.bool_]:
    """Return the cycles whose gain or spectrum is an outlier in any polarisation."""
    found = np.zeros(len(times), bool)
    for part in parts:
        use = ~bad & np.isfinite(part.gain)
        if use.sum() < 4:
            continue
        typical = np.median(part.gain_error[use])
        apart = part.gain - _robust_curve(part, times, use, gain_s)
        scale = max(1.4826 * float(np.median(np.abs(apart[use]))), float(typical), 1e-9)
        spread = max(1.4826 * float(np.median(np.abs(part.misfit[use]))), 1.0)
        found |= use & (np.abs(apart) > n_sigma * scale)
        found |= use & (part.misfit > 2 * n_sigma * spread)
    return found


def _robust_curve(part: Part, times: F8, use: NDArray[np.bool_], gain_s: float) -> F8:
    """Return the smooth gain at all cycles, with five or more per knot; robust to outliers.

    References
    ----------
    P. W. Holland and R. E. Welsch, Commun. Statist. A6 (1977) 813: Cauchy weights.
    """
    spacing = np.median(np.diff(np.sort(times[use])))
    knots = knots_over(times[use], max(gain_s, 5 * float(spacing)))
    gain = np.where(use, part.gain, 0.0)
    base = np.where(use, 1 / np.where(use, part.gain_error, 1.0) ** 2, 0.0)
    base = np.minimum(base, np.median(base[use]))
    factor = np.ones(len(gain))
    for _ in range(_REWEIGHTS):
        curve = np.interp(times, knots, fit_knots(times, gain, base * factor, knots)[0])
        apart = np.abs(gain - curve)
        scale = max(1.4826 * float(np.median(apart[use])), 1e-12)
        factor = 1 / (1 + (apart / (2.4 * scale)) ** 2)
    return curve
