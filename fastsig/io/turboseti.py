"""Tables of hits of turboSETI: text with a header in comments and a row for each hit (.dat)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsig.errors import FormatError, UsageError, unreadable
from fastsig.io.probe import Probe

if TYPE_CHECKING:
    from fastsig.search.drift.hits import Hits

__all__ = ["KINDS", "NAME", "NO_STREAM", "TABLE", "cards", "info", "read_dat", "sniff", "verify"]

NAME, KINDS = "turboseti", ("table",)

#: Kind of the table, which is that of tables of hits in ECSV.
TABLE = "drifting carriers"

#: The error if a stream in time is needed.
NO_STREAM = ("contains a table of hits; allowed here: a stream in time. For tables use fastsig "
             "info, validate, view and convert, and fastsig.read_hits")

_LINES = 4  # of the header, by which a file is recognised
_MOST_BYTES = 10**9


def sniff(probe: Probe) -> bool:
    """Whether a file begins with the header of a table of hits."""
    lines = probe.head.decode("latin-1").splitlines()[:_LINES]
    return len(lines) == _LINES and lines[0].startswith("# ---") and lines[1].startswith(
        "# File ID:") and lines[3].startswith("# Source:")


def read_dat(path: str | os.PathLike[str]) -> Hits:
    """Return the hits of a table of turboSETI.

    Raises
    ------
    FormatError
        If the file is not such a table, or cannot be read.
    """
    from fastsig.search.drift.turboseti import parse_dat

    try:
        return parse_dat(_text(path))
    except UsageError as error:
        raise FormatError(path, f"its hits are invalid: {error}") from error


def info(path: str | os.PathLike[str], *, deep: bool = False, **overrides: Any) -> dict[str, Any]:
    """Return the fields of ``fastsig info --json`` of a table: columns, units, number of rows.

    Raises
    ------
    FormatError
        If the file is not such a table.
    UsageError
        If an override is given.
    """
    _check_overrides(path, overrides)
    hits = read_dat(path)
    known = hits.known()
    return {"table": TABLE, "n_row": len(hits), "provenance": None, "warnings": [],
            "columns": [{"name": name, "unit": known[name].unit or None,
                         "type": "string" if known[name].dtype in ("time", "U") else
                         np.dtype(known[name].dtype).name, "description": known[name].text}
                        for name in hits.names]}


def cards(path: str) -> dict[str, Any]:
    """Return the values of the header by name."""
    from fastsig.search.drift.turboseti import fields_of

    return dict(fields_of(_text(path)))


def verify(path: str | os.PathLike[str], **overrides: Any) -> bool:
    """Read a whole table; it has no checksums.

    Raises
    ------
    FormatError
        If the file is not such a table.
    UsageError
        If an override is given.
    """
    _check_overrides(path, overrides)
    read_dat(path)
    return False


def _text(path: str | os.PathLike[str]) -> str:
    try:
        if os.path.getsize(path) > _MOST_BYTES:
            raise FormatError(path, f"has more than {_MOST_BYTES} bytes, unlike a table of hits")
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as error:
        raise unreadable(path, error) from error


def _check_overrides(path: str | os.PathLike[str], overrides: dict[str, Any]) -> None:
    for name in overrides:
        raise UsageError(f"{os.fspath(path)}: {name} is not an option: tables have no options")
