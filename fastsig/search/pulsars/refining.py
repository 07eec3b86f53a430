"""Frequency, drift and jerk of a candidate between the steps of a search: the highest sum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["refine"]

C16 = NDArray[np.complex128]
F8 = NDArray[np.float64]

#: Bins on each side of those that a harmonic crosses, and points in time for each bin.
_SIDE, _POINTS = 16, 4
_STEPS = 4  # of Newton's method
#: Bins from the steps of frequency, drift and jerk, at most, of the highest harmonic. The step
#: of jerk beside the closest one has the highest power where half bins suit it better: for it, the
#: best frequency is a third of a bin away.
_REACH = np.array([0.5, 1.0, 20.0])
# Powers that are the same, and bins: far below the error of a frequency, but above rounding.
_SAME, _GRID = 1e-9, 2.0**-22


class _Harmonics(NamedTuple):
    """The parts of a series that belong to harmonics, as amplitudes over time.

    `x` has a row for each harmonic, relative to the frequency `middle`; `u` is time in units of the
    series.
    """

    number: F8
    middle: F8
    u: F8
    x: C16


def refine(amplitude: NDArray[np.complex64], r: float, z: float, w: float, n_harmonic: int
           ) -> tuple[float, float, float]:
    """Return the values near (r, z, w) with the highest sum of powers of harmonics.

    Newton's method, for at most half a bin, one bin of drift and 20 of jerk of the highest
    harmonic.

    Parameters
    ----------
    amplitude : ndarray, shape (n_bin,), complex64
        Whitened spectrum, 0 where it is not valid.
    r, z, w : float
        Mean frequency, mean drift and jerk of the fundamental, in bins. A drift or jerk of 0 is
        kept.
    n_harmonic : int
        Number of harmonics.

    Returns
    -------
    tuple of three floats
        Frequency, drift and jerk.
    """
    start = np.array([r, z, w])
    parts = _harmonics(amplitude, r, z, w, n_harmonic)
    best, place, here = -1.0, start, start.copy()
    free = np.array([True, z != 0, w != 0])
    reach = free * _REACH / n_harmonic
    for _ in range(_STEPS):
        power, slope, curve = _derivatives(parts, here)
        if power > best:
            best, place = power, here.copy()
        here[free] += _step(slope[free], curve[np.ix_(free, free)])
        here = np.clip(here, start - reach, start + reach)
    # Once the method has converged, powers differ by rounding, which must not choose the result.
    power = _derivatives(parts, here)[0]
    r, z, w = np.rint((here if power > best * (1 - _SAME) else place) / _GRID) * _GRID
    return float(r), float(z), float(w)


def _harmonics(amplitude: NDArray[np.complex64], r: float, z: float, w: float, n_harmonic: int
               ) -> _Harmonics:
    number = np.arange(1, n_harmonic + 1)
    middle = np.rint(number * r).astype(np.int64)
    side = _SIDE + int(np.ceil(n_harmonic * (abs(z) / 2 + abs(w) / 12)))
    n = _POINTS * 2 * side
    bins = np.arange(-side, side + 1)
    places = middle[:, np.newaxis] + bins
    known = (places >= 0) & (places < amplitude.size)
    # Times are the centres of n parts of the series.
    values = np.where(known, amplitude[np.where(known, places, 0)], 0) * np.exp(
        1j * np.pi * bins / n)
    x = np.zeros((n_harmonic, n), np.complex128)
    x[:, bins % n] = values
    return _Harmonics(number.astype(np.float64), middle.astype(np.float64),
                      (np.arange(n) + 0.5) / n, np.fft.ifft(x, axis=1, norm="forward"))


def _derivatives(parts: _Harmonics, place: F8) -> tuple[float, F8, F8]:
    """Return the sum of powers, its slope and its curvature in (r, z, w)."""
    number, middle, u, x = parts
    r, z, w = place
    v = u - 0.5
    drift, jerk = (u**2 - u) / 2, v**3 / 6 - v / 24
    phase = np.outer(number * r - middle, u) + np.outer(number * z, drift)
    if w:
        phase += np.outer(number * w, jerk)
    wave = x * np.exp(-2j * np.pi * phase)
    rates = np.array([v, drift, jerk])
    turn = -2j * np.pi * number[:, np.newaxis]
    b = wave.mean(axis=1)
    # Sums, not matrix products: the bits of those depend on the threads of the library.
    first = turn * (wave[:, np.newaxis] * rates).sum(axis=-1) / u.size
    squares = (rates[:, np.newaxis] * rates).reshape(9, -1)
    second = turn**2 * (wave[:, np.newaxis] * squares).sum(axis=-1) / u.size
    slope = 2 * (b.conj()[:, np.newaxis] * first).sum(axis=0).real
    pairs = (first.conj()[:, :, np.newaxis] * first[:, np.newaxis]).sum(axis=0)
    curve = 2 * (pairs + (b.conj()[:, np.newaxis] * second).sum(axis=0).reshape(3, 3)).real
    return float((np.abs(b) ** 2).sum()), slope, curve


def _step(slope: F8, curve: F8) -> F8:
    """Return Newton's step to a maximum, or one along the slope where there is none."""
    if slope.size == 1:
        return np.asarray(slope / max(abs(curve[0, 0]), 1e-30))
    values, axes = np.linalg.eigh(curve)
    return np.asarray(axes @ (axes.T @ slope / np.maximum(np.abs(values), 1e-30)))
