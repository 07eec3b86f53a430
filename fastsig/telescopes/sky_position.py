"""A position on the sky from a user's argument."""

from __future__ import annotations

from typing import Any

import astropy.units as u

from fastsig.errors import UsageError

__all__ = ["sky_position"]


def sky_position(value: Any) -> tuple[float, float]:
    """Return right ascension and declination, ICRS, degrees.

    Parameters
    ----------
    value : SkyCoord, pair of Quantity, or str
        A position such as ``"187.5deg,12.4deg"`` or ``"12h30m00s,+12d24m00s"``; numbers without a
        unit are degrees.

    Raises
    ------
    UsageError
        If the value is not exactly one position.
    """
    from astropy.coordinates import SkyCoord

    if isinstance(value, SkyCoord):
        sky = value.icrs
    else:
        try:
            pair = value.replace(",", " ").split() if isinstance(value, str) else tuple(value)
            sky = SkyCoord(*pair, unit=u.deg)
        except (TypeError, ValueError) as error:
            raise UsageError(f"position = {value!r}; allowed: right ascension and declination, "
                             "ICRS, as in 187.5deg,12.4deg or 12h30m00s,+12d24m00s") from error
    if sky.size != 1:
        raise UsageError(f"position: found {sky.size} positions; allowed: one")
    return float(sky.ra.deg), float(sky.dec.deg)
