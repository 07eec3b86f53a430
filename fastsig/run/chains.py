"""Properties of chains needed for a plan: the files that they read, and the rows of these."""

from __future__ import annotations

from typing import Any

from fastsig.axes.time import elapsed
from fastsig.stages.select import Select
from fastsig.stream import Stream
from fastsig.stream.kept import Kept

__all__ = ["ended", "first_file", "first_needed", "have_come", "missing_end", "on_equal", "reach",
           "roots"]


def roots(stream: Stream) -> list[Stream]:
    """Return the files that a chain reads."""
    inputs = stream.inputs()
    return [stream] if not inputs else [file for source in inputs for file in roots(source)]


def first_file(stream: Stream) -> str:
    """Return the path of the file of a scan in which the first row of a stream begins."""
    root = roots(stream)[0]
    late = elapsed(root.header.start_time, stream.header.start_time)
    return root.file_of(round(late * root.header.sample_rate))


def reach(stream: Stream, start: int, n: int) -> tuple[int, int]:
    """Return first row and number of the rows needed of the nearest `Kept`, or of the file."""
    while stream.inputs() and not isinstance(stream, Kept):
        start, n = stream.needs_of(0, start, n)
        stream = stream.inputs()[0]
    return start, n


def missing_end(stream: Stream, start: int, n: int) -> tuple[Stream, int] | None:
    """Wait for the rows of files that are needed for rows of a chain.

    Returns
    -------
    None, or (Stream, int)
        A file that ended before these rows, and the number of rows that it has.
    """
    if not stream.inputs():
        count = stream.arrived(start + n)
        return (stream, count) if stream.endless and count < start + n else None
    for index, source in enumerate(stream.inputs()):
        if source.endless and (end := missing_end(source, *stream.needs_of(index, start, n))):
            return end
    return None


def have_come(stream: Stream, start: int, n: int, seconds: float) -> bool:
    """Wait for at most some seconds; return whether `missing_end` would return at once."""
    if not stream.inputs():
        return stream.come(start + n, seconds)
    return all(have_come(source, *stream.needs_of(index, start, n), seconds)
               for index, source in enumerate(stream.inputs()) if source.endless)


def first_needed(stream: Stream, row: int) -> list[tuple[Stream, int]]:
    """Return the files that a chain reads, with the first row needed for rows from `row` on."""
    if not stream.inputs():
        return [(stream, row)]
    return [each for index, source in enumerate(stream.inputs())
            for each in first_needed(source, stream.needs_of(index, row, 1)[0])]


def ended(stream: Stream, file: Stream, rows: int) -> Stream:
    """Rebuild a chain after the end of one of its files has become known."""
    if stream is file:
        return Select(file, rows=(0, rows))
    if not stream.inputs():
        return stream
    made: Any = stream
    return made.on(*(ended(source, file, rows) for source in stream.inputs()))  # type: ignore[no-any-return]


def on_equal(stream: Stream, sources: tuple[Stream, ...]) -> Stream:
    """Return a stream with equal sources instead of its own; itself if they are its own."""
    if all(new is old for new, old in zip(sources, stream.inputs(), strict=True)):
        return stream
    made: Any = stream
    return made.with_source(*sources)  # type: ignore[no-any-return]
