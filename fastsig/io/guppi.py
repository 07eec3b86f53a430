"""GUPPI RAW: blocks of a text header and channelised complex voltages, in one file or several.

A block says where it belongs by PKTIDX, so blocks may be missing, repeated or out of order; what
none holds is invalid. Samples that a block shares with the next (OVERLAP) count once.

References
----------
P. Demorest, GUPPI Raw Data Format, NRAO; Breakthrough Listen, RAW File Format (github
UCBerkeleySETI/breakthrough): DIRECTIO, quoted numbers, NPOL = 4, samples of 4 and 2 bits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FormatError, UsageError
from fastsig.frequency import ChannelAxis
from fastsig.header import Header, split_overrides
from fastsig.io._cards import FIRST_DAY, LAST_DAY, Cards, cards_80, same_cards
from fastsig.io._segments import SegmentedVoltages, disjoint, from_first, incomplete
from fastsig.io.probe import Probe
from fastsig.polarization import PolBasis
from fastsig.recorded import Recorded
from fastsig.stream import VoltageStream
from fastsig.time import sample_time, time_from_mjd
from fastsig.validity import Spans

__all__ = ["LEVELS", "MANY", "NAME", "GuppiStream", "open", "sniff"]

NAME = "guppi"

#: Whether `open` takes several files of one scan.
MANY = True

_CARD, _MOST_HEADER = 80, 2**18
_BAND = ("OBSFREQ", "OBSBW", "TBIN")
# Cards that decide what a block is; in what others say, blocks may differ as they like.
_FIXED = frozenset((
    b"BLOCSIZE", b"DIRECTIO", b"NBITS", b"NPOL", b"OBSBW", b"OBSFREQ", b"OBSNCHAN", b"OVERLAP",
    b"PIPERBLK", b"PKTFMT", b"PKTSIZE", b"STT_IMJD", b"STT_OFFS", b"STT_SMJD", b"TBIN"))
_END = b"END" + b" " * 5
_SECTOR = 512
#: Values of the 2-bit codes 0 to 3.
LEVELS = (3.335875, 1.0, -1.0, -3.335875)
_KEYS = (b"BLOCSIZE", b"OBSNCHAN", b"NBITS", b"OBSBW", b"STT_IMJD", b"SRC_NAME", b"TELESCOP",
         b"PKTIDX", b"BACKEND", b"TBIN")


class Geometry(NamedTuple):
    """What all blocks of a scan have in common."""

    n_chan: int
    n_pol: int
    n_bits: int
    overlap: int
    block_bytes: int
    time_first: bool

    @property
    def row_bits(self) -> int:
        """Bits of one sample of all channels and polarisations."""
        return self.n_chan * self.n_pol * 2 * self.n_bits

    @property
    def n_time(self) -> int:
        """Samples of a block, those that it shares with the next included."""
        return self.block_bytes * 8 // self.row_bits

    @property
    def n_new(self) -> int:
        """Samples from one block to the next."""
        return self.n_time - self.overlap


def sniff(probe: Probe) -> bool:
    """Whether a file begins with cards of 80 characters, some of them GUPPI's."""
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
        1 or 2: polarisations, where NPOL does not say what it means. NPOL = 2 and 4 are two by
        default; `baseband` writes 2 for one polarisation of complex numbers.
    **overrides
        The common ones of `fastsig.open`.

    Raises
    ------
    FormatError
        Where no block can be read, or files do not belong to one scan. A last block that is cut
        short is a `FastsigWarning`: it is left out.
    """
    paths = [os.fspath(path)] if isinstance(path, (str, os.PathLike)) else [*map(os.fspath, path)]
    common, own = split_overrides(overrides, ("n_pol",), NAME)
    n_pol = _n_pol(own.get("n_pol"))
    first: Cards | None = None
    checked: Cards | None = None
    geometry: Geometry | None = None
    place: Callable[[int, int | None], int] | None = None
    rows: list[tuple[int, int, int, int]] = []
    for number, each in enumerate(paths):
        for cards, index, offset, there in _blocks(each):
            if cards is not checked or geometry is None or place is None:
                found = _geometry(cards, n_pol)
                if first is None or geometry is None:
                    first, geometry = cards, found
                    header = _header(first, geometry, each)
                if found != geometry or _start(cards) != _start(first):
                    raise FormatError(each, f"the block at byte {offset} is of another scan or "
                                      f"shape than the first of {paths[0]}")
                same_cards(cards, first, _BAND, each, f"the first block of {paths[0]}")
                place, checked = _placer(cards, geometry), cards
            if there < geometry.block_bytes:
                incomplete(each, f"the last block holds {there} of {geometry.block_bytes} bytes")
                continue
            at = place(index, rows[-1][0] if rows else None)
            rows.append((at, at + geometry.n_time, number, offset))
    if first is None or geometry is None or not rows:
        raise FormatError(paths[0], "holds no complete GUPPI RAW block")
    table, begin = from_first(rows, header.sample_rate, paths[0])
    header = header.replace(start_time=sample_time(header.start_time, begin, header.sample_rate))
    return GuppiStream(header.overridden(common), geometry, paths, disjoint(table))


class GuppiStream(SegmentedVoltages):
    """Voltages of a GUPPI RAW scan: complex64 (time, pol, chan), channels ascending."""

    may_have_nan = False

    def __init__(self, header: Header, geometry: Geometry, paths: Sequence[str],
                 table: NDArray[np.int64], channels: tuple[int, int] | None = None) -> None:
        n, chan = int(table[:, 1].max()), channels or (0, geometry.n_chan)
        super().__init__(header, (n, geometry.n_pol, chan[1] - chan[0]), np.complex64, paths[0],
                         paths, table)
        self._geometry, self._channels = geometry, chan
        self.levels = LEVELS if geometry.n_bits == 2 else None

    def narrowed(self, first: int, stop: int) -> VoltageStream | None:
        """Some channels alone: those of a block lie one after another."""
        axis, low = self.header.channels, self._channels[0]
        header = self.header.replace(channels=axis.sliced(first, stop) if axis else None)
        return GuppiStream(header, self._geometry, self._raw.paths, self._table,
                           (low + first, low + stop))

    def _places(self) -> list[tuple[int, int]]:
        """Channel of this stream and of the file, for all channels of this stream."""
        first, stop = self._channels
        last = self._geometry.n_chan - 1
        lower = self.header.sideband == "lower"
        return [(chan - first, last - chan if lower else chan) for chan in range(first, stop)]

    def empty(self, n: int) -> NDArray[Any]:
        """A buffer for `n` rows in which every channel of a polarisation is contiguous."""
        return np.empty((*self.shape[1:], n), self.dtype).transpose(2, 0, 1)

    def as_recorded(self) -> VoltageStream:
        """Integers of 8 and 16 bits in pairs, for blocks channel by channel."""
        g = self._geometry
        if g.n_bits < 8 or g.time_first:
            return self
        # A block is (chan, time, pol, 2).
        return Recorded(self, "<i2" if g.n_bits == 16 else "i1", (2, 0, 1, 3))

    def _read_recorded(self, start: int, n: int, out: NDArray[Any]) -> tuple[Spans, ...]:
        return self._gather(start, n, out, self._fill_recorded)

    def _fill_recorded(self, segment: tuple[int, ...], first: int, stop: int, out: NDArray[Any]
                       ) -> tuple[Spans, ...] | None:
        _, _, number, offset, recorded = segment
        g, low = self._geometry, first - recorded
        row = g.n_pol * 2 * g.n_bits // 8
        for place, chan in self._places():
            # (time, pol, 2), contiguous in the memory of `Recorded.empty`.
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
        """The bytes that hold samples `low` to ``low + n - 1``, of `bits` each, after `start`."""
        first, stop = low * bits // 8, -(-(low + n) * bits // 8)
        raw = np.empty(stop - first, np.uint8)
        self._raw.read_into(number, raw, start + first)
        return raw


def _decoded(raw: NDArray[np.uint8], n_bits: int) -> NDArray[np.complex64]:
    """Complex numbers of 16, 8, 4 or 2 bits a part, real parts first (in the high bits)."""
    if n_bits >= 8:
        numbers = raw.view("<i2" if n_bits == 16 else "i1").astype(np.float32)
        return numbers.view(np.complex64)
    return _table(n_bits)[raw].reshape(-1)


def _table(n_bits: int) -> NDArray[np.complex64]:
    """Complex numbers in each of the 256 bytes."""
    byte = np.arange(256)
    if n_bits == 4:
        high, low = byte >> 4, byte & 15
        parts = [np.where(part > 7, part - 16, part) for part in (high, low)]
        return (parts[0] + 1j * parts[1]).astype(np.complex64)[:, np.newaxis]
    codes = [np.array(LEVELS)[byte >> shift & 3] for shift in (6, 4, 2, 0)]
    return np.stack([codes[0] + 1j * codes[1], codes[2] + 1j * codes[3]], axis=1).astype(
        np.complex64)


class _Block(NamedTuple):
    """A block: its header, PKTIDX, byte offset of the samples and bytes of them that are there.

    Blocks that follow one another have the same `cards` while the `_FIXED` ones are the same.
    """

    cards: Cards
    packet: int
    offset: int
    there: int


def _blocks(path: str) -> Iterator[_Block]:
    """Every block of a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise FormatError(path, error.strerror or str(error)) from error
    try:
        yield from _walk(descriptor, path)
    finally:
        os.close(descriptor)


