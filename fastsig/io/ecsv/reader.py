"""ECSV: tables as text with a header in YAML, as written by astropy and other programs.

The header describes the contents of a table; `fastsig.io.ecsv.tables` reads and writes whole
tables.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fastsig.errors import FormatError, UsageError
from fastsig.io.ecsv.text import parts_of, read_bytes
from fastsig.io.probe import Probe

if TYPE_CHECKING:
    from fastsig.io.text.spectrum import HeldSpectra

__all__ = ["KINDS", "NAME", "NO_STREAM", "cards", "info", "open_spectrum", "sniff", "verify"]

NAME, KINDS = "ecsv", ("table",)

#: Limits of the values of a header in `info`. A few lines of YAML can expand to any number.
_MOST, _DEEPEST = 100_000, 100

#: The error if a stream in time is needed.
NO_STREAM = ("contains a table; allowed here: a stream in time, or the table of a spectrum, which "
             "has an axis with a unit of frequency or velocity. For tables use fastsig info, "
             "validate and view, and fastsig.io.ecsv.tables.read_table")


def sniff(probe: Probe) -> bool:
    """Whether a file begins with the signature of ECSV."""
    return probe.container == "ecsv"


def info(path: str | os.PathLike[str], *, deep: bool = False, **overrides: Any) -> dict[str, Any]:
    """Return the fields of ``fastsig info --json`` of a table: columns, units, number of rows.

    Raises
    ------
    FormatError, DataError
        As for `fastsig.io.ecsv.tables.read_table`; errors in rows only with `deep`.
    """
    _check_overrides(path, overrides)
    name = os.fspath(path)
    parts = parts_of(read_bytes(name), name)
    columns, meta = parts.fields["datatype"], parts.fields["meta"]
    n_row, stated = parts.n_row, meta.get("n_row")
    if deep:
        verify(path)
    left = [_MOST]
    return {
        "table": None if meta.get("kind") is None else str(meta["kind"]), "n_row": n_row,
        "columns": [{key: _plain(column.get(source), left, name)
                     for key, source in _ABOUT.items()} for column in columns],
        "provenance": _plain(meta.get("provenance"), left, name),
        "warnings": [f"{name}: n_row = {stated}; the file has {n_row} rows"] if isinstance(
            stated, int) and stated != n_row else []}


def cards(path: str) -> dict[str, Any]:
    """Return the values of a header that apply to the whole table, without the provenance."""
    meta = parts_of(read_bytes(path), path).fields["meta"]
    return {key: value for key, value in _plain(meta, [_MOST], path).items() if key != "provenance"}


def open_spectrum(path: str | os.PathLike[str], **overrides: Any) -> HeldSpectra:
    """Open the table of a spectrum as a stream; other tables are refused.

    Parameters
    ----------
    path : path
        The file.
    **overrides
        As for `fastsig.io.text.reader.open`.

    Raises
    ------
    FormatError
        If no column is an axis of frequency or velocity, its steps are not even, or a required
        value is not stated.
    UsageError
        If an override is unknown or has no meaning.
    """
    from fastsig.io.ecsv.tables import read_table
    from fastsig.io.text.objects import pieces_of_table
    from fastsig.io.text.spectrum import held

    name = os.fspath(path)
    pieces = pieces_of_table(read_table(name), overrides)
    if pieces is None:
        raise FormatError(name, NO_STREAM)
    return held(pieces, name, [name], overrides, NAME)


#: Keys that describe a column, and their names in the header.
_ABOUT = {"name": "name", "unit": "unit", "type": "datatype", "description": "description"}


def _plain(value: Any, left: list[int], path: str, depth: int = 0) -> Any:
    """Convert a value of a header for JSON: YAML also has dates, other types, and references."""
    left[0] -= 1
    if left[0] < 0 or depth > _DEEPEST:
        raise FormatError(path, f"its header has more than {_MOST} values, or more than "
                          f"{_DEEPEST} levels of nesting")
    if isinstance(value, dict):
        return {str(key): _plain(item, left, path, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, left, path, depth + 1) for item in value]
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _check_overrides(path: str | os.PathLike[str], overrides: dict[str, Any]) -> None:
    for name in overrides:
        raise UsageError(f"{os.fspath(path)}: {name} is not an option: tables have no options")


def verify(path: str | os.PathLike[str], **overrides: Any) -> bool:
    """Read a whole table and verify its checksum; return False if it has none.

    Raises
    ------
    FormatError, DataError
        As for `fastsig.io.ecsv.tables.read_table`.
    """
    from fastsig.io.ecsv.tables import read_table

    _check_overrides(path, overrides)
    return read_table(path).meta.get("crc32") is not None
