"""Voltages of interleaved polarisations and channels, by sample or in heaps, as in DADA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.validity import Spans
from fastsig.io.voltages.segments import SegmentedVoltages
from fastsig.stream import VoltageStream
from fastsig.stream.header import Header
from fastsig.stream.raw_voltages import IntegerPairs

__all__ = ["ORDERS", "InterleavedVoltages", "Interleaving"]

#: Orders of channel (F) and polarisation (P); the last letter varies fastest.
ORDERS = ("TFP", "TPF")


class Interleaving(NamedTuple):
    """The order of the numbers of a sample."""

    n_chan: int
    n_pol: int
    n_dim: int  # 2 for complex samples
    dtype: np.dtype[Any]  # type of a number; unsigned integers are offset binary
    order: str
    heap: int = 1  # samples of a heap; if several, time varies fastest and polarisation slowest

    @property
    def row_bytes(self) -> int:
        """Bytes of a sample of all channels and polarisations."""
        return self.n_chan * self.n_pol * self.n_dim * self.dtype.itemsize

    def arranged(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Arrange the numbers of whole heaps as (time, pol, chan, part)."""
        if self.heap > 1:
            heaps = raw.reshape(-1, self.n_pol, self.n_chan, self.heap, self.n_dim)
            return heaps.transpose(0, 3, 1, 2, 4).reshape(-1, self.n_pol, self.n_chan, self.n_dim)
        if self.order == "TFP":
            return raw.reshape(-1, self.n_chan, self.n_pol, self.n_dim).swapaxes(1, 2)
        return raw.reshape(-1, self.n_pol, self.n_chan, self.n_dim)


class InterleavedVoltages(SegmentedVoltages):
    """Interleaved voltages of files: (time, pol) or (time, pol, chan), with channels ascending."""

    def __init__(self, header: Header, layout: Interleaving, paths: Sequence[str],
                 table: NDArray[np.int64]) -> None:
        shape: tuple[int, ...] = (int(table[:, 1].max()), layout.n_pol)
        if layout.n_chan > 1:
            shape += (layout.n_chan,)
        kind = np.dtype(np.complex64) if layout.n_dim == 2 else _signed(layout.dtype)
        super().__init__(header, shape, kind, paths[0], paths, table)
        self.may_have_nan = layout.dtype.kind == "f"
        self._layout = layout

    @property
    def align(self) -> int:
        """Samples of a heap, which can only be read as a whole."""
        return self._layout.heap

    def as_recorded(self) -> VoltageStream:
        """Return the integers of one channel in the order of the file, complex ones as pairs."""
        layout = self._layout
        plain = (layout.n_chan == 1 and layout.heap == 1
                 and layout.dtype in ("i1", "u1", "<i2"))
        if not plain:
            return self
        return IntegerPairs(self, layout.dtype, (0, 1, 2)[: 1 + layout.n_dim],
                            zero=128 if layout.dtype == "u1" else 0)

    def _read_recorded(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        return self._gather(start, n, out, self._fill_recorded)

    def _fill_recorded(self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[Any]
                       ) -> tuple[Spans, ...] | None:
        _, _, number, offset, recorded = segment
        raw = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
        self._raw.read_into(number, raw, offset + (first - recorded) * self._layout.row_bytes)
        if raw is not out:
            out[...] = raw
        return None

    def _fill(self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[Any]
              ) -> tuple[Spans, ...] | None:
        _, _, number, offset, recorded = segment
        layout = self._layout
        heap = (first - recorded) // layout.heap * layout.heap  # start of the heap of `first`
        n = -(-(stop - recorded - heap) // layout.heap) * layout.heap
        raw: NDArray[Any] = self._raw.read(
            number, n * layout.row_bytes, offset + heap * layout.row_bytes).view(layout.dtype)
        if layout.dtype.kind == "u":  # offset binary: the highest bit is the inverted sign
            half = layout.dtype.type(2 ** (8 * layout.dtype.itemsize - 1))
            raw = (raw ^ half).view(raw.dtype.str.replace("u", "i"))
        raw = layout.arranged(raw)[first - recorded - heap : stop - recorded - heap]
        if self.header.sideband == "lower":
            raw = raw[:, :, ::-1]
        target = out if layout.n_chan > 1 else out[:, :, np.newaxis]
        if layout.n_dim == 2:
            target.real, target.imag = raw[..., 0], raw[..., 1]
        else:
            target[...] = raw[..., 0]
        return None


def _signed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of the numbers returned, in the byte order of this machine."""
    return np.dtype(f"{'f' if dtype.kind == 'f' else 'i'}{dtype.itemsize}")
