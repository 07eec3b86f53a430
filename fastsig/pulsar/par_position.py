"""Position of a pulsar in the text of a par file: equatorial or ecliptic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.sky import declination, right_ascension
from fastsig.errors import UsageError

__all__ = ["par_position", "separation_deg"]

F8 = NDArray[np.float64]

#: Obliquity of the ecliptic in PINT and tempo2 (IERS 2010), rad.
_OBLIQUITY = np.radians(84381.406 / 3600)
_NAMES = {"RAJ": "ra", "RA": "ra", "DECJ": "dec", "DEC": "dec", "ELONG": "lon", "LAMBDA": "lon",
          "ELAT": "lat", "BETA": "lat"}


def par_position(text: str) -> tuple[float, float] | None:
    """Return right ascension and declination at POSEPOCH, ICRS, degrees; None if the text has none.

    Parameters
    ----------
    text : str
        Lines of a par file of TEMPO, tempo2 or PINT, with RAJ and DECJ, or ELONG and ELAT.
    """
    found = {}
    for line in text.splitlines():
        key, *rest = line.split() or [""]
        if key.upper() in _NAMES and rest:
            found[_NAMES[key.upper()]] = rest[0]
    try:
        if {"ra", "dec"} <= found.keys():
            return right_ascension(found["ra"]), declination(found["dec"])
        if {"lon", "lat"} <= found.keys():
            return _of_ecliptic(float(found["lon"]), float(found["lat"]))
    except (UsageError, ValueError):  # the model of the fold is from PINT, which reads the file
        return None
    return None


def separation_deg(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Return the angle between two positions, (right ascension, declination), degrees."""
    a, b = _vector(*first), _vector(*second)
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))


def _vector(lon_deg: float, lat_deg: float) -> F8:
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    return np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def _of_ecliptic(lon_deg: float, lat_deg: float) -> tuple[float, float]:
    x, y, z = _vector(lon_deg, lat_deg)
    c, s = np.cos(_OBLIQUITY), np.sin(_OBLIQUITY)
    y, z = c * y - s * z, s * y + c * z
    return float(np.degrees(np.arctan2(y, x)) % 360), float(np.degrees(np.arcsin(z)))
