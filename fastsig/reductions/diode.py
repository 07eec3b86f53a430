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

from fastsig.calibration.cycle import DiodeCycle, classify, cycle_number
from fastsig.calibration.gain import DiodeModel, fit_diode
from fastsig.calibration.onoff import on_minus_off
from fastsig.calibration.solution import pairs_of
from fastsig.errors import DataError
from fastsig.scheduler import run
from fastsig.stream import Block, SpectrumStream

__all__ = ["Measured", "gain_of", "measure", "near_rows", "total_power"]

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


def near_rows(rate: Fraction, start: int, n: int, cycle: DiodeCycle, guard: Fraction
              ) -> NDArray[np.int8]:
    """States of rows: 1 on, 0 off within an on-time of one with the diode on, else -1.

    Rows with it off lie on both sides of an on-time alike: what drifts evenly cancels, and what
    passes through the beam between on-times has no part in it.
    """
    state = classify(rate, start, n, cycle, guard)
    side = max(cycle.on, 1 / rate) + guard
    if cycle.on + 2 * side < cycle.period:
        wide = DiodeCycle(cycle.period, cycle.on + 2 * side, cycle.phase - side)
        state[(state == 0) & (classify(rate, start, n, wide) != 1)] = -1
    return state


def gain_of(power: F8, weight: F8, step_s: Fraction, cycle: DiodeCycle, *, gain_s: float,
            guard: Fraction = Fraction(0), n_average: float = 1.0, path: str = "spectra"
            ) -> DiodeModel:
    """The gain over time, from the series of `total_power`; its shape is that of sub-bands.

    Raises
    ------
    DataError
        Where no cycle has rows with the diode on and rows with it off.
    """
    rate, n = 1 / step_s, len(power)
    state = near_rows(rate, 0, n, cycle, guard)
    _check_states(state, cycle, step_s, path)
    number = cycle_number(rate, 0, n, cycle)
    found = on_minus_off(power, weight, state, number, n_average=n_average)
    seen = (found.weight > 0).any(axis=(1, 2))
    if not seen.any():
        raise DataError(path, "no cycle of the noise diode has rows with it on and rows with it "
                        "off beside these")
    times = (found.rows[seen] + 0.5) * float(step_s)
    return fit_diode(found.power[seen], found.weight[seen], times_s=times, chan_width_hz=1.0,
                     smooth_hz=0.0, gain_s=gain_s, path=path)


def _check_states(state: NDArray[np.int8], cycle: DiodeCycle, step_s: Fraction, path: str) -> None:
    for kind, name in ((1, "on"), (0, "off")):
        if not (state == kind).any():
            raise DataError(path, f"no spectrum has the diode {name} throughout: one takes "
                            f"{float(step_s):.9g} s, the diode has {cycle}; its edges fall into "
                            "all that would")


@dataclass(frozen=True)
class Measured:
    """Powers with the diode on and off, over all good cycles.

    Parameters
    ----------
    on, off : ndarray, shape (product, chan)
        Means of rows with the diode on, and of those beside them with it off.
    n_on, n_off : ndarray, shape (product, chan)
        Sums of their weights.
    level : ndarray, shape (product, chan)
        Mean of all rows with the diode off.
    scatter : ndarray, shape (product, chan)
        Variance of a row with the diode off, from differences of neighbours, over the square of
        its power.
    """

    on: F8
    off: F8
    n_on: F8
    n_off: F8
    level: F8
    scatter: F8


def measure(stream: SpectrumStream, cycle: DiodeCycle, bad: Sequence[int] = (), *,
            guard: Fraction = Fraction(0), workers: int = 1,
            progress: Callable[[int], Any] | None = None) -> Measured:
    """Spectra with the diode on and, beside these, with it off.

    Parameters
    ----------
    bad : sequence of int
        Numbers of cycles to leave out, as of `cycle_number`.
    """
    rate = stream.header.sample_rate
    total = np.zeros((8, *stream.shape[1:]))
    reach = int(cycle.period * rate) + 1

    def work(block: Block) -> F8:
        state = near_rows(rate, block.start, block.n, cycle, guard)
        if len(bad):
            number = cycle_number(rate, block.start, block.n, cycle)
            state[np.isin(number, bad)] = -1
        off = classify(rate, block.start, block.n, cycle, guard) == 0
        weight = np.broadcast_to(block.valid, block.data.shape)
        data = np.where(weight > 0, block.data, 0)
        parts = []
        for rows in (state == 1, state == 0):
            parts += [(data[rows] * weight[rows]).sum(axis=0, dtype=np.float64),
                      weight[rows].sum(axis=0, dtype=np.float64)]
        rows = np.flatnonzero(off)
        return np.stack([*parts, *_pairs(data[rows], weight[rows] > 0, rows, reach)])

    def use(part: F8) -> None:
        np.add(total, part, out=total)

    _each(stream, work, use, _pieces(stream), workers, progress)
    with np.errstate(invalid="ignore", divide="ignore"):
        level = total[6] / total[7]
        scatter = total[4] / (2 * total[5])
        return Measured(total[0] / total[1], total[2] / total[3], total[1], total[3], level,
                        scatter)


def _pairs(data: Any, good: NDArray[np.bool_], rows: NDArray[np.int64], reach: int) -> list[F8]:
    """Of good rows at most `reach` apart: squared second differences, and products; and values.

    A difference of rows is one of neighbouring channels as well: a source that passes, or a gain
    that drifts, has no part in it. The last channel has that of the one before it.
    """
    both = good[1:] & good[:-1] & (np.diff(rows) <= reach)[:, np.newaxis, np.newaxis]
    step, share = np.diff(data, axis=0), 1.0
    if data.shape[2] > 1:
        step, share = _beside(np.diff(step, axis=2)), 0.5
        both = _beside(both[:, :, 1:] & both[:, :, :-1])
    square = np.where(both, step, 0).astype(np.float64) ** 2
    product = np.where(both, data[1:], 0).astype(np.float64) * data[:-1]
    return [share * square.sum(axis=0), product.sum(axis=0),
            np.where(good, data, 0).sum(axis=0, dtype=np.float64),
            good.sum(axis=0, dtype=np.float64)]


def _beside(values: NDArray[Any]) -> NDArray[Any]:
    """The last channel once more."""
    return np.concatenate([values, values[:, :, -1:]], axis=2)
