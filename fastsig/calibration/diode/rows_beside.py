"""Rows beside those with the diode on, and how they count, so that what passes cancels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.diode.cycle import DiodeCycle, classify

__all__ = ["FAR", "NEAR", "Balance", "balance", "near_rows"]

F8 = NDArray[np.float64]

#: Weights of rows within one and within two on-times of the diode: the mean of x^2 over an on-time
#: of half-width 1 is 1/3, over those 13/3 and 49/3.
NEAR, FAR = 4 / 3, -1 / 3

_APART = 1.0  # row, and a tenth of the on-time: as far as the middles of both may be apart


def near_rows(rate: Fraction, start: int, n: int, cycle: DiodeCycle, guard: Fraction
              ) -> NDArray[np.int8]:
    """States of rows: 1 on, 0 off within an on-time of such a row, 2 off within two; else -1.

    Rows with it off lie on both sides of an on-time alike. With `NEAR` x the mean of the first and
    `FAR` x that of the second as what the on-time would have had without the diode, whatever
    passes as a parabola does, a source in the beam too, cancels. Where the diode is off for less
    than four on-times there are no second ones, and what is even cancels.

    Parameters
    ----------
    rate, start, n, cycle, guard
        As of `fastsig.calibration.diode.cycle.classify`.

    Returns
    -------
    ndarray, shape (n,), int8
    """
    state = classify(rate, start, n, cycle, guard)
    off = state == 0
    one, two = (_within(rate, start, n, cycle, guard, times) for times in (1, 2))
    if two is None:
        return state if one is None else np.where(off & ~one, np.int8(-1), state)
    state[off & ~two] = -1
    if one is not None:
        state[off & two & ~one] = 2
    return state


def _within(rate: Fraction, start: int, n: int, cycle: DiodeCycle, guard: Fraction, times: int
            ) -> NDArray[np.bool_] | None:
    """Rows within so many on-times of one; None where all are."""
    side = times * max(cycle.on, 1 / rate) + guard
    if cycle.on + 2 * side >= cycle.period:
        return None
    wide = DiodeCycle(cycle.period, cycle.on + 2 * side, cycle.phase - side)
    return np.asarray(classify(rate, start, n, wide) == 1)


@dataclass(frozen=True)
class Balance:
    """How rows count: each cycle as much with the diode off as with it on.

    Means over rows of many cycles then are of the same sky, whatever is lost.

    Parameters
    ----------
    first : int
        Number of the first cycle.
    factors : ndarray, shape (3, cycle)
        Of rows of state 0, 1 and 2; 0 for cycles that do not count.
    """

    first: int
    factors: F8

    @property
    def counts(self) -> NDArray[np.bool_]:
        """Whether each cycle counts."""
        return np.asarray(self.factors[1] > 0)

    def without(self, bad: NDArray[np.bool_]) -> Balance:
        """The same, but for some cycles."""
        return replace(self, factors=np.where(bad, 0.0, self.factors))

    def of(self, state: NDArray[np.int8], number: NDArray[np.int64]) -> F8:
        """Factors of rows."""
        place = np.clip(number - self.first, 0, self.factors.shape[1] - 1)
        return np.where(state >= 0, self.factors[np.maximum(state, 0), place], 0.0)


def balance(state: NDArray[np.int8], number: NDArray[np.int64], present: NDArray[np.bool_]
            ) -> Balance:
    """The factors of rows, by which rows are there.

    Cycles without rows on both sides of the on-time do not count.

    Parameters
    ----------
    state, number : ndarray, shape (time,)
        Of `near_rows` and `fastsig.calibration.diode.cycle.cycle_number`.
    present : ndarray of bool, shape (time,)
        Rows that are valid.
    """
    first = int(number[0])
    place, n_cycle = number - first, int(number[-1]) - first + 1
    row = np.arange(len(state), dtype=np.float64)
    count, middle = np.zeros((3, n_cycle)), np.zeros((3, n_cycle))
    for kind in range(3):
        some = (state == kind) & present
        count[kind] = np.bincount(place[some], minlength=n_cycle)
        total = np.bincount(place[some], row[some], n_cycle)
        middle[kind] = total / np.maximum(count[kind], 1)
    kinds = [0, 1, 2] if (state == 2).any() else [0, 1]
    there = (count[kinds] > 0).all(axis=0)
    apart = np.abs(middle[kinds] - middle[1]).max(axis=0)
    good = there & (apart <= _APART + 0.1 * count[1])
    return Balance(first, np.where(good, count[1] / np.maximum(count, 1), 0.0))
