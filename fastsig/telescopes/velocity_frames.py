r"""Frames of velocity: the effect of an observer's motion on frequencies.

.. math:: f_{frame} / f_{topo} = \sqrt{\frac{1 + \beta}{1 - \beta}}, \quad
    \beta = (v_{frame} - v_{site}) \cdot n / c

Here, n points from the observer to the source, and v_frame and v_site are velocities relative to
the solar system's barycentre. A site that moves towards a source therefore observes frequencies
that are too high, and the factor is below 1. As in astropy's `SpectralCoord` and in GBTIDL, the
effects of motion across the line of sight (at most 1.6 m/s, or 3.4 m/s for LSRK) and of gravity
(3 m/s, nearly constant) are ignored.

References
----------
E. W. Greisen et al., A&A 446 (2006) 747, table 12 (names of frames); M. A. Gordon, in: Methods of
Experimental Physics 12C (1976) 277 (LSRK); ERFA's epv00, apco13.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import astropy.units as u
import erfa
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.constants import SPEED_OF_LIGHT
from fastsig.errors import UsageError
from fastsig.work.arguments import shown

if TYPE_CHECKING:
    from astropy.coordinates import EarthLocation

__all__ = ["FRAMES", "SPECSYS", "factor", "frame_of", "known_frame"]

#: Frames, and their names in FITS.
SPECSYS = {"topocentric": "TOPOCENT", "geocentric": "GEOCENTR", "barycentric": "BARYCENT",
           "heliocentric": "HELIOCEN", "lsrk": "LSRK"}
FRAMES = tuple(SPECSYS)

# Other names: in FITS, in SDFITS (CTYPE1 = 'FREQ-LSR'), and short forms.
_CALLED = {**{code.casefold(): name for name, code in SPECSYS.items()},
           "topo": "topocentric", "obs": "topocentric", "top": "topocentric",
           "geo": "geocentric", "bary": "barycentric", "bar": "barycentric",
           "helio": "heliocentric", "hel": "heliocentric", "lsr": "lsrk"}

_STEP_DAY = 1 / 144  # linear interpolation errs by 1e-4 m/s
_AU_DAY = (u.au / u.day).to(u.m / u.s)

F8 = NDArray[np.float64]


def known_frame(name: Any) -> str | None:
    """Return the frame that a text names, by any of its names; None if it is not in `FRAMES`."""
    key = str(name).strip().casefold()
    return key if key in FRAMES else _CALLED.get(key)


def frame_of(name: Any) -> str:
    """Return the frame that a text names; see `known_frame`.

    Raises
    ------
    UsageError
        If the text names none of `FRAMES`.
    """
    found = known_frame(name)
    if found is None:
        raise UsageError(f"frame {name!r}; allowed: {', '.join(FRAMES)}")
    return found


def factor(frame: str, ra: Any, dec: Any, times: Time, location: EarthLocation) -> F8:
    """Return the ratio of frequencies in a frame to those at the telescope.

    Parameters
    ----------
    frame : str
        One of `FRAMES`.
    ra, dec : Quantity
        Position, ICRS, shape (), (time,) or (time, beam); NaN gives NaN.
    times : Time
        Times, shape (time,).
    location : EarthLocation
        Position of the telescope.

    Returns
    -------
    ndarray, float64
        f_frame / f_topo, in the common shape of times and positions.
    """
    from fastsig.telescopes.observed import observer_velocity  # loads the reader of IERS tables

    frame = frame_of(frame)
    for name, each in (("ra", ra), ("dec", dec)):
        if not hasattr(each, "unit"):
            raise UsageError(f"{name} = {shown(each)} has no unit; allowed: angles, such as "
                             f"{name}=83.6 * u.deg")
    lon, lat = (np.asarray(u.Quantity(each).to_value(u.rad)) for each in (ra, dec))
    axes = max(lon.ndim, lat.ndim, 1)
    if frame == "topocentric":
        still = np.zeros(times.shape + (1,) * (axes - 1))
        return np.asarray(np.where(np.isfinite(lon + lat + still), 1.0, np.nan))
    moves = _velocity(frame, times) - observer_velocity(times, location)
    moves = moves.reshape(times.shape + (1,) * (axes - 1) + (3,))
    beta = (moves * erfa.s2c(lon, lat)).sum(axis=-1) / SPEED_OF_LIGHT
    return np.asarray(np.sqrt((1 + beta) / (1 - beta)))


def _velocity(frame: str, times: Time) -> F8:
    """Return a frame's velocity relative to the barycentre, m/s, ICRS, (time, 3) or (1, 3)."""
    if frame == "barycentric":
        return np.zeros((1, 3))
    if frame == "lsrk":
        return -_solar_motion()[np.newaxis]
    day = times.tt.jd1 + times.tt.jd2
    cell = np.floor(day / _STEP_DAY)
    nodes = np.unique(np.concatenate([cell, cell + 1]))
    about_sun, about_centre = erfa.epv00(nodes * _STEP_DAY, 0.0)
    moves = about_centre["v"] - (about_sun["v"] if frame == "heliocentric" else 0)
    left, part = np.searchsorted(nodes, cell), (day / _STEP_DAY - cell)[:, np.newaxis]
    return np.asarray((moves[left] * (1 - part) + moves[left + 1] * part) * _AU_DAY)


@cache
def _solar_motion() -> F8:
    """Return the solar motion, 20 km/s towards 18h, +30 deg (B1900) to nearby stars, m/s, ICRS.

    The barycentre is assumed to move with this velocity, as in astropy.
    """
    from astropy.coordinates import FK4, SkyCoord  # 0.2 s that names of frames do not need

    apex = SkyCoord(270 * u.deg, 30 * u.deg, frame=FK4(equinox="B1900", obstime="B1900")).icrs
    return np.asarray(20e3 * apex.cartesian.xyz.value)
