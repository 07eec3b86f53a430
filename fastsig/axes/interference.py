"""Bands of known interference, with references for their limits, and frequency intervals as text.

The limits are the edges of the bands. Interference whose frequencies are not known well enough is
not listed: the harmonics of 8.1 MHz that are seen at FAST (arXiv:2401.17364), for example, have no
published width, and 8.1 has too few digits to locate the 150th harmonic. The verb `flag` finds such
interference with its running median.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, NamedTuple

import astropy.units as u

from fastsig.axes.units import exact, parts_of
from fastsig.errors import UsageError
from fastsig.work.arguments import shown

__all__ = ["BANDS", "Band", "Interval", "bands", "intervals", "is_listed"]

#: Lower and upper edge, Hz.
Interval = tuple[Fraction, Fraction]


class Band(NamedTuple):
    """A frequency interval that is used by a service or affected by known interference.

    Parameters
    ----------
    name : str
        The service or the interference.
    low_mhz, high_mhz : str
        Edges, MHz, as decimal text.
    source : str
        The reference for these values.
    """

    name: str
    low_mhz: str
    high_mhz: str
    source: str

    @property
    def interval(self) -> Interval:
        """Lower and upper edge, Hz."""
        return Fraction(self.low_mhz) * 10**6, Fraction(self.high_mhz) * 10**6


_BURSTS = (
    Band("bursts of tenths of a second seen by FAST", "1378", "1385", "HiFAST, arXiv:2401.17364"),
)
_AVIATION = (
    Band("distance measuring equipment and transponders of aircraft", "1025", "1150",
         "ICAO Annex 10: DME, airborne; SSR, 1030 and 1090 MHz"),
)
_GNSS = (
    Band("Galileo E5, with GPS L5 and BeiDou B2", "1166.22", "1217.37",
         "Galileo OS SIS ICD: 1191.795 MHz, 51.15 MHz"),
    Band("GPS L5, lower part", "1164.45", "1188.45", "IS-GPS-705: 1176.45 MHz, 24 MHz"),
    Band("GPS L2", "1217.37", "1237.83", "IS-GPS-200: 1227.6 MHz, 20.46 MHz"),
    Band("GLONASS L2", "1242.4265", "1249.136",
         "GLONASS ICD 5.1: channels -7 to 6, 1246 MHz + 0.4375 MHz k, 1.022 MHz each"),
    Band("BeiDou B3I", "1258.29", "1278.75", "BDS-SIS-ICD-B3I-1.0: 1268.52 MHz, 20.46 MHz"),
    Band("Galileo E6", "1258.29", "1299.21", "Galileo E6-B/C: 1278.75 MHz, 40.92 MHz"),
)

#: Tables by name. `fast` combines the other tables, for FAST's receiver, 1.0 to 1.5 GHz.
BANDS: dict[str, tuple[Band, ...]] = {
    "aviation": _AVIATION,
    "bursts": _BURSTS,
    "gnss": _GNSS,
    "fast": _AVIATION + _GNSS + _BURSTS,
}



def bands(value: Any) -> tuple[Interval, ...]:
    """Return the intervals of tables in `BANDS`, given by name, and intervals as in `intervals`.

    Raises
    ------
    UsageError
        If there is no such table, or an item is not an interval.
    """
    found: list[Interval] = []
    for item in _items(value, "bands"):
        if isinstance(item, str) and item.strip() in BANDS:
            found += [band.interval for band in BANDS[item.strip()]]
        elif isinstance(item, str) and len(parts_of(item)) != 2:
            raise UsageError(f"bands = {item!r}; allowed: {', '.join(BANDS)}, or an interval "
                             "such as 1378MHz-1385MHz")
        else:
            found.append(_interval(item, "bands"))
    return tuple(found)


def is_listed(interval: Interval) -> bool:
    """Return whether an interval is one of those in the tables.

    The tables also contain bands outside the range of a given receiver.
    """
    return any(band.interval == interval for table in BANDS.values() for band in table)


def intervals(value: Any, name: str) -> tuple[Interval, ...]:
    """Return frequency intervals from text such as ``1419MHz-1421.5MHz`` or pairs of frequencies.

    The frequencies of a pair are Quantities or text such as ``"1419MHz"``. Several intervals are
    separated by commas or given as a sequence. Error messages contain `name`.

    Raises
    ------
    UsageError
        If an item is not an interval, or its upper edge is not above its lower edge.
    """
    return tuple(_interval(item, name) for item in _items(value, name))


def _items(value: Any, name: str) -> Iterable[Any]:
    if value is None:
        return ()
    if isinstance(value, str):
        return [part for part in value.split(",") if part.strip()]
    if not isinstance(value, (list, tuple)) and not (
            isinstance(value, u.Quantity) and value.ndim):
        raise UsageError(f"{name} = {shown(value)}; allowed: intervals such as 1419MHz-1421.5MHz")
    if len(value) == 2 and not any(_is_interval(part) for part in value):
        return [value]  # one pair
    return [part for item in value
            for part in (_items(item, name) if isinstance(item, str) else [item])]


def _is_interval(part: Any) -> bool:
    """Return whether one of two items is an interval by itself, or several."""
    if isinstance(part, str):
        return "," in part or len(parts_of(part)) > 1 or part.strip() in BANDS
    return isinstance(part, (tuple, list)) or getattr(part, "ndim", 0) > 0


def _interval(item: Any, name: str) -> Interval:
    pair = item
    if isinstance(item, str):
        pair = parts_of(item)
    several = isinstance(pair, (tuple, list)) or (isinstance(pair, u.Quantity) and pair.ndim)
    if not several or len(pair) != 2:
        raise UsageError(f"{name} = {shown(item)}; allowed: an interval such as 1419MHz-1421.5MHz")
    low, high = (exact(part, "Hz", name) for part in pair)
    if not 0 <= low < high:
        raise UsageError(f"{name} = {item!r}; allowed: a lower edge below the upper one")
    return low, high
