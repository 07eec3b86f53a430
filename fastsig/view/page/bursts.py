"""The page of a night: a table of candidates to sort, filter and mark, with small pictures."""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.search.bursts.candidates import Candidates
from fastsig.view.page.colors import color_maps
from fastsig.view.page.html import bytes_block, document, flat, json_block, section, table
from fastsig.view.thumbnails import SHAPE, Thumbnails

__all__ = ["BURSTS_PAGE_SIZE", "bursts_page", "pictures_that_fit"]

#: Default maximum size of a page, in bytes.
BURSTS_PAGE_SIZE = 10_000_000

_OVERHEAD = 150_000  # bytes of script, style, header and provenance
_ROW = 420  # bytes of a row
_PICTURES = 4100  # bytes of the pictures of a row of noise, which hardly deflates, in base64
_PLAIN = ("time_s", "dm", "dm_error", "width", "snr", "valid_share", "beam", "n_member", "ra",
          "dec", "downsampling", "n_beam", "east", "north", "east_error", "north_error",
          "burst_ra", "burst_dec", "chance", "injected")
_TEXTS = ("file", "verdict", "reason", "beams")


def pictures_that_fit(n: int, page_size: int = BURSTS_PAGE_SIZE) -> int:
    """Return how many of `n` candidates can have pictures on a page of this size."""
    return max(0, min(n, (page_size - _OVERHEAD - n * _ROW) // _PICTURES))


def bursts_page(candidates: Candidates, name: str, thumbnails: Thumbnails | None = None) -> bytes:
    """Make the page of candidates.

    Parameters
    ----------
    candidates : Candidates
    name : str
        Title, such as the name of the table.
    thumbnails : Thumbnails, optional
        Pictures of the first candidates.
    """
    made = Thumbnails.empty(0) if thumbnails is None else thumbnails
    columns = _columns(candidates)
    known = hashlib.sha256(json.dumps(columns, sort_keys=True).encode()).hexdigest()[:16]
    model = {"columns": columns, "n": len(candidates), "id": known, "shape": SHAPE,
             "pictures": len(made.profile), "ranges": _rounded(made.ranges),
             "troubles": {str(k): text for k, text in made.troubles.items()},
             "map": color_maps()["viridis"]}
    meta = flat(dict(candidates.meta))
    body = ("<main id=app><noscript><p class=note>The table needs JavaScript, which is off in "
            "this browser; nothing is fetched from anywhere.</p></noscript></main>\n"
            + section("Search", table(("what", "value"), meta))
            + json_block("model", model) + bytes_block("pictures", _packed(made)))
    return document(name, body, ("ending.js", "bursts_view.js", "bursts.js"),
                    styles=("bursts.css",))


def _columns(candidates: Candidates) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"time": [str(each) for each in candidates["time"].isot]}
    for key in _PLAIN:
        if key in candidates:
            columns[key] = [_number(each) for each in candidates.values(key).tolist()]
    return columns | {key: [str(each) for each in candidates.values(key)] for key in _TEXTS
                      if key in candidates}


def _number(value: float) -> float | None:
    return value if value == value else None


def _rounded(ranges: NDArray[np.float64]) -> list[list[float]]:
    return [[float(f"{each:.6g}") for each in row] for row in ranges]


def _packed(made: Thumbnails) -> bytes:
    """Return the pictures: two pixels in a byte, all profiles last, deflated."""
    pixels = np.stack([made.aligned, made.tie], axis=1).reshape(-1)
    halves = (pixels[::2] << 4) | pixels[1::2]
    return zlib.compress(halves.astype(np.uint8).tobytes() + made.profile.tobytes(), 6)

