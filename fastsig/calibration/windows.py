"""Windows of frequency as users write them, and groups of rows by the state of the noise diode."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.units import exact, parts_of
from fastsig.calibration.diode.cycle import scheduled
from fastsig.errors import UsageError
from fastsig.work.arguments import shown

__all__ = ["diode_groups", "joined", "window_mhz", "windows_mhz"]

_ALLOWED = "two frequencies, as in 1419MHz-1421.5MHz"


def windows_mhz(windows: Any, name: str = "window") -> tuple[tuple[float, float], ...]:
    """Return the ends of one or several windows of frequency, MHz; see `window_mhz`.

    Raises
    ------
    UsageError
        If a window does not consist of two frequencies, the lower one first.
    """
    one = isinstance(windows, str) or _is_pair(windows)
    try:
        each = (windows,) if one else tuple(windows)
    except TypeError:
        raise UsageError(f"{name} = {shown(windows)}; allowed: {_ALLOWED}") from None
    return tuple(window_mhz(window, name) for window in each)


def _is_pair(ends: Any) -> bool:
    """Return whether these are two values, and not two windows."""
    return not isinstance(ends, str) and _length(ends) == 2 and not any(
        len(parts_of(end)) > 1 if isinstance(end, str) else _length(end) for end in ends)


def _length(value: Any) -> int:
    """Return the number of values; 0 for an object without a length, such as a single value."""
    try:
        return len(value)
    except TypeError:
        return 0


def window_mhz(window: Any, name: str = "window") -> tuple[float, float]:
    """Return the ends of a window of frequency, MHz: ``"1419MHz-1421.5MHz"`` or a pair of values.

    In a text, the first number may omit its unit if the second has one. Errors mention `name`.

    Raises
    ------
    UsageError
        If the window does not consist of two frequencies, the lower one first.
    """
    ends = window
    if isinstance(window, str):
        ends = parts_of(window)
    if isinstance(ends, (str, bytes)) or _length(ends) != 2:
        raise UsageError(f"{name} = {shown(window)}; allowed: {_ALLOWED}")
    low, high = (exact(end, "Hz", name) for end in ends)
    if low > high:
        raise UsageError(f"{name} = {shown(window)}; allowed: the lower frequency first")
    return float(low / 10**6), float(high / 10**6)


def joined(windows: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return windows in ascending order, with overlapping ones joined."""
    found: list[tuple[float, float]] = []
    for low, high in sorted(windows):
        if found and low <= found[-1][1]:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return found


def diode_groups(diode: DiodeSchedule, sample_rate: Fraction, start: int, n: int
                 ) -> NDArray[np.int64]:
    """Return the diode's state in rows `start` to ``start + n - 1``: 0 off, 1 on, 2 partly on."""
    state = scheduled(diode, sample_rate, start, n).astype(np.int64)
    return np.where(state < 0, 2, state)
