"""``python -m bench accuracy``: S/N and times of dispersed pulses, compared with brute force.

Pulses are injected at many dispersion measures and widths, into spectra without noise, in which the
noise of any sum is known (`bench.injections`), and in trials with noise. Everything is computed by
the stages as in a pass: `dedisperse` with `to_series`, and `integrate` with `planes` for the plan
of `dm_plan`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import fastsig as fs
from bench import machine
from bench.dispersion_trials import trial_table, trials
from bench.injections import Band, Injected, Losses, Pulse, best_boxcar, brute_force, centroid
from fastsig.pulsar.plan import DMPlan
from fastsig.pulsar.stretches import Recording, Stretch
from fastsig.run.fusing import fuse

DMS = (0, 10, 50, 100, 200, 300, 600, 1000, 2000, 3000)
WIDTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 5e-2)
#: Bounds: S/N of one measure and of trees (for pulses below 6 spectra and above), and times in
#: samples.
SINGLE, NARROW, WIDE, LATE = 0.02, 0.06, 0.02, 0.5
#: Spectra that a tree sums, downsampled as in its stretch: 0.3 ms for FAST, times the downsampling.
_WIDE = 6
_PHASES, _MANY_S = 4, 3e-3  # positions within a sample, for pulses up to this width
_AROUND = 2  # dispersion measures on each side of the nearest one that are searched
_BLOCK = 2048
_MARGIN = 64
_LONGEST = 20  # spectra that are lost together: few narrow pulses are lost as a whole


@dataclass(frozen=True)
class Cell:
    """Ratios of S/N to those of brute force, for pulses of one width and dispersion measure.

    Parameters
    ----------
    dm, width_s : float
    n_sample : float
        Width in spectra as recorded.
    downsampling : int
        Of the stretch of the plan.
    masked : bool
        Whether 20 % of the channels and 10 % of the time are lost.
    single : float
        One dispersion measure, at the rate of the recording.
    tree : float
        A tree, to brute force with downsampled spectra.
    plan, stated : float
        The best measure of the plan for a pulse halfway between two, to brute force with its own
        measure and spectra as recorded; and the least that the plan states.
    late : (float, float), optional
        Largest errors of the time at the highest channel, in samples summed, of one measure and of
        a tree; None with losses, which move the mean time of a pulse.
    """

    dm: float
    width_s: float
    n_sample: float
    downsampling: int
    masked: bool
    single: float
    tree: float
    plan: float
    stated: float
    late: tuple[float, float] | None

    @property
    def faults(self) -> list[str]:
        """What is out of bounds."""
        least = NARROW if self.n_sample < _WIDE * self.downsampling else WIDE
        bounds = {"single": abs(self.single - 1) <= SINGLE, "tree": abs(self.tree - 1) <= least,
                  "plan": self.plan >= self.stated - (SINGLE if self.masked else 0),
                  "late": self.late is None or max(self.late) <= LATE}
        return [name for name, is_kept in bounds.items() if not is_kept]


def run(*, quick: bool, keep: bool) -> dict[str, Any]:
    """Measure all cells and the trials, print them in Markdown, and save the record."""
    record = machine.start_record(quick=quick, pattern=None, repeats=1, kind="accuracy")
    print(machine.headline(record))
    band, dms, widths, n_trial = (Band(128, 32 * 49.152e-6), (0, 100, 900), (2e-3, 5e-2), 40) \
        if quick else (Band(), DMS, WIDTHS, 1000)
    found = []
    for each in cells(band, dms, widths):
        found.append(each)
        print(each, file=sys.stderr, flush=True)
    tried = trials(band, 100.0, 20 * band.sample_s, n_trial)
    print("\n".join(table(found)), "\n".join(trial_table(tried)), sep="\n\n")
    if keep:
        made = [{**asdict(each), "faults": each.faults} for each in found]
        made += [asdict(each) for each in tried]
        print(f"wrote {machine.save(record, made)}", file=sys.stderr)
    return {"cells": found, "trials": tried}


def cells(band: Band, dms: Iterable[float], widths: Sequence[float]) -> Iterator[Cell]:
    """Yield the cells of each dispersion measure, without and with losses."""
    recording = Recording.of_band(f"{band.low_mhz!r}MHz", f"{band.width_mhz!r}MHz", band.n_chan,
                                  f"{band.sample_s!r}s")
    plan = fs.dm_plan(recording, (0, max(dms)))
    for dm in dms:
        scene = _Scene(band, plan, dm, widths)
        for masked in (False, True):
            yield from scene.cells(masked=masked)


class _Scene:
    """Pulses at a dispersion measure of a plan and halfway to the next one, in one recording."""

    def __init__(self, band: Band, plan: DMPlan, dm: float, widths: Sequence[float]) -> None:
        self._band, self._plan, self._widths = band, plan, widths
        self._stretch = next(each for each in plan if dm <= each.high + each.step / 2)
        self._row = int(np.abs(self._stretch.dms - dm).argmin())
        self._dm = float(self._stretch.dms[self._row])
        self._on, self._off, at = {}, {}, float(_MARGIN * self._sum)
        # Between two measures of the plan: below the last one.
        half = self._stretch.step / 2
        half = half if self._dm + half <= plan.dms[1] else -half
        for width in widths:
            for made, off in ((self._on, 0.0), (self._off, half)):
                made[width], at = self._pulses(self._dm + off, width, at)
        longest = band.delays(max(self._stretch.high, self._dm + self._stretch.step))[0]
        self._n_row = int(at) // self._sum + 1
        self._n = int(at + longest) + 2 * _MARGIN * self._sum

    @property
    def _sum(self) -> int:
        return self._stretch.downsampling

    def _pulses(self, dm: float, width: float, at: float) -> tuple[list[Pulse], float]:
        """Return pulses at positions within a downsampled spectrum, and what follows them."""
        made, n = [], _PHASES if width <= _MANY_S else 1
        for phase in range(n):
            reach = Pulse(dm, 0, width).reach(self._band) + 8 * self._sum
            begin = np.ceil((at + reach) / self._sum) * self._sum
            made.append(Pulse(dm, begin + (phase + 0.5) / n * self._sum, width))
            at = begin + reach
        return made, at

    def cells(self, *, masked: bool) -> Iterator[Cell]:
        """Yield a cell for each width."""
        pulses = [each for made in (self._on, self._off) for all_of in made.values()
                  for each in all_of]
        losses = (Losses.random(self._band, self._n, 1, _LONGEST) if masked
                  else Losses.none(self._band, self._n))
        chain = fs.Chain(Injected(self._band, pulses, losses))
        plane = _plane(chain, self._stretch, self._row, self._n_row)
        series = _read(chain.dedisperse(self._dm).to_series(), self._n_row * self._sum, slice(None))
        for width in self._widths:
            on, off = self._on[width], self._off[width]
            late = None if masked else tuple(
                max(self._late(each, sums, n) for each in on)
                for sums, n in ((series, 1), (plane, self._sum)))
            yield Cell(self._dm, width, width / self._band.sample_s, self._sum, masked,
                       *self._ratios(on, off, series, plane, losses),
                       self._plan.smears(self._dm, width).kept, late)

    def _ratios(self, on: list[Pulse], off: list[Pulse], series: _Sums, plane: _Sums,
                losses: Losses) -> tuple[float, float, float]:
        band, n = self._band, self._sum
        full, coarse, between = ([brute_force(band, each, k, losses) for each in pulses]
                                 for pulses, k in ((on, 1), (on, n), (off, 1)))
        return (_ratio([series.snr(*_span(each)) for each in full], full),
                _ratio([plane.of(plane.middle).snr(*_span(each)) for each in coarse], coarse),
                _ratio([max(plane.of(k).snr(*_rows(band, each, n)) for k in plane.columns)
                        for each in off], between))

    def _late(self, pulse: Pulse, sums: _Sums, n_sum: int) -> float:
        start, n = _rows(self._band, pulse, n_sum)
        found = sums.signal[start : start + n, sums.middle]
        return float(abs(start + centroid(found) - pulse.at / n_sum))


def _rows(band: Band, pulse: Pulse, n_sum: int) -> tuple[int, int]:
    """Return the first row that a pulse may reach in a tree, and the number of rows."""
    reach = -(-pulse.reach(band) // n_sum) + 7
    return int(pulse.at // n_sum) - reach, 2 * reach + 1


def _span(found: tuple[int, np.ndarray, np.ndarray]) -> tuple[int, int]:
    return found[0], len(found[1])


def _ratio(found: list[float], truth: list[tuple[int, np.ndarray, np.ndarray]]) -> float:
    return float(np.mean(found) / np.mean([best_boxcar(*each[1:]) for each in truth]))


@dataclass(frozen=True)
class _Sums:
    """Sums of the valid samples, and their number, (row, dispersion measure)."""

    signal: np.ndarray
    count: np.ndarray
    middle: int = 0

    @property
    def columns(self) -> range:
        return range(self.signal.shape[1])

    def of(self, column: int) -> _Sums:
        """Return one dispersion measure."""
        return _Sums(self.signal[:, [column]], self.count[:, [column]])

    def snr(self, start: int, n: int) -> float:
        """Return the best S/N of some rows of the first measure."""
        rows = slice(start, start + n)
        return best_boxcar(self.signal[rows, 0], self.count[rows, 0])


def _plane(chain: Any, stretch: Stretch, row: int, n_row: int) -> _Sums:
    """Return the measures of a stretch around one of them."""
    n = stretch.downsampling
    summed = chain if n == 1 else chain.integrate(n_int=n, last="drop")
    around = slice(max(0, row - _AROUND), row + _AROUND + 1)
    found = _read(summed.planes(stretch), n_row, around, n)
    return _Sums(found.signal, found.count, row - around.start)


def _read(chain: Any, n_row: int, columns: slice, n_sum: int = 1) -> _Sums:
    """Read rows in order, as a pass does, and return sums instead of means."""
    stream = fuse(chain.stream)
    n_chan = n_sum * int(stream.header.extra["channels"])
    signal, count = [], []
    for start in range(0, n_row, _BLOCK):
        block = stream.read_block(start, min(_BLOCK, n_row - start))
        weight = np.broadcast_to(block.valid, block.data.shape)[:, 0, columns].astype(np.float64)
        count.append(weight * n_chan)
        signal.append(np.where(weight > 0, block.data[:, 0, columns], 0) * count[-1])
    return _Sums(np.concatenate(signal), np.concatenate(count))


def table(found: Iterable[Cell]) -> list[str]:
    """Return the cells as a table in Markdown."""
    head = ("DM", "width (ms)", "down", "losses", "one DM", "tree", "plan", "stated",
            "late, one DM / tree", "out of bounds")
    rows = [[f"{each.dm:g}", f"{1e3 * each.width_s:g}", str(each.downsampling),
             "20 %, 10 %" if each.masked else "", f"{each.single:.4f}", f"{each.tree:.4f}",
             f"{each.plan:.4f}", f"{each.stated:.4f}",
             " / ".join(f"{late:.3f}" for late in each.late or ()), ", ".join(each.faults)]
            for each in found]
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
