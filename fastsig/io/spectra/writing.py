"""What the writers of spectra have in common, whatever the format.

A writer is made from the header and the shape of what will come, takes rows in order, and gives
its files their names when the context ends well.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.io.files.outputs import Writer
from fastsig.stream import Codes, SpectrumStream
from fastsig.stream.header import Header

__all__ = ["Sizes", "SpectraWriter"]


class Sizes(NamedTuple):
    """What a product takes: bytes on the disk at most, and bytes of memory while it is written."""

    disk: int
    memory: int


class SpectraWriter(Writer):
    """Spectra into files, row by row."""

    NAME: ClassVar[str]
    #: Bits of a number that the format holds.
    OFFERS: ClassVar[tuple[int, ...]]

    #: Names of the files.
    files: list[str]
    #: Values that did not fit into codes.
    n_clipped = 0

    @classmethod
    @abstractmethod
    def losses(cls, header: Header, shape: tuple[int, ...], weights_vary: bool,
               **options: Any) -> list[str]:
        """What such files would lose, in plain words.

        Parameters
        ----------
        header, shape
            As of the writer.
        weights_vary : bool
            Whether some weight is other than 1.
        **options
            Those of the writer; and `exact`, whether all values are codes of the format, and
            `alike`, whether they come from a file of it, so that its own precision loses nothing.

        Raises
        ------
        PlanError
            If the format cannot hold such spectra.
        """

    @classmethod
    def cautions(cls, header: Header, shape: tuple[int, ...], **options: Any) -> list[str]:
        """What other programs will take wrongly in such files, in plain words.

        Parameters
        ----------
        header, shape, **options
            As of the writer.
        """
        return []

    @classmethod
    @abstractmethod
    def sizes(cls, shape: tuple[int, ...], **options: Any) -> Sizes:
        """What such files take; options as of the writer."""

    @classmethod
    def exact_bits(cls, codes: Codes | None) -> int:
        """The fewest bits that carry all values as they are."""
        return 32

    @abstractmethod
    def append(self, data: NDArray[np.float32], weight: NDArray[np.float32]) -> None:
        """Write the next rows: (n, product, chan) means and weights that broadcast to them."""

    def add_columns(self, stream: SpectrumStream) -> None:
        """Write what is known of each row beside its values, once all rows are written.

        Formats without a place for it leave it out; what is lost is reported before.
        """
        return
