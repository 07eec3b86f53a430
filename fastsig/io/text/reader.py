"""Text spectra: CSV, columns of numbers, GBTIDL's ASCII; one spectrum per file."""

from __future__ import annotations

import os
from typing import Any

from fastsig.io.probe import Probe
from fastsig.io.text.spectrum import HeldSpectra, Pieces, held, wanted
from fastsig.io.text.tables import begins_table, read_text
from fastsig.io.unread import description

__all__ = ["KINDS", "NAME", "cards", "open", "sniff"]

NAME, KINDS = "text", ("spectra",)


def sniff(probe: Probe) -> bool:
    """Whether a file is text with columns of numbers, of which the first is an axis."""
    return (probe.container == "other" and begins_table(probe.head)
            and description(probe) is None)


def cards(path: str) -> dict[str, Any]:
    """Return the values that the lines above the table state."""
    return dict(read_text(path).meta)


def open(path: str | os.PathLike[str], **overrides: Any) -> HeldSpectra:
    """Open a table of text as one spectrum.

    The first column is the axis, the others are products.

    Parameters
    ----------
    path : path
        The file.
    frequency_unit : str, optional
        Unit of the axis if the file does not state it: of frequency, or of velocity (radio
        convention, with `rest`).
    unit : str, optional
        Unit of the values.
    columns : str, optional
        Names of the columns that are spectra, ``"XX,YY"``; by default, all except those of noise,
        weights and similar quantities.
    rest : str, optional
        The spectral line, by its name or frequency.
    exposure : str, optional
        Exposure time of the spectrum, such as ``"60s"``.
    **overrides
        The common options of `fastsig.open`; `start_time` and `exposure` are needed if the file
        does not state them.

    Raises
    ------
    FormatError
        If the file is not a table, its axis is not even, or a required value is not stated.
    UsageError
        If an override is unknown or has no meaning.
    """
    name = os.fspath(path)
    table = read_text(name)
    names = [column.name for column in table.columns[1:]]
    picks = wanted(names, overrides.get("columns"))
    units = {table.columns[1 + i].unit for i in picks}
    pieces = Pieces(
        table.values[:, 0], table.columns[0].unit, table.values[:, [1 + i for i in picks]].T[None],
        [names[i] for i in picks], units.pop() if len(units) == 1 else None, table.meta)
    return held(pieces, name, [name], overrides, NAME)
