"""A series of power folded at a period, and box-cars fitted to it. Times are in rows.

The model is ``y = c + h s``, with s the share of a row during which the diode is on. Three circular
correlations give the least-squares fit for every phase at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fit", "Profile", "Series", "fit_box", "fold", "share_of"]

F8 = NDArray[np.float64]

_MOST_BINS = 2**21
_CLIP = 1e-3  # fraction of the rows at each end; any diode is on for more
_FAR = 0.5


@dataclass(frozen=True)
class Series:
    """Relative power y (time,) and its weight w (time,), in inverse variance up to a factor."""

    y: F8
    w: F8

    @cached_property
    def n(self) -> int:
        """Number of rows."""
        return len(self.y)

    def detrended(self, period: float, model: F8 | None = None) -> Series:
        """Subtract the drift: the running mean over one period, in which the diode is constant.

        With fewer than three periods, a straight line is subtracted. A model of the diode, if
        given, is excluded from the drift, because gaps make periods incomplete.
        """
        steady = self.y if model is None else self.y - model
        drift = _line(steady, self.w) if self.n < 3 * period else _sliding(steady, self.w, period)
        return Series(self.y - drift, self.w)

    def without_bursts(self) -> Series:
        """Remove rows that lie far beyond nearly all others, relative to medians of sections."""
        known = self.w > 0
        edges = np.linspace(0, self.n, min(64, self.n // 32 + 1) + 1).astype(int)
        pairs = [(a, b) for a, b in pairwise(edges) if known[a:b].any()]
        level = [np.median(self.y[a:b][known[a:b]]) for a, b in pairs]
        rest = self.y - np.interp(np.arange(self.n), [0.5 * (a + b) for a, b in pairs], level)
        low, high = np.quantile(rest[known], [_CLIP, 1 - _CLIP], method="nearest")
        far = (rest > high + _FAR * (high - low)) | (rest < low - _FAR * (high - low))
        return Series(np.where(far, 0.0, self.y), np.where(far, 0.0, self.w))

    def clipped(self) -> Series:
        """Clip the few most extreme values."""
        known = self.y[self.w > 0]
        low, high = np.quantile(known, [_CLIP, 1 - _CLIP], method="nearest")
        return Series(np.clip(self.y, low, high), self.w)


def _line(y: F8, w: F8) -> F8:
    x = np.linspace(-1.0, 1.0, len(y))
    return np.asarray(np.polynomial.Polynomial.fit(x, y, 1, w=np.sqrt(w))(x))


def _sliding(y: F8, w: F8, width: float) -> F8:
    """Return the weighted running mean with a window of any real width, with straight ends."""
    n = len(y)
    edges = np.arange(n + 1.0)
    sums = [np.concatenate([[0.0], np.cumsum(each)]) for each in (w, w * y)]
    middle = np.clip(np.arange(n) + 0.5, width / 2, n - width / 2)
    total, moment = (
        np.interp(middle + width / 2, edges, each) - np.interp(middle - width / 2, edges, each)
        for each in sums
    )
    full = total > 1e-9 * max(sums[0][-1], 1e-300)
    mean = np.interp(middle, middle[full], moment[full] / total[full])
    return _extended(mean, middle, width)


def _extended(mean: F8, middle: F8, width: float) -> F8:
    beyond = np.arange(len(mean)) + 0.5 - middle
    first, last = middle[0], middle[-1]
    inner = np.interp([first + width, last - width], middle, mean)
    slope = np.where(beyond < 0, inner[0] - mean[0], mean[-1] - inner[1]) / width
    return np.asarray(mean + beyond * slope)


@dataclass(frozen=True)
class Profile:
    """Sums over rows by the phase at which they start: weight, and weight times power."""

    period: float
    w: F8
    wy: F8
    total: float  # sum of w y^2

    @property
    def n_bin(self) -> int:
        """Number of bins in one period."""
        return len(self.w)

    @property
    def width(self) -> float:
        """Width of a bin in rows."""
        return self.period / self.n_bin

    @cached_property
    def spectra(self) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """Transforms of the two sums."""
        return np.fft.rfft(self.w), np.fft.rfft(self.wy)


def fold(series: Series, period: float, per_row: int = 8) -> Profile:
    """Fold at `period` rows, with `per_row` bins per row if memory allows.

    Row 0 starts in the middle of bin 0, so with a whole period every row starts in the middle of a
    bin.
    """
    n_bin = max(4, min(int(np.ceil(period * per_row)), _MOST_BINS))
    turn = np.arange(series.n) / period
    bins = np.rint((turn - np.floor(turn)) * n_bin).astype(np.int64) % n_bin
    w: F8 = np.bincount(bins, series.w, n_bin).astype(np.float64)
    wy: F8 = np.bincount(bins, series.w * series.y, n_bin).astype(np.float64)
    return Profile(period, w, wy, float((series.w * series.y**2).sum()))


def share_of(start: NDArray[np.floating[Any]], period: float, on: float) -> F8:
    """Return the share of ``[start, start + 1)`` during which a diode that starts at 0 is on."""

    def lit(x: NDArray[np.floating[Any]]) -> F8:
        turn = np.floor(x / period)
        return np.asarray(turn * on + np.minimum(x - turn * period, on))

    return np.asarray(lit(start + 1) - lit(start))


@dataclass(frozen=True)
class Fit:
    """The best box-car of a profile.

    `phase` and `on` are in rows and `step` is in the unit of power. `gain` is the decrease of the
    weighted squares, `left` the weighted squares that remain, and `curve` the decrease at every
    phase.
    """

    period: float
    on: float
    phase: float
    step: float
    gain: float
    left: float
    curve: F8

    def model(self, n: int) -> F8:
        """Return the power of the diode in n rows."""
        return self.step * share_of(np.arange(n) - self.phase, self.period, self.on)


def fit_box(profile: Profile, on: float) -> Fit:
    """Fit a box-car of `on` rows at every phase; return the best one with an upward step."""
    share = share_of(np.arange(profile.n_bin) * profile.width, profile.period, on)
    w, wy = profile.spectra

    def correlate(spectrum: Any, template: F8) -> F8:
        return np.fft.irfft(spectrum * np.fft.rfft(template).conj(), profile.n_bin)

    all_w, all_wy = profile.w.sum(), profile.wy.sum()
    lit = correlate(w, share)
    top = correlate(wy, share) - lit * all_wy / all_w
    norm = correlate(w, share * share) - lit * lit / all_w
    ok = (norm > 1e-9 * all_w) & (top > 0)
    gain = np.where(ok, top * top / np.where(ok, norm, 1.0), 0.0)
    best = _middle_of_best(gain)
    step = float(top[best] / norm[best]) if ok[best] else 0.0
    left = profile.total - all_wy**2 / all_w - float(gain[best])
    return Fit(profile.period, on, best * profile.width, step, float(gain[best]), max(left, 0.0),
               gain)


def _middle_of_best(gain: F8) -> int:
    """Return the best phase; if several phases fit equally well, the middle of them."""
    best, n = int(gain.argmax()), len(gain)
    as_good = np.roll(gain >= gain[best] * (1 - 1e-9), n // 2 - best)
    outside = np.flatnonzero(~as_good)
    first = outside[outside < n // 2].max(initial=-1) + 1
    last = outside[outside > n // 2].min(initial=n) - 1
    return int((first + last) // 2 - n // 2 + best) % n
