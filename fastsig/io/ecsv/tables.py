"""Tables in ECSV: astropy's tables as text, which other programs can read.

A table written by `write_table` has a description for each column, a unit for each column of real
numbers, and in its meta ``kind``, ``n_row``, ``crc32`` (of everything after the header) and
``provenance``. A reader can therefore determine the contents of the table, how it was made, and
whether it is complete.
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
from fastsig.errors import DataError, FastsigWarning, FormatError, UsageError, users_line
from fastsig.io.ecsv.text import Parts, first_line, parts_of, read_bytes
from fastsig.io.files.safe import write_bytes

__all__ = ["KEYS", "read_table", "seal", "table_bytes", "write_table"]

#: Keys that `write_table` adds to the meta.
KEYS = ("kind", "n_row", "crc32", "provenance")


def table_bytes(table: Table) -> bytes:
    """Return a table as ECSV."""
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    return text.getvalue().encode()


def write_table(table: Table, path: str | os.PathLike[str], *, kind: str,
                provenance: Mapping[str, Any], overwrite: bool = False) -> None:
    """Write a table as ECSV, completely or not at all; identical tables give identical files.

    Parameters
    ----------
    table : Table or QTable
        Each column needs a description, and columns of real numbers a unit (``""`` if they are
        dimensionless). Times are written as UTC or in their own scale, to the nanosecond.
    path : path
        The file.
    kind : str
        The kind of rows, such as ``"candidates"``, by which readers recognise the table.
    provenance : mapping
        JSON-ready record of how the table was made; the version of fastsig is added.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    UsageError
        If a description or a unit is missing, or a value cannot be written as text.
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
    made.meta = {"kind": kind, **seal(made),
                 "provenance": _plain({"fastsig": __version__, **provenance}, "provenance"),
                 **_plain(dict(made.meta), "meta")}
    write_bytes(table_bytes(made), path, overwrite=overwrite)


def seal(table: Table) -> dict[str, Any]:
    """Return the entries of a table's meta by which readers detect that it is incomplete."""
    body = parts_of(table_bytes(table), "table").body
    return {"n_row": len(table), "crc32": f"{zlib.crc32(body):08x}"}


def _checked(name: str, column: Any) -> Any:
    """Return a column as it is to be written."""
    if not (column.info.description or "").strip():
        raise UsageError(f"column {name!r} has no description; allowed: one for each column")
    kind = getattr(getattr(column, "dtype", None), "kind", "")
    if kind == "O":
        raise UsageError(f"column {name!r} has Python objects; allowed: numbers, text, times")
    if kind in "fc" and kind and column.info.unit is None:
        raise UsageError(f"column {name!r} has no unit; allowed: one, or '' for pure numbers")
    if not isinstance(column, Time):
        return column
    written = Time(column, format="isot", precision=9)
    written.info.description = column.info.description
    return written


def _plain(value: Any, what: str) -> Any:
    """Return a value as JSON would return it, so that YAML needs no tags."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{what}: {error}; allowed: values of JSON") from error


def read_table(path: str | os.PathLike[str], *, kind: str | None = None) -> QTable:
    """Read an ECSV table, of fastsig or of other programs.

    Parameters
    ----------
    path : path
        The file.
    kind : str, optional
        The only kind that is accepted; by default, any.

    Raises
    ------
    FormatError
        If the file is not ECSV, or of another kind.
    DataError
        If the table is truncated, or its rows do not agree with its header.
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
    parts.fields  # noqa: B018 - an invalid header raises its own FormatError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return QTable.read(parts.text, format="ascii.ecsv")
    except Exception as error:  # anything that its readers raise for unexpected rows
        raise DataError(path, f"its rows do not agree with its header, or end early: "
                        f"{first_line(error)}") from error


def _check(table: QTable, parts: Parts, path: str) -> None:
    """Compare the rows with the meta."""
    n_row, checksum = table.meta.get("n_row"), table.meta.get("crc32")
    if isinstance(n_row, int) and n_row != len(table):
        raise DataError(path, f"n_row = {n_row}; the file has {len(table)} rows: it is "
                        f"{'truncated' if len(table) < n_row else 'changed'}")
    if checksum is not None and checksum != parts.crc32:
        raise DataError(path, f"crc32 = {str(checksum)[:40]!r}; its rows have {parts.crc32!r}: "
                        "they have changed")
    if checksum is None and not parts.ended:
        warnings.warn(f"{path}: its last line has no line end: the file may be truncated",
                      FastsigWarning, stacklevel=users_line())
