"""Select: cut a span of rows and a range of channels out of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.validity import Spans
from fastsig.errors import PlanError, UsageError
from fastsig.stream import (
    Block,
    CodedBlock,
    PassedSpectra,
    SameSamples,
    SpectrumStream,
    Stream,
    Sums,
    VoltageStage,
    VoltageStream,
)
from fastsig.stream.slices import channel_span, is_number, product_indices, row_span

__all__ = ["Select", "SelectProducts", "SelectSpectra", "SelectVoltages"]


def Select(  # noqa: N802 - used like the class of a stage, for all kinds of stream
    source: Stream, *, rows: Any = None, channels: Any = None, products: Any = None,
) -> Stream:
    """Return selected rows, channels and products of voltages or spectra.

    The lower end of a pair comes first. If the ends are row or channel numbers, the upper end is
    excluded, as in a slice. If they are frequencies, they refer to channel centres, and both ends
    are included.

    Parameters
    ----------
    source : Stream
        Voltages or spectra.
    rows : pair or slice, optional
        Row numbers, times from the start, or UTC dates and times.
    channels : pair or slice, optional
        Channel numbers, or frequencies.
    products : str or sequence of str, optional
        Names of products of spectra.

    Raises
    ------
    UsageError
        If a range is empty or not within the stream.
    PlanError
        If channels or products are selected from a stream without them.
    """
    first, stop = (0, source.shape[0]) if rows is None else _rows(source, rows)
    chan = (0, source.shape[2] if len(source.shape) == 3 else 1)
    if channels is not None:
        if len(source.shape) < 3:
            raise PlanError(f"{source.path}: a band of voltages that are not channelised cannot be "
                            "cut out exactly; channelise and detect first")
        chan = _channels(source, channels)
    if isinstance(source, SpectrumStream):
        selected = SelectSpectra(source, (first, stop), chan)
        return selected if products is None else SelectProducts(selected, products)
    if not isinstance(source, VoltageStream):
        raise PlanError(f"select requires voltages or spectra, not {source.kind}")
    if products is not None:
        raise PlanError(f"{source.path}: products can be selected from spectra only")
    whole = channels is None or chan == (0, source.shape[2])
    return SelectVoltages(source if whole else SelectChannels(source, chan), (first, stop))


def _rows(source: Stream, rows: Any) -> tuple[int, int]:
    span, plain = _span("rows", rows)
    if plain and not 0 <= span.start < span.stop <= source.shape[0]:
        raise UsageError(f"rows {span.start} to {span.stop} are not within the {source.shape[0]} "
                         "rows of the stream")
    return row_span(source, span)


def _channels(source: Stream, channels: Any) -> tuple[int, int]:
    span, plain = _span("channels", channels)
    n_chan = source.shape[2]
    if not plain:
        return channel_span(source, span, source.path)
    if not 0 <= span.start < span.stop <= n_chan:
        raise UsageError(f"channels {span.start} to {span.stop} are not within the {n_chan} "
                         "channels of the stream")
    return int(span.start), int(span.stop)


def _span(name: str, value: Any) -> tuple[slice, bool]:
    """Return a selection of rows or channels as a slice, and whether it is a pair of integers."""
    if isinstance(value, slice) and value.step is None:
        return value, False
    if not isinstance(value, (tuple, list)) and not (np.ndim(value) == 1 and len(value) == 2):
        raise UsageError(f"{name} = {value!r}; allowed: a pair such as (0, 10), or a slice without "
                         "a step")
    if len(value) != 2:
        raise UsageError(f"{name} = {value!r}; allowed: two ends, such as (0, 10)")
    return slice(*value), all(map(is_number, value))


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
        """Return fewer channels of the source."""
        low = self.channels[0]
        return SelectChannels(self.source, (low + first, low + stop))

    def as_recorded(self) -> VoltageStream:
        """Return the same channels of the source as recorded."""
        if self._narrow is not None:
            return self._narrow.as_recorded()
        recorded = self.source.as_recorded()
        return self if recorded is self.source else SelectChannels(recorded, self.channels)

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to read `n` rows; usually all channels are read."""
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
    """A span of samples of voltages."""

    name = "select"

    def __init__(self, source: VoltageStream, rows: tuple[int, int]) -> None:
        self.rows = rows
        super().__init__(
            source, header=source.header.later(
                source.time_of(rows[0]), rows[0] / source.header.sample_rate),
            shape=(rows[1] - rows[0], *source.shape[1:]))

    @property
    def endless(self) -> bool:
        """Always false: the span has an end."""
        return False

    def valid_spans(self) -> tuple[Spans, ...] | None:
        """Return the valid spans of the source within the selected span."""
        spans = self.source.valid_spans()
        return spans and tuple(validity.shift(validity.clip(each, *self.rows), -self.rows[0])
                               for each in spans)

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the same rows, counted from the start of the source."""
        return self.rows[0] + start, n

    def narrowed(self, first: int, stop: int) -> VoltageStream | None:
        """Return some of the channels, if the source can read only these."""
        part = self.source.narrowed(first, stop)
        return None if part is None else SelectVoltages(part, self.rows)

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values."""
        return {"rows": list(self.rows)}

    def as_recorded(self) -> VoltageStream:
        """Return the same span of the source as recorded, if it begins at a byte boundary."""
        recorded = self.source.as_recorded()
        if recorded is self.source or self.rows[0] % recorded.row_step:
            return self
        return SelectVoltages(recorded, self.rows)

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return the block of the source, with spans counted from the first row of this stream."""
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
        """Read only the selected channels if the source can; otherwise, read all and select."""
        whole = self.channels == (0, self.source.shape[2])
        self._narrow = None if whole else self.source.narrowed(*self.channels)
        self._from = self.source if self._narrow is None else self._narrow
        self._cut = slice(None) if whole or self._narrow is not None else slice(*self.channels)

    def as_read(self) -> SelectSpectra:
        """Return the same rows of the selected channels, if only these are read; for a plan."""
        if self._narrow is None:
            return self
        return SelectSpectra(self._narrow, self.rows, (0, self._narrow.shape[2]))

    @property
    def endless(self) -> bool:
        """Always false: the span has an end."""
        return False

    def narrowed(self, first: int, stop: int) -> SpectrumStream | None:
        """Return some of the channels, if the source can compute only these."""
        low = self.channels[0]
        part = self.source.narrowed(low + first, low + stop)
        return None if part is None else SelectSpectra(part, self.rows, (0, part.shape[2]))

    def needs(self, start: int, n: int) -> tuple[int, int]:
        """Return the same rows, counted from the start of the source."""
        return self.rows[0] + start, n

    def parameters(self) -> Mapping[str, Any]:
        """Parameters that determine the values."""
        return {"rows": list(self.rows), "channels": list(self.channels)}

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to read `n` spectra."""
        return self._from.work_bytes(n) + (n * self.row_bytes if self._cut != slice(None) else 0)

    @property
    def columns(self) -> Mapping[str, str]:
        """Same as for the source."""
        return self.source.columns

    def read_columns(self, start: int, n: int) -> dict[str, NDArray[np.float64]]:
        """Return the values of the source's columns for the same rows."""
        return self.source.read_columns(self.rows[0] + start, n)

    @property
    def weight_channels(self) -> int:
        """Length of the weights' channel axis."""
        return 1 if self._from.weight_channels == 1 else self.shape[2]

    @property
    def least_flagged(self) -> int | None:  # type: ignore[override]
        """Same as for the source, to which the groups of rows belong."""
        return self.source.least_flagged

    def check_flag(self, sigma: float) -> None:
        """Same as for the source."""
        self.source.check_flag(sigma)

    def _channels(self, weight: NDArray[Any]) -> NDArray[Any]:
        return weight if weight.shape[2] == 1 else weight[:, :, self._cut]

    def _part(self, sums: Sums) -> Sums:
        return Sums(sums.total[:, :, self._cut], self._channels(sums.weight))

    def read_sums(self, start: int, n: int) -> Sums:
        """Return rows in their additive form."""
        self._check_range(start, n)
        return self._part(self._from.read_sums(self.rows[0] + start, n))

    def group_sums(self, start: int, n: int, n_each: int, flag_sigma: float | None = None
                   ) -> Sums:
        """Return the source's sums of the same rows."""
        self._check_range(start, n)
        return self._part(self._from.group_sums(self.rows[0] + start, n, n_each, flag_sigma))

    def group_bytes(self, n: int, flag_sigma: float | None = None) -> int:
        """Same as for the source."""
        return self._from.group_bytes(n, flag_sigma)

    @property
    def coded(self) -> bool:
        """Same as for the source."""
        return self._from.coded

    def read_coded(self, start: int, n: int) -> CodedBlock:
        """Return the codes of the source."""
        self._check_range(start, n)
        return self._from.read_coded(self.rows[0] + start, n).counted(start, self._cut)

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return means and weights of the source, unchanged."""
        self._check_range(start, n)
        whole = self._cut == slice(None)
        block = self._from.read_block(self.rows[0] + start, n, out if whole else None)
        if whole:
            return Block(block.data, self._channels(block.valid), start, n)
        # Copying on the reading thread, not on the writing one, makes a pass twice as fast.
        data = np.empty((n, *self.shape[1:]), block.data.dtype) if out is None else out[:n]
        np.copyto(data, block.data[:, :, self._cut])
        view = data.view()
        view.flags.writeable = False
        return Block(view, self._channels(block.valid), start, n)


class SelectProducts(PassedSpectra):
    """Some of the products of spectra, in the order of the given names."""

    name = "select"
    source: SpectrumStream

    def __init__(self, source: SpectrumStream, products: Any) -> None:
        names = (products,) if isinstance(products, str) else products
        if not isinstance(names, (tuple, list)) or not names:
            raise UsageError(f"products = {products!r}; allowed: names such as 'I' or ['AA', 'BB']")
        there = source.polarization
        self._places = product_indices(names, there.names, source.path)
        self.products = tuple(names)
        super().__init__(
            source, header=source.header.replace(polarization=replace(there, names=self.products)),
            shape=(source.shape[0], len(names), source.shape[2]), dtype=source.dtype)

    def parameters(self) -> Mapping[str, Any]:
        """The names of the products."""
        return {"products": list(self.products)}

    def narrowed(self, first: int, stop: int) -> SpectrumStream | None:
        """Return some of the channels, if the source can compute only these."""
        part = self.source.narrowed(first, stop)
        return None if part is None else SelectProducts(part, self.products)

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to compute `n` spectra."""
        return self.source.work_bytes(n) + n * self.row_bytes

    def _weights(self, weight: NDArray[Any]) -> NDArray[Any]:
        return weight if weight.shape[1] == 1 else weight[:, self._places]

    def read_sums(self, start: int, n: int) -> Sums:
        """Return rows in their additive form."""
        rows = self.source.read_sums(start, n)
        return Sums(rows.total[:, self._places], self._weights(rows.weight))

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return the selected products, with their weights."""
        self._check_range(start, n)
        block = self.source.read_block(start, n)
        data, weight = block.data[:, self._places], self._weights(block.valid)
        if out is not None:
            np.copyto(out[:n], data)
            data = out[:n].view()
        data.flags.writeable = False
        return Block(data, weight, start, n)
