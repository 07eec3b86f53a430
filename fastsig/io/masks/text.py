"""Masks as text: in each line an interval of frequency, and one of time.

::

    # channels with interference at all times
    1166.22MHz-1217.37MHz
    # a band for two seconds, counted from the first spectrum, and between two times in UTC
    1378MHz-1385MHz  3.2s-5.2s
    1378MHz-1385MHz  2023-12-01T16:30:03.5/2023-12-01T16:30:05
    # all channels
    *  10s-10.5s

Text after ``#`` is ignored. Values have units.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from astropy.time import Time

from fastsig.axes.interference import intervals
from fastsig.axes.regions import Regions
from fastsig.axes.time import elapsed, parse_time
from fastsig.axes.units import exact
from fastsig.errors import FormatError, UsageError

__all__ = ["parsed"]

_SPAN = re.compile(r"(.*?[A-Za-z])-(.+)")
_FORM = ("an interval of frequency such as 1378MHz-1385MHz, or *, and perhaps one of time such as "
         "3s-5s or UTC/UTC")

Row = tuple[float, float, float, float]


def parsed(lines: Sequence[str], path: str) -> tuple[Regions, ...]:
    """Return the regions of lines of text.

    Parameters
    ----------
    lines : sequence of str
    path : str
        The file, for errors.

    Raises
    ------
    FormatError
        If a line is not as described above, or there is none.
    """
    relative: list[Row] = []
    absolute: list[Row] = []
    origin: Time | None = None
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            if len(words) > 2:
                raise UsageError(f"{len(words)} words")
            low, high = _frequency(words[0])
            if len(words) == 2 and "/" in words[1]:
                start, stop = (parse_time(word) for word in words[1].split("/", 1))
                origin = start if origin is None else origin
                span = float(elapsed(origin, start)), float(elapsed(origin, stop))
                absolute.append((low, high, *_ordered(*span)))
            else:
                relative.append((low, high, *_seconds(words[1:])))
        except (UsageError, ValueError) as error:
            raise FormatError(path, f"line {number}: {line.strip()[:60]!r}: {error}; allowed: "
                              f"{_FORM}") from error
    made = [_regions(rows, when)
            for rows, when in ((relative, None), (absolute, origin)) if rows]
    if not made:
        raise FormatError(path, f"contains no region; allowed: lines with {_FORM}")
    return tuple(made)


def _regions(rows: list[Row], origin: Time | None) -> Regions:
    low, high, start, stop = np.array(rows, np.float64).T
    return Regions(low, high, start, stop, origin)


def _frequency(word: str) -> tuple[float, float]:
    """Return the edges of an interval of frequency, Hz."""
    if word == "*":
        return -np.inf, np.inf
    (low, high), = intervals([word], "frequency")
    return float(low), float(high)


def _seconds(words: list[str]) -> tuple[float, float]:
    """Return the edges of an interval of time, s; all times without one."""
    if not words:
        return -np.inf, np.inf
    match = _SPAN.fullmatch(words[0])
    if match is None:
        raise UsageError(f"{words[0]!r} is not an interval of time")
    start, stop = (float(exact(part, "s", "time")) for part in match.groups())
    return _ordered(start, stop)


def _ordered(start: float, stop: float) -> tuple[float, float]:
    if not start < stop:
        raise UsageError("the end is not after the beginning")
    return start, stop
