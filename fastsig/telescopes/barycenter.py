r"""Times at the solar system's barycentre, without the network and without a downloaded ephemeris.

.. math:: t_b = t_{TDB} + r \cdot n / c

where r is the position of the observer relative to the barycentre, from ERFA's series for the
Earth, and n is the direction of the source. The results agree to within 25 us with tempo2 and JPL's
DE421, and to within 62 us with TEMPO; those obtained with DE440, whose barycentre is different,
differ by up to 0.43 ms. The Sun's Shapiro delay (0.12 ms at its limb, less than 20 us at more than
45 deg from it), the source's distance, and dispersion are ignored. With an ephemeris of JPL,
`fastsig.telescopes.barycentric_clock` is accurate to 1 us.

References
----------
P. T. Wallace, ERFA (SOFA): apco13, epv00; X. Moisson & P. Bretagnon, 2001, Celest. Mech. 80, 205.
"""

from __future__ import annotations

from typing import Any

import astropy.units as u
import erfa
import numpy as np
from astropy.time import Time, TimeDelta
from numpy.typing import NDArray

from fastsig import telescopes
from fastsig.axes.sky import place as sky_place
from fastsig.errors import UsageError
from fastsig.telescopes import earth

__all__ = ["barycentric_times", "day_numbers", "light_travel_times", "located"]

_STEP_S = 60.0
_ORIGIN_JD = 2458849.5  # 2020, as in `observed`

Array = NDArray[np.float64]


def barycentric_times(times: Time, position: Any, location: Any) -> Time:
    """Return the times at which wave fronts seen by a telescope reach the barycentre.

    Parameters
    ----------
    times : Time
        Times at the telescope, of any shape.
    position : SkyCoord, pair of Quantity, or str
        Position of the source, ICRS, as in ``"187.5deg,12.4deg"``.
    location : EarthLocation or str
        Position of the telescope, or its name.

    Returns
    -------
    Time
        Times in the TDB scale, with the shape of `times`.

    Raises
    ------
    UsageError
        If the position or the telescope is not known.
    """
    if not isinstance(times, Time):
        raise UsageError(f"times = {times!r}; allowed: an astropy Time")
    place = located(location)
    late = light_travel_times(times, *sky_place(position), place)
    found = dynamical(times, place) + TimeDelta(late, format="sec", scale="tdb")
    return Time(found, format="isot", precision=9)


def day_numbers(times: Time, late: Array, location: Any) -> Array:
    """Return barycentric days (MJD, TDB), float64, of times with known light-travel times."""
    found = dynamical(times, location) + TimeDelta(late, format="sec", scale="tdb")
    return np.asarray(found.mjd)


def dynamical(times: Time, location: Any) -> Time:
    """Return times in the scale TDB, for a clock at a location."""
    with earth.offline():
        return Time(times.utc, location=location).tdb


def located(location: Any) -> Any:
    """Return the `EarthLocation` of a telescope, from a location or a name.

    Raises
    ------
    UsageError
        If no telescope has that name.
    """
    from astropy.coordinates import EarthLocation

    return location if isinstance(location, EarthLocation) else telescopes.get(location).location


def light_travel_times(times: Time, ra_deg: Any, dec_deg: Any, location: Any) -> Array:
    """Return the time, s, by which a wave front reaches the barycentre later than the telescope.

    The observer's position is computed for every minute and interpolated with its velocity, to
    better than 1 ns.

    Parameters
    ----------
    times : Time
        Times at the telescope, of any shape.
    ra_deg, dec_deg : float or ndarray
        Position of the source, ICRS, in the shape of `times` or one for all times.
    location : EarthLocation
        Position of the telescope.

    Returns
    -------
    ndarray, float64
        Delays in the shape of `times`; NaN where a position is NaN.
    """
    flat = times.reshape(-1)
    if not flat.size:
        return np.zeros(times.shape)
    seconds = ((flat.tai.jd1 - _ORIGIN_JD) + flat.tai.jd2) * 86400
    cell = np.floor(seconds / _STEP_S)
    nodes = np.unique(np.concatenate([cell, cell + 1]))
    place, velocity = observer(Time(_ORIGIN_JD, nodes * (_STEP_S / 86400), format="jd",
                                     scale="tai"), location)
    left = np.searchsorted(nodes, cell)
    where = _hermite(place, velocity, left, (seconds / _STEP_S - cell)[:, np.newaxis])
    shape = np.broadcast_shapes(times.shape, np.shape(ra_deg))
    lon, lat = (np.broadcast_to(np.radians(each), shape).reshape(-1)
                for each in (ra_deg, dec_deg))
    late: Array = (where * erfa.s2c(lon, lat)).sum(axis=1)
    return late.reshape(times.shape)


def observer(nodes: Time, location: Any) -> tuple[Array, Array]:
    """Return an observer's barycentric position (light seconds) and velocity (c), ICRS."""
    utc = nodes.utc
    dut1, xp, yp = earth.orientation(utc, warn=False)
    lon, lat, height = location.to_geodetic("WGS84")
    arcsec = np.pi / 648000
    context, _ = erfa.apco13(
        utc.jd1, utc.jd2, dut1, lon.to_value(u.rad), lat.to_value(u.rad), height.to_value(u.m),
        xp * arcsec, yp * arcsec, 0, 0, 0, 0)
    # ERFA's own AULT is rounded; its error is 2 us.
    return context["eb"] * (erfa.DAU / erfa.CMPS), np.array(context["v"])


def _hermite(value: Array, slope: Array, left: NDArray[np.int64], part: Array) -> Array:
    """Interpolate with cubics through values and slopes at both ends of each cell."""
    low, high = value[left], value[left + 1]
    out, back = slope[left] * _STEP_S, slope[left + 1] * _STEP_S
    return np.asarray(
        low + part * (out + part * (3 * (high - low) - 2 * out - back
                                    + part * (2 * (low - high) + out + back))))
