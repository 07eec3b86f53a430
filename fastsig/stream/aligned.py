"""Aligned: several streams on one clock, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.time import elapsed
from fastsig.errors import PlanError, UsageError
from fastsig.stream.base import Block, Stream, stream_of
from fastsig.stream.spectra import SpectrumStream
from fastsig.stream.voltages import VoltageStream

__all__ = ["Aligned"]

_SLACK = Fraction(1, 10**3)  # of a row: start times are known to 1 ns at best


class Aligned(Stream):
    """Several streams, of beams or receivers, with rows that begin at the same times.

    Row 0 is the earliest row of all streams, and the last row is the latest. If a stream lacks a
    row, the row has weight 0 (spectra) or is not valid (voltages). Blocks have a tuple of arrays
    instead of one array, and a tuple for what is valid.

    Parameters
    ----------
    streams : sequence of Stream
        Streams of voltages, or of spectra, with rates that are equal as fractions and start times
        that differ by whole rows.
    names : sequence of str, optional
        Names of the streams; numbers by default.

    Raises
    ------
    UsageError
        If there are no streams, or the number of names differs from theirs.
    PlanError
        If kinds or rates differ, or start times do not differ by whole rows.
    """

    kind = "aligned"

    def __init__(self, streams: Sequence[Stream], names: Sequence[str] | None = None) -> None:
        if not streams:
            raise UsageError("no streams; allowed: 1 or more")
        self.streams = tuple(stream_of(each) for each in streams)
        self.names = tuple(names or map(str, range(len(streams))))
        if len(set(self.names)) != len(self.streams):
            raise UsageError(f"names {', '.join(self.names)} for {len(self.streams)} streams; "
                             "allowed: a name for each")
        first = self.streams[0]
        offsets = [self._offset(first, each) for each in self.streams]
        earliest = min(offsets)
        self.offsets = tuple(offset - earliest for offset in offsets)
        stop = max(at + each.shape[0] for at, each in zip(self.offsets, self.streams, strict=True))
        header = self.streams[offsets.index(earliest)].header
        super().__init__(header, (stop, *first.shape[1:]), first.dtype, first.path)

    @staticmethod
    def _offset(first: Stream, other: Stream) -> int:
        """Return the number of rows by which another stream begins after the first."""
        if not isinstance(other, (SpectrumStream, VoltageStream)) or other.kind != first.kind:
            raise PlanError(f"{other.path}: contains {other.kind}, {first.path} {first.kind}; "
                            "allowed: voltages, or spectra, throughout")
        rate = first.header.sample_rate
        if other.header.sample_rate != rate:
            raise PlanError(f"{other.path}: has {float(other.header.sample_rate):.12g} rows per "
                            f"second, {first.path} {float(rate):.12g}; allowed: equal rates")
        rows = elapsed(first.start_time, other.start_time) * rate
        if abs(rows - round(rows)) > _SLACK:
            raise PlanError(f"{other.path}: begins {float(rows):.6f} rows after {first.path}; "
                            "allowed: whole rows")
        return round(rows)

    @property
    def row_bytes(self) -> int:
        """Memory needed for a row of all streams."""
        return sum(each.row_bytes for each in self.streams)

    @property
    def align(self) -> int:
        """Number of rows that are best read together: the largest of all streams."""
        return max(each.align for each in self.streams)

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to read `n` rows of all streams, one stream at a time."""
        return n * self.row_bytes + max(each.work_bytes(n) for each in self.streams)

    def inputs(self) -> tuple[Stream, ...]:
        """The streams."""
        return self.streams

    def needs_of(self, index: int, start: int, n: int) -> tuple[int, int]:
        """Return the first row and the number of rows of one stream, as far as it has them."""
        offset, length = self.offsets[index], self.streams[index].shape[0]
        first = min(max(0, start - offset), length)
        return first, max(0, min(start + n - offset, length) - first)

    def with_source(self, *sources: Stream) -> Aligned:
        """Return the same alignment of equal streams."""
        return Aligned(sources, self.names)

    on = with_source

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return rows of all streams: a tuple of arrays, and a tuple for what is valid."""
        self._check_range(start, n)
        blocks = [self._read_one(index, start, n) for index in range(len(self.streams))]
        return Block(tuple(block.data for block in blocks),  # type: ignore[arg-type]
                     tuple(block.valid for block in blocks), start, n)

    def _read_one(self, index: int, start: int, n: int) -> Block:
        """Return rows of one stream; rows that it lacks have no weight."""
        stream, (first, count) = self.streams[index], self.needs_of(index, start, n)
        block = stream.read_block(first, count)
        late = self.offsets[index] + first - start
        if isinstance(stream, VoltageStream):
            spans = tuple(validity.shift(each, self.offsets[index]) for each in block.valid)
            return Block(_placed(block.data, n, late, 0), spans, start, n)
        return Block(_placed(block.data, n, late, np.nan), _placed(block.valid, n, late, 0),
                     start, n)


def _placed(data: NDArray[Any], n: int, at: int, fill: float) -> NDArray[Any]:
    """Return `n` rows of a fill value, with `data` from row `at` on."""
    if len(data) == n:
        return data
    out = np.full((n, *data.shape[1:]), fill, data.dtype)
    if len(data):
        out[at : at + len(data)] = data
    out.flags.writeable = False
    return out
