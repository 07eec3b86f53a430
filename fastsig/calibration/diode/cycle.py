"""The cycle of a noise diode, and the place of a stream's rows in it, in exact arithmetic.

Times are exact seconds from the start of row 0; row n covers ``[n, n + 1) / sample_rate``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.units import fraction, whole
from fastsig.errors import UsageError

__all__ = ["MODES", "DiodeCycle", "DiodeMode", "classify", "cycle_number", "on_share",
           "scheduled"]

_ROOM = 2**62
_CLOCK_S = Fraction(251_658_240, 250_000_000)  # a nominal second of FAST's diode clock


@dataclass(frozen=True)
class DiodeMode:
    """A known pattern in which a noise diode is switched, with an unknown phase.

    Parameters
    ----------
    name : str
        Name in messages.
    period, on : Fraction
        Length of a cycle and of its on-time.
    unit : {"s", "row"}
        Unit of the lengths: seconds, or rows of the stream.
    """

    name: str
    period: Fraction
    on: Fraction
    unit: Literal["s", "row"] = "s"

    def rows(self, step_s: Fraction) -> tuple[Fraction, Fraction]:
        """Return the period and the on-time in rows of `step_s` seconds."""
        scale = step_s if self.unit == "s" else Fraction(1)
        return self.period / scale, self.on / scale


#: Patterns of FAST. Its "1 s" is 251658240 ticks of 4 ns; if only whole seconds are published, both
#: interpretations are listed.
MODES: tuple[DiodeMode, ...] = (
    DiodeMode("pulsar", Fraction("0.201326592"), Fraction("0.100663296")),
    DiodeMode("star", 80 * 1024 * Fraction("196.608e-6"), 5 * 1024 * Fraction("196.608e-6")),
    DiodeMode("spectral OTF", 300 * _CLOCK_S, 2 * _CLOCK_S),
    DiodeMode("spectral OTF, SI seconds", Fraction(300), Fraction(2)),
    DiodeMode("ON-OFF", 2 * _CLOCK_S, _CLOCK_S),
    DiodeMode("ON-OFF, SI seconds", Fraction(2), Fraction(1)),
    DiodeMode("1 sample in 8", Fraction(8), Fraction(1), "row"),
)


@dataclass(frozen=True)
class DiodeCycle:
    """A diode that is on from ``phase + k period`` for `on` seconds, for every whole k.

    Parameters
    ----------
    period, on : Fraction
        Length of a cycle and of its on-time, s.
    phase : Fraction
        Start of an on-time after the start of row 0, s; from 0 to below the period.
    mode : str or None
        Name of the known pattern, or None if the cycle follows from the data alone.
    significance : float
        Step of the diode in sigmas, for all cycles together.
    false_alarm : float
        Probability that noise produces this significance in the same number of trials.
    snr_per_cycle : float
        Step of the diode in sigmas of the on-minus-off difference of one cycle.
    step : float
        Power of the diode divided by the mean power.
    phase_error_s, period_error_s : float
        Standard errors; 0 for the period of a known mode.
    n_cycle : int
        Number of cycles with data.
    """

    period: Fraction
    on: Fraction
    phase: Fraction
    mode: str | None = None
    significance: float = float("inf")
    false_alarm: float = 0.0
    snr_per_cycle: float = float("inf")
    step: float = float("nan")
    phase_error_s: float = 0.0
    period_error_s: float = 0.0
    n_cycle: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.on < self.period:
            raise UsageError(
                f"a diode is on for {float(self.on):.9g} s of {float(self.period):.9g} s; allowed: "
                f"more than 0, less than the period"
            )
        object.__setattr__(self, "phase", self.phase % self.period)

    def __str__(self) -> str:
        return (f"period {float(self.period):.9f} s, on {float(self.on):.9f} s, first on at "
                f"{float(self.phase):.9f} s")

    @classmethod
    def of_schedule(cls, schedule: DiodeSchedule) -> DiodeCycle:
        """Return the cycle of a header's schedule, extended to times before its first tick."""
        tick = Fraction(1, schedule.ticks_per_second)
        return cls(schedule.period_ticks * tick, schedule.on_ticks * tick,
                   schedule.first_tick * tick)

    def schedule(self) -> DiodeSchedule:
        """Return a schedule that also covers row 0, in ticks of 4 ns if these are exact."""
        first = self.phase - (self.period if self.phase + self.on > self.period else 0)
        times = (self.period, self.on, first)
        rate = lcm(250_000_000, *(time.denominator for time in times))
        period, on, start = (int(time * rate) for time in times)
        return DiodeSchedule(period, on, start, rate)

    def shifted(self, seconds: Any) -> DiodeCycle:
        """Return the same cycle, counted from a row 0 that begins `seconds` later."""
        return replace(self, phase=(self.phase - fraction(seconds)) % self.period)


@dataclass(frozen=True)
class _Whole:
    """A cycle and rows in whole numbers of one unit; `phase` is that of the first row."""

    period: int
    on: int
    step: int
    phase: int
    guard: int
    slack: int


