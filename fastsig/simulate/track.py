"""How the feed cabin moves, and where on the sky its beams look.

Directions are unit vectors (east, north, up) at the site. Sources go from the sky to the horizon by
astropy at full precision, at knots that a cubic spline joins to better than 1e-9 arcsec; beams are
directions to begin with. Separations are taken there: nothing is carried from the horizon to the
sky but the positions of the truth record.
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

#: Ways of observing that the simulator has.
OBSERVING = ("drifting", "tracking", "onoff")
#: Atmosphere of HiFAST's defaults.
REFRACTION = {"pressure": 925 * u.hPa, "temperature": 15 * u.deg_C, "relative_humidity": 0.8,
              "obswl": 0.3 * u.m}
_KNOT_S = 10.0  # the sky turns by 7e-4 rad between knots: a spline errs by its fourth power / 384
_NORTH_DEG = 0.01


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Earth rotation by the tables that are installed, however old, never from the network."""
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        yield


class Horizon:
    """The site of FAST from a time on, with or without refraction."""

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
        """Times that are so many seconds after the start."""
        return (self.start.tai + TimeDelta(np.asarray(seconds), format="sec")).utc

    def _frame(self, seconds: F8, **place: Any) -> Any:
        return AltAz(obstime=self.times(seconds), location=self.site, **self._air, **place)

    def directions(self, places: SkyCoord, seconds: F8) -> F8:
        """Directions of places (m,) at times (n,): (n, m, 3)."""
        with offline():
            found = places[np.newaxis].transform_to(self._frame(seconds[:, np.newaxis]))
            az, alt = found.az.rad, found.alt.rad
        return np.stack([np.cos(alt) * np.sin(az), np.cos(alt) * np.cos(az), np.sin(alt)], axis=-1)

    def places(self, directions: F8, seconds: F8) -> SkyCoord:
        """ICRS places of directions (n, 3) at times (n,)."""
        east, north, up = directions.T
        with offline():
            return SkyCoord(self._frame(seconds, az=np.arctan2(east, north) * u.rad,
                                        alt=np.arcsin(up) * u.rad)).icrs

    def transit(self, dec_deg: float | None, seconds: float) -> SkyCoord:
        """What passes the meridian at a time at a declination, or the zenith for None.

        The declination is taken for that of the date: the place is right to some tenths of a degree
        of azimuth.
        """
        za = np.deg2rad(dec_deg - self.site.lat.deg) if dec_deg is not None else 0.0
        place = self.places(np.array([[0.0, np.sin(za), np.cos(za)]]), np.array([seconds]))[0]
        return SkyCoord(place.ra, place.dec if dec_deg is None else dec_deg * u.deg)


class Moving:
    """Places on the sky as they move over the horizon from `first` to `last` s."""

    def __init__(self, horizon: Horizon, places: SkyCoord, first: float, last: float) -> None:
        places = SkyCoord(np.atleast_1d(places.ra), np.atleast_1d(places.dec))
        self.places = places
        knots = np.linspace(first, last, max(5, int(np.ceil((last - first) / _KNOT_S)) + 1))
        beside = places.directional_offset_by(0 * u.deg, _NORTH_DEG * u.deg)
        both = [horizon.directions(each, knots) for each in (places, beside)]
        self._spline, self._beside = (CubicSpline(knots, each) for each in both)

    def directions(self, seconds: F8) -> F8:
        """Directions at times (n,): (n, m, 3)."""
        return _unit(self._spline(seconds))

    def axes(self, seconds: F8) -> tuple[F8, F8, F8]:
        """Directions, and the unit vectors to the north and east of them, (n, m, 3) each."""
        middle = self.directions(seconds)
        north = _across(self._beside(seconds), middle)
        return middle, north, np.cross(north, middle)


def _unit(vectors: Any) -> F8:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _across(vectors: Any, axis: F8) -> F8:
    """Parts of vectors across an axis, of length 1."""
    return _unit(vectors - (vectors * axis).sum(axis=-1, keepdims=True) * axis)


class Track:
    """The feed cabin during a scan.

    Parameters
    ----------
    horizon : Horizon
    observing : str
        drifting: at rest, with the target in beam M01 in the middle of the scan; tracking: on the
        target; onoff: on the target and off it in turn.
    target : SkyCoord
        Scalar, ICRS.
    duration_s : float
        Of the scan.
    rotation_deg : float
        Of the beams on the sky, from east to north: at 0 beam M02 is east of M01. That at the
        middle of a drift scan.
    yaw_deg : float
        Of the cabin; pitch and roll follow, so that the feeds face the sphere's centre.
    off_deg : (float, float)
        Offset of the off position to the east and north.
    dwell_s, slew_s : float
        Time on each position and between them.
    margin_s : float
        Before and after the scan that is asked for too.
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
        #: What decides where the beams look, ready for JSON.
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
        """When the target is where the cabin looks: in the middle of a drift scan only."""
        drifts = self.observing == "drifting"
        return np.full_like(seconds, self.duration_s / 2) if drifts else seconds

    def on_target(self, seconds: F8) -> F8:
        """Share of the way to the target, 1 on it, (n,)."""
        if self._off is None:
            return np.ones_like(seconds)
        turn, way = 2 * (self._dwell + self._slew), max(self._slew, 1e-9)
        phase = np.mod(seconds, turn)
        leaving = np.clip((phase - self._dwell) / way, 0, 1)
        coming = np.clip((phase - 2 * self._dwell - self._slew) / way, 0, 1)
        return np.asarray(np.where(seconds < 0, 1.0, 1 - leaving + coming))

    def axis(self, seconds: F8) -> F8:
        """Direction of the middle of the feeds, (n, 3)."""
        direction = self._target.directions(self._when(seconds))[:, 0]
        if self._off is None:
            return direction
        share = self.on_target(seconds)[:, np.newaxis]
        return _unit(share * direction + (1 - share) * self._off.directions(seconds)[:, 0])

    def phase_center_m(self, seconds: F8) -> F8:
        """Phase centre of the middle feed from the sphere's centre, (n, 3), m."""
        return -FOCAL_RADIUS_M * self.axis(seconds)

    def pose(self, seconds: F8) -> F8:
        """Yaw, pitch and roll of the cabin, (n, 3), rad: its floor's normal is the axis."""
        back = Rotation.from_euler("z", -self._yaw).apply(self.axis(seconds))
        roll = -np.arcsin(back[:, 1])
        pitch = np.arctan2(back[:, 0], back[:, 2])
        return np.stack([np.full_like(roll, self._yaw), pitch, roll], axis=-1)

    def _cabin(self, seconds: F8) -> Rotation:
        return Rotation.from_euler("ZYX", self.pose(seconds))

    def angle_m(self, seconds: F8) -> F8:
        """Rotation of the receiver in the cabin, (n,), rad, without jumps.

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
        """Directions of a beam, (n, 3)."""
        feed = self._receiver(seconds).apply(feed_m(beam))
        return -_unit(self.phase_center_m(seconds) + feed)

    def feed_axis(self, seconds: F8) -> F8:
        """The receiver's x axis, from M01 towards M02 on the sky, (n, 3)."""
        return np.asarray(self._receiver(seconds).apply(np.array([1.0, 0.0, 0.0])))

    def zenith_deg(self, beam: int, seconds: F8) -> F8:
        """Zenith angle of a beam, (n,), deg."""
        looks = self.axis(seconds) if beam == 1 else self.directions(beam, seconds)
        return np.rad2deg(np.arccos(np.clip(looks[:, 2], -1, 1)))
