"""Pictures of calibrated spectra: the mean with its expected noise, rows beside one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastsig.view._common import COLORS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_switched"]

_BINS = 1024  # most points of a line


def draw_switched(
    mean: NDArray[Any], frequency: NDArray[Any], rows: NDArray[Any], *, names: tuple[str, ...],
    unit: str, expected: NDArray[Any], notes: list[str], title: str,
) -> Figure:
    """Draw a mean spectrum, its smoothed form within the expected noise, and the rows' waterfall.

    Parameters
    ----------
    mean : ndarray, shape (product, chan)
        NaN where nothing is valid.
    frequency : ndarray, shape (chan,)
        MHz.
    rows : ndarray, shape (row, product, chan)
        What the mean is made of; drawn of the first product where there is more than one.
    names : tuple of str
        Of the products.
    unit : str
        Of the values.
    expected : ndarray, shape (product,)
        Noise of a channel of the mean by the radiometer equation.
    notes : list of str
        Lines below the title.
    """
    figure = new_figure(10, 7.5 if len(rows) > 1 else 6)
    heights = (3, 3, 2) if len(rows) > 1 else (3, 3)
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    for index, (values, name) in enumerate(zip(mean, names, strict=True)):
        color = COLORS[index % len(COLORS)]
        axes[0].plot(frequency, values, color=color, lw=0.5, label=name)
        _narrow(axes[1], frequency, values, float(expected[index]), color)
    axes[0].legend(loc="upper right", fontsize=8)
    axes[0].set_title("\n".join([title, *notes]), fontsize=9, loc="left")
    for panel in axes[:2]:
        panel.set_ylabel(f"{'T_A' if unit == 'K' else 'power'} ({unit})")
        panel.grid(alpha=0.3)
    _limit(axes[0], mean)
    if len(rows) > 1:
        _waterfall(figure, axes[2], rows[:, 0], frequency, unit)
    axes[-1].set_xlabel("frequency (MHz)")
    axes[-1].ticklabel_format(axis="x", useOffset=False)
    axes[-1].set_xlim(frequency[0], frequency[-1])
    return figure


def _narrow(axes: Any, frequency: NDArray[Any], values: NDArray[Any], sigma: float, color: str
            ) -> None:
    """Means of neighbouring channels, and the noise that is expected of these about the middle."""
    n = max(1, len(values) // _BINS)
    count = len(values) // n
    means = np.array([_mean(each) for each in values[: count * n].reshape(count, n)])
    middle, width = float(np.nanmedian(means)), sigma / np.sqrt(n)
    axes.plot(frequency[: count * n].reshape(count, n).mean(axis=1), means, color=color, lw=0.8)
    axes.axhspan(middle - width, middle + width, color=color, alpha=0.15, lw=0)
    told = "channels" if n == 1 else f"means of {n} channels"
    axes.text(0.99, 0.03, f"{told}; band: 1 sigma expected",
              transform=axes.transAxes, ha="right", fontsize=8)
    _limit(axes, means[np.newaxis])


def _mean(values: NDArray[Any]) -> float:
    kept = values[np.isfinite(values)]
    return float(kept.mean()) if kept.size else np.nan


def _limit(axes: Any, values: NDArray[Any]) -> None:
    """Let a few wild channels at the band's edges not decide the scale."""
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
    figure.colorbar(drawn, ax=axes, label=unit, pad=0.01, aspect=15)
