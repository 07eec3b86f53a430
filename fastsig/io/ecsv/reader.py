"""ECSV: tables as text with a header in YAML, which astropy and other programs write.

The header alone says what a table holds; `fastsig.io.ecsv.tables` reads and writes whole ones.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fastsig.errors import FormatError, UsageError
from fastsig.io.ecsv.text import parts_of, read_bytes
from fastsig.io.probe import Probe

if TYPE_CHECKING:
    from fastsig.io.text.spectrum import HeldSpectra

__all__ = ["KINDS", "NAME", "NO_STREAM", "info", "open_spectrum", "sniff", "verify"]

NAME, KINDS = "ecsv", ("table",)

#: Values that `info` repeats of a header. A few lines of YAML can stand for any number of them.
_MOST, _DEEPEST = 100_000, 100

#: What is said where a stream in time is wanted.
NO_STREAM = ("holds a table; allowed here: a stream in time, or the table of a spectrum, which has "
             "an axis with a unit of frequency or velocity. For tables there are fastsig info, "
             "validate and view, and fastsig.io.ecsv.tables.read_table")


def sniff(probe: Probe) -> bool:
    """Whether a file begins as ECSV does."""
    return probe.container == "ecsv"


def info(path: str | os.PathLike[str], *, deep: bool = False, **overrides: Any) -> dict[str, Any]:
    """Fields of ``fastsig info --json`` of a table: its columns, units and number of rows.

    Raises
    ------
    FormatError, DataError
        As of `fastsig.io.ecsv.tables.read_table`; of the rows with `deep` alone.
    """
    _check_overrides(path, overrides)
    name = os.fspath(path)
    parts = parts_of(read_bytes(name), name)
    columns, meta = parts.fields["datatype"], parts.fields["meta"]
    n_row, told = parts.n_row, meta.get("n_row")
    if deep:
        verify(path)
    left = [_MOST]
    return {
        "table": None if meta.get("kind") is None else str(meta["kind"]), "n_row": n_row,
        "columns": [{key: _plain(column.get(source), left, name)
                     for key, source in _ABOUT.items()} for column in columns],
        "provenance": _plain(meta.get("provenance"), left, name),
        "warnings": [f"{name}: n_row = {told}; {n_row} rows are there"] if isinstance(told, int)
        and told != n_row else []}


def open_spectrum(path: str | os.PathLike[str], **overrides: Any) -> HeldSpectra:
    """Open the table of a spectrum as a stream, which most tables are not.

    Parameters
    ----------
    path : path
    **overrides
        As of `fastsig.io.text.reader.open`.

    Raises
    ------
    FormatError
        If no column is an axis of frequency or velocity, its steps are not even, or something
        that is needed is not stated.
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


#: What is said of a column, and where the header has it.
_ABOUT = {"name": "name", "unit": "unit", "type": "datatype", "description": "description"}


def _plain(value: Any, left: list[int], path: str, depth: int = 0) -> Any:
    """A value of a header as JSON has it: YAML knows dates and more, and values that repeat."""
    left[0] -= 1
    if left[0] < 0 or depth > _DEEPEST:
        raise FormatError(path, f"its header holds more than {_MOST} values, or {_DEEPEST} of them "
                          "within one another")
    if isinstance(value, dict):
        return {str(key): _plain(item, left, path, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, left, path, depth + 1) for item in value]
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _check_overrides(path: str | os.PathLike[str], overrides: dict[str, Any]) -> None:
    for name in overrides:
        raise UsageError(f"{os.fspath(path)}: {name} is no option of a table, which has none")


def verify(path: str | os.PathLike[str], **overrides: Any) -> bool:
    """Read all of a table and compare its checksum; False where there is none.

    Raises
    ------
    FormatError, DataError
        As of `fastsig.io.ecsv.tables.read_table`.
    """
    from fastsig.io.ecsv.tables import read_table

    _check_overrides(path, overrides)
    return read_table(path).meta.get("crc32") is not None
