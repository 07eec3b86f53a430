"""From detections in whole series and in their segments to signals: `sift_segments`.

Detections in the whole series, and in each segment, become signals by the rules of `sift`. From the
most significant of these to the least:

1. *The same frequency.* A signal belongs to another one, of which it may be a part in time, if its
   frequency at the middle of its segment is that of any part of the other signal. The drift of the
   longer of the two segments, or the mean drift of two equal ones, predicts the frequency. The
   prediction may be off by 1.1 bins and what 2 bins of drift cause: by
   ``1.1 + 2 t T / T0^2`` bins, where T and T0 are the lengths of the shorter and the longer segment
   and t is the time between their middles. A bin is 1 / T.
2. *Harmonics.* A signal is left out as a harmonic if its frequency is ``a f0``, a up to 64, or
   ``f0 / b``, b up to 16, within ``max(1, a)`` times as many bins, and the ranges of dispersion
   measure overlap. Fractions ``(a / b) f0`` of these numbers count if the other signal has 1.5
   times the S/N or more and multiples of ``f0 / b`` are ``2 b`` times as many bins apart, within
   ``max(1, a / b)`` times as many bins. Few frequencies are as close to such a fraction by chance.
   Of a slow signal, multiples are close to most frequencies: the difference is at most the larger
   of ``f0 / (20 b^2)`` and of the bins of the first rule.

Parts are compared if they are of different segments; the whole counts as a segment here. Of all
parts of a signal, that with the smallest allowed difference is compared. The signal has the values
of its most significant part.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.search.pulsars.sift import (
    NEAR_MULTIPLE,
    RATIOS,
    STRONGER,
    TOLERANCE,
    Sifted,
    sift,
)

__all__ = ["sift_segments"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

_DRIFT = 2.0  # bins
_APART = 2.0  # multiples of f0 / b, in b allowed differences


class _Parts(NamedTuple):
    """Signals of segments: middle (s), frequency there with its derivatives, and length (s)."""

    segment: NDArray[np.int32]
    middle: F8
    frequency: F8
    fdot: F8
    fddot: F8
    length: F8


def sift_segments(found: NDArray[Any], duration_s: float, *, most: int = 1000) -> Sifted:
    """Return the signals of detections in whole series and in their segments.

    Parameters
    ----------
    found : ndarray, shape (n,), fields of `sift.DETECTION`
        Detections in the series of all dispersion measures.
    duration_s : float
        Duration of the series, s.
    most : int
        Largest number of signals of each segment before harmonics are left out.
    """
    each = [found[found["segment"] == k] for k in np.unique(found["segment"])]
    sifted = [sift(some, float(some["length"][0]) or duration_s, most=most) for some in each]
    if not any(found["segment"]) or not sifted:
        return sift(found, duration_s, most=most)
    return _joined(sifted, duration_s)


def _joined(sifted: list[Sifted], duration_s: float) -> Sifted:
    """Return the signals of all segments, each once."""
    def together(name: str) -> Any:
        return np.concatenate([getattr(each, name) for each in sifted])

    whole = Sifted(together("best"), together("n_member"), together("n_segment"),
                   together("dm_low"), together("dm_high"),
                   [text for each in sifted for text in each.harmonics], 0, 0)
    best, parts = whole.best, _parts(whole.best, duration_s)
    left = np.lexsort((best["dm"], best["frequency"], -best["sigma"]))
    rows: list[tuple[Any, ...]] = []
    n_harmonic = sum(each.n_harmonic for each in sifted)
    while left.size:
        members, left = _members(parts, left)
        low, high = whole.dm_low[members].min(), whole.dm_high[members].max()
        ratios = [ratio for k in members for ratio in _ratios(whole.harmonics[k])]
        segments = set(parts.segment[members].tolist())
        for k, ratio in _harmonics(whole, parts, members, left, (low, high)):
            ratios += [ratio, *(ratio * each for each in _ratios(whole.harmonics[k]))]
            segments.add(int(parts.segment[k]))
            left, n_harmonic = left[left != k], n_harmonic + 1
        rows.append((members[0], whole.n_member[members].sum(), len(segments - {0}), low, high,
                     ", ".join(map(str, dict.fromkeys(each for each in ratios if each != 1)))))
    first, n_member, n_segment, low, high, harmonics = zip(*rows, strict=True) if rows else [[]] * 6
    return Sifted(best[np.array(first, np.int64)], np.array(n_member, np.int64),
                  np.array(n_segment, np.int64), np.array(low, np.float64),
                  np.array(high, np.float64), list(harmonics), n_harmonic,
                  sum(each.n_dropped for each in sifted))


def _parts(best: NDArray[Any], duration_s: float) -> _Parts:
    length = np.where(best["segment"] > 0, best["length"], duration_s)
    return _Parts(best["segment"], best["start"] + length / 2,
                  best["frequency"] + best["fdot"] * length / 2 + best["fddot"] * length**2 / 8,
                  best["fdot"] + best["fddot"] * length / 2, best["fddot"], length)


def _ratios(text: str) -> list[Fraction]:
    return [Fraction(each) for each in text.split(", ") if each]


def _members(parts: _Parts, left: I8) -> tuple[I8, I8]:
    """Return the numbers of the first of the signals that are left and its parts, and the rest."""
    members, left = left[:1], left[1:]
    while left.size:
        off, allowed, _ = _apart(parts, members, left)
        is_one = off <= allowed
        if not is_one.any():
            break
        members, left = np.concatenate([members, left[is_one]]), left[~is_one]
    return members, left


def _harmonics(whole: Sifted, parts: _Parts, members: I8, left: I8, dms: tuple[float, float]
               ) -> Iterator[tuple[int, Fraction]]:
    """Yield the numbers of the harmonics of a signal, and their ratios."""
    left = left[(whole.dm_low[left] <= dms[1]) & (whole.dm_high[left] >= dms[0])]
    snr = whole.best["snr"]
    for a, b in RATIOS:
        if not left.size:
            return
        off, allowed, turns = _apart(parts, members, left, a / b)
        least = allowed / max(1.0, a / b)
        is_one = off <= np.minimum(allowed, np.maximum(least, NEAR_MULTIPLE * turns / b**2))
        if min(a, b) > 1:
            is_one &= (snr[members[0]] >= STRONGER * snr[left]) & (turns >= _APART * b**2 * least)
        yield from ((int(k), Fraction(a, b)) for k in left[is_one])
        left = left[~is_one]


def _apart(parts: _Parts, members: I8, left: I8, ratio: float = 1.0) -> tuple[F8, F8, F8]:
    """Return how far signals are from a ratio to the best part of another one.

    Returns
    -------
    off, allowed, turns : ndarray, shape (n,), float64
        Differences of frequencies, infinite where there is no part of another segment, those that
        are allowed, and the frequency of the part: bins of the shorter segment.
    """
    own, other = parts.length[members][:, np.newaxis], parts.length[left]
    late = parts.middle[left] - parts.middle[members][:, np.newaxis]
    short = np.minimum(own, other)
    allowed = (TOLERANCE + _DRIFT * np.abs(late) * short / np.maximum(own, other) ** 2) * max(
        1.0, ratio)
    apart = parts.segment[members][:, np.newaxis] != parts.segment[left]
    place = np.argmin(np.where(apart, allowed, np.inf), axis=0), np.arange(left.size)
    some = members[place[0]]
    before, after = ratio * parts.fdot[some], parts.fdot[left]
    longer = parts.length[some] - parts.length[left]
    drift = np.where(longer > 0, before, np.where(longer < 0, after, (before + after) / 2))
    jerk = np.where(longer > 0, ratio * parts.fddot[some],
                    np.where(longer < 0, -parts.fddot[left], 0))  # the mean drift contains it
    off = np.abs(parts.frequency[left] - ratio * parts.frequency[some] - drift * late[place]
                 - jerk * late[place] ** 2 / 2)
    return (np.where(apart[place], off * short[place], np.inf), allowed[place],
            parts.frequency[some] * short[place])
