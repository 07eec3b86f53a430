"""Choose the number of channels of a map to process at a time, and the number of threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from fastsig.errors import PlanError, UsageError
from fastsig.work.counted import counted
from fastsig.work.memory import resident_bytes

__all__ = ["MapPlan", "plan_blocks"]

_ALLOWANCE = 96 * 10**6  # compiler and allocator growth while running
_BLOCK_BYTES = 2**30  # in a block of channels, if no bound is given


@dataclass(frozen=True)
class MapPlan:
    """The number of threads, the channels in a block and the memory with which a map is computed.

    Parameters
    ----------
    threads : int
        Number of threads.
    n_chan : int
        Number of channels in a block.
    memory, floor : int
        Bytes that the process uses, and the smallest number that it could use.
    """

    threads: int
    n_chan: int
    memory: int
    floor: int

    def text(self) -> str:
        """Return the plan as a line for the user."""
        return (f"{counted(self.n_chan, 'channel', 'channels')} at a time, "
                f"{counted(self.threads, 'thread', 'threads')}, memory about "
                f"{self.memory / 1e6:.0f} MB (at least {self.floor / 1e6:.0f} MB)")


def plan_blocks(cost: Callable[[int, int], int], n_chan: int, workers: int | None,
                memory: int | None) -> MapPlan:
    """Find the number of threads, and then of channels in even blocks, that fit into memory.

    Parameters
    ----------
    cost : callable
        Function that returns the bytes of a block, given the numbers of threads and channels.
    n_chan : int
        Number of channels in the map.
    workers, memory : int, optional
        Upper bounds.

    Raises
    ------
    PlanError
        If `memory` is below the floor, which the message states.
    """
    threads = len(os.sched_getaffinity(0)) if workers is None else workers
    if threads < 1:
        raise UsageError(f"workers = {workers}; allowed: 1 or more")
    base = resident_bytes() + _ALLOWANCE
    floor = base + cost(1, 1)
    if memory is not None and memory < floor:
        raise PlanError(f"--memory {memory / 1e6:.0f}MB is below the floor of this map, "
                        f"{-(-floor // 10**6)}MB")
    room = max(cost(threads, 1), _BLOCK_BYTES) if memory is None else memory - base
    while threads > 1 and cost(threads, 1) > room:
        threads -= 1
    low, high = 1, n_chan
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if cost(threads, middle) <= room else (low, middle - 1)
    most = -(-n_chan // -(-n_chan // low))
    return MapPlan(threads, most, base + cost(threads, most), floor)
