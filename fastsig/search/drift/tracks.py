"""Sums along the tracks of drifting signals: maxima in the steps of a plan, and the best track."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from math import ceil, pi, sqrt
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastsig.search.drift.known import Known
from fastsig.search.drift.plan import DriftPlan, Octave
from fastsig.search.drift.signal import Signal
from fastsig.work.memory import large, spare

__all__ = ["Maxima", "Refiner", "maxima_of", "window_of"]

F4 = NDArray[np.float32]

_DIRECT = 128  # spectra up to which adding every sample of a track is faster than a tree
_COLUMNS = 4096  # of a tree at a time: its rows stay in the second-level cache
_LEAK = 3.0  # S/N of the sum of a channel that is beside a carrier and contains its power
_NONE, _NO_PLACES = np.empty((1, 0), np.bool_), np.empty(0, np.int64)
_NO_COUNTS = np.empty((0, 0))
_AROUND = 8  # widest boxcars on either side of a maximum, in which its track is looked for


class Maxima(Protocol):
    """Highest S/N over the drifts and the widths of octaves, where it is above a limit.

    A track is counted from its lowest cell, in which it begins if it drifts up and ends if it
    drifts down. An object is used by one thread.
    """

    def __call__(self, piece: F4, valid: Known | None, noise: dict[int, float]
                 ) -> Iterator[tuple[Octave, NDArray[np.int64], F4]]:
        """Return each octave with the cells above its limit, in ascending order, and their S/N.

        `valid` states which samples of the channels are valid; None if all are.
        """
        ...

    def close(self) -> None:
        """Let another search use the memory of this one."""


def maxima_of(plan: DriftPlan, limits: Callable[[Octave], float], min_share: float) -> Maxima:
    """Return the maxima of all octaves of a plan.

    Parameters
    ----------
    plan : DriftPlan
    limits : callable
        Returns the S/N above which values of an octave are returned.
    min_share : float
        Smallest fraction of the samples of a signal that must be valid.
    """
    # Octaves of both signs that reach equally far share work.
    alike = [[*octaves] for _, octaves in groupby(plan.octaves, lambda each: (each.n_sum,
                                                                              each.last))]
    kind = _ByTracks if plan.n_spectrum <= _DIRECT else _ByTrees
    return kind(plan, alike, [limits(some[0]) for some in alike], min_share)


class _ByTracks:
    """Maxima along tracks, each of which is summed sample by sample."""

    def __init__(self, plan: DriftPlan, alike: Sequence[Sequence[Octave]],
                 limits: Sequence[float], min_share: float) -> None:
        phase = np.arange(plan.n_spectrum) / max(1, plan.n_spectrum - 1)
        tracks = [_tracks_of(some, phase) for some in alike]
        self._octaves = [octave for some in alike for octave in some]
        self._levels = np.array([(some[0].n_sum, *each.shape[:2], len(some[0].widths), each.max())
                                 for some, each in zip(alike, tracks, strict=True)],
                                np.int64).reshape(-1, 5)
        self._tracks = np.concatenate([each.ravel() for each in tracks] or [_NO_PLACES])
        self._widths = np.array([width for some in alike for width in some[0].widths], np.int64)
        self._channels = [some[0].n_sum * width for some in alike for width in some[0].widths]
        self._limits, self._min_share = np.array(limits, np.float64), float(min_share)
        self._plane = self._best = np.empty(0, np.float32)

    def __call__(self, piece: F4, valid: Known | None, noise: dict[int, float]
                 ) -> Iterator[tuple[Octave, NDArray[np.int64], F4]]:
        """Return what is above the limits of octaves, as `Maxima`."""
        from fastsig_kernels._track_levels import level_maxima_nb

        if self._plane.size < piece.size:
            self._plane = large(piece.size)
            self._best = large(2 * piece.shape[1])
        n_row, n = piece.shape
        row = piece.strides[0] // piece.itemsize
        # Only the samples of the piece are read, so that it does not matter where memory ends.
        memory = np.lib.stride_tricks.as_strided(piece, (n_row * row,), (piece.itemsize,))
        stops, cells, heights = level_maxima_nb(
            memory, row, n, _NONE if valid is None else valid.samples,
            _NO_PLACES if valid is None else valid.lost,
            _NO_PLACES if valid is None else valid.gone, self._levels, self._tracks, self._widths,
            np.array([1 / noise[width] for width in self._channels], np.float32),
            self._min_share, self._limits, self._plane, self._best)
        for octave, first, stop in zip(self._octaves, stops[:-1], stops[1:], strict=True):
            yield octave, cells[first:stop], heights[first:stop]

    def close(self) -> None:
        """Let another search use the memory of this one."""
        spare(self._plane)


class _ByTrees:
    """Maxima along tracks whose sums share parts in a tree, which is faster for many spectra."""

    def __init__(self, plan: DriftPlan, alike: Sequence[Sequence[Octave]],
                 limits: Sequence[float], min_share: float) -> None:
        from fastsig_kernels import FDMT

        self._alike, self._limits, self._n = alike, limits, plan.n_spectrum
        self._min_share = float(min_share)
        phase = np.arange(self._n) / max(1, self._n - 1)
        # Cells are read from the highest down, and the lowest one of a track comes last.
        self._trees = [[[FDMT(1 - phase if octave.sign > 0 else phase, octave.cells,
                              dtype="float32", order="channel", track="half")
                         for _ in range(2)] for octave in some] for some in alike]

    def __call__(self, piece: F4, valid: Known | None, noise: dict[int, float]
                 ) -> Iterator[tuple[Octave, NDArray[np.int64], F4]]:
        """Return what is above the limits of octaves, as `Maxima`."""
        from fastsig_kernels import pair_sums

        cells, n_sum = piece, 1
        for some, trees, limit in zip(self._alike, self._trees, self._limits, strict=True):
            while n_sum < some[0].n_sum:
                cells, n_sum = pair_sums(cells), 2 * n_sum
            share = None if valid is None else valid.cells(n_sum)
            for octave, pair in zip(some, trees, strict=True):
                best = self._best(pair, octave, cells, share, noise, limit)
                above = np.flatnonzero(best > 0)  # what is not above the limit is 0
                yield octave, above, best[above]

    def close(self) -> None:
        """Do nothing."""

    def _best(self, trees: Sequence[Any], octave: Octave, cells: F4, share: F4 | None,
              noise: dict[int, float], limit: float) -> F4:
        """Return the maxima of an octave, which are found from the highest cells down."""
        from fastsig_kernels import boxcar_maxima

        widths = np.array(octave.widths, np.int64)
        scale = np.array([1 / noise[octave.n_sum * width] for width in octave.widths], np.float32)
        after = octave.widths[-1] - 1
        best = np.zeros(max(0, cells.shape[1] - octave.last - after), np.float32)
        both = [cells] if share is None else [cells, share]
        planes = [np.zeros((octave.n_row, after + _COLUMNS), np.float32) for _ in both]
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
                boxcar_maxima(sums[:, :whole], widths, scale, piece, full=float(self._n),
                              weights=weights[0][:, :whole] if weights else None,
                              min_share=self._min_share, limit=limit)
            for plane in planes:
                plane[:, :after] = plane[:, n - after : n].copy()
        return best


def _tracks_of(octaves: Sequence[Octave], phase: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the tracks of octaves, (n_octave, n_track, n_row) in cells.

    If an octave has fewer of them, its last one is repeated, which changes no maximum.
    """
    found = [np.floor(octave.cells[:, np.newaxis] * (phase if octave.sign > 0 else 1 - phase) + 0.5)
             for octave in octaves]
    most = max(map(len, found))
    return np.array([np.pad(each, ((0, most - len(each)), (0, 0)), "edge") for each in found],
                    np.int64)


