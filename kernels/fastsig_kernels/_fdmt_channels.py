"""Steps below the cut where only channels keep the past, in bytes if samples have 8 bits.

A row of a node is used by neighbouring rows of its parent, with shifts that differ little. It is
therefore computed anew in each block, for those samples of the past that they need: those of a
block `late` to `early` samples ago, as above the cut. The fewer channels a node has, the more
delays share a row, and the more samples are computed beyond those of a block.
"""

from collections.abc import Iterator

import numpy as np

from ._fdmt_below import Below, Facts, every
from ._fdmt_steps import ADD, CHANNELS, Ring, Rows, up
from ._fdmt_tree import Node
from ._order import LINE, address


class ChannelRows(Below):
    """What lists the steps if channels keep the past; see `Below`.

    Each node at the cut has two channels or more.
    """

    by_channel = True

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self.item = 1 if facts.item == 2 else facts.item
        lates = {id(node): max(facts.late(each) for each in every(node) if not each.terms)
                 for node in facts.cut}
        # Rows have room for half as many samples as they keep: moves then take as long as two
        # copies of each byte, which is little compared with the rest.
        self.window = facts.window(float(np.mean(list(lates.values()))) / 2)
        #: Bytes of the row of a channel for the past, and for later samples, of nodes at the cut.
        self._befores = {key: up(late * self.item) for key, late in lates.items()}
        self._afters = {id(node): self._after(node) for node in facts.cut}
        self._channels: dict[int, Rows] = {}
        #: Of the node at the cut whose steps are listed: first channel, and rows of its channels.
        self._first, self._rows = 0, Rows(0, 0)
        #: Bytes from a row to the next, of each node with parts.
        self._row_bytes = {id(node): self._row_size(node, parent)
                           for node, parent in _pairs(facts.root) if node.terms}

    def _after(self, cut: Node) -> int:
        # Steps of parents compute as many samples of all their rows.
        width = max(self._facts.spans[id(parent)].width
                    for node, parent in _pairs(cut) if not node.terms)
        return up((self.window + width) * self.item) + LINE

    def _row_size(self, node: Node, parent: Node) -> int:
        widths = (self._facts.spans[id(each)].width for each in (node, parent))
        return up((self._facts.block + sum(widths)) * self._facts.item) + LINE

    @property
    def n_byte(self) -> int:
        """Size of what is kept of earlier blocks, and of the rows at the cut, in bytes."""
        return sum(self._channel_bytes(node) + self._own_bytes(node) for node in self._facts.cut)

    @property
    def more(self) -> float:
        """Additions of samples beyond those of a block, as a share of all below the cut."""
        nodes = [each for node in self._facts.cut for each in every(node) if each.terms]
        n_row = np.array([each.n_row * (len(each.terms) - 1) for each in nodes])
        widths = np.array([self._facts.spans[id(each)].width for each in nodes])
        return float((n_row * widths).sum() / (n_row.sum() * self._facts.block))

    def _channel_bytes(self, node: Node) -> int:
        """Return the size of the rows of channels of a node at the cut."""
        return (self._befores[id(node)] + self._afters[id(node)]) * node.n_chan

    def _own_bytes(self, node: Node) -> int:
        """Return the size of the rows of a node."""
        return self._row_bytes[id(node)] * node.n_row

    def _place_rows(self) -> None:
        cut = self._facts.cut
        memory = self._memory.piece(sum(map(self._channel_bytes, cut)))
        free = self._memory.place(sum(map(self._own_bytes, cut)))
        for node in cut:
            before = self._befores[id(node)]
            rows = memory[: self._channel_bytes(node)].reshape(node.n_chan, -1)
            self._channels[id(node)] = Rows(address(rows) + before, rows.strides[0])
            if before:
                self._keep(rows[:, :before], 1)
            memory = memory[rows.nbytes :]
            self.own[id(node)] = self._ring(node, free)
            free += self._own_bytes(node)

    def _ring(self, node: Node, place: int) -> Ring:
        """Return memory for all rows of a node."""
        return Ring(Rows(place, self._row_bytes[id(node)]), node.n_row,
                    self._facts.spans[id(node)].late * self._facts.item)

    def moves(self, part: list[Node]) -> np.ndarray:
        """Return the rows that a thread moves: place, step, bytes, number."""
        rows = [(self._channels[id(node)], self._befores[id(node)], node.n_chan) for node in part]
        return np.array([(each.place, each.step, size, n) for each, size, n in rows if size],
                        np.int64).reshape(-1, 4)

    def _list(self, part: list[Node]) -> None:
        spare = self._memory.place((self.window + self._facts.block) * self.item)
        free = self._memory.place(max(map(self._shared_bytes, part), default=0))
        for node in part:
            self._first, self._rows = node.start, self._channels[id(node)]
            self._read(node, self._rows.of(np.arange(node.n_chan)), spare, is_moving=True)
            self._compute(node, self.own[id(node)], free)

    def _shared_bytes(self, node: Node) -> int:
        """Return the size of the memory for the terms of a sum, theirs and so on."""
        parts = [term.node for term in node.terms]
        return (sum(self._part_bytes(part, node) for part in parts)
                + max(map(self._shared_bytes, parts), default=0))

    def _part_bytes(self, part: Node, parent: Node) -> int:
        """Return the size of the memory for a term of a sum."""
        if part.terms:
            return self._own_bytes(part)
        return self._own_bytes(parent) if _is_mixed(parent) else 0

    def _compute(self, node: Node, own: Rows | Ring, free: int) -> None:
        """List the steps that compute a node with parts; memory from `free` on is free."""
        span, item = self._facts.spans[id(node)], self._facts.item
        ends = free + np.cumsum([self._part_bytes(term.node, node) for term in node.terms])
        terms = []
        for term, end in zip(node.terms, ends.tolist(), strict=True):
            part, late = term.node, span.late + term.shift
            if part.terms:
                rows = self._ring(part, end - self._part_bytes(part, node))
                self._compute(part, rows, int(ends[-1]))
                terms.append(rows.of(term.rows) - late * item)
                continue
            place = self._rows.of(part.start - self._first + term.rows) - late * self.item
            if _is_mixed(node):  # sums are of rows of one kind
                step = self._row_bytes[id(node)]
                copies = end - self._part_bytes(part, node) + step * np.arange(node.n_row)
                self._steps.add(CHANNELS, copies, [place], 0, span.width)
                place = copies
            terms.append(place)
        kind = ADD if any(term.node.terms for term in node.terms) else CHANNELS
        self._steps.add(kind, own.of(np.arange(node.n_row)) - span.late * item, terms, 0,
                        span.width)


def _pairs(node: Node) -> Iterator[tuple[Node, Node]]:
    """Yield all nodes of which a node is the sum, and the parent of each."""
    for term in node.terms:
        yield term.node, node
        yield from _pairs(term.node)


def _is_mixed(node: Node) -> bool:
    """Return whether some parts of a node, but not all, are single channels."""
    return len({bool(term.node.terms) for term in node.terms}) == 2
