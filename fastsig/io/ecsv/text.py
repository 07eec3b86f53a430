"""The text of ECSV files, split into header and rows, without making a table."""

from __future__ import annotations

import csv
import io
import os
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fastsig.errors import DataError, FormatError, unreadable
from fastsig.io.files.containers import ECSV

__all__ = ["Parts", "first_line", "parts_of", "read_bytes"]

_LARGEST = 2**28


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Read the whole of a file that may be a table.

    Raises
    ------
    FormatError
        If the file cannot be read, or is too large.
    """
    try:
        if os.path.getsize(path) > _LARGEST:
            raise FormatError(path, f"is larger than {_LARGEST >> 20} MiB; allowed: a table that "
                              "fits in memory")
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise unreadable(path, error) from error


@dataclass(frozen=True)
class Parts:
    """The header and the rows of a table, as stored in its file.

    Parameters
    ----------
    path : str
        The file.
    head, body : bytes
        Lines that begin with ``#``; all other lines, of which the first contains the names.
    """

    path: str
    head: bytes
    body: bytes

    @property
    def text(self) -> str:
        """The whole file as text.

        Raises
        ------
        FormatError
            If the file is not UTF-8.
        """
        try:
            return (self.head + self.body).decode()
        except UnicodeDecodeError as error:
            raise FormatError(self.path, f"not readable as ECSV: byte {error.start} is not "
                              "UTF-8") from error

    @property
    def crc32(self) -> str:
        """Checksum of the body."""
        return f"{zlib.crc32(self.body):08x}"

    @property
    def ended(self) -> bool:
        """Whether the last line has a line end."""
        return self.body.endswith(b"\n")

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The values of the header, including ``datatype``, a mapping for each column.

        Raises
        ------
        FormatError
            If the values are not valid.
        """
        from astropy.table.meta import get_header_from_yaml

        lines = self.head.decode("utf-8", "replace").splitlines()
        try:
            found: dict[str, Any] = get_header_from_yaml([line[2:] for line in lines[1:]])
            columns = [dict(column) for column in found["datatype"]]
            return {**found, "datatype": columns, "meta": dict(found.get("meta") or {})}
        except Exception as error:  # anything that the parser raises for damaged YAML
            raise FormatError(self.path, f"not readable as ECSV: {first_line(error)}"
                              ) from error

    @property
    def n_row(self) -> int:
        """The number of rows of the body, counted without parsing them."""
        text = io.StringIO(self.body.decode("utf-8", "replace"), newline="")
        delimiter = self.fields.get("delimiter", " ")
        rows = csv.reader(text, delimiter=delimiter if delimiter in (" ", ",") else " ",
                          doublequote=True)
        try:
            return max(0, sum(1 for row in rows if row) - 1)
        except csv.Error as error:
            raise DataError(self.path, f"its rows cannot be counted: {error}") from error


def parts_of(content: bytes, path: str) -> Parts:
    """Split the content of a file into header and rows.

    Raises
    ------
    FormatError
        If the content does not begin with the signature of ECSV.
    DataError
        If the content ends within the header.
    """
    if not content.startswith(ECSV):
        raise FormatError(path, f"not readable as ECSV: begins with {content[:8]!r}; allowed: "
                          f"{ECSV.decode()!r}")
    at = 0
    while content.startswith(b"#", at):
        end = content.find(b"\n", at)
        at = len(content) if end < 0 else end + 1
    if at == len(content):
        raise DataError(path, "ends within its header: the file is truncated")
    return Parts(path, content[:at], content[at:])


def first_line(error: BaseException) -> str:
    """Return the first line of an error message, shortened."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
