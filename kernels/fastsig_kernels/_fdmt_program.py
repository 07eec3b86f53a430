"""The steps that compute the tree of `_fdmt_tree` on rows in memory.

Below the *cut*, subtrees of up to `MOST_SUMMED` channels are computed one after the other for a
block of samples, in memory that they share and that stays in a cache; sums of 8-bit samples are
16-bit integers there. Samples of earlier blocks that rows need are loaded from a store, and saved
to it for the next block. Above the cut, nodes have memory of their own, and rows are computed in
float32 (16-bit integers, if these are large enough), for a short run of samples and neighbouring
delays at a time. Up to four rows are added at once, so that few intermediate rows are written and
read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ._fdmt_tree import MOST_PARTS, Node
from ._order import LINE, address, aligned

#: Channels that are transposed together, of 8 bits if there are as many, and otherwise; channels
#: whose rows are read before they are summed.
WIDE, GROUP, _READ = 64, 16, 64
#: Time to read a channel, in additions of rows.
_READ_TIME = 3
#: Bytes of a row below the cut; samples of a run above it.
_ROW_BYTES, RUN = 4096, 2048
#: Runs for which the rows of first halves above the cut have room before they move.
_RUNS_KEPT = 1
#: Rows of the root that are computed together.
_TILE = 64

#: Kinds of steps below the cut, see `_fdmt_loops`.
READ, ADD, LOAD, SAVE = 0, 1, 2, 3
#: Where rows above the cut are: in runs of their own, in a moving window, or in the output.
FIXED, MOVING, OUTPUT = 0, 1, 2


def _up(n_byte: int) -> int:
    return -(-n_byte // LINE) * LINE


@dataclass
class Rows:
    """Rows in memory: address of the first sample of a block of the first row, bytes apart."""

    place: int
    step: int

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Return the addresses of rows."""
        return self.place + rows * self.step


class Store:
    """What the rows of a node keep of earlier blocks, `n` sums of each."""

    def __init__(self, node: Node, memory: np.ndarray, kind: type, step: int, n: int,
                 offset: int) -> None:
        rows = memory[: node.n_row * step].view(kind).reshape(node.n_row, -1)
        self._rows, self._n_chan, self._offset = rows[:, :n], node.n_chan, offset

    def fill(self, value: int) -> None:
        """Set all samples of the past to a value."""
        self._rows[:] = (value - self._offset) * self._n_chan


