"""Search of a scan: pieces of the band on a pool of threads, and the signals of all of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.reductions.drifting.bands import Bands
from fastsig.run.engine import Progress
from fastsig.search.drift.plan import DriftPlan
from fastsig.search.drift.signal import Signal
from fastsig.search.drift.tile import Tile
from fastsig.work.scheduler import run

__all__ = ["Band", "Found", "Settings", "search_band", "unit_bytes"]

F4 = NDArray[np.float32]

_TILE_VALUES = 2**21  # of a tile, about
_TILE = 2**13, 2**17  # channels of a tile, at least and at most
_UNIT_VALUES = 2**24  # that are read at a time, about
_WINDOW = 4096  # channels in which the level is measured, at most
_LEAST_WINDOW = 64
_PARTS = 16  # windows of a narrow band, at least
_BORDER = 4  # channels by which a signal may appear beyond the border of its tile


@dataclass(frozen=True)
class Settings:
    """Settings of a search.

    Parameters
    ----------
    plan : DriftPlan
    threshold : float
        Lowest S/N.
    min_share : float
        Smallest fraction of the samples of a signal that must be valid.
    most : int
        Largest number of signals of a piece of the band.
    """

    plan: DriftPlan
    threshold: float
    min_share: float = 0.5
    most: int = 1000


class Band(NamedTuple):
    """The band that is searched: its number of channels, and those that are always left out."""

    n_chan: int
    lost: NDArray[np.int64]


class Found(NamedTuple):
    """What a search found.

    Parameters
    ----------
    signals : list of Signal
        By ascending channel.
    n_full : int
        Number of pieces that contain more.
    noise : list of (int, float)
        Channels of each piece, and the shape of the gamma distribution of its samples.
    """

    signals: list[Signal]
    n_full: int
    noise: list[tuple[int, float]]


class _Unit(NamedTuple):
    """Tiles that are read together: first channels, and the channel after the last."""

    tiles: tuple[int, ...]
    stop: int


class _Shape(NamedTuple):
    """Channels of a window, of a tile and of the margin on both sides of a tile."""

    window: int
    tile: int
    margin: int

    @classmethod
    def of(cls, plan: DriftPlan, n_chan: int) -> _Shape:
        """Return the sizes for a scan; they depend on the plan's widest drift alone."""
        grain = max((octave.n_sum for octave in plan.octaves), default=1)
        window = _WINDOW
        while window > _LEAST_WINDOW and window * _PARTS > n_chan:
            window //= 2
        window = max(window, grain)
        tile = _TILE[1]
        while tile > _TILE[0] and tile * plan.n_spectrum > _TILE_VALUES:
            tile //= 2
        tile = max(window, min(tile, -(-n_chan // window) * window))
        # Strong signals that cross those of a tile, and those that cross these, are in the margin
        # too. Half a window more and the level is interpolated between windows that are whole.
        alone = plan.reach + plan.widest_channels
        need = alone + min(2 * alone, 2 * window) + window // 2
        return cls(window, tile, -(-need // window) * window)


def search_band(bands: Bands, band: Band, settings: Settings, *, workers: int = 1,
                progress: Progress | None = None) -> Found:
    """Search all channels of a scan, on threads.

    Parameters
    ----------
    bands : Bands
        Pieces of the band.
    band : Band
    settings : Settings
    workers : int
        Number of threads.
    progress : callable, optional
        Called with the name of the pass, the number of channels searched since the last call, and
        the number of all channels.
    """
    shape = _Shape.of(settings.plan, band.n_chan)
    local = threading.local()
    signals: list[Signal] = []
    noise: list[tuple[int, float]] = []
    full = 0

    def work(unit: _Unit) -> Found:
        if not hasattr(local, "tile"):
            local.tile = Tile(settings.plan, shape.window, settings.threshold,
                              min_share=settings.min_share, most=settings.most)
        return _search_unit(bands, band, unit, shape, local.tile)

    def consume(unit: _Unit, result: Found) -> None:
        nonlocal full
        signals.extend(result.signals)
        noise.extend(result.noise)
        full += result.n_full
        if progress is not None:
            progress("drift", unit.stop - unit.tiles[0], band.n_chan)

    run(_units(band.n_chan, shape, settings.plan.n_spectrum), work, consume, workers=workers,
        in_flight=workers + 1, describe=lambda unit: f"channels {unit.tiles[0]} to {unit.stop}")
    return Found(_without_twins(signals), full, noise)


def unit_bytes(plan: DriftPlan, n_chan: int) -> int:
    """Return the memory that a thread needs, in bytes."""
    shape = _Shape.of(plan, n_chan)
    read = _tiles_together(shape, plan.n_spectrum) * shape.tile + 2 * shape.margin
    return 4 * plan.n_spectrum * (read + 5 * (shape.tile + 2 * shape.margin))


def _tiles_together(shape: _Shape, n_spectrum: int) -> int:
    return max(1, _UNIT_VALUES // (n_spectrum * shape.tile))


def _units(n_chan: int, shape: _Shape, n_spectrum: int) -> Iterator[_Unit]:
    tiles = range(0, n_chan, shape.tile)
    together = _tiles_together(shape, n_spectrum)
    for first in range(0, len(tiles), together):
        some = tuple(tiles[first : first + together])
        yield _Unit(some, min(n_chan, some[-1] + shape.tile))


def _search_unit(bands: Bands, band: Band, unit: _Unit, shape: _Shape, tile: Tile
                 ) -> Found:
    """Read the channels of some tiles at once, and search one tile after the other."""
    low = max(0, unit.tiles[0] - shape.margin)
    high = min(band.n_chan, unit.stop + shape.margin)
    values = bands.read(low, high)
    found: list[Signal] = []
    noise: list[tuple[int, float]] = []
    n_full = 0
    for first in unit.tiles:
        # The last tile may be shorter, but has whole windows.
        stop = min(first + shape.tile, -(-band.n_chan // shape.window) * shape.window)
        begin, end = first - shape.margin, stop + shape.margin
        lost = band.lost[(band.lost >= begin) & (band.lost < end)] - begin
        signals, is_full, of_noise = tile.search(_piece(values, begin - low, end - low, lost))
        n_full += is_full
        stop = min(first + shape.tile, band.n_chan)
        noise += [(stop - first, of_noise)] if of_noise else []
        moved = (replace(each, start=each.start + begin) for each in signals)
        found += [each for each in moved if first - _BORDER <= each.start < stop + _BORDER]
    return Found(found, n_full, noise)


def _piece(values: F4, begin: int, end: int, lost: NDArray[np.int64]) -> F4:
    """Return columns, NaN where they are lost or beyond the band."""
    n = values.shape[1]
    piece = values[:, max(0, begin) : min(n, end)]
    if begin < 0 or end > n:
        whole = np.full((len(values), end - begin), np.nan, np.float32)
        whole[:, max(0, -begin) : max(0, -begin) + piece.shape[1]] = piece
        piece = whole
    if lost.size:
        piece = piece.copy() if piece.base is not None else piece
        piece[:, lost] = np.nan
    return piece


def _without_twins(signals: list[Signal]) -> list[Signal]:
    """Return signals by channel; of those found in two neighbouring tiles, the stronger one."""
    kept: list[Signal] = []
    for each in sorted(signals, key=lambda one: (one.start, one.drift, -one.snr)):
        near = [other for other in kept[-8:] if abs(other.start - each.start) <= _BORDER
                and abs(other.drift - each.drift) <= max(2, _BORDER) and other.width == each.width
                and abs(other.snr - each.snr) < 0.1 * each.snr]
        if near and near[0].snr >= each.snr:
            continue
        for other in near:
            kept.remove(other)
        kept.append(each)
    return kept
