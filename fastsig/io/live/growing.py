"""Voltages whose bytes still come: the readers of files, on a ring or on a file that grows.

A stream is first opened like a file from what has come, which checks all headers; only then is it
changed to one without a known end, whose places are known ahead, or extended as headers come.
"""

from __future__ import annotations

import os
import threading
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from fastsig.axes.validity import Spans
from fastsig.io.files.provenance import bytes_record
from fastsig.io.guppi.blocks import Block, walk
from fastsig.io.guppi.reader import GuppiStream, Scan
from fastsig.io.vdif.reader import VdifStream
from fastsig.io.voltages.interleaved import InterleavedVoltages
from fastsig.stream import ENDLESS, VoltageStream

__all__ = ["Bytes", "growing"]

_LATE = 32  # frames by which a frame may be late, as for files
_NEWEST = 256  # newest headers that are examined for the last time
_FAR = 3600  # s by which a time may differ from the last one to be believed
_LATE_PART = 20  # of a second, beyond which it is not waited for


class Bytes(Protocol):
    """Bytes that come, at their absolute places."""

    name: str

    @property
    def size(self) -> int:
        """Number of bytes that have come."""

    @property
    def over(self) -> bool:
        """Whether no more come."""

    @property
    def oldest(self) -> int:
        """The first byte that is still there."""

    def wait(self, stop: int, seconds: float | None = None) -> bool:
        """Wait until byte ``stop - 1`` has come or no more come; return whether that is so."""

    def pread(self, n: int, place: int) -> bytes:
        """Return bytes from a place on, waiting for them; fewer at the end."""

    def release(self, place: int) -> None:
        """State that no byte before a place is needed."""


class _Growing(VoltageStream):
    """What the streams have in common; the other base class is the reader of the format."""

    def _begin(self, data: Bytes, files: Any) -> None:
        self._data = data
        self._lock = threading.RLock()
        self._use(files)

    def _use(self, files: Any) -> None:
        self._raw = files

    @property
    def endless(self) -> bool:
        """Whether more may come."""
        return True

    @property
    def files(self) -> list[str]:
        """None: what comes is not in a file."""
        return []

    def content_records(self, *, whole: bool = False) -> list[dict[str, Any]]:
        """Return the record of all bytes if none comes any more and all are there; else none."""
        data = self._data
        if not data.over or data.oldest:
            return []
        name = os.path.basename(data.name)
        return [bytes_record(name, data.size, data.pread, whole=whole)]

    def valid_spans(self) -> tuple[Spans, ...] | None:
        """Return None: this is not known ahead."""
        return None

    def valid_fraction(self) -> float | None:
        """Return None: this is not known ahead."""
        return None

    def narrowed(self, first: int, stop: int) -> VoltageStream | None:
        """Return None: channels are cut out of all."""
        return None

    @property
    def ring(self) -> Any:
        """The ring through which the bytes come, if there is one."""
        return self._data.ring  # type: ignore[attr-defined]

    @property
    def bytes_of_row(self) -> Fraction:
        """Bytes that come for a row."""
        raise NotImplementedError

    def _bytes_for(self, stop: int) -> int:
        """Return the number of bytes that must come for rows before `stop`."""
        raise NotImplementedError

    def _n_come(self) -> int:
        """Return the number of rows that have come."""
        raise NotImplementedError

    def come(self, stop: int, seconds: float) -> bool:
        """Wait for at most some seconds; return whether the rows or the end have come."""
        return self._n_come() >= stop or (
            self._data.wait(self._bytes_for(stop), seconds) and (
                self._n_come() >= stop or self._data.over))

    def arrived(self, stop: int) -> int:
        """Wait for row ``stop - 1`` or the end; return `stop`, or the rows that there are."""
        while (rows := self._n_come()) < stop:
            if self._data.over:
                return min(stop, self._n_come())
            self._data.wait(self._bytes_for(stop), 0.1)
        return min(stop, rows)


