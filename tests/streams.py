"""Streams in memory and small native files for tests."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from fastsig.axes import validity
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import parse_time
from fastsig.io.native.writer import NativeWriter
from fastsig.io.spectra.segments import FileSpectra
from fastsig.stream import Block, Sink, Stream, VoltageStream
from fastsig.stream.header import Header

START = "2021-03-04T05:06:07.123456789"


def header(
    rate: Any = 10**6, *, low_hz: int = 10**9, sideband: str = "upper", is_complex: bool = False,
    n_pol: int = 2, n_bits: int = 8, n_chan: int = 1, start: str = START,
) -> Header:
    """A header whose band begins at `low_hz`."""
    width = Fraction(rate) if is_complex else Fraction(rate) / 2
    axis = ChannelAxis(Fraction(low_hz) + width / 2, width, n_chan)
    return Header(
        parse_time(start), Fraction(rate), axis, sideband=sideband,
        polarization=PolBasis("linear", ("X", "Y")[:n_pol]), n_bits=n_bits, is_complex=is_complex,
        telescope="FAST", source="TEST", beam=1, ra_deg=123.5, dec_deg=-12.25,
    )


class MemoryVoltages(VoltageStream):
    """Voltages that lie in an array (time, pol[, chan])."""

    def __init__(self, data: np.ndarray, head: Header, valid: Any = None) -> None:
        super().__init__(head, data.shape, data.dtype, "memory")
        self.samples = data
        self.spans = valid or (validity.full(0, len(data)),) * data.shape[1]

    @property
    def files(self) -> list[str]:
        """None: the samples are in memory."""
        return []

    def _read(self, start: int, n: int, out: np.ndarray) -> Any:
        out[...] = self.samples[start : start + n]
        return tuple(validity.clip(spans, start, start + n) for spans in self.spans)


class MemorySpectra(FileSpectra):
    """Spectra that lie in an array (time, product, chan); NaN is what is lost."""

    def __init__(self, data: np.ndarray, head: Header) -> None:
        super().__init__(head, data.shape, "memory", weight_channels=data.shape[2],
                         may_have_nan=True)
        self.spectra = data.astype(np.float32)

    @property
    def files(self) -> list[str]:
        """None: the spectra are in memory."""
        return []

    def _values(self, start: int, n: int) -> Any:
        return self.spectra[start : start + n].copy(), None


class CountedSpectra(MemorySpectra):
    """Spectra that count the rows that are read."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.rows_read, self._count = 0, threading.Lock()

    def read_block(self, start: int, n: int, out: Any = None) -> Any:
        with self._count:
            self.rows_read += n
        return super().read_block(start, n, out)


def noise(rng: np.random.Generator, n: int, n_pol: int = 2, sigma: float = 20) -> np.ndarray:
    """Gaussian int8 samples."""
    return np.clip(np.round(rng.normal(0, sigma, (n, n_pol))), -128, 127).astype(np.int8)


def write_native(path: Path, data: np.ndarray, head: Header, valid: Any = None) -> Path:
    """A native voltage file of `data`."""
    with NativeWriter(path, head, len(data)) as writer:
        for start in range(0, len(data), 50_001):
            part = data[start : start + 50_001]
            spans = None
            if valid is not None:
                spans = tuple(validity.clip(s, start, start + len(part)) for s in valid)
            writer.append(part, spans)
    return path


def lose_packets(
    rng: np.random.Generator, n: int, share: float, packet: int, n_pol: int = 2
) -> tuple[np.ndarray, ...]:
    """Valid spans after a share of the packets was lost at random, each polarisation apart."""
    count = n // packet
    spans = []
    for _ in range(n_pol):
        kept = np.flatnonzero(rng.random(count) >= share)
        spans.append(validity.as_spans(np.stack([kept * packet, (kept + 1) * packet], axis=1)))
    return tuple(spans)


class Collected(Sink):
    """A sink that returns all rows and their weights."""

    name = "collect"
    takes_endless = True

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self.blocks: list[Block] = []

    def merge(self, part: Block) -> None:
        self.blocks.append(part)

    def finish(self, n_rows: int) -> Any:
        assert sum(block.n for block in self.blocks) == n_rows
        return (np.concatenate([block.data for block in self.blocks]),
                np.concatenate([block.valid for block in self.blocks]))
