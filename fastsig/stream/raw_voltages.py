"""Voltages as a file has them: pairs of integers, or codes packed in bytes.

What `VoltageStream.as_recorded` returns where a format can: kernels convert samples in registers.
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
    """Voltages of a file, `source`, that are not decoded."""

    source: Any

    def work_bytes(self, n: int) -> int:
        """Memory that a thread takes to read `n` rows, with what the file's reader takes."""
        return n * self.row_bytes + int(self.source.work_bytes(0))


class IntegerPairs(_AsRecorded):
    """Voltages as integers, complex ones in pairs: what `as_recorded` returns.

    Parameters
    ----------
    source : VoltageStream
        A file with a method ``_read_recorded``, which fills arrays of this shape as `_read` does.
    dtype : dtype
        Type of a part.
    memory : tuple of int, optional
        Axes in the order in which a file has them, the last one running fastest.
    zero : int
        The number that stands for no signal: 128 in offset binary.
    """

    def __init__(self, source: Any, dtype: DTypeLike, memory: tuple[int, ...] | None = None, *,
                 zero: int = 0) -> None:
        self.source, self._memory, self.zero = source, memory, zero
        parts = (2,) if source.header.is_complex else ()
        super().__init__(source.header, source.shape + parts, dtype, source.path)

    @property
    def layout(self) -> dict[str, Any]:
        """With two polarisations sample by sample, where these run faster than time."""
        order = self._memory
        pairs = order is not None and self.n_pol == 2 and order.index(1) > order.index(0)
        return {**super().layout, "interleaved": pairs}

    def empty(self, n: int) -> NDArray[Any]:
        """A buffer for `n` rows, in memory as in the file."""
        if self._memory is None:
            return super().empty(n)
        shape = (n, *self.shape[1:])
        return np.empty([shape[axis] for axis in self._memory], self.dtype).transpose(
            np.argsort(self._memory))

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        spans: tuple[Spans, ...] = self.source._read_recorded(start, n, out)
        return spans


class PackedCodes(_AsRecorded):
    """Voltages as codes of 1, 2 or 4 bits in bytes: what `as_recorded` returns.

    Arrays are (byte, pol). Codes need not have a zero: what is not valid is not blanked.

    Parameters
    ----------
    source : VoltageStream
        A file with a method ``_read_packed``, which fills such arrays and returns valid spans.
    bits : int
        Of a code.
    levels : tuple of float
        Values of the codes.
    order : {"lsb", "msb"}
        Whether the first code of a byte is in its lowest bits, or in its highest.
    """

    blanked = False

    def __init__(self, source: Any, bits: int, levels: tuple[float, ...], order: str = "lsb"
                 ) -> None:
        self.source = source
        self._told = {"kind": "packed", "bits": bits, "levels": levels, "order": order}
        self.sample_bits = bits * (2 if source.header.is_complex else 1)
        self.row_step = 8 // self.sample_bits
        super().__init__(source.header, source.shape, np.uint8, source.path)

    @property
    def layout(self) -> dict[str, Any]:
        """Codes, and their levels."""
        return {**super().layout, **self._told}

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in memory, at least one."""
        return -(-self.n_pol * self.sample_bits // 8)

    def empty(self, n: int) -> NDArray[Any]:
        """A buffer for `n` rows."""
        return np.empty((self.n_pol, n // self.row_step), np.uint8).T

    def _read(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        spans: tuple[Spans, ...] = self.source._read_packed(start, n, out)
        return spans

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Bytes of rows, and valid spans; `start` and `n` are multiples of `row_step`."""
        self._check_range(start, n)
        if start % self.row_step or n % self.row_step:
            raise UsageError(f"rows {start} to {start + n} are packed {self.row_step} in a byte; "
                             "allowed: whole bytes")
        data = self.empty(n) if out is None else out[: n // self.row_step]
        spans = self._read(start, n, data)
        view = data.view()
        view.flags.writeable = False
        return Block(view, spans, start, n)
