"""The page of a session: counters, levels and pictures, served to this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["pages_of"]

_HERE = Path(__file__).parent
_KINDS = {"/": ("page.html", "text/html; charset=utf-8"),
          "/page.js": ("page.js", "text/javascript; charset=utf-8")}

Page = Callable[[], tuple[str, bytes]]


def pages_of(folder: str, labels: list[str], status: Callable[[], Mapping[str, Any]]
             ) -> dict[str, Page]:
    """Return the pages of a session by their paths.

    Parameters
    ----------
    folder : str
        Folder of the pictures.
    labels : list of str
        Labels of the sources.
    status : callable
        Returns the status that the page shows.
    """
    pages: dict[str, Page] = {path: _file(_HERE / name, kind)
                              for path, (name, kind) in _KINDS.items()}
    pages["/status.json"] = lambda: ("application/json", json.dumps(dict(status())).encode())
    for label in labels:
        path = Path(folder, f"{label}live.png")
        pages[f"/picture/{label.rstrip('-')}"] = _file(path, "image/png")
    return pages


def _file(path: Path, kind: str) -> Page:
    def content() -> tuple[str, bytes]:
        return (kind, path.read_bytes()) if os.path.exists(path) else ("text/plain", b"")

    return content
