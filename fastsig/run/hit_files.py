"""Hits of drifting carriers as files: ECSV tables, and .dat files of turboSETI."""

from __future__ import annotations

import os

from fastsig.errors import FormatError, UsageError
from fastsig.io.ecsv.tables import KEYS, read_table, write_table
from fastsig.io.files.safe import write_bytes
from fastsig.search.drift.hits import Hits
from fastsig.search.drift.turboseti import dat_text, parse_dat

__all__ = ["FORMATS", "KIND", "format_of", "read_hits", "write_hits"]

#: Name of this kind of table in its meta.
KIND = "drifting carriers"
#: Formats in which hits can be written.
FORMATS = ("ecsv", "turboseti")
_SUFFIXES = {".ecsv": "ecsv", ".dat": "turboseti"}


def format_of(path: str | os.PathLike[str], to: str | None = None) -> str:
    """Return the format in which a file is to be written.

    Raises
    ------
    UsageError
        If neither `to` nor the extension indicates one.
    """
    found = to or _SUFFIXES.get(os.path.splitext(os.fspath(path))[1].lower())
    if found not in FORMATS:
        raise UsageError(f"{os.fspath(path)}: {'' if to else 'its extension indicates '}"
                         f"{to or 'no format of hits'}; allowed: --to {'|'.join(FORMATS)}")
    return found


def write_hits(hits: Hits, path: str | os.PathLike[str], *, to: str | None = None,
               overwrite: bool = False) -> None:
    """Write hits as ECSV, or as a .dat file of turboSETI.

    Raises
    ------
    UsageError
        If the format is not known or cannot contain the hits.
    OutputError
        If the file exists or cannot be written.
    """
    if format_of(path, to) == "turboseti":
        write_bytes(dat_text(hits).encode(), path, overwrite=overwrite)
        return
    table = hits.table()
    origin = table.meta.pop("provenance", {})
    for name in KEYS:
        table.meta.pop(name, None)
    write_table(table, path, kind=KIND, provenance=origin, overwrite=overwrite)


def read_hits(path: str | os.PathLike[str]) -> Hits:
    """Return the hits of a table in ECSV, or of a .dat file of turboSETI.

    Raises
    ------
    FormatError
        If the file is neither.
    DataError
        If it is truncated.
    """
    try:
        if os.path.splitext(os.fspath(path))[1].lower() == ".dat":
            with open(path, encoding="utf-8", errors="replace") as file:
                return parse_dat(file.read())
        table = read_table(path, kind=KIND)
        for name in KEYS:
            if name != "provenance":
                table.meta.pop(name, None)
        return Hits.from_table(table)
    except OSError as error:
        raise FormatError(path, f"cannot be read: {error.strerror}") from error
    except (UsageError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(path, f"its hits make no sense: {error}") from error
