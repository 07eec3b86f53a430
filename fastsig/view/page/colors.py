"""Maps of colours as the page's script takes them."""

from __future__ import annotations

__all__ = ["color_maps"]

_NAMES = ("viridis", "inferno", "gray", "RdBu_r")


def color_maps() -> dict[str, str]:
    """256 colours a map, RRGGBB after one another."""
    from matplotlib import colormaps

    return {name: (255 * colormaps[name](range(256))[:, :3] + 0.5).astype("u1").tobytes().hex()
            for name in _NAMES}
