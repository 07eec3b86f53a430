"""Search of a scan: pieces of the band on a pool of threads, and the signals of all of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.reductions.drifting.bands import Bands
from fastsig.reductions.drifting.units import Unit, Units
from fastsig.run.engine import Progress
from fastsig.search.drift.plan import DriftPlan
from fastsig.search.drift.signal import Signal
from fastsig.search.drift.tile import Tile
from fastsig.work.scheduler import run

__all__ = ["Band", "Found", "Settings", "search_band", "search_bytes"]

F4 = NDArray[np.float32]

_TILE_VALUES = 2**21  # of a tile, about
_TILE = 2**13, 2**17  # channels of a tile, at least and at most
_UNIT_VALUES = 2**24  # of a unit, at most
_WINDOW = 4096  # channels in which the level is measured, at most
_LEAST_WINDOW = 64
_PARTS = 16  # windows of a narrow band, at least
_COARSE_PARTS = 64  # windows of a coarse channel, at least
_BORDER = 4  # channels by which a signal may appear beyond the border of its tile
_AHEAD = 4  # tasks of a thread that have begun or are about to begin
_ARRAYS = 3  # of the size of a tile, that a thread needs


@dataclass(frozen=True)
class Settings:
    """Settings of a search.

    Parameters
    ----------
    plan : DriftPlan
        Plan of the search.
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
    """The band that is searched.

    Parameters
    ----------
    n_chan : int
        Number of channels.
    lost : ndarray of int
        Channels that are always left out.
    n_coarse : int or None
        Number of coarse channels, at whose edges the level may change quickly.
    """

    n_chan: int
    lost: NDArray[np.int64]
    n_coarse: int | None = None


class Found(NamedTuple):
    """The result of a search.

    Parameters
    ----------
    signals : list of Signal
        Signals in order of ascending channel.
    n_full : int
        Number of pieces that may contain further, weaker signals.
    noise : list of (int, float)
        Channels of each piece, and the shape of the gamma distribution of its samples.
    """

    signals: list[Signal]
    n_full: int
    noise: list[tuple[int, float]]


