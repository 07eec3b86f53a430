"""Units of a band: channels that are read at once, by several threads, and searched in tiles."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
from numpy.typing import NDArray

from fastsig.reductions.drifting.bands import Bands
from fastsig.work.memory import large, spare

__all__ = ["Unit", "Units"]

F4 = NDArray[np.float32]


class Units:
    """The units of a band; those in memory share a few buffers, which are used again.

    Parameters
    ----------
    bands : Bands
    n_time, n_chan : int
        Numbers of spectra and of channels of the band.
    n_buffer : int
        Number of units in memory, at most.
    """

    def __init__(self, bands: Bands, n_time: int, n_chan: int, n_buffer: int) -> None:
        self.bands, self.n_time, self.n_chan = bands, n_time, n_chan
        self._buffers: queue.SimpleQueue[F4] = queue.SimpleQueue()
        for _ in range(n_buffer):
            self._buffers.put(np.empty(0, np.float32))

    def unit(self, low: int, high: int, n_tile: int, n_part: int) -> Unit:
        """Return the unit of channels `low` to ``high - 1``, read in up to `n_part` parts."""
        return Unit(self, low, high, n_tile, min(n_part, self.n_time))

    def take(self, n_chan: int) -> F4:
        """Return the memory of a unit, (n_time, n_chan); wait until a buffer is free."""
        buffer = self._buffers.get()
        if buffer.size < self.n_time * n_chan:
            buffer = large(self.n_time * n_chan)
        return buffer

    def close(self) -> None:
        """Let another search use the memory of the buffers, none of which is taken."""
        with suppress(queue.Empty):
            while True:
                spare(self._buffers.get_nowait())

    def give_back(self, buffer: F4) -> None:
        """Let another unit use a buffer."""
        self._buffers.put(buffer)


class Unit:
    """A unit: all spectra of some channels.

    Parameters
    ----------
    units : Units
    low, high : int
        First channel, and the one after the last; those beyond the band are NaN.
    n_tile : int
        Number of tiles that are searched in it.
    n_part : int
        Number of parts of the spectra that are read by different threads.
    """

    def __init__(self, units: Units, low: int, high: int, n_tile: int, n_part: int) -> None:
        self.low, self.high, self.n_part = low, high, n_part
        self._units, self._lock, self._ready = units, threading.Lock(), threading.Event()
        self._to_read, self._to_search, self._is_whole = n_part, n_tile, True
        self._buffer: F4 | None = None

    def _values(self) -> F4:
        units = self._units
        shape = units.n_time, self.high - self.low
        with self._lock:
            if self._buffer is None:
                self._buffer = units.take(shape[1])
                whole = self._buffer[: shape[0] * shape[1]].reshape(shape)
                whole[:, : max(0, -self.low)] = whole[:, units.n_chan - self.low :] = np.nan
            return self._buffer[: shape[0] * shape[1]].reshape(shape)

    def read(self, part: int) -> None:
        """Read a part of the spectra."""
        units, is_read = self._units, False
        first, stop = (units.n_time * k // self.n_part for k in (part, part + 1))
        low, high = max(0, self.low), min(units.n_chan, self.high)
        try:
            units.bands.read_rows(low, high, first,
                                  self._values()[first:stop, low - self.low : high - self.low])
            is_read = True
        finally:
            with self._lock:
                self._to_read -= 1
                self._is_whole &= is_read
                if not self._to_read:
                    self._ready.set()

    @contextmanager
    def values(self) -> Iterator[F4]:
        """Provide the values for the search of a tile; wait until all of them are read."""
        self._ready.wait()
        try:
            if not self._is_whole:
                raise RuntimeError(f"channels {self.low} to {self.high} have not been read")
            yield self._values()
        finally:
            with self._lock:
                self._to_search -= 1
                if not self._to_search and self._buffer is not None:
                    self._units.give_back(self._buffer)
                    self._buffer = None
