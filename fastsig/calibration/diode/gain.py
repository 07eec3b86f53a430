"""Power of a noise diode as gain(t) x shape(frequency), and antenna temperatures from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.diode.on_off import Difference, on_minus_off
from fastsig.calibration.diode.rank_one import rank_one, stand_out
from fastsig.calibration.smoothing import fit_knots, knots_over, smooth_channels
from fastsig.errors import DataError, UsageError
from fastsig.work.shown import Shown

__all__ = ["Calibrated", "Difference", "DiodeModel", "antenna_temperature", "combine", "fit_diode",
           "on_minus_off"]

F8 = NDArray[np.float64]

_CLEANINGS = 5


@dataclass(frozen=True, repr=False)
class DiodeModel(Shown):
    """Diode power in counts: ``gain(t, pol) shape(pol, chan)``.

    Parameters
    ----------
    times_s : ndarray, shape (cycle,), float64, s
        Middle of the on-time of each cycle, on the clock of the caller.
    gain, gain_error : ndarray, shape (cycle, pol), float64, dimensionless
        Gain of each cycle, about 1, and its standard error; NaN if a cycle has none.
    shape, shape_error : ndarray, shape (pol, chan), float64, counts
        Diode power at gain 1 and its standard error; NaN where no valid channel lies within the
        smoothing width.
    bad : ndarray, shape (cycle,), bool
        Whether each cycle is left out.
    knots_s, knot_gain, knot_error : ndarray, shape (knot,), (knot, pol), (knot, pol)
        Times of the knots, and the smooth gain and its standard error at these times; the gain is
        linear between knots.
    gain_s : float
        Timescale of the smooth gain, s: the largest distance between knots.
    """

    times_s: F8
    gain: F8
    gain_error: F8
    shape: F8
    shape_error: F8
    bad: NDArray[np.bool_]
    knots_s: F8
    knot_gain: F8
    knot_error: F8
    gain_s: float

    def gain_at(self, times_s: Any) -> tuple[F8, F8]:
        """Return the smooth gain and its error, (time, pol); constant beyond the knots."""
        times = np.atleast_1d(np.asarray(times_s, np.float64))
        gain, error = (np.stack([np.interp(times, self.knots_s, column) for column in knots.T], 1)
                       for knots in (self.knot_gain, self.knot_error))
        return gain, error

    def kelvin_per_count(self, times_s: Any, tcal_k: Any) -> F8:
        """Return kelvins per count, ``Tcal / (gain shape)``, (time, pol, chan)."""
        gain, _ = self.gain_at(times_s)
        return np.asarray(_tcal(tcal_k, self.shape) / (gain[:, :, np.newaxis] * self.shape))


def fit_diode(
    difference: Any, weight: Any = None, *, times_s: Any, chan_width_hz: float,
    mask: Any = None, smooth_hz: float = 5e6, gain_s: float = 60.0, n_sigma: float = 5.0,
    path: str = "noise diode",
) -> DiodeModel:
    """Split on-minus-off spectra into gain(t) and shape(frequency), without the bad cycles.

    ``D[c, p, f] = g[c, p] s[p, f]`` is fitted by weighted alternating least squares,
    ``s = sum_c w g D / sum_c w g^2`` and ``g = sum_f w s D / sum_f w s^2``; the median of g is 1. A
    cycle is bad if its gain is more than `n_sigma` robust standard deviations away from the smooth
    gain, or if the chi-squared of its residual over frequency is equally far from that of the other
    cycles. The fit and the test are repeated without bad cycles.

    Parameters
    ----------
    difference : array, shape (cycle, pol, chan), counts
        On-minus-off spectra; NaN where they are missing.
    weight : array, broadcastable to difference, 1/counts^2, optional
        Inverse variance; its scale is set by the residuals.
    times_s : array, shape (cycle,), s
        Middle of each on-time.
    chan_width_hz : float
        Channel spacing, Hz.
    mask : array of bool, shape (chan,) or (pol, chan), optional
        Channels to leave out; the smooth shape continues through them.
    smooth_hz : float
        Width of the window in which local straight lines are fitted to smooth the shape, Hz; 0 for
        no smoothing. HiFAST uses 5 MHz.
    gain_s : float
        Timescale of the gain, s.
    n_sigma : float
        Threshold for bad cycles, in robust standard deviations.
    path : str
        Path with which messages begin.

    Raises
    ------
    DataError
        If no valid data are left, or the diode adds no power.
    UsageError
        If a shape or a number is not allowed.

    References
    ----------
    K. R. Gabriel and S. Zamir, Technometrics 21 (1979) 489: weighted approximation of rank one.
    Y. Jing et al., arXiv:2401.17364 (HiFAST): smoothing of the diode's power.
    """
    d, w = _prepared(difference, weight, mask)
    times = np.asarray(times_s, np.float64)
    if times.shape != d.shape[:1] or gain_s <= 0 or smooth_hz < 0 or chan_width_hz <= 0:
        raise UsageError(f"times {times.shape} of {len(d)} cycles, gain_s = {gain_s}, smooth_hz = "
                         f"{smooth_hz}, chan_width_hz = {chan_width_hz}; allowed: one time per "
                         f"cycle, above 0 (smooth_hz: 0 or more)")
    bad = np.asarray(~(w > 0).any(axis=(1, 2)))
    for _ in range(_CLEANINGS):
        parts = [rank_one(d[:, p], w[:, p], bad, path) for p in range(d.shape[1])]
        found = stand_out(parts, times, bad, gain_s, n_sigma)
        if not (found & ~bad).any():
            break
        bad = bad | found
    else:
        parts = [rank_one(d[:, p], w[:, p], bad, path) for p in range(d.shape[1])]
    if not any(np.isfinite(part.shape).any() for part in parts):
        raise DataError(path, f"no cycle of {len(d)} has on and off rows in any channel that is "
                              f"not masked")
    width = 2 * round(smooth_hz / chan_width_hz / 2) + 1
    shape, variance = smooth_channels(
        np.stack([part.shape for part in parts]), np.stack([part.shape_weight for part in parts]),
        width)
    gain, error = (np.stack(each, axis=1) for each in zip(
        *((part.gain, part.gain_error) for part in parts), strict=True))
    return _smooth(times, gain, error, shape, np.sqrt(variance), bad, gain_s)


def _prepared(difference: Any, weight: Any, mask: Any) -> tuple[F8, F8]:
    d = np.asarray(difference, np.float64)
    if d.ndim != 3:
        raise UsageError(f"on-minus-off spectra have {d.ndim} axes; allowed: (cycle, pol, chan)")
    w = np.broadcast_to(1.0 if weight is None else np.asarray(weight, np.float64), d.shape)
    used = np.isfinite(d) & np.isfinite(w)
    if mask is not None:
        used = used & ~np.broadcast_to(np.asarray(mask, bool), d.shape[1:])
    return np.where(used, d, 0.0), np.where(used, w, 0.0)


def _smooth(
    times: F8, gain: F8, error: F8, shape: F8, shape_error: F8, bad: NDArray[np.bool_],
    gain_s: float,
) -> DiodeModel:
    knots = knots_over(times[~bad], gain_s)
    columns = []
    for p in range(gain.shape[1]):
        use = ~bad & np.isfinite(gain[:, p])
        weight = np.where(use, 1 / np.where(use, error[:, p], 1) ** 2, 0.0)
        weight = np.minimum(weight, 4 * np.median(weight[use])) if use.any() else weight
        columns.append(fit_knots(times, np.where(use, gain[:, p], 0.0), weight, knots))
    values, variance = (np.stack(each, axis=1) for each in zip(*columns, strict=True))
    return DiodeModel(times, gain, error, shape, shape_error, bad, knots, values,
                      np.sqrt(variance), gain_s)


def combine(models: Sequence[DiodeModel]) -> DiodeModel:
    """Combine the models of a scan's files: a common shape, and all gains in order of time.

    The shape of each file is scaled to the same mean, and its gains are scaled inversely. Shapes
    are averaged, weighted by their inverse variances.

    Raises
    ------
    UsageError
        If there are no models, or their polarisations or channels differ.
    """
    if not models or len({model.shape.shape for model in models}) != 1:
        raise UsageError(f"{len(models)} diode models of shapes "
                         f"{[model.shape.shape for model in models]}; allowed: one or more, all "
                         f"with the same polarisations and channels")
    shapes = np.stack([model.shape for model in models])
    errors = np.stack([model.shape_error for model in models])
    common: NDArray[np.bool_] = np.asarray(np.isfinite(shapes).all(axis=0))
    level = np.array([[np.nan if not ok.any() else row[ok].mean()
                       for row, ok in zip(shape, common, strict=True)] for shape in shapes])
    level = level / level[0]
    scaled, weight = shapes / level[:, :, np.newaxis], (level[:, :, np.newaxis] / errors) ** 2
    weight = np.where(np.isfinite(scaled) & np.isfinite(weight), weight, 0.0)
    total = weight.sum(axis=0)
    safe = np.where(total > 0, total, 1.0)
    shape = np.where(total > 0, np.nansum(np.where(weight > 0, scaled, 0) * weight, 0) / safe,
                     np.nan)
    times = np.concatenate([model.times_s for model in models])
    order = np.argsort(times, kind="stable")
    gain = np.concatenate([model.gain * each for model, each in zip(models, level, strict=True)])
    error = np.concatenate([model.gain_error * each
                            for model, each in zip(models, level, strict=True)])
    bad = np.concatenate([model.bad for model in models])
    return _smooth(times[order], gain[order], error[order], shape,
                   np.where(total > 0, 1 / np.sqrt(safe), np.inf), bad[order],
                   max(model.gain_s for model in models))


class Calibrated(NamedTuple):
    """Antenna temperature and its standard error, both (time, pol, chan), K."""

    temperature: F8
    error: F8


def antenna_temperature(
    power: Any, model: DiodeModel, times_s: Any, tcal_k: Any, *, state: Any = None,
    weight: Any = None, n_average: float = 1.0,
) -> Calibrated:
    """Return antenna temperatures, ``P Tcal / (gain shape)``, minus Tcal where the diode is on.

    The variance of a temperature is the sum of two terms: ``T^2 / (n w)`` from the radiometer
    equation, where T includes Tcal, and ``T_A^2 ((dg/g)^2 + (ds/s)^2)`` from the scale. The error
    of the scale is common to neighbouring rows and channels, so averaging does not reduce it.

    Parameters
    ----------
    power : array, shape (time, pol, chan), counts
        Recorded power; NaN stays NaN.
    model : DiodeModel
        Power of the diode, in the same counts.
    times_s : array, shape (time,), s
        Middle of each row, on the clock of the model.
    tcal_k : array, shape (chan,) or (pol, chan), K
        Temperature of the diode; NaN where it is unknown.
    state : array, shape (time,), int8, optional
        1 where the diode is on, 0 where it is off, -1 at an edge; rows at an edge become NaN. By
        default, all rows are off.
    weight : array, broadcastable to power, optional
        Valid fraction; values of weight 0 become NaN.
    n_average : float
        Number of independent samples in a value of weight 1.

    Raises
    ------
    UsageError
        If polarisations, channels or rows do not match the model.
    """
    values = np.asarray(power, np.float64)
    times = np.atleast_1d(np.asarray(times_s, np.float64))
    if values.ndim != 3 or values.shape[1:] != model.shape.shape or len(times) != len(values):
        raise UsageError(f"power {values.shape} at {len(times)} times; allowed: (time, "
                         f"{model.shape.shape[0]}, {model.shape.shape[1]}), as in the diode's "
                         "model")
    tcal = _tcal(tcal_k, model.shape)
    gain, error = model.gain_at(times)
    total = values * tcal / (gain[:, :, np.newaxis] * model.shape)
    lit = np.zeros(len(values)) if state is None else np.asarray(state)
    share = np.where(lit == 1, 1.0, np.where(lit == 0, 0.0, np.nan))[:, np.newaxis, np.newaxis]
    w = np.broadcast_to(1.0 if weight is None else np.asarray(weight, np.float64), values.shape)
    kept = w > 0
    temperature = np.where(kept, total - share * tcal, np.nan)
    scale = (error / gain)[:, :, np.newaxis] ** 2 + (model.shape_error / model.shape) ** 2
    variance = total**2 / (n_average * np.where(kept, w, 1)) + temperature**2 * scale
    return Calibrated(temperature, np.sqrt(variance))


def _tcal(tcal_k: Any, shape: F8) -> F8:
    tcal = np.asarray(tcal_k, np.float64)
    try:
        return np.broadcast_to(tcal, shape.shape)
    except ValueError:
        raise UsageError(f"Tcal has shape {tcal.shape}; allowed: one that broadcasts to "
                         f"(pol, chan) = {shape.shape}") from None
