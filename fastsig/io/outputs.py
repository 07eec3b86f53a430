"""The files of one product: their names, and writing them so that all appear or none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsig.errors import OutputError, UsageError
from fastsig.io._positioned import write_from
from fastsig.io.safe import SafeOutput, check_output

__all__ = ["OutputFiles", "output_names"]


def output_names(path: str, n: int, first: int = 0) -> list[str]:
    """Names of `n` files: ``{file}`` in `path` stands for their numbers, from `first` on.

    Raises
    ------
    UsageError
        Where several have one name.
    """
    if "{file}" in path:
        return [path.replace("{file}", f"{i:04d}") for i in range(first, first + n)]
    if n > 1:
        stem, dot, suffix = path.rpartition(".")
        raise UsageError(f"{path}: the recording takes {n} files; allowed: a name with {{file}} in "
                         f"it, such as {stem or path}.{{file}}{dot + suffix if stem else ''}")
    return [path]


class OutputFiles:
    """Files of one product, which all get their names at the end, or none does.

    Parameters
    ----------
    files : sequence of (str, int)
        Names and sizes in bytes.
    overwrite : bool
        Whether existing ones may be replaced.
    following : str, optional
        The name that one more file would have, under which there must be none.

    Raises
    ------
    OutputError
        Where one exists or cannot be written.
    """

    def __init__(self, files: Sequence[tuple[str, int]], *, overwrite: bool = False,
                 following: str | None = None) -> None:
        self._outputs: list[SafeOutput] = []
        for name, _ in files:
            check_output(name, overwrite=overwrite)
        if following and os.path.lexists(following):
            raise OutputError(following, "is of another recording and would be taken for a file of "
                              "this one; remove it first")
        try:
            for name, size in files:
                self._outputs.append(SafeOutput(name, overwrite=overwrite, reserve=size))
        except BaseException:
            self.discard()
            raise

    def write(self, file: int, data: NDArray[Any], offset: int) -> None:
        """Put the bytes of an array at an offset of a file."""
        output = self._outputs[file]
        try:
            write_from(output.descriptor, np.ascontiguousarray(data), offset)
        except OSError as error:
            self.discard()
            raise output.error(error) from error

    def commit(self) -> None:
        """Give all files their names."""
        try:
            for output in self._outputs:
                output.commit()
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove all temporary files."""
        for output in self._outputs:
            output.discard()
