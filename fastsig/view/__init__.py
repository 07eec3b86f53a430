"""Pictures of streams: what one looks at first, with units, UTC and sensible cuts."""

from __future__ import annotations

import io as memory
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fastsig.errors import PlanError, UsageError
from fastsig.io.files.positioned import write_from
from fastsig.io.files.provenance import input_files
from fastsig.io.files.safe import SafeOutput, check_output
from fastsig.stream import Block, Sink, SpectrumStream, Stream, VoltageStream, spectra_of, stream_of
from fastsig.view.figures import in_pyplot, new_figure, title, wrapped
from fastsig.view.look import Look
from fastsig.view.spectra import averaged, draw_panel, draw_spectra, pixels, product_index
from fastsig.view.voltages import draw_voltage_panel, draw_voltages
from fastsig.view.waterfalls import Cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

    from fastsig.cubes.cube import Cube
    from fastsig.reductions.diode.calibration import DiodeMeasurement
    from fastsig.reductions.sources.position import PositionSpectrum
    from fastsig.stages.baseline import Baseline, Fits

__all__ = ["baseline_rows", "check_picture", "draw", "draw_baseline", "draw_calibration",
           "draw_cube", "draw_flags", "draw_made", "draw_position", "draw_switched", "flag_pixels",
           "write_page"]

_SUFFIXES = (".png", ".pdf", ".svg", ".html")


def check_picture(path: str) -> None:
    """Raise `UsageError` where a path does not end as a picture or page does."""
    if os.path.splitext(path)[1].lower() not in _SUFFIXES:
        raise UsageError(f"{path}: a picture ends in {', '.join(_SUFFIXES)}")


def draw(
    stream: Stream, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False,
    product: str | None = None, what: str | None = None, ax: Axes | None = None,
    cmap: str | Colormap | None = None, vmin: Any = None, vmax: Any = None,
    scale: str | None = None, percent: float | None = None,
) -> Figure:
    """Draw a stream; save the picture where `path` is given.

    Of spectra a waterfall, the mean spectrum, the power over time and the valid share; a single
    spectrum, or channel, as a line. Of voltages a histogram, the power over time and the bandpass.
    Where a pixel is the mean of several spectra or channels, the picture says so; its lines show
    every channel and every spectrum.

    Parameters
    ----------
    stream : VoltageStream or SpectrumStream
        What to draw.
    path : path, optional
        Picture (.png, .pdf, .svg) or self-contained page (.html); of spectra that of `write_page`,
        for which the file is read again. Without a path the figure is pyplot's current one.
    overwrite : bool
        Whether an existing file may be replaced.
    product : str, optional
        Which product of spectra; the first by default, or all of a single spectrum.
    what : str, optional
        One panel alone: "waterfall", "spectrum" or "power" of spectra, "histogram", "power" or
        "bandpass" of voltages.
    ax : matplotlib Axes, optional
        Where the panel is drawn, in a figure of your own, which is returned; the first panel by
        default.
    cmap : str or Colormap, optional
        Colours of a waterfall; viridis by default, RdBu_r of products of either sign.
    vmin, vmax : float or Quantity, optional
        Limits of the colours, or of a line drawn alone; in dB with ``scale="db"``.
    scale : {"linear", "asinh", "db"}, optional
        Of the colours. By default linear, or, where few values are far above all others, asinh:
        linear about the median, logarithmic beyond. With "db" lines are in dB too; with "linear"
        their axes are never logarithmic.
    percent : float, optional
        The limits of the colours hold this share of the values, in the middle; by default from the
        lowest 1 % to the highest 0.5 %.

    Returns
    -------
    Figure

    Raises
    ------
    UsageError
        Where an option or the path's ending is unknown, or has no meaning for the stream.
    OutputError
        Where `path` exists, and `overwrite` is not given.
    PlanError
        Where the stream is neither voltages nor spectra.
    """
    stream = stream_of(stream)
    if not isinstance(stream, (VoltageStream, SpectrumStream)):
        raise PlanError(f"there is no picture of {stream.kind}: detect first")
    look = Look(cmap, vmin, vmax, scale, percent)
    if isinstance(stream, VoltageStream):
        _refuse_of_voltages(product, look)
    if ax is not None:
        if path is not None:
            raise UsageError("path and ax are both given; allowed: one; save the figure of ax")
        _draw_panel(stream, ax, product, look, what)
        return cast("Figure", ax.figure)
    if path is not None and _is_page(path) and isinstance(stream, SpectrumStream):
        if what is not None or look != Look():
            raise UsageError("a page has controls of its own for panels and colours; allowed: "
                             "product")
        write_page(stream, path, overwrite=overwrite, product=product)
        return draw_spectra(stream, product, look)
    return _drawn(lambda: _made(stream, product, look, what), stream, path, overwrite,
                  input_files(stream))


