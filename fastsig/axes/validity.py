"""Valid samples as sorted disjoint half-open spans of sample numbers, never as a mask.

A set of spans is an int64 array of shape (span, 2): ``[[start, stop], ...]``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Spans",
    "as_spans",
    "clip",
    "complement",
    "count",
    "from_mask",
    "full",
    "intersect",
    "shift",
    "zero_invalid",
]

Spans = NDArray[np.int64]

_FEW = 1000  # number of spans up to which a loop is faster than a mask


def full(start: int, stop: int) -> Spans:
    """Return the single span from `start` to `stop`, or no span if it would be empty."""
    return np.array([[start, stop]] if stop > start else [], dtype=np.int64).reshape(-1, 2)


def as_spans(pairs: object) -> Spans:
    """Return sorted disjoint spans from any (start, stop) pairs; touching spans are joined.

    Raises
    ------
    ValueError
        If the pairs do not have the shape (span, 2), or a stop lies before its start.
    """
    spans = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    if np.any(spans[:, 1] < spans[:, 0]):
        raise ValueError("a span ends before it starts")
    spans = spans[spans[:, 1] > spans[:, 0]]
    if len(spans) < 2:
        return spans
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    reach = np.maximum.accumulate(spans[:, 1])
    new = np.concatenate([[True], spans[1:, 0] > reach[:-1]])
    ends = np.concatenate([np.flatnonzero(new)[1:] - 1, [len(spans) - 1]])
    return np.stack([spans[new, 0], reach[ends]], axis=1)


def clip(spans: Spans, start: int, stop: int) -> Spans:
    """Return the part of `spans` in [start, stop)."""
    if stop <= start:
        return full(0, 0)
    first = int(np.searchsorted(spans[:, 1], start, side="right"))
    last = int(np.searchsorted(spans[:, 0], stop, side="left"))
    return np.clip(spans[first : max(first, last)], start, stop)


def complement(spans: Spans, start: int, stop: int) -> Spans:
    """Return the parts of [start, stop) that the spans do not cover."""
    inside = clip(spans, start, stop)
    bounds = np.concatenate([[start], inside.ravel(), [stop]]).reshape(-1, 2)
    return bounds[bounds[:, 1] > bounds[:, 0]]


def intersect(first: Spans, second: Spans) -> Spans:
    """Return the spans in which both arguments are valid."""
    if not len(first) or not len(second):
        return full(0, 0)
    start = min(first[0, 0], second[0, 0])
    stop = max(first[-1, 1], second[-1, 1])
    lost = np.concatenate([complement(first, start, stop), complement(second, start, stop)])
    return complement(as_spans(lost), start, stop)


def shift(spans: Spans, offset: int) -> Spans:
    """Return the spans moved by `offset` samples."""
    return spans + np.int64(offset)


def count(spans: Spans) -> int:
    """Return the number of valid samples."""
    return int((spans[:, 1] - spans[:, 0]).sum())


def from_mask(mask: NDArray[np.bool_], start: int = 0) -> Spans:
    """Return the spans of the true entries of a mask; its first entry is sample `start`."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return edges.reshape(-1, 2).astype(np.int64) + start


def zero_invalid(data: NDArray[np.generic], spans: Spans, start: int, zero: int = 0) -> None:
    """Set samples outside `spans` to `zero`, in place; axis 0 of `data` begins at `start`."""
    if len(spans) == 1 and spans[0, 0] <= start and spans[0, 1] >= start + len(data):
        return
    lost = complement(spans, start, start + len(data)) - start
    if len(lost) > _FEW:
        edges = np.zeros(len(data) + 1, np.int8)
        edges[lost[:, 0]] += 1
        edges[lost[:, 1]] -= 1
        data[np.cumsum(edges[:-1], dtype=np.int8) > 0] = zero
        return
    for first, last in lost:
        data[first:last] = zero
