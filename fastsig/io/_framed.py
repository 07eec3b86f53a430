"""Voltages in frames of equal length, each with its own time: VDIF, DRX and their like.

Frames may be missing, repeated or somewhat out of order: each is put where its header says, and
what no frame holds is invalid. Frames come almost in the order of time, so a place is found by
bisection: opening a file reads a few headers, whatever its length.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastsig import validity
from fastsig.errors import FormatError, UsageError
from fastsig.header import Header
from fastsig.io._segments import RawFiles, incomplete
from fastsig.stream import VoltageStream
from fastsig.validity import Spans

__all__ = ["FramedVoltages", "Frames", "Heads", "choose"]

_SLACK = 32  # frames of each thread that one may come late or early
_READ_BYTES = 2**22
_FIRST_FRAMES = 1024  # of a file, among which every thread is expected
_NEVER = 2**62


class Heads(NamedTuple):
    """Fields of many headers: number of the frame in time, thread, whether it is to be used."""

    number: NDArray[np.int64]
    thread: NDArray[np.int64]
    good: NDArray[np.bool_]


class Frames(ABC):
    """Frames of the files of one recording.

    Parameters
    ----------
    raw : RawFiles
        The files.
    frame_bytes, head_bytes : int
        Bytes of a frame, and those of its beginning that `parsed` looks at.
    """

    def __init__(self, raw: RawFiles, frame_bytes: int, head_bytes: int) -> None:
        self.raw, self.frame_bytes, self.head_bytes = raw, frame_bytes, head_bytes
        self.counts = []
        for path in raw.paths:
            n, rest = divmod(os.path.getsize(path), frame_bytes)
            if rest:
                incomplete(path, f"the last {rest} bytes are no whole frame")
            self.counts.append(n)
        first = [self._heads(i, 0, min(n, _FIRST_FRAMES)) for i, n in enumerate(self.counts)]
        if not any(heads.good.any() for heads in first):
            raise FormatError(raw.paths[0], "holds no valid frame")
        self.threads = sorted({int(t) for heads in first for t in heads.thread[heads.good]})
        self.begin = min(int(heads.number[heads.good].min()) for heads in first
                         if heads.good.any())
        self.stop = 1 + max(self._last(i) for i in range(len(raw.paths)))
        self.order = sorted(range(len(raw.paths)), key=lambda i: self._at(i, 0))

    @abstractmethod
    def parsed(self, raw: NDArray[np.uint8]) -> Heads:
        """Fields of headers: rows of `raw` begin with one each. Good are those that belong here."""

    def _heads(self, file: int, first: int, n: int) -> Heads:
        raw = np.empty((n, self.head_bytes), np.uint8)
        for i in range(n):
            self.raw.read_into(file, raw[i], (first + i) * self.frame_bytes)
        return self.parsed(raw)

    def _at(self, file: int, frame: int) -> int:
        """Number of the first good frame of a file from `frame` on."""
        step = 1
        while frame < self.counts[file]:
            heads = self._heads(file, frame, min(step, self.counts[file] - frame))
            if heads.good.any():
                return int(heads.number[heads.good][0])
            frame, step = frame + step, min(2 * step, 4096)
        return _NEVER

    def _last(self, file: int) -> int:
        """Number of the last frame of a file."""
        for stop in range(self.counts[file], 0, -4 * _SLACK):
            low = max(0, stop - 4 * _SLACK)
            heads = self._heads(file, low, stop - low)
            if heads.good.any():
                return int(heads.number[heads.good].max())
        return -1

    def span(self, file: int, first: int, stop: int) -> tuple[int, int]:
        """Places in a file among which all frames numbered `first` up to `stop` are."""
        slack = _SLACK * len(self.threads)
        low, high = self._place(file, first), self._place(file, stop)
        return max(0, low - slack), min(self.counts[file], high + slack)

    def _place(self, file: int, number: int) -> int:
        low, high = 0, self.counts[file]
        while low < high:
            middle = (low + high) // 2
            if self._at(file, middle) < number:
                low = middle + 1
            else:
                high = middle
        return low


class FramedVoltages(VoltageStream):
    """Voltages of a recording in frames: (time, input).

    Parameters
    ----------
    header, dtype, path
        As of `Stream`.
    frames : Frames
    n_time : int
        Samples of a frame.
    picks : list of (int, int)
        Thread and column of each input.
    """

    may_have_nan = False

    def __init__(self, header: Header, dtype: DTypeLike, path: str, frames: Frames, n_time: int,
                 picks: list[tuple[int, int]]) -> None:
        self._frames, self._n_time, self._picks = frames, n_time, picks
        n = (frames.stop - frames.begin) * n_time
        super().__init__(header, (n, len(picks)), dtype, path)

    @property
    def files(self) -> list[str]:
        """Absolute paths of the files."""
        return [os.path.abspath(path) for path in self._frames.raw.paths]

    @abstractmethod
    def _decoded(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        """Samples (time, column) of frames that follow one another, their headers included."""

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        frames = self._frames
        first, stop = start // self._n_time, -(-(start + n) // self._n_time)
        spans: list[list[Spans]] = [[validity.full(0, 0)] for _ in self._picks]
        rows = max(1, _READ_BYTES // frames.frame_bytes)
        for file in frames.order:
            low, high = frames.span(file, frames.begin + first, frames.begin + stop)
            for at in range(low, high, rows):
                raw = np.empty((min(rows, high - at), frames.frame_bytes), np.uint8)
                frames.raw.read_into(file, raw, at * frames.frame_bytes)
                self._put(raw, start, n, out, spans)
        return tuple(validity.as_spans(np.concatenate(each)) for each in spans)

    def _put(self, raw: NDArray[np.uint8], start: int, n: int, out: NDArray[Any],
             spans: list[list[Spans]]) -> None:
        """Decode the frames that hold samples of these rows and put them in their places."""
        heads = self._frames.parsed(raw)
        begin = (heads.number - self._frames.begin) * self._n_time
        inside = heads.good & (begin < start + n) & (begin + self._n_time > start)
        for thread in sorted({thread for thread, _ in self._picks}):
            mine = np.flatnonzero(inside & (heads.thread == thread))
            for run in _runs(mine, begin[mine], self._n_time):
                samples = self._decoded(raw[run[0] : run[-1] + 1 : _step(run)])
                at = int(begin[run[0]])
                low, high = max(at, start), min(at + len(samples), start + n)
                for i, (of, column) in enumerate(self._picks):
                    if of == thread:
                        out[low - start : high - start, i] = samples[low - at : high - at, column]
                        spans[i].append(validity.full(low, high))

    def close(self) -> None:
        """Close the files that are open; reading opens them again."""
        self._frames.raw.close()


def _runs(rows: NDArray[np.int64], begin: NDArray[np.int64], n_time: int
          ) -> list[NDArray[np.int64]]:
    """Rows that follow one another in time and at one distance in memory, run by run."""
    if not len(rows):
        return []
    distance = np.diff(rows)
    broken = np.diff(begin) != n_time
    broken[1:] |= (distance[1:] != distance[:-1]) & ~broken[:-1]
    return np.split(rows, np.flatnonzero(broken) + 1)


def _step(run: NDArray[np.int64]) -> int:
    return int(run[1] - run[0]) if len(run) > 1 else 1


def choose(value: Any, n: int) -> list[int]:
    """Numbers of inputs from text such as ``0,1``; all `n` where there is none.

    Raises
    ------
    UsageError
        Where they are not distinct numbers of inputs.
    """
    if value is None:
        return list(range(n))
    try:
        picks = [int(item) for item in str(value).split(",")]
    except ValueError:
        picks = []
    if not picks or len(set(picks)) < len(picks) or not all(0 <= p < n for p in picks):
        raise UsageError(f"input = {value!r}; allowed: distinct numbers from 0 to {n - 1}, with "
                         "commas between")
    return picks
