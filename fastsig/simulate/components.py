"""The signals from the sky, the receiver and the surroundings in simulated voltages.

Every field accepts text with a unit (``"5 ms"``) or a Quantity; only 0, dispersion measures and
values without a unit may be bare numbers. Once the component is made, a field contains the exact
value as a Fraction in its unit. Temperatures of line, pulsar, burst and RFI are the mean of the
two polarisations, half of Stokes I, so that they compare with the system temperature; the fields of
`Source` are Stokes parameters, ``I = AA + BB``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import astropy.units as u
import numpy as np

from fastsig.axes.constants import HI_REST_HZ, SPEED_OF_LIGHT
from fastsig.errors import UsageError
from fastsig.simulate.polycos import polyco_blocks
from fastsig.simulate.values import scalar, settle, value_field, whole

__all__ = ["Burst", "Carrier", "Diode", "Line", "Loss", "LostSpectra", "Pulsar", "RfiBurst",
           "Source"]

DIODE_KELVIN = {"low": Fraction("1.1"), "high": Fraction("12.5")}
PACKET = 4096  # samples of one polarisation in a packet of FAST's digitiser

def _check_polarized(component: Any, option: str) -> None:
    share = component.linear**2 + component.circular**2
    if share > 1:
        raise UsageError(f"{option} linear = {component.linear}, circular = {component.circular}; "
                         f"allowed: linear^2 + circular^2 up to 1, not {float(share):g}")


@dataclass(frozen=True)
class Source:
    """A polarised continuum source with the same Stokes parameters at all frequencies.

    ``I = AA + BB``, ``Q = AA - BB``, ``U = 2 CR``, ``V = 2 CI`` and ``CR + i CI = <A* B>``, with A
    = X and B = Y, where the sign of CI is that for a band in which the recorded frequency increases
    with the sky frequency.

    Parameters
    ----------
    i, q, u, v : value, K
        Stokes parameters; ``q^2 + u^2 + v^2`` is at most ``i^2``.

    Raises
    ------
    UsageError
        If the source is more than fully polarised.
    """

    i: Any = value_field("K", low=0)
    q: Any = value_field("K", 0)
    u: Any = value_field("K", 0)
    v: Any = value_field("K", 0)

    def __post_init__(self) -> None:
        settle(self, "source")
        polarized = self.q**2 + self.u**2 + self.v**2
        if polarized > self.i**2:
            raise UsageError(f"source q, u, v = {float(self.q):g}, {float(self.u):g}, "
                             f"{float(self.v):g} K; allowed: q^2 + u^2 + v^2 up to "
                             f"i^2 = {float(self.i**2):g} K^2, not {float(polarized):g}")


@dataclass(frozen=True)
class Line:
    """An unpolarised emission line with a Gaussian profile, such as HI.

    Parameters
    ----------
    peak : value, K
        Height in each polarisation.
    fwhm : value, Hz or km/s
        Full width at half maximum.
    frequency : value, Hz
        Rest frequency; by default, that of HI.
    velocity : value, km/s
        Velocity in the radio convention: the line is at ``frequency (1 - velocity / c)``.
    """

    peak: Any = value_field("K", low=0)
    fwhm: Any = value_field("Hz", positive=True)
    frequency: Any = value_field("Hz", HI_REST_HZ, positive=True)
    velocity: Any = value_field("km/s", 0)

    def __post_init__(self) -> None:
        speed = _speed(self.fwhm)
        if speed is not None:
            rest = scalar(self.frequency, "Hz", "line frequency")
            object.__setattr__(self, "fwhm", speed * 1000 * rest / SPEED_OF_LIGHT)
        settle(self, "line")

    @property
    def sky_hz(self) -> Fraction:
        """Sky frequency of the line, Hz."""
        shift: Fraction = 1 - self.velocity * 1000 / SPEED_OF_LIGHT
        return shift * Fraction(self.frequency)


def _speed(value: Any) -> Fraction | None:
    """Return `value` in km/s if it is a speed."""
    try:
        quantity = u.Quantity(value) if isinstance(value, (str, u.Quantity)) else None
    except (TypeError, ValueError):
        return None
    is_speed = quantity is not None and quantity.unit.is_equivalent("km/s")
    return scalar(value, "km/s", "line fwhm") if is_speed else None


@dataclass(frozen=True)
class Diode:
    """A noise diode that is switched on a schedule.

    Its signal is injected equally and in phase into X and Y.

    Parameters
    ----------
    temperature : value, K, or "low" or "high"
        Temperature that is added to each polarisation while the diode is on. The settings "low" and
        "high" of FAST are 1.1 and 12.5 K.
    period, on, first : int, ticks of 4 ns
        The diode is on in ticks ``first + k period`` to ``first + k period + on - 1``, k = 0, 1,
        ... The default is FAST's pulsar mode, with a period of 0.201326592 s and a duty cycle of
        50 %.
    """

    temperature: Any = value_field("K", DIODE_KELVIN["low"], low=0)
    period: int = 50_331_648
    on: int = 25_165_824
    first: int = 0

    def __post_init__(self) -> None:
        named = DIODE_KELVIN.get(str(self.temperature), self.temperature)
        object.__setattr__(self, "temperature", named)
        settle(self, "diode")
        for name, minimum in (("period", 1), ("on", 1), ("first", 0)):
            object.__setattr__(self, name, whole(getattr(self, name), f"diode {name}", minimum))
        if self.on > self.period:
            raise UsageError(f"diode on = {self.on} ticks; allowed: up to the period, "
                             f"{self.period}")


@dataclass(frozen=True)
class Pulsar:
    """A pulsar: noise with a periodic Gaussian envelope, dispersed coherently.

    Parameters
    ----------
    period : value, s
        Period; constant unless `pdot` or an orbit is given.
    dm : value, pc / cm^3
        Dispersion measure.
    duty : value
        FWHM of the pulse in turns of phase, up to 0.5.
    peak : value, K
        Height of the pulse, averaged over the two polarisations.
    time : value, s
        Time after the start at which a pulse (phase 0) peaks at the top of the band.
    linear, circular : value
        Polarised fractions; ``linear^2 + circular^2`` is at most 1, and `circular` may be negative.
    angle : value, deg
        Angle in ``Q = linear I cos(2 angle)``, ``U = linear I sin(2 angle)`` at the top of the
        band.
    rm : value, rad / m2
        Rotation measure: the angle increases by `rm` times the increase of the squared wavelength.
    pdot : value
        Derivative of the period.
    orbit, size, node : value, s
        Period of a circular orbit, its projected radius in light-seconds, and the time after the
        start at which the pulsar crosses the plane of the sky while receding.
    nulls : value
        Fraction of the turns without a pulse, from 0 to 1; these turns are chosen at random.
    polyco : str
        Polyco of TEMPO that determines the phase at the telescope instead of `period`, `time`,
        `pdot` and the orbit. Phase 0 is at the top of the band.
    """

    period: Any = value_field("s", None, positive=True)
    dm: Any = value_field("pc / cm3", None, low=0)
    duty: Any = value_field("", Fraction(1, 20), high=Fraction(1, 2), low=Fraction(1, 10**6))
    peak: Any = value_field("K", 1, low=0)
    time: Any = value_field("s", 0)
    linear: Any = value_field("", 0, low=0, high=1)
    angle: Any = value_field("deg", 0)
    circular: Any = value_field("", 0, low=-1, high=1)
    rm: Any = value_field("rad / m2", 0, recorded=False)
    pdot: Any = value_field("", 0, low=-1, high=1, recorded=False)
    orbit: Any = value_field("s", 0, low=0, recorded=False)
    size: Any = value_field("s", 0, low=0, recorded=False)
    node: Any = value_field("s", 0, recorded=False)
    nulls: Any = value_field("", 0, low=0, high=1, recorded=False)
    polyco: str = field(default="", metadata={"recorded": False})

    def __post_init__(self) -> None:
        if self.polyco:
            self._follow()
        for name in ("period", "dm"):
            if getattr(self, name) is None:
                raise UsageError(f"pulsar lacks {name}; allowed: with it, or with polyco")
        settle(self, "pulsar")
        _check_polarized(self, "pulsar")
        if self.orbit and 2 * np.pi * float(self.size) >= 0.1 * float(self.orbit):
            raise UsageError(f"pulsar size = {float(self.size):g} s; allowed: below 1/63 of the "
                             f"orbit, {float(self.orbit):g} s")
        if self.size and not self.orbit:
            raise UsageError("pulsar size without orbit; allowed: both")

    def _follow(self) -> None:
        """Take the period and dispersion measure of the polyco where they are not specified."""
        if any((self.period, self.time, self.pdot, self.orbit, self.size, self.node)):
            raise UsageError("pulsar polyco with period, time, pdot, orbit, size or node; allowed: "
                             "without them")
        blocks, dm = polyco_blocks(self.polyco)
        object.__setattr__(self, "period", 1 / blocks[0].hertz)
        if self.dm is None:
            object.__setattr__(self, "dm", dm)

    @property
    def is_steady(self) -> bool:
        """Whether all periods are equal and no pulse is missing."""
        return not (self.polyco or self.pdot or self.size or self.nulls)


@dataclass(frozen=True)
class Burst:
    """A single burst: noise with a Gaussian envelope, dispersed coherently.

    Parameters
    ----------
    time : value, s
        Time after the start at which the burst peaks at the top of the band.
    fwhm : value, s
        Full width at half maximum.
    dm, peak, linear, angle, circular
        As for `Pulsar`.
    """

    time: Any = value_field("s")
    fwhm: Any = value_field("s", positive=True)
    dm: Any = value_field("pc / cm3", low=0)
    peak: Any = value_field("K", 1, low=0)
    linear: Any = value_field("", 0, low=0, high=1)
    angle: Any = value_field("deg", 0)
    circular: Any = value_field("", 0, low=-1, high=1)

    def __post_init__(self) -> None:
        settle(self, "burst")
        _check_polarized(self, "burst")


@dataclass(frozen=True)
class Carrier:
    """A linearly polarised carrier with a drifting frequency, absent while it is outside the band.

    The voltage is proportional to ``cos(2 pi (phase + f t + drift t^2 / 2))``, with f relative to
    the band edge that is recorded at 0 Hz. The bandpass does not affect the carrier, which is
    recorded with the specified strength.

    Parameters
    ----------
    frequency : value, Hz
        Sky frequency at sample 0.
    level : value
        Rms voltage along the angle of polarisation, divided by the rms of the receiver noise in one
        polarisation.
    drift : value, Hz / s
        Drift rate on the sky.
    angle : value, deg
        Angle in ``X = cos(angle)``, ``Y = sin(angle)``.
    phase : value, turns
        Phase at sample 0.
    """

    frequency: Any = value_field("Hz", positive=True)
    level: Any = value_field("", Fraction(1, 10), low=0)
    drift: Any = value_field("Hz / s", 0)
    angle: Any = value_field("deg", 0)
    phase: Any = value_field("", 0)

    def __post_init__(self) -> None:
        settle(self, "carrier")


@dataclass(frozen=True)
class RfiBurst:
    """Unpolarised, undispersed noise in a span of time and frequency.

    Parameters
    ----------
    start, duration : value, s
        Span of time, with sharp ends.
    low, high : value, Hz
        Span of sky frequency.
    temperature : value, K
        Temperature that is added to each polarisation.
    """

    start: Any = value_field("s", low=0)
    duration: Any = value_field("s", positive=True)
    low: Any = value_field("Hz", low=0)
    high: Any = value_field("Hz", positive=True)
    temperature: Any = value_field("K", 1, low=0)

    def __post_init__(self) -> None:
        settle(self, "rfi")
        if self.high <= self.low:
            raise UsageError(f"rfi low, high = {float(self.low):g}, {float(self.high):g} Hz; "
                             "allowed: low below high")


@dataclass(frozen=True)
class Loss:
    """Lost packets of 4096 samples of one polarisation, counted from sample 0.

    Parameters
    ----------
    fraction : value
        Probability that a packet is lost, independently for each packet and polarisation.
    packets : sequence of (pol, first, last), or text
        Packets that are always lost, both ends included, with ``pol`` X or Y: ``"X:30-41+Y:7"``.
    """

    fraction: Any = value_field("", 0, low=0, high=1)
    packets: Any = ()

    def __post_init__(self) -> None:
        settle(self, "loss")
        given = self.packets
        ranges = given.split("+") if isinstance(given, str) and given else given or ()
        object.__setattr__(self, "packets", tuple(_packet_range(item) for item in ranges))


def _packet_range(item: str | Sequence[Any]) -> tuple[str, int, int]:
    parts: Sequence[Any] = item
    if isinstance(item, str):
        match = re.fullmatch(r"\s*([XY]):(\d+)(?:-(\d+))?\s*", item)
        parts = (match[1], match[2], match[3] or match[2]) if match else ()
    if len(parts) == 3 and parts[0] in ("X", "Y"):
        first, last = (whole(part, "loss packets", 0) for part in parts[1:])
        if first <= last:
            return str(parts[0]), first, last
    raise UsageError(f"loss packets = {item!r}; allowed: (pol, first, last) such as X:30-41, "
                     "pol X or Y, first up to last")


@dataclass(frozen=True)
class LostSpectra:
    """Lost spectra in a recording of spectra; all products of a spectrum are lost together.

    Parameters
    ----------
    fraction : value
        Probability that a spectrum is lost, independently for each spectrum.
    rows : sequence of (first, last), or text
        Spectra that are always lost, both ends included, counted from 0: ``"30-41+77"``.
    """

    fraction: Any = value_field("", 0, low=0, high=1)
    rows: Any = ()

    def __post_init__(self) -> None:
        settle(self, "loss")
        given = self.rows
        ranges = given.split("+") if isinstance(given, str) and given else given or ()
        object.__setattr__(self, "rows", tuple(_row_range(item) for item in ranges))


def _row_range(item: str | Sequence[Any]) -> tuple[int, int]:
    parts: Sequence[Any] = item
    if isinstance(item, str):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", item)
        parts = (match[1], match[2] or match[1]) if match else ()
    if len(parts) == 2:
        first, last = (whole(part, "loss rows", 0) for part in parts)
        if first <= last:
            return first, last
    raise UsageError(f"loss rows = {item!r}; allowed: (first, last) such as 30-41, first up to "
                     "last")
