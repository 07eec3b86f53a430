"""Pictures of flags: spectra before and after in the same colours, and the share flagged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.run.engine import run
from fastsig.run.flag_shares import ShareCounter
from fastsig.run.waterfalls import pixels_of
from fastsig.stream import Sink, SpectrumStream
from fastsig.view.figures import COLORS, line, new_figure, time_unit, title, wrapped
from fastsig.view.look import Look, Shades
from fastsig.view.panels import draw_bar, draw_shades, frequencies, time_label
from fastsig.view.spectra import averaged, pixels, product_index, waterfall

if TYPE_CHECKING:
    from matplotlib.figure import Figure

F8 = NDArray[np.float64]


def flag_sinks(before: SpectrumStream, after: SpectrumStream, product: str | None) -> list[Sink]:
    """Return the sinks whose results `draw_before_after` draws."""
    streams, picks = (before, after), (product_index(before, product),)
    return [*(pixels(each, product) for each in streams),
            *(ShareCounter(each, picks) for each in streams)]


def draw_before_after(
    before: SpectrumStream, after: SpectrumStream, product: str | None,
    seen: Sequence[Any] | None = None,
) -> Figure:
    """Draw waterfalls side by side, with the flagged shares of channels and of rows.

    Both have the same colours, unless the mean over the band was removed between them.

    As in the report of ``fastsig flag``, a share is the number of samples that flagging gave the
    weight 0 over the number of all samples.
    """
    if seen is None:
        seen = run(flag_sinks(before, after, product))
    index = product_index(before, product)
    name = before.polarization.names[index]
    old, _, seconds, frequency = waterfall(before, index, seen[0])
    new = waterfall(after, index, seen[1]).values
    lost, flagged = seen[2:]
    unit, scale = time_unit(seconds[-1] - seconds[0])
    over = frequencies(before)
    frequency = over.shown(frequency)
    extent = (frequency[0], frequency[-1], seconds[0] / scale, seconds[-1] / scale)
    figure = new_figure(12, 7)
    grid = figure.add_gridspec(2, 3, width_ratios=(5, 5, 1.2), height_ratios=(1.4, 5))
    first = figure.add_subplot(grid[1, 0])
    second = figure.add_subplot(grid[1, 1], sharex=first, sharey=first)
    shades = Shades.of(new if np.isfinite(new).any() else old, Look(), name, before.header.unit)
    # Values minus the mean over the band are not comparable with those before.
    apart = after.header.zero_dm != before.header.zero_dm
    for axes, values in ((first, old), (second, new)):
        own = shades
        if apart and axes is first:
            own = Shades.of(old, Look(), name, before.header.unit)
        image = draw_shades(axes, own._replace(values=values), extent)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel(over.label)
        if apart:
            draw_bar(image, [axes], own, location="bottom", fraction=0.05, pad=0.02, aspect=40)
    if not apart:
        draw_bar(image, [first, second], shades, location="bottom", fraction=0.05, pad=0.02,
                 aspect=80)
    first.set_ylabel(time_label(before, unit))
    second.tick_params(labelleft=False)
    n_freq = pixels_of(before)[1]
    middles = (np.arange(len(lost.time)) + 0.5) * float(
        lost.n_rows / before.header.sample_rate) / scale
    _shares(figure, grid, (first, second),
            ((frequency[:-1] + frequency[1:]) / 2,
             _grouped(flagged.channel - lost.channel, n_freq)),
            (np.asarray(middles), flagged.time - lost.time))
    note = figure.add_subplot(grid[0, 0])
    note.axis("off")
    lines = [wrapped(f"{title(before)} · {name}", 60), "left before, right after",
             f"flagged {100 * (flagged.total - lost.total):.3g} % of the samples",
             "grey: nothing valid"]
    pixel = averaged(before)
    note.text(0, 0.95, "\n".join([*lines, *([pixel] if pixel else [])]),
              va="top", fontsize=9, transform=note.transAxes)
    return figure


def _shares(
    figure: Figure, grid: Any, waterfalls: tuple[Any, Any], channels: tuple[F8, F8],
    rows: tuple[F8, F8],
) -> None:
    """Draw the panels above and beside the second waterfall: places and shares."""
    top = figure.add_subplot(grid[0, 1], sharex=waterfalls[1])
    side = figure.add_subplot(grid[1, 2], sharey=waterfalls[1])
    line(top, channels[0], 100 * channels[1], COLORS[1])
    line(side, 100 * rows[1], rows[0], COLORS[1])
    top.set_ylabel("flagged (%)")
    side.set_xlabel("flagged (%)")
    top.set_ylim(-5, 105)
    side.set_xlim(-5, 105)
    top.tick_params(labelbottom=False)
    side.tick_params(labelleft=False)
    for axes in (top, side):
        axes.grid(alpha=0.3)


def _grouped(shares: F8, n: int) -> F8:
    """Return the means of groups of `n` channels; the last may have fewer."""
    first = np.arange(0, len(shares), n)
    return np.asarray(np.add.reduceat(shares, first) / np.minimum(n, len(shares) - first))
