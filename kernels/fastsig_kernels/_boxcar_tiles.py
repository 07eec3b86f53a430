"""The state of a search for pulses on a plane of rows, tile by tile."""

from collections.abc import Sequence
from functools import partial
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from ._boxcar_events import (
    EVENT,
    GROUP,
    LANES,
    RAW,
    RAW_SHARE,
    Levels,
    Statistics,
    Times,
    final_events,
    statistics_of,
)
from ._boxcar_loops import search_rows_nb
from ._noise_loops import scale
from ._noise_widths import CUT
from ._order import address
from ._pages import aligned
from ._simd import Spec
from ._team import Crew
from .ladder import Ladder

#: Columns of the table of levels.
_CHUNK, _PLACE, _KEPT, _HALO, _FILL, _READY, _FIRST = range(7)


class Planes:
    """Memory for the samples of a tile of rows, after those of the past, and for their weights."""

    def __init__(self) -> None:
        self._memory = [aligned(0), aligned(0)]

    @property
    def memory_bytes(self) -> int:
        """Size, in bytes."""
        return sum(each.nbytes for each in self._memory)

    def samples(self, n_row: int, times: Times) -> np.ndarray:
        """Return memory for samples: (n_row, halo + tile) float32."""
        return self._plane(0, n_row, times.halo + times.tile)

    def weights(self, n_row: int, times: Times) -> np.ndarray:
        """Return memory for weights, of the same shape."""
        return self._plane(1, n_row, times.halo + times.tile)

    def _plane(self, number: int, n_row: int, size: int) -> np.ndarray:
        n_byte = 4 * n_row * size
        if self._memory[number].nbytes < n_byte:
            self._memory[number] = aligned(n_byte)
        return self._memory[number][:n_byte].view(np.float32).reshape(n_row, size)


