"""Work that two streams want the result of, done once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from fastsig.stream import Block

__all__ = ["Once"]

_WAITING = 64  # results that one of the two has not taken yet; read alone, a stream leaves all


class Once:
    """Pairs of blocks that two streams take in turn: made for the first, kept for the second.

    Parameters
    ----------
    make : callable
        Gives the pair of rows ``(start, n)``.
    """

    def __init__(self, make: Callable[[int, int], tuple[Block, Block]]) -> None:
        self._make = make
        self._made: dict[tuple[int, int], Future[tuple[Block, Block]]] = {}
        self._lock = threading.Lock()

    def take(self, start: int, n: int) -> tuple[Block, Block]:
        """A pair: what the other's call makes or has made, or a new one."""
        with self._lock:
            found = self._made.pop((start, n), None)
            if found is None:
                mine = self._made[start, n] = Future[tuple[Block, Block]]()
                while len(self._made) > _WAITING:
                    del self._made[next(iter(self._made))]
        if found is not None:
            return found.result()
        try:
            mine.set_result(self._make(start, n))
        except BaseException as error:
            mine.set_exception(error)
        return mine.result()
