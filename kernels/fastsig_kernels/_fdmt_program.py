"""The steps that compute the tree of `_fdmt_tree` on rows in memory.

Below the *cut*, subtrees of up to `MOST_SUMMED` channels are computed one after the other for a
block of samples, in memory that they share and that stays in a cache; sums of 8-bit samples are
16-bit integers there. Samples of earlier blocks are kept either by the rows at the cut (see
`_fdmt_cut`) or by the channels (see `_fdmt_channels`), which are fewer than the rows if there are
many delays. From rows at the cut, `_fdmt_above` computes rows in float32 (16-bit integers, if these
are large enough). Up to four rows are added at once, so that few intermediate rows are written and
read.
"""

import numpy as np

from ._fdmt_above import Above, spans
from ._fdmt_below import Below, Facts, every
from ._fdmt_channels import ChannelRows
from ._fdmt_cut import CutRows
from ._fdmt_steps import Memory, Scratch
from ._fdmt_tree import Node
from ._order import address

#: Time to read a channel, in additions of rows.
_READ_TIME = 3
#: Bytes of a row below the cut, of one block: few, so that rows at the cut stay in a cache.
_ROW_BYTES = 4096
#: Share of the additions below the cut that channels may add if they keep the past.
_MOST_MORE = 0.25


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
    scratch : Scratch
        Memory that programs use one after the other.

    Attributes
    ----------
    block : int
        Number of samples that are computed at a time.
    window : int
        Number of samples for which the rows that keep the past have room.
    by_channel : bool
        Whether channels keep the past, so that each block overwrites the rows at the cut.
    read_item : int
        Bytes of a sample of a channel as it is read.
    stores : list of Store
    threads : list of tuple of ndarray
        Tables of each thread: steps and operations below the cut, `targets`, steps and operations
        above it, and the rows that it moves, see `_fdmt_loops`.
    """

    def __init__(self, root: Node, channels: np.ndarray, n_input: int, item: int,
                 above_item: int, offset: int, n_thread: int, scratch: Scratch) -> None:
        found, self._memory = spans(root), Memory(scratch)
        cut = [each for each in every(root) if each.height == 0]
        facts = Facts(root, cut, found, channels, n_input, item, _ROW_BYTES // item, offset)
        self.block, below = facts.block, _below(facts)
        below.begin(self._memory)
        parts = _balanced(cut, n_thread)
        lists = [below.tables(part) for part in parts]
        above = Above(root, below.own, found, self.block, (item, above_item), offset,
                      self._memory).tables(n_thread)
        targets = below.targets
        self.threads = [(*low, targets, *high, below.moves(part))
                        for low, high, part in zip(lists, above, parts, strict=True)]
        self.window, self.stores = below.window, below.stores
        self.by_channel, self.read_item = below.by_channel, below.item

    def sizes(self) -> dict[int, int]:
        """Return the size of rows, stores, scratch and tables, in bytes, by their addresses."""
        tables = {address(table): table.nbytes for each in self.threads for table in each}
        return {**tables, **self._memory.sizes()}


def _below(facts: Facts) -> Below:
    """Return the way to compute rows at the cut that takes less memory, and not much more time."""
    by_cut = CutRows(facts)
    if any(not node.terms for node in facts.cut):
        return by_cut
    by_channel = ChannelRows(facts)
    is_smaller = by_channel.n_byte < by_cut.n_byte and by_channel.more <= _MOST_MORE
    return by_channel if is_smaller else by_cut


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
