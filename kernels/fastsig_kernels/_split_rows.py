"""Forward and inverse transforms of a very long row, in its own memory and that of a part of it.

A transform in two passes over memory requires the memory of a second row. Here the row is divided
into a few interleaved parts, which are transformed one after the other.
"""

import numpy as np

from ._fft_rows import LONG, Halves, RowTransforms
from ._order import address, roots
from ._pages import aligned

#: Possible numbers of parts; transforms of powers of two have code of their own.
_RADICES = (3, 5)
#: Points of rows that are not divided, and of the longest parts.
_UNDIVIDED, _LONGEST_PART = 2**17, 2**28


def parts_of(n_point: int) -> int:
    """Return the number of parts of a row of `n_point` points, 0 if it is not divided."""
    for radix in _RADICES:
        n, rest = divmod(n_point, radix)
        if rest == 0 and n & (n - 1) == 0 and _UNDIVIDED < n_point <= radix * _LONGEST_PART:
            return radix
    return 0


def divided(most: int) -> list[int]:
    """Return all numbers of points up to `most` of rows that are divided, in ascending order."""
    return sorted(n for radix in _RADICES for n in (radix << k for k in range(64))
                  if n <= most and parts_of(n))


class SplitRow:
    """Forward and inverse transform of a row of numbers.

    Parameters
    ----------
    n_point : int
        Complex points, for which `parts_of` is not 0.
    real : bool
        Whether the numbers are ``2 n_point`` real ones.
    """

    def __init__(self, n_point: int, *, real: bool) -> None:
        from ._simd import Spec, host_lanes

        self.n_part = radix = parts_of(n_point)
        self._n, lanes = n_point // radix, host_lanes()
        self._specs = [Spec(lanes=lanes, radix=radix, inverse=each) for each in (False, True)]
        self._shift = n_point.bit_length() // 2
        self._fine = roots(n_point, np.arange(2**self._shift))
        self._coarse = roots(n_point, np.arange(0, n_point, 2**self._shift))
        turns = roots(n_point, np.arange(1, radix)[:, np.newaxis] * np.arange(lanes))
        self._turns = np.stack([turns.real, turns.imag], axis=1).astype(np.float32)
        self._halves = Halves(n_point, inverse=False) if real else None
        self._cores = [RowTransforms(self._n, inverse=each, real=False) for each in (False, True)]
        self.spectrum = aligned(8 * (n_point + 1)).view(np.complex64)
        self._part = aligned(8 * self._n).view(np.complex64)

    @property
    def memory_bytes(self) -> int:
        """Size of tables, spectrum and work space, in bytes."""
        arrays = self._fine, self._coarse, self._turns, self.spectrum, self._part
        return sum(each.nbytes for each in arrays) + sum(each.memory_bytes for each in self._cores)

    @property
    def _rows(self) -> np.ndarray:
        return self.spectrum[:-1].reshape(self.n_part, self._n)

    def forward(self, numbers: np.ndarray, zero: int) -> None:
        """Transform numbers into `spectrum`, whose last point is used only for real signals.

        Parameters
        ----------
        numbers : ndarray, shape (n_point, 2) or (2 n_point,)
        zero : int
            The number that stands for 0.
        """
        pairs, part = numbers.reshape(-1, 2), self._part.view(np.float32).reshape(-1, 2)
        for r, row in enumerate(self._rows):
            part[...] = pairs[r :: self.n_part]
            if zero:
                part -= zero
            self._cores[0].run(self._part[np.newaxis], row[np.newaxis])
        self._join(0)
        if self._halves:
            self._halves.join(self.spectrum[np.newaxis])

    def inverse(self, first: int, out: np.ndarray) -> None:
        """Transform `spectrum` back, times `n_part`, and write the points from `first` on."""
        self._join(1)
        for r, row in enumerate(self._rows):
            self._cores[1].run(row[np.newaxis], self._part[np.newaxis])
            begin = (r - first) % self.n_part  # place in `out` of the row's first point there
            there = out[begin :: self.n_part]
            from_ = (first + begin) // self.n_part
            there[...] = self._part[from_ : from_ + len(there)]

    def exchange(self) -> None:
        """Exchange the halves of `spectrum`, without its last point."""
        low, high = np.split(self.spectrum[:-1], 2)
        for start in range(0, len(low), LONG):
            here = slice(start, start + LONG)
            low[here], high[here] = high[here], low[here].copy()

    def _join(self, direction: int) -> None:
        from ._split_loops import join_rows_nb

        join_rows_nb(self._specs[direction], address(self.spectrum), self._n, self._coarse,
                     self._fine, self._shift, self._turns)

    def compile(self) -> None:
        """Compile the transforms of parts as long as those of this row."""
        for each in (False, True):
            x = np.zeros((1, min(self._n, LONG)), np.complex64)
            RowTransforms(x.shape[1], inverse=each, real=False).run(x, np.empty_like(x))
