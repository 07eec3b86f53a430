"""Find and measure the noise diode in a scan, and make of it what calibrates the scan.

The scan is read twice: its total power tells when the diode is on; the spectra beside its edges
tell what it adds. Rows are taken in pieces whose length follows from the stream alone, so that the
result does not depend on workers or memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.cycle import DiodeCycle, DiodeMode, classify, cycle_number
from fastsig.calibration.diode import MODES, find_cycle
from fastsig.calibration.solution import pairs_of
from fastsig.errors import DataError
from fastsig.header import DiodeSchedule
from fastsig.scheduler import run
from fastsig.stream import Block, SpectrumStream

__all__ = ["Cycles", "find_diode", "measure", "total_power"]

F8 = NDArray[np.float64]

_PIECE_BYTES = 2**25
_MOST_NUMBERS = 2**24  # of a series of total power
_SUB_BANDS = 16


def _pieces(stream: SpectrumStream, step: int = 1) -> list[tuple[int, int]]:
    """First row and number of rows of pieces of the stream, multiples of `step` long."""
    rows = max(1, _PIECE_BYTES // max(1, stream.row_bytes * step)) * step
    return [(start, min(rows, stream.shape[0] - start))
            for start in range(0, stream.shape[0], rows)]


def _each(stream: SpectrumStream, work: Callable[[Block], Any], use: Callable[[Any], None],
          pieces: Sequence[tuple[int, int]], workers: int,
          progress: Callable[[int], Any] | None) -> None:
    """Do `work` on all pieces on threads, and `use` what comes of it, in order."""
    def consume(piece: tuple[int, int], result: Any) -> None:
        use(result)
        if progress is not None:
            progress(piece[1])

    run(pieces, lambda piece: work(stream.read_block(*piece)), consume, workers=workers,
        describe=lambda piece: f"rows {piece[0]} to {sum(piece)} of {stream.path}")


def total_power(stream: SpectrumStream, *, workers: int = 1,
                progress: Callable[[int], Any] | None = None) -> tuple[F8, F8, Fraction]:
    """Mean power over sub-bands of the powers of a stream.

    Returns
    -------
    power, weight : ndarray, shape (time, pol, sub-band), float64
        Of AA and BB, or of the one product; NaN where nothing is valid. Rows are means of several
        where there are very many.
    step_s : Fraction
        Length of a row, s.
    """
    pairs = pairs_of(stream.polarization.names, stream.path)
    powers = [index for index, (a, b) in enumerate(pairs) if a == b]
    n_row, _, n_chan = stream.shape
    bands = min(_SUB_BANDS, n_chan, max(1, _MOST_NUMBERS // (n_row * len(powers))))
    n_int = -(-n_row * len(powers) * bands // _MOST_NUMBERS)
    edges = np.arange(bands) * n_chan // bands
    found: list[tuple[F8, F8]] = []

    def work(block: Block) -> tuple[F8, F8]:
        weight = np.broadcast_to(block.valid, block.data.shape)[:, powers]
        values = np.where(weight > 0, block.data[:, powers], 0).astype(np.float64) * weight
        sums = [np.add.reduceat(part, edges, axis=2, dtype=np.float64)
                for part in (values, weight)]
        starts = np.arange(0, block.n, n_int)
        total, weights = (np.add.reduceat(part, starts, axis=0) for part in sums)
        return total, weights

    _each(stream, work, found.append, _pieces(stream, n_int), workers, progress)
    total, weight = (np.concatenate(parts) for parts in zip(*found, strict=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        power = total / weight
    whole = np.diff([*edges, n_chan]) * n_int
    return power, weight / whole, n_int / stream.header.sample_rate


def find_diode(stream: SpectrumStream, schedule: DiodeSchedule | None = None, *,
               modes: Sequence[DiodeMode] = MODES, workers: int = 1,
               progress: Callable[[int], Any] | None = None) -> DiodeCycle:
    """When the diode is on, from the data, held against the user's schedule or the header's.

    Raises
    ------
    DataError
        Where there is no diode, it is on all the time, or not as `schedule` says.
    """
    power, weight, step = total_power(stream, workers=workers, progress=progress)
    hint = stream.header.diode if schedule is None else schedule
    return find_cycle(power, weight, step_s=step, hint=hint,
                      hint_from="header" if schedule is None else "user", modes=modes,
                      path=stream.path)


@dataclass(frozen=True)
class Cycles:
    """What the diode adds, cycle by cycle, in groups of channels.

    Parameters
    ----------
    times_s : ndarray, shape (cycle,)
        Middle of the on-times, s from the start of row 0.
    on, off : ndarray, shape (cycle, product, group)
        Mean powers of rows with the diode on, and of those beside them with it off.
    n_on, n_off : ndarray, shape (cycle, product, group)
        Rows that these are means of.
    width : int
        Channels of a group; the last may have fewer.
    scatter : ndarray, shape (product, chan)
        Variance of a row with the diode off about its neighbours, over the square of its mean.
    level : ndarray, shape (product, chan)
        Mean power of rows with the diode off.
    """

    times_s: F8
    on: F8
    off: F8
    n_on: F8
    n_off: F8
    width: int
    scatter: F8
    level: F8


class _Sums:
    """Sums over rows of one kind, cycle by cycle."""

    def __init__(self, n_cycle: int, shape: tuple[int, int]) -> None:
        self.total, self.count = np.zeros((n_cycle, *shape)), np.zeros((n_cycle, *shape))

    def add(self, cycles: NDArray[np.int64], values: F8, weights: F8) -> None:
        """Add rows whose cycles ascend."""
        if len(cycles):
            starts = np.flatnonzero(np.diff(cycles, prepend=cycles[0] - 1))
            self.total[cycles[starts]] += np.add.reduceat(values, starts, axis=0)
            self.count[cycles[starts]] += np.add.reduceat(weights, starts, axis=0)

    def mean(self) -> F8:
        """Means; NaN where there is none."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.total / self.count)


