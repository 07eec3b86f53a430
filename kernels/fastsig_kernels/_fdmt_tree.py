"""The tree of a fast dispersion measure transform, and the tracks of its rows.

Channels are numbered from the first to arrive (the highest frequency) to the last. A *node* is a
run of channels. Each of its rows is the sum of its channels along a track, at the time at which the
last channel arrives. It is computed as the sum of a row of each of its parts, of which the last is
taken at the same time and the others earlier, so that rows never need later samples. Nodes have
only the rows that their parents need. How tracks are rounded is decided in `_fdmt_rounding`.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

#: Channels whose sum of 8-bit samples fits into 16 bits: those of the nodes at the *cut*.
MOST_SUMMED = 256
#: Parts of a node, at most: rows that are added at once.
MOST_PARTS = 4


def none() -> np.ndarray:
    """Return no rows."""
    return np.empty(0, np.int64)


@dataclass
class Node:
    """Channels ``[start, stop)``."""

    start: int
    stop: int
    #: Number of halvings from its channels to those of a node at the cut; 0 or less at or below it.
    height: int
    n_row: int
    #: Two or four parts, in order; none for a single channel.
    terms: "list[Term]" = field(default_factory=list)
    #: Number of past samples that its parent needs.
    history: int = 0

    @property
    def n_chan(self) -> int:
        """Number of channels."""
        return self.stop - self.start

    def add(self, part: "Node", rows: np.ndarray, shift: np.ndarray) -> None:
        """Add the next part, with the row and the shift of it that each row of the node adds up."""
        part.history = int(shift.max())
        self.terms.append(Term(part, rows, shift))

    def reach(self) -> int:
        """Return how many samples of the past its rows need, at most."""
        return max((each.node.history + each.node.reach() for each in self.terms), default=0)

    def n_addition(self) -> int:
        """Return the number of additions for each sample of time."""
        return (self.n_row * max(0, len(self.terms) - 1)
                + sum(each.node.n_addition() for each in self.terms))


@dataclass
class Term:
    """The rows of a part that the rows of a node add up, each `shift` samples earlier."""

    node: Node
    rows: np.ndarray
    shift: np.ndarray


def height_of(n_chan: int) -> int:
    """Return how often the channels must be halved to reach the cut, at least once."""
    height = 1
    while -(-n_chan >> height) > MOST_SUMMED:
        height += 1
    return height


def parts_of(start: int, stop: int, height: int) -> list[tuple[int, int, int]]:
    """Return the channels and the height of each part of two or more channels.

    There are four parts, or two if four would skip the cut or if there are only two or three
    channels.
    """
    n = stop - start
    levels = 1 if height == 1 or n < MOST_PARTS else 2
    cuts = [start + (n * i >> levels) for i in range(2**levels + 1)]
    return [(a, b, height - levels) for a, b in pairwise(cuts)]


def exact_tree(curve: np.ndarray, delays: np.ndarray) -> tuple[Node, np.ndarray]:
    """Return the root of a tree whose tracks are the nearest samples to the exact delays.

    Rows of a node are shared by those delays that have the same track in it. Also return the rms
    deviation of each track apart from a constant.

    Parameters
    ----------
    curve : ndarray, shape (n_chan,), float64
        Delay of each channel for a delay of 1, in ascending order.
    delays : ndarray, shape (n_row,), float64
        Delays of the rows, in samples.
    """
    exact = delays[:, np.newaxis] * curve
    tracks = np.floor(exact + 0.5).astype(np.int64)
    return _exact_node(tracks, 0, len(curve), height_of(len(curve))), (tracks - exact).std(axis=1)


def _exact_node(tracks: np.ndarray, start: int, stop: int, height: int) -> Node:
    """Return a node with a row for each track: delays of all channels in whole samples."""
    node = Node(start, stop, height, len(tracks))
    for a, b, lower in parts_of(start, stop, height) if node.n_chan > 1 else ():
        chosen, rows = _distinct(tracks[:, a:b] - tracks[:, b - 1 : b])
        node.add(_exact_node(tracks[chosen], a, b, lower), rows,
                 tracks[:, stop - 1] - tracks[:, b - 1])
    return node


def _distinct(tracks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the index at which each distinct track first occurs, and the number of each track."""
    if len(tracks) == 1:  # without `unique`, which takes most of the time
        return np.zeros(1, np.int64), np.zeros(1, np.int64)
    _, first, rows = np.unique(tracks, axis=0, return_index=True, return_inverse=True)
    # In the order of the delays, so that neighbours need neighbours.
    order = np.argsort(first)
    return first[order], np.argsort(order)[rows.ravel()]


def channel_delays(node: Node, rows: np.ndarray | None = None) -> np.ndarray:
    """Return how much earlier than the last channel each one is summed: (row, chan), samples."""
    rows = np.arange(node.n_row) if rows is None else rows
    if not node.terms:
        return np.zeros((len(rows), 1), np.int64)
    return np.concatenate([
        channel_delays(each.node, each.rows[rows]) + each.shift[rows, np.newaxis]
        for each in node.terms], axis=1)
