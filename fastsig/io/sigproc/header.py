"""The header of SIGPROC: a stream of keywords, which alone determine the types of their values.

An unknown keyword can be kept if the following bytes determine the length of its value.

References
----------
D. R. Lorimer, SIGPROC: (Pulsar) Signal Processing Programs, section on header information and data
format: keywords, their types, HEADER_START and HEADER_END, the table of frequencies.
"""

from __future__ import annotations

import os
import re
import struct
from typing import Any, NamedTuple

from fastsig.errors import FormatError, unreadable

__all__ = ["KEYWORDS", "PRODUCTS_MARK", "START", "START_BIG", "Keywords", "encode", "products_of",
           "read_keywords"]

#: Types of values, as in `struct`: "" for no value, "s" for text.
KEYWORDS = {
    **dict.fromkeys(("HEADER_START", "HEADER_END", "FREQUENCY_START", "FREQUENCY_END"), ""),
    **dict.fromkeys(("rawdatafile", "source_name"), "s"),
    **dict.fromkeys(("telescope_id", "machine_id", "data_type", "barycentric", "pulsarcentric",
                     "nbits", "nsamples", "nchans", "nifs", "nbeams", "ibeam", "nbins"), "i"),
    **dict.fromkeys(("az_start", "za_start", "src_raj", "src_dej", "tstart", "tsamp", "fch1",
                     "fchannel", "foff", "refdm", "period"), "d"),
    "signed": "b", "npuls": "q",
}

#: The first bytes of a file, and those of a file of the other byte order.
START = struct.pack("<i", 12) + b"HEADER_START"
START_BIG = struct.pack(">i", 12) + b"HEADER_START"

#: In `rawdatafile`, the beginning of the names of products, which fastsig writes.
PRODUCTS_MARK = "products="

_PRODUCTS = re.compile(rf"(?:(.*) )?{PRODUCTS_MARK}([^\s,]+(?:,[^\s,]+)*)", re.DOTALL)
_LONGEST_KEYWORD, _LONGEST_TEXT = 80, 4096
_FIRST_READ, _MOST_HEADER = 2**16, 2**24
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_.-]*")


class Keywords(NamedTuple):
    """A header: its values, the table of frequencies, and the sizes of header and file in bytes."""

    path: str
    values: dict[str, Any]
    table: list[float]
    size: int
    file_size: int


class _TooShortError(Exception):
    """The header continues after the bytes that were read."""


def read_keywords(path: str) -> Keywords:
    """Read the header at the beginning of a file; the last value of a repeated keyword counts.

    Raises
    ------
    FormatError
        If the header is truncated, or a keyword is unknown and the following bytes do not
        determine its value.
    """
    for most in (_FIRST_READ, _MOST_HEADER):
        raw, size = _beginning(path, most)
        try:
            return _parse(raw, size, path)
        except _TooShortError:
            if len(raw) == size:
                raise FormatError(path, f"ends at byte {size}, within the header: there is no "
                                  "HEADER_END") from None
    raise FormatError(path, f"the header has no HEADER_END in its first {_MOST_HEADER} bytes")


def _beginning(path: str, most: int) -> tuple[bytes, int]:
    """Return the first bytes of a file, and its size."""
    try:
        with open(path, "rb") as file:
            return file.read(most), file.seek(0, os.SEEK_END)
    except OSError as error:
        raise unreadable(path, error) from error


def _parse(raw: bytes, size: int, path: str) -> Keywords:
    if not raw.startswith(START):
        found = "is big-endian" if raw.startswith(START_BIG) else (
            "does not begin with HEADER_START")
        raise FormatError(path, f"the header {found}; allowed: HEADER_START, little-endian")
    values: dict[str, Any] = {}
    table: list[float] = []
    at = len(START)
    while True:
        name, at = _keyword(raw, at, path)
        if name == "HEADER_END":
            return Keywords(path, values, table, at, size)
        if name in KEYWORDS:
            value, at = _value(raw, at, KEYWORDS[name], name, path)
        else:
            value, at = _unknown(raw, at, name, size, path)
        if name == "fchannel":
            table.append(value)
        elif KEYWORDS.get(name) != "":
            values[name] = "" if value is None else value


