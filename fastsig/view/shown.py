"""Figures that belong to pyplot: its `show`, `savefig` and `close` work on them."""

from __future__ import annotations

from matplotlib import get_backend, is_interactive, pyplot
from matplotlib.figure import Figure

__all__ = ["ShownFigure", "close", "pyplot_figure"]


class ShownFigure(Figure):
    """A figure of pyplot that a notebook shows once.

    A notebook shows pyplot's figures at the end of a cell; it would show one that is also the
    value of the cell's last line twice.
    """

    def _ipython_display_(self) -> None:
        number = getattr(self, "number", None)
        shows = is_interactive() or "inline" in get_backend().casefold()
        if number is None or not shows or not pyplot.fignum_exists(number):
            raise NotImplementedError  # then IPython shows it as any other figure


def pyplot_figure(width: float, height: float) -> Figure:
    """A figure of that size in inches, the current one of pyplot."""
    return pyplot.figure(figsize=(width, height), layout="constrained", FigureClass=ShownFigure)


def close(figure: Figure) -> None:
    """Take a figure out of pyplot."""
    pyplot.close(figure)
