"""Plug-ins: what other packages offer under entry points of ours.

A plug-in declares ``api = 1``. One that fails to load is a warning, never a reason for the rest to
stop.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from fastsig.errors import FastsigWarning

__all__ = ["API", "plugins"]

API = 1


def entry_points(group: str) -> Iterable[Any]:
    """Entry points of a group; what lists them takes 20 ms to load, and commands' help has none."""
    from importlib.metadata import entry_points as listed

    return listed(group=group)


def plugins(group: str) -> dict[str, Any]:
    """Plug-ins of a group of entry points, by name; each that fails is one warning."""
    found = {}
    for point in entry_points(group=group):
        try:
            item = point.load()
            if getattr(item, "api", None) != API:
                raise ImportError(f"it declares api = {getattr(item, 'api', None)!r}, not {API}")
        except Exception as error:
            warnings.warn(
                f"plug-in {point.name} of {group} is left out: {error}", FastsigWarning,
                stacklevel=3,
            )
        else:
            found[point.name] = item
    return found
