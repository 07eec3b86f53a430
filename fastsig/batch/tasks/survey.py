"""Tasks: what is done to one recording, as command lines."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from fastsig.batch.recipe import name_templates as names
from fastsig.batch.tasks.input_files import Found, Recording, Search, find, gather
from fastsig.errors import UsageError

if TYPE_CHECKING:
    from fastsig.batch.recipe.parsing import Recipe

__all__ = ["Step", "Survey", "Task", "survey", "tasks_of",
           "wrong_inputs"]


@dataclass(frozen=True)
class Step:
    """One command of a task.

    Parameters
    ----------
    command : str
        Name of a command of fastsig.
    argv : tuple of str
        Its words after the name: options, ``--output PATH`` as two words, then the input files.
        All paths are absolute. ``--overwrite``, ``--workers``, ``--memory`` and ``--quiet`` are
        left to who runs it; `Vocabulary.offers` tells which of them the command has.
    outputs : tuple of str
        Files that it makes, relative to the task's folder; ``{file}`` in a name stands for the
        numbers of several. Their folders may have to be made.
    keep : bool
        Whether they stay when the task is done.
    """

    command: str
    argv: tuple[str, ...]
    outputs: tuple[str, ...]
    keep: bool = True


@dataclass(frozen=True)
class Task:
    """What is done to the files of one recording.

    Parameters
    ----------
    id : str
        Hexadecimal digits of a SHA-256 over its inputs, its recipe, its outputs and the version.
    name : str
        For people and for the name of its log: no separators, no control characters.
    inputs : tuple of str
        Absolute paths.
    steps : tuple of Step
    folder : str
        Absolute path of the output folder: nothing is written outside it.
    refused : str
        Why the task may not run, such as a name that another has too; empty where it may.
    """

    id: str
    name: str
    inputs: tuple[str, ...]
    steps: tuple[Step, ...]
    folder: str
    refused: str = ""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Files that stay, relative to `folder`."""
        return tuple(name for step in self.steps if step.keep for name in step.outputs)


class Survey(NamedTuple):
    """What a recipe makes of the files that are there now.

    `sizes` are the bytes of each task's inputs; `wrong` has lines for inputs that are not there,
    `notes` for what should be known.
    """

    tasks: list[Task]
    sizes: list[int]
    wrong: list[str]
    notes: list[str]


def tasks_of(recipe: Recipe, files: Iterable[str | os.PathLike[str]] | None = None, *,
             strict: bool = False) -> list[Task]:
    """What is to be done; parameters and errors as of `Recipe.tasks`."""
    from fastsig.batch.recipe.parsing import RecipeError

    found = survey(recipe, files, strict=strict)
    if found.wrong:
        raise RecipeError(found.wrong)
    return found.tasks


def survey(recipe: Recipe, files: Iterable[str | os.PathLike[str]] | None = None, *,
           strict: bool = False, ready: Callable[[Recording], bool] | None = None,
           known: dict[tuple[Found, ...], Task] | None = None) -> Survey:
    """Tasks of the files that are there, and what is wrong with those that are named.

    Parameters as of `Recipe.tasks`; each file is looked at once, and none is opened unless a field
    of headers stands in a name, or for `strict`. Only recordings that are `ready` become tasks;
    tasks that are `known` are taken from there, and new ones put there.

    Raises
    ------
    RecipeError
        Where the recipe has `problems`.
    """
    from fastsig.batch.recipe.parsing import RecipeError

    if recipe.problems:
        raise RecipeError(recipe.problems)
    search, wrong = _search(recipe, files)
    from fastsig.batch.tasks.building import Builder

    builder, known = Builder(recipe, strict), {} if known is None else known

    def task_of(recording: Recording) -> Task:
        if recording.files not in known:
            known[recording.files] = builder.task(recording)
        return known[recording.files]

    recordings = list(filter(ready, gather(search.files, recipe.inputs.group))) if ready else (
        gather(search.files, recipe.inputs.group))
    made = [(each, task_of(each)) for each in recordings]
    kept, notes = _without_products(made)
    if len(kept) < len(made):  # what is left may belong together in another way
        left = {found.path for each, _ in kept for found in each.files}
        recordings = gather([each for each in search.files if each.path in left],
                            recipe.inputs.group)
        kept = [(each, task_of(each)) for each in recordings if ready is None or ready(each)]
    notes += [note for each, _ in kept for note in each.notes]
    tasks = _refuse_clashes([task for _, task in kept], recipe)
    return Survey(tasks, [each.size for each, _ in kept], wrong, notes)


