"""Dispersion by cold plasma: delays of channels, and the values that determine them.

A signal at frequency f arrives ``K DM (f^-2 - f_ref^-2)`` after it arrives at the reference
frequency. Times are exact fractions where they become times of a header, and float64 where they
become numbers of samples.

References
----------
R. N. Manchester and J. H. Taylor, Pulsars (1977): K = 1/2.41e-4, the convention of TEMPO, PRESTO
and dspsr, by which dispersion measures are published. S. R. Kulkarni, arXiv:2007.02886 (2020):
the value that follows from the constants of physics, 4148.808.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from astropy import units as u
from numpy.typing import NDArray

from fastsig.axes.constants import DISPERSION_CONSTANT
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.units import exact
from fastsig.errors import UsageError
from fastsig.work.arguments import shown

__all__ = ["LARGEST_DM", "ChannelDelays", "channel_delays", "constant_of", "delay_s", "dm_of",
           "lateness", "reference_of", "top_hz"]

#: Largest dispersion measure that is accepted, pc cm^-3: a hundred times that of any known source.
LARGEST_DM = 10**6

_CONSTANTS = (4000, 4300)
_UNIT = "pc / cm3"
_REFERENCES = "top (the highest channel), infinity, or a frequency such as 1500MHz"


def dm_of(value: Any, name: str = "dm", *, allow_negative: bool = False) -> Fraction:
    """Return a dispersion measure, pc cm^-3: a number, text or a Quantity.

    Raises
    ------
    UsageError
        If the value is not one finite number, is too large, or is negative without
        `allow_negative`.
    """
    has_unit = (value.unit != u.dimensionless_unscaled if isinstance(value, u.Quantity)
                else isinstance(value, str) and "pc" in value)
    try:
        dm = exact(value, _UNIT if has_unit else "", name)
    except (UsageError, TypeError) as error:
        raise UsageError(f"{name} = {shown(value)} is not a dispersion measure; allowed: a number "
                         "of pc cm^-3, such as 475") from error
    low = -LARGEST_DM if allow_negative else 0
    if not low <= dm <= LARGEST_DM:
        raise UsageError(f"{name} = {shown(value)}; allowed: {low} to {LARGEST_DM} pc cm^-3")
    return dm


def constant_of(value: Any = None) -> Fraction:
    """Return a dispersion constant, MHz^2 pc^-1 cm^3 s; 1/2.41e-4 if None.

    Raises
    ------
    UsageError
        If the value is not a number near 1/2.41e-4, such as 4148.808.
    """
    if value is None:
        return DISPERSION_CONSTANT
    constant = value if isinstance(value, Fraction) else exact(value, "", "constant")
    if not _CONSTANTS[0] < constant < _CONSTANTS[1]:
        raise UsageError(f"constant = {shown(value)}; allowed: about 4149 MHz^2 pc^-1 cm^3 s, such "
                         "as 4148.808; 1/2.41e-4 by default")
    return constant


def top_hz(axis: ChannelAxis) -> Fraction:
    """Return the centre of the highest channel, Hz."""
    return axis.first_hz + (axis.n_chan - 1) * axis.step_hz


def reference_of(value: Any, axis: ChannelAxis) -> Fraction | None:
    """Return a reference frequency, Hz, or None for infinite frequency.

    Parameters
    ----------
    value : Quantity or str
        A frequency, ``"top"`` for the centre of the highest channel, or ``"infinity"``.
    axis : ChannelAxis

    Raises
    ------
    UsageError
        If the value is anything else, or not above 0.
    """
    if isinstance(value, str) and value.strip().lower() in ("top", "infinity", "inf"):
        return top_hz(axis) if value.strip().lower() == "top" else None
    if isinstance(value, u.Quantity) and np.size(value) == 1 and np.isposinf(value.value):
        return None
    if not isinstance(value, (str, u.Quantity)):
        raise UsageError(f"ref = {shown(value)}; allowed: {_REFERENCES}")
    found = exact(value, "Hz", "ref")
    if found <= 0:
        raise UsageError(f"ref = {shown(value)}; allowed: {_REFERENCES}")
    return found


def delay_s(dm: Fraction, frequency_hz: Fraction, reference_hz: Fraction | None = None,
            constant: Fraction = DISPERSION_CONSTANT) -> Fraction:
    """Return the delay at a frequency after a reference frequency, exact, s.

    Parameters
    ----------
    dm : Fraction
        Dispersion measure, pc cm^-3.
    frequency_hz : Fraction
    reference_hz : Fraction, optional
        Infinite by default.
    constant : Fraction
        Dispersion constant, MHz^2 pc^-1 cm^3 s.
    """
    beyond = 0 if reference_hz is None else 1 / Fraction(reference_hz) ** 2
    return constant * dm * 10**12 * (1 / Fraction(frequency_hz) ** 2 - beyond)


def lateness(mhz: Any, ref_mhz: float) -> Any:
    """Return ``f^-2 - f_ref^-2`` of frequencies in MHz, which times K DM is the delay in s.

    It is not a difference of squares of reciprocals, which loses digits in a narrow band.
    """
    return (ref_mhz - mhz) * (ref_mhz + mhz) / (mhz * ref_mhz) ** 2


@dataclass(frozen=True)
class ChannelDelays:
    """Delays of the channels of a band after its highest channel, for any dispersion measure.

    Parameters
    ----------
    curve : ndarray, shape (n_chan,), float64, dimensionless
        Delay of each channel relative to that of channel 0: 1 to 0.
    unit_s : float
        Delay of channel 0 for a dispersion measure of 1 pc cm^-3, s.
    """

    curve: NDArray[np.float64]
    unit_s: float

    def span(self, dm: Any, rate: Any) -> Any:
        """Return the delay of the lowest channel in samples at a rate in Hz, float64."""
        return np.asarray(dm, np.float64) * (self.unit_s * float(rate))

    def seconds(self, dm: float) -> NDArray[np.float64]:
        """Return the delays for a dispersion measure in pc cm^-3, s."""
        return self.curve * (float(dm) * self.unit_s)

    def samples(self, dm: float, rate: Any) -> NDArray[np.int64]:
        """Return the delays in whole samples: the nearest, the later one if two are as near."""
        found: NDArray[np.int64] = np.floor(
            self.span(dm, rate) * self.curve + 0.5).astype(np.int64)
        return found


def channel_delays(axis: ChannelAxis, constant: Fraction = DISPERSION_CONSTANT) -> ChannelDelays:
    """Return the delays of the channels of a band.

    Raises
    ------
    UsageError
        If the band has one channel, or is not above 0 Hz.
    """
    if axis.n_chan < 2:
        raise UsageError("the band has one channel, whose dispersion cannot be removed; allowed: "
                         "2 or more")
    if axis.first_hz <= 0:
        raise UsageError(f"the lowest channel is at {float(axis.first_hz) / 1e6:g} MHz; allowed: "
                         "above 0")
    mhz = axis.centers.value
    later = lateness(mhz, mhz[-1])
    unit = float(delay_s(Fraction(1), axis.first_hz, top_hz(axis), constant))
    if not math.isfinite(unit):
        raise UsageError(f"the lowest channel is at {float(axis.first_hz):g} Hz; allowed: more")
    return ChannelDelays(later / later[0], unit)
