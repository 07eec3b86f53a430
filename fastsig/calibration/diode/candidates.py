"""Known modes, and then any period, fitted to a series of power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.diode import blind_search
from fastsig.calibration.diode.boxcars import OUTLYING, FittedBoxcar, judged
from fastsig.calibration.diode.cycle import DiodeMode
from fastsig.calibration.diode.folding import Fit, Series, fit_box, fold

__all__ = ["best_beneath", "best_of"]

_BETTER = 25.0  # chi-square by which a model with more freedom must be better,
_BETTER_SHARE = 0.01  # and fraction of the total: no real diode is an ideal box-car
_LINE = 40.0  # least power over the noise of a line in the residual's spectrum
_NEAR_ON = 4.0  # on-times over which the drift is measured, once the diode is known
_FREE_TRIALS = 1000  # on-times and periods tried for each phase of a blind search


def best_of(
    series: Series, modes: Sequence[DiodeMode], step: Fraction, false_alarm: float
) -> FittedBoxcar | None:
    """Return the best box-car: of a known mode, or of any period if that is clearly better."""
    known = [_of_mode(series, mode, step) for mode in modes if _resolved(mode, step, series.n)]
    best = max(known, key=lambda found: found.chi2, default=None)
    if best is not None:
        best = replace(best, trials=sum(found.trials for found in known))
        if judged(best, step).false_alarm <= false_alarm:
            best = _free(series, best)
            if not _lines_left(best):
                return best
    blind = _of_blind(series)
    if blind is None or (best is not None and not _is_better(blind.chi2, best.chi2)):
        return best
    return blind


def best_beneath(above: FittedBoxcar, series: Series, mode: DiodeMode, step: Fraction
                 ) -> FittedBoxcar | None:
    """Return the box-car of a mode in a series from which another pattern has been subtracted.

    A pulsar also looks like switching, and may be stronger than the diode.
    """
    if not _resolved(mode, step, series.n):
        return None
    rest = Series(series.y - above.fit.model(series.n), series.w)
    return _free(rest, _of_mode(rest, mode, step))


def _resolved(mode: DiodeMode, step: Fraction, n: int) -> bool:
    period, on = mode.rows(step)
    return on >= 1 and period - on >= 1 and period <= n


def _is_better(chi2: float, than: float) -> bool:
    return chi2 > than + max(_BETTER, _BETTER_SHARE * than)


def _of_mode(series: Series, mode: DiodeMode, step: Fraction) -> FittedBoxcar:
    period, on = (float(each) for each in mode.rows(step))
    flat = series.detrended(_drift_width(period, on, series.n)).clipped()
    fit, flat = _settled(series, fit_box(fold(flat, period), on), 3)
    return FittedBoxcar(fit, flat, mode, 2 * period, int(np.count_nonzero(series.w)))


def _drift_width(period: float, on: float, n: int) -> float:
    """Return the rows over which the drift is averaged: a period, or less if periods are few."""
    few = n < blind_search.CYCLES * period
    return min(period, max(8 * on, 64.0)) if few else period


def _settled(series: Series, fit: Fit, rounds: int = 2) -> tuple[Fit, Series]:
    """Repeat the fit with a drift measured without the diode, and without outliers."""
    flat = series
    for _ in range(rounds):
        model = fit.model(series.n)
        # With the diode subtracted, a shorter time is enough: a passing source joins the drift.
        width = min(_drift_width(fit.period, fit.on, series.n), max(_NEAR_ON * fit.on, _NEAR_ON))
        flat = _without_outliers(series.detrended(width, model), model, fit.step)
        fit = fit_box(fold(flat, fit.period), fit.on)
    return fit, flat


def _without_outliers(flat: Series, model: NDArray[np.float64], step: float) -> Series:
    rest = flat.y - model
    used = flat.w > 0
    rest = np.abs(rest - np.median(rest[used]))
    sigma = 1.4826 * np.median(rest[used] * np.sqrt(flat.w[used]))
    # Allow half a step in addition: a drifting gain, or a row with an edge, is not an outlier.
    kept = rest * np.sqrt(flat.w) <= OUTLYING * sigma + 0.5 * abs(step) * np.sqrt(flat.w)
    return Series(flat.y, np.where(kept, flat.w, 0.0))


def _free(series: Series, best: FittedBoxcar) -> FittedBoxcar:
    """Return the same box-car, or one with a clearly better on-time, which has no known mode."""
    if series.n < blind_search.CYCLES * best.fit.period:
        return best
    near = blind_search.free_on(fold(best.flat, best.fit.period), best.fit.on)
    wide = blind_search.free_on(fold(best.flat, best.fit.period, 1))
    near = max(near, blind_search.free_on(fold(best.flat, best.fit.period), wide.on),
               key=lambda fit: fit.gain)
    if abs(near.on - best.fit.on) < 1 or not _is_better(
        near.gain / best.variance, best.fit.gain / best.variance
    ):
        return best
    fit, flat = _settled(series, near)
    return replace(best, fit=fit, flat=flat, mode=replace(best.mode, name="")
                   if best.mode else None)


def _lines_left(found: FittedBoxcar) -> bool:
    rest = Series(found.flat.y - found.fit.model(found.flat.n), found.flat.w)
    return blind_search.strongest_line(rest) > _LINE


def _of_blind(series: Series) -> FittedBoxcar | None:
    n_row = int(np.count_nonzero(series.w))
    first, series = blind_search.search(series)
    if first is None:
        return None
    fit, flat = _settled(series, first)
    fit = blind_search.refined(flat, fit)
    fit, flat = _settled(series, fit, 1)
    if blind_search.is_wave(flat, fit):
        return None
    return FittedBoxcar(fit, flat, None, 2.0 * series.n * _FREE_TRIALS, n_row)
