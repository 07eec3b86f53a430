"""Pointing of FAST's beams: ICRS positions from the feed cabin's recorded positions.

The cabin is at P, in metres east, north and up from the centre of the reflector's sphere. A horn at
F in the feed plane is at

.. math:: B = P + R_z(yaw) R_y(pitch) R_x(roll) R_z(angle) F

and sees the direction -B. With B = (x, y, z), the azimuth of this direction is atan2(-x, -y), and
its zenith distance is atan2(hypot(x, y), -z).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.time import Time, TimeDelta
from numpy.typing import NDArray

from fastsig import telescopes
from fastsig.axes.time import iso, later
from fastsig.errors import FormatError, UsageError
from fastsig.telescopes.fast_l19 import FastL19
from fastsig.telescopes.observed import Refraction, observed_to_icrs, parallactic_angle
from fastsig.work.shown import Shown

if TYPE_CHECKING:
    from astropy.coordinates import EarthLocation

__all__ = ["BeamPositions", "CabinTrack", "Refraction", "mid_times"]

_MARGIN_S = 1.0
_ARM_M = 0.135  # half a pitch of the horns: 2.9 arcmin

Array = NDArray[np.float64]


def mid_times(start: Time, rate: Fraction, n: int, first: int = 0) -> Time:
    """Return the mid-times of spectra `first` to ``first + n - 1``, UTC, to 1 ns within a day.

    Parameters
    ----------
    start : Time
        Start of spectrum 0.
    rate : Fraction
        Spectra per second.
    """
    seconds = (np.arange(first, first + n) + 0.5) * float(1 / rate)
    return later(start, TimeDelta(seconds, format="sec", scale="tai"))


@dataclass(frozen=True, repr=False)
class BeamPositions(Shown):
    """Positions of beams at given times.

    Attributes
    ----------
    time : Time
        UTC, shape (time,).
    beams : tuple of int
        Numbers of the beams.
    ra, dec : Quantity
        ICRS, degrees, shape (time, beam), float64.
    azimuth, zenith_distance : Quantity
        Observed direction, degrees, shape (time, beam), float64.
    extrapolated : array of bool
        Whether a time is more than 1 s from the nearest row of the table, shape (time,).
    location : EarthLocation
        Position of the telescope.
    """

    time: Time
    beams: tuple[int, ...]
    ra: u.Quantity
    dec: u.Quantity
    azimuth: u.Quantity
    zenith_distance: u.Quantity
    extrapolated: NDArray[np.bool_]
    location: EarthLocation

    @property
    def parallactic_angle(self) -> u.Quantity:
        """Position angle of the zenith, north through east, degrees, shape (time, beam)."""
        return parallactic_angle(self.azimuth, self.zenith_distance, self.location.lat)


@dataclass(frozen=True, repr=False)
class CabinTrack(Shown):
    """The recorded track of the feed cabin.

    Parameters
    ----------
    path : str
        The file of the track, for messages.
    time : Time
        UTC of the rows, ascending, shape (row,).
    place : ndarray
        Position east, north and up from the sphere's centre, m, shape (row, 3), float64.
    pose : ndarray
        Yaw, pitch and roll, rad, shape (row, 3), float64.
    angle : ndarray
        Rotation of the receiver, rad, shape (row,), float64.
    air : Refraction, optional
        Air for refraction; None for no refraction. By default, the air that HiFAST assumes.
    """

    path: str
    time: Time
    place: Array
    pose: Array
    angle: Array
    air: Refraction | None = Refraction()

    def __post_init__(self) -> None:
        rows = len(self.time)
        if rows == 0 or not (self.place.shape == self.pose.shape == (rows, 3)
                             and self.angle.shape == (rows,)):
            raise UsageError(f"a cabin's track needs equal numbers of rows, not times "
                             f"{self.time.shape}, places {self.place.shape}, poses "
                             f"{self.pose.shape}, angles {self.angle.shape}")
        if np.any(np.diff(_seconds(self.time, self.time[0])) <= 0):
            raise UsageError("a cabin's track needs ascending times")

    def positions(self, times: Time, beams: Any = None, *,
                  refraction: Refraction | str | None = None,
                  receiver: FastL19 | None = None, location: EarthLocation | None = None
                  ) -> BeamPositions:
        """Return ICRS positions of beams.

        The cabin's position is interpolated to the times, and extrapolated by up to 1 s beyond the
        table.

        Parameters
        ----------
        times : Time
            Times, shape (time,); usually the mid-times of spectra.
        beams : int or sequence of int, optional
            Beams; all by default.
        refraction : Refraction or str, optional
            Air to use instead of `air` of the track; as text, ``"925,15,0.8,0.3m"``, or ``"none"``
            for no refraction.
        receiver : FastL19, optional
            Receiver; by default, FAST's 19-beam receiver.
        location : EarthLocation, optional
            Position of the telescope; by default, FAST's timing position.

        Raises
        ------
        FormatError
            If each of the times is more than 1 s before the first or after the last row of the
            table.
        UsageError
            If there is no such beam, or the refraction is not allowed.
        """
        receiver = FastL19() if receiver is None else receiver
        chosen = np.atleast_1d(np.array(receiver.beams if beams is None else beams))
        horns = receiver.feeds.to_value(u.m)[receiver.index(chosen)]
        air = Refraction.of(refraction, self.air)
        az, zd, far, where = self._observed(times, horns, location)
        ra, dec = observed_to_icrs(az << u.rad, zd << u.rad, times, where, refraction=air)
        return BeamPositions(
            times, tuple(int(beam) for beam in chosen), ra, dec,
            np.degrees(az) % 360 << u.deg, np.degrees(zd) << u.deg, far, where)

    def receiver_angle(self, times: Time, *, location: EarthLocation | None = None) -> u.Quantity:
        """Return the position angle of the receiver's Y axis on the sky, degrees.

        It is counted from north through east. Y is the axis that points north at zero rotation. If
        the telescope points at the zenith and the rotation is zero, the angle is that between the
        north of date and the north of the ICRS. The offsets of the beams on the sky are
        ``receiver.offsets(beam, -angle)``.

        Parameters
        ----------
        times : Time
            Times, shape (time,).
        location : EarthLocation, optional
            Position of the telescope; by default, FAST's timing position.
        """
        ends = np.array([[0.0, _ARM_M], [0.0, -_ARM_M]])  # a horn in the south looks north
        az, zd, _, where = self._observed(times, ends, location)
        ra, dec = (each.to_value(u.rad) for each in
                   observed_to_icrs(az << u.rad, zd << u.rad, times, where, warn=False))
        turn = ra[:, 1] - ra[:, 0]
        east = np.sin(turn) * np.cos(dec[:, 1])
        north = (np.cos(dec[:, 0]) * np.sin(dec[:, 1])
                 - np.sin(dec[:, 0]) * np.cos(dec[:, 1]) * np.cos(turn))
        return np.degrees(np.arctan2(east, north)) << u.deg

    def _observed(self, times: Time, horns: Array, location: EarthLocation | None
                  ) -> tuple[Array, Array, NDArray[np.bool_], EarthLocation]:
        """Return azimuth and zenith distance (time, horn), rad; extrapolated times; location."""
        where = telescopes.get("FAST").location if location is None else location
        state, far = self._at(times)
        x, y, z = np.moveaxis(_places(state, horns), -1, 0)
        return np.arctan2(-x, -y), np.arctan2(np.hypot(x, y), -z), far, where

    def _at(self, times: Time) -> tuple[Array, NDArray[np.bool_]]:
        """Return place, pose and angle (7 columns) at the times, and which are extrapolated."""
        if times.ndim != 1:
            raise UsageError(f"times of shape {times.shape}; allowed: one axis")
        rows = _seconds(self.time, self.time[0])
        when = _seconds(times, self.time[0])
        columns = np.concatenate([self.place, self.pose, np.unwrap(self.angle)[:, None]], axis=1)
        far = _distance(rows, when) > _MARGIN_S
        if when.size and np.all((when < rows[0] - _MARGIN_S) | (when > rows[-1] + _MARGIN_S)):
            raise FormatError(
                self.path, f"the table covers {iso(self.time[0])} to {iso(self.time[-1])} UTC, "
                f"but none of the spectra from {iso(times.min())} to {iso(times.max())}: a table "
                "of another scan?")
        rows, columns = _lengthened(rows, columns)
        return np.stack([np.interp(when, rows, column) for column in columns.T], axis=1), far


def _seconds(times: Time, origin: Time) -> Array:
    """Return the seconds from one time to others, to 1e-11 in a day."""
    tai, zero = times.tai, origin.tai
    return np.asarray(((tai.jd1 - zero.jd1) + (tai.jd2 - zero.jd2)) * 86400)


def _distance(rows: Array, when: Array) -> Array:
    """Return the distance of times from the nearest row."""
    right = np.clip(np.searchsorted(rows, when), 0, len(rows) - 1)
    left = np.clip(right - 1, 0, None)
    return np.asarray(np.minimum(np.abs(when - rows[right]), np.abs(when - rows[left])))


def _lengthened(rows: Array, columns: Array) -> tuple[Array, Array]:
    """Add a row 1 s before the first and a row 1 s after the last row of a table.

    They continue the motion in the first and last second of the table.
    """
    if len(rows) == 1:
        return rows, columns
    inner = min(int(np.searchsorted(rows, rows[0] + _MARGIN_S)), len(rows) - 1)
    outer = max(int(np.searchsorted(rows, rows[-1] - _MARGIN_S, "right")) - 1, 0)
    before = columns[0] - (columns[inner] - columns[0]) * (_MARGIN_S / (rows[inner] - rows[0]))
    after = columns[-1] + (columns[-1] - columns[outer]) * (_MARGIN_S / (rows[-1] - rows[outer]))
    return (np.concatenate([[rows[0] - _MARGIN_S], rows, [rows[-1] + _MARGIN_S]]),
            np.concatenate([before[None], columns, after[None]]))


def _places(state: Array, horns: Array) -> Array:
    """Return positions of horns (time, horn, 3), m, from a cabin's states (time, 7)."""
    yaw, pitch, roll, angle = state[:, 3:].T
    turn = _about(2, yaw) @ _about(1, pitch) @ _about(0, roll) @ _about(2, angle)
    return np.asarray(state[:, None, :3] + np.einsum("tij,hj->thi", turn[:, :, :2], horns))


def _about(axis: int, angle: Array) -> Array:
    """Return matrices that rotate vectors by angles about an axis: x to y, y to z or z to x."""
    found = np.zeros((len(angle), 3, 3))
    one, two = (axis + 1) % 3, (axis + 2) % 3
    found[:, axis, axis] = 1
    found[:, one, one] = found[:, two, two] = np.cos(angle)
    found[:, two, one] = np.sin(angle)
    found[:, one, two] = -found[:, two, one]
    return found
