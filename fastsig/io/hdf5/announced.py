"""HDF5 files whose number of rows is announced: how they end, are given up, and fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastsig.errors import OutputError, UsageError
from fastsig.io.files.safe import SafeOutput
from fastsig.io.hdf5 import metadata

__all__ = ["AnnouncedFile"]


class AnnouncedFile:
    """Base class of writers that have an HDF5 file, `_file`, in an output, `_output`."""

    _output: SafeOutput
    _file: Any

    def _stop(self) -> None:
        """Stop what still writes to the file in other threads."""

    def _closed(self) -> None:
        """Complete the file after the library has closed it."""

    def _fail(self, error: BaseException) -> OutputError:
        """Return what is raised where the HDF5 library failed.

        It cannot close a file that it cannot write: leave the file, and warn the caller.
        """
        self._stop()
        self._output.discard()
        return self._output.error(error, poisoned=True)

    @contextmanager
    def _finishing(self, written: int, announced: int) -> Iterator[None]:
        """Close the file after a block that completes it, and give it its name."""
        if written != announced:
            self.discard()
            raise UsageError(f"{written} of {announced} announced rows were written")
        try:
            yield
            self._file.close()
            self._closed()
        except (OSError, RuntimeError, ValueError) as error:
            raise self._fail(error) from error
        metadata.commit(self._output)

    def discard(self) -> None:
        """Give up, and leave no file under the final name or any other."""
        self._stop()
        self._output.discard()
        try:
            self._file.close()
        except (OSError, RuntimeError, ValueError) as error:
            raise self._output.error(error, poisoned=True) from error

    def abandon(self) -> None:
        """Give up without calling HDF5 again."""
        self._stop()
        self._output.discard()
