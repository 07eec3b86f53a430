"""Plug-ins: formats, stages and others that packages provide through entry points of fastsig.

A plug-in declares ``api = 1``. If one fails to load, a warning is given and the others are used.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

from fastsig.errors import FastsigWarning, users_line

__all__ = ["API", "plugins"]

API = 1


def entry_points(group: str) -> Iterable[Any]:
    """Return the entry points of a group.

    The module that lists them takes 20 ms to load, and the help of commands does not need it.
    """
    from importlib.metadata import entry_points as listed

    return listed(group=group)


def plugins(group: str) -> dict[str, Any]:
    """Return the plug-ins of a group of entry points by name; warn of each that fails."""
    found = {}
    for point in entry_points(group=group):
        try:
            item = point.load()
            if getattr(item, "api", None) != API:
                raise ImportError(f"it declares api = {getattr(item, 'api', None)!r}, not {API}")
        except Exception as error:
            warnings.warn(
                f"plug-in {point.name} of {group} is left out: {error}", FastsigWarning,
                stacklevel=users_line(),
            )
        else:
            found[point.name] = item
    return found
