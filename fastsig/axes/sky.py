"""Positions on the sky given by users: angles with their units, as text or quantities."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from fastsig.errors import UsageError
from fastsig.work.arguments import shown

__all__ = ["declination", "place", "right_ascension"]

_BARE = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)")
_HOW = {"ra": "a right ascension such as 5h34m31.97s, 05:34:31.97 (hours) or 83.6332deg",
        "dec": "a declination such as 22d00m52.2s, +22:00:52.2 (degrees) or 22.0145deg"}


def right_ascension(value: Any) -> float:
    """Return a right ascension in degrees, 0 to 360; text with colons is in hours.

    Raises
    ------
    UsageError
        If the value is not a right ascension, or is a number without a unit.
    """
    found = _degrees(value, "ra", "hourangle")
    if not -360 <= found <= 360:
        raise UsageError(f"ra = {value}; allowed: within a turn, 0 to 24 h")
    return found % 360


def declination(value: Any) -> float:
    """Return a declination in degrees.

    Raises
    ------
    UsageError
        If the value is not a declination, is a number without a unit, or lies beyond a pole.
    """
    found = _degrees(value, "dec", "deg")
    if not abs(found) <= 90:
        raise UsageError(f"dec = {value}; allowed: -90 to 90 deg")
    return found


def place(value: Any, name: str = "position", *, bare_degrees: bool = False
          ) -> tuple[float, float]:
    """Return right ascension and declination, ICRS, in degrees.

    The value is a SkyCoord, a pair of values with units, or text with a comma or a space, such as
    ``"187.5deg,12.4deg"`` or ``"12:30:00 +12:24:00"``: right ascensions with colons are in hours;
    if the parts are separated by a comma, spaces may replace the colons.

    Parameters
    ----------
    value : SkyCoord, sequence or str
    name : str
        Name of the argument, for messages.
    bare_degrees : bool
        Whether numbers without a unit, in text, are degrees: ``"187.5,12.4"``.

    Raises
    ------
    UsageError
        If the value is not a single position.
    """
    sky = getattr(value, "icrs", None)
    if sky is not None:
        if sky.size != 1:
            raise UsageError(f"{name}: {sky.size} positions; allowed: one")
        return float(sky.ra.deg.item()), float(sky.dec.deg.item())
    parts = value
    if isinstance(value, str):
        parts = [part.strip() for part in value.split("," if "," in value else None)]
        if bare_degrees:
            parts = [f"{part}deg" if _BARE.fullmatch(part) else part for part in parts]
    if not isinstance(parts, Sequence) or isinstance(parts, bytes) or len(parts) != 2:
        also = ", or 187.7,12.39 in degrees" if bare_degrees else ""
        raise UsageError(f"{name} = {shown(value)}; allowed: a SkyCoord, or right ascension and "
                         f"declination, as in 5h34m31.97s,+22d00m52.2s{also}")
    try:
        return right_ascension(parts[0]), declination(parts[1])
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from error


def _degrees(value: Any, name: str, colons: str) -> float:
    from astropy.coordinates import Angle  # loading it takes as long as everything else together

    is_text = isinstance(value, str)
    if is_text and len(value.split()) == 3 and not any(each.isalpha() for each in value):
        value = ":".join(value.split())
    has_unit = getattr(value, "unit", None) is not None or (
        is_text and (":" in value or any(each.isalpha() for each in value)))
    try:
        if not has_unit:
            raise ValueError
        angle = Angle(value, unit=colons if is_text and ":" in value else None)
        found = round(float(angle.deg), 12)  # 1h is 15 deg
    except (ValueError, TypeError) as error:  # units other than of angle also raise ValueError
        raise UsageError(f"{name} = {value!r}; allowed: {_HOW[name]}") from error
    if not math.isfinite(found):
        raise UsageError(f"{name} = {value!r}; allowed: {_HOW[name]}")
    return found
