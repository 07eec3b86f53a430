"""Sums along the tracks of drifting signals: maxima in the steps of a plan, and the best track."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.search.drift.known import Known
from fastsig.search.drift.plan import DriftPlan, Octave
from fastsig.search.drift.signal import Signal

__all__ = ["Maxima", "best_track", "window_of"]

F4 = NDArray[np.float32]

_DIRECT = 128  # spectra up to which adding every sample of a track is faster than a tree
_COLUMNS = 4096  # of a tree at a time: its rows stay in the second-level cache
_STRETCH = 1024  # cells in which samples are all valid, or weights are computed
_LEAK = 3.0  # S/N of the sum of a channel that is beside a carrier and contains its power
_NONE = np.empty((0, 0), np.float32)
_AROUND = 8  # widest boxcars on either side of a maximum, in which its track is looked for
_STEPS = 4  # of the position and the drift in a cell, on both sides of a maximum


class Maxima:
    """Highest S/N over the drifts and the widths of octaves, for each cell.

    A track is counted from its lowest cell, in which it begins if it drifts up and ends if it
    drifts down. Values that are not above `limit` are left out. An object is used by one thread.

    Parameters
    ----------
    plan : DriftPlan
    octaves : sequence of Octave
        Octaves that differ in their sign and their least drift only, and share work.
    min_share : float
        Smallest fraction of the samples of a signal that must be valid.
    limit : float
        S/N.
    """

    def __init__(self, plan: DriftPlan, octaves: Sequence[Octave], min_share: float, limit: float
                 ) -> None:
        from fastsig_kernels import FDMT

        self.octaves, self._n = tuple(octaves), plan.n_spectrum
        self.n_sum, self._last = octaves[0].n_sum, octaves[0].last
        self._options = {"min_share": float(min_share), "limit": float(limit)}
        self._widths = np.array(octaves[0].widths, np.int64)
        self._best = np.empty(0, np.float32)
        phase = np.arange(self._n) / max(1, self._n - 1)
        if self._n <= _DIRECT:
            self._tracks = _tracks_of(self.octaves, phase)
        else:
            # Cells are read from the highest down, and the lowest one of a track comes last.
            self._trees = [[FDMT(1 - phase if octave.sign > 0 else phase, octave.cells,
                                 dtype="float32", order="channel", track="half")
                            for _ in range(2)] for octave in octaves]

    def __call__(self, cells: F4, valid: Known | None, noise: dict[int, float]) -> F4:
        """Return the highest S/N for each octave and lowest cell, 0 if none is above the limit.

        `valid` says which samples of the channels are valid; None if all are. The result is
        (n_octave, n) float32; the next call uses its memory again.
        """
        from fastsig_kernels import track_maxima_nb

        widths = self._widths.tolist()
        n = max(0, cells.shape[1] - self._last - widths[-1] + 1)
        size = len(self.octaves) * n
        if self._best.size < size:
            self._best = np.empty(size, np.float32)
        best = self._best[:size].reshape(len(self.octaves), n)
        best.fill(0)
        if not best.size:
            return best
        scale = np.array([1 / noise[self.n_sum * width] for width in widths], np.float32)
        if self._n > _DIRECT:
            known = None if valid is None else valid.cells(0, cells.shape[1], self.n_sum)
            for trees, octave, line in zip(self._trees, self.octaves, best, strict=True):
                self._by_tree(trees, octave.n_row, cells, known, scale, line)
            return best
        reach = cells.shape[1] - n
        for first, stop, is_whole in _stretches(valid, self.n_sum, n, reach):
            share = None if is_whole or valid is None else valid.cells(first, stop + reach,
                                                                       self.n_sum)
            # The checks of `track_maxima` take longer than the search of the band around a signal.
            track_maxima_nb(cells[:, first : stop + reach], _NONE if share is None else share,
                            self._tracks, self._widths, scale, self._options["min_share"],
                            self._options["limit"], best[:, first:stop])
        return best

    def _by_tree(self, trees: Sequence[Any], n_row: int, cells: F4, valid: F4 | None, scale: F4,
                 best: F4) -> None:
        """Raise the maxima `best` of an octave, from the highest cells down."""
        from fastsig_kernels import boxcar_maxima

        after = int(self._widths[-1]) - 1
        both = [cells] if valid is None else [cells, valid]
        planes = [np.zeros((n_row, after + _COLUMNS), np.float32) for _ in both]
        for tree in trees:
            tree.reset()
        for stop in range(cells.shape[1], 0, -_COLUMNS):
            first = max(0, stop - _COLUMNS)
            n = after + stop - first
            for tree, rows, plane in zip(trees, both, planes, strict=False):
                tree.process(np.ascontiguousarray(rows[:, first:stop][:, ::-1]),
                             out=plane[:, after:n])
            sums, *weights = (plane[:, :n][:, ::-1] for plane in planes)
            piece = best[first:stop]
            if len(piece):
                whole = len(piece) + after
                boxcar_maxima(sums[:, :whole], self._widths, scale, piece, full=float(self._n),
                              weights=weights[0][:, :whole] if weights else None,
                              **self._options)
            for plane in planes:
                plane[:, :after] = plane[:, n - after : n].copy()


def _tracks_of(octaves: Sequence[Octave], phase: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the tracks of octaves, (n_octave, n_track, n_row) in cells.

    If an octave has fewer of them, its last one is repeated, which changes no maximum.
    """
    found = [np.floor(octave.cells[:, np.newaxis] * (phase if octave.sign > 0 else 1 - phase) + 0.5)
             for octave in octaves]
    most = max(map(len, found))
    return np.array([np.pad(each, ((0, most - len(each)), (0, 0)), "edge") for each in found],
                    np.int64)


