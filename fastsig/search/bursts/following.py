r"""Candidates of a search while it runs: each is returned when no later event can change it.

Two things can change a candidate. An event may become a friend of its own; it begins no earlier
than `BurstSearch.earliest` states for its dispersion measure. A candidate that is not yet known may
also be a satellite of the first one, or the reverse. With t the time of a candidate, d its
dispersion measure and p the delay across the band for a measure of 1, an event has a :math:`t + d
p`, which is about the time when it leaves the band, no smaller than that of the first event that is
to come or whose candidate is open. The candidate has no less, apart from half a boxcar, since it
lies between its events. A satellite is no later than :math:`\max(0, d - d') p` after a candidate
with the measure d', and half of both widths. So nothing is a satellite of a candidate, or it of
that, if the least :math:`t + d p` is later by the delay of the largest measure and these widths.
What holds for a candidate must also hold for all that are its satellites or of which it is one, and
for theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.search.bursts.engine import BurstSearch
from fastsig.search.bursts.events import Events, brightest
from fastsig.search.bursts.gather import Satellites, absorbed, joined
from fastsig.search.bursts.groups import ROWS, Gathered, Grouped, Searched, grouped

__all__ = ["Follower"]

_MOST_EVENTS = 2**16
#: Up to this many events are examined whenever some are new; more are examined less often.
_AT_ONCE = 2**11


class Follower:
    """Candidates of searches of one recording, in the order in which they become final.

    They are those that `gather` returns for all events, as long as `n_dropped` is 0.

    Parameters
    ----------
    searches : sequence of BurstSearch
        Searches that have not begun.
    late_s, first_rows : sequence
        Time and number, in the recording, of the first spectrum of each search.
    most : int
        Largest number of events that wait, for each search; these are the brightest.
    """

    def __init__(self, searches: Sequence[BurstSearch], late_s: Sequence[float],
                 first_rows: Sequence[int], *, most: int = _MOST_EVENTS) -> None:
        self._searches, self._late_s, self._first_rows = searches, late_s, first_rows
        self._most, self._skipped = most, 0
        self._waiting = [each.new_events() for each in searches]
        self._frontier = -np.inf
        #: Number of events that were left out because too many waited; all others are brighter.
        self.n_dropped = 0

    @property
    def latency_s(self) -> float:
        """Longest time from the arrival of a burst at the reference frequency to its candidate, s.

        It includes the largest delay across the band. If candidates are connected as satellites,
        that of the last one counts. The first candidates come later, because the noise must be
        known: see `fastsig_kernels.Boxcars`.
        """
        return max(each.latency_s + 1.5 * each.plan.longest_s for each in self._searches)

    def completed(self) -> Gathered | None:
        """Return the candidates that have become final since the last call, in the order of time.

        None if no search has advanced.
        """
        frontier = min(_frontier(each, late) for each, late in zip(
            self._searches, self._late_s, strict=True))
        if frontier == self._frontier:
            return None
        self._frontier = frontier
        self._take()
        self._skipped += 1
        if sum(map(len, self._waiting)) > _AT_ONCE * self._skipped and np.isfinite(frontier):
            return None
        self._skipped = 0
        return self._final()

    def _take(self) -> None:
        """Add new events to those that wait."""
        for number, each in enumerate(self._searches):
            found = np.concatenate([self._waiting[number], each.new_events()])
            self._waiting[number] = brightest(found, self._most)
            self.n_dropped += len(found) - len(self._waiting[number])

    def _final(self) -> Gathered:
        groups = [grouped(Searched(Events(rows, 0, 0), each.plan, late, first), number)
                  for number, (rows, each, late, first) in enumerate(zip(
                      self._waiting, self._searches, self._late_s, self._first_rows, strict=True))]
        is_open = [_open(each, search) for each, search in zip(groups, self._searches, strict=True)]
        made = joined([each.found for each in groups])
        final = self._is_final(made, np.concatenate(is_open), min(
            [self._frontier, *(self._leaving(each, state, number) for number, (each, state) in
                               enumerate(zip(groups, is_open, strict=True)))]))
        self._keep(groups, final)
        found = absorbed(Satellites(made.part(final), self._searches[0].plan))
        return found.part(np.argsort(found.time_s, kind="stable"))

    def _leaving(self, each: Grouped, is_open: NDArray[np.bool_], number: int) -> float:
        """Return the least time plus delay of the events of open groups."""
        some = each.groups.events_of(is_open)
        recording = self._searches[number].plan.dm_plan.recording
        first = each.members.first[some] * recording.sample_s + self._late_s[number]
        return float((first + each.members.dm[some] * recording.unit_s).min(initial=np.inf))

    def _is_final(self, made: Gathered, is_open: NDArray[np.bool_], leaving: float
                  ) -> NDArray[np.bool_]:
        """Return which groups no later event can change."""
        plans = [each.plan for each in self._searches]
        longest = max(each.longest_s for each in plans)
        reach = max(each.reach_s for each in plans) + (made.width + longest) / 2
        doubtful = is_open | (leaving - longest / 2 <= made.time_s + reach)
        return ~_with_linked(made, doubtful, plans[0])

    def _keep(self, groups: Sequence[Grouped], final: NDArray[np.bool_]) -> None:
        """Keep the events of groups that are not final."""
        edges = np.cumsum([len(each.found) for each in groups])[:-1]
        for number, (each, gone) in enumerate(zip(groups, np.split(final, edges), strict=True)):
            kept = np.ones(len(self._waiting[number]), bool)
            kept[each.groups.events_of(gone)] = False
            self._waiting[number] = self._waiting[number][kept]


def _frontier(search: BurstSearch, late_s: float) -> float:
    """Return the least time plus delay of events that are to come, s."""
    recording, earliest = search.plan.dm_plan.recording, search.earliest
    if earliest.max() == np.iinfo(np.int64).max:
        return np.inf
    dms = np.concatenate([each.dms for each in search.plan.stretches])
    return float((earliest * recording.sample_s + dms * recording.unit_s).min() + late_s)


def _open(each: Grouped, search: BurstSearch) -> NDArray[np.bool_]:
    """Return which groups an event that is to come may join."""
    far = np.iinfo(np.int64).max
    padded = np.pad(search.earliest, ROWS, constant_values=far)
    near = np.lib.stride_tricks.sliding_window_view(padded, 2 * ROWS + 1).min(axis=1)
    joinable = each.members.stop > near[each.members.row]
    return each.groups.reduced(np.maximum, joinable.astype(np.float64)) > 0


def _with_linked(made: Gathered, doubtful: NDArray[np.bool_], plan: Any) -> NDArray[np.bool_]:
    """Return groups with all that are connected with them as satellites."""
    satellites = Satellites(made, plan)
    pairs = [np.stack([np.full(len(some), k), some]) for k in range(len(made))
             if len(some := satellites.of(k))]
    state = doubtful[satellites.order]
    if pairs:
        one, other = np.concatenate(pairs, axis=1)
        before = -1
        while state.sum() != before:
            before = state.sum()
            np.logical_or.at(state, one, state[other])
            np.logical_or.at(state, other, state[one])
    found = np.empty_like(state)
    found[satellites.order] = state
    return found
