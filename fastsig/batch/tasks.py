"""A task: what is done to one recording, as command lines."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Step", "Task"]


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
        left to who runs it.
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
