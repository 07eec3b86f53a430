"""Pictures of cubes: maps with coordinates, the beam in a corner and values in the cube's unit."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from fastsig.axes.units import number
from fastsig.axes.velocity import velocity
from fastsig.errors import FormatError, UsageError
from fastsig.io.fits.cube import mad
from fastsig.view.figures import COLORS, line, new_figure, width_text, zero_line
from fastsig.view.look import Look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastsig.cubes.cube import Cube
    from fastsig.reductions.sources.sky_spectrum import SkySpectrum

__all__ = ["KINDS", "draw_maps"]

F8 = NDArray[np.float64]

KINDS = ("sheet", "coverage", "channels", "moments", "spectrum")
_OF_VALUES = ("sheet", "channels", "moments")  # pictures with maps of values
_PANELS = 12
_CUT = 4.0  # sigma below which velocities and widths are noise
_WIDTH, _TALLEST = 11.7, 16.5  # inches: the longer sides of A4 and A3
_LEAST = 3  # values above it that a velocity or width needs
_UNSEEN = "#d8d8d8"


def draw_maps(cube: Cube, what: str, *, at: Any = None, frange: Any = None, rest: Any = None,
              look: Look | None = None) -> Figure:
    """Draw a cube; `look` has the choices for its colours, the rest is as for `draw_cube`."""
    if what not in KINDS:
        raise UsageError(f"what = {what!r}; allowed: {', '.join(KINDS)}")
    if at is not None and what != "spectrum":
        raise UsageError(f"a position does not apply to {what}; allowed: with spectrum")
    if look not in (None, Look()) and what not in _OF_VALUES:
        raise UsageError(f"cmap, vmin and vmax do not apply to {what}; allowed: with "
                         f"{', '.join(_OF_VALUES)}")
    view = _View(cube, frange, rest, look or Look())
    if what == "spectrum" and at is not None:
        from fastsig.view.position import draw_spectrum

        return draw_spectrum(_part(cube.spectrum(at), view), {}, rest=rest)
    made: dict[str, Callable[[_View], Figure]] = {
        "sheet": _sheet, "coverage": _coverage, "channels": _channels, "moments": _moments,
        "spectrum": _mean_spectrum}
    return made[what](view)


def _part(spectrum: SkySpectrum, view: _View) -> SkySpectrum:
    """Return the channels of a spectrum, in ascending order, that are drawn."""
    if view.frequency is None:
        return spectrum
    edges, mid = view.frequency[view.chosen], spectrum.frequency.to_value("Hz")
    inside = (mid >= edges.min()) & (mid <= edges.max())
    return replace(spectrum, **{name: getattr(spectrum, name)[inside] for name in (
        "frequency", "flux", "noise", "expected")})


class _View:
    """A cube, the channels drawn and their velocities."""

    def __init__(self, cube: Cube, frange: Any, rest: Any, look: Look) -> None:
        from fastsig.io.fits.cube import rest_hz

        self.cube, self.rest, self.look = cube, rest, look
        self.chosen = slice(0, cube.shape[0])
        try:
            self.frequency: F8 | None = cube.frequency.value
        except FormatError:
            self.frequency = None  # the cube has warned of this
        if frange is not None:
            self.chosen = self._within(frange)
        found = rest_hz(rest) or cube.rest_hz
        self.velocity: F8 | None = None
        if self.frequency is not None and found:
            self.velocity = velocity(self.frequency << u.Hz, found << u.Hz).value

    def _within(self, frange: Any) -> slice:
        if self.frequency is None:
            self.frequency = self.cube.frequency.value  # raises an error with the reason
        low, high = (None if each is None else number(each, "Hz", "frequency")
                     for each in frange)
        inside = np.flatnonzero((self.frequency >= (-math.inf if low is None else low))
                                & (self.frequency <= (math.inf if high is None else high)))
        if not inside.size:
            raise UsageError(f"no channel of {self.cube.path} lies in that range; it has "
                             f"{self.frequency.min() / 1e6:.9g} to "
                             f"{self.frequency.max() / 1e6:.9g} MHz")
        return slice(int(inside[0]), int(inside[-1]) + 1)

    @property
    def n(self) -> int:
        """The number of channels drawn."""
        return self.chosen.stop - self.chosen.start

    @property
    def unit(self) -> str:
        """The unit of the values, for labels."""
        return pretty(self.cube.unit) or "recorded units"

    @property
    def vrange(self) -> tuple[float, float] | None:
        """The range of velocities of the channels drawn, with some room for rounding."""
        if self.velocity is None:
            return None
        part = self.velocity[self.chosen]
        room = 1e-6 * (abs(part).max() + 1)
        return float(part.min() - room), float(part.max() + room)

    @property
    def velocities(self) -> u.Quantity | None:
        """The same range in the form that `Cube` accepts."""
        return None if self.vrange is None else self.vrange << (u.km / u.s)

    def title(self) -> str:
        """Return the file, telescope, source, Stokes parameter and beam, as text."""
        cards, beam = self.cube.file.header.cards, self.cube.beam
        what = [os.path.basename(self.cube.path), cards.text("TELESCOP"), cards.text("OBJECT"),
                self.cube.stokes if len(self.cube.file.header.stokes) > 1 else None,
                f"beam {beam.major * 60:.3g}′ × {beam.minor * 60:.3g}′" if beam
                else "beam not stated"]
        return " · ".join(each for each in what if each)

    def limits(self, default: tuple[float, float], *, integrated: bool = False
               ) -> tuple[float, float]:
        """Return the limits of the colours: those requested, and the default for others."""
        unit = self.cube.unit
        if unit and integrated:
            unit = (u.Unit(unit) * u.km / u.s).to_string()
        low, high = self.look.ends(unit)
        return default[0] if low is None else low, default[1] if high is None else high

    def mean(self, chan: slice) -> F8:
        """Return the mean map of some channels by their weights."""
        values, weight = self.cube.weighted(chan)
        total = weight.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            found: F8 = np.where(weight > 0, values * weight, 0).sum(axis=0) / total
        return np.where(total > 0, found, np.nan)


def pretty(unit: str) -> str:
    """Return ``Jy/beam`` for ``Jy / beam``."""
    return unit.replace(" / ", "/")


def _axes(figure: Figure, place: Any, view: _View) -> Any:
    axes = figure.add_subplot(place, projection=view.cube.celestial)
    axes.set_facecolor(_UNSEEN)
    names = {"RA": "right ascension", "DEC": "declination", "GLON": "galactic longitude",
             "GLAT": "galactic latitude"}
    wcs = view.cube.celestial.wcs
    for coordinate, kind in zip(axes.coords, wcs.ctype, strict=True):
        key = kind.split("-")[0]
        coordinate.set_axislabel(names.get(key, key))
        coordinate.set_ticklabel(size=8, exclude_overlapping=True, simplify=False)
        coordinate.set_ticks_position("lb")
        coordinate.set_ticks(number=4)
    axes.coords[1].set_ticklabel(rotation=90, size=8, va="center", simplify=False)
    axes.coords.grid(color="white", alpha=0.25, lw=0.5)
    return axes


def _map(axes: Any, image: F8, view: _View, label: str, *, bar: bool = True,
         limits: tuple[float, float] | None = None, colors: Any = "viridis") -> Any:
    """Draw a map, its beam and its colour bar."""
    low, high = _limits(image) if limits is None else limits
    drawn = axes.imshow(image, origin="lower", interpolation="nearest", vmin=low, vmax=high,
                        cmap=colors)
    _beam(axes, view)
    if bar:
        from matplotlib.ticker import MaxNLocator

        # A fixed number of ticks: with more of them, labels get longer after the layout is made.
        axes.figure.colorbar(drawn, cax=axes.inset_axes((1.03, 0, 0.04, 1)), label=label,
                             ticks=MaxNLocator(6))
    return drawn


def _limits(image: F8) -> tuple[float, float]:
    finite = image[np.isfinite(image)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(each) for each in (np.percentile(finite, 1), finite.max()))
    return low, high if high > low else low + (abs(low) or 1.0)


def _beam(axes: Any, view: _View) -> None:
    """Draw the beam's half-power ellipse in the lower left corner."""
    from matplotlib.patches import Ellipse

    beam = view.cube.beam
    if beam is None:
        return
    width, height = view.cube.file.pixel_deg
    # PA is counted from north to east, and x usually decreases towards the east.
    east = -1 if view.cube.celestial.pixel_scale_matrix[0, 0] < 0 else 1
    major, minor = beam.major / height, beam.minor / width
    half = major / 2 + 1
    axes.add_patch(Ellipse((half, half), minor, major, angle=-east * beam.pa, facecolor="white",
                           edgecolor="black", lw=0.8, alpha=0.9))


