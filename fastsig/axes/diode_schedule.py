"""The schedule of a noise diode, on an exact clock of ticks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

__all__ = ["DiodeSchedule"]


@dataclass(frozen=True)
class DiodeSchedule:
    """The times at which the noise diode is on, in ticks of 4 ns from the stream's first sample.

    The diode is on in ticks ``first + k period`` to ``first + k period + on - 1``, k = 0, 1, ...
    """

    period_ticks: int
    on_ticks: int
    first_tick: int = 0
    ticks_per_second: int = 250_000_000

    def shifted(self, seconds: Fraction) -> DiodeSchedule:
        """Return the schedule counted from `seconds` later, with finer ticks if necessary."""
        late = seconds * self.ticks_per_second
        times = late.denominator
        return DiodeSchedule(self.period_ticks * times, self.on_ticks * times,
                             self.first_tick * times - late.numerator,
                             self.ticks_per_second * times)
