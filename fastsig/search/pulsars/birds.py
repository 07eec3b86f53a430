"""Frequencies of periodic interference ("birds"), which a search leaves out.

Birds are ranges of frequencies, arrays of shape (n, 2): lower and upper edges in Hz. Bins in them
have a weight of 0, so they change neither the level of the noise around them nor sums of harmonics.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError

__all__ = ["lines", "mains", "merged", "of_frequencies"]

F8 = NDArray[np.float64]

#: How far the frequency of the mains varies, as a fraction of it.
_MAINS_WANDER = 0.002
#: Bins on each side of a candidate that belong to it.
_REACH = 1.5


def merged(*birds: Any) -> F8:
    """Return the union of ranges, in ascending order.

    Raises
    ------
    UsageError
        If a range does not consist of two numbers, the lower one first.
    """
    given = [np.asarray(each, np.float64).reshape(-1, 2) for each in birds]
    found = np.concatenate([np.empty((0, 2)), *given])
    if not (found[:, 0] <= found[:, 1]).all():
        raise UsageError("birds: an upper edge below its lower one, or not a number; allowed: "
                         "ranges of frequencies, Hz")
    kept: list[list[float]] = []
    for low, high in found[np.argsort(found[:, 0], kind="stable")]:
        if kept and low <= kept[-1][1]:
            kept[-1][1] = max(kept[-1][1], float(high))
        else:
            kept.append([float(low), float(high)])
    return np.array(kept, np.float64).reshape(-1, 2)


def lines(frequency: Any, width: Any, n_harmonic: Any = 1) -> F8:
    """Return ranges around lines and their harmonics.

    Parameters
    ----------
    frequency, width : array, Hz
        Centre and full width of each line; those of harmonic k are k times as large.
    n_harmonic : array of int
        Number of harmonics of each line, including the line itself.

    Raises
    ------
    UsageError
        If a frequency or a width is not above 0.
    """
    center, full, count = np.broadcast_arrays(
        np.atleast_1d(np.asarray(frequency, np.float64)), np.asarray(width, np.float64),
        np.asarray(n_harmonic, np.int64))
    if not ((center > 0).all() and (full > 0).all() and (count > 0).all()):
        raise UsageError("birds: a frequency, width or number of harmonics that is not above 0; "
                         "allowed: above 0")
    found = [np.array([c - w / 2, c + w / 2]) * np.arange(1, n + 1)[:, np.newaxis]
             for c, w, n in zip(center, full, count, strict=True)]
    return merged(*found)


def mains(frequency: float, highest: float) -> F8:
    """Return ranges around the harmonics of the mains up to a frequency, in Hz.

    The frequency of the mains (50 or 60 Hz) varies by 0.2 % at most.

    Raises
    ------
    UsageError
        As for `lines`.
    """
    if not frequency > 0:
        raise UsageError(f"mains = {frequency}; allowed: a frequency above 0, Hz")
    n = int(max(highest, 0) / frequency)
    return lines(frequency, 2 * _MAINS_WANDER * frequency, n) if n else merged()


def of_frequencies(frequency: Any, fdot: Any, n_harmonic: Any, duration_s: Any,
                   fddot: Any = 0.0) -> F8:
    """Return the ranges of candidates of a search, with their harmonics.

    Parameters
    ----------
    frequency, fdot : array, shape (n,), Hz, Hz/s
        Frequency at the beginning of the series, and its derivative: ranges contain the drift.
    n_harmonic : array of int, shape (n,)
        Number of harmonics, the fundamental included.
    duration_s : array, s
        Duration of the series; a bin of the spectrum is its inverse.
    fddot : array, Hz/s^2, optional
        Second derivative of the frequency.
    """
    first, slope, count, length, jerk = np.broadcast_arrays(
        np.asarray(frequency, np.float64), np.asarray(fdot, np.float64),
        np.asarray(n_harmonic, np.int64), np.asarray(duration_s, np.float64),
        np.asarray(fddot, np.float64))
    found = []
    for f, d, n, t, j in zip(first, slope, count, length, jerk, strict=True):
        k = np.arange(1, int(n) + 1)
        middle = k * (f + d * t / 2 + j * t**2 / 6)
        reach = _REACH / t + k * (abs(d + j * t / 2) * t / 2 + abs(j) * t**2 / 12)
        found.append(np.stack([middle - reach, middle + reach], axis=1))
    return merged(*found)
