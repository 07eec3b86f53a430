"""From events to candidates: friends of friends, dispersion measures with errors, satellites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.pulsar.stretches import Recording
from fastsig.search.bursts.events import Events
from fastsig.search.bursts.plan import SearchPlan

__all__ = ["MOST", "Gathered", "Searched", "gather"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

#: Neighbouring dispersion measures of the plan that friends are apart, at most.
_ROWS = 2
#: FWHM of a Gaussian pulse divided by the width of its best boxcar.
_FWHM = 1 / 1.189
#: A satellite is at most this many times as bright as an even spread of the pulse would make it
#: (delays are denser at high frequencies), and this much brighter by noise.
_SATELLITE, _BY_NOISE = 1.5, 2.0
#: Share of the highest S/N above which a parabola is fitted, to this many measures at least.
_HIGH, _LEAST_HIGH = 0.8, 5
#: Error of a dispersion measure in that of the likelihood.
_ERROR = 2.0
#: Groups that are measured, at most: of more, the brightest.
MOST = 100_000
#: Exponents below this many are as good as 0.
_MOST_POWER = 60.0


@dataclass(frozen=True)
class Gathered:
    """Candidates as arrays, the brightest first; times are in s after the first spectrum.

    Parameters
    ----------
    time_s, dm, dm_error, width, snr, valid_share, dm_low, dm_high : ndarray, float64
    n_member, first_row, last_row, downsampling : ndarray, int64
    step : ndarray, float64
        Step of the dispersion measures.
    search : ndarray, int64
        Number of the search that found it.
    """

    time_s: F8
    dm: F8
    dm_error: F8
    width: F8
    snr: F8
    valid_share: F8
    n_member: I8
    dm_low: F8
    dm_high: F8
    first_row: I8
    last_row: I8
    downsampling: I8
    step: F8
    search: I8

    def __len__(self) -> int:
        return len(self.dm)

    def part(self, index: Any) -> Gathered:
        """Return some candidates, by their numbers or a mask."""
        return Gathered(**{name: values[index] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Searched:
    """The events of a search, and where its spectra are in the recording.

    Parameters
    ----------
    events : Events
    plan : SearchPlan
    late_s : float
        Time of its first spectrum.
    first_row : int
        Number of its first spectrum.
    """

    events: Events
    plan: SearchPlan
    late_s: float = 0.0
    first_row: int = 0


def gather(searches: Sequence[Searched]) -> tuple[Gathered, int]:
    """Return the candidates of searches of one recording, with times and rows of the recording.

    The second result is the number of groups of events that were left out, because there were more
    than `MOST`; all others are brighter.

    Events are friends if they are at most two dispersion measures of the plan apart and their
    boxcars overlap in time; a candidate consists of events that are connected by friends. Fainter
    candidates on the tracks of a brighter one, where its own signal is expected at wrong dispersion
    measures, are merged with it, as are those that other searches found at neighbouring measures.
    """
    found = [_candidates(each, number) for number, each in enumerate(searches)]
    joined = Gathered(**{name: np.concatenate([getattr(each, name) for each, _ in found])
                         for name in vars(found[0][0])})
    return _absorbed(joined, searches[0].plan), sum(n_dropped for _, n_dropped in found)


def _candidates(search: Searched, number: int) -> tuple[Gathered, int]:
    """Return the groups of friends of one search, and the number of those that were left out."""
    from fastsig_kernels import friends

    members = _Members(search.events.rows, search.plan)
    label = friends(members.first, members.row, members.stop - members.first, time_link=0,
                    row_link=_ROWS)
    groups = _Groups(members, label)
    found = _measured(members, groups, search.plan)
    return replace(
        found, time_s=found.time_s + search.late_s, first_row=found.first_row + search.first_row,
        last_row=found.last_row + search.first_row, search=np.full(len(found), number)
    ), groups.n_dropped


class _Members:
    """Columns of events in common units: rows of the whole plan, full-rate spectra, pc cm^-3."""

    def __init__(self, rows: NDArray[Any], plan: SearchPlan) -> None:
        stretches = plan.stretches
        offsets = np.concatenate([[0], np.cumsum([each.n_dm for each in stretches])])
        down = np.array([each.downsampling for each in stretches])
        dms = np.concatenate([each.dms for each in stretches])
        step = np.repeat([each.step for each in stretches], np.diff(offsets))
        self.row = (offsets[rows["stretch"]] + rows["row"]).astype(np.int64)
        self.downsampling = down[rows["stretch"]].astype(np.int64)
        self.first = rows["time"] * self.downsampling
        self.stop = self.first + rows["width"] * self.downsampling
        self.dm, self.step = dms[self.row], step[self.row]
        self.snr = rows["snr"].astype(np.float64)
        self.weight = rows["weight"].astype(np.float64)

    def __len__(self) -> int:
        return len(self.row)


class _Groups:
    """The brightest groups of friends.

    Parameters
    ----------
    members : _Members
    label : ndarray, int64
        Number of the group of each event.
    """

    def __init__(self, members: _Members, label: I8) -> None:
        order = np.lexsort((members.row, members.first, -members.snr, label))
        begin = np.flatnonzero(np.diff(label[order], prepend=-1))
        count = np.diff(np.concatenate([begin, [len(order)]]))
        best = order[begin]
        kept = np.lexsort((members.row[best], members.first[best], -members.snr[best]))[:MOST]
        #: Number of groups that were left out, because there were too many.
        self.n_dropped = len(best) - len(kept)
        #: The brightest event of each group.
        self.best = best[kept]
        self.count, self._begin, self._order = count[kept], begin[kept], order

    def of(self, number: int) -> I8:
        """Return the events of a group, the brightest first."""
        first = self._begin[number]
        return self._order[first : first + self.count[number]]

    def reduced(self, ufunc: Any, values: F8) -> F8:
        """Return the minimum, maximum or sum of the values of each group's events."""
        if not len(self.best):
            return np.zeros(0)
        # Groups follow each other in `order`; those that are left out lie between some of them.
        where = np.argsort(self._begin)
        edges = np.stack([self._begin, self._begin + self.count], axis=1)[where].ravel()
        padded = np.concatenate([values[self._order], [0.0]])
        found = np.empty(len(where))
        found[where] = ufunc.reduceat(padded, edges)[::2]
        return found


