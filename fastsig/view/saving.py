"""Pictures and pages as files: checked before they are made, and written in full or not at all."""

from __future__ import annotations

import io as memory
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastsig.errors import PlanError, UsageError
from fastsig.io.files.positioned import write_from
from fastsig.io.files.provenance import input_files
from fastsig.io.files.safe import SafeOutput, check_output
from fastsig.stream import SpectrumStream, Stream
from fastsig.view.figures import in_pyplot
from fastsig.work.arguments import checked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastsig.cubes.cube import Cube

__all__ = ["check_picture", "drawn", "is_page", "write_page"]

_SUFFIXES = (".png", ".pdf", ".svg", ".html")
_DPI = 150
#: Names of the time of drawing in metadata.
_DATES = {"pdf": "CreationDate", "svg": "Date"}


def check_picture(path: str) -> None:
    """Raise `UsageError` if the extension of a path is not that of a picture or a page."""
    if os.path.splitext(path)[1].lower() not in _SUFFIXES:
        raise UsageError(f"{path}: a picture ends in {', '.join(_SUFFIXES)}")


def is_page(path: str | os.PathLike[str]) -> bool:
    """Whether the extension of a path is that of a page."""
    return os.fspath(path).lower().endswith(".html")


@checked
def write_page(
    what: SpectrumStream | Cube, path: str | os.PathLike[str], *, overwrite: bool = False,
    product: str | None = None, page_size: int | None = None,
) -> None:
    """Write an interactive page of spectra or of a cube, as a single HTML file.

    Parameters
    ----------
    what : SpectrumStream or Cube
        The product to show.
    path : path
        The page (.html) to write.
    overwrite : bool
        Whether an existing file may be replaced.
    product : str, optional
        The product, or Stokes parameter, that is shown first; the page contains all of them.
    page_size : int, optional
        Maximum size of the page in bytes, 3 MB by default. If there are too many values, the
        smallest possible number of neighbouring values is averaged; the page states this number.

    Raises
    ------
    UsageError
        If the product or the extension of the path is unknown, or `page_size` is too small.
    """
    from fastsig.view.page import PAGE_SIZE, cube_page, spectra_page

    target, size = os.fspath(path), PAGE_SIZE if page_size is None else page_size
    if not target.lower().endswith(".html"):
        raise UsageError(f"{target}: a page ends in .html")
    what = getattr(what, "stream", what)  # of a chain; a cube has no stream
    if isinstance(what, Stream) and not isinstance(what, SpectrumStream):
        raise PlanError(f"there is no page of {what.kind}: detect first")
    if not isinstance(what, Stream) and not hasattr(what, "file"):
        raise UsageError(f"a {type(what).__name__} has no page; allowed: spectra or a cube")
    sources = input_files(what) if isinstance(what, SpectrumStream) else what.file.files
    check_output(target, overwrite=overwrite, inputs=sources)
    if isinstance(what, SpectrumStream):
        content = spectra_page(what, product, size)
    else:
        content = cube_page(what.file, product or what.stokes, size)
    _write(content, target, overwrite)


def drawn(make: Callable[[], Figure], about: Stream | Callable[[], Mapping[str, Any]],
           path: str | os.PathLike[str] | None, overwrite: bool, inputs: Sequence[str]) -> Figure:
    """Check the path of a picture, make the picture, and save it if there is a path.

    `about` is the subject of the picture: a page lists its facts, including its path.
    """
    if path is None:
        with in_pyplot():
            return make()
    name = os.fspath(path)
    check_picture(name)
    check_output(name, overwrite=overwrite, inputs=inputs)
    figure = make()
    kind = os.path.splitext(name)[1].lower().lstrip(".")
    content = _png(figure) if kind in ("png", "html") else _vectors(figure, kind)
    if kind == "html":
        from fastsig.view.page import picture_page

        content = picture_page(about if isinstance(about, Stream) else about(), content)
    _write(content, name, overwrite)
    return figure


def _png(figure: Figure) -> bytes:
    """Return a picture as PNG.

    `Figure.savefig` would draw everything twice, the first time only to place the panels, which
    drawing does by itself.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    picture, dpi, canvas = memory.BytesIO(), figure.dpi, figure.canvas
    figure.dpi = _DPI
    try:
        FigureCanvasAgg(figure).print_png(picture)  # type: ignore[no-untyped-call]
    finally:
        figure.dpi = dpi
        figure.set_canvas(canvas)
    return picture.getvalue()


def _vectors(figure: Figure, kind: str) -> bytes:
    """Return a picture as PDF or SVG, the same bytes whenever it is drawn."""
    from matplotlib import rc_context

    picture = memory.BytesIO()
    with rc_context({"svg.hashsalt": "fastsig"}):  # otherwise, names in SVG are random
        figure.savefig(picture, format=kind, dpi=_DPI, metadata={_DATES[kind]: None})
    return picture.getvalue()


def _write(content: bytes, path: str, overwrite: bool) -> None:
    with SafeOutput(path, overwrite=overwrite) as output:
        try:
            write_from(output.descriptor, np.frombuffer(content, np.uint8), 0)
        except OSError as error:
            raise output.error(error) from error
