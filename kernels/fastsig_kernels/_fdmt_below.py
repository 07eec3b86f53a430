"""What both ways to compute rows at the cut have in common, see `_fdmt_program`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ._fdmt_above import Span
from ._fdmt_steps import GROUP, READ, WIDE, Memory, Ring, Rows, Steps
from ._fdmt_tree import Node


@dataclass(frozen=True)
class Facts:
    """What the steps below the cut depend on.

    Parameters
    ----------
    root : Node
    cut : list of Node
        Nodes at the cut.
    spans : dict of Span
        Spans of all nodes, by their `id`.
    channels : ndarray, shape (n_chan,), int64
        Index in the input of each channel of the tree.
    n_input : int
        Number of channels of the input.
    item : int
        Bytes of a sum below the cut.
    block : int
        Samples of a block.
    offset : int
        What is missing in each sample below the cut.
    """

    root: Node
    cut: list[Node]
    spans: dict[int, Span]
    channels: np.ndarray
    n_input: int
    item: int
    block: int
    offset: int

    def late(self, node: Node) -> int:
        """Return how many samples ago the first sample of a node is that a block needs."""
        return int(self.spans[id(node)].late.max())

    def window(self, n: float) -> int:
        """Return about as many samples as a whole number of blocks, one or more."""
        return self.block * max(1, round(n / self.block))


class Store:
    """What rows of sums of `n_chan` channels each keep of earlier blocks."""

    def __init__(self, rows: np.ndarray, n_chan: int, offset: int) -> None:
        self._rows, self._n_chan, self._offset = rows, n_chan, offset

    def fill(self, value: int) -> None:
        """Set all samples of the past to a value."""
        self._rows[:] = (value - self._offset) * self._n_chan


class Below(ABC):
    """What lists the steps below the cut, once `begin` has been called.

    Parameters
    ----------
    facts : Facts

    Attributes
    ----------
    own : dict of Rows or Ring
        Rows of the nodes at the cut, by their `id`.
    stores : list of Store
        What is kept of earlier blocks.
    window : int
        Number of samples for which the rows that keep the past have room.
    item : int
        Bytes of a sample of these rows.
    """

    item: int
    window: int
    #: Whether channels keep the past, so that each block overwrites the rows at the cut.
    by_channel: bool

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.own: dict[int, Rows | Ring] = {}
        self.stores: list[Store] = []
        self._targets: list[np.ndarray] = []
        self._n_target = 0
        self._steps = Steps()

    @property
    @abstractmethod
    def n_byte(self) -> int:
        """Size of what is kept of earlier blocks, and of the rows at the cut, in bytes."""

    def begin(self, memory: Memory) -> None:
        """Give memory to the rows that keep the past, and to those that all threads read."""
        self._memory = memory
        self._place_rows()

    @abstractmethod
    def _place_rows(self) -> None:
        """Do as `begin`."""

    @abstractmethod
    def _list(self, part: list[Node]) -> None:
        """List the steps of a thread."""

    @abstractmethod
    def moves(self, part: list[Node]) -> np.ndarray:
        """Return the rows that a thread moves: place, step, bytes, number."""

    def tables(self, part: list[Node]) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps and operations of the nodes at the cut that a thread computes."""
        self._steps = Steps()
        self._list(part)
        return self._steps.tables()

    @property
    def targets(self) -> np.ndarray:
        """Rows to which channels are read, as the steps of all threads refer to them."""
        return np.concatenate(self._targets)

    def _keep(self, rows: np.ndarray, n_chan: int) -> None:
        """Record that rows of bytes keep the past of sums of some channels."""
        kind = {1: np.int8, 2: np.int16, 4: np.float32}[self.item]
        self.stores.append(Store(rows.view(kind), n_chan, self._facts.offset))

    def _read(self, node: Node, places: np.ndarray, spare: int, *, is_moving: bool) -> None:
        """List the steps that read the channels of a node, in groups of neighbours.

        `spare` is the place of a row for channels that the tree does not have.
        """
        wanted, n_input = self._facts.channels[node.start : node.stop], self._facts.n_input
        order = np.argsort(wanted)
        at = 0
        while at < len(order):
            left = int(wanted[order[-1]] - wanted[order[at]])
            is_wide = self._facts.item == 2 and left >= GROUP and n_input >= WIDE
            size = WIDE if is_wide else GROUP
            group = max(min(int(wanted[order[at]]), n_input - size), 0)
            target = np.full(size, spare, np.int64)
            while at < len(order) and wanted[order[at]] < group + size:
                target[wanted[order[at]] - group] = places[order[at]]
                at += 1
            self._steps.step(READ, group, self._n_target, size, int(is_moving))
            self._targets.append(target)
            self._n_target += size


def every(node: Node) -> Iterator[Node]:
    """Yield a sum after all that it needs."""
    for term in node.terms:
        yield from every(term.node)
    yield node