def _stretches(valid: Known | None, n_sum: int, n: int, reach: int
               ) -> list[tuple[int, int, bool]]:
    """Return stretches of `n` cells as (first, stop, whether all tracks there are valid).

    Weights are needed only where samples are lost.
    """
    columns = None if valid is None else valid.lost(n_sum)
    if columns is None:
        return [(0, n, valid is None)]
    found: list[tuple[int, int, bool]] = []
    places = np.flatnonzero(columns)
    first = np.arange(0, n, _STRETCH)
    stop = np.minimum(first + _STRETCH, n)
    whole = np.searchsorted(places, first) == np.searchsorted(places, stop + reach)
    for begin, end, is_whole in zip(first.tolist(), stop.tolist(), whole.tolist(), strict=True):
        if found and found[-1][2] == is_whole:
            found[-1] = found[-1][0], end, is_whole
        else:
            found.append((begin, end, is_whole))
    return found


def window_of(octave: Octave, cell: int, n_chan: int) -> tuple[int, int]:
    """Return the channels in which the track of a maximum is looked for; whole cells."""
    margin = _AROUND * octave.widths[-1]
    n = octave.n_sum
    return n * max(0, cell - margin), min(n_chan, n * (cell + octave.last + margin))


def best_track(y: F4, valid: Known | None, plan: DriftPlan, octave: Octave, cell: float,
               noise: dict[int, float], min_share: float) -> Signal | None:
    """Return the track with the highest S/N near a maximum, in fine steps; None if there is none.

    Parameters
    ----------
    y : ndarray, shape (n_spectrum, n_chan), float32
        Deviations from the level, of the channels of `window_of`.
    valid : Known or None
        Which samples are valid; None if all are.
    plan, octave
        The plan, and the octave of the maximum.
    cell : int
        The lowest cell of the maximum, counted from the first of these channels.
    noise : dict
        Noise of the sum of all spectra, for each width in channels.
    min_share : float
        Least share of valid samples.
    """
    rows = _Window(y, valid)
    n = octave.n_sum
    lows = n * (cell + np.arange(-1.0, 2.0))
    widths = np.array([n * width for width in octave.widths], np.int64)
    best = rows.best(lows, octave.sign * n * octave.cells, widths, noise, min_share)
    step = float(n)
    while best is not None:
        step = max(step / 2, 0.5)
        found = _nearby(rows, plan, best, step, noise, min_share)
        if found is not None and _order(found) < _order(best):
            best = found
        elif step == 0.5:
            return replace(best, leak=rows.leak(best, noise[1]))
    return None


