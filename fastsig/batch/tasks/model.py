"""Tasks and their steps as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Step", "Task", "task_from"]


@dataclass(frozen=True)
class Step:
    """One command of a task.

    Parameters
    ----------
    command : str
        Name of a command of fastsig.
    argv : tuple of str
        Words after the name: the options, with ``--output PATH`` as two words, and then the input
        files. All paths are absolute. ``--overwrite``, ``--workers``, ``--memory`` and ``--quiet``
        are added when the step is run; `Vocabulary.offers` states which of them the command has.
    outputs : tuple of str
        Files that the step makes, relative to the task's folder; ``{file}`` in a name represents
        the numbers of several files. Their folders may not exist yet.
    keep : bool
        Whether these files are kept when the task is done.
    """

    command: str
    argv: tuple[str, ...]
    outputs: tuple[str, ...]
    keep: bool = True


@dataclass(frozen=True)
class Task:
    """The processing of the files of one recording.

    Parameters
    ----------
    id : str
        Hexadecimal SHA-256 of the inputs, the recipe, the outputs and the version of fastsig.
    name : str
        Name that is shown and used for the log; contains no separators or control characters.
    inputs : tuple of str
        Absolute paths of the input files.
    steps : tuple of Step
        Commands that are run one after the other.
    folder : str
        Absolute path of the output folder: nothing is written outside it.
    refused : str
        Why the task may not run, such as a name that another task uses too; empty if it may.
    """

    id: str
    name: str
    inputs: tuple[str, ...]
    steps: tuple[Step, ...]
    folder: str
    refused: str = ""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files that are kept, relative to `folder`."""
        return tuple(name for step in self.steps if step.keep for name in step.outputs)


def task_from(values: Mapping[str, Any]) -> Task:
    """Return the task from which `dataclasses.asdict` made these values."""
    steps = tuple(Step(step["command"], tuple(step["argv"]), tuple(step["outputs"]), step["keep"])
                  for step in values["steps"])
    return Task(**{**values, "inputs": tuple(values["inputs"]), "steps": steps})
