"""Pulses in series of samples, found by boxcars whose noise is measured for each width."""

from typing import Any

import numpy as np

from . import _check
from ._boxcar_events import EVENT, TILE
from ._plan import Plan
from ._team import Crew
from .ladder import Ladder

__all__ = ["Boxcars"]

_MOST_EVENTS = 2**22


class Boxcars(Plan):
    """Plan that finds pulses in rows of samples, such as series at neighbouring delays.

    Sums of samples (boxcars) of all widths of a ladder are compared with their noise. The S/N of a
    boxcar is the difference of its sum from the level, divided by the noise of its width and by the
    square root of its weight. The level and the noise of a width are the mean and the standard
    deviation of such boxcars in neighbouring rows, without outliers, over `n_segment` segments of
    time, so that they are correct even if samples are correlated, or if the mean that was
    subtracted before included bright pulses. The noise is at least a tenth of the expected noise.

    Parameters
    ----------
    n_row : int
        Number of rows.
    ladder : Ladder
        Widths, as from `boxcar_ladder`.
    noise : float
        Expected standard deviation of a sample of weight 1. It is used to compare widths until the
        noise has been measured; the S/N of events does not depend on it.
    threshold : float
        Lowest S/N of events.
    segment : int
        Smallest number of samples in a segment of time; 0 for 8 times the longest width.
    n_segment : int
        Number of segments from which noise is measured: that of the event, and those before it.
    n_first : int, optional
        Number of segments at the beginning of a stream from which the noise of their events is
        measured, 1 to `n_segment`; by default `n_segment`. These segments are divided into shorter
        ones, the first of which is a tile.
    tile : int
        Number of samples that are searched at once, a power of two from 128 to 2048. With fewer
        samples, events are returned sooner, but the search takes longer.
    least_share : float
        Smallest fraction of the samples of a boxcar that must be valid, 0.01 to 1.
    most : int
        Largest number of boxcars above the threshold that are kept in a segment; the best ones are
        kept.
    threads : int
        Number of threads that share the work of a call; the events do not depend on it.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Notes
    -----
    *Events.* Results are structured arrays with the fields ``row`` (int32), ``time`` (int64, first
    sample of the boxcar, counted from the first of the stream), ``width`` (int32, samples), ``snr``
    (float32) and ``weight`` (float32, fraction of its full weight). An event is the best of 16
    neighbouring boxcars of its level, and no better event of its row and segment overlaps it in
    time. Events are in the order of their segments and, within these, of time, row and width.

    *Splits.* Events do not depend on how a stream is split into calls, nor on the number of
    threads. They are returned once their segment, and at least `n_first` segments of the stream,
    are complete; `finish` returns the others.

    *Level.* Rows must have a level of about 0, or one below 0 because a mean that was subtracted
    before includes bright pulses. The level of a group of 64 rows is the mean of the
    levels of the last eight tiles. That of a tile is measured without pulses if more samples than
    half are below 0, by two standard deviations, and is 0 otherwise and where samples are as skewed
    as sums of a few powers. If the mean is below 0 by more than six times its error, it is
    subtracted. Of another level, the part that exceeds half of the noise of a boxcar counts as
    noise.

    *Loss.* Until the noise of a segment has been measured, boxcars above 0.8 times the threshold
    are kept, with the noise of the preceding segments. Events are therefore complete unless the
    noise decreases by more than a fifth from one segment to the next. In the first tile, the
    expected noise is used, so that the `most` boxcars that are kept there may be those of rows with
    more noise.
    """

    def __init__(self, n_row: int, ladder: Ladder, *, noise: float = 1.0, threshold: float = 6.0,
                 segment: int = 0, n_segment: int = 16, n_first: int | None = None,
                 tile: int = TILE, least_share: float = 0.25, most: int = 2**16, threads: int = 1
                 ) -> None:
        self._n_row = _check.count("n_row", n_row, maximum=2**24)
        self._options_of_tiles = checked_options(
            ladder, noise=noise, threshold=threshold, segment=segment, n_segment=n_segment,
            n_first=n_first, tile=tile, least_share=least_share, most=most)
        self._threads = _check.count("threads", threads, maximum=64)
        self._own_state()

    def _own_state(self) -> None:
        from ._boxcar_tiles import Planes, Tiles, rows_of_threads

        cuts, = rows_of_threads([self._n_row], self._threads)
        self._tiles = Tiles(self._n_row, delay=None, crew=Crew(self._threads), cuts=cuts,
                            **self._options_of_tiles)
        self._planes = Planes()
        self._reset()

    def _reset(self) -> None:
        self._n = 0
        self._tiles.reset()
        self._is_weighted = False

    @property
    def n_row(self) -> int:
        """Number of rows."""
        return self._n_row

    @property
    def ladder(self) -> Ladder:
        """Widths of the boxcars."""
        return self._options_of_tiles["ladder"]

    @property
    def segment(self) -> int:
        """Number of samples of a segment of time."""
        return self._tiles.times.segment

    @property
    def latency(self) -> int:
        """Number of samples from the start of a boxcar to the return of its event.

        The first events of a stream are returned after `n_first` segments.
        """
        return self._tiles.latency

    @property
    def memory_bytes(self) -> int:
        """Size of tables, work space and state, in bytes."""
        return self._tiles.memory_bytes + self._planes.memory_bytes

    @property
    def n_dropped(self) -> int:
        """Number of boxcars above the threshold that were not kept, in this stream."""
        return self._tiles.n_dropped

    def reset(self) -> None:
        """Discard the state; the next sample is the first of a stream."""
        with self._alone(renewing=True):
            self._unfinished = True
            self._reset()
        self._unfinished = False

    def compile(self) -> None:
        """Compile everything that `process` needs."""
        twin = self.copy()
        twin.process(np.zeros((self._n_row, 1), np.float32))
        twin.finish()

    def process(self, x: np.ndarray, *, weight: np.ndarray | None = None) -> np.ndarray:
        """Search the next samples of the stream.

        Parameters
        ----------
        x : ndarray, shape (n_row, n_time), float32, any unit
            Sums of the valid terms, with a level of 0. NaN spreads to the boxcars that include it,
            which are not events; give such samples the value 0 and the weight 0 instead.
        weight : ndarray, shape (n_row, n_time), float32, optional
            Variance of each sample relative to that of a complete one, 0 to 1: the fraction of its
            terms that are valid. 1 by default.

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
            _check.array("x", x, ("float32",), 2)
            _check.shape("x", x, (self._n_row, x.shape[1]))
            if weight is not None:
                _check.array("weight", weight, ("float32",), 2)
                _check.shape("weight", weight, x.shape)
            self._unfinished = True
            found = self._searched(x, weight)
        self._unfinished = False
        return found

    def _searched(self, x: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        found, at, tile = [np.empty(0, EVENT)], 0, self._tiles.times.tile
        while at < x.shape[1]:
            n = min(tile - self._n % tile, x.shape[1] - at)
            place = self._tiles.times.halo + self._n % tile
            there = slice(place, place + n)
            self._samples[:, there] = x[:, at : at + n]
            self._keep_weight(None if weight is None else weight[:, at : at + n], there)
            self._n, at = self._n + n, at + n
            if self._n % tile == 0:
                found.append(self._tile())
        return np.concatenate(found)

    def _keep_weight(self, weight: np.ndarray | None, there: slice) -> None:
        if weight is not None and not self._is_weighted and not (weight == 1).all():
            self._weights.fill(1)
            self._is_weighted = True
        if self._is_weighted:
            self._weights[:, there] = 1 if weight is None else weight

    @property
    def _samples(self) -> np.ndarray:
        return self._planes.samples(self._n_row, self._tiles.times)

    @property
    def _weights(self) -> np.ndarray:
        return self._planes.weights(self._n_row, self._tiles.times)

    def _tile(self) -> np.ndarray:
        from ._boxcar_tiles import Tile, search_tiles

        needed = self._is_weighted or self._tiles.weighted
        found, = search_tiles([Tile(self._tiles, self._samples, self._weights if needed else None,
                                    self._is_weighted)])
        self._is_weighted = False
        return found

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
        n, found, tile = self._n, [np.empty(0, EVENT)], self._tiles.times.tile
        if n % tile:
            rest = self._n_row, tile - n % tile
            found.append(self._searched(np.zeros(rest, np.float32), np.zeros(rest, np.float32)))
        found.append(self._tiles.finish(n, self._samples, self._weights))
        dropped = self._tiles.n_dropped
        self._reset()
        self._tiles.n_dropped = dropped
        return np.concatenate(found)


def checked_options(ladder: Any, *, noise: Any, threshold: Any, segment: Any, n_segment: Any,
                    n_first: Any, tile: Any, least_share: Any, most: Any) -> dict[str, Any]:
    """Return the arguments of `_boxcar_tiles.Tiles` that all searches have; refuse wrong ones."""
    if not isinstance(ladder, Ladder):
        raise TypeError(f"ladder: found {type(ladder).__name__}, allowed a Ladder")
    n_segment = _check.count("n_segment", n_segment, maximum=2**10)
    tile = _check.count("tile", tile, 128, TILE)
    if tile & (tile - 1):
        raise ValueError(f"tile: found {tile}, allowed powers of two")
    return {
        "ladder": ladder,
        "noise": _between("noise", noise, 1e-30, 1e30),
        "threshold": _between("threshold", threshold, 1, 1e6),
        "segment": _check.count("segment", segment, 0, 2**30),
        "n_segment": n_segment,
        "n_first": (n_segment if n_first is None
                    else _check.count("n_first", n_first, maximum=n_segment)),
        "tile": tile,
        "least_share": _between("least_share", least_share, 0.01, 1),
        "most": _check.count("most", most, maximum=_MOST_EVENTS),
    }


def _between(name: str, value: Any, least: float, most: float) -> float:
    number = _check.number(name, value)
    if not least <= number <= most:
        raise ValueError(f"{name}: found {number}, allowed {least:g} to {most:g}")
    return number
