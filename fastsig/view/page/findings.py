"""The page of a table of findings: rows to sort, filter and mark, with small pictures.

A `Layout` specifies what the page of one kind of finding contains: the columns of the list and how
their values are written, the filters, the title of a finding, and its pictures.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastsig.search.findings import Findings
from fastsig.view.page.colors import color_maps
from fastsig.view.page.html import bytes_block, document, flat, json_block, section, table
from fastsig.view.thumbnails import SHAPE, Thumbnails

__all__ = ["FINDINGS_PAGE_SIZE", "Layout", "Listed", "Panel", "findings_page",
           "pictures_that_fit"]

#: Default maximum size of a page, in bytes.
FINDINGS_PAGE_SIZE = 10_000_000

_OVERHEAD = 150_000  # bytes of script, style, header and provenance
_ROW = 420  # bytes of a row
_CAPTIONS = 60  # bytes of the texts below a picture


class Listed(NamedTuple):
    """A column of the list, a filter by range, or a part of the title.

    Parameters
    ----------
    name : str
        Column of the findings.
    text : str
        Heading or label; in a title, the text before the value.
    form : {"plain", "fixed", "number", "text", "time"}
        How values are written: with `digits` significant digits, with `digits` decimals, as whole
        numbers that are blank below 0, as text, or as a time.
    digits : int
    factor : float
        Factor from the unit of the column to the unit on the page.
    unit : str
        Text after the value; in titles only.
    """

    name: str
    text: str
    form: str = "plain"
    digits: int = 6
    factor: float = 1
    unit: str = ""


class Panel(NamedTuple):
    """A picture of a finding: an image or a curve.

    Parameters
    ----------
    text : str
        What it shows, for those who cannot see it.
    kind : {"image", "curve"}
        Images, and curves, are those of `Thumbnails` in their order.
    height : int
        Height on the page, pixels.
    """

    text: str
    kind: str
    height: int


@dataclass(frozen=True)
class Layout:
    """What the page of one kind of finding contains; columns that a table lacks are left out.

    Parameters
    ----------
    kind : str
        Name under which a browser keeps the marks.
    row_is : str
        What a row is.
    listed : tuple of Listed
        Columns of the list. Rows are first sorted by their S/N, `snr`.
    ranges : tuple of Listed
        Filters from a value to another one.
    picks : tuple of str
        Columns with a choice of their values.
    searched : tuple of str
        Columns that the search for words covers.
    title : tuple of Listed
        Parts of the title of a finding.
    saved : tuple of str
        Columns that are exported with marks.
    columns : tuple of str
        Columns of the facts about a finding, with all others above.
    panels : tuple of Panel
        Pictures, from top to bottom; the first image is in the list too.
    """

    kind: str
    row_is: str
    listed: tuple[Listed, ...]
    ranges: tuple[Listed, ...]
    picks: tuple[str, ...]
    searched: tuple[str, ...]
    title: tuple[Listed, ...]
    saved: tuple[str, ...]
    columns: tuple[str, ...]
    panels: tuple[Panel, ...]

    @property
    def picture_bytes(self) -> int:
        """Bytes of the pictures of a row of noise, which hardly deflates, in base64."""
        sizes = {"image": SHAPE[0] * SHAPE[1] // 2, "curve": SHAPE[1] + 40}
        return sum(sizes[each.kind] * 4 // 3 + _CAPTIONS for each in self.panels)

    def model(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return the layout of a table with these columns, for the script."""
        def there(parts: tuple[Listed, ...]) -> list[dict[str, Any]]:
            return [each._asdict() for each in parts if each.name in names]

        def named(parts: tuple[str, ...]) -> list[str]:
            return [each for each in parts if each in names]

        return {"kind": self.kind, "row_is": self.row_is, "listed": there(self.listed),
                "limited": there(self.ranges), "picks": named(self.picks),
                "searched": named(self.searched), "title": there(self.title),
                "saved": named(self.saved), "panels": [each._asdict() for each in self.panels]}


def pictures_that_fit(layout: Layout, n: int, page_size: int = FINDINGS_PAGE_SIZE) -> int:
    """Return how many of `n` findings can have pictures on a page of this size."""
    return max(0, min(n, (page_size - _OVERHEAD - n * _ROW) // layout.picture_bytes))


def findings_page(findings: Findings, layout: Layout, name: str,
                  thumbnails: Thumbnails | None = None) -> bytes:
    """Make the page of a table of findings.

    Parameters
    ----------
    findings : Findings
    layout : Layout
    name : str
        Title, such as the name of the table.
    thumbnails : Thumbnails, optional
        Pictures of the first findings.
    """
    made = Thumbnails.empty(0, layout.panels) if thumbnails is None else thumbnails
    columns = _columns(findings, layout)
    known = hashlib.sha256(json.dumps(columns, sort_keys=True).encode()).hexdigest()[:16]
    model = {**layout.model(tuple(columns)), "columns": columns, "n": len(findings), "id": known,
             "shape": SHAPE, "pictures": len(made), "limits": made.rounded_limits(),
             "captions": made.captions,
             "troubles": {str(k): text for k, text in made.troubles.items()},
             "map": color_maps()["viridis"]}
    body = ("<main id=app><noscript><p class=note>The table needs JavaScript, which is off in "
            "this browser; nothing is fetched from anywhere.</p></noscript></main>\n"
            + section("Search", table(("what", "value"), flat(dict(findings.meta))))
            + json_block("model", model) + bytes_block("pictures", _packed(made)))
    return document(name, body, ("ending.js", "findings_view.js", "findings.js"),
                    styles=("findings.css",))


def _columns(findings: Findings, layout: Layout) -> dict[str, list[Any]]:
    """Return the values of the columns of a layout, in the order of its facts."""
    others = (*(each.name for each in layout.listed), *layout.picks, *layout.searched)
    return {key: _plain(findings, key) for key in dict.fromkeys((*layout.columns, *others))
            if key in findings}


def _plain(findings: Findings, key: str) -> list[Any]:
    kind = findings.known()[key].dtype
    if kind in ("time", "epoch"):
        return [str(each) for each in findings[key].isot]
    if kind == "U":
        return [str(each) for each in findings.values(key)]
    return [_number(each) for each in findings.values(key).tolist()]


def _number(value: float) -> float | None:
    return value if value == value else None


def _packed(made: Thumbnails) -> bytes:
    """Return the pictures: two pixels in a byte, all curves last, deflated."""
    pixels = made.images.reshape(-1)
    halves = (pixels[::2] << 4) | pixels[1::2]
    return zlib.compress(halves.astype(np.uint8).tobytes() + made.curves.tobytes(), 6)