class _Steps:
    """A list of steps, and of the additions of rows that they do."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, ...]] = []
        self._ops: list[np.ndarray] = []
        self._n = 0

    def step(self, *numbers: int) -> None:
        self._steps.append((*numbers, *[0] * (6 - len(numbers))))

    def add(self, kind: int, out: np.ndarray, terms: list[np.ndarray], *numbers: int) -> None:
        """Add rows: addresses of results and of the terms, at most `MOST_PARTS`."""
        self.step(kind, self._n, self._n + len(out), len(terms), *numbers)
        unused = [np.zeros_like(out)] * (MOST_PARTS - len(terms))
        self._ops.append(np.stack([out, *terms, *unused], axis=1).astype(np.int64))
        self._n += len(out)

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        return (np.array(self._steps, np.int64).reshape(-1, 6),
                np.concatenate([np.empty((0, 1 + MOST_PARTS), np.int64), *self._ops]))


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
    threads : list of tuple of ndarray
        Tables of each thread: steps and operations below the cut, `targets`, steps and operations
        above it, and the rows of the cut and above it that it moves, see `_fdmt_loops`.
    """

    def __init__(self, root: Node, channels: np.ndarray, n_input: int, item: int,
                 above_item: int, offset: int, n_thread: int = 1) -> None:
        self.item, self.above_item = item, above_item
        self.block, self._offset = _ROW_BYTES // item, offset
        self._channels, self._n_input = channels, n_input
        self._memory: list[np.ndarray] = []
        self.stores: list[Store] = []
        every = list(_every(root))
        cut = [each for each in every if each.height == 0]
        self._own = {id(each): self._own_rows(each, item, self.block, offset) for each in cut}
        self._targets: list[np.ndarray] = []
        self._n_target = 0
        before = max(_up(each.history * item) for each in every if not each.terms)
        self._leaf = Rows(0, before + _ROW_BYTES + LINE)
        below = [self._list_below(part, before) for part in _balanced(cut, n_thread)]
        targets = np.concatenate(self._targets)
        moves = self._moves(cut, item, n_thread)
        above = [each for each in every if 0 < each.height < root.height]
        self._own_above(above)
        window_moves = self._moves(above, above_item, n_thread)
        tiles = list(range(0, root.n_row, _TILE))
        rows = [self._list_above(root, part) for part in _parts(tiles, n_thread)]
        self.threads = [(*each[0], targets, *each[1], each[2], each[3])
                        for each in zip(below, rows, moves, window_moves, strict=True)]

    @property
    def memory_bytes(self) -> int:
        """Size of rows, stores and tables, in bytes."""
        tables = {id(table): table.nbytes for each in self.threads for table in each}
        return sum(memory.nbytes for memory in self._memory) + sum(tables.values())

    def _list_below(self, cut: list[Node], before: int) -> tuple[np.ndarray, np.ndarray]:
        """List the steps of a thread below the cut, with memory that its subtrees share."""
        leaf_bytes = self._leaf.step * (_READ + 1)
        shared = self._allocate(leaf_bytes + max(map(self._shared_bytes, cut), default=0))
        self._leaf.place = shared + before
        self._below = _Steps()
        for node in cut:
            self._compute(node, self._own[id(node)], shared + leaf_bytes)
        return self._below.tables()

    def _allocate(self, n_byte: int) -> int:
        memory = aligned(_up(n_byte) + LINE)
        self._memory.append(memory)
        return address(memory)

    def _keep(self, node: Node, step: int, n_byte: int, item: int, offset: int) -> None:
        """Record what was just allocated as the store of a node."""
        kind = np.int16 if item == 2 else np.float32
        self.stores.append(Store(node, self._memory[-1], kind, step, n_byte // item, offset))

    def _own_rows(self, node: Node, item: int, n: int, offset: int) -> Rows:
        """Return rows of `n` samples in memory of their own, after those of the past."""
        before = _up(node.history * item)
        step = before + _up(n * item) + LINE
        place = self._allocate(step * node.n_row)
        if node.history:
            self._keep(node, step, before, item, offset)
        return Rows(place + before, step)

    def _moves(self, every: list[Node], item: int, n_thread: int) -> list[np.ndarray]:
        """Return the rows of nodes that each thread moves: place, step, bytes, number."""
        parts: list[list[tuple[int, ...]]] = [[] for _ in range(n_thread)]
        for node in every:
            rows, size = self._own[id(node)], _up(node.history * item)
            cuts = [node.n_row * i // n_thread for i in range(n_thread + 1)]
            for part, (a, b) in zip(parts, pairwise(cuts), strict=True):
                if size and b > a:
                    part.append((rows.place + a * rows.step, rows.step, size, b - a))
        return [np.array(part, np.int64).reshape(-1, 4) for part in parts]

    def _row_bytes(self, node: Node) -> int:
        return _up(node.history * self.item) + _ROW_BYTES + LINE

    def _shared_bytes(self, node: Node) -> int:
        """Return the size of the memory for the terms of a sum, theirs and so on."""
        terms = [each.node for each in node.terms if each.node.n_chan > 1]
        return (sum(self._row_bytes(each) * each.n_row for each in terms)
                + max(map(self._shared_bytes, terms), default=0))

    def _compute(self, node: Node, rows: Rows, free: int, start: int = -1) -> None:
        """List the steps that compute a node; memory from `free` on is free.

        Channels have been read to the rows of leaves from channel `start` on, or not if it is -1.
        """
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
            places.append(Rows(free + _up(each.history * self.item), self._row_bytes(each)))
            free += self._row_bytes(each) * each.n_row
        for term, place in zip(node.terms, places, strict=True):
            self._compute(term.node, place, free, start)
        kept = [self._kept(term.node, place) for term, place in
                zip(node.terms, places, strict=True) if term.node.history]
        for numbers in kept:
            self._below.step(LOAD, *numbers)
        self._below.add(ADD, rows.of(np.arange(node.n_row)), [
            place.of(term.rows) - term.shift * self.item
            for term, place in zip(node.terms, places, strict=True)])
        for numbers in kept:
            self._below.step(SAVE, *numbers)

    def _kept(self, node: Node, rows: Rows) -> tuple[int, ...]:
        """Return the numbers of a step that loads or saves the past of rows."""
        size = _up(node.history * self.item)
        place = self._allocate(size * node.n_row)
        self._keep(node, size, size, self.item, self._offset)
        return rows.place, rows.step, place, size, node.n_row

    def _read(self, node: Node, rows: Rows) -> None:
        """List the steps that read the channels of a node, in groups of neighbours."""
        wanted = self._channels[node.start : node.stop]
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
            self._below.step(READ, group, self._n_target, size)
            self._targets.append(target)
            self._n_target += size

    def _own_above(self, every: list[Node]) -> None:
        """Give memory to the nodes above the cut."""
        self.window = RUN * (_RUNS_KEPT + 1)
        for each in every:
            n = self.window if each.kept else RUN
            self._own[id(each)] = self._own_rows(each, self.above_item, n, 0)

    def _list_above(self, root: Node, tiles: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """List the steps of a thread above the cut, for tiles of neighbouring rows of the root.

        Rows that two threads need are computed by both, with the same result.
        """
        steps, done = _Steps(), {id(root): tiles[0] if tiles else 0}
        for tile in tiles:
            self._list_tile(steps, root, min(tile + _TILE, root.n_row), done)
        return steps.tables()

    def _list_tile(self, steps: _Steps, node: Node, stop: int, done: dict[int, int]) -> None:
        """List the steps for the rows of a node above the cut, up to `stop`."""
        here = slice(done[id(node)], stop)
        if here.start >= stop:
            return
        below = node.terms[0].node.height == 0
        for term in node.terms if not below else ():
            # A thread begins with the first row that any of its rows needs.
            done.setdefault(id(term.node), int(term.rows[here.start :].min()))
            self._list_tile(steps, term.node, int(term.rows[here].max()) + 1, done)
        own = self._own.get(id(node))
        out = np.arange(here.start, stop)
        where = OUTPUT if own is None else MOVING if node.kept else FIXED
        steps.add(int(below), out if own is None else own.of(out), [
            self._own[id(term.node)].of(term.rows[here])
            - term.shift[here] * (self.item if below else self.above_item) for term in node.terms],
            where, self._offset * node.n_chan if below else 0)
        done[id(node)] = stop


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


def _parts(items: list[Any], n: int) -> list[list[Any]]:
    """Divide a list into `n` parts of about the same length."""
    cuts = [len(items) * i // n for i in range(n + 1)]
    return [items[a:b] for a, b in pairwise(cuts)]
