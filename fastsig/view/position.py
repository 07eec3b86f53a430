"""The picture of the spectrum at a position: with its noise, its fit and the residual."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.reductions.sources.sky_spectrum import SkySpectrum
from fastsig.view.figures import COLORS, new_figure, zero_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_spectrum", "facts"]


def draw_spectrum(spectrum: SkySpectrum, fit: Mapping[str, Any], *,
                  rest: Any = None) -> Figure:
    """Draw a spectrum, and its fit as returned by `PositionSpectrum.read_with_fit`."""
    x, label = _axis(spectrum, fit, rest)
    flux, noise = spectrum.flux.value, spectrum.noise.value
    fitted = "fit" in fit
    figure = new_figure(10, 6.6 if fitted else 5)
    panels = figure.subplots(2 if fitted else 1, 1, sharex=True, squeeze=False,
                             height_ratios=(3, 1) if fitted else (1,))[:, 0]
    panels[0].fill_between(x, flux - noise, flux + noise, step="mid", color=COLORS[0], alpha=0.2,
                           lw=0, label="±1σ")
    panels[0].plot(x, flux, color=COLORS[0], lw=0.9, drawstyle="steps-mid")
    zero_line(panels[0], flux)
    panels[0].set_ylabel(_value(spectrum))
    notes = _described(fit["record"]) if fitted else []
    panels[0].set_title("\n".join([_title(spectrum), *notes]), fontsize=9, loc="left")
    if fitted:
        _draw_fit(panels, x, flux, noise, fit)
    for axes in panels:
        axes.grid(alpha=0.3)
    panels[-1].set_xlabel(label)
    panels[-1].ticklabel_format(axis="x", useOffset=False)
    panels[0].legend(loc="upper right", fontsize=8)
    if len(x) > 1:
        panels[-1].set_xlim(float(np.nanmin(x)), float(np.nanmax(x)))
    return figure


def _value(spectrum: SkySpectrum) -> str:
    """Return the label of the values; those of a recorder have no unit."""
    unit = spectrum.flux.unit.to_string()
    if not unit:
        return "power (recorder's units)"
    if unit == "Jy":
        return "flux density (Jy)"
    return f"temperature ({unit})" if spectrum.method == "mean" else f"brightness ({unit})"


def _draw_fit(panels: Any, x: NDArray[Any], flux: NDArray[Any], noise: NDArray[Any],
              fit: Mapping[str, Any]) -> None:
    """Draw the fit, its baseline, the velocities of its lines, and the residual over the noise."""
    panels[0].plot(x, fit["fit"].value, color=COLORS[1], lw=1.2, label="fit",
                   drawstyle="steps-mid")
    panels[0].plot(x, fit["baseline"].value, color=COLORS[2], lw=0.9, ls="--", label="baseline")
    record = fit["record"]
    for each in record["lines"]:
        panels[0].axvline(each["velocity_km_s"], color=COLORS[1], lw=0.6, alpha=0.6)
    panels[1].plot(x, (flux - fit["fit"].value) / noise, color=COLORS[0], lw=0.7,
                   drawstyle="steps-mid")
    for level in (-3, 0, 3):
        panels[1].axhline(level, color="black", lw=0.6, ls="-" if level == 0 else "--", alpha=0.5)
    panels[1].set_ylabel("left / noise")
    panels[1].set_ylim(-6, 6)


def _described(record: Mapping[str, Any]) -> list[str]:
    """Return lines of text: velocity, width and flux of each line with errors, and chi squared."""
    from fastsig.reductions.sources.line_fit import rounded

    found = []
    for each in record["lines"]:
        flux = next(name for name in each if name.startswith("flux_") and "error" not in name)
        unit = flux.removeprefix("flux_")
        text = {"jy_km_s": "Jy km/s", "k_km_s": "K km/s", "km_s": "km/s"}.get(unit, unit)
        parts = [f"v {rounded(each['velocity_km_s'], each['velocity_error_km_s'])} km/s",
                 f"W50 {rounded(each['w50_km_s'], each['w50_error_km_s'])} km/s",
                 f"S {rounded(each[flux], each[f'flux_error_{unit}'])} {text}"]
        found.append(", ".join(parts))
    return [*found, f"χ² / dof = {record['chi2']:.4g} / {record['dof']}"]


def _axis(spectrum: SkySpectrum, fit: Mapping[str, Any], rest: Any) -> tuple[NDArray[Any],
                                                                                  str]:
    frame = spectrum.frame or "frame not stated"
    if "velocity" in fit:
        convention = fit.get("record", fit)["convention"]
        return fit["velocity"].to_value("km/s"), f"{convention} velocity (km/s, {frame})"
    if spectrum.rest_hz or rest is not None:
        return spectrum.velocity(rest=rest).value, f"radio velocity (km/s, {frame})"
    return spectrum.frequency.to_value("MHz"), f"frequency (MHz, {frame})"


def _title(spectrum: SkySpectrum) -> str:
    if spectrum.method == "mean":
        rows = spectrum.facts["rows"]
        how = f"{spectrum.facts['product']}, " + ("1 row" if rows == 1 else f"mean of {rows} rows")
    else:
        how = ("point source, by the beam" if spectrum.method == "beam" or not spectrum.radius_deg
               else f"within {spectrum.radius_deg * 60:.3g}′")
    parts = [os.path.basename(spectrum.path), _place(spectrum, precision=1, sep=":"), how]
    return " · ".join(part for part in parts if part)


def _place(spectrum: SkySpectrum, **form: Any) -> str | None:
    at = spectrum.at
    return None if at is None else str(at.icrs.to_string("hmsdms", **form))


def facts(spectrum: SkySpectrum, fit: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that a page lists about a spectrum."""
    found = {"path": spectrum.path, "place": _place(spectrum, precision=2),
             "method": spectrum.method, "channels": len(spectrum.frequency),
             "scatter over expected noise": f"{spectrum.scatter:.3f}", **spectrum.facts}
    found["input"] = dict(found.get("input") or {}).get("name")
    for number, each in enumerate(fit.get("record", {}).get("lines", ()), 1):
        found |= {f"line {number}: {name}": f"{value:.6g}" for name, value in each.items()}
    return found