def _length(raw: bytes, at: int) -> int:
    if at + 4 > len(raw):
        raise _TooShortError
    return int.from_bytes(raw[at : at + 4], "little")


def _keyword(raw: bytes, at: int, path: str) -> tuple[str, int]:
    n = _length(raw, at)
    name = raw[at + 4 : at + 4 + n] if 1 <= n <= _LONGEST_KEYWORD else b""
    if 1 <= n <= _LONGEST_KEYWORD and len(name) < n:
        raise _TooShortError
    if not _NAME.fullmatch(name):
        raise FormatError(path, f"byte {at} of the header: a keyword of {n} characters, {name!r}; "
                          f"allowed: 1 to {_LONGEST_KEYWORD} letters, digits and underscores")
    return name.decode("ascii"), at + 4 + n


def _value(raw: bytes, at: int, kind: str, name: str, path: str) -> tuple[Any, int]:
    if kind == "":
        return None, at
    if kind == "s":
        n = _length(raw, at)
        if n > _LONGEST_TEXT:
            raise FormatError(path, f"byte {at} of the header: {name} has {n} characters; "
                              f"allowed: up to {_LONGEST_TEXT}")
        if at + 4 + n > len(raw):
            raise _TooShortError
        return raw[at + 4 : at + 4 + n].decode("ascii", "backslashreplace"), at + 4 + n
    end = at + struct.calcsize(f"<{kind}")
    if end > len(raw):
        raise _TooShortError
    return struct.unpack_from(f"<{kind}", raw, at)[0], end


def _unknown(raw: bytes, at: int, name: str, size: int, path: str) -> tuple[Any, int]:
    """Return the value of an unlisted keyword, of the only type that a keyword can follow.

    A listed keyword decides; if no type is followed by one, anything that may be a keyword does.
    """
    found = {}
    for kind in ("", "b", "i", "d", "s"):
        try:
            value, end = _value(raw, at, kind, name, path)
            following = _keyword(raw, end, path)[0]
        except (_TooShortError, FormatError):
            continue
        found[kind] = following in KEYWORDS, value, end
    sure = [each for each in found.values() if each[0]] or list(found.values())
    if len(sure) != 1:
        if at + _LONGEST_TEXT + 2 * _LONGEST_KEYWORD > len(raw) < size:
            raise _TooShortError
        raise FormatError(path, f"byte {at} of the header: the keyword {name} is unknown, and "
                          "the next bytes do not determine the length of its value; allowed: "
                          f"{', '.join(sorted(KEYWORDS))}")
    return _plausible(raw, at, *sure[0][1:])


def _plausible(raw: bytes, at: int, value: Any, end: int) -> tuple[Any, int]:
    """Take eight bytes as a whole number if they would not be a sensible float."""
    if isinstance(value, float) and not (value == 0 or 1e-30 < abs(value) < 1e30):
        return struct.unpack_from("<q", raw, at)[0], end
    return value, end


def products_of(text: str) -> tuple[str, tuple[str, ...]]:
    """Split a `rawdatafile` into the name of the file and the names of products, if it has them."""
    match = _PRODUCTS.fullmatch(text)
    return (match[1] or "", tuple(match[2].split(","))) if match else (text, ())


def encode(values: dict[str, Any]) -> bytes:
    """Encode a header of keywords, which must be in `KEYWORDS`, in the given order."""
    out = [START]
    for name, value in values.items():
        kind = KEYWORDS[name]
        out.append(_text(name.encode("ascii")))
        out.append(_text(value.encode("ascii")) if kind == "s" else struct.pack(f"<{kind}", value))
    return b"".join([*out, _text(b"HEADER_END")])


def _text(value: bytes) -> bytes:
    return struct.pack("<i", len(value)) + value

