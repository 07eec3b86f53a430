"""Regions of time and frequency, such as those of a mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.time import elapsed

__all__ = ["Regions", "Rectangles", "rectangles"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

_LEAST = 0.05  # part of a row or channel that a region must cover; edges are rounded in files
_MOST = float(2**62)


@dataclass(frozen=True)
class Regions:
    """Rectangles in time and frequency.

    Parameters
    ----------
    low_hz, high_hz : ndarray, shape (n,), float64
        Edges in sky frequency; infinite for all channels.
    start_s, stop_s : ndarray, shape (n,), float64
        Edges in time since `origin`, s; infinite for all times.
    origin : Time or None
        UTC from which times are counted; None for the start of the spectra.
    """

    low_hz: F8
    high_hz: F8
    start_s: F8
    stop_s: F8
    origin: Time | None = None


@dataclass(frozen=True)
class Rectangles:
    """Rectangles of rows and channels, sorted by their first row.

    Parameters
    ----------
    first, stop : ndarray, shape (n,), int64
        Rows, the second one not included.
    low, high : ndarray, shape (n,), int64
        Channels, the second one not included.
    """

    first: I8
    stop: I8
    low: I8
    high: I8

    def flags(self, start: int, n: int, n_chan: int) -> NDArray[np.bool_]:
        """Return a mask of rows, (n, chan); (1, chan) if it is the same in all rows."""
        near = (self.first < start + n) & (self.stop > start)
        steady = near & (self.first <= start) & (self.stop >= start + n)
        always = np.zeros((1, n_chan), np.bool_)
        for low, high in set(zip(self.low[steady].tolist(), self.high[steady].tolist(),
                                 strict=True)):
            always[0, low:high] = True
        passing = np.flatnonzero(near & ~steady)
        if not len(passing):
            return always
        found = np.repeat(always, n, axis=0)
        for k in passing.tolist():
            rows = slice(max(0, int(self.first[k]) - start), max(0, int(self.stop[k]) - start))
            found[rows, self.low[k] : self.high[k]] = True
        return found


def rectangles(regions: Sequence[Regions], start_time: Time, sample_rate: Fraction, n_row: int,
               axis: ChannelAxis | None, n_chan: int) -> Rectangles:
    """Return the rows and channels of a stream that regions cover, by a twentieth or more.

    Parameters
    ----------
    regions : sequence of Regions
    start_time, sample_rate, n_row : object
        Times of the rows.
    axis : ChannelAxis or None
        Frequencies of the channels; None if no region has edges in frequency.
    n_chan : int
    """
    parts = []
    for each in regions:
        later = 0.0 if each.origin is None else float(elapsed(start_time, each.origin))
        rate = float(sample_rate)
        rows = _covered((each.start_s + later) * rate, (each.stop_s + later) * rate, n_row)
        if axis is None:
            low = np.zeros(len(each.low_hz), np.int64)
            channels = low, low + n_chan
        else:
            edge, step = float(axis.edges_hz[0]), float(axis.step_hz)
            channels = _covered((each.low_hz - edge) / step, (each.high_hz - edge) / step, n_chan)
        parts.append((*rows, *channels))
    first, stop, low, high = (np.concatenate(every) for every in zip(*parts, strict=True))
    kept = np.flatnonzero((stop > first) & (high > low))
    kept = kept[np.argsort(first[kept], kind="stable")]
    return Rectangles(first[kept], stop[kept], low[kept], high[kept])


def _covered(low: F8, high: F8, n: int) -> tuple[I8, I8]:
    """Return the first number that an interval covers, and the one after the last, within n."""
    first = np.ceil(np.clip(low, -_MOST, _MOST) - 1 + _LEAST)
    stop = np.floor(np.clip(high, -_MOST, _MOST) + 1 - _LEAST)
    stop = np.where(high - low < _LEAST, first, stop)  # wholly in one of them
    return (np.clip(first, 0, n).astype(np.int64), np.clip(stop, 0, n).astype(np.int64))
