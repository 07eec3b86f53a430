"""The process of one sink: it reads the ring of a source, and writes its files."""

from __future__ import annotations

import gc
import signal
from typing import Any

from fastsig.errors import DataError
from fastsig.live.children import use_small_pages
from fastsig.live.receivers import open_source
from fastsig.live.rolling import Report, Rolling
from fastsig.live.settings import Settings, Source
from fastsig.live.sinks import rolling
from fastsig.stream import Stream

__all__ = ["work"]


def work(kind: str, source: Source, settings: Settings, report: Report, *, again: bool) -> int:
    """Write the files of one kind until the source ends, or SIGTERM; SIGHUP begins a new file.

    If the process begins again after its predecessor has died, its first file begins now.
    """
    files: list[Rolling] = []
    asked = [False]

    def stop(*_: Any) -> None:
        asked[0] = True
        for each in files:
            each.stop()

    def roll(*_: Any) -> None:
        for each in files:
            each.roll()

    use_small_pages()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, roll)
    try:
        stream = open_source(source, settings, kind, lambda: asked[0])
    except DataError as error:
        report({"nothing": str(error)})
        return 0
    came: Any = stream  # of all live sources
    report({"row_bytes": float(came.bytes_of_row), "rate": float(stream.header.sample_rate)})
    files.append(rolling(kind, stream, settings, source.label, report,
                         lambda: open_source(source, settings, "cuts")))
    gc.freeze()  # what is there stays until the end
    if asked[0]:
        files[0].stop()
    files[0].run(_first(files[0].chain, stream) if again else 0,
                 workers=settings.workers, memory=settings.memory)
    reader = getattr(stream, "reader", None)  # bytes of a pipe are never overwritten
    if reader is not None:
        report({"overwritten": reader.overwritten})
    stream.close()
    return 0


def _first(chain: Stream, stream: Any) -> int:
    """Return the first row of a chain that is made only of what comes from now on."""
    rows = stream.ring.rows
    stream.reader.release(rows)
    return int(rows * chain.header.sample_rate / stream.header.sample_rate) + 1
