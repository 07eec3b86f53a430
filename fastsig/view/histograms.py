"""Histograms of samples: bins for every value, and the share at the recorder's limits."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Histogram", "histogram"]

_BINS = 256
_FEW = 16  # levels; if there are no more, each has its own bin


class Histogram(NamedTuple):
    """The number of samples per bin.

    Parameters
    ----------
    counts : ndarray, shape (bin,), int64
    edges : ndarray, shape (bin + 1,), float64
    at_limits : float or None
        Share of the samples at the lowest or highest value of a recorder with this number of bits;
        None if the limits are unknown, or for 1 bit, where every sample is at a limit.
    outside : float
        Share of the samples beyond the outer edges.
    """

    counts: NDArray[np.int64]
    edges: NDArray[np.float64]
    at_limits: float | None
    outside: float


def histogram(samples: NDArray[Any], n_bits: int) -> Histogram:
    """Count real samples, at least one, that were recorded with `n_bits`.

    Recorded levels need not be consecutive integers: with 1 bit they are -1 and 1, with 2 bits 1
    and 3.336 with either sign. If there are few levels, each has its own bin. Integers have one
    bin each or, above 8 bits, bins of equal numbers of integers. Other numbers have 256 bins over
    the central 99.8 % of the samples.
    """
    levels = _levels(samples, n_bits)
    if levels is not None:
        edges = _around(levels)
        extremes = levels[0], levels[-1]
    elif n_bits <= 16 and bool(np.all(samples == np.round(samples))):
        extremes = -(2.0 ** (n_bits - 1)), 2.0 ** (n_bits - 1) - 1
        edges = _integers(samples, n_bits)
    else:
        return _of_floats(samples)
    counts, edges = np.histogram(samples, edges)
    limits = np.count_nonzero((samples <= extremes[0]) | (samples >= extremes[1])) / samples.size
    return Histogram(counts, edges, limits if n_bits > 1 else None, 0.0)


def _levels(samples: NDArray[Any], n_bits: int) -> NDArray[np.float64] | None:
    """Return the values that occur in samples of 1 or 2 bits; None for all others."""
    if n_bits > 2:
        return None
    found = np.unique(samples).astype(np.float64)
    return found if len(found) <= _FEW else None


def _around(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the edges of bins around levels, halfway between neighbours."""
    if len(levels) == 1:
        return np.array([levels[0] - 0.5, levels[0] + 0.5])
    middles = (levels[1:] + levels[:-1]) / 2
    ends = 2 * levels[[0, -1]] - middles[[0, -1]]
    edges: NDArray[np.float64] = np.concatenate([ends[:1], middles, ends[1:]])
    return edges


def _integers(samples: NDArray[Any], n_bits: int) -> NDArray[np.float64]:
    low, high = int(samples.min()), int(samples.max())
    if n_bits <= 8:
        low, high, width = min(low, -(2 ** (n_bits - 1))), max(high, 2 ** (n_bits - 1) - 1), 1
    else:
        width = max(1, (high - low) // _BINS)
    edges: NDArray[np.float64] = np.arange(low - 0.5, high + width, width)
    return edges


def _of_floats(samples: NDArray[Any]) -> Histogram:
    low, high = (float(edge) for edge in np.percentile(samples, (0.1, 99.9)))
    if not high > low:
        low, high = low - 0.5, low + 0.5
    counts, edges = np.histogram(samples, np.linspace(low, high, _BINS + 1))
    return Histogram(counts, edges, None, 1 - int(counts.sum()) / samples.size)
