"""A known sky: point sources, rotating disks of HI, a continuum, pulsars.

Fluxes are Stokes I in Jy. Right ascension and declination (ICRS) accept text such as
``5h34m31.9s`` and ``+22d0m52s`` or a Quantity, and are stored in degrees. Q and U are those of the
sky: IAU, position angles from north through east.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import Angle
from numpy.typing import NDArray

from fastsig.axes.constants import HI_REST_HZ, SPEED_OF_LIGHT
from fastsig.errors import UsageError
from fastsig.simulate.values import settle, value_field

__all__ = ["Cells", "Continuum", "HIDisk", "PointSource", "SkyPulsar", "degrees", "disk_cells",
           "spectrum"]

F8 = NDArray[np.float64]
FRAMES = ("topocentric", "barycentric", "lsrk")
# Solar masses per (Mpc^2 Jy km/s) of optically thin HI: Roberts 1962, AJ 67, 437.
HI_MASS = 2.356e5
N_RING, N_AZIMUTH = 24, 48
_L_BAND_HZ = Fraction(14 * 10**8)


def degrees(value: Any, name: str) -> float:
    """Return an angle in degrees, given text or a Quantity; only 0 needs no unit."""
    try:
        text = value.strip() if isinstance(value, str) else value
        angle = Angle(0, "deg") if np.ndim(text) == 0 and text in (0, "0") else Angle(text)
    except (u.UnitsError, ValueError, TypeError) as error:
        raise UsageError(f"{name} = {value!r} is not an angle such as 83.633deg, 5h34m31.9s "
                         "or +22d0m52s") from error
    if angle.size != 1 or not np.isfinite(angle.value):
        raise UsageError(f"{name} = {value!r} is not a single finite angle")
    return round(float(angle.deg), 12)  # 5h is exactly 75


def _place(component: Any, option: str) -> None:
    """Settle the fields of a component, and its position on the sky."""
    settle(component, option)
    for name in ("ra", "dec"):
        object.__setattr__(component, name, degrees(getattr(component, name), f"{option} {name}"))
    if not abs(component.dec) <= 90:
        raise UsageError(f"{option} dec = {component.dec:g} deg; allowed: -90 to 90")


def _check_stokes(option: str, q: Fraction, u_: Fraction, v: Fraction) -> None:
    share = q**2 + u_**2 + v**2
    if share > 1:
        raise UsageError(f"{option} q, u, v = {float(q):g}, {float(u_):g}, {float(v):g}; allowed: "
                         f"q^2 + u^2 + v^2 up to 1, not {float(share):g}")


@dataclass(frozen=True)
class PointSource:
    """A point source, ``S(f) = flux (f / frequency)^index``.

    Parameters
    ----------
    ra, dec : angle
        Position, ICRS.
    flux : value, Jy
        Stokes I at `frequency`.
    index : value
        Spectral index.
    frequency : value, Hz
        Reference frequency; by default, 1400 MHz.
    q, u, v : value
        Fractions of I, in the frame of the sky.
    """

    ra: Any
    dec: Any
    flux: Any = value_field("Jy", low=0)
    index: Any = value_field("", 0)
    frequency: Any = value_field("Hz", _L_BAND_HZ, positive=True)
    q: Any = value_field("", 0)
    u: Any = value_field("", 0)
    v: Any = value_field("", 0)

    def __post_init__(self) -> None:
        _place(self, "point")
        _check_stokes("point", self.q, self.u, self.v)


@dataclass(frozen=True)
class SkyPulsar:
    """A polarised pulsar on the sky, with an envelope and a dispersion as for `Pulsar`.

    Parameters
    ----------
    ra, dec : angle
        Position, ICRS.
    flux : value, Jy
        Stokes I at the peak of the pulse at 1400 MHz.
    period, dm, duty, time
        As for `Pulsar`.
    index : value
        Spectral index.
    linear, angle, circular : value
        Polarised fractions and position angle, deg: ``Q = linear I cos(2 angle)``,
        ``U = linear I sin(2 angle)``, in the frame of the sky.
    """

    ra: Any
    dec: Any
    flux: Any = value_field("Jy", low=0)
    period: Any = value_field("s", positive=True)
    dm: Any = value_field("pc / cm3", low=0)
    duty: Any = value_field("", Fraction(1, 20), high=Fraction(1, 2), low=Fraction(1, 10**6))
    time: Any = value_field("s", 0)
    index: Any = value_field("", 0)
    linear: Any = value_field("", 0, low=0, high=1)
    angle: Any = value_field("deg", 0)
    circular: Any = value_field("", 0, low=-1, high=1)

    def __post_init__(self) -> None:
        _place(self, "pulsar")
        _check_stokes("pulsar", self.linear, Fraction(0), self.circular)


@dataclass(frozen=True)
class Continuum:
    """Uniform emission from the sky, ``T (f / 1400 MHz)^index``.

    Parameters
    ----------
    temperature : value, K
        Temperature in each polarisation at 1400 MHz.
    index : value
        Spectral index; by default, -2.7, for synchrotron emission.
    """

    temperature: Any = value_field("K", low=0)
    index: Any = value_field("", Fraction(-27, 10))

    def __post_init__(self) -> None:
        settle(self, "continuum")


def spectrum(index: Fraction, reference_hz: Fraction, hertz: F8) -> F8:
    """Return ``(f / reference)^index``."""
    return np.asarray((hertz / float(reference_hz)) ** float(index))


@dataclass(frozen=True)
class HIDisk:
    """A thin disk of HI with exponential surface density and a rotation curve that becomes flat.

    ``Sigma ~ exp(-R / radius)``, ``V = rotation (1 - exp(-R / turnover))``. The line is optically
    thin, so that 1 Jy km/s corresponds to 2.356e5 D^2 solar masses.

    Parameters
    ----------
    ra, dec : angle
        Position of the centre, ICRS.
    mass : value
        Mass of HI, in solar masses.
    distance : value, Mpc
        Distance D.
    velocity : value, km / s
        Velocity of the centre in `frame`, radio convention.
    frame : {"barycentric", "lsrk", "topocentric"}
        Frame in which `velocity` is given.
    inclination : value, deg
        Inclination; 0 is face-on.
    position_angle : value, deg
        Position angle of the receding half of the major axis, north through east.
    radius, turnover : value, kpc
        Scale lengths of the density and of the rotation curve.
    rotation, dispersion : value, km / s
        Velocity in the flat part of the rotation curve, and velocity dispersion (standard
        deviation) of the gas at every position.
    """

    ra: Any
    dec: Any
    mass: Any = value_field("", 10**9, positive=True)
    distance: Any = value_field("Mpc", 10, positive=True)
    velocity: Any = value_field("km/s", 700)
    frame: str = "barycentric"
    inclination: Any = value_field("deg", 60, low=0, high=90)
    position_angle: Any = value_field("deg", 0)
    radius: Any = value_field("kpc", 3, positive=True)
    turnover: Any = value_field("kpc", 1, positive=True)
    rotation: Any = value_field("km/s", 120, low=0)
    dispersion: Any = value_field("km/s", 8, positive=True)

    def __post_init__(self) -> None:
        _place(self, "disk")
        if self.frame not in FRAMES:
            raise UsageError(f"disk frame = {self.frame!r}; allowed: {', '.join(FRAMES)}")

    @property
    def flux_jy_km_s(self) -> float:
        """Flux of the line, integrated over velocity, Jy km/s."""
        return float(self.mass) / (HI_MASS * float(self.distance) ** 2)

    @property
    def flux_jy_hz(self) -> float:
        """Flux of the line, integrated over frequency, Jy Hz."""
        return self.flux_jy_km_s * float(HI_REST_HZ) * 1000 / SPEED_OF_LIGHT


class Cells(NamedTuple):
    """Equal parts of a disk: offsets east and north, rad, and line-of-sight velocity, km/s."""

    east: F8
    north: F8
    velocity: F8


def disk_cells(disk: HIDisk) -> Cells:
    """Return cells of equal mass, in rings of equal mass."""
    share = (np.arange(N_RING) + 0.5) / N_RING
    fine = np.linspace(0, 20, 20001)
    radius = np.interp(share, 1 - (1 + fine) * np.exp(-fine), fine) * float(disk.radius)
    azimuth = 2 * np.pi * (np.arange(N_AZIMUTH) + 0.5) / N_AZIMUTH
    tilt, angle = (np.deg2rad(float(each)) for each in (disk.inclination, disk.position_angle))
    speed = float(disk.rotation) * (1 - np.exp(-radius / float(disk.turnover)))
    major = np.outer(radius, np.cos(azimuth)).ravel() / (1000 * float(disk.distance))
    minor = np.outer(radius, np.sin(azimuth)).ravel() * np.cos(tilt) / (
        1000 * float(disk.distance))
    velocity = float(disk.velocity) + np.outer(speed, np.cos(azimuth)).ravel() * np.sin(tilt)
    return Cells(major * np.sin(angle) + minor * np.cos(angle),
                 major * np.cos(angle) - minor * np.sin(angle), velocity)
