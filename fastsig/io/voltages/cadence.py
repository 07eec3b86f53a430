"""Frames in a regular order, whose samples the system reads directly to their final places.

Samples are then copied only once, out of the file, instead of twice: to a buffer first, and from
there to their places once the headers are known. The headers are predicted from frames that were
read before; afterwards the real headers are compared with the prediction, and decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cadence", "Columns", "Places", "Run", "cadence"]


class Run(NamedTuple):
    """Frames of a thread that are consecutive in time: every `step` rows from row `first` on."""

    thread: int
    number: int  # number of the first frame
    first: int
    step: int
    n: int


class Cadence(NamedTuple):
    """A periodic order of frames: each period repeats the last, with all numbers one higher."""

    at: int  # place in the file of a frame with the first number
    numbers: NDArray[np.int64]
    threads: NDArray[np.int64]

    def runs(self, first: int, n: int) -> list[Run]:
        """Return the frames of each phase, out of `n` frames from a place in the file on."""
        period, found = len(self.numbers), []
        for row in range(min(period, n)):
            turns, phase = divmod(first + row - self.at, period)
            found.append(Run(int(self.threads[phase]), int(self.numbers[phase]) + turns,
                             row, period, -(-(n - row) // period)))
        return found


def cadence(numbers: NDArray[np.int64], threads: NDArray[np.int64], good: NDArray[np.bool_],
            period: int, at: int) -> Cadence | None:
    """Return the cadence of frames from place `at` of a file on; None if they have none."""
    n = len(numbers)
    if n < period or not good.all():
        return None
    if not np.array_equal(numbers[period:], numbers[: n - period] + 1) or not np.array_equal(
            threads[period:], threads[: n - period]):
        return None
    return Cadence(at, numbers[:period].copy(), threads[:period].copy())


class Columns:
    """Contiguous columns of bytes, to be filled with the payloads of frames.

    Parameters
    ----------
    out : ndarray, shape (n_byte, n_input), uint8
        The columns.
    inputs : dict
        Maps each thread to its column.
    """

    def __init__(self, out: NDArray[np.uint8], inputs: dict[int, int]) -> None:
        self.n_byte = len(out)
        self._out = out  # keeps the memory alive as long as its addresses
        start, step = _address(out), out.strides[1]
        self.starts = {thread: start + step * i for thread, i in inputs.items()}

    @staticmethod
    def fit(out: NDArray[Any], n_input: int) -> bool:
        """Whether memory may be written by address: contiguous bytes in `n_input` columns."""
        return (out.dtype == np.uint8 and out.ndim == 2 and out.shape[1] == n_input
                and out.flags.writeable and (out.strides[0] == 1 or len(out) == 1))


class Places:
    """Destinations of the parts of frames: rows of `heads` for headers, columns for payloads.

    Parameters
    ----------
    n_frame : int
        Greatest number of frames.
    head_bytes, payload_bytes : int
        Bytes of the header and the payload of a frame.
    """

    def __init__(self, n_frame: int, head_bytes: int, payload_bytes: int) -> None:
        self.heads = np.empty((n_frame, head_bytes), np.uint8)
        self._unwanted = np.empty(payload_bytes, np.uint8)
        self._pieces = np.empty((n_frame, 2, 2), np.int64)
        self._pieces[:, 0, 0] = _address(self.heads) + head_bytes * np.arange(n_frame)
        self._pieces[:, 0, 1], self._pieces[:, 1, 1] = head_bytes, payload_bytes

    def of(self, n: int, runs: Sequence[Run], entries: Sequence[int], columns: Columns
           ) -> NDArray[np.int64]:
        """Return addresses and lengths (piece, 2) for `n` frames, in the order of the file.

        Payloads go to the column of their thread, starting at the entry of the run for its first
        frame. Bytes outside the column, or of a thread without a column, go to unused memory.
        """
        pieces, size, spare = self._pieces[:n], len(self._unwanted), _address(self._unwanted)
        split = {}  # pieces of the payloads of frames that extend beyond a column
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
