"""The blocks of a GUPPI RAW file and their headers.

Headers of consecutive blocks differ little. If a header has the same keys as the one before, and
the same values in all relevant cards, it is not parsed again: a scan may have a block every few ms.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from fastsig.errors import FormatError, unreadable
from fastsig.io.files.cards import Cards, cards_80
from fastsig.io.voltages.segments import incomplete

__all__ = ["Block", "Source", "blocks", "walk"]

_CARD, _MOST_HEADER = 80, 2**18
# Cards that determine the contents of a block; blocks may differ in all other cards.
_FIXED = frozenset((
    b"BLOCSIZE", b"DIRECTIO", b"NBITS", b"NPOL", b"OBSBW", b"OBSFREQ", b"OBSNCHAN", b"OVERLAP",
    b"PIPERBLK", b"PKTFMT", b"PKTSIZE", b"PKTSTART", b"PKTSTOP", b"SCANLEN", b"STT_IMJD",
    b"STT_OFFS", b"STT_SMJD", b"TBIN"))
_END = b"END" + b" " * 5
_SECTOR = 512


class Block(NamedTuple):
    """A block: its header, PKTIDX, byte offset of its samples, and number of their bytes present.

    Consecutive blocks share `cards` as long as the `_FIXED` cards are the same.
    """

    cards: Cards
    packet: int
    offset: int
    there: int


def blocks(path: str) -> Iterator[Block]:
    """Yield every block of a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        yield from walk(_File(descriptor), path, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


class Source(Protocol):
    """Bytes from which blocks are read; those that come may be waited for."""

    def pread(self, n: int, place: int) -> bytes:
        """Return bytes from a place on, fewer at the end."""


class _File:
    """An open file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def pread(self, n: int, place: int) -> bytes:
        """Return bytes from a place on, fewer at the end."""
        return os.pread(self._descriptor, n, place)


class _Head(NamedTuple):
    """A fully parsed header: its bytes, and the values that give the place of the next one."""

    raw: bytes
    cards: Cards
    packet_at: int  # offset of the card PKTIDX, or -1
    padded: bool
    block: int


def walk(file: Source, path: str, size: int | None = None) -> Iterator[Block]:
    """Yield the blocks of a source; without its size, all bytes of each are taken to be there."""
    at = 0
    head: _Head | None = None
    before = b""
    while at < size if size is not None else file.pread(1, at):
        before, packet = _packet_alone(file.pread(len(before), at), before, head)
        if packet is None or head is None:
            head = _head(file, at, path)
            if head is None:
                left = "rest is" if size is None else f"last {size - at} bytes are"
                incomplete(path, f"no header at byte {at}; the {left} left out")
                return
            before, packet = head.raw, head.cards.integer("PKTIDX", -1, least=-1)
        offset = at + len(before)
        if head.padded:
            offset = -(-offset // _SECTOR) * _SECTOR
        there = head.block if size is None else max(0, min(head.block, size - offset))
        yield Block(head.cards, packet, offset, there)
        at = offset + head.block
        if head.padded and at % _SECTOR and not _is_header(file, at):
            at = -(-at // _SECTOR) * _SECTOR


def _head(file: Source, at: int, path: str) -> _Head | None:
    raw, length = _header_bytes(file, at)
    if length == 0 and at == 0:
        raise FormatError(path, "the first header has no END card")
    if length == 0:
        return None
    cards = cards_80(raw, path, f"the header at byte {at}")
    places = [i for i in range(0, len(raw), _CARD) if raw[i : i + 9] == b"PKTIDX  ="]
    return _Head(file.pread(length, at), cards, places[0] if places else -1,
                 cards.integer("DIRECTIO", 0) != 0,
                 cards.integer("BLOCSIZE", least=1, most=2**40))


def _packet_alone(raw: bytes, before: bytes, head: _Head | None) -> tuple[bytes, int | None]:
    """Return a header and its PKTIDX, if it has the keys and `_FIXED` cards of the one before.

    PKTIDX is None if it has not, or if the header must be parsed fully.
    """
    if head is None or head.packet_at < 0 or len(raw) != len(before):
        return raw, None
    cards, others = (np.frombuffer(each, f"S{_CARD}") for each in (raw, before))
    for i in np.flatnonzero(cards != others).tolist():
        key = cards[i][:9]
        if key != others[i][:9] or key[:8].strip() in _FIXED or key[8:] != b"=":
            return raw, None
    card = raw[head.packet_at : head.packet_at + _CARD]
    text = card[9:].partition(b" /")[0].strip(b" '")
    return raw, int(text) if text.isdigit() and len(text) < 19 else None


def _header_bytes(file: Source, at: int) -> tuple[bytes, int]:
    """Return a header up to its END card, and its length with that card; 0 if there is none."""
    raw = b""
    while len(raw) < _MOST_HEADER:
        more = file.pread(2**13 // _CARD * _CARD, at + len(raw))
        raw += more
        for card in range(0, len(raw) - 7, _CARD):
            if raw[card : card + 8] == _END:
                return raw[:card], card + _CARD
            if raw[card + 8 : card + 9] not in (b"=", b" ", b""):
                return b"", 0
        if not more:
            break
    return b"", 0


def _is_header(file: Source, at: int) -> bool:
    head = file.pread(9, at)
    return head[8:9] == b"=" and head[:8].strip().isascii()
