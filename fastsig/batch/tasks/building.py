"""Building the task of a recording: fields, names, command lines."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace

from fastsig.batch.recipe import name_templates
from fastsig.batch.recipe.model import ParsedRecipe, RecipeStep
from fastsig.batch.recipe.vocabulary import vocabulary
from fastsig.batch.tasks.identity import Identity
from fastsig.batch.tasks.model import Step, Task
from fastsig.batch.tasks.recordings import Recording
from fastsig.batch.tasks.series import series_of
from fastsig.errors import FastsigError, UsageError

__all__ = ["Builder"]

_NAME_LETTERS = 80


class Builder:
    """Builds tasks from recordings.

    Parameters
    ----------
    recipe : ParsedRecipe
        A recipe without problems.
    strict : bool
        Whether the content of inputs is part of the ids.
    """

    def __init__(self, recipe: ParsedRecipe, strict: bool) -> None:
        self.recipe, self.strict = recipe, strict
        templates = [template for step in recipe.steps
                     for template in (step.output, *(path for _, path in
                                                     (*step.writes, *step.reads)))]
        used = {field for template in templates for field in name_templates.fields_of(template)}
        named = name_templates.of_group(recipe.inputs.group)
        self.headers = [field for field in name_templates.HEADER
                        if field in used and field not in named]
        self._identity = Identity(recipe)

    def task(self, recording: Recording) -> Task:
        """Return the task of a recording; it is refused if its products cannot be named."""
        refused, steps = recording.refused, []
        try:
            if not refused:
                steps = self._steps(recording, self._fields(recording))
        except FastsigError as error:
            refused, steps = " ".join(str(error).split()), []
        name = name_templates.clean(recording.stem)[:_NAME_LETTERS] or "task"
        made = Task("", name, tuple(file.path for file in recording.files), tuple(steps),
                    self.recipe.output, refused)
        try:
            return replace(made, id=self._identity.of(recording, made, strict=self.strict))
        except FastsigError as error:  # the content cannot be read
            return replace(made, id=self._identity.of(recording, made, strict=False),
                           refused=refused or str(error))

    def _fields(self, recording: Recording) -> dict[str, str]:
        path = recording.files[0].path
        fields = {"stem": recording.stem, "name": os.path.basename(path),
                  "parent": os.path.basename(os.path.dirname(path)), **recording.fields}
        if self.headers:
            fields = {**_header_fields(path, self.recipe.inputs.set), **fields}
        return {key: name_templates.clean(value) for key, value in fields.items()}

    def _steps(self, recording: Recording, fields: Mapping[str, str]) -> list[Step]:
        """Return each step of the recipe, once for every product that is its input."""
        made: list[list[tuple[str, dict[str, str]]]] = []
        steps = []
        for step in self.recipe.steps:
            here: list[tuple[str, dict[str, str]]] = []
            if step.source is None:
                steps.append(self._step(step, [file.path for file in recording.files], fields, {},
                                        here))
            for path, varied in () if step.source is None else made[step.source]:
                steps.append(self._step(step, [_pattern(path)], fields, varied, here))
            made.append(here)
        return steps

    def _step(self, step: RecipeStep, inputs: list[str], fields: Mapping[str, str],
              varied: dict[str, str], here: list[tuple[str, dict[str, str]]]) -> Step:
        """Return one command, and append its products to `here`."""
        known = vocabulary(step.command)
        if known.single and len(inputs) > 1:
            raise UsageError(f"{step.command} accepts one file, this recording has {len(inputs)}; "
                             "allowed: inputs.group = \"file\", or an earlier step that joins them")
        all_fields = {**fields, **varied}
        single = step.products[0] if len(step.products) == 1 else {}
        output = name_templates.fill(step.output, {**all_fields, **single})
        writes = [(key, name_templates.fill(path, all_fields)) for key, path in step.writes]
        reads = [(key, os.path.join(self.recipe.folder, os.path.expanduser(
            _filled(path, all_fields)))) for key, path in step.reads]
        series = None if step.command != "dedisperse" else series_of(
            step.words, dict(reads).get("plan"), output)
        products = [(name_templates.fill(step.output, {**all_fields, **product}),
                     {**varied, **product}) for product in step.products
                    ] if series is None else [(name, varied) for name in series]
        here += products
        words = [*step.words, *(f"--{key.replace('_', '-')}={path}" for key, path in reads)]
        words += [f"--{key.replace('_', '-')}={self._absolute(path)}" for key, path in writes]
        if step.source is None and known.offers("overrides"):
            words += [f"--set={pair}" for pair in self.recipe.inputs.set]
        words += ["--output", self._absolute(output)]
        outputs = [path for path, _ in products] + [path for _, path in writes]
        taken = [path if os.path.isabs(path) else self._absolute(path) for path in inputs]
        return Step(step.command, (*words, *taken), tuple(outputs), step.keep)

    def _absolute(self, name: str) -> str:
        return os.path.join(self.recipe.output, name)


def _filled(template: str, fields: Mapping[str, str]) -> str:
    """Return a path to read, with its fields, which are cleaned and contain no separators."""
    for key, value in fields.items():
        template = template.replace(f"{{{key}}}", value)
    return template


def _pattern(path: str) -> str:
    """Return a product as an input: its path, or a pattern if it consists of several files."""
    if "{file}" not in path:
        return path
    return "[0-9]*".join(glob.escape(part) for part in path.split("{file}"))


def _header_fields(path: str, overrides: Iterable[str]) -> dict[str, str]:
    """Return the fields from the header of a file, which are empty if it lacks them."""
    from fastsig.chain import open_chain
    from fastsig.cli.common import parse_overrides

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the task itself warns when it runs
        with open_chain(path, **parse_overrides(tuple(overrides))) as source:
            header = source.header
            start = header.start_time.utc.isot
    return {"source": header.source or "", "telescope": header.telescope or "",
            "start": start.replace("-", "").replace(":", ""),
            "beam": "" if header.beam is None else f"M{header.beam:02d}"}
