"""A constant period with derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from astropy.time import Time
from numpy.typing import NDArray

from fastsig.axes.constants import SPEED_OF_LIGHT
from fastsig.axes.dispersion import LARGEST_DM
from fastsig.axes.time import iso
from fastsig.axes.units import exact
from fastsig.errors import UsageError
from fastsig.pulsar.phases import Instant, PhasePolynomial
from fastsig.work.arguments import shown

__all__ = ["ConstantPeriod"]

Array = NDArray[np.float64]
Turns = tuple[NDArray[np.int64], Array]


class ConstantPeriod:
    r"""A period, or a frequency, with derivatives and acceleration.

    .. math:: \phi(t) = f t + \dot f t^2 / 2 + \ddot f t^3 / 6

    with t in SI seconds since the epoch, where the phase is 0. For a period f = 1/P,
    :math:`\dot f = -\dot P / P^2` and :math:`\ddot f = 2 \dot P^2 / P^3 - \ddot P / P^2`. The
    acceleration a along the line of sight adds a f / c to the first derivative; as in PRESTO and
    PulsarX, it is positive where the frequency rises, that is, towards us.

    Parameters
    ----------
    period, frequency : Quantity or str
        One of the two, as in ``"0.7s"`` or ``"1.4286Hz"``; text is exact.
    pdot, pddot : optional
        Derivatives of the period: a number (s/s), and as in ``"1e-20 / s"``.
    fdot, fddot : Quantity or str, optional
        Derivatives of the frequency, as in ``"-1e-14 Hz/s"`` and ``"1e-25 Hz/s2"``.
    epoch : Time
        Time to which all values refer, UTC at the telescope.
    acceleration : Quantity or str, optional
        As in ``"20 m/s2"``.
    dm : float, optional
        Dispersion measure, pc cm^-3.
    source : str
        Name of the pulsar.

    Raises
    ------
    UsageError
        If not one of period and frequency is given, or a value is not a finite number.
    """

    reference_mhz: float | None = None
    span: tuple[Time, Time] | None = None

    def __init__(self, *, epoch: Time, period: Any = None, pdot: Any = None, pddot: Any = None,
                 frequency: Any = None, fdot: Any = None, fddot: Any = None,
                 acceleration: Any = None, dm: float | None = None, source: str = "") -> None:
        if (period is None) == (frequency is None):
            raise UsageError("give either a period or a frequency")
        if (fdot, fddot) != (None, None) if frequency is None else (pdot, pddot) != (None, None):
            raise UsageError("a period has derivatives pdot and pddot, a frequency fdot and fddot")
        self.source, self.dm = source, _dm(dm)
        self.epoch = epoch
        f, df, ddf = (_of_frequency(frequency, fdot, fddot) if period is None
                      else _of_period(period, pdot, pddot))
        self.acceleration = exact(acceleration or 0, "m / s2", "acceleration")
        df += self.acceleration * f / SPEED_OF_LIGHT
        self.polynomial = PhasePolynomial(Instant.of(epoch), (Fraction(0), f, df / 2, ddf / 6))

    def phase(self, start: Time, seconds: Array) -> Turns:
        """Return whole turns and the fraction of a turn, some SI seconds after `start`."""
        return self.polynomial.phase(Instant.of(start), seconds)

    def frequency(self, start: Time, seconds: Array) -> Array:
        """Return the frequency, Hz, some SI seconds after `start`."""
        return self.polynomial.frequency(Instant.of(start), seconds)

    def parameters(self) -> Mapping[str, Any]:
        """Return what determines the phases."""
        _, f, half, sixth = self.polynomial.coefficients
        return {"predictor": "constant period", "frequency_hz": float(f),
                "frequency_derivatives": [float(2 * half), float(6 * sixth)],
                "epoch": iso(self.epoch), "place": "telescope"}


def _dm(dm: float | None) -> float | None:
    if dm is not None and not 0 <= dm <= LARGEST_DM:
        raise UsageError(f"dm = {shown(dm)}; allowed: 0 to {LARGEST_DM:.0e} pc/cm3")
    return dm


def _of_period(period: Any, first: Any, second: Any) -> tuple[Fraction, Fraction, Fraction]:
    p = _positive(period, "s", "period")
    dp, ddp = exact(first or 0, "", "pdot"), exact(second or 0, "1 / s", "pddot")
    return 1 / p, -dp / p**2, 2 * dp**2 / p**3 - ddp / p**2


def _of_frequency(frequency: Any, first: Any, second: Any) -> tuple[Fraction, Fraction, Fraction]:
    return (_positive(frequency, "Hz", "frequency"), exact(first or 0, "Hz / s", "fdot"),
            exact(second or 0, "Hz / s2", "fddot"))


def _positive(value: Any, unit: str, name: str) -> Fraction:
    found = exact(value, unit, name)
    if found <= 0:
        raise UsageError(f"{name} = {shown(value)}; allowed: above 0")
    return found
