"""Find and measure the noise diode in a scan, and derive the gain from it.

Two sinks process the scan in two passes. The total power shows when the diode is on; the spectra
beside its edges show the power that it adds. Rows are summed in pieces whose length depends only
on the stream, so the result does not depend on workers or memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.diode.cycle import DiodeCycle, classify, cycle_number
from fastsig.calibration.diode.gain import DiodeModel, fit_diode
from fastsig.calibration.diode.on_off import Difference, on_minus_off
from fastsig.calibration.diode.rows_beside import FAR, NEAR, Balance, balance, near_rows
from fastsig.calibration.diode.solution import pairs_of
from fastsig.errors import DataError
from fastsig.stream import Block, Sink, SpectrumStream
from fastsig.work.shown import Shown

__all__ = ["DiodeSpectra", "DiodePowers", "TotalPower", "gain_of"]

F8 = NDArray[np.float64]

_PIECE_BYTES = 2**25
_MOST_NUMBERS = 2**24  # in a series of total power
_SUB_BANDS = 16


def _piece(stream: SpectrumStream, step: int = 1) -> int:
    """Return the number of rows summed together; it depends only on the stream, so sums do too."""
    return max(1, _PIECE_BYTES // max(1, stream.row_bytes * step)) * step


class TotalPower(Sink):
    """Mean power in sub-bands for each row of a stream.

    If there are very many rows, each row of the product is the mean of several.

    Parameters
    ----------
    stream : SpectrumStream
        AA and BB, with or without CR and CI; or AA or I alone.

    Raises
    ------
    PlanError
        If the stream has other products.
    """

    name = "find the diode"

    def __init__(self, stream: SpectrumStream) -> None:
        super().__init__(stream)
        pairs = pairs_of(stream.polarization.names, stream.path)
        self._powers = [index for index, (a, b) in enumerate(pairs) if a == b]
        n_row, _, n_chan = stream.shape
        n_power = len(self._powers)
        bands = min(_SUB_BANDS, n_chan, max(1, _MOST_NUMBERS // max(1, n_row * n_power)))
        self._n_int = max(1, -(-n_row * n_power * bands // _MOST_NUMBERS))
        self._edges = np.arange(bands) * n_chan // bands
        self._n_chan, self.segment = n_chan, _piece(stream, self._n_int)
        self._parts: list[tuple[F8, F8]] = []

    @property
    def held_bytes(self) -> int:  # type: ignore[override]
        """Memory for the series and for computing one of its pieces."""
        return 3 * self.part_bytes(self.stream.shape[0])

    def work_bytes(self, n: int) -> int:
        """Memory for a piece as float64, with its weights and products."""
        return 32 * min(n, int(self.segment or n)) * len(self._powers) * self._n_chan

    def part_bytes(self, n: int) -> int:
        """Memory for sums and weights."""
        return 16 * -(-n // self._n_int) * len(self._powers) * len(self._edges)

    def partial(self, block: Block) -> tuple[F8, F8]:
        """Sum values and weights over sub-bands and over groups of rows."""
        weight = np.broadcast_to(block.valid, block.data.shape)[:, self._powers]
        values = np.where(weight > 0, block.data[:, self._powers], 0).astype(np.float64) * weight
        sums = [np.add.reduceat(part, self._edges, axis=2, dtype=np.float64)
                for part in (values, weight)]
        starts = np.arange(0, block.n, self._n_int)
        total, weights = (np.add.reduceat(part, starts, axis=0) for part in sums)
        return total, weights

    def merge(self, part: tuple[F8, F8]) -> None:
        """Append the sums of the next rows."""
        self._parts.append(part)

    def finish(self, n_rows: int) -> tuple[F8, F8, Fraction]:
        """Return power and weight, (time, pol, sub-band), and the time of a row, s.

        The power is NaN where nothing is valid.
        """
        total, weight = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        with np.errstate(invalid="ignore", divide="ignore"):
            power = total / weight
        whole = np.diff([*self._edges, self._n_chan]) * self._n_int
        return power, weight / whole, self._n_int / self.stream.header.sample_rate


def gain_of(power: F8, weight: F8, step_s: Fraction, cycle: DiodeCycle, *, gain_s: float,
            guard: Fraction = Fraction(0), n_average: float = 1.0, path: str = "spectra"
            ) -> tuple[DiodeModel, Balance]:
    """Fit the gain over time to the series of `TotalPower`, with one value per sub-band.

    Returns
    -------
    model : DiodeModel
        The model of all cycles that were seen.
    balance : Balance
        The factors by which rows of the good cycles count.

    Raises
    ------
    DataError
        If no cycle has rows with the diode on and rows with it off.
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
        raise DataError(path, "no cycle of the noise diode has spectra with the diode on, and "
                        "spectra with it off both before and after these")
    difference, inverse = found.power[seen], found.weight[seen]
    inverse[~usable[seen]] = 0  # marks the cycle as bad
    inverse[_far_off(np.where(inverse > 0, difference, np.nan))] = 0
    model = fit_diode(difference, inverse, times_s=(found.rows[seen] + 0.5) * float(step_s),
                      chan_width_hz=1.0, smooth_hz=0.0, gain_s=gain_s, path=path)
    good = np.zeros(len(counting.counts), bool)
    good[found.number[seen][~model.bad] - counting.first] = True
    return model, counting.without(~good)


