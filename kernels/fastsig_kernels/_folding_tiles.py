"""Folding where all columns have the phase of their row: by tiles of columns.

The sums of a tile, in all bins of all profiles, stay in the cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ._folding_loops import (
    NARROW,
    WIDE,
    add_few_nb,
    add_rows_nb,
    add_scaled_nb,
    add_weighted_nb,
    list_rows_nb,
)
from ._order import address
from ._simd import Spec

_TILE_BYTES = 2**19  # half of a second-level cache
_BLOCK_BYTES = 2**14  # rows that all profiles add in turn stay in the first-level cache
_MOST_ROWS = 2**15  # whose sum, of integers of 16 bits, has 32 bits
_STEPS = 2**20
_ROWS_AHEAD = 16
_NO_WEIGHT = np.empty((0, 1), np.float32)


@dataclass(frozen=True)
class Band:
    """Rows of columns that are neighbours in memory, and where to add them.

    Parameters
    ----------
    x : ndarray, shape (n_time, n_column)
    weight : ndarray, shape (n_time, 1 or n_column), float32, or None
    out : ndarray, shape (n_ephemeris, n_bin, n_column), float64
    out_weight : ndarray, shape (n_ephemeris, n_bin, 1 or n_column), float64
        Not part of the results if another band has the same weights.
    """

    x: np.ndarray
    weight: np.ndarray | None
    out: np.ndarray
    out_weight: np.ndarray

    @property
    def by_sample(self) -> bool:
        """Whether samples of a row have different weights."""
        return self.weight is not None and self.weight.shape[1] > 1

    def rows(self, first: int, stop: int) -> "Band":
        """Return some of the rows."""
        weight = None if self.weight is None else self.weight[first:stop]
        return replace(self, x=self.x[first:stop], weight=weight)


def _bands(x: np.ndarray, weight: np.ndarray | None, out: np.ndarray, out_weight: np.ndarray
           ) -> Iterator[Band]:
    """Divide rows (time, product, chan) into bands: one, or one for each product if necessary."""
    n, n_product, n_chan = x.shape
    shared = weight is None or weight.shape[1:] == (1, 1)
    joined = n_product == 1 or x.strides[1] == n_chan * x.itemsize
    if shared and joined:
        flat = x.reshape(n, n_product * n_chan)
        yield Band(flat, None if weight is None else weight[:, 0],
                   out.reshape(*out.shape[:2], -1), out_weight[:, :, 0])
        return
    for p in range(n_product):
        q = p if out_weight.shape[2] > 1 else 0
        target = out_weight[:, :, q] if p == q else np.zeros_like(out_weight[:, :, q])
        yield Band(x[:, p], None if weight is None else weight[:, q], out[:, :, p], target)


class Tiles:
    """The work space of a plan that folds.

    Parameters
    ----------
    dtype : dtype
        Type of the samples.
    n_ephemeris, n_bin : int
    """

    def __init__(self, dtype: np.dtype, n_ephemeris: int, n_bin: int) -> None:
        self._dtype, self._n_ephemeris, self._n_bin = dtype, n_ephemeris, n_bin
        self._arrays: dict[str, np.ndarray] = {}

    @property
    def memory_bytes(self) -> int:
        """Size of the arrays that exist."""
        return sum(each.nbytes for each in self._arrays.values())

    def _array(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return an array that is kept, not initialised."""
        size = int(np.prod(shape))
        if name not in self._arrays or self._arrays[name].size < size:
            self._arrays[name] = np.empty(size, dtype)
        return self._arrays[name][:size].reshape(shape)

    def fold(self, x: np.ndarray, phase: np.ndarray, piece: int, weight: np.ndarray | None,
             out: np.ndarray, out_weight: np.ndarray, *, add: bool) -> None:
        """Add all rows; their steps are listed in pieces that fit into the work space.

        Arguments are as for `Folder.process`. Without `add`, the contents of the results are
        replaced.
        """
        most = min(_MOST_ROWS, max(1024, _STEPS // self._n_ephemeris))
        for band in _bands(x, weight, out, out_weight):
            for first in range(0, len(x), most):
                self._add = add or first > 0
                self._fold_rows(band.rows(first, min(first + most, len(x))), phase, piece, first)

    def _fold_rows(self, band: Band, phase: np.ndarray, piece: int, first: int) -> None:
        """Add rows to all columns."""
        by_row = band.weight is not None and not band.by_sample
        row_weight = _own(band.weight[:, 0]) if by_row else _NO_WEIGHT[:, 0]
        is_scaled = not _are_flags(row_weight)
        spec = self._spec(integer=not band.by_sample and not is_scaled)
        widest = self._widest(spec, both=band.by_sample)
        steps, scales = self._list(band, phase, piece, first, row_weight, is_scaled, widest)
        for place in _tiles(band.x.shape[1], widest):
            tile = self._begin("sums", band.out, place, spec)
            totals = self._begin("totals", band.out_weight, place, spec) if band.by_sample else tile
            some = band.weight[:, place] if band.by_sample else _NO_WEIGHT
            _add(spec, steps, scales, tile.reshape(-1), totals.reshape(-1), band.x[:, place], some)
            self._end(tile, band.out, place)
            if band.by_sample:
                self._end(totals, band.out_weight, place)

    def _spec(self, *, integer: bool) -> Spec:
        """Return the form of the loops: sums of integers if possible and wanted."""
        return Spec(kind=self._dtype.name, integer=integer and self._dtype.kind in "iu")

    def _list(self, band: Band, phase: np.ndarray, piece: int, first: int,
              weight: np.ndarray, is_scaled: bool, widest: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps of the rows and their weights; add the weights of rows."""
        n, many = len(band.x), self._n_ephemeris
        block = self._block(band, widest)
        steps = self._array("steps", (n * many, 3), np.int32)
        scales = self._array("scales", (n * many if is_scaled else 0,), np.float32)
        total = np.array(band.out_weight[..., 0]) if self._add else np.zeros(band.out.shape[:2])
        count = list_rows_nb(phase, piece, first, n, self._n_bin, block, weight, is_scaled, steps,
                             scales, total)
        if not band.by_sample:
            band.out_weight[..., 0] = total
        return steps[:count], scales[:count]

    def _widest(self, spec: Spec, *, both: bool) -> int:
        """Return the largest number of columns of a tile."""
        size = 4 if spec.numba_type.items["integer"] else 8
        fit = _TILE_BYTES // (size * (1 + both) * self._n_bin * self._n_ephemeris)
        return max(WIDE, fit // WIDE * WIDE)

    def _begin(self, name: str, out: np.ndarray, place: slice, spec: Spec) -> np.ndarray:
        """Return a tile that continues `out`; sums of integers are added to it later."""
        integer = spec.numba_type.items["integer"]
        shape = self._n_ephemeris, self._n_bin, place.stop - place.start
        tile = self._array(name + integer * "_integer", shape, np.int32 if integer else np.float64)
        tile[...] = 0 if integer or not self._add else out[..., place]
        return tile

    def _end(self, tile: np.ndarray, out: np.ndarray, place: slice) -> None:
        """Write sums where they belong; add those of integers."""
        if tile.dtype == np.float64 or not self._add:
            out[..., place] = tile
        else:
            out[..., place] += tile

    def _block(self, band: Band, width: int) -> int:
        """Return how many rows are added to one profile before the next."""
        if self._n_ephemeris == 1:
            return len(band.x)
        return max(16, _BLOCK_BYTES // (width * self._dtype.itemsize))


def _tiles(n_column: int, widest: int) -> Iterator[slice]:
    """Yield the columns of each tile: a multiple of 16, or the rest."""
    whole = n_column // NARROW * NARROW
    for start in range(0, whole, widest):
        yield slice(start, min(start + widest, whole))
    if whole < n_column:
        yield slice(whole, n_column)


def _add(spec: Spec, steps: np.ndarray, scales: np.ndarray, tile: np.ndarray, totals: np.ndarray,
         x: np.ndarray, weights: np.ndarray) -> None:
    """Add rows to a tile, in the way that their number of columns and their weights need."""
    n, source, step, count = x.shape[1], address(x), x.strides[0], len(steps)
    if n < NARROW:
        add_few_nb(spec, steps, scales, count, tile, totals, n, source, step,
                   _own(weights))
    elif weights.size:
        if weights.strides[1] != weights.itemsize:
            weights = np.ascontiguousarray(weights)
        add_weighted_nb(spec, steps, count, tile, totals, n, source, step, address(weights),
                        weights.strides[0])
    elif scales.size:
        add_scaled_nb(spec, steps, scales, count, tile, n, source, step)
    else:
        add_rows_nb(spec, steps, count, tile, n, source, step, _ROWS_AHEAD * step)


def _own(array: np.ndarray) -> np.ndarray:
    """Return a C-contiguous copy: for arrays that are read-only, loops would be compiled again."""
    return np.array(array, order="C")


def _are_flags(weight: np.ndarray) -> bool:
    """Whether all weights are 0 or 1."""
    return bool(((weight == 0) | (weight == 1)).all())
