"""The motion of the feed cabin, and the directions of its beams on the sky.

Directions are unit vectors (east, north, up) at the site. astropy converts sources from the sky to
the horizon at full precision, at knots that a cubic spline joins to better than 1e-9 arcsec; beams
are directions from the start. Separations are computed there: nothing is converted from the horizon
to the sky except the positions of the truth record.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time, TimeDelta
from astropy.utils import iers
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from fastsig.errors import UsageError
from fastsig.simulate.beams import FOCAL_RADIUS_M, HIGHEST_ZA_DEG, SITE_M, feed_m

__all__ = ["OBSERVING", "Horizon", "Moving", "Track", "offline"]

F8 = NDArray[np.float64]

#: Observing modes of the simulator.
OBSERVING = ("drifting", "tracking", "onoff")
#: Atmosphere as by default in HiFAST.
REFRACTION = {"pressure": 925 * u.hPa, "temperature": 15 * u.deg_C, "relative_humidity": 0.8,
              "obswl": 0.3 * u.m}
_KNOT_S = 10.0  # the sky turns by 7e-4 rad between knots: a spline errs by its fourth power / 384
_NORTH_DEG = 0.01


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Use the installed tables of Earth rotation, however old, and never the network."""
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        yield


class Horizon:
    """The site of FAST from a start time on, with or without refraction."""

    def __init__(self, start: Time, refraction: bool = False) -> None:
        self.start, self.refraction = start, refraction
        self._air = REFRACTION if refraction else {}
        self.site = EarthLocation.from_geocentric(*SITE_M, unit="m")

    @property
    def air_text(self) -> str:
        """Pressure in hPa, degrees C, humidity and wavelength of the air, or none."""
        if not self.refraction:
            return "none"
        hpa, celsius, humidity, wave = REFRACTION.values()
        return (f"{hpa.to_value(u.hPa):g},{celsius.to_value(u.deg_C):g},{humidity:g},"
                f"{wave.to_value(u.m):g}m")

    def times(self, seconds: Any) -> Time:
        """Return the times at `seconds` after the start."""
        return (self.start.tai + TimeDelta(np.asarray(seconds), format="sec")).utc

    def _frame(self, seconds: F8, **place: Any) -> Any:
        return AltAz(obstime=self.times(seconds), location=self.site, **self._air, **place)

    def directions(self, places: SkyCoord, seconds: F8) -> F8:
        """Return the directions of positions (m,) at times (n,): (n, m, 3)."""
        with offline():
            found = places[np.newaxis].transform_to(self._frame(seconds[:, np.newaxis]))
            az, alt = found.az.rad, found.alt.rad
        return np.stack([np.cos(alt) * np.sin(az), np.cos(alt) * np.cos(az), np.sin(alt)], axis=-1)

    def places(self, directions: F8, seconds: F8) -> SkyCoord:
        """Return the ICRS positions of directions (n, 3) at times (n,)."""
        east, north, up = directions.T
        with offline():
            return SkyCoord(self._frame(seconds, az=np.arctan2(east, north) * u.rad,
                                        alt=np.arcsin(up) * u.rad)).icrs

    def transit(self, dec_deg: float | None, seconds: float) -> SkyCoord:
        """Return the position on the meridian at a time, at a declination, or None for the zenith.

        The declination is treated as that of the date, so the position is right to a few tenths of
        a degree of azimuth.
        """
        za = np.deg2rad(dec_deg - self.site.lat.deg) if dec_deg is not None else 0.0
        place = self.places(np.array([[0.0, np.sin(za), np.cos(za)]]), np.array([seconds]))[0]
        return SkyCoord(place.ra, place.dec if dec_deg is None else dec_deg * u.deg)


class Moving:
    """Positions on the sky, moving over the horizon from `first` to `last` s."""

    def __init__(self, horizon: Horizon, places: SkyCoord, first: float, last: float) -> None:
        places = SkyCoord(np.atleast_1d(places.ra), np.atleast_1d(places.dec))
        self.places = places
        knots = np.linspace(first, last, max(5, int(np.ceil((last - first) / _KNOT_S)) + 1))
        beside = places.directional_offset_by(0 * u.deg, _NORTH_DEG * u.deg)
        both = [horizon.directions(each, knots) for each in (places, beside)]
        self._spline, self._beside = (CubicSpline(knots, each) for each in both)

    def directions(self, seconds: F8) -> F8:
        """Return directions at times (n,): (n, m, 3)."""
        return _unit(self._spline(seconds))

    def axes(self, seconds: F8) -> tuple[F8, F8, F8]:
        """Return directions, and the unit vectors to their north and east, (n, m, 3) each."""
        middle = self.directions(seconds)
        north = _across(self._beside(seconds), middle)
        return middle, north, np.cross(north, middle)


def _unit(vectors: Any) -> F8:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _across(vectors: Any, axis: F8) -> F8:
    """Return the parts of vectors perpendicular to an axis, with length 1."""
    return _unit(vectors - (vectors * axis).sum(axis=-1, keepdims=True) * axis)