def _refuse_of_voltages(product: str | None, look: Look) -> None:
    if product is not None:
        raise UsageError(f"product = {product!r}; voltages have no products: leave it out")
    for name, value in vars(look).items():
        if value is not None:
            raise UsageError(f"{name} = {value!r}; voltages have no waterfall: leave it out")


def _made(stream: VoltageStream | SpectrumStream, product: str | None, look: Look,
          what: str | None) -> Figure:
    """All panels of a stream, or one alone."""
    if what is None:
        return (draw_voltages(stream) if isinstance(stream, VoltageStream)
                else draw_spectra(stream, product, look))
    figure = new_figure(9, 5.5)
    axes = figure.add_subplot()
    _draw_panel(stream, axes, product, look, what)
    if what != "waterfall":
        axes.grid(alpha=0.3)
    name = "" if isinstance(stream, VoltageStream) else (
        f" · {stream.polarization.names[product_index(stream, product)]}")
    note = averaged(stream) if what == "waterfall" and isinstance(stream, SpectrumStream) else ""
    figure.suptitle("\n".join([wrapped(f"{title(stream)}{name}", 90), *([note] if note else [])]),
                    fontsize=10)
    return figure


def _draw_panel(stream: VoltageStream | SpectrumStream, axes: Axes, product: str | None,
                look: Look, what: str | None) -> None:
    if isinstance(stream, VoltageStream):
        draw_voltage_panel(axes, stream, what)
    else:
        draw_panel(axes, stream, product, look, what)


def _is_page(path: str | os.PathLike[str]) -> bool:
    return os.fspath(path).lower().endswith(".html")


def write_page(
    what: SpectrumStream | Cube, path: str | os.PathLike[str], *, overwrite: bool = False,
    product: str | None = None, page_size: int | None = None,
) -> None:
    """Write the page of spectra or of a cube: one HTML file to zoom and cut in.

    Parameters
    ----------
    what : SpectrumStream or Cube
        What it shows.
    path : path
        Page (.html) to write.
    overwrite : bool
        Whether an existing file may be replaced.
    product : str, optional
        Which product, or Stokes parameter, is shown first; the page holds all.
    page_size : int, optional
        Bytes that the page does not exceed, 3 MB by default. Where there are too many values,
        neighbours are averaged, as few as need be; the page says how many.

    Raises
    ------
    UsageError
        Where the product or the path's ending is unknown, or the page too small.
    """
    from fastsig.view.page import PAGE_SIZE, cube_page, spectra_page

    target, size = os.fspath(path), PAGE_SIZE if page_size is None else page_size
    if not target.lower().endswith(".html"):
        raise UsageError(f"{target}: a page ends in .html")
    what = getattr(what, "stream", what)  # of a chain; a cube has none
    if isinstance(what, Stream) and not isinstance(what, SpectrumStream):
        raise PlanError(f"there is no page of {what.kind}: detect first")
    sources = input_files(what) if isinstance(what, SpectrumStream) else what.file.files
    check_output(target, overwrite=overwrite, inputs=sources)
    if isinstance(what, SpectrumStream):
        content = spectra_page(what, product, size)
    else:
        content = cube_page(what.file, product or what.stokes, size)
    _write(content, target, overwrite)


