"""A diode of which nothing is known: spectrum, harmonic sums, then box-cars. Times are in rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration._folding import Fit, Profile, Series, fit_box, fold

__all__ = ["free_on", "periods", "refined", "search", "strongest_line"]

F8 = NDArray[np.float64]

_HARMONICS = (1, 2, 4, 8, 16, 32, 64)
_KEPT = 12
_REFINED = 3
_BINS = 2048


def search(series: Series) -> Fit | None:
    """The best box-car of any period from 2 rows to half the series.

    Candidates of the harmonic sums are folded as they are; the best are made sharper, and their
    multiples and parts are tried as well, since a sum of harmonics can be caught by them.
    """
    flat = _flattened(series).clipped()
    rough = [free_on(fold(flat, each, _per_row(each))) for each in periods(flat)]
    rough.sort(key=lambda fit: -fit.gain)
    fits = [refined(flat, fit) for fit in rough[:_REFINED]]
    if not fits:
        return None
    best = max(fits, key=lambda fit: fit.gain)
    for factor in (2, 3, 5, 1 / 2, 1 / 3, 1 / 5):
        if 2 <= best.period * factor <= series.n / 2:
            near = free_on(fold(flat, best.period * factor, _per_row(best.period * factor)))
            if near.gain > 1.02 * best.gain:
                best = refined(flat, near)
    return best


def _per_row(period: float) -> int:
    return max(1, min(8, int(_BINS / period)))


def _flattened(series: Series) -> Series:
    x = np.linspace(-1.0, 1.0, series.n)
    drift = np.polynomial.Polynomial.fit(x, series.y, 4, w=np.sqrt(series.w))(x)
    return Series(series.y - drift, series.w)


def periods(series: Series) -> list[float]:
    """Periods with the strongest sums of harmonics, the strongest first.

    References
    ----------
    J. H. Taylor and G. R. Huguenin, Nature 221 (1969) 816: sums of harmonics.
    """
    power = _white_spectrum(series)
    found = sorted(_peaks(power), reverse=True)
    kept: list[float] = []
    for _, frequency in found:
        if all(abs(frequency - other) > 0.5 for other in kept):  # padded twice: half a bin
            kept.append(frequency)
    return [2 * (len(power) - 1) / frequency for frequency in kept[:_KEPT]]


def strongest_line(series: Series) -> float:
    """Highest power of the spectrum over the noise; two periods or more in the data."""
    return float(_white_spectrum(series)[4:].max(initial=0.0))


def _white_spectrum(series: Series) -> F8:
    """Power in units of the mean of noise, padded to at least twice the length."""
    n_fft = 1 << (2 * series.n - 1).bit_length()
    power = np.abs(np.fft.rfft(series.y * series.w, n_fft)) ** 2
    edges = np.unique(np.geomspace(4, len(power), 40).astype(int))
    parts = [power[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True) if b - a > 15]
    middle = [0.5 * (a + b) for a, b in zip(edges[:-1], edges[1:], strict=True) if b - a > 15]
    if not parts:
        return np.asarray(power / max(power.mean(), 1e-300))
    level = np.array([max(np.median(part) / np.log(2), 1e-300) for part in parts])
    # Below the first whole part, and of a spectrum that is all lines, the noise is unknown.
    return np.asarray(power / np.maximum(np.interp(np.arange(len(power)), middle, level),
                                         1e-12 * power.max(initial=1e-300)))


def _peaks(power: F8) -> Iterator[tuple[float, float]]:
    """Score and frequency, in bins, of the best of each number of harmonics."""
    last = len(power) - 1
    for n in _HARMONICS:
        j = np.arange(4 * n, last + 1)  # steps of 1/n bin; two periods at least in the data
        if not len(j):
            return
        total = np.zeros(len(j))
        for h in range(1, n + 1):
            total += power[(2 * h * j + n) // (2 * n)]
        score = _gaussian(total, n)
        for _ in range(_KEPT):
            best = int(score.argmax())
            yield float(score[best]), float(j[best] / n)
            score[max(0, best - n) : best + n + 1] = -np.inf


def _gaussian(total: F8, n: int) -> F8:
    """Sigmas of a sum of n exponential numbers, by Wilson and Hilferty's cube root."""
    return np.asarray((np.cbrt(total / n) - 1 + 1 / (9 * n)) * (3 * np.sqrt(n)))


def free_on(profile: Profile, around: float | None = None) -> Fit:
    """The best box-car of any on-time of a row or more."""
    longest = profile.period - 1
    if around is None:
        trials = np.unique(np.rint(np.geomspace(1, max(longest, 1), 40)))
    else:
        trials = np.array([around])
    best = max((fit_box(profile, float(on)) for on in trials), key=lambda fit: fit.gain)
    step = max(best.on / 8, 0.125)
    while step >= 0.12:
        near = [fit_box(profile, on) for on in (best.on - step, best.on + step)
                if 1 <= on <= longest]
        top = max(near, key=lambda fit: fit.gain, default=best)
        best, step = (top, step) if top.gain > best.gain else (best, step / 2)
    return best


def refined(series: Series, fit: Fit) -> Fit:
    """The same box-car with its period, then its on-time, to a fraction of a row over the series.

    The period goes in steps that shift the last cycle, halved down to an eighth of a row.
    """
    n_cycle = series.n / fit.period
    shift = max(fit.on, fit.period / 32)
    best = fit_box(fold(series, fit.period), fit.on)
    while shift > 0.12:
        near = [fit_box(fold(series, best.period + sign * shift / n_cycle), best.on)
                for sign in (-1, 1) if best.period + sign * shift / n_cycle >= 2]
        top = max(near, key=lambda each: each.gain, default=best)
        if top.gain > best.gain:
            best = top
        else:
            shift /= 2
    return free_on(fold(series, best.period), best.on)
