"""Pictures of calibrated spectra: the mean with its expected noise, and a waterfall of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.stream import SpectrumStream
from fastsig.view.figures import COLORS, new_figure, title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_mean"]

_BINS = 1024  # maximum number of points of a line


def draw_mean(mean: SpectrumStream, rows: SpectrumStream, notes: Sequence[str]) -> Figure:
    """Draw the mean, means of adjacent channels with the expected noise, and a waterfall of rows.

    Parameters and units as for `fastsig.view.draw_switched`.
    """
    values, known = mean.read_block(0, 1).data[0], mean.read_columns(0, 1)
    unit, names = mean.header.unit or "counts", mean.polarization.names
    axis = mean.header.require_channels(mean.path).centers.value
    many = rows.shape[0] > 1
    figure = new_figure(10, 7.5 if many else 6)
    axes = figure.subplots(2 + many, 1, sharex=True, height_ratios=(3, 3, 2)[: 2 + many])
    for index, name in enumerate(names):
        color = COLORS[index % len(COLORS)]
        axes[0].plot(axis, values[index], color=color, lw=0.5, label=name)
        _narrow(axes[1], axis, values[index], float(known[f"radiometer_{name}"][0]), color)
    axes[0].legend(loc="upper right", fontsize=8)
    axes[0].set_title("\n".join([title(mean), *notes]), fontsize=9, loc="left")
    for panel in axes[:2]:
        panel.set_ylabel(f"{'antenna temperature' if unit == 'K' else 'power'} ({unit})")
        panel.grid(alpha=0.3)
    _limit(axes[0], values)
    if many:
        _waterfall(figure, axes[2], rows.read_block(0, rows.shape[0]).data[:, 0], axis, unit)
    axes[-1].set_xlabel("frequency (MHz)")
    axes[-1].ticklabel_format(axis="x", useOffset=False)
    axes[-1].set_xlim(axis[0], axis[-1])
    return figure


def _narrow(axes: Any, frequency: NDArray[Any], values: NDArray[Any], sigma: float, color: str
            ) -> None:
    """Draw means of adjacent channels, and their expected noise about the middle."""
    n = max(1, len(values) // _BINS)
    count = len(values) // n
    means = np.array([_mean(each) for each in values[: count * n].reshape(count, n)])
    middle, width = float(np.nanmedian(means)), sigma / np.sqrt(n)
    axes.plot(frequency[: count * n].reshape(count, n).mean(axis=1), means, color=color, lw=0.8)
    axes.axhspan(middle - width, middle + width, color=color, alpha=0.15, lw=0)
    shown = "channels" if n == 1 else f"means of {n} channels"
    axes.text(0.99, 0.03, f"{shown}; band: 1 sigma expected",
              transform=axes.transAxes, ha="right", fontsize=8)
    _limit(axes, means[np.newaxis])


def _mean(values: NDArray[Any]) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if kept.size else np.nan


def _limit(axes: Any, values: NDArray[Any]) -> None:
    """Keep a few wild channels at the edges of the band from setting the scale."""
    edge = values.shape[-1] // 20
    inner = values[..., edge : values.shape[-1] - edge]
    inner = inner[np.isfinite(inner)]
    if inner.size and inner.max() > inner.min():
        room = 0.1 * (inner.max() - inner.min())
        low, high = inner.min() - room, inner.max() + 2 * room
        before = axes.get_ylim() if getattr(axes, "limited", False) else (low, high)
        axes.set_ylim(min(low, before[0]), max(high, before[1]))
        axes.limited = True


def _waterfall(figure: Figure, axes: Any, rows: NDArray[Any], frequency: NDArray[Any], unit: str
               ) -> None:
    n = max(1, rows.shape[1] // _BINS)
    count = rows.shape[1] // n
    parts = rows[:, : count * n].reshape(len(rows), count, n)
    image = np.array([[_mean(each) for each in row] for row in parts])
    finite = image[np.isfinite(image)]
    low, high = np.percentile(finite, (2, 98)) if finite.size else (0, 1)
    axes.set_facecolor("#bbbbbb")
    drawn = axes.imshow(image, origin="lower", aspect="auto", interpolation="nearest",
                        vmin=low, vmax=high if high > low else low + 1,
                        extent=(frequency[0], frequency[count * n - 1], -0.5, len(rows) - 0.5))
    axes.set_ylabel("row")
    if n > 1:
        axes.set_title(f"pixels: means of {n} channels", fontsize=8, loc="right")
    figure.colorbar(drawn, ax=axes, label=unit, pad=0.01, aspect=15)
