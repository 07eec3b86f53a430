r"""A clock at the solar system's barycentre, accurate to 1 us with an ephemeris of JPL.

.. math:: t_b = t_{TDB} + r \cdot n / c + (2 G M / c^3) \ln((|d| + d \cdot n) / AU)

where r is the telescope's position relative to the barycentre, d its position relative to the Sun,
and n the direction of the source. The terms are the Einstein delay (contained in t_TDB, including
the effect of the telescope's motion about the Earth's centre), the Roemer delay and the Shapiro
delay (of the Sun alone). The distance of the source is taken to be infinite, and dispersion is not
corrected. TEMPO, tempo2, PINT and PRESTO use the same barycentre, apart from differences of their
ephemerides.

References
----------
G. B. Hobbs, R. T. Edwards, R. N. Manchester, MNRAS 369, 655 (2006), section 2. P. T. Wallace, ERFA
(SOFA): dtdb, epv00, apco13.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from fractions import Fraction
from math import floor
from typing import Any

import erfa
import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.telescopes import barycenter
from fastsig.telescopes.kernels import Kernel, earth_and_sun

__all__ = ["BarycentricClock"]

Array = NDArray[np.float64]

_STEP_S = 60
_ORIGIN_MJD = 58849  # 2020
_TT_TAI_S = Fraction("32.184")
#: 2 G M / c^3 of the Sun, s (IAU 2015: nominal solar mass parameter).
_SUN_S = 2 * 1.3271244e20 / erfa.CMPS**3
_AU_S = erfa.DAU / erfa.CMPS
#: With a kernel: PINT's to 0.1 ns, and more than clocks add. ERFA's series agrees with DE421 to 25
#: us; the barycentre of DE440, which has more bodies beyond Neptune, is up to 0.43 ms away.
_ACCURACY_S = {True: 1e-6, False: 5e-4}


class BarycentricClock:
    """A clock at the barycentre for a telescope and a source.

    Positions are computed for every minute and interpolated to better than 1 ns.

    Parameters
    ----------
    position : tuple of float
        Right ascension and declination, ICRS, deg.
    location : EarthLocation
        Position of the telescope.
    kernel : Kernel, optional
        Ephemeris of the solar system; without one, ERFA's series for the Earth is used.
    """

    def __init__(self, position: tuple[float, float], location: Any, kernel: Kernel | None = None
                 ) -> None:
        self.position, self.location, self.kernel = position, location, kernel
        self._direction = erfa.s2c(*np.radians(position))
        self._nodes: dict[int, Array] = {}
        self._lock = threading.Lock()

    def parameters(self) -> Mapping[str, Any]:
        """Return the parameters that determine the times, and the accuracy of the times."""
        kernel = self.kernel
        return {"position_deg": list(self.position),
                "site_m": [round(float(each.to_value("m")), 4)
                           for each in self.location.geocentric],
                "ephemeris": "ERFA epv00" if kernel is None else kernel.name,
                **({} if kernel is None else {"ephemeris_of": kernel.origin}),
                "scale": "TDB", "accuracy_s": _ACCURACY_S[kernel is not None]}

    def start(self, time: Time) -> tuple[int, Fraction]:
        """Return the barycentric time of a time at the telescope: TDB, as MJD day and seconds."""
        seconds = _tai_seconds(time) + _TT_TAI_S + Fraction(float(self.ahead(time, np.zeros(1))[0]))
        day = floor(seconds / 86400)
        return _ORIGIN_MJD + day, seconds - day * 86400

    def ahead(self, start: Time, seconds: Array) -> Array:
        """Return by how much the clock is ahead of terrestrial time (TT), s.

        Parameters
        ----------
        start : Time
            Time at the telescope.
        seconds : ndarray, float64
            SI seconds since `start`.
        """
        first = _tai_seconds(start)
        cell = floor(first / _STEP_S)
        x = np.asarray(seconds, np.float64) + float(first - cell * _STEP_S)
        steps = np.floor(x / _STEP_S)
        return self._interpolated(cell + steps.astype(np.int64), x / _STEP_S - steps)

    def _interpolated(self, cells: NDArray[np.int64], part: Array) -> Array:
        wanted, place = np.unique(cells, return_inverse=True)
        low, high = np.moveaxis(self._table(wanted)[place.reshape(cells.shape)], -2, 0)
        out, back, rise = low[..., 1], high[..., 1], high[..., 0] - low[..., 0]
        roemer = low[..., 0] + part * (out + part * (
            3 * rise - 2 * out - back + part * (out + back - 2 * rise)))
        return np.asarray(roemer + low[..., 2] + part * (high[..., 2] - low[..., 2]))

    def _table(self, cells: NDArray[np.int64]) -> Array:
        """Return what is computed for both ends of cells: (cell, end, 3)."""
        with self._lock:
            every = np.unique(np.concatenate([cells, cells + 1]))
            new = np.array([each for each in every.tolist() if each not in self._nodes], np.int64)
            if new.size:
                self._nodes.update(zip(new.tolist(), self._computed(new), strict=True))
            return np.array([[self._nodes[each], self._nodes[each + 1]] for each in cells.tolist()])

    def _computed(self, cells: NDArray[np.int64]) -> Array:
        """Return Roemer's delay, its change in a minute, and the other two: s, (n, 3)."""
        times = Time(_ORIGIN_MJD + 2400000.5, cells * (_STEP_S / 86400), format="jd", scale="tai")
        tdb = barycenter.dynamical(times, self.location)
        einstein = ((tdb.jd1 - times.tt.jd1) + (tdb.jd2 - times.tt.jd2)) * 86400
        place, velocity, sun = self._observer(times, tdb)
        n = self._direction
        # The others are so smooth that lines between minutes are right to 0.01 ns.
        return np.column_stack([place @ n, velocity @ n * _STEP_S,
                                einstein + _shapiro(place - sun, n)])

    def _observer(self, times: Time, tdb: Time) -> tuple[Array, Array, Array]:
        """Return place of the telescope (light seconds), velocity (c), and place of the Sun."""
        place, velocity = barycenter.observer(times, self.location)
        tt = times.tt
        heliocentric, earth = erfa.epv00(tt.jd1, tt.jd2)  # as apco13 takes it
        if self.kernel is None:
            return place, velocity, (earth["p"] - heliocentric["p"]) * _AU_S
        km, km_s, sun = earth_and_sun(self.kernel, tdb.jd1, tdb.jd2)
        light = erfa.CMPS / 1000
        return (place - earth["p"] * _AU_S + km.T / light,
                velocity - earth["v"] * (_AU_S / 86400) + km_s.T / light, sun.T / light)


def _shapiro(from_sun: Array, direction: Array) -> Array:
    distance = np.sqrt((from_sun**2).sum(axis=1))
    return np.asarray(_SUN_S * np.log((distance + from_sun @ direction) / _AU_S))


def _tai_seconds(time: Time) -> Fraction:
    """Return SI seconds since the origin, TAI."""
    tai = time.tai
    days = Fraction(float(tai.jd1)) + Fraction(float(tai.jd2)) - Fraction(4800001, 2)
    return (days - _ORIGIN_MJD) * 86400
