"""Select: a span of rows and a range of channels of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from fastsig import validity
from fastsig.errors import PlanError, UsageError
from fastsig.stream import Block, SpectrumStream, Stream, Sums, VoltageStream
from fastsig.validity import Spans

__all__ = ["Select", "SelectSpectra", "SelectVoltages"]


def Select(  # noqa: N802 - the verb of a stage, whichever kind of stream it is given
    source: Stream, *, rows: tuple[int, int] | None = None,
    channels: tuple[int, int] | None = None,
) -> Stream:
    """Rows ``rows[0]`` to ``rows[1] - 1`` and channels likewise, of voltages or spectra.

    Raises
    ------
    UsageError
        Where a range is empty or not within the stream.
    PlanError
        Where channels are asked of voltages that have none.
    """
    first, stop = rows or (0, source.shape[0])
    if not 0 <= first < stop <= source.shape[0]:
        raise UsageError(f"rows {first} to {stop} are not within the {source.shape[0]} there are")
    if isinstance(source, SpectrumStream):
        chan = channels or (0, source.shape[2])
        if not 0 <= chan[0] < chan[1] <= source.shape[2]:
            raise UsageError(
                f"channels {chan[0]} to {chan[1]} are not within the {source.shape[2]} there are"
            )
        return SelectSpectra(source, (first, stop), chan)
    if channels is not None or not isinstance(source, VoltageStream):
        raise PlanError("channels can be selected from spectra only: channelise and detect first")
    return SelectVoltages(source, (first, stop))


class SelectVoltages(VoltageStream):
    """A span of samples."""

    def __init__(self, source: VoltageStream, rows: tuple[int, int]) -> None:
        self.source, self.rows = source, rows
        header = source.header.replace(start_time=source.time_of(rows[0]))
        super().__init__(header, (rows[1] - rows[0], *source.shape[1:]), source.dtype, source.path)

    def inputs(self) -> tuple[Stream, ...]:
        """The whole stream."""
        return (self.source,)

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """The same rows in the whole stream's count."""
        return self.rows[0] + start, n

    def parameters(self) -> Mapping[str, Any]:
        """What decides the numbers."""
        return {"rows": list(self.rows)}

    def as_recorded(self) -> VoltageStream:
        """The same span of the source's own."""
        recorded = self.source.as_recorded()
        return self if recorded is self.source else SelectVoltages(recorded, self.rows)

    def empty(self, n: int) -> NDArray[Any]:
        """A buffer for `n` rows, as the source has it."""
        return self.source.empty(n)

    @property
    def interleaved(self) -> bool:  # type: ignore[override]
        """As of the source."""
        return self.source.interleaved

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        block = self.source.read_block(self.rows[0] + start, n, out)
        return tuple(validity.shift(spans, -self.rows[0]) for spans in block.valid)


class SelectSpectra(SpectrumStream):
    """A span of spectra and a range of channels."""

    def __init__(
        self, source: SpectrumStream, rows: tuple[int, int], channels: tuple[int, int]
    ) -> None:
        self.source, self.rows, self.channels = source, rows, channels
        self.sum_dtype = source.sum_dtype
        axis = source.header.channels
        header = source.header.replace(
            start_time=source.time_of(rows[0]), channels=axis.sliced(*channels) if axis else None
        )
        shape = (rows[1] - rows[0], source.shape[1], channels[1] - channels[0])
        super().__init__(header, shape, source.dtype, source.path)

    def inputs(self) -> tuple[Stream, ...]:
        """The whole stream."""
        return (self.source,)

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """The same rows in the whole stream's count."""
        return self.rows[0] + start, n

    def parameters(self) -> Mapping[str, Any]:
        """What decides the numbers."""
        return {"rows": list(self.rows), "channels": list(self.channels)}

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to read `n` spectra."""
        return self.source.work_bytes(n)

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis."""
        return 1 if self.source.weight_channels == 1 else self.shape[2]

    def _channels(self, weight: NDArray[Any]) -> NDArray[Any]:
        return weight if weight.shape[2] == 1 else weight[:, :, slice(*self.channels)]

    def read_sums(self, start: int, n: int) -> Sums:
        """Rows in their additive form."""
        self._check_range(start, n)
        sums = self.source.read_sums(self.rows[0] + start, n)
        return Sums(sums.total[:, :, slice(*self.channels)], self._channels(sums.weight))

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """The source's own means and weights, untouched."""
        self._check_range(start, n)
        block = self.source.read_block(self.rows[0] + start, n)
        return Block(block.data[:, :, slice(*self.channels)], self._channels(block.valid), start, n)
