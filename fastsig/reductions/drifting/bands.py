"""Pieces of the band of all spectra of a scan, read from the file or from a copy of the rows."""

from __future__ import annotations

import errno
import os
import tempfile
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import DataError, OutputError
from fastsig.run.engine import Progress, run
from fastsig.stream import Block, Sink, SpectrumStream

__all__ = ["Bands", "CopiedBands", "FileBands", "bands_of"]

F4 = NDArray[np.float32]

_ITEM = 4


class Bands(Protocol):
    """The source of pieces of the band."""

    def read(self, first: int, stop: int) -> F4:
        """Return channels `first` to ``stop - 1``, (n_time, stop - first) float32, NaN if lost."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None: ...


def bands_of(stream: SpectrumStream, *, folder: str | None = None, workers: int | None = None,
             memory: int | None = None, progress: Progress | None = None) -> Bands:
    """Return the pieces of the band of a stream with one product.

    Channels are read directly if the format and all stages allow it. Otherwise, all rows are first
    computed and copied to a file in `folder`, which has no name and is removed with the process.
    """
    if stream.narrowed(0, 1) is not None:
        return FileBands(stream)
    return CopiedBands(stream, folder, workers=workers, memory=memory, progress=progress)


class FileBands:
    """Pieces of the band that are read from the stream."""

    def __init__(self, stream: SpectrumStream) -> None:
        self._stream = stream

    def read(self, first: int, stop: int) -> F4:
        """Return channels `first` to ``stop - 1``, (n_time, stop - first) float32, NaN if lost."""
        part = self._stream.narrowed(first, stop)
        if part is None:
            raise DataError(self._stream.path, f"channels {first} to {stop} cannot be read alone")
        data: F4 = part.read_block(0, part.shape[0]).data[:, 0]
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        return None


class CopiedBands:
    """Pieces of the band of rows that are computed once and written to a file without a name."""

    def __init__(self, stream: SpectrumStream, folder: str | None, *, workers: int | None,
                 memory: int | None, progress: Progress | None) -> None:
        self._stream, self._folder = stream, folder
        self._options: dict[str, Any] = {"workers": workers, "memory": memory, "progress": progress}
        self._file: Any = None

    def read(self, first: int, stop: int) -> F4:
        """Return channels `first` to ``stop - 1``, (n_time, stop - first) float32, NaN if lost."""
        n_time, _, n_chan = self._stream.shape
        out = np.empty((n_time, stop - first), np.float32)
        for row in range(n_time):
            target = memoryview(out[row]).cast("B")
            done = os.preadv(self._file.fileno(), [target], _ITEM * (row * n_chan + first))
            if done != len(target):
                raise DataError(self._stream.path, "the copy of its rows has become shorter")
        return out

    def __enter__(self) -> Self:
        try:
            self._file = tempfile.TemporaryFile(dir=self._folder, prefix=".fastsig-rows-")
        except OSError as error:
            folder = self._folder or tempfile.gettempdir()
            raise OutputError(folder, f"rows cannot be copied there: {error.strerror}") from error
        try:
            run([_Copy(self._stream, self._file, self._folder)], **self._options)
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._file.close()


class _Copy(Sink):
    """A sink that writes the values of rows to a file, each row at its place."""

    name = "rows"

    def __init__(self, stream: SpectrumStream, file: Any, folder: str | None) -> None:
        super().__init__(stream)
        self._file, self._folder = file, folder or tempfile.gettempdir()

    def part_bytes(self, n: int) -> int:
        """Return 0: rows are written by the threads."""
        return 0

    def partial(self, block: Block) -> None:
        """Write the rows of a block."""
        values = np.ascontiguousarray(block.data[:, 0], np.float32)
        view, at = values.data.cast("B"), _ITEM * block.start * values.shape[1]
        try:
            while view:
                n = os.pwrite(self._file.fileno(), view, at)
                view, at = view[n:], at + n
        except OSError as error:
            why = "no space left" if error.errno == errno.ENOSPC else error.strerror
            raise OutputError(self._folder, f"rows cannot be copied there: {why}") from error

    def merge(self, part: None) -> None:
        """Do nothing: the rows are written."""
