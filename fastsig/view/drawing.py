"""Pictures of voltages or spectra: all panels or one, in a new figure or in given axes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fastsig.errors import PlanError, UsageError
from fastsig.io.files.provenance import input_files
from fastsig.stream import PlaneStream, SpectrumStream, Stream, VoltageStream, stream_of
from fastsig.view.figures import new_figure, title, wrapped
from fastsig.view.look import Look
from fastsig.view.planes import draw_plane
from fastsig.view.saving import drawn, is_page, write_page
from fastsig.view.spectra import averaged, draw_panel, draw_spectra, product_index
from fastsig.view.voltages import draw_voltage_panel, draw_voltages
from fastsig.work.arguments import checked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

    from fastsig.io.planes.reader import Plane

__all__ = ["draw"]


@checked
def draw(
    stream: Stream, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False,
    product: str | None = None, what: str | None = None, ax: Axes | None = None,
    cmap: str | Colormap | None = None, vmin: Any = None, vmax: Any = None,
    scale: str | None = None, percent: float | None = None,
) -> Figure:
    """Draw a stream, and save the picture if `path` is specified.

    Spectra are drawn as a waterfall with the mean spectrum, the power against time and the fraction
    of valid data; a single spectrum or channel is drawn as a line. Voltages are drawn as a
    histogram, the power against time and the bandpass. If a pixel is the mean of several spectra or
    channels, the picture states this; the curves beside the waterfall still show every channel and
    every spectrum. DM-time planes are computed as a whole, and drawn with their S/N against
    dispersion measure.

    Parameters
    ----------
    stream : VoltageStream, SpectrumStream or PlaneStream
        The stream to draw.
    path : path, optional
        Picture (.png, .pdf, .svg) or self-contained page (.html). The page of spectra is that of
        `write_page`, for which the file is read again. Without a path, the figure becomes the
        current figure of pyplot.
    overwrite : bool
        Whether an existing file may be replaced.
    product : str, optional
        The product of spectra to draw; by default, the first product, or all products if there is
        only one spectrum.
    what : str, optional
        The only panel to draw: "waterfall", "spectrum" or "power" for spectra, and "histogram",
        "power" or "bandpass" for voltages.
    ax : matplotlib Axes, optional
        Axes in an existing figure, in which a single panel is drawn (by default, the first panel);
        this figure is returned.
    cmap : str or Colormap, optional
        Colour map of a waterfall; by default, viridis, or RdBu_r for products that can have either
        sign.
    vmin, vmax : float or Quantity, optional
        Limits of the colours, or of the value axis of a line that is drawn alone. With
        ``scale="db"``, numbers are in dB, and a Quantity has dB or the unit of the values.
    scale : {"linear", "asinh", "db"}, optional
        Scale of the colours. The default is linear or, if a few values are far above all others,
        asinh, which is linear near the median and logarithmic far from it. With "db", lines are
        also in dB; Q, U, V, CR and CI are refused. With "linear", the axes of lines are never
        logarithmic.
    percent : float, optional
        Central percentage of the values to which the colours are limited; by default, the lowest 1
        % and the highest 0.5 % of the values are outside the limits.

    Returns
    -------
    Figure

    Raises
    ------
    UsageError
        If an option or the extension of the path is unknown, or does not apply to the stream.
    OutputError
        If `path` exists and `overwrite` is false.
    PlanError
        If the stream contains neither voltages, spectra nor planes.
    """
    stream = stream_of(stream)
    look = Look(cmap, vmin, vmax, scale, percent)
    if isinstance(stream, PlaneStream):
        if look != Look() or what is not None or ax is not None:
            raise UsageError("a DM-time plane has panels and colours of its own; allowed: product")
        return drawn(lambda: draw_plane(_whole(stream), product), stream, path, overwrite,
                     input_files(stream))
    if not isinstance(stream, (VoltageStream, SpectrumStream)):
        raise PlanError(f"there is no picture of {stream.kind}: detect first")
    if isinstance(stream, VoltageStream):
        _refuse_of_voltages(product, look)
    if ax is not None:
        if path is not None:
            raise UsageError("path and ax are both given; allowed: one; save the figure of ax")
        _draw_panel(stream, ax, product, look, what)
        return cast("Figure", ax.figure)
    if path is not None and is_page(path) and isinstance(stream, SpectrumStream):
        if what is not None or look != Look():
            raise UsageError("a page has its own controls for panels and colours; allowed: "
                             "product")
        write_page(stream, path, overwrite=overwrite, product=product)
        return draw_spectra(stream, product, look)
    return drawn(lambda: _made(stream, product, look, what), stream, path, overwrite,
                 input_files(stream))


def _whole(stream: PlaneStream) -> Plane:
    """Compute all rows of a DM-time plane."""
    from fastsig.io.planes.reader import Plane
    from fastsig.run.fusing import fuse

    block = fuse(stream).read_block(0, stream.shape[0])
    return Plane(stream.header, stream.dms, *(
        np.ascontiguousarray(np.moveaxis(np.broadcast_to(each, stream.shape), 0, 2))
        for each in (block.data, block.valid)))


def _refuse_of_voltages(product: str | None, look: Look) -> None:
    if product is not None:
        raise UsageError(f"product = {product!r}; voltages have no products: leave it out")
    for name, value in vars(look).items():
        if value is not None:
            raise UsageError(f"{name} = {value!r}; voltages have no waterfall: leave it out")


def _made(stream: VoltageStream | SpectrumStream, product: str | None, look: Look,
          what: str | None) -> Figure:
    """Draw all panels of a stream, or one alone."""
    if what is None:
        return (draw_voltages(stream) if isinstance(stream, VoltageStream)
                else draw_spectra(stream, product, look))
    figure = new_figure(9, 5.5)
    axes = figure.add_subplot()
    note = _draw_panel(stream, axes, product, look, what)
    if what != "waterfall":
        axes.grid(alpha=0.3)
    name = "" if isinstance(stream, VoltageStream) else (
        f" · {stream.polarization.names[product_index(stream, product)]}")
    figure.suptitle("\n".join([wrapped(f"{title(stream)}{name}", 90), *([note] if note else [])]),
                    fontsize=10)
    return figure


def _draw_panel(stream: VoltageStream | SpectrumStream, axes: Axes, product: str | None,
                look: Look, what: str | None) -> str:
    """Draw one panel in axes; return what a title must state about its data, or an empty text."""
    if isinstance(stream, VoltageStream):
        return " · ".join(draw_voltage_panel(axes, stream, what))
    draw_panel(axes, stream, product, look, what)
    return averaged(stream) if what == "waterfall" else ""
