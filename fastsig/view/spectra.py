"""Pictures of spectra: waterfall, mean spectrum, power over time, valid share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.polarization import SIGNED
from fastsig.errors import PlanError, UsageError
from fastsig.run.engine import run
from fastsig.run.waterfalls import Cells, Waterfall, pixels_of, reduced
from fastsig.stream import SpectrumStream
from fastsig.view.figures import (
    COLORS,
    legend_above,
    line,
    new_figure,
    time_unit,
    title,
    width_text,
    wrapped,
)
from fastsig.view.look import Look, Shades
from fastsig.view.marginals import Marginals, Means
from fastsig.view.panels import (
    Heights,
    draw_bar,
    draw_shades,
    frequencies,
    power_line,
    spectrum_line,
    time_label,
    velocity_axis,
)
from fastsig.work.counted import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PANELS", "averaged", "draw_panel", "draw_spectra", "pixels", "product_index",
           "waterfall"]

#: The panels that `draw_panel` draws.
PANELS = ("waterfall", "spectrum", "power")

F8 = NDArray[np.float64]


def draw_spectra(stream: SpectrumStream, product: str | None, look: Look) -> Figure:
    """Draw the waterfall of one product with its marginals, or a line for one row or channel."""
    n_time, _, n_chan = stream.shape
    if not n_time:
        raise PlanError(f"{stream.path}: the stream is empty")
    if n_time == 1 or n_chan == 1:
        return _lines(stream, product, look, "power" if n_chan == 1 else "spectrum")
    return _waterfall_and_lines(stream, product_index(stream, product), look)


def draw_panel(axes: Any, stream: SpectrumStream, product: str | None, look: Look,
               what: str | None) -> None:
    """Draw one panel in axes: a waterfall with its bar, the mean spectrum, or power over time."""
    n_time, _, n_chan = stream.shape
    if not n_time:
        raise PlanError(f"{stream.path}: the stream is empty")
    kind = what or ("power" if n_chan == 1 else "spectrum" if n_time == 1 else "waterfall")
    if kind not in PANELS:
        raise UsageError(f"what = {what!r}; allowed for spectra: {', '.join(PANELS)}")
    index = product_index(stream, product)
    if kind == "waterfall":
        image, shades, _ = _image(axes, stream, index, look, waterfall(stream, index))
        draw_bar(image, axes, shades)
        return
    name = stream.polarization.names[index]
    scale = look.scale_of(name)
    means: Means = run([Marginals(stream, index)])[0]
    if kind == "spectrum":
        heights = Heights.of(means.spectrum, name, stream.header.unit, scale)
        _spectrum(axes, stream, means, heights, COLORS[0], label=name)
    else:
        heights = Heights.of(means.highest, name, stream.header.unit, scale)
        _power(axes, stream, means, heights, COLORS[0], label=name)
    _limits(axes, look, stream)


def _waterfall_and_lines(stream: SpectrumStream, index: int, look: Look) -> Figure:
    name, unit = stream.polarization.names[index], stream.header.unit
    cells, means = run([Waterfall(stream, (index,), *pixels_of(stream)), Marginals(stream, index)])
    seen = waterfall(stream, index, cells)
    figure = new_figure(10, 7.5)
    grid = figure.add_gridspec(3, 3, width_ratios=(5, 1.2, 0.35), height_ratios=(1.6, 5, 0.1))
    main = figure.add_subplot(grid[1, 0])
    top = figure.add_subplot(grid[0, 0], sharex=main)
    side = figure.add_subplot(grid[1, 1], sharey=main)
    cover = figure.add_subplot(grid[1, 2], sharey=main)
    image, shades, middles = _image(main, stream, index, look, seen)
    draw_bar(image, main, shades, location="bottom", fraction=0.05, pad=0.02, aspect=50)
    heights = Heights.of(means.spectrum, f"mean {name}", unit, look.scale)
    _spectrum(top, stream, means, heights, COLORS[0])
    top.set_ylabel(heights.label.replace(" (", "\n("))
    top.set_xlabel("")
    if heights.scale != "log":  # otherwise the layout could change the number of ticks
        top.locator_params(axis="y", nbins=4)
    over = Heights.of(means.highest, f"mean {name}", unit, look.scale)
    scale = time_unit(seen.seconds[-1] - seen.seconds[0])[1]
    power_line(side, means, 1 / float(stream.header.sample_rate) / scale, over, COLORS[0],
               upright=True)
    over.set_axis(side.xaxis, means.highest)
    _few_ticks(side, over, np.append(means.lowest, means.highest))
    side.set_xlabel(over.label.replace(" (", "\n("))
    line(cover, 100 * seen.weights.mean(axis=1), middles, COLORS[2], clip_on=False)
    cover.set_xlabel("valid\n(%)")
    cover.set_xlim(-10, 110)
    _note(figure.add_subplot(grid[0, 1:]), stream, means)
    for axes in (top, side, cover):
        axes.grid(alpha=0.3)
    top.tick_params(labelbottom=False)
    for axes in (side, cover):
        axes.tick_params(labelleft=False)
    figure.suptitle(wrapped(f"{title(stream)} · {name}", 100), fontsize=10)
    return figure


def _few_ticks(axes: Any, heights: Heights, values: F8) -> None:
    """Limit the labels of a narrow panel to three, upright if they are long."""
    if heights.scale != "log":
        axes.locator_params(axis="x", nbins=3)
    finite = heights.shown(values)[np.isfinite(values)] / 10.0**heights.power
    span = float(np.ptp(finite)) if finite.size else 0.0
    digits = max(0, -int(np.floor(np.log10(span / 3)))) if span > 0 else 0
    if finite.size and len(f"{finite.max():.{digits}f}") > 5:
        axes.tick_params(axis="x", rotation=90)


def _lines(stream: SpectrumStream, product: str | None, look: Look, kind: str) -> Figure:
    """Draw products as lines over frequency or time, those of either sign in a separate panel."""
    names, unit = stream.polarization.names, stream.header.unit
    chosen = range(len(names)) if product is None else [product_index(stream, product)]
    scale = look.scale_of(*(names[k] for k in chosen))
    groups = [group for group in ([k for k in chosen if names[k] not in SIGNED],
                                  [k for k in chosen if names[k] in SIGNED]) if group]
    found = dict(zip(chosen, run([Marginals(stream, k) for k in chosen]), strict=True))
    figure = new_figure(10, 4 + 1.5 * len(groups))
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    for axes, group in zip(panels, groups, strict=True):
        values = [found[k].spectrum if kind == "spectrum" else found[k].highest for k in group]
        label = ", ".join(names[k] for k in group[:4]) + (" ..." if len(group) > 4 else "")
        heights = Heights.of(np.concatenate(values), label, unit, scale)
        for k in group:
            (_spectrum if kind == "spectrum" else _power)(
                axes, stream, found[k], heights, COLORS[k % len(COLORS)], label=names[k])
        if len(group) > 1:
            legend_above(axes, min(8, len(group)))
        axes.grid(alpha=0.3)
        _limits(axes, look, stream)
    for axes in panels[:-1]:
        axes.set_xlabel("")
    if kind == "spectrum":
        velocity_axis(panels[0], stream, frequencies(stream))
    note = " · ".join(_facts(stream, next(iter(found.values()))))
    figure.suptitle(wrapped(title(stream), 100) + "\n" + wrapped(note, 100), fontsize=10)
    return figure


def _image(axes: Any, stream: SpectrumStream, index: int, look: Look, seen: Pixels
           ) -> tuple[Any, Shades, F8]:
    """Draw the waterfall with its axes; return the image, its shades, and the times of the rows."""
    shades = Shades.of(seen.values, look, stream.polarization.names[index], stream.header.unit)
    unit, scale = time_unit(seen.seconds[-1] - seen.seconds[0])
    over = frequencies(stream)
    x, y = over.shown(seen.edges), seen.seconds / scale
    width = x[1] - x[0]  # of a pixel; the last may contain fewer channels
    extent = (x[0], x[0] + width * (len(x) - 1), y[0], y[-1])
    image = draw_shades(axes, shades, extent)
    axes.set_xlim(x[0], x[-1])
    axes.locator_params(axis="x", nbins=7)
    axes.set_xlabel(over.label)
    axes.set_ylabel(time_label(stream, unit))
    return image, shades, (y[:-1] + y[1:]) / 2


def _spectrum(axes: Any, stream: SpectrumStream, means: Means, heights: Heights, color: str,
              **more: Any) -> None:
    over, axis = frequencies(stream), stream.header.channels
    first = np.arange(0, stream.shape[2], means.n_freq)
    middle = (first + np.minimum(first + means.n_freq, stream.shape[2]) - 1) / 2
    if axis is not None:
        middle = (float(axis.edges_hz[0]) + float(axis.step_hz) * (middle + 0.5)) / 1e6
    spectrum_line(axes, over.shown(middle), means.spectrum, heights, color, **more)
    heights.set_axis(axes.yaxis, means.spectrum)
    axes.set_xlabel(over.label)
    axes.set_ylabel(heights.label)
    axes.xaxis.get_major_formatter().set_useOffset(False)


def _power(axes: Any, stream: SpectrumStream, means: Means, heights: Heights, color: str,
           **more: Any) -> None:
    row_s = 1 / float(stream.header.sample_rate)
    unit, scale = time_unit(row_s * stream.shape[0])
    power_line(axes, means, row_s / scale, heights, color, upright=False, **more)
    heights.set_axis(axes.yaxis, means.highest)
    axes.set_xlabel(time_label(stream, unit))
    axes.set_ylabel(heights.label)
    axes.xaxis.get_major_formatter().set_useOffset(False)


def _limits(axes: Any, look: Look, stream: SpectrumStream) -> None:
    """Set `vmin` and `vmax` as limits of a line's values."""
    low, high = look.ends(stream.header.unit)
    if low is not None or high is not None:
        axes.set_ylim(low, high)


