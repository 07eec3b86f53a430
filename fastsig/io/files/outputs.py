"""The files of one product: their names, and writing them so that either all appear or none."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import OutputError, UsageError
from fastsig.io.files.leftovers import sweep, writer_id
from fastsig.io.files.positioned import write_from
from fastsig.io.files.safe import SafeOutput, check_output
from fastsig.stream.header import Header

__all__ = ["OutputFiles", "Writer", "check_file_bytes", "check_text_name", "commit_together",
           "more_values", "no_position", "output_names"]

_MOST_FILES = 100_000
_KEPT_OPEN = 16
_NAMED = 30  # values of a header that a note names
#: Extensions of files that are not text, or are text in a format of their own.
_FORMATS = frozenset((  # noqa: SIM905 - as in fastsig.io.files.cards
    ".ar .cf .csv .dada .dat .ecsv .fil .fit .fits .h5 .hdf5 .html .inf .jpeg .jpg .json .npy .npz "
    ".par .pdf .png .polyco .raw .rf .sf .sm .std .svg .tim .toml .vdif .xlsx").split())


def output_names(path: str, n: int, first: int = 0) -> list[str]:
    """Return the names of `n` files: ``{file}`` in `path` is replaced by numbers from `first` on.

    Raises
    ------
    UsageError
        If several files would have the same name, or `n` is above 100000.
    """
    if n > _MOST_FILES:
        raise UsageError(f"{path}: the recording needs {n} files; allowed: {_MOST_FILES}, so "
                         "specify a larger file size")
    if "{file}" in path:
        return [path.replace("{file}", f"{i:04d}") for i in range(first, first + n)]
    if n > 1:
        stem, dot, suffix = path.rpartition(".")
        raise UsageError(f"{path}: the recording needs {n} files; allowed: a name with {{file}} in "
                         f"it, such as {stem or path}.{{file}}{dot + suffix if stem else ''}")
    return [path]


def check_text_name(path: str, usual: str) -> None:
    """Refuse a name for a text file whose extension is that of a format other than the usual.

    Raises
    ------
    UsageError
        If the extension is that of another format.
    """
    ending = os.path.splitext(path)[1].lower()
    if ending in _FORMATS and ending != usual:
        raise UsageError(f"{path}: its extension indicates another format; allowed: {usual}, the "
                         "format that is written")


def check_file_bytes(file_bytes: int | None) -> None:
    """Refuse a file size below 1 byte."""
    if file_bytes is not None and file_bytes < 1:
        raise UsageError(f"file_bytes = {file_bytes}; allowed: 1 or more")


class Writer(ABC):
    """A writer of a product, used as a context: at its end the product is complete or absent."""

    @abstractmethod
    def close(self) -> None:
        """Finish the files and give them their names."""

    @abstractmethod
    def discard(self) -> None:
        """Give up, and leave no file under the final names or any other."""

    def abandon(self) -> None:
        """Give up after a failure that forbids further calls of the writer's library."""
        self.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        elif isinstance(value, OutputError) and value.poisoned:
            self.abandon()
        else:
            self.discard()