def _order(signal: Signal) -> tuple[float, int, float, float]:
    """Return the key of the best signal: so that it does not depend on where a search begins."""
    return -signal.snr, signal.width, signal.low, signal.drift


def _nearby(rows: _Window, plan: DriftPlan, signal: Signal, step: float, noise: dict[int, float],
            min_share: float) -> Signal | None:
    """Return the best of the boxcars around one, in steps of position and drift."""
    near = np.arange(-_STEPS, _STEPS + 1, dtype=np.float64)
    lows = np.floor(signal.low + near * max(1.0, step))
    drifts = signal.drift + near * step
    low_limit, high_limit = plan.limits
    most = 0.5 if plan.n_spectrum > 1 else 0.0  # a single spectrum has no drift
    drifts = drifts[(drifts >= low_limit - most) & (drifts <= high_limit + most)]
    n_sum, found = plan.n_sum_at(drifts), []
    for n in sorted(set(n_sum.tolist())):
        widths = np.array([width for width in plan.widths_of(n)
                           if signal.width / 2 <= width <= 2 * signal.width], np.int64)
        found.append(rows.best(lows, drifts[n_sum == n], widths, noise, min_share))
    return min((each for each in found if each is not None), key=_order, default=None)


class _Window:
    """Cumulative sums around a maximum, from which any boxcar is found.

    Deviations are multiples of 2^-24, so that these sums are exact.
    """

    def __init__(self, y: F4, valid: Known | None) -> None:
        self._n, self._n_chan = y.shape
        self._y = _cumulative(y)
        self._valid = (np.empty((0, 0)) if valid is None
                       else _cumulative(valid.part(0, self._n_chan)))
        self._out = np.zeros(6)

    def best(self, lows: NDArray[np.float64], drifts: NDArray[np.float64],
             widths: NDArray[np.int64], noise: dict[int, float], min_share: float
             ) -> Signal | None:
        """Return the best of all boxcars that lie in the window."""
        from fastsig_kernels import best_boxcar_nb

        starts = lows[:, np.newaxis] - np.minimum(drifts, 0)
        with np.errstate(divide="ignore"):
            scale = 1 / np.array([noise[width] for width in widths.tolist()], np.float64)
        # The checks of `best_boxcar` take longer than the search of a few boxcars.
        best_boxcar_nb(self._y, self._valid, starts, drifts, widths, scale, min_share, self._out)
        start, drift, width, snr, total, share = self._out.tolist()
        self._out[:] = 0
        if not snr:
            return None
        return Signal(start, drift, int(width), snr, total / (share * self._n * width), share)

    def leak(self, signal: Signal, noise: float) -> int:
        """Return how many channels on either side of a signal contain its power, at least 1.

        Side lobes of a transform without a window fall at least with the square of pi times the
        distance, which limits how far they reach.
        """
        limit = max(1, ceil(sqrt(signal.snr / _LEAK) / pi))
        track = signal.limits(self._n)
        row = np.arange(self._n)
        for off in range(1, limit + 1):
            sums = []
            for at in (track - off, track + signal.width - 1 + off):
                at = np.clip(at, 0, self._n_chan - 1)
                sums.append(float((self._y[row, at + 1] - self._y[row, at]).sum()))
            if max(sums) < _LEAK * noise:
                return off
        return limit


def _cumulative(x: F4) -> NDArray[np.float64]:
    out = np.zeros((x.shape[0], x.shape[1] + 1))
    np.cumsum(x, axis=1, dtype=np.float64, out=out[:, 1:])
    return out
