"""Slices of streams and of data: rows, channels and products by number, time, frequency and name.

An integer is an index; a time or a frequency has its unit. One slice has only one of these kinds,
except for 0, which is both.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from astropy.time import Time

from fastsig.axes.time import elapsed, iso, parse_time, sample_time
from fastsig.axes.units import exact
from fastsig.errors import PlanError, UsageError
from fastsig.stream.header import Header
from fastsig.work.arguments import shown

__all__ = ["channel_span", "civil_time", "is_number", "key_parts", "product_indices", "row_span"]

_FORMS = ("chain[t0:t1], chain[t0:t1, f0:f1], chain[t0:t1, f0:f1, 'I'] or chain['I'], without a "
          "step")
_DATE = re.compile(r"\s*\d{4}-\d\d")


class Sliced(Protocol):
    """An object that can be sliced: rows from the header's start on, with its products."""

    @property
    def header(self) -> Header:
        """Description of the rows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the slice, (row, pol or product[, chan])."""


def key_parts(key: Any, what: Sliced) -> tuple[slice, slice, tuple[str, ...] | None]:
    """Split a key in brackets into rows, channels and names of products; None for all products.

    Parameters
    ----------
    key : object
        What was given in brackets.
    what : chain or Data
        What is sliced, for the numbers in messages.

    Raises
    ------
    UsageError
        If the key has none of the allowed forms.
    """
    if _is_names(key):
        return slice(None), slice(None), _names(key)
    parts = list(key) if isinstance(key, tuple) else [key]
    names = parts.pop() if len(parts) == 3 else None
    if isinstance(names, slice) and names == slice(None):
        names = None
    if names is not None and not _is_names(names):
        raise UsageError(f"{names!r} names no products; allowed: {_FORMS}")
    if not 1 <= len(parts) <= 2:
        raise UsageError(f"[{_bracketed(key)}]; allowed: {_FORMS}")
    for axis, part in zip(("row", "channel"), parts, strict=False):
        _check_slice(axis, part, what)
    rows, channels = (*parts, slice(None))[:2]
    return rows, channels, None if names is None else _names(names)


def _check_slice(axis: str, part: Any, what: Sliced) -> None:
    """Refuse anything but a slice without a step, with the numbers that there are."""
    if isinstance(part, slice):
        if part.step is not None:
            raise UsageError(f"[{_bracketed(part)}]: a slice has no step; allowed: {_FORMS}. "
                             "integrate averages rows and channels")
        return
    n = {"row": what.shape[:1], "channel": what.shape[2:]}[axis]
    if is_number(part) and n:
        at, last = operator.index(part), n[0] - 1
        at += n[0] if at < 0 else 0
        if 0 <= at <= last:
            raise UsageError(f"[{part}] is one {axis}; allowed: a slice of {axis}s, here "
                             f"[{at}:{at + 1}]")
        raise UsageError(f"[{part}]: there is no such {axis}; {axis}s are numbered from 0 to "
                         f"{last}, and selected by slices, as in [0:1]")
    hint = ""
    if _is_names(part):
        hint = f"products come third, here [:, :, {_bracketed(part)}]; "
    elif getattr(part, "isscalar", False):
        hint = "one value is not a slice with two ends; "
    raise UsageError(f"[{_bracketed(part)}]: {hint}allowed: {_FORMS}")


def _bracketed(key: Any) -> str:
    """Return a key as it was written in brackets."""
    if isinstance(key, tuple):
        return ", ".join(map(_bracketed, key))
    if not isinstance(key, slice):
        return shown(key)
    ends = ["" if end is None else shown(end) for end in (key.start, key.stop)]
    return ":".join(ends if key.step is None else [*ends, shown(key.step)])


def _is_names(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, (list, tuple)) and len(value) > 0
                                      and all(isinstance(each, str) for each in value))


def _names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def product_indices(names: Sequence[str], there: Sequence[str], path: str) -> list[int]:
    """Return the indices of products by name.

    Raises
    ------
    UsageError
        If a product does not exist, or is given twice.
    """
    for name in names:
        if name not in there:
            made = {"I", "Q", "U", "V"} & {name} and {"AA", "BB"} <= set(there)
            raise UsageError(f"{path}: no product {name!r}; allowed: {', '.join(there)}"
                             + (f". stokes('{name}') computes {name} from these"
                                if made and name in "IV" else ""))
    if len(set(names)) < len(names):
        raise UsageError(f"products {', '.join(names)}; allowed: each once")
    return [list(there).index(name) for name in names]


