"""The dispersion measure at which a burst is highest above the noise, or has most structure.

Two criteria are known. The S/N of the best boxcar is the most sensitive, but a burst whose
components drift to lower frequencies has its highest S/N at a measure that aligns the components
with each other (Hessels et al. 2019). The structure, the power of the derivative of the profile
within the burst, is largest where each component is sharpest; it needs a high S/N.

The error is the scatter of the result when noise of the measured amount is added to the subbands.

References
----------
J. W. T. Hessels et al., ApJ 876 (2019) L23: measures that maximise structure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.bursts.subbands import Boxcar, Subbands, best_boxcar

__all__ = ["METHODS", "DMFit", "fit_dm", "snr_curve"]

F8 = NDArray[np.float64]

#: Criteria for the best dispersion measure.
METHODS = ("snr", "structure")

_TRIALS = 97
_REPEATS = 48
_REACH = 3.0  # widths of the burst by which the outer trials shift the ends of the band apart
_TOP = 0.7  # share of the height of a curve above which a parabola is fitted
_SMOOTH = 8.0  # structure is that of the profile smoothed by this part of the width (sigma)


@dataclass(frozen=True)
class DMFit:
    """The best dispersion measure, relative to that by which the subbands are aligned.

    Parameters
    ----------
    change, error : float
        pc cm^-3.
    method : {"snr", "structure"}
    trials, curve : ndarray, shape (trial,)
        Trial changes, and the S/N, or the structure in units of that of noise.
    boxcar : Boxcar
        The best boxcar at the best measure.
    is_inside : bool
        Whether the best measure lies within the trials, and not at their end.
    """

    change: float
    error: float
    method: str
    trials: F8
    curve: F8
    boxcar: Boxcar
    is_inside: bool


def fit_dm(bands: Subbands, off: NDArray[np.bool_], boxcar: Boxcar, *, method: str = "snr",
           reach: float | None = None, seed: int = 1) -> DMFit:
    """Return the dispersion measure that is best for a burst.

    Parameters
    ----------
    bands : Subbands
    off : ndarray, shape (time,), bool
        Samples off the burst.
    boxcar : Boxcar
        The burst in the profile at the present measure.
    method : {"snr", "structure"}
    reach : float, optional
        Largest change, pc cm^-3; by default that which shifts the lowest subband relative to the
        highest by three widths of the burst.
    seed : int
        Of the noise from which the error results.

    Raises
    ------
    UsageError
        If the method is unknown.
    """
    if method not in METHODS:
        raise UsageError(f"method = {method!r}; allowed: {', '.join(METHODS)}")
    width_s = boxcar.width * bands.step_s
    reach = _REACH * width_s / bands.sweep_s() if reach is None else reach
    value = _snr_of(bands, off, boxcar) if method == "snr" else _structure_of(bands, off, boxcar)
    trials = np.linspace(-reach, reach, _TRIALS)
    curve = value(bands.shifted(trials))
    change, is_inside = _top(trials, curve)
    error = _scatter(bands, value, change, reach, seed)
    at = bands.shifted(np.array([change]))[0]
    best = best_boxcar(at, bands.share, off, within=_near(boxcar, len(off)))
    return DMFit(change, error, method, trials, curve, best, is_inside)


def snr_curve(bands: Subbands, off: NDArray[np.bool_], boxcar: Boxcar, trials: F8) -> F8:
    """Return the S/N of the best boxcar near a burst at changes of the dispersion measure."""
    return _snr_of(bands, off, boxcar)(bands.shifted(trials))


def _near(boxcar: Boxcar, n: int) -> tuple[int, int]:
    """Return the samples in which the middle of a burst is looked for."""
    return (max(0, int(boxcar.start - 2 * boxcar.width)),
            min(n, boxcar.start + 3 * boxcar.width))


def _snr_of(bands: Subbands, off: NDArray[np.bool_], boxcar: Boxcar) -> Callable[[F8], F8]:
    """Return the function from profiles (dm, time) to the S/N of their best boxcars."""
    share, n = bands.share, bands.values.shape[1]
    widths = sorted({max(1, min(n // 3, round(boxcar.width * factor)))
                     for factor in (0.5, 0.6, 0.72, 0.85, 1, 1.2, 1.45, 1.75, 2.1)})
    low, high = _near(boxcar, n)
    there = off & (share > 0)

    def value(profiles: F8) -> F8:
        level = profiles[:, off].sum(axis=1) / share[off].sum()
        rest = profiles - level[:, np.newaxis] * share
        sigma = np.sqrt((rest[:, there] ** 2 / share[there]).mean(axis=1))
        total = np.concatenate([np.zeros((len(rest), 1)), np.cumsum(rest, axis=1)], axis=1)
        counts = np.concatenate([[0.0], np.cumsum(share)])
        best = np.full(len(rest), -np.inf)
        for width in widths:
            first, stop = max(0, low - width // 2), min(n - width + 1, high - width // 2 + 1)
            starts = np.arange(first, max(stop, first + 1))
            sums = total[:, starts + width] - total[:, starts]
            norm = np.sqrt(np.maximum(counts[starts + width] - counts[starts], 0.3 * width))
            best = np.maximum(best, (sums / norm).max(axis=1))
        return best / sigma

    return value


def _structure_of(bands: Subbands, off: NDArray[np.bool_], boxcar: Boxcar) -> Callable[[F8], F8]:
    """Return the function from profiles (dm, time) to the power of their derivatives."""
    n = bands.values.shape[1]
    smooth = max(0.5, boxcar.width / _SMOOTH)
    harmonic = np.fft.rfftfreq(n) * 2 * np.pi
    response = 1j * harmonic * np.exp(-((harmonic * smooth) ** 2) / 2)
    on = np.zeros(n, bool)
    on[max(0, boxcar.start - boxcar.width) : boxcar.start + 2 * boxcar.width] = True

    def value(profiles: F8) -> F8:
        slope = np.fft.irfft(np.fft.rfft(profiles, axis=1) * response, n, axis=1)
        noise = np.maximum((slope[:, off] ** 2).mean(), 1e-30)
        return np.asarray((slope[:, on] ** 2).sum(axis=1) / noise / on.sum())

    return value


def _top(trials: F8, curve: F8) -> tuple[float, bool]:
    """Return the maximum of a parabola through the top of a curve, and whether it is inside."""
    at = int(np.argmax(curve))
    height = curve**2
    least = height.min() + _TOP * (height[at] - height.min())
    low, high = at, at
    while low > 0 and height[low - 1] >= least:
        low -= 1
    while high < len(curve) - 1 and height[high + 1] >= least:
        high += 1
    low, high = min(low, max(0, at - 2)), max(high, min(len(curve) - 1, at + 2))
    x, step = trials[low : high + 1] - trials[at], trials[1] - trials[0]
    a, b, _ = np.polyfit(x / step, height[low : high + 1], 2)
    if a >= 0:
        return float(trials[at]), 0 < at < len(curve) - 1
    top = float(np.clip(-b / (2 * a) * step, x[0], x[-1]))
    return float(trials[at]) + top, 0 < at < len(curve) - 1


def _scatter(bands: Subbands, value: Callable[[F8], F8], change: float, reach: float, seed: int
             ) -> float:
    """Return the scatter of the best measure under further noise of the same amount."""
    rng = np.random.default_rng(seed)
    trials = change + np.linspace(-reach, reach, 49)
    amount = np.sqrt(bands.counts)[:, np.newaxis]
    found = []
    for _ in range(_REPEATS):
        noisy = bands.values + rng.normal(size=bands.values.shape) * amount
        found.append(_top(trials, value(bands._profiles(np.fft.rfft(noisy), trials)))[0])
    return float(np.std(found, ddof=1))
