"""The search of a stream of spectra: normalise, halve the rate by octaves, sum, find pulses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.search.bursts.events import Events, EventStore
from fastsig.search.bursts.plan import SearchPlan

__all__ = ["BurstSearch"]

_MOST_EVENTS = 2**20
_RUN = 2**14  # spectra that are processed at a time


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
        Number of events that are kept; of more, the brightest.
    """

    def __init__(self, plan: SearchPlan, *, dtype: str = "float32", threads: int = 1,
                 most: int = _MOST_EVENTS) -> None:
        from fastsig_kernels import Normalizer, PulseSearch

        self.plan, self._store = plan, EventStore(most)
        recording = plan.dm_plan.recording
        self._normalizer = Normalizer(recording.n_chan, dtype=dtype,
                                      segment=segment_of(recording.sample_s))
        self._searches = [
            PulseSearch(recording.curve, each.delays, widths=ladder, threshold=plan.threshold,
                        threads=threads)
            for each, ladder in zip(plan.stretches, plan.ladders, strict=True)]
        self._octaves = _octaves(plan)
        self._halvers = [_Halver() for _ in self._octaves[1:]]
        self.n_time = 0

    @property
    def memory_bytes(self) -> int:
        """Memory of tables, state and events."""
        return int(self._store.memory_bytes + self._normalizer.memory_bytes
                   + sum(each.memory_bytes for each in self._searches))

    @property
    def latency_s(self) -> float:
        """Time from the last sample of a burst to its event, s, at most."""
        sample_s = self.plan.dm_plan.recording.sample_s
        return float(self._normalizer.latency * sample_s + max(
            search.latency * each.sample_s
            for search, each in zip(self._searches, self.plan.stretches, strict=True)))

    def process(self, x: NDArray[Any], valid: NDArray[np.bool_] | None = None) -> None:
        """Search the next spectra.

        Parameters
        ----------
        x : ndarray, shape (n_time, n_chan)
            Values of any unit; they need not be finite where they are not valid.
        valid : ndarray of bool, shape (n_time, n_chan) or (n_time, 1), optional
        """
        self.n_time += len(x)
        for first in range(0, len(x), _RUN):
            rows = slice(first, first + _RUN)
            self._normalised(*self._normalizer.process(
                x[rows], valid=None if valid is None else valid[rows]))

    def finish(self) -> Events:
        """Search what is left, and return the events of the whole stream."""
        self._normalised(*self._normalizer.finish())
        for number, search in enumerate(self._searches):
            self._store.add(number, *_found(search.finish(), search))
        return self._store.finish(self.n_time)

    def _normalised(self, x: NDArray[np.int8], valid: NDArray[np.bool_] | None) -> None:
        """Search normalised spectra, octave by octave."""
        for level, members in enumerate(self._octaves):
            if level:
                x, valid = self._halvers[level - 1].process(x, valid)
            if not len(x):
                return
            for number in members:
                search = self._searches[number]
                self._store.add(number, *_found(search.process(x, valid=valid), search))


def segment_of(sample_s: float) -> int:
    """Return the spectra in a segment of the normalisation, a power of two."""
    return 2 ** max(8, min(16, round(np.log2(1.0 / sample_s))))


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
        from fastsig_kernels import halve, halve_valid

        if self._left is not None:
            x, valid = _joined(self._left, (x, valid))
        self._left = None
        if len(x) % 2:
            self._left = x[-1:].copy(), None if valid is None else valid[-1:].copy()
        n = len(x) // 2 * 2
        if valid is None:
            return halve(x[:n]), None
        return halve_valid(x[:n], valid[:n])


def _joined(first: tuple[NDArray[np.int8], NDArray[np.bool_] | None],
            second: tuple[NDArray[np.int8], NDArray[np.bool_] | None]
            ) -> tuple[NDArray[np.int8], NDArray[np.bool_] | None]:
    """Return spectra followed by others, and which are valid; None if all are."""
    x = np.concatenate([first[0], second[0]])
    if first[1] is None and second[1] is None:
        return x, None
    return x, np.concatenate([np.ones(each.shape, bool) if valid is None else valid
                              for each, valid in (first, second)])


def _found(events: NDArray[Any], search: Any) -> tuple[NDArray[Any], int]:
    """Return events, and the number of those that the kernel left out since the last call."""
    return events, int(search.n_dropped)
