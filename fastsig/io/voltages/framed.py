"""Voltages in timed frames of equal length, as in VDIF and DRX.

Each frame is placed by its header, and samples that no frame contains are invalid.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastsig.axes import validity
from fastsig.axes.validity import Spans
from fastsig.errors import UsageError
from fastsig.io.voltages.cadence import Cadence, Columns, Places, Run, cadence
from fastsig.io.voltages.frame_files import FrameFiles, Heads
from fastsig.stream import Scratch, VoltageStream
from fastsig.stream.header import Header

__all__ = ["Column", "FramedVoltages", "choose"]

_READ_BYTES = 2**22  # sorting the frames of a piece costs as much as copying about 300 KB
_SCATTERED_BYTES = 2048  # least bytes of a frame; placing fewer takes longer than copying them
_MOST_FRAMES = 4096  # frames placed by one call
_HEADS = 2**16  # headers that are examined together

# A column of frames, or the columns that are the channels of an input.
Column = int | slice
Inputs = Sequence[tuple[int, Column]]
# Accepts frames, the row of their first sample, and the inputs in them with their columns.
Place = Callable[[NDArray[np.uint8], int, Inputs], None]
# Spans of the samples that were found, for each input.
Found = list[list[tuple[int, int]]]


class _Form(NamedTuple):
    """The form in which frames are returned: samples, or the bytes of their payloads."""

    n: int  # entries per frame
    made: Callable[[NDArray[np.uint8]], NDArray[Any]]  # returns (entry, column)
    into: Callable[[NDArray[np.uint8], NDArray[Any]], None]  # fills (frame, entry)


class FramedVoltages(VoltageStream):
    """The voltages of a recording in frames: (time, input), or (time, input, chan).

    Parameters
    ----------
    header, dtype, path
        As for `Stream`.
    frames : FrameFiles
        The frames of the recording.
    n_time : int
        Samples of a frame.
    picks : sequence of (int, int or slice)
        Thread and column of each input, or the columns that are its channels.
    n_column : int
        Columns of a frame: inputs, or channels of one input.
    payload_at : int
        Bytes of a frame before its samples.
    n_chan : int, optional
        Channels of each input, if columns are channels.
    """

    may_have_nan = False

    def __init__(self, header: Header, dtype: DTypeLike, path: str, frames: FrameFiles, n_time: int,
                 picks: Inputs, n_column: int = 1, payload_at: int = 0,
                 n_chan: int | None = None) -> None:
        self._frames, self._n_time, self._picks = frames, n_time, picks
        self._n_column, self._payload_at = n_column, payload_at
        n = (frames.stop - frames.begin) * n_time
        inner = () if n_chan is None else (n_chan,)
        super().__init__(header, (n, len(picks), *inner), dtype, path)
        # Buffers are kept: reading into fresh pages would cost a third more.
        self._rows = max(1, _READ_BYTES // frames.frame_bytes)
        self._buffers = Scratch(lambda: np.empty((self._rows, frames.frame_bytes), np.uint8))
        self._size = frames.frame_bytes - payload_at  # bytes of a payload
        self._places = Scratch(lambda: Places(_MOST_FRAMES, payload_at, self._size))
        # The cadence of the frames of each file where they were last read.
        self._cadences: dict[int, Cadence | None] = {}

    @property
    def files(self) -> list[str]:
        """Absolute paths of the files."""
        return [os.path.abspath(path) for path in self._frames.raw.paths]

    @abstractmethod
    def _decoded(self, frames: NDArray[np.uint8]) -> NDArray[Any]:
        """Decode consecutive frames, including their headers, to samples (time, column)."""

    def _decode_into(self, frames: NDArray[np.uint8], out: NDArray[Any]) -> None:
        """Decode frames of one column into `out` (frame, time), C-contiguous."""
        out[...] = self._decoded(frames).reshape(out.shape)

    def work_bytes(self, n: int) -> int:
        """Return the memory that a thread needs to read `n` rows."""
        return n * self.row_bytes + 2 * _READ_BYTES

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        form = _Form(self._n_time, self._decoded, self._decode_into)

        def place(frames: NDArray[np.uint8], first: int, inputs: Inputs) -> None:
            self._place(frames, first - start, inputs, out, form)

        return self._gather(start, n, place)

    def _read_packed(self, start: int, n: int, out: NDArray[np.uint8]) -> tuple[Spans, ...]:
        """Fill `out` (byte, input) with the unchanged payloads of frames of one column."""
        size = self._size
        first_byte = start * size // self._n_time
        if self._n_column == 1 and size >= _SCATTERED_BYTES and Columns.fit(
                out, len(self._picks)):
            columns = Columns(out, {thread: i for i, (thread, _) in enumerate(self._picks)})
            if self._scatter(start, n, columns, first_byte):
                return (validity.full(start, start + n),) * len(self._picks)

        def copy(frames: NDArray[np.uint8], target: NDArray[np.uint8]) -> None:
            target[...] = frames[:, self._payload_at :]

        def payload(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
            return frames[:, self._payload_at :].reshape(-1, 1)

        form = _Form(size, payload, copy)

        def place(frames: NDArray[np.uint8], first: int, inputs: Inputs) -> None:
            self._place(frames, first * size // self._n_time - first_byte, inputs, out, form)

        return self._gather(start, n, place)

    def _scatter(self, start: int, n: int, columns: Columns, first_byte: int) -> bool:
        """Read frames to their predicted places; return whether all samples were read.

        If not, the contents of the columns are meaningless.
        """
        found: Found = [[] for _ in self._picks]
        pieces = []
        for file in self._frames.order:
            low, high = self._frames.likely(file, *self._numbers(start, n))
            expected = self._cadences.get(file)
            if expected is None:
                if low < high:
                    return False
                continue
            for at in range(low, high, _MOST_FRAMES):
                count = min(_MOST_FRAMES, high - at)
                runs = expected.runs(at, count)
                pieces.append((runs, file, at, count))
                for run in runs:
                    self._add(found, run.thread, run.number, run.number + run.n, start, n)
        return self._has_all(found, start, n) and all(
            self._came(*piece, columns, first_byte) for piece in pieces)

    def _came(self, runs: list[Run], file: int, at: int, count: int, columns: Columns,
              first_byte: int) -> bool:
        """Read frames of a file to their places; return whether they are as predicted."""
        frames = self._frames
        entries = [(run.number - frames.begin) * self._size - first_byte for run in runs]
        places = self._places.take()
        try:
            where = places.of(count, runs, entries, columns)
            return (frames.raw.scatter_into(file, where, at * frames.frame_bytes)
                    and self._follow(places.heads[:count], runs))
        finally:
            self._places.give(places)

    def _numbers(self, start: int, n: int) -> tuple[int, int]:
        """Return the numbers of the first frame with samples of these rows and of the last, + 1."""
        begin = self._frames.begin
        return begin + start // self._n_time, begin - (-(start + n) // self._n_time)

    def _gather(self, start: int, n: int, place: Place) -> tuple[Spans, ...]:
        """Pass all frames with samples of these rows to `place`; return the valid spans."""
        for where in (self._frames.likely, self._frames.span):
            found: Found = [[] for _ in self._picks]
            for file in self._frames.order:
                self._take(file, *where(file, *self._numbers(start, n)), start, n, place, found)
            if self._has_all(found, start, n):
                return (validity.full(start, start + n),) * len(found)
        return tuple(validity.as_spans(each) for each in found)

    def _take(self, file: int, low: int, high: int, start: int, n: int, place: Place,
              found: Found) -> None:
        """Read frames of a file, and place those that contain samples of these rows."""
        if low >= high:
            return
        rows = -(-(high - low) // -(-(high - low) // self._rows))  # pieces of about equal size
        buffer = self._buffers.take()
        try:
            for at in range(low, high, rows):
                room = buffer[: min(rows, high - at)]
                raw = self._frames.raw.read(
                    file, room.size, at * self._frames.frame_bytes, room.reshape(-1)
                ).reshape(room.shape)
                for run in self._runs(file, at, raw):
                    self._put(raw, run, start, n, place, found)
        finally:
            self._buffers.give(buffer)

    def _runs(self, file: int, at: int, raw: NDArray[np.uint8]) -> list[Run]:
        """Return the runs of usable frames, and predict the next frames from them."""
        expected = self._cadences.get(file)
        if expected is not None:
            runs = expected.runs(at, len(raw))
            if self._follow(raw, runs):
                return runs
        heads = self._frames.parsed(raw)
        expected = self._cadences[file] = cadence(*heads, self._frames.per_time, at)
        return expected.runs(at, len(raw)) if expected else _runs(heads)

    def _follow(self, heads: NDArray[np.uint8], runs: list[Run]) -> bool:
        """Whether headers agree with the frames of the runs that a cadence predicted."""
        return self._frames.follow(heads, [run.number for run in runs],
                                   [run.thread for run in runs])

    def _put(self, raw: NDArray[np.uint8], run: Run, start: int, n: int, place: Place,
             found: Found) -> None:
        """Place the frames of a run that contain samples of these rows."""
        inputs = [(i, column) for i, (of, column) in enumerate(self._picks) if of == run.thread]
        begin = (run.number - self._frames.begin) * self._n_time
        skip = max(0, (start - begin) // self._n_time)
        count = min(run.n, -((begin - start - n) // self._n_time)) - skip
        if not inputs or count <= 0:
            return
        first = run.first + skip * run.step
        frames = raw[first : first + (count - 1) * run.step + 1 : run.step]
        place(frames, begin + skip * self._n_time, inputs)
        self._add(found, run.thread, run.number + skip, run.number + skip + count, start, n)

    def _place(self, frames: NDArray[np.uint8], first: int, inputs: Inputs,
               out: NDArray[Any], form: _Form) -> None:
        """Put frames into `out`; the first frame begins at entry `first`."""
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

    def _add(self, found: Found, thread: int, first: int, stop: int, start: int, n: int) -> None:
        """Record frames of a thread, by number, as a span of its inputs within these rows."""
        low, high = ((number - self._frames.begin) * self._n_time for number in (first, stop))
        span = max(low, start), min(high, start + n)
        for each in (found[i] for i, (of, _) in enumerate(self._picks) if of == thread):
            touches = each and each[-1][1] == span[0]
            each.append((each.pop()[0], span[1]) if touches else span)

    def _has_all(self, found: Found, start: int, n: int) -> bool:
        return all(each == [(start, start + n)] for each in found)

    def valid_spans(self) -> tuple[Spans, ...] | None:
        """Return the spans that frames cover, from every header."""
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
        """Close the files; reading opens them again."""
        self._frames.raw.close()


def _place_part(frames: NDArray[np.uint8], first: int, inputs: Inputs,
                out: NDArray[Any], form: _Form) -> None:
    """Like `FramedVoltages._place`, for frames of several columns or that extend beyond `out`."""
    made = form.made(frames)
    low, high = max(first, 0), min(first + len(made), len(out))
    for i, column in inputs:
        out[low:high, i] = made[low - first : high - first, column]


def _runs(heads: Heads) -> list[Run]:
    """List the runs of good frames that are consecutive in time and equidistant in memory."""
    found = []
    for thread in np.unique(heads.thread[heads.good]).tolist():
        rows = np.flatnonzero(heads.good & (heads.thread == thread))
        numbers = heads.number[rows]
        distance = np.diff(rows)
        broken = np.diff(numbers) != 1
        broken[1:] |= (distance[1:] != distance[:-1]) & ~broken[:-1]
        for part in np.split(np.arange(len(rows)), np.flatnonzero(broken) + 1):
            first = int(rows[part[0]])
            step = int(rows[part[1]]) - first if len(part) > 1 else 1
            found.append(Run(thread, int(numbers[part[0]]), first, step, len(part)))
    return found


def choose(value: Any, n: int) -> list[int]:
    """Return the numbers of inputs from text such as ``0,1``; all `n` if `value` is None.

    Raises
    ------
    UsageError
        If the values are not distinct numbers of inputs.
    """
    if value is None:
        return list(range(n))
    try:
        picks = [int(item) for item in str(value).split(",")]
    except ValueError:
        picks = []
    if not picks or len(set(picks)) < len(picks) or not all(0 <= p < n for p in picks):
        raise UsageError(f"input = {value!r}; allowed: distinct numbers from 0 to {n - 1}, "
                         "separated by commas")
    return picks
