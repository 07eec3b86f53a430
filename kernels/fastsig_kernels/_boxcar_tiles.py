"""The state of a search for pulses on a plane of rows, tile by tile."""

from functools import partial
from itertools import pairwise

import numpy as np

from ._boxcar_events import (
    EVENT,
    GROUP,
    RAW,
    RAW_SHARE,
    TILE,
    Times,
    final_events,
    noise_of,
)
from ._noise_widths import CUT
from ._team import Crew
from .ladder import Ladder


class Tiles:
    """A search for pulses by boxcars, of a stream of tiles of rows.

    Parameters
    ----------
    n_row : int
        Number of rows.
    ladder : Ladder
        Widths.
    noise, threshold, least_share : float
        Noise of a sample that is expected; least S/N; least share of valid samples.
    segment, n_segment, most : int
        Samples of a segment of time, or 0; segments whose noise is used; most events of a segment.
    delay : ndarray, shape (n_row,), int64, samples, optional
        What is subtracted from times.
    n_thread : int
        Number of threads.
    """

    def __init__(self, n_row: int, ladder: Ladder, *, noise: float, threshold: float,
                 least_share: float, segment: int, n_segment: int, most: int,
                 delay: np.ndarray | None, n_thread: int) -> None:
        self._n_row, self._ladder, self._delay = n_row, ladder, delay
        self._unit, self._threshold = np.float32(1 / noise), threshold
        self._least, self._n_segment, self._most = np.float32(least_share), n_segment, most
        self.times = Times.of(ladder, segment)
        chunks = [self.times.chunk(k) for k in range(ladder.n_level)]
        self._chunks = np.array(chunks, np.int64)
        self._place = np.concatenate([[0], np.cumsum(self._chunks + self.times.halo)])
        self._starts = np.searchsorted(ladder.levels, np.arange(ladder.n_level + 1))
        self._widths = np.right_shift(ladder.widths, ladder.levels)
        self._crew = Crew(n_thread)
        n_group = -(-n_row // GROUP)
        cuts = [min(n_row, n_group * i // n_thread * GROUP) for i in range(n_thread + 1)]
        self._parts = [(a, b) for a, b in pairwise(cuts) if b > a]
        self._shape = n_group, len(ladder.widths)
        self._state = np.zeros((n_row, int(self._place[-1])), np.float32)
        self._past = np.zeros((1, 1), np.float32)
        room = 2 * most + 2 * TILE
        self._raw = [(np.empty((room, 3), np.int64), np.empty((room, 3), np.float32),
                      np.zeros(2, np.int64)) for _ in self._parts]
        self.reset()

    def reset(self) -> None:
        """Begin a stream."""
        self._state.fill(0)
        self._n = 0
        #: Samples since the last tile with weights, as far as boxcars reach back.
        self._n_full = 0
        self._has_past = False
        self._fill = np.zeros(len(self._chunks), np.int64)
        self._sums = [np.zeros((0, *self._shape))] * 4
        self._waiting: list[np.ndarray] = []
        self._n_done = 0
        self.n_dropped = 0
        self._begin_segment()

    @property
    def memory_bytes(self) -> int:
        """Size of the state, in bytes."""
        raw = sum(a.nbytes for arrays in self._raw for a in arrays)
        waiting = sum(a.nbytes for a in (*self._waiting, *self._sums))
        return self._state.nbytes + self._past.nbytes + raw + waiting

    @property
    def reach(self) -> int:
        """Number of samples after the beginning of a boxcar when it is searched, at most."""
        top = len(self._chunks) - 1
        return int(self.times.halo + self._chunks[top]) << top

    def _begin_segment(self) -> None:
        before = np.ones(self._shape)
        if len(self._sums[0]):
            last = [each[-self._n_segment :] for each in self._sums]
            before = noise_of(last, self._ladder, self._n_row)
        self._cut = CUT * before
        self._gain = (1 / before).astype(np.float32)
        self._own = np.zeros((3, *self._shape))
        for *_, number in self._raw:
            number[:] = 0

    def search(self, x: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """Search the next tile, (n_row, TILE); return the events that are now known."""
        weighted = self._with_past(weight)
        x = np.ascontiguousarray(x)
        self._n += TILE
        ready = self._n % (self._chunks << np.arange(len(self._chunks))) == 0
        first = (self._n >> np.arange(len(self._chunks))) - self._chunks - self.times.halo
        w = weight if weight is not None else np.ones((self._n_row, TILE if weighted else 1),
                                                      np.float32)
        self._crew.run([partial(self._search_part, i, x, w, weighted, ready, first)
                        for i in range(len(self._parts))])
        for k in range(1, len(self._chunks)):
            if not ready[k - 1]:
                break
            self._fill[k] = (self._fill[k] + self._chunks[k - 1] // 2) % self._chunks[k]
        return self._completed() if self._n % self.times.segment == 0 else np.empty(0, EVENT)

    def _with_past(self, weight: np.ndarray | None) -> bool:
        """Whether weights are used, in this tile or in those that its boxcars reach back to."""
        if weight is not None:
            if not self._has_past:
                self._past = np.empty(self._state.shape, np.float32)
                for k, (a, b) in enumerate(pairwise(self._place)):
                    self._past[:, a:b] = 1 << k
            self._has_past, self._n_full = True, 0
        elif self._has_past:
            self._n_full += TILE
            self._has_past = self._n_full <= 2 * self.reach
        return self._has_past

    def _search_part(self, part: int, x: np.ndarray, weight: np.ndarray, weighted: bool,
                     ready: np.ndarray, first: np.ndarray) -> None:
        from ._boxcar_loops import search_rows_nb

        row, stop = self._parts[part]
        while True:
            row = search_rows_nb(
                x, weight, weighted, self._state, self._past if weighted else self._past[:1],
                self._place, self._fill, ready, first, self.times.halo, self._starts,
                self._widths, self._gain, self._cut, self._unit,
                np.float32(RAW_SHARE * self._threshold), self._least, self._own,
                *self._raw[part], row, stop)
            if row == stop:
                return
            self._keep_best(part)

    def _keep_best(self, part: int) -> None:
        """Leave the best boxcars of a part; count the others."""
        raw, values, number = self._raw[part]
        n = int(number[0])
        keep = _best(raw[:n], values[:n, 2], self._most)
        raw[: len(keep)], values[: len(keep)] = raw[keep], values[keep]
        number[:] = len(keep), number[1] + n - len(keep)

    def _completed(self) -> np.ndarray:
        """End a segment; return the events of those whose noise is now known."""
        self._end_segment()
        found = []
        while self._waiting and len(self._sums[0]) >= self._n_segment:
            found.append(self._final())
        self._begin_segment()
        return np.concatenate([np.empty(0, EVENT), *found])

    def _final(self) -> np.ndarray:
        """Return the events of the first segment that waits."""
        noise = noise_of(self._sums, self._ladder, self._n_row)
        return final_events(self._waiting.pop(0), noise, self._ladder, self._threshold,
                            self._delay)

    def finish(self, n: int) -> np.ndarray:
        """End the stream, of `n` samples; return the rest of the events."""
        times = self.times
        reach = n + (times.halo << (len(self._chunks) - 1))
        found = [np.empty(0, EVENT)]
        nothing = np.zeros((self._n_row, TILE), np.float32)
        while self._n < -(-reach // times.longest) * times.longest:
            found.append(self.search(nothing, nothing))
        if self._n % times.segment:
            self._end_segment()
        while self._waiting:
            found.append(self._final())
        return np.concatenate(found)

    def _end_segment(self) -> None:
        """Add a segment to those whose noise is known, and its boxcars to those that wait."""
        self._sums = [np.concatenate([a, b[np.newaxis]])[-self._n_segment :]
                      for a, b in zip(self._sums, (*self._own, self._cut), strict=True)]
        raw, values = (np.concatenate([each[i][: int(each[2][0])] for each in self._raw])
                       for i in (0, 1))
        keep = _best(raw, values[:, 2], self._most)
        self.n_dropped += sum(int(each[2][1]) for each in self._raw) + len(raw) - len(keep)
        some = np.zeros(len(keep), RAW)
        for name, column in zip(("row", "time", "index"), raw[keep].T, strict=True):
            some[name] = column
        some["sum"], some["weight"] = values[keep, 0], values[keep, 1]
        self._waiting.append(some)


def _best(raw: np.ndarray, snr: np.ndarray, most: int) -> np.ndarray:
    """Return which boxcars are the best, in an order that does not depend on that given."""
    return np.lexsort([raw[:, 2], raw[:, 1], raw[:, 0], -snr])[:most]
