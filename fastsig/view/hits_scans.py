"""The scans in which a hit is drawn: its own, or all of a cadence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from fastsig.search.drift.hits import Hits
from fastsig.view.hits import Scan
from fastsig.view.thumbnails import Recordings

__all__ = ["strongest", "with_scans"]


def strongest(hits: Hits) -> Hits:
    """Return the strongest accepted hit; the strongest of all if none is accepted."""
    some = hits
    if "verdict" in hits and (hits["verdict"] == "accepted").any():
        some = hits[hits["verdict"] == "accepted"]
    found: Hits = some[[int(np.argmax(some.values("snr")))]]
    return found


@contextmanager
def with_scans(hits: Hits, hit: Hits, places: Iterable[str | os.PathLike[str]]
               ) -> Iterator[list[Scan]]:
    """Open the scans of a hit: all of its cadence, or the one in which it was found.

    Raises
    ------
    UsageError
        If a file is not in these places.
    """
    recordings = Recordings(places, hits)
    if "event" not in hits:
        name = str(hit.values("file")[0])
        yield [Scan(recordings.stream(name), name)]
        return
    own = hits[hits.values("event") == hit.values("event")[0]]
    snr = dict(zip(own.values("scan").tolist(), own.values("snr").tolist(), strict=True))
    pattern = hits.meta["cadence"]["pattern"]
    yield [Scan(recordings.stream(files[0]), f"{letter}{' (on)' if letter == 'A' else ''}: "
                f"{files[0]}", snr.get(number))
           for number, (letter, files) in enumerate(zip(pattern, recordings.scans, strict=True), 1)]
