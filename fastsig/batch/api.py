"""The recipe as a Python object that lists, runs and verifies its tasks."""

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
    """The steps that are applied to many recordings.

    Parameters
    ----------
    data : mapping
        Tables as in TOML; ``Recipe.read(path)`` reads them from a file.
    path : str
        Name of the recipe in messages.
    folder : path
        Folder to which inputs and the output folder are relative.

    Attributes
    ----------
    problems : tuple of str
        One line for each mistake in the recipe itself. Of the files that the recipe names, only
        those in options are examined, not the inputs.
    inputs, output, steps, limits
        The parsed recipe; complete only if there are no problems. `output` is the absolute path of
        the output folder.
    """

    def __init__(self, data: Mapping[str, Any], *, path: str = "recipe",
                 folder: str | os.PathLike[str] = ".") -> None:
        super().__init__(**vars(parse(data, path=path, folder=folder)))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Recipe:
        """Read a recipe from a file; its mistakes are listed in `problems`.

        Raises
        ------
        FormatError
            If the file cannot be read.
        RecipeError
            If the file is not valid TOML; the message states line and column.
        """
        return cls(load(path), path=os.fspath(path), folder=os.path.dirname(os.path.abspath(path)))

    def tasks(self, files: Iterable[str | os.PathLike[str]] | None = None, *,
              strict: bool = False) -> list[Task]:
        """Return the tasks of the recipe, one for each recording.

        Parameters
        ----------
        files : iterable of path, optional
            Files to use instead of the recipe's own, relative to the current folder.
        strict : bool
            Whether the content of the inputs is part of a task's identity; all inputs are then
            read.

        Raises
        ------
        RecipeError
            If the recipe has `problems`, or names inputs that do not exist.
        """
        from fastsig.batch.tasks.survey import tasks_of

        return tasks_of(self, files, strict=strict)

    def run(self, files: Iterable[str | os.PathLike[str]] | None = None, *,
            strict: bool = False, **options: Any) -> Summary:
        """Run the tasks that are not done, except those that were set aside (poison).

        Parameters
        ----------
        files, strict
            As for `tasks`.
        **options
            Options of `fastsig.batch.run`; by default, `limits` are those of the recipe.

        Raises
        ------
        RecipeError, OutputError, PlanError, WorkerError
            As for `tasks` and `fastsig.batch.run`.
        """
        from fastsig.batch.running.run import run

        tasks = self.tasks(files, strict=strict)
        return run(tasks, self.output, **{
            "limits": self.limits, "every": tasks if files is None else None, **options})

    def status(self, files: Iterable[str | os.PathLike[str]] | None = None, *,
               strict: bool = False) -> Status:
        """Return the state of the tasks from the ledger and the disk; parameters as for `tasks`."""
        from fastsig.batch.ledger.status import status

        tasks, every = self._chosen(files, strict)
        return status(tasks, self.output, every=every)

    def verify(self, files: Iterable[str | os.PathLike[str]] | None = None, *,
               strict: bool = False, **options: Any) -> Status:
        """Check all finished products, and read those in full that contain data.

        Parameters are those of `tasks` and `fastsig.batch.verify`; by default, `limits` are those
        of the recipe.
        """
        from fastsig.batch.running.verification import verify

        tasks, every = self._chosen(files, strict)
        return verify(tasks, self.output, **{"limits": self.limits, "every": every, **options})

    def _chosen(self, files: Iterable[str | os.PathLike[str]] | None, strict: bool
                ) -> tuple[list[Task], list[Task]]:
        """Return the tasks of some files, and all tasks of the recipe."""
        from fastsig.batch.tasks.survey import every_task

        tasks = self.tasks(files, strict=strict)
        return tasks, tasks if files is None else every_task(self, tasks, strict=strict)
