"""Options of a calibration: temperatures and schedules, as text or as objects."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.frequency import ChannelAxis
from fastsig.axes.units import exact, quantity
from fastsig.calibration.diode.cycle import DiodeCycle
from fastsig.errors import UsageError
from fastsig.stream import SpectrumStream

__all__ = ["band_width", "channels", "schedule", "seconds", "smoothing", "temperatures"]

F8 = NDArray[np.float64]

_SMOOTH_HZ = Fraction(5_000_000)
_LINES_HZ = Fraction(3_000_000)
_NUMBER = re.compile(r"\s*[-+]?[\d.]")


def smoothing(smooth: Any, axis: ChannelAxis) -> Fraction:
    """Return the width over which the diode's spectrum is smoothed, Hz."""
    band = axis.n_chan * axis.step_hz
    if smooth is None:
        return min(_SMOOTH_HZ, band / 32)
    width = exact(smooth, "Hz", "smooth")
    if not 0 <= width <= band / 8:
        raise UsageError(f"smooth = {smooth}; allowed: 0 Hz to an eighth of the band, "
                         f"{float(band / 8) / 1e6:.6g} MHz")
    return width


def band_width(smooth: Fraction, axis: ChannelAxis) -> Fraction:
    """Return the width of the running median that follows the band's shape, Hz.

    Lines must be narrow compared with it.
    """
    return min(max(smooth, _LINES_HZ), axis.n_chan * axis.step_hz / 4)


def channels(width: Fraction, axis: ChannelAxis) -> int:
    """Return the odd number of channels that is nearest to a width in Hz."""
    return 2 * round(float(width / axis.step_hz) / 2) + 1


def seconds(value: Any, name: str, *, least: bool) -> Fraction:
    """Return a time in seconds; 0 is allowed only if `least` is true."""
    found = exact(value, "s", name)
    if found < 0 or (found == 0 and not least):
        raise UsageError(f"{name} = {value}; allowed: {'0 s or more' if least else 'above 0 s'}")
    return found


def temperatures(tcal: Any, stream: SpectrumStream, n_pol: int, beam: int | None) -> F8:
    """Return the temperature of the diode, K, (pol, chan)."""
    n_chan = stream.shape[2]
    total, added = stream.polarization.names == ("I",), stream.polarization.n_added("I")
    values = _numbers(tcal)
    if values is None:
        from fastsig.telescopes.tcal import read

        number = stream.header.beam if beam is None else beam
        if number is None:
            raise UsageError(f"{stream.path}: the file states no beam; give --beam 1")
        table = read(tcal).at(stream.header.require_channels(stream.path), number,
                              n_pol=added if total else n_pol)
        kelvin = np.asarray(table.to_value(u.K))
        if not np.isfinite(kelvin).any():
            raise UsageError(f"{tcal}: has no temperature of the diode within the band of "
                             f"{stream.path}")
        return kelvin.sum(axis=0, keepdims=True) if total else kelvin
    if len(values) not in (1, n_pol):
        raise UsageError(f"tcal: {len(values)} temperatures for {n_pol} polarisations; allowed: "
                         "one for all, or one for each")
    if total:
        values = [added * values[0]]
    return np.repeat(np.broadcast_to(np.array(values, np.float64), (n_pol,))[:, np.newaxis],
                     n_chan, axis=1)


def _numbers(tcal: Any) -> list[float] | None:
    """Return temperatures in K, or None if tables are given."""
    listed = isinstance(tcal, (list, tuple))
    if isinstance(tcal, u.Quantity) or (listed and all(isinstance(each, u.Quantity) and
                                                       each.isscalar for each in tcal)):
        found = [float(each) for one in (tcal if listed else [tcal])
                 for each in np.atleast_1d(quantity(one, "K", "tcal").value)]
    elif isinstance(tcal, str) and not os.path.exists(tcal):
        parts = tcal.split(",")
        if not all(_NUMBER.match(part) for part in parts):
            return None
        found = [float(quantity(part, "K", "tcal").value) for part in parts]
    elif all(isinstance(each, (str, os.PathLike)) for each in (tcal if listed else [tcal])):
        return None
    else:
        raise UsageError(f"tcal = {tcal!r}; allowed: temperatures with a unit, or tables")
    if not found or not all(0 < value < 1e9 for value in found):
        raise UsageError(f"tcal = {tcal!r}; allowed: temperatures above 0, such as 1.1K, or tables")
    return found


def schedule(diode: Any, stream: SpectrumStream) -> DiodeSchedule | None:
    """Return the user's schedule, or None."""
    if diode is None or isinstance(diode, DiodeSchedule):
        return diode
    pairs = list(diode.items()) if isinstance(diode, Mapping) else [
        (key.strip(), value) for key, _, value in (part.partition("=")
                                                   for part in str(diode).split(","))]
    parts: dict[str, Any] = dict(pairs)
    if len(parts) < len(pairs):
        raise UsageError(f"diode = {diode!r}: a value is given twice; allowed: each value once")
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
