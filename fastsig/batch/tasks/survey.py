"""Surveys: the tasks of a recipe for the files that exist now."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from fastsig.batch.recipe.model import ParsedRecipe, RecipeError
from fastsig.batch.tasks.building import Builder
from fastsig.batch.tasks.clashes import refuse_clashes, without_products
from fastsig.batch.tasks.input_files import FileStamp, Search, find
from fastsig.batch.tasks.model import Task
from fastsig.batch.tasks.recordings import Recording, gather

__all__ = ["Survey", "every_task", "survey", "tasks_of", "wrong_inputs"]


class Survey(NamedTuple):
    """The tasks of a recipe for the files that exist now.

    `sizes` are the bytes of each task's inputs; `wrong` has one line for each input that does not
    exist, `notes` one for each peculiarity.
    """

    tasks: list[Task]
    sizes: list[int]
    wrong: list[str]
    notes: list[str]


def tasks_of(recipe: ParsedRecipe, files: Iterable[str | os.PathLike[str]] | None = None, *,
             strict: bool = False) -> list[Task]:
    """Return the tasks of a recipe; parameters and errors as for `Recipe.tasks`."""
    surveyed = survey(recipe, files, strict=strict)
    if surveyed.wrong:
        raise RecipeError(surveyed.wrong)
    return surveyed.tasks


def every_task(recipe: ParsedRecipe, tasks: Sequence[Task], *, strict: bool = False) -> list[Task]:
    """Return all tasks of a recipe: those of its own inputs that exist, and the given ones.

    Parameters are those of `Recipe.tasks`; `tasks` may be of other files.
    """
    own = survey(recipe, strict=strict).tasks
    known = {task.id for task in own}
    return [*own, *(task for task in tasks if task.id not in known)]


def survey(recipe: ParsedRecipe, files: Iterable[str | os.PathLike[str]] | None = None, *,
           strict: bool = False, ready: Callable[[Recording], bool] | None = None,
           known: dict[tuple[FileStamp, ...], Task] | None = None) -> Survey:
    """Return the tasks for the files that exist, and the mistakes in the names of inputs.

    Parameters are those of `Recipe.tasks`. The state of each file is read once; files are opened
    only if a name contains a field from headers, or for `strict`. Only recordings that are `ready`
    become tasks; tasks in `known` are reused, and new ones are added to it.

    Raises
    ------
    RecipeError
        If the recipe has `problems`.
    """
    if recipe.problems:
        raise RecipeError(recipe.problems)
    search, wrong = _search(recipe, files)
    builder, known = Builder(recipe, strict), {} if known is None else known

    def task_of(recording: Recording) -> Task:
        if recording.files not in known:
            known[recording.files] = builder.task(recording)
        return known[recording.files]

    recordings = gather(search.files, recipe.inputs.group)
    made = [(recording, task_of(recording)) for recording in recordings
            if ready is None or ready(recording)]
    kept, notes = without_products(made)
    if len(kept) < len(made):  # the remaining files may form other recordings
        left = {file.path for recording, _ in kept for file in recording.files}
        recordings = gather([file for file in search.files if file.path in left],
                            recipe.inputs.group)
        kept = [(recording, task_of(recording)) for recording in recordings
                if ready is None or ready(recording)]
    notes += [note for recording, _ in kept for note in recording.notes]
    tasks = refuse_clashes([task for _, task in kept], recipe.output)
    return Survey(tasks, [recording.size for recording, _ in kept], wrong, notes)


def wrong_inputs(recipe: ParsedRecipe, files: Iterable[str | os.PathLike[str]] | None = None
                 ) -> list[str]:
    """Return one line for each input that is named but does not exist."""
    return _search(recipe, files)[1]


def _search(recipe: ParsedRecipe, files: Iterable[str | os.PathLike[str]] | None
            ) -> tuple[Search, list[str]]:
    """Return the files that exist, and one line for each name without files."""
    if files is None:
        where, names, folder = "inputs.files", list(recipe.inputs.files), recipe.folder
    else:
        files = [files] if isinstance(files, (str, os.PathLike)) else files
        where, names, folder = "FILE", [os.fspath(name) for name in files], os.getcwd()
    search = find(names, folder, recipe.output)
    wrong = [f"{recipe.path}: {where}[{index + 1}] = {json.dumps(name)}: {why}"
             for index, name, why in search.wrong]
    if not names and not any(f": {where}" in line for line in recipe.problems):
        wrong.append(f"{recipe.path}: {where}: missing; allowed: names, patterns, folders, @lists")
    return search, wrong
