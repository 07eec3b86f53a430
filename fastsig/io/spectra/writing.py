"""Base of the writers of spectra, for all formats.

A writer is made from the header and the shape of the spectra, accepts rows in order, and gives its
files their names when the context ends without an error.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import UsageError
from fastsig.io.files.outputs import Writer
from fastsig.stream import Codes, SpectrumStream
from fastsig.stream.header import Header

__all__ = ["Sizes", "SpectraWriter"]


class Sizes(NamedTuple):
    """The sizes of a product: most bytes on disk, and bytes of memory while it is written."""

    disk: int
    memory: int


class SpectraWriter(Writer):
    """A writer of spectra, row by row."""

    NAME: ClassVar[str]
    #: Bits of a number that the format can store.
    OFFERS: ClassVar[tuple[int, ...]]

    #: Names of the files.
    files: list[str]
    #: Number of values that were clipped to the range of codes.
    n_clipped = 0

    @classmethod
    @abstractmethod
    def losses(cls, header: Header, shape: tuple[int, ...], weights_vary: bool,
               **options: Any) -> list[str]:
        """Describe what such files would lose.

        Parameters
        ----------
        header, shape
            As for the writer.
        weights_vary : bool
            Whether any weight differs from 1.
        **options
            The options of the writer; `exact`, whether all values are codes of the format; and
            `alike`, whether they come from a file of this format, so that its precision suffices.

        Raises
        ------
        PlanError
            If the format cannot store such spectra.
        """

    @classmethod
    def cautions(cls, header: Header, shape: tuple[int, ...], **options: Any) -> list[str]:
        """Describe what other programs will misinterpret in such files.

        Parameters
        ----------
        header, shape, **options
            As for the writer.
        """
        return []

    @classmethod
    def open_end(cls, **options: Any) -> bool:
        """Whether rows may end early, or have no known number: `end_at` then reports it."""
        return False

    @classmethod
    @abstractmethod
    def sizes(cls, shape: tuple[int, ...], **options: Any) -> Sizes:
        """Return the sizes of such files; the options are those of the writer."""

    @classmethod
    def exact_bits(cls, codes: Codes | None) -> int:
        """Return the fewest bits that store all values exactly."""
        return 32

    @abstractmethod
    def append(self, data: NDArray[np.float32], weight: NDArray[np.float32]) -> None:
        """Write the next rows: (n, product, chan) means and weights that broadcast to them."""

    def end_at(self, n_row: int) -> None:
        """Accept that there are only `n_row` rows, which have all been appended.

        Formats for which `open_end` is true define it.
        """
        raise UsageError(f"{self.NAME} needs the number of rows; allowed: recordings")

    def add_columns(self, stream: SpectrumStream) -> None:
        """Write the columns of a stream (one value per row) after all rows are written.

        Formats that cannot store them leave them out; this loss is reported beforehand.
        """
        return
