"""The picture of a DM-time plane: the plane, its bow tie, S/N against DM, and the best series."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.dispersion import delay_s
from fastsig.axes.time import iso
from fastsig.stream.slices import product_indices
from fastsig.view.boxcars import Boxcar, best_boxcars, boxcar_snr
from fastsig.view.figures import COLORS, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fastsig.io.planes.reader import Plane

__all__ = ["draw_plane"]

_PIXELS = 1000, 600  # most in time and in dispersion measure
_ZOOM = 40  # widths of the best boxcar that the bow tie shows at least
_LEAST_ROWS = 5
_UNITS = ((1, "s"), (1e-3, "ms"), (1e-6, "us"))


@dataclass(frozen=True)
class _Drawn:
    """A plane in S/N of a boxcar, (dm, time), with the best boxcar of each dispersion measure."""

    snr: NDArray[np.float32]
    dms: NDArray[np.float64]
    sample_s: float
    #: Delay across the band for a dispersion measure of 1, s; 0 if it is not known.
    unit_s: float
    best: list[Boxcar]
    row: int

    @property
    def peak(self) -> Boxcar:
        """The boxcar with the highest S/N."""
        return self.best[self.row]

    @property
    def width_s(self) -> float:
        """Width of the boxcar, s."""
        return self.peak.width * self.sample_s

    @property
    def at_s(self) -> float:
        """Middle of the boxcar, s after the first time."""
        return (self.peak.start + self.peak.width / 2) * self.sample_s


def draw_plane(plane: Plane, product: str | None = None) -> Figure:
    """Draw a DM-time plane in S/N of a boxcar, and the highest S/N at each dispersion measure.

    The S/N at a dispersion measure is that of the best boxcar, with the noise measured for each
    width. The plane, the part of it around the highest S/N, and the series there are drawn with the
    width of this boxcar. A pixel is the highest value of its times and dispersion measures.

    Parameters
    ----------
    plane : Plane
    product : str, optional
        The product to draw; by default, the first.
    """
    names = plane.header.polarization.names
    index = 0 if product is None else product_indices([product], names, "plane")[0]
    drawn = _drawn(plane, index)
    figure = new_figure(11, 8)
    (whole, by_dm), (part, series) = figure.subplots(2, 2, width_ratios=(3, 1))
    image = _draw_image(whole, drawn, (0, drawn.snr.shape[1]), (0, len(drawn.dms)))
    figure.colorbar(image, ax=[whole, part], label=f"S/N of a boxcar of {_time(drawn.width_s)}",
                    location="left", aspect=50)
    whole.set_title(f"{plane.header.source or 'unknown source'}, {names[index]}", fontsize=9,
                    loc="left")
    whole.set_xlabel(f"s after {iso(plane.header.start_time)}")
    _draw_by_dm(by_dm, drawn)
    times = _times_around(drawn)
    _draw_image(part, drawn, times, _rows_around(drawn, times[1] - times[0]))
    part.set_xlabel("s, around the highest S/N")
    _draw_series(series, drawn, *times)
    for axes in (whole, part):
        axes.set_ylabel("DM (pc cm$^{-3}$)")
    return figure


def _drawn(plane: Plane, index: int) -> _Drawn:
    values, weight = plane.values[index], plane.weight[index]
    best = [best_boxcars(*each) for each in zip(values, weight, strict=True)]
    row = int(np.argmax([each.snr for each in best]))
    width = best[row].width
    snr = np.stack([boxcar_snr(*each, width) for each in zip(values, weight, strict=True)])
    return _Drawn(snr, plane.dms, float(1 / plane.header.sample_rate), _unit_s(plane), best, row)


def _unit_s(plane: Plane) -> float:
    header = plane.header
    if header.channels is None or header.channels.edges_hz[0] <= 0:
        return 0.0
    low, high = header.channels.edges_hz
    return float(delay_s(Fraction(1), low, high, header.dispersion_constant))


def _draw_image(axes: Axes, drawn: _Drawn, times: tuple[int, int], rows: tuple[int, int]) -> Any:
    """Draw a part of a plane, with the pixels centred on their boxcars."""
    later = (drawn.peak.width - 1) / 2
    begin, end = ((each + later) * drawn.sample_s for each in times)
    low, high = _edges(drawn.dms[slice(*rows)])
    return axes.imshow(
        _highest(drawn.snr[slice(*rows), slice(*times)]), aspect="auto", origin="lower",
        interpolation="nearest", extent=(begin, end, low, high), vmin=0,
        vmax=max(1.0, drawn.peak.snr))


def _edges(dms: NDArray[np.float64]) -> tuple[float, float]:
    """Return the lower edge of the first row and the upper edge of the last one."""
    if len(dms) == 1:
        return float(dms[0]) - 0.5, float(dms[0]) + 0.5
    return (float(dms[0] - (dms[1] - dms[0]) / 2), float(dms[-1] + (dms[-1] - dms[-2]) / 2))


def _draw_by_dm(axes: Axes, drawn: _Drawn) -> None:
    axes.plot([each.snr for each in drawn.best], drawn.dms, color=COLORS[0], lw=1.1)
    axes.plot(drawn.peak.snr, drawn.dms[drawn.row], "o", color=COLORS[1])
    axes.set_title(f"S/N {drawn.peak.snr:.1f} at DM {drawn.dms[drawn.row]:.6g},\n"
                   f"{drawn.at_s:.6g} s, {_time(drawn.width_s)} wide", fontsize=9, loc="left")
    axes.set_ylim(*_edges(drawn.dms))
    axes.set_xlabel("S/N of the best boxcar")
    axes.set_ylabel("DM (pc cm$^{-3}$)")
    axes.grid(alpha=0.3)


def _times_around(drawn: _Drawn) -> tuple[int, int]:
    """Return the first time around the highest S/N, and that after the last one."""
    half = max(_ZOOM * drawn.peak.width, 64) // 2
    middle = drawn.peak.start + drawn.peak.width // 2
    n = drawn.snr.shape[1]
    first = max(0, min(middle - half, n - 2 * half))
    return first, min(n, first + 2 * half)


def _rows_around(drawn: _Drawn, n_time: int) -> tuple[int, int]:
    """Return the rows over which a pulse becomes as wide as some times."""
    if not drawn.unit_s:
        return 0, len(drawn.dms)
    most = n_time * drawn.sample_s / drawn.unit_s
    first, stop = np.searchsorted(drawn.dms, drawn.dms[drawn.row] + np.array([-most, most]))
    return (int(min(first, max(0, drawn.row - _LEAST_ROWS // 2))),
            int(max(stop, min(len(drawn.dms), drawn.row + _LEAST_ROWS // 2 + 1))))


def _draw_series(axes: Axes, drawn: _Drawn, first: int, stop: int) -> None:
    seconds = (np.arange(first, stop) + drawn.peak.width / 2) * drawn.sample_s
    axes.plot(seconds, drawn.snr[drawn.row, first:stop], color=COLORS[0], lw=1.1)
    axes.set_title(f"DM {drawn.dms[drawn.row]:.6g}", fontsize=9, loc="left")
    axes.set_xlabel("s")
    axes.set_ylabel("S/N of this boxcar")
    axes.grid(alpha=0.3)


def _time(seconds: float) -> str:
    """Return a time with the largest unit in which it is 1 or more."""
    scale, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return f"{seconds / scale:.3g} {unit}"


def _highest(values: NDArray[Any]) -> NDArray[Any]:
    """Return the highest value of each pixel."""
    for axis, most in ((1, _PIXELS[0]), (0, _PIXELS[1])):
        n = values.shape[axis]
        starts = np.unique(np.linspace(0, n, min(n, most), endpoint=False).astype(int))
        values = np.fmax.reduceat(values, starts, axis=axis)
    return values
