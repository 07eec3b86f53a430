"""Folding where columns have phases of their own: work space, and lists for all groups."""

import math
from typing import Any, NamedTuple

import numpy as np

from ._folding_lanes import WIDTH
from ._folding_shifts import BLOCK, add_groups_nb, list_places_nb, ranked, turned
from ._order import address
from ._pages import aligned
from ._simd import Spec

#: Largest number of rows of 16-bit integers whose sums fit into 32 bits.
_MOST_ROWS = 2**15
_PLACES = 2**20
#: Largest number of columns whose ranks fit into 16 bits, with one rank above all of them.
_MOST_COLUMNS = 2**15
_SUMS: dict[str, Any] = {"short": np.int32, "int": np.int32, "double": np.float64}


class _Columns(NamedTuple):
    """Columns whose remainders are ranked together."""

    place: slice
    ranks: np.ndarray
    turns: np.ndarray
    ascending: np.ndarray
    table: np.ndarray


class Groups:
    """The work space of a plan that folds columns with phases of their own.

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

    def fold(self, x: np.ndarray, phase: np.ndarray, piece: int, offset: np.ndarray,
             weight: np.ndarray | None, out: np.ndarray, out_weight: np.ndarray, *,
             add: bool) -> None:
        """Add rows, of shape (n_time, n_product, n_chan); arguments as for `Folder.process`.

        Without `add`, the contents of the results are replaced.
        """
        most = min(_MOST_ROWS, max(1024, _PLACES // self._n_ephemeris))
        for left in range(0, x.shape[2], _MOST_COLUMNS):
            place = slice(left, min(left + _MOST_COLUMNS, x.shape[2]))
            turns, rest = turned(np.array(offset[:, place], order="C"), self._n_bin)
            ranks, ascending, table = ranked(rest)
            columns = _Columns(place, ranks, turns, ascending, table)
            for first in range(0, len(x), most):
                some = slice(first, min(first + most, len(x)))
                self._fold_rows(x[some], phase, piece, first, columns,
                                None if weight is None else weight[some], out, out_weight,
                                add or first > 0)

    def _fold_rows(self, x: np.ndarray, phase: np.ndarray, piece: int, first: int,
                   columns: _Columns, weight: np.ndarray | None, out: np.ndarray,
                   out_weight: np.ndarray, add: bool) -> None:
        """Add rows to some of the columns of all products."""
        shape = self._n_ephemeris, len(x)
        places, limits = (self._array(name, shape, dtype) for name, dtype in (
            ("places", np.int32), ("limits", np.uint16)))
        list_places_nb(phase, piece, first, self._n_bin, columns.ascending, columns.table, places,
                       limits)
        for p in range(x.shape[1]):
            given = _of_product(weight, p, columns.place)
            spec = self._spec(given)
            add_groups_nb(spec, (places, limits), (columns.ranks, columns.turns), given,
                          columns.ranks.shape[1], self._work(spec),
                          address(x) + p * x.strides[1] + columns.place.start * x.itemsize,
                          x.strides[0], add, _results(out, p, columns.place),
                          _results(out_weight, p, columns.place))

    def _spec(self, weight: np.ndarray) -> Spec:
        """Return the form of the loops."""
        by_sample, integer = weight.shape[1] > 1, self._dtype.kind in "iu"
        weights = "sample" if by_sample else "none" if _are_flags(weight) else "row"
        if weights != "none" or not integer:
            return Spec(kind=self._dtype.name, sums="double", weights=weights)
        sums = "short" if self._dtype.itemsize == 1 else "int"
        return Spec(kind=self._dtype.name, sums=sums, weights="none")

    def _work(self, spec: Spec) -> tuple[np.ndarray, ...]:
        """Return the work space of the loops."""
        items = spec.numba_type.items
        weighted = items["weights"] != "none"
        shape = self._n_ephemeris, self._n_bin
        is_short = items["sums"] == "short"
        return (self._array("packed", (BLOCK * WIDTH * self._dtype.itemsize,), np.uint8),
                self._array("weights", (BLOCK if weighted else 0, WIDTH), np.float32),
                self._array("sums " + items["sums"], (1 + weighted, *shape, WIDTH),
                            _SUMS[items["sums"]]),
                self._array("short", (*shape, WIDTH if is_short else 0), np.int16),
                self._array("hits", shape, np.int32),
                self._array("counts", (*shape, 0 if weighted else WIDTH + 1), np.uint16),
                self._array("own", (self._n_ephemeris, WIDTH), np.uint16),
                self._array("ones", (*shape, 0 if weighted else WIDTH), np.int32))

    def _array(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return an array that is kept, not initialised."""
        size = math.prod(shape)
        if name not in self._arrays or self._arrays[name].size < size:
            self._arrays[name] = aligned(size * np.dtype(dtype).itemsize).view(dtype)
        return self._arrays[name][:size].reshape(shape)


def _of_product(weight: np.ndarray | None, product: int, place: slice) -> np.ndarray:
    """Return the weights of a product, (row, 1 or column), C-contiguous; empty without any."""
    if weight is None:
        return np.empty((0, 1), np.float32)
    own = weight[:, product if weight.shape[1] > 1 else 0]
    return np.array(own[:, place] if own.shape[1] > 1 else own, order="C")


def _are_flags(weight: np.ndarray) -> bool:
    """Whether all weights are 0 or 1."""
    return bool(((weight == 0) | (weight == 1)).all())


def _results(out: np.ndarray, product: int, place: slice) -> tuple[np.ndarray, int, int]:
    """Return the flat results, the index of the first one of a product, and the distance of bins.

    The distance is 0 for results that another product has written.
    """
    n_product, n_chan = out.shape[2:]
    if product >= n_product:
        return out.reshape(-1), 0, 0
    return out.reshape(-1), product * n_chan + place.start, n_product * n_chan
