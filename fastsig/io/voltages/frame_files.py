"""Files of timed frames of equal length: the places of the frames of a given time.

Frames may be missing, repeated or slightly out of order. Since they are almost in order of time,
a place is found by bisection: opening a file reads a few headers, however long it is.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FormatError
from fastsig.io.voltages.cadence import cadence
from fastsig.io.voltages.segments import RawFiles, incomplete

__all__ = ["FrameFiles", "Heads", "trusted"]

_FEW = 8  # frames of a thread, below which a single frame may be accepted
_SLACK = 32  # frames of each thread by which a frame may be late or early
_FIRST_FRAMES = 1024  # frames at the start of a file, in which every thread is expected
_ALIKE = 4  # consecutive frames, of which at least one is assumed to have an intact header
_NEVER = 2**62


class Heads(NamedTuple):
    """Fields of many headers: number of the frame in time, thread, and whether it is usable."""

    number: NDArray[np.int64]
    thread: NDArray[np.int64]
    good: NDArray[np.bool_]


class FrameFiles(ABC):
    """The frames in the files of one recording.

    Parameters
    ----------
    raw : RawFiles
        The files.
    frame_bytes, head_bytes : int
        Bytes of a frame, and of the part at its beginning that `parsed` needs.
    """

    def __init__(self, raw: RawFiles, frame_bytes: int, head_bytes: int) -> None:
        self.raw, self.frame_bytes, self.head_bytes = raw, frame_bytes, head_bytes
        # First frame of each file that can still be read.
        self.oldest = [0] * len(raw.paths)
        self.counts = []
        for path in raw.paths:
            n, rest = divmod(os.path.getsize(path), frame_bytes)
            if rest:
                incomplete(path, f"the last {rest} bytes are not a complete frame")
            self.counts.append(n)
        self.counts = [self._sound_frames(i, n) for i, n in enumerate(self.counts)]
        first = [trusted(self.heads(i, 0, min(n, _FIRST_FRAMES)))
                 for i, n in enumerate(self.counts)]
        if not any(heads.good.any() for heads in first):
            raise FormatError(raw.paths[0], "contains no valid frame")
        begins: dict[int, int] = {}
        for heads in first:
            for thread, number in zip(heads.thread[heads.good].tolist(),
                                      heads.number[heads.good].tolist(), strict=True):
                begins[thread] = min(number, begins.get(thread, _NEVER))
        self.threads = sorted(begins)
        # Number of the first frame of each thread.
        self.begins = [begins[thread] for thread in self.threads]
        self.begin = min(self.begins)
        # Frames of the same time in a file, used to guess places.
        self.per_time = len(self.threads)
        self.stop = 1 + max(self._last(i) for i in range(len(raw.paths)))
        self._starts = [self._at(i, 0) for i in range(len(raw.paths))]
        # How many frames were missing before the place that was last looked up in each file.
        self._early = [0] * len(raw.paths)
        self.order = sorted(range(len(raw.paths)), key=lambda i: self._starts[i])

    def sound(self, raw: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Whether rows of `raw` begin with headers of this recording, whether usable or not."""
        return self.parsed(raw).good

    def _sound_frames(self, file: int, count: int) -> int:
        """Count frames up to lost or added bytes, after which no frame begins at its place."""
        def any_sound(frame: int) -> bool:
            raw = self._raw_heads(file, frame, min(_ALIKE, count - frame))
            return bool(self.sound(raw).any())

        last = max(0, count - _ALIKE)
        if not count or any_sound(last) or not any_sound(0):
            return count
        low, high = 0, last
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if any_sound(middle) else (low, middle)
        whole = low + int(np.flatnonzero(self.sound(
            self._raw_heads(file, low, min(_ALIKE, count - low))))[-1]) + 1
        path = self.raw.paths[file]
        at = whole * self.frame_bytes
        incomplete(path, f"no frame begins at byte {at}; the last {os.path.getsize(path) - at} "
                   "bytes are left out")
        return whole

    @abstractmethod
    def parsed(self, raw: NDArray[np.uint8]) -> Heads:
        """Parse the headers at the beginning of rows of `raw`; `good` marks usable frames."""

    def follow(self, raw: NDArray[np.uint8], numbers: list[int], threads: list[int]) -> bool:
        """Whether all headers are good, begin with these values and repeat them periodically."""
        found = cadence(*self.parsed(raw), len(numbers), 0)
        return (found is not None and found.numbers.tolist() == numbers
                and found.threads.tolist() == threads)

    def heads(self, file: int, first: int, n: int) -> Heads:
        """Return the fields of the headers of `n` frames of a file."""
        return self.parsed(self._raw_heads(file, first, n))

    def _raw_heads(self, file: int, first: int, n: int) -> NDArray[np.uint8]:
        raw = np.empty((n, self.head_bytes), np.uint8)
        self.raw.read_each(file, raw, first * self.frame_bytes, self.frame_bytes)
        return raw

    def _at(self, file: int, frame: int) -> int:
        """Return the number of the first good frame of a file from `frame` on."""
        step = 1
        while frame < self.counts[file]:
            heads = self.heads(file, frame, min(step, self.counts[file] - frame))
            if heads.good.any():
                return int(heads.number[heads.good][0])
            frame, step = frame + step, min(2 * step, 4096)
        return _NEVER

    def _last(self, file: int) -> int:
        """Return the number of the last frame of a file."""
        for stop in range(self.counts[file], 0, -4 * _SLACK):
            low = max(0, stop - 4 * _SLACK)
            heads = trusted(self.heads(file, low, stop - low))
            if heads.good.any():
                return int(heads.number[heads.good].max())
        return -1

    def likely(self, file: int, first: int, stop: int) -> tuple[int, int]:
        """Guess the places of frames `first` up to `stop` in a file if no more are missing."""
        low, high = ((number - self._starts[file]) * self.per_time - self._early[file]
                     for number in (first, stop))
        oldest, count = self.oldest[file], self.counts[file]
        return max(oldest, min(low, count)), max(oldest, min(high, count))

    def span(self, file: int, first: int, stop: int) -> tuple[int, int]:
        """Return the range of places in a file that contains frames `first` up to `stop`."""
        guess = self.likely(file, first, stop)
        low = self._place(file, first, guess[0])
        self._early[file] += guess[0] - low
        # A late frame may mislead the search by as much as another frame is early.
        slack = (2 * _SLACK + 1) * self.per_time
        high = self._place(file, stop, low + guess[1] - guess[0])
        return max(self.oldest[file], low - slack), min(self.counts[file], high + slack)

    def _place(self, file: int, number: int, guess: int) -> int:
        """Return the place of the first frame of a file with a number not below `number`.

        The search starts at a guess and moves away from it in growing steps.
        """
        low, high, step = self.oldest[file], self.counts[file], 1
        middle = guess
        while low < high:
            middle = min(max(middle, low), high - 1)
            if self._at(file, middle) < number:
                low, middle = middle + 1, middle + step
            else:
                high, middle = middle, middle - step
            step *= 2
            if step > high - low:
                middle = (low + high) // 2
        return low


def trusted(heads: Heads) -> Heads:
    """Select the good frames that follow or precede a frame of their thread closely in time.

    A header with corrupted bits may have any time or thread. If there are few frames, a thread may
    have a single one; if no frame has such a neighbour, all good frames are kept.
    """
    near = np.zeros(len(heads.good), bool)
    numbers, threads = heads.number[heads.good], heads.thread[heads.good]
    each, counts = np.unique(threads, return_counts=True)
    for thread, count in zip(each.tolist(), counts.tolist(), strict=True):
        mine = np.flatnonzero(heads.good & (heads.thread == thread))
        close = np.abs(np.diff(heads.number[mine])) <= _SLACK
        near[mine[1:]] |= close
        near[mine[:-1]] |= close
        if count == 1 and counts.max() < _FEW:
            near[mine] = abs(heads.number[mine] - np.median(numbers)) <= _SLACK
    return heads._replace(good=near) if near.any() else heads
