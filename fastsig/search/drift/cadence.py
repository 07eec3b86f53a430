"""Cadences: hits of scans on and off a source become events with a verdict.

A signal from the source is in every scan on the source (A), along its drift, and in no scan off it.
A signal in a scan off the source is interference. The other beams of a receiver, recorded at the
same time, can be used instead of scans off the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.search.drift.hits import Hits

__all__ = ["events_of"]

F8 = NDArray[np.float64]

_TURN = 2 * np.pi / 86164.1  # rate of the Earth's rotation, 1/s: drifts change about as fast
_CERTAIN = 2.0  # S/N above the threshold from which a signal is not missed by chance
_MEGA = 1e6


@dataclass
class _Scan:
    """Hits of a scan, in ascending order of frequency."""

    number: int
    is_on: bool
    hits: Hits
    time_s: float
    freq_hz: F8
    drift: F8
    drift_error: F8
    width_hz: F8
    used: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, number: int, is_on: bool, hits: Hits, start: Any) -> _Scan:
        meta = hits.meta
        length = max(1, meta["n_spectrum"] - 1) * meta["sample_s"]
        ordered = hits[np.argsort(hits.values("frequency"), kind="stable")]
        width = ordered.values("width")
        time_s = float((_start_of(hits) - start).to_value("s"))
        return cls(number, is_on, ordered, time_s, ordered.values("frequency") * _MEGA,
                   ordered.values("drift"), np.maximum(meta["channel_hz"], width) / length / 2,
                   np.maximum(width, meta["channel_hz"]))

    def nearest(self, track: _Track, tolerance: float) -> int | None:
        """Return the hit that agrees best with a track; None if none does."""
        expected, error = track.at(self.time_s)
        reach = tolerance * error + self.width_hz / 2
        first, stop = np.searchsorted(self.freq_hz, (expected - reach.max(initial=0),
                                                     expected + reach.max(initial=0)))
        near = np.arange(first, stop)
        off = np.abs(self.freq_hz[near] - expected) / reach[near]
        change = abs(track.drift) * _TURN * abs(self.time_s - track.time_s)
        other = np.abs(self.drift[near] - track.drift) / (
            tolerance * (self.drift_error[near] + track.drift_error) + change)
        both = np.hypot(off, other)
        agree = (off <= 1) & (other <= 1)
        return int(near[agree][np.argmin(both[agree])]) if agree.any() else None


@dataclass(frozen=True)
class _Track:
    """Where a signal is expected."""

    time_s: float
    freq_hz: float
    drift: float
    drift_error: float
    width_hz: float

    @classmethod
    def of(cls, scan: _Scan, k: int) -> _Track:
        return cls(scan.time_s, float(scan.freq_hz[k]), float(scan.drift[k]),
                   float(scan.drift_error[k]), float(scan.width_hz[k]))

    def at(self, time_s: float) -> tuple[float, float]:
        """Return the frequency at a time, and its error."""
        apart = abs(time_s - self.time_s)
        error = self.width_hz / 2 + apart * (self.drift_error + abs(self.drift) * _TURN * apart / 2)
        return self.freq_hz + self.drift * (time_s - self.time_s), error

    def through(self, scan: _Scan, k: int) -> _Track:
        """Return the track through another hit, if that makes its drift rate more accurate."""
        apart = scan.time_s - self.time_s
        error = (self.width_hz + float(scan.width_hz[k])) / 2 / abs(apart) if apart else np.inf
        if error >= self.drift_error:
            return self
        drift = (float(scan.freq_hz[k]) - self.freq_hz) / apart
        return _Track(scan.time_s, float(scan.freq_hz[k]), drift, error,
                      float(scan.width_hz[k]))


def events_of(tables: Sequence[Hits], pattern: str = "ABACAD", *, tolerance: float = 2.0) -> Hits:
    """Compare the hits of scans on and off a source, and combine them into events.

    Parameters
    ----------
    tables : sequence of Hits
        The hits of each scan, in the order of the pattern.
    pattern : str
        One letter for each scan: A for a scan on the source, any other letter for a scan off the
        source.
    tolerance : float
        Hits belong to one event if their frequencies and drift rates agree within this many times
        their errors.

    Returns
    -------
    Hits
        Every hit of a scan on the source, and those hits of scans off the source that belong to an
        event, with the columns `event`, `scan`, `verdict` and `reason`. Hits of one event have the
        same number.

    Raises
    ------
    UsageError
        If the pattern does not match the tables, or a table contains hits of several searches.
    """
    scans = _scans(tables, pattern, tolerance)
    events = [_event(scans, on, k, tolerance) for on, k in _by_snr(scans) if k not in on.used]
    rows = [(scan, k, number, verdict, reason)
            for number, (members, verdict, reason) in enumerate(events)
            for scan, k in members.items()]
    return _joined(scans, rows, pattern, tolerance)


def _scans(tables: Sequence[Hits], pattern: str, tolerance: float) -> list[_Scan]:
    if len(pattern) != len(tables) or not pattern.isalpha() or "A" not in pattern or (
            set(pattern) == {"A"}):
        raise UsageError(f"pattern = {pattern!r} for {len(tables)} tables; allowed: one letter "
                         "for each table, A on the source and another letter off the source")
    if not 0 < tolerance <= 100:
        raise UsageError(f"tolerance = {tolerance}; allowed: above 0, up to 100")
    for number, each in enumerate(tables, 1):
        if "channel_hz" not in each.meta:
            raise UsageError(f"table {number} contains hits of several searches; allowed: the hits "
                             "of one scan in each table")
    start = min(_start_of(each) for each in tables)
    return [_Scan.of(number, letter == "A", each, start)
            for number, (letter, each) in enumerate(zip(pattern, tables, strict=True))]


def _start_of(hits: Hits) -> Any:
    """Return the centre of the first spectrum, which a table without hits does not contain."""
    from astropy.time import Time, TimeDelta

    if len(hits):
        return hits["time"][0]
    half = TimeDelta(hits.meta["sample_s"] / 2, format="sec")
    return Time(hits.meta["start"], scale="utc") + half


def _by_snr(scans: list[_Scan]) -> list[tuple[_Scan, int]]:
    """Return the hits of scans on the source, the strongest first."""
    found = [(-float(snr), scan.number, k) for scan in scans if scan.is_on
             for k, snr in enumerate(scan.hits.values("snr"))]
    return [(scans[number], k) for _, number, k in sorted(found)]


def _event(scans: list[_Scan], on: _Scan, k: int, tolerance: float
           ) -> tuple[dict[int, int], str, str]:
    """Return the hits of one event by scan, its verdict and the reason.

    A hit on the source belongs to one event only. A hit off the source that belongs to a stronger
    event is interference for each other event that agrees with it as well.
    """
    members, track = {on.number: k}, _Track.of(on, k)
    against: dict[int, int] = {}
    others = sorted((each for each in scans if each is not on),
                    key=lambda each: (not each.is_on, abs(each.time_s - on.time_s), each.number))
    for scan in others:
        found = scan.nearest(track, tolerance)
        if found is None or (scan.is_on and found in scan.used):
            continue
        (against if found in scan.used else members)[scan.number] = found
        track = track.through(scan, found)
    for number, found in members.items():
        scans[number].used.add(found)
    return members, *_verdict(scans, members | against)


def _verdict(scans: list[_Scan], members: dict[int, int]) -> tuple[str, str]:
    snr = {number: float(scans[number].hits.values("snr")[k]) for number, k in members.items()}
    off = [number for number in snr if not scans[number].is_on]
    if off:
        strongest = max(off, key=lambda number: snr[number])
        return "interference", f"in scan {strongest + 1} off the source, S/N {snr[strongest]:.1f}"
    on = [scan.number for scan in scans if scan.is_on]
    if len(snr) < len(on):
        return "doubtful", f"in {len(snr)} of {len(on)} scans on the source"
    thresholds = {scan.number: scan.hits.threshold for scan in scans if not scan.is_on}
    needed = max(known for known in (0.0, *thresholds.values()) if known is not None) + _CERTAIN
    if min(snr.values()) < needed:
        return "doubtful", (f"S/N {min(snr.values()):.1f} is too close to the threshold off the "
                            "source")
    for number, known in thresholds.items():
        if known is None:
            return "doubtful", (f"the threshold of scan {number + 1} off the source, in which "
                                "there are no hits, is not known")
    return "accepted", f"in all {len(on)} scans on the source and in no scan off it"


def _joined(scans: list[_Scan], rows: list[tuple[int, int, int, str, str]], pattern: str,
            tolerance: float) -> Hits:
    parts = []
    for scan in scans:
        own = [row for row in rows if row[0] == scan.number]
        part = scan.hits[[row[1] for row in own]] if own else scan.hits[:0]
        parts.append(part.with_columns(
            scan=np.full(len(own), scan.number + 1), event=[row[2] for row in own],
            verdict=[row[3] for row in own], reason=[row[4] for row in own]))
    joined = Hits.join(parts)
    numbers = {verdict: len({row[2] for row in rows if row[3] == verdict})
               for verdict in ("accepted", "doubtful", "interference")}
    return joined.with_meta(cadence={
        "pattern": pattern, "tolerance": tolerance, "n_hit": [len(scan.hits) for scan in scans],
        **{f"n_{name}": n for name, n in numbers.items()}})
