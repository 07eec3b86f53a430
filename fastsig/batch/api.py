"""Recipes as Python has them: read, and with what can be done with them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fastsig.batch.recipe.model import ParsedRecipe
from fastsig.batch.recipe.parsing import load, parse

if TYPE_CHECKING:
    from fastsig.batch.ledger.status import Status
    from fastsig.batch.running.run import Summary
    from fastsig.batch.tasks.model import Task

__all__ = ["Recipe"]


class Recipe(ParsedRecipe):
    """What to do to many recordings.

    Parameters
    ----------
    data : mapping
        Tables as of TOML; ``Recipe.read(path)`` takes them from a file.
    path : str
        Name that stands in messages.
    folder : path
        What inputs and the output folder are relative to.

    Attributes
    ----------
    problems : tuple of str
        A line for each mistake of the recipe itself; no file is looked at for them but those that
        options name.
    inputs, output, steps, limits
        What was understood; whole only where there are no problems. `output` is the absolute path
        of the output folder.
    """

    def __init__(self, data: Mapping[str, Any], *, path: str = "recipe",
                 folder: str | os.PathLike[str] = ".") -> None:
        super().__init__(**vars(parse(data, path=path, folder=folder)))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Recipe:
        """The recipe in a file; what is wrong in it is in `problems`.

        Raises
        ------
        FormatError
            Where the file cannot be read.
        RecipeError
            Where it is no TOML; the message names line and column.
        """
        return cls(load(path), path=os.fspath(path), folder=os.path.dirname(os.path.abspath(path)))

    def tasks(self, files: Iterable[str | os.PathLike[str]] | None = None, *,
              strict: bool = False) -> list[Task]:
        """What is to be done, a task for each recording.

        Parameters
        ----------
        files : iterable of path, optional
            In place of the recipe's own, relative to the current folder.
        strict : bool
            Whether tasks also differ where the content of their inputs does: reads all inputs.

        Raises
        ------
        RecipeError
            Where the recipe has `problems`, or names inputs that are not there.
        """
        from fastsig.batch.tasks.survey import tasks_of

        return tasks_of(self, files, strict=strict)

    def run(self, files: Iterable[str | os.PathLike[str]] | None = None, *,
            strict: bool = False, **options: Any) -> Summary:
        """Do what is missing, changed or failed.

        Parameters
        ----------
        files, strict
            As of `tasks`.
        **options
            Of `fastsig.batch.run`; `limits` are the recipe's by default.

        Raises
        ------
        RecipeError, OutputError, WorkerError
            As `tasks` and `fastsig.batch.run` do.
        """
        from fastsig.batch.running.run import run

        tasks = self.tasks(files, strict=strict)
        return run(tasks, self.output, **{
            "limits": self.limits, "every": tasks if files is None else None, **options})

    def status(self, files: Iterable[str | os.PathLike[str]] | None = None, *,
               strict: bool = False) -> Status:
        """What became of the tasks, by the ledger and the disk; parameters as of `tasks`."""
        from fastsig.batch.ledger.status import status

        return status(self.tasks(files, strict=strict), self.output,
                      every=None if files is None else self.tasks(strict=strict))

    def verify(self, files: Iterable[str | os.PathLike[str]] | None = None, *,
               strict: bool = False, **options: Any) -> Status:
        """Read all finished products whole; parameters as of `tasks`, `fastsig.batch.verify`."""
        from fastsig.batch.running.verification import verify

        return verify(self.tasks(files, strict=strict), self.output, **options)
