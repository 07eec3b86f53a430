"""Tasks: what is done to one recording, as command lines."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from fastsig._version import __version__
from fastsig.batch import names
from fastsig.batch.inputs import Found, Recording, Search, find, gather, look
from fastsig.errors import FastsigError, UsageError

if TYPE_CHECKING:
    from fastsig.batch.recipe import Recipe, RecipeStep

__all__ = ["Step", "Survey", "Task", "identity", "survey", "tasks_of",
           "wrong_inputs"]

_NAME_LETTERS = 80
_PIECE = 2**20


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
    from fastsig.batch.recipe import RecipeError

    found = survey(recipe, files, strict=strict)
    if found.wrong:
        raise RecipeError(found.wrong)
    return found.tasks


def survey(recipe: Recipe, files: Iterable[str | os.PathLike[str]] | None = None, *,
           strict: bool = False) -> Survey:
    """Tasks of the files that are there, and what is wrong with those that are named.

    Parameters as of `Recipe.tasks`; each file is looked at once, and none is opened unless a field
    of headers stands in a name, or for `strict`.

    Raises
    ------
    RecipeError
        Where the recipe has `problems`.
    """
    from fastsig.batch.recipe import RecipeError

    if recipe.problems:
        raise RecipeError(recipe.problems)
    search, wrong = _search(recipe, files)
    recordings = gather(search.files, recipe.inputs.group)
    builder = _Builder(recipe, strict)
    made = [(each, builder.task(each)) for each in recordings]
    kept, notes = _without_products(made)
    if len(kept) < len(made):  # what is left may belong together in another way
        left = {found.path for each, _ in kept for found in each.files}
        recordings = gather([each for each in search.files if each.path in left],
                            recipe.inputs.group)
        kept = [(each, builder.task(each)) for each in recordings]
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


class _Builder:
    """Makes tasks of recordings."""

    def __init__(self, recipe: Recipe, strict: bool) -> None:
        self.recipe, self.strict = recipe, strict
        templates = [template for step in recipe.steps
                     for template in (step.output, *(path for _, path in
                                                     (*step.writes, *step.reads)))]
        used = {field for template in templates for field in names.fields_of(template)}
        named = names.FAST if recipe.inputs.group == "fast" else ()
        self.headers = [field for field in names.HEADER if field in used and field not in named]
        self.side: dict[str, Any] = {}
        self.table = [dict(each) for each in recipe.data.get("step", [])]

    def task(self, recording: Recording) -> Task:
        """The task of a recording; refused where it cannot be named."""
        refused, steps = recording.refused, []
        try:
            if not refused:
                steps = self._steps(recording, self._fields(recording))
        except FastsigError as error:
            refused, steps = " ".join(str(error).split()), []
        name = names.clean(recording.stem)[:_NAME_LETTERS] or "task"
        made = Task("", name, tuple(each.path for each in recording.files), tuple(steps),
                    self.recipe.output, refused)
        try:
            return replace(made, id=self._identity(recording, made, self.strict))
        except FastsigError as error:  # its content cannot be read
            told = self._identity(recording, made, False)
            return replace(made, id=told, refused=refused or str(error))

    def _fields(self, recording: Recording) -> dict[str, str]:
        path = recording.files[0].path
        told = {"stem": recording.stem, "name": os.path.basename(path),
                "parent": os.path.basename(os.path.dirname(path)), **recording.fields}
        if self.headers:
            told = {**_header_fields(path, self.recipe.inputs.set), **told}
        return {key: names.clean(value) for key, value in told.items()}

    def _steps(self, recording: Recording, fields: Mapping[str, str]) -> list[Step]:
        """Each step of the recipe, once for every product that it takes."""
        made: list[list[tuple[str, dict[str, str]]]] = []
        steps = []
        for step in self.recipe.steps:
            here: list[tuple[str, dict[str, str]]] = []
            if step.source is None:
                steps.append(self._step(step, [each.path for each in recording.files], fields, {},
                                        here))
            for path, told in () if step.source is None else made[step.source]:
                steps.append(self._step(step, [_pattern(path)], fields, told, here))
            made.append(here)
        return steps

    def _step(self, step: RecipeStep, inputs: list[str], fields: Mapping[str, str],
              told: dict[str, str], here: list[tuple[str, dict[str, str]]]) -> Step:
        """One command; its products go to `here`."""
        all_fields = {**fields, **told}
        single = step.products[0] if len(step.products) == 1 else {}
        output = names.fill(step.output, {**all_fields, **single})
        for product in step.products:
            here.append((names.fill(step.output, {**all_fields, **product}), {**told, **product}))
        writes = [(key, names.fill(path, all_fields)) for key, path in step.writes]
        reads = [(key, os.path.join(self.recipe.folder, os.path.expanduser(
            _filled(path, all_fields)))) for key, path in step.reads]
        words = [*step.words, *(f"--{key.replace('_', '-')}={path}" for key, path in reads)]
        words += [f"--{key.replace('_', '-')}={self._absolute(path)}" for key, path in writes]
        if step.source is None:
            words += [f"--set={pair}" for pair in self.recipe.inputs.set]
        words += ["--output", self._absolute(output)]
        outputs = [path for path, _ in here[-len(step.products):]] + [path for _, path in writes]
        taken = [path if os.path.isabs(path) else self._absolute(path) for path in inputs]
        return Step(step.command, (*words, *taken), tuple(outputs), step.keep)

    def _absolute(self, name: str) -> str:
        return os.path.join(self.recipe.output, name)

    def _identity(self, recording: Recording, task: Task, strict: bool) -> str:
        files = [self._mark(each, strict) for each in recording.files]
        words = [word for step in task.steps for word in step.argv]
        side = [self._side(word.partition("=")[2], strict) for word in words
                if word.startswith(("--ky=", "--mueller=", "--tcal=/"))]
        outputs = [step.outputs for step in task.steps]
        return identity(files, self.table, self.recipe.inputs.set, side, outputs)

    def _mark(self, found: Found, strict: bool) -> list[Any]:
        """What tells a file: name, size, time, and content where that is asked."""
        told = [os.path.basename(found.path), found.size, found.mtime_ns]
        return [*told, _digest(found.path)] if strict else told

    def _side(self, path: str, strict: bool) -> Any:
        """The same of a file, or of a folder of tables, that an option names; each once."""
        if path not in self.side:
            found = look(path)
            if found is None and os.path.isdir(path):
                inside = sorted(glob.glob(os.path.join(glob.escape(path), "*")))
                self.side[path] = [self._mark(each, strict) for each in map(look, inside)
                                   if each]
            else:
                self.side[path] = found and self._mark(found, strict)
        return self.side[path]


def _filled(template: str, fields: Mapping[str, str]) -> str:
    """A path to read: its fields are cleaned too, so they bring no separators."""
    for key, value in fields.items():
        template = template.replace(f"{{{key}}}", value)
    return template


def _pattern(path: str) -> str:
    """A product as an input: where it is of several files, a pattern of them."""
    if "{file}" not in path:
        return path
    return "[0-9]*".join(glob.escape(part) for part in path.split("{file}"))


def identity(files: Any, steps: Any, overrides: Any, side: Any, outputs: Any) -> str:
    """The id of a task: a hash of all that its products are made by."""
    told = [__version__, files, steps, overrides, side, outputs]
    text = json.dumps(told, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _digest(path: str) -> str:
    """SHA-256 of a file's content, or of all files in a folder."""
    from fastsig.errors import FormatError

    total = hashlib.sha256()
    paths = [path] if not os.path.isdir(path) else sorted(
        os.path.join(folder, name) for folder, _, found in os.walk(path) for name in found)
    try:
        for each in paths:
            with open(each, "rb") as file:
                while piece := file.read(_PIECE):
                    total.update(piece)
    except OSError as error:
        raise FormatError(path, error.strerror or str(error)) from error
    return total.hexdigest()


def _header_fields(path: str, overrides: Iterable[str]) -> dict[str, str]:
    """Fields that the header of a file tells; empty where it does not."""
    from fastsig.chain import open_chain
    from fastsig.cli.common import parse_overrides

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # told when the task runs
        with open_chain(path, **parse_overrides(tuple(overrides))) as source:
            header = source.header
            start = header.start_time.utc.isot
    return {"source": header.source or "", "telescope": header.telescope or "",
            "start": start.replace("-", "").replace(":", ""),
            "beam": "" if header.beam is None else f"M{header.beam:02d}"}