class Track:
    """The feed cabin during a scan.

    Parameters
    ----------
    horizon : Horizon
    observing : str
        drifting: at rest, with the target in beam M01 in the middle of the scan; tracking: on the
        target; onoff: alternately on the target and on the off position.
    target : SkyCoord
        The target, scalar, ICRS.
    duration_s : float
        Duration of the scan.
    rotation_deg : float
        Rotation of the beams on the sky, from east to north: at 0 beam M02 is east of M01. For a
        drift scan, the rotation in its middle.
    yaw_deg : float
        Yaw of the cabin; pitch and roll follow, so that the feeds face the sphere's centre.
    off_deg : (float, float)
        Offset of the off position to the east and north.
    dwell_s, slew_s : float
        Time on each position, and between positions.
    margin_s : float
        Time before and after the scan that can be requested, too.
    """

    def __init__(
        self, horizon: Horizon, observing: str, target: SkyCoord, duration_s: float, *,
        rotation_deg: float = 0.0, yaw_deg: float = 0.0, off_deg: tuple[float, float] = (0.0, 0.0),
        dwell_s: float = 60.0, slew_s: float = 30.0, margin_s: float = 10.0,
    ) -> None:
        if observing not in OBSERVING:
            raise UsageError(f"observing = {observing!r}; allowed: {', '.join(OBSERVING)}")
        self.horizon, self.observing, self.duration_s = horizon, observing, duration_s
        self.span = -margin_s, duration_s + margin_s
        #: The parameters that determine where the beams look, ready for JSON.
        self.parameters = {
            "observing": observing, "refraction": horizon.refraction, "yaw_deg": yaw_deg,
            "ra_deg": float(target.ra.deg), "dec_deg": float(target.dec.deg),
            "rotation_deg": rotation_deg}
        if observing == "onoff":
            self.parameters |= {"off_deg": list(off_deg), "dwell_s": dwell_s, "slew_s": slew_s}
        self._rotation, self._yaw = np.deg2rad(rotation_deg), np.deg2rad(yaw_deg)
        self._dwell, self._slew = dwell_s, slew_s
        self._target = Moving(horizon, target, *self.span)
        self.off = target.spherical_offsets_by(*(each * u.deg for each in off_deg))
        self._off = Moving(horizon, self.off, *self.span) if observing == "onoff" else None
        seconds = np.linspace(0, duration_s, 101)
        highest = float(self.zenith_deg(1, seconds).max())
        if not highest <= HIGHEST_ZA_DEG:
            raise UsageError(f"the scan reaches a zenith angle of {highest:.2f} deg; allowed: up "
                             f"to {HIGHEST_ZA_DEG:g}, as FAST reaches")

    def _when(self, seconds: F8) -> F8:
        """Return when the cabin looks at the target: for drift scans only in their middle."""
        drifts = self.observing == "drifting"
        return np.full_like(seconds, self.duration_s / 2) if drifts else seconds

    def on_target(self, seconds: F8) -> F8:
        """Return the share of the way from the off position to the target, 1 on it, (n,)."""
        if self._off is None:
            return np.ones_like(seconds)
        turn, way = 2 * (self._dwell + self._slew), max(self._slew, 1e-9)
        phase = np.mod(seconds, turn)
        leaving = np.clip((phase - self._dwell) / way, 0, 1)
        coming = np.clip((phase - 2 * self._dwell - self._slew) / way, 0, 1)
        return np.asarray(np.where(seconds < 0, 1.0, 1 - leaving + coming))

    def axis(self, seconds: F8) -> F8:
        """Return the direction of the middle of the feeds, (n, 3)."""
        direction = self._target.directions(self._when(seconds))[:, 0]
        if self._off is None:
            return direction
        share = self.on_target(seconds)[:, np.newaxis]
        return _unit(share * direction + (1 - share) * self._off.directions(seconds)[:, 0])

    def phase_center_m(self, seconds: F8) -> F8:
        """Return the middle feed's phase centre relative to the sphere's centre, (n, 3), m."""
        return -FOCAL_RADIUS_M * self.axis(seconds)

    def pose(self, seconds: F8) -> F8:
        """Return yaw, pitch and roll of the cabin, (n, 3), rad: its floor's normal is the axis."""
        back = Rotation.from_euler("z", -self._yaw).apply(self.axis(seconds))
        roll = -np.arcsin(back[:, 1])
        pitch = np.arctan2(back[:, 0], back[:, 2])
        return np.stack([np.full_like(roll, self._yaw), pitch, roll], axis=-1)

    def _cabin(self, seconds: F8) -> Rotation:
        return Rotation.from_euler("ZYX", self.pose(seconds))

    def angle_m(self, seconds: F8) -> F8:
        """Return the rotation of the receiver in the cabin, (n,), rad, without jumps.

        Turning the receiver from the cabin's x towards its y turns the beams from east to north.
        """
        axis = self.axis(seconds)
        north = _across(self._target.axes(self._when(seconds))[1][:, 0], axis)
        line = self._cabin(seconds).apply(np.array([1.0, 0.0, 0.0]))
        east = np.cross(north, axis)
        angle = np.arctan2((line * east).sum(axis=-1), (line * north).sum(axis=-1))
        return np.asarray(np.unwrap(np.mod(angle - np.pi / 2 + self._rotation + np.pi,
                                           2 * np.pi) - np.pi))

    def _receiver(self, seconds: F8) -> Rotation:
        return self._cabin(seconds) * Rotation.from_euler(
            "z", self.angle_m(seconds)[:, np.newaxis])

    def directions(self, beam: int, seconds: F8) -> F8:
        """Return the directions of a beam, (n, 3)."""
        feed = self._receiver(seconds).apply(feed_m(beam))
        return -_unit(self.phase_center_m(seconds) + feed)

    def feed_axis(self, seconds: F8) -> F8:
        """Return the receiver's x axis, from M01 towards M02 on the sky, (n, 3)."""
        return np.asarray(self._receiver(seconds).apply(np.array([1.0, 0.0, 0.0])))

    def zenith_deg(self, beam: int, seconds: F8) -> F8:
        """Return the zenith angle of a beam, (n,), deg."""
        looks = self.axis(seconds) if beam == 1 else self.directions(beam, seconds)
        return np.rad2deg(np.arccos(np.clip(looks[:, 2], -1, 1)))
