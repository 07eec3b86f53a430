"""The dispersion measure at which a burst is highest above the noise, or has most structure.

Two criteria are known. The S/N of the best Gaussian is the most sensitive, but a burst whose
components drift to lower frequencies has its highest S/N at a measure that aligns the components
with each other (Hessels et al. 2019). The structure, the power of the derivative of the profile
within the burst, is largest where each component is sharpest; it needs a high S/N.

The error is the scatter of the result when noise of the measured amount is added to the subbands.
Scattering, which is longer at low frequencies, moves the maximum of both to higher measures; a fit
with a tail (`fastsig.pulsar.bursts.shape`) is free of this bias.

References
----------
J. W. T. Hessels et al., ApJ 876 (2019) L23: measures that maximise structure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.bursts.subbands import Boxcar, Subbands, best_boxcar
from fastsig.work.shown import Shown

__all__ = ["METHODS", "DMFit", "fit_dm", "snr_curve"]

F8 = NDArray[np.float64]

#: Criteria for the best dispersion measure.
METHODS = ("snr", "structure")

_TRIALS = 97
_REPEATS = 24
_FEW = 48  # subbands in which noise is added: the outer trials shift one by a sixteenth of a width
_REACH = 3.0  # widths of the burst by which the outer trials shift the ends of the band apart
_TOP = 0.98  # share of the height of a curve above which a parabola is fitted
_NEAR = 4  # steps of the trials beside the highest, which are divided further
_SMOOTH = 8.0  # structure is that of the profile smoothed by this part of the width (sigma)


@dataclass(frozen=True, repr=False)
class DMFit(Shown):
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
        Largest change, pc cm^-3; by default the change that shifts the lowest subband relative to
        the highest by three widths of the burst.
    seed : int
        Seed of the noise that is added to determine the error.

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
    is_inside = 0 < int(np.argmax(curve)) < len(trials) - 1
    change = _refined(bands, value, trials, curve)
    error = _scatter(bands.merged(_FEW), value, change, reach, seed)
    at = bands.shifted(np.array([change]))[0]
    best = best_boxcar(at, bands.share, off, within=_near(boxcar, len(off)))
    return DMFit(change, error, method, trials, curve, best, is_inside)


def snr_curve(bands: Subbands, off: NDArray[np.bool_], boxcar: Boxcar, trials: F8) -> F8:
    """Return the S/N of the best Gaussian near a burst at changes of the dispersion measure."""
    return _snr_of(bands, off, boxcar)(bands.shifted(trials))


def _near(boxcar: Boxcar, n: int) -> tuple[int, int]:
    """Return the samples in which the middle of a burst is searched for."""
    return (max(0, int(boxcar.start - 2 * boxcar.width)),
            min(n, boxcar.start + 3 * boxcar.width))


def _snr_of(bands: Subbands, off: NDArray[np.bool_], boxcar: Boxcar) -> Callable[[F8], F8]:
    """Return the function from profiles (dm, time) to the S/N of their best Gaussians."""
    n, share = bands.values.shape[1], bands.share
    low, high = _near(boxcar, n)
    harmonic = np.fft.rfftfreq(n) * 2 * np.pi
    sigmas = boxcar.width / 2.8 * np.array([0.4, 0.5, 0.63, 0.8, 1, 1.25, 1.6, 2, 2.5])
    # Templates of unit noise: a narrow one is a single sample.
    shapes = np.exp(-((harmonic * sigmas[:, np.newaxis]) ** 2) / 2)
    norm = np.sqrt((np.fft.irfft(shapes, n, axis=1) ** 2).sum(axis=1))
    # Level and noise of one profile: those of each would differ by more than the S/N does.
    there = off & (share > 0)
    own = bands.profile()
    level = own[off].sum() / share[off].sum()
    sigma = float(np.sqrt(((own - level * share)[there] ** 2 / share[there]).mean()))
    # Where samples are missing, the noise of a template is lower.
    counts = np.fft.irfft(np.fft.rfft(share) * np.exp(-((harmonic * sigmas[4]) ** 2) / 4), n)
    noise = np.sqrt(np.maximum(counts, 0.1))[low:high]

    def value(profiles: F8) -> F8:
        spectra = np.fft.rfft(profiles - level * share, axis=1)
        best = np.full(len(profiles), -np.inf)
        for shape, length in zip(shapes, norm, strict=True):
            found = np.fft.irfft(spectra * shape, n, axis=1)[:, low:high] / length / noise
            best = np.maximum(best, found.max(axis=1))
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

    noise = max(1e-30, float((np.fft.irfft(np.fft.rfft(bands.profile()) * response, n)[off] ** 2
                              ).mean()))

    def value(profiles: F8) -> F8:
        slope = np.fft.irfft(np.fft.rfft(profiles, axis=1) * response, n, axis=1)
        return np.asarray((slope[:, on] ** 2).sum(axis=1) / noise / on.sum())

    return value


def _refined(bands: Subbands, value: Callable[[F8], F8], trials: F8, curve: F8) -> float:
    """Return the measure at the top of a curve, from further trials near the highest."""
    step, at = trials[1] - trials[0], trials[int(np.argmax(curve))]
    near = at + np.linspace(-_NEAR, _NEAR, 33) * step
    return _top(near, value(bands.shifted(near)), float(curve.min()))


def _top(trials: F8, curve: F8, floor: float) -> float:
    """Return the maximum of a parabola through the top of a curve."""
    at = int(np.argmax(curve))
    height = curve**2
    least = height[at] - (1 - _TOP) * (height[at] - floor**2)
    low, high = at, at
    while low > 0 and height[low - 1] >= least:
        low -= 1
    while high < len(curve) - 1 and height[high + 1] >= least:
        high += 1
    low, high = min(low, max(0, at - 2)), max(high, min(len(curve) - 1, at + 2))
    x, step = trials[low : high + 1] - trials[at], trials[1] - trials[0]
    a, b, _ = np.polyfit(x / step, height[low : high + 1], 2)
    if a >= 0:
        return float(trials[at])
    return float(trials[at] + np.clip(-b / (2 * a) * step, x[0], x[-1]))


def _scatter(bands: Subbands, value: Callable[[F8], F8], change: float, reach: float, seed: int
             ) -> float:
    """Return the scatter of the best measure under further noise of the same amount."""
    rng = np.random.default_rng(seed)
    trials = change + np.linspace(-reach, reach, 33)
    amount = np.sqrt(bands.counts)[:, np.newaxis]
    found = []
    for _ in range(_REPEATS):
        noise = rng.normal(size=bands.values.shape) * amount
        noisy = replace(bands, values=bands.values + noise)
        found.append(_refined(noisy, value, trials, value(noisy.shifted(trials))))
    return float(np.std(found, ddof=1))
