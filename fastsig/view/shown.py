"""Figures that belong to pyplot: its `show`, `savefig` and `close` work on them."""

from __future__ import annotations

from matplotlib import get_backend, pyplot
from matplotlib.figure import Figure

__all__ = ["ShownFigure", "close", "pyplot_figure"]


class ShownFigure(Figure):
    """A figure of pyplot that a notebook shows once.

    A notebook shows the value of a cell's last line, and then, at the end of the cell, all figures
    that pyplot has.
    """

    def _ipython_display_(self) -> None:
        if "inline" in get_backend().casefold():
            pyplot.close(self)
        raise NotImplementedError  # IPython then shows it like any other figure


def pyplot_figure(width: float, height: float) -> Figure:
    """Return a figure of this size in inches, the current one of pyplot."""
    return pyplot.figure(figsize=(width, height), layout="constrained", FigureClass=ShownFigure)


def close(figure: Figure) -> None:
    """Remove a figure from pyplot."""
    pyplot.close(figure)
