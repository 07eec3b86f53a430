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
from fastsig.run.chains import roots
from fastsig.run.engine import Progress, run
from fastsig.stream import Block, Sink, SpectrumStream

__all__ = ["Bands", "CopiedBands", "FileBands", "bands_of"]

F4 = NDArray[np.float32]

_ITEM = 4
_FEW = 64  # spectra that are read one by one, if they are apart in memory


class Bands(Protocol):
    """The source of pieces of the band."""

    @property
    def run(self) -> int:
        """Number of neighbouring channels that cost as little to read together as one of them."""
        ...

    def read(self, first: int, stop: int) -> F4:
        """Return channels `first` to ``stop - 1``, (n_time, stop - first) float32, NaN if lost."""
        ...

    def read_rows(self, first: int, stop: int, row: int, out: F4) -> None:
        """Fill `out`, (n, stop - first), with channels of the spectra from `row` on."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None: ...


def bands_of(stream: SpectrumStream, *, folder: str | None = None, workers: int | None = None,
             memory: int | None = None, progress: Progress | None = None) -> Bands:
    """Return the pieces of the band of a stream with one product.

    Channels are read directly if the format and all stages allow it. Otherwise, as for voltages,
    of which every channel of a filter bank takes the whole transform, all rows are first computed
    and copied to a file in `folder`, which has no name and is removed with the process.
    """
    recorded = all(each.kind == "spectra" for each in roots(stream))
    if recorded and stream.narrowed(0, 1) is not None:
        return FileBands(stream)
    return CopiedBands(stream, folder, workers=workers, memory=memory, progress=progress)


class FileBands:
    """Pieces of the band that are read from the stream."""

    def __init__(self, stream: SpectrumStream) -> None:
        self._stream = stream

    @property
    def run(self) -> int:
        """Number of neighbouring channels that cost as little to read together as one of them."""
        return self._stream.channel_run

    def read(self, first: int, stop: int) -> F4:
        """Return channels `first` to ``stop - 1``, (n_time, stop - first) float32, NaN if lost."""
        out = np.empty((self._stream.shape[0], stop - first), np.float32)
        self.read_rows(first, stop, 0, out)
        return out

    def read_rows(self, first: int, stop: int, row: int, out: F4) -> None:
        """Fill `out`, (n, stop - first), with channels of the spectra from `row` on."""
        whole = (first, stop) == (0, self._stream.shape[2])
        part = self._stream if whole else self._stream.narrowed(first, stop)
        if part is None:
            raise DataError(self._stream.path, f"channels {first} to {stop} cannot be read alone")
        step = len(out) if out.flags.c_contiguous or len(out) > _FEW else 1
        for at in range(0, len(out), max(1, step)):
            target = out[at : at + step]
            found = part.read_block(row + at, len(target), target[:, np.newaxis]).data
            if not np.may_share_memory(found, target):
                np.copyto(target, found[:, 0])

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

    @property
    def run(self) -> int:
        """Number of neighbouring channels that cost as little to read together as one of them."""
        return 1

    def read(self, first: int, stop: int) -> F4:
        """Return channels `first` to ``stop - 1``, (n_time, stop - first) float32, NaN if lost."""
        out = np.empty((self._stream.shape[0], stop - first), np.float32)
        self.read_rows(first, stop, 0, out)
        return out

    def read_rows(self, first: int, stop: int, row: int, out: F4) -> None:
        """Fill `out`, (n, stop - first), with channels of the spectra from `row` on."""
        n_chan = self._stream.shape[2]
        for number, values in enumerate(out, row):
            target = memoryview(values).cast("B")
            done = os.preadv(self._file.fileno(), [target], _ITEM * (number * n_chan + first))
            if done != len(target):
                raise DataError(self._stream.path, "the copy of its rows has become shorter")

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
