"""Frames that come as expected, read so that the system puts their samples where they belong.

Samples then are copied once, out of the file, instead of twice: first to a buffer, and from there
to their place when the headers are known. What the headers will say is expected from frames read
before; what they did say is held against it afterwards, and decides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cadence", "Columns", "Run", "cadence"]


class Run(NamedTuple):
    """Frames of a thread that follow one another in time: row `first` and each `step` rows on."""

    thread: int
    number: int  # of the first
    first: int
    step: int
    n: int


class Cadence(NamedTuple):
    """Frames of which each period is like the one before, all numbers being one higher."""

    at: int  # place in the file of a frame with the first number
    numbers: NDArray[np.int64]
    threads: NDArray[np.int64]

    def frames(self, first: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of `n` frames from a place in the file on, and their places in the period."""
        periods, phases = np.divmod(np.arange(first - self.at, first - self.at + n),
                                    len(self.numbers))
        return self.numbers[phases] + periods, phases

    def runs(self, first: int, n: int) -> list[Run]:
        """The frames of each phase among `n` from a place in the file on."""
        period, found = len(self.numbers), []
        for row in range(min(period, n)):
            turns, phase = divmod(first + row - self.at, period)
            found.append(Run(int(self.threads[phase]), int(self.numbers[phase]) + turns,
                             row, period, -(-(n - row) // period)))
        return found


def cadence(numbers: NDArray[np.int64], threads: NDArray[np.int64], good: NDArray[np.bool_],
            period: int, at: int) -> Cadence | None:
    """What frames from place `at` of a file on follow; None where they follow nothing."""
    n = len(numbers)
    if n < period or not good.all():
        return None
    if not np.array_equal(numbers[period:], numbers[: n - period] + 1) or not np.array_equal(
            threads[period:], threads[: n - period]):
        return None
    return Cadence(at, numbers[:period].copy(), threads[:period].copy())


class Columns:
    """Columns of bytes, each contiguous, which payloads of frames fill.

    Parameters
    ----------
    out : ndarray, shape (n_byte, n_input), uint8
        The columns.
    inputs : dict
        Thread of frames -> its column.
    """

    def __init__(self, out: NDArray[np.uint8], inputs: dict[int, int]) -> None:
        self.n_byte = len(out)
        self._out = out  # to live as long as the addresses
        step = out.strides[1]
        start = out.__array_interface__["data"][0]
        self._columns = {thread: start + step * i for thread, i in inputs.items()}

    @staticmethod
    def fit(out: NDArray[np.uint8]) -> bool:
        """Whether the bytes of a column lie together."""
        return out.strides[0] == 1 or len(out) == 1

    def places(self, threads: list[int], phases: NDArray[np.int64], entries: NDArray[np.int64],
               heads: NDArray[np.uint8], unwanted: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Addresses and lengths (piece, 2), in the order of the file.

        Each frame's header goes to a row of `heads`, and its payload, of `unwanted`'s length, to
        the column of ``threads[phase]`` from an entry on. What lies outside of it, or belongs to a
        thread without a column, goes to `unwanted`.
        """
        size, spare = len(unwanted), unwanted.__array_interface__["data"][0]
        start = heads.__array_interface__["data"][0]
        columns = np.array([self._columns.get(thread, 0) for thread in threads])[phases]
        wanted = columns > 0
        pieces = np.empty((len(entries), 2, 2), np.int64)
        pieces[:, 0, 0] = np.arange(start, start + heads.nbytes, heads.shape[1])
        pieces[:, 0, 1], pieces[:, 1, 1] = heads.shape[1], size
        pieces[:, 1, 0] = np.where(wanted, columns + entries, spare)
        parts, done = [], 0
        beyond = np.flatnonzero(wanted & ((entries < 0) | (entries > self.n_byte - size)))
        for frame in beyond.tolist():
            entry, column = int(entries[frame]), int(columns[frame])
            before = min(max(-entry, 0), size)
            after = min(max(entry + size - self.n_byte, 0), size)
            split = [(spare, before), (column + entry + before, size - before - after),
                     (spare, after)]
            parts += [pieces[done:frame].reshape(-1, 2), pieces[frame, :1],
                      np.array([piece for piece in split if piece[1]])]
            done = frame + 1
        return np.concatenate([*parts, pieces[done:].reshape(-1, 2)])
