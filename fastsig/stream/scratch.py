"""Working arrays that threads borrow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Scratch"]


class Scratch:
    """Working arrays that threads borrow and return; new ones are made when none is free.

    Parameters
    ----------
    make : callable
        Returns a new set of arrays.
    thrifty : bool
        Whether one set remains when none is in use. All sets remain otherwise, as threads usually
        take the next one at once; but with data that come slowly, two threads are busy at a time
        only by chance, and memory would depend on it.
    """

    def __init__(self, make: Callable[[], Any], *, thrifty: bool = False) -> None:
        self._make, self._thrifty = make, thrifty
        self._free: list[Any] = []
        self._n_taken = 0
        self._lock = threading.Lock()

    def take(self) -> Any:
        """Return a free set of arrays, or a new one."""
        with self._lock:
            self._n_taken += 1
            if self._free:
                return self._free.pop()
        return self._make()

    def give(self, item: Any) -> None:
        """Return a set, so that another thread can use it."""
        with self._lock:
            self._n_taken -= 1
            self._free.append(item)
            if self._thrifty and not self._n_taken:
                del self._free[1:]
