"""The identity of a task: a hash of everything that determines its products.

The files that are part of it beside the recording follow from the commands alone: an option that
names a file to read has the type `fastsig.cli.common.InputPath`.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from typing import Any

from fastsig._version import __version__
from fastsig.batch.recipe.model import ParsedRecipe
from fastsig.batch.recipe.vocabulary import vocabulary
from fastsig.batch.tasks.input_files import FileStamp, look
from fastsig.batch.tasks.model import Task
from fastsig.batch.tasks.recordings import Recording
from fastsig.errors import unreadable

__all__ = ["Identity"]

_PIECE = 2**20


class Identity:
    """Computes the ids of the tasks of a recipe.

    Parameters
    ----------
    recipe : ParsedRecipe
        A recipe without problems.
    """

    def __init__(self, recipe: ParsedRecipe) -> None:
        self._overrides = recipe.inputs.set
        self._steps = [dict(table) for table in recipe.data.get("step", [])]
        self._marks: dict[str, Any] = {}  # marks of files that options name, by path

    def of(self, recording: Recording, task: Task, *, strict: bool) -> str:
        """Return the id of the task of a recording.

        Parameters
        ----------
        recording : Recording
        task : Task
            The task, complete except for its id.
        strict : bool
            Whether the content of the files is part of the id, not only size and time.

        Raises
        ------
        FormatError
            If the content of the files cannot be read.
        """
        files = [_mark(file, strict) for file in recording.files]
        beside = [self._mark_beside(path, strict) for step in task.steps
                  for path in vocabulary(step.command).files_read(step.argv)]
        outputs = [step.outputs for step in task.steps]
        return _hash([__version__, files, self._steps, self._overrides, beside, outputs])

    def _mark_beside(self, path: str, strict: bool) -> Any:
        """Return the mark of a file, or of a folder of tables, that an option names; cached."""
        if path not in self._marks:
            stamp = look(path)
            if stamp is None and os.path.isdir(path):
                inside = map(look, sorted(glob.glob(os.path.join(glob.escape(path), "*"))))
                self._marks[path] = [_mark(inner, strict) for inner in inside if inner]
            else:
                self._marks[path] = stamp and _mark(stamp, strict)
        return self._marks[path]


def _mark(file: FileStamp, strict: bool) -> list[Any]:
    """Return what distinguishes a file: name, size, time, and with `strict` its content."""
    mark = [os.path.basename(file.path), file.size, file.mtime_ns]
    return [*mark, _digest(file.path)] if strict else mark


def _hash(parts: list[Any]) -> str:
    text = json.dumps(parts, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _digest(path: str) -> str:
    """Return the SHA-256 of a file's content, or of all files in a folder."""
    total = hashlib.sha256()
    paths = [path] if not os.path.isdir(path) else sorted(
        os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
    try:
        for inner in paths:
            with open(inner, "rb") as file:
                while piece := file.read(_PIECE):
                    total.update(piece)
    except OSError as error:
        raise unreadable(path, error) from error
    return total.hexdigest()
