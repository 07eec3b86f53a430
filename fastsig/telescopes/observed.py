"""Conversion of azimuth and zenith distance to ICRS and back, for many times and beams at once.

Slow motions (the Earth's position and velocity, precession and nutation, the pole) are computed
with ERFA for every minute and interpolated; the Earth's rotation angle is computed for each time.
The error of linear interpolation over a minute is less than 1e-6 arcsec.

References
----------
P. T. Wallace, ERFA (SOFA): apco13, atoiq, atciqz; IAU 2006/2000A precession and nutation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import astropy.units as u
import erfa
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.units import quantity
from fastsig.errors import UsageError
from fastsig.telescopes import earth

if TYPE_CHECKING:
    from astropy.coordinates import EarthLocation

__all__ = ["Refraction", "icrs_to_observed", "observed_to_icrs", "observer_velocity",
           "parallactic_angle"]

_STEP_S = 60.0
_ORIGIN_JD = 2458849.5  # 2020: seconds are then good to 1e-7
_ARCSEC = np.pi / 648000

Array = NDArray[np.float64]


_PARTS = "hPa, degrees C, relative humidity and wavelength, as in 925,15,0.8,0.3m, or none"


@dataclass(frozen=True)
class Refraction:
    """Parameters of the air for refraction; the defaults are those of HiFAST for FAST.

    Parameters
    ----------
    pressure_hpa, temperature_c, humidity, wavelength_m : float
        Pressure, hPa; temperature, degrees Celsius; relative humidity, from 0 to 1; and wavelength,
        m.
    """

    pressure_hpa: float = 925.0
    temperature_c: float = 15.0
    humidity: float = 0.8
    wavelength_m: float = 0.3

    def __post_init__(self) -> None:
        if not (0 < self.pressure_hpa < 1200 and -90 < self.temperature_c < 60
                and 0 <= self.humidity <= 1 and self.wavelength_m > 0):
            raise UsageError(f"refraction = {self}: not the air of an observatory; allowed: "
                             "pressure in hPa, temperature in degrees Celsius, humidity from 0 to "
                             "1, wavelength in m")

    def __str__(self) -> str:
        """Return the text that `parse` accepts."""
        return (f"{self.pressure_hpa:.6g},{self.temperature_c:.6g},{self.humidity:.6g},"
                f"{self.wavelength_m:.6g}m")

    @classmethod
    def parse(cls, text: str) -> Refraction | None:
        """Parse text such as ``"925,15,0.8,0.3m"``, or ``"none"`` for no refraction.

        Raises
        ------
        UsageError
            If the text is neither of these, or its values are not possible at an observatory.
        """
        if text.strip().lower() == "none":
            return None
        parts = text.split(",")
        try:
            pressure, temperature, humidity = (float(part) for part in parts[:-1])
        except ValueError:
            raise UsageError(f"refraction = {text!r}; allowed: {_PARTS}") from None
        wavelength = quantity(parts[3], "m", "refraction: wavelength")
        return cls(pressure, temperature, humidity, float(wavelength.to_value(u.m)))

    @classmethod
    def of(cls, air: Refraction | str | None, stated: Refraction | None) -> Refraction | None:
        """Return the air that an argument specifies; for None, return `stated`.

        Raises
        ------
        UsageError
            As in `parse`, or if the argument is neither text nor a `Refraction`.
        """
        if air is None or isinstance(air, Refraction):
            return stated if air is None else air
        if isinstance(air, str):
            return cls.parse(air)
        raise UsageError(f"refraction = {air!r}; allowed: a Refraction, or {_PARTS}")

    @property
    def arguments(self) -> tuple[float, float, float, float]:
        """Arguments for ERFA: hPa, degrees Celsius, humidity, micrometres."""
        return self.pressure_hpa, self.temperature_c, self.humidity, self.wavelength_m * 1e6


def observed_to_icrs(azimuth: Any, zenith_distance: Any, times: Time, location: EarthLocation, *,
                     refraction: Refraction | None = None, warn: bool = True
                     ) -> tuple[u.Quantity, u.Quantity]:
    """Return ICRS positions of observed directions.

    Parameters
    ----------
    azimuth, zenith_distance : Quantity
        Azimuth from north through east, and distance from the zenith; shape (time,) or
        (time, ...).
    times : Time
        Times, shape (time,).
    location : EarthLocation
        Position of the telescope.
    refraction : Refraction, optional
        Parameters of the air; by default, directions are those without an atmosphere.
    warn : bool
        Whether to warn of the remaining accuracy, if it is worse than 0.05 arcsec.

    Returns
    -------
    tuple of Quantity
        Right ascension from 0 to 360 and declination, degrees, float64, in the shape of `azimuth`.
    """
    az, zd = (np.asarray(u.Quantity(each).to_value(u.rad)) for each in (azimuth, zenith_distance))
    context = _for_shape(_context(times, location, refraction, warn), az.ndim)
    seen = erfa.s2c(*erfa.atoiq("A", az, zd, context))
    ra, dec = erfa.c2s(_astrometric(seen, context))
    return np.degrees(erfa.anp(ra)) << u.deg, np.degrees(dec) << u.deg


def icrs_to_observed(ra: Any, dec: Any, times: Time, location: EarthLocation, *,
                     refraction: Refraction | None = None, warn: bool = True
                     ) -> tuple[u.Quantity, u.Quantity]:
    """Return the azimuth and the zenith distance of ICRS positions, degrees.

    This is the inverse of `observed_to_icrs`.
    """
    lon, lat = (np.asarray(u.Quantity(each).to_value(u.rad)) for each in (ra, dec))
    context = _for_shape(_context(times, location, refraction, warn), max(lon.ndim, 1))
    az, zd, *_ = erfa.atioq(*erfa.atciqz(lon, lat, context), context)
    return np.degrees(az) << u.deg, np.degrees(zd) << u.deg


def parallactic_angle(azimuth: Any, zenith_distance: Any, latitude: Any) -> u.Quantity:
    r"""Return the position angle of the zenith, north through east, from -180 to 180 degrees.

    .. math:: \tan q = \frac{-\sin A \cos\phi}{\sin\phi \sin z - \cos\phi \cos z \cos A}

    The angle is negative in the east, and 0 or 180 degrees on the meridian. North is the direction
    of the pole of date, not of the pole of the ICRS.

    Parameters
    ----------
    azimuth, zenith_distance, latitude : Quantity
        Azimuth from north through east, distance from the zenith, latitude of the telescope.
    """
    az, zd, phi = (u.Quantity(each).to_value(u.rad)
                   for each in (azimuth, zenith_distance, latitude))
    east = -np.sin(az) * np.cos(phi)
    north = np.sin(phi) * np.sin(zd) - np.cos(phi) * np.cos(zd) * np.cos(az)
    return np.degrees(np.arctan2(east, north)) << u.deg


def observer_velocity(times: Time, location: EarthLocation) -> Array:
    """Return the velocity of a place on the Earth relative to the barycentre, m/s, ICRS axes.

    Parameters
    ----------
    times : Time
        Times, shape (time,). Where UT1 is known only to 0.9 s, the velocity is good to 0.03 m/s.
    location : EarthLocation
        Position of the telescope.

    Returns
    -------
    ndarray, shape (time, 3), float64
    """
    return np.asarray(_context(times, location, None, False)["v"] * erfa.CMPS)


def _for_shape(context: NDArray[Any], ndim: int) -> NDArray[Any]:
    return context.reshape(context.shape + (1,) * (ndim - 1))


def _astrometric(seen: Array, context: NDArray[Any]) -> Array:
    """Convert unit vectors seen by a moving observer to directions from the barycentre.

    ERFA's aberration with the opposite velocity is its inverse to 1e-6 arcsec. Beyond half a degree
    from the Sun, light is bent by less than an arcsecond, and two steps are exact.
    """
    still = erfa.ab(erfa.trxp(context["bpn"], seen), -context["v"], context["em"], context["bm1"])
    found = still
    for _ in range(2):
        bent = erfa.ldsun(found, context["eh"], context["em"])
        bent -= found
        found = still - bent
    return np.asarray(found)


def _context(times: Time, location: EarthLocation, refraction: Refraction | None, warn: bool
             ) -> NDArray[Any]:
    """Return ERFA's star-independent parameters for each of the times."""
    times = times.reshape(-1)
    if times.size == 0:
        return np.zeros(0, erfa.dt_eraASTROM)
    tai = times.tai
    # Minutes count from a fixed day, so a time's result does not depend on the other times.
    seconds = ((tai.jd1 - _ORIGIN_JD) + tai.jd2) * 86400
    cell = np.floor(seconds / _STEP_S)
    runs = cell[np.flatnonzero(np.diff(cell, prepend=np.nan))]  # few, if times ascend
    nodes = np.unique(np.concatenate([runs, runs + 1]))
    slow, ut1 = _at_nodes(Time(_ORIGIN_JD, nodes * (_STEP_S / 86400), format="jd",
                               scale="tai"), location, refraction, warn)
    left = np.searchsorted(nodes, cell)
    part = seconds / _STEP_S - cell
    flat = slow.view(np.float64).reshape(len(nodes), -1)
    mixed = np.diff(flat, axis=0)[left]
    mixed *= part[:, np.newaxis]
    mixed += flat[left]
    context: NDArray[Any] = mixed.view(erfa.dt_eraASTROM).reshape(-1)
    ut1_tai = ut1[left] * (1 - part) + ut1[left + 1] * part
    context["eral"] = erfa.era00(tai.jd1, tai.jd2 + ut1_tai / 86400) + context["along"]
    return context


def _at_nodes(nodes: Time, location: EarthLocation, refraction: Refraction | None, warn: bool
              ) -> tuple[NDArray[Any], Array]:
    """Return ERFA's parameters, and UT1 - TAI in seconds, which has no leap seconds."""
    utc = nodes.utc
    dut1, xp, yp = earth.orientation(utc, warn=warn)
    lon, lat, height = location.to_geodetic("WGS84")
    slow, _ = erfa.apco13(
        utc.jd1, utc.jd2, dut1, lon.to_value(u.rad), lat.to_value(u.rad), height.to_value(u.m),
        xp * _ARCSEC, yp * _ARCSEC, *(refraction.arguments if refraction else (0, 0, 0, 0)))
    ut1 = erfa.utcut1(utc.jd1, utc.jd2, dut1)
    since = ((ut1[0] - nodes.jd1) + (ut1[1] - nodes.jd2)) * 86400
    slow = np.atleast_1d(slow)
    slow["phi"] = 0  # apco13 does not set it: bits left in memory would be interpolated
    return slow, np.atleast_1d(since)
