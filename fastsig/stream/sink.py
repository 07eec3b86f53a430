"""Sink: what takes the blocks of a stream in a pass, and gives a product at its end.

A sink is made from the facts of a stream (header, shape, columns, codes, levels) and reads nothing
itself. A pass reads the stream in blocks on many threads; `partial` turns a block into a part on
the thread that read it, `merge` takes the parts in the order of rows on one thread, `finish` gives
the product. So the product depends on neither threads nor on the sinks beside it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from fastsig.stream.base import Block, Stream

__all__ = ["Sink"]


class Sink(ABC):
    """What takes a pass over a stream.

    Parameters
    ----------
    stream : Stream
        A file, a stage or several aligned streams: what is read for this sink.
    """

    #: What a user is shown while it works.
    name = "sink"

    #: Whether `merge` carries state from part to part, so that parts make no sense alone.
    ordered = False

    #: Rows of a part: exactly so many, counted from row 0, and the last fewer; None for any number.
    segment: int | None = None

    #: Whether it takes voltages as recorded, complex ones in pairs of whole numbers.
    as_recorded = False

    #: Whether its blocks are those of `spans` alone; it then has the chain for itself.
    sparse = False

    #: Whether it needs no more blocks; a pass ends where this is true of all sinks of its chain.
    satisfied = False

    #: Whether it takes a stream whose end is not known; `finish` then learns the number of rows.
    takes_endless = False

    #: Bytes that it holds while the pass runs.
    held_bytes = 0

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def spans(self) -> Iterable[tuple[int, int]]:
        """First row, and the one after the last, of each block of a sparse sink, ascending."""
        return ((0, self.stream.shape[0]),)

    def work_bytes(self, n: int) -> int:
        """Memory that `partial` takes for `n` rows, their block apart."""
        return 0

    def part_bytes(self, n: int) -> int:
        """Memory of the part that `n` rows give, as long as it waits to be merged."""
        return n * self.stream.row_bytes

    def partial(self, block: Block) -> Any:
        """What is made of a block, on any thread; the block itself by default."""
        return block

    @abstractmethod
    def merge(self, part: Any) -> None:
        """Take the next part, in the order of rows."""

    def finish(self, n_rows: int) -> Any:
        """The product, once all parts of a stream of `n_rows` rows are merged."""
        return None

    def record(self) -> Mapping[str, Any]:
        """What it did, for provenance; the same whatever other sinks there were."""
        return {}

    def then(self, result: Any) -> Sequence[Sink]:
        """Sinks of a further pass, which `result` makes possible; none by default."""
        return ()

    def __enter__(self) -> Self:
        """Begin: files are made here, under temporary names."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> bool | None:
        """End: well where there is no error, else as if nothing had begun."""
        return None
