"""Steps below the cut where its rows keep the past.

Samples of earlier blocks that rows below the cut need are loaded from a store, and saved to it for
the next block. Nodes at the cut have memory of their own, with the samples of the past that any row
above the cut needs.
"""

import numpy as np

from ._fdmt_below import Below, Facts, every
from ._fdmt_steps import ADD, LOAD, SAVE, Rows, up
from ._fdmt_tree import Node
from ._order import LINE, address

#: Channels whose rows are read before they are summed.
_READ = 64


class CutRows(Below):
    """What lists the steps if rows at the cut keep the past; see `Below`."""

    by_channel = False

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self.item = item = facts.item
        # Rows have room for as many samples as they keep on average. What they keep moves when the
        # room is used up, so that moves take as long as a copy of each sample.
        self.window = facts.window(np.repeat([facts.late(node) for node in facts.cut],
                                             [node.n_row for node in facts.cut]).mean())
        # Steps of parents compute as many samples of all their rows.
        width = max(facts.spans[id(each)].width for each in every(facts.root) if each.height > 0)
        #: Bytes of each row for the past, and for later samples.
        self._befores = {id(node): up(facts.late(node) * item) for node in facts.cut}
        self._after = up((self.window + width) * item) + LINE
        self._rows: dict[int, Rows] = {}
        before = max(up(each.history * item) for each in every(facts.root) if not each.terms)
        self._before, self._leaf = before, Rows(0, before + facts.block * item + LINE)

    @property
    def n_byte(self) -> int:
        """Size of what is kept of earlier blocks, and of the rows at the cut, in bytes."""
        return sum(map(self._own_bytes, self._facts.cut)) + sum(
            up(each.history * self.item) * each.n_row for node in self._facts.cut
            for each in every(node) if each is not node)

    def _own_bytes(self, node: Node) -> int:
        """Return the size of the rows of a node at the cut."""
        return (self._befores[id(node)] + self._after) * node.n_row

    def _place_rows(self) -> None:
        # In one piece, for which the system has large pages.
        memory = self._memory.piece(sum(map(self._own_bytes, self._facts.cut)))
        for node in self._facts.cut:
            before = self._befores[id(node)]
            rows = memory[: self._own_bytes(node)].reshape(node.n_row, -1)
            self._rows[id(node)] = Rows(address(rows) + before, before + self._after)
            if before:
                self._keep(rows[:, :before], node.n_chan)
            memory = memory[rows.nbytes :]
        self.own = dict(self._rows)

    def moves(self, part: list[Node]) -> np.ndarray:
        """Return the rows that a thread moves: place, step, bytes, number."""
        rows = [(self._rows[id(node)], self._befores[id(node)], node.n_row) for node in part]
        return np.array([(each.place, each.step, size, n) for each, size, n in rows if size],
                        np.int64).reshape(-1, 4)

    def _list(self, part: list[Node]) -> None:
        leaf_bytes = self._leaf.step * (_READ + 1) + self.window * self.item
        shared = self._memory.place(leaf_bytes + max(map(self._shared_bytes, part), default=0))
        self._leaf.place = shared + self._before
        for node in part:
            self._compute(node, self._rows[id(node)], shared + leaf_bytes)

    def _row_bytes(self, node: Node) -> int:
        return up(node.history * self.item) + self._facts.block * self.item + LINE

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
        leaf = self._leaf
        if node.n_chan <= _READ and start < 0:
            start = node.start
            places = leaf.of(np.arange(node.n_chan)) if node.n_chan > 1 else np.array([rows.place])
            self._read(node, places, leaf.place + _READ * leaf.step,
                       is_moving=node.height == 0 and node.n_chan == 1)
        if not node.terms:
            return
        places = []
        for each in (term.node for term in node.terms):
            if each.n_chan == 1:
                places.append(Rows(leaf.place + (each.start - start) * leaf.step, leaf.step))
                continue
            places.append(Rows(free + up(each.history * self.item), self._row_bytes(each)))
            free += self._row_bytes(each) * each.n_row
        for term, place in zip(node.terms, places, strict=True):
            self._compute(term.node, place, free, start)
        kept = [self._kept(term.node, place) for term, place in
                zip(node.terms, places, strict=True) if term.node.history]
        for numbers in kept:
            self._steps.step(LOAD, *numbers)
        self._steps.add(ADD, rows.of(np.arange(node.n_row)), [
            place.of(term.rows) - term.shift * self.item
            for term, place in zip(node.terms, places, strict=True)], is_cut)
        for numbers in kept:
            self._steps.step(SAVE, *numbers)

    def _kept(self, node: Node, rows: Rows) -> tuple[int, ...]:
        """Return the numbers of a step that loads or saves the past of rows."""
        size = up(node.history * self.item)
        memory = self._memory.piece(size * node.n_row)
        self._keep(memory[: size * node.n_row].reshape(node.n_row, size), node.n_chan)
        return rows.place, rows.step, address(memory), size, node.n_row
