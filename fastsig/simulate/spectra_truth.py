"""The truth record of simulated spectra; see `fastsig.simulate.truth`."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from fastsig.axes.diode_schedule import DiodeSchedule
from fastsig.axes.frequency import ChannelAxis
from fastsig.simulate import components as parts
from fastsig.simulate.filters import Band
from fastsig.simulate.truth import (
    CONVENTION,
    decimal,
    fields_of,
    rounded,
    told_bandpass,
    told_line,
    told_pulse,
)

__all__ = ["record"]


def record(
    *, band: Band, axis: ChannelAxis, n_time: int, step: Fraction, n_sum: int, seed: int,
    tsys: Fraction, level: Fraction, noise: bool, response: str, dm_constant: Fraction,
    components: dict[str, Any],
) -> dict[str, Any]:
    """Record the contents of the spectra, with the values needed to check them."""
    def describe(part: Any) -> dict[str, Any]:
        return fields_of(part) | _derived(part, band, axis, step, tsys, dm_constant)

    scene = components["scene"]
    return {
        **({"scene": scene.record()} if scene else {}),
        "simulator": "fast-spectra",
        "version": 1,
        "seed": seed,
        "n_time": n_time,
        "integration_s": decimal(step),
        "duration_s": decimal(n_time * step),
        "band_hz": [decimal(band.low_hz), decimal(band.high_hz)],
        "channels": {"n_chan": axis.n_chan, "width_hz": decimal(axis.step_hz),
                     "first_center_hz": decimal(axis.first_hz),
                     "response": "1 between a channel's edges, 0 beyond; times the bandpass's "
                                 "mean over the channel"},
        "products": ["AA", "BB", "CR", "CI"],
        "convention": CONVENTION,
        "statistics": {
            "samples": n_sum,
            "note": "products are means over this many independent complex samples: complex "
                    "Wishart about the mean coherency of a spectrum and channel; each carrier is "
                    "in one sample",
        },
        "receiver": {"noise": noise, "tsys_k": decimal(tsys), "level": decimal(level),
                     "gain_per_k": rounded(float(level / tsys))},
        "bandpass": told_bandpass(response),
        "components": {
            name: [describe(part) for part in item] if isinstance(item, tuple) else describe(item)
            for name, item in components.items() if item and name != "scene"
        },
    }


def _derived(part: Any, band: Band, axis: ChannelAxis, step: Fraction, tsys: Fraction,
             dm_constant: Fraction) -> dict[str, Any]:
    if isinstance(part, parts.Line):
        return told_line(part)
    if isinstance(part, (parts.Pulsar, parts.Burst)):
        return told_pulse(part, band, dm_constant)
    if isinstance(part, parts.Diode):
        ticks = DiodeSchedule(part.period, part.on, part.first).ticks_per_second
        return {"ticks_per_second": ticks, "ticks_per_spectrum": decimal(step * ticks),
                "stokes_iquv_k": [rounded(2 * float(part.temperature)), 0.0,
                                  rounded(2 * float(part.temperature)), 0.0]}
    if isinstance(part, parts.Carrier):
        power = float(part.level**2 * tsys * band.width_hz)
        return {"power_stokes_i_k_hz": rounded(power),
                "stokes_i_k_in_its_channel": rounded(power / float(axis.step_hz))}
    if isinstance(part, parts.LostSpectra):
        return {"rows": [list(rows) for rows in part.rows]}
    return {}
