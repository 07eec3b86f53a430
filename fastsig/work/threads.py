"""Spread the work of one call over threads.

If the calling thread belongs to the scheduler, it does the work itself: the other processors are
busy with blocks of their own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["enter_pool", "limit_processors", "processors", "spread"]

_here = threading.local()
_most: int | None = None

Item = TypeVar("Item")


def limit_processors(n: int) -> None:
    """Leave the other processors to other processes of a batch."""
    global _most
    _most = n


def processors() -> int:
    """Return the number of processors that this process may use."""
    there = len(os.sched_getaffinity(0))
    return there if _most is None else max(1, min(there, _most))


def enter_pool() -> None:
    """Mark the calling thread as one of several that share the processors."""
    _here.pooled = True


def spread(work: Callable[[Item], object], items: Sequence[Item]) -> None:
    """Call `work` with every item, on as many threads as the process has processors.

    Raises
    ------
    BaseException
        The exception that `work` raised; after it, no further item is begun.
    """
    n = 1 if getattr(_here, "pooled", False) else processors()
    if min(n, len(items)) < 2:
        for item in items:
            work(item)
        return
    failed = threading.Event()
    left = iter(items)

    def some() -> None:
        for item in left:  # threads take turns: a step of a list's iterator is atomic
            if failed.is_set():
                return
            try:
                work(item)
            except BaseException:
                failed.set()
                raise

    with ThreadPoolExecutor(min(n, len(items)), "fastsig-call", enter_pool) as pool:
        futures = [pool.submit(some) for _ in range(min(n, len(items)))]
        try:
            for future in futures:
                future.result()
        except BaseException:
            failed.set()
            raise