class Tiles:
    """A search for pulses by boxcars, of a stream of tiles of rows.

    A tile is searched by `begin`, `search` for the rows of each thread, and `end`: `search_tiles`
    does so for one or several searches.

    Parameters
    ----------
    n_row : int
        Number of rows.
    ladder : Ladder
        Widths.
    noise, threshold, least_share : float
        Noise of a sample that is expected; least S/N; least share of valid samples.
    segment, n_segment, n_first, most, tile : int
        Samples of a segment of time, or 0; segments whose noise is used, and that are complete when
        the first events are returned; most events of a segment; samples of a tile.
    delay : ndarray, shape (n_row,), int64, samples, optional
        What is subtracted from times.
    crew : Crew
        Threads that share the work.
    cuts : sequence of int
        First row of each thread, and the number of rows, as from `rows_of_threads`.
    """

    def __init__(self, n_row: int, ladder: Ladder, *, noise: float, threshold: float,
                 least_share: float, segment: int, n_segment: int, n_first: int, most: int,
                 tile: int, delay: np.ndarray | None, crew: Crew, cuts: Sequence[int]) -> None:
        self._n_row, self._ladder, self._delay = n_row, ladder, delay
        self._unit, self._threshold, self._n_segment = 1 / noise, threshold, n_segment
        self._n_first, self._least, self._most = n_first, least_share, most
        self.times = Times.of(ladder, segment, tile)
        self.levels = Levels(n_row, self.times)
        self._spec = Spec(first=ladder.first, later=ladder.later, lanes=LANES)
        self._levels = np.searchsorted(ladder.levels, np.arange(ladder.n_level + 1))
        self._plan_levels()
        self.crew = crew
        self._shape = -(-n_row // GROUP), len(ladder.widths)
        self._store = self._rows_kept(n_row)
        self._past = np.zeros((n_row, 0), np.float32)
        #: Rows and work space of each thread that has rows, by its number.
        self._threads = {
            i: (slice(*pair), _Work(2 * most + self._most_of_row + 1, self._n_work,
                                    len(ladder.widths)))
            for i, pair in enumerate(pairwise(cuts)) if pair[1] > pair[0]}
        self.reset()

    def _plan_levels(self) -> None:
        """List where the samples of each level are in the work space, and kept between tiles."""
        halo, n_level = self.times.halo, self._ladder.n_level
        self._table = np.zeros((n_level, 7), np.int64)
        self._n_work = self._n_kept = 0
        for k, row in enumerate(self._table):
            chunk = self.times.chunk(k)
            row[[_CHUNK, _PLACE, _KEPT, _HALO]] = chunk, self._n_work, self._n_kept, halo
            self._n_work += halo + chunk if k else 0
            self._n_kept += halo + (chunk if chunk << k > self.times.tile else 0)
        self._most_of_row = int(self._table[:, _CHUNK].sum()) // LANES

    def _rows_kept(self, n_row: int) -> np.ndarray:
        """Return memory for what rows keep, with room for a vector at its end."""
        size = n_row * self._n_kept
        return aligned(4 * (size + LANES)).view(np.float32)[:size].reshape(n_row, -1)

    def reset(self) -> None:
        """Begin a stream."""
        self._store.fill(0)
        self.levels.reset()
        self._n = 0
        self._n_whole = 0  # samples since the last weights other than 1
        #: Boxcars that begin before this sample are known, and their events have been returned.
        self.n_known = 0
        self._table[:, _FILL] = 0
        self._past = np.zeros((self._n_row, 0), np.float32)
        self._sums = [np.zeros((0, *self._shape))] * 6
        self._ends = np.zeros(0, np.int64)  # of the segments of these sums
        self._statistics = Statistics(np.ones(self._shape), np.zeros(self._shape))
        self._waiting: list[np.ndarray] = []
        self.n_dropped = 0
        self._begin_segment()

    @property
    def memory_bytes(self) -> int:
        """Size of the state, in bytes, with weights."""
        arrays = (self._store, self._store, self._own, *self._waiting, *self._sums,
                  *self._statistics, *self._tables)
        return sum(a.nbytes for a in arrays) + sum(each.memory_bytes for each in self._works())

    def _works(self) -> list["_Work"]:
        return [work for _, work in self._threads.values()]

    @property
    def n(self) -> int:
        """Number of samples that have been searched."""
        return self._n

    @property
    def reach(self) -> int:
        """Number of samples after the beginning of a boxcar when it is searched, at most."""
        top = self._ladder.n_level - 1
        return (self.times.halo + self.times.chunk(top)) << top

    @property
    def latency(self) -> int:
        """Number of samples after the beginning of a boxcar when its segment is complete."""
        return (self.times.halo << (self._ladder.n_level - 1)) + self.times.segment

    def _begin_segment(self) -> None:
        noise = self._statistics.noise
        self._cut = CUT * noise
        #: With all weights 1, and with others.
        self._tables = [self._table_of(noise, weighted) for weighted in (False, True)]
        self._own = np.zeros((5, *self._shape))
        for each in self._works():
            each.clear()

    def _table_of(self, noise: np.ndarray, weighted: bool) -> np.ndarray:
        """Return what boxcars are compared with, as `_boxcar_loops` needs it."""
        widths, threshold = self._ladder.widths, RAW_SHARE * self._threshold
        square = self._unit**2 / (np.ones(len(widths)) if weighted else widths)
        gain, level = square / noise**2, threshold**2
        if not weighted:
            gain, level = np.sqrt(gain), threshold
        steps = widths >> self._ladder.levels
        table = np.empty((self._shape[0], 8, self._shape[1]), np.float32)
        rows = (level / gain, self._cut**2 / square, self._least * widths, gain, square,
                steps, level, np.sqrt(level / gain * steps))
        for i, row in enumerate(rows):
            table[:, i] = row
        return table

    def begin(self, weighted: bool) -> None:
        """Begin a tile; `weighted` is whether some of its weights are not 1."""
        if weighted and not self._past.size:
            self._past = self._rows_kept(self._n_row)
            ends = [*self._table[1:, _KEPT], self._n_kept]
            for k, (start, end) in enumerate(zip(self._table[:, _KEPT], ends, strict=True)):
                self._past[:, start:end] = 1 << k
        self.levels.advance()
        tile = self.times.tile
        self._n_whole = 0 if weighted else self._n_whole + tile
        if self._n_whole > self.reach + tile:
            self._past = np.zeros((self._n_row, 0), np.float32)
        self._n += tile
        levels = np.arange(self._ladder.n_level)
        chunk = self._table[:, _CHUNK]
        self._table[:, _READY] = self._n % (chunk << levels) == 0
        self._table[:, _FIRST] = (self._n >> levels) - chunk - self.times.halo

    @property
    def weighted(self) -> bool:
        """Whether weights are needed in this tile, because there were some not long ago."""
        return self._past.size > 0

    @property
    def threads(self) -> list[int]:
        """Numbers of the threads that have rows."""
        return list(self._threads)

    def search(self, thread: int, x: np.ndarray, weight: np.ndarray | None) -> None:
        """Search the rows of a thread in a tile, which is in memory from `Planes`."""
        if thread not in self._threads:
            return
        rows, work = self._threads[thread]
        self.levels.subtract(x, weight, rows)
        row, stop, step, weighted = rows.start, rows.stop, x.strides[0], self.weighted
        source, weights = address(x), 0 if weight is None else address(weight)
        while row < stop:
            before = step * row
            row = search_rows_nb(
                self._spec, weighted, source + before, before + weights, step, row, stop,
                self._table, self._levels, self._tables[weighted], self._store, self._past,
                address(work.values), address(work.weights), work.lanes, self._own, work.raw,
                work.sums, work.n, self._most_of_row)
            if row < stop:
                work.keep_best(self._most)

    def end(self) -> np.ndarray:
        """End a tile; return the events that are now known."""
        fill, ready = self._table[:, _FILL], self._table[:, _READY]
        for k in range(1, len(fill)):
            if ready[k - 1]:
                added = fill[k] + self._table[k - 1, _CHUNK] // 2
                fill[k] = 0 if ready[k] else added
        return self._completed() if self.times.is_end(self._n) else np.empty(0, EVENT)

    def _completed(self) -> np.ndarray:
        """End a segment; return the events of those whose noise is now known."""
        self._end_segment()
        found = self._final() if self._n >= self._n_first * self.times.segment else []
        self._begin_segment()
        return np.concatenate([np.empty(0, EVENT), *found])

    def _final(self) -> list[np.ndarray]:
        """Return the events of the segments that wait."""
        waiting, self._waiting = self._waiting, []
        self.n_known = max(0, self._n - (self.times.halo << (self._ladder.n_level - 1)))
        return [final_events(each, self._statistics, self._ladder, self._threshold, self._delay)
                for each in waiting]

    def finish(self, n: int, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """End the stream, of `n` samples; return the rest of the events.

        Arrays are those of `search_tiles`, whose contents are lost.
        """
        times = self.times
        reach = n + (times.halo << (self._ladder.n_level - 1))
        found = [np.empty(0, EVENT)]
        while self._n < -(-reach // times.longest) * times.longest:
            x.fill(0)
            weight.fill(0)
            found += search_tiles([Tile(self, x, weight, True)])
        if self._n and not times.is_end(self._n):
            self._end_segment()
        found += self._final() if self._waiting else []
        return np.concatenate(found)

    def _end_segment(self) -> None:
        """Add a segment to those whose noise is known, and its boxcars to those that wait."""
        self._own[2] *= self._unit
        ends = np.append(self._ends, self._n)
        near = ends > self._n - self._n_segment * self.times.segment
        self._ends = ends[near]
        self._sums = [np.concatenate([a, b[np.newaxis]])[near]
                      for a, b in zip(self._sums, (*self._own, self._cut), strict=True)]
        self._statistics = statistics_of(self._sums, self._ladder, self._n_row,
                                         partial(scale, crew=self.crew))
        raw, values = (np.concatenate(each) for each in zip(*(
            work.kept() for work in self._works()), strict=True))
        keep = best_of(raw, values[:, 2], self._most)
        self.n_dropped += sum(int(each.n[1]) for each in self._works()) + len(raw) - len(keep)
        some = np.zeros(len(keep), RAW)
        for name, column in zip(("row", "time", "index"), raw[keep].T, strict=True):
            some[name] = column
        some["sum"], some["weight"] = self._unit * values[keep, 0], values[keep, 1]
        self._waiting.append(some)


class Tile(NamedTuple):
    """A tile of the rows of a search.

    Parameters
    ----------
    search : Tiles
    x : ndarray, shape (n_row, halo + tile), float32
        Samples, after memory for those of the past; rows may be further apart.
    weight : ndarray, shape and strides of x, float32, or None
        Their weights. If there were others than 1 not long ago, this is overwritten with 1.
    weighted : bool
        Whether some of the weights are not 1.
    """

    search: Tiles
    x: np.ndarray
    weight: np.ndarray | None
    weighted: bool


def search_tiles(tiles: Sequence[Tile]) -> list[np.ndarray]:
    """Search a tile of each of some searches; return the events of each that are now known.

    All have the same threads, each of which does its rows of all searches at once: this takes less
    time than to begin the threads for one search after the other.
    """
    known: list[tuple[Tiles, np.ndarray, np.ndarray | None]] = []
    for search, x, weight, weighted in tiles:
        search.begin(weighted)
        if search.weighted and not weighted and weight is not None:
            weight[:, search.times.halo :] = 1
        known.append((search, x, weight if search.weighted else None))

    def part(thread: int) -> None:
        for search, x, weight in known:
            search.search(thread, x, weight)

    threads = sorted({each for search, *_ in known for each in search.threads})
    if threads:
        known[0][0].crew.run([partial(part, each) for each in threads])
    return [search.end() for search, *_ in known]


def rows_of_threads(sizes: Sequence[int], n_thread: int) -> list[list[int]]:
    """Divide the rows of searches of some sizes among threads; return the `cuts` of each search.

    Each thread has whole groups, of which all have equally many in total.
    """
    groups = [-(-n // GROUP) for n in sizes]
    before = accumulate(groups, initial=0)
    ends = [sum(groups) * i // n_thread for i in range(n_thread + 1)]
    return [[min(n, GROUP * min(max(end - first, 0), n_group)) for end in ends]
            for n, n_group, first in zip(sizes, groups, before, strict=False)]


class _Work:
    """The work space of a thread, and the boxcars that it has found in a segment."""

    def __init__(self, room: int, n_work: int, n_width: int) -> None:
        self.raw, self.sums = np.empty((room, 3), np.int64), np.empty((room, 3), np.float32)
        self.n = np.zeros(2, np.int64)  # boxcars that are kept, and that are not
        # The S/N of the last one, which is never filled, is that below which none is kept.
        self.clear()
        # With room for a vector that begins with the last samples.
        self.values, self.weights = (aligned(4 * (n_work + LANES)) for _ in range(2))
        self.lanes = np.zeros((n_width, 5, LANES), np.float32)

    @property
    def memory_bytes(self) -> int:
        return sum(a.nbytes for a in (self.raw, self.sums, self.values, self.weights, self.lanes))

    def clear(self) -> None:
        """Begin a segment."""
        self.n.fill(0)
        self.sums[-1] = 0

    def kept(self) -> tuple[np.ndarray, np.ndarray]:
        return self.raw[: self.n[0]], self.sums[: self.n[0]]

    def keep_best(self, most: int) -> None:
        """Leave the best boxcars; count the others."""
        raw, sums = self.kept()
        keep = best_of(raw, sums[:, 2], most)
        self.raw[: len(keep)], self.sums[: len(keep)] = raw[keep], sums[keep]
        self.n[:] = len(keep), self.n[1] + len(raw) - len(keep)
        self.sums[-1, 2] = self.sums[: len(keep), 2].min()


def best_of(raw: np.ndarray, snr: np.ndarray, most: int) -> np.ndarray:
    """Return which boxcars are the best, whatever the order that they are given in."""
    if len(raw) <= most:
        return np.arange(len(raw))
    least = np.partition(snr, -most)[-most]
    equal = np.flatnonzero(snr == least)
    equal = equal[np.lexsort([raw[equal, column] for column in (2, 1, 0)])]
    better = np.flatnonzero(snr > least)
    return np.concatenate([better, equal[: most - len(better)]])
