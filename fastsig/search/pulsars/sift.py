"""From detections in the series of all dispersion measures to signals: `sift`.

The rules, from the most significant detection to the least:

1. *Neighbours.* A detection belongs to a signal, at any dispersion measure and in either search, if
   its frequency differs by at most 1.1 bins of the spectrum, each ``1 / T`` wide, plus half the
   difference of the drifts and a twelfth of that of the jerks. A detection at most 4 bins away also
   belongs to the signal if its S/N is at most a fifth of that of the signal. At any distance of d
   bins, it belongs to the signal if its S/N is at most ``2 / (pi d)`` times that of the signal,
   which is twice the S/N of the sidelobes there.
   The signal has the values of its most significant detection, except for the dispersion measure.
   This is the middle of the range in which the S/N found by the same search is lower than that of
   this detection by at most 1, the noise of an S/N, or by at most a tenth if that is more. The
   tenth is allowed because other bright signals change the S/N of a bright one by several per cent,
   differently at each dispersion measure.
2. *Harmonics.* A signal of frequency f is a harmonic of a more significant one of frequency f0 if
   ``f = a f0``, with a up to 64, or ``f = f0 / b``, with b up to 16, within ``1.1 max(1, a / b)``
   bins, or for ``a f0`` at a distance of d bins if its S/N is as low as above. Fractions
   ``(a / b) f0`` with such a and b count, within ``0.5 max(1, a / b)`` bins, if the other signal
   has 1.5 times the S/N or more and multiples of ``f0 / b`` are 4 or more bins apart. If the period
   of the more significant signal is long, most frequencies are within these limits of a multiple or
   a fraction of its frequency. The difference must therefore also be at most 1.1 bins (0.1 for
   fractions) plus three standard errors, or for ``a f0`` and ``f0 / b`` at most ``f0 / (20 b^2)``
   if that is more. The drift must be ``a / b`` times as large within
   ``2 max(1, a / b) + 2`` bins, and the jerk within ten times as many bins. The ranges of
   dispersion measure, from the lowest to the highest detection of each, must overlap.

Harmonics are left out, and listed with the signal.
"""

from __future__ import annotations

from math import gcd
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.search.pulsars.fourier import snr_of

__all__ = ["DETECTION", "METHODS", "Sifted", "folded_detections", "fourier_detections", "sift"]

F8 = NDArray[np.float64]

METHODS = ("fourier", "ffa")

#: A detection in the series of a dispersion measure; see the columns of `PulsarCandidates`.
#: `segment` is the number of a segment, counted from 1, and `start` and `length` are its start and
#: length in s; all three are 0 for a whole series.
DETECTION = np.dtype([
    ("frequency", np.float64), ("frequency_error", np.float64), ("fdot", np.float64),
    ("fddot", np.float64), ("sigma", np.float64), ("snr", np.float64), ("power", np.float64),
    ("n_harmonic", np.int32), ("r", np.float64), ("z", np.float64), ("w", np.float64),
    ("width", np.float64), ("duty", np.float64), ("method", np.int8), ("dm", np.float64),
    ("segment", np.int32), ("start", np.float64), ("length", np.float64)])

#: Number of bins by which the frequency of a signal may differ between detections, and from a
#: harmonic.
TOLERANCE = 1.1
#: The same for detections that are fainter by this factor.
_BESIDE, _FAINT = 4.0, 5.0
#: The same for fractions, bins between multiples of f0 / b, and ratio of S/N.
_FRACTION, _APART, STRONGER = 0.5, 4.0, 1.5
#: Share of the distance of multiples of f0 up to which a frequency may differ; bins by which a
#: fraction may, beyond its error; and standard errors.
NEAR_MULTIPLE, _PRECISE, _ERRORS = 1 / 20, 0.1, 3.0
#: Share by which other signals may change the S/N of a bright one.
_ALIKE = 0.1
#: Ratios of frequencies of harmonics, the simplest ones first.
RATIOS = sorted(((a, b) for a in range(1, 65) for b in range(1, 17)
                  if gcd(a, b) == 1 and a != b), key=lambda pair: (min(pair) > 1, sum(pair), pair))


