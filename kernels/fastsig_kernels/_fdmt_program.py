"""The steps that compute the tree of `_fdmt_tree` on rows in memory.

Below the *cut*, subtrees of up to `MOST_SUMMED` channels are computed one after the other for a
block of samples, in memory that they share and that stays in a cache; sums of 8-bit samples are
16-bit integers there. Samples of earlier blocks that rows need are loaded from a store, and saved
to it for the next block. Nodes at the cut have memory of their own, with the samples of the past
that any row above the cut needs. From them, `_fdmt_above` computes rows in float32 (16-bit
integers, if these are large enough). Up to four rows are added at once, so that few intermediate
rows are written and read.
"""

from collections.abc import Iterator

import numpy as np

from ._fdmt_above import Above, Span, spans
from ._fdmt_steps import Rows, Steps, up
from ._fdmt_tree import Node
from ._order import LINE, address
from ._pages import aligned

#: Channels that are transposed together, of 8 bits if there are as many, and otherwise; channels
#: whose rows are read before they are summed.
WIDE, GROUP, _READ = 64, 16, 64
#: Time to read a channel, in additions of rows.
_READ_TIME = 3
#: Bytes of a row below the cut, of one block: few, so that rows at the cut stay in a cache, with
#: what they keep of the past.
_ROW_BYTES = 4096

#: Kinds of steps below the cut, see `_fdmt_loops`.
READ, ADD, LOAD, SAVE = 0, 1, 2, 3


class Store:
    """What the rows of a node keep of earlier blocks, `n` sums of each."""

    def __init__(self, node: Node, memory: np.ndarray, kind: type, step: int, n: int,
                 offset: int) -> None:
        rows = memory[: node.n_row * step].view(kind).reshape(node.n_row, -1)
        self._rows, self._n_chan, self._offset = rows[:, :n], node.n_chan, offset

    def fill(self, value: int) -> None:
        """Set all samples of the past to a value."""
        self._rows[:] = (value - self._offset) * self._n_chan


