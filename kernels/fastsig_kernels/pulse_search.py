"""Search for dispersed pulses in a stream of normalised spectra."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _check
from ._boxcar_events import EVENT, TILE, Times
from ._plan import Plan
from ._team import Crew
from .boxcars import checked_options
from .fdmt import FDMT
from .ladder import Ladder
from .normalizing import LEVELS

if TYPE_CHECKING:
    from ._boxcar_tiles import Tiles

__all__ = ["PulseSearch"]

#: Rows of which one reaches back furthest: the last ones, whose delays are rounded.
_LAST = 8


class PulseSearch(Plan):
    """Plan that finds dispersed pulses: `FDMT` of normalised spectra, and `Boxcars` of its rows.

    Parameters
    ----------
    curve, delays : ndarray, float64
        As for `FDMT`.
    ladder : Ladder
        Widths, as from `boxcar_ladder`.
    threshold : float
        Lowest S/N of events.
    order : {"time", "channel"}
        Whether the first axis of the spectra is time or frequency.
    mask : ndarray, shape (n_chan,), bool, optional
        Channels to leave out.
    track : {"sample", "half", "exact"}
        As for `FDMT`.
    noise : float
        Expected standard deviation of a sample; 16 for the codes of `Normalizer`.
    segment, n_segment, n_first, tile, least_share, most
        As for `Boxcars`.
    parts : sequence of int, optional
        Numbers of rows in successive parts. Each part is searched as if it had a plan of its own,
        with its own groups of rows and its own limit of `most` boxcars. By default, all rows are
        searched together.
    threads : int
        Number of threads that share the work of a call; the events do not depend on it.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Notes
    -----
    *Events.* These are as for `Boxcars`, and their rows are those of `delays`. ``time`` is that of
    arrival at the frequency where `curve` is 0, counted from the first sample of the stream; it may
    be negative. ``weight`` is the fraction of valid samples in the channels that are not left out.
    Samples before the stream and after its end are not valid, so pulses that are cut off there are
    found from the part that is in the stream.

    *Weights.* Samples that are not valid are left out of sums and of their expected noise, so S/N
    is that of the valid samples. A block of `block` samples whose sums include such samples takes
    about twice the time.

    *Splits* and *level* are as for `Boxcars`.
    """

    def __init__(self, curve: np.ndarray, delays: np.ndarray, ladder: Ladder, *,
                 threshold: float = 6.0, order: str = "time", mask: np.ndarray | None = None,
                 track: str = "sample", noise: float = float(LEVELS), segment: int = 0,
                 n_segment: int = 16, n_first: int | None = None, tile: int = TILE,
                 least_share: float = 0.25, most: int = 2**16,
                 parts: Sequence[int] | None = None, threads: int = 1) -> None:
        options = checked_options(
            ladder, noise=noise, threshold=threshold, segment=segment, n_segment=n_segment,
            n_first=n_first, tile=tile, least_share=least_share, most=most)
        self._threads = _check.count("threads", threads, maximum=64)
        self._fdmt = FDMT(curve, delays, dtype="int8", order=order, mask=mask, track=track,
                          threads=threads)
        self._by_time = order == "time"
        self._n_used = len(curve) if mask is None else int((~mask).sum())
        options["noise"] *= self._n_used**0.5
        sizes = [len(delays)] if parts is None else [_check.count("parts", n) for n in parts]
        if sum(sizes) != len(delays):
            raise ValueError(f"parts: found {sum(sizes)} rows, allowed {len(delays)}")
        self._parts = list(pairwise(accumulate(sizes, initial=0)))
        #: Number of samples by which the sums of each part reach back.
        self._reach = [int(self._fdmt.channel_delays(np.arange(max(a, b - _LAST), b)).max())
                       for a, b in self._parts]
        self._options_of_tiles = options
        self._begin()

    def _own_state(self) -> None:
        self._fdmt = self._fdmt.copy()
        self._begin()

    def _begin(self) -> None:
        from ._boxcar_tiles import Planes, Tiles, rows_of_threads

        self._late = np.rint(self._fdmt.delays).astype(np.int64)
        crew = Crew(self._threads)
        cuts = rows_of_threads([b - a for a, b in self._parts], self._threads)
        self._tiles = [Tiles(b - a, **self._options_of_tiles, delay=self._late[a:b], crew=crew,
                             cuts=each) for (a, b), each in zip(self._parts, cuts, strict=True)]
        self._planes, self._is_shared = Planes(), False
        self._reset()

    def _make_planes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return memory for the sums and the weights of a block, after those of the past."""
        shape = self._fdmt.n_delay, self._times
        return self._planes.samples(*shape), self._planes.weights(*shape)

    @property
    def _times(self) -> Times:
        return self._tiles[0].times

    def _open_parts(self) -> list[tuple["Tiles", slice, int]]:
        """Return the parts that still need samples: tiles, rows and reach."""
        return [(tiles, slice(a, b), reach) for tiles, (a, b), reach in
                zip(self._tiles, self._parts, self._reach, strict=True)
                if self._end is None or tiles.n < self._end + reach]

    @staticmethod
    def _in_rows(parts: list[tuple["Tiles", slice, int]], found: list[np.ndarray]) -> np.ndarray:
        """Return the events of parts, in whose rows they are counted."""
        for (_, rows, _), events in zip(parts, found, strict=True):
            events["row"] += rows.start
        return np.concatenate([np.empty(0, EVENT), *found])

    def prepare(self, other: "PulseSearch | None" = None) -> None:
        """Begin a stream, with all memory that it will need, as `FDMT.prepare` does.

        Parameters
        ----------
        other : PulseSearch, optional
            Plan whose work space this plan also uses; the work space is counted in the memory of
            `other`. Calls of the two plans must not be in progress at the same time. The plan with
            more rows should be prepared first.
        """
        with self._alone(renewing=True):
            self._unfinished = True
            if other is not None:
                self._planes, self._is_shared = other._planes, True
            self._make_planes()
            self._reset()
            self._fdmt.prepare(None if other is None else other._fdmt)
        self._unfinished = False

    def _reset(self) -> None:
        self._n = 0
        #: Number of samples of the stream, once it is known.
        self._end: int | None = None
        self._fdmt.reset()
        for tiles in self._tiles:
            tiles.reset()
        #: Rows of a block that is not complete, and which of their samples are valid.
        self._rest = np.zeros(self._shape(self.block), np.int8)
        self._rest_valid: np.ndarray | None = None

    def _shape(self, n: int) -> tuple[int, int]:
        return (n, self.n_chan) if self._by_time else (self.n_chan, n)

    @property
    def n_chan(self) -> int:
        """Number of channels of the spectra."""
        return self._fdmt.n_chan

    @property
    def n_delay(self) -> int:
        """Number of rows."""
        return self._fdmt.n_delay

    @property
    def block(self) -> int:
        """Number of samples that are searched at once; streams may be split in any way."""
        return self._times.tile

    @property
    def ladder(self) -> Ladder:
        """Widths of the boxcars."""
        return self._options_of_tiles["ladder"]

    @property
    def segment(self) -> int:
        """Number of samples of a segment of time."""
        return self._times.segment

    @property
    def history(self) -> int:
        """Largest number of samples by which the sums of a sample reach back."""
        return self._fdmt.history

    @property
    def latency(self) -> int:
        """Number of samples from a pulse's arrival, where `curve` is 0, to the return of its event.

        The first events of a stream are returned after `n_first` segments.
        """
        delay = int(np.ceil(self._fdmt.delays[-1]))
        return delay + self._tiles[0].latency

    @property
    def earliest(self) -> np.ndarray:
        """First sample of each row at which an event that has yet to be returned may begin."""
        return self._tiles[0].n_known - self._late

    @property
    def memory_bytes(self) -> int:
        """Size of tables, work space and state, in bytes, including those for lost samples."""
        planes = 0 if self._is_shared else self._planes.memory_bytes
        tiles = sum(each.memory_bytes for each in self._tiles)
        # Spectra of a block, which of them are valid, and spectra with 0 where they are not.
        return self._fdmt.memory_bytes + tiles + planes + 3 * self._rest.nbytes

    @property
    def n_dropped(self) -> int:
        """Number of boxcars above the threshold that were not kept, in this stream."""
        return sum(tiles.n_dropped for tiles in self._tiles)

    def reset(self) -> None:
        """Discard the state; the next sample is the first of a stream."""
        with self._alone(renewing=True):
            self._unfinished = True
            self._reset()
        self._unfinished = False

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        twin = self.copy()
        twin.process(np.zeros(self._shape(1), np.int8))
        twin.finish()

    def process(self, x: np.ndarray, *, valid: np.ndarray | None = None) -> np.ndarray:
        """Search the next spectra of the stream.

        Parameters
        ----------
        x : ndarray, shape (n_time, n_chan) or (n_chan, n_time), int8
            Spectra, in the plan's order, with a level of 0 and the same noise in all channels.
        valid : ndarray of bool, shape of x, optional
            Which samples are valid; all by default.

        Returns
        -------
        ndarray, shape (n,), fields row, time, width, snr and weight
            Events that are now known.

        Raises
        ------
        TypeError, ValueError
            If an argument has the wrong type, dtype or shape; the state is then unchanged.
        RuntimeError
            If another call is in progress, or an exception interrupted an earlier one.
        """
        with self._alone():
            _check.array("x", x, ("int8",), 2)
            _check.shape("x", x, self._shape(x.shape[0 if self._by_time else 1]))
            if valid is not None:
                _check.array("valid", valid, ("bool",), 2)
                _check.shape("valid", valid, x.shape)
            self._unfinished = True
            found = self._searched(x, valid)
        self._unfinished = False
        return found

    def _piece(self, a: int, b: int) -> Any:
        return (slice(a, b), slice(None)) if self._by_time else (slice(None), slice(a, b))

    def _searched(self, x: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
        found, at, n = [np.empty(0, EVENT)], 0, x.shape[0 if self._by_time else 1]
        tile = self.block
        while at < n:
            place = self._n % tile
            some = min(tile - place, n - at)
            here = self._piece(at, at + some)
            block, use = x[here], None if valid is None else valid[here]
            if some < tile:
                block, use = self._kept(block, use, place, some)
            self._n, at = self._n + some, at + some
            if self._n % tile == 0:
                found.append(self._block(block, use))
        return np.concatenate(found)

    def _kept(self, x: np.ndarray, valid: np.ndarray | None, place: int, n: int
              ) -> tuple[np.ndarray, np.ndarray | None]:
        """Add rows to those that wait; return these."""
        there = self._piece(place, place + n)
        self._rest[there] = x
        if valid is not None and self._rest_valid is None:
            self._rest_valid = np.ones(self._rest.shape, bool)
        if self._rest_valid is not None:
            self._rest_valid[there] = True if valid is None else valid
        return self._rest, self._rest_valid

    def _block(self, x: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
        """Search a block of spectra."""
        from ._boxcar_tiles import Tile, search_tiles

        samples, weights = self._make_planes()
        there = slice(self._times.halo, None)
        self._fdmt.process(x, valid=valid, out=samples[:, there], out_weight=weights[:, there])
        self._rest_valid = None
        weighted = self._fdmt.weight.strides != (0, 0)
        if weighted:
            np.multiply(weights[:, there], np.float32(1 / self._n_used), out=weights[:, there])
        # Those whose rows need no sample that is not valid are searched without weights.
        n_whole = self._fdmt.n_valid - self.block
        parts = self._open_parts()
        return self._in_rows(parts, search_tiles([
            Tile(tiles, samples[rows], weights[rows], weighted and n_whole < reach)
            for tiles, rows, reach in parts]))

    def finish(self) -> np.ndarray:
        """Return the rest of the events; the next sample is the first of another stream.

        Raises
        ------
        RuntimeError
            If another call is in progress, or an exception interrupted an earlier one.
        """
        with self._alone():
            self._unfinished = True
            found = self._finished()
        self._unfinished = False
        return found

    def _finished(self) -> np.ndarray:
        """Search what is cut by the end, with samples after it that are not valid."""
        found, end = [np.empty(0, EVENT)], self._n + max(self._reach) if self._n else 0
        self._end, shape, tile = self._n, self._shape(self.block), self.block
        nothing = np.zeros(shape, np.int8), np.zeros(shape, bool)
        while self._n < end or self._n % tile:
            here = self._piece(0, tile - self._n % tile)
            found.append(self._searched(nothing[0][here], nothing[1][here]))
        samples, weights = self._make_planes()
        self._end = None  # all parts end
        parts = self._open_parts()
        found.append(self._in_rows(parts, [tiles.finish(tiles.n, samples[rows], weights[rows])
                                           for tiles, rows, _ in parts]))
        dropped = [tiles.n_dropped for tiles in self._tiles]
        self._reset()
        for tiles, n in zip(self._tiles, dropped, strict=True):
            tiles.n_dropped = n
        return np.concatenate(found)
