"""What a recipe says once it is read: plain data, without a way to read or to run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastsig.errors import UsageError

__all__ = ["GROUPS", "Inputs", "Limits", "ParsedRecipe", "RecipeError", "RecipeStep"]

#: How files become recordings.
GROUPS = ("file", "scan", "fast", "project")


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
    """Bounds of a task, as of table ``[limits]``.

    Parameters
    ----------
    memory : int, optional
        Bytes of its whole worker process.
    time : float, optional
        Seconds.
    retries : int
        How often it is tried again after its worker died.
    """

    memory: int | None = None
    time: float | None = None
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


@dataclass(frozen=True, eq=False, repr=False)
class ParsedRecipe:
    """A recipe as it was understood; see `fastsig.batch.Recipe`.

    Parameters
    ----------
    data : dict
        Tables as of TOML.
    path : str
        Name that stands in messages.
    folder : str
        Absolute path of what inputs and the output folder are relative to.
    problems : tuple of str
        A line for each mistake of the recipe itself.
    inputs, output, steps, limits
        What was understood; whole only where there are no problems. `output` is the absolute path
        of the output folder.
    """

    data: Mapping[str, Any]
    path: str
    folder: str
    problems: tuple[str, ...] = ()
    inputs: Inputs = Inputs()
    output: str = ""
    steps: tuple[RecipeStep, ...] = ()
    limits: Limits = Limits()
