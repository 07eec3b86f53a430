"""Checksums of FITS units: DATASUM, summed while data are written, and CHECKSUM of a whole unit.

References
----------
FITS Standard 4.0 (2018), section 4.4.2.7 and appendix J.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import DataError, unreadable
from fastsig.io.fits.layout import BLOCK, Table

__all__ = ["add_words", "check_units", "finished", "padded"]

_ALL = 0xFFFFFFFF
_FIRST, _SKIPPED = 0x30, (*range(0x3A, 0x41), *range(0x5B, 0x61))


def padded(size: int) -> int:
    """Return a number of bytes, rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def add_words(total: int, data: NDArray[Any], times: int = 1) -> int:
    """Return a ones' complement sum of 32-bit words after an array is added to it `times` times.

    Words are big-endian. The array begins with a whole word, and an incomplete word at its end is
    filled with 0. The sum does not depend on the order in which pieces are added.
    """
    raw = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
    whole = raw.size // 4 * 4
    words = raw[:whole].view(">u4")
    total += times * int(words.sum(dtype=np.uint64))
    if whole < raw.size:
        last = bytes(raw[whole:]).ljust(4, b"\0")
        total += times * int.from_bytes(last, "big")
    while total > _ALL:
        total = (total & _ALL) + (total >> 32)
    return total


def finished(header: Any, data_sum: int) -> bytes:
    """Return the bytes of a header, with DATASUM and CHECKSUM set.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Header of the unit, complete except for these two cards.
    data_sum : int
        Sum of the unit's data, from `add_words`.
    """
    header = header.copy()
    header["DATASUM"] = (str(data_sum), "ones' complement sum of the data")
    header["CHECKSUM"] = ("0" * 16, "makes that of the whole unit -0")
    raw = np.frombuffer(header.tostring().encode("ascii"), np.uint8)
    header["CHECKSUM"] = _encoded(_ALL - add_words(data_sum, raw))
    return bytes(header.tostring().encode("ascii"))


def _encoded(value: int) -> str:
    """Return a sum as 16 letters and digits."""
    out = [[0] * 4 for _ in range(4)]
    for i, byte in enumerate(value.to_bytes(4, "big")):
        quarters = [byte // 4 + _FIRST + (byte % 4 if j == 0 else 0) for j in range(4)]
        while any(each in _SKIPPED for each in quarters):
            for j in (0, 2):  # one up, its neighbour down, to leave only letters and digits
                if quarters[j] in _SKIPPED or quarters[j + 1] in _SKIPPED:
                    quarters[j] += 1
                    quarters[j + 1] -= 1
        for j, each in enumerate(quarters):
            out[j][i] = each
    flat = [each for row in out for each in row]
    return bytes([flat[-1], *flat[:-1]]).decode("ascii")  # a card's value begins at column 12


def check_units(path: str, units: Sequence[Table]) -> bool:
    """Read a whole file and check CHECKSUM and DATASUM; return whether all units have a DATASUM.

    Raises
    ------
    DataError
        If one is wrong, or the file ends early.
    """
    at, summed = 0, []
    try:
        with open(path, "rb") as file:
            for unit in units:
                end = unit.data_offset + padded(_data_bytes(unit))
                head = _sum(file, path, at, unit.data_offset)
                data = _sum(file, path, unit.data_offset, end)
                _compare(path, unit, head, data)
                summed.append("DATASUM" in unit.cards)
                at = end
    except OSError as error:
        raise unreadable(path, error) from error
    return all(summed)


def _compare(path: str, unit: Table, head: int, data: int) -> None:
    stated = unit.cards.text("DATASUM")
    if stated is not None and stated != str(data):
        raise DataError(path, f"{unit.name}: DATASUM = {stated}; the sum of its data is {data}")
    if "CHECKSUM" in unit.cards and (head + data) % _ALL:
        raise DataError(path, f"{unit.name}: CHECKSUM is wrong: header or data have changed")


def _data_bytes(unit: Table) -> int:
    cards = unit.cards
    axes = [cards.integer(f"NAXIS{axis + 1}") for axis in range(cards.integer("NAXIS", 0))]
    return (abs(cards.integer("BITPIX", 8, least=-64, most=64)) // 8 * cards.integer("GCOUNT", 1)
            * (cards.integer("PCOUNT", 0) + (math.prod(axes) if axes else 0)))


def _sum(file: Any, path: str, start: int, stop: int) -> int:
    """Return the FITS checksum of a range of bytes, read in pieces."""
    file.seek(start)
    total = 0
    while start < stop:
        piece = file.read(min(2**24, stop - start))
        if not piece:
            raise DataError(path, f"ends at byte {start}; {stop - start} more bytes were expected")
        start += len(piece)
        total = add_words(total, np.frombuffer(piece, np.uint8))
    return total
