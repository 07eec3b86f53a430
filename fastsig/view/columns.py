"""The picture of a table: columns against an axis of frequency or velocity."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from fastsig.io.text.spectrum import Pieces
from fastsig.view.figures import COLORS, new_figure, zero_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_columns"]


def draw_columns(pieces: Pieces, path: str) -> Figure:
    """Draw the columns of a table as lines, in the units of the table.

    Parameters
    ----------
    pieces : Pieces
        The axis and the columns.
    path : str
        The table, for the title.
    """
    figure = new_figure(10, 5)
    axes = figure.subplots()
    for k, (name, values) in enumerate(zip(pieces.names, pieces.values[0], strict=True)):
        axes.plot(pieces.axis, values, color=COLORS[k % len(COLORS)], lw=0.9,
                  drawstyle="steps-mid", label=name)
    zero_line(axes, pieces.values[np.isfinite(pieces.values)])
    axes.set_title(os.path.basename(path), fontsize=9, loc="left")
    axes.set_xlabel(_axis(pieces.axis_unit or ""))
    names = pieces.names[0] if len(pieces.names) == 1 else "value"
    axes.set_ylabel(f"{names} ({pieces.unit})".replace(" / ", "/") if pieces.unit else names)
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.grid(alpha=0.3)
    if len(pieces.names) > 1:
        axes.legend(loc="upper right", fontsize=8)
    return figure


def _axis(unit: str) -> str:
    what = "frequency" if u.Unit(unit).is_equivalent(u.Hz) else "velocity"
    return f"{what} ({unit})".replace(" / ", "/")
