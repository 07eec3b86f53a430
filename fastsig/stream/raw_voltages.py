"""Voltages as stored in a file: pairs of integers, or codes packed in bytes.

`VoltageStream.as_recorded` returns them for formats that support it; kernels convert the samples in
registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastsig.axes.validity import Spans
from fastsig.errors import UsageError
from fastsig.stream import Block, VoltageStream

__all__ = ["PackedCodes", "IntegerPairs"]


class _AsRecorded(VoltageStream):
    """Voltages of a file, `source`, without decoding."""

    source: Any

    def come(self, stop: int, seconds: float) -> bool:
        """Wait for at most some seconds, as the stream of the file does."""
        return bool(self.source.come(stop, seconds))

    def content_records(self, *, whole: bool = False) -> list[dict[str, Any]] | None:
        """Return the records of the file."""
        found: list[dict[str, Any]] | None = self.source.content_records(whole=whole)
        return found

    def release(self, row: int) -> None:
        """State that no row before `row` is needed."""
        self.source.release(row)

    def work_bytes(self, n: int) -> int:
        """Memory that a thread needs to read `n` rows, including that of the file's reader."""
        return n * self.row_bytes + int(self.source.work_bytes(0))

    @property
    def endless(self) -> bool:
        """Same as for the source."""
        return bool(self.source.endless)

    def arrived(self, stop: int) -> int:
        """Same as for the source."""
        return int(self.source.arrived(stop))


class IntegerPairs(_AsRecorded):
    """Voltages as integers, complex ones in pairs, as returned by `as_recorded`.

    Parameters
    ----------
    source : VoltageStream
        A file with a method ``_read_recorded``, which fills arrays of this shape as `_read` does.
    dtype : dtype
        Type of the integers.
    memory : tuple of int, optional
        Axes in the order of the file; the last one varies fastest.
    zero : int
        The number that represents no signal: 128 in offset binary.
    """

    def __init__(self, source: Any, dtype: DTypeLike, memory: tuple[int, ...] | None = None, *,
                 zero: int = 0) -> None:
        self.source, self._memory, self.zero = source, memory, zero
        parts = (2,) if source.header.is_complex else ()
        super().__init__(source.header, source.shape + parts, dtype, source.path)

    @property
    def layout(self) -> dict[str, Any]:
        """Layout in memory; two polarisations are interleaved if they vary faster than time."""
        order = self._memory
        pairs = order is not None and self.n_pol == 2 and order.index(1) > order.index(0)
        return {**super().layout, "interleaved": pairs}

    def empty(self, n: int) -> NDArray[Any]:
        """Return a buffer for `n` rows, with the memory order of the file."""
        if self._memory is None:
            return super().empty(n)
        shape = (n, *self.shape[1:])
        return np.empty([shape[axis] for axis in self._memory], self.dtype).transpose(
            np.argsort(self._memory))

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        spans: tuple[Spans, ...] = self.source._read_recorded(start, n, out)
        return spans


class PackedCodes(_AsRecorded):
    """Voltages as codes of 1, 2 or 4 bits in bytes, as returned by `as_recorded`.

    Arrays are (byte, pol). Codes need not include zero, so that invalid samples are not blanked.

    Parameters
    ----------
    source : VoltageStream
        A file with a method ``_read_packed``, which fills these arrays and returns valid spans.
    bits : int
        Bits of a code.
    levels : tuple of float
        Values of the codes.
    order : {"lsb", "msb"}
        Whether the first code of a byte is in its lowest bits, or in its highest.
    """

    blanked = False

    def __init__(self, source: Any, bits: int, levels: tuple[float, ...], order: str = "lsb"
                 ) -> None:
        self.source = source
        self._packing = {"kind": "packed", "bits": bits, "levels": levels, "order": order}
        self.sample_bits = bits * (2 if source.header.is_complex else 1)
        self.row_step = 8 // self.sample_bits
        super().__init__(source.header, source.shape, np.uint8, source.path)

    @property
    def layout(self) -> dict[str, Any]:
        """Layout in memory, with the packing of codes and their levels."""
        return {**super().layout, **self._packing}

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in memory, at least one."""
        return -(-self.n_pol * self.sample_bits // 8)

    def empty(self, n: int) -> NDArray[Any]:
        """Return a buffer for `n` rows."""
        return np.empty((self.n_pol, n // self.row_step), np.uint8).T

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        spans: tuple[Spans, ...] = self.source._read_packed(start, n, out)
        return spans

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Return the bytes of rows, and valid spans; `start`, `n` are multiples of `row_step`."""
        self._check_range(start, n)
        if start % self.row_step or n % self.row_step:
            raise UsageError(f"rows {start} to {start + n} are packed, {self.row_step} per byte; "
                             "allowed: whole bytes")
        data = self.empty(n) if out is None else out[: n // self.row_step]
        spans = self._read(start, n, data)
        view = data.view()
        view.flags.writeable = False
        return Block(view, spans, start, n)
