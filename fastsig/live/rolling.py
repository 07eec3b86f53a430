"""Rolling: the products of an endless chain as one file after the other, none of them longer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastsig.axes.time import iso
from fastsig.errors import OutputError
from fastsig.live.children import trim_heap
from fastsig.run.chains import ended, have_come, missing_end
from fastsig.run.engine import run
from fastsig.stages.piece import Piece
from fastsig.stream import Block, Sink, Stream

__all__ = ["DiskFullError", "Report", "Rolling", "Watch", "name_of"]

#: Passes on what happens: a mapping that can become JSON.
Report = Callable[[dict[str, Any]], None]

_GLANCE = 0.05
_EVERY_S = 0.5


def name_of(folder: str, label: str, kind: str, stream: Stream, suffix: str) -> str:
    """Return the name of a file: the source, the kind, and the UTC of the first row."""
    text = iso(stream.start_time).replace("-", "").replace(":", "")
    return os.path.join(folder, f"{label}{kind}-{text[:22].replace('.', '_')}{suffix}")


class DiskFullError(OutputError):
    """The disk is full: a file has ended with what was written to it, and is complete.

    Parameters
    ----------
    path : str
    is_empty : bool
        Whether nothing could be written, and there is no such file.
    """

    def __init__(self, path: str, *, is_empty: bool = False) -> None:
        super().__init__(path, "the disk is full: " + (
            "this file is not begun" if is_empty else "this file ends here")
            + ", and no other is begun")


class Watch(Sink):
    """Counts rows and their weights next to another sink, and reports them several times a second.

    Parameters
    ----------
    stream : Stream
    other : Sink
        The other sink, with which it shares the blocks.
    report : callable
    """

    name = "watch"
    takes_endless = True

    def __init__(self, stream: Stream, other: Sink, report: Report) -> None:
        super().__init__(stream)
        self.as_recorded, self._report = other.as_recorded, report
        self.rows, self._weight, self._last = 0, 0.0, time.monotonic()

    def part_bytes(self, n: int) -> int:
        """Return the memory of a number."""
        return 64

    def partial(self, block: Block) -> tuple[int, float]:
        """Return the number of rows, and the mean weight of these."""
        if isinstance(block.valid, tuple):
            valid = sum(float(np.diff(spans, axis=1).sum()) for spans in block.valid)
            return block.n, valid / max(1, len(block.valid) * block.n)
        return block.n, float(np.mean(block.valid, dtype=np.float64))

    def merge(self, part: tuple[int, float]) -> None:
        """Add rows, and report them from time to time."""
        self.rows += part[0]
        self._weight += part[0] * part[1]
        if time.monotonic() > self._last + _EVERY_S:
            self.report()

    def report(self) -> None:
        """Report the rows since the last report."""
        self._last = time.monotonic()
        self._report({"rows": self.rows, "weight": self._weight / max(1, self.rows),
                      "file_s": self.rows / float(self.stream.header.sample_rate)})

    def finish(self, n_rows: int) -> int:
        """Return the number of rows."""
        return n_rows


class Rolling:
    """The files of one sink.

    Parameters
    ----------
    chain : Stream
        The endless chain.
    rows : int
        Most rows of a file.
    make : callable
        ``make(piece)`` returns the sink of a file, given its rows.
    ended : callable
        ``ended(sink, result)`` is called when a file is complete, and returns the names of files.
    report : callable
    frame : int
        Rows of the smallest unit of a file: files consist of whole units, from a row on that
        `aligned` returns.
    aligned : callable
        ``aligned(row)`` returns the first row from `row` on at which a file can begin.
    rolls : bool
        Whether `roll` begins another file; what is written again and again has only one.
    """

    def __init__(self, chain: Stream, rows: int, make: Callable[[Stream], Sink],
                 ended: Callable[[Sink, Any], Sequence[str]], report: Report, *, frame: int = 1,
                 aligned: Callable[[int], int] = lambda row: row, rolls: bool = True) -> None:
        self._rolls = rolls
        self.chain, self.rows, self._make, self._ended = chain, rows, make, ended
        self._report, self._frame, self._aligned = report, frame, aligned
        self._current: list[Sink] = []
        #: Whether the current file is the last.
        self.stopping = False

    def roll(self) -> None:
        """End the current file with the rows that are being processed, and begin another.

        A file of which the end was known when it was begun is completed first.
        """
        for sink in self._current if self._rolls or self.stopping else []:
            sink.satisfied = sink.satisfied or sink.stream.endless

    def stop(self) -> None:
        """End the current file like `roll`, and begin no other."""
        self.stopping = True
        self.roll()

    def run(self, first: int = 0, **options: Any) -> int:
        """Write files until the chain ends or `stop` is called; return the row after the last."""
        first = self._aligned(first)
        while (piece := self._piece(first)) is not None:
            sink = self._make(piece)
            watch = Watch(piece, sink, self._report)
            self._current = [sink, watch]
            if self.stopping:
                break
            result, n = run(self._current, **options)
            watch.report()
            n -= n % self._frame
            first += n
            writer: Any = getattr(sink, "writer", None)
            if getattr(writer, "is_full", False):
                name = self._ended(sink, result)[0]
                if writer.is_empty:
                    os.unlink(name)
                raise DiskFullError(name, is_empty=writer.is_empty)
            for name in self._ended(sink, result):
                if n:
                    self._report({"wrote": name, "file_rows": n})
                else:  # it was stopped before its first row was processed
                    os.unlink(name)
            del sink, watch, result, piece, writer
            self._current = []
            trim_heap()
        return first

    def _piece(self, first: int) -> Stream | None:
        """Wait for the first rows of the next file; return its rows, or None if there are none."""
        while not have_come(self.chain, first, self._frame, _GLANCE):
            if self.stopping:
                return None
        end = missing_end(self.chain, first, self._frame)
        chain = self.chain if end is None else ended(self.chain, *end)
        if self.stopping or (not chain.endless and chain.shape[0] < first + self._frame):
            return None
        return Piece(chain, first, self.rows)
