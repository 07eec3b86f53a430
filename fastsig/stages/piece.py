"""Piece: rows of a stream without a known end, as far as they arrive; a file of a live product."""

from __future__ import annotations

from typing import Any

from fastsig.stages.select import Select, SelectSpectra, SelectVoltages
from fastsig.stream import SpectrumStream, Stream, VoltageStream

__all__ = ["Piece", "finished"]


class PieceVoltages(SelectVoltages):
    """A span of samples of voltages, which ends early if they do."""

    def __init__(self, source: VoltageStream, rows: tuple[int, int]) -> None:
        super().__init__(source, _clipped(rows, source))

    @property
    def endless(self) -> bool:
        """Whether it is not known yet if all its rows will come."""
        return bool(self.source.endless)

    @property
    def most_rows(self) -> int:
        """Number of rows that it has if all of them come."""
        return self.shape[0]

    def as_recorded(self) -> VoltageStream:
        """Return the same span of the source as recorded, if it begins with a byte."""
        recorded = self.source.as_recorded()
        if recorded is self.source or self.rows[0] % recorded.row_step:
            return self
        return PieceVoltages(recorded, self.rows)

    def narrowed(self, first: int, stop: int) -> VoltageStream | None:
        """Return some of the channels, if the source can read only these."""
        part = self.source.narrowed(first, stop)
        return None if part is None else PieceVoltages(part, self.rows)


class PieceSpectra(SelectSpectra):
    """A span of spectra, which ends early if they do."""

    def __init__(self, source: SpectrumStream, rows: tuple[int, int]) -> None:
        super().__init__(source, _clipped(rows, source), (0, source.shape[2]))

    @property
    def endless(self) -> bool:
        """Whether it is not known yet if all its rows will come."""
        return bool(self.source.endless)

    @property
    def most_rows(self) -> int:
        """Number of rows that it has if all of them come."""
        return self.shape[0]

    def narrowed(self, first: int, stop: int) -> SpectrumStream | None:
        """Return some of the channels, if the source can compute only these."""
        part = self.source.narrowed(first, stop)
        return None if part is None else PieceSpectra(part, self.rows)


def Piece(source: Stream, first: int, n: int) -> Stream:  # noqa: N802 - used like a class, as Select
    """Return `n` rows from `first` on, or fewer if the stream ends before.

    Products record it as the selection of rows that it is.
    """
    kind: Any = PieceSpectra if isinstance(source, SpectrumStream) else PieceVoltages
    made: Stream = kind(source, (first, first + n))
    return made


def finished(stream: Stream, n_rows: int) -> Stream:
    """Return a stream with a known end, given the number of rows that arrived.

    The sinks of a pass have the stream as it was planned, whose end was not known then.
    """
    if not stream.endless:
        return stream
    if isinstance(stream, (PieceSpectra, PieceVoltages)):
        first = stream.rows[0]
        return Select(stream.source, rows=(first, first + n_rows))
    return Select(stream, rows=(0, n_rows))


def _clipped(rows: tuple[int, int], source: Stream) -> tuple[int, int]:
    return min(rows[0], source.shape[0]), min(rows[1], source.shape[0])
