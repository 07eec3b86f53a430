"""A regular clock for rows whose times are recorded individually.

Recorders write the time of every row rounded, late or early. Rows keep the order of the file; rows
are missing if times jump by whole rows. Jitter therefore moves no row, and the recorded times
remain available beside the clock.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.time import elapsed, time_from_mjd
from fastsig.io.files.cards import FIRST_DAY, LAST_DAY
from fastsig.stream.header import Header

__all__ = ["FAST_STEPS", "NOTABLE", "RowClock", "day_and_seconds", "exact_step", "exact_time",
           "fit", "given_step", "seconds_of"]

#: Integration times of FAST's spectral backend, s: multiples of the period of its clock, 4 ns.
FAST_STEPS = (Fraction("0.100663296"), Fraction("0.50331648"), Fraction("1.00663296"))

#: A row that is further off the clock than this, in rows, is reported.
NOTABLE = 0.1

#: About three steps of a present-day MJD in float64, s.
_FLOAT_DAY_S = 2e-6


class RowClock(NamedTuple):
    """The rows of one or more files on one clock.

    Parameters
    ----------
    step : Fraction
        Time between rows, s.
    slots : tuple of ndarray of int64
        Place of every row of each file; the earliest is 0, and a place has at most one row unless
        files overlap.
    off : tuple of ndarray of float64
        Recorded times minus those of the clock, in steps; NaN if there is no time.
    anchor : (int, int)
        File and row whose recorded time defines the clock.
    """

    step: Fraction
    slots: tuple[NDArray[np.int64], ...]
    off: tuple[NDArray[np.float64], ...]
    anchor: tuple[int, int]

    @property
    def most_off(self) -> float:
        """Largest absolute difference of a recorded time from the clock, in steps."""
        return max(float(np.nanmax(np.abs(off), initial=0)) for off in self.off)

    @property
    def typical_off(self) -> float:
        """Median absolute difference, in steps."""
        return float(np.nanmedian(np.abs(np.concatenate(self.off))))

    @property
    def n_off(self) -> int:
        """Number of rows whose time differs by more than a tenth of a step, or is missing."""
        return int(sum((~(np.abs(off) <= NOTABLE)).sum() for off in self.off))


def exact_step(seconds: float) -> Fraction | None:
    """Return the integration time of FAST that agrees with `seconds` to 1e-6; None if none does."""
    found = (step for step in FAST_STEPS if abs(seconds / float(step) - 1) <= 1e-6)
    return next(found, None)


def given_step(common: Mapping[str, Any]) -> Fraction | None:
    """Return the seconds per row according to the `sample_rate` given by the user, or None."""
    if "sample_rate" not in common:
        return None
    header = Header(time_from_mjd(FIRST_DAY), Fraction(1))
    return 1 / header.overridden({"sample_rate": common["sample_rate"]}).sample_rate


def day_and_seconds(mjd: float) -> tuple[int, Fraction]:
    """Split a float MJD into day number and exact seconds of day, by its shortest decimal text."""
    value = Fraction(repr(float(mjd)))
    day = value.numerator // value.denominator
    return int(day), (value - day) * 86400


def exact_time(mjd: float) -> Time:
    """Return the UTC time of a float MJD."""
    return time_from_mjd(*day_and_seconds(mjd))


def seconds_of(mjd: NDArray[np.float64], first_day: int) -> NDArray[np.float64]:
    """Return seconds (TAI) from 0 h UTC of `first_day`; NaN for times outside 1970 to 2100.

    The difference of days is exact in float64, so the size of a day number costs no precision.
    """
    good = (mjd >= FIRST_DAY) & (mjd < LAST_DAY)  # False for NaN
    days = np.floor(np.where(good, mjd, first_day))
    out = np.where(good, mjd - days, np.nan) * 86400
    for day in np.unique(days[days != first_day]):  # seconds count through leap seconds
        out[days == day] += float(elapsed(time_from_mjd(first_day), time_from_mjd(int(day))))
    return out


def fit(pieces: Sequence[NDArray[np.float64]], nominal: Fraction | None, *, fixed: bool = False,
        usual: Sequence[Fraction] = ()) -> RowClock:
    """Fit a clock to the times of rows in files.

    The step is `nominal` if that explains the times; otherwise it is measured from the times.

    Parameters
    ----------
    pieces : sequence of ndarray of float64
        Seconds of the rows of each file, NaN if there is no time. Some must be finite.
    nominal : Fraction or None
        The step stated in the header, s.
    fixed : bool
        Whether the step is `nominal` regardless of the times, because the user specified it.
    usual : sequence of Fraction
        Steps that are preferred if the times agree with them to a tenth of a row.
    """
    if fixed and nominal is not None:
        return _clock(pieces, nominal)
    measured = _measured(pieces, nominal, usual)
    if nominal is None:
        return _clock(pieces, measured or Fraction(1))
    clock = _clock(pieces, nominal)
    if measured is None or measured == nominal or clock.most_off <= NOTABLE:
        return clock
    found = _clock(pieces, measured)
    return found if found.typical_off < clock.typical_off / 2 else clock


def _clock(pieces: Sequence[NDArray[np.float64]], step: Fraction) -> RowClock:
    """Fit a clock of a given step."""
    placed = [_place(seconds, float(step)) for seconds in pieces]
    anchor = _anchor([off for _, off in placed])
    zero = pieces[anchor[0]][anchor[1]] - placed[anchor[0]][0][anchor[1]] * float(step)
    slots: list[NDArray[np.int64]] = []
    offs, after = [], 0
    for seconds, (places, _) in zip(pieces, placed, strict=True):
        turns = (seconds - zero) / float(step) - places
        # The start of a file is the median over its rows.
        first = round(float(np.nanmedian(turns))) if np.isfinite(turns).any() else after
        slots.append(places + first)
        offs.append(turns - first)
        after = int(slots[-1][-1]) + 1 if len(places) else after
    least = min(int(places[0]) for places in slots if len(places))
    return RowClock(step, tuple(places - least for places in slots), tuple(offs), anchor)


def _anchor(offs: Sequence[NDArray[np.float64]]) -> tuple[int, int]:
    """Return file and row of the first time on the clock, or else of a time closest to it."""
    least = min(float(np.nanmin(np.abs(off), initial=np.inf)) for off in offs)
    for number, off in enumerate(offs):
        near = np.flatnonzero(np.abs(off) <= max(least, NOTABLE))
        if len(near):
            return number, int(near[0])
    raise ValueError("no row has a time")


def _measured(pieces: Sequence[NDArray[np.float64]], nominal: Fraction | None,
              usual: Sequence[Fraction]) -> Fraction | None:
    """Measure the seconds between rows, from increasingly long spans without missing rows."""
    steps = np.concatenate([np.diff(seconds) for seconds in pieces])
    steps = steps[np.isfinite(steps) & (steps > 0)]
    if not len(steps):
        return None
    step = float(np.median(steps))
    if nominal and abs(step / float(nominal) - 1) > 0.5 and _explains(steps, float(nominal)):
        return nominal  # most rows are missing
    length = 1
    while length < max(len(seconds) for seconds in pieces):
        spans = np.concatenate([seconds[length:] - seconds[:-length] for seconds in pieces])
        excess = spans / step - length
        excess = excess[np.abs(excess) < 0.5]
        if not len(excess):
            break
        step *= 1 + float(np.median(excess)) / length
        length *= 2
    n_row = sum(len(seconds) for seconds in pieces)
    known = (each for each in usual if abs(step / float(each) - 1) * n_row <= NOTABLE)
    return next(known, None) or _decimal(step, n_row)


def _decimal(step: float, n_row: int) -> Fraction | None:
    """Return the shortest decimal step that keeps `n_row` rows as exact as float days are."""
    found = (Fraction(round(step * 10**digits), 10**digits) for digits in range(1, 14))
    last = None
    for last in found:
        if last and abs(float(last) - step) * n_row <= _FLOAT_DAY_S:
            break
    return last or None


def _explains(steps: NDArray[np.float64], nominal: float) -> bool:
    """Whether most steps are multiples of the nominal one."""
    ratio = steps / nominal
    return bool(np.median(np.abs(ratio - np.maximum(1, np.rint(ratio)))) <= NOTABLE)


def _place(seconds: NDArray[np.float64], step: float
           ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the places of the rows of one file from 0 on, and the differences of their times."""
    n = np.arange(len(seconds))
    known = np.flatnonzero(np.isfinite(seconds))
    if not len(known):
        return n, np.full(len(n), np.nan)
    turns = (seconds - seconds[known[0]]) / step
    phase = np.angle(np.exp(2j * np.pi * turns[known]).mean()) / (2 * np.pi)
    missing = np.rint(turns[known] - phase - known).astype(np.int64)
    # The number of missing rows never decreases: times that imply this are wrong.
    kept = _nondecreasing(missing)
    at = np.searchsorted(known[kept], n, side="right") - 1
    places = n + missing[kept][np.maximum(at, 0)]
    off = turns - phase - places
    return places - places[0], off


def _nondecreasing(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of a longest subsequence that never decreases."""
    if not (np.diff(values) < 0).any():
        return np.arange(len(values))
    tails: list[int] = []
    ends: list[int] = []
    before = np.full(len(values), -1, np.int64)
    for index, value in enumerate(values.tolist()):
        at = bisect_right(tails, value)
        before[index] = ends[at - 1] if at else -1
        tails[at : at + 1], ends[at : at + 1] = [value], [index]
    chain = [ends[-1]]
    while before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return np.array(chain[::-1], np.int64)