class GrowingInterleaved(_Growing, InterleavedVoltages):
    """Samples one after the other, whose places are known ahead."""

    def _begin(self, data: Bytes, files: Any) -> None:
        super()._begin(data, files)
        self._first = int(self._table[0, 3])
        self._table = np.array([[0, ENDLESS, 0, self._first, 0]], np.int64)

    @property
    def bytes_of_row(self) -> Fraction:
        """Bytes of a sample."""
        return Fraction(self._layout.row_bytes)

    def _bytes_for(self, stop: int) -> int:
        heap = self._layout.heap
        return self._first + -(-stop // heap) * heap * int(self._layout.row_bytes)

    def _n_come(self) -> int:
        n, heap = self._data.size - self._first, self._layout.heap
        return max(0, n // (self._layout.row_bytes * heap) * heap)

    def release(self, row: int) -> None:
        """Release the bytes before a row."""
        heap = self._layout.heap
        self._data.release(self._bytes_for(max(0, row // heap * heap)))


class GrowingGuppi(_Growing, GuppiStream):
    """Blocks, whose headers are read as they come."""

    def _begin(self, data: Bytes, files: Any) -> None:
        super()._begin(data, files)
        self._scan = Scan([data.name], self._geometry.n_pol)
        self._blocks = walk(data, data.name)
        self._table = self._table[:0]
        self._waiting: Block | None = None
        self._zero: int | None = None
        self._next = 0

    @property
    def bytes_of_row(self) -> Fraction:
        """Bytes of a sample of a block, of which the header takes little."""
        return Fraction(self._geometry.block_bytes, self._geometry.n_new)

    def _bytes_for(self, stop: int) -> int:
        return max(self._next, 1)

    def _n_come(self) -> int:
        with self._lock:
            while (self._data.size >= self._next or self._data.over) and self._add():
                pass
            return int(self._table[-1, 1]) if len(self._table) else 0

    def _add(self) -> bool:
        """Add the next block if all of it has come; its header is waited for."""
        before = len(self._scan.rows)
        block = self._waiting or next(self._blocks, None)
        if block is None:
            return False
        end = block.offset + self._geometry.block_bytes
        if self._data.size < end and not self._data.over:
            self._waiting, self._next = block, end
            return False
        self._waiting = None
        self._scan.add(0, block._replace(there=min(block.there, self._data.size - block.offset)))
        # The header of the next block is shorter than its samples, as a rule.
        self._next = end + 1
        if len(self._scan.rows) > before:
            self._place(*self._scan.rows[-1])
            del self._scan.rows[:-1]
        return True

    def _place(self, first: int, stop: int, number: int, offset: int) -> None:
        """Add a block to the table; what an earlier one has is left to that one."""
        self._zero = first if self._zero is None else self._zero
        first, stop = first - self._zero, stop - self._zero
        reach = int(self._table[-1, 1]) if len(self._table) else 0
        if stop > reach:
            there = self._table[self._table[:, 3] >= self._data.oldest]
            row = np.array([[max(first, reach), stop, number, offset, first]], np.int64)
            self._table = np.concatenate([there, row])

    def release(self, row: int) -> None:
        """Release the blocks before a row."""
        with self._lock:
            found = self._table[self._table[:, 1] > row]
            if len(found):
                self._data.release(int(found[0, 3]))


class GrowingVdif(_Growing, VdifStream):
    """Frames, whose headers are looked up as for files."""

    _frames: Any

    def _use(self, files: Any) -> None:
        self._frames.raw = files
        self._frames.counts[0] = 0
        self._known: int = 0
        per_second = self._frames.per_second
        self._late = min(_LATE, max(1, per_second // _LATE_PART))
        self._last = self._frames.begin - 1

    def _count(self) -> int:
        return int(self._data.size // self._frames.frame_bytes)

    @property
    def bytes_of_row(self) -> Fraction:
        """Bytes of a sample of all threads, and its part of the headers."""
        return Fraction(self._frames.frame_bytes * self._frames.per_time, self._n_time)

    def _bytes_for(self, stop: int) -> int:
        """Return the bytes of one frame of each thread more, as losses are not known ahead."""
        return int(self._known + self._frames.per_time) * int(self._frames.frame_bytes)

    def _n_come(self) -> int:
        with self._lock:
            over, count = self._data.over, self._count()
            oldest = -(-self._data.oldest // self._frames.frame_bytes)
            self._frames.oldest[0] = oldest
            if count == self._known and not over:  # `come` and `arrived` ask again and again
                return self._rows_come(late=self._late)
            low = max(self._known, oldest, count - _NEWEST)
            if count > low:
                heads = self._frames.heads(0, low, count - low)
                near = heads.good & (np.abs(heads.number - self._last) <= _FAR * max(
                    1, self._frames.per_second)) if self._known else heads.good
                if near.any():
                    self._last = max(self._last, int(heads.number[near].max()))
            self._known = self._frames.counts[0] = count
            return self._rows_come(late=0 if over else self._late)

    def _rows_come(self, late: int) -> int:
        n_frame = int(self._last) + 1 - late - int(self._frames.begin)
        return max(0, n_frame) * self._n_time

    def release(self, row: int) -> None:
        """Release the frames before a row, and those by which others may be late."""
        frame = int(self._frames.begin) + row // self._n_time - 2 * _LATE
        place, _ = self._frames.likely(0, frame, frame)
        slack = 2 * _LATE * self._frames.per_time
        self._data.release(max(0, place - slack) * int(self._frames.frame_bytes))


_KINDS: dict[type[VoltageStream], type[_Growing]] = {
    InterleavedVoltages: GrowingInterleaved, GuppiStream: GrowingGuppi, VdifStream: GrowingVdif}


def growing(stream: VoltageStream, data: Bytes, files: Any) -> VoltageStream:
    """Change a stream that was opened from the first bytes to one whose end is not known.

    Parameters
    ----------
    stream : VoltageStream
        The stream, of one of the formats whose bytes can come.
    data : Bytes
        The bytes.
    files : RawFiles or RingFiles
        What reads them.
    """
    kind = next(made for of, made in _KINDS.items() if isinstance(stream, of))
    made = object.__new__(kind)
    made.__dict__.update(stream.__dict__)
    made.shape = (ENDLESS, *stream.shape[1:])
    made._begin(data, files)
    return made
