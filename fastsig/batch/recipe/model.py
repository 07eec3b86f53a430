"""The content of a recipe as plain data, without functions to read or run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastsig.errors import UsageError

__all__ = ["GROUPS", "Inputs", "Limits", "ParsedRecipe", "RecipeError", "RecipeStep"]

#: Ways in which files are grouped into recordings.
GROUPS = ("file", "scan", "fast", "project")


class RecipeError(UsageError):
    """A recipe contains mistakes; `problems` has one line for each mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Inputs:
    """The table ``[inputs]``: `files` as written, `group`, and `set` as ``KEY=VALUE`` texts."""

    files: tuple[str, ...] = ()
    group: str = "file"
    set: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """The limits of a task, from the table ``[limits]``.

    Parameters
    ----------
    memory : int, optional
        Maximum memory of the whole worker process, in bytes.
    time : float, optional
        Maximum time, in seconds.
    retries : int
        Maximum number of times that the task is repeated after its worker has died.
    """

    memory: int | None = None
    time: float | None = None
    retries: int = 2


@dataclass(frozen=True)
class RecipeStep:
    """A table ``[[step]]`` after parsing.

    Parameters
    ----------
    command, output, keep, name
        As written.
    source : int or None
        Index of the step whose products are its inputs; None for the recordings.
    words : tuple of str
        Options as words of the command line.
    reads, writes : tuple of (str, str)
        Options that name files, with templates of the names.
    products : tuple of dict
        Fields of each product that one run makes.
    varied : tuple of str
        Fields in which the products of one task differ.
    fields : tuple of str
        Fields that are allowed in the names of later steps that use its products.
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


@dataclass(frozen=True, eq=False, repr=False)
class ParsedRecipe:
    """A recipe after parsing; see `fastsig.batch.Recipe`.

    Parameters
    ----------
    data : dict
        Tables as in TOML.
    path : str
        Name of the recipe in messages.
    folder : str
        Absolute path of the folder to which inputs and the output folder are relative.
    problems : tuple of str
        One line for each mistake in the recipe itself.
    inputs, output, steps, limits
        The parsed recipe; complete only if there are no problems. `output` is the absolute path of
        the output folder.
    """

    data: Mapping[str, Any]
    path: str
    folder: str
    problems: tuple[str, ...] = ()
    inputs: Inputs = Inputs()
    output: str = ""
    steps: tuple[RecipeStep, ...] = ()
    limits: Limits = Limits()
