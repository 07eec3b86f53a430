"""The codes after a SIGPROC header, and spectra made from them.

A band of descending frequency is reversed where it costs least. Codes of 8 bits are reversed by
the kernel that converts them to floats, and so are floats, which takes half the time that NumPy
takes. Codes of fewer bits are reversed as bytes, eight at a
time, which takes 0.1 ns per byte, while reversing floats takes 0.3 ns per sample. In reversed bytes
the first code is in the highest bits, an order that the kernel decodes as well.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.io.spectra.segments import SegmentedSpectra
from fastsig.stream import CodedBlock, Codes
from fastsig.stream.header import Header

__all__ = ["BITS", "SampleLayout", "SigprocSpectra"]

BITS = (1, 2, 4, 8, 16, 32)

_SEEK = 2**16  # least bytes between two pieces of a band that are read separately
_PIECE = 2**19  # samples, or bytes, that are read and decoded at a time: they stay in the cache
_NUMBERS = {8: ("u1", "i1"), 16: ("<u2", "<i2"), 32: ("<f4", "<f4")}


class SampleLayout(NamedTuple):
    """The layout of the samples of all spectra."""

    n_chan: int
    n_if: int
    n_bits: int
    signed: bool
    descending: bool

    @property
    def row_bits(self) -> int:
        """Bits of a spectrum."""
        return self.n_chan * self.n_if * self.n_bits

    def at_once(self, n_sample: int) -> int:
        """Return how many spectra of `n_sample` samples are read and decoded at a time."""
        return max(1, _PIECE // (n_sample * max(1, self.n_bits // 8)))


class SigprocSpectra(SegmentedSpectra):
    """The spectra of a SIGPROC scan: unscaled codes, or 32-bit floats."""

    def __init__(self, header: Header, layout: SampleLayout, paths: Sequence[str],
                 table: NDArray[np.int64]) -> None:
        shape = int(table[:, 1].max()), layout.n_if, layout.n_chan
        floats = layout.n_bits == 32
        super().__init__(header, shape, paths[0], paths, table, may_have_nan=floats,
                         weight_channels=layout.n_chan if floats else 1)
        self._layout, self._band = layout, (0, layout.n_chan)

    def band(self, start: int, stop: int) -> SigprocSpectra:
        """Return a stream of the channels `start` to `stop` - 1.

        Only their bytes are read if those of consecutive spectra are at least 64 KiB apart; if they
        are closer, reading everything costs less.
        """
        part = copy.copy(self)
        part._position = 0
        part._band = self._band[0] + start, self._band[0] + stop
        part.shape = (*self.shape[:2], stop - start)
        part._weight_channels = stop - start if self.may_have_nan else 1
        axis = self.header.channels
        part.header = self.header.replace(channels=axis.sliced(start, stop) if axis else None)
        return part

    @property
    def channel_run(self) -> int:
        """Number of neighbouring channels that cost as little to read together as one of them."""
        return max(1, 8 * _SEEK // self._layout.n_bits)

    def codes(self) -> Codes | None:
        """Return the range of the codes; None for floats."""
        bits = self._layout.n_bits
        low = -(2 ** (bits - 1)) if self._layout.signed else 0
        return None if self.may_have_nan else Codes(low, low + 2**bits - 1)

    @property
    def coded(self) -> bool:
        """Whether these are unsigned codes of 8 bits, of one product."""
        layout = self._layout
        return layout.n_bits == 8 and not layout.signed and layout.n_if == 1

    def read_coded(self, start: int, n: int) -> CodedBlock:
        """Return the codes of the files; 0, and the weight 0, where there are none."""
        self._check_range(start, n)
        codes, weight = np.zeros((n, self.shape[2]), np.uint8), np.zeros((n, 1, 1), np.float32)
        for segment in self._segments(start, n):
            low, high = max(segment[0], start), min(segment[1], start + n)
            rows = slice(low - start, high - start)
            self._fill_codes(segment, low, codes[rows])
            weight[rows] = 1
        codes.flags.writeable = weight.flags.writeable = False
        return CodedBlock(codes, weight, start, n)

    def _fill_codes(self, segment: Sequence[int], first: int, out: NDArray[np.uint8]) -> None:
        """Put the codes of spectra from `first` on, all of one segment, into an array."""
        _, _, number, offset, recorded = segment
        n_chan, (low, high) = self._layout.n_chan, self._band
        step = max(1, _PIECE // n_chan)
        for at in range(0, len(out), step):
            part = out[at : at + step]
            whole = part.shape[1] == n_chan and not self._layout.descending
            raw = part if whole else np.empty((len(part), n_chan), np.uint8)
            self._raw.read_into(number, raw, offset + (first + at - recorded) * n_chan)
            if not whole:
                part[...] = (_turned(raw) if self._layout.descending else raw)[:, low:high]

    def _fill(self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[np.float32],
              weight: NDArray[np.float32]) -> None:
        if self._band != (0, self._layout.n_chan):
            self._fill_band(segment, first, stop, out)
            return
        _, _, number, offset, recorded = segment
        layout = self._layout
        step = layout.at_once(layout.n_chan * layout.n_if)
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

    def _fill_band(self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[np.float32]
                   ) -> None:
        """Like `_fill`, for some of the channels."""
        n_chan, n_if, n_bits, _, descending = layout = self._layout
        low, high = self._band
        low, high = (n_chan - high, n_chan - low) if descending else (low, high)
        # The bytes of a piece: only those of the band, or those of whole spectra.
        apart = n_chan * n_bits % 8 == 0 and (n_chan - high + low) * n_bits >= 8 * _SEEK
        begin, end = (low * n_bits // 8, -(-high * n_bits // 8)) if apart else (0, 0)
        step = layout.at_once((high - low if apart else n_chan) * n_if)
        pieces = np.empty((step * n_if, end - begin), np.uint8)
        for at in range(first, stop, step):
            n, recorded = min(step, stop - at), at - segment[4]
            if apart:
                codes = self._pieces(segment, recorded * n_if, begin, pieces[: n * n_if])
                skip = low * n_bits % 8 // n_bits
                codes = codes.reshape(n, n_if, -1)[:, :, skip : skip + high - low]
            else:
                bits = recorded * layout.row_bits
                raw = np.empty(-(-(bits % 8 + n * layout.row_bits) // 8), np.uint8)
                self._raw.read_into(segment[2], raw, segment[3] + bits // 8)
                codes = numbers(layout, raw)[bits % 8 // n_bits :][: n * n_if * n_chan]
                codes = codes.reshape(n, n_if, n_chan)[:, :, low:high]
            _put(codes, descending, out[at - first : at - first + n])

    def _pieces(self, segment: tuple[int, ...], line: int, begin: int, raw: NDArray[np.uint8]
                ) -> NDArray[Any]:
        """Return numbers of IFs from `line` on; `raw` receives their bytes from `begin` on."""
        line_bytes = self._layout.n_chan * self._layout.n_bits // 8
        for index, target in enumerate(raw, line):
            self._raw.read_into(segment[2], target, segment[3] + index * line_bytes + begin)
        return numbers(self._layout, raw.reshape(-1))


def _turned(raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return codes with the channels in reverse order; eight at a time, if possible."""
    if raw.shape[1] % 8:
        return raw[:, ::-1]
    return raw.view(np.uint64)[:, ::-1].byteswap().view(np.uint8)


