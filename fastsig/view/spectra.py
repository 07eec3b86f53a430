"""Pictures of spectra: waterfall, mean spectrum, power over time, valid share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import iso
from fastsig.errors import UsageError
from fastsig.stream import SpectrumStream
from fastsig.view.figures import COLORS, counted, line, new_figure, time_unit, title, width_text
from fastsig.view.waterfalls import Cells, Waterfall, pixels_of, reduced

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_spectra(stream: SpectrumStream, product: str | None) -> Figure:
    """Waterfall of one product with its marginals."""
    names = stream.polarization.names
    index = product_index(stream, product)
    values, weights, seconds, frequency = waterfall(stream, index)
    figure = new_figure(10, 7.5)
    grid = figure.add_gridspec(3, 3, width_ratios=(5, 1.2, 0.35), height_ratios=(1.6, 5, 0.1))
    main = figure.add_subplot(grid[1, 0])
    top = figure.add_subplot(grid[0, 0], sharex=main)
    side = figure.add_subplot(grid[1, 1], sharey=main)
    cover = figure.add_subplot(grid[1, 2], sharey=main)
    unit, scale = time_unit(seconds[-1] - seconds[0])
    width = frequency[1] - frequency[0]  # of a pixel; the last may stand for fewer channels
    extent = (frequency[0], frequency[0] + width * (len(frequency) - 1),
              seconds[0] / scale, seconds[-1] / scale)
    told = f"{names[index]} ({stream.header.unit or 'recorded units'})"
    _image(figure, main, values, extent, names[index], told)
    centers = (frequency[:-1] + frequency[1:]) / 2
    middles = (seconds[:-1] + seconds[1:]) / 2 / scale
    with np.errstate(invalid="ignore", divide="ignore"):
        spectrum = _weighted(values, weights, 0)
        series = _weighted(values, weights, 1)
    axis = stream.header.channels
    if axis is not None and axis.half_channel is not None and len(centers) == axis.n_chan:
        spectrum[axis.half_channel] = np.nan  # not on the scale of whole channels
    line(top, centers, spectrum, COLORS[0])
    line(side, series, middles, COLORS[0])
    line(cover, 100 * weights.mean(axis=1), middles, COLORS[2], clip_on=False)
    main.set_xlim(frequency[0], frequency[-1])
    main.set_xlabel("frequency (MHz)")
    main.set_ylabel(f"time ({unit}) from {iso(stream.start_time)} UTC")
    top.set_ylabel(f"mean {told}")
    side.set_xlabel(f"mean {names[index]}")
    side.locator_params(axis="x", nbins=3)
    cover.set_xlabel("valid (%)")
    cover.set_xlim(-10, 110)
    note = figure.add_subplot(grid[0, 1:])
    note.axis("off")
    note.text(0, 0.95, _resolution(stream), va="top", fontsize=8, transform=note.transAxes)
    for axes in (top, side, cover):
        axes.grid(alpha=0.3)
    for axes in (main, top, side):
        axes.ticklabel_format(useOffset=False)
    side.ticklabel_format(axis="x", useOffset=False, scilimits=(-3, 4))
    top.tick_params(labelbottom=False)
    for axes in (side, cover):
        axes.tick_params(labelleft=False)
    top.set_title(f"{title(stream)} · {names[index]}", fontsize=10)
    if stream.header.channels is None:
        main.set_xlabel("channel")
    return figure


def product_index(stream: SpectrumStream, product: str | None) -> int:
    """Number of the product of that name; of the first without one."""
    names = stream.polarization.names
    if product is not None and product not in names:
        raise UsageError(f"product = {product!r}; this file has {', '.join(names)}")
    return 0 if product is None else names.index(product)


def _resolution(stream: SpectrumStream) -> str:
    seconds = float(1 / stream.header.sample_rate)
    unit, scale = time_unit(2 * seconds)
    lines = [f"{counted(stream.shape[0], 'spectrum', 'spectra')} of {seconds / scale:.6g} {unit}"]
    axis = stream.header.channels
    if axis is not None:
        lines.append(f"{counted(axis.n_chan, 'channel', 'channels')} of "
                     f"{width_text(float(axis.step_hz))}")
    lines.append("products " + ", ".join(stream.polarization.names))
    return "\n".join([*lines, f"{stream.polarization.kind} feeds", "grey: nothing valid"])


def waterfall(
    stream: SpectrumStream, index: int, seen: Cells | None = None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """One product as the pixels of a picture: values, weights, edges in s, edges in MHz.

    Parameters
    ----------
    stream : SpectrumStream
    index : int
        Number of the product.
    seen : Cells, optional
        What a pass has made of `pixels` already.
    """
    (n_int, n_freq), n_chan = pixels_of(stream), stream.shape[2]
    cells = reduced(stream, (index,), n_int, n_freq) if seen is None else seen
    values, weights = cells.values[0], cells.weights[0]
    seconds = np.arange(len(values) + 1) * float(n_int / stream.header.sample_rate)
    axis, bounds = stream.header.channels, np.append(np.arange(0, n_chan, n_freq), n_chan)
    if axis is None:
        return values, weights, seconds, bounds - 0.5
    low, width = (float(value / 10**6) for value in (axis.edges_hz[0], axis.step_hz))
    return values, weights, seconds, low + bounds * width


def pixels(stream: SpectrumStream, product: str | None) -> Waterfall:
    """The sink that makes the pixels of a product for `waterfall`."""
    return Waterfall(stream, (product_index(stream, product),), *pixels_of(stream))


def _weighted(values: NDArray[Any], weights: NDArray[Any], axis: int) -> NDArray[np.float64]:
    total = np.where(weights > 0, values, 0) * weights.astype(np.float64)
    mean: NDArray[np.float64] = total.sum(axis=axis) / weights.sum(axis=axis, dtype=np.float64)
    return mean


def color_limits(values: NDArray[Any], name: str) -> tuple[tuple[float, float], str]:
    """Limits of the colours of a product, and the name of the map of colours."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (1, 99.5)) if finite.size else (0, 1)
    if high <= low and finite.size:  # all but a few values are the same
        low, high = finite.min(), finite.max()
    if high <= low:
        low, high = low - 0.5, low + 0.5
    if name not in ("Q", "U", "V", "CR", "CI"):
        return (float(low), float(high)), "viridis"
    most = float(max(abs(low), abs(high)))
    return (-most, most), "RdBu_r"


def _image(
    figure: Figure, axes: Any, values: NDArray[Any], extent: tuple[float, ...], name: str,
    label: str,
) -> None:
    (low, high), colors = color_limits(values, name)
    axes.set_facecolor("#bbbbbb")  # what is not valid
    image = axes.imshow(
        values, origin="lower", aspect="auto", interpolation="nearest", extent=extent,
        cmap=colors, vmin=low, vmax=high,
    )
    figure.colorbar(image, ax=axes, location="bottom", label=label,
                    fraction=0.05, pad=0.02, aspect=50)
