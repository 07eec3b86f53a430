r"""Stokes parameters of profiles, rotated by the parallactic angle to the frame of the sky.

On an altazimuth mount without a rotator, a receptor is at a constant angle to the vertical. Its
position angle is the sum of this angle and the parallactic angle, which is the position angle of
the zenith:

.. math:: Q' + i U' = (Q + i U) \exp[2 i (q + \chi_A)]

Position angles are counted from north through east; north is that of the ICRS.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from fastsig import telescopes
from fastsig.axes.units import number
from fastsig.errors import FastsigWarning, PlanError, users_line
from fastsig.pulsar.polarization_profile import to_sky
from fastsig.pulsar.stokes_profiles import check_products, stokes_of
from fastsig.stream.header import Header

if TYPE_CHECKING:
    from astropy.time import Time

    from fastsig.pulsar.profile_data import ProfileData

__all__ = ["check_sky_frame", "in_sky_frame", "parallactic_deg"]

P = TypeVar("P", bound="ProfileData")
F8 = NDArray[np.float64]

_STEP_DEG = 1e-3  # towards the zenith; errors of the direction are far smaller
#: A rotation within a subintegration that lowers linear polarisation by 0.5 per cent.
_MOST_DEG = 10.0


def in_sky_frame(profiles: P, feed_angle: Any) -> P:
    """Return I, Q, U, V of profiles, with Q and U relative to north and east.

    Every subintegration is rotated by the angle at its epoch.

    Parameters
    ----------
    profiles : Profiles
        Profiles with AA, BB, CR and CI, or I, Q, U and V, in the frame of the receiver.
    feed_angle : Quantity or str
        Angle of receptor A from the direction of the zenith, counted as position angles are.

    Raises
    ------
    PlanError
        If products are missing, the frame is already that of the sky, or the position, the
        telescope or the times at the telescope are not known.
    UsageError
        If the angle is not an angle.
    """
    feed = check_sky_frame(profiles.header, feed_angle, profiles.path)
    header, basis = profiles.header, profiles.header.polarization
    data, weights = stokes_of(profiles.data, profiles.weights, basis, "IQUV", profiles.path)
    angle = parallactic_deg(profiles, profiles.epochs)
    _warn_of_rotation(profiles)
    turned = to_sky(basis.sign_q * data[:, 1] + 1j * data[:, 2],
                    (angle + feed)[:, np.newaxis, np.newaxis])
    data = np.stack([data[:, 0], basis.sign_q * turned.real, turned.imag, data[:, 3]],
                    axis=1).astype(np.float32)
    step = {"stage": "sky frame", "parameters": {
        "feed_angle_deg": feed, "parallactic_deg": [round(float(each), 6) for each in
                                                    angle[[0, -1]]]}}
    record = {**profiles.provenance, "stages": [*profiles.provenance.get("stages", ()), step]}
    return replace(profiles, data=data, weights=weights, provenance=record, header=header.replace(
        polarization=replace(basis, names=tuple("IQUV"), frame="sky")))


def check_sky_frame(header: Header, feed_angle: Any, path: str, *, position: bool = True) -> float:
    """Raise the errors of `in_sky_frame`, before profiles are made; return the angle, deg.

    `position` is false if the position will be known later, from a par file.
    """
    feed = number(feed_angle, "deg", "feed_angle")
    basis = header.polarization
    if basis.frame == "sky":
        raise PlanError(f"{path}: Q and U are already in the frame of the sky")
    if not set("IQUV") <= set(basis.names):
        check_products(basis, "IQUV", path)
    _check_place(header, path, position=position)
    return feed


def _check_place(header: Header, path: str, *, position: bool = True) -> None:
    if position and (header.ra_deg is None or header.dec_deg is None):
        raise PlanError(f"{path}: the frame of the sky requires the position; give --set "
                        "ra=5h34m31.97s --set dec=22.0145deg")
    if header.telescope is None:
        raise PlanError(f"{path}: the frame of the sky requires the telescope; give --set "
                        "telescope=FAST")
    telescopes.get(header.telescope)
    if header.barycentric:
        raise PlanError(f"{path}: times are those of the barycentre; allowed for the frame of the "
                        "sky: times at the telescope")


def parallactic_deg(profiles: ProfileData, times: Time) -> F8:
    """Return the position angle of the zenith at the source, north through east, shape of `times`.

    Raises
    ------
    PlanError
        If the position, the telescope or the times at the telescope are not known.
    """
    from fastsig.telescopes.observed import icrs_to_observed, observed_to_icrs

    header = profiles.header
    _check_place(header, profiles.path)
    place = telescopes.get(header.telescope or "").location
    n = len(times)
    ra, dec = (np.full((n, 1), each) << u.deg for each in (header.ra_deg, header.dec_deg))
    azimuth, zenith = icrs_to_observed(ra, dec, times, place, warn=False)
    higher = zenith.value - _STEP_DEG
    ends = np.concatenate([zenith.value, np.abs(higher)], axis=1) << u.deg
    both = np.concatenate([azimuth.value, azimuth.value + 180 * (higher < 0)], axis=1) << u.deg
    lon, lat = (each.to_value("rad") for each in observed_to_icrs(both, ends, times, place,
                                                                  warn=False))
    turn = lon[:, 1] - lon[:, 0]
    north = (np.cos(lat[:, 0]) * np.sin(lat[:, 1])
             - np.sin(lat[:, 0]) * np.cos(lat[:, 1]) * np.cos(turn))
    return np.asarray(np.degrees(np.arctan2(np.sin(turn) * np.cos(lat[:, 1]), north)), np.float64)


def _warn_of_rotation(profiles: ProfileData) -> None:
    """Warn if the receiver rotates so far in a subintegration that it depolarises."""
    from astropy.time import TimeDelta

    half = TimeDelta(profiles.durations / 2, format="sec", scale="tai")
    first, last = (parallactic_deg(profiles, profiles.epochs + sign * half) for sign in (-1, 1))
    most = float(np.abs((last - first + 180) % 360 - 180).max())
    if most > _MOST_DEG:
        warnings.warn(FastsigWarning(
            f"{profiles.path}: the receiver rotates by {most:.3g} deg relative to the sky within a "
            "subintegration; shorter ones lose less linear polarisation"), stacklevel=users_line())
