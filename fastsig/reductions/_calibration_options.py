"""What users say of a calibration: temperatures, schedules, air, as text or as objects."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.calibration.cycle import DiodeCycle
from fastsig.errors import UsageError
from fastsig.frequency import ChannelAxis
from fastsig.header import DiodeSchedule
from fastsig.stream import SpectrumStream
from fastsig.units import exact, quantity

__all__ = ["refraction", "schedule", "smoothing", "temperatures"]

F8 = NDArray[np.float64]

_SMOOTH_HZ = Fraction(5_000_000)


def smoothing(smooth: Any, axis: ChannelAxis) -> Fraction:
    """Width that the diode's spectrum is smoothed over, Hz."""
    if smooth is not None:
        return exact(smooth, "Hz", "smooth")
    return min(_SMOOTH_HZ, axis.n_chan * axis.step_hz / 32)


def temperatures(tcal: Any, stream: SpectrumStream, n_pol: int, beam: int | None) -> F8:
    """Temperature of the diode, K, (pol, chan)."""
    n_chan = stream.shape[2]
    values = _numbers(tcal)
    if values is None:
        from fastsig.telescopes.tcal import read

        number = stream.header.beam if beam is None else beam
        if number is None:
            raise UsageError(f"{stream.path}: the file tells no beam; give --beam 1")
        table = read(tcal).at(stream.header.require_channels(stream.path), number)
        return np.asarray(table.to_value(u.K))[:n_pol]
    if len(values) not in (1, n_pol):
        raise UsageError(f"tcal: {len(values)} temperatures for {n_pol} polarisations; allowed: "
                         "one for all, or one for each")
    if stream.polarization.names == ("I",):
        values = [2 * values[0]]  # I is the sum of both
    return np.repeat(np.broadcast_to(np.array(values, np.float64), (n_pol,))[:, np.newaxis],
                     n_chan, axis=1)


def _numbers(tcal: Any) -> list[float] | None:
    """Temperatures in K, where these are numbers and no tables."""
    if isinstance(tcal, u.Quantity):
        return [float(each) for each in np.atleast_1d(tcal.to_value(u.K))]
    if not isinstance(tcal, str) or os.path.exists(tcal):
        return None
    try:
        found = [float(quantity(part, "K", "tcal").value) for part in tcal.split(",")]
    except UsageError:
        if tcal.rstrip()[-1:] == "K" and "/" not in tcal:
            raise
        return None
    if not all(0 < value < 1e9 for value in found):
        raise UsageError(f"tcal = {tcal!r}; allowed: temperatures above 0, such as 1.1K, or tables")
    return found


def schedule(diode: Any, stream: SpectrumStream) -> DiodeSchedule | None:
    """The user's schedule."""
    if diode is None or isinstance(diode, DiodeSchedule):
        return diode
    parts: dict[str, Any] = dict(diode) if isinstance(diode, Mapping) else {
        key.strip(): value for key, _, value in (part.partition("=")
                                                 for part in str(diode).split(","))}
    first = exact(parts.get("first", 0), "s", "diode: first")
    if set(parts) <= {"mode", "first"} and "mode" in parts:
        return _of_mode(str(parts["mode"]), first, stream)
    if set(parts) - {"period", "on", "first"} or not {"period", "on"} <= set(parts):
        raise UsageError(f"diode = {diode!r}; allowed: mode=NAME, or period=,on=,first= as times")
    return DiodeCycle(exact(parts["period"], "s", "diode: period"),
                      exact(parts["on"], "s", "diode: on"), first).schedule()


def _of_mode(name: str, first: Fraction, stream: SpectrumStream) -> DiodeSchedule:
    from fastsig import telescopes

    modes = telescopes.get(stream.header.telescope or "FAST").receiver().diode_modes
    if name not in modes:
        raise UsageError(f"diode mode {name!r}; allowed: {', '.join(modes)}")
    schedule = modes[name].schedule(1 / stream.header.sample_rate)
    return DiodeCycle.of_schedule(schedule).shifted(-first).schedule()


def refraction(told: Any) -> Any:
    """Air that refracts, from text."""
    if not isinstance(told, str):
        return told
    from fastsig.pointing import Refraction

    parts = told.split(",")
    try:
        pressure, temperature, humidity = (float(part) for part in parts[:3])
        wavelength = float(quantity(parts[3], "m", "wavelength").value)
        return Refraction(pressure, temperature, humidity, wavelength)
    except (ValueError, IndexError):
        raise UsageError(f"refraction = {told!r}; allowed: hPa, degrees C, relative humidity and "
                         "wavelength, as in 925,15,0.8,0.3m") from None
