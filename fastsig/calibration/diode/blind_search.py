"""Search for a diode of unknown period: spectrum, harmonic sums, then box-cars; times in rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.diode.folding import Fit, Profile, Series, fit_box, fold

__all__ = ["CYCLES", "free_on", "is_wave", "refined", "search", "strongest_line"]

F8 = NDArray[np.float64]

CYCLES = 8  # least number in a series: a drift can look like fewer cycles

_HARMONICS = (1, 2, 4, 8, 16, 32, 64)
_KEPT = 12
_REFINED = 3
_BINS = 2048
_WAVES = 6


def search(series: Series) -> tuple[Fit | None, Series]:
    """Return the best box-car of any period from 2 rows to an eighth of the series, and the series.

    Candidates of the harmonic sums are folded as they are. The best are refined, and multiples and
    fractions of their periods are tried as well, since sums of harmonics can also peak there. Sine
    waves that are stronger than any box-car, such as a ripple of the gain, are subtracted first.
    """
    for _ in range(_WAVES):
        rough = [_rough(series, each) for each in _periods(series)]
        boxes = [fit for fit, wave in rough if not _is_wave(fit, wave, series)]
        waves = [(wave, fit) for fit, wave in rough if _is_wave(fit, wave, series)]
        most = max((fit.gain for fit in boxes), default=0.0)
        wave, fit = max(waves, key=lambda pair: pair[0], default=(0.0, None))
        if fit is None or wave <= most:
            break
        series = Series(series.y - _wave(series.detrended(fit.period), fit.period)[1], series.w)
    if not boxes:
        return None, series
    boxes.sort(key=lambda fit: -fit.gain)
    best = max((_sharp(series, fit) for fit in boxes[:_REFINED]), key=lambda fit: fit.gain)
    return _of_multiples(series, best), series


def _of_multiples(series: Series, best: Fit) -> Fit:
    for factor in (2, 3, 5, 1 / 2, 1 / 3, 1 / 5):
        if 2 <= best.period * factor <= series.n / CYCLES:
            near, _ = _rough(series, best.period * factor)
            if near.gain > 1.02 * best.gain:
                best = _sharp(series, near)
    return best


def _rough(series: Series, period: float) -> tuple[Fit, float]:
    """Return the best box-car of a period, and the decrease of weighted squares by a sine."""
    flat = series.detrended(period).clipped()
    fit = free_on(fold(flat, period, max(1, min(8, int(_BINS / period)))))
    return fit, _wave(flat, period)[0]


def _sharp(series: Series, fit: Fit) -> Fit:
    return refined(series.detrended(fit.period).clipped(), fit)


def is_wave(series: Series, fit: Fit) -> bool:
    """Return whether a sine of the same period reduces the squares more than the box-car."""
    return _is_wave(fit, _wave(series, fit.period)[0], series)


def _is_wave(fit: Fit, wave: float, series: Series) -> bool:
    return wave > 1.02 * fit.gain + 9 * fit.left / max(int(np.count_nonzero(series.w)), 1)


def _wave(series: Series, period: float) -> tuple[float, F8]:
    """Fit a sine: return the decrease of the weighted squares, and the sine itself (time,)."""
    turn = 2 * np.pi * np.arange(series.n) / period
    basis = np.stack([np.cos(turn), np.sin(turn), np.ones(series.n)])
    moments, squares = basis @ (series.w * series.y), (basis * series.w) @ basis.T
    found = np.linalg.lstsq(squares, moments, rcond=None)[0]
    return float(moments @ found - moments[2] ** 2 / squares[2, 2]), found[:2] @ basis[:2]


def _periods(series: Series) -> list[float]:
    """Return the periods with the strongest sums of harmonics, the strongest first.

    References
    ----------
    J. H. Taylor and G. R. Huguenin, Nature 221 (1969) 816: sums of harmonics.
    """
    power, unit = _white_spectrum(series)
    kept: list[float] = []
    for _, frequency in sorted(_peaks(power, unit * CYCLES), reverse=True):
        if all(abs(frequency - other) > unit / 4 for other in kept):
            kept.append(frequency)
    return [unit * series.n / frequency for frequency in kept[:_KEPT]]


def strongest_line(series: Series) -> float:
    """Return the highest power divided by the noise, at periods that `search` can find."""
    power, unit = _white_spectrum(series)
    return float(power[int(unit * CYCLES) :].max(initial=0.0))


def _white_spectrum(series: Series) -> tuple[F8, float]:
    """Return the power in units of the mean noise, and the bin of one period per series.

    The series is padded to at least twice its length; variations slower than the longest possible
    cycle are subtracted.
    """
    flat = series.detrended(series.n / CYCLES).clipped()
    n_fft = 1 << (2 * series.n - 1).bit_length()
    power = np.abs(np.fft.rfft(flat.y * flat.w, n_fft)) ** 2
    return _whitened(power), n_fft / series.n


def _whitened(power: F8) -> F8:
    """Divide the power by the median of blocks that are wider at higher frequencies."""
    edges = np.unique(np.geomspace(16, len(power), 40).astype(int))
    blocks = [(a, b) for a, b in pairwise(edges) if b - a > 15]
    if not blocks:
        return np.asarray(power / max(power.mean(), 1e-300))
    level = [np.median(power[a:b]) / np.log(2) for a, b in blocks]
    level = np.interp(np.arange(len(power)), [0.5 * (a + b) for a, b in blocks], level)
    # Data without noise make a spectrum of lines; between the lines there is only rounding.
    return np.asarray(power / np.maximum(level, 1e-12 * power.max() + 1e-300))


def _peaks(power: F8, lowest: float) -> Iterator[tuple[float, float]]:
    """Yield score and frequency, in bins, of the best peaks for each number of harmonics."""
    last = len(power) - 1
    for n in _HARMONICS:
        first = int(lowest * n)  # in steps of 1/n bin
        if first > last:
            return
        j = np.arange(first, last + 1)
        total = np.zeros(len(j))
        for h in range(1, n + 1):
            total += power[(2 * h * j + n) // (2 * n)]
        score = _surprise(total, n)
        for _ in range(_KEPT):
            best = int(score.argmax())
            yield float(score[best]), float(j[best] / n)
            score[max(0, best - n) : best + n + 1] = -np.inf


def _surprise(total: F8, n: int) -> F8:
    """Return -ln of the probability that n exponential variates sum to `total` or more.

    The probability is the tail of a gamma distribution.
    """
    beyond = np.maximum(total, n + 0.5)
    return np.asarray(beyond - (n - 1) * np.log(beyond) + lgamma(n)
                      + np.log1p(-(n - 1) / beyond))


def free_on(profile: Profile, around: float | None = None) -> Fit:
    """Return the best box-car with an on-time of a row or more, near `around` if given."""
    longest = profile.period - 1
    trials = [around] if around else np.unique(np.rint(np.geomspace(1, max(longest, 1), 40)))
    best = max((fit_box(profile, float(on)) for on in trials), key=lambda fit: fit.gain)
    step = max(best.on / 8, 0.125)
    while step >= 0.12:
        near = [fit_box(profile, on) for on in (best.on - step, best.on + step)
                if 1 <= on <= longest]
        top = max(near, key=lambda fit: fit.gain, default=best)
        best, step = (top, step) if top.gain > best.gain else (best, step / 2)
    return best


def refined(series: Series, fit: Fit) -> Fit:
    """Refine a box-car's period, then its on-time, to a fraction of a row over the series.

    The period is changed in steps that shift the last cycle; they are halved down to an eighth of a
    row. In total it changes by one cycle over the series at most.
    """
    n_cycle = series.n / fit.period
    shift = min(fit.on, fit.period - fit.on)
    best = fit_box(fold(series, fit.period), fit.on)
    while shift > 0.12:
        trials = [best.period + sign * shift / n_cycle for sign in (-1, 1)]
        near = [fit_box(fold(series, each), best.on) for each in trials
                if each >= 2 and abs(each / fit.period - 1) <= 1 / n_cycle]
        top = max(near, key=lambda each: each.gain, default=best)
        if top.gain > best.gain:
            best = top
        else:
            shift /= 2
    return free_on(fold(series, best.period), best.on)
