"""The layout of a FITS file: its units, and the columns of their binary tables.

Only headers are read, and the sizes that they state are compared with the file. Values of cards
remain text, because times and rates need the decimals as written rather than the nearest floats.

References
----------
FITS Standard 4.0 (2018): section 4 (headers), 7.3 (binary tables).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import DataError, FormatError, unreadable
from fastsig.io.files.cards import Cards
from fastsig.io.files.positioned import read_into
from fastsig.io.voltages.segments import incomplete

__all__ = ["BLOCK", "Column", "Table", "read_column", "tables"]

#: Headers and data are filled up to a multiple of this number of bytes.
BLOCK = 2880

_CARD, _MOST_HEADER = 80, 2**24
_MOST_COLUMNS = 999

# Type letters of TFORM and the types of their elements. X, with 8 bits per byte, is separate.
_TYPES = {"L": "S1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8",
          "C": ">c8", "M": ">c16", "P": ">i4", "Q": ">i8"}
_FORM = re.compile(r"(\d{0,12})([LXBIJKAEDCMPQ])(.*)", re.DOTALL)
_DIM = re.compile(r"\(\s*\d{1,12}\s*(,\s*\d{1,12}\s*)*\)")


@dataclass(frozen=True)
class Column:
    """A column of a binary table.

    Parameters
    ----------
    name : str
        TTYPE, in capitals, or ``COLn``.
    offset : int
        Bytes from the start of a row to the field.
    count : int
        Number of elements in a row's field; a text is one element.
    dtype : dtype
        Type of an element in the file, big-endian.
    shape : tuple of int
        Shape of a row's field in NumPy's order: TDIM reversed if its product is `count`, otherwise
        ``(count,)``; ``()`` for a text or a single number.
    code : str
        Letter of TFORM. Fields of P and Q are a length and an offset in the heap.
    scale, zero : float
        TSCAL and TZERO, 1 and 0 where they are missing.
    unit : str
        TUNIT.
    dim : str
        TDIM as written, even if it does not fit.
    """

    name: str
    offset: int
    count: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    code: str
    scale: float = 1.0
    zero: float = 0.0
    unit: str = ""
    dim: str = ""

    @property
    def n_byte(self) -> int:
        """Number of bytes in a row's field."""
        return self.count * self.dtype.itemsize


class Table(NamedTuple):
    """A unit of a FITS file; units other than binary tables have no rows and columns here.

    Parameters
    ----------
    name : str
        EXTNAME in capitals; "PRIMARY" for the first unit.
    kind : str
        "PRIMARY", or XTENSION: "BINTABLE", "IMAGE", "TABLE".
    cards : Cards
        Values of the header as text; of several cards with the same key, the first.
    n_row : int
        Number of complete rows in the file.
    row_bytes : int
        Bytes from one row to the next.
    data_offset : int
        First byte of the data in the file.
    columns : mapping
        Columns by name.
    """

    name: str
    kind: str
    cards: Cards
    n_row: int
    row_bytes: int
    data_offset: int
    columns: Mapping[str, Column]

    def require(self, path: str, *names: str) -> None:
        """Raise `FormatError` if one of the columns `names` is missing."""
        for name in names:
            if name not in self.columns:
                raise FormatError(path, f"the table {self.name} has no column {name}; it has "
                                  f"{', '.join(self.columns) or 'none'}")

    def at(self, row: int, name: str) -> int:
        """Return the first byte of a field in the file."""
        return self.data_offset + row * self.row_bytes + self.columns[name].offset


