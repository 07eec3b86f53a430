"""Frequencies of periodic interference ("birds"), which a search leaves out by weight.

Birds are ranges of frequencies, arrays of shape (n, 2): lower and upper edges in Hz. Bins in them
have a weight of 0, so they change neither the level of the noise around them nor sums of harmonics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError

__all__ = ["across_beams", "lines", "mains", "merged", "of_candidates"]

F8 = NDArray[np.float64]

#: How far the frequency of the mains varies, as a share of it.
_MAINS_WANDER = 0.002
#: Bins on each side of a candidate that belong to it.
_REACH = 1.5


def merged(*birds: Any) -> F8:
    """Return the union of ranges, ascending.

    Raises
    ------
    UsageError
        If a range is not two numbers, the lower one first.
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
        Number of harmonics of each line, itself included.

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
        As `lines`.
    """
    if not frequency > 0:
        raise UsageError(f"mains = {frequency}; allowed: a frequency above 0, Hz")
    n = int(max(highest, 0) / frequency)
    return lines(frequency, 2 * _MAINS_WANDER * frequency, n) if n else merged()


def of_candidates(candidates: NDArray[Any], duration_s: float) -> F8:
    """Return the ranges of candidates of a series, such as that at DM 0, with their harmonics.

    A pulsar of a low dispersion measure is seen at DM 0 too, and is lost if its frequencies are
    birds. Drifting candidates have wider ranges.

    Parameters
    ----------
    candidates : ndarray, fields of `fourier.CANDIDATE`
        Candidates.
    duration_s : float
        Time that a turn takes at a frequency of one bin, as `FourierSearch.duration_s`.
    """
    if not len(candidates):
        return merged()
    middle = candidates["r"] / duration_s
    found = []
    for center, z, n in zip(middle, candidates["z"], candidates["n_harmonic"], strict=True):
        k = np.arange(1, int(n) + 1)
        reach = (_REACH + k * abs(z) / 2) / duration_s
        found.append(np.stack([k * center - reach, k * center + reach], axis=1))
    return merged(*found)


def across_beams(candidates: Sequence[NDArray[Any]], duration_s: float, *, n_beam: int) -> F8:
    """Return the ranges of candidates that `n_beam` beams or more have at the same frequency.

    Parameters
    ----------
    candidates : sequence of ndarray, fields of `fourier.CANDIDATE`
        Candidates of each beam.
    duration_s : float
        As for `of_candidates`.
    n_beam : int
        Least number of beams, 2 or more.

    Raises
    ------
    UsageError
        If `n_beam` is below 2.
    """
    if n_beam < 2:
        raise UsageError(f"n_beam = {n_beam}; allowed: 2 or more beams")
    ranges = [of_candidates(each, duration_s) for each in candidates]
    edges = np.concatenate([np.empty((0, 2))] + [
        np.concatenate([np.stack([each[:, 0], np.ones(len(each))], axis=1),
                        np.stack([each[:, 1], -np.ones(len(each))], axis=1)]) for each in ranges])
    edges = edges[np.lexsort((-edges[:, 1], edges[:, 0]))]
    depth = np.cumsum(edges[:, 1])
    above = np.concatenate([[False], depth >= n_beam]).astype(np.int8)
    change = np.diff(above)
    return merged(np.stack([edges[change == 1, 0], edges[change == -1, 0]], axis=1))
