"""Numbers of things in words; loads nothing, as ``doctor`` needs it where packages are missing."""

from __future__ import annotations

__all__ = ["counted"]


def counted(n: int, one: str, more: str = "") -> str:
    """Return ``1 spectrum`` or ``2 spectra``; the default plural ends in s."""
    return f"{n} {one if n == 1 else more or one + 's'}"
