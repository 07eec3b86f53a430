"""Sizes in bytes: the memory that the process uses, and text such as ``500MB``."""

from __future__ import annotations

import os
import re
from collections import deque

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError

__all__ = ["available_bytes", "large", "parse_bytes", "peak_bytes", "resident_bytes", "spare"]

_MOST_SPARE = 2**24  # bytes of a block; longer ones are worth their pages
#: Blocks that nothing uses; the newest ones are kept, 128 MB at most.
_spare: deque[NDArray[np.float32]] = deque(maxlen=8)

_UNITS = {"": 1, "B": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
          "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def resident_bytes() -> int:
    """Return the memory of this process that is resident now (Linux)."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int:
    """Return the largest memory that was ever resident in this process (Linux).

    `getrusage` is not used: its maximum is inherited from the process that started this one.
    """
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["VmHWM"].split()[0]) * 1024


def available_bytes() -> int:
    """Return the memory that is still available to processes (Linux)."""
    with open("/proc/meminfo") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["MemAvailable"].split()[0]) * 1024


def large(n: int) -> NDArray[np.float32]:
    """Return memory for `n` values, in large pages where the system has them.

    It contains any values. A page of 4 KiB costs as much time when it is first written to as its
    contents do, and more if several threads ask for pages: memory that `spare` received is used
    again.
    """
    from fastsig_kernels._pages import aligned

    for _ in range(len(_spare)):
        try:
            block = _spare.popleft()
        except IndexError:  # another thread has taken it
            break
        if n <= block.size <= 2 * n:
            return block
        _spare.append(block)
    return aligned(4 * n).view(np.float32)


def spare(block: NDArray[np.float32]) -> None:
    """Keep memory from `large` for the next call, if it is small enough; nothing may use it."""
    if 0 < block.nbytes <= _MOST_SPARE:
        _spare.append(block)


def parse_bytes(text: str) -> int:
    """Convert text such as ``500MB``, ``1.5GiB`` or ``2G`` to bytes.

    Raises
    ------
    UsageError
        If the text is not a size.
    """
    match = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?I?)B?\s*", text.upper())
    try:
        number = float(match.group(1)) if match else -1
    except ValueError:
        number = -1
    if match is None or number <= 0 or match.group(2) not in _UNITS:
        raise UsageError(f"{text!r} is not a size such as 500MB or 1.5GiB")
    return int(number * _UNITS[match.group(2)])
