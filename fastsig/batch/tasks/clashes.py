"""Clashes between tasks: products of the same name, and inputs that would be overwritten."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from fastsig.batch.tasks.model import Task
from fastsig.batch.tasks.recordings import Recording
from fastsig.errors import UsageError

__all__ = ["check_inside", "refuse_clashes", "without_products"]


def without_products(made: list[tuple[Recording, Task]]
                      ) -> tuple[list[tuple[Recording, Task]], list[str]]:
    """Leave out files that other tasks make: products of an earlier run are not inputs."""
    makers = {os.path.join(task.folder, name): task for _, task in made
              for step in task.steps for name in step.outputs}
    kept, notes = [], []
    for recording, task in made:
        maker = next((makers[name] for file in recording.files for name in _patterns(file.path)
                      if makers.get(name, task) is not task), None)
        if maker is None:
            kept.append((recording, task))
        else:
            notes.append(f"{recording.files[0].path}: left out: a product of {maker.inputs[0]}")
    return kept, notes


def _patterns(path: str) -> Iterator[str]:
    """Yield the names in recipes that can give a file's path: a number may replace ``{file}``."""
    yield path
    for match in re.finditer(r"\d{4,}", path):
        yield f"{path[: match.start()]}{{file}}{path[match.end():]}"


def refuse_clashes(tasks: list[Task], output: str) -> list[Task]:
    """Refuse each task with an output that another task makes too, or that is an input."""
    makers: dict[str, list[int]] = {}
    for index, task in enumerate(tasks):
        for name in dict.fromkeys(name for step in task.steps for name in step.outputs):
            makers.setdefault(name, []).append(index)
    read = {path for task in tasks for path in task.inputs}
    why = {index: task.refused for index, task in enumerate(tasks)}
    for name, owners in makers.items():
        if len(owners) > 1:
            line = _clash(name, [tasks[index] for index in owners])
        elif os.path.join(output, name) in read:
            line = f"{name} is an input and would be lost; allowed: another name in step.output"
        else:
            continue
        why.update({index: why[index] or line for index in owners})
    known: dict[str, bool] = {}
    return [replace(task, refused=why[index] or _leads_out(task, known))
            for index, task in enumerate(tasks)]


def _leads_out(task: Task, known: dict[str, bool]) -> str:
    try:
        check_inside(task.folder, (name for step in task.steps for name in step.outputs), known)
    except UsageError as error:
        return str(error)
    return ""


def _clash(name: str, tasks: list[Task]) -> str:
    """Return the inputs from which the same file is made, and what to add to the template."""
    first = [task.inputs[0] for task in tasks]
    parents = {os.path.basename(os.path.dirname(path)) for path in first}
    basenames = {os.path.basename(path) for path in first}
    field = ("parent" if len(parents) == len(first) else
             "name" if len(basenames) == len(first) else None)
    hint = f"add {{{field}}} to step.output" if field else "rename one of them"
    more = f" and {len(first) - 2} more" if len(first) > 2 else ""
    return f"{name}: made from {first[0]} and from {first[1]}{more}; {hint}"


def check_inside(folder: str, names: Iterable[str], known: dict[str, bool] | None = None) -> None:
    """Refuse names that links lead out of a folder; `known` caches the answers for sub-folders.

    To be called again immediately before a file is written, as links can appear.

    Raises
    ------
    UsageError
        The message names the link.
    """
    root = os.path.realpath(folder)
    known = {} if known is None else known
    for name in names:
        path = os.path.join(folder, name)
        above = os.path.dirname(path)
        if above not in known:
            known[above] = _within(root, os.path.realpath(above))
        outside = not known[above] or (os.path.islink(path)
                                       and not _within(root, os.path.realpath(path)))
        if outside:
            raise UsageError(f"{name}: a link leads out of the output folder {folder}, to "
                             f"{os.path.realpath(path)}; allowed: names within it")


def _within(root: str, path: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
