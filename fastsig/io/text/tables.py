"""Columns of numbers in text: CSV and similar, columns separated by blanks, GBTIDL's ASCII.

The table begins with the first line in which all cells are numbers. Lines before it may contain
names and units, as in ``frequency (GHz), XX (K)`` or with the units on a separate line, and values,
as in ``# key = value``.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.errors import FormatError, unreadable

__all__ = ["Column", "TextTable", "begins_table", "read_text", "table_lacks"]

_LARGEST = 2**28
_COMMENT = "#!%"
_LEAST_ROWS = 4  # of a column without unit and name: fewer may have even steps by chance
_AXES = ("freq", "velo")
_WORD = re.compile(r"[^\s(\[]+(?:\s*[(\[][^)\]]*[)\]])?")
_NAMED = re.compile(r"(.*?)\s*[(\[]\s*(.*?)\s*[)\]]")
_SUFFIX = re.compile(r"(.+)_([kmg]?hz|m?jy|m?k)", re.IGNORECASE)
_VALUE = re.compile(r"([A-Za-z][\w-]*)\s*[=:]\s*(\S.*)")
_SPACED = 0.05
# In files of GBTIDL: unit and frame of the axis, and the unit of values on the line before.
_GBTIDL = re.compile(r"([kMG]?Hz|km/s)-(\w+)")
_GBTIDL_SCAN = re.compile(r"Scan:\s+\d+\s+(\S+)")
_CALLED = {"counts": "", "count": "", "ta": "K", "ta*": "K", "tmb": "K", "": ""}
_UNITS = {each.casefold(): each for each in ("Hz", "kHz", "MHz", "GHz", "K", "mK", "Jy", "mJy",
                                             "km/s", "m/s")}


class Column(NamedTuple):
    """A column: its name, and its unit as text, or None if it has none."""

    name: str
    unit: str | None


class TextTable(NamedTuple):
    """A table: columns, numbers (row, column), and values by key from the lines before it."""

    columns: list[Column]
    values: NDArray[np.float64]
    meta: dict[str, str]


def begins_table(head: bytes) -> bool:
    """Whether a file begins like the text of a spectrum.

    The first of two or more columns must have a unit or a name of frequency or velocity, or be
    four or more numbers in even steps.
    """
    found = _beginning(head)
    return found is not None and (_is_axis(found[0]) or _is_even(found[1]))


def table_lacks(head: bytes) -> str | None:
    """Describe what the beginning of a text with rows of numbers lacks; None for other files."""
    found = _beginning(head)
    if found is None or begins_table(head):
        return None
    n = len(found[1])
    steps = "uneven steps" if n >= _LEAST_ROWS else "1 row" if n == 1 else f"{n} rows"
    return (f"its first column, {found[0].name!r}, has {steps} and no unit of frequency or "
            "velocity; as text of a spectrum it needs one in the line above the numbers, e.g. "
            f"'frequency (MHz), I', or {_LEAST_ROWS} or more rows in even steps")


def _beginning(head: bytes) -> tuple[Column, list[float]] | None:
    """Return the first column of a table of numbers and its first values; None for other files."""
    if any(byte < 32 and byte not in b"\t\n\r\f" for byte in head):
        return None  # not text
    lines = head.decode("utf-8-sig", "replace").splitlines()
    if len(head) == 4096:
        lines = lines[:-1]  # truncated
    at = _first_row(lines)
    if at is None:
        return None
    delimiter = _delimiter(lines[at])
    rows = [row for line in lines[at:] if (row := _numbers(line, delimiter)) is not None]
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        return None
    axis = _columns(_bare(lines[:at]), delimiter, width, {})[0]
    return axis, [row[0] for row in rows]


def _is_axis(column: Column) -> bool:
    """Whether a column has the unit, or without one the name, of an axis of spectra."""
    if column.unit is None:
        return column.name.casefold().startswith(_AXES)
    return _is_unit(column.unit) and any(
        u.Unit(column.unit).is_equivalent(each) for each in (u.Hz, u.m / u.s))


def _is_even(values: list[float]) -> bool:
    """Whether there are enough values to show that they have even steps."""
    if len(values) < _LEAST_ROWS:
        return False
    steps = np.diff(values)
    middle = float(np.median(steps))
    return bool(middle and np.isfinite(middle)
                and (np.abs(steps - middle) <= 2 * _SPACED * abs(middle)).all())


def read_text(path: str) -> TextTable:
    """Read the table in a text file.

    Raises
    ------
    FormatError
        If the file cannot be read, or rows differ in length.
    """
    try:
        if os.path.getsize(path) > _LARGEST:
            raise FormatError(path, f"is larger than {_LARGEST >> 20} MiB; allowed: a table that "
                              "fits in memory")
        # Comments may have bytes that are not UTF-8; in a row they are not numbers.
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise unreadable(path, error) from error
    at = _first_row(lines)
    if at is None:
        raise FormatError(path, "contains no row of two or more numbers")
    delimiter = _delimiter(lines[at])
    try:
        values = np.loadtxt([_filled(line, delimiter) for line in lines[at:]], delimiter=delimiter,
                            comments=list(_COMMENT), ndmin=2)
    except ValueError as error:
        raise FormatError(path, f"rows from line {at + 1} on are not a table of numbers: "
                          f"{str(error).splitlines()[0]}") from error
    head = _bare(lines[:at])
    meta = {match[1].casefold(): match[2].strip() for line in head
            if (match := _VALUE.fullmatch(line))}
    return TextTable(_columns(head, delimiter, values.shape[1], meta), values, meta)


def _bare(lines: list[str]) -> list[str]:
    """Return lines without comment characters."""
    return [line.strip().lstrip(_COMMENT).strip() for line in lines]


def _first_row(lines: list[str]) -> int | None:
    for at, line in enumerate(lines):
        row = _numbers(line, _delimiter(line))
        if row is not None and len(row) > 1:
            return at
    return None


def _delimiter(line: str) -> str | None:
    return next((each for each in (",", ";", "\t") if each in line), None)


def _numbers(line: str, delimiter: str | None) -> list[float] | None:
    """Return the numbers of a line, or None if it is not a row; empty cells are NaN."""
    try:
        row = [float(cell.strip() or "nan") for cell in line.split(delimiter)]
    except ValueError:
        return None
    return row if row and not all(np.isnan(row)) else None


def _filled(line: str, delimiter: str | None) -> str:
    """Return a line with NaN in empty cells."""
    if delimiter is None or not line.strip():
        return line
    return delimiter.join(cell.strip() or "nan" for cell in line.split(delimiter))


def _columns(head: list[str], delimiter: str | None, width: int, meta: dict[str, str]
             ) -> list[Column]:
    """Return names and units from the lines before the table; add GBTIDL's values to `meta`."""
    rows = [cells for line in head
            if len(cells := _cells(line, delimiter)) == width and not _VALUE.fullmatch(line)]
    if not rows:
        return [Column(f"column {i + 1}", None) for i in range(width)]
    if len(rows) > 1 and all(_is_unit(cell) for cell in rows[-1]):
        return [Column(name, _unit(unit)) for name, unit in zip(rows[-2], rows[-1], strict=True)]
    columns = [_column(cell) for cell in rows[-1]]
    match = _GBTIDL.fullmatch(columns[0].name)
    if match:
        return _gbtidl(head, columns, match, meta)
    return columns


