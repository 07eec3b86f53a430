"""The truth record of simulated voltages: plain data, ready for JSON.

Numbers that must be exact are decimal text (``"a/b"`` if no decimal is exact); derived values are
floats rounded to 12 digits, so that equal parameters give equal records on any machine.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from math import erfc, log, pi, sqrt
from typing import Any

import numpy as np

from fastsig.axes.constants import SPEED_OF_LIGHT
from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.simulate import components as parts
from fastsig.simulate import filters
from fastsig.simulate.filters import Band
from fastsig.simulate.pulses import dispersion_delay, stokes

__all__ = ["CONVENTION", "decimal", "fields_of", "record", "rounded", "told_bandpass",
           "told_line", "told_pulse"]

GAUSSIAN_AREA = sqrt(pi / (4 * log(2)))  # area of a Gaussian of height 1 and FWHM 1
TABLE = 257
CONVENTION = ("CR + i CI = <A* B>, A = X, B = Y in the sense of sky frequency; I = AA + BB, "
              "Q = AA - BB, U = 2 CR, V = 2 CI; kelvin of one polarisation are half of Stokes I")


def decimal(value: Fraction) -> str:
    """Return the exact decimal text of a Fraction, or ``"a/b"`` if it has none."""
    places, rest = 0, value.denominator
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest, power = rest // prime, power + 1
        places = max(places, power)
    if rest != 1 or places > 60:
        return str(value)
    digits = str(abs(value.numerator) * 10**places // value.denominator).zfill(places + 1)
    text = digits if not places else f"{digits[:-places]}.{digits[-places:]}"
    return "-" * (value < 0) + text


def rounded(value: float) -> float:
    """Return `value` rounded to 12 significant digits."""
    return float(f"{value:.12g}")


def record(
    *, band: Band, n_time: int, seed: int, tsys: Fraction, level: Fraction, noise: bool,
    response: str, dm_constant: Fraction, components: dict[str, Any],
) -> dict[str, Any]:
    """Record the contents of the voltages, with the values needed to check them."""
    def describe(part: Any) -> dict[str, Any]:
        if isinstance(part, parts.Carrier):
            return fields_of(part) | _carrier(part, band, tsys, level)
        return fields_of(part) | _derived(part, band, dm_constant)

    return {
        "simulator": "fast-voltage",
        "version": 1,
        "seed": seed,
        "n_time": n_time,
        "sample_rate_hz": decimal(band.rate),
        "duration_s": decimal(n_time / band.rate),
        "band_hz": [decimal(band.low_hz), decimal(band.high_hz)],
        "sideband": band.sideband,
        "convention": CONVENTION,
        "receiver": _receiver(tsys, level, noise=noise),
        "bandpass": told_bandpass(response),
        "quantisation": _quantisation(tsys, level, components, noise=noise),
        "components": {
            name: [describe(part) for part in item] if isinstance(item, tuple) else describe(item)
            for name, item in components.items() if item
        },
    }


def _receiver(tsys: Fraction, level: Fraction, *, noise: bool) -> dict[str, Any]:
    return {
        "noise": noise,
        "tsys_k": decimal(tsys),
        "level_lsb_rms": decimal(level),
        "gain_lsb2_per_k": rounded(float(level**2 / tsys)),
    }


def told_bandpass(response: str) -> dict[str, Any]:
    """Return the bandpass for a truth record."""
    if response == "flat":
        return {"model": "flat"}
    table = filters.bandpass(np.linspace(0, 1, TABLE), response)
    return {
        "model": response,
        "note": "a model of this project, not FAST's bandpass; power, mean 1 over the band",
        "formula": "(floor + (1 - floor) sin^2(pi/2 min(1, d / edge))) "
                   "(1 + sum a sin 2 pi (c x + p)) / norm; x = (sky - low) / width, "
                   "d = min(x, 1 - x)",
        "edge": filters.EDGE,
        "floor": filters.FLOOR,
        "ripples_a_c_p": [list(ripple) for ripple in filters.RIPPLES],
        "norm": rounded(filters.norm()),
        "power_at_equal_steps_of_sky_frequency": [rounded(value) for value in table],
    }


def _quantisation(
    tsys: Fraction, level: Fraction, components: dict[str, Any], *, noise: bool
) -> dict[str, Any]:
    """Return variances and shares clipped, as expected for steady signals and the diode on."""
    source, diode = components["source"], components["diode"]
    shares = []
    variances = []
    for sign in (1, -1):
        kelvin = tsys if noise else Fraction(0)
        kelvin += (source.i + sign * source.q) / 2 if source else 0
        kelvin += diode.temperature if diode else 0
        variance = float(level**2 * kelvin / tsys)
        variances.append(rounded(variance))
        scale = sqrt(2 * variance) or 1.0
        shares.append(rounded((erfc(127.5 / scale) + erfc(128.5 / scale)) / 2))
    return {
        "bits": 8,
        "rule": "round half to even, clip to -128..127; lost samples are 0",
        "variance_xy_lsb2_diode_on": variances,
        "clipped_share_xy_expected": shares,
        "note": "receiver, source and diode while on; line, pulsar, burst, RFI and carriers add",
    }


def fields_of(part: Any) -> dict[str, Any]:
    """Return the fields of a component, with units in their names."""
    units = {item.name: item.metadata.get("unit") for item in dataclasses.fields(part)}
    out: dict[str, Any] = {}
    usual = {item.name: item.default for item in dataclasses.fields(part)
             if not item.metadata.get("recorded", True)}
    for name, unit in units.items():
        value = getattr(part, name)
        if name in usual and value == usual[name]:
            continue
        label = f"{name}_{_suffix(unit)}" if unit else name
        out[label] = decimal(value) if isinstance(value, Fraction) else value
    return out


def _suffix(unit: str) -> str:
    names = {"km/s": "km_s", "Hz / s": "hz_s", "pc / cm3": "pc_cm3",
             "deg / s": "deg_s", "1 / s": "per_s", "rad / m2": "rad_m2"}
    return names.get(unit, unit.lower())


def _derived(part: Any, band: Band, dm_constant: Fraction) -> dict[str, Any]:
    if isinstance(part, parts.Line):
        return told_line(part)
    if isinstance(part, parts.Diode):
        return _diode(part, band)
    if isinstance(part, (parts.Pulsar, parts.Burst)):
        return told_pulse(part, band, dm_constant)
    if isinstance(part, parts.Loss):
        return {"packet_samples": parts.PACKET,
                "packets": [list(item) for item in part.packets]}
    return {}


def told_line(line: parts.Line) -> dict[str, Any]:
    """Return quantities derived from the fields of a line."""
    return {
        "sky_frequency_hz": decimal(line.sky_hz),
        "fwhm_km_s": rounded(float(line.fwhm / line.frequency * SPEED_OF_LIGHT / 1000)),
        "peak_stokes_i_k": rounded(2 * float(line.peak)),
        "area_k_hz": rounded(float(line.peak * line.fwhm) * GAUSSIAN_AREA),
    }


def _diode(diode: parts.Diode, band: Band) -> dict[str, Any]:
    ticks = DiodeSchedule(diode.period, diode.on, diode.first).ticks_per_second
    return {
        "ticks_per_second": ticks,
        "samples_per_tick": decimal(band.rate / ticks),
        "stokes_iquv_k": [rounded(2 * float(diode.temperature)), 0.0,
                          rounded(2 * float(diode.temperature)), 0.0],
    }


def told_pulse(
    pulse: parts.Pulsar | parts.Burst, band: Band, dm_constant: Fraction
) -> dict[str, Any]:
    """Return quantities derived from the fields of a pulsar or burst."""
    width = pulse.fwhm if isinstance(pulse, parts.Burst) else pulse.duty * pulse.period
    delay = dispersion_delay(band, dm_constant * pulse.dm)
    out = {
        "reference_frequency_hz": decimal(band.high_hz),
        "dispersion_constant_mhz2_cm3_s_pc": decimal(dm_constant),
        "delay_s": "constant dm (f^-2 - ref^-2), f in MHz",
        "delay_across_band_s": rounded(float(delay)),
        "pulse_fwhm_s": decimal(width),
        "peak_stokes_iquv_k": [rounded(value) for value in stokes(pulse)],
        "fluence_k_s": rounded(float(pulse.peak * width) * GAUSSIAN_AREA),
    }
    if isinstance(pulse, parts.Pulsar):
        out["mean_k"] = rounded(float(pulse.peak * pulse.duty) * GAUSSIAN_AREA)
    return out


def _carrier(
    part: parts.Carrier, band: Band, tsys: Fraction, level: Fraction
) -> dict[str, Any]:
    edge = band.high_hz - part.frequency if band.is_lower else part.frequency - band.low_hz
    return {
        "recorded_frequency_hz": decimal(edge),
        "rms_lsb": decimal(part.level * level),
        "power_stokes_i_k_hz": rounded(float(part.level**2 * tsys * band.width_hz)),
    }
