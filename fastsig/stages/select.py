"""Select: a span of rows and a range of channels of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.validity import Spans
from fastsig.errors import PlanError, UsageError
from fastsig.stream import (
    Block,
    PassedSpectra,
    SameSamples,
    SpectrumStream,
    Stream,
    Sums,
    VoltageStage,
    VoltageStream,
)

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
        Where channels are asked of a stream that has none.
    """
    first, stop = rows or (0, source.shape[0])
    if not 0 <= first < stop <= source.shape[0]:
        raise UsageError(f"rows {first} to {stop} are not within the {source.shape[0]} there are")
    if channels is not None and len(source.shape) < 3:
        raise PlanError(f"{source.path}: a band of voltages that are not channelised cannot be cut "
                        "out exactly; channelise and detect first")
    chan = channels or (0, source.shape[2] if len(source.shape) == 3 else 1)
    if not 0 <= chan[0] < chan[1] <= (source.shape[2] if len(source.shape) == 3 else 1):
        raise UsageError(
            f"channels {chan[0]} to {chan[1]} are not within the {source.shape[2]} there are"
        )
    if isinstance(source, SpectrumStream):
        return SelectSpectra(source, (first, stop), chan)
    if not isinstance(source, VoltageStream):
        raise PlanError(f"select takes voltages or spectra, not {source.kind}")
    whole = channels is None or chan == (0, source.shape[2])
    return SelectVoltages(source if whole else SelectChannels(source, chan), (first, stop))


class SelectChannels(VoltageStage):
    """Some of the channels of channelised voltages."""

    name = "selectchannels"
    source: VoltageStream

    def __init__(self, source: VoltageStream, channels: tuple[int, int]) -> None:
        self.channels = channels
        axis = source.header.channels
        super().__init__(
            source, header=source.header.replace(channels=axis.sliced(*channels) if axis else None),
            shape=(*source.shape[:2], channels[1] - channels[0], *source.shape[3:]))
        self._narrow = source.narrowed(*channels)

    def _replace(self, *sources: Stream) -> None:
        super()._replace(*sources)
        self._narrow = self.source.narrowed(*self.channels)

    def narrowed(self, first: int, stop: int) -> VoltageStream | None:
        """Fewer channels of the source."""
        low = self.channels[0]
        return SelectChannels(self.source, (low + first, low + stop))

    def as_recorded(self) -> VoltageStream:
        """The same channels of the source's own."""
        if self._narrow is not None:
            return self._narrow.as_recorded()
        recorded = self.source.as_recorded()
        return self if recorded is self.source else SelectChannels(recorded, self.channels)

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to read `n` rows: mostly all channels are read."""
        if self._narrow is not None:
            return self._narrow.work_bytes(n)
        return n * self.row_bytes + self.source.work_bytes(n)

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        if self._narrow is not None:
            return self._narrow._read(start, n, out)
        block = self.source.read_block(start, n)
        out[...] = block.data[:, :, slice(*self.channels)]
        return block.valid  # type: ignore[no-any-return]


class SelectVoltages(SameSamples):
    """A span of samples."""

    name = "select"

    def __init__(self, source: VoltageStream, rows: tuple[int, int]) -> None:
        self.rows = rows
        super().__init__(
            source, header=source.header.later(
                source.time_of(rows[0]), rows[0] / source.header.sample_rate),
            shape=(rows[1] - rows[0], *source.shape[1:]))

    @property
    def endless(self) -> bool:
        """Never: the span ends."""
        return False

    def valid_spans(self) -> tuple[Spans, ...] | None:
        """Those of the source, within the span."""
        spans = self.source.valid_spans()
        return spans and tuple(validity.shift(validity.clip(each, *self.rows), -self.rows[0])
                               for each in spans)

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """The same rows in the whole stream's count."""
        return self.rows[0] + start, n

    def narrowed(self, first: int, stop: int) -> VoltageStream | None:
        """Some of the channels, where the source can read these alone."""
        part = self.source.narrowed(first, stop)
        return None if part is None else SelectVoltages(part, self.rows)

    def parameters(self) -> Mapping[str, Any]:
        """What decides the numbers."""
        return {"rows": list(self.rows)}

    def as_recorded(self) -> VoltageStream:
        """The same span of the source's own, where it begins with a byte."""
        recorded = self.source.as_recorded()
        if recorded is self.source or self.rows[0] % recorded.row_step:
            return self
        return SelectVoltages(recorded, self.rows)

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """The source's own block, its spans counted from the first row of this stream."""
        self._check_range(start, n)
        block = self.source.read_block(self.rows[0] + start, n, out)
        spans = tuple(validity.shift(spans, -self.rows[0]) for spans in block.valid)
        return Block(block.data, spans, start, n)


