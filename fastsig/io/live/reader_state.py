"""How far each reader of a ring is, in the shared memory of the ring."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from fastsig.io.live.memory import READER_WORDS, SharedMemory, lives

__all__ = ["BEAT", "DONE", "LABEL", "LABEL_BYTES", "OVERWRITTEN", "PID", "ReaderState",
           "positions", "readers"]

#: Positions of the numbers of a reader; the last ones are its label.
PID, DONE, OVERWRITTEN, BEAT, LABEL = 0, 1, 2, 3, 4
#: Longest label.
LABEL_BYTES = 8 * (READER_WORDS - LABEL)


class ReaderState(NamedTuple):
    """How far a reader is.

    Parameters
    ----------
    label : str
    pid : int
        Its process.
    done : int
        Slots that it has read.
    overwritten : int
        Rows that were overwritten before it read them.
    silent_s : float
        Seconds since it last read something or waited for it.
    """

    label: str
    pid: int
    done: int
    overwritten: int
    silent_s: float


def positions(memory: SharedMemory) -> list[int]:
    """Return the slots that each reader that is alive has read."""
    taken = np.flatnonzero(memory.readers[:, PID]).tolist()
    found = [(int(memory.readers[at, PID]), int(memory.readers[at, DONE])) for at in taken]
    return [done for pid, done in found if pid and lives(pid)]


def readers(memory: SharedMemory) -> list[ReaderState]:
    """Describe all readers that have not detached, dead ones included."""
    return [ReaderState(words[LABEL:].tobytes().rstrip(b"\0").decode(errors="replace"),
                        int(words[PID]), int(words[DONE]), int(words[OVERWRITTEN]),
                        (time.monotonic_ns() - int(words[BEAT])) / 1e9)
            for words in memory.readers if words[PID]]
