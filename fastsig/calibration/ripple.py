"""Standing waves between dish and receiver: fits of a ripple in frequency.

A reflection that arrives later by `delay` causes a ripple of period ``1 / delay`` in the spectrum.
At FAST, the period is 1.08 MHz, which corresponds to a delay of 0.92 us on the path between the
feed cabin and the reflector; periods of 0.039 MHz and 1.92 MHz occur too (HiFAST,
arXiv:2401.17364).
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

#: Period of FAST's ripple, MHz.
PERIOD_MHZ = 1.08

_FINE = 16  # delays tried within the resolution 1 / bandwidth
_TURNS = 3  # fits of trend and ripple in turn: the error of either is then below 1e-3 of it
_EVEN = 1e-3  # largest relative difference of channel spacings


class Sine(NamedTuple):
    """The result of `sine`.

    Parameters
    ----------
    model : ndarray, shape (row, ..., chan), float64
        The sum of the waves, in the unit of the spectra.
    period : ndarray, shape (row, n_period), float64
        Fitted periods, in the unit of the axis.
    amplitude : ndarray, shape (row, ..., n_period, harmonics), complex128
        A + iB of ``A cos(2 pi n (x - x0) / period) + B sin(...)``, where x0 is the middle of the
        band.
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
    """Return the part of spectra in a window of delay: a Fourier filter that allows gaps.

    A polynomial is subtracted from each spectrum. The model m is then fitted to the residual r: it
    has no component outside the window, and minimises ``sum w (r - m)^2``. It is computed with the
    FFT along frequency, and is corrected for the effect of gaps by conjugate gradients. Lost and
    protected channels have weight 0; the ripple continues through them from both sides, and the
    flux of a line is preserved. The band is extended in the same way, by 2 divided by the width of
    the window, so its ends need not match. In a gap that is longer than this extension, the ripple
    is not known, and nothing is removed.

    Parameters
    ----------
    values : array_like, shape (row, ..., chan)
        Spectra; NaN does not count.
    x : array_like, shape (chan,)
        Evenly spaced axis, ascending, for example in MHz.
    weight : array_like, optional
        Weights that broadcast against `values`.
    period : float or sequence of float
        Period of the ripple, in the unit of `x`; several periods give several windows.
    width : float
        Width of the window as a fraction of its delay ``1 / period``. The window is never narrower
        than the resolution of the band.
    trend : int
        Order of the polynomial that is fitted with the ripple, but not removed.
    protect : sequence of (low, high)
        Windows of `x` that contain lines.
    groups : array_like, shape (row,), optional
        Labels of rows, such as those with the diode on and off; rows are averaged only with rows of
        the same label.
    n_rows : int
        Odd number of rows around each row, from whose mean the ripple is computed; only rows of
        the same group count.
    rows : slice
        Rows for which a model is returned; other rows are used only for their neighbours.

    Returns
    -------
    ndarray, shape (row, ..., chan), float64
        The ripple, to be subtracted; NaN for spectra in which too few channels count.

    Raises
    ------
    UsageError
        If a parameter is not allowed, the axis is not evenly spaced, or a period cannot be measured
        in the band.
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
    """Fit the ripple of some rows, in turn with the trend, as each slightly affects the other."""
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
    """Fit sine waves to spectra by weighted least squares, including their periods.

    The period is that of the highest power in the mean power spectrum of the rows around a row, for
    all products together. Amplitudes are then fitted to each spectrum together with a polynomial,
    which is not removed. Use this method for parts of the band over which the amplitude of the
    ripple is constant.

    Parameters
    ----------
    values, x, weight, trend, protect, groups, rows
        As in `fourier`.
    period : float or sequence of float
        Period near which to search; several periods give several waves.
    width : float
        Width of the range of delays that is searched, as a fraction of the delay; with 0, the
        period is used as given.
    harmonics : int
        Number of harmonics, which are waves with delays of 1, 2, ... times the fundamental delay.
    n_rows : int
        Odd number of rows around each row, from which the period is measured; only rows of the same
        group count.

    Returns
    -------
    Sine
        The sum of the waves, to be subtracted, and the periods and amplitudes of the waves.

    Raises
    ------
    UsageError
        As in `fourier`.
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
    """Return the delay of the highest power for every wanted row."""
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
    """Return the place of the maximum, from the parabola through it and its neighbours."""
    k = int(power.argmax())
    if not 0 < k < power.size - 1:
        return float(k)
    low, top, high = power[k - 1 : k + 2]
    curve = low - 2 * top + high
    return k + (0.5 * (low - high) / curve if curve < 0 else 0.0)


def _waves(y: F8, w: F8, axis: F8, t: F8, delays: F8, trend: int
           ) -> tuple[F8, NDArray[np.complex128]]:
    """Return the waves of one spectrum and their amplitudes; NaN if too few channels count."""
    n = delays.size
    if np.count_nonzero(w) <= trend + 2 * n:
        return np.full(y.size, np.nan), np.full(n, np.nan + 0j)
    turn = 2 * np.pi * np.outer(delays, axis - (axis[0] + axis[-1]) / 2)
    columns = np.concatenate([np.cos(turn), np.sin(turn),
                              np.polynomial.legendre.legvander(t, trend).T])
    # The order in which einsum sums does not depend on the number of threads.
    normal = np.einsum("ic,jc->ij", columns * w, columns)
    found = np.linalg.lstsq(normal, np.einsum("ic,c->i", columns * w, y), rcond=1e-12)[0]
    return np.einsum("i,ic->c", found[: 2 * n], columns[: 2 * n]), found[:n] + 1j * found[n : 2 * n]


def _checked(values: ArrayLike, x: ArrayLike, weight: ArrayLike | None, protect: Windows,
             trend: int, n_rows: int) -> tuple[F8, F8, F8]:
    """Check the arguments; return prepared spectra, weights and axis."""
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
        raise UsageError("the axis is not evenly spaced and ascending, which a ripple needs")
    return y, w, axis


def _periods(period: float | Sequence[float]) -> list[float]:
    """Return the periods; refuse any that is not above 0."""
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
    """Return the rows of a row's group that are at most half of `n_rows` away."""
    first = max(0, row - n_rows // 2)
    near = labels[first : row + n_rows // 2 + 1]
    return first + np.flatnonzero(near == labels[row])


def _running(y: F8, w: F8, labels: NDArray[Any], n_rows: int, rows: slice) -> tuple[F8, F8]:
    """Return weighted means over the rows around each wanted row, and their weights."""
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
