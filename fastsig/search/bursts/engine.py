"""The search of a stream: spectra are normalised, reduced in rate, summed and searched."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.search.bursts.events import EVENT, Events, EventStore, events_of
from fastsig.search.bursts.plan import SearchPlan
from fastsig.search.octaves import LEVELS, Octaves

if TYPE_CHECKING:
    from fastsig_kernels import Ladder, PulseSearch

__all__ = ["BurstSearch"]

_MOST_EVENTS = 2**20
#: Noise is measured from this many of the longest boxcars one after the other, but from 4 segments
#: of series at least, and 16 at most.
_WIDTHS, _SEGMENTS = 128, (4, 16)
#: If events are to be found soon: segments after it from which a segment is normalised, longest
#: duration of a tile and its fewest samples, segments from which noise is measured at most, and
#: duration from which that of the first events is measured.
_AHEAD, _TILE_S, _LEAST_TILE, _MOST_SEGMENTS, _SETTLED_S = 1, 0.26, 128, 48, 1.0


class BurstSearch(Octaves):
    """A search of spectra for bursts: arrays in, events out.

    The events do not depend on how the spectra are divided among calls, or on the number of
    threads.

    Parameters
    ----------
    plan : SearchPlan
        Plan of the search.
    dtype : str
        Type of the spectra: uint8, int8, uint16, int16 or float32.
    threads : int
        Number of threads that share the work of a call.
    most : int
        Largest number of events that are kept; these are the brightest.
    """

    def __init__(self, plan: SearchPlan, *, dtype: str = "float32", threads: int = 1,
                 most: int = _MOST_EVENTS) -> None:
        super().__init__(plan.dm_plan.recording, plan.stretches, dtype=dtype, threads=threads,
                         ahead=_AHEAD if plan.prompt else None)
        self.plan, self._store, self._threads = plan, EventStore(most), threads
        self._searches = self._made(float(LEVELS))
        self._is_finished = False
        #: Events that `new_events` has not returned yet; None if it has never been called.
        self._new: list[NDArray[Any]] | None = None

    def _made(self, noise: float) -> list[PulseSearch | None]:
        """Return the search of each octave, None if it has no stretches."""
        made = [self._search_of(members, noise) if members else None for members in self.members]
        # They work one after the other, in the work space of the largest.
        first, *others = sorted((search for search in made if search is not None),
                                key=lambda search: -search.history)
        first.prepare()
        for search in others:
            search.prepare(first)
        return made

    def _search_of(self, members: Sequence[int], noise: float) -> PulseSearch:
        """Return a search of the stretches of an octave, with one tree for all."""
        from fastsig_kernels import PulseSearch

        plan = self.plan
        stretches, ladder = [plan.stretches[number] for number in members], plan.ladders[members[0]]
        return PulseSearch(plan.dm_plan.recording.curve,
                           np.concatenate([each.delays for each in stretches]), ladder, noise=noise,
                           threshold=plan.threshold, threads=self._threads,
                           parts=[each.n_dm for each in stretches],
                           **_segments(ladder, stretches[0].sample_s, plan.prompt))

    def _each(self) -> Iterator[tuple[PulseSearch, list[int]]]:
        """Yield the search of each octave that has stretches, and their numbers."""
        for search, members in zip(self._searches, self.members, strict=True):
            if search is not None:
                yield search, members

    @property
    def memory_bytes(self) -> int:
        """Memory used by tables, state and events, bytes."""
        return int(self._store.memory_bytes + self.waiting_bytes
                   + sum(search.memory_bytes for search, _ in self._each()))

    @property
    def latency_s(self) -> float:
        """Longest time from the arrival of a burst at the reference frequency to its event, s."""
        sample_s = self.plan.dm_plan.recording.sample_s
        return float((self._normalizer.latency + self._normalizer.segment) * sample_s + max(
            search.latency * self.plan.stretches[members[0]].sample_s
            for search, members in self._each()))

    def expected_seconds(self, n_time: int) -> float:
        """Return the expected duration of the search, s, from timing its sums and boxcars on zeros.

        The time for reading and normalising is not included.
        """
        total = 0.0
        for search, members in self._each():
            block = np.zeros((search.block, search.n_chan), np.int8)
            times = [time.perf_counter()]
            for _ in range(2):  # the first may compile
                search.process(block)
                times.append(time.perf_counter())
            search.reset()
            down = self.plan.stretches[members[0]].downsampling
            total += (times[2] - times[1]) * n_time / down / search.block
        return total

    def finish(self) -> Events:
        """Search the remaining spectra, and return the events of the whole stream."""
        self.complete()
        for search, members in self._each():
            self._add(members, search.finish())
            self._store.n_dropped += search.n_dropped
        self._is_finished = True
        return self._store.finish(self.n_time, self.live_share, self.valid_share)

    def new_events(self) -> NDArray[Any]:
        """Return the events found since the last call; the first call starts their collection."""
        made, self._new = [np.empty(0, EVENT), *(self._new or [])], []
        return np.concatenate(made)

    @property
    def earliest(self) -> NDArray[np.int64]:
        """For each dispersion measure, the spectrum before which all events are known.

        The dispersion measures are those of all stretches; spectra are counted at the full rate.
        The first spectra may have negative numbers.
        """
        if self._is_finished:
            return np.full(self.plan.n_dm, np.iinfo(np.int64).max)
        rows = {}
        for search, members in self._each():
            for number, part in zip(members, self._rows_of(members, search.earliest), strict=True):
                rows[number] = part * self.plan.stretches[number].downsampling
        return np.concatenate([rows[number] for number in range(len(rows))])

    def _rows_of(self, members: Sequence[int], values: NDArray[Any]) -> list[NDArray[Any]]:
        """Divide values of the rows of a search among the stretches."""
        return np.split(values, np.cumsum([self.plan.stretches[k].n_dm for k in members])[:-1])

    def few_alive(self, share: float) -> None:
        """Prepare for the noise of sums of only a fraction of the channels."""
        self._searches = self._made(LEVELS * share**0.5)

    def take(self, octave: int, x: NDArray[np.int8], valid: NDArray[np.bool_] | None) -> None:
        """Search the next spectra of an octave."""
        search = self._searches[octave]
        if search is not None:
            self._add(self.members[octave], search.process(x, valid=valid))

    def _add(self, members: Sequence[int], found: NDArray[Any]) -> None:
        """Add events of some stretches; weights become fractions of the samples as they arrived."""
        first = np.cumsum([0, *(self.plan.stretches[number].n_dm for number in members)])
        of = np.searchsorted(first, found["row"], side="right") - 1
        for place, number in enumerate(members):
            mine = found[of == place]
            if not len(mine):
                continue
            mine["row"] -= first[place]
            events = events_of(number, mine)
            delays = self.plan.stretches[number].delays[events["row"]]
            events["weight"] *= self.share_of(number, events["time"], delays)
            self._store.add(events)
            if self._new is not None:
                self._new.append(events)


def _segments(ladder: Ladder, sample_s: float, prompt: bool) -> dict[str, Any]:
    """Return the segments of time from which noise is measured, as options of `PulseSearch`."""
    from fastsig_kernels._boxcar_events import TILE, Times

    (least, most), segment = _SEGMENTS, Times.of(ladder).segment
    n_segment = max(least, min(most, -(-_WIDTHS * int(ladder.widths[-1]) // segment)))
    if not prompt:
        return {"n_segment": n_segment}
    tile = 1 << (min(TILE, max(_LEAST_TILE, int(_TILE_S / sample_s))).bit_length() - 1)
    short = Times.of(ladder, 1, tile).segment
    n_short = min(_MOST_SEGMENTS, n_segment * segment // short)
    first = max(1, min(n_short, math.ceil(_SETTLED_S / (short * sample_s))))
    return {"tile": tile, "segment": short, "n_segment": n_short, "n_first": first}
