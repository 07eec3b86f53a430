"""A file that grows while it is read: its bytes come as those of a pipe."""

from __future__ import annotations

import os
import time

from fastsig.errors import unreadable

__all__ = ["FileBytes"]

_GLANCE = 0.01


class FileBytes:
    """The bytes of a file that another program writes.

    Parameters
    ----------
    path : str
    idle_s : float
        Seconds without growth after which the file is taken to be complete.

    Raises
    ------
    FormatError
        If the file cannot be read.
    """

    def __init__(self, path: str, idle_s: float) -> None:
        self.name, self._idle_s = path, idle_s
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise unreadable(path, error) from error
        self._last, self._grown = -1, time.monotonic()

    @property
    def size(self) -> int:
        """Number of bytes that have come."""
        size = os.fstat(self._descriptor).st_size
        if size != self._last:
            self._last, self._grown = size, time.monotonic()
        return size

    @property
    def over(self) -> bool:
        """Whether the file has not grown for the time specified."""
        return self.size == self._last and time.monotonic() > self._grown + self._idle_s

    @property
    def oldest(self) -> int:
        """The first byte: all stay."""
        return 0

    def wait(self, stop: int, seconds: float | None = None) -> bool:
        """Wait until byte ``stop - 1`` has come or no more come; return whether that is so."""
        end = None if seconds is None else time.monotonic() + seconds
        while self.size < stop and not self.over:
            if end is not None and time.monotonic() > end:
                return False
            time.sleep(_GLANCE)
        return True

    def pread(self, n: int, place: int) -> bytes:
        """Return bytes from a place on, waiting for them; fewer at the end."""
        self.wait(place + n)
        return os.pread(self._descriptor, n, place)

    def release(self, place: int) -> None:
        """Do nothing: a file keeps all bytes."""

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()
