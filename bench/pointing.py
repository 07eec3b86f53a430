"""Cases: the pointing of beams, compared with astropy's SkyCoord."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import ICRS, AltAz, SkyCoord
from astropy.coordinates.erfa_astrom import ErfaAstromInterpolator, erfa_astrom
from astropy.time import Time

from bench.data import MEGA
from bench.timing import Case, Mark, Scale, Task, Yardstick
from fastsig import telescopes
from fastsig.telescopes.earth import offline
from fastsig.telescopes.observed import observed_to_icrs

#: AltAz to ICRS for the same points, without and with `ErfaAstromInterpolator(300 s)`.
PLAIN, INTERPOLATED = "SkyCoord", "SkyCoord, interpolated"

_FEW = 16  # the slow yardstick processes 1/16 of the points


def tracks(n: int, beams: int) -> tuple[Time, np.ndarray, np.ndarray]:
    """Return times of dumps of 0.1 s, azimuths and zenith distances (time, beam) of a scan, rad."""
    start = Time("2021-09-19T19:00:00", scale="utc")
    times = start + np.arange(n) * 0.1 * u.s
    along, across = np.linspace(0, 1, n)[:, None], np.linspace(0, 0.006, beams)[None]
    return times, 2.05 + 0.05 * along + across, 0.4 + 0.04 * along + across


def skycoord(times: Time, az: np.ndarray, zd: np.ndarray, *, interpolated: bool) -> SkyCoord:
    """Compute positions as a script would; astropy broadcasts the times over the beams."""
    where = telescopes.get("FAST").location
    shared = Time(times.jd1[:, None], times.jd2[:, None], format="jd", scale="utc")
    state = (erfa_astrom.set(ErfaAstromInterpolator(300 * u.s)) if interpolated
             else contextlib.nullcontext())
    with offline(), state:
        frame = AltAz(obstime=shared, location=where, az=az * u.rad,
                      alt=(np.pi / 2 - zd) * u.rad)
        return SkyCoord(frame).transform_to(ICRS())


def ours(times: Time, az: np.ndarray, zd: np.ndarray) -> tuple[u.Quantity, u.Quantity]:
    """Compute the same positions with a new Time, since astropy caches its conversions."""
    fresh = Time(times.jd1, times.jd2, format="jd", scale="utc")
    return observed_to_icrs(az * u.rad, zd * u.rad, fresh, telescopes.get("FAST").location)


def pointing(scale: Scale, beams: int) -> Task:
    n = scale.pick(76000 // beams, 400)
    points = tracks(n, beams)
    few: tuple[Any, ...] = tuple(each[: n // _FEW] for each in points)
    plain: Callable[[], object] = partial(skycoord, *few, interpolated=False)
    return Task(n * beams / MEGA, partial(ours, *points),
                {INTERPOLATED: partial(skycoord, *points, interpolated=True),
                 PLAIN: Yardstick(plain, (n // _FEW) * beams / MEGA)})


CASES = [
    Case(f"pointing-{beams}", "Mvalues", partial(pointing, beams=beams),
         f"azimuth and zenith distance to ICRS, 76,000 points of {beams} beam(s)",
         ((Mark(1.5, (INTERPOLATED,)),),))
    for beams in (19, 1)
]