def _panels(view: _View, n: int, columns: int, *, room: float = 0.75, beside: float = 1.2,
            more: float = 0.4) -> tuple[Figure, Any, int]:
    """Return a figure of A4's width for maps side by side, its grid and its number of columns.

    Wide maps have half as many columns. In inches, `room` is the height of a row besides its map,
    `beside` the width besides the map, and `more` the height of all other panels.
    """
    _, ny, nx = view.cube.shape
    if nx > 2 * ny:
        columns = max(1, columns // 2)
    rows = -(-n // columns)
    width = _WIDTH / columns - beside
    row = room + min(width * ny / nx, _TALLEST)
    figure = new_figure(_WIDTH, min(rows * row + more, _TALLEST))
    grid = figure.add_gridspec(rows + (more > 1), columns,
                               height_ratios=[row] * rows + [more] * (more > 1))
    return figure, grid, columns


def _sheet(view: _View) -> Figure:
    """Draw the integral, the coverage and the mean spectrum."""
    figure, grid, columns = _panels(view, 2, 2, more=3.2)
    _draw_integral(_axes(figure, grid[0, 0], view), view)
    axes = _axes(figure, grid[1 // columns, 1 % columns], view)
    _draw_coverage(axes, view)
    _draw_mean(figure.add_subplot(grid[-1, :]), view)
    figure.suptitle(view.title(), fontsize=11)
    return figure


def _draw_integral(axes: Any, view: _View) -> None:
    image, label, heading = _integral(view)
    limits = view.limits(_limits(image), integrated=label != view.unit)
    _map(axes, image, view, label, limits=limits, colors=view.look.cmap or "viridis")
    axes.set_title(heading, fontsize=10)


def _integral(view: _View) -> tuple[F8, str, str]:
    """Return moment 0, or the mean if there are no velocities or one channel; label and title."""
    if view.velocity is None or view.n < 2:
        heading = "mean of the channels" if view.cube.shape[0] > 1 else "map"
        return view.mean(view.chosen), view.unit, heading
    found = view.cube.moment(0, vrange=view.velocities, rest=view.rest)
    low, high = view.vrange or (0.0, 0.0)
    return (found.values.astype(float), f"{view.unit} km/s",
            f"integral, {low:.0f} to {high:.0f} km/s")


def _draw_coverage(axes: Any, view: _View) -> None:
    """Draw the effective time, or the share of channels with values if there are no weights."""
    coverage = view.cube.coverage()
    if coverage is None:
        _map(axes, _seen(view), view, "share of channels seen", limits=(0, 1), colors="cividis")
        axes.set_title("coverage (the file has no weights)", fontsize=10)
        return
    shown = np.where(coverage > 0, coverage, np.nan)
    _map(axes, shown, view, "effective time (s)", colors="cividis",
         limits=(0, _limits(shown)[1]))
    axes.set_title(f"coverage · median {np.nanmedian(shown):.3g} s" if np.isfinite(shown).any()
                   else "coverage: none", fontsize=10)


def _seen(view: _View) -> F8:
    count = np.zeros(view.cube.shape[1:])
    for chan in range(view.chosen.start, view.chosen.stop):
        count += np.isfinite(view.cube.read(slice(chan, chan + 1))[0])
    return np.where(count > 0, count / view.n, np.nan)


def _coverage(view: _View) -> Figure:
    """Draw the effective time, and the scatter of each pixel's channels."""
    figure, grid, columns = _panels(view, 2, 2)
    _draw_coverage(_axes(figure, grid[0, 0], view), view)
    axes = _axes(figure, grid[1 // columns, 1 % columns], view)
    noise = _pixel_noise(view)
    limits = None
    if np.isfinite(noise).any():
        limits = (float(np.nanmin(noise)), float(np.nanpercentile(noise, 95)))
        limits = limits if limits[1] > limits[0] else None
    _map(axes, noise, view, f"noise of a channel ({view.unit})", colors="magma", limits=limits)
    axes.set_title("noise, by neighbouring channels", fontsize=10)
    figure.suptitle(view.title(), fontsize=11)
    return figure


def _pixel_noise(view: _View) -> F8:
    """Return the scatter of each pixel: that of differences of adjacent channels over sqrt(2)."""
    _, ny, nx = view.cube.shape
    found = np.full((ny, nx), np.nan)
    for y in range(ny):
        rows = view.cube.read(view.chosen, slice(y, y + 1))[:, 0].astype(np.float64)
        if len(rows) < 4:
            break
        steps = np.diff(rows, axis=0)
        for x in np.flatnonzero(np.isfinite(steps).sum(axis=0) > 2):
            found[y, x] = mad(steps[:, x]) / math.sqrt(2)
    return found


def _channels(view: _View) -> Figure:
    """Draw up to twelve maps, each the mean of a range of channels, in the same colours."""
    parts = np.array_split(np.arange(view.chosen.start, view.chosen.stop), min(_PANELS, view.n))
    if view.velocity is not None and view.n > 1 and view.velocity[parts[0][0]] > view.velocity[
            parts[-1][-1]]:
        parts = parts[::-1]
    images = [view.mean(slice(int(part[0]), int(part[-1]) + 1)) for part in parts]
    figure, grid, columns = _panels(view, len(parts), min(4, len(parts)), room=0.3,
                                    beside=0.4)
    whole = np.concatenate([image[np.isfinite(image)] for image in images])
    limits = view.limits(_common_limits(whole))
    drawn: Any = None
    panels = []
    for k, (part, image) in enumerate(zip(parts, images, strict=True)):
        axes = _axes(figure, grid[k // columns, k % columns], view)
        drawn = _map(axes, image, view, "", limits=limits, bar=False,
                     colors=view.look.cmap or "viridis")
        axes.text(0.03, 0.96, _range(view, part), transform=axes.transAxes, va="top", fontsize=8,
                  bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5})
        for axis, hidden in ((0, k + columns < len(parts)), (1, k % columns > 0)):
            if hidden:
                axes.coords[axis].set_ticklabel_visible(False)
                axes.coords[axis].set_axislabel("")
        panels.append(axes)
    figure.colorbar(drawn, ax=panels, label=view.unit, pad=0.01, aspect=40)
    figure.suptitle(f"{view.title()} · means of {len(parts[0])} channels"
                    if len(parts[0]) > 1 else view.title(), fontsize=11)
    return figure


def _common_limits(values: F8) -> tuple[float, float]:
    """Return limits from three sigma below the middle to the top."""
    if not values.size:
        return 0.0, 1.0
    middle, sigma = float(np.median(values)), mad(values)
    high = float(values.max())
    return middle - 3 * sigma, high if high > middle - 3 * sigma else middle + 1


def _range(view: _View, part: NDArray[np.int64]) -> str:
    if view.velocity is not None:
        return f"{view.velocity[part].mean():.1f} km/s"
    if view.frequency is not None:
        return f"{view.frequency[part].mean() / 1e6:.4f} MHz"
    return f"channels {part[0]} to {part[-1]}"


def _moments(view: _View) -> Figure:
    """Draw the integral, mean velocity and dispersion."""
    if view.velocity is None:
        view.cube.velocity(rest=view.rest)  # raises an error with the reason
    figure, grid, columns = _panels(view, 3, 3)
    _draw_integral(_axes(figure, grid[0, 0], view), view)
    for order, name, colors in ((1, "mean velocity", "plasma"), (2, "dispersion", "viridis")):
        axes = _axes(figure, grid[order // columns, order % columns], view)
        found = view.cube.moment(order, vrange=view.velocities, sigma=_CUT, rest=view.rest)
        shown = np.where(found.count >= _LEAST, found.values, np.nan)
        finite = shown[np.isfinite(shown)]
        limits = (tuple(float(each) for each in np.percentile(finite, (2, 98)))
                  if finite.size > 1 else (0.0, 1.0))
        _map(axes, shown.astype(float), view, f"{name} (km/s)", colors=colors,
             limits=(limits[0], limits[1] if limits[1] > limits[0] else limits[0] + 1))
        axes.set_title(f"{name}, {_LEAST} values or more above {_CUT:g}σ", fontsize=9)
        if columns > 1:
            axes.coords[1].set_axislabel("")
    frame = view.cube.frame or "frame not stated"
    figure.suptitle(f"{view.title()} · radio velocities, {frame}", fontsize=11)
    return figure


def _mean_spectrum(view: _View) -> Figure:
    figure = new_figure(10, 5)
    axes = figure.add_subplot()
    _draw_mean(axes, view)
    figure.suptitle(view.title(), fontsize=11)
    return figure


def _draw_mean(axes: Any, view: _View) -> None:
    """Draw the mean of the map, by weights, along velocity, frequency or channels."""
    values = view.cube.mean_spectrum()[view.chosen]
    frame = view.cube.frame or "frame not stated"
    if view.velocity is not None:
        x, label = view.velocity[view.chosen], f"radio velocity (km/s, {frame})"
    elif view.frequency is not None:
        x, label = view.frequency[view.chosen] / 1e6, f"frequency (MHz, {frame})"
    else:
        x, label = np.arange(view.chosen.start, view.chosen.stop, dtype=float), "channel"
    line(axes, x, values, COLORS[0], drawstyle="steps-mid")
    zero_line(axes, values)
    axes.set_xlabel(label)
    axes.set_ylabel(f"mean of the map ({view.unit})")
    axes.grid(alpha=0.3)
    axes.ticklabel_format(axis="x", useOffset=False)
    if len(x) > 1:
        axes.set_xlim(min(x[0], x[-1]), max(x[0], x[-1]))
        axes.set_title(f"channels of {abs(x[1] - x[0]):.4g} km/s" if view.velocity is not None
                       else _width(view), fontsize=8, loc="right")


def _width(view: _View) -> str:
    if view.frequency is None or len(view.frequency) < 2:
        return ""
    return f"channels of {width_text(abs(float(view.frequency[1] - view.frequency[0])))}"
