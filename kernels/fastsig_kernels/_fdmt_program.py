"""The steps that compute the tree of `_fdmt_tree` on rows in memory.

Below the *cut*, subtrees of up to `MOST_SUMMED` channels are computed one after the other for a
block of samples, in memory that they share and that stays in a cache; sums of 8-bit samples are
16-bit integers there. What rows need of earlier blocks is loaded from a store, and saved again.
Above the cut, nodes have memory of their own, and rows are computed in float32 (16-bit integers, if
these are large enough), for a short run of samples and neighbouring delays at a time. Four rows are
added at once, so that rows of every other level exist in registers only.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from ._fdmt_tree import Node
from ._order import LINE, address, aligned

#: Channels whose sum of 8-bit samples fits into 16 bits.
MOST_SUMMED = 256
#: Channels that are transposed together, of 8 bits if there are as many, and otherwise; channels
#: whose rows are read before they are summed.
WIDE, GROUP, _READ = 64, 16, 64
#: Rows that are added at once, at most.
_TERMS = 4
#: Time to read a channel, in additions of rows.
_READ_TIME = 3
#: Bytes of a row below the cut; samples of a run above it.
_ROW_BYTES, RUN = 4096, 2048
#: Runs for which the rows of first halves above the cut have room before they move.
_RUNS_KEPT = 1
#: Rows of the root that are computed together.
_TILE = 64

#: Kinds of steps below the cut, see `_fdmt_loops.run_below_nb`.
READ, ADD, LOAD, SAVE = 0, 1, 2, 3
#: Where rows above the cut are: in runs of their own, in a moving window, or in the output.
FIXED, MOVING, OUTPUT = 0, 1, 2


@dataclass
class Sums:
    """A node of the tree as it is computed: rows that are sums of one row of each term.

    Terms are the halves of the node or, where rows of the halves are not kept, their halves.
    """

    node: Node
    #: Levels of the tree between its rows and those of the cut; 0 or less below it.
    height: int
    terms: "list[Term]" = field(default_factory=list)
    #: Samples of the past that the sum it is a term of needs.
    history: int = 0
    #: Whether that sum may need its past: not if it is the last term, which is never shifted.
    kept: bool = False

    @property
    def n_row(self) -> int:
        """Number of rows."""
        return self.node.n_row

    @property
    def n_chan(self) -> int:
        """Number of channels."""
        return self.node.n_chan


@dataclass
class Term:
    """What is added up for each row of a sum: rows of `sums`, `shift` samples earlier."""

    sums: Sums
    rows: np.ndarray
    shift: np.ndarray


def sums_of(node: Node, height: int) -> Sums:
    """Return the sums of a node, `height` levels above the cut, and of all that they need.

    Four rows are added at once where that does not skip the cut: rows of every other level are
    then neither written nor read.
    """
    sums = Sums(node, height)
    if node.halves is None:
        return sums
    terms, step = _halves(node, np.arange(node.n_row), np.zeros(node.n_row, np.int64)), 1
    if height != 1 and node.n_chan >= 4:
        terms, step = [each for half in terms for each in _halves(*half)], 2
    for i, (part, rows, shift) in enumerate(terms):
        inner = sums_of(part, height - step)
        inner.history, inner.kept = int(shift.max()), i < len(terms) - 1
        sums.terms.append(Term(inner, rows, shift))
    return sums


def _halves(node: Node, rows: np.ndarray, shift: np.ndarray
            ) -> list[tuple[Node, np.ndarray, np.ndarray]]:
    """Return both halves of a node, and which of their rows those of the node are the sums of."""
    assert node.halves is not None
    first, last = node.halves
    return [(first, node.first[rows], shift + node.shift[rows]), (last, node.last[rows], shift)]


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

    def __init__(self, sums: Sums, memory: np.ndarray, kind: type, step: int, n: int,
                 offset: int) -> None:
        rows = memory[: sums.n_row * step].view(kind).reshape(sums.n_row, -1)
        self._rows, self._n_chan, self._offset = rows[:, :n], sums.n_chan, offset

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
        """Add rows: addresses of results and of the terms, at most `_TERMS`."""
        self.step(kind, self._n, self._n + len(out), len(terms), *numbers)
        unused = [np.zeros_like(out)] * (_TERMS - len(terms))
        self._ops.append(np.stack([out, *terms, *unused], axis=1).astype(np.int64))
        self._n += len(out)

    def tables(self) -> tuple[np.ndarray, np.ndarray]:
        return (np.array(self._steps, np.int64).reshape(-1, 6),
                np.concatenate([np.empty((0, 1 + _TERMS), np.int64), *self._ops]))


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
    below, above : list of (ndarray, ndarray)
        Steps of each thread below the cut and above it, and their operations.
    moves, window_moves : list of ndarray
        Rows of the cut, and above it, that each thread moves, see `_fdmt_loops.move_rows_nb`.
    """

    def __init__(self, root: Node, channels: np.ndarray, n_input: int, item: int,
                 above_item: int, offset: int, n_thread: int = 1) -> None:
        self.item, self.above_item = item, above_item
        self.block, self._offset = _ROW_BYTES // item, offset
        self._channels, self._n_input = channels, n_input
        self._memory: list[np.ndarray] = []
        self.stores: list[Store] = []
        depth = 1
        while -(-root.n_chan >> depth) > MOST_SUMMED:
            depth += 1
        top = sums_of(root, depth)
        every = list(_every(top))
        cut = [each for each in every if each.height == 0]
        self._own = {id(each): self._own_rows(each, item, self.block, offset) for each in cut}
        self._targets: list[np.ndarray] = []
        self._n_target = 0
        before = max(_up(each.history * item) for each in every if not each.terms)
        self._leaf = Rows(0, before + _ROW_BYTES + LINE)
        self.below = [self._list_below(part, before) for part in _balanced(cut, n_thread)]
        self.targets = np.concatenate(self._targets)
        # These take less time than it takes to wake a thread.
        self.moves = self._moves(cut, item, 1)
        above = [each for each in every if 0 < each.height < depth]
        self._own_above(above)
        self.window_moves = self._moves(above, above_item, n_thread)
        tiles = list(range(0, root.n_row, _TILE))
        self.above = [self._list_above(top, part[0], min(part[-1] + _TILE, root.n_row))
                      for part in _parts(tiles, n_thread)]

    @property
    def memory_bytes(self) -> int:
        """Size of rows, stores and tables, in bytes."""
        tables = [table for pair in (*self.below, *self.above) for table in pair]
        return sum(m.nbytes for m in (*self._memory, *tables, self.targets))

    def _list_below(self, cut: list[Sums], before: int) -> tuple[np.ndarray, np.ndarray]:
        """List the steps of a thread below the cut, with memory that its subtrees share."""
        leaf_bytes = self._leaf.step * (_READ + 1)
        shared = self._allocate(leaf_bytes + max(map(self._shared_bytes, cut)))
        self._leaf.place = shared + before
        self._below = _Steps()
        for sums in cut:
            self._compute(sums, self._own[id(sums)], shared + leaf_bytes)
        return self._below.tables()

    def _allocate(self, n_byte: int) -> int:
        memory = aligned(_up(n_byte) + LINE)
        self._memory.append(memory)
        return address(memory)

    def _keep(self, sums: Sums, step: int, n_byte: int, item: int, offset: int) -> None:
        """Record what was just allocated as the store of a node."""
        kind = np.int16 if item == 2 else np.float32
        self.stores.append(Store(sums, self._memory[-1], kind, step, n_byte // item, offset))

    def _own_rows(self, sums: Sums, item: int, n: int, offset: int) -> Rows:
        """Return rows of `n` samples in memory of their own, after those of the past."""
        before = _up(sums.history * item)
        step = before + _up(n * item) + LINE
        place = self._allocate(step * sums.n_row)
        if sums.history:
            self._keep(sums, step, before, item, offset)
        return Rows(place + before, step)

    def _moves(self, every: list[Sums], item: int, n_thread: int) -> list[np.ndarray]:
        """Return the rows of nodes that each thread moves: place, step, bytes, number."""
        parts: list[list[tuple[int, ...]]] = [[] for _ in range(n_thread)]
        for sums in every:
            rows, size = self._own[id(sums)], _up(sums.history * item)
            cuts = [sums.n_row * i // n_thread for i in range(n_thread + 1)]
            for part, (a, b) in zip(parts, pairwise(cuts), strict=True):
                if size and b > a:
                    part.append((rows.place + a * rows.step, rows.step, size, b - a))
        return [np.array(part, np.int64).reshape(-1, 4) for part in parts if part]

    def _row_bytes(self, sums: Sums) -> int:
        return _up(sums.history * self.item) + _ROW_BYTES + LINE

    def _shared_bytes(self, sums: Sums) -> int:
        """Return the size of the memory for the terms of a sum, theirs and so on."""
        terms = [each.sums for each in sums.terms if each.sums.n_chan > 1]
        return (sum(self._row_bytes(each) * each.n_row for each in terms)
                + max(map(self._shared_bytes, terms), default=0))

    def _compute(self, sums: Sums, rows: Rows, free: int, start: int = -1) -> None:
        """List the steps that compute a node; memory from `free` on is free.

        Channels have been read to the rows of leaves from channel `start` on, or not if it is -1.
        """
        if sums.n_chan <= _READ and start < 0:
            start = sums.node.start
            self._read(sums.node, rows)
        if not sums.terms:
            return
        places = []
        for each in (term.sums for term in sums.terms):
            if each.n_chan == 1:
                leaf = self._leaf
                places.append(Rows(leaf.place + (each.node.start - start) * leaf.step, leaf.step))
                continue
            places.append(Rows(free + _up(each.history * self.item), self._row_bytes(each)))
            free += self._row_bytes(each) * each.n_row
        for term, place in zip(sums.terms, places, strict=True):
            self._compute(term.sums, place, free, start)
        kept = [self._kept(term.sums, place) for term, place in
                zip(sums.terms, places, strict=True) if term.sums.history]
        for numbers in kept:
            self._below.step(LOAD, *numbers)
        self._below.add(ADD, rows.of(np.arange(sums.n_row)), [
            place.of(term.rows) - term.shift * self.item
            for term, place in zip(sums.terms, places, strict=True)])
        for numbers in kept:
            self._below.step(SAVE, *numbers)

    def _kept(self, sums: Sums, rows: Rows) -> tuple[int, ...]:
        """Return the numbers of a step that loads or saves the past of rows."""
        size = _up(sums.history * self.item)
        place = self._allocate(size * sums.n_row)
        self._keep(sums, size, size, self.item, self._offset)
        return rows.place, rows.step, place, size, sums.n_row

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

    def _own_above(self, every: list[Sums]) -> None:
        """Give memory to the nodes above the cut."""
        self.window = RUN * (_RUNS_KEPT + 1)
        for each in every:
            n = self.window if each.kept else RUN
            self._own[id(each)] = self._own_rows(each, self.above_item, n, 0)

    def _list_above(self, top: Sums, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """List the steps of a thread above the cut, tile by tile, for some rows of the root.

        Rows that two threads need are computed by both, with the same result.
        """
        steps, done = _Steps(), {id(top): start}
        for tile in range(start, stop, _TILE):
            self._list_tile(steps, top, min(tile + _TILE, stop), done)
        return steps.tables()

    def _list_tile(self, steps: _Steps, sums: Sums, stop: int, done: dict[int, int]) -> None:
        """List the steps for the rows of a node above the cut, up to `stop`."""
        here = slice(done[id(sums)], stop)
        if here.start >= stop:
            return
        below = sums.terms[0].sums.height == 0
        for term in sums.terms if not below else ():
            # A thread begins with the first row that any of its rows needs.
            done.setdefault(id(term.sums), int(term.rows[here.start :].min()))
            self._list_tile(steps, term.sums, int(term.rows[here].max()) + 1, done)
        own = self._own.get(id(sums))
        out = np.arange(here.start, stop)
        where = OUTPUT if own is None else MOVING if sums.kept else FIXED
        steps.add(int(below), out if own is None else own.of(out), [
            self._own[id(term.sums)].of(term.rows[here])
            - term.shift[here] * (self.item if below else self.above_item) for term in sums.terms],
            where, self._offset * sums.n_chan if below else 0)
        done[id(sums)] = stop


def _every(sums: Sums) -> Iterator[Sums]:
    """Yield a sum after all that it needs."""
    for term in sums.terms:
        yield from _every(term.sums)
    yield sums


def _balanced(cut: list[Sums], n: int) -> list[list[Sums]]:
    """Divide nodes into `n` parts that take about the same time, fewer if there are few."""
    parts: list[list[Sums]] = [[] for _ in range(min(n, len(cut)))]
    times = [0] * len(parts)
    for sums in sorted(cut, key=_time_of, reverse=True):
        least = times.index(min(times))
        parts[least].append(sums)
        times[least] += _time_of(sums)
    return [sorted(part, key=lambda each: each.node.start) for part in parts]


def _time_of(sums: Sums) -> int:
    """Return about how long a node below the cut takes, in additions."""
    return _READ_TIME * sums.n_chan + sums.node.n_addition()


def _parts(items: list[Any], n: int) -> list[list[Any]]:
    """Divide a list into `n` parts of about the same length, fewer if it is short."""
    n = min(n, len(items))
    cuts = [len(items) * i // n for i in range(n + 1)]
    return [items[a:b] for a, b in pairwise(cuts)]
