"""Search a piece of the band: maxima over drifts and widths, and the signals that cause them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.search.drift.known import Known, KnownArray
from fastsig.search.drift.noise import flatten, sum_noise
from fastsig.search.drift.plan import DriftPlan, Octave
from fastsig.search.drift.signal import Signal
from fastsig.search.drift.tracks import Maxima, best_track, window_of

__all__ = ["Searched", "Tile"]

F4 = NDArray[np.float32]

_CANDIDATE = 0.85  # of the S/N, which a signal keeps at least in steps of a channel
_FAST_CANDIDATE = 0.68  # in the coarse steps and wide boxcars of fast octaves
_MANY = 5.0  # S/N below which so much noise would be refined that the search takes much longer
_MEMBER = 0.3  # S/N up to which what remains close to a signal belongs to it
_MOST_ROUNDS = 10_000


class Searched(NamedTuple):
    """The result of the search of a piece.

    Parameters
    ----------
    signals : list of Signal
        Strongest first.
    is_full : bool
        Whether there may be further, weaker signals.
    shape : float
        Shape of the gamma distribution of a sample; 0 if the piece has no noise and is not
        searched.
    """

    signals: list[Signal]
    is_full: bool
    shape: float


class _Peak(NamedTuple):
    """Maxima of a stretch of cells, the highest first, with the channels of the tracks of it."""

    octave: Octave
    heights: F4
    cells: NDArray[np.int64]
    channels: tuple[int, int]

    @classmethod
    def of(cls, octave: Octave, heights: F4, cells: NDArray[np.int64]) -> _Peak:
        """Return the maxima of neighbouring cells, each of which is the highest around it."""
        beside = np.zeros(len(heights) + 2, np.float32)
        beside[1:-1] = heights
        # A track near the highest of equal neighbours is near all of them.
        top = np.flatnonzero((heights > beside[:-2]) & (heights >= beside[2:]))
        order = top[np.argsort(-heights[top], kind="stable")]
        n, first = octave.n_sum, int(cells[order[0]])
        return cls(octave, heights[order], cells[order],
                   (n * first, n * (first + octave.last + octave.widths[-1])))


class _Room:
    """Memory for the search of a piece of (n_spectrum, n_chan), which the next one uses again.

    New memory costs more time than what is written to it, most of all on several threads.
    """

    def __init__(self, shape: tuple[int, ...], n_sums: Sequence[int]) -> None:
        n_row, n_chan = self.shape = shape
        self.y, sums = np.empty(shape, np.float32), np.empty((2, n_chan), np.float32)
        #: What `flatten` fills.
        self.flat = self.y, sums[0], sums[1]
        self._flags = np.empty(n_chan, np.bool_)
        #: Sums of channels, by their number.
        self.cells: dict[int, F4] = {}
        left = np.empty(self.y.size, np.float32)  # at once: few large pages
        for n in n_sums:
            size = n_row * (n_chan // n)
            self.cells[n], left = left[:size].reshape(n_row, -1), left[size:]

    def above(self, best: F4) -> NDArray[np.int64]:
        """Return the places of values above 0."""
        return np.flatnonzero(np.greater(best, 0, out=self._flags[: len(best)]))


class Tile:
    """A search of pieces of one scan; an object is used by one thread.

    Parameters
    ----------
    plan : DriftPlan
        Drifts and widths.
    window : int
        Channels of a group in which the level is measured.
    threshold : float
        Lowest S/N.
    min_share : float
        Smallest fraction of the samples of a signal that must be valid.
    most : int
        Largest number of signals of a piece; the strongest are kept.
    """

    def __init__(self, plan: DriftPlan, window: int, threshold: float, *, min_share: float = 0.5,
                 most: int = 1000) -> None:
        self._plan, self._window, self._threshold = plan, window, threshold
        self._min_share, self._most = min_share, most
        largest = max((octave.n_sum for octave in plan.octaves), default=1)
        self._n_sums = [2**k for k in range(1, largest.bit_length())]
        self._room = _Room((plan.n_spectrum, 0), self._n_sums)
        slow = _CANDIDATE * threshold
        fast = min(slow, max(_FAST_CANDIDATE * threshold, _MANY))
        # Octaves of both signs that reach equally far share work.
        alike = groupby(plan.octaves, lambda each: (each.n_sum, each.last))
        self._maxima = [Maxima(plan, [*octaves], min_share, slow if n_sum == 1 else fast)
                        for (n_sum, _), octaves in alike]

    def search(self, x: F4, lost: NDArray[np.int64] | None = None, core: slice | None = None
               ) -> Searched:
        """Return the signals of a piece.

        Parameters
        ----------
        x : ndarray, shape (n_spectrum, n_chan), float32
            Spectra in any unit, not finite where they are not valid; the channels are a multiple
            of the window and of all sums.
        lost : ndarray of int, optional
            Channels that are not valid.
        core : slice, optional
            Channels that measure the noise; they begin with a window. All by default.
        """
        if self._room.shape != x.shape:
            self._room = _Room(x.shape, self._n_sums)
        core = slice(0, x.shape[1]) if core is None else core
        y, total, known, levels = flatten(x, self._window, self._room.flat, lost, core)
        noise = self._noise(total[core], None if known is None else known.share[core], levels.shape)
        if not 0 < noise[1] < np.inf:
            return Searched([], False, 0.0)
        return Searched(*self._rounds(y, known, noise), levels.shape)

    def _noise(self, total: F4, share: F4 | None, shape: float) -> dict[int, float]:
        """Return the noise of the sum of all spectra by the width of boxcars."""
        noise = sum_noise(total, share, self._plan.all_widths, shape * self._plan.n_spectrum)
        return dict(zip(self._plan.all_widths, noise.tolist(), strict=True))

    def _rounds(self, y: F4, known: Known | None, noise: dict[int, float]
                ) -> tuple[list[Signal], bool]:
        """Take the strongest signals, remove their samples, and search again around them."""
        found: list[Signal] = []
        taken: list[Signal] = []
        dirty = [(0, y.shape[1])]
        for _ in range(_MOST_ROUNDS):
            peaks = [each for low, high in dirty
                     for each in self._peaks(*_without(y, known, taken, low, high), noise, low)]
            fresh, waiting = self._strongest(peaks, y, known, taken, noise)
            if not fresh:
                return sorted(found, key=lambda each: (-each.snr, each.start)), False
            taken += fresh
            found += [each for each in fresh if not _belongs(each, found)]
            if len(found) > self._most:
                found.sort(key=lambda each: (-each.snr, each.start))
                return found[: self._most], True
            dirty = self._around([each.span() for each in fresh] + waiting, y.shape[1])
        return found, True

    def _around(self, places: list[tuple[int, int]], n_chan: int) -> list[tuple[int, int]]:
        """Return the pieces of the band that are to be searched again, apart."""
        reach = self._plan.reach + self._plan.widest_channels
        grain = max((octave.n_sum for octave in self._plan.octaves), default=1)
        pieces: list[tuple[int, int]] = []
        for low, high in sorted(places):
            first = max(0, (low - reach) // grain * grain)
            stop = min(n_chan, -(-(high + reach) // grain) * grain)
            if pieces and first <= pieces[-1][1]:
                pieces[-1] = pieces[-1][0], max(stop, pieces[-1][1])
            else:
                pieces.append((first, stop))
        return pieces

    def _strongest(self, peaks: list[_Peak], y: F4, known: Known | None, taken: list[Signal],
                   noise: dict[int, float]) -> tuple[list[Signal], list[tuple[int, int]]]:
        """Return the strongest signals, and where there may be others.

        None is in the reach of a stronger one, even of one that is in the reach of another: so they
        are the same whether far or near maxima are examined at once.
        """
        signals: list[Signal] = []
        waiting: list[tuple[int, int]] = []
        blocked: list[tuple[int, int]] = []
        # Equal ones keep the order of channels, then that of octaves, slow drifts first.
        for peak in sorted(peaks, key=lambda each: (-each.heights[0], each.channels[0])):
            at = peak.channels
            if any(at[0] < stop and first < at[1] for first, stop in blocked):
                waiting.append(at)
                blocked.append(at)
                continue
            for cell in peak.cells:
                best = self._best(peak.octave, int(cell), y, known, taken, noise)
                if best is not None and best.snr >= self._threshold:
                    signals.append(best)
                    blocked.append(best.span())
                    break
        return signals, waiting

    def _best(self, octave: Octave, cell: int, y: F4, known: Known | None, taken: list[Signal],
              noise: dict[int, float]) -> Signal | None:
        """Return the best track near a maximum."""
        low, high = window_of(octave, cell, y.shape[1])
        piece, valid = _without(y, known, taken, low, high)
        best = best_track(piece, valid, self._plan, octave, cell - low / octave.n_sum, noise,
                          self._min_share)
        return None if best is None else replace(best, start=best.start + low)

    def _peaks(self, piece: F4, valid: Known | None, noise: dict[int, float], low: int
               ) -> Iterator[_Peak]:
        """Return the stretches of cells above the limit, of a piece from a channel on."""
        cells, n_sum = piece, 1
        for maxima in self._maxima:
            while n_sum < maxima.n_sum:
                n_sum *= 2
                cells = self._halved(cells, n_sum)
            for octave, best in zip(maxima.octaves, maxima(cells, valid, noise), strict=True):
                over = self._room.above(best)  # what is below the limit of the octave is 0
                if not over.size:
                    continue
                for stretch in np.split(over, np.flatnonzero(np.diff(over) > 2) + 1):
                    yield _Peak.of(octave, best[stretch], stretch + low // n_sum)

    def _halved(self, cells: F4, n_sum: int) -> F4:
        """Return sums of two cells, of `n_sum` channels, in memory that is used again."""
        from fastsig_kernels import pair_sums

        n, out = cells.shape[1] // 2, self._room.cells[n_sum]
        if out.shape[1] != n:  # a small piece, without checks
            return cells[:, 0 : 2 * n : 2] + cells[:, 1 : 2 * n : 2]
        return pair_sums(cells, out=out)


def _belongs(signal: Signal, stronger: list[Signal]) -> bool:
    """Whether a signal is what remains of a stronger one, beside which it lies all the time."""
    for other in stronger:
        near = other.width + 2 * other.leak + 2
        ends = (signal.start - other.start, signal.start + signal.drift - other.start - other.drift)
        if signal.snr < _MEMBER * other.snr and all(
                -near - signal.width < each < near for each in ends):
            return True
    return False


def _without(y: F4, known: Known | None, taken: list[Signal], low: int, high: int
             ) -> tuple[F4, Known | None]:
    """Return a piece in which the samples of signals are lost."""
    there = [each for each in taken if each.span()[0] < high and each.span()[1] > low]
    piece = y[:, low:high]
    if not there:
        is_part = known is not None and (low, high) != (0, y.shape[1])
        return piece, known.piece(low, high) if known is not None and is_part else known
    piece = piece.copy()
    valid = np.ones_like(piece) if known is None else known.part(low, high).copy()
    for each in there:
        for row, first in enumerate(each.limits(len(piece)) - low):
            lost = slice(max(0, first - each.leak), max(0, first + each.width + each.leak))
            piece[row, lost] = valid[row, lost] = 0
    return piece, KnownArray(valid)
