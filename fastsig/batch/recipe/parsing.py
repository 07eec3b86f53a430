"""Recipes: what to do to many recordings, as tables of TOML, with all mistakes told at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastsig.batch.recipe import name_templates as names
from fastsig.batch.recipe import vocabulary
from fastsig.batch.recipe.mistakes import Notebook, one_line
from fastsig.batch.tasks import input_files as inputs
from fastsig.errors import FormatError, UsageError

if TYPE_CHECKING:
    from fastsig.batch.ledger.status import Status
    from fastsig.batch.running.run import Summary
    from fastsig.batch.tasks.survey import Task

__all__ = ["Inputs", "Limits", "Recipe", "RecipeError", "RecipeStep"]

VERSION = 1
_TABLES = ("version", "inputs", "output", "step", "limits")
_LONGEST_S = 30 * 86400


class RecipeError(UsageError):
    """A recipe that cannot be; `problems` has a line for each mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Inputs:
    """Table ``[inputs]``: `files` as written, `group`, and `set` as ``KEY=VALUE`` texts."""

    files: tuple[str, ...] = ()
    group: str = "file"
    set: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """Table ``[limits]``, of one task: bytes, seconds, and how often it is tried again."""

    memory: int | None = None
    time_s: float | None = None
    retries: int = 2


@dataclass(frozen=True)
class RecipeStep:
    """A table ``[[step]]`` that was understood.

    Parameters
    ----------
    command, output, keep, name
        As written.
    source : int or None
        Index of the step whose products it takes; None for the recordings.
    words : tuple of str
        Options as words of the command line.
    reads, writes : tuple of (str, str)
        Options that name files, with templates of the names.
    products : tuple of dict
        Fields of each product that one run makes.
    varied : tuple of str
        Fields by which products of one task differ.
    fields : tuple of str
        What may stand in the names of steps that take its products.
    """

    command: str
    output: str
    keep: bool = True
    name: str = ""
    source: int | None = None
    words: tuple[str, ...] = ()
    reads: tuple[tuple[str, str], ...] = ()
    writes: tuple[tuple[str, str], ...] = ()
    products: tuple[dict[str, str], ...] = ({},)
    varied: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


class Recipe:
    """What to do to many recordings.

    Parameters
    ----------
    data : mapping
        Tables as of TOML; ``Recipe.read(path)`` takes them from a file.
    path : str
        What mistakes are told of.
    folder : path
        What inputs and the output folder are relative to.

    Attributes
    ----------
    problems : tuple of str
        A line for each mistake of the recipe itself; no file is looked at for them but those that
        options name.
    inputs, output, steps, limits
        What was understood; whole only where there are no problems. `output` is the absolute path
        of the output folder.
    """

    def __init__(self, data: Mapping[str, Any], *, path: str = "recipe",
                 folder: str | os.PathLike[str] = ".") -> None:
        self.path, self.folder = path, os.path.abspath(folder)
        self.data = dict(data)
        book = Notebook(path)
        self.inputs, self.output, self.limits = Inputs(), "", Limits()
        self.steps: tuple[RecipeStep, ...] = ()
        self._read(book)
        self.problems = tuple(book.lines)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Recipe:
        """The recipe in a file; what is wrong in it is in `problems`.

        Raises
        ------
        FormatError
            Where the file cannot be read.
        RecipeError
            Where it is no TOML; the message tells line and column.
        """
        told = os.fspath(path)
        try:
            with open(told, "rb") as file:
                data = tomllib.load(file)
        except OSError as error:
            raise FormatError(told, error.strerror or str(error)) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RecipeError([one_line(f"{told}: no TOML: {error}")]) from None
        return cls(data, path=told, folder=os.path.dirname(os.path.abspath(told)))

    def tasks(self, files: Iterable[str | os.PathLike[str]] | None = None, *,
              strict: bool = False) -> list[Task]:
        """What is to be done, a task for each recording.

        Parameters
        ----------
        files : iterable of path, optional
            In place of the recipe's own, relative to the current folder.
        strict : bool
            Whether tasks are told apart by the content of their inputs too: reads all of them.

        Raises
        ------
        RecipeError
            Where the recipe has `problems`, or names inputs that are not there.
        """
        from fastsig.batch.tasks.survey import tasks_of

        return tasks_of(self, files, strict=strict)

    def run(self, files: Iterable[str | os.PathLike[str]] | None = None, *,
            strict: bool = False, **options: Any) -> Summary:
        """Do what is missing, changed or failed.

        Parameters
        ----------
        files, strict
            As of `tasks`.
        **options
            Of `fastsig.batch.run`; `limits` are the recipe's by default.

        Raises
        ------
        RecipeError, OutputError, WorkerError
            As `tasks` and `fastsig.batch.run` do.
        """
        from fastsig.batch.engines import jobs
        from fastsig.batch.running import run as running

        limits = jobs.Limits(self.limits.memory, self.limits.time_s, self.limits.retries)
        tasks = self.tasks(files, strict=strict)
        return running.run(tasks, self.output, **{
            "limits": limits, "every": tasks if files is None else None, **options})

    def status(self, files: Iterable[str | os.PathLike[str]] | None = None, *,
               strict: bool = False) -> Status:
        """What became of the tasks, by the ledger and the disk; parameters as of `tasks`."""
        from fastsig.batch.ledger import status as tally

        return tally.status(self.tasks(files, strict=strict), self.output,
                            every=None if files is None else self.tasks(strict=strict))

    def verify(self, files: Iterable[str | os.PathLike[str]] | None = None, *,
               strict: bool = False, **options: Any) -> Status:
        """Read all finished products whole; parameters as of `tasks`, `fastsig.batch.verify`."""
        from fastsig.batch.ledger import status as tally

        return tally.verify(self.tasks(files, strict=strict), self.output, **options)

    def _read(self, book: Notebook) -> None:
        for key, value in self.data.items():
            if key not in _TABLES:
                book.add(key, f"no such table{vocabulary.nearest(key, _TABLES)}", value)
        if "version" not in self.data:
            book.add("version", f"missing; allowed: version = {VERSION}")
        elif self.data["version"] != VERSION or isinstance(self.data["version"], bool):
            book.add("version", f"unknown; allowed: {VERSION}", self.data["version"])
        self.inputs = _inputs(_table(self.data, "inputs", book), book)
        self.output = self._output(_table(self.data, "output", book), book)
        self.limits = _limits(_table(self.data, "limits", book), book)
        self._steps(book)

    def _output(self, table: Mapping[str, Any], book: Notebook) -> str:
        _unknown(table, ("folder",), "output", book)
        told = table.get("folder")
        if told is None:
            book.add("output.folder", 'missing; allowed: a folder such as "products"')
        elif not isinstance(told, str) or not told.strip():
            book.add("output.folder", "allowed: the name of a folder", told)
        elif any(letter in told for letter in "{}\0") or not told.isprintable():
            book.add("output.folder", "allowed: a name without braces and fields; these stand in "
                     "step.output", told)
        else:
            path = os.path.normpath(os.path.join(self.folder, os.path.expanduser(told)))
            if os.path.lexists(path) and not os.path.isdir(path):
                book.add("output.folder", "is no folder", told)
            return path
        return ""

    def _steps(self, book: Notebook) -> None:
        from fastsig.batch.recipe.step_parsing import read_step

        tables = self.data.get("step", [])
        if not isinstance(tables, list) or not all(isinstance(each, Mapping) for each in tables):
            book.add("step", "allowed: tables that begin with [[step]]", tables)
            return
        if not tables:
            book.add("step", "missing; allowed: one table [[step]] or more")
        steps: list[RecipeStep] = []
        for number, table in enumerate(tables, 1):
            steps.append(read_step(table, number, steps, self, book))
        _check_templates(steps, book)
        self.steps = tuple(steps)