def _measured(members: _Members, groups: _Groups, plan: SearchPlan) -> Gathered:
    """Measure each group: its dispersion measure, and the time and the width of its best event."""
    recording, best = plan.dm_plan.recording, groups.best
    dm = _measures(members, groups)
    width_s = (members.stop[best] - members.first[best]) * recording.sample_s
    middle = (members.first[best] + members.stop[best]) / 2 * recording.sample_s
    # The centre of a pulse at a slightly wrong DM is that of the middle of the band.
    shift = (members.dm[best] - dm) * recording.unit_s * float(recording.curve.mean())
    return Gathered(
        middle + shift, dm, _errors(members, best, width_s, recording), width_s,
        members.snr[best], members.weight[best], groups.count,
        groups.reduced(np.minimum, members.dm), groups.reduced(np.maximum, members.dm),
        members.first[best], members.stop[best] - 1, members.downsampling[best],
        members.step[best], np.zeros(len(best), np.int64))


def _errors(members: _Members, best: I8, width_s: F8, recording: Recording) -> F8:
    """Return the errors of dispersion measures.

    They are twice those of the likelihood of a Gaussian pulse, since the noise of boxcars at
    neighbouring measures varies faster than their signal, and half a step, since tracks differ
    from row to row. Injections confirm them.
    """
    least = sqrt(1.5) * width_s * _FWHM / (sqrt(log(2)) * recording.smear_s(1.0)
                                           * members.snr[best])
    found: F8 = np.hypot(_ERROR * least, members.step[best] / 2)
    return found


def _measures(members: _Members, groups: _Groups) -> F8:
    r"""Return the dispersion measure of each group.

    It is the vertex of a parabola through the S/N as a function of dispersion measure, where it is
    near its maximum. With few measures there, it is the mean with the weights
    :math:`\exp(\rho^2/2)`, the likelihood of an S/N of :math:`\rho` if the amplitude is free.
    """
    found: F8 = members.dm[groups.best].copy()
    for number in np.flatnonzero(groups.count > 1).tolist():
        group = groups.of(number)
        top = group[0]
        near = group[(members.first[group] < members.stop[top])
                     & (members.stop[group] > members.first[top])]
        if len(near) > 1:
            found[number] = _vertex(*_highest(members.dm[near], members.snr[near]))
    return found


def _highest(dms: F8, snr: F8) -> tuple[F8, F8]:
    """Return the dispersion measures of events, ascending, and the highest S/N at each."""
    order = np.lexsort((snr, dms))
    last = np.flatnonzero(np.diff(dms[order], append=np.inf))
    return dms[order][last], snr[order][last]


def _vertex(dms: F8, snr: F8) -> float:
    """Return the dispersion measure of the highest S/N, from the values around it."""
    high = snr >= _HIGH * snr.max()
    if high.sum() >= _LEAST_HIGH:
        middle = float(dms[high].mean())
        square, slope, _ = np.polyfit(dms[high] - middle, snr[high], 2)
        vertex = middle - slope / (2 * square) if square < 0 else np.inf
        if dms[high][0] <= vertex <= dms[high][-1]:
            return float(vertex)
    weight = np.exp(np.maximum((snr**2 - snr.max() ** 2) / 2, -_MOST_POWER))
    return float((weight * dms).sum() / weight.sum())


def _absorbed(found: Gathered, plan: SearchPlan) -> Gathered:
    """Add satellites to the candidates whose signal at wrong dispersion measures they are."""
    if not len(found):
        return found
    order = np.lexsort((found.dm, found.time_s, -found.snr))
    found = found.part(order)
    by_time = np.argsort(found.time_s, kind="stable")
    times, owner = found.time_s[by_time], np.arange(len(found))
    per_dm = plan.dm_plan.recording.unit_s
    widest = float(found.width.max())
    for k in range(len(found)):
        if owner[k] != k:
            continue
        reach = found.width[k] * (_SATELLITE * found.snr[k] / (plan.threshold - _BY_NOISE)) ** 2
        low, high = np.searchsorted(times, found.time_s[k] + np.array([-1, 1]) * (reach + widest))
        near = by_time[low:high]
        near = near[(near > k) & (owner[near] == near)]
        if near.size:
            owner[near[_is_satellite(found, k, near, per_dm)]] = k
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
    gap = _ROWS * np.maximum(found.step[near], found.step[k])
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
