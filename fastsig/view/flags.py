"""Pictures of flags: spectra before and after in the same colours, and the share flagged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.run.engine import run
from fastsig.stream import SpectrumStream
from fastsig.view.figures import COLORS, line, new_figure, time_unit, title, wrapped
from fastsig.view.look import Look, Shades
from fastsig.view.panels import draw_bar, draw_shades, frequencies, time_label
from fastsig.view.spectra import averaged, pixels, product_index, waterfall
from fastsig.view.waterfalls import Cells

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_before_after(
    before: SpectrumStream, after: SpectrumStream, product: str | None,
    seen: Sequence[Cells] | None = None,
) -> Figure:
    """Draw waterfalls side by side, with the flagged shares of channels and of rows."""
    if seen is None:
        seen = run([pixels(before, product), pixels(after, product)])
    index = product_index(before, product)
    name = before.polarization.names[index]
    old, held, seconds, frequency = waterfall(before, index, seen[0])
    new, kept, _, _ = waterfall(after, index, seen[1])
    unit, scale = time_unit(seconds[-1] - seconds[0])
    over = frequencies(before)
    frequency = over.shown(frequency)
    extent = (frequency[0], frequency[-1], seconds[0] / scale, seconds[-1] / scale)
    figure = new_figure(12, 7)
    grid = figure.add_gridspec(2, 3, width_ratios=(5, 5, 1.2), height_ratios=(1.4, 5))
    first = figure.add_subplot(grid[1, 0])
    second = figure.add_subplot(grid[1, 1], sharex=first, sharey=first)
    shades = Shades.of(new if np.isfinite(new).any() else old, Look(), name, before.header.unit)
    for axes, values in ((first, old), (second, new)):
        image = draw_shades(axes, shades._replace(values=values), extent)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel(over.label)
    draw_bar(image, [first, second], shades, location="bottom", fraction=0.05, pad=0.02, aspect=80)
    first.set_ylabel(time_label(before, unit))
    second.tick_params(labelleft=False)
    _shares(figure, grid, (first, second), (held, kept), (frequency, seconds / scale))
    note = figure.add_subplot(grid[0, 0])
    note.axis("off")
    lines = [wrapped(f"{title(before)} · {name}", 60), "left before, right after",
             f"flagged {100 * _share(held, kept, None):.3g} %", "grey: nothing valid"]
    pixel = averaged(before)
    note.text(0, 0.95, "\n".join([*lines, *([pixel] if pixel else [])]),
              va="top", fontsize=9, transform=note.transAxes)
    return figure


def _shares(
    figure: Figure, grid: Any, waterfalls: tuple[Any, Any], weights: tuple[Any, Any],
    edges: tuple[NDArray[Any], NDArray[Any]],
) -> None:
    """Draw the panels above and beside the second waterfall."""
    top = figure.add_subplot(grid[0, 1], sharex=waterfalls[1])
    side = figure.add_subplot(grid[1, 2], sharey=waterfalls[1])
    centers, middles = ((each[:-1] + each[1:]) / 2 for each in edges)
    line(top, centers, 100 * _share(*weights, 0), COLORS[1])
    line(side, 100 * _share(*weights, 1), middles, COLORS[1])
    top.set_ylabel("flagged (%)")
    side.set_xlabel("flagged (%)")
    top.set_ylim(-5, 105)
    side.set_xlim(-5, 105)
    top.tick_params(labelbottom=False)
    side.tick_params(labelleft=False)
    for axes in (top, side):
        axes.grid(alpha=0.3)


def _share(held: NDArray[Any], kept: NDArray[Any], axis: int | None) -> Any:
    """Return the share of the original weight that was removed."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - kept.sum(axis=axis, dtype=float) / held.sum(axis=axis, dtype=float)
