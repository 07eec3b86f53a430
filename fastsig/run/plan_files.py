"""Plans of dispersion measures as files: ECSV tables that `read_plan` can read."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fastsig.errors import FormatError
from fastsig.io.ecsv.tables import read_table, write_table
from fastsig.pulsar.plan import DMPlan

__all__ = ["KIND", "read_plan", "write_plan"]

#: Name of this kind of table in its meta.
KIND = "DM plan"


def write_plan(plan: DMPlan, path: str | os.PathLike[str], *, inputs: Sequence[str] = (),
               overwrite: bool = False) -> None:
    """Write a plan as ECSV.

    Parameters
    ----------
    plan : DMPlan
        Plan to write.
    path : path
        The file.
    inputs : sequence of str
        Files from whose headers the plan was made; their names are recorded.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    """
    names = [os.path.basename(each) for each in inputs]
    write_table(plan.table(), path, kind=KIND, provenance={"inputs": names}, overwrite=overwrite)


def read_plan(path: str | os.PathLike[str]) -> DMPlan:
    """Return the plan that `write_plan` wrote.

    Raises
    ------
    FormatError
        If the file is not such a table.
    DataError
        If the table is truncated.
    """
    table = read_table(path, kind=KIND)
    try:
        return DMPlan.from_table(table)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(path, f"its columns or meta are invalid: {error}") from error
