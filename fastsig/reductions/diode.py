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

from fastsig.calibration.beside import FAR, NEAR, Balance, balance, near_rows
from fastsig.calibration.cycle import DiodeCycle, classify, cycle_number
from fastsig.calibration.gain import DiodeModel, fit_diode
from fastsig.calibration.onoff import Difference, on_minus_off
from fastsig.calibration.solution import pairs_of
from fastsig.errors import DataError
from fastsig.scheduler import run
from fastsig.stream import Block, SpectrumStream

__all__ = ["Measured", "gain_of", "measure", "total_power"]

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


def gain_of(power: F8, weight: F8, step_s: Fraction, cycle: DiodeCycle, *, gain_s: float,
            guard: Fraction = Fraction(0), n_average: float = 1.0, path: str = "spectra"
            ) -> tuple[DiodeModel, Balance]:
    """The gain over time, from the series of `total_power`; its shape is that of sub-bands.

    Returns
    -------
    model : DiodeModel
        Of all cycles that were seen.
    balance : Balance
        How rows of the good ones count.

    Raises
    ------
    DataError
        Where no cycle has rows with the diode on and rows with it off.
    """
    rate, n = 1 / step_s, len(power)
    state = near_rows(rate, 0, n, cycle, guard)
    _check_states(state, cycle, step_s, path)
    number = cycle_number(rate, 0, n, cycle)
    present = np.asarray((weight > 0).any(axis=(1, 2)))
    counting = balance(state, number, present)
    found = on_minus_off(power, weight, np.where(state == 2, -1, state), number,
                         n_average=n_average)
    if (state == 2).any():
        far = on_minus_off(power, weight, np.choose(state, [-1, 1, 0], mode="clip"), number,
                           n_average=n_average)
        found = _combined(found, far)
    seen = (found.weight > 0).any(axis=(1, 2))
    usable = seen & counting.counts[found.number - counting.first]
    if not usable.any():
        raise DataError(path, "no cycle of the noise diode has spectra with it on, and spectra "
                        "with it off on both sides of these")
    difference, inverse = found.power[seen], found.weight[seen]
    inverse[~usable[seen]] = 0  # counts as bad
    inverse[_far_off(np.where(inverse > 0, difference, np.nan))] = 0
    model = fit_diode(difference, inverse, times_s=(found.rows[seen] + 0.5) * float(step_s),
                      chan_width_hz=1.0, smooth_hz=0.0, gain_s=gain_s, path=path)
    good = np.zeros(len(counting.counts), bool)
    good[found.number[seen][~model.bad] - counting.first] = True
    return model, counting.without(~good)


def _combined(near: Difference, far: Difference) -> Difference:
    """Differences from what both kinds of rows say; without that where a cycle lacks one."""
    with np.errstate(invalid="ignore", divide="ignore"):
        both = 1 / (NEAR**2 / near.weight + FAR**2 / far.weight)
    there = (near.weight > 0) & (far.weight > 0)
    return near._replace(power=np.where(there, NEAR * near.power + FAR * far.power, np.nan),
                         weight=np.where(there, both, 0.0))


def _far_off(power: F8) -> NDArray[np.bool_]:
    """Cycles that are no measure of the diode: a source went by, or interference came and went.

    Gains drift by a few per cent: what is 30 % and 5 robust sigmas off the median is none.
    """
    known = np.isfinite(power).any(axis=(1, 2))
    level = np.zeros(len(power))
    typical = np.nanmedian(power[known], axis=0)
    level[known] = np.nanmedian((power[known] / typical).reshape(known.sum(), -1), axis=1)
    sigma = 1.4826 * np.median(np.abs(level[known] - 1))
    return known & (np.abs(level - 1) > max(0.3, 5 * float(sigma)))


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
        Means of rows with the diode on, and what they would be without it, of those beside them.
    n_on, n_off : ndarray, shape (product, chan)
        Rows that they are as good as means of.
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


def measure(stream: SpectrumStream, cycle: DiodeCycle, counting: Balance, *,
            guard: Fraction = Fraction(0), workers: int = 1,
            progress: Callable[[int], Any] | None = None) -> Measured:
    """Spectra with the diode on and, beside these, with it off.

    Parameters
    ----------
    counting : Balance
        How rows count, of `gain_of`.
    """
    rate = stream.header.sample_rate
    total = np.zeros((10, *stream.shape[1:]))
    reach = int(cycle.period * rate) + 1

    def work(block: Block) -> F8:
        state = near_rows(rate, block.start, block.n, cycle, guard)
        factor = counting.of(state, cycle_number(rate, block.start, block.n, cycle))
        off = classify(rate, block.start, block.n, cycle, guard) == 0
        weight = np.broadcast_to(block.valid, block.data.shape)
        data = np.where(weight > 0, block.data, 0)
        parts = []
        for kind in (1, 0, 2):
            some = np.flatnonzero((state == kind) & (factor > 0))
            share = weight[some] * factor[some, np.newaxis, np.newaxis]
            parts += [(data[some] * share).sum(axis=0), share.sum(axis=0)]
        rows = np.flatnonzero(off)
        return np.stack([*parts, *_pairs(data[rows], weight[rows] > 0, rows, reach)])

    def use(part: F8) -> None:
        np.add(total, part, out=total)

    _each(stream, work, use, _pieces(stream), workers, progress)
    with np.errstate(invalid="ignore", divide="ignore"):
        on, near, far = (total[i] / total[i + 1] for i in (0, 2, 4))
        wide = total[5] > 0
        off = np.where(wide, NEAR * near + FAR * far, near)
        n_off = np.where(wide, 1 / (NEAR**2 / total[3] + FAR**2 / total[5]), total[3])
        level = total[8] / total[9]
        scatter = total[6] / (2 * total[7])
        return Measured(on, off, total[1], n_off, level, scatter)


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