def _cells(line: str, delimiter: str | None) -> list[str]:
    cells = _WORD.findall(line) if delimiter is None else line.split(delimiter)
    return [cell.strip().strip('"').strip() for cell in cells]


def _column(cell: str) -> Column:
    match = _NAMED.fullmatch(cell) or _SUFFIX.fullmatch(cell)
    return Column(match[1], _unit(match[2])) if match else Column(cell, None)


def _unit(text: str) -> str:
    return _CALLED.get(text.casefold(), _UNITS.get(text.casefold(), text))


def _is_unit(text: str) -> bool:
    try:
        u.Unit(_unit(text))
    except (ValueError, TypeError):
        return False
    return True


def _gbtidl(head: list[str], columns: list[Column], match: re.Match[str], meta: dict[str, str]
            ) -> list[Column]:
    """Return the columns of GBTIDL's ASCII; the lines before them also name the source."""
    meta["specsys"] = match[2]
    words = {line for line in head if line.casefold() in _CALLED or line.casefold() in _UNITS}
    unit = _unit(words.pop()) if len(words) == 1 else None
    scan = next((found for line in head if (found := _GBTIDL_SCAN.match(line))), None)
    if scan:
        meta["source"] = scan[1]
    return [Column("frequency", match[1]), *(Column(each.name, unit) for each in columns[1:])]
