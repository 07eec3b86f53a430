"""From events to candidates: friends of friends, and satellites on the tracks of brighter ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastsig.search.bursts.groups import ROWS, Gathered, Searched, grouped
from fastsig.search.bursts.plan import SearchPlan

__all__ = ["Satellites", "absorbed", "gather", "joined"]

I8 = NDArray[np.int64]

#: A satellite is at most this many times as bright as an even spread of the pulse would make it
#: (delays are denser at high frequencies), and this much brighter by noise.
_SATELLITE, _BY_NOISE = 1.5, 2.0


def gather(searches: Sequence[Searched]) -> tuple[Gathered, int]:
    """Return the candidates of searches of one recording, with times and rows of the recording.

    The second result is the number of groups of events that were left out because a search had more
    than `fastsig.search.bursts.groups.MOST`; all its groups that were kept are brighter.

    Events are friends if they are at most two dispersion measures of the plan apart and their
    boxcars overlap in time; a candidate consists of events that are connected through friends.
    Fainter candidates on the tracks of a brighter one, where its own signal is expected at wrong
    dispersion measures, are merged with it, as are candidates that other searches found at
    neighbouring measures.
    """
    found = [grouped(each, number) for number, each in enumerate(searches)]
    made = absorbed(Satellites(joined([each.found for each in found]), searches[0].plan))
    return made, sum(each.groups.n_dropped for each in found)


def joined(parts: Sequence[Gathered]) -> Gathered:
    """Return the candidates of several searches."""
    return Gathered(**{name: np.concatenate([getattr(each, name) for each in parts])
                       for name in vars(parts[0])})


class Satellites:
    """The candidates that are satellites of brighter candidates.

    Parameters
    ----------
    found : Gathered
        Candidates before satellites have been merged.
    plan : SearchPlan
        Plan that contains their threshold and delays.
    """

    def __init__(self, found: Gathered, plan: SearchPlan) -> None:
        #: Numbers of the candidates, the brightest first, and the candidates in this order.
        self.order = np.lexsort((found.dm, found.time_s, -found.snr))
        self.found = found.part(self.order)
        self._least = plan.threshold - _BY_NOISE
        self._per_dm = plan.dm_plan.recording.unit_s
        self._by_time = np.argsort(self.found.time_s, kind="stable")
        self._times = self.found.time_s[self._by_time]
        self._widest = float(found.width.max(initial=0.0))

    def of(self, k: int, free: NDArray[np.bool_] | None = None) -> I8:
        """Return the satellites of candidate `k`: fainter candidates to be merged with it.

        If `free` is given, only candidates for which it is true are returned, which have not yet
        been merged with another.
        """
        found = self.found
        reach = found.width[k] * (_SATELLITE * found.snr[k] / self._least) ** 2
        low, high = np.searchsorted(self._times, found.time_s[k] + np.array([-1, 1]) * (
            reach + self._widest))
        near = self._by_time[low:high]
        near = near[(near > k) if free is None else (near > k) & free[near]]
        return near[_is_satellite(found, k, near, self._per_dm)] if near.size else near


def absorbed(satellites: Satellites) -> Gathered:
    """Return candidates to which their satellites have been added, the brightest first."""
    found = satellites.found
    owner, free = np.arange(len(found)), np.ones(len(found), bool)
    for k in range(len(found)):
        if free[k]:
            some = satellites.of(k, free)
            owner[some], free[some] = k, False
    return _merged(found, owner)


def _is_satellite(found: Gathered, k: int, near: I8, per_dm: float) -> NDArray[np.bool_]:
    r"""Return which candidates are on the track of candidate `k`, and no brighter than expected.

    At a dispersion measure that is smaller by d, its channels are spread over the time d times the
    delay across the band, later than it; a boxcar of that length has the S/N
    :math:`\rho \sqrt{w / (w + t)}`.
    """
    sweep = (found.dm[k] - found.dm[near]) * per_dm
    later = found.time_s[near] - found.time_s[k]
    margin = (found.width[near] + found.width[k]) / 2
    is_there = (later > np.minimum(sweep, 0) - margin) & (later < np.maximum(sweep, 0) + margin)
    expected = found.snr[k] * np.sqrt(found.width[k] / (found.width[k] + np.abs(sweep)))
    is_track = is_there & (found.snr[near] < _SATELLITE * expected + _BY_NOISE)
    gap = ROWS * np.maximum(found.step[near], found.step[k])
    is_twin = ((found.search[near] != found.search[k]) & (np.abs(later) < margin)
               & (found.dm_low[near] <= found.dm_high[k] + gap)
               & (found.dm_high[near] >= found.dm_low[k] - gap))
    return np.asarray(is_track | is_twin)


def _merged(found: Gathered, owner: I8) -> Gathered:
    """Return the owners, with the members of their satellites."""
    n_member = np.zeros(len(owner), np.int64)
    np.add.at(n_member, owner, found.n_member)
    low, high = found.dm_low.copy(), found.dm_high.copy()
    np.minimum.at(low, owner, found.dm_low)
    np.maximum.at(high, owner, found.dm_high)
    made = Gathered(**{**vars(found), "n_member": n_member, "dm_low": low, "dm_high": high})
    return made.part(owner == np.arange(len(owner)))
