"""The rows in a ring as endless streams, for the stages and sinks that also read files."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes import validity
from fastsig.axes.validity import Spans
from fastsig.errors import DataError, UsageError
from fastsig.io.live.readers import Reader
from fastsig.io.live.ring import Ring
from fastsig.io.spectra.segments import FileSpectra
from fastsig.io.voltages.interleaved import Interleaving
from fastsig.stream import ENDLESS, Codes, VoltageStream
from fastsig.stream.raw_voltages import IntegerPairs, PackedCodes

__all__ = ["RingSpectra", "RingVoltages", "open_ring"]


def open_ring(name: str | Ring, label: str = "", *, timeout: float = np.inf
              ) -> RingVoltages | RingSpectra:
    """Open a ring as a stream, and wait for its first packet.

    Parameters
    ----------
    name : str or Ring
        Name of a ring, or a ring that this process has attached to.
    label : str, optional
        What lists of readers call this one: by default "reader".
    timeout : float, optional
        Seconds to wait for the first packet.

    Raises
    ------
    FormatError
        If there is no such ring.
    UsageError
        If it contains the bytes of a pipe, which are kept only for the readers known to its writer.
    DataError
        If no packet comes.
    """
    ring = Ring.attach(name) if isinstance(name, str) else name
    if ring.layout.kind == "bytes":
        raise UsageError(f"{ring.label}: its ring contains the bytes of a pipe, which only its own "
                         "session can read; allowed: the ring of a source of packets")
    if not ring.wait_started(timeout):
        raise DataError(ring.label, "nothing has been received" + (
            f" within {timeout:g} s" if timeout < 1e9 else ", and nothing more will be"))
    kind = RingVoltages if ring.layout.kind == "voltage" else RingSpectra
    return kind(ring, Reader(ring, label or "reader"))


class _InRing:
    """The properties that streams of both kinds share."""

    ring: Ring
    reader: Reader
    path: str

    @property
    def endless(self) -> bool:
        """True: the number of rows is not known."""
        return True

    @property
    def files(self) -> list[str]:
        """No files: the rows are in memory."""
        return []

    @property
    def align(self) -> int:
        """Rows of a slot."""
        return self.ring.layout.slot_rows

    def arrived(self, stop: int) -> int:
        """Wait for row ``stop - 1`` or the end; return `stop`, or the number of rows if smaller."""
        return self.reader.wait(stop)

    def come(self, stop: int, seconds: float) -> bool:
        """Wait for at most some seconds; return whether `arrived` would return at once."""
        return self.reader.come(stop, seconds)

    def release(self, row: int) -> None:
        """State that no row before `row` is needed; a writer that can wait then makes room."""
        self.reader.release(row)

    @property
    def bytes_of_row(self) -> Fraction:
        """Bytes of a row in the ring."""
        return Fraction(self.ring.layout.slot_bytes, self.ring.layout.slot_rows)

    def stop(self) -> None:
        """Let this stream end with the rows that may be read now."""
        self.reader.stop()

    def verify(self) -> None:
        """Do nothing: rows that have not come cannot be read."""

    def close(self) -> None:
        """Detach from the ring, which other streams may still read."""
        self.reader.close()

    def _shed(self, start: int, n: int) -> bool:
        """Whether all these rows are left out, because the reader was too slow for them."""
        return start + n <= self.reader.floor


class RingVoltages(_InRing, VoltageStream):
    """The voltages in a ring: (time, pol), or (time, pol, chan).

    Rows that did not come, or that were overwritten before they were read, are invalid.

    Parameters
    ----------
    ring : Ring
    reader : Reader
    """

    def __init__(self, ring: Ring, reader: Reader) -> None:
        self.ring, self.reader, layout = ring, reader, ring.layout
        header = ring.header
        self._interleaving = Interleaving(
            layout.n_chan, layout.n_pol, 2 if header.is_complex else 1, np.dtype(layout.dtype),
            layout.order)
        shape: tuple[int, ...] = (ENDLESS, layout.n_pol * layout.n_part)
        if layout.n_chan > 1:
            shape += (layout.n_chan,)
        super().__init__(header, shape, self._kind(), ring.label)
        self.may_have_nan = layout.dtype == "<f4"
        self.levels = layout.levels or None
        self.reopening = open_ring, (ring.name,)

    def _kind(self) -> Any:
        layout = self.ring.layout
        if self._interleaving.n_dim == 2:
            return np.complex64
        if layout.bits or layout.dtype == "<f4":
            return np.float32
        return np.dtype(layout.dtype.replace("u", "i"))

    def as_recorded(self) -> VoltageStream:
        """Return packed codes, pairs of integers, or offset binary, of one channel."""
        layout = self.ring.layout
        if layout.bits and layout.n_chan == layout.n_pol == 1:
            return PackedCodes(self, layout.bits, layout.levels)
        pairs = self._interleaving.n_dim == 2 and layout.dtype in ("i1", "<i2")
        if layout.n_chan == 1 and not layout.bits and (pairs or layout.dtype == "u1"):
            memory = (0, 1, 2) if pairs and layout.n_part == 1 else None
            return IntegerPairs(self, layout.dtype, memory,
                                zero=128 if layout.dtype == "u1" else 0)
        return self

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        def place(raw: NDArray[np.uint8], part: int, rows: slice, skip: slice) -> None:
            self._decode(raw, skip, out[rows, self._pols(part)])

        return self._gather(start, n, place)

    def _read_recorded(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        def place(raw: NDArray[np.uint8], part: int, rows: slice, skip: slice) -> None:
            target = out[rows, self._pols(part)]
            target[...] = np.ascontiguousarray(raw).view(out.dtype).reshape(target.shape)

        return self._gather(start, n, place)

    def _read_packed(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        step = n // max(1, len(out))

        def place(raw: NDArray[np.uint8], part: int, rows: slice, skip: slice) -> None:
            out[rows.start // step : rows.stop // step, part] = raw.reshape(-1)

        return self._gather(start, n, place)

    def _pols(self, part: int) -> slice:
        n_pol = self.ring.layout.n_pol
        return slice(part * n_pol, (part + 1) * n_pol)

    def _gather(self, start: int, n: int, place: Any) -> tuple[Spans, ...]:
        """Copy the packets that contain these rows; return the valid spans of each polarisation."""
        ring, layout = self.ring, self.ring.layout
        found: list[list[Spans]] = [[validity.full(0, 0)] for _ in range(self.n_pol)]
        lost = 0
        for row, places, skip, slot in () if self._shed(start, n) else ring.pieces(start, n):
            before = ring.came(places, slot)
            size = skip.stop - skip.start
            rows = slice(row - start, row - start + size * len(before))
            octets = _bytes_of(skip, layout.slot_rows, layout.part_bytes)
            for part in np.flatnonzero(before.any(axis=0)).tolist():
                place(ring.memory.payload[places, part, octets], part, rows, skip)
            good = before & ring.came(places, slot)
            lost += size * ring.overwritten(places, slot)
            for part in range(layout.n_part):
                spans = validity.from_mask(good[:, part]) * size + row
                for pol in range(layout.n_pol):
                    found[part * layout.n_pol + pol].append(spans)
        self._note(start, n, lost)
        return tuple(validity.as_spans(np.concatenate(each)) for each in found)

    def _note(self, start: int, n: int, lost: int) -> None:
        shed = self._shed(start, n)
        self.reader.note(start, start + n, n * self.ring.layout.n_part if shed else lost)

    def _decode(self, raw: NDArray[np.uint8], skip: slice, out: NDArray[Any]) -> None:
        """Decode the bytes of rows of slots, (slot, byte), into `out`, (row, pol[, chan])."""
        layout, inner = self.ring.layout, self._interleaving
        if layout.bits:
            out[...] = _unpacked(raw, layout.bits, layout.levels, inner.n_dim, out.shape, skip)
            return
        numbers = raw.view(layout.dtype)
        if numbers.dtype.kind == "u":  # offset binary: the highest bit is the inverted sign
            half = numbers.dtype.type(2 ** (8 * numbers.dtype.itemsize - 1))
            numbers = (numbers ^ half).view(layout.dtype.replace("u", "i"))
        if inner.n_dim == layout.n_chan == layout.n_pol == 1:
            out[:, 0].reshape(numbers.shape)[...] = numbers
            return
        arranged = inner.arranged(numbers.reshape(-1))
        target = out if layout.n_chan > 1 else out[:, :, np.newaxis]
        if layout.n_chan > 1 and self.header.sideband == "lower":
            arranged = arranged[:, :, ::-1]
        if inner.n_dim == 2:
            target.real, target.imag = arranged[..., 0], arranged[..., 1]
        else:
            target[...] = arranged[..., 0]


class RingSpectra(_InRing, FileSpectra):
    """The spectra in a ring, float32 (time, product, chan).

    Spectra of which a packet did not come, or was overwritten before it was read, have the weight 0
    in the channels and products of this packet.

    Parameters
    ----------
    ring : Ring
    reader : Reader
    """

    def __init__(self, ring: Ring, reader: Reader) -> None:
        self.ring, self.reader, layout = ring, reader, ring.layout
        item = np.dtype(layout.dtype).itemsize
        #: Packets that contain the channels of the same products.
        self._split = max(1, layout.slot_rows * layout.n_chan * layout.n_pol * item
                          // layout.part_bytes)
        n_product = layout.n_pol * layout.n_part // self._split
        floats = layout.dtype == "<f4"
        wide = layout.n_chan if floats or self._split > 1 else 1
        super().__init__(ring.header, (ENDLESS, n_product, layout.n_chan), ring.label,
                         weight_channels=wide, may_have_nan=floats)
        self._signed = layout.signed or (False,) * n_product
        self.reopening = open_ring, (ring.name,)

    def codes(self) -> Codes | None:
        """Return the range of the codes; None for floats."""
        if self.ring.layout.dtype == "<f4":
            return None
        bits = 8 * np.dtype(self.ring.layout.dtype).itemsize
        low = -(2 ** (bits - 1)) if any(self._signed) else 0
        return Codes(low, 2**bits - 1 if not all(self._signed) else low + 2**bits - 1)

    def _values(self, start: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        out = np.zeros((n, *self.shape[1:]), np.float32)
        return out, self._into(start, n, out)

    def _into(self, start: int, n: int, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """Copy the packets that contain these rows; return the weights."""
        ring, layout = self.ring, self.ring.layout
        came, lost = np.zeros((n, layout.n_part), bool), 0
        for row, places, skip, slot in () if self._shed(start, n) else ring.pieces(start, n):
            before, size = ring.came(places, slot), skip.stop - skip.start
            rows = slice(row - start, row - start + size * len(before))
            octets = _bytes_of(skip, layout.slot_rows, layout.part_bytes)
            for part in np.flatnonzero(before.any(axis=0)).tolist():
                self._place(ring.memory.payload[places, part, octets], part, out[rows])
            good = before & ring.came(places, slot)
            lost += size * ring.overwritten(places, slot)
            came[rows] = np.repeat(good, size, axis=0)
        shed = self._shed(start, n)
        self.reader.note(start, start + n, n * layout.n_part if shed else lost)
        return self._weights(came)

    def _place(self, raw: NDArray[np.uint8], part: int, out: NDArray[np.float32]) -> None:
        """Decode a packet of each of some slots, (slot, byte), into `out`."""
        layout = self.ring.layout
        group, half = divmod(part, self._split)
        n_chan = layout.n_chan // self._split
        channels = slice(half * n_chan, (half + 1) * n_chan)
        numbers = raw.view(layout.dtype)
        for pol in range(layout.n_pol):
            product = group * layout.n_pol + pol
            signed = numbers.view(layout.dtype.replace("u", "i")) if self._signed[product] \
                else numbers
            values = (signed.reshape(len(raw), -1, n_chan, layout.n_pol)[..., pol]
                      if layout.order == "TFP"
                      else signed.reshape(len(raw), -1, layout.n_pol, n_chan)[:, :, pol])
            out[:, product, channels] = values.reshape(-1, n_chan)

    def _weights(self, came: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the weights of rows from the packets that came, (row, part)."""
        layout = self.ring.layout
        each = came.reshape(len(came), -1, self._split)
        if self._split == 1 or (each.all(axis=2) == each.any(axis=2)).all():
            return np.repeat(each[:, :, :1], layout.n_pol, axis=1).astype(np.float32)
        wide = np.repeat(each, layout.n_chan // self._split, axis=2)
        return np.repeat(wide, layout.n_pol, axis=1).astype(np.float32)


def _bytes_of(rows: slice, slot_rows: int, part_bytes: int) -> slice:
    """Return the bytes of a packet that contain some of its rows."""
    return slice(rows.start * part_bytes // slot_rows, -(-rows.stop * part_bytes // slot_rows))


def _unpacked(raw: NDArray[np.uint8], bits: int, levels: tuple[float, ...], n_dim: int,
              shape: tuple[int, ...], skip: slice) -> NDArray[Any]:
    """Return the values of packed codes of some rows of slots, in the shape of the result."""
    from fastsig_kernels import unpack

    values = unpack(np.ascontiguousarray(raw).reshape(-1), bits,
                    levels=np.array(levels, np.float32)).reshape(len(raw), -1)
    n_bit = bits * n_dim * int(np.prod(shape[1:]))
    first = skip.start * n_bit % 8 // bits
    n = (skip.stop - skip.start) * n_bit // bits
    chosen = np.ascontiguousarray(values[:, first : first + n])
    made = chosen.view(np.complex64) if n_dim == 2 else chosen
    return made.reshape(-1, *shape[2:], shape[1]).swapaxes(1, -1).reshape(shape)