def draw_baseline(
    stage: Baseline, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False,
    product: str | None = None, tsys: float | None = None, rows: Block | None = None,
) -> Figure:
    """Draw what a `Baseline` does, by up to 256 spectra from the middle of its stream.

    The mean spectrum with the model; the mean of what is left; amplitudes by delay; the scatter
    along frequency against the time averaged. The radiometer's noise stands beside the last three.

    Parameters
    ----------
    stage : Baseline
        The stage.
    path, overwrite, product
        As of `draw`.
    tsys : float, optional
        System temperature in the unit of the spectra; the mean spectrum itself by default, which
        is right where spectra are the total power.

    Raises
    ------
    UsageError
        Where the product or the path's ending is unknown, or nothing is valid.
    """
    from fastsig.view.baseline import draw_removal

    stage = getattr(stage, "stream", stage)
    return _drawn(lambda: draw_removal(stage, product, tsys, rows), stage, path, overwrite,
                  input_files(stage))


def baseline_rows(fits: Fits) -> Sink:
    """The sink of what `draw_baseline` draws, for a pass that writes both results of a stage.

    Parameters
    ----------
    fits : Fits
        The source of both results of `Baseline.kept`.
    """
    from fastsig.view.baseline import MiddleRows

    return MiddleRows(fits)


def draw_calibration(
    found: DiodeMeasurement, stream: Stream, path: str | os.PathLike[str] | None = None, *,
    overwrite: bool = False,
) -> Figure:
    """Draw what a scan tells of its noise diode: gains, its spectrum, temperatures, scatter.

    Parameters
    ----------
    found : DiodeMeasurement
        Of `fastsig.reductions.diode.calibration.solve`.
    stream : SpectrumStream
        What it was made from.
    path, overwrite
        As of `draw`.
    """
    from fastsig.view.calibration import draw_measurement
    stream = stream_of(stream)
    return _drawn(lambda: draw_measurement(found, title(stream)), stream, path, overwrite,
                  input_files(stream))


def draw_flags(
    before: SpectrumStream, after: SpectrumStream, path: str | os.PathLike[str] | None = None, *,
    overwrite: bool = False, product: str | None = None, seen: Sequence[Cells] | None = None,
) -> Figure:
    """Draw spectra before and after flagging, in the same colours, and the shares flagged.

    Parameters
    ----------
    before, after : SpectrumStream
        The same spectra without and with flags.
    path, overwrite, product
        As of `draw`.
    seen : sequence of Cells, optional
        What the two sinks of `flag_pixels` gave in a pass; by default all rows are read here.

    Raises
    ------
    UsageError
        Where the product or the path's ending is unknown.
    """
    from fastsig.view.flags import draw_before_after

    before, after = spectra_of(before), spectra_of(after)
    return _drawn(lambda: draw_before_after(before, after, product, seen), after, path, overwrite,
                  input_files(before))


def flag_pixels(before: SpectrumStream, after: SpectrumStream, product: str | None = None
                ) -> list[Sink]:
    """The sinks of what `draw_flags` draws, for a pass over both.

    Raises
    ------
    UsageError
        Where the product is unknown.
    """
    return [pixels(before, product), pixels(after, product)]


def draw_switched(
    mean: SpectrumStream, rows: SpectrumStream, path: str | os.PathLike[str] | None = None, *,
    overwrite: bool = False, notes: Sequence[str] = (),
) -> Figure:
    """Draw a reduced spectrum within its expected noise, and the rows that it is the mean of.

    Parameters
    ----------
    mean : SpectrumStream
        Of one row, with columns ``radiometer_NAME``.
    rows : SpectrumStream
        What it is made of; those of its first product are drawn.
    path, overwrite
        As of `draw`.
    notes : sequence of str
        Lines below the title.
    """
    from fastsig.view.switched import draw_mean

    mean, rows = spectra_of(mean), spectra_of(rows)
    return _drawn(lambda: draw_mean(mean, rows, notes), mean, path, overwrite,
                  input_files(mean))


