"""The clock of the machine: steps of it, which a steady clock reveals."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Clock"]

_LEAST_S = 0.1  # daemons of NTP step from 0.128 s on; they slew smaller errors, by 0.5 ms/s


class Clock:
    """The clock of the machine, compared with a steady one.

    Parameters
    ----------
    wall, steady : callable
        Return the seconds of the clock that may step, and of the one that does not.

    Attributes
    ----------
    steps : int
        Number of steps that were seen.
    """

    def __init__(self, wall: Callable[[], float] = time.time,
                 steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steady, self.steps = wall, steady, 0
        self._ahead = wall() - steady()

    def step(self) -> float:
        """Return the seconds by which the clock has stepped since the last call, or 0."""
        ahead = self._wall() - self._steady()
        by, self._ahead = ahead - self._ahead, ahead
        if abs(by) < _LEAST_S:
            return 0.0
        self.steps += 1
        return by
