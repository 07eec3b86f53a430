"""Suggestions for misspelt words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["nearest"]


def nearest(word: str, allowed: Iterable[str]) -> str:
    """Return ``; did you mean X?``, or the allowed words if none is similar."""
    known = list(allowed)
    near = difflib.get_close_matches(word, known, 1, 0.6) or difflib.get_close_matches(
        word.lower().replace("-", "_"), known, 1, 0.6)
    if not near:
        near = [name for name in known if name.lower() == word.lower()]
    if near:
        return f"; did you mean {near[0]}?"
    return f"; allowed: {', '.join(known)}" if len(known) <= 12 else ""
