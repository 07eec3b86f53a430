"""The scatter of a diode's steps, compared with white noise."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.diode.folding import Fit, Series, share_of

__all__ = ["Cycles", "each_cycle", "redness"]

F8 = NDArray[np.float64]

_FEWEST = 5
_SEEN = 0.3  # fraction of the best cycle's information that a cycle must have


class Cycles(NamedTuple):
    """Number of cycles with data, S/N of one cycle, rms of steps divided by that of white noise."""

    n: int
    snr: float
    excess: float


def each_cycle(fit: Fit, flat: Series, variance: float) -> Cycles:
    """Fit the step of every cycle, from the middle of one off-time to the middle of the next."""
    rows = np.arange(flat.n)
    share = share_of(rows - fit.phase, fit.period, fit.on)
    begin = fit.phase - (fit.period - fit.on) / 2
    number = np.floor((rows + 0.5 - begin) / fit.period).astype(np.int64)
    number -= number.min()

    def total(values: F8) -> F8:
        return np.bincount(number, values).astype(np.float64)

    w = total(flat.w)
    mean = total(flat.w * share) / np.where(w > 0, w, 1.0)
    norm = total(flat.w * share**2) - mean * mean * w
    top = total(flat.w * share * flat.y) - mean * total(flat.w * flat.y)
    seen = norm > _SEEN * norm.max()
    n, norm, top = int(seen.sum()), norm[seen], top[seen]
    if not n:
        return Cycles(0, 0.0, 1.0)
    step = top.sum() / norm.sum()
    snr = float(step * sqrt(norm.mean() / variance))
    if n < _FEWEST:
        return Cycles(n, snr, 1.0)
    spread = ((top - step * norm) ** 2).sum() / norm.sum() / variance * n / (n - 1)
    return Cycles(n, snr, max(1.0, sqrt(spread)))


def redness(rest: Series, length: float) -> float:
    """Return the rms of means over `length` rows, relative to white noise; 1 or more."""
    n = max(1, round(length))
    n_mean = rest.n // n
    if n == 1 or n_mean < _FEWEST:
        return 1.0
    w = rest.w[: n_mean * n].reshape(n_mean, n)
    sums = (w * rest.y[: n_mean * n].reshape(n_mean, n)).sum(axis=1)
    full = w.sum(axis=1) > 0
    expected = (rest.w * rest.y**2).sum() / max(np.count_nonzero(rest.w), 1)
    found = (sums[full] ** 2 / w.sum(axis=1)[full]).mean()
    return max(1.0, sqrt(found / max(expected, 1e-300)))
