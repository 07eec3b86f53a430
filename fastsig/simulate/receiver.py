"""Effects of a real receiver on spectra: uneven diode, drift, standing waves, unequal channels.

All are options: without them the receiver is steady, with equal polarisations and a diode that adds
the same signal in phase to both. Times are counted from the start of spectrum 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.simulate.values import settle, value_field

__all__ = ["GainDrift", "Jones", "Ripple", "Tcal", "check_ripples", "diode_stokes", "drift_gain",
           "jones_factors", "ripple_power"]

F8 = NDArray[np.float64]
STANDING_WAVE_HZ = Fraction(1_080_000)  # of FAST, arXiv:2401.17364


@dataclass(frozen=True)
class Tcal:
    """Deviations of a noise diode from an ideal one with the temperature T of the `Diode`.

    ``A = T (1 + q) (1 + slope_a x)``, ``B = T (1 - q) (1 + slope_b x)``, where x increases from
    -1/2 to 1/2 across the band, and ``<A* B> = coherence sqrt(A B) exp(i phase)``.

    Parameters
    ----------
    q : value
        Q / I of the diode.
    phase : value, deg
        Phase of ``<A* B>``.
    coherence : value
        Coherence of the two polarisations: 1 for one diode that feeds both.
    slope_a, slope_b : value
        Relative change across the band.
    """

    q: Any = value_field("", 0, low=-1, high=1)
    phase: Any = value_field("deg", 0)
    coherence: Any = value_field("", 1, low=0, high=1)
    slope_a: Any = value_field("", 0, low=-1, high=1)
    slope_b: Any = value_field("", 0, low=-1, high=1)

    def __post_init__(self) -> None:
        settle(self, "tcal")

    def kelvin(self, temperature: float, place: F8) -> tuple[F8, F8]:
        """Return A and B at positions in the band, 0 at its lower and 1 at its upper edge, K."""
        x = place - 0.5
        q = float(self.q)
        return (temperature * (1 + q) * (1 + float(self.slope_a) * x),
                temperature * (1 - q) * (1 + float(self.slope_b) * x))


def diode_stokes(tcal: Tcal | None, temperature: float, place: F8) -> tuple[F8, F8, F8, F8]:
    """Return I, Q, U, V of the diode at positions in the band, K."""
    a, b = (tcal or Tcal()).kelvin(temperature, place)
    cross = 2 * float(tcal.coherence if tcal else 1) * np.sqrt(a * b)
    phase = np.deg2rad(float(tcal.phase)) if tcal else 0.0
    return a + b, a - b, cross * np.cos(phase), cross * np.sin(phase)


@dataclass(frozen=True)
class GainDrift:
    """A gain that drifts in the same way for both polarisations.

    The gain is ``1 + amplitude sin(2 pi t / period + phase) + slope t / (1 h)``, averaged over each
    spectrum.

    Parameters
    ----------
    amplitude, slope : value
        Relative change, and relative change per hour.
    period : value, s
        Period of the drift.
    phase : value, deg
        Phase at the start.
    """

    amplitude: Any = value_field("", Fraction(1, 50), low=0, high=Fraction(1, 2))
    period: Any = value_field("s", 600, positive=True)
    phase: Any = value_field("deg", 0)
    slope: Any = value_field("", 0)

    def __post_init__(self) -> None:
        settle(self, "drift")


def drift_gain(drift: GainDrift, start: int, n: int, step: Fraction) -> F8:
    """Return the mean gain in spectra from `start` on, (n,)."""
    middle = (start + np.arange(n) + 0.5) * float(step)
    turns = middle / float(drift.period) + float(drift.phase) / 360
    shrunk = float(drift.amplitude) * np.sinc(float(step / drift.period))
    return np.asarray(1 + shrunk * np.sin(2 * pi * turns) + float(drift.slope) * middle / 3600)


@dataclass(frozen=True)
class Ripple:
    """A standing wave between feed and reflector: a system temperature that varies with frequency.

    It adds ``amplitude (1 + amplitude_rate t) cos(2 pi (f - low) / period + phase + phase_rate t)``
    to A. To B it adds the same term, with its phase increased by `phase_b`. ``low`` is the lower
    edge of the band.

    Parameters
    ----------
    amplitude : value, K
        Amplitude in each polarisation.
    period : value, Hz
        Period in frequency; FAST's is 1.08 MHz.
    phase, phase_b : value, deg
        Phase of A at the lower edge at the start of the recording, and the phase of B minus that of
        A.
    phase_rate : value, deg / s
        Drift of the phase.
    amplitude_rate : value, 1 / s
        Relative drift of the amplitude.
    on : value
        Factor by which the amplitude is multiplied while the noise diode is on.
    """

    amplitude: Any = value_field("K", low=0)
    period: Any = value_field("Hz", STANDING_WAVE_HZ, positive=True)
    phase: Any = value_field("deg", 0)
    phase_rate: Any = value_field("deg / s", 0)
    amplitude_rate: Any = value_field("1 / s", 0)
    phase_b: Any = value_field("deg", 0)
    on: Any = value_field("", 1, low=0)

    def __post_init__(self) -> None:
        settle(self, "ripple")


def ripple_power(ripple: Ripple, middle_s: F8, on: F8, low: F8, high: F8) -> tuple[F8, F8]:
    """Return the powers that a ripple adds to A and to B, averaged over channels, (n, chan), K.

    Parameters
    ----------
    middle_s, on : ndarray, (n,)
        Middles of the spectra, s, and the share of each in which the diode is on.
    low, high : ndarray, (chan,), Hz
        Edges of the channels relative to the lower edge of the band.
    """
    period = float(ripple.period)
    turns = (low + high) / 2 / period
    height = float(ripple.amplitude) * np.sinc((high - low) / period)
    size = (1 + float(ripple.amplitude_rate) * middle_s) * (1 + (float(ripple.on) - 1) * on)
    phase = (float(ripple.phase) + float(ripple.phase_rate) * middle_s) / 360
    a, b = (size[:, np.newaxis] * height * np.cos(
        2 * pi * (turns + phase[:, np.newaxis] + more / 360))
        for more in (0.0, float(ripple.phase_b)))
    return a, b


def check_ripples(ripples: tuple[Ripple, ...], kelvin: float, seconds: float) -> None:
    """Refuse ripples that together exceed the receiver noise of `kelvin`."""
    most = sum(float(each.amplitude) * max(1.0, float(each.on))
               * max(1.0, abs(1 + float(each.amplitude_rate) * seconds)) for each in ripples)
    if most > kelvin:
        raise UsageError(f"ripple amplitude = {most:g} K in all; allowed: up to the receiver "
                         f"noise, {kelvin:g} K")


@dataclass(frozen=True)
class Jones:
    """Differences between the two receiver chains, through which all signals and the noise pass.

    Parameters
    ----------
    ratio : value
        Power of A divided by that of B; the mean of the two powers does not change.
    phase : value, deg
        Phase added to that of ``<A* B>`` in the middle of the band.
    delay : value, ns
        Delay that is added to the path of B; it adds ``2 pi delay (f - middle)`` to the phase.
    """

    ratio: Any = value_field("", 1, positive=True)
    phase: Any = value_field("deg", 0)
    delay: Any = value_field("ns", 0)

    def __post_init__(self) -> None:
        settle(self, "jones")


def jones_factors(jones: Jones, place: F8, width_hz: float) -> tuple[float, float, F8, F8]:
    """Return factors on AA and BB, and cosine and sine parts of the one on CR + i CI, (chan,)."""
    ratio = float(jones.ratio)
    a, b = 2 * ratio / (1 + ratio), 2 / (1 + ratio)
    turns = float(jones.phase) / 360 + float(jones.delay) * 1e-9 * (place - 0.5) * width_hz
    size = (a * b) ** 0.5
    return a, b, size * np.cos(2 * pi * turns), size * np.sin(2 * pi * turns)
