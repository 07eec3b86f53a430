"""Reduction of spectra on and off a source, in streams that do not record when the telescope moves.

FAST's ON-OFF files do not record which rows are on the source, so a schedule is needed. Rows that
are only partly on the source, or that lie within the time that the telescope needs to move, count
as neither on nor off. The same applies to rows in which the noise diode is switched.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.gain_noise import differenced
from fastsig.axes.time import iso
from fastsig.axes.units import exact, kelvins
from fastsig.calibration import switching
from fastsig.calibration.diode.cycle import scheduled
from fastsig.errors import DataError, FastsigWarning, FormatError, PlanError, UsageError, users_line
from fastsig.reductions.switching.spectrum import Spectrum
from fastsig.run.engine import run
from fastsig.stream import Block, Sink, SpectrumStream, Stream, stream_of

__all__ = ["Schedule", "on_off"]

_POWERS = ("AA", "BB", "I", "RR", "LL")
_BLOCK_BYTES = 2**24
_SLACK = Fraction(1, 10**6)  # of a row


@dataclass(frozen=True)
class Schedule:
    """Times at which the telescope is on the source, in s after the start of the stream.

    The telescope is on the source from ``first + k period`` (k = 0, 1, ...) for the time `on`, and
    then off it. The first `settle` seconds of both phases are left out.
    """

    period: Fraction
    on: Fraction
    first: Fraction = Fraction(0)
    settle: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        if not 0 < self.on < self.period:
            raise UsageError(f"on = {float(self.on):g} s; allowed: above 0 and below the period of "
                             f"{float(self.period):g} s")
        if not 0 <= self.settle < min(self.on, self.period - self.on):
            raise UsageError(f"settle = {float(self.settle):g} s; allowed: from 0 and below the "
                             f"time on ({float(self.on):g} s) and off the source "
                             f"({float(self.period - self.on):g} s)")

    def rows(self, cycle: int, rate: Fraction) -> tuple[range, range]:
        """Return the rows of a cycle that are entirely on the source, and those entirely off it."""
        begin = self.first + cycle * self.period
        return (_inside(begin + self.settle, begin + self.on, rate),
                _inside(begin + self.on + self.settle, begin + self.period, rate))


def _inside(start: Fraction, stop: Fraction, rate: Fraction) -> range:
    """Return the rows that begin and end within a span of time."""
    return range(-int(-(start * rate - _SLACK) // 1), int((stop * rate + _SLACK) // 1))


class _State(NamedTuple):
    """Mean powers of one phase and state of the diode, (product, chan), and their time.

    The time is the median over channels, (product,), s.
    """

    mean: NDArray[np.float64]
    seconds: NDArray[np.float64]


#: Sums of values times weights, and of weights, (2, product, chan); keyed by "the diode is on".
_Sums = dict[bool, NDArray[np.float64]]


class _Row(NamedTuple):
    """A row of `Spectrum`, with a leading axis of products."""

    values: NDArray[np.float64]
    tsys: NDArray[np.float64]
    expected: NDArray[np.float64]
    exposure: float
    row: int


def on_off(
    stream: Stream, period: Any, *, on: Any = None, first: Any = 0, settle: Any = 0,
    tsys: Any = None, tcal: Any = None,
    diode: DiodeSchedule | None = None, kelvin: bool | None = None, smooth_ref: int = 1,
    n_eff: float = 1.0,
) -> Spectrum:
    """Return antenna temperatures from spectra on and off a source, one spectrum per cycle.

    For rows in K, the temperature is ``on - off``. For rows in other units, it is ``Tsys (on - off)
    / off``, computed for each state of the diode and averaged with weights from the expected
    variances. Tsys of a cycle is that of its rows off the source; for the average, it is the
    weighted root mean square of the Tsys of the two states.

    Parameters
    ----------
    stream : SpectrumStream
        Spectra in K, or spectra in other units if `tsys` or `tcal` is specified. Products that are
        not powers, such as CR, are left out.
    period : Quantity or str
        Time from the start of one phase on the source to the start of the next.
    on, first, settle : Quantity or str, optional
        Time on the source (by default, half of the period); start of the first phase on the source,
        counted from the start of the stream (by default, 0 s); time that is left out after each
        move (by default, 0 s).
    tsys : Quantity or str, shape () or (product,), optional
        System temperature off the source with the noise diode off, such as ``"20K"``. Only rows
        with the diode off are then used.
    tcal : Quantity or str, shape (), (product,) or (product, chan), optional
        Temperature of the noise diode. Tsys is then computed from the two states of the diode.
    diode : DiodeSchedule, optional
        Schedule of the diode; by default, that in the header. Without a schedule, the diode is
        assumed to be off.
    kelvin : bool, optional
        Whether rows are in K; by default, this is determined by the unit in the header.
    smooth_ref, n_eff
        As in `fastsig.reductions.switching.scans.position_switched`.

    Raises
    ------
    UsageError
        If the times on the source, the arguments for Tsys, or `n_eff` are invalid.
    PlanError
        If the stream does not contain spectra, or no cycle has rows both on and off the source.
    DataError
        If no data are valid, or the diode is not detected.
    """
    stream = stream_of(stream)
    if not isinstance(stream, SpectrumStream):
        raise PlanError(f"{stream.path}: contains {stream.kind}; allowed: spectra")
    if period is None:
        raise UsageError("period = None; allowed: a time such as 60 s, from one start on the "
                         "source to the next")
    given = {"period": period, "on": on, "first": first, "settle": settle}
    times = {key: exact(value, "s", key) for key, value in given.items()
             if value is not None or key != "on"}
    schedule = Schedule(times["period"], times.get("on", times["period"] / 2), times["first"],
                        times["settle"])
    work = _OnOff(stream, schedule, tsys, tcal,
                  stream.header.diode if diode is None else diode,
                  stream.header.unit == "K" if kelvin is None else kelvin, smooth_ref, n_eff)
    return work.spectrum()


class _Cycles(Sink):
    """A sink that sums rows on and off the source; its product is one row, or None, per cycle."""

    name = "switch"
    sparse = True

    def __init__(self, work: _OnOff, cycles: Sequence[tuple[range, range]]) -> None:
        super().__init__(work.stream)
        self._work = work
        self.segment = n = max(1, _BLOCK_BYTES // max(1, work.stream.row_bytes))
        self._pieces = [(cycle, phase, start, min(start + n, rows.stop))
                        for cycle in cycles for phase, rows in enumerate(cycle)
                        for start in range(rows.start, rows.stop, n)]
        self._sums: tuple[_Sums, _Sums] = {}, {}
        self._rows: list[_Row | None] = []
        self._order = iter(self._pieces)

    def spans(self) -> list[tuple[int, int]]:
        """Return the rows of each phase, piece by piece."""
        return [piece[2:] for piece in self._pieces]

    def work_bytes(self, n: int) -> int:
        """Memory for the values and weights of a piece, as float64."""
        return 32 * min(n, int(self.segment or n)) * math.prod(self.stream.shape[1:])

    def partial(self, block: Block) -> _Sums:
        """Sum a piece for each state of the diode."""
        return self._work.sums(block)

    def merge(self, part: _Sums) -> None:
        """Add the sums of the next piece; after the last piece of a cycle, compute its row."""
        cycle, phase, _, stop = next(self._order)
        for state, sums in part.items():
            self._sums[phase].setdefault(state, np.zeros_like(sums))[...] += sums
        if phase and stop == cycle[1].stop:
            self._rows.append(self._work.cycle(cycle[0].start, *self._sums))
            self._sums = {}, {}

    def finish(self, n_rows: int) -> list[_Row | None]:
        """Return the rows of all cycles."""
        return self._rows


def _within(rows: range, n: int) -> range:
    return range(max(0, rows.start), min(n, rows.stop))


class _OnOff:
    """The computation of `on_off`, one cycle after the other."""

    def __init__(self, stream: SpectrumStream, schedule: Schedule, tsys: Any, tcal: Any,
                 diode: DiodeSchedule | None, kelvin: bool,
                 smooth_ref: int, n_eff: float) -> None:
        self.stream, self.schedule, self.diode = stream, schedule, diode
        self.kelvin, self.smooth, self.n_eff = kelvin, smooth_ref, n_eff
        names = stream.polarization.names
        self.products = [k for k, name in enumerate(names) if name in _POWERS]
        if not self.products:
            raise PlanError(f"{stream.path}: products {', '.join(names)}; allowed: powers, as "
                            f"{', '.join(_POWERS)}")
        self._check(tsys, tcal)
        self.n_pol = np.array([stream.polarization.n_added(names[k]) for k in self.products])
        self.tsys, self.tcal = (self._each(key, value) for key, value in
                                (("tsys", tsys), ("tcal", tcal)))
        self.axis = stream.header.require_channels(stream.path)
        self.rate = stream.header.sample_rate
        self.width = float(self.axis.step_hz)

    def _check(self, tsys: Any, tcal: Any) -> None:
        path = self.stream.path
        if not 0 < self.n_eff < math.inf:
            raise UsageError(f"n_eff = {self.n_eff}; allowed: above 0")
        if self.kelvin and (tsys is not None or tcal is not None):
            raise UsageError(f"{path}: rows in K need neither tsys nor tcal")
        if not self.kelvin and (tsys is None) == (tcal is None):
            raise UsageError(f"{path}: rows that are not in K need either tsys (of the system off "
                             "the source) or tcal (of the noise diode)")
        for name, value in (("tsys", tsys), ("tcal", tcal)):
            if value is not None:
                kelvins(value, name)  # a value without a unit is refused first
        if tcal is not None and self.diode is None:
            raise FormatError(path, "the header does not state when the noise diode is on; give "
                              "its schedule (diode), or tsys instead of tcal")

    def _each(self, name: str, value: Any) -> NDArray[np.float64] | None:
        """Return the temperature of each product, (product, 1 or chan)."""
        if value is None:
            return None
        given = kelvins(value, name)
        count, n_chan = len(self.products), self.stream.shape[2]
        if given.shape not in ((), (count,), (count, n_chan)):
            raise UsageError(f"{name} has shape {given.shape}; allowed: (), ({count},) or "
                             f"({count}, {n_chan}) for {count} products")
        if not (given[np.isfinite(given)] > 0).all() or not np.isfinite(given).any():
            raise UsageError(f"{name} = {value}; allowed: K above 0")
        wide = given if given.ndim == 2 else given[..., np.newaxis]
        return np.broadcast_to(wide, (count, wide.shape[-1]))

    def spectrum(self) -> Spectrum:
        """Return the spectra of all cycles."""
        rows = self._rows()
        if not rows:
            raise PlanError(
                f"{self.stream.path}: {float(self.stream.duration.value):.6g} s contain no cycle "
                f"of {float(self.schedule.period):g} s with whole rows both on and off the source")
        header, stream = self.stream.header, self.stream
        names = tuple(header.polarization.names[k] for k in self.products)
        values = np.array([each.values for each in rows])
        starts = [stream.time_of(each.row) for each in rows]
        return Spectrum(
            values=values, weight=np.isfinite(values).astype(np.float32),
            header=header.replace(
                start_time=starts[0], sample_rate=1 / self.schedule.period, diode=None, n_sum=1,
                unit="K", gain_noise=differenced(header.gain_noise),
                polarization=replace(header.polarization, names=names)),
            tsys=np.array([each.tsys for each in rows]),
            exposure=np.array([each.exposure for each in rows]),
            expected=np.array([each.expected for each in rows]), width_hz=self.width,
            starts=[iso(each) for each in starts], path=stream.path, files=stream.files,
            stages=[{"stage": "on_off", "parameters": self._parameters()}],
            overrides=stream.overrides)

    def _parameters(self) -> Mapping[str, Any]:
        times = {key: float(getattr(self.schedule, key)) for key in
                 ("period", "on", "first", "settle")}
        temperatures = {key: np.nanmean(value, axis=1).tolist() for key, value in
                        (("tsys", self.tsys), ("tcal", self.tcal)) if value is not None}
        diode = {} if self.diode is None else {"diode_ticks": [
            self.diode.period_ticks, self.diode.on_ticks, self.diode.first_tick]}
        return {**{f"{key}_s": value for key, value in times.items()}, **temperatures, **diode,
                "kelvin": self.kelvin, "smooth_ref": self.smooth, "n_eff": self.n_eff}

    def _rows(self) -> list[_Row]:
        found = run([_Cycles(self, self._cycles())])[0]
        rows = [row for row in found if row is not None]
        if len(rows) < len(found):
            warnings.warn(f"{self.stream.path}: {len(found) - len(rows)} cycles lack valid rows on "
                          "or off the source, or a state of the noise diode, and are left out",
                          FastsigWarning, stacklevel=users_line())
        return rows

    def _cycles(self) -> list[tuple[range, range]]:
        """Return the rows on the source, and off it, of cycles that have both."""
        n = self.stream.shape[0]
        last = int((n / self.rate - self.schedule.first) // self.schedule.period)
        cycles = [self.schedule.rows(cycle, self.rate) for cycle in range(last + 1)]
        within = [(_within(on, n), _within(off, n)) for on, off in cycles]
        return [(on, off) for on, off in within if on and off]

    def cycle(self, first: int, on: _Sums, off: _Sums) -> _Row | None:
        """Return a cycle that begins with row `first`; None if it lacks rows or Tsys."""
        sig, ref = self._states(on), self._states(off)
        tsys = self._temperatures(ref)
        both = [state for state in sig if state in ref and state in tsys]
        if not both:
            return None
        parts = [self._part(sig[state], ref[state], tsys[state]) for state in both]
        noise = np.array([each.expected for each in parts])
        weight = 1 / noise**2
        values, _ = switching.average(np.array([each.values for each in parts]), weight)
        tsys_of = switching.average_tsys(np.array([each.tsys for each in parts]), weight)
        return _Row(values, tsys_of, 1 / np.sqrt(weight.sum(axis=0)),
                    sum(each.exposure for each in parts), first)

    def _part(self, sig: _State, ref: _State, tsys: NDArray[np.float64]) -> _Row:
        """Return the difference for one state of the diode; `tsys` has shape (product,)."""
        if self.kelvin:
            values = sig.mean - switching.smoothed(ref.mean, self.smooth)
        else:
            values = switching.position_switch(sig.mean, ref.mean, tsys, self.smooth)
        middle = values[:, switching.inner_channels(values.shape[-1])]
        source = tsys + np.nanmedian(middle, axis=-1)
        scale = tsys if self.kelvin else source  # the division scales it by the source's level
        noise = np.hypot(self._noise(source, sig.seconds),
                         self._noise(scale, ref.seconds * (self.smooth | 1)))
        exposure = switching.effective_exposure(sig.seconds, ref.seconds, self.smooth)
        return _Row(values, tsys, noise, float(exposure.mean()), 0)

    def _noise(self, tsys: NDArray[np.float64], seconds: NDArray[np.float64]
               ) -> NDArray[np.float64]:
        return switching.radiometer(tsys, self.width, seconds * self.n_pol, n_eff=self.n_eff)

    def _temperatures(self, ref: Mapping[bool, _State]
                      ) -> dict[bool, NDArray[np.float64]]:
        """Return Tsys off the source in each state of the diode where it is known, (product,)."""
        inner = switching.inner_channels(self.stream.shape[2])
        if self.kelvin:
            return {state: np.nanmedian(each.mean[:, inner], axis=-1)
                    for state, each in ref.items()}
        if self.tsys is not None:
            return {False: np.nanmean(self.tsys, axis=-1)}
        if len(ref) < 2 or self.tcal is None:
            return {}
        diode = np.nanmean(np.broadcast_to(self.tcal, ref[True].mean.shape)[:, inner], axis=-1)
        found = switching.tsys(ref[True].mean, ref[False].mean, diode)
        if not ((found > 0) & (found < np.inf)).all():
            raise DataError(self.stream.path, "the power with the noise diode on is not above that "
                            f"with it off (Tsys {', '.join(f'{x:.4g}' for x in found)} K); is its "
                            "schedule right?")
        return {False: found - diode / 2, True: found + diode / 2}

    def sums(self, block: Block) -> _Sums:
        """Sum values times weights, and weights, over the rows in each state of the diode."""
        data = block.data[:, self.products]
        weight = np.broadcast_to(block.valid, block.data.shape)[:, self.products]
        found = {}
        for state, mask in self._diode(block.start, block.n).items():
            if mask.any():
                part = weight[mask].astype(np.float64)
                found[state] = np.stack([(np.where(part > 0, data[mask], 0) * part).sum(axis=0),
                                         part.sum(axis=0)])
        return found

    def _states(self, found: _Sums) -> dict[bool, _State]:
        """Return the mean powers of sums, with the diode on and off."""
        return {state: self._mean(*sums) for state, sums in found.items() if sums[1].any()}

    def _mean(self, total: NDArray[np.float64], weight: NDArray[np.float64]) -> _State:
        with np.errstate(invalid="ignore"):
            mean = np.where(weight > 0, total / weight, np.nan)
        return _State(mean, np.median(weight, axis=-1) / float(self.rate))

    def _diode(self, start: int, n: int) -> dict[bool, NDArray[np.bool_]]:
        """Return masks of the rows in which the diode is on throughout, and off throughout."""
        if self.diode is None or self.kelvin:
            return {False: np.ones(n, bool)}
        state = scheduled(self.diode, self.rate, start, n, slack=_SLACK / self.rate)
        return {True: state == 1, False: state == 0}
