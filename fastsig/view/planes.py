"""The picture of a DM-time plane: the plane itself, and its highest S/N at each measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import iso
from fastsig.stream.slices import product_indices
from fastsig.view.figures import COLORS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastsig.io.planes.reader import Plane

__all__ = ["draw_plane"]

_PIXELS = 1000, 600  # most in time and in dispersion measure
_WHOLE = 0.5  # least share of the channels
_SIGMA = 1.4826  # standard deviation of Gaussian noise in median absolute deviations


def draw_plane(plane: Plane, product: str | None = None) -> Figure:
    """Draw a DM-time plane in standard deviations of the noise.

    The median and the noise are those of the series of each dispersion measure. A pixel is the
    highest value of its times and dispersion measures.

    Parameters
    ----------
    plane : Plane
    product : str, optional
        The product to draw; by default the first.
    """
    names = plane.header.polarization.names
    index = 0 if product is None else product_indices([product], names, "plane")[0]
    found = _normalized(plane.values[index], plane.weight[index])
    figure = new_figure(11, 6)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
    seconds = found.shape[1] / float(plane.header.sample_rate)
    low, high = plane.dms[0], max(plane.dms[-1], np.nextafter(plane.dms[0], np.inf))
    image = left.imshow(_highest(found), aspect="auto", origin="lower", interpolation="nearest",
                        extent=(0, seconds, low, high), vmin=0)
    figure.colorbar(image, ax=left, label="highest value (standard deviations)")
    left.set_title(f"{plane.header.source or 'unknown source'}, {names[index]}", fontsize=9,
                   loc="left")
    left.set_xlabel(f"s after {iso(plane.header.start_time)}")
    left.set_ylabel("dispersion measure (pc cm$^{-3}$)")
    right.plot(np.nanmax(found, axis=1, initial=0), plane.dms, color=COLORS[0], lw=1.1)
    right.set_xlabel("highest S/N of a sample")
    right.grid(alpha=0.3)
    return figure


def _normalized(values: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[Any]:
    """Return values in standard deviations of each row; NaN where many channels are missing."""
    known = np.where(weight >= _WHOLE, values, np.nan)
    out = np.full(known.shape, np.nan, np.float32)
    for row, target in zip(known, out, strict=True):
        there = row[np.isfinite(row)]
        if not there.size:
            continue
        middle = np.median(there)
        sigma = _SIGMA * np.median(np.abs(there - middle))
        if sigma > 0:
            np.divide(row - middle, sigma, out=target)
    return out


def _highest(values: NDArray[Any]) -> NDArray[Any]:
    """Return the highest value of each pixel."""
    for axis, most in ((1, _PIXELS[0]), (0, _PIXELS[1])):
        n = values.shape[axis]
        starts = np.unique(np.linspace(0, n, min(n, most), endpoint=False).astype(int))
        values = np.fmax.reduceat(values, starts, axis=axis)
    return values
