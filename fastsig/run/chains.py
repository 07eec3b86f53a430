"""Chains as a plan sees them: the files at their end, and how far down rows reach."""

from __future__ import annotations

from fastsig.stream import Stream
from fastsig.stream.kept import Kept

__all__ = ["reach", "roots"]


def roots(stream: Stream) -> list[Stream]:
    """The files that a chain reads."""
    inputs = stream.inputs()
    return [stream] if not inputs else [file for source in inputs for file in roots(source)]


def reach(stream: Stream, start: int, n: int) -> tuple[int, int]:
    """First row and number of rows of what a chain shares first, or of its file, that rows need."""
    while stream.inputs() and not isinstance(stream, Kept):
        start, n = stream.needs_of(0, start, n)
        stream = stream.inputs()[0]
    return start, n
