"""Spectra of the diode alone: rows with the diode on minus rows with it off."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError

__all__ = ["Difference", "on_minus_off"]

F8 = NDArray[np.float64]


class Difference(NamedTuple):
    """On-minus-off spectra of cycles.

    `number` (cycle,) is int64; `power` (cycle, pol, chan), in the unit of power, is NaN if a cycle
    lacks on or off rows; `weight` is the inverse variance according to the radiometer equation;
    `rows` (cycle,) is the mean of the numbers of the on rows.
    """

    number: NDArray[np.int64]
    power: F8
    weight: F8
    rows: F8


def on_minus_off(
    power: Any, weight: Any, state: NDArray[np.int8], number: NDArray[np.int64], *,
    n_average: float = 1.0,
) -> Difference:
    """Return the mean of the on rows minus that of the off rows for every cycle.

    The variance follows from the radiometer equation: ``P_on^2 / (n w_on) + P_off^2 / (n w_off)``,
    where w is the sum of weights and n is the number of independent samples in a row.

    Parameters
    ----------
    power : array, shape (time, pol, chan), any unit
        Power; NaN where it is missing.
    weight : array, broadcastable to power, dimensionless, or None
        Valid fraction of each value.
    state : ndarray, shape (time,), int8
        1 where the diode is on, 0 where it is off; other rows are left out.
    number : ndarray, shape (time,), int64
        Cycle of each row, ascending.
    n_average : float
        Channel width times row length, reduced by the correlation due to the windows of a filter
        bank.

    Raises
    ------
    UsageError
        If the shapes do not match.

    References
    ----------
    R. H. Dicke, Rev. Sci. Instrum. 17 (1946) 268: the radiometer equation.
    """
    values = np.asarray(power)
    if values.ndim != 3 or len(state) != len(values) or len(number) != len(values):
        raise UsageError(f"power {values.shape}, state {np.shape(state)}, cycles "
                         f"{np.shape(number)}; allowed: (time, pol, chan), (time,), (time,)")
    shares = np.broadcast_to(1.0 if weight is None else np.asarray(weight), values.shape)
    cycles = np.unique(number)
    shape = (len(cycles), *values.shape[1:])
    difference, inverse = np.full(shape, np.nan), np.zeros(shape)
    rows = np.full(len(cycles), np.nan)
    for i, cycle in enumerate(cycles):
        begin, end = np.searchsorted(number, [cycle, cycle + 1])
        lit = state[begin:end]
        on, w_on = _mean(values[begin:end][lit == 1], shares[begin:end][lit == 1])
        off, w_off = _mean(values[begin:end][lit == 0], shares[begin:end][lit == 0])
        both = (w_on > 0) & (w_off > 0)
        difference[i] = np.where(both, on - off, np.nan)
        variance = on**2 / np.where(both, w_on, 1) + off**2 / np.where(both, w_off, 1)
        known = both & (variance > 0)
        inverse[i] = np.where(known, n_average / np.where(known, variance, 1), 0)
        rows[i] = begin + (np.flatnonzero(lit == 1).mean() if (lit == 1).any() else np.nan)
    return Difference(cycles, difference, inverse, rows)


def _mean(values: NDArray[Any], weight: NDArray[Any]) -> tuple[F8, F8]:
    w = np.where(np.isfinite(values), weight, 0.0).astype(np.float64)
    total = w.sum(axis=0)
    sums = (np.where(w > 0, values, 0.0) * w).sum(axis=0)
    return np.where(total > 0, sums / np.where(total > 0, total, 1), 0.0), total
