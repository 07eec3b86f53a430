"""A block of channels of a map: one pass stores the rows of all inputs, then they are gridded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.reductions.mapping.rows import MapRows, Rows
from fastsig.run.engine import run
from fastsig.work.scheduler import run as run_tasks

__all__ = ["grid_channels", "read_channels"]

F4 = NDArray[np.float32]

_TILES = 16  # per task


def read_channels(
    inputs: Sequence[Rows], cuts: Sequence[tuple[int, int]], scales: Sequence[float], product: str,
    first: int, n: int, n_product: int, wide: int, threads: int,
) -> tuple[F4, F4]:
    """Read values and weights of some channels of all spectra, (product, spectrum, chan).

    Parameters
    ----------
    inputs : sequence of Rows
    cuts : sequence of (int, int)
        Range of the map's channels in each input.
    scales : sequence of float
        Factors by which the values of each input are multiplied.
    product : str
    first, n : int
        First channel of the map, and number of channels.
    n_product : int
    wide : int
        Channels of the weights: 1, or n.
    threads : int
    """
    n_spectra = sum(len(rows.kept) for rows in inputs)
    data = np.empty((n_product, n_spectra, n), np.float32)
    weight = np.empty((n_product, n_spectra, wide), np.float32)
    sinks, at = [], 0
    for rows, cut, scale in zip(inputs, cuts, scales, strict=True):
        where = slice(at, at + len(rows.kept))
        at = where.stop
        if len(rows.kept):
            band = cut[0] + first, cut[0] + first + n
            sinks.append(MapRows(rows, band, product, data[:, where], weight[:, where], scale))
    run(sinks, workers=threads)  # within the memory that `plan_blocks` left for these threads
    return data, weight


def grid_channels(gridder: Any, data: F4, weight: F4, mean: F4, out: F4, threads: int) -> None:
    """Fill `mean` and `out` (chan, y, x); `Gridder` gives the same bits in any order of tiles."""
    free = [gridder.copy() for _ in range(threads)]

    def work(first: int) -> None:
        plan = free.pop()
        try:
            plan.process(data, weight, first=first, stop=min(first + _TILES, plan.n_tile),
                         out=mean, out_weight=out)
        finally:
            free.append(plan)

    run_tasks(range(0, gridder.n_tile, _TILES), work, lambda *_: None, workers=threads,
              describe=lambda first: f"tiles from {first} on")
