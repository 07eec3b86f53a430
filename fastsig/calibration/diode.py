"""Find the cycle of a noise diode in the data, and hold a schedule against it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import erfc, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration import _blind
from fastsig.calibration._folding import Fit, Series, fit_box, fold
from fastsig.calibration._scatter import Cycles, each_cycle, redness
from fastsig.calibration._series import combined, mean_level
from fastsig.calibration.cycle import (
    MODES,
    DiodeCycle,
    DiodeMode,
    classify,
    cycle_number,
    on_share,
)
from fastsig.errors import DataError, DoubtWarning
from fastsig.header import DiodeSchedule
from fastsig.units import fraction

__all__ = ["MODES", "DiodeCycle", "DiodeMode", "classify", "cycle_number", "find_cycle", "on_share"]

_BETTER = 25.0  # chi-square by which a model with more freedom must be better,
_BETTER_SHARE = 0.01  # and share of the whole: no real diode is an ideal box-car
_LINE = 40.0  # power over the noise that a spectrum's line in the residual has to have
_HIGHER = 1.04  # gains drift less; the low diode of FAST adds 5 %
_FREE_TRIALS = 1000  # on-times and periods tried for each phase of a blind search


@dataclass(frozen=True)
class _Found:
    """A fitted box-car: `flat` is the series less its drift, `trials` how many were tried."""

    fit: Fit
    flat: Series
    mode: DiodeMode | None
    trials: float

    @cached_property
    def variance(self) -> float:
        """Of the noise of a row of weight 1."""
        return max(self.fit.left / max(int(np.count_nonzero(self.flat.w)) - 3, 1), 1e-300)

    @cached_property
    def cycles(self) -> Cycles:
        """Steps cycle by cycle."""
        return each_cycle(self.fit, self.flat, self.variance)

    @cached_property
    def chi2(self) -> float:
        """Fall of chi-square by the diode, in variances of noise as red as it is."""
        rest = Series(self.flat.y - self.fit.model(self.flat.n), self.flat.w)
        red = redness(rest, self.fit.on)
        return self.fit.gain / self.variance / max(red, self.cycles.excess) ** 2


def find_cycle(
    power: Any, weight: Any = None, *, step_s: Any, hint: DiodeSchedule | None = None,
    hint_from: Literal["header", "user"] = "header", modes: Sequence[DiodeMode] = MODES,
    off_level: Any = None, false_alarm: float = 1e-3, path: str = "total power",
) -> DiodeCycle:
    """Period, on-time and phase of the noise diode, from total power.

    The series, less its mean over one period, is folded at each candidate and fitted by a box-car
    of the candidate's on-time at every phase. Known modes come first; where none is there, or a
    spectrum of what is left has lines, periods are sought blindly: sums of harmonics, folding,
    box-cars of any on-time. Phases are to an eighth of a row, less the noise.

    S/N of a cycle is the step over the noise of the on-minus-off difference of one cycle,
    ``h / (sigma sqrt(1/n_on + 1/n_off))``; K cycles have a significance of sqrt(K) times that. It
    is lowered where cycles scatter by more than white noise.

    Parameters
    ----------
    power : array, shape (time,), (time, pol) or (time, pol, sub-band), any unit
        Total power, above 0; NaN is missing. A few sub-bands, not channels.
    weight : array, broadcastable to power from the left, dimensionless, optional
        Share of each row that is valid: 0 in gaps.
    step_s : Fraction, int, float or str
        Length of a row, s; the rows are evenly spaced, gaps included.
    hint : DiodeSchedule, optional
        The schedule of the header or the user, from the start of row 0.
    hint_from : {"header", "user"}
        Whose it is: a header's that disagrees is warned of, a user's refused.
    modes : sequence of DiodeMode
        Known patterns, tried first.
    off_level : float or array, shape of a row, unit of power, optional
        Power with the diode off, known from elsewhere: tells a diode that is always on from none.
    false_alarm : float
        Chance allowed for noise to pass as a diode, over all trials.
    path : str
        What messages begin with.

    Returns
    -------
    DiodeCycle

    Raises
    ------
    DataError
        Where there is no diode, it is on during the whole scan, the user's schedule is not that
        of the data (the message names that), or there is too little data.

    Warns
    -----
    DoubtWarning
        Where the header's schedule is not that of the data, which then is taken.

    References
    ----------
    D. A. Leahy et al., ApJ 266 (1983) 160: epoch folding, trials and significance.
    """
    step = fraction(step_s if not isinstance(step_s, float) else repr(step_s))
    series = combined(power, weight, path).without_bursts()
    steady = hint is not None and _always_on(hint, step, series.n)
    given = None if hint is None or hint.on_ticks >= hint.period_ticks else (
        DiodeCycle.of_schedule(hint))
    own = [] if given is None else [DiodeMode(hint_from, given.period, given.on)]
    best = _best(series, [*own, *modes], step, false_alarm)
    if best is None or _judged(best, step).false_alarm > false_alarm:
        raise _nothing(best, series, step, path, steady=steady, hint_from=hint_from,
                       higher=_is_higher(power, weight, off_level, path))
    found = _judged(best, step)
    if hint is None:
        return found
    if given is not None and _agree(found, given, step):
        return replace(found, period=given.period, on=given.on, phase=given.phase,
                       phase_error_s=0.0, period_error_s=0.0)
    told = str(given) if given is not None else "on all the time"
    message = (f"the {hint_from}'s noise diode ({told}) is not the one in the data: {found}, "
               f"{found.significance:.3g} sigma")
    if hint_from == "user":
        raise DataError(path, message)
    warnings.warn(f"{path}: {message}; the data are followed", DoubtWarning, stacklevel=2)
    return found


def _always_on(hint: DiodeSchedule, step: Fraction, n: int) -> bool:
    """Whether no row is without the diode, by a schedule."""
    if hint.on_ticks >= hint.period_ticks:
        return True
    return bool((classify(1 / step, 0, n, DiodeCycle.of_schedule(hint)) == 1).all())


def _best(
    series: Series, modes: Sequence[DiodeMode], step: Fraction, false_alarm: float
) -> _Found | None:
    known = [_of_mode(series, mode, step) for mode in modes if _resolved(mode, step, series.n)]
    best = max(known, key=lambda found: found.chi2, default=None)
    if best is not None:
        best = replace(best, trials=sum(found.trials for found in known))
        if _judged(best, step).false_alarm <= false_alarm:
            best = _free(series, best)
            if not _lines_left(best):
                return best
    blind = _of_blind(series)
    if blind is None or (best is not None and not _is_better(blind.chi2, best.chi2)):
        return best
    return blind


def _resolved(mode: DiodeMode, step: Fraction, n: int) -> bool:
    period, on = mode.rows(step)
    return on >= 1 and period - on >= 1 and period <= n


def _is_better(chi2: float, than: float) -> bool:
    return chi2 > than + max(_BETTER, _BETTER_SHARE * than)


def _of_mode(series: Series, mode: DiodeMode, step: Fraction) -> _Found:
    period, on = (float(each) for each in mode.rows(step))
    flat = series.detrended(_drift_width(period, on, series.n)).clipped()
    fit, flat = _settled(series, fit_box(fold(flat, period), on), 3)
    return _Found(fit, flat, mode, 2 * period)


def _drift_width(period: float, on: float, n: int) -> float:
    """Rows over which the drift is taken: a period, or less where there are few of them."""
    few = n < _blind.CYCLES * period
    return min(period, max(8 * on, 64.0)) if few else period


def _settled(series: Series, fit: Fit, rounds: int = 2) -> tuple[Fit, Series]:
    """The fit once the diode no longer weighs on the drift, and outliers on the fit."""
    flat = series
    for _ in range(rounds):
        model = fit.model(series.n)
        width = _drift_width(fit.period, fit.on, series.n)
        flat = _without_outliers(series.detrended(width, model), model, fit.step)
        fit = fit_box(fold(flat, fit.period), fit.on)
    return fit, flat


def _without_outliers(flat: Series, model: NDArray[np.float64], step: float) -> Series:
    rest = flat.y - model
    used = flat.w > 0
    rest = np.abs(rest - np.median(rest[used]))
    sigma = 1.4826 * np.median(rest[used] * np.sqrt(flat.w[used]))
    # Half a step besides: a gain that drifts, or a row under an edge, is no outlier.
    kept = rest * np.sqrt(flat.w) <= 6 * sigma + 0.5 * abs(step) * np.sqrt(flat.w)
    return Series(flat.y, np.where(kept, flat.w, 0.0))


def _free(series: Series, best: _Found) -> _Found:
    """The same, or with another on-time where that is clearly better: then no known mode."""
    if series.n < _blind.CYCLES * best.fit.period:
        return best
    near = _blind.free_on(fold(best.flat, best.fit.period), best.fit.on)
    wide = _blind.free_on(fold(best.flat, best.fit.period, 1))
    near = max(near, _blind.free_on(fold(best.flat, best.fit.period), wide.on),
               key=lambda fit: fit.gain)
    if abs(near.on - best.fit.on) < 1 or not _is_better(
        near.gain / best.variance, best.fit.gain / best.variance
    ):
        return best
    fit, flat = _settled(series, near)
    return replace(best, fit=fit, flat=flat, mode=replace(best.mode, name="")
                   if best.mode else None)


def _lines_left(found: _Found) -> bool:
    rest = Series(found.flat.y - found.fit.model(found.flat.n), found.flat.w)
    return _blind.strongest_line(rest) > _LINE


def _of_blind(series: Series) -> _Found | None:
    first, series = _blind.search(series)
    if first is None:
        return None
    fit, flat = _settled(series, first)
    fit = _blind.refined(flat, fit)
    fit, flat = _settled(series, fit, 1)
    if _blind.is_wave(flat, fit):
        return None
    return _Found(fit, flat, None, 2.0 * series.n * _FREE_TRIALS)


def _judged(found: _Found, step: Fraction) -> DiodeCycle:
    """The cycle in seconds with its significance and errors."""
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
    """The run of true values that holds the best phase."""
    near = np.roll(near, len(near) // 2 - int(fit.curve.argmax()))
    middle = len(near) // 2
    outside = np.flatnonzero(~near)
    right = outside[outside > middle].min(initial=len(near))
    left = outside[outside < middle].max(initial=-1)
    return near[left + 1 : right]


def _simple(period: float, error: float, n_cycle: int) -> Fraction:
    """A whole number of rows if one is within the error, else right to 1/100 row in all."""
    if abs(period - round(period)) <= max(2 * error, 1e-9):
        return Fraction(round(period))
    return Fraction(period).limit_denominator(100 * max(n_cycle, 1))


def _agree(found: DiodeCycle, given: DiodeCycle, step: Fraction) -> bool:
    row = float(step)
    drift = abs(float(found.period - given.period)) * found.n_cycle
    apart = float((found.phase - given.phase) % given.period)
    apart = min(apart, float(given.period) - apart)
    return (drift <= max(row, 3 * found.period_error_s * found.n_cycle)
            and abs(float(found.on - given.on)) <= row
            and apart <= max(row, 3 * found.phase_error_s))


def _is_higher(power: Any, weight: Any, off_level: Any, path: str) -> bool:
    if off_level is None:
        return False
    level = mean_level(power, weight, path)
    off = np.broadcast_to(np.asarray(off_level, np.float64), np.shape(power)[1:]).reshape(-1)
    return bool(np.nanmedian(level / off) > _HIGHER)


def _nothing(
    best: _Found | None, series: Series, step: Fraction, path: str, *, steady: bool,
    hint_from: str, higher: bool,
) -> DataError:
    seconds = series.n * float(step)
    if steady or higher:
        why = f"by the {hint_from}'s schedule" if steady else "by the power with the diode off"
        return DataError(path, f"the noise diode is on during the whole scan of {seconds:.6g} s, "
                               f"{why}, and nothing in the data switches: no row is without it")
    cycle = None if best is None else _judged(best, step)
    most = "no pattern fits into it" if cycle is None else (
        f"the best trial has {cycle.significance:.2g} sigma, by chance with a probability of "
        f"{cycle.false_alarm:.1g} ({cycle})")
    return DataError(path, f"no noise diode that switches in {series.n} rows, {seconds:.6g} s: "
                           f"{most}")
