"""Files of the findings of searches: tables in ECSV, and the tables of other programs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from fastsig.errors import FormatError, UsageError
from fastsig.io.ecsv.tables import KEYS, read_table, write_table
from fastsig.io.files.safe import write_bytes
from fastsig.search.findings import Findings

__all__ = ["Files", "exported", "read_findings", "write_findings"]

Found = TypeVar("Found", bound=Findings)


class Files(NamedTuple):
    """The formats in which findings of one kind are written.

    Parameters
    ----------
    kind : str
        Name of the kind of table in its meta.
    suffixes : mapping of str to str
        Formats by extension.
    exports : mapping of str to function
        Functions that return findings as text in the formats of other programs, by name of format.
    """

    kind: str
    suffixes: Mapping[str, str]
    exports: Mapping[str, Callable[..., str]]

    @property
    def formats(self) -> tuple[str, ...]:
        """Names of the formats."""
        return ("ecsv", *self.exports)

    def format_of(self, path: str | os.PathLike[str], to: str | None = None) -> str:
        """Return the format in which a file is to be written.

        Raises
        ------
        UsageError
            If neither `to` nor the extension indicates one.
        """
        found = to or self.suffixes.get(os.path.splitext(os.fspath(path))[1].lower())
        if found not in self.formats:
            raise UsageError(f"{os.fspath(path)}: {'' if to else 'its extension indicates '}"
                             f"{to or f'no format of {self.kind}'}; allowed: --to "
                             f"{'|'.join(self.formats)}")
        return found


def write_findings(found: Findings, files: Files, path: str | os.PathLike[str], *,
                   to: str | None = None, overwrite: bool = False) -> None:
    """Write findings as ECSV, or in the format of another program.

    Raises
    ------
    UsageError
        If the format is not known or cannot contain them.
    OutputError
        If the file exists or cannot be written.
    """
    kind = files.format_of(path, to)
    if kind != "ecsv":
        write_bytes(exported(found, files, path, kind).encode(), path, overwrite=overwrite)
        return
    table = found.table()
    origin = table.meta.pop("provenance", {})
    for name in KEYS:
        table.meta.pop(name, None)
    write_table(table, path, kind=files.kind, provenance=origin, overwrite=overwrite)


def exported(found: Findings, files: Files, path: str | os.PathLike[str], kind: str) -> str:
    """Return findings as text in the format of another program.

    Raises
    ------
    UsageError
        If the format cannot contain them.
    """
    try:
        return files.exports[kind](found)
    except UsageError as error:
        raise UsageError(f"{os.fspath(path)}: {error}") from error


def read_findings(made: type[Found], files: Files, path: str | os.PathLike[str]) -> Found:
    """Return the findings that `write_findings` wrote as ECSV.

    Raises
    ------
    FormatError
        If the file is not such a table.
    DataError
        If the table is truncated.
    """
    table = read_table(path, kind=files.kind)
    for name in KEYS:
        if name != "provenance":
            table.meta.pop(name, None)
    try:
        return made.from_table(table)
    except (UsageError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(path, f"its columns are invalid: {error}") from error
