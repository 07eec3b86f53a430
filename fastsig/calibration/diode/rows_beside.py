"""Rows beside those with the diode on, and their weights, with which passing sources cancel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.diode.cycle import DiodeCycle, classify

__all__ = ["FAR", "NEAR", "Balance", "balance", "near_rows"]

F8 = NDArray[np.float64]

#: Weights of rows within one and within two on-times of the diode. The mean of x^2 is 1/3 over an
#: on-time of half-width 1, and 13/3 and 49/3 over these rows.
NEAR, FAR = 4 / 3, -1 / 3

_APART = 1.0  # row; with a tenth of the on-time, the largest distance of on and off centres


def near_rows(rate: Fraction, start: int, n: int, cycle: DiodeCycle, guard: Fraction
              ) -> NDArray[np.int8]:
    """Return the states of rows: 1 on, 0 off within one on-time of it, 2 off within two, or -1.

    Off rows lie symmetrically on both sides of an on-time. `NEAR` times the mean of state 0 plus
    `FAR` times the mean of state 2 estimates the power during the on-time without the diode. Any
    parabola in time cancels, including a source that passes through the beam. If the diode is off
    for less than four on-times, there are no rows of state 2, and only linear drifts cancel.

    Parameters
    ----------
    rate, start, n, cycle, guard
        As in `fastsig.calibration.diode.cycle.classify`.

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
    """Return the rows within `times` on-times of an on-time; None if all are."""
    side = times * max(cycle.on, 1 / rate) + guard
    if cycle.on + 2 * side >= cycle.period:
        return None
    wide = DiodeCycle(cycle.period, cycle.on + 2 * side, cycle.phase - side)
    return np.asarray(classify(rate, start, n, wide) == 1)


@dataclass(frozen=True)
class Balance:
    """Factors with which rows count, so that each cycle counts equally with the diode off and on.

    Means over rows of many cycles then refer to the same sky, even if rows are lost.

    Parameters
    ----------
    first : int
        Number of the first cycle.
    factors : ndarray, shape (3, cycle)
        Factors of rows of state 0, 1 and 2; 0 for cycles that do not count.
    """

    first: int
    factors: F8

    @property
    def counts(self) -> NDArray[np.bool_]:
        """Whether each cycle counts."""
        return np.asarray(self.factors[1] > 0)

    def without(self, bad: NDArray[np.bool_]) -> Balance:
        """Return the same balance without some cycles."""
        return replace(self, factors=np.where(bad, 0.0, self.factors))

    def of(self, state: NDArray[np.int8], number: NDArray[np.int64]) -> F8:
        """Return the factors of rows."""
        place = np.clip(number - self.first, 0, self.factors.shape[1] - 1)
        return np.where(state >= 0, self.factors[np.maximum(state, 0), place], 0.0)


def balance(state: NDArray[np.int8], number: NDArray[np.int64], present: NDArray[np.bool_]
            ) -> Balance:
    """Compute the factors of rows from the rows that are present.

    Cycles without rows on both sides of the on-time do not count.

    Parameters
    ----------
    state, number : ndarray, shape (time,)
        Results of `near_rows` and `fastsig.calibration.diode.cycle.cycle_number`.
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
