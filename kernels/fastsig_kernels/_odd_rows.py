"""Transforms of real rows whose length is an odd number times a power of two.

With n = m p, m odd, ``X[s + b p] = sum_j exp(-2 pi i j b / m) w^(j s) X_j[s]``, where X_j is the
transform of samples j, j + m, j + 2 m... and w = exp(-2 pi i / n). The spectra X_j are known for s
up to p / 2; the results beyond n / 2 are conjugates of those before.
"""

from typing import Any

import numpy as np

from ._jit import jit, jit_inner
from ._order import roots
from ._pages import aligned

#: Odd factors of lengths.
ODD = (3, 5, 7, 9, 11, 13, 15)
#: Least power of two. Shorter transforms gain little.
_LEAST = 2**10
#: Roots are products of two factors; points that are joined at once.
_FINE, _TILE = 1024, 256


def odd_factor(n: int) -> int:
    """Return the odd factor of a length that this module supports, or 0."""
    power = n & -n
    return n // power if n // power in ODD and power >= _LEAST else 0


class OddRows:
    """Forward transforms of real rows of `n` float32, see the module."""

    takes_numbers = False

    def __init__(self, n: int) -> None:
        from ._fft_rows import RowTransforms

        self._n, self._m = n, odd_factor(n)
        part = n // self._m
        self._inner = RowTransforms(part // 2, inverse=False, real=True)
        j = np.arange(self._m)[:, np.newaxis]
        self._fine = roots(n, j * np.arange(_FINE)).astype(np.complex64)
        self._coarse = roots(n, j * np.arange(0, part // 2 + 1, _FINE)).astype(np.complex64)
        self._turns = roots(self._m, j * np.arange(self._m)).astype(np.complex64)
        self._own_memory()

    @property
    def memory_bytes(self) -> int:
        """Size of tables and work space, in bytes."""
        arrays = self._fine, self._coarse, self._turns, self._parts, self._spectra
        return self._inner.memory_bytes + sum(each.nbytes for each in arrays)

    def copy(self) -> "OddRows":
        """Return a copy with its own work space."""
        other = object.__new__(OddRows)
        other.__dict__.update(self.__dict__)
        other._inner = self._inner.copy()
        other._own_memory()
        return other

    def _own_memory(self) -> None:
        part = self._n // self._m
        self._parts = aligned(4 * self._n).view(np.float32).reshape(self._m, part)
        self._spectra = aligned(8 * self._m * (part // 2 + 1)).view(np.complex64).reshape(
            self._m, part // 2 + 1)

    def run(self, x: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Transform rows of `x` into `out`."""
        rows: Any = zip(x.reshape(-1, self._n), out.reshape(-1, self._n // 2 + 1), strict=True)
        for row, result in rows:
            _deal_nb(row, self._parts)
            self._inner.run(self._parts, self._spectra)
            _join_nb(self._spectra, self._fine, self._coarse, self._turns, result)
        return out


@jit
def _deal_nb(x, parts):
    """Write every m-th sample to each part."""
    m = parts.shape[0]
    for j in range(m):
        part, values = parts[j], x[j:]
        for i in range(part.size):
            part[i] = values[m * i]


@jit
def _join_nb(spectra, fine, coarse, turns, out):
    """Join the spectra of all parts, tile by tile."""
    m, n = spectra.shape[0], spectra.shape[1]
    part = 2 * (n - 1)
    turned, sums = np.empty((m, 2, _TILE), np.float32), np.empty((2, _TILE), np.float32)
    for first in range(0, n, _TILE):
        count = min(_TILE, n - first)
        for j in range(m):
            _turn_nb(spectra[j, first : first + count], fine[j, first % _FINE :],
                     coarse[j, first // _FINE], turned[j])
        for b in range(m):
            _sum_nb(turned, turns[b], count, sums)
            if 2 * b < m:
                _put_nb(sums, count, out[b * part + first :])
            else:
                _put_back_nb(sums, count, out[: (m - b) * part - first + 1])


@jit_inner
def _turn_nb(x, fine, coarse, out):
    re, im = out[0], out[1]
    for s in range(x.size):
        w = fine[s] * coarse
        re[s] = x[s].real * w.real - x[s].imag * w.imag
        im[s] = x[s].real * w.imag + x[s].imag * w.real


@jit_inner
def _sum_nb(turned, turns, count, out):
    re, im = out[0], out[1]
    for s in range(count):
        re[s] = turned[0, 0, s]
        im[s] = turned[0, 1, s]
    for j in range(1, turns.size):
        c, d, x, y = turns[j].real, turns[j].imag, turned[j, 0], turned[j, 1]
        for s in range(count):
            re[s] += c * x[s] - d * y[s]
            im[s] += c * y[s] + d * x[s]


@jit_inner
def _put_nb(sums, count, out):
    for s in range(count):
        out[s] = complex(sums[0, s], sums[1, s])


@jit_inner
def _put_back_nb(sums, count, out):
    last = out.size - 1
    for s in range(count):
        out[last - s] = complex(sums[0, s], -sums[1, s])
