"""The example recipes of ``fastsig batch init``: files beside this one, with comments that teach.

The first line of each tells what it is.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["about", "text"]

_FOLDER = Path(__file__).parent
_ORDER = ("spectra", "seti", "convert", "cut", "calibrate", "flag", "baseline", "switch", "frame",
          "map", "pictures")


@cache
def about() -> dict[str, str]:
    """What each example is, by name."""
    return {name: text(name).partition("\n")[0].lstrip("# ") for name in _ORDER}


def text(name: str) -> str:
    """The example of that name."""
    return (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
