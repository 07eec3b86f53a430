"""Chains as a plan sees them: the files at their end, and how far down rows reach."""

from __future__ import annotations

from typing import Any

from fastsig.stages.select import Select
from fastsig.stream import Stream
from fastsig.stream.kept import Kept

__all__ = ["ended", "missing_end", "on_equal", "reach", "roots"]


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


def missing_end(stream: Stream, start: int, n: int) -> tuple[Stream, int] | None:
    """Wait for the rows of files that rows of a chain are made of.

    Returns
    -------
    None, or (Stream, int)
        A file that ended before, and how many rows it has.
    """
    if not stream.inputs():
        count = stream.arrived(start + n)
        return (stream, count) if stream.endless and count < start + n else None
    for index, source in enumerate(stream.inputs()):
        if source.endless and (end := missing_end(source, *stream.needs_of(index, start, n))):
            return end
    return None


def ended(stream: Stream, file: Stream, rows: int) -> Stream:
    """The chain over a file of which the end is known now, its stages made anew."""
    if stream is file:
        return Select(file, rows=(0, rows))
    if not stream.inputs():
        return stream
    made: Any = stream
    return made.on(*(ended(source, file, rows) for source in stream.inputs()))  # type: ignore[no-any-return]


def on_equal(stream: Stream, sources: tuple[Stream, ...]) -> Stream:
    """A stream with equal sources in place of its own; itself where they are its own."""
    if all(new is old for new, old in zip(sources, stream.inputs(), strict=True)):
        return stream
    made: Any = stream
    return made.with_source(*sources)  # type: ignore[no-any-return]
