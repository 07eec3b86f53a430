"""What a recipe makes of the files that are there now."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from fastsig.batch.recipe.model import ParsedRecipe, RecipeError
from fastsig.batch.tasks.building import Builder
from fastsig.batch.tasks.clashes import refuse_clashes, without_products
from fastsig.batch.tasks.input_files import FileStamp, Search, find
from fastsig.batch.tasks.model import Task
from fastsig.batch.tasks.recordings import Recording, gather

__all__ = ["Survey", "survey", "tasks_of", "wrong_inputs"]


class Survey(NamedTuple):
    """What a recipe makes of the files that are there now.

    `sizes` are the bytes of each task's inputs; `wrong` has lines for inputs that are not there,
    `notes` for what should be known.
    """

    tasks: list[Task]
    sizes: list[int]
    wrong: list[str]
    notes: list[str]


def tasks_of(recipe: ParsedRecipe, files: Iterable[str | os.PathLike[str]] | None = None, *,
             strict: bool = False) -> list[Task]:
    """What is to be done; parameters and errors as of `Recipe.tasks`."""
    surveyed = survey(recipe, files, strict=strict)
    if surveyed.wrong:
        raise RecipeError(surveyed.wrong)
    return surveyed.tasks


def survey(recipe: ParsedRecipe, files: Iterable[str | os.PathLike[str]] | None = None, *,
           strict: bool = False, ready: Callable[[Recording], bool] | None = None,
           known: dict[tuple[FileStamp, ...], Task] | None = None) -> Survey:
    """Tasks of the files that are there, and what is wrong with those that are named.

    Parameters as of `Recipe.tasks`; each file is looked at once, and none is opened unless a field
    of headers stands in a name, or for `strict`. Only recordings that are `ready` become tasks;
    tasks that are `known` are taken from there, and new ones put there.

    Raises
    ------
    RecipeError
        Where the recipe has `problems`.
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
    if len(kept) < len(made):  # what is left may belong together in another way
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
    """A line for each input that is named and is not there."""
    return _search(recipe, files)[1]


def _search(recipe: ParsedRecipe, files: Iterable[str | os.PathLike[str]] | None
            ) -> tuple[Search, list[str]]:
    """The files that are there, and a line for each name that stands for none."""
    if files is None:
        where, names, folder = "inputs.files", list(recipe.inputs.files), recipe.folder
    else:
        files = [files] if isinstance(files, (str, os.PathLike)) else files
        where, names, folder = "FILES", [os.fspath(name) for name in files], os.getcwd()
    search = find(names, folder, recipe.output)
    wrong = [f"{recipe.path}: {where}[{index + 1}] = {json.dumps(name)}: {why}"
             for index, name, why in search.wrong]
    if not names and not any(f": {where}" in line for line in recipe.problems):
        wrong.append(f"{recipe.path}: {where}: missing; allowed: names, patterns, folders, @lists")
    return search, wrong
