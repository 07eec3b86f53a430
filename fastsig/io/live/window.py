"""Window: the newest bytes of a stream of bytes, each at its absolute place.

One writer puts bytes into a ring of memory, and any number of readers copy them from it. The writer
waits for the slowest reader, so that nothing is lost that comes through a pipe; memory is constant.
A window with a name is shared by processes.
"""

from __future__ import annotations

import json
import mmap
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import DataError, PlanError

__all__ = ["Window", "WindowFiles", "shared_folder"]

_HEAD = 2**16  # bytes before the ring: counters, then a record as JSON text
_SIZE, _OVER, _RECORD, _PULSE, _WRITER, _READERS = 0, 1, 2, 3, 4, 8  # places of counters
_MOST_READERS, _FREE = 32, -1
_TEXT = 8 * 128
_GLANCE = 0.001  # s between looks at the counters
_MOST_READ = 2**22
_ONCE, _BROKEN = 1, 2  # values of the counter _OVER: ended, ended with an error


def shared_folder() -> str:
    """Return the folder of memory that processes share."""
    return "/dev/shm" if os.path.isdir("/dev/shm") else "/tmp"


class Window:
    """A ring of the newest bytes.

    Parameters
    ----------
    name : str
        Name of the source, for messages.
    capacity : int
        Bytes that it holds.
    path : str, optional
        File in `shared_folder`, for processes that attach to it; by default only this process uses
        the window.
    """

    def __init__(self, name: str, capacity: int, path: str | None = None) -> None:
        self.name, self.path = name, path
        step = mmap.ALLOCATIONGRANULARITY
        self.capacity = -(-capacity // step) * step
        if path is None:
            self._map = mmap.mmap(-1, _HEAD + self.capacity)
        else:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(descriptor, _HEAD + self.capacity)
                self._map = mmap.mmap(descriptor, _HEAD + self.capacity)
            finally:
                os.close(descriptor)
        self._view()
        self._state[_READERS : _READERS + _MOST_READERS] = _FREE
        self._state[_WRITER] = os.getpid()

    @classmethod
    def attach(cls, path: str) -> Window:
        """Return the window that another process made."""
        self = object.__new__(cls)
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self.path, self.capacity = path, size - _HEAD
        self._view()
        self.name = str(self.record.get("name", path))
        return self

    def _view(self) -> None:
        whole = np.frombuffer(self._map, np.uint8)
        self._state = whole[:_TEXT].view(np.int64)
        self._text, self._ring = whole[_TEXT:_HEAD], whole[_HEAD:]
        self._slot: int | None = None

    # What the writer does.

    def describe(self, record: Mapping[str, Any]) -> None:
        """Store a record for the processes that attach to the window."""
        text = json.dumps(dict(record)).encode()
        if len(text) > len(self._text):
            raise PlanError(f"{self.name}: its record needs {len(text)} bytes; allowed: "
                            f"{len(self._text)}")
        self._text[: len(text)] = np.frombuffer(text, np.uint8)
        self._state[_RECORD] = len(text)

    @property
    def record(self) -> dict[str, Any]:
        """The record that the writer stored."""
        text = self._text[: int(self._state[_RECORD])].tobytes()
        found: dict[str, Any] = json.loads(text) if text else {}
        return found

    def fill(self, descriptor: int, stop: Callable[[], bool] = lambda: False) -> None:
        """Read a descriptor until it ends, or `stop` is true; wait for readers if it is full."""
        try:
            while not stop():
                self.beat()
                room = self._room()
                if not room:
                    time.sleep(_GLANCE)
                elif not self._take(descriptor, room):
                    break
        except BaseException:
            self._state[_OVER] = _BROKEN
            raise
        self._state[_OVER] = max(_ONCE, int(self._state[_OVER]))

    def _take(self, descriptor: int, room: int) -> bool:
        """Read what has come, at most `room` bytes; return whether more may come."""
        size = self.size
        at = size % self.capacity
        try:
            n = os.readv(descriptor, [memoryview(self._ring)[at : at + room]])  # type: ignore[arg-type]
        except BlockingIOError:
            time.sleep(_GLANCE)
            return True
        self._state[_SIZE] = size + n
        return n > 0

    def _room(self) -> int:
        """Return the free bytes up to the end of the ring, none while readers need them."""
        at = self.size % self.capacity
        free = self.capacity - (self.size - self.needed)
        return min(free, self.capacity - at, _MOST_READ)

    def beat(self) -> None:
        """Record that the writer is alive."""
        self._state[_PULSE] = time.monotonic_ns()

    def end(self) -> None:
        """State that no more bytes come."""
        self._state[_OVER] = max(_ONCE, int(self._state[_OVER]))

    # What readers see.

    @property
    def size(self) -> int:
        """Number of bytes that have come so far."""
        return int(self._state[_SIZE])

    @property
    def over(self) -> bool:
        """Whether no more bytes come."""
        return bool(self._state[_OVER])

    @property
    def writer(self) -> int:
        """Number of the process that writes."""
        return int(self._state[_WRITER])

    @property
    def oldest(self) -> int:
        """The first byte that is still there."""
        return max(0, self.size - self.capacity)

    @property
    def needed(self) -> int:
        """The first byte that a reader may still need; the whole ring if there is no reader yet."""
        slots = self._state[_READERS : _READERS + _MOST_READERS]
        used = slots[slots >= 0]
        return int(used.min()) if len(used) else self.oldest if self.has_begun else 0

    @property
    def has_begun(self) -> bool:
        """Whether bytes are dropped that no reader needs: not before the first one joined."""
        return bool(self._state[_READERS + _MOST_READERS])

    def join(self) -> int:
        """Become a reader, for which the writer waits; return the first byte that is there."""
        slots = self._state[_READERS : _READERS + _MOST_READERS]
        free = np.flatnonzero(slots == _FREE)
        if not len(free):
            raise PlanError(f"{self.name}: {_MOST_READERS} readers; allowed: no more")
        self._slot = int(free[0])
        slots[self._slot] = self.needed
        self._state[_READERS + _MOST_READERS] = 1
        return int(slots[self._slot])

    @property
    def slot(self) -> int | None:
        """Number of this reader."""
        return self._slot

    def leave(self, slot: int | None = None) -> None:
        """Stop being a reader, or remove a reader that has died."""
        number = self._slot if slot is None else slot
        if number is not None:
            self._state[_READERS + number] = _FREE

    def release(self, place: int) -> None:
        """State that this reader needs no byte before a place."""
        if self._slot is not None and self._state[_READERS + self._slot] != _FREE:
            self._state[_READERS + self._slot] = max(
                place, int(self._state[_READERS + self._slot]))

    def wait(self, stop: int, seconds: float | None = None) -> bool:
        """Wait until byte ``stop - 1`` has come or no more come; return whether that is so."""
        end = None if seconds is None else time.monotonic() + seconds
        while self.size < stop and not self.over:
            if self._slot is not None and stop > self.needed + self.capacity:
                raise PlanError(
                    f"{self.name}: {stop - self.needed} bytes are needed at a time; the buffer has "
                    f"{self.capacity}, so give a larger one")
            if end is not None and time.monotonic() > end:
                return False
            time.sleep(_GLANCE)
        return True

    def pread(self, n: int, place: int) -> bytes:
        """Return `n` bytes from a place, waiting for them; fewer at the end."""
        self.wait(place + n)
        n = max(0, min(n, self.size - place))
        out = np.empty(n, np.uint8)
        if not self.copy(out, place):
            raise DataError(self.name, f"byte {place} is no longer there")
        return out.tobytes()

    def copy(self, out: NDArray[np.uint8], place: int) -> bool:
        """Copy bytes that have come; return whether they were there before and after."""
        done = 0
        while done < len(out):
            at = (place + done) % self.capacity
            n = min(len(out) - done, self.capacity - at)
            out[done : done + n] = self._ring[at : at + n]
            done += n
        return place >= self.oldest

    def close(self) -> None:
        """Leave, and remove the name of a shared window from its writer."""
        self.leave()
        if self.path is not None and self.writer == os.getpid() and os.path.exists(self.path):
            os.unlink(self.path)


class WindowFiles:
    """A window in the place of the files of a recording, as `RawFiles`."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.paths = (window.name,)

    def read_into(self, index: int, out: NDArray[Any], offset: int) -> None:
        """Fill `out` from byte `offset` on, waiting for the bytes.

        Raises
        ------
        DataError
            If the stream ends too early, or the bytes are no longer there.
        """
        flat = out.view(np.uint8).reshape(-1)
        self.window.wait(offset + len(flat))
        if self.window.size < offset + len(flat):
            raise DataError(self.window.name, f"ends at byte {self.window.size}; "
                            f"{offset + len(flat) - self.window.size} bytes more were expected")
        if not self.window.copy(flat, offset):
            raise DataError(self.window.name, f"byte {offset} is no longer there")

    def scatter_into(self, index: int, places: NDArray[np.int64], offset: int) -> bool:
        """Return False: pieces are copied one by one."""
        return False

    def close(self) -> None:
        """Do nothing: the window is closed by whoever made it."""