def _walk(descriptor: int, path: str) -> Iterator[_Block]:
    size, at = os.fstat(descriptor).st_size, 0
    raw, cards, index = b"", None, None
    while at < size:
        before, raw = raw, os.pread(descriptor, len(raw), at)
        index = _index_alone(raw, before) if cards is not None else None
        if cards is None or index is None:
            raw, length = _header_bytes(descriptor, at)
            if length == 0:
                if at == 0:
                    raise FormatError(path, "the first header has no END card")
                incomplete(path, f"no header at byte {at}; the last {size - at} bytes are left out")
                return
            cards = cards_80(raw, path, f"the header at byte {at}")
            index = cards.integer("PKTIDX", -1, least=-1)
            padded = cards.integer("DIRECTIO", 0) != 0
            block = cards.integer("BLOCSIZE", least=1, most=2**40)
            raw = os.pread(descriptor, length, at)
        offset = at + length
        if padded:
            offset = -(-offset // _SECTOR) * _SECTOR
        yield _Block(cards, index, offset, max(0, min(block, size - offset)))
        at = offset + block
        if padded and at % _SECTOR and not _is_header(descriptor, at):
            at = -(-at // _SECTOR) * _SECTOR


def _index_alone(raw: bytes, before: bytes) -> int | None:
    """PKTIDX of a header that has the keys and the `_FIXED` cards of the one before, else None."""
    if len(raw) != len(before):
        return None
    cards, others = (np.frombuffer(each, f"S{_CARD}") for each in (raw, before))
    for i in np.flatnonzero(cards != others).tolist():
        key = cards[i][:9]
        if key != others[i][:9] or key[:8].strip() in _FIXED or key[8:] != b"=":
            return None
    if (at := _card_of(raw, b"PKTIDX  =")) is None:
        return None
    text = raw[at + 9 : at + _CARD].partition(b" /")[0].strip(b" '")
    return int(text) if text.isdigit() and len(text) < 19 else None


def _card_of(raw: bytes, start: bytes) -> int | None:
    """Where the first card begins that begins with some text."""
    at = raw.find(start)
    while at >= 0 and at % _CARD:
        at = raw.find(start, at + 1)
    return at if at >= 0 else None


def _header_bytes(descriptor: int, at: int) -> tuple[bytes, int]:
    """A header up to its END card, and its length with that card; 0 where there is none."""
    raw = b""
    while len(raw) < _MOST_HEADER:
        more = os.pread(descriptor, 2**13 // _CARD * _CARD, at + len(raw))
        raw += more
        for card in range(0, len(raw) - 7, _CARD):
            if raw[card : card + 8] == _END:
                return raw[:card], card + _CARD
            if raw[card + 8 : card + 9] not in (b"=", b" ", b""):
                return b"", 0
        if not more:
            break
    return b"", 0


def _is_header(descriptor: int, at: int) -> bool:
    head = os.pread(descriptor, 9, at)
    return head[8:9] == b"=" and head[:8].strip().isascii()


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


def _placer(cards: Cards, g: Geometry) -> Callable[[int, int | None], int]:
    """First sample of a block, from the start of the scan, by PKTIDX and where the last began."""
    per_block = cards.integer("PIPERBLK", 0)
    packet = 0 if per_block else cards.integer("PKTSIZE", 0)

    def place(index: int, last: int | None) -> int:
        if index >= 0 and per_block:
            return index * g.n_new // per_block
        if index >= 0 and packet:
            return index * packet * 8 // g.row_bits
        return 0 if last is None else last + g.n_new

    return place


def _rate(cards: Cards, g: Geometry) -> Fraction:
    """Samples a second: the width of a channel, which is exact, where TBIN agrees."""
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
    told = (cards.text("FD_POLN") or "LIN").upper()
    kind = next((each for each in ("linear", "circular") if told.startswith(each[:3].upper())),
                "unknown")
    names = {"circular": ("L", "R"), "linear": ("X", "Y"), "unknown": ("0", "1")}[kind]
    ra, dec = _coordinate(cards, "RA", "hourangle"), _coordinate(cards, "DEC", "deg")
    return Header(
        start_time=time_from_mjd(day, seconds), sample_rate=_rate(cards, g),
        channels=ChannelAxis(center - abs(width) / 2 + step / 2, step, g.n_chan),
        sideband="upper" if width > 0 else "lower",
        polarization=PolBasis(kind, names[: g.n_pol]),  # type: ignore[arg-type]
        n_bits=g.n_bits, is_complex=True, telescope=cards.text("TELESCOP"),
        receiver=cards.text("FRONTEND"), backend=cards.text("BACKEND"),
        source=cards.text("SRC_NAME"), beam=cards.index("IBEAM"), ra_deg=ra,
        dec_deg=dec, extra=dict(cards),
        origin=_origins(os.path.basename(path)),
    )


def _coordinate(cards: Cards, key: str, unit: str) -> float | None:
    """Degrees from ``RA_STR`` and its like, else from ``RA``, which is in degrees."""
    found = cards.angle(f"{key}_STR", unit)
    return cards.number(key) if found is None else found


def _origins(name: str) -> dict[str, str]:
    keys = {"start_time": "STT_IMJD", "sample_rate": "TBIN", "channels": "OBSFREQ",
            "sideband": "OBSBW", "polarization": "FD_POLN", "n_bits": "NBITS",
            "telescope": "TELESCOP", "source": "SRC_NAME"}
    return {field: f"{name}:{key}" for field, key in keys.items()}
