"""The steps of the fast dispersion measure transform above the cut, see `_fdmt_program`.

Only the rows of nodes at the cut keep samples of the past. A row above the cut is used by
neighbouring rows of its parent, which shift it by about the same number of samples. It is therefore
computed for the samples that they need, those of a block `late` to `early` samples ago, and
overwritten after its last use: all rows in use fit into a cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ._fdmt_steps import Memory, Ring, Rows, Steps, up
from ._fdmt_tree import Node
from ._order import LINE

#: Rows of the root that are computed together.
_TILE = 64


@dataclass
class Span:
    """How many samples ago the samples of each row that a block needs begin and end."""

    late: np.ndarray
    early: np.ndarray

    @property
    def width(self) -> int:
        """Number of samples by which more than a block is needed, at most."""
        return int((self.late - self.early).max())


def spans(root: Node) -> dict[int, Span]:
    """Return the span of all nodes, by their `id`."""
    found = {id(root): Span(*np.zeros((2, root.n_row), np.int64))}
    nodes = [root]
    for node in nodes:
        span = found[id(node)]
        for term in node.terms:
            late, early = np.zeros(term.node.n_row, np.int64), span.late + term.shift
            np.maximum.at(late, term.rows, early)
            least = late.copy()
            np.minimum.at(least, term.rows, span.early + term.shift)
            found[id(term.node)] = Span(late, least)
            nodes.append(term.node)
    return found


class Above:
    """What lists the steps above the cut.

    Parameters
    ----------
    root : Node
    own : dict of Rows or Ring
        Rows of the nodes at the cut, by their `id`.
    spans : dict of Span
    block : int
        Samples of a block.
    items : (int, int)
        Bytes of a sum at the cut, and above it.
    offset : int
        What is missing in each sample at the cut.
    memory : Memory
    """

    def __init__(self, root: Node, own: dict[int, Rows | Ring], spans: dict[int, Span], block: int,
                 items: tuple[int, int], offset: int, memory: Memory) -> None:
        self._root, self._own, self._spans, self._block = root, own, spans, block
        self._items, self._offset, self._memory = items, offset, memory

    def tables(self, n_thread: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the steps and the operations of each thread.

        Rows that two threads need are computed by both.
        """
        tiles = list(range(0, self._root.n_row, _TILE))
        cuts = [len(tiles) * i // n_thread for i in range(n_thread + 1)]
        return [self._list(tiles[a:b]) for a, b in pairwise(cuts)]

    def _list(self, tiles: list[int]) -> tuple[np.ndarray, np.ndarray]:
        order = _Order()
        for tile in tiles:
            order.add(self._root, tile, min(tile + _TILE, self._root.n_row))
        rings: dict[int, Rows | Ring] = {**self._own, **dict(self._rings(order))}
        steps = Steps()
        for node, start, stop in order.steps:
            self._add(steps, node, np.arange(start, stop), rings)
        return steps.tables()

    def _rings(self, order: "_Order") -> Iterator[tuple[int, Ring]]:
        """Yield memory for the rows of each node that are in use at the same time."""
        item = self._items[1]
        for node, parent in order.parents:
            n, span = order.rooms[id(node)], self._spans[id(node)]
            # Steps compute as many samples of all their rows.
            n_sample = self._block + span.width + self._spans[id(parent)].width
            step = up(n_sample * item) + LINE
            yield id(node), Ring(Rows(self._memory.place(n * step), step), n, span.late * item)

    def _add(self, steps: Steps, node: Node, rows: np.ndarray, own: dict[int, Rows | Ring]
             ) -> None:
        """List the step that computes neighbouring rows of a node."""
        span, is_cut = self._spans[id(node)], node.terms[0].node.height == 0
        late, item = span.late[rows], self._items[0 if is_cut else 1]
        is_root = node is self._root
        steps.add(int(is_cut), rows if is_root else own[id(node)].of(rows) - late * self._items[1],
                  [own[id(term.node)].of(term.rows[rows]) - (late + term.shift[rows]) * item
                   for term in node.terms],
                  int(is_root), int((late - span.early[rows]).max()),
                  self._offset * node.n_chan if is_cut else 0)


class _Order:
    """The order in which rows above the cut are computed: each just before its first use."""

    def __init__(self) -> None:
        self.steps: list[tuple[Node, int, int]] = []
        #: Each node but the root, and its parent.
        self.parents: list[tuple[Node, Node]] = []
        #: Number of neighbouring rows of each node that are in use at the same time.
        self.rooms: dict[int, int] = {}
        self._done: dict[int, int] = {}

    def add(self, node: Node, start: int, stop: int) -> None:
        """Compute the rows of a node from `start` to `stop`, and before them what they need."""
        for term in node.terms if node.terms[0].node.height > 0 else ():
            key, wanted = id(term.node), term.rows[start:stop]
            if key not in self._done:
                # Begin with the first row that any of the rows needs.
                self._done[key] = int(term.rows[start:].min())
                self.rooms[key] = 0
                self.parents.append((term.node, node))
            end = int(wanted.max()) + 1
            if end > self._done[key]:
                self.add(term.node, self._done[key], end)
                self._done[key] = end
            self.rooms[key] = max(self.rooms[key], self._done[key] - int(wanted.min()))
        self.steps.append((node, start, stop))
