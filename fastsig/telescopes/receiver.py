"""Properties of receivers: beams, their offsets and widths, gain and noise diode."""

from __future__ import annotations

import tomllib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.units import quantity, whole
from fastsig.errors import UsageError

__all__ = ["TICK", "DiodeMode", "Outside", "Receiver", "read_table"]

Outside = Literal["raise", "nan"]

#: Unit of time of diode schedules, s: a tick of a 250 MHz clock.
TICK = Fraction(1, 250_000_000)


@cache
def read_table(name: str) -> dict[str, Any]:
    """Read a table of values stored beside this module."""
    return tomllib.loads(files("fastsig.telescopes").joinpath(name).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class DiodeMode:
    """A pattern in which a noise diode is switched on and off.

    Parameters
    ----------
    name, title : str
        Name, and description in words.
    on, period : Fraction
        Length of the on-time and of the period, in the unit that `ticks` defines.
    ticks : int or None
        Length of the unit in ticks of 4 ns; None if the unit is a sample of the spectra.
    """

    name: str
    title: str
    on: Fraction
    period: Fraction
    ticks: int | None = None

    def schedule(self, sample_time: Any = None, first_tick: int = 0) -> DiodeSchedule:
        """Return the pattern in ticks of 4 ns.

        Parameters
        ----------
        sample_time : Quantity or Fraction, optional
            Length of a sample (a Fraction is in seconds), for modes that are counted in samples.
        first_tick : int
            Tick at which the diode is first switched on, counted from the stream's first sample.

        Raises
        ------
        UsageError
            If the mode needs `sample_time` but it is not given, or if the times of the mode are not
            whole ticks.
        """
        unit = Fraction(self.ticks) if self.ticks is not None else self._sample(sample_time)
        on, period = self.on * unit, self.period * unit
        if on.denominator != 1 or period.denominator != 1:
            raise UsageError(f"diode mode {self.name}: {sample_time} does not give whole ticks of "
                             "4 ns")
        return DiodeSchedule(int(period), int(on), whole("first_tick", first_tick))

    def _sample(self, sample_time: Any) -> Fraction:
        if sample_time is None:
            raise UsageError(f"diode mode {self.name} ({self.title}) needs sample_time")
        if isinstance(sample_time, Fraction):
            return sample_time / TICK
        seconds = float(quantity(sample_time, "s", "sample_time").value)
        return Fraction(repr(seconds)) / TICK


class Receiver(ABC):
    """A receiver of a telescope.

    Attributes
    ----------
    name, title : str
        Name, and description in words.
    beams : tuple of int
        Beams, counted from 1.
    band, recorded : Quantity
        Lower and upper edge of the nominal and of the recorded band, MHz.
    diode_modes : mapping
        Modes of the noise diode, as a `DiodeMode` for each name.
    sources : mapping
        References for the values, by kind.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.name, self.title = str(table["name"]), str(table["title"])
        self.beams = tuple(range(1, table["beams"] + 1))
        self.band = np.array(table["band"]["nominal_mhz"], float) << u.MHz
        self.recorded = np.array(table["band"]["recorded_mhz"], float) << u.MHz
        self._offsets = np.array(table["offsets"]["xy"], float)
        self.diode_modes = {
            name: DiodeMode(name, mode["title"], Fraction(mode["on"]), Fraction(mode["period"]),
                            mode.get("ticks"))
            for name, mode in table.get("diode", {}).get("modes", {}).items()
        }
        self.sources = {kind: part["source"] for kind, part in table.items()
                        if isinstance(part, Mapping) and "source" in part}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.title}: {len(self.beams)} beams>"

    def index(self, beam: Any) -> NDArray[np.intp]:
        """Return the row of a beam in the tables, counted from 0, or the rows of several beams.

        Raises
        ------
        UsageError
            If the receiver has no such beam.
        """
        number = np.asarray(beam)
        if number.dtype.kind not in "iu" or np.any((number < 1) | (number > len(self.beams))):
            raise UsageError(f"beam = {beam!r}; {self.title} has beams 1 to {len(self.beams)}")
        return number.astype(np.intp) - 1

    def offsets(self, beam: Any = None, angle: Any = 0.0) -> u.Quantity:
        """Return the offsets of beams from the telescope's pointing position.

        .. math:: (E, N) = R(angle) (X, Y)

        Parameters
        ----------
        beam : int or array of int, optional
            Beams; all by default.
        angle : Quantity or float
            Rotation of the receiver, degrees, from east towards north. An angle that is recorded as
            seen from above the receiver, such as that of FAST, rotates the beams in this sense.

        Returns
        -------
        Quantity
            Offsets east and north, arcmin, on the tangent plane, shape (..., 2), float64.
        """
        rows = self.index(np.array(self.beams) if beam is None else beam)
        turn = quantity(angle, "deg", "angle").to_value(u.rad)
        cos, sin = np.cos(turn), np.sin(turn)
        x, y = np.moveaxis(self._offsets[rows], -1, 0)
        return np.stack([cos * x - sin * y, sin * x + cos * y], -1) << u.arcmin

    @abstractmethod
    def hpbw(self, beam: Any, frequency: Any, *, outside: Outside = "raise") -> u.Quantity:
        """Return the half-power beam width.

        Parameters
        ----------
        beam : int or array of int
            Beams.
        frequency : Quantity
            Frequencies; broadcast against `beam`.
        outside : {"raise", "nan"}
            Result for frequencies that the table does not cover: an error, or NaN.

        Returns
        -------
        Quantity
            Width, arcmin, float64.

        Raises
        ------
        UsageError
            If the receiver has no such beam, or the table does not cover a frequency.
        """

    @abstractmethod
    def gain(self, beam: Any, frequency: Any, zenith_angle: Any, temperature: Any = None, *,
             outside: Outside = "raise") -> u.Quantity:
        """Return the gain of one polarisation: antenna temperature per Jy of an unpolarised source.

        The flux density of I is ``(T_AA + T_BB) / (2 gain)``.

        Parameters
        ----------
        beam : int or array of int
            Beams.
        frequency : Quantity
            Frequencies.
        zenith_angle : Quantity
            Zenith angle of the telescope's axis. Beams, frequencies, zenith angles and temperatures
            are broadcast against one another.
        temperature : Quantity, optional
            Ambient temperature; by default, the gain has no term for it.
        outside : {"raise", "nan"}
            Result for frequencies that the table does not cover: an error, or NaN.

        Returns
        -------
        Quantity
            Gain, K/Jy, float64.

        Raises
        ------
        UsageError
            If the receiver has no such beam, if the table does not cover a frequency, or if the
            telescope cannot point at the zenith angle.
        """

    def _megahertz(self, frequency: Any, low: float, high: float, what: str, outside: Outside
                   ) -> NDArray[np.float64]:
        """Return frequencies, MHz; a frequency outside the range is an error or becomes NaN."""
        if outside not in ("raise", "nan"):
            raise UsageError(f"outside = {outside!r}; allowed: raise, nan")
        mhz = np.array(quantity(frequency, "MHz", "frequency").value, np.float64)
        bad = ~((mhz >= low) & (mhz <= high))
        if outside == "raise" and bad.any():
            raise UsageError(f"{what} of {self.title} is known from {low:g} to {high:g} MHz, not "
                             f"at {mhz[bad].flat[0]:g} MHz; outside='nan' gives NaN there")
        return np.where(bad, np.nan, mhz)

    def _zenith_angle(self, zenith_angle: Any, most: float) -> NDArray[np.float64]:
        """Return zenith angles, degrees; NaN where they are not known."""
        angle = np.asarray(quantity(zenith_angle, "deg", "zenith_angle").value, np.float64)
        bad = (angle < 0) | (angle > most)
        if bad.any():
            raise UsageError(f"zenith_angle = {angle[bad].flat[0]:g} deg; {self.title} reaches 0 "
                             f"to {most:g} deg")
        return angle