def _check_templates(steps: Sequence[RecipeStep], book: Notebook) -> None:
    """No two files of a task have one name."""
    seen: dict[str, str] = {}
    for number, step in enumerate(steps, 1):
        for key, template in [("output", step.output), *step.writes]:
            where = f"step[{number}].{key}"
            if template and template in seen:
                book.add(where, f"{seen[template]} has this name; allowed: names that differ",
                         template)
            seen.setdefault(template, where)


def _table(data: Mapping[str, Any], name: str, book: Notebook) -> Mapping[str, Any]:
    found = data.get(name, {})
    if isinstance(found, Mapping):
        return found
    book.add(name, f"allowed: a table [{name}]", found)
    return {}


def _unknown(table: Mapping[str, Any], known: Sequence[str], where: str, book: Notebook) -> None:
    for key, value in table.items():
        if key not in known:
            book.add(f"{where}.{key}", f"no such key{vocabulary.nearest(key, known)}", value)


def _inputs(table: Mapping[str, Any], book: Notebook) -> Inputs:
    _unknown(table, ("files", "group", "set"), "inputs", book)
    files = table.get("files", [])
    files = [files] if isinstance(files, str) else files
    if not isinstance(files, list) or not all(isinstance(each, str) and each.strip() and
                                              "\0" not in each for each in files):
        book.add("inputs.files", "allowed: names and patterns, as texts", files)
        files = []
    group = table.get("group", "file")
    if group not in inputs.GROUPS:
        book.add("inputs.group", "no such choice" + vocabulary.nearest(str(group), inputs.GROUPS),
                 group)
        group = "file"
    return Inputs(tuple(files), group, _pairs(table.get("set", {}), "inputs.set", book))


def _pairs(table: Any, where: str, book: Notebook) -> tuple[str, ...]:
    """``KEY=VALUE`` texts of a table."""
    if not isinstance(table, Mapping):
        book.add(where, 'allowed: a table such as { telescope = "FAST" }', table)
        return ()
    found = []
    for key, value in table.items():
        try:
            found.append(f"{key}={vocabulary.text_of(value)}")
        except UsageError as error:
            book.add(f"{where}.{key}", str(error), value)
    return tuple(found)


def _limits(table: Mapping[str, Any], book: Notebook) -> Limits:
    _unknown(table, ("memory", "time", "retries"), "limits", book)
    memory = _limit(table, "memory", "bytes", book)
    time_s = _limit(table, "time", "s", book)
    if time_s is not None and not 0 < time_s <= _LONGEST_S:
        book.add("limits.time", "allowed: above 0, at most 720h", table["time"])
    retries = table.get("retries", 2)
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= 100:
        book.add("limits.retries", "allowed: a whole number from 0 to 100", retries)
        retries = 2
    return Limits(memory and int(memory), None if time_s is None else float(time_s), retries)


def _limit(table: Mapping[str, Any], name: str, unit: str, book: Notebook) -> Any:
    if name not in table:
        return None
    try:
        return vocabulary.measured(vocabulary.text_of(table[name]), unit, name)
    except UsageError as error:
        book.add(f"limits.{name}", str(error), table[name])
        return None


def known_fields(group: str) -> list[str]:
    """Fields that names may have in the first step."""
    header = [each for each in names.HEADER if (group, each) != ("project", "beam")]
    return [*names.BASIC, *names.of_group(group), *header]
