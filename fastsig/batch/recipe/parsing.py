"""Parsing of recipes in TOML, with all mistakes reported at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from fastsig.batch.recipe.mistakes import Mistakes, one_line
from fastsig.batch.recipe.model import (
    GROUPS,
    Inputs,
    Limits,
    ParsedRecipe,
    RecipeError,
    RecipeStep,
)
from fastsig.batch.recipe.step_parsing import parse_step
from fastsig.batch.recipe.suggestions import nearest
from fastsig.batch.recipe.values import measured, text_of
from fastsig.errors import UsageError, unreadable

__all__ = ["load", "parse"]

VERSION = 1
_TABLES = ("version", "inputs", "output", "step", "limits")
_LONGEST_S = 30 * 86400


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the tables in a file.

    Raises
    ------
    FormatError
        If the file cannot be read.
    RecipeError
        If the file is not valid TOML; the message states line and column.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise unreadable(name, error) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecipeError([one_line(f"{name}: not valid TOML: {error}")]) from None


def parse(data: Mapping[str, Any], *, path: str = "recipe",
          folder: str | os.PathLike[str] = ".") -> ParsedRecipe:
    """Parse the tables of a recipe; parameters as for `fastsig.batch.Recipe`."""
    base, tables, mistakes = os.path.abspath(folder), dict(data), Mistakes(path)
    _check_tables(tables, mistakes)
    inputs = _inputs(_table(tables, "inputs", mistakes), mistakes)
    output = _output(_table(tables, "output", mistakes), base, mistakes)
    limits = _limits(_table(tables, "limits", mistakes), mistakes)
    steps = _steps(tables, inputs.group, base, mistakes)
    return ParsedRecipe(tables, path, base, tuple(mistakes.lines), inputs, output, steps, limits)


def _check_tables(data: Mapping[str, Any], mistakes: Mistakes) -> None:
    for key, value in data.items():
        if key not in _TABLES:
            mistakes.add(key, f"no such table{nearest(key, _TABLES)}", value)
    if "version" not in data:
        mistakes.add("version", f"missing; allowed: version = {VERSION}")
    elif data["version"] != VERSION or isinstance(data["version"], bool):
        mistakes.add("version", f"unknown; allowed: {VERSION}", data["version"])


def _output(table: Mapping[str, Any], base: str, mistakes: Mistakes) -> str:
    """Return the absolute path of the output folder; empty if it is not valid."""
    _unknown(table, ("folder",), "output", mistakes)
    folder = table.get("folder")
    if folder is None:
        mistakes.add("output.folder", 'missing; allowed: a folder such as "products"')
    elif not isinstance(folder, str) or not folder.strip():
        mistakes.add("output.folder", "allowed: the name of a folder", folder)
    elif any(letter in folder for letter in "{}\0") or not folder.isprintable():
        mistakes.add("output.folder", "allowed: a name without braces and fields, which belong in "
                     "step.output", folder)
    else:
        path = os.path.normpath(os.path.join(base, os.path.expanduser(folder)))
        if os.path.lexists(path) and not os.path.isdir(path):
            mistakes.add("output.folder", "is not a folder", folder)
        return path
    return ""


def _steps(data: Mapping[str, Any], group: str, folder: str, mistakes: Mistakes
           ) -> tuple[RecipeStep, ...]:
    tables = data.get("step", [])
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        mistakes.add("step", "allowed: tables that begin with [[step]]", tables)
        return ()
    if not tables:
        mistakes.add("step", "missing; allowed: one table [[step]] or more")
    steps: list[RecipeStep] = []
    for number, table in enumerate(tables, 1):
        steps.append(parse_step(table, number, steps, group, folder, mistakes))
    _check_templates(steps, mistakes)
    return tuple(steps)


def _check_templates(steps: Sequence[RecipeStep], mistakes: Mistakes) -> None:
    """Check that no two files of a task have the same name."""
    seen: dict[str, str] = {}
    for number, step in enumerate(steps, 1):
        for key, template in [("output", step.output), *step.writes]:
            where = f"step[{number}].{key}"
            if template and template in seen:
                mistakes.add(where, f"{seen[template]} has this name; allowed: names that differ",
                         template)
            seen.setdefault(template, where)


def _table(data: Mapping[str, Any], name: str, mistakes: Mistakes) -> Mapping[str, Any]:
    table = data.get(name, {})
    if isinstance(table, Mapping):
        return table
    mistakes.add(name, f"allowed: a table [{name}]", table)
    return {}


def _unknown(table: Mapping[str, Any], known: Sequence[str], where: str, mistakes: Mistakes
             ) -> None:
    for key, value in table.items():
        if key not in known:
            mistakes.add(f"{where}.{key}", f"no such key{nearest(key, known)}", value)


def _inputs(table: Mapping[str, Any], mistakes: Mistakes) -> Inputs:
    _unknown(table, ("files", "group", "set"), "inputs", mistakes)
    files = table.get("files", [])
    files = [files] if isinstance(files, str) else files
    if not isinstance(files, list) or not all(isinstance(name, str) and name.strip() and
                                              "\0" not in name for name in files):
        mistakes.add("inputs.files", "allowed: names and patterns, as strings", files)
        files = []
    group = table.get("group", "file")
    if group not in GROUPS:
        mistakes.add("inputs.group", "no such choice" + nearest(str(group), GROUPS), group)
        group = "file"
    return Inputs(tuple(files), group, _pairs(table.get("set", {}), "inputs.set", mistakes))


def _pairs(table: Any, where: str, mistakes: Mistakes) -> tuple[str, ...]:
    """Return a table as ``KEY=VALUE`` texts."""
    if not isinstance(table, Mapping):
        mistakes.add(where, 'allowed: a table such as { telescope = "FAST" }', table)
        return ()
    texts = []
    for key, value in table.items():
        try:
            texts.append(f"{key}={text_of(value)}")
        except UsageError as error:
            mistakes.add(f"{where}.{key}", str(error), value)
    return tuple(texts)


def _limits(table: Mapping[str, Any], mistakes: Mistakes) -> Limits:
    _unknown(table, ("memory", "time", "retries"), "limits", mistakes)
    memory = _limit(table, "memory", "bytes", mistakes)
    time_s = _limit(table, "time", "s", mistakes)
    if time_s is not None and not 0 < time_s <= _LONGEST_S:
        mistakes.add("limits.time", "allowed: above 0, at most 720h", table["time"])
    retries = table.get("retries", 2)
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= 100:
        mistakes.add("limits.retries", "allowed: a whole number from 0 to 100", retries)
        retries = 2
    return Limits(memory and int(memory), None if time_s is None else float(time_s), retries)


def _limit(table: Mapping[str, Any], name: str, unit: str, mistakes: Mistakes) -> Any:
    if name not in table:
        return None
    try:
        return measured(text_of(table[name]), unit, name)
    except UsageError as error:
        mistakes.add(f"limits.{name}", str(error), table[name])
        return None
