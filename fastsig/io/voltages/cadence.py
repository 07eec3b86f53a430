"""Frames that come as expected, read so that the system puts their samples where they belong.

Samples then are copied once, out of the file, instead of twice: first to a buffer, and from there
to their place when the headers are known. What the headers will say is expected from frames read
before; what they did say is held against it afterwards, and decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cadence", "Columns", "Places", "Run", "cadence"]


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
        start, step = _address(out), out.strides[1]
        self.starts = {thread: start + step * i for thread, i in inputs.items()}

    @staticmethod
    def fit(out: NDArray[Any], n_input: int) -> bool:
        """Whether memory may be written by address: bytes that lie together, of so many columns."""
        return (out.dtype == np.uint8 and out.ndim == 2 and out.shape[1] == n_input
                and out.flags.writeable and (out.strides[0] == 1 or len(out) == 1))


class Places:
    """Where the parts of frames go: headers to rows of `heads`, payloads to columns.

    Parameters
    ----------
    n_frame : int
        Frames at most.
    head_bytes, payload_bytes : int
        Of a frame.
    """

    def __init__(self, n_frame: int, head_bytes: int, payload_bytes: int) -> None:
        self.heads = np.empty((n_frame, head_bytes), np.uint8)
        self._unwanted = np.empty(payload_bytes, np.uint8)
        self._pieces = np.empty((n_frame, 2, 2), np.int64)
        self._pieces[:, 0, 0] = _address(self.heads) + head_bytes * np.arange(n_frame)
        self._pieces[:, 0, 1], self._pieces[:, 1, 1] = head_bytes, payload_bytes

    def of(self, n: int, runs: Sequence[Run], entries: Sequence[int], columns: Columns
           ) -> NDArray[np.int64]:
        """Addresses and lengths (piece, 2) for `n` frames, in the order of the file.

        A payload goes to its thread's column, that of a run's first frame from the run's entry on.
        What lies outside of the column, or belongs to a thread without one, goes where nobody
        looks.
        """
        pieces, size, spare = self._pieces[:n], len(self._unwanted), _address(self._unwanted)
        split = {}  # frames that reach beyond a column: pieces of their payload
        for run, entry in zip(runs, entries, strict=True):
            column = columns.starts.get(run.thread)
            rows = slice(run.first, None, run.step)
            if column is None:
                pieces[rows, 1, 0] = spare
                continue
            start = column + entry
            pieces[rows, 1, 0] = np.arange(start, start + run.n * size, size)
            early = min(run.n, max(0, -(entry // size)))
            late = max(early, min(run.n, (columns.n_byte - entry) // size))
            for k in (*range(early), *range(late, run.n)):
                at = entry + k * size
                before = min(max(-at, 0), size)
                after = min(max(at + size - columns.n_byte, 0), size)
                split[run.first + k * run.step] = [
                    (spare, before), (column + at + before, size - before - after), (spare, after)]
        parts, done = [], 0
        for frame, three in sorted(split.items()):
            parts += [pieces[done:frame].reshape(-1, 2), pieces[frame, :1],
                      np.array([piece for piece in three if piece[1]])]
            done = frame + 1
        rest = pieces[done:].reshape(-1, 2)
        return np.concatenate([*parts, rest]) if parts else rest


def _address(array: NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])
