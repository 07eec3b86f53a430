"""A constant period with derivatives, at the telescope or at the solar system's barycentre."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.constants import SPEED_OF_LIGHT
from fastsig.axes.dispersion import LARGEST_DM
from fastsig.axes.time import as_iso
from fastsig.axes.units import exact
from fastsig.errors import UsageError
from fastsig.pulsar.phases import Instant, evaluate, moved, slope
from fastsig.work.arguments import shown

if TYPE_CHECKING:
    from fastsig.telescopes.barycentric_clock import BarycentricClock

__all__ = ["ConstantPeriod"]

Array = NDArray[np.float64]
Turns = tuple[NDArray[np.int64], Array]

_HALF_S = 30.0  # to either side, for the rate of the barycentric clock

class ConstantPeriod:
    r"""A period, or a frequency, with derivatives and acceleration.

    .. math:: \phi(t) = f t + \dot f t^2 / 2 + \ddot f t^3 / 6

    where t is the time since the epoch, at which the phase is 0, in SI seconds at the telescope or
    in seconds of TDB at the barycentre. For a period f = 1/P, :math:`\dot f = -\dot P / P^2` and
    :math:`\ddot f = 2 \dot P^2 / P^3 - \ddot P / P^2`. The acceleration a along the line of sight
    adds a f / c to the first derivative; as in PRESTO and PulsarX, it is positive where the
    frequency rises, that is, towards us.

    Parameters
    ----------
    period, frequency : Quantity or str
        One of the two, as in ``"0.7s"`` or ``"1.4286Hz"``; text is exact.
    pdot, pddot : optional
        First and second derivative of the period: a number (s/s), and a value such as
        ``"1e-20 / s"``.
    fdot, fddot : Quantity or str, optional
        Derivatives of the frequency, as in ``"-1e-14 Hz/s"`` and ``"1e-25 Hz/s2"``.
    epoch : Time
        Time to which all values refer: UTC at the telescope, or TDB at the barycentre.
    clock : BarycentricClock, optional
        Clock at the barycentre for the telescope and the source; without one, the values are those
        at the telescope.
    acceleration : Quantity or str, optional
        Acceleration along the line of sight, as in ``"20 m/s2"``.
    dm : float, optional
        Dispersion measure, pc cm^-3.
    source : str
        Name of the pulsar.

    Raises
    ------
    UsageError
        If neither or both of period and frequency are given, or a value is not a finite number.
    """

    reference_mhz: float | None = None
    span: tuple[Time, Time] | None = None

    def __init__(self, *, epoch: Time, period: Any = None, pdot: Any = None, pddot: Any = None,
                 frequency: Any = None, fdot: Any = None, fddot: Any = None,
                 acceleration: Any = None, clock: BarycentricClock | None = None,
                 dm: float | None = None, source: str = "") -> None:
        if (period is None) == (frequency is None):
            raise UsageError("give either a period or a frequency")
        if (fdot, fddot) != (None, None) if frequency is None else (pdot, pddot) != (None, None):
            raise UsageError("a period has derivatives pdot and pddot, a frequency fdot and fddot")
        self.source, self.dm = source, _dm(dm)
        self.epoch = as_iso(epoch)
        f, df, ddf = (_of_frequency(frequency, fdot, fddot) if period is None
                      else _of_period(period, pdot, pddot))
        self.acceleration = _given(acceleration, "m / s2", "acceleration")
        df += self.acceleration * f / SPEED_OF_LIGHT
        self.clock = clock
        self._coefficients = (Fraction(0), f, df / 2, ddf / 6)

    def phase(self, start: Time, seconds: Array) -> Turns:
        """Return whole turns and the fraction of a turn at given SI seconds after `start`."""
        offset, x = self._since_epoch(start, seconds)
        return evaluate(moved(self._coefficients, offset), x)

    def frequency(self, start: Time, seconds: Array) -> Array:
        """Return the frequency at the telescope, Hz, at given SI seconds after `start`."""
        offset, x = self._since_epoch(start, seconds)
        found = slope(moved(self._coefficients, offset), x)
        if self.clock is None:
            return found
        early, late = (self.clock.ahead(start, np.asarray(seconds) + each)
                       for each in (-_HALF_S, _HALF_S))
        return found * (1 + (late - early) / (2 * _HALF_S))

    def parameters(self) -> Mapping[str, Any]:
        """Return the parameters that determine the phases."""
        _, f, half, sixth = self._coefficients
        clock = self.clock
        return {"predictor": "constant period", "frequency_hz": float(f),
                "frequency_derivatives": [float(2 * half), float(6 * sixth)],
                "epoch": self.epoch.isot, "place": "telescope" if clock is None else "barycentre",
                **({} if clock is None else clock.parameters())}

    def _since_epoch(self, start: Time, seconds: Array) -> tuple[Fraction, Array]:
        """Return the exact time from the epoch to the start, and the times after the start."""
        x = np.asarray(seconds, np.float64)
        if self.clock is None:
            return Instant.of(start).since(Instant.of(self.epoch)), x
        day, rest = self.clock.start(start)
        first = self.clock.ahead(start, np.zeros(1))
        return (day * 86400 + rest - _tdb_seconds(self.epoch),
                x + (self.clock.ahead(start, x) - first))


def _tdb_seconds(time: Time) -> Fraction:
    """Return the exact value of the two parts of a time: seconds of TDB since MJD 0."""
    tdb = time.tdb
    return (Fraction(float(tdb.jd1)) + Fraction(float(tdb.jd2)) - Fraction(4800001, 2)) * 86400


def _dm(dm: float | None) -> float | None:
    if dm is not None and not 0 <= dm <= LARGEST_DM:
        raise UsageError(f"dm = {shown(dm)}; allowed: 0 to {LARGEST_DM:.0e} pc/cm3")
    return dm


def _of_period(period: Any, first: Any, second: Any) -> tuple[Fraction, Fraction, Fraction]:
    p = _positive(period, "s", "period")
    dp, ddp = _given(first, "", "pdot"), _given(second, "1 / s", "pddot")
    return 1 / p, -dp / p**2, 2 * dp**2 / p**3 - ddp / p**2


def _of_frequency(frequency: Any, first: Any, second: Any) -> tuple[Fraction, Fraction, Fraction]:
    return (_positive(frequency, "Hz", "frequency"), _given(first, "Hz / s", "fdot"),
            _given(second, "Hz / s2", "fddot"))


def _given(value: Any, unit: str, name: str) -> Fraction:
    """Return a value that may be left out, which is then 0."""
    return Fraction(0) if value is None else exact(value, unit, name)


def _positive(value: Any, unit: str, name: str) -> Fraction:
    found = exact(value, unit, name)
    if found <= 0:
        raise UsageError(f"{name} = {shown(value)}; allowed: above 0")
    return found
