"""A step of a recipe: its words held against those of the command."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from fastsig.batch.recipe import name_templates as names
from fastsig.batch.recipe.parsing import RecipeStep, known_fields
from fastsig.batch.recipe.vocabulary import (
    READ,
    Vocabulary,
    commands,
    nearest,
    plain,
    text_of,
    vocabulary,
)
from fastsig.errors import UsageError

if TYPE_CHECKING:
    from fastsig.batch.recipe.mistakes import Notebook
    from fastsig.batch.recipe.parsing import Recipe

__all__ = ["read_step"]

_OWN = ("command", "output", "input", "name", "keep")
_PICTURES = ("view",)


def read_step(table: Mapping[str, Any], number: int, before: list[RecipeStep], recipe: Recipe,
              book: Notebook) -> RecipeStep:
    """The step of a table; what is wrong with it goes into the book.

    Parameters
    ----------
    table : mapping
        As of TOML.
    number : int
        Of the step, from 1.
    before : list of RecipeStep
        Those before.
    recipe : Recipe
        Whose inputs and folder are known.
    book : Notebook
        Where mistakes go.
    """
    where = f"step[{number}]"
    command = table.get("command")
    if not isinstance(command, str) or command not in commands():
        if command is None:
            book.add(f"{where}.command", f"missing; allowed: {', '.join(commands())}")
        else:
            book.add(f"{where}.command", _no_command(str(command)), command)
        return RecipeStep("", "", name=str(table.get("name") or command or number),
                          source=len(before) - 1 if before else None)
    return _Reader(table, where, before, recipe, book, vocabulary(command)).step()


def _no_command(command: str) -> str:
    from fastsig.cli.main import cli

    if command in cli.commands or command in cli.list_commands(None):  # type: ignore[arg-type]
        return f"makes no file of others; allowed: {', '.join(commands())}"
    return f"no such command{nearest(command, commands())}"


class _Reader:
    """Reads one step."""

    def __init__(self, table: Mapping[str, Any], where: str, before: list[RecipeStep],
                 recipe: Recipe, book: Notebook, words: Vocabulary) -> None:
        self.table, self.where, self.before = table, where, before
        self.recipe, self.book, self.vocabulary = recipe, book, words
        self.reads: list[tuple[str, str]] = []
        self.writes: list[tuple[str, str]] = []

    def step(self) -> RecipeStep:
        name = self._name()
        source = self._source()
        above = self.before[source] if source is not None else None
        known = list(above.fields) if above and above.fields else known_fields(
            self.recipe.inputs.group)
        known += [each for each in self.vocabulary.fields if each not in known]
        words = self._options(known)
        output = self._template("output", self.table.get("output"), known)
        products = self._products()
        varied = self._varied(output, products, above)
        return RecipeStep(
            self.vocabulary.name, output, self._keep(), name, source, tuple(words),
            tuple(self.reads), tuple(self.writes), products, varied,
            tuple(each for each in known if each != "file"))

    def _add(self, key: str, why: str, *value: Any) -> None:
        self.book.add(f"{self.where}.{key}", why, *value)

    def _name(self) -> str:
        told = self.table.get("name", self.vocabulary.name)
        taken = [each.name for each in self.before]
        if not isinstance(told, str) or not told.strip() or told == "inputs":
            self._add("name", "allowed: a text other than inputs", told)
        elif told in taken and "name" in self.table:
            self._add("name", "another step has it; allowed: names that differ", told)
        return str(told)

    def _source(self) -> int | None:
        """Which step's products are taken; those of the one before by default."""
        told = self.table.get("input")
        taken = [each.name for each in self.before]
        if told is None:
            return len(taken) - 1 if taken else None
        if told == "inputs":
            return None
        if not isinstance(told, str) or told not in taken:
            known = ["inputs", *dict.fromkeys(taken)]
            self._add("input", "no step before has this name" + nearest(str(told), known), told)
            return None
        if taken.count(told) > 1:
            self._add("input", "several steps are called so; give them a name each", told)
        return len(taken) - 1 - taken[::-1].index(told)

    def _keep(self) -> bool:
        told = self.table.get("keep", True)
        if not isinstance(told, bool) and "keep" in self.vocabulary.options:
            return True  # the option of that name
        if not isinstance(told, bool):
            self._add("keep", "allowed: true or false", told)
        return bool(told)

    def _options(self, known: list[str]) -> list[str]:
        """Words of all options of the command."""
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
                 if any(self.vocabulary.unknown(each).endswith(f"mean {key}?") for each in unknown)}
        for key in self.vocabulary.required():
            if key not in self.table and key not in meant:
                self._add(key, f"missing; {self.vocabulary.name} takes it always")
        return words

    def _option(self, key: str, value: Any, known: list[str]) -> list[str]:
        if key in self.vocabulary.written:
            names.check_template(value, [each for each in known if each != "file"])
            _check_picture(key, value)
            self.writes.append((key, value))
            return []
        if key in READ and (key != "tcal" or self._is_table(value)):
            self._check_read(text_of(value), known)
            self.reads.append((key, value))
            return []
        return self.vocabulary.words(key, value)

    def _is_table(self, value: Any) -> bool:
        """Whether a value of ``tcal`` is a path, not temperatures."""
        return isinstance(value, str) and ("{" in value or os.path.exists(self._near(value)))

    def _near(self, path: str) -> str:
        return os.path.join(self.recipe.folder, os.path.expanduser(path))

    def _check_read(self, path: str, known: list[str]) -> None:
        names.check_template(path, known, outside=True)
        if not names.fields_of(path) and not os.path.exists(self._near(path)):
            there = glob.glob(os.path.join(glob.escape(os.path.dirname(self._near(path))), "*"))
            near = nearest(os.path.basename(path), map(os.path.basename, there))
            raise UsageError(f"no such file{near if near.startswith('; did') else ''}")

    def _template(self, key: str, told: Any, known: list[str]) -> str:
        if told is None:
            self._add(key, "missing; allowed: a name such as {stem}.h5")
            return ""
        try:
            names.check_template(told, known)
            if self.vocabulary.name in _PICTURES:
                _check_picture("picture", told)
        except UsageError as error:
            self._add(key, plain(error, str(told)), told)
            return ""
        return str(told)

    def _products(self) -> tuple[dict[str, str], ...]:
        """Fields of the products of one run."""
        products: list[dict[str, str]] = [{}]
        for key in self.vocabulary.fields:
            if key == "file" or key not in self.table:
                continue
            try:
                values = self.vocabulary.values(key, self.table[key])
            except (UsageError, click.BadParameter):  # told already
                continue
            products = [{**each, key: value} for each in products for value in values]
        return tuple(products)

    def _varied(self, output: str, products: tuple[dict[str, str], ...], above: RecipeStep | None
                ) -> tuple[str, ...]:
        """Fields by which products of one task differ, which must be in the names."""
        own = [key for key in products[0] if len({each[key] for each in products}) > 1]
        inherited = [key for key in (above.varied if above else ()) if key not in own]
        for template, keys in [(output, [*own, *inherited]),
                               *((path, inherited) for _, path in self.writes)]:
            missing = [key for key in keys if key not in names.fields_of(template)]
            if template and missing:
                name = next((key for key, path in self.writes if path is template), "output")
                told = ", ".join(f"{{{key}}}" for key in missing)
                self._add(name, f"one name for several products; allowed: a name with {told} in "
                          "it", template)
        return (*inherited, *own)


def _check_picture(key: str, path: str) -> None:
    if key == "picture":
        from fastsig.view import check_picture

        try:
            check_picture(path)
        except UsageError as error:
            raise UsageError(str(error).removeprefix(f"{path}: ")) from None
