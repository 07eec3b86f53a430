"""Sink: an object that receives the blocks of a stream in a pass and returns a product.

A sink is made from the description of a stream (header, shape, columns, codes, levels) and does not
read the stream itself. A pass reads the stream in blocks on many threads; `partial` reduces a block
to a part on the thread that read it, `merge` adds the parts in the order of rows on one thread, and
`finish` returns the product. The product therefore depends neither on threads nor on other sinks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from fastsig.stream.base import Block, Stream

__all__ = ["Sink"]


class Sink(ABC):
    """An object that receives the blocks of a stream in a pass.

    Parameters
    ----------
    stream : Stream
        The file, stage or aligned streams that are read for this sink.
    """

    #: Name of the work, which progress displays show.
    name = "sink"

    #: Whether `merge` carries state from part to part, so that parts have no meaning alone.
    ordered = False

    #: Exact number of rows in a part, counted from row 0 (the last may be shorter); None for any.
    segment: int | None = None

    #: Whether it accepts voltages as recorded, complex ones in pairs of integers.
    as_recorded = False

    #: Whether it accepts spectra of 8-bit codes as `CodedBlock`.
    as_codes = False

    #: Whether it needs only the blocks in `spans`; no other sink then shares its chain.
    sparse = False

    #: Whether it needs no more blocks; a chain ends when this is true for all its sinks.
    satisfied = False

    #: Whether it accepts a stream without a known end; `finish` receives the number of rows.
    takes_endless = False

    #: Bytes of memory that it uses while the pass runs.
    held_bytes = 0

    #: A lower limit of `held_bytes`, known before anything large is computed or allocated.
    least_held_bytes = 0

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def spans(self) -> Iterable[tuple[int, int]]:
        """Return (first row, row after the last) of each block of a sparse sink, ascending."""
        return ((0, self.stream.shape[0]),)

    def work_bytes(self, n: int) -> int:
        """Memory that `partial` needs for `n` rows, in addition to their block."""
        return 0

    def part_bytes(self, n: int) -> int:
        """Memory used by the part computed from `n` rows, while it waits to be merged."""
        return n * self.stream.row_bytes

    def partial(self, block: Block) -> Any:
        """Reduce a block to a part, on any thread; by default, the part is the block itself."""
        return block

    @abstractmethod
    def merge(self, part: Any) -> None:
        """Add the next part, in the order of rows."""

    def finish(self, n_rows: int) -> Any:
        """Return the product, after all parts of a stream of `n_rows` rows have been merged."""
        return None

    def record(self) -> Mapping[str, Any]:
        """Return a record of the work for the provenance, independent of other sinks."""
        return {}

    def then(self, result: Any) -> Sequence[Sink]:
        """Return the sinks of a further pass, which depend on `result`; none by default."""
        return ()

    def __enter__(self) -> Self:
        """Begin; files are created here, under temporary names."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> bool | None:
        """End; after an error, remove everything that was created."""
        return None
