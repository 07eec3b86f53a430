"""A fitted box-car, and the corresponding cycle in seconds with its errors."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.diode.cycle import DiodeCycle, DiodeMode
from fastsig.calibration.diode.folding import Fit, Series
from fastsig.calibration.diode.step_scatter import Cycles, each_cycle, redness

__all__ = ["OUTLYING", "FittedBoxcar", "judged"]

OUTLYING = 6.0  # standard deviations from which a row is an outlier


@dataclass(frozen=True)
class FittedBoxcar:
    """A fitted box-car.

    `flat` is the series without its drift and outliers, `trials` the number of box-cars tried, and
    `n_row` the number of rows before outliers were removed.
    """

    fit: Fit
    flat: Series
    mode: DiodeMode | None
    trials: float
    n_row: int

    @cached_property
    def variance(self) -> float:
        """Variance of the noise of a row of weight 1."""
        return max(self.fit.left / max(int(np.count_nonzero(self.flat.w)) - 3, 1), 1e-300)

    @cached_property
    def cycles(self) -> Cycles:
        """The step of each cycle."""
        return each_cycle(self.fit, self.flat, self.variance)

    @cached_property
    def chi2(self) -> float:
        """Decrease of chi-square due to the diode, in variances of the red noise present."""
        rest = Series(self.flat.y - self.fit.model(self.flat.n), self.flat.w)
        red = redness(rest, self.fit.on)
        used = int(np.count_nonzero(self.flat.w))
        # Rows that a model rejects as outliers count against it, as if they lay at the threshold.
        apart = 1 + OUTLYING**2 * max(0, self.n_row - used) / max(used, 1)
        return self.fit.gain / self.variance / max(red, self.cycles.excess) ** 2 / apart


def judged(found: FittedBoxcar, step: Fraction) -> DiodeCycle:
    """Return the cycle in seconds with its significance and errors."""
    fit = found.fit
    n_cycle, one = found.cycles.n, found.cycles.snr
    sigma = sqrt(found.chi2)
    level = fit.gain / max(found.chi2, 1e-300)
    inside = np.count_nonzero(_about(fit.curve >= fit.curve.max() - level, fit))
    phase_error = max(int(inside), 1) / 2 * fit.period / len(fit.curve) * float(step)
    named = found.mode is not None
    spread = 0.0 if named else phase_error * sqrt(12) / max(n_cycle, 1)
    known = found.mode.rows(step) if found.mode else None
    period = known[0] if known else _simple(fit.period, spread / float(step), n_cycle)
    on = known[1] if known and found.mode and found.mode.name else Fraction(
        fit.on).limit_denominator(64)
    return DiodeCycle(
        period * step, on * step, Fraction(fit.phase).limit_denominator(10**6) * step,
        mode=(found.mode.name or None) if found.mode else None, significance=sigma,
        false_alarm=min(1.0, found.trials * erfc(sigma / sqrt(2)) / 2) if fit.step > 0 else 1.0,
        snr_per_cycle=one, step=fit.step, phase_error_s=phase_error * (1 if named else 2),
        period_error_s=spread, n_cycle=n_cycle)


def _about(near: NDArray[np.bool_], fit: Fit) -> NDArray[np.bool_]:
    """Return the run of true values that contains the best phase."""
    near = np.roll(near, len(near) // 2 - int(fit.curve.argmax()))
    middle = len(near) // 2
    outside = np.flatnonzero(~near)
    right = outside[outside > middle].min(initial=len(near))
    left = outside[outside < middle].max(initial=-1)
    return near[left + 1 : right]


def _simple(period: float, error: float, n_cycle: int) -> Fraction:
    """Return a whole number of rows if one is within the error.

    Otherwise, the period is rounded such that the error is at most 1/100 row over all cycles.
    """
    if abs(period - round(period)) <= max(2 * error, 1e-9):
        return Fraction(round(period))
    return Fraction(period).limit_denominator(100 * max(n_cycle, 1))
