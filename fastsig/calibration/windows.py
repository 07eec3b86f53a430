"""Windows of frequency as users write them, and rows by the state of the noise diode."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.units import exact
from fastsig.calibration.diode.cycle import scheduled
from fastsig.errors import UsageError
from fastsig.work.arguments import shown

__all__ = ["diode_groups", "joined", "window_mhz"]


def window_mhz(window: Any) -> tuple[float, float]:
    """The ends of a window of frequency, MHz, from ``"1419MHz-1421.5MHz"`` or a pair of values.

    The first of two numbers in a text may leave its unit to the second.

    Raises
    ------
    UsageError
        Where it is not two frequencies, the lower one first.
    """
    ends = window
    if isinstance(window, str):
        ends = [part.strip() for part in re.split(r"(?<![eE])-", window)]
        if len(ends) == 2 and not ends[0][-1:].isalpha():
            ends[0] += re.sub(r"^[\d.eE+-]*", "", ends[1])
    many = isinstance(ends, (list, tuple)) or (isinstance(ends, u.Quantity) and ends.ndim)
    if not many or len(ends) != 2:
        raise UsageError(f"window {shown(window)}; allowed: two frequencies, as in "
                         "1419MHz-1421.5MHz")
    low, high = (exact(end, "Hz", "window") for end in ends)
    if low > high:
        raise UsageError(f"window {window!r}; allowed: the lower frequency first")
    return float(low / 10**6), float(high / 10**6)


def joined(windows: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Windows in ascending order, those that overlap as one."""
    found: list[tuple[float, float]] = []
    for low, high in sorted(windows):
        if found and low <= found[-1][1]:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return found


def diode_groups(diode: DiodeSchedule, sample_rate: Fraction, start: int, n: int
                 ) -> NDArray[np.int64]:
    """State of the diode in rows `start` to ``start + n - 1``: off 0, on 1, on for a part 2."""
    state = scheduled(diode, sample_rate, start, n).astype(np.int64)
    return np.where(state < 0, 2, state)
