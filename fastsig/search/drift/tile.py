"""Search a piece of the band: maxima over drifts and widths, and the signals that cause them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.search.drift.known import Known
from fastsig.search.drift.noise import flatten, sum_noise
from fastsig.search.drift.plan import DriftPlan, Octave
from fastsig.search.drift.signal import Signal
from fastsig.search.drift.tracks import Refiner, maxima_of, window_of
from fastsig.work.memory import large, spare

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
        Signals, the strongest first.
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
    """Maxima of a stretch of cells, the highest first, with the channels of its tracks."""

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


class Tile:
    """A search of pieces of one scan; each thread needs an object of its own.

    Parameters
    ----------
    plan : DriftPlan
        Drifts and widths.
    window : int
        Number of channels of a group in which the level is measured.
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
        self._most = most
        slow = _CANDIDATE * threshold
        fast = min(slow, max(_FAST_CANDIDATE * threshold, _MANY))
        self._maxima = maxima_of(plan, lambda octave: slow if octave.n_sum == 1 else fast,
                                 min_share)
        self._refiner = Refiner(plan, min_share)
        self._memory = large(0)

    def search(self, x: F4, lost: NDArray[np.int64] | None = None, core: slice | None = None
               ) -> Searched:
        """Return the signals of a piece.

        Parameters
        ----------
        x : ndarray, shape (n_spectrum, n_chan), float32
            Spectra in any unit, not finite where they are not valid. The number of channels is a
            multiple of the window and of all numbers of summed channels.
        lost : ndarray of int, optional
            Channels that are not valid.
        core : slice, optional
            Channels in which the noise is measured; the first of them begins a window. By default,
            these are all channels.
        """
        core = slice(0, x.shape[1]) if core is None else core
        y, total, known, levels = flatten(x, self._window, self._room(*x.shape), lost, core)
        noise = self._noise(total[core], None if known is None else known.share[core], levels.shape)
        if not 0 < noise[1] < np.inf:
            return Searched([], False, 0.0)
        return Searched(*self._rounds(y, known, noise), levels.shape)

    def _room(self, n_row: int, n_chan: int) -> tuple[F4, F4, F4, NDArray[np.bool_]]:
        """Return memory for what `flatten` fills, which the search of the next piece uses again."""
        size = (n_row + 2) * n_chan
        flags = -(-n_row * n_chan // 4)
        if self._memory.size < size + flags:
            self._memory = large(size + flags)
        rows = self._memory[:size].reshape(n_row + 2, n_chan)
        valid = self._memory[size : size + flags].view(np.bool_)[: n_row * n_chan]
        return rows[:n_row], rows[n_row], rows[n_row + 1], valid.reshape(n_row, n_chan)

    def close(self) -> None:
        """Let another search use the memory of this one."""
        spare(self._memory)
        self._maxima.close()

    def _noise(self, total: F4, share: F4 | None, shape: float) -> dict[int, float]:
        """Return the noise of the sum of all spectra for each width of boxcars."""
        noise = sum_noise(total, share, self._plan.all_widths, shape * self._plan.n_spectrum)
        return dict(zip(self._plan.all_widths, noise.tolist(), strict=True))

    def _rounds(self, y: F4, known: Known | None, noise: dict[int, float]
                ) -> tuple[list[Signal], bool]:
        """Take the strongest signals, remove their samples, and search again around them."""
        found: list[Signal] = []
        taken: list[Signal] = []
        dirty = [(0, y.shape[1])]
        self._refiner.measured(noise)
        for _ in range(_MOST_ROUNDS):
            peaks = [each for low, high in dirty
                     for each in self._peaks(*_without(y, known, taken, low, high), noise, low)]
            fresh, waiting = self._strongest(peaks, y, known, taken)
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
        """Return the separate pieces of the band that are to be searched again."""
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

    def _strongest(self, peaks: list[_Peak], y: F4, known: Known | None, taken: list[Signal]
                   ) -> tuple[list[Signal], list[tuple[int, int]]]:
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
            for cell in peak.cells.tolist():
                low, high = window_of(peak.octave, cell, y.shape[1])
                best = self._refiner.best(*_without(y, known, taken, low, high), peak.octave,
                                          cell - low / peak.octave.n_sum)
                if best is not None and best.snr >= self._threshold:
                    signals.append(replace(best, start=best.start + low))
                    blocked.append(signals[-1].span())
                    break
        return signals, waiting

    def _peaks(self, piece: F4, valid: Known | None, noise: dict[int, float], low: int
               ) -> Iterator[_Peak]:
        """Return the stretches of cells above the limit in a piece that begins at a channel."""
        for octave, cells, heights in self._maxima(piece, valid, noise):
            if not cells.size:
                continue
            first = low // octave.n_sum
            edges = [0, *(np.flatnonzero(np.diff(cells) > 2) + 1).tolist(), cells.size]
            for begin, end in pairwise(edges):
                yield _Peak.of(octave, heights[begin:end], cells[begin:end] + first)


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
    piece, valid = piece.copy(), np.ones(piece.shape, np.bool_)
    if known is not None:
        valid[:] = known.samples[:, low:high]
    for each in there:
        for row, first in enumerate(each.limits(len(piece)) - low):
            lost = slice(max(0, first - each.leak), max(0, first + each.width + each.leak))
            piece[row, lost] = valid[row, lost] = 0
    return piece, Known(valid)

