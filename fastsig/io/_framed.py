"""Voltages in frames of equal length, each with its own time: VDIF, DRX and their like.

Frames may be missing, repeated or somewhat out of order: each is put where its header says, and
what no frame holds is invalid. Frames come almost in the order of time, so a place is found by
bisection: opening a file reads a few headers, whatever its length.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastsig import validity
from fastsig.errors import FormatError, UsageError
from fastsig.header import Header
from fastsig.io._segments import RawFiles, incomplete
from fastsig.stream import Scratch, VoltageStream
from fastsig.validity import Spans

__all__ = ["FramedVoltages", "Frames", "Heads", "choose"]

_FEW = 8  # frames of a thread
_SLACK = 32  # frames of each thread that one may come late or early
_READ_BYTES = 2**22  # sorting the frames of a piece costs as much as copying some 300 KB
_FIRST_FRAMES = 1024  # of a file, among which every thread is expected
_HEADS = 2**16  # headers that are looked at together
_ALIKE = 4  # frames of which one at least has a header that was not changed
_NEVER = 2**62

# Takes frames, the row of their first sample, and the inputs in them with their columns.
Place = Callable[[NDArray[np.uint8], int, list[tuple[int, int]]], None]


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
        self.counts = [self._sound_frames(i, n) for i, n in enumerate(self.counts)]
        first = [trusted(self.heads(i, 0, min(n, _FIRST_FRAMES)))
                 for i, n in enumerate(self.counts)]
        if not any(heads.good.any() for heads in first):
            raise FormatError(raw.paths[0], "holds no valid frame")
        begins: dict[int, int] = {}
        for heads in first:
            for thread, number in zip(heads.thread[heads.good].tolist(),
                                      heads.number[heads.good].tolist(), strict=True):
                begins[thread] = min(number, begins.get(thread, _NEVER))
        self.threads = sorted(begins)
        # Number of the first frame of each thread.
        self.begins = [begins[thread] for thread in self.threads]
        self.begin = min(self.begins)
        # Frames of one time in a file, for a guess of places.
        self.per_time = len(self.threads)
        self.stop = 1 + max(self._last(i) for i in range(len(raw.paths)))
        self._starts = [self._at(i, 0) for i in range(len(raw.paths))]
        # How much earlier in a file frames are than if none were missing, where last looked for.
        self._early = [0] * len(raw.paths)
        self.order = sorted(range(len(raw.paths)), key=lambda i: self._starts[i])

    def sound(self, raw: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Whether rows of `raw` begin with headers of this recording, to be used or not."""
        return self.parsed(raw).good

    def _sound_frames(self, file: int, count: int) -> int:
        """Frames up to where bytes were lost or added, behind which none begins where it should."""
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
        """Fields of headers: rows of `raw` begin with one each. Good are those that belong here."""

    def heads(self, file: int, first: int, n: int) -> Heads:
        """Fields of the headers of `n` frames of a file."""
        return self.parsed(self._raw_heads(file, first, n))

    def _raw_heads(self, file: int, first: int, n: int) -> NDArray[np.uint8]:
        raw = np.empty((n, self.head_bytes), np.uint8)
        for i in range(n):
            self.raw.read_into(file, raw[i], (first + i) * self.frame_bytes)
        return raw

    def _at(self, file: int, frame: int) -> int:
        """Number of the first good frame of a file from `frame` on."""
        step = 1
        while frame < self.counts[file]:
            heads = self.heads(file, frame, min(step, self.counts[file] - frame))
            if heads.good.any():
                return int(heads.number[heads.good][0])
            frame, step = frame + step, min(2 * step, 4096)
        return _NEVER

    def _last(self, file: int) -> int:
        """Number of the last frame of a file."""
        for stop in range(self.counts[file], 0, -4 * _SLACK):
            low = max(0, stop - 4 * _SLACK)
            heads = trusted(self.heads(file, low, stop - low))
            if heads.good.any():
                return int(heads.number[heads.good].max())
        return -1

    def likely(self, file: int, first: int, stop: int) -> tuple[int, int]:
        """Where frames numbered `first` up to `stop` are in a file, if no more are missing."""
        low, high = ((number - self._starts[file]) * self.per_time - self._early[file]
                     for number in (first, stop))
        return max(0, min(low, self.counts[file])), max(0, min(high, self.counts[file]))

    def span(self, file: int, first: int, stop: int) -> tuple[int, int]:
        """Places in a file among which frames numbered `first` up to `stop` are."""
        guess = self.likely(file, first, stop)
        low = self._place(file, first, guess[0])
        self._early[file] += guess[0] - low
        # A late frame may mislead the search by as far as another one is early.
        slack = (2 * _SLACK + 1) * self.per_time
        high = self._place(file, stop, low + guess[1] - guess[0])
        return max(0, low - slack), min(self.counts[file], high + slack)

    def _place(self, file: int, number: int, guess: int) -> int:
        """Place of the first frame of a file that has a number or a later one.

        It is looked for around a guess, further and further away.
        """
        low, high, step = 0, self.counts[file], 1
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
    """Good frames that have one of their thread near in time before or after them.

    Of a header with changed bits, time or thread may be any. Where there are few frames a thread
    may have one alone, and where no frame has such a neighbour all good ones are taken.
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


class _Form(NamedTuple):
    """What frames become: samples, or the bytes of their payloads."""

    n: int  # entries of a frame
    made: Callable[[NDArray[np.uint8]], NDArray[Any]]  # (entry, column)
    into: Callable[[NDArray[np.uint8], NDArray[Any]], None]  # the same into (frame, entry)


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
    n_column : int
        Inputs that a frame holds.
    payload_at : int
        Bytes of a frame before its samples.
    """

    may_have_nan = False

    def __init__(self, header: Header, dtype: DTypeLike, path: str, frames: Frames, n_time: int,
                 picks: list[tuple[int, int]], n_column: int = 1, payload_at: int = 0) -> None:
        self._frames, self._n_time, self._picks = frames, n_time, picks
        self._n_column, self._payload_at = n_column, payload_at
        n = (frames.stop - frames.begin) * n_time
        super().__init__(header, (n, len(picks)), dtype, path)
        # Read into memory that stays: fresh pages would cost a third more.
        self._rows = max(1, _READ_BYTES // frames.frame_bytes)
        self._buffers = Scratch(lambda: np.empty((self._rows, frames.frame_bytes), np.uint8))

    @property
    def files(self) -> list[str]:
        """Absolute paths of the files."""
        return [os.path.abspath(path) for path in self._frames.raw.paths]

    @abstractmethod
    def _decoded(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        """Samples (time, column) of frames that follow one another, their headers included."""

    def _decode_into(self, frames: NDArray[np.uint8], out: NDArray[Any]) -> None:
        """Samples of frames of one column into `out` (frame, time), C-contiguous."""
        out[...] = self._decoded(frames).reshape(out.shape)

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to read `n` rows."""
        return n * self.row_bytes + 2 * _READ_BYTES

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        form = _Form(self._n_time, self._decoded, self._decode_into)

        def place(frames: NDArray[np.uint8], first: int, inputs: list[tuple[int, int]]) -> None:
            self._place(frames, first - start, inputs, out, form)

        return self._gather(start, n, place)

    def _read_packed(self, start: int, n: int, out: NDArray[np.uint8]) -> tuple[Spans, ...]:
        """Fill `out` (byte, input) with the payloads of frames of one column, as they are."""
        size = self._frames.frame_bytes - self._payload_at
        bits = size * 8 // self._n_time

        def copy(frames: NDArray[np.uint8], target: NDArray[np.uint8]) -> None:
            target[...] = frames[:, self._payload_at :]

        def payload(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
            return frames[:, self._payload_at :].reshape(-1, 1)

        form = _Form(size, payload, copy)

        def place(frames: NDArray[np.uint8], first: int, inputs: list[tuple[int, int]]) -> None:
            self._place(frames, (first - start) * bits // 8, inputs, out, form)

        return self._gather(start, n, place)

    def _gather(self, start: int, n: int, place: Place) -> tuple[Spans, ...]:
        """Hand all frames that hold samples of these rows to `place`; returns what is valid."""
        frames = self._frames
        first = frames.begin + start // self._n_time
        stop = frames.begin - (-(start + n) // self._n_time)
        for where in (frames.likely, frames.span):
            found: list[list[tuple[int, int]]] = [[] for _ in self._picks]
            for file in frames.order:
                self._take(file, *where(file, first, stop), start, n, place, found)
            if all(each == [(start, start + n)] for each in found):
                break
        return tuple(validity.as_spans(each) for each in found)

    def _take(self, file: int, low: int, high: int, start: int, n: int, place: Place,
              found: list[list[tuple[int, int]]]) -> None:
        """Read frames of a file, and place those that hold samples of these rows."""
        if low >= high:
            return
        rows = -(-(high - low) // -(-(high - low) // self._rows))  # about as many each time
        buffer = self._buffers.take()
        try:
            for at in range(low, high, rows):
                raw = buffer[: min(rows, high - at)]
                self._frames.raw.read_into(file, raw, at * self._frames.frame_bytes)
                self._sort(raw, start, n, place, found)
        finally:
            self._buffers.give(buffer)

    def _sort(self, raw: NDArray[np.uint8], start: int, n: int, place: Place,
              found: list[list[tuple[int, int]]]) -> None:
        """Place frames, run by run of those that follow one another."""
        heads = self._frames.parsed(raw)
        begin = (heads.number - self._frames.begin) * self._n_time
        inside = heads.good & (begin < start + n) & (begin > start - self._n_time)
        for thread in sorted({thread for thread, _ in self._picks}):
            inputs = [(i, column) for i, (of, column) in enumerate(self._picks) if of == thread]
            mine = np.flatnonzero(inside & (heads.thread == thread))
            for run in _runs(mine, begin[mine], self._n_time):
                at = int(begin[run[0]])
                place(raw[run[0] : run[-1] + 1 : _step(run)], at, inputs)
                low, high = max(at, start), min(at + len(run) * self._n_time, start + n)
                for i, _ in inputs:
                    if found[i] and found[i][-1][1] == low:
                        low = found[i].pop()[0]
                    found[i].append((low, high))

    def _place(self, frames: NDArray[np.uint8], first: int, inputs: list[tuple[int, int]],
               out: NDArray[Any], form: _Form) -> None:
        """Put frames in their place, the first of which begins at entry `first` of `out`."""
        whole = slice(-(min(first, 0) // form.n), (len(out) - first) // form.n)
        target = out[:, inputs[0][0]] if self._n_column == 1 else None
        if target is not None and target.flags.c_contiguous and whole.stop > whole.start:
            whole = slice(whole.start, min(whole.stop, len(frames)))
            rows = slice(first + whole.start * form.n, first + whole.stop * form.n)
            form.into(frames[whole], target[rows].reshape(-1, form.n))
            parts = [(0, whole.start), (whole.stop, len(frames))]
        else:
            parts = [(0, len(frames))]
        for low, high in parts:
            if low < high:
                _place_part(frames[low:high], first + low * form.n, inputs, out, form)

    def valid_spans(self) -> tuple[Spans, ...] | None:
        """Where there are frames, by a look at every header."""
        frames, found = self._frames, [[validity.full(0, 0)] for _ in self._picks]
        for file, count in enumerate(frames.counts):
            for first in range(0, count, _HEADS):
                heads = frames.heads(file, first, min(_HEADS, count - first))
                begin = (heads.number - frames.begin) * self._n_time
                for each, (thread, _) in zip(found, self._picks, strict=True):
                    mine = begin[heads.good & (heads.thread == thread)]
                    each.append(validity.as_spans(np.stack([mine, mine + self._n_time], axis=1)))
        return tuple(validity.clip(validity.as_spans(np.concatenate(each)), 0, self.shape[0])
                     for each in found)

    def close(self) -> None:
        """Close the files that are open; reading opens them again."""
        self._frames.raw.close()


def _place_part(frames: NDArray[np.uint8], first: int, inputs: list[tuple[int, int]],
                out: NDArray[Any], form: _Form) -> None:
    """As `FramedVoltages._place`, for frames of several columns, or that reach beyond `out`."""
    made = form.made(frames)
    low, high = max(first, 0), min(first + len(made), len(out))
    for i, column in inputs:
        out[low:high, i] = made[low - first : high - first, column]


def _runs(rows: NDArray[np.int64], begin: NDArray[np.int64], n_time: int
          ) -> list[NDArray[np.int64]]:
    """Rows that follow one another in time and at one distance in memory, run by run."""
    if not len(rows):
        return []
    distance = np.diff(rows)
    broken = np.diff(begin) != n_time
    if not broken.any() and (distance == distance[:1]).all():
        return [rows]
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