def _put(codes: NDArray[Any], descending: bool, out: NDArray[np.float32]) -> None:
    """Put numbers, (n, if, chan), into `out`, in ascending order of frequency."""
    if codes.dtype.itemsize == 1 or (descending and codes.dtype == np.float32):
        from fastsig_kernels import widen  # here, as `info` does not need numba

        widen(codes, reverse=descending, out=out)
    else:
        out[...] = codes[:, :, ::-1] if descending else codes


def numbers(layout: SampleLayout, raw: NDArray[np.uint8]) -> NDArray[Any]:
    """Return all numbers in some bytes."""
    if layout.n_bits >= 8:
        return raw.view(_NUMBERS[layout.n_bits][layout.signed])
    from fastsig_kernels import unpack  # here, as `info` does not need numba

    return unpack(raw, layout.n_bits)  # type: ignore[no-any-return]


class Decoder:
    """A decoder of codes to float32, with memory for `n` spectra at a time."""

    def __init__(self, layout: SampleLayout, n: int) -> None:
        self._layout = layout
        self._raw = np.empty(-(-n * layout.row_bits // 8) + 1, np.uint8)
        line = layout.n_chan * layout.n_bits
        turned = layout.descending and layout.n_bits < 8 and line % 64 == 0
        self._words = line // 64 if turned else 0
        self._turned = np.empty((n * layout.n_if, self._words), np.uint64)

    def bytes_of(self, bits: int, n: int) -> NDArray[np.uint8]:
        """Return memory for the bytes that contain `n` spectra from a bit on."""
        return self._raw[: -(-(bits % 8 + n * self._layout.row_bits) // 8)]

    def decode(self, raw: NDArray[np.uint8], skip: int, out: NDArray[np.float32]) -> None:
        """Decode spectra into `out`, (n, if, chan) and C-contiguous.

        The first `skip` bits belong to the preceding spectrum.
        """
        descending = self._layout.descending
        if self._words:
            raw, descending = self._turn(raw), False
        flat = out.reshape(-1)
        if self._layout.n_bits >= 8:
            _put(numbers(self._layout, raw).reshape(out.shape), descending, out)
            return
        from fastsig_kernels import unpack

        n_bits, order = self._layout.n_bits, "msb" if self._words else "lsb"
        if not descending and 8 * len(raw) == flat.size * n_bits:
            unpack(raw, n_bits, order=order, out=flat)
            return
        codes = unpack(raw, n_bits)[skip // n_bits :][: out.size].reshape(out.shape)
        out[...] = codes[:, :, ::-1] if descending else codes

    def _turn(self, raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the bytes of every IF in reverse order."""
        lines = raw.view(np.uint64).reshape(-1, self._words)
        turned = self._turned[: len(lines)]
        np.copyto(turned, lines[:, ::-1])
        turned.byteswap(inplace=True)
        return turned.view(np.uint8).reshape(-1)
