"""Candidates as files: ECSV tables, and the tables of other programs."""

from __future__ import annotations

import os

from fastsig.errors import FormatError, UsageError
from fastsig.io.ecsv.tables import read_table, write_table
from fastsig.io.files.safe import write_bytes
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.bursts.exports import EXPORTS

__all__ = ["FORMATS", "KIND", "format_of", "read_candidates",
           "write_candidates"]

#: Name of this kind of table in its meta.
KIND = "burst candidates"
#: Formats in which candidates can be written.
FORMATS = ("ecsv", *EXPORTS)
_SUFFIXES = {".ecsv": "ecsv", ".singlepulse": "singlepulse", ".cand": "heimdall",
             ".cands": "transientx"}


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
                         f"{to or 'no format of candidates'}; allowed: --to {'|'.join(FORMATS)}")
    return found


def write_candidates(candidates: Candidates, path: str | os.PathLike[str], *,
                     to: str | None = None, overwrite: bool = False) -> None:
    """Write candidates as ECSV, or in the format of another program.

    Parameters
    ----------
    candidates : Candidates
    path : path
        The extension selects the format if `to` does not: .ecsv, .singlepulse (PRESTO), .cand
        (heimdall) or .cands (TransientX).
    to : {"ecsv", "singlepulse", "heimdall", "transientx"}, optional
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    UsageError
        If the format is not known or cannot contain the candidates.
    OutputError
        If the file exists or cannot be written.
    """
    kind = format_of(path, to)
    if kind != "ecsv":
        write_bytes(EXPORTS[kind](candidates).encode(), path, overwrite=overwrite)
        return
    table = candidates.table()
    origin = table.meta.pop("provenance", {})
    for name in ("kind", "n_row", "crc32"):
        table.meta.pop(name, None)
    write_table(table, path, kind=KIND, provenance=origin, overwrite=overwrite)


def read_candidates(path: str | os.PathLike[str]) -> Candidates:
    """Return the candidates that `write_candidates` wrote as ECSV.

    Raises
    ------
    FormatError
        If the file is not such a table.
    DataError
        If it is truncated.
    """
    table = read_table(path, kind=KIND)
    for name in ("kind", "n_row", "crc32"):
        table.meta.pop(name, None)
    try:
        return Candidates.from_table(table)
    except (UsageError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(path, f"its columns make no sense: {error}") from error
