"""Checks of parameters, shared by the simulators."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from fastsig.errors import UsageError
from fastsig.simulate.filters import Band
from fastsig.simulate.pulses import CUT, dispersion_delay
from fastsig.simulate.values import scalar, whole

__all__ = ["MAX_BANDWIDTH", "band_of", "check_band", "check_times", "positive", "seed_of"]

MAX_BANDWIDTH = Fraction(500 * 10**6)


def band_of(fstart: Any, bandwidth: Any, sideband: str = "upper") -> Band:
    """Return the recorded band, given the options of these names."""
    low, width = scalar(fstart, "Hz", "fstart"), scalar(bandwidth, "Hz", "bandwidth")
    if not 0 < width <= MAX_BANDWIDTH:
        raise UsageError(f"bandwidth = {float(width):g} Hz; allowed: above 0 to 500 MHz")
    if low < 0:
        raise UsageError(f"fstart = {float(low):g} Hz; allowed: from 0")
    if sideband == "upper":
        return Band(low, width, "upper")
    if sideband == "lower":
        return Band(low, width, "lower")
    raise UsageError(f"sideband = {sideband!r}; allowed: upper, lower")


def positive(value: Any, unit: str, name: str) -> Fraction:
    """Return an exact value above 0."""
    number = scalar(value, unit, name)
    if number <= 0:
        raise UsageError(f"{name} = {value!r}; allowed: above 0{' ' + unit if unit else ''}")
    return number


def seed_of(value: Any) -> int:
    """Return a whole number of 64 bits."""
    seed = whole(value, "seed", 0)
    if seed >= 2**64:
        raise UsageError(f"seed = {seed}; allowed: up to 2**64 - 1")
    return seed


def check_band(band: Band, components: Mapping[str, Any]) -> None:
    """Refuse components that lie outside the band."""
    if components["line"]:
        _check_inside(band, "line", components["line"].sky_hz)
    for carrier in components["carriers"]:
        _check_inside(band, "carrier frequency", carrier.frequency)
    for burst in components["rfi"]:
        _check_inside(band, "rfi low", burst.low)
        _check_inside(band, "rfi high", burst.high)


def _check_inside(band: Band, name: str, hertz: Fraction) -> None:
    if not band.low_hz <= hertz <= band.high_hz:
        raise UsageError(
            f"{name} = {float(hertz) / 1e6:.9g} MHz; allowed: within the band, "
            f"{float(band.low_hz) / 1e6:g} to {float(band.high_hz) / 1e6:g} MHz")


def check_times(band: Band, duration: Fraction, dm_constant: Fraction,
                components: Mapping[str, Any]) -> None:
    """Refuse components of which nothing lies within the recording of `duration` seconds.

    A pulse begins at the top of the band, and ends at its bottom; of a pulsar, the first pulse that
    does not end before the recording counts.
    """
    for name in ("burst", "pulsar"):
        pulse = components[name]
        if pulse is None or (name == "pulsar" and not pulse.is_steady):
            continue
        width = pulse.fwhm if name == "burst" else pulse.duty * pulse.period
        reach = Fraction(CUT) * width
        low = -reach - dispersion_delay(band, dm_constant * pulse.dm)
        time = pulse.time
        if name == "pulsar":
            time += -((time - low) // pulse.period) * pulse.period
        if not low <= time <= duration + reach:
            raise UsageError(_outside(f"{name} time", time, low, duration + reach))
    for burst in components["rfi"]:
        if burst.start >= duration:
            raise UsageError(_outside("rfi start", burst.start, Fraction(0), duration))


def _outside(name: str, time: Fraction, low: Fraction, high: Fraction) -> str:
    return (f"{name} = {float(time):g} s; allowed: {float(low):g} to {float(high):g} s, so that "
            "some of it is recorded")