def tables(path: str) -> list[Table]:
    """Return all units of a FITS file, the primary one first.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    list of Table
        Units in the order of the file. Rows that NAXIS2 counts but that are not complete in the
        file are left out, with a `FastsigWarning`.

    Raises
    ------
    FormatError
        Where the file cannot be read, is not a FITS file or states an impossible layout.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(path, error) from error
    try:
        return list(_units(descriptor, os.fstat(descriptor).st_size, path))
    except OSError as error:
        raise unreadable(path, error) from error
    finally:
        os.close(descriptor)


def read_column(path: str, table: Table, name: str, start: int = 0, stop: int | None = None
                ) -> NDArray[Any]:
    """Read a column's fields in a range of rows, with one positioned read per row.

    Parameters
    ----------
    path : str
        The file.
    table : Table
        One of its tables.
    name : str
        The column.
    start, stop : int
        Range of rows, all by default.

    Returns
    -------
    ndarray, shape (n_row, *column.shape), native byte order
        Values with TSCAL and TZERO applied: float64 where they are not 1 and 0. Texts are bytes
        without trailing blanks.

    Raises
    ------
    DataError
        Where the file cannot be read.
    FormatError
        Where the column is missing, or its fields lie in the heap.
    """
    table.require(path, name)
    column = table.columns[name]
    if column.code in "PQ":
        raise FormatError(path, f"the column {name} of {table.name} is of variable length; "
                          "allowed: fixed length")
    stop = table.n_row if stop is None else min(stop, table.n_row)
    raw = np.empty((max(0, stop - start), column.n_byte), np.uint8)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DataError(path, error.strerror or str(error)) from error
    try:
        for row, target in enumerate(raw, start):
            read_into(descriptor, target, table.at(row, name), path)
    finally:
        os.close(descriptor)
    if not column.n_byte:
        return np.zeros((len(raw), *column.shape), column.dtype.newbyteorder("="))
    values = raw.view(column.dtype).reshape(len(raw), *column.shape)
    if column.code in "ALX":
        return values
    if (column.scale, column.zero) != (1.0, 0.0):
        return np.asarray(values * column.scale + column.zero)
    return values.astype(column.dtype.newbyteorder("="))


def _units(descriptor: int, size: int, path: str) -> Iterator[Table]:
    at, number = 0, 0
    while at < size:
        raw, length = _header_bytes(descriptor, at, primary=number == 0)
        if not length:
            if number == 0:
                raise FormatError(path, "not a FITS file: the first header is missing or has no "
                                  "END")
            incomplete(path, f"no header at byte {at}; the last {size - at} bytes are left out")
            return
        where = f"header {number}"
        unit, end = _unit(_values(raw, path, where), at + length, size, path, where, number == 0)
        yield unit
        at, number = -(-end // BLOCK) * BLOCK, number + 1


def _header_bytes(descriptor: int, at: int, *, primary: bool) -> tuple[bytes, int]:
    """Return the cards before END and the header's length in bytes; 0 where there is no header."""
    raw = b""
    while len(raw) < _MOST_HEADER:
        block = os.pread(descriptor, BLOCK, at + len(raw))
        if not raw and not block.startswith(b"SIMPLE  =" if primary else b"XTENSION="):
            return b"", 0
        if len(block) < _CARD:
            return b"", 0
        for card in range(0, len(block) - _CARD + 1, _CARD):
            if block[card : card + 8] == b"END     ":
                return raw + block[:card], len(raw) + BLOCK
        raw += block
    return b"", 0


def _values(raw: bytes, path: str, where: str) -> Cards:
    """Return values by key: texts without quotes, numbers as written except for a Fortran D."""
    values: dict[str, str] = {}
    last: str | None = None
    for at in range(0, len(raw) - _CARD + 1, _CARD):
        card = raw[at : at + _CARD].decode("ascii", "backslashreplace")
        key, mark, rest = card[:8].rstrip(), card[8:10], card[10:].strip()
        if key == "CONTINUE" and last is not None and values[last].endswith("&"):
            values[last] = values[last][:-1] + _text(rest)
            continue
        last = None
        if mark.rstrip() != "=" or not key or key in values:
            continue
        if rest.startswith("'"):
            values[key], last = _text(rest), key
        else:
            values[key] = _number(rest.partition("/")[0].strip())
    return Cards(values, path, where)


def _number(text: str) -> str:
    """Return a value without quotes, with its exponent after an e.

    An exponent of four or more digits could give a power of ten that fills the memory. A blank is
    put before it, so that the text is no longer a number.
    """
    found = re.fullmatch(r"([-+]?[0-9.]+)[dDeE]([-+]?)(\d+)", text)
    if found is None:
        return text
    digits = found[3].lstrip("0") or "0"
    return f"{found[1]}{'e' if len(digits) < 4 else ' e'}{found[2]}{digits}"