def draw_cube(
    cube: Cube, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False,
    what: str = "sheet", at: Any = None, frange: Any = None, rest: Any = None,
) -> Figure:
    """Draw a cube of maps.

    Parameters
    ----------
    cube : Cube
        Of `fastsig.open_cube`.
    path, overwrite
        As of `draw`.
    what : {"sheet", "coverage", "channels", "moments", "spectrum"}
        The integral, the coverage and the mean spectrum on one sheet; effective time and noise;
        maps of up to 12 ranges of channels; integral, mean velocity and dispersion; the spectrum of
        a place, or the mean.
    at : SkyCoord or str, optional
        The place, for "spectrum".
    frange : pair of Quantity, optional
        Frequencies to draw; all by default.
    rest : str or Quantity, optional
        Rest frequency in place of the file's.

    Raises
    ------
    UsageError
        Where an option or the path's ending is unknown, or what is drawn cannot be made of the
        cube.
    """
    from fastsig.io.fits.cube import info
    from fastsig.view.cube import draw_maps

    return _drawn(lambda: draw_maps(cube, what, at=at, frange=frange, rest=rest),
                  lambda: info(cube.path), path, overwrite, cube.file.files)


def draw_position(
    spectrum: PositionSpectrum, path: str | os.PathLike[str] | None = None, *,
    fit: Mapping[str, Any] | None = None, overwrite: bool = False,
) -> Figure:
    """Draw the spectrum of a place within its noise, with its fit and what is left of it.

    Parameters
    ----------
    spectrum : PositionSpectrum
    fit : mapping, optional
        As `fastsig.reductions.sources.position.PositionSpectrum.read_with_fit` gives it.
    path, overwrite
        As of `draw`.
    """
    from fastsig.view.position import draw_spectrum, facts

    return _drawn(lambda: draw_spectrum(spectrum, fit or {}), lambda: facts(spectrum, fit or {}),
                  path, overwrite, [spectrum.path] if os.path.exists(spectrum.path) else [])


def draw_made(make: Callable[[], Figure], facts: Callable[[], Mapping[str, Any]],
              path: str | os.PathLike[str], *, inputs: Sequence[str], overwrite: bool = False
              ) -> Figure:
    """Save a figure that another package makes, as picture or page.

    Parameters
    ----------
    make, facts : function
        They return the figure, and what a page says of it.
    path, overwrite
        As of `draw`.
    inputs : sequence of str
        Files that must not be overwritten.
    """
    return _drawn(make, facts, path, overwrite, inputs)


def _drawn(make: Callable[[], Figure], about: Stream | Callable[[], Mapping[str, Any]],
           path: str | os.PathLike[str] | None, overwrite: bool, inputs: Sequence[str]) -> Figure:
    """Check where a picture goes before it is made, make it, and save it where there is a path.

    `about` is what the picture is of: a page tells its facts, with the path among them.
    """
    if path is None:
        with in_pyplot():
            return make()
    name = os.fspath(path)
    check_picture(name)
    check_output(name, overwrite=overwrite, inputs=inputs)
    figure = make()
    kind = os.path.splitext(name)[1].lower().lstrip(".")
    picture = memory.BytesIO()
    figure.savefig(picture, format="png" if kind == "html" else kind, dpi=150)
    content = picture.getvalue()
    if kind == "html":
        from fastsig.view.page import picture_page

        content = picture_page(about if isinstance(about, Stream) else about(), content)
    _write(content, name, overwrite)
    return figure


def _write(content: bytes, path: str, overwrite: bool) -> None:
    with SafeOutput(path, overwrite=overwrite) as output:
        try:
            write_from(output.descriptor, np.frombuffer(content, np.uint8), 0)
        except OSError as error:
            raise output.error(error) from error