def product_index(stream: SpectrumStream, product: str | None) -> int:
    """Return the number of the product of this name; without a name, of the first."""
    names = stream.polarization.names
    if product is not None and product not in names:
        raise UsageError(f"product = {product!r}; this file has {', '.join(names)}")
    return 0 if product is None else names.index(product)


def averaged(stream: SpectrumStream) -> str:
    """Return how many spectra and channels a pixel averages, as text, if it averages any."""
    (n_int, n_freq) = pixels_of(stream)
    if n_int * n_freq == 1:
        return ""
    return (f"pixels: means of {counted(n_int, 'spectrum', 'spectra')} × "
            f"{counted(n_freq, 'channel', 'channels')}")


def _facts(stream: SpectrumStream, means: Means) -> list[str]:
    """Return facts about the file and the lines, as text."""
    seconds = float(1 / stream.header.sample_rate)
    unit, scale = time_unit(2 * seconds)
    facts = [f"{counted(stream.shape[0], 'spectrum', 'spectra')} of {seconds / scale:.6g} {unit}"]
    axis = stream.header.channels
    if axis is not None:
        facts.append(f"{counted(axis.n_chan, 'channel', 'channels')} of "
                     f"{width_text(float(axis.step_hz))}")
    names = stream.polarization.names
    facts += ["products " + ", ".join(names)] if len(names) > 1 else []
    facts += [f"{stream.polarization.kind} feeds"] if stream.polarization.kind != "unknown" else []
    if means.n_freq > 1:
        facts.append(f"spectrum: means of {means.n_freq} channels")
    if means.n_int > 1:
        facts.append(f"power: least and most of {means.n_int} spectra")
    return facts