def _in_whole_units(rate: Any, start: int, cycle: DiodeCycle, guard: Any = 0, slack: Any = 0
                    ) -> _Whole:
    rate, edge = fraction(rate), fraction(guard)
    if rate <= 0 or edge < 0:
        raise UsageError(f"sample rate {rate} Hz, guard {edge} s; allowed: above 0, 0 or more")
    begun = (whole("start", start) / rate - cycle.phase) % cycle.period
    times = (cycle.period, cycle.on, 1 / rate, begun, edge)
    unit = lcm(*(time.denominator for time in times))
    return _Whole(*(int(time * unit) for time in (*times, fraction(slack))))


def _starts(rows: _Whole, n: int) -> NDArray[Any]:
    """Return the time of each row after an on-edge, within the period.

    Python integers are used if 64 bits are too few.
    """
    kind: Any = np.int64 if (n + 2) * max(rows.period, rows.step + rows.guard) < _ROOM else object
    turned = np.arange(n, dtype=kind) * (rows.step % rows.period)
    return np.asarray((turned + rows.phase) % rows.period)


def _time_on(start: NDArray[Any], length: int, rows: _Whole) -> NDArray[Any]:
    """Return the units of ``[start, start + length)`` during which the diode is on."""
    stop = start + length
    last = np.minimum(stop % rows.period, rows.on)
    return np.asarray(stop // rows.period * rows.on + last - np.minimum(start, rows.on))


def on_share(rate: Any, start: int, n: int, cycle: DiodeCycle) -> NDArray[np.float64]:
    """Return the fraction of each row during which the diode is on.

    Parameters
    ----------
    rate : Fraction, int or str
        Rows per second, Hz.
    start, n : int
        First row and number of rows.
    cycle : DiodeCycle
        Times at which the diode is on.

    Returns
    -------
    ndarray, shape (n,), float64, dimensionless
        Values from 0 to 1, rounded once.

    Raises
    ------
    UsageError
        If the rate is not above 0.
    """
    rows = _in_whole_units(rate, start, cycle)
    return _time_on(_starts(rows, n), rows.step, rows).astype(np.float64) / rows.step


def classify(
    rate: Any, start: int, n: int, cycle: DiodeCycle, guard: Any = 0, slack: Any = 0
) -> NDArray[np.int8]:
    """Classify rows by the state of the diode: on, off, or edge if it is on for part of the row.

    Parameters
    ----------
    rate, start, n, cycle
        As in `on_share`.
    guard : Fraction, int or str
        Largest error of the edges, s: rows within this time of an edge count as edges.
    slack : Fraction, int or str
        Time in s, for rates that are rounded: a row whose state differs for at most this long does
        not count as an edge.

    Returns
    -------
    ndarray, shape (n,), int8
        1 for on, 0 for off, and -1 for an edge.

    Raises
    ------
    UsageError
        If the rate is not above 0, or the guard is below 0.
    """
    rows = _in_whole_units(rate, start, cycle, guard, slack)
    begin = (_starts(rows, n) - rows.guard) % rows.period
    length = rows.step + 2 * rows.guard
    lit = _time_on(begin, length, rows)
    state = np.full(n, -1, np.int8)
    state[np.asarray(lit <= rows.slack, bool)] = 0
    state[np.asarray(lit >= length - rows.slack, bool)] = 1
    return state


def scheduled(schedule: DiodeSchedule, rate: Any, start: int, n: int, slack: Any = 0
              ) -> NDArray[np.int8]:
    """Classify rows as `classify` does, from a header's schedule; rows before its start are off.

    Parameters
    ----------
    schedule : DiodeSchedule
        Schedule counted from row 0.
    rate, start, n
        As in `on_share`.
    slack
        As in `classify`.

    Returns
    -------
    ndarray, shape (n,), int8
        1 for on, 0 for off, and -1 for an edge.
    """
    first = Fraction(schedule.first_tick, schedule.ticks_per_second) * fraction(rate)  # in rows
    edge = fraction(slack) * fraction(rate)
    if 0 < schedule.on_ticks < schedule.period_ticks:
        state = classify(rate, start, n, DiodeCycle.of_schedule(schedule), slack=slack)
    else:
        state = np.full(n, schedule.on_ticks > 0, np.int8)
    whole_before = min(max(int((first + edge) // 1) - start, 0), n)
    state[:whole_before] = 0
    if whole_before < n and start + whole_before < first - edge and schedule.on_ticks:
        state[whole_before] = -1  # it is first switched on within this row
    return state


def cycle_number(rate: Any, start: int, n: int, cycle: DiodeCycle) -> NDArray[np.int64]:
    """Return the cycle of each row; cycles extend from the middle of one off-time to the next.

    The off rows of a cycle therefore lie on both sides of its on rows, and a drift of the gain
    cancels.

    Parameters
    ----------
    rate, start, n, cycle
        As in `on_share`.

    Returns
    -------
    ndarray, shape (n,), int64
        Cycle k contains the on-time at ``phase + k period``. The middle of a row determines its
        cycle.
    """
    rate = fraction(rate)
    origin = cycle.phase - (cycle.period - cycle.on) / 2
    times = (cycle.period, 1 / rate, (start + Fraction(1, 2)) / rate - origin)
    unit = lcm(*(time.denominator for time in times))
    period, step, first = (int(time * unit) for time in times)
    if abs(first) + n * step < _ROOM:
        return (np.arange(n, dtype=np.int64) * step + first) // period
    return np.array([(i * step + first) // period for i in range(n)], np.int64)