class Sifted(NamedTuple):
    """Signals, the most significant first.

    Parameters
    ----------
    best : ndarray, shape (n,), fields of `DETECTION`
        The most significant detection of each signal, at the middle of its dispersion measures.
    n_member : ndarray, shape (n,), int64
        Number of detections of each signal.
    n_segment : ndarray, shape (n,), int64
        Number of the segments with a detection.
    dm_low, dm_high : ndarray, shape (n,), float64
        Lowest and highest dispersion measure of the detections.
    harmonics : list of str
        Ratios of the frequencies of each signal's harmonics that were left out.
    n_harmonic : int
        Number of signals that were left out as harmonics.
    n_dropped : int
        Number of detections that were not sifted, because there were too many signals.
    """

    best: NDArray[Any]
    n_member: NDArray[np.int64]
    n_segment: NDArray[np.int64]
    dm_low: F8
    dm_high: F8
    harmonics: list[str]
    n_harmonic: int
    n_dropped: int


def fourier_detections(found: NDArray[Any], dm: float) -> NDArray[Any]:
    """Return candidates of `FourierSearch` as detections at a dispersion measure."""
    made = _blank(len(found), dm)
    for name in ("frequency", "frequency_error", "fdot", "fddot", "sigma", "power", "n_harmonic",
                 "r", "z", "w"):
        made[name] = found[name]
    made["snr"] = snr_of(found["power"], found["n_valid"])
    return made


def folded_detections(found: NDArray[Any], dm: float, duration_s: float) -> NDArray[Any]:
    """Return candidates of `FoldingSearch` as detections at a dispersion measure."""
    made = _blank(len(found), dm)
    for name in ("frequency", "frequency_error", "sigma", "snr", "width", "duty"):
        made[name] = found[name]
    made["r"], made["power"], made["method"] = found["frequency"] * duration_s, np.nan, 1
    return made


def _blank(n: int, dm: float) -> NDArray[Any]:
    made = np.zeros(n, DETECTION)
    made["dm"], made["width"], made["duty"] = dm, np.nan, np.nan
    return made


def sift(found: NDArray[Any], duration_s: float, *, most: int = 1000) -> Sifted:
    """Return the signals of detections in whole series, or in one segment, sifted as above.

    Parameters
    ----------
    found : ndarray, shape (n,), fields of `DETECTION`
        Detections in the series of all dispersion measures.
    duration_s : float
        Duration T of the series, s.
    most : int
        Largest number of signals before harmonics are left out.
    """
    ordered = found[np.lexsort((found["dm"], found["frequency"], -found["sigma"]))]
    groups, n_dropped = _groups(ordered, duration_s, most)
    best = ordered[[each[0] for each in groups]] if groups else ordered[:0]
    low, high = (np.array([of(ordered["dm"][each]) for each in groups], np.float64)
                 for of in (np.min, np.max))
    for row, each in zip(best, groups, strict=True):
        _with_width(row, ordered[each])
        row["dm"] = _middle_dm(ordered[each])
    leader = _leaders(best, low, high, duration_s)
    kept = np.flatnonzero(leader < 0)
    ratios = [", ".join(_ratio_text(best["frequency"][k] / best["frequency"][i])
                        for k in np.flatnonzero(leader == i)) for i in kept]
    count = np.array([len(each) for each in groups], np.int64)
    return Sifted(best[kept], count[kept], (best["segment"][kept] > 0).astype(np.int64), low[kept],
                  high[kept], ratios, len(groups) - len(kept), n_dropped)


