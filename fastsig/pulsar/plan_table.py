"""A plan of dispersion measures as a table, and as a record for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import QTable

__all__ = ["rows_record", "rows_table"]

#: Columns: unit, None for whole numbers, and description.
_COLUMNS: dict[str, tuple[str | None, str]] = {
    "low_dm": ("pc / cm3", "first dispersion measure"),
    "high_dm": ("pc / cm3", "last dispersion measure"),
    "step": ("pc / cm3", "step"),
    "downsampling": (None, "number of spectra that are summed first"),
    "n_dm": (None, "number of dispersion measures"),
    "sample": ("ms", "time of a recorded spectrum"),
    "downsampled": ("ms", "time of a downsampled spectrum"),
    "channel_low": ("ms", "delay across a channel at the middle of the band, at low_dm"),
    "channel_high": ("ms", "delay across a channel at the middle of the band, at high_dm"),
    "step_smear": ("ms", "delay across the band for half a step"),
    "tree_smear": ("ms", "width of the misalignment of channels by the tree"),
    "total": ("ms", "square root of the sum of the squares of the widths, at high_dm"),
    "kept_step": ("", "S/N of the pulse half a step off, relative to its own DM, at low_dm"),
    "kept_rate": ("", "S/N of the pulse after downsampling, relative to before, at low_dm"),
    "kept_tree": ("", "S/N of the pulse in the tree, relative to aligned channels, at low_dm"),
    "kept": ("", "product of the three, at low_dm"),
    "n_subband": (None, "subbands that need the fewest additions"),
    "subband_step": ("pc / cm3", "step of the dispersion measures of the subbands"),
    "subband_smear": ("ms", "delay across a subband for half of its step"),
    "additions_tree": (None, "additions of a tree for each downsampled spectrum"),
    "additions_subbands": (None, "additions of two stages by subbands, as additions_tree"),
    "memory": ("MB", "memory of a tree"),
}
_SUFFIXES = {"ms": "_ms", "MB": "_mb"}


def rows_table(rows: Sequence[Mapping[str, Any]], meta: Mapping[str, Any]) -> QTable:
    """Return a table with units and descriptions."""
    table = QTable()
    for name, (unit, text) in _COLUMNS.items():
        values = np.array([row[name] for row in rows])
        table[name] = values if unit is None else values << u.Unit(unit)
        table[name].info.description = text
    table.meta.update(meta)
    return table


def rows_record(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows for JSON, with the units of widths and memory in the names."""
    return [{name + _SUFFIXES.get(_COLUMNS[name][0] or "", ""): value
             for name, value in row.items()} for row in rows]
