"""GUPPI RAW: blocks of a text header and channelised complex voltages, in one file or several.

PKTIDX gives the place of a block, so blocks may be missing, repeated or out of order; samples that
no block contains are invalid. Samples that a block shares with the next (OVERLAP) count once.

References
----------
P. Demorest, GUPPI Raw Data Format, NRAO; Breakthrough Listen, RAW File Format (github
UCBerkeleySETI/breakthrough): DIRECTIO, quoted numbers, NPOL = 4, samples of 4 and 2 bits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.polarization import PolBasis
from fastsig.axes.time import sample_time, time_from_mjd
from fastsig.axes.validity import Spans
from fastsig.errors import FormatError, UsageError
from fastsig.io.files.cards import FIRST_DAY, LAST_DAY, Cards, same_cards
from fastsig.io.guppi.blocks import Block, blocks
from fastsig.io.probe import Probe
from fastsig.io.voltages.segments import SegmentedVoltages, disjoint, from_first, incomplete
from fastsig.stream import VoltageStream
from fastsig.stream.header import Header, split_overrides
from fastsig.stream.raw_voltages import IntegerPairs

__all__ = ["KINDS", "LEVELS", "MANY", "NAME", "UNKNOWN", "GuppiStream", "Scan", "open",
           "sniff"]

NAME, KINDS = "guppi", ("voltage",)

#: Whether `open` accepts several files of one scan.
MANY = True

_CARD = 80
_BAND = ("OBSFREQ", "OBSBW", "TBIN")
#: Values of the 2-bit codes 0 to 3.
LEVELS = (3.335875, 1.0, -1.0, -3.335875)
#: The value of an unknown name.
UNKNOWN = "UNKNOWN"
_KEYS = (b"BLOCSIZE", b"OBSNCHAN", b"NBITS", b"OBSBW", b"STT_IMJD", b"SRC_NAME", b"TELESCOP",
         b"PKTIDX", b"BACKEND", b"TBIN")


# Returns the first sample of a block in the scan, from PKTIDX and the start of the last block.
Place = Callable[[int, int | None], int]


class Geometry(NamedTuple):
    """The properties that all blocks of a scan share."""

    n_chan: int
    n_pol: int
    n_bits: int
    overlap: int
    block_bytes: int
    time_first: bool

    @property
    def row_bits(self) -> int:
        """Bits of a sample of all channels and polarisations."""
        return self.n_chan * self.n_pol * 2 * self.n_bits

    @property
    def n_time(self) -> int:
        """Samples per block, including those shared with the next block."""
        return self.block_bytes * 8 // self.row_bits

    @property
    def n_new(self) -> int:
        """Samples from the start of a block to that of the next."""
        return self.n_time - self.overlap


def sniff(probe: Probe) -> bool:
    """Whether a file begins with cards of 80 characters, including keys of GUPPI."""
    cards = [probe.head[at : at + 10] for at in range(0, len(probe.head) - 9, _CARD)]
    if not cards or cards[0][8:9] != b"=" or probe.head.startswith(b"SIMPLE"):
        return False
    return len({card[:8].rstrip() for card in cards} & set(_KEYS)) >= 3


def open(path: str | os.PathLike[str] | Sequence[str], **overrides: Any) -> GuppiStream:
    """Open the files of one GUPPI RAW scan as a stream.

    Parameters
    ----------
    path : path or sequence of path
        The files, in any order.
    n_pol : int, optional
        Number of polarisations, 1 or 2, if NPOL is ambiguous. By default, NPOL = 2 and 4 both mean
        two; `baseband` writes 2 for one polarisation of complex numbers.
    **overrides
        The common options of `fastsig.open`.

    Raises
    ------
    FormatError
        If no block can be read, or files do not belong to one scan. A truncated last block is left
        out with a `FastsigWarning`.
    """
    paths = [os.fspath(path)] if isinstance(path, (str, os.PathLike)) else [*map(os.fspath, path)]
    common, own = split_overrides(overrides, ("n_pol",), NAME)
    n_pol = _n_pol(own.get("n_pol"))
    scan = Scan(paths, n_pol)
    for number, each in enumerate(paths):
        for block in blocks(each):
            scan.add(number, block)
    if scan.header is None or scan.geometry is None or not scan.rows:
        raise FormatError(paths[0], "contains no complete GUPPI RAW block")
    table, begin = from_first(scan.rows, scan.header.sample_rate, paths[0])
    start = sample_time(scan.header.start_time, begin, scan.header.sample_rate)
    header = scan.header.replace(start_time=start).overridden(common)
    return GuppiStream(header, scan.geometry, paths, disjoint(table))


class Scan:
    """The blocks of a scan and their places."""

    def __init__(self, paths: Sequence[str], n_pol: int | None) -> None:
        self._paths, self._n_pol = paths, n_pol
        self._first: Cards | None = None
        self._checked: Cards | None = None
        self._place: Place | None = None
        self.header: Header | None = None
        self.geometry: Geometry | None = None
        self.rows: list[tuple[int, int, int, int]] = []

    def add(self, number: int, block: Block) -> None:
        """Add a block of a file; a truncated one is left out."""
        if block.cards is not self._checked or self.geometry is None or self._place is None:
            self.geometry, self._place = self._check(self._paths[number], block)
        g = self.geometry
        if block.there < g.block_bytes:
            incomplete(self._paths[number], f"the last block has {block.there} of "
                       f"{g.block_bytes} bytes")
            return
        at = self._place(block.packet, self.rows[-1][0] if self.rows else None)
        self.rows.append((at, at + g.n_time, number, block.offset))

    def _check(self, path: str, block: Block) -> tuple[Geometry, Place]:
        """Return the geometry and the placing of blocks; refuse a block of another scan."""
        cards, found = block.cards, _geometry(block.cards, self._n_pol)
        if self._first is None or self.geometry is None:
            self._first = cards
            self.header = _header(cards, found, path)
        elif found != self.geometry or _start(cards) != _start(self._first):
            raise FormatError(path, f"the block at byte {block.offset} differs in scan or shape "
                              f"from the first of {self._paths[0]}")
        same_cards(cards, self._first, _BAND, path, f"the first block of {self._paths[0]}")
        self._checked = cards
        return found, _placer(cards, found)


class GuppiStream(SegmentedVoltages):
    """The voltages of a GUPPI RAW scan: complex64 (time, pol, chan), channels ascending."""

    may_have_nan = False

    def __init__(self, header: Header, geometry: Geometry, paths: Sequence[str],
                 table: NDArray[np.int64], channels: tuple[int, int] | None = None) -> None:
        n, chan = int(table[:, 1].max()), channels or (0, geometry.n_chan)
        super().__init__(header, (n, geometry.n_pol, chan[1] - chan[0]), np.complex64, paths[0],
                         paths, table)
        self._geometry, self._channels = geometry, chan
        self.levels = LEVELS if geometry.n_bits == 2 else None

    def narrowed(self, first: int, stop: int) -> VoltageStream | None:
        """Return a stream of some channels, which are contiguous in a block."""
        axis, low = self.header.channels, self._channels[0]
        header = self.header.replace(channels=axis.sliced(first, stop) if axis else None)
        return GuppiStream(header, self._geometry, self._raw.paths, self._table,
                           (low + first, low + stop))

    def _places(self) -> list[tuple[int, int]]:
        """List the number in this stream and in the file for all channels of this stream."""
        first, stop = self._channels
        last = self._geometry.n_chan - 1
        lower = self.header.sideband == "lower"
        return [(chan - first, last - chan if lower else chan) for chan in range(first, stop)]

    def empty(self, n: int) -> NDArray[Any]:
        """Return a buffer for `n` rows in which every channel of a polarisation is contiguous."""
        return np.empty((*self.shape[1:], n), self.dtype).transpose(2, 0, 1)

    def as_recorded(self) -> VoltageStream:
        """Return pairs of integers of 8 or 16 bits, if blocks are ordered by channel."""
        g = self._geometry
        if g.n_bits < 8 or g.time_first:
            return self
        # A block is (chan, time, pol, 2).
        return IntegerPairs(self, "<i2" if g.n_bits == 16 else "i1", (2, 0, 1, 3))

    def _read_recorded(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        return self._gather(start, n, out, self._fill_recorded)

    def _fill_recorded(self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[Any]
                       ) -> tuple[Spans, ...] | None:
        _, _, number, offset, recorded = segment
        g, low = self._geometry, first - recorded
        row = g.n_pol * 2 * g.n_bits // 8
        for place, chan in self._places():
            # (time, pol, 2), contiguous in the memory of `IntegerPairs.empty`.
            target = out[:, :, place]
            whole = target.flags.c_contiguous
            raw = target if whole else np.empty(target.shape, target.dtype)
            self._raw.read_into(number, raw, offset + (chan * g.n_time + low) * row)
            if not whole:
                target[...] = raw
        return None

    def _fill(self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[Any]
              ) -> tuple[Spans, ...] | None:
        _, _, number, offset, recorded = segment
        g, low, n = self._geometry, first - recorded, stop - first
        if g.time_first:
            raw = self._bytes(number, offset, low, n, g.row_bits)
            skip = low * g.row_bits % 8 // (2 * g.n_bits)
            row = g.n_chan * g.n_pol
            rows = _decoded(raw, g.n_bits)[skip : skip + n * row].reshape(n, g.n_chan, g.n_pol)
            out[...] = rows[:, [chan for _, chan in self._places()]].swapaxes(1, 2)
            return None
        bits = g.n_pol * 2 * g.n_bits
        for place, chan in self._places():
            start = offset + chan * g.n_time * bits // 8
            raw = self._bytes(number, start, low, n, bits)
            skip = low * bits % 8 // (2 * g.n_bits)
            samples = _decoded(raw, g.n_bits)[skip : skip + n * g.n_pol].reshape(n, g.n_pol)
            out[:, :, place] = samples
        return None

    def _bytes(self, number: int, start: int, low: int, n: int, bits: int) -> NDArray[np.uint8]:
        """Read the bytes of samples `low` to ``low + n - 1``, of `bits` bits, after `start`."""
        first, stop = low * bits // 8, -(-(low + n) * bits // 8)
        raw = np.empty(stop - first, np.uint8)
        self._raw.read_into(number, raw, start + first)
        return raw


def _decoded(raw: NDArray[np.uint8], n_bits: int) -> NDArray[np.complex64]:
    """Decode complex numbers of 16, 8, 4 or 2 bits per part, real parts first (high bits)."""
    if n_bits >= 8:
        numbers = raw.view("<i2" if n_bits == 16 else "i1").astype(np.float32)
        return numbers.view(np.complex64)
    return _table(n_bits)[raw].reshape(-1)


def _table(n_bits: int) -> NDArray[np.complex64]:
    """Return the complex numbers in each of the 256 byte values."""
    byte = np.arange(256)
    if n_bits == 4:
        high, low = byte >> 4, byte & 15
        parts = [np.where(part > 7, part - 16, part) for part in (high, low)]
        return (parts[0] + 1j * parts[1]).astype(np.complex64)[:, np.newaxis]
    codes = [np.array(LEVELS)[byte >> shift & 3] for shift in (6, 4, 2, 0)]
    return np.stack([codes[0] + 1j * codes[1], codes[2] + 1j * codes[3]], axis=1).astype(
        np.complex64)


def _n_pol(value: Any) -> int | None:
    if value is not None and str(value) not in ("1", "2"):
        raise UsageError(f"n_pol = {value!r}; allowed: 1, 2")
    return None if value is None else int(value)


def _geometry(cards: Cards, given: int | None) -> Geometry:
    n_pol = given or cards.integer("NPOL", 1, least=1, most=4)
    n_bits = cards.integer("NBITS", 8)
    if n_bits not in (2, 4, 8, 16):
        raise cards.error("NBITS", "2, 4, 8, 16")
    n_chan = cards.integer("OBSNCHAN", least=1, most=2**20)
    block = cards.integer("BLOCSIZE", least=1, most=2**40)
    g = Geometry(n_chan, 1 if n_pol == 1 else 2, n_bits,
                 cards.integer("OVERLAP", 0), block, cards.text("PKTFMT") == "SIMPLE")
    if block * 8 % g.row_bits:
        raise cards.error("BLOCSIZE", f"a multiple of {g.row_bits} bits, one sample")
    if g.overlap >= g.n_time:
        raise cards.error("OVERLAP", f"less than the {g.n_time} samples of a block")
    return g


def _start(cards: Cards) -> tuple[str | None, ...]:
    return tuple(cards.get(key) for key in ("STT_IMJD", "STT_SMJD", "STT_OFFS"))


def _placer(cards: Cards, g: Geometry) -> Place:
    """Return the function that places blocks with these cards."""
    per_block = cards.integer("PIPERBLK", 0)
    packet = 0 if per_block else cards.integer("PKTSIZE", 0)
    if packet and _counts_samples(cards, g):
        per_block = g.n_new

    def place(index: int, last: int | None) -> int:
        if index >= 0 and per_block:
            return index * g.n_new // per_block
        if index >= 0 and packet:
            return index * packet * 8 // g.row_bits
        return 0 if last is None else last + g.n_new

    return place


def _counts_samples(cards: Cards, g: Geometry) -> bool:
    """Whether PKTIDX counts samples: PKTSTOP - PKTSTART is the number of samples in SCANLEN.

    This is the case in files of setigen, which have the PKTSIZE of another recorder and would
    therefore be placed far apart. If PKTIDX counts packets, the two differ by the packet length.
    """
    first, stop, seconds = (cards.number(key) for key in ("PKTSTART", "PKTSTOP", "SCANLEN"))
    if first is None or stop is None or seconds is None or stop - first < g.n_new:
        return False
    # SCANLEN has few digits in some files.
    return abs(seconds * float(_rate(cards, g)) / (stop - first) - 1) < 1e-3


def _rate(cards: Cards, g: Geometry) -> Fraction:
    """Return the samples per second: the width of a channel, which is exact, if TBIN agrees."""
    width = abs(cards.exact("OBSBW")) * 10**6 / g.n_chan
    interval = cards.exact("TBIN", "0")
    if interval <= 0:
        if width <= 0:
            raise cards.error("TBIN", "above 0")
        return width
    if width > 0 and abs(width * interval - 1) < Fraction(1, 10**6):
        return width
    return 1 / interval


def _header(cards: Cards, g: Geometry, path: str) -> Header:
    width = cards.exact("OBSBW") * 10**6
    center = cards.exact("OBSFREQ") * 10**6
    if not width:
        raise cards.error("OBSBW", "a number other than 0")
    step = abs(width) / g.n_chan
    day = cards.integer("STT_IMJD", least=FIRST_DAY, most=LAST_DAY)
    seconds = cards.exact("STT_SMJD") + cards.exact("STT_OFFS", "0")
    if not 0 <= seconds < 86402:
        raise cards.error("STT_SMJD", "0 to 86401 s")
    feed = (cards.text("FD_POLN") or "LIN").upper()
    kind = next((each for each in ("linear", "circular") if feed.startswith(each[:3].upper())),
                "unknown")
    names = {"circular": ("L", "R"), "linear": ("X", "Y"), "unknown": ("0", "1")}[kind]
    ra, dec = _coordinate(cards, "RA", "hourangle"), _coordinate(cards, "DEC", "deg")
    if ra == dec == 0:  # written for an unknown position
        ra = dec = None
    return Header(
        start_time=time_from_mjd(day, seconds), sample_rate=_rate(cards, g),
        channels=ChannelAxis(center - abs(width) / 2 + step / 2, step, g.n_chan),
        sideband="upper" if width > 0 else "lower",
        polarization=PolBasis(kind, names[: g.n_pol]),  # type: ignore[arg-type]
        n_bits=g.n_bits, is_complex=True, telescope=_name(cards, "TELESCOP"),
        receiver=_name(cards, "FRONTEND"), backend=_name(cards, "BACKEND"),
        source=_name(cards, "SRC_NAME"), beam=cards.index("IBEAM"), ra_deg=ra,
        dec_deg=dec, extra=dict(cards),
        origin=_origins(os.path.basename(path)),
    )


def _name(cards: Cards, key: str) -> str | None:
    """Return a text, or None if it means unknown."""
    text = cards.text(key)
    return None if text == UNKNOWN else text


def _coordinate(cards: Cards, key: str, unit: str) -> float | None:
    """Return degrees from ``RA_STR`` or ``DEC_STR``, or else from ``RA`` or ``DEC`` in degrees."""
    found = cards.angle(f"{key}_STR", unit)
    return cards.number(key) if found is None else found


def _origins(name: str) -> dict[str, str]:
    keys = {"start_time": "STT_IMJD", "sample_rate": "TBIN", "channels": "OBSFREQ",
            "sideband": "OBSBW", "polarization": "FD_POLN", "n_bits": "NBITS",
            "telescope": "TELESCOP", "source": "SRC_NAME"}
    return {field: f"{name}:{key}" for field, key in keys.items()}
