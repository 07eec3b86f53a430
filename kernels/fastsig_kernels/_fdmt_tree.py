"""The tree of a fast dispersion measure transform, and the tracks of its rows.

Channels are numbered from the first to arrive (the highest frequency) to the last. A *node* is a
run of channels. Each of its rows is the sum of its channels for one delay across them, at the time
at which the last channel arrives: the sum of a row of its last half, at the same time, and of an
earlier stretch of a row of its first half. So rows need nothing of the future. Nodes have only the
rows that their parents need.
"""

from dataclasses import dataclass, field

import numpy as np


def _none() -> np.ndarray:
    return np.empty(0, np.int64)


@dataclass
class Node:
    """Channels ``[start, stop)``; arrays have an item for each row."""

    start: int
    stop: int
    n_row: int
    #: Samples of the past that its parent needs; 0 for last halves.
    history: int = 0
    halves: "tuple[Node, Node] | None" = None
    #: Rows of the first half and of the last, and the shift of the first, in samples.
    first: np.ndarray = field(default_factory=_none)
    last: np.ndarray = field(default_factory=_none)
    shift: np.ndarray = field(default_factory=_none)

    @property
    def n_chan(self) -> int:
        """Number of channels."""
        return self.stop - self.start

    def reach(self) -> int:
        """Return how many samples of the past its rows need, at most."""
        if self.halves is None:
            return 0
        first, last = self.halves
        return max(first.history + first.reach(), last.reach())

    def n_addition(self) -> int:
        """Return the number of additions for each sample of time."""
        return self.n_row + sum(h.n_addition() for h in self.halves) if self.halves else 0


def tree(curve: np.ndarray, delays: np.ndarray, grid: int) -> Node:
    """Return the root of a tree.

    Parameters
    ----------
    curve : ndarray, shape (n_chan,), float64
        Delay of each channel for a delay of 1, in ascending order.
    delays : ndarray, shape (n_row,), float64
        Delays of the rows, in samples.
    grid : int
        Delays within nodes are multiples of ``1 / grid`` samples.
    """
    return _node(curve, 0, len(curve), delays * ((curve[-1] - curve[0]) * grid), grid)


def _node(curve: np.ndarray, start: int, stop: int, delays: np.ndarray, grid: int) -> Node:
    """Return a node with rows for delays across it, in steps of the grid."""
    node = Node(start, stop, len(delays))
    if node.n_chan == 1:
        return node
    middle = (start + stop) // 2
    span = curve[stop - 1] - curve[start]
    node.shift = _rounded(delays * ((curve[stop - 1] - curve[middle - 1]) / span / grid))
    # The first half has what the shift leaves, so that the first channel is aligned.
    first = np.maximum(_rounded(delays) - grid * node.shift, 0) * (middle - start > 1)
    last = _rounded(delays * ((curve[stop - 1] - curve[middle]) / span))
    (first, node.first), (last, node.last) = (
        np.unique(each, return_inverse=True) for each in (first, last))
    node.halves = (_node(curve, start, middle, first, grid),
                   _node(curve, middle, stop, last, grid))
    node.halves[0].history = int(node.shift.max())
    return node


def exact_tree(curve: np.ndarray, delays: np.ndarray) -> Node:
    """Return the root of a tree whose tracks are the nearest samples to the exact delays.

    Rows of a node are shared by those delays that have the same track in it.
    """
    return _exact_node(_rounded(delays[:, np.newaxis] * curve), 0, len(curve))


def _exact_node(tracks: np.ndarray, start: int, stop: int) -> Node:
    """Return a node with a row for each track: delays of all channels in whole samples."""
    node = Node(start, stop, len(tracks))
    if node.n_chan == 1:
        return node
    middle = (start + stop) // 2
    node.shift = tracks[:, stop - 1] - tracks[:, middle - 1]
    halves = []
    for a, b in ((start, middle), (middle, stop)):
        if len(tracks) == 1:  # without `unique`, which takes most of the time
            halves.append((_exact_node(tracks, a, b), np.zeros(1, np.int64)))
            continue
        within = tracks[:, a:b] - tracks[:, b - 1 : b]
        _, chosen, rows = np.unique(within, axis=0, return_index=True, return_inverse=True)
        # In the order of the delays, so that neighbours need neighbours.
        order = np.argsort(chosen)
        halves.append((_exact_node(tracks[chosen[order]], a, b), np.argsort(order)[rows.ravel()]))
    (first, node.first), (last, node.last) = halves
    node.halves = first, last
    first.history = int(node.shift.max())
    return node


def _rounded(x: np.ndarray) -> np.ndarray:
    return np.floor(x + 0.5).astype(np.int64)


def channel_delays(node: Node, rows: np.ndarray | None = None) -> np.ndarray:
    """Return how much earlier than the last channel each one is summed: (row, chan), samples."""
    rows = np.arange(node.n_row) if rows is None else rows
    if node.halves is None:
        return np.zeros((len(rows), 1), np.int64)
    first = channel_delays(node.halves[0], node.first[rows]) + node.shift[rows, np.newaxis]
    return np.concatenate([first, channel_delays(node.halves[1], node.last[rows])], axis=1)
