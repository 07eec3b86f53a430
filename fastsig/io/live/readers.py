"""Reading a ring: wait for rows, and note how far this reader is, which others can see."""

from __future__ import annotations

import math
import threading
import time

import numpy as np

from fastsig.io.live.reader_state import BEAT, DONE, LABEL, LABEL_BYTES, OVERWRITTEN
from fastsig.io.live.ring import Ring
from fastsig.work.signals import check

__all__ = ["Reader"]

_SHORTEST_S, _LONGEST_S = 0.001, 0.05  # pauses between looks at the head
_STALLED_S = 0.5
_MOST_APART = 64  # pieces read ahead of a gap, after which the gap will not be read


class Reader:
    """One reader of a ring, in the process that made it; several threads may use it.

    Parameters
    ----------
    ring : Ring
    label : str
        Its name in lists of readers.
    """

    def __init__(self, ring: Ring, label: str) -> None:
        self.ring, self._lock = ring, threading.Lock()
        self._words = ring.memory.readers[ring.memory.claim()]
        text = label.encode()[:LABEL_BYTES]
        self._words[LABEL:].view(np.uint8)[: len(text)] = np.frombuffer(text, np.uint8)
        self._words[BEAT] = time.monotonic_ns()
        self._apart: list[tuple[int, int]] = []  # pieces read beyond a gap, rows
        self._done = self._read = self._asked = 0  # rows
        #: Rows before this one are no longer read: the reader was too slow for them.
        self.floor = 0
        self._stopped = False

    @property
    def overwritten(self) -> int:
        """The rows that were overwritten before they were read."""
        return int(self._words[OVERWRITTEN])

    def stop(self) -> None:
        """Let the stream end with the rows that may be read now."""
        self._stopped = True

    def come(self, stop: int, seconds: float) -> bool:
        """Wait for at most some seconds; return whether `wait` would return at once."""
        return self._wait(stop, seconds) >= stop or self._stopped or self.ring.ended

    def wait(self, stop: int) -> int:
        """Wait for row ``stop - 1`` or the end; return `stop`, or the number of rows if smaller."""
        return self._wait(stop, math.inf)

    def _wait(self, stop: int, seconds: float) -> int:
        outstanding, self._asked = self._asked > self._read, max(self._asked, stop)
        pause = float(min(_LONGEST_S, max(_SHORTEST_S, self._seconds(stop))))
        begun = time.monotonic()
        while True:
            ended = self._stopped or self.ring.ended  # before the rows, which may still grow
            rows = self.ring.rows
            if rows >= stop or ended or time.monotonic() > begun + seconds:
                return min(rows, stop)
            check()
            self._words[BEAT] = time.monotonic_ns()
            if not outstanding and time.monotonic() > begun + _STALLED_S:
                self._let_go(stop)
            time.sleep(pause)

    def _seconds(self, stop: int) -> float:
        """Return a quarter of the time in which the rows that are missing should come."""
        return (stop - self.ring.rows) / float(self.ring.rate) / 4

    def _let_go(self, stop: int) -> None:
        """Need nothing that keeps a waiting writer from reaching row `stop`."""
        slots = math.ceil(stop / self.ring.layout.slot_rows) + self.ring.n_slot // 4
        self._words[DONE] = max(int(self._words[DONE]), slots - self.ring.n_slot)

    def note(self, start: int, stop: int, overwritten: int = 0) -> None:
        """Note that rows `start` to ``stop - 1`` were read, some of them too late."""
        with self._lock:
            self._words[OVERWRITTEN] += overwritten
            self._words[BEAT] = time.monotonic_ns()
            self._read = max(self._read, stop)
            self._apart = sorted([*self._apart, (start, stop)])
            while self._apart and (self._apart[0][0] <= self._done
                                   or len(self._apart) > _MOST_APART):
                self._done = max(self._done, self._apart.pop(0)[1])
            done = self._done // self.ring.layout.slot_rows
            self._words[DONE] = max(int(self._words[DONE]), done)
            if overwritten:  # leave out half the ring, so that the next rows come in one piece
                oldest = (self.ring.oldest + self.ring.n_slot // 2) * self.ring.layout.slot_rows
                self.floor = max(self.floor, min(oldest, self.ring.rows))

    def release(self, row: int) -> None:
        """State that no row before `row` is needed, whether it was read or not."""
        self._words[DONE] = max(int(self._words[DONE]), row // self.ring.layout.slot_rows)
        self._words[BEAT] = time.monotonic_ns()

    def close(self) -> None:
        """Detach."""
        self._words[:] = 0
