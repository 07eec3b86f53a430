"""Windows of delay, and fits of signals whose Fourier components along frequency lie in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from fastsig.errors import UsageError

__all__ = ["DelayFit", "DelayWindow", "check_window"]

F8 = NDArray[np.float64]
C16 = NDArray[np.complex128]

_STEPS = 12  # of the conjugate gradients: with gaps shorter than 1 / width fewer are enough
_PAD = 2  # extension of the band, in 1 / width: then its ends are as good as those of a gap
_RIDGE = 1e-4  # least share of a component's power that must lie in channels that count


def check_window(periods: Sequence[float], width: float, step: float, band: float,
                  harmonics: int = 1) -> None:
    """Raise `UsageError` if a ripple cannot be measured in a band, all in the axis's unit."""
    if not 0 <= width <= 1:
        raise UsageError(f"width = {width}; allowed: 0 to 1")
    for period in periods:
        if not 2 * step * harmonics <= period * (1 - width / 2) <= period <= band / 1.5:
            raise UsageError(f"period = {period:g} with channels of {step:g} in a band of {band:g}"
                             "; allowed: two channels or more, two thirds of the band or less")


class DelayWindow:
    """Signals whose Fourier components lie in windows of delay, on a band extended at its end.

    Parameters
    ----------
    axis : ndarray, shape (chan,)
        Evenly spaced axis.
    periods : sequence of float
    width : float
        Width of a window divided by its delay.
    """

    def __init__(self, axis: F8, periods: Sequence[float], width: float) -> None:
        step = (axis[-1] - axis[0]) / (axis.size - 1)
        band = step * axis.size
        check_window(periods, width, step, band)
        widest = max(width / period for period in periods)
        more = min(band, _PAD / widest) if widest else band
        self.n_chan, self.n = axis.size, axis.size + round(more / step)
        self.n = scipy.fft.next_fast_len(self.n, True)
        delay = np.arange(self.n // 2 + 1) / (self.n * step)
        keep = np.zeros(delay.size, bool)
        for period in periods:
            keep |= np.abs(delay - 1 / period) <= max(width / period / 2, 0.75 / band)
        found = np.flatnonzero(keep)
        self.first, self.stop = int(found[0]), int(found[-1]) + 1
        self.keep, self.n_mode = keep[self.first : self.stop], found.size

    def fit(self, weight: F8) -> DelayFit:
        """Return a callable that fits such signals to rows with these weights, (row, chan)."""
        return DelayFit(self, weight)


class DelayFit:
    """Least-squares fits of signals of a `DelayWindow` to rows.

    The signal is ``u = irfft(C)`` with C = 0 outside the components from `first` to `stop`. The
    normal equations are ``(1/n) sum_l (W(k - l) C_l + W(k + l) conj(C_l)) = rfft(w r)_k``, where W
    is the transform of the weights. Both sums are convolutions that are short because the window
    is narrow, so a step of the conjugate gradients costs little however many channels there are.
    """

    def __init__(self, window: DelayWindow, weight: F8) -> None:
        self.window, self.weight = window, weight
        count = window.stop - window.first
        spectrum = scipy.fft.rfft(weight, window.n, axis=-1)
        self._length = scipy.fft.next_fast_len(3 * count)
        near = np.arange(1 - count, count)
        far = np.arange(2 * window.first, 2 * window.stop - 1)
        self._near, self._far = (scipy.fft.fft(self._at(spectrum, k), self._length, axis=-1)
                                 for k in (near, far))
        self._place = slice(count - 1, 2 * count - 1)

    def _at(self, spectrum: C16, k: NDArray[np.int64]) -> C16:
        """Return components of any index from the half spectrum of `rfft`."""
        k = k % self.window.n
        mirrored = k > self.window.n // 2
        found = spectrum[:, np.where(mirrored, self.window.n - k, k)]
        return np.where(mirrored, found.conj(), found)

    def _normal(self, c: C16) -> C16:
        """Return the left side of the normal equations, with a ridge.

        The ridge suppresses components that have little power in channels that count and are
        therefore hardly constrained.
        """
        near, far = (scipy.fft.fft(part, self._length, axis=-1)
                     for part in (c, c[:, ::-1].conj()))
        total = scipy.fft.ifft(near * self._near + far * self._far, axis=-1)[:, self._place]
        result: C16 = np.where(self.window.keep, total / self.window.n, 0) + _RIDGE * c
        return result

    def __call__(self, rest: F8) -> F8:
        """Return the model of residuals, (row, chan)."""
        window = self.window
        left = scipy.fft.rfft(self.weight * rest, window.n, axis=-1)[:, window.first : window.stop]
        left = np.where(window.keep, left, 0)
        found, way, power = np.zeros_like(left), left, _dot(left, left)
        for _ in range(_STEPS):
            ahead = self._normal(way)
            length = _ratio(power, _dot(way, ahead))
            found += length * way
            left = left - length * ahead
            power, before = _dot(left, left), power
            way = left + _ratio(power, before) * way
        parts = np.zeros((len(rest), window.n // 2 + 1), np.complex128)
        parts[:, window.first : window.stop] = found
        model: F8 = scipy.fft.irfft(parts, window.n, axis=-1)[:, : window.n_chan]
        return model


def _dot(a: C16, b: C16) -> F8:
    total: F8 = (a.real * b.real + a.imag * b.imag).sum(axis=-1, keepdims=True)
    return total


def _ratio(a: F8, b: F8) -> F8:
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)
