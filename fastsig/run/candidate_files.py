"""Candidates as files: ECSV tables, and the tables of other programs."""

from __future__ import annotations

import os

from fastsig.run.finding_files import Files, read_findings, write_findings
from fastsig.search.bursts.candidates import Candidates
from fastsig.search.bursts.exports import EXPORTS

__all__ = ["FILES", "format_of", "read_candidates", "write_candidates"]

#: Tables of candidates, and their formats.
FILES = Files("burst candidates", {".ecsv": "ecsv", ".singlepulse": "singlepulse",
                                   ".cand": "heimdall", ".cands": "transientx"}, EXPORTS)
format_of = FILES.format_of


def write_candidates(candidates: Candidates, path: str | os.PathLike[str], *,
                     to: str | None = None, overwrite: bool = False) -> None:
    """Write candidates as ECSV, or in the format of another program.

    Parameters
    ----------
    candidates : Candidates
        Candidates to write.
    path : path
        The extension selects the format if `to` does not: .ecsv, .singlepulse (PRESTO), .cand
        (heimdall) or .cands (TransientX).
    to : {"ecsv", "singlepulse", "heimdall", "transientx"}, optional
        The format.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    UsageError
        If the format is not known or cannot contain the candidates.
    OutputError
        If the file exists or cannot be written.
    """
    write_findings(candidates, FILES, path, to=to, overwrite=overwrite)


def read_candidates(path: str | os.PathLike[str]) -> Candidates:
    """Return the burst candidates of a table in ECSV, as written by ``fastsig search bursts``.

    Raises
    ------
    FormatError
        If the file is not such a table.
    DataError
        If the table is truncated.
    """
    return read_findings(Candidates, FILES, path)