def _combined(near: Difference, far: Difference) -> Difference:
    """Combine the differences of both kinds of rows; a cycle that lacks one kind is dropped."""
    with np.errstate(invalid="ignore", divide="ignore"):
        both = 1 / (NEAR**2 / near.weight + FAR**2 / far.weight)
    there = (near.weight > 0) & (far.weight > 0)
    return near._replace(power=np.where(there, NEAR * near.power + FAR * far.power, np.nan),
                         weight=np.where(there, both, 0.0))


def _far_off(power: F8) -> NDArray[np.bool_]:
    """Return the cycles that do not measure the diode, for example if a source passed by.

    Interference has the same effect. Gains drift by only a few per cent, so a cycle that is both
    30 % and 5 robust sigmas away from the median is rejected.
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
            raise DataError(path, f"no spectrum has the diode {name} throughout: a spectrum takes "
                            f"{float(step_s):.9g} s, and the diode has {cycle}, so that every "
                            "spectrum contains an edge")


@dataclass(frozen=True, repr=False)
class DiodePowers(Shown):
    """Powers with the diode on and off, averaged over all good cycles.

    Parameters
    ----------
    on, off : ndarray, shape (product, chan)
        Means of rows with the diode on, and the means that these rows would have without the
        diode, estimated from the rows beside them.
    n_on, n_off : ndarray, shape (product, chan)
        Effective numbers of rows in these means.
    level : ndarray, shape (product, chan)
        Mean of all rows with the diode off.
    scatter : ndarray, shape (product, chan)
        Variance of a row with the diode off, from differences of neighbours, divided by the square
        of its power.
    """

    on: F8
    off: F8
    n_on: F8
    n_off: F8
    level: F8
    scatter: F8


class DiodeSpectra(Sink):
    """A sink that averages spectra with the diode on, and off beside them, to `DiodePowers`.

    Parameters
    ----------
    stream : SpectrumStream
    cycle : DiodeCycle
        Times at which the diode is on.
    counting : Balance
        Factors by which rows count, from `gain_of`.
    guard : Fraction, s
        Largest error of the times of the diode's edges.
    """

    name = "measure the diode"

    def __init__(self, stream: SpectrumStream, cycle: DiodeCycle, counting: Balance, *,
                 guard: Fraction = Fraction(0)) -> None:
        super().__init__(stream)
        self._cycle, self._counting, self._guard = cycle, counting, guard
        self._rate, self.segment = stream.header.sample_rate, _piece(stream)
        self._reach = int(cycle.period * self._rate) + 1
        self._total = np.zeros((10, *stream.shape[1:]))

    @property
    def held_bytes(self) -> int:  # type: ignore[override]
        """Memory for the sums."""
        return self._total.nbytes

    def work_bytes(self, n: int) -> int:
        """Memory for a piece with its weights, differences and squares."""
        return 48 * min(n, int(self.segment or n)) * int(self._total[0].size)

    def part_bytes(self, n: int) -> int:
        """Memory for the sums of a piece."""
        return int(self._total.nbytes) * -(-n // int(self.segment or n))

    def partial(self, block: Block) -> F8:
        """Sum the rows with the diode on, off beside these, and off farther away.

        The sums for their scatter follow.
        """
        when = self._rate, block.start, block.n, self._cycle
        state = near_rows(*when, self._guard)
        factor = self._counting.of(state, cycle_number(*when))
        weight = np.broadcast_to(block.valid, block.data.shape)
        data = np.where(weight > 0, block.data, 0)
        parts = []
        for kind in (1, 0, 2):
            some = np.flatnonzero((state == kind) & (factor > 0))
            share = weight[some] * factor[some, np.newaxis, np.newaxis]
            parts += [(data[some] * share).sum(axis=0), share.sum(axis=0)]
        rows = np.flatnonzero(classify(*when, self._guard) == 0)
        return np.stack([*parts, *_pairs(data[rows], weight[rows] > 0, rows, self._reach)])

    def merge(self, part: F8) -> None:
        """Add the sums of the next piece."""
        np.add(self._total, part, out=self._total)

    def finish(self, n_rows: int) -> DiodePowers:
        """Return the means over all pieces."""
        total = self._total
        with np.errstate(invalid="ignore", divide="ignore"):
            on, near, far = (total[i] / total[i + 1] for i in (0, 2, 4))
            wide = total[5] > 0
            off = np.where(wide, NEAR * near + FAR * far, near)
            n_off = np.where(wide, 1 / (NEAR**2 / total[3] + FAR**2 / total[5]), total[3])
            level = total[8] / total[9]
            scatter = total[6] / (2 * total[7])
            return DiodePowers(on, off, total[1], n_off, level, scatter)


def _pairs(data: Any, good: NDArray[np.bool_], rows: NDArray[np.int64], reach: int) -> list[F8]:
    """Sum squared second differences and products of good rows at most `reach` apart, and values.

    A second difference is taken both between rows and between neighbouring channels, so a passing
    source or a drifting gain does not contribute. The last channel repeats the difference of the
    channel before it.
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
    """Append the last channel once more."""
    return np.concatenate([values, values[:, :, -1:]], axis=2)