class Program:
    """The steps of a tree, and the memory in which they work.

    Parameters
    ----------
    root : Node
        More than one channel.
    channels : ndarray, shape (n_chan,), int64
        Index in the input of each channel of the tree.
    n_input : int
        Number of channels of the input.
    item : int
        Bytes of a sum below the cut: 2 (int16, of samples of 8 bits) or 4 (float32).
    above_item : int
        Bytes of a sum above the cut: 4 (float32) or, if it is smaller than 2^15, 2 (int16).
    offset : int
        What is missing in each sample below the cut.
    n_thread : int
        Number of threads that share the steps.

    Attributes
    ----------
    block : int
        Number of samples that are computed at a time.
    window : int
        Number of samples for which rows at the cut have room.
    stores : list of Store
    threads : list of tuple of ndarray
        Tables of each thread: steps and operations below the cut, `targets`, steps and operations
        above it, and the rows of the cut that it moves, see `_fdmt_loops`.
    """

    def __init__(self, root: Node, channels: np.ndarray, n_input: int, item: int,
                 above_item: int, offset: int, n_thread: int = 1) -> None:
        self.item, self._offset = item, offset
        self.block = _ROW_BYTES // item
        self._channels, self._n_input = channels, n_input
        self._memory: list[np.ndarray] = []
        self.stores: list[Store] = []
        every, found = list(_every(root)), spans(root)
        cut = [each for each in every if each.height == 0]
        # Rows have room for as many samples as they keep on average. What they keep moves when the
        # room is used up, so that moves take as long as a copy of each sample.
        past = np.repeat([found[id(each)].late.max() for each in cut],
                         [each.n_row for each in cut])
        self.window = self.block * max(1, round(past.mean() / self.block))
        self._own_rows(cut, found)
        self._targets: list[np.ndarray] = []
        self._n_target = 0
        before = max(up(each.history * item) for each in every if not each.terms)
        self._leaf = Rows(0, before + _ROW_BYTES + LINE)
        parts = _balanced(cut, n_thread)
        below = [self._list_below(part, before) for part in parts]
        targets = np.concatenate(self._targets)
        above = Above(root, self._own, found, self.block, (item, above_item), offset,
                      self._allocate).tables(n_thread)
        self.threads = [(*low, targets, *high, self._moves(part, found))
                        for low, high, part in zip(below, above, parts, strict=True)]

    @property
    def memory_bytes(self) -> int:
        """Size of rows, stores and tables, in bytes."""
        tables = {id(table): table.nbytes for each in self.threads for table in each}
        return sum(memory.nbytes for memory in self._memory) + sum(tables.values())

    def _list_below(self, cut: list[Node], before: int) -> tuple[np.ndarray, np.ndarray]:
        """List the steps of a thread below the cut, with memory that its subtrees share."""
        leaf_bytes = self._leaf.step * (_READ + 1) + self.window * self.item
        shared = self._allocate(leaf_bytes + max(map(self._shared_bytes, cut), default=0))
        self._leaf.place = shared + before
        self._below = Steps()
        for node in cut:
            self._compute(node, self._own[id(node)], shared + leaf_bytes)
        return self._below.tables()

    def _allocate(self, n_byte: int) -> int:
        memory = aligned(up(n_byte) + LINE)
        self._memory.append(memory)
        return address(memory)

    def _keep(self, node: Node, memory: np.ndarray, step: int, n_byte: int) -> None:
        """Record memory as the store of a node, whose first `n_byte` of each row are kept."""
        kind = np.int16 if self.item == 2 else np.float32
        self.stores.append(Store(node, memory, kind, step, n_byte // self.item, self._offset))

    def _own_rows(self, cut: list[Node], found: dict[int, Span]) -> None:
        """Give memory to the rows of nodes at the cut, for samples after those of the past."""
        # Steps of parents compute as many samples of all their rows.
        width = max(each.width for each in found.values())
        after = up((self.window + width) * self.item) + LINE
        befores = [up(int(found[id(node)].late.max()) * self.item) for node in cut]
        sizes = [(before + after) * node.n_row for before, node in zip(befores, cut, strict=True)]
        # In one piece, for which the system has large pages.
        place, memory = self._allocate(sum(sizes)), self._memory[-1]
        self._own: dict[int, Rows] = {}
        starts = np.cumsum([0, *sizes])[:-1].tolist()
        for node, before, start in zip(cut, befores, starts, strict=True):
            self._own[id(node)] = Rows(place + start + before, before + after)
            if before:
                self._keep(node, memory[start:], before + after, before)

    def _moves(self, cut: list[Node], found: dict[int, Span]) -> np.ndarray:
        """Return the rows of nodes that a thread moves: place, step, bytes, number."""
        parts = []
        for node in cut:
            rows, size = self._own[id(node)], up(int(found[id(node)].late.max()) * self.item)
            if size:
                parts.append((rows.place, rows.step, size, node.n_row))
        return np.array(parts, np.int64).reshape(-1, 4)

    def _row_bytes(self, node: Node) -> int:
        return up(node.history * self.item) + _ROW_BYTES + LINE

    def _shared_bytes(self, node: Node) -> int:
        """Return the size of the memory for the terms of a sum, theirs and so on."""
        terms = [each.node for each in node.terms if each.node.n_chan > 1]
        return (sum(self._row_bytes(each) * each.n_row for each in terms)
                + max(map(self._shared_bytes, terms), default=0))

    def _compute(self, node: Node, rows: Rows, free: int, start: int = -1) -> None:
        """List the steps that compute a node; memory from `free` on is free.

        Channels have been read to the rows of leaves from channel `start` on, or not if it is -1.
        """
        is_cut = int(node.height == 0)
        if node.n_chan <= _READ and start < 0:
            start = node.start
            self._read(node, rows)
        if not node.terms:
            return
        places = []
        for each in (term.node for term in node.terms):
            if each.n_chan == 1:
                leaf = self._leaf
                places.append(Rows(leaf.place + (each.start - start) * leaf.step, leaf.step))
                continue
            places.append(Rows(free + up(each.history * self.item), self._row_bytes(each)))
            free += self._row_bytes(each) * each.n_row
        for term, place in zip(node.terms, places, strict=True):
            self._compute(term.node, place, free, start)
        kept = [self._kept(term.node, place) for term, place in
                zip(node.terms, places, strict=True) if term.node.history]
        for numbers in kept:
            self._below.step(LOAD, *numbers)
        self._below.add(ADD, rows.of(np.arange(node.n_row)), [
            place.of(term.rows) - term.shift * self.item
            for term, place in zip(node.terms, places, strict=True)], is_cut)
        for numbers in kept:
            self._below.step(SAVE, *numbers)

    def _kept(self, node: Node, rows: Rows) -> tuple[int, ...]:
        """Return the numbers of a step that loads or saves the past of rows."""
        size = up(node.history * self.item)
        place = self._allocate(size * node.n_row)
        self._keep(node, self._memory[-1], size, size)
        return rows.place, rows.step, place, size, node.n_row

    def _read(self, node: Node, rows: Rows) -> None:
        """List the steps that read the channels of a node, in groups of neighbours."""
        wanted = self._channels[node.start : node.stop]
        is_moving = int(node.height == 0 and node.n_chan == 1)
        leaf = self._leaf
        places = leaf.place + np.arange(node.n_chan) * leaf.step if node.n_chan > 1 else np.array(
            [rows.place])
        spare = leaf.place + _READ * leaf.step  # for channels that the tree does not have
        order = np.argsort(wanted)
        at = 0
        while at < len(order):
            left = int(wanted[order[-1]] - wanted[order[at]])
            size = WIDE if self.item == 2 and left >= GROUP and self._n_input >= WIDE else GROUP
            group = max(min(int(wanted[order[at]]), self._n_input - size), 0)
            target = np.full(size, spare, np.int64)
            while at < len(order) and wanted[order[at]] < group + size:
                target[wanted[order[at]] - group] = places[order[at]]
                at += 1
            self._below.step(READ, group, self._n_target, size, is_moving)
            self._targets.append(target)
            self._n_target += size


def _every(node: Node) -> Iterator[Node]:
    """Yield a sum after all that it needs."""
    for term in node.terms:
        yield from _every(term.node)
    yield node


def _balanced(cut: list[Node], n: int) -> list[list[Node]]:
    """Divide nodes into `n` parts that take about the same time."""
    parts: list[list[Node]] = [[] for _ in range(n)]
    times = [0] * len(parts)
    for node in sorted(cut, key=_time_of, reverse=True):
        least = times.index(min(times))
        parts[least].append(node)
        times[least] += _time_of(node)
    return [sorted(part, key=lambda each: each.start) for part in parts]


def _time_of(node: Node) -> int:
    """Return about how long a node below the cut takes, in additions."""
    return _READ_TIME * node.n_chan + node.n_addition()
