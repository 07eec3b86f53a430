"""The example recipes of ``fastsig batch init``: files beside this one, with explanatory comments.

The first line of each describes it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["about", "text"]

_FOLDER = Path(__file__).parent
_ORDER = ("spectra", "seti", "convert", "cut", "calibrate", "flag", "baseline", "switch", "frame",
          "dedisperse", "bursts", "burst", "pulsars", "drift", "fold", "toas", "map", "pictures")


@cache
def about() -> dict[str, str]:
    """Return the description of each example, by name."""
    return {name: text(name).partition("\n")[0].lstrip("# ") for name in _ORDER}


def text(name: str) -> str:
    """Return the text of the example with this name."""
    return (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
