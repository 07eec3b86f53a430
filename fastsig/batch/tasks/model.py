"""Tasks and their steps: plain data."""

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
        Its words after the name: options, ``--output PATH`` as two words, then the input files.
        All paths are absolute. ``--overwrite``, ``--workers``, ``--memory`` and ``--quiet`` are
        left to who runs it; `Vocabulary.offers` says which of them the command has.
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


def task_from(values: Mapping[str, Any]) -> Task:
    """The task that `dataclasses.asdict` made these values of."""
    steps = tuple(Step(step["command"], tuple(step["argv"]), tuple(step["outputs"]), step["keep"])
                  for step in values["steps"])
    return Task(**{**values, "inputs": tuple(values["inputs"]), "steps": steps})
