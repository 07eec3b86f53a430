"""Colour maps in the form that the script of a page uses."""

from __future__ import annotations

__all__ = ["color_maps"]

_NAMES = ("viridis", "inferno", "gray", "RdBu_r")


def color_maps() -> dict[str, str]:
    """Return 256 colours for each map, as consecutive RRGGBB."""
    from matplotlib import colormaps

    return {name: (255 * colormaps[name](range(256))[:, :3] + 0.5).astype("u1").tobytes().hex()
            for name in _NAMES}