class _Measuring:
    """Takes pieces of a stream and adds up what `Cycles` tells."""

    def __init__(self, stream: SpectrumStream, cycle: DiodeCycle, width: int, side_s: Fraction,
                 guard: Fraction) -> None:
        self.stream, self.cycle, self.guard = stream, cycle, guard
        side = min(side_s, (cycle.period - cycle.on) / 2)
        #: On-times with what is looked at beside them.
        wide = DiodeCycle(cycle.period, cycle.on + 2 * side, cycle.phase - side) if (
            side < (cycle.period - cycle.on) / 2) else None
        self.wide = wide
        rate, n_row = stream.header.sample_rate, stream.shape[0]
        ends = [int(cycle_number(rate, row, 1, cycle)[0]) for row in (0, n_row - 1)]
        self.first, n_cycle = ends[0], ends[1] - ends[0] + 1
        self.edges = np.arange(0, stream.shape[2], width)
        shape = (stream.shape[1], len(self.edges))
        self.on, self.off = _Sums(n_cycle, shape), _Sums(n_cycle, shape)
        self.square = np.zeros((4, *stream.shape[1:]))

    def work(self, block: Block) -> tuple[Any, ...]:
        """Sums of a piece, per row in groups of channels, and its scatter."""
        rate = self.stream.header.sample_rate
        state = classify(rate, block.start, block.n, self.cycle, self.guard)
        number = cycle_number(rate, block.start, block.n, self.cycle) - self.first
        near = state == 0
        if self.wide is not None:
            near &= classify(rate, block.start, block.n, self.wide) == 1
        kept = (state == 1) | near
        weight = np.broadcast_to(block.valid, block.data.shape)
        lit = state[kept] == 1
        values, weights = self._grouped(block.data[kept], weight[kept])
        return number[kept], lit, values, weights, self._scatter(block, weight, state)

    def _grouped(self, data: Any, weight: Any) -> tuple[F8, F8]:
        good = weight > 0
        total = np.where(good, data, 0).astype(np.float64) * weight
        return (np.add.reduceat(total, self.edges, axis=2),
                np.add.reduceat(weight, self.edges, axis=2, dtype=np.float64))

    def _scatter(self, block: Block, weight: Any, state: NDArray[np.int8]) -> F8:
        """Sums over pairs of neighbouring off rows: differences squared, count; powers, count."""
        off = (state == 0)[:, np.newaxis, np.newaxis] & (weight > 0)
        data = np.where(off, block.data, 0).astype(np.float64)
        both = off[1:] & off[:-1]
        return np.stack([(np.diff(data, axis=0) ** 2 * both).sum(axis=0), both.sum(axis=0),
                         data.sum(axis=0), off.sum(axis=0)])

    def use(self, found: tuple[Any, ...]) -> None:
        """Add the sums of a piece to those of all before it."""
        number, lit, values, weights, square = found
        self.on.add(number[lit], values[lit], weights[lit])
        self.off.add(number[~lit], values[~lit], weights[~lit])
        self.square += square

    def result(self, width: int) -> Cycles:
        """All of it, of cycles with both kinds of rows."""
        seen = (self.on.count > 0).any(axis=(1, 2)) & (self.off.count > 0).any(axis=(1, 2))
        if not seen.any():
            raise DataError(self.stream.path, "no cycle of the noise diode has rows with it on and "
                            "rows with it off beside these")
        index = np.flatnonzero(seen)
        start = self.cycle.phase + self.cycle.on / 2
        times = float(start) + (index + self.first) * float(self.cycle.period)
        differences, pairs, powers, rows = self.square
        with np.errstate(invalid="ignore", divide="ignore"):
            level = powers / rows
            scatter = differences / (2 * pairs) / level**2
        return Cycles(times, self.on.mean()[seen], self.off.mean()[seen], self.on.count[seen],
                      self.off.count[seen], width, scatter, level)


def measure(stream: SpectrumStream, cycle: DiodeCycle, *, width: int = 1,
            side: Fraction | None = None, guard: Fraction = Fraction(0), workers: int = 1,
            progress: Callable[[int], Any] | None = None) -> Cycles:
    """Powers with the diode on and, beside these, with it off.

    Rows with it off count that lie within `side` (one on-time by default) of an on-time, on both
    its sides alike: what drifts evenly through a cycle cancels, and what passes through the beam
    between cycles has no part in it.

    Raises
    ------
    DataError
        Where no cycle has rows of both kinds.
    """
    rows = 1 / stream.header.sample_rate
    beside = max(cycle.on, rows) if side is None else side
    job = _Measuring(stream, cycle, width, beside, guard)
    _each(stream, job.work, job.use, _pieces(stream), workers, progress)
    return job.result(width)