class SelectSpectra(PassedSpectra):
    """A span of spectra and a range of channels."""

    name = "select"
    source: SpectrumStream

    def __init__(
        self, source: SpectrumStream, rows: tuple[int, int], channels: tuple[int, int]
    ) -> None:
        self.rows, self.channels = rows, channels
        axis = source.header.channels
        header = source.header.later(
            source.time_of(rows[0]), rows[0] / source.header.sample_rate
        ).replace(channels=axis.sliced(*channels) if axis else None)
        shape = (rows[1] - rows[0], source.shape[1], channels[1] - channels[0])
        super().__init__(source, header=header, shape=shape, dtype=source.dtype)
        self._choose()

    def _replace(self, *sources: Stream) -> None:
        super()._replace(*sources)
        self._choose()

    def _choose(self) -> None:
        """Read the channels alone where the source can make these, else cut them out of all."""
        whole = self.channels == (0, self.source.shape[2])
        self._narrow = None if whole else self.source.narrowed(*self.channels)
        self._from = self.source if self._narrow is None else self._narrow
        self._cut = slice(None) if whole or self._narrow is not None else slice(*self.channels)

    def as_read(self) -> SelectSpectra:
        """The same rows of the channels alone, where that is what is read; for a plan."""
        if self._narrow is None:
            return self
        return SelectSpectra(self._narrow, self.rows, (0, self._narrow.shape[2]))

    @property
    def endless(self) -> bool:
        """Never: the span ends."""
        return False

    def narrowed(self, first: int, stop: int) -> SpectrumStream | None:
        """Some of the channels, where the source can make these alone."""
        low = self.channels[0]
        part = self.source.narrowed(low + first, low + stop)
        return None if part is None else SelectSpectra(part, self.rows, (0, part.shape[2]))

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """The same rows in the whole stream's count."""
        return self.rows[0] + start, n

    def parameters(self) -> Mapping[str, Any]:
        """What decides the numbers."""
        return {"rows": list(self.rows), "channels": list(self.channels)}

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to read `n` spectra."""
        return self._from.work_bytes(n) + (n * self.row_bytes if self._cut != slice(None) else 0)

    @property
    def columns(self) -> Mapping[str, str]:
        """As of the source."""
        return self.source.columns

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """The source's, of the same rows."""
        return self.source.read_columns(self.rows[0] + start, n)

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis."""
        return 1 if self._from.weight_channels == 1 else self.shape[2]

    @property
    def least_flagged(self) -> int | None:  # type: ignore[override]
        """As of the source, whose groups these rows are in."""
        return self.source.least_flagged

    def check_flag(self, sigma: float) -> None:
        """As of the source."""
        self.source.check_flag(sigma)

    def _channels(self, weight: NDArray[Any]) -> NDArray[Any]:
        return weight if weight.shape[2] == 1 else weight[:, :, self._cut]

    def _part(self, sums: Sums) -> Sums:
        return Sums(sums.total[:, :, self._cut], self._channels(sums.weight))

    def read_sums(self, start: int, n: int) -> Sums:
        """Rows in their additive form."""
        self._check_range(start, n)
        return self._part(self._from.read_sums(self.rows[0] + start, n))

    def group_sums(self, start: int, n: int, n_each: int, flag_sigma: float | None = None
                   ) -> Sums:
        """The source's own sums of the same rows."""
        self._check_range(start, n)
        return self._part(self._from.group_sums(self.rows[0] + start, n, n_each, flag_sigma))

    def group_bytes(self, n: int, flag_sigma: float | None = None) -> int:
        """As of the source."""
        return self._from.group_bytes(n, flag_sigma)

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """The source's own means and weights, untouched."""
        self._check_range(start, n)
        whole = self._cut == slice(None)
        block = self._from.read_block(self.rows[0] + start, n, out if whole else None)
        if whole:
            return Block(block.data, self._channels(block.valid), start, n)
        # Copied here, on the thread that reads, and not by whoever writes: twice as fast in a pass.
        data = np.empty((n, *self.shape[1:]), block.data.dtype) if out is None else out[:n]
        np.copyto(data, block.data[:, :, self._cut])
        view = data.view()
        view.flags.writeable = False
        return Block(view, self._channels(block.valid), start, n)
