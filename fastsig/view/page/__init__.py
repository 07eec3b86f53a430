"""Pages: one HTML file per waterfall or cube, to zoom and cut in, which opens from disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from fastsig.io.fits.cube import CubeFile
from fastsig.stream import SpectrumStream, Stream
from fastsig.view.figures import title
from fastsig.view.page.cube import cube_blocks
from fastsig.view.page.html import (
    cube_sections,
    document,
    flat,
    picture_block,
    section,
    stream_sections,
    table,
)
from fastsig.view.page.waterfall import waterfall_blocks

__all__ = ["PAGE_SIZE", "cube_page", "picture_page", "spectra_page"]

#: Default maximum size of a page, in bytes.
PAGE_SIZE = 3_000_000

_PANELS = ("scales.js", "colors.js", "panels.js", "map.js", "lines.js", "controls.js",
           "ending.js")
_APP = ("<main id=app><noscript><p class=note>The picture needs JavaScript, which is off in this "
        "browser; nothing is fetched from anywhere. The header is below.</p></noscript></main>\n")


def spectra_page(
    stream: SpectrumStream, product: str | None = None, page_size: int = PAGE_SIZE
) -> bytes:
    """Make the page of spectra: a waterfall of every product, with cuts and means.

    Parameters
    ----------
    stream : SpectrumStream
    product : str, optional
        The product that is shown first; by default, the first.
    page_size : int
        Maximum size of the page in bytes: as few spectra and channels as possible are averaged.
    """
    sections = stream_sections(stream)
    data = waterfall_blocks(stream, product, page_size, len(sections.encode()))
    return document(title(stream), _APP + sections + data, (*_PANELS, "waterfall.js",
                                                            "page_waterfall.js"))


def cube_page(cube: CubeFile, product: str | None = None, page_size: int = PAGE_SIZE) -> bytes:
    """Make the page of a cube: the map of any of its channels, the spectrum of any pixel.

    Parameters
    ----------
    cube : CubeFile
    product : str, optional
        The Stokes parameter that is shown first.
    page_size : int
        As for `spectra_page`: channels and pixels are averaged.
    """
    sections = cube_sections(cube)
    data = cube_blocks(cube, product, page_size, len(sections.encode()))
    name = " · ".join([os.path.basename(cube.path), *_described(cube)])
    return document(name, _APP + sections + data, (*_PANELS, "sky.js", "cube.js", "page_cube.js"))


def _described(cube: CubeFile) -> list[str]:
    cards = cube.header.cards
    return [text for text in (cards.text("TELESCOP"), cards.text("OBJECT")) if text]


def picture_page(about: Stream | Mapping[str, Any], picture: bytes) -> bytes:
    """Make the page of a picture in PNG: the picture unchanged, header and provenance.

    Parameters
    ----------
    about : Stream or mapping
        The subject of the picture, or facts about it, including its ``path`` or, if it has none,
        a ``title``.
    picture : bytes
    """
    if isinstance(about, Stream):
        name, sections = title(about), stream_sections(about)
    else:
        name = _name_of(about)
        known = {key: name if key == "path" else value for key, value in about.items()
                 if key != "title" and value not in (None, "", [])}
        sections = section("Header", table(("field", "value"), flat(known)), opened=True)
    return document(name, picture_block(picture, f"picture of {name}") + sections)


def _name_of(about: Mapping[str, Any]) -> str:
    """Return the name of the file that facts are about, or their title."""
    if "path" not in about:
        return str(about["title"])
    return os.path.basename(os.path.abspath(str(about["path"])))
