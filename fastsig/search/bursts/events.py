"""Events: boxcars above the threshold, kept in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EVENT", "EventStore", "Events", "brightest", "events_of"]

#: An event: its stretch, its row there, first sample and width in samples of the stretch, its S/N,
#: and the fraction of its samples that were valid.
EVENT = np.dtype([("stretch", "i4"), ("row", "i4"), ("time", "i8"), ("width", "i4"),
                  ("snr", "f4"), ("weight", "f4")])
_ORDER = ("width", "row", "stretch", "time")  # of events with the same S/N, the last first


@dataclass(frozen=True)
class Events:
    """The events of a search.

    Parameters
    ----------
    rows : ndarray, dtype `EVENT`
        Events, sorted by stretch, row and time.
    n_dropped : int
        Number of events that were left out because there were too many; all events kept are
        brighter.
    n_time : int
        Number of spectra that were searched.
    live_share : float
        Fraction of these spectra that had valid samples.
    valid_share : float
        Fraction of valid samples in the spectra that contain any.
    """

    rows: NDArray[Any]
    n_dropped: int
    n_time: int
    live_share: float = 1.0
    valid_share: float = 1.0


class EventStore:
    """The brightest events of a search, up to a maximum number.

    Which events are kept does not depend on the order in which they are added.

    Parameters
    ----------
    most : int
        Largest number of events that are kept.
    """

    def __init__(self, most: int) -> None:
        self._most, self._parts, self._n = most, [np.empty(0, EVENT)], 0
        self.n_dropped = 0

    @property
    def memory_bytes(self) -> int:
        """Largest amount of memory used by the events, bytes."""
        return 4 * self._most * EVENT.itemsize

    def add(self, events: NDArray[Any]) -> None:
        """Add events."""
        if not len(events):
            return
        self._parts.append(events)
        self._n += len(events)
        if self._n > 2 * self._most:
            self._trim()

    def _trim(self) -> None:
        found = np.concatenate(self._parts)
        kept = brightest(found, self._most)
        self.n_dropped += len(found) - len(kept)
        self._parts, self._n = [kept], len(kept)

    def finish(self, n_time: int, live_share: float, valid_share: float) -> Events:
        """Return the events that are kept; the arguments are those of `Events`."""
        self._trim()
        found = self._parts[0]
        return Events(found[np.lexsort((found["width"], found["time"], found["row"],
                                        found["stretch"]))], self.n_dropped, n_time,
                      live_share, valid_share)


def events_of(stretch: int, found: NDArray[Any]) -> NDArray[Any]:
    """Return the results of searching a stretch as events."""
    made = np.empty(len(found), EVENT)
    made["stretch"] = stretch
    for name in ("row", "time", "width", "snr", "weight"):
        made[name] = found[name]
    return made


def brightest(events: NDArray[Any], most: int) -> NDArray[Any]:
    """Return the brightest events, at most this many, whatever their order."""
    if len(events) <= most:
        return events
    order = np.lexsort((*(events[name] for name in _ORDER), -events["snr"]))
    return events[order[:most]]
