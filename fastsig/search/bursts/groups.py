"""Groups of friends among the events of a search, measured: candidates before satellites."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.pulsar.stretches import Recording
from fastsig.search.bursts.events import Events
from fastsig.search.bursts.plan import SearchPlan

__all__ = ["MOST", "ROWS", "Gathered", "Grouped", "Groups", "Members", "Searched", "grouped"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

#: Largest distance of friends, in neighbouring dispersion measures of the plan.
ROWS = 2
#: FWHM of a Gaussian pulse divided by the width of its best boxcar.
_FWHM = 1 / 1.189
#: Fraction of the highest S/N above which a parabola is fitted, to at least this many DMs.
_HIGH, _LEAST_HIGH = 0.8, 5
#: Error of a dispersion measure in that of the likelihood.
_ERROR = 2.0
#: Largest number of groups that are measured; these are the brightest.
MOST = 100_000
#: Exponents below this many are as good as 0.
_MOST_POWER = 60.0


@dataclass(frozen=True)
class Gathered:
    """Candidates as arrays; times are in s after the first spectrum.

    Parameters
    ----------
    time_s, dm, dm_error, width, snr, valid_share, dm_low, dm_high : ndarray, float64
    n_member, first_row, last_row, downsampling : ndarray, int64
    step : ndarray, float64
        Step of the dispersion measures.
    search : ndarray, int64
        Number of the search that found each candidate.
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
        Time of the first spectrum of the search.
    first_row : int
        Number of this spectrum in the recording.
    """

    events: Events
    plan: SearchPlan
    late_s: float = 0.0
    first_row: int = 0


@dataclass(frozen=True)
class Grouped:
    """The groups of friends of a search.

    Parameters
    ----------
    members : Members
        The events.
    groups : Groups
    found : Gathered
        The groups, measured.
    """

    members: Members
    groups: Groups
    found: Gathered


def grouped(search: Searched, number: int = 0) -> Grouped:
    """Return the groups of friends of one search, which is identified by its number."""
    from fastsig_kernels import friends

    members = Members(search.events.rows, search.plan)
    label = friends(members.first, members.row, members.stop - members.first, time_link=0,
                    row_link=ROWS)
    groups = Groups(members, label)
    found = _measured(members, groups, search.plan)
    return Grouped(members, groups, replace(
        found, time_s=found.time_s + search.late_s, first_row=found.first_row + search.first_row,
        last_row=found.last_row + search.first_row, search=np.full(len(found), number)))


class Members:
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


class Groups:
    """The brightest groups of friends.

    Parameters
    ----------
    members : Members
    label : ndarray, int64
        Number of the group of each event.
    """

    def __init__(self, members: Members, label: I8) -> None:
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

    def events_of(self, some: NDArray[np.bool_]) -> I8:
        """Return the events of some groups."""
        return np.concatenate([np.empty(0, np.int64), *map(self.of, np.flatnonzero(some).tolist())])

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


def _measured(members: Members, groups: Groups, plan: SearchPlan) -> Gathered:
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


def _errors(members: Members, best: I8, width_s: F8, recording: Recording) -> F8:
    """Return the errors of dispersion measures.

    They are twice those of the likelihood of a Gaussian pulse, since the noise of boxcars at
    neighbouring measures varies faster than their signal, and half a step, since tracks differ
    from row to row. Injections confirm them.
    """
    least = sqrt(1.5) * width_s * _FWHM / (sqrt(log(2)) * recording.smear_s(1.0)
                                           * members.snr[best])
    found: F8 = np.hypot(_ERROR * least, members.step[best] / 2)
    return found


def _measures(members: Members, groups: Groups) -> F8:
    r"""Return the dispersion measure of each group.

    It is the vertex of a parabola through the S/N as a function of dispersion measure, where it is
    near its maximum. With few dispersion measures there, it is the mean with the weights
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
