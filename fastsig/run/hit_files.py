"""Hits of drifting carriers as files: ECSV tables, and .dat files of turboSETI."""

from __future__ import annotations

import os

from fastsig.io.opening import detect
from fastsig.io.turboseti import NAME, TABLE, read_dat
from fastsig.run.finding_files import Files, read_findings, write_findings
from fastsig.search.drift.hits import Hits
from fastsig.search.drift.turboseti import dat_text

__all__ = ["FILES", "format_of", "read_hits", "write_hits"]

#: Tables of hits, and their formats.
FILES = Files(TABLE, {".ecsv": "ecsv", ".dat": "turboseti"}, {"turboseti": dat_text})
format_of = FILES.format_of


def write_hits(hits: Hits, path: str | os.PathLike[str], *, to: str | None = None,
               overwrite: bool = False) -> None:
    """Write hits as ECSV, or as a .dat file of turboSETI.

    Parameters
    ----------
    hits : Hits
        Hits to write.
    path : path
        The extension selects the format if `to` does not: .ecsv or .dat.
    to : {"ecsv", "turboseti"}, optional
        The format.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    UsageError
        If the format is not known or cannot contain the hits.
    OutputError
        If the file exists or cannot be written.
    """
    write_findings(hits, FILES, path, to=to, overwrite=overwrite)


def read_hits(path: str | os.PathLike[str]) -> Hits:
    """Return the hits of a table in ECSV, or of a .dat file of turboSETI.

    Raises
    ------
    FormatError
        If the file is neither such a table nor such a .dat file.
    DataError
        If the file is truncated.
    """
    return read_dat(path) if detect(path)[0] == NAME else read_findings(Hits, FILES, path)
