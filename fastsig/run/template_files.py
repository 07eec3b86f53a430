"""Templates of pulse profiles as files: ECSV tables that `read_template` can read."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fastsig.errors import FormatError
from fastsig.io.ecsv.tables import read_table, write_table
from fastsig.pulsar.templates import Template

__all__ = ["KIND", "read_template", "write_template"]

#: Name of this kind of table in its meta.
KIND = "pulse template"


def write_template(template: Template, path: str | os.PathLike[str], *, inputs: Sequence[str] = (),
                   overwrite: bool = False) -> None:
    """Write a template as ECSV.

    Parameters
    ----------
    template : Template
        Template to write.
    path : path
        The file.
    inputs : sequence of str
        Files from which the template was made; their names are recorded.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    names = [os.path.basename(each) for each in inputs]
    write_table(template.table(), path, kind=KIND, provenance={"inputs": names},
                overwrite=overwrite)


def read_template(path: str | os.PathLike[str]) -> Template:
    """Return the template that `write_template` wrote.

    Raises
    ------
    FormatError
        If the file is not such a table.
    DataError
        If the table is truncated.
    """
    table = read_table(path, kind=KIND)
    try:
        return Template.from_table(table)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(path, f"its columns or meta are invalid: {error}") from error
