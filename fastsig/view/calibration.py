"""The picture of a calibration: gains, the diode's spectrum, temperatures and their scatter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.view.figures import COLORS, line, new_figure, wrapped
from fastsig.view.look import in_powers, powers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastsig.reductions.diode.calibration import DiodeMeasurement

__all__ = ["draw_measurement"]


def draw_measurement(found: DiodeMeasurement, heading: str) -> Figure:
    """Draw four panels: gain, spectrum of the diode, temperature with the diode off, scatter."""
    figure = new_figure(10, 7.5)
    axes = figure.subplots(2, 2)
    names = [name for name in found.solution.names if name in ("AA", "BB", "I")]
    rows = [found.solution.names.index(name) for name in names]
    _gains(axes[0, 0], found, names)
    _spectra(axes[0, 1], found, names, rows)
    for index, (name, row) in enumerate(zip(names, rows, strict=True)):
        kelvin = found.solution.kelvin[row]
        line(axes[1, 0], found.frequency, found.measured.level[row] * kelvin, COLORS[index],
             label=name)
        width = _width(found.frequency)
        line(axes[1, 1], found.frequency, _ratio(found, row, width), COLORS[index], label=name)
    axes[1, 0].set(xlabel="frequency (MHz)", ylabel="temperature, diode off (K)")
    axes[1, 0].set_ylim(*_range([found.measured.level[row] * found.solution.kelvin[row]
                                 for row in rows]))
    axes[1, 1].axhline(1, color="0.4", lw=0.8, ls="--")
    axes[1, 1].set(xlabel="frequency (MHz)", ylabel="scatter over the radiometer's")
    axes[1, 1].set_ylim(*_range([_ratio(found, row, _width(found.frequency)) for row in rows]))
    for each in axes.flat:
        each.grid(alpha=0.3)
        each.locator_params(axis="x", nbins=5)
        for axis in (each.xaxis, each.yaxis):
            axis.get_major_formatter().set_useOffset(False)
        each.legend(fontsize=8, loc="best")
    figure.suptitle(wrapped(heading, 100), fontsize=10)
    return figure


def _gains(axes: Any, found: DiodeMeasurement, names: list[str]) -> None:
    model = found.model
    for index, name in enumerate(names):
        good = ~model.bad
        axes.plot(model.times_s[good], model.gain[good, index], ".", color=COLORS[index], ms=3,
                  alpha=0.5)
        axes.plot(model.times_s[~good], model.gain[~good, index], "x", color="0.5", ms=5)
        axes.errorbar(model.knots_s, model.knot_gain[:, index], model.knot_error[:, index],
                      color=COLORS[index], lw=1.2, label=name)
    good_gain = model.gain[~model.bad]
    axes.set_ylim(*_range([good_gain[:, index] for index in range(good_gain.shape[1])], 0.5))
    axes.set(xlabel="time (s)", ylabel="gain")
    period, on = float(found.cycle.period), float(found.cycle.on)
    axes.set_title(f"diode each {period:.9g} s, on {on:.9g} s; {len(model.bad)} cycles, "
                   f"{int(model.bad.sum())} left out", fontsize=8)


def _spectra(axes: Any, found: DiodeMeasurement, names: list[str], rows: list[int]) -> None:
    for index, (name, row) in enumerate(zip(names, rows, strict=True)):
        step = found.measured.on[row] - found.measured.off[row]
        axes.plot(found.frequency, step, color=COLORS[index], lw=0.5, alpha=0.4,
                  label="as measured" if index == 0 else None)
        line(axes, found.frequency, found.shape[row], COLORS[index], label=name)
    limits = _range([found.shape[row] for row in rows], 0.2)
    power, text = powers(np.array(limits))
    axes.set(xlabel="frequency (MHz)", ylabel=f"diode ({text}recorded units)", ylim=limits)
    in_powers(axes.yaxis, power)


def _width(frequency: NDArray[np.float64]) -> int:
    """Return the number of channels over which scatters are averaged in the picture."""
    return max(1, len(frequency) // 256)


def _ratio(found: DiodeMeasurement, row: int, width: int) -> NDArray[np.float64]:
    value = found.measured.scatter[row]
    scale = found.noise_samples
    with np.errstate(invalid="ignore"):
        ratio = np.sqrt(value * scale)
    if width == 1:
        return np.asarray(ratio)
    padded = np.convolve(np.nan_to_num(ratio, nan=1.0), np.ones(width) / width, mode="same")
    return np.where(np.isfinite(ratio), padded, np.nan)


def _range(values: list[NDArray[np.float64]], margin: float = 0.3) -> tuple[float, float]:
    """Return limits that include nearly all values: lines and interference may exceed them."""
    every = np.concatenate(values)
    every = every[np.isfinite(every)]
    if not every.size:
        return 0.0, 1.0
    low, high = np.percentile(every, (0.5, 99.5))
    room = margin * (high - low) or 0.1 * abs(high) or 1.0
    return float(low - room), float(high + room)
