"""Candidates of several beams on one clock, their groups, and the verdict on each group.

Candidates are friends if their boxcars overlap in time and their dispersion measures agree within
three standard errors plus the deviation that widens a burst to twice its width. A group of friends
is compared with a point source (`fastsig.search.bursts.beam_source`):

- **accepted**: one position explains the S/N in all beams, and why nothing was found in the others;
- **interference**: two or more beams are much brighter than the best position explains;
- **doubtful**: any other case, such as one beam that is too bright, or a neighbouring beam in which
  nothing was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.search.bursts.beam_source import BeamSource, Geometry, fit_source

__all__ = ["Detections", "Group", "Verdict", "chance_of", "compare", "friends_of_beams"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

_ERRORS = 3.0  # standard errors by which dispersion measures of friends may differ
_UNEXPLAINED = 4.5  # standard deviations above the best position: a beam that it does not explain


@dataclass(frozen=True)
class Detections:
    """Candidates of all beams, as arrays of shape (candidate,).

    Parameters
    ----------
    time_s : ndarray
        Times on a common clock, at the same reference frequency, s.
    dm, dm_error : ndarray
        pc cm^-3.
    width_s, snr : ndarray
    beam : ndarray, int
        Numbers of the beams, from 1.
    late_s : ndarray
        Delay of the lower after the upper edge of the band per unit of the dispersion measure, s.
    """

    time_s: F8
    dm: F8
    dm_error: F8
    width_s: F8
    snr: F8
    beam: I8
    late_s: F8

    def __post_init__(self) -> None:
        shapes = {np.shape(each) for each in vars(self).values()}
        if len(shapes) != 1 or len(shapes.pop()) != 1:
            raise UsageError("detections: allowed: arrays of equal lengths with one axis")
        if len(self.beam) and int(self.beam.min()) < 1:
            raise UsageError(f"beam = {int(self.beam.min())}; allowed: from 1. The tables have to "
                             "state the beam of each candidate")

    def __len__(self) -> int:
        return len(self.time_s)


class Verdict(NamedTuple):
    """The verdict on a group of candidates, and the reason for it."""

    name: str
    reason: str


@dataclass(frozen=True)
class Group:
    """Candidates that belong together.

    Parameters
    ----------
    members : ndarray, int
        Numbers of the candidates; the brightest first.
    snr : mapping
        The highest S/N in each beam, with the numbers of the beams as keys.
    verdict : Verdict
    source : BeamSource
        The point source that best explains the candidates.
    chance : float
        Probability that a candidate of another beam belongs to the group by chance.
    """

    members: I8
    snr: dict[int, float]
    verdict: Verdict
    source: BeamSource
    chance: float


def friends_of_beams(found: Detections) -> I8:
    """Return the number of the group of each candidate, from 0 in the order of time.

    Parameters
    ----------
    found : Detections
    """
    order = np.lexsort((found.beam, found.dm, found.time_s))
    near_s, near_dm = _tolerances(found)
    time, dm = found.time_s[order], found.dm[order]
    near_s, near_dm = near_s[order], near_dm[order]
    parent = np.arange(len(time))
    most = 2 * float(near_s.max(initial=0.0))
    for step in range(1, len(time)):
        later = time[step:] - time[:-step]
        if not (later <= most).any():
            break
        linked = (later <= near_s[step:] + near_s[:-step]) & (
            np.abs(dm[step:] - dm[:-step]) <= near_dm[step:] + near_dm[:-step])
        for first in np.flatnonzero(linked):
            _join(parent, int(first), int(first) + step)
    roots = np.array([_root(parent, k) for k in range(len(time))], np.int64)
    labels = np.empty(len(time), np.int64)
    labels[order] = np.unique(roots, return_inverse=True)[1]
    return labels


def _tolerances(found: Detections) -> tuple[F8, F8]:
    """Return half of what may separate friends in time and in dispersion measure."""
    wide = found.width_s / found.late_s
    near_dm = _ERRORS / np.sqrt(2) * found.dm_error + wide / 2
    # The time at the top depends on the dispersion measure: half of the delay across the band.
    near_s = found.width_s / 2 + found.late_s / 2 * _ERRORS / np.sqrt(2) * found.dm_error
    return near_s, near_dm


def _root(parent: I8, k: int) -> int:
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = int(parent[k])
    return k


def _join(parent: I8, first: int, second: int) -> None:
    """Join two trees; the earlier root stays, so that labels do not depend on the order."""
    a, b = _root(parent, first), _root(parent, second)
    parent[max(a, b)] = min(a, b)


def chance_of(found: Detections, duration_s: float) -> F8:
    """Return the probability that each candidate has a friend in another beam by chance.

    ``1 - exp(-sum_b N_b q 2 t / T)``: other beams have N_b candidates at random times, of which the
    fraction q, measured from all candidates, agrees in dispersion measure; t is the largest
    difference in time between friends.

    Parameters
    ----------
    found : Detections
    duration_s : float
        Duration T of the observation, s.
    """
    if not duration_s > 0:
        raise UsageError(f"duration_s = {duration_s}; allowed: above 0")
    near_s, near_dm = _tolerances(found)
    n_beam = np.bincount(found.beam, minlength=1)
    others = len(found) - n_beam[found.beam]
    ranked = np.sort(found.dm)
    reach = near_dm + np.median(near_dm) if len(found) else near_dm
    agree = (np.searchsorted(ranked, found.dm + reach, "right")
             - np.searchsorted(ranked, found.dm - reach)) / max(1, len(found))
    mean = others * agree * 2 * (near_s + np.median(near_s)) / duration_s if len(found) else near_s
    return np.asarray(-np.expm1(-mean), np.float64)


def compare(found: Detections, geometry: Geometry, threshold: float, duration_s: float
            ) -> list[Group]:
    """Return groups of candidates, with verdicts and positions; the brightest first.

    Parameters
    ----------
    found : Detections
    geometry : Geometry
        All beams that were searched.
    threshold : float
        S/N from which candidates were reported.
    duration_s : float
        Duration of the observation, s.

    Raises
    ------
    UsageError
        If a candidate belongs to a beam that is not in the geometry.
    """
    unknown = np.setdiff1d(found.beam, geometry.numbers)
    if unknown.size:
        raise UsageError(f"beam = {int(unknown[0])}; allowed: {_listed(geometry.numbers)}")
    labels, chance = friends_of_beams(found), chance_of(found, duration_s)
    order = np.lexsort((found.dm, found.time_s, -found.snr, labels))
    edges = np.flatnonzero(np.diff(labels[order], prepend=-1))
    groups = [_group(found, geometry, members, threshold, chance)
              for members in np.split(order, edges[1:]) if members.size]
    return sorted(groups, key=lambda each: (-found.snr[each.members[0]], int(each.members[0])))


def _group(found: Detections, geometry: Geometry, members: I8, threshold: float, chance: F8
           ) -> Group:
    snr: dict[int, float] = {}
    for k in members:  # the brightest first
        snr.setdefault(int(found.beam[k]), float(found.snr[k]))
    source = fit_source(geometry, snr, threshold)
    return Group(members, snr, _verdict(source, snr, threshold), source, float(chance[members[0]]))


def _verdict(source: BeamSource, snr: dict[int, float], threshold: float) -> Verdict:
    """Return the verdict on a group."""
    above = {beam: (snr[beam] - source.expected[beam]) / source.scatter[beam] for beam in snr}
    bright = [beam for beam, excess in above.items() if excess > _UNEXPLAINED]
    faint = [beam for beam, excess in above.items() if excess < -_UNEXPLAINED]
    absent = [beam for beam, value in source.expected.items() if beam not in snr
              and value - threshold > _UNEXPLAINED * source.scatter[beam]]
    where = f"in beam{'s' if len(snr) > 1 else ''} {_listed(sorted(snr))}"
    if len(bright) >= 2:
        return Verdict("interference", f"{where}; a source at the best position does not explain "
                       f"the S/N of {_listed(bright)}")
    if bright:
        return Verdict("doubtful", f"{where}; beam {bright[0]} has S/N {snr[bright[0]]:.1f} "
                       f"instead of {source.expected[bright[0]]:.1f}")
    if absent or faint:
        beam = (absent or faint)[0]
        seen = f"S/N {snr[beam]:.1f}" if beam in snr else "nothing"
        return Verdict("doubtful", f"{where}; beam {beam} has {seen} instead of S/N "
                       f"{source.expected[beam]:.1f}")
    what = "as expected of one beam" if len(snr) == 1 else "S/N as of one position"
    return Verdict("accepted", f"{where}, {what}")


def _listed(numbers: object) -> str:
    return ", ".join(str(int(each)) for each in numbers)  # type: ignore[attr-defined]
