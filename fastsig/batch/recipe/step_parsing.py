"""Parsing of a step of a recipe: its keys and values are checked against the command's options."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from typing import Any

import click

from fastsig.batch.recipe import name_templates
from fastsig.batch.recipe.mistakes import Mistakes
from fastsig.batch.recipe.model import RecipeStep
from fastsig.batch.recipe.suggestions import nearest
from fastsig.batch.recipe.values import plain, text_of
from fastsig.batch.recipe.vocabulary import Vocabulary, commands, vocabulary
from fastsig.errors import UsageError

__all__ = ["parse_step"]

_OWN = ("command", "output", "input", "name", "keep")
_PICTURES = ("view",)


def parse_step(table: Mapping[str, Any], number: int, before: list[RecipeStep], group: str,
               folder: str, mistakes: Mistakes) -> RecipeStep:
    """Parse the table of a step.

    Parameters
    ----------
    table : mapping
        Table as in TOML.
    number : int
        Number of the step, from 1.
    before : list of RecipeStep
        The steps before.
    group : str
        How files are grouped into recordings, one of `fastsig.batch.recipe.model.GROUPS`.
    folder : str
        Absolute path of the folder to which files that options name are relative.
    mistakes : Mistakes
        Receives the mistakes in the step.
    """
    where = f"step[{number}]"
    command = table.get("command")
    if isinstance(command, str) and command in commands():
        return _StepParser(table, where, before, group, folder, mistakes,
                           vocabulary(command)).step()
    if command is None:
        mistakes.add(f"{where}.command", f"missing; allowed: {', '.join(commands())}")
    else:
        mistakes.add(f"{where}.command", _no_command(str(command)), command)
    return RecipeStep("", "", name=str(table.get("name") or command or number),
                      source=len(before) - 1 if before else None)


def _no_command(command: str) -> str:
    from fastsig.cli.main import cli

    if command in cli.commands or command in cli.list_commands(None):  # type: ignore[arg-type]
        return f"does not make files from others; allowed: {', '.join(commands())}"
    return f"no such command{nearest(command, commands())}"


class _StepParser:
    """Parses one step."""

    def __init__(self, table: Mapping[str, Any], where: str, before: list[RecipeStep], group: str,
                 folder: str, mistakes: Mistakes, words: Vocabulary) -> None:
        self.table, self.where, self.before = table, where, before
        self.group, self.folder = group, folder
        self.mistakes, self.vocabulary = mistakes, words
        self.reads: list[tuple[str, str]] = []
        self.writes: list[tuple[str, str]] = []

    def step(self) -> RecipeStep:
        name = self._name()
        source = self._source()
        above = self.before[source] if source is not None else None
        known = list(above.fields) if above and above.fields else name_templates.known_fields(
            self.group)
        known += [field for field in self.vocabulary.fields if field not in known]
        words = self._options(known)
        output = self._template("output", self.table.get("output"), known)
        products = self._products()
        varied = self._varied(output, products, above)
        return RecipeStep(
            self.vocabulary.name, output, self._keep(), name, source, tuple(words),
            tuple(self.reads), tuple(self.writes), products, varied,
            tuple(field for field in known if field != "file"))

    def _add(self, key: str, why: str, *value: Any) -> None:
        self.mistakes.add(f"{self.where}.{key}", why, *value)

    def _name(self) -> str:
        name = self.table.get("name", self.vocabulary.name)
        taken = [step.name for step in self.before]
        if not isinstance(name, str) or not name.strip() or name == "inputs":
            self._add("name", 'allowed: a string other than "inputs"', name)
        elif name in taken and "name" in self.table:
            self._add("name", "another step has this name; allowed: names that differ", name)
        return str(name)

    def _source(self) -> int | None:
        """Return the index of the step whose products are the input; by default, the one before."""
        source = self.table.get("input")
        taken = [step.name for step in self.before]
        if source is None:
            return len(taken) - 1 if taken else None
        if source == "inputs":
            return None
        if not isinstance(source, str) or source not in taken:
            known = ["inputs", *dict.fromkeys(taken)]
            self._add("input", "no step before has this name" + nearest(str(source), known), source)
            return None
        if taken.count(source) > 1:
            self._add("input", "several steps have this name; give each step its own", source)
        return len(taken) - 1 - taken[::-1].index(source)

    def _keep(self) -> bool:
        keep = self.table.get("keep", True)
        if not isinstance(keep, bool) and "keep" in self.vocabulary.options:
            return True  # it is the command's option of the same name
        if not isinstance(keep, bool):
            self._add("keep", "allowed: true or false", keep)
        return bool(keep)

    def _options(self, known: list[str]) -> list[str]:
        """Return all options of the command as words of the command line."""
        words: list[str] = []
        for key, value in self.table.items():
            if key in _OWN and not (key == "keep" and not isinstance(value, bool)
                                    and key in self.vocabulary.options):
                continue
            if key not in self.vocabulary.options:
                self._add(key, self.vocabulary.unknown(key), value)
                continue
            try:
                words += self._option(key, value, known)
            except UsageError as error:
                self._add(key, plain(error, str(value)), value)
        unknown = [key for key in self.table if key not in (*self.vocabulary.options, *_OWN)]
        meant = {key for key in self.vocabulary.required()
                 if any(self.vocabulary.unknown(word).endswith(f"mean {key}?") for word in unknown)}
        for key in self.vocabulary.required():
            if key not in self.table and key not in meant:
                self._add(key, f"missing; {self.vocabulary.name} requires it")
        return words

    def _option(self, key: str, value: Any, known: list[str]) -> list[str]:
        if key in self.vocabulary.written:
            name_templates.check_template(value, [field for field in known if field != "file"])
            _check_picture(key, value)
            self.writes.append((key, value))
            return []
        if key in self.vocabulary.read and (
                not self.vocabulary.may_be_value(key) or self._is_path(value)):
            self._check_read(text_of(value), [field for field in known if field != "file"])
            self.reads.append((key, value))
            return []
        return self.vocabulary.words(key, value)

    def _is_path(self, value: Any) -> bool:
        """Return whether the value of an option that accepts paths or values is a path."""
        return isinstance(value, str) and ("{" in value or os.path.exists(self._near(value)))

    def _near(self, path: str) -> str:
        return os.path.join(self.folder, os.path.expanduser(path))

    def _check_read(self, path: str, known: list[str]) -> None:
        name_templates.check_template(path, known, outside=True)
        if not name_templates.fields_of(path) and not os.path.exists(self._near(path)):
            there = glob.glob(os.path.join(glob.escape(os.path.dirname(self._near(path))), "*"))
            near = nearest(os.path.basename(path), map(os.path.basename, there))
            raise UsageError(f"no such file{near if near.startswith('; did') else ''}")

    def _template(self, key: str, template: Any, known: list[str]) -> str:
        if template is None:
            self._add(key, "missing; allowed: a name such as {stem}.h5")
            return ""
        try:
            name_templates.check_template(template, known)
            if self.vocabulary.name in _PICTURES:
                _check_picture("picture", template)
        except UsageError as error:
            self._add(key, plain(error, str(template)), template)
            return ""
        return str(template)

    def _products(self) -> tuple[dict[str, str], ...]:
        """Return the fields of the products of one run."""
        products: list[dict[str, str]] = [{}]
        for key in self.vocabulary.fields:
            if key == "file" or key not in self.table:
                continue
            try:
                values = self.vocabulary.values(key, self.table[key])
            except (UsageError, click.BadParameter):  # reported with its option
                continue
            products = [{**product, key: value} for product in products for value in values]
        return tuple(products)

    def _varied(self, output: str, products: tuple[dict[str, str], ...], above: RecipeStep | None
                ) -> tuple[str, ...]:
        """Return the fields in which products of one task differ, which names must contain."""
        own = [key for key in products[0] if len({product[key] for product in products}) > 1]
        inherited = [key for key in (above.varied if above else ()) if key not in own]
        for template, keys in [(output, [*own, *inherited]),
                               *((path, inherited) for _, path in self.writes)]:
            missing = [key for key in keys if key not in name_templates.fields_of(template)]
            if template and missing:
                name = next((key for key, path in self.writes if path is template), "output")
                fields = ", ".join(f"{{{key}}}" for key in missing)
                self._add(name, f"one name for several products; allowed: a name with {fields} in "
                          "it", template)
        return (*inherited, *own)


def _check_picture(key: str, path: str) -> None:
    if key == "picture":
        from fastsig.view import check_picture

        try:
            check_picture(path)
        except UsageError as error:
            raise UsageError(str(error).removeprefix(f"{path}: ")) from None