def _groups(ordered: NDArray[Any], duration_s: float, most: int
            ) -> tuple[list[NDArray[np.int64]], int]:
    """Return the numbers of the detections of each signal, the most significant first."""
    groups: list[NDArray[np.int64]] = []
    middle = mean_turns(ordered, duration_s)
    left = np.arange(len(ordered))
    while left.size and len(groups) < most:
        drift = np.abs(ordered["z"][left] - ordered["z"][left[0]])
        jerk = np.abs(ordered["w"][left] - ordered["w"][left[0]])
        off = np.abs(middle[left] - middle[left[0]])
        faint = _FAINT * ordered["snr"][left] <= ordered["snr"][left[0]]
        near = (off <= TOLERANCE + drift / 2 + jerk / 12) | ((off <= _BESIDE) & faint)
        near |= _in_side_lobes(off, ordered["snr"][left], ordered["snr"][left[0]])
        groups.append(left[near])
        left = left[~near]
    return groups, left.size


def _in_side_lobes(off: F8, snr: F8, of: float) -> NDArray[np.bool_]:
    """Return which detections are as faint as side lobes of a signal, `off` bins away."""
    return np.asarray(np.pi * off * snr <= 2 * of)


def mean_turns(found: Any, duration_s: float) -> F8:
    """Return the number of turns of detections in the series: mean frequencies, in bins.

    `found` has the items ``frequency``, ``fdot`` and ``fddot``.
    """
    turns: F8 = (found["frequency"] + found["fdot"] * duration_s / 2
                 + found["fddot"] * duration_s**2 / 6) * duration_s
    return turns


def _with_width(row: Any, members: NDArray[Any]) -> None:
    """Give a signal of the Fourier search the width that fast folding found for it."""
    folded = members[members["method"] == 1]
    if np.isnan(row["width"]) and len(folded):
        row["width"], row["duty"] = folded["width"][0], folded["duty"][0]


def _middle_dm(members: NDArray[Any]) -> float:
    """Return the middle of the dispersion measures that differ from the best by noise."""
    snr = members["snr"]
    same = members[(members["method"] == members["method"][0])
                   & (snr >= snr[0] - max(1.0, _ALIKE * snr[0]))]
    return float(same["dm"].min() + same["dm"].max()) / 2


def _leaders(best: NDArray[Any], low: F8, high: F8, duration_s: float) -> NDArray[np.int64]:
    """Return the number of the signal of which each is a harmonic, -1 if it is none."""
    leader = np.full(len(best), -1)
    turns, errors = mean_turns(best, duration_s), best["frequency_error"] * duration_s
    for k in range(len(best)):
        if leader[k] >= 0:
            continue
        later = np.flatnonzero((np.arange(len(best)) > k) & (leader < 0) & (low <= high[k])
                               & (high >= low[k]))
        for a, b in RATIOS:
            whole = min(a, b) == 1
            if not later.size or (not whole and turns[k] / b < _APART):
                continue
            size = max(1.0, a / b)
            off = np.abs(turns[later] - a / b * turns[k])
            error = _ERRORS * np.hypot(size * errors[k], errors[later])
            if whole:
                is_one = (off <= TOLERANCE * size) & (
                    off <= np.maximum(TOLERANCE + error, NEAR_MULTIPLE * turns[k] / b**2))
            else:
                is_one = (off <= _FRACTION * size) & (off <= _PRECISE + error) & (
                    best["snr"][k] >= STRONGER * best["snr"][later])
            if b == 1:
                is_one |= _in_side_lobes(off, best["snr"][later], best["snr"][k])
            is_one &= np.abs(best["z"][later] - a / b * best["z"][k]) <= 2 * size + 2
            is_one &= np.abs(best["w"][later] - a / b * best["w"][k]) <= 20 * size + 20
            leader[later[is_one]] = k
            later = later[~is_one]
    return leader


def _ratio_text(ratio: float) -> str:
    a, b = min(RATIOS, key=lambda pair: abs(pair[0] / pair[1] - ratio))
    return f"{a}/{b}" if b > 1 else f"{a}"