def window_of(octave: Octave, cell: int, n_chan: int) -> tuple[int, int]:
    """Return the channels in which the track of a maximum is searched for; whole cells."""
    margin = _AROUND * octave.widths[-1]
    n = octave.n_sum
    return n * max(0, cell - margin), min(n_chan, n * (cell + octave.last + margin))


class Refiner:
    """The best track near a maximum, in fine steps; for one thread.

    Parameters
    ----------
    plan : DriftPlan
    min_share : float
        Smallest fraction of the samples of a signal that must be valid.
    """

    def __init__(self, plan: DriftPlan, min_share: float) -> None:
        octaves = {octave.n_sum: octave for octave in plan.octaves}
        widths = np.zeros((len(octaves), max((len(plan.widths_of(n)) for n in octaves), default=0)),
                          np.int64)
        for row, n in zip(widths, octaves, strict=True):
            some = plan.widths_of(n)
            row[: len(some)] = some
        self._number = {n: number for number, n in enumerate(octaves)}
        self._n_sums, self._widths = np.array([*octaves], np.int64), widths
        self._first = np.array([np.isin(row, n * np.array(octave.widths)) for row, (n, octave) in
                                zip(widths, octaves.items(), strict=True)]).reshape(widths.shape)
        most = 0.5 if plan.n_spectrum > 1 else 0.0  # a single spectrum has no drift
        self._low, self._high = plan.limits[0] - most, plan.limits[1] + most
        self._slow, self._n, self._min_share = plan.slowest_sum, plan.n_spectrum, min_share
        self._noise = np.nan
        self._allowed: Any = None

    def measured(self, noise: dict[int, float]) -> None:
        """Set the noise of the sum of all spectra, for each width in channels."""
        from fastsig_kernels._track_refining import Refining

        scale = np.array([1 / noise[width] if width and noise[width] else 0.0
                          for width in self._widths.ravel().tolist()]).reshape(self._widths.shape)
        self._noise = noise[1]
        self._allowed = Refining(self._low, self._high, self._slow, self._n_sums, self._widths,
                                 scale, scale * self._first)

    def best(self, y: F4, valid: Known | None, octave: Octave, cell: float) -> Signal | None:
        """Return the track with the highest S/N near a maximum; None if there is none.

        Parameters
        ----------
        y : ndarray, shape (n_spectrum, n_chan), float32
            Deviations from the level, of the channels of `window_of`.
        valid : Known or None
            Which samples are valid; None if all are.
        octave : Octave
            The octave of the maximum.
        cell : float
            The lowest cell of the maximum, counted from the first of these channels.
        """
        from fastsig_kernels._track_refining import refine_track_nb, side_channels_nb

        n, out = octave.n_sum, np.zeros(6)
        drifts = octave.sign * n * octave.cells
        lows = n * (cell + np.arange(-1.0, 2.0))
        # Deviations are multiples of 2^-24, so that these sums are exact.
        sums = _cumulative(y)
        refine_track_nb(sums, _NO_COUNTS if valid is None else _cumulative(valid.samples),
                        lows[:, np.newaxis] - np.minimum(drifts, 0), drifts, self._number[n],
                        self._allowed, self._min_share, out)
        start, drift, width, snr, total, share = out.tolist()
        if not snr:
            return None
        best = Signal(start, drift, int(width), snr, total / (share * self._n * width), share)
        # Side lobes of a transform without a window fall at least with the square of pi times the
        # distance, which limits how far they reach.
        most = max(1, ceil(sqrt(snr / _LEAK) / pi))
        leak = side_channels_nb(sums, best.limits(self._n), best.width, _LEAK * self._noise, most)
        return replace(best, leak=int(leak))


def _cumulative(x: NDArray[Any]) -> NDArray[np.float64]:
    out = np.zeros((x.shape[0], x.shape[1] + 1))
    np.cumsum(x, axis=1, dtype=np.float64, out=out[:, 1:])
    return out
