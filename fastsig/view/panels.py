"""Panels of pictures of spectra: a waterfall, lines over frequency and over time, their axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.constants import SPEED_OF_LIGHT
from fastsig.axes.time import iso
from fastsig.stream import SpectrumStream
from fastsig.view.figures import line
from fastsig.view.look import Shades, decibels, has_outliers, in_powers, powers, value_label

if TYPE_CHECKING:
    from fastsig.view.marginals import Means

__all__ = ["Frequencies", "Heights", "draw_bar", "draw_shades", "frequencies", "power_line",
           "spectrum_line", "time_label", "velocity_axis"]

F8 = NDArray[np.float64]

_LIGHT_KM_S = SPEED_OF_LIGHT / 1000
_WIDE = 1e-5  # of a band over its frequency; below it, MHz need too many digits
_LOG = 30.0  # a line has a logarithmic axis if its highest value is this many times the median
_MANY = 50_000  # points; a line with more is drawn as pixels in PDF and SVG too
_STEPS = 2048  # channels; fewer are drawn as steps


class Frequencies(NamedTuple):
    """The labels of an axis of frequencies: ``(MHz - reference) * factor``."""

    reference: float
    factor: float
    label: str

    def shown(self, mhz: Any) -> F8:
        """Convert frequencies to numbers on the axis."""
        return np.asarray((np.asarray(mhz, np.float64) - self.reference) * self.factor)


def frequencies(stream: SpectrumStream) -> Frequencies:
    """Choose MHz, kHz or Hz from a round frequency for a narrow band, or channel numbers."""
    axis = stream.header.channels
    if axis is None:
        return Frequencies(0.0, 1.0, "channel")
    low, high = (float(edge) / 1e6 for edge in axis.edges_hz)
    if not 0 < high - low < _WIDE * high:
        return Frequencies(0.0, 1.0, "frequency (MHz)")
    digits = -int(np.floor(np.log10(high - low)))
    reference = round((low + high) / 2, digits)
    factor, unit = (1e3, "kHz") if high - low > 2e-3 else (1e6, "Hz")
    text = f"{reference:.{max(0, digits)}f}"
    return Frequencies(reference, factor, f"frequency − {text} MHz ({unit})")


def time_label(stream: SpectrumStream, unit: str) -> str:
    """Return the label of an axis of times from the start, in short lines for low panels."""
    day, _, hours = iso(stream.start_time).partition("T")
    return f"time ({unit}) from\n{day}\n{hours} UTC"


def draw_shades(axes: Any, shades: Shades, extent: tuple[float, ...]) -> Any:
    """Draw a waterfall: time upwards, invalid values in grey."""
    axes.set_facecolor("#bbbbbb")
    axes.ticklabel_format(useOffset=False)
    return axes.imshow(shades.values, origin="lower", aspect="auto", interpolation="nearest",
                       extent=extent, cmap=shades.cmap, norm=shades.norm)


def draw_bar(image: Any, axes: Any, shades: Shades, **place: Any) -> Any:
    """Draw the colour bar: name, unit and scale, with arrows if values lie beyond it."""
    bar = image.figure.colorbar(image, ax=axes, label=shades.label, extend=shades.extend, **place)
    if shades.ticks is None:
        in_powers(bar.long_axis, shades.power)
    else:
        bar.set_ticks(shades.ticks, labels=[f"{each / 10.0**shades.power:.10g}"
                                            for each in shades.ticks])
        bar.minorticks_off()
    return bar


class Heights(NamedTuple):
    """The axis of a line's values: its scale (linear, log or db), power of ten and label."""

    scale: str
    power: int
    label: str

    @classmethod
    def of(cls, values: F8, name: str, unit: str | None, scale: str | None) -> Heights:
        """Choose the axis for values: logarithmic if few are far above the others."""
        if scale == "db":
            return cls("db", 0, value_label(name, unit, "db"))
        finite = values[np.isfinite(values)]
        if scale != "linear" and finite.size and finite.min() > 0 and has_outliers(finite) and (
                finite.max() > _LOG * np.median(finite)):
            return cls("log", 0, value_label(name, unit))
        power, text = powers(values)
        return cls("linear", power, value_label(name, unit, power=text))

    def shown(self, values: Any) -> F8:
        """Convert values to numbers on the axis."""
        return decibels(values) if self.scale == "db" else np.asarray(values, np.float64)

    def set_axis(self, axis: Any, values: F8) -> None:
        """Set up an axis, `axes.xaxis` or `axes.yaxis`, for the values."""
        if self.scale != "log":
            in_powers(axis, self.power)
            return
        finite = values[np.isfinite(values)]
        low = 0.8 * max(float(finite.min()), float(np.median(finite)) * 1e-3)
        axes = axis.axes
        if axis.axis_name == "x":
            axes.set_xscale("log")
            axes.set_xlim(left=low)
        else:
            axes.set_yscale("log")
            axes.set_ylim(bottom=low)


def spectrum_line(axes: Any, x: F8, values: F8, heights: Heights, color: str, **more: Any) -> None:
    """Draw a line over frequency; if there are few channels, each is a step."""
    style = "steps-mid" if 1 < len(x) <= _STEPS else "default"
    line(axes, x, heights.shown(values), color, drawstyle=style, rasterized=len(x) > _MANY, **more)


def power_line(axes: Any, means: Means, row_s: float, heights: Heights, color: str, *,
               upright: bool, **more: Any) -> None:
    """Draw the mean over channels of every row, or the lowest to the highest of several rows."""
    times = (np.arange(len(means.lowest)) + 0.5) * means.n_int * row_s
    values = means.lowest
    if means.n_int > 1:
        times = np.repeat(times, 2)
        values = np.stack([means.lowest, means.highest], axis=1).reshape(-1)
    x, y = (heights.shown(values), times) if upright else (times, heights.shown(values))
    line(axes, x, y, color, rasterized=len(x) > _MANY, **more)


def velocity_axis(axes: Any, stream: SpectrumStream, scale: Frequencies) -> None:
    """Draw an axis of radio velocities at the top, if the rest frequency is known."""
    rest = stream.header.rest_hz
    if rest is None or stream.header.channels is None:
        return
    slope = -_LIGHT_KM_S / (rest / 1e6)

    def velocity(shown: Any) -> Any:
        return _LIGHT_KM_S + slope * (np.asarray(shown) / scale.factor + scale.reference)

    def back(speed: Any) -> Any:
        return ((np.asarray(speed) - _LIGHT_KM_S) / slope - scale.reference) * scale.factor

    axes.secondary_xaxis("top", functions=(velocity, back)).set_xlabel(
        f"radio velocity (km/s, {stream.header.specsys or 'frame unknown'})")
