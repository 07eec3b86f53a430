"""Standing waves between dish and receiver: a ripple in frequency, found and removed.

A reflection that arrives `delay` later makes a ripple of period ``1 / delay`` in the spectrum. At
FAST the period is 1.08 MHz (0.92 us, the way between feed cabin and reflector); 0.039 MHz and
1.92 MHz occur too (HiFAST, arXiv:2401.17364).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastsig.calibration.baseline import MOST_ORDER, fitted, unit_axis
from fastsig.calibration.delays import DelayWindow, check_window
from fastsig.calibration.lines import Windows, chunks, prepared
from fastsig.errors import UsageError

__all__ = ["PERIOD_MHZ", "Sine", "fourier", "sine"]

F8 = NDArray[np.float64]

#: Of FAST's ripple, MHz.
PERIOD_MHZ = 1.08

_FINE = 16  # delays that are tried within the resolution 1 / bandwidth
_TURNS = 3  # of trend and ripple: what each leaves in the other then is below 1e-3 of it
_EVEN = 1e-3  # most that spacings of channels differ by, relatively


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
    minimises ``sum w (r - m)^2`` is found: the FFT along frequency, cut down to the window, and
    freed by conjugate gradients from what the gaps do to it. Lost and protected channels weigh
    nothing: the ripple goes on through them as it is beside them, and a line's flux stays. The
    band is continued likewise, by 2 over the window's width, so its ends need not match. In a gap
    longer than that nothing is known of a ripple, and nothing is removed.

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
        If a parameter is not allowed, the axis is not even, or a period cannot be told in it.
    """
    y, w, axis = _checked(values, x, weight, protect, trend, n_rows)
    y, w = _running(y, w, _labels(groups, len(y)), n_rows, rows)
    window = DelayWindow(axis, _periods(period), width)
    t, model = unit_axis(axis), np.empty_like(y)
    flat = [part.reshape(-1, axis.size) for part in (y, w, model)]
    for part in chunks(len(flat[0]), axis.size):
        flat[2][part] = _filtered(flat[0][part], flat[1][part], t, trend, window)
    return model


def _filtered(y: F8, w: F8, t: F8, trend: int, window: DelayWindow) -> F8:
    """Ripple of some rows: trend and ripple in turn, as each disturbs the other a little."""
    ripple, fit = np.zeros_like(y), window.fit(w)
    for _ in range(_TURNS):
        ripple = fit(np.where(w > 0, y - fitted(y - ripple, w, t, trend), 0))
    ripple[np.count_nonzero(w, axis=-1) <= trend + 2 * window.n_mode] = np.nan
    return ripple


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
    check_window(periods, width, step, step * axis.size, harmonics)
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
