"""Standing waves between dish and receiver: a ripple in frequency, found and removed.

A reflection that arrives `delay` later makes a ripple of period ``1 / delay`` in the spectrum. At
FAST the period is 1.08 MHz (0.92 us, the way between feed cabin and reflector); 0.039 MHz and
1.92 MHz occur too (HiFAST, arXiv:2401.17364).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from fastsig.calibration.baseline import MOST_ORDER, fitted, unit_axis
from fastsig.calibration.lines import Windows, chunks, prepared
from fastsig.errors import UsageError

__all__ = ["PERIOD_MHZ", "Sine", "fourier", "sine"]

F8 = NDArray[np.float64]

#: Of FAST's ripple, MHz.
PERIOD_MHZ = 1.08

_FINE = 16  # delays that are tried within the resolution 1 / bandwidth
_STEPS = 12  # of the conjugate gradients: gaps shorter than 1 / width settle in fewer
_RIDGE = 1e-3  # least share of a component's power that must lie in channels that count
_EVEN = 1e-3


class Sine(NamedTuple):
    """Sine waves of `sine`.

    Parameters
    ----------
    model : ndarray, shape (row, ..., chan), float64
        What the waves add to the spectra, in their unit.
    period : ndarray, shape (row, n_period), float64
        As fitted, in the axis's unit.
    amplitude : ndarray, shape (row, ..., n_period, harmonics), complex128
        A + iB of ``A cos(2 pi n (x - x0) / period) + B sin(...)``, x0 the middle of the band.
    """

    model: F8
    period: F8
    amplitude: NDArray[np.complex128]


def fourier(
    values: ArrayLike, x: ArrayLike, weight: ArrayLike | None = None, *,
    period: float | Sequence[float] = PERIOD_MHZ, width: float = 0.2, trend: int = 5,
    protect: Windows = (), groups: ArrayLike | None = None, n_rows: int = 1,
    rows: slice = slice(None),
) -> F8:
    """The part of spectra that lies in a window of delay: a Fourier filter with gaps.

    After a polynomial is taken away, the model m that has no component outside of the window and
    minimises ``sum w (r - m)^2`` is found by conjugate gradients, an FFT along frequency and back
    at each step. Lost and protected channels weigh nothing: the ripple goes on through them as it
    is beside them, and a line's flux stays. The band is continued by ``1 / width of the window``
    likewise, so its ends need not match.

    Parameters
    ----------
    values : array_like, shape (row, ..., chan)
        Spectra; NaN does not count.
    x : array_like, shape (chan,)
        Evenly spaced axis, ascending: MHz, say.
    weight : array_like, optional
        Broadcasts against `values`.
    period : float or sequence of float
        Of the ripple, in the unit of `x`; several for as many windows.
    width : float
        Of the window over its delay ``1 / period``. Never less than the resolution of the band.
    trend : int
        Order of the polynomial that is fitted first, and left in.
    protect : sequence of (low, high)
        Windows of `x` that hold lines.
    groups : array_like, shape (row,), optional
        Labels of rows, such as diode on and off: rows serve only rows of their own label.
    n_rows : int
        Odd number of rows, about each, of whose mean the ripple is taken: those of the same group.
    rows : slice
        Rows whose model is wanted; others only serve their neighbours.

    Returns
    -------
    ndarray, shape (row, ..., chan), float64
        The ripple, to be subtracted; NaN for spectra in which too few channels count.

    Raises
    ------
    UsageError
        Where a parameter is not allowed, the axis is not even, or a period cannot be told in it.
    """
    y, w, axis = _checked(values, x, weight, protect, trend, n_rows)
    y, w = _running(y, w, _labels(groups, len(y)), n_rows, rows)
    window = _DelayWindow(axis, _periods(period), width)
    t, model = unit_axis(axis), np.empty_like(y)
    flat = [part.reshape(-1, axis.size) for part in (y, w, model)]
    for part in chunks(len(flat[0]), axis.size):
        flat[2][part] = _filtered(flat[0][part], flat[1][part], t, trend, window)
    return model


def _filtered(y: F8, w: F8, t: F8, trend: int, window: _DelayWindow) -> F8:
    """Ripple of some rows: trend and ripple in turn, as each disturbs the other a little."""
    ripple = np.zeros_like(y)
    for _ in range(2):
        rest = np.where(w > 0, y - fitted(y - ripple, w, t, trend), 0)
        ripple = window.project(rest, w)
    ripple[np.count_nonzero(w, axis=-1) <= trend + 2 * window.n_mode] = np.nan
    return ripple


class _DelayWindow:
    """Signals whose Fourier components lie in windows of delay, on a band continued at its end.

    Parameters
    ----------
    axis : ndarray, shape (chan,)
        Evenly spaced.
    periods : sequence of float
    width : float
        Of a window over its delay.
    """

    def __init__(self, axis: F8, periods: Sequence[float], width: float) -> None:
        step = (axis[-1] - axis[0]) / (axis.size - 1)
        band = step * axis.size
        _check_window(periods, width, step, band)
        widest = max(max(width / period for period in periods), 1 / band)
        self._n_chan = axis.size
        self._n = scipy.fft.next_fast_len(axis.size + round(min(band, 1 / widest) / step), True)
        delay = np.arange(self._n // 2 + 1) / (self._n * step)
        self._keep = np.zeros(delay.size, bool)
        for period in periods:
            half = max(width / period / 2, 0.75 / band)
            self._keep |= np.abs(delay - 1 / period) <= half
        self.n_mode = int(np.count_nonzero(self._keep))

    def _within(self, y: F8) -> F8:
        """The part of signals, (row, n), that lies in the windows."""
        part = scipy.fft.rfft(y, axis=-1)
        part[:, ~self._keep] = 0
        found: F8 = scipy.fft.irfft(part, self._n, axis=-1)
        return found

    def project(self, rest: F8, weight: F8) -> F8:
        """The least-squares model of residuals, (row, chan), with their weights.

        Conjugate gradients on the normal equations. Components that hardly show in channels that
        count, and so might be anything, are held down by a ridge.
        """
        w = np.zeros((len(rest), self._n))
        w[:, : self._n_chan] = weight
        first = w.copy()
        first[:, : self._n_chan] *= rest
        left = self._within(first)
        model, way = np.zeros_like(left), left.copy()
        power = _square(left)
        for _ in range(_STEPS):
            ahead = self._within(w * way) + _RIDGE * way
            length = _ratio(power, (way * ahead).sum(axis=-1, keepdims=True))
            model += length * way
            left -= length * ahead
            power, before = _square(left), power
            way = left + _ratio(power, before) * way
        return model[:, : self._n_chan]


def _square(a: F8) -> F8:
    total: F8 = (a * a).sum(axis=-1, keepdims=True)
    return total


def _ratio(a: F8, b: F8) -> F8:
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)


def sine(
    values: ArrayLike, x: ArrayLike, weight: ArrayLike | None = None, *,
    period: float | Sequence[float] = PERIOD_MHZ, width: float = 0.2, harmonics: int = 1,
    trend: int = 5, protect: Windows = (), groups: ArrayLike | None = None, n_rows: int = 1,
    rows: slice = slice(None),
) -> Sine:
    """Sine waves fitted to spectra by weighted least squares, their periods too.

    The period is that of most power in the mean of the power spectra of the rows about a row, all
    products together. Then each spectrum gets amplitudes of its own, together with a polynomial,
    which is left in. For pieces of band over which the ripple keeps its amplitude.

    Parameters
    ----------
    values, x, weight, trend, protect, groups, rows
        As of `fourier`.
    period : float or sequence of float
        About which the period is sought; several for as many waves.
    width : float
        Of the range of delays that is sought, over the delay; 0 to take the period as it is.
    harmonics : int
        Waves of 1, 2, ... times the delay.
    n_rows : int
        Odd number of rows, about each, that the period is found from: those of the same group.

    Returns
    -------
    Sine
        The waves, to be subtracted, their periods and amplitudes.

    Raises
    ------
    UsageError
        As of `fourier`.
    """
    if not 1 <= harmonics <= 16:
        raise UsageError(f"harmonics = {harmonics}; allowed: 1 to 16")
    y, w, axis = _checked(values, x, weight, protect, trend, n_rows)
    periods, t = _periods(period), unit_axis(axis)
    step = (axis[-1] - axis[0]) / (axis.size - 1)
    _check_window(periods, width, step, step * axis.size, harmonics)
    labels, wanted = _labels(groups, len(y)), range(*rows.indices(len(y)))
    rest = np.where(w > 0, y - fitted(y, w, t, trend), 0)
    delays = np.stack([_delays(rest, w, step, 1 / each, width, labels, n_rows, wanted)
                       for each in periods], axis=1)
    y, w = y[rows], w[rows]
    model = np.empty_like(y)
    waves = np.empty((*y.shape[:-1], len(periods), harmonics), np.complex128)
    for place in np.ndindex(*y.shape[:-1]):
        turns = np.outer(delays[place[0]], np.arange(1, harmonics + 1)).ravel()
        model[place], found = _waves(y[place], w[place], axis, t, turns, trend)
        waves[place] = found.reshape(len(periods), harmonics)
    return Sine(model, 1 / delays, waves)


def _delays(rest: F8, w: F8, step: float, delay: float, width: float, labels: NDArray[Any],
            n_rows: int, wanted: range) -> F8:
    """Delay of most power for every wanted row."""
    if not width:
        return np.full(len(wanted), delay)
    from scipy.signal import ZoomFFT

    n_chan = rest.shape[-1]
    ends = delay * (1 - width / 2), delay * (1 + width / 2)
    n = 2 + int(np.ceil((ends[1] - ends[0]) * step * n_chan * _FINE))
    zoom = ZoomFFT(n_chan, ends, n, fs=1 / step, endpoint=True)
    power = np.zeros((len(rest), n))
    for place in np.ndindex(*rest.shape[:-1]):
        signal = w[place] * rest[place]
        scale = (w[place] * rest[place] ** 2).sum() * w[place].sum()
        if scale > 0:
            power[place[0]] += np.abs(zoom(signal)) ** 2 / scale
    best = np.array([_peak(power[_neighbours(labels, row, n_rows)].sum(axis=0))
                     for row in wanted])
    return ends[0] + best * (ends[1] - ends[0]) / (n - 1)


def _peak(power: F8) -> float:
    """Place of the highest value, by the parabola through it and its neighbours."""
    k = int(power.argmax())
    if not 0 < k < power.size - 1:
        return float(k)
    low, top, high = power[k - 1 : k + 2]
    curve = low - 2 * top + high
    return k + (0.5 * (low - high) / curve if curve < 0 else 0.0)


def _waves(y: F8, w: F8, axis: F8, t: F8, delays: F8, trend: int
           ) -> tuple[F8, NDArray[np.complex128]]:
    """Waves of one spectrum and their amplitudes; NaN where too few channels count."""
    n = delays.size
    if np.count_nonzero(w) <= trend + 2 * n:
        return np.full(y.size, np.nan), np.full(n, np.nan + 0j)
    turn = 2 * np.pi * np.outer(delays, axis - (axis[0] + axis[-1]) / 2)
    columns = np.concatenate([np.cos(turn), np.sin(turn),
                              np.polynomial.legendre.legvander(t, trend).T])
    # einsum sums in an order of its own, whatever the number of threads
    normal = np.einsum("ic,jc->ij", columns * w, columns)
    found = np.linalg.lstsq(normal, np.einsum("ic,c->i", columns * w, y), rcond=1e-12)[0]
    return np.einsum("i,ic->c", found[: 2 * n], columns[: 2 * n]), found[:n] + 1j * found[n : 2 * n]


def _checked(values: ArrayLike, x: ArrayLike, weight: ArrayLike | None, protect: Windows,
             trend: int, n_rows: int) -> tuple[F8, F8, F8]:
    """Prepared spectra, weights and axis."""
    if not 0 <= trend <= MOST_ORDER:
        raise UsageError(f"trend = {trend}; allowed: 0 to {MOST_ORDER}")
    if n_rows < 1 or n_rows % 2 == 0:
        raise UsageError(f"n_rows = {n_rows}; allowed: 1, 3, 5, ...")
    y, w = prepared(values, x, weight, protect)
    axis = np.asarray(x, np.float64)
    if y.ndim < 2 or axis.size < 2:
        raise UsageError(f"values {y.shape}; allowed: (row, ..., chan) with 2 channels or more")
    steps = np.diff(axis)
    if not (steps > 0).all() or np.ptp(steps) > _EVEN * steps.mean():
        raise UsageError("the axis is not evenly spaced, ascending; a ripple needs one that is")
    return y, w, axis


def _check_window(periods: Sequence[float], width: float, step: float, band: float,
                  harmonics: int = 1) -> None:
    if not 0 <= width <= 1:
        raise UsageError(f"width = {width}; allowed: 0 to 1")
    for period in periods:
        if not 2 * step * harmonics <= period * (1 - width / 2) <= period <= band / 1.5:
            raise UsageError(f"period = {period:g} with channels of {step:g} in a band of {band:g}"
                             "; allowed: two channels or more, two thirds of the band or less")


def _periods(period: float | Sequence[float]) -> list[float]:
    """The periods, which are above 0."""
    found = [float(each) for each in np.atleast_1d(np.asarray(period, np.float64))]
    if not found or not all(0 < each < np.inf for each in found):
        raise UsageError(f"period = {period}; allowed: above 0")
    return found


def _labels(groups: ArrayLike | None, n: int) -> NDArray[Any]:
    labels = np.zeros(n, int) if groups is None else np.asarray(groups)
    if labels.shape != (n,):
        raise UsageError(f"groups {labels.shape} for {n} rows; allowed: ({n},)")
    return labels


def _neighbours(labels: NDArray[Any], row: int, n_rows: int) -> NDArray[np.int64]:
    """Rows of a row's group that are no more than half of `n_rows` away."""
    first = max(0, row - n_rows // 2)
    near = labels[first : row + n_rows // 2 + 1]
    return first + np.flatnonzero(near == labels[row])


def _running(y: F8, w: F8, labels: NDArray[Any], n_rows: int, rows: slice) -> tuple[F8, F8]:
    """Weighted means over the rows about each wanted one, and their weights."""
    if n_rows == 1:
        return y[rows], w[rows]
    wanted = range(*rows.indices(len(y)))
    mean, weight = np.empty((2, len(wanted), *y.shape[1:]))
    for index, row in enumerate(wanted):
        near = _neighbours(labels, row, n_rows)
        weight[index] = w[near].sum(axis=0)
        total = (w[near] * y[near]).sum(axis=0)
        mean[index] = np.divide(total, weight[index], out=np.zeros_like(total),
                                where=weight[index] > 0)
    most = weight.max(axis=-1, keepdims=True)
    return mean, np.divide(weight, most, out=weight, where=most > 0)
