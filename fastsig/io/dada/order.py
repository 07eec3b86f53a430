"""Check whether the samples of a file are in the order that its header states.

The mean power of a channel changes little within a short stretch, and channels and polarisations
differ. In the right order the power of a channel therefore scatters like noise; in a wrong order
the differences between channels add to the scatter. A wrong order is detected if the band is not
flat, but not if all channels and polarisations have the same power.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.io.voltages.interleaved import Interleaving

__all__ = ["better_heap"]

_BYTES, _MOST_BYTES, _LEAST_ROWS = 2**19, 2**24, 64
#: Least heaps of every series of another order: in fewer, a burst could be taken for a channel.
_LEAST_HEAPS, _LIKELY_HEAP = 4, 256
#: Largest relative difference of the scatter of the better order from that of noise.
_LIKE_NOISE = 0.1
#: Least excess scatter of the stated order, in its standard errors and relative to noise.
_SIGMAS, _PARTS = 5, 0.01
_HEAPS = (1, *(2**k for k in range(4, 14)))


def better_heap(path: str, offset: int, layout: Interleaving) -> int | None:
    """Return the length of heaps that fits the samples better than the given layout.

    Parameters
    ----------
    path : str
        The file.
    offset : int
        Byte at which samples begin.
    layout : Interleaving
        The assumed order of the samples.

    Returns
    -------
    int or None
        1 means no heaps. None if no other length fits better, or there is too little data.
    """
    if layout.n_chan * layout.n_pol < 2:
        return None
    power = _power(path, offset, layout)
    others = {heap: float(_scatter(power, heap, layout).mean()) for heap in _HEAPS
              if heap != layout.heap and heap * _LEAST_HEAPS <= len(power)}
    if len(power) < _LEAST_ROWS or not others:
        return None
    best, noise = min(others, key=lambda heap: others[heap]), 2.0 / layout.n_dim
    if others.get(_LIKELY_HEAP, np.inf) < others[best] + _PARTS * noise:
        best = _LIKELY_HEAP  # a part of a heap fits about as well as the whole heap
    # A channel with interference says nothing about the order: the median excludes it.
    worse = float(np.median(_scatter(power, layout.heap, layout))) - others[best]
    # The error of the relative variance of n powers, which are gamma distributed.
    error = np.sqrt(2 * noise**2 * (1 + noise) / power.size)
    found = worse > max(_SIGMAS * error, _PARTS * noise)
    return best if found and abs(others[best] / noise - 1) < _LIKE_NOISE else None


def _power(path: str, offset: int, layout: Interleaving) -> NDArray[np.float32]:
    """Return the power of the first samples in the order of the file: (time, pol x chan)."""
    heaps = _LEAST_HEAPS * max(layout.heap, _LIKELY_HEAP)
    rows = min(max(_BYTES // layout.row_bytes, heaps), _MOST_BYTES // layout.row_bytes,
               (os.path.getsize(path) - offset) // layout.row_bytes)
    rows -= rows % layout.heap
    count = rows * layout.row_bytes // layout.dtype.itemsize
    raw: NDArray[Any] = np.fromfile(path, layout.dtype, count, offset=offset).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        power: NDArray[np.float32] = (raw.reshape(-1, layout.n_dim) ** 2).sum(axis=1)
    return power.reshape(-1, layout.n_chan * layout.n_pol)


def _scatter(power: NDArray[np.float32], heap: int, layout: Interleaving) -> NDArray[np.float32]:
    """Return the relative variance of the power of every series, one per pol and channel."""
    rows = len(power) // heap * heap
    each = layout._replace(heap=heap, n_dim=1).arranged(power[:rows].reshape(-1))
    series = np.ascontiguousarray(each.reshape(rows, -1).T)  # sums along it are ten times as fast
    with np.errstate(all="ignore"):
        mean = series.mean(axis=1)
        relative = series.var(axis=1) / mean**2
    finite: NDArray[np.float32] = relative[np.isfinite(relative)]
    return finite if len(finite) else np.full(1, np.inf, np.float32)