def _text(quoted: str) -> str:
    """Return the text between quotes; two quotes within it represent one."""
    found = re.match(r"'((?:[^']|'')*)", quoted)
    return found.group(1).replace("''", "'").rstrip() if found else ""


def _unit(cards: Cards, offset: int, size: int, path: str, where: str, primary: bool
          ) -> tuple[Table, int]:
    """Return a unit, and the byte at which its data end."""
    kind = "PRIMARY" if primary else (cards.text("XTENSION") or "").upper()
    name = "PRIMARY" if primary else (cards.text("EXTNAME") or where).upper()
    n_axis = cards.integer("NAXIS", 0, most=999)
    axes = [cards.integer(f"NAXIS{axis + 1}") for axis in range(n_axis)]
    width = abs(cards.integer("BITPIX", 8, least=-64, most=64)) // 8
    groups = cards.integer("GCOUNT", 1)
    n_byte = width * groups * (cards.integer("PCOUNT", 0) + (math.prod(axes) if axes else 0))
    if kind != "BINTABLE":
        return Table(name, kind, cards, 0, 0, offset, {}), offset + n_byte
    if n_axis != 2 or width != 1:
        raise FormatError(path, f"{where} ({name}): a binary table with NAXIS = {n_axis}, BITPIX = "
                          f"{cards.get('BITPIX')}; allowed: 2 and 8")
    row_bytes, promised = axes
    columns = _columns(cards, row_bytes, path, f"{where} ({name})")
    there = max(0, size - offset) // row_bytes if row_bytes else 0
    if there < promised:
        incomplete(path, f"{where} ({name}): NAXIS2 = {promised}; {there} complete rows of "
                   f"{row_bytes} bytes are present: the file is truncated")
    return (Table(name, kind, cards, min(promised, there), row_bytes, offset, columns),
            offset + n_byte)


def _columns(cards: Cards, row_bytes: int, path: str, where: str) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    offset = 0
    for index in range(1, cards.integer("TFIELDS", 0, most=_MOST_COLUMNS) + 1):
        column = _column(cards, index, offset)
        offset += column.n_byte
        columns.setdefault(column.name, column)
    if offset > row_bytes:
        raise FormatError(path, f"{where}: NAXIS1 = {row_bytes}; its columns need {offset} bytes")
    if offset < row_bytes:  # a TFORM is too short, which shifts the columns after it
        incomplete(path, f"{where}: NAXIS1 = {row_bytes}; its columns need {offset} bytes, and the "
                   "rest of a row is left out")
    return columns


def _column(cards: Cards, index: int, offset: int) -> Column:
    found = _FORM.fullmatch((cards.text(f"TFORM{index}") or "").upper())
    if found is None:
        raise cards.error(f"TFORM{index}", "a number and one of L X B I J K A E D C M P Q")
    repeat, code = int(found[1] or 1), found[2]
    name = (cards.text(f"TTYPE{index}") or f"COL{index}").upper()
    dim = cards.text(f"TDIM{index}") or ""
    count, dtype = repeat, np.dtype("u1")
    shape: tuple[int, ...] = () if repeat == 1 else (repeat,)
    if code == "A":
        if repeat >= 2**31:
            raise cards.error(f"TFORM{index}", "fewer than 2^31 characters")
        count, dtype, shape = (1 if repeat else 0), np.dtype(f"S{max(1, repeat)}"), ()
    elif code == "X":
        count = -(-repeat // 8)
        shape = (count,)
    elif code in "PQ":
        count = 2 if repeat else 0
        dtype, shape = np.dtype(_TYPES[code]), (count,)
    else:
        dtype = np.dtype(_TYPES[code])
        shape = _shape(dim, repeat) or shape
    scale, zero = (cards.number(f"{key}{index}") for key in ("TSCAL", "TZERO"))
    return Column(name, offset, count, dtype, shape, code, 1.0 if scale is None else scale,
                  0.0 if zero is None else zero, cards.text(f"TUNIT{index}") or "", dim)


def _shape(dim: str, count: int) -> tuple[int, ...] | None:
    """Return TDIM reversed, or None where it is missing or does not fit."""
    if not _DIM.fullmatch(dim):
        return None
    shape = tuple(int(each) for each in re.findall(r"\d+", dim))[::-1]
    return shape if math.prod(shape) == count else None
