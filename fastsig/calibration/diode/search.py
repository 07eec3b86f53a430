"""Find the cycle of a noise diode in the data, and compare a schedule with it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.units import fraction
from fastsig.calibration.diode.boxcars import FittedBoxcar, judged
from fastsig.calibration.diode.candidates import best_beneath, best_of
from fastsig.calibration.diode.cycle import (
    MODES,
    DiodeCycle,
    DiodeMode,
    classify,
    cycle_number,
    on_share,
)
from fastsig.calibration.diode.folding import Series
from fastsig.calibration.diode.power_series import combined, mean_level
from fastsig.errors import DataError, DoubtWarning, users_line

__all__ = ["MODES", "DiodeCycle", "DiodeMode", "classify", "cycle_number", "find_cycle", "on_share"]

_HIGHER = 1.04  # gains drift less; the low diode of FAST adds 5 %


def find_cycle(
    power: Any, weight: Any = None, *, step_s: Any, hint: DiodeSchedule | None = None,
    hint_from: Literal["header", "user"] = "header", modes: Sequence[DiodeMode] = MODES,
    off_level: Any = None, false_alarm: float = 1e-3, path: str = "total power",
) -> DiodeCycle:
    """Find the period, on-time and phase of the noise diode in total power.

    The series, minus its running mean over one period, is folded at each candidate period and
    fitted with a boxcar of the candidate's on-time at every phase. Known modes are tried first. If
    none of them is present, or if the spectrum of the residual has lines, a blind search follows,
    with sums of harmonics, folding, and boxcars of any on-time. Phases have a resolution of an
    eighth of a row.

    The S/N of a cycle is the step divided by the noise of the on-minus-off difference of one cycle,
    ``h / (sigma sqrt(1/n_on + 1/n_off))``. The significance of K cycles is sqrt(K) times this S/N,
    and is reduced if cycles scatter more than white noise does.

    Parameters
    ----------
    power : array, shape (time,), (time, pol) or (time, pol, sub-band), any unit
        Total power, above 0; NaN where it is missing. Use a few sub-bands rather than single
        channels.
    weight : array, broadcastable to power from the left, dimensionless, optional
        Fraction of each row that is valid: 0 in gaps.
    step_s : Fraction, int, float or str
        Length of a row, s; the rows are evenly spaced, and include those in gaps.
    hint : DiodeSchedule, optional
        The schedule stated by the header or the user, counted from the start of row 0.
    hint_from : {"header", "user"}
        Origin of the hint. Disagreement with the header causes a warning; disagreement with the
        user causes an error.
    modes : sequence of DiodeMode
        Known patterns, which are tried first.
    off_level : float or array, shape of a row, unit of power, optional
        Power with the diode off, known from elsewhere. It distinguishes a diode that is always on
        from a missing one.
    false_alarm : float
        Largest probability, over all trials, that noise is mistaken for a diode.
    path : str
        Path with which messages begin.

    Returns
    -------
    DiodeCycle

    Raises
    ------
    DataError
        If there is no diode, if it is on during the whole scan, if the user's schedule differs from
        that of the data (which the message states), or if there are too few data.

    Warns
    -----
    DoubtWarning
        If the header's schedule differs from that of the data, which is then used.

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
    best = best_of(series, [*own, *modes], step, false_alarm)
    if best is None or judged(best, step).false_alarm > false_alarm:
        raise _nothing(best, series, step, path, steady=steady, hint_from=hint_from,
                       higher=_is_higher(power, weight, off_level, path))
    found = judged(best, step)
    if hint is None:
        return found
    if given is not None and not _agree(found, given, step):
        beneath = best_beneath(best, series, own[0], step)
        under = None if beneath is None else judged(beneath, step)
        if under is not None and under.false_alarm <= false_alarm and _agree(under, given, step):
            found = under
    if given is not None and _agree(found, given, step):
        return replace(found, period=given.period, on=given.on, phase=given.phase,
                       phase_error_s=0.0, period_error_s=0.0)
    stated = str(given) if given is not None else "on all the time"
    message = (f"the {hint_from}'s noise diode ({stated}) is not the one in the data: {found}, "
               f"{found.significance:.3g} sigma")
    if hint_from == "user":
        raise DataError(path, message)
    warnings.warn(f"{path}: {message}; the schedule in the data is used", DoubtWarning,
                  stacklevel=users_line())
    return found


def _always_on(hint: DiodeSchedule, step: Fraction, n: int) -> bool:
    """Return whether the diode is on in every row according to a schedule."""
    if hint.on_ticks >= hint.period_ticks:
        return True
    return bool((classify(1 / step, 0, n, DiodeCycle.of_schedule(hint)) == 1).all())


def _agree(found: DiodeCycle, given: DiodeCycle, step: Fraction) -> bool:
    row = float(step)
    drift = abs(float(found.period - given.period)) * found.n_cycle
    apart = float((found.phase - given.phase) % given.period)
    apart = min(apart, float(given.period) - apart)
    near = row / 4  # with a larger value, offsets of whole rows would pass
    return (drift <= max(near, 3 * found.period_error_s * found.n_cycle)
            and abs(float(found.on - given.on)) <= max(near, 6 * found.phase_error_s)
            and apart <= max(near, 3 * found.phase_error_s))


def _is_higher(power: Any, weight: Any, off_level: Any, path: str) -> bool:
    if off_level is None:
        return False
    level = mean_level(power, weight, path)
    off = np.broadcast_to(np.asarray(off_level, np.float64), np.shape(power)[1:]).reshape(-1)
    return bool(np.nanmedian(level / off) > _HIGHER)


def _nothing(
    best: FittedBoxcar | None, series: Series, step: Fraction, path: str, *, steady: bool,
    hint_from: str, higher: bool,
) -> DataError:
    seconds = series.n * float(step)
    if steady or higher:
        why = f"by the {hint_from}'s schedule" if steady else "by the power with the diode off"
        return DataError(path, f"the noise diode is on during the whole scan of {seconds:.6g} s, "
                               f"{why}, and nothing in the data switches: no row is without it")
    cycle = None if best is None else judged(best, step)
    most = "no pattern fits into this length" if cycle is None else (
        f"the best trial has {cycle.significance:.2g} sigma, which occurs by chance with a "
        f"probability of {cycle.false_alarm:.1g} ({cycle})")
    return DataError(path, f"no noise diode that switches in {series.n} rows, {seconds:.6g} s: "
                           f"{most}")
