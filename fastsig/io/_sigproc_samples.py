"""Codes behind a SIGPROC header, and spectra of them.

A band that falls in frequency is turned round where it costs least: codes of up to 8 bits in their
bytes, eight at a time, 0.1 ns a byte where turning the floats takes 0.3 a sample. In reversed bytes
the first code is in the highest bits, which is another order that the kernel decodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.header import Header
from fastsig.io._spectra import SegmentedSpectra
from fastsig.stream import Block, Codes

__all__ = ["BITS", "SampleLayout", "SigprocSpectra"]

BITS = (1, 2, 4, 8, 16, 32)

_PIECE = 2**19  # samples that are read and decoded at a time: these stay in a core's cache
_NUMBERS = {8: ("u1", "i1"), 16: ("<u2", "<i2"), 32: ("<f4", "<f4")}


class SampleLayout(NamedTuple):
    """How the samples of all spectra lie."""

    n_chan: int
    n_if: int
    n_bits: int
    signed: bool
    descending: bool

    @property
    def row_bits(self) -> int:
        """Bits of a spectrum."""
        return self.n_chan * self.n_if * self.n_bits


class SigprocSpectra(SegmentedSpectra):
    """Spectra of a SIGPROC scan: the codes as they are, or 32-bit floats."""

    def __init__(self, header: Header, layout: SampleLayout, paths: Sequence[str],
                 table: NDArray[np.int64]) -> None:
        shape = int(table[:, 1].max()), layout.n_if, layout.n_chan
        floats = layout.n_bits == 32
        super().__init__(header, shape, paths[0], paths, table, may_have_nan=floats,
                         weight_channels=layout.n_chan if floats else 1)
        self._layout = layout

    def codes(self) -> Codes | None:
        """The range of the codes; None of floats."""
        bits = self._layout.n_bits
        low = -(2 ** (bits - 1)) if self._layout.signed else 0
        return None if self.may_have_nan else Codes(low, low + 2**bits - 1)

    def read_block(self, start: int, n: int, out: NDArray[Any] | None = None) -> Block:
        """Spectra, float32, and weights; NaN where the weight is 0.

        `out`, of shape (n or more, product, chan), float32 and C-contiguous, takes the spectra
        where it is given.
        """
        if out is None:
            return super().read_block(start, n)
        self._check_range(start, n)
        data, weight = self._values(start, n, out[:n])
        if self.may_have_nan:
            lost = ~np.isfinite(data)
            if lost.any():
                data[lost], weight = np.nan, np.where(lost, np.float32(0), weight)
        view = data.view()
        view.flags.writeable = weight.flags.writeable = False
        return Block(view, weight, start, n)

    def _values(self, start: int, n: int, out: NDArray[np.float32] | None = None
                ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Spectra, NaN where no file holds them, and the weights of whole spectra."""
        if out is None:
            out = np.empty((n, *self.shape[1:]), np.float32)
        weight = np.zeros((n, self.shape[1], 1), np.float32)
        first = int(np.searchsorted(self._table[:, 1], start, side="right"))
        last = int(np.searchsorted(self._table[:, 0], start + n, side="left"))
        for segment in self._table[first:last].tolist():
            low, high = max(segment[0], start), min(segment[1], start + n)
            rows = slice(low - start, high - start)
            weight[rows] = 1
            self._fill(tuple(segment), low, high, out[rows], weight[rows])
        lost = weight[:, 0, 0] == 0
        if lost.any():
            out[lost] = np.nan
        return out, weight

    def _fill(self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[np.float32],
              weight: NDArray[np.float32]) -> None:
        _, _, number, offset, recorded = segment
        layout = self._layout
        step = max(1, _PIECE * layout.n_bits // layout.row_bits)
        decoder = Decoder(layout, min(step, stop - first))
        for at in range(first, stop, step):
            n = min(step, stop - at)
            bits, target = (at - recorded) * layout.row_bits, out[at - first : at - first + n]
            if layout.n_bits == 32 and not layout.descending:
                self._raw.read_into(number, target.view("<f4"), offset + bits // 8)
                continue
            raw = decoder.bytes_of(bits, n)
            self._raw.read_into(number, raw, offset + bits // 8)
            decoder.decode(raw, bits % 8, target)


class Decoder:
    """Codes to float32, with memory for `n` spectra at a time."""

    def __init__(self, layout: SampleLayout, n: int) -> None:
        self._layout = layout
        self._raw = np.empty(-(-n * layout.row_bits // 8) + 1, np.uint8)
        line = layout.n_chan * layout.n_bits
        turned = layout.descending and layout.n_bits <= 8 and line % 64 == 0
        self._words = line // 64 if turned else 0
        self._turned = np.empty((n * layout.n_if, self._words), np.uint64)

    def bytes_of(self, bits: int, n: int) -> NDArray[np.uint8]:
        """Memory for the bytes that hold `n` spectra from a bit on."""
        return self._raw[: -(-(bits % 8 + n * self._layout.row_bits) // 8)]

    def decode(self, raw: NDArray[np.uint8], skip: int, out: NDArray[np.float32]) -> None:
        """Spectra into `out`, (n, if, chan) and C-contiguous.

        `skip` bits of the first byte belong to the spectrum before.
        """
        descending = self._layout.descending
        if self._words:
            raw, descending = self._turn(raw), False
        flat = out.reshape(-1)
        if self._layout.n_bits >= 8:
            kind = _NUMBERS[self._layout.n_bits][self._layout.signed]
            numbers = raw.view(kind).reshape(out.shape)
            out[...] = numbers[:, :, ::-1] if descending else numbers
            return
        from fastsig_kernels import unpack  # here, for `info` does without numba

        n_bits, order = self._layout.n_bits, "msb" if self._words else "lsb"
        if not descending and 8 * len(raw) == flat.size * n_bits:
            unpack(raw, n_bits, order=order, out=flat)
            return
        codes = unpack(raw, n_bits)[skip // n_bits :][: out.size].reshape(out.shape)
        out[...] = codes[:, :, ::-1] if descending else codes

    def _turn(self, raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The bytes of every IF from last to first."""
        lines = raw.view(np.uint64).reshape(-1, self._words)
        turned = self._turned[: len(lines)]
        np.copyto(turned, lines[:, ::-1])
        turned.byteswap(inplace=True)
        return turned.view(np.uint8).reshape(-1)
