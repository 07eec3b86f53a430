"""The passes of a stack in order, their tables, and where each point of a transform ends up."""

from collections.abc import Iterator
from functools import lru_cache
from math import prod

import numpy as np

from ._codelets import DFT
from ._order import PAD, address, roots
from ._pages import aligned
from ._simd import Spec
from ._stack_passes import PASS, pass_nb

_PART_IN_CACHE = 2**18  # bytes of a part that stay in a second-level cache during all its passes
_RADICES = sorted(DFT, reverse=True)


@lru_cache(maxsize=256)
def radices(n_point: int) -> tuple[int, ...] | None:
    """Return the fewest and smallest radices with this product, the largest first; or None."""
    if n_point == 1:
        return ()
    best = None
    for radix in _RADICES:
        rest = radices(n_point // radix) if n_point % radix == 0 else None
        if rest is not None:
            made = tuple(sorted((radix, *rest), reverse=True))
            if best is None or (len(made), sum(made)) < (len(best), sum(best)):
                best = made
    return best


class StackOrder:
    """Tables for the transforms of a stack.

    Parameters
    ----------
    n_point : int
        Complex points of a transform, with no prime factor above 7.
    lanes : int
        Number of transforms in the stack.
    """

    def __init__(self, n_point: int, lanes: int) -> None:
        self.n_point, self.lanes = n_point, lanes
        self._radices = sizes = radices(n_point) or ()
        #: Numbers in a part of the first pass. Parts at distances of a power of two would map to
        #: the same few sets of a cache, so each is followed by `pad` bytes.
        self.part = 2 * n_point // (sizes[0] if sizes else 1)
        self.pad = PAD if self.part % lanes == 0 and len(sizes) > 1 else 0
        self._tables = [_twiddles(n_point // prod(sizes[:i]), radix)
                        for i, radix in enumerate(sizes)]
        self._passes = list(self._passes_of(0, 0, n_point))

    def _passes_of(self, at: int, level: int, n_point: int) -> Iterator[tuple[int, ...]]:
        """Yield offset, radix, size, step, count and twiddles of each pass of a transform.

        Each part of a pass that leaves the cache is finished before the next part is begun.
        """
        block, count = 8 * self.lanes, 1
        for i in range(level, len(self._radices)):
            radix = self._radices[i]
            step = block * n_point // radix + (self.pad if i == 0 else 0)
            yield at, radix, block * n_point, step, count, address(self._tables[i])
            n_point //= radix
            if i == 0 or block * n_point * count * radix > _PART_IN_CACHE:
                for part in range(radix):
                    yield from self._passes_of(at + part * step, i + 1, n_point)
                return
            count *= radix

    def offsets(self) -> np.ndarray:
        """Return the offset of each point in the stack, in bytes."""
        places = np.zeros(self.n_point, np.int64)  # place of point k: its digits, reversed
        left, weight = self.n_point, 1
        k = np.arange(self.n_point)
        for radix in self._radices:
            left //= radix
            places += k // weight % radix * left
            weight *= radix
        return places * 8 * self.lanes + 2 * places // self.part * self.pad

    def levels(self) -> np.ndarray:
        """Return the rows for `_stack_passes.all_passes_nb`, valid in this process."""
        rows = [(PASS.address(pass_nb, Spec(lanes=self.lanes, radix=radix)), at, size, step, count,
                 table) for at, radix, size, step, count, table in self._passes]
        return np.array(rows, np.int64).reshape(-1, 6)

    @property
    def memory_bytes(self) -> int:
        """Size of the tables, in bytes."""
        return sum(table.nbytes for table in self._tables)

    @property
    def stack_bytes(self) -> int:
        """Size of the stack, in bytes."""
        return 8 * self.lanes * self.n_point + 20 * PAD + 4 * self.lanes**2


@lru_cache(maxsize=64)
def _twiddles(n_point: int, radix: int) -> np.ndarray:
    """Return the twiddles of one pass: (column, radix - 1, 2) float32."""
    n_column = n_point // radix
    out = aligned(8 * max(1, radix - 1) * n_column, lasting=True).view(np.float32)
    table = out.reshape(n_column, radix - 1, 2)
    step = max(1, 2**18 // radix)
    for first in range(0, n_column, step):
        column = np.arange(first, min(first + step, n_column))[:, np.newaxis]
        values = roots(n_point, column * np.arange(1, radix))
        table[first : first + step, :, 0] = values.real
        table[first : first + step, :, 1] = values.imag
    out.flags.writeable = False
    return out