def row_span(what: Sliced, span: slice) -> tuple[int, int]:
    """Return the first row of a slice and the row after its last.

    Raises
    ------
    UsageError
        If the slice is empty, or combines a number with a time.
    """
    _check_ends(span, "row numbers", "times")
    n = what.shape[0]
    first = 0 if span.start is None else _row(what, span.start)
    stop = n if span.stop is None else _row(what, span.stop)
    first, stop = max(0, first), min(stop, n)
    if first >= stop:
        header = what.header
        path = getattr(what, "path", "")  # values in memory have none
        raise UsageError(f"{path}{': ' if path else ''}no rows {_between(span)}: "
                         f"{_reversed(span, first, stop, n)}rows are "
                         f"numbered from 0 to {n - 1} and run from {iso(header.start_time)} to "
                         f"{iso(sample_time(header.start_time, n, header.sample_rate))}")
    return first, stop


def _reversed(span: slice, first: int, stop: int, n: int) -> str:
    """Return a hint if the ends of a slice are within the axis, but the later one comes first."""
    both = span.start is not None and span.stop is not None
    return "the first end comes after the second; " if both and stop < first < n else ""


def _check_ends(span: slice, numbers: str, values: str) -> None:
    ends = [end for end in (span.start, span.stop) if end is not None]
    kinds = {is_number(end) for end in ends if not (is_number(end) and end == 0)}
    if len(kinds) > 1:
        raise UsageError(f"a slice {_between(span)}; allowed: two {numbers}, or two {values}")


def is_number(value: Any) -> bool:
    """Return whether an end of a slice is an index; timedelta64, a NumPy integer, is excluded."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64))


def _row(what: Sliced, at: Any) -> int:
    """Return the first row that starts at or after a time."""
    if is_number(at):
        row = operator.index(at)
        return row if row >= 0 else what.shape[0] + row
    time, rate = civil_time(at), what.header.sample_rate
    seconds = exact(at, "s", "time") if time is None else elapsed(what.header.start_time, time)
    if time is None and seconds < 0:
        raise UsageError(f"time = {shown(at)} is before the start; allowed: 0 or more, or a UTC "
                         "date and time")
    rows = seconds * rate
    # A time has steps of 5 ps: allow 0.1 ns, but at least a millionth of a row.
    slack = min(Fraction(1, 4), max(Fraction(1, 10**6), rate / 10**10))
    return -int(-(rows - slack) // 1)


def civil_time(at: Any) -> Time | None:
    """Return the UTC date and time of an end of a slice; None if it counts from the start."""
    if isinstance(at, Time):
        return at
    if isinstance(at, np.datetime64) and not np.isnat(at):
        return parse_time(str(np.datetime_as_string(at, "ns")))
    if isinstance(at, datetime):
        return Time(at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at, scale="utc")
    return parse_time(at) if isinstance(at, str) and _DATE.match(at) else None


def channel_span(what: Sliced, span: slice, path: str) -> tuple[int, int]:
    """Return the first channel of a slice and the channel after its last.

    Frequencies refer to channel centres.

    Raises
    ------
    UsageError
        If the slice is empty, or combines a number with a frequency.
    PlanError
        If there are no channels.
    """
    _check_ends(span, "channel numbers", "frequencies")
    axis = what.header.channels
    if axis is None or len(what.shape) < 3:
        raise PlanError(f"{path}: a band can be selected from channels only: channelise and "
                        "detect first")
    ends = (span.start, span.stop)
    if all(end is None or is_number(end) for end in ends):
        first, stop, _ = span.indices(axis.n_chan)
    else:
        low, high = (None if end is None else exact(end, "Hz", "frequency") for end in ends)
        first, stop = axis.slice_of(low, high)
        if low is not None and high is not None and low > high:
            raise UsageError(f"no channels {_between(span)}: the first end is above the second; "
                             "allowed: the lower frequency first")
    if first >= stop:
        low_hz, high_hz = (float(edge) / 1e6 for edge in axis.edges_hz)
        numbers = f"channels are numbered from 0 to {axis.n_chan - 1}; " if all(
            end is None or is_number(end) for end in ends) else ""
        hint = _reversed(span, first, stop, axis.n_chan) + numbers
        if not numbers and 0 < first < axis.n_chan:
            hint += "no channel is centred there; "
        raise UsageError(f"no channels {_between(span)}: {hint}the band runs from {low_hz:g} to "
                         f"{high_hz:g} MHz")
    return first, stop


def _between(span: slice) -> str:
    first = "the start" if span.start is None else span.start
    return f"from {first} to {'the end' if span.stop is None else span.stop}"
