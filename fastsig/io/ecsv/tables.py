"""Tables as ECSV: astropy's tables as text, which other programs read.

A table that `write_table` writes has a description of every column, a unit of every column of real
numbers, and in its meta ``kind``, ``n_row``, ``crc32`` (of all that follows the header) and
``provenance``. So a reader knows what it holds, how it was made, and whether all of it is there.
"""

from __future__ import annotations

import io
import json
import os
import warnings
import zlib
from collections.abc import Mapping
from typing import Any

from astropy.table import QTable, Table
from astropy.time import Time

from fastsig._version import __version__
from fastsig.errors import DataError, FastsigWarning, FormatError, UsageError
from fastsig.io.ecsv.text import Parts, first_line, parts_of, read_bytes
from fastsig.io.files.safe import write_bytes

__all__ = ["KEYS", "read_table", "table_bytes", "write_table"]

#: What `write_table` puts into the meta.
KEYS = ("kind", "n_row", "crc32", "provenance")


def table_bytes(table: Table) -> bytes:
    """A table as ECSV."""
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    return text.getvalue().encode()


def write_table(table: Table, path: str | os.PathLike[str], *, kind: str,
                provenance: Mapping[str, Any], overwrite: bool = False) -> None:
    """Write a table as ECSV, whole or not at all; equal tables give equal bytes.

    Parameters
    ----------
    table : Table or QTable
        Each column has a description, and one of real numbers a unit (``""`` where it has no
        dimension). Times are written as UTC or their own scale, to the nanosecond.
    path : path
    kind : str
        What a row is, such as ``"candidates"``: readers go by it.
    provenance : mapping
        How the table was made, JSON-ready; the version of fastsig is added.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    UsageError
        If a description or a unit is missing, or something cannot be written as text.
    OutputError
        If the file exists or cannot be written.
    """
    made = table.copy()
    for name in KEYS:
        if name in made.meta:
            raise UsageError(f"meta[{name!r}] is written by fastsig; allowed: another name")
    for name in made.colnames:
        made[name] = _checked(name, made[name])
    if not made.colnames:
        raise UsageError("the table has no columns; allowed: 1 or more")
    body = parts_of(table_bytes(made), os.fspath(path)).body
    made.meta = {"kind": kind, "n_row": len(made), "crc32": f"{zlib.crc32(body):08x}",
                 "provenance": _plain({"fastsig": __version__, **provenance}, "provenance"),
                 **_plain(dict(made.meta), "meta")}
    write_bytes(table_bytes(made), path, overwrite=overwrite)


def _checked(name: str, column: Any) -> Any:
    """A column as it is written."""
    if not (column.info.description or "").strip():
        raise UsageError(f"column {name!r} has no description; allowed: one of every column")
    kind = getattr(getattr(column, "dtype", None), "kind", "")
    if kind == "O":
        raise UsageError(f"column {name!r} holds Python objects; allowed: numbers, text, times")
    if kind in "fc" and kind and column.info.unit is None:
        raise UsageError(f"column {name!r} has no unit; allowed: one, or '' for pure numbers")
    if not isinstance(column, Time):
        return column
    written = Time(column, format="isot", precision=9)
    written.info.description = column.info.description
    return written


def _plain(value: Any, what: str) -> Any:
    """A value as JSON would give it back: YAML then needs no tags."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{what}: {error}; allowed: what JSON can hold") from error


def read_table(path: str | os.PathLike[str], *, kind: str | None = None) -> QTable:
    """Read an ECSV table, of fastsig or of other programs.

    Parameters
    ----------
    path : path
    kind : str, optional
        The only one to be taken, where it is given.

    Raises
    ------
    FormatError
        If the file is no ECSV, or of another kind.
    DataError
        If it is truncated, or its rows do not agree with its header.
    """
    name = os.fspath(path)
    parts = parts_of(read_bytes(name), name)
    table = _parsed(parts, name)
    _check(table, parts, name)
    found = table.meta.get("kind")
    if kind is not None and found != kind:
        raise FormatError(name, f"a table of kind {str(found)[:40]!r}; allowed: {kind!r}")
    return table


def _parsed(parts: Parts, path: str) -> QTable:
    parts.fields  # noqa: B018 - a header that makes no sense is a FormatError of its own
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return QTable.read(parts.text, format="ascii.ecsv")
    except Exception as error:  # whatever its readers raise of rows that they do not expect
        raise DataError(path, f"its rows do not agree with its header, or end early: "
                        f"{first_line(error)}") from error


def _check(table: QTable, parts: Parts, path: str) -> None:
    """Compare what the meta says of the rows with the rows."""
    n_row, told = table.meta.get("n_row"), table.meta.get("crc32")
    if isinstance(n_row, int) and n_row != len(table):
        raise DataError(path, f"n_row = {n_row}; {len(table)} rows are there: the file is "
                        f"{'truncated' if len(table) < n_row else 'changed'}")
    if told is not None and told != parts.crc32:
        raise DataError(path, f"crc32 = {str(told)[:40]!r}; its rows give {parts.crc32!r}: they "
                        "have changed")
    if told is None and not parts.ended:
        warnings.warn(f"{path}: its last line has no end: the file may be truncated",
                      FastsigWarning, stacklevel=4)
