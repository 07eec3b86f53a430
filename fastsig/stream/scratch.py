"""Working arrays that threads borrow."""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["Scratch"]


class Scratch:
    """Working arrays that threads borrow and return; new ones are made when none is free."""

    def __init__(self, make: Any) -> None:
        self._make = make
        self._free: list[Any] = []
        self._lock = threading.Lock()

    def take(self) -> Any:
        """Return a free set of arrays, or a new one."""
        with self._lock:
            if self._free:
                return self._free.pop()
        return self._make()

    def give(self, item: Any) -> None:
        """Return a set, so that another thread can use it."""
        with self._lock:
            self._free.append(item)
