"""Widths of a profile at fractions of its peak, and the equivalent width, with errors.

The profile is first limited to its significant harmonics, so that noise neither raises its peak nor
moves its edges more than necessary. Peak, edges and baseline are then linear functions of the
noise, to first order, and their covariances follow from the harmonics that were kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.pulsar.harmonics import checked, harmonics, n_significant, series
from fastsig.pulsar.significance import Baseline, baseline
from fastsig.work.shown import Shown

__all__ = ["Width", "Widths", "pulse_widths"]

F8 = NDArray[np.float64]
C16 = NDArray[np.complex128]

_CLEAR = 4.0  # levels lower than this many standard deviations are not found in noise
_POINTS = 16  # points per period of the highest harmonic on the grid for edges and peak


@dataclass(frozen=True, repr=False)
class Width(Shown):
    """A width, in turns, with its error and the phases of its edges.

    Parameters
    ----------
    turns, error : float
        Width and its standard error; NaN if the profile does not go below the level, or the level
        is less than 4 standard deviations above the baseline.
    first, last : float
        Phases of the edges, in turns; the position of bin 0 is 0. NaN for equivalent widths.
    """

    turns: float
    error: float
    first: float = np.nan
    last: float = np.nan


@dataclass(frozen=True, repr=False)
class Widths(Shown):
    """Widths of a profile.

    Parameters
    ----------
    w50, w10 : Width
        Widths between the outermost points at 50 and 10 per cent of the peak in the on-pulse
        region.
    equivalent : Width
        Area above the baseline divided by the peak; NaN if no bin is on-pulse.
    peak, peak_error : float
        Height of the peak above the baseline, corrected for its mean excess due to noise.
    peak_phase : float
        Phase of the peak, in turns.
    n_harmonic : int
        Number of harmonics that were kept.
    """

    w50: Width
    w10: Width
    equivalent: Width
    peak: float
    peak_error: float
    peak_phase: float
    n_harmonic: int


def pulse_widths(profile: Any, off: Any = None, *, n_harmonic: int | None = None) -> Widths:
    """Return W50, W10 and the equivalent width of a profile.

    Parameters
    ----------
    profile : array, shape (bin,), any unit
        Profile with positive pulses, without missing bins.
    off : array, shape (bin,), bool, optional
        Off-pulse bins; by default, those of `find_off_pulse`.
    n_harmonic : int, optional
        Number of harmonics to keep; by default, twice the result of `n_significant`.

    Raises
    ------
    UsageError
        If bins have no data, there are too few off-pulse bins, or n_harmonic is out of range.
    """
    values = checked(profile, "profile", 1)
    if not np.isfinite(values).all():
        raise UsageError("profile: widths need data in all bins")
    base = baseline(values, off)
    return _Measured(values, base, _n_kept(values, base, n_harmonic)).widths()


def _n_kept(values: F8, base: Baseline, n_harmonic: int | None) -> int:
    most = harmonics(values).size
    if n_harmonic is None:
        return min(most, 2 * n_significant(values, base.sigma))
    if not 1 <= n_harmonic <= most:
        raise UsageError(f"n_harmonic = {n_harmonic}; allowed: 1 to {most}")
    return int(n_harmonic)


class _Measured:
    """Profile of few harmonics: its values, slopes and covariances at any phase."""

    def __init__(self, values: F8, base: Baseline, n_harmonic: int) -> None:
        self.base, self.n_bin, self.n = base, values.size, n_harmonic
        self.turn = 2 * np.pi * np.arange(1, n_harmonic + 1)
        self.parts = harmonics(values)[:n_harmonic]
        self.mean = values.mean() - base.level
        self.total = values - base.level

    def at(self, phase: float, order: int = 0) -> float:
        """Return the profile above the baseline, or its derivative, at a phase."""
        terms = self.parts * (1j * self.turn) ** order * np.exp(1j * self.turn * phase)
        return float(2 / self.n_bin * terms.real.sum() + (self.mean if order == 0 else 0))

    def response(self, phase: float) -> F8:
        """Return the derivative of `at` with respect to each bin, shape (bin,)."""
        steps = 2 * np.pi * (phase - np.arange(self.n_bin) / self.n_bin)
        made = np.cos(np.outer(steps, np.arange(1, self.n + 1))).sum(axis=1)
        return np.asarray((1 + 2 * made) / self.n_bin, np.float64) - self.of_level()

    def of_level(self) -> F8:
        """Return the derivative of the baseline with respect to each bin."""
        return np.where(self.base.off, 1 / self.base.n_off, 0.0)

    def widths(self) -> Widths:
        """Return all widths."""
        phase, curve = self._peak()
        height = self.at(phase) - self._excess(phase)
        error = self._norm(self.response(phase))
        ratio = self._equivalent(height, phase)
        w50, w10 = (self._width(share, height, phase, curve) for share in (0.5, 0.1))
        return Widths(w50, w10, ratio, height, error, phase % 1, self.n)

    def _peak(self) -> tuple[float, F8]:
        n_point = 2 * _POINTS * max(self.n, self.n_bin // 2)
        curve = series(self.parts, n_point, self.n_bin) + self.mean
        phase = float(np.argmax(curve)) / n_point
        for _ in range(5):
            step = self.at(phase, 1) / self.at(phase, 2)
            phase -= float(np.clip(step, -1 / n_point, 1 / n_point))
        return phase, curve

    def _excess(self, phase: float) -> float:
        """Return by how much noise raises the maximum on average, ``var(p') / (2 |p''|)``."""
        slope = 2 * self.base.sigma**2 / self.n_bin * float((self.turn**2).sum())
        return slope / (2 * abs(self.at(phase, 2)))

    def _norm(self, gradient: F8) -> float:
        return self.base.sigma * float(np.sqrt((gradient**2).sum()))

    def _width(self, share: float, height: float, peak: float, curve: F8) -> Width:
        clear = share * height > _CLEAR * self._norm(self.response(peak))
        edges = self._edges(share * height, peak, curve) if clear else None
        if edges is None:
            return Width(np.nan, np.nan)
        gradient = np.zeros(self.n_bin)
        for edge, sign in zip(edges, (-1, 1), strict=True):
            rise = share * self.response(peak) - self.response(edge)
            gradient += sign * rise / self.at(edge, 1)
        return Width(edges[1] - edges[0], self._norm(gradient), edges[0] % 1, edges[1] % 1)

    def _edges(self, level: float, peak: float, curve: F8) -> tuple[float, float] | None:
        """Return the outermost phases at a level, before and after the peak, within its region."""
        n = curve.size
        start = round(peak * n)
        order = (start + np.arange(n)) % n
        high = curve[order] > level
        off = self.base.off[((order / n * self.n_bin + 0.5).astype(np.int64)) % self.n_bin]
        after, before = _outermost(high, off), _outermost(high[::-1], off[::-1])
        if after is None or before is None:
            return None
        found = self._root(level, (start + after + 0.5) / n, 1 / n)
        return self._root(level, (start - before - 1.5) / n, 1 / n), found

    def _root(self, level: float, phase: float, width: float) -> float:
        low, high = phase - width, phase + width
        rising = self.at(high) > self.at(low)
        for _ in range(40):
            middle = (low + high) / 2
            above = self.at(middle) > level
            low, high = (low, middle) if above == rising else (middle, high)
        return (low + high) / 2

    def _equivalent(self, height: float, peak: float) -> Width:
        on = ~self.base.off
        if not on.any():
            return Width(np.nan, np.nan)
        area = float(self.total[on].sum()) / self.n_bin
        of_area = (on - on.sum() * self.of_level()) / self.n_bin
        gradient = (of_area - area / height * self.response(peak)) / height
        return Width(area / height, self._norm(gradient))


def _outermost(high: NDArray[np.bool_], off: NDArray[np.bool_]) -> int | None:
    """Return the last point above the level before the first long off-pulse part, or None."""
    if high.all():
        return None
    ends = np.flatnonzero(off & ~high)
    stop = int(ends[0]) if ends.size else int(np.flatnonzero(~high)[0])
    if not high[: stop + 1].any():
        return None
    return int(np.flatnonzero(high[: stop + 1])[-1])
