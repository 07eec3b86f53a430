"""A ring of bytes: what comes through a pipe, each byte at its absolute place.

The thread or process that reads the pipe waits when the ring is full, until all readers have
released what is oldest: nothing is lost, and memory is constant.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import parse_time
from fastsig.errors import DataError, PlanError
from fastsig.io.live.readers import Reader
from fastsig.io.live.ring import Ring
from fastsig.io.live.ring_layout import RingLayout
from fastsig.io.live.writer import RingWriter
from fastsig.stream.header import Header

__all__ = ["RingBytes", "RingFiles", "byte_ring", "fill", "pour"]

_SLOT = 4096
_GLANCE, _LONGEST = 0.001, 0.016  # s between looks at a ring that does not change, more and more
_POLL_MS = 200
_AT_A_TIME = 2**21  # bytes: readers wait less than a millisecond for those that are not yet noted
_PIPE = 2**20  # bytes that a pipe holds: fewer changes between processes than with 64 KiB


def byte_ring(label: str, n_bytes: int, *, name: str | None = None, n_readers: int = 1
              ) -> RingWriter:
    """Create a ring of bytes, for a number of readers that must attach before any byte is dropped.

    Its header says nothing of the samples: readers find the format in the bytes.
    """
    about = Header(start_time=parse_time("2000-01-01"), sample_rate=Fraction(10**9),
                   is_complex=False, polarization=PolBasis("unknown", ("0",)), n_bits=8)
    ring = RingWriter.create(RingLayout("bytes", _SLOT, 1, _SLOT), about, n_bytes, label=label,
                             name=name, n_readers=n_readers, huge=False)
    ring.start()
    return ring


def pausing() -> Iterator[float]:
    """Yield pauses between looks, s: short ones at first, as each look takes some time."""
    pause = _GLANCE
    while True:
        yield pause
        pause = min(_LONGEST, 1.25 * pause)


def fill(ring: RingWriter, descriptor: int, stop: Callable[[], bool] = lambda: False) -> None:
    """Read a descriptor into a ring until it ends or `stop` is true; then end the ring."""
    reason = "ended"
    with contextlib.suppress(OSError):  # not a pipe, or beyond the limit of the system
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        room, pauses = ring.space(), pausing()
        while not stop():
            ring.beat()
            if not len(room):
                room = ring.space()  # it takes as long as several small reads
            if not len(room):
                time.sleep(next(pauses))
            elif poll.poll(_POLL_MS):
                pauses = pausing()
                n = _read(descriptor, memoryview(room)[:_AT_A_TIME], poll)  # type: ignore[arg-type]
                if not n:
                    break
                ring.advance(n)
                room = room[n:]
        else:
            reason = "stopped"
    finally:
        ring.end(reason)


def _read(descriptor: int, room: memoryview, poll: select.poll) -> int:
    """Read all bytes that have come, in several calls if necessary; return their number.

    The number is 0 at the end. Programs usually write 64 or 128 KiB at a time; adding so few bytes
    to the ring in each step would take longer than reading them.
    """
    done = n = os.readv(descriptor, [room])
    while n and done < len(room) and poll.poll(0):
        n = os.readv(descriptor, [room[done:]])
        done += n
    return done


def pour(ring: RingWriter, pieces: Iterable[NDArray[np.uint8]], stop: Callable[[], bool]) -> None:
    """Put pieces of bytes into a ring until they end or `stop` is true; then end the ring."""
    try:
        for piece in pieces:
            rest, pauses = piece, pausing()
            while len(rest) and not stop():
                ring.beat()
                room = ring.space()
                if not len(room):
                    time.sleep(next(pauses))
                    continue
                n = min(len(room), len(rest))
                room[:n] = rest[:n]
                ring.advance(n)
                rest = rest[n:]
            if len(rest):
                break
    finally:
        ring.end("stopped" if stop() else "ended")


class RingBytes:
    """The bytes in a ring, for one reader; several threads may use it.

    Parameters
    ----------
    ring : Ring
    label : str
        Name of the reader.
    """

    def __init__(self, ring: Ring, label: str = "reader") -> None:
        self.ring, self.name, self.reader = ring, ring.label, Reader(ring, label)
        self._ring = ring.memory.payload.reshape(-1)
        self._released = 0

    @property
    def size(self) -> int:
        """Number of bytes that have come."""
        return self.ring.rows

    @property
    def over(self) -> bool:
        """Whether no more come."""
        return self.ring.ended

    @property
    def oldest(self) -> int:
        """The first byte that is still there."""
        return self.ring.oldest * _SLOT

    def wait(self, stop: int, seconds: float | None = None) -> bool:
        """Wait until byte ``stop - 1`` has come or no more come; return whether that is so.

        Raises
        ------
        PlanError
            If the ring is too small for the bytes since the last one that was released.
        """
        end = None if seconds is None else time.monotonic() + seconds
        pauses = pausing()
        while self.size < stop and not self.over:
            if stop - self._released > len(self._ring) * 3 // 4:
                raise PlanError(
                    f"{self.name}: {stop - self._released} bytes are needed at a time; the ring "
                    f"has {len(self._ring)}, a quarter of them for rows that are read twice")
            if end is not None and time.monotonic() > end:
                return False
            time.sleep(next(pauses))
        return True

    def pread(self, n: int, place: int) -> bytes:
        """Return bytes from a place on, waiting for them; fewer at the end."""
        self.wait(place + n)
        out = np.empty(max(0, min(n, self.size - place)), np.uint8)
        self.copy(out, place)
        return out.tobytes()

    def piece(self, n: int, place: int, room: NDArray[np.uint8] | None = None
              ) -> NDArray[np.uint8]:
        """Return `n` bytes that have come, without copying them if they lie in one piece.

        `room` is memory of this size for a copy.

        Raises
        ------
        DataError
            If they are no longer there.
        """
        at = place % len(self._ring)
        if at + n > len(self._ring):
            out = np.empty(n, np.uint8) if room is None else room
            self.copy(out, place)
            return out
        if place < self.oldest:
            raise DataError(self.name, f"byte {place} is no longer there")
        return self._ring[at : at + n]

    def copy(self, out: NDArray[np.uint8], place: int) -> None:
        """Copy bytes that have come.

        Raises
        ------
        DataError
            If the bytes are no longer there.
        """
        done, capacity = 0, len(self._ring)
        while done < len(out):
            at = (place + done) % capacity
            n = min(len(out) - done, capacity - at)
            out[done : done + n] = self._ring[at : at + n]
            done += n
        if place < self.oldest:
            raise DataError(self.name, f"byte {place} is no longer there")

    def scatter_into(self, places: NDArray[np.int64], place: int) -> bool:
        """Copy bytes that have come into many places of memory, as `positioned.scatter_into` does.

        Raises
        ------
        DataError
            If the bytes are no longer there.
        """
        memory, at = self.ring.memory, place % len(self._ring)
        last, first = _parted(places, len(self._ring) - at)
        done = memory.scatter_into(last, at) and memory.scatter_into(first, 0)
        if place < self.oldest:
            raise DataError(self.name, f"byte {place} is no longer there")
        return done

    def release(self, place: int) -> None:
        """State that no byte before a place is needed."""
        self._released = max(place, self._released)
        self.reader.release(self._released)

    def close(self) -> None:
        """Stop being a reader."""
        self.reader.close()


class RingFiles:
    """A ring of bytes in the place of the files of a recording, as `RawFiles`."""

    def __init__(self, data: RingBytes) -> None:
        self.data = data
        self.paths = (data.name,)

    def read_into(self, index: int, out: NDArray[Any], offset: int) -> None:
        """Fill `out` from byte `offset` on, waiting for the bytes.

        Raises
        ------
        DataError
            If the stream ends too early, or the bytes are no longer there.
        """
        flat = out.view(np.uint8).reshape(-1)
        self._wait(offset + len(flat))
        self.data.copy(flat, offset)

    def read_each(self, index: int, out: NDArray[np.uint8], offset: int, step: int) -> None:
        """Fill the rows of `out` from byte `offset` on, ``offset + step``, and so on.

        Raises
        ------
        DataError
            If the stream ends too early, or the bytes are no longer there.
        """
        if not out.size:
            return
        n, each = out.shape
        whole = self.read(index, (n - 1) * step + each, offset)
        out[...] = as_strided(whole, out.shape, (step, 1), writeable=False)

    def read(self, index: int, n: int, offset: int, room: NDArray[np.uint8] | None = None
             ) -> NDArray[np.uint8]:
        """Return `n` bytes from byte `offset` on, waiting for them.

        They are those in the ring if they lie in one piece there, and remain until they are
        released.

        Raises
        ------
        DataError
            If the stream ends too early, or the bytes are no longer there.
        """
        self._wait(offset + n)
        return self.data.piece(n, offset, room)

    def _wait(self, stop: int) -> None:
        self.data.wait(stop)
        if (missing := stop - self.data.size) > 0:
            raise DataError(self.data.name, f"ends at byte {self.data.size}; {missing} bytes more "
                            "were expected")

    def scatter_into(self, index: int, places: NDArray[np.int64], offset: int) -> bool:
        """Copy contiguous bytes into many places, waiting for them, as for a file.

        Raises
        ------
        DataError
            If the stream ends too early, or the bytes are no longer there.
        """
        self._wait(offset + int(places[:, 1].sum()))
        return self.data.scatter_into(places, offset)

    def close(self) -> None:
        """Stop being a reader."""
        self.data.close()


def _parted(places: NDArray[np.int64], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Part pieces, each an address and a number of bytes, after the first `n` bytes of them."""
    ends = np.cumsum(places[:, 1])
    at = int(np.searchsorted(ends, n, side="right"))  # the piece that contains byte `n`
    first, rest = places[:at], places[at:].copy()
    if len(rest) and (before := n - int(ends[at] - places[at, 1])):
        first = np.concatenate([first, [[rest[0, 0], before]]])
        rest[0] += before, -before
    return np.ascontiguousarray(first), rest
