"""Contiguous datasets that turn out shorter than announced: their headers are written again.

The HDF5 library cannot shorten a contiguous dataset. Copying what there is would take as long as
writing it, while a recording that ends must be complete at once. Therefore the number of rows and
the size are replaced in the header of the dataset, and the space beyond is returned to the disk.

References
----------
HDF5 File Format Specification, version 3.0: IV.A.1.b (version 2 data object header prefix),
IV.A.2.b (dataspace message), IV.A.2.i (data layout message); R. Jenkins, lookup3.c.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from fastsig.errors import DataError

__all__ = ["Place", "lookup3", "punch", "shorten"]

_SIGNATURE, _DATASPACE, _LAYOUT = b"OHDR", 0x01, 0x08
_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_MASK, _NOWHERE = 0xFFFFFFFF, 2**64 - 1


class Place(NamedTuple):
    """A contiguous dataset: the address of its header, and of its data."""

    header: int
    data: int


def shorten(descriptor: int, path: str, place: Place, n_row: int, n_byte: int) -> None:
    """Let a dataset of a closed file end after some rows.

    Parameters
    ----------
    descriptor : int
        The file, which the library has closed.
    path : str
        Its name, for messages.
    place : Place
    n_row, n_byte : int
        Rows of the dataset, and the bytes of these.

    Raises
    ------
    DataError
        If the header is not of the form that the library writes.
    """
    prefix = os.pread(descriptor, 16, place.header)
    if prefix[:5] != _SIGNATURE + b"\2" or prefix[5] & ~3:
        raise DataError(path, "its header has a form that cannot be shortened")
    width = 1 << (prefix[5] & 3)
    first = 6 + width
    size = int.from_bytes(prefix[6:first], "little")
    raw = bytearray(os.pread(descriptor, first + size + 4, place.header))
    if lookup3(bytes(raw[:-4])) != int.from_bytes(raw[-4:], "little"):
        raise DataError(path, "the checksum of its header is wrong")
    found = [_shortened(raw, kind, at, place, n_row, n_byte)
             for kind, at in _messages(raw, first, first + size)]
    if found.count(_DATASPACE) != 1 or found.count(_LAYOUT) != 1:
        raise DataError(path, "its header has a form that cannot be shortened")
    raw[-4:] = lookup3(bytes(raw[:-4])).to_bytes(4, "little")
    os.pwrite(descriptor, raw, place.header)


def _messages(raw: bytearray, first: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the types of messages and the places of their bodies."""
    at = first
    while at + 4 <= stop:
        kind, size = raw[at], int.from_bytes(raw[at + 1 : at + 3], "little")
        yield kind, at + 4
        at += 4 + size


def _shortened(raw: bytearray, kind: int, at: int, place: Place, n_row: int, n_byte: int) -> int:
    """Replace the numbers of a message; return its type if they were replaced, else 0."""
    if kind == _DATASPACE and raw[at] == 2:
        struct.pack_into("<Q", raw, at + 4, n_row)
        if raw[at + 2] & 1:  # largest numbers follow
            struct.pack_into("<Q", raw, at + 4 + 8 * raw[at + 1], n_row)
        return kind
    if kind == _LAYOUT and raw[at : at + 2] == b"\3\1" and (
            struct.unpack_from("<Q", raw, at + 2)[0] == place.data):
        struct.pack_into("<Q", raw, at + 10, n_byte)
        if not n_byte:  # the library then expects no address
            struct.pack_into("<Q", raw, at + 2, _NOWHERE)
        return kind
    return 0


def punch(descriptor: int, first: int, n_byte: int) -> None:
    """Return space within a file to the disk, where the system can do this."""
    with contextlib.suppress(OSError, AttributeError):
        call = ctypes.CDLL(None, use_errno=True).fallocate
        call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
        call(descriptor, _KEEP_SIZE | _PUNCH_HOLE, first, n_byte)


def lookup3(data: bytes) -> int:
    """Return the checksum of metadata: ``hashlittle`` of Jenkins' lookup3."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    padded = data + bytes(-len(data) % 12)
    words = struct.unpack(f"<{len(padded) // 4}I", padded)
    if not words:
        return c
    for at in range(0, len(words) - 3, 3):
        a, b, c = (value + word & _MASK for value, word in zip(
            (a, b, c), words[at : at + 3], strict=True))
        a, b, c = _mixed(a, b, c)
    a, b, c = (value + word & _MASK for value, word in zip((a, b, c), words[-3:], strict=True))
    return _final(a, b, c)


def _rotated(value: int, n: int) -> int:
    return (value << n | value >> 32 - n) & _MASK


def _mixed(a: int, b: int, c: int) -> tuple[int, int, int]:
    for shift in (4, 6, 8, 16, 19, 4):
        a = a - c & _MASK ^ _rotated(c, shift)
        c = c + b & _MASK
        a, b, c = b, c, a
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for shift in (14, 11, 25, 16, 4, 14, 24):
        c = (c ^ b) - _rotated(b, shift) & _MASK
        a, b, c = b, c, a
    return b