def wrong_inputs(recipe: Recipe, files: Iterable[str | os.PathLike[str]] | None = None
                 ) -> list[str]:
    """A line for each input that is named and is not there."""
    return _search(recipe, files)[1]


def _search(recipe: Recipe, files: Iterable[str | os.PathLike[str]] | None
            ) -> tuple[Search, list[str]]:
    """The files that are there, and a line for each name that stands for none."""
    if files is None:
        where, told, folder = "inputs.files", list(recipe.inputs.files), recipe.folder
    else:
        files = [files] if isinstance(files, (str, os.PathLike)) else files
        where, told, folder = "FILES", [os.fspath(each) for each in files], os.getcwd()
    search = find(told, folder, recipe.output)
    wrong = [f"{recipe.path}: {where}[{index + 1}] = {json.dumps(name)}: {why}"
             for index, name, why in search.wrong]
    if not told and not any(f": {where}" in line for line in recipe.problems):
        wrong.append(f"{recipe.path}: {where}: missing; allowed: names, patterns, folders, @lists")
    return search, wrong


def _without_products(made: list[tuple[Recording, Task]]
                      ) -> tuple[list[tuple[Recording, Task]], list[str]]:
    """Leave out what other tasks make: products of an earlier run are no inputs."""
    makers = {os.path.join(task.folder, name): task for _, task in made
              for step in task.steps for name in step.outputs}
    kept, notes = [], []
    for recording, task in made:
        maker = next((makers[name] for each in recording.files for name in _patterns(each.path)
                      if makers.get(name, task) is not task), None)
        if maker is None:
            kept.append((recording, task))
        else:
            notes.append(f"{recording.files[0].path}: left out: a product of {maker.inputs[0]}")
    return kept, notes


def _patterns(path: str) -> Iterator[str]:
    """Names in recipes that a file's path can come from: numbers may stand for ``{file}``."""
    yield path
    for match in re.finditer(r"\d{4,}", path):
        yield f"{path[: match.start()]}{{file}}{path[match.end():]}"


def _refuse_clashes(tasks: list[Task], recipe: Recipe) -> list[Task]:
    """Refuse each task one of whose outputs another makes too, or that is an input of any."""
    makers: dict[str, list[int]] = {}
    for index, task in enumerate(tasks):
        for name in dict.fromkeys(name for step in task.steps for name in step.outputs):
            makers.setdefault(name, []).append(index)
    read = {path for task in tasks for path in task.inputs}
    why = {index: task.refused for index, task in enumerate(tasks)}
    for name, found in makers.items():
        if len(found) > 1:
            line = _clash(name, [tasks[index] for index in found], recipe)
        elif os.path.join(recipe.output, name) in read:
            line = f"{name} is an input and would be lost; allowed: another name in step.output"
        else:
            continue
        why.update({index: why[index] or line for index in found})
    known: dict[str, bool] = {}
    return [replace(task, refused=why[index] or _leads_out(task, known))
            for index, task in enumerate(tasks)]


def _leads_out(task: Task, known: dict[str, bool]) -> str:
    try:
        names.check_inside(task.folder, (name for step in task.steps for name in step.outputs),
                           known)
    except UsageError as error:
        return str(error)
    return ""


def _clash(name: str, tasks: list[Task], recipe: Recipe) -> str:
    """Who makes the same file, and what to add to the template."""
    first = [task.inputs[0] for task in tasks]
    parents = {os.path.basename(os.path.dirname(path)) for path in first}
    basenames = {os.path.basename(path) for path in first}
    field = ("parent" if len(parents) == len(first) else
             "name" if len(basenames) == len(first) else None)
    hint = f"add {{{field}}} to step.output" if field else "rename one of them"
    more = f" and {len(first) - 2} more" if len(first) > 2 else ""
    return f"{name}: made of {first[0]} and of {first[1]}{more}; {hint}"