class _Shape(NamedTuple):
    """Channels of a window, of a tile and of the margin on both sides of a tile, at least.

    Windows and tiles depend on the number of spectra and the band only, and the margin on the
    widest drift too. A tile is read with whole cells, which have up to `grain` channels.
    """

    window: int
    tile: int
    margin: int
    grain: int

    @classmethod
    def of(cls, plan: DriftPlan, band: Band) -> _Shape:
        """Return the sizes for a scan."""
        n_chan = band.n_chan
        narrow = n_chan // _PARTS
        if band.n_coarse is not None and band.n_coarse > 1:
            narrow = min(narrow, n_chan // band.n_coarse // _COARSE_PARTS)
        window = _WINDOW
        while window > _LEAST_WINDOW and window > narrow:
            window //= 2
        tile = _TILE[1]
        while tile > _TILE[0] and tile * plan.n_spectrum > _TILE_VALUES:
            tile //= 2
        tile = max(window, min(tile, -(-n_chan // window) * window))
        # Strong signals that cross those of a tile, and those that cross these, are in the margin
        # too. Half a window more and the level is interpolated between windows that are whole.
        alone = plan.reach + plan.widest_channels
        need = alone + min(2 * alone, 2 * window) + window // 2
        largest = max((octave.n_sum for octave in plan.octaves), default=1)
        return cls(window, tile, need, max(window, largest))

    def end(self, first: int, n_chan: int) -> int:
        """Return the end of a tile: the last one may be shorter, but has whole windows."""
        return min(first + self.tile, -(-n_chan // self.window) * self.window)

    def limits(self, first: int, n_chan: int) -> tuple[int, int]:
        """Return the channels of a tile and its margins, as (begin, end)."""
        begin = (first - self.margin) // self.grain * self.grain
        return begin, -(-(self.end(first, n_chan) + self.margin) // self.grain) * self.grain


def search_band(bands: Bands, band: Band, settings: Settings, *, workers: int = 1,
                progress: Progress | None = None) -> Found:
    """Search all channels of a scan, on several threads.

    Parameters
    ----------
    bands : Bands
        Pieces of the band.
    band : Band
        The band that is searched.
    settings : Settings
        Settings of the search.
    workers : int
        Number of threads.
    progress : callable, optional
        Called with the name of the pass, the number of channels searched since the last call, and
        the number of all channels.
    """
    shape = _Shape.of(settings.plan, band)
    units = Units(bands, settings.plan.n_spectrum, band.n_chan, _buffers(workers))
    local, tiles = threading.local(), list[Tile]()
    signals: list[list[Signal]] = []
    noise: list[tuple[int, float]] = []
    full = 0

    def work(task: _Task) -> Found:
        if task.first is None:
            task.unit.read(task.part)
            return Found([], 0, [])
        if not hasattr(local, "tile"):
            local.tile = Tile(settings.plan, shape.window, settings.threshold,
                              min_share=settings.min_share, most=settings.most)
            tiles.append(local.tile)
        with task.unit.values() as values:
            return _search_tile(values, task, band, shape, local.tile)

    def consume(task: _Task, result: Found) -> None:
        nonlocal full
        if task.first is not None:
            signals.append(result.signals)
        noise.extend(result.noise)
        full += result.n_full
        if progress is not None and task.first is not None:
            progress("drift", min(shape.tile, band.n_chan - task.first), band.n_chan)

    run(_tasks(band.n_chan, shape, units, workers), work, consume, workers=workers,
        in_flight=_AHEAD * workers, describe=_described)
    units.close()
    for tile in tiles:
        tile.close()
    return Found(_without_twins(signals, shape.tile), full, noise)


class _Task(NamedTuple):
    """A part of the rows of a unit to read, or the first channel of one of its tiles to search.

    All parts of a unit are read before its tiles are searched, and tasks begin in this order.
    """

    unit: Unit
    part: int
    first: int | None


def _described(task: _Task) -> str:
    first = task.unit.low if task.first is None else task.first
    return f"channels {first} to {task.unit.high}"


def _tasks(n_chan: int, shape: _Shape, units: Units, workers: int) -> Iterator[_Task]:
    tiles = range(0, n_chan, shape.tile)
    together = _tiles_together(shape, units.n_time, units.bands.run)
    for at in range(0, len(tiles), together):
        some = tiles[at : at + together]
        unit = units.unit(shape.limits(some[0], n_chan)[0], shape.limits(some[-1], n_chan)[1],
                          len(some), workers if len(some) > 1 else 1)
        yield from (_Task(unit, part, None) for part in range(unit.n_part))
        yield from (_Task(unit, 0, first) for first in some)


def search_bytes(plan: DriftPlan, band: Band, workers: int, run: int) -> int:
    """Return the memory that a number of threads need, in bytes.

    Parameters
    ----------
    plan : DriftPlan
        Plan of the search.
    band : Band
        The band that is searched.
    workers : int
        Number of threads.
    run : int
        Number of neighbouring channels that are read together; see `Bands.run`.
    """
    shape = _Shape.of(plan, band)
    together = min(_tiles_together(shape, plan.n_spectrum, run), -(-band.n_chan // shape.tile))
    margins = 2 * (shape.margin + shape.grain)
    read = together * shape.tile + margins
    each = _ARRAYS * (shape.tile + margins)
    return 4 * plan.n_spectrum * (_buffers(workers) * read + workers * each)


def _tiles_together(shape: _Shape, n_spectrum: int, run: int) -> int:
    """Return how many tiles are read at once: those of a run, if they fit into the memory."""
    most = max(1, _UNIT_VALUES // (n_spectrum * shape.tile))
    return min(most, -(-run // shape.tile))


def _buffers(workers: int) -> int:
    """Return the number of units in memory."""
    return 1 if workers == 1 else workers + 1


def _search_tile(values: F4, task: _Task, band: Band, shape: _Shape, tile: Tile) -> Found:
    """Search a tile of a unit."""
    first = task.first or 0
    begin, end = shape.limits(first, band.n_chan)
    lost = band.lost[(band.lost >= begin) & (band.lost < end)] - begin
    piece = values[:, begin - task.unit.low : end - task.unit.low]
    stop = min(first + shape.tile, band.n_chan)
    core = slice(first - begin, shape.end(first, band.n_chan) - begin)
    signals, is_full, of_noise = tile.search(piece, lost, core)
    moved = (replace(each, start=each.start + begin) for each in signals)
    return Found([each for each in moved if first - _BORDER <= each.start < stop + _BORDER],
                 int(is_full), [(stop - first, of_noise)] if of_noise else [])


def _without_twins(found: list[list[Signal]], tile: int) -> list[Signal]:
    """Return the signals of all tiles by channel; those of two neighbouring tiles once.

    Parameters
    ----------
    found : list of list of Signal
        The signals of each tile; a few of them begin in the next one or in the one before.
    tile : int
        Channels of a tile.
    """
    for number, (lower, upper) in enumerate(pairwise(found), 1):
        edge = number * tile
        near = [[each for each in some if abs(each.start - edge) < 2 * _BORDER]
                for some in (lower, upper)]
        pairs = sorted((_distance(one, other), i, k) for i, one in enumerate(near[0])
                       for k, other in enumerate(near[1]) if _distance(one, other) <= _BORDER)
        left: list[set[int]] = [set(range(len(some))) for some in near]
        for _, i, k in pairs:
            if i in left[0] and k in left[1]:
                left[0].remove(i)
                left[1].remove(k)
                if near[0][i].start >= edge and near[1][k].start >= edge:
                    lower.remove(near[0][i])
                else:
                    upper.remove(near[1][k])
    return sorted((each for some in found for each in some),
                  key=lambda each: (each.start, each.drift, -each.snr))


def _distance(one: Signal, other: Signal) -> float:
    return max(abs(one.start - other.start), abs(one.drift - other.drift))
