"""Pulsar candidates as files: ECSV tables, and the tables of other programs."""

from __future__ import annotations

import os

from fastsig.run.finding_files import Files, read_findings, write_findings
from fastsig.search.pulsars.candidates import PulsarCandidates
from fastsig.search.pulsars.exports import EXPORTS

__all__ = ["FILES", "format_of", "read_pulsars", "write_pulsars"]

#: Tables of pulsar candidates, and their formats.
FILES = Files("pulsar candidates", {".ecsv": "ecsv", ".accel": "accel", ".csv": "riptide"}, EXPORTS)
format_of = FILES.format_of


def write_pulsars(candidates: PulsarCandidates, path: str | os.PathLike[str], *,
                  to: str | None = None, overwrite: bool = False) -> None:
    """Write pulsar candidates as ECSV, or in the format of another program.

    Parameters
    ----------
    candidates : PulsarCandidates
    path : path
        The extension selects the format if `to` does not: .ecsv, .accel (ACCEL files of PRESTO) or
        .csv (riptide).
    to : {"ecsv", "accel", "riptide"}, optional
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


def read_pulsars(path: str | os.PathLike[str]) -> PulsarCandidates:
    """Return the pulsar candidates of a table in ECSV, as written by ``fastsig search pulsars``.

    Raises
    ------
    FormatError
        If the file is not such a table.
    DataError
        If the table is truncated.
    """
    return read_findings(PulsarCandidates, FILES, path)