def _note(axes: Any, stream: SpectrumStream, means: Means) -> None:
    """Write the facts in the corner of a waterfall."""
    axes.axis("off")
    facts = _facts(stream, means)
    pixel = averaged(stream)
    if pixel:
        facts.append(pixel)
        facts += ["spectrum: every channel"] if means.n_freq == 1 else []
        facts += ["power: every spectrum"] if means.n_int == 1 else []
    lines = [wrapped(fact, 30).replace("\n", "\n  ") for fact in [*facts, "grey: nothing valid"]]
    axes.text(0, 1, "\n".join(lines), va="top", fontsize=8, transform=axes.transAxes)


class Pixels(NamedTuple):
    """One product as the pixels of a picture, with edges in s and MHz, or in channels."""

    values: NDArray[Any]
    weights: NDArray[Any]
    seconds: F8
    edges: F8


def waterfall(stream: SpectrumStream, index: int, seen: Cells | None = None) -> Pixels:
    """Return one product as the pixels of a picture.

    Parameters
    ----------
    stream : SpectrumStream
    index : int
        Number of the product.
    seen : Cells, optional
        The result of the sink `pixels`, if a pass has run already.
    """
    (n_int, n_freq), n_chan = pixels_of(stream), stream.shape[2]
    cells = reduced(stream, (index,), n_int, n_freq) if seen is None else seen
    values, weights = cells.values[0], cells.weights[0]
    seconds = np.arange(len(values) + 1.0) * float(n_int / stream.header.sample_rate)
    axis, bounds = stream.header.channels, np.append(np.arange(0, n_chan, n_freq), n_chan)
    if axis is None:
        return Pixels(values, weights, seconds, bounds - 0.5)
    low, width = (float(value / 10**6) for value in (axis.edges_hz[0], axis.step_hz))
    return Pixels(values, weights, seconds, low + bounds * width)


def pixels(stream: SpectrumStream, product: str | None) -> Waterfall:
    """Return the sink that makes the pixels of a product for `waterfall`."""
    return Waterfall(stream, (product_index(stream, product),), *pixels_of(stream))
