"""Time series of many dispersion measures: in memory, or in a file without a name."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import OutputError
from fastsig.io.files.positioned import read_into, write_from

__all__ = ["Spool"]

F4 = NDArray[np.float32]

_WHOLE = 255  # a weight of 1


class Spool:
    """Series of several lengths, written in pieces and read as a whole.

    Parameters
    ----------
    lengths : sequence of (int, int)
        Number of series, and of their samples, for each stretch of dispersion measures.
    folder : str, optional
        Folder of the file; by default, that of temporary files.
    in_memory : bool
        Whether the series are kept in memory, without a file.
    """

    def __init__(self, lengths: Sequence[tuple[int, int]], *, folder: str | None = None,
                 in_memory: bool = True) -> None:
        self.lengths, self._folder, self.in_memory = tuple(lengths), folder, in_memory
        self._starts = np.cumsum([0] + [n * length for n, length in self.lengths])
        self._values: Any = None
        #: Weights, as 255 times the share of the terms that are valid; None while all are valid.
        self._weights: Any = None

    @property
    def n_bytes(self) -> int:
        """Size of all series, in bytes, without weights."""
        return int(4 * self._starts[-1])

    @property
    def held_bytes(self) -> int:
        """Memory needed for the series, bytes; with weights, a quarter more is needed."""
        return self.n_bytes * 5 // 4 if self.in_memory else 0

    def __enter__(self) -> Self:
        self._values = self._made(4)
        return self

    def _made(self, item: int) -> Any:
        if self.in_memory:
            n, kind = int(self._starts[-1]), np.float32 if item == 4 else np.uint8
            return np.zeros(n, kind) if item == 4 else np.full(n, _WHOLE, kind)
        try:
            return tempfile.TemporaryFile(dir=self._folder, prefix=".fastsig-series-")
        except OSError as error:
            raise OutputError(self._place, f"series cannot be written there: {error.strerror}"
                              ) from error

    @property
    def _place(self) -> str:
        return self._folder or tempfile.gettempdir()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for each in (self._values, self._weights):
            if hasattr(each, "close"):
                each.close()
        self._values = self._weights = None

    def put(self, stretch: int, row: int, first: int, values: F4, weight: F4 | None) -> None:
        """Write a piece of a series; weights are 0 to 1, or None if all are 1.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        at = self._at(stretch, row) + first
        self._write(self._values, at, np.ascontiguousarray(values))
        if weight is not None:
            self._begin_weights()
            self._write(self._weights, at, np.rint(weight * _WHOLE).astype(np.uint8))

    def _begin_weights(self) -> None:
        if self._weights is not None:
            return
        self._weights = self._made(1)
        if not self.in_memory:
            some = np.full(2**20, _WHOLE, np.uint8)
            for at in range(0, int(self._starts[-1]), len(some)):
                self._write(self._weights, at, some[: int(self._starts[-1]) - at])

    def _at(self, stretch: int, row: int) -> int:
        return int(self._starts[stretch]) + row * self.lengths[stretch][1]

    def _write(self, where: Any, at: int, data: NDArray[Any]) -> None:
        if self.in_memory:
            where[at : at + len(data)] = data
            return
        try:
            write_from(where.fileno(), data, at * data.itemsize)
        except OSError as error:
            why = "no space left" if error.errno == errno.ENOSPC else error.strerror
            raise OutputError(self._place, f"series cannot be written there: {why}") from error

    def read(self, stretch: int, row: int) -> tuple[F4, F4 | None]:
        """Return a series and its weights, None if all are 1."""
        values = self._read(self._values, stretch, row, np.float32)
        if self._weights is None:
            return values, None
        codes = self._read(self._weights, stretch, row, np.uint8)
        if (codes == _WHOLE).all():
            return values, None
        return values, codes.astype(np.float32) / np.float32(_WHOLE)

    def _read(self, where: Any, stretch: int, row: int, kind: Any) -> Any:
        at, n = self._at(stretch, row), self.lengths[stretch][1]
        if self.in_memory:
            return where[at : at + n]
        out = np.empty(n, kind)
        read_into(where.fileno(), out, at * out.itemsize, os.path.join(self._place, "series"))
        return out
