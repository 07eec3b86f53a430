"""The search of a stream of spectra: normalise, halve the rate by octaves, sum, find pulses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.search.bursts.events import Events, EventStore
from fastsig.search.bursts.plan import SearchPlan

if TYPE_CHECKING:
    from fastsig_kernels import Normalizer, PulseSearch

__all__ = ["BurstSearch"]

_MOST_EVENTS = 2**20
_RUN = 2**14  # spectra that are processed at a time
_LEAST_ALIVE = 0.8  # share of the channels below which another noise is expected
_SEGMENT_S = 0.2
LEVELS = 16  # standard deviation of normalised noise


class BurstSearch:
    """A search of spectra for bursts: arrays in, events out.

    The events do not depend on how the spectra are divided among calls, or on the number of
    threads.

    Parameters
    ----------
    plan : SearchPlan
    dtype : str
        Type of the spectra: uint8, int8, uint16, int16 or float32.
    threads : int
        Number of threads that share the work of a call.
    most : int
        Largest number of events that are kept; these are the brightest.
    """

    def __init__(self, plan: SearchPlan, *, dtype: str = "float32", threads: int = 1,
                 most: int = _MOST_EVENTS) -> None:
        self.plan, self._store, self._threads = plan, EventStore(most), threads
        self._normalizer = self._normalizer_of(dtype)
        self._searches = self._made(float(LEVELS))
        self._octaves = _octaves(plan)
        self._halvers = [_Halver() for _ in self._octaves[1:]]
        #: Share of the channels that have samples, in each segment of the normalisation.
        self._alive: list[float] = []
        self.n_time = 0

    def _normalizer_of(self, dtype: Any) -> Normalizer:
        from fastsig_kernels import Normalizer

        recording, self._dtype = self.plan.dm_plan.recording, np.dtype(dtype)
        return Normalizer(recording.n_chan, dtype=self._dtype.name, threads=self._threads,
                          segment=segment_of(recording.sample_s))

    def _made(self, noise: float) -> list[PulseSearch]:
        from fastsig_kernels import PulseSearch

        plan = self.plan
        return [PulseSearch(plan.dm_plan.recording.curve, each.delays, ladder, noise=noise,
                            threshold=plan.threshold, threads=self._threads)
                for each, ladder in zip(plan.stretches, plan.ladders, strict=True)]

    @property
    def memory_bytes(self) -> int:
        """Memory of tables, state and events."""
        recording = self.plan.dm_plan.recording
        waiting = (self._normalizer.latency + 2 * self._normalizer.segment) * recording.n_chan
        return int(self._store.memory_bytes + (self._dtype.itemsize + 1) * waiting
                   + sum(each.memory_bytes for each in self._searches))

    @property
    def latency_s(self) -> float:
        """Longest time from the arrival of a burst at the reference frequency to its event, s."""
        sample_s = self.plan.dm_plan.recording.sample_s
        return float((self._normalizer.latency + self._normalizer.segment) * sample_s + max(
            search.latency * each.sample_s
            for search, each in zip(self._searches, self.plan.stretches, strict=True)))

    def expected_seconds(self, n_time: int) -> float:
        """Return how long the search of these spectra takes, from trials of their sums and boxcars.

        The time for reading and normalising is not included.
        """
        total = 0.0
        for search, each in zip(self._searches, self.plan.stretches, strict=True):
            block = np.zeros((search.block, search.n_chan), np.int8)
            times = [time.perf_counter()]
            for _ in range(2):  # the first may compile
                search.process(block)
                times.append(time.perf_counter())
            search.reset()
            total += (times[2] - times[1]) * n_time / each.downsampling / search.block
        return total

    def process(self, x: NDArray[Any], valid: NDArray[np.bool_] | None = None,
                series: NDArray[np.float32] | None = None) -> None:
        """Search the next spectra.

        Parameters
        ----------
        x : ndarray, shape (n_time, n_chan)
            Values of any unit; they need not be finite where they are not valid.
        valid : ndarray of bool, shape (n_time, n_chan), optional
        series : ndarray of float32, shape (n_time,), optional
            Values that are first subtracted from all channels.
        """
        if not self.n_time and x.dtype != self._dtype:  # they are read in another form than planned
            self._normalizer = self._normalizer_of(x.dtype)
        self.n_time += len(x)
        for first in range(0, len(x), _RUN):
            rows = slice(first, first + _RUN)
            self._normalised(*self._normalizer.process(
                x[rows], valid=None if valid is None else valid[rows],
                series=None if series is None else series[rows]))

    def finish(self) -> Events:
        """Search the remaining spectra, and return the events of the whole stream."""
        self._normalised(*self._normalizer.finish())
        for number, search in enumerate(self._searches):
            self._add(number, search.finish())
            self._store.n_dropped += search.n_dropped
        return self._store.finish(self.n_time)

    def _add(self, number: int, events: NDArray[Any]) -> None:
        """Add events of a stretch; their weights become shares of all channels."""
        if len(events):
            down = self.plan.stretches[number].downsampling
            segment = np.clip(events["time"] * down // self._normalizer.segment, 0,
                              len(self._alive) - 1)
            events["weight"] *= np.array(self._alive, np.float32)[segment]
        self._store.add(number, events)

    def _normalised(self, x: NDArray[np.int8], valid: NDArray[np.bool_] | None) -> None:
        """Search normalised spectra: whole segments, apart from the last of the stream."""
        size = self._normalizer.segment
        for first in range(0, len(x), size):
            rows = slice(first, first + size)
            self._search(x[rows], self._valid(None if valid is None else valid[rows]))

    def _valid(self, valid: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        """Return what is valid in a segment; channels without any sample count as valid.

        They are 0, so that they add nothing to a sum, and the noise of sums is measured. Sums need
        no weights then.
        """
        dead = None if valid is None else ~valid.any(axis=0)
        self._alive.append(1.0 if dead is None else 1 - float(dead.mean()))
        if len(self._alive) == 1 and 0 < self._alive[0] < _LEAST_ALIVE:
            self._searches = self._made(LEVELS * self._alive[0] ** 0.5)
        if valid is None or dead is None or dead.all():
            return valid
        valid = valid | dead
        return None if valid.all() else valid

    def _search(self, x: NDArray[np.int8], valid: NDArray[np.bool_] | None) -> None:
        """Search a segment, octave by octave."""
        for level, members in enumerate(self._octaves):
            if level:
                x, valid = self._halvers[level - 1].process(x, valid)
            if not len(x):
                return
            for number in members:
                self._add(number, self._searches[number].process(x, valid=valid))


def segment_of(sample_s: float) -> int:
    """Return the number of spectra in a segment of the normalisation: 0.2 s, or at least 256."""
    return 256 * max(1, min(256, round(_SEGMENT_S / sample_s / 256)))


def _octaves(plan: SearchPlan) -> list[list[int]]:
    """Return the numbers of the stretches of each octave, from the full rate on."""
    levels = [int(each.downsampling).bit_length() - 1 for each in plan.stretches]
    return [[number for number, each in enumerate(levels) if each == level]
            for level in range(max(levels) + 1)]


class _Halver:
    """Halves the rate of a stream; a last spectrum without a partner waits for it."""

    def __init__(self) -> None:
        self._left: tuple[NDArray[np.int8], NDArray[np.bool_] | None] | None = None

    def process(self, x: NDArray[np.int8], valid: NDArray[np.bool_] | None
                ) -> tuple[NDArray[np.int8], NDArray[np.bool_] | None]:
        """Return the sums of pairs of spectra."""
        from fastsig_kernels import halve

        if self._left is not None:
            x, valid = _joined(self._left, (x, valid))
        self._left = None
        if len(x) % 2:
            self._left = x[-1:].copy(), None if valid is None else valid[-1:].copy()
        n = len(x) // 2 * 2
        found: tuple[NDArray[np.int8], NDArray[np.bool_] | None] = halve(
            x[:n], None if valid is None else valid[:n])
        return found


def _joined(first: tuple[NDArray[np.int8], NDArray[np.bool_] | None],
            second: tuple[NDArray[np.int8], NDArray[np.bool_] | None]
            ) -> tuple[NDArray[np.int8], NDArray[np.bool_] | None]:
    """Return spectra followed by others, and which are valid; None if all are."""
    x = np.concatenate([first[0], second[0]])
    if first[1] is None and second[1] is None:
        return x, None
    return x, np.concatenate([np.ones(each.shape, bool) if valid is None else valid
                              for each, valid in (first, second)])

