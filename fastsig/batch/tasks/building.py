"""From a recording to its task: fields, names, command lines, identity."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fastsig._version import __version__
from fastsig.batch.recipe import name_templates as names
from fastsig.batch.recipe.vocabulary import vocabulary
from fastsig.batch.tasks.input_files import Found, Recording, look
from fastsig.batch.tasks.survey import Step, Task
from fastsig.errors import FastsigError, FormatError, UsageError

if TYPE_CHECKING:
    from fastsig.batch.recipe.parsing import Recipe, RecipeStep

__all__ = ["Builder", "identity"]

_NAME_LETTERS = 80
_PIECE = 2**20


class Builder:
    """Makes tasks of recordings.

    Parameters
    ----------
    recipe : Recipe
        One without problems.
    strict : bool
        Whether the content of inputs is a part of ids.
    """

    def __init__(self, recipe: Recipe, strict: bool) -> None:
        self.recipe, self.strict = recipe, strict
        templates = [template for step in recipe.steps
                     for template in (step.output, *(path for _, path in
                                                     (*step.writes, *step.reads)))]
        used = {field for template in templates for field in names.fields_of(template)}
        named = names.of_group(recipe.inputs.group)
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
        known = vocabulary(step.command)
        if known.single and len(inputs) > 1:
            raise UsageError(f"{step.command} takes one file, this recording has {len(inputs)}; "
                             "allowed: inputs.group = \"file\", or a step before that joins them")
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
        if step.source is None and known.offers("overrides"):
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