class OutputFiles:
    """The files of one product: at the end either all get their names, or none does.

    Parameters
    ----------
    files : sequence of (str, int)
        Names and sizes in bytes.
    overwrite : bool
        Whether existing files may be replaced.
    pattern : str, optional
        The pattern with ``{file}`` from which the names are made. No file with the next number may
        exist; temporary files that dead writers left under any number are removed.
    first : int
        Number in the name of the first file.

    Raises
    ------
    OutputError
        If a file exists or cannot be written.
    """

    def __init__(self, files: Sequence[tuple[str, int]], *, overwrite: bool = False,
                 pattern: str | None = None, first: int = 0) -> None:
        self._outputs: list[SafeOutput] = []
        # One file of each folder stays locked, so that the others may be closed meanwhile.
        self._folders: set[str] = set()
        self._guards: set[int] = set()
        self._awake: dict[int, None] = {}  # in order of last use
        names = [name for name, _ in files]
        for name in names:
            check_output(name, overwrite=overwrite)
        if pattern is not None and "{file}" in pattern:
            _check_following(pattern, first + len(files))
            names = [pattern]
        for name in names:
            sweep(os.path.realpath(name))
        try:
            self._create(files, overwrite)
        except BaseException:
            self.discard()
            raise

    def _create(self, files: Sequence[tuple[str, int]], overwrite: bool) -> None:
        writer = writer_id()
        for number, (name, size) in enumerate(files):
            output = SafeOutput(name, overwrite=overwrite, reserve=size, writer=writer)
            self._outputs.append(output)
            if output.folder not in self._folders:
                self._folders.add(output.folder)
                self._guards.add(number)
            self._used(number)

    def write(self, file: int, data: NDArray[Any], offset: int) -> None:
        """Write the bytes of an array at an offset of a file."""
        output = self._outputs[file]
        try:
            output.wake()
            self._used(file)
            write_from(output.descriptor, np.ascontiguousarray(data), offset)
        except OSError as error:
            self.discard()
            raise output.error(error) from error
        except OutputError:
            self.discard()
            raise

    def truncate(self, file: int, size: int) -> None:
        """Let a file end after some bytes."""
        output = self._outputs[file]
        try:
            output.wake()
            self._used(file)
            os.ftruncate(output.descriptor, size)
        except OSError as error:
            self.discard()
            raise output.error(error) from error

    def _used(self, file: int) -> None:
        """Record the use of a file, and close the least recently used one if many are open."""
        if file in self._guards:
            return
        self._awake.pop(file, None)
        self._awake[file] = None
        if len(self._awake) > _KEPT_OPEN:
            oldest = next(iter(self._awake))
            del self._awake[oldest]
            self._outputs[oldest].rest()

    def commit(self) -> None:
        """Give either all files their names, or none."""
        numbers = sorted(range(len(self._outputs)), key=lambda i: i in self._guards)
        commit_together(self._outputs[i] for i in numbers)

    def discard(self) -> None:
        """Remove all temporary files."""
        for output in self._outputs:
            output.discard()


def _check_following(pattern: str, number: int) -> None:
    following = output_names(pattern, 1, number)[0]
    if os.path.lexists(following):
        raise OutputError(following, "belongs to another recording and would be taken for a file "
                          "of this one; remove it first")


def commit_together(outputs: Iterable[SafeOutput]) -> None:
    """Give either all files their names, or none.

    If one cannot get its name, those that have theirs already lose it again, and the files that
    they replaced are restored (if the file system has hard links).

    Raises
    ------
    OutputError
        If a name was taken in the meantime or a file cannot be written.
    """
    outputs = list(outputs)
    try:
        for output in outputs:
            _flush(output)
        for output in outputs:
            output.check_free()
        for output in outputs:
            output.give_name(keep_old=True)
    except BaseException:
        for output in outputs:
            output.discard()
        raise
    for output in outputs:
        output.finish()


def _flush(output: SafeOutput) -> None:
    rests = output.descriptor < 0
    output.wake()
    output.flush()
    if rests:
        output.rest()


def more_values(keys: Collection[str]) -> list[str]:
    """Return the note that a format has no place for values of a header, which it names."""
    if not keys:
        return []
    named = ", ".join(list(keys)[:_NAMED]) + (", ..." if len(keys) > _NAMED else "")
    values = "value" if len(keys) == 1 else "values"
    return [f"{len(keys)} more {values} of the header ({named})"]


def no_position(header: Header, cards: str) -> list[str]:
    """Return the note that an unknown position is written as 0; empty if it is known."""
    if header.ra_deg is not None and header.dec_deg is not None:
        return []
    return [f"no position is known: {cards} are written as 0; --set ra=5h34m31.97s --set "
            "dec=22.0145deg (in Python position=) supplies it"]
