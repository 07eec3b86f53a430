"""Images of profiles against time and frequency."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.axes.time import elapsed
from fastsig.pulsar.profiles import Profiles

__all__ = ["Image", "by_frequency", "by_time", "twice"]

F8 = NDArray[np.float64]

_MOST_ROWS = 512
_UNEVEN = 0.02  # of a row; epochs may differ from even steps by as much


class Image(NamedTuple):
    """Rows of profiles.

    Parameters
    ----------
    values : ndarray, shape (row, bin), float64
        NaN where there are no data.
    edges : (float, float)
        Lower edge of the first row, upper edge of the last.
    name : str or None
        Name of the values, if they are not those of the product.
    unit : str or None
    """

    values: F8
    edges: tuple[float, float]
    name: str | None
    unit: str | None


def twice(values: Any) -> Any:
    """Return values over two turns of the last axis."""
    return np.concatenate([values, values], axis=-1)


def by_time(profiles: Profiles, off: NDArray[np.bool_]) -> Image:
    """Return the means over channels against time, s after the start."""
    mean = profiles.mean("frequency") if profiles.n_chan > 1 else profiles
    if mean.n_subint > _MOST_ROWS:
        mean = mean.grouped(n_subint=-(-mean.n_subint // _MOST_ROWS))
    rows, name = _levelled(mean.data[:, 0, 0], off, profiles)
    start = profiles.header.start_time
    epochs = np.array([float(elapsed(start, each)) for each in mean.epochs])
    periods = np.nan_to_num(mean.periods)
    values, edges = _placed(rows, epochs + periods / 2, mean.durations, periods)
    return Image(values, edges, name, profiles.header.unit)


def _placed(rows: F8, centers: F8, durations: F8, periods: F8
            ) -> tuple[F8, tuple[float, float]]:
    """Return rows at even steps of time, those of gaps NaN, and the edges.

    An epoch is at a phase of 0, up to a turn before the middle, so that centres are known to half a
    turn only; shorter gaps, and shorter times before the start, are none.
    """
    lengths = np.where(durations > 0, durations, np.median(np.diff(centers)) if len(
        centers) > 1 else 1.0)
    low, high = float((centers - lengths / 2).min()), float((centers + lengths / 2).max())
    turn = float(periods.max())
    if abs(low) <= turn:
        centers, low, high = centers - low, 0.0, high - low
    even = low + (np.arange(len(rows)) + 0.5) * (high - low) / len(rows)
    if np.abs(centers - even).max() <= _UNEVEN * lengths.max() + turn / 2:
        return rows, (low, high)
    at = low + (np.arange(_MOST_ROWS) + 0.5) * (high - low) / _MOST_ROWS
    order = np.argsort(centers)
    near = order[np.clip(np.searchsorted((centers - lengths / 2)[order], at, "right") - 1, 0,
                         None)]
    inside = np.abs(at - centers[near]) <= lengths[near] / 2 * (1 + 1e-6) + periods[near]
    return np.where(inside[:, None], rows[near], np.nan), (low, high)


def by_frequency(profiles: Profiles, off: NDArray[np.bool_]) -> Image:
    """Return the means over time against frequency, MHz."""
    mean = profiles.mean("time") if profiles.n_subint > 1 else profiles
    n = next(n for n in range(1, mean.n_chan + 1)
             if mean.n_chan % n == 0 and mean.n_chan // n <= _MOST_ROWS)
    mean = mean.grouped(n_chan=n) if n > 1 else mean
    rows, name = _levelled(mean.data[0, 0], off, profiles)
    low, high = mean.header.require_channels(profiles.path).edges_hz
    return Image(rows, (float(low) / 1e6, float(high) / 1e6), name, profiles.header.unit)


def _levelled(rows: Any, off: NDArray[np.bool_], profiles: Profiles) -> tuple[F8, str | None]:
    """Return rows with an off-pulse mean of 0; of recorded units, in units of the noise there."""
    found = rows.astype(np.float64)
    there = np.isfinite(found) & off
    count = np.maximum(there.sum(axis=-1, keepdims=True), 1)
    found = found - np.where(there, found, 0).sum(axis=-1, keepdims=True) / count
    if profiles.header.unit is not None:
        return found, None
    noise = np.sqrt((np.where(there, found, 0) ** 2).sum(axis=-1, keepdims=True) / count)
    middle = float(np.median(noise[noise > 0])) if (noise > 0).any() else 0.0
    if not middle:
        return found, None
    # A row much quieter than the others, with no receiver behind it, is not magnified.
    return found / np.maximum(noise, 1e-3 * middle), "S/N of a bin"
