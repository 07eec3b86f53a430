"""Relocation of a task: its command lines with its products in another folder."""

from __future__ import annotations

import glob
import re

from fastsig.batch.tasks.model import Task

__all__ = ["relocated"]


def relocated(word: str, task: Task, folder: str) -> str:
    """Return a word of a command line with another folder instead of the output folder."""
    if word in task.inputs:
        return word
    option, sign, path = word.partition("=") if word.startswith("--") else ("", "", word)
    for base, new in ((task.folder, folder), (glob.escape(task.folder), glob.escape(folder))):
        inside = path.startswith(base + "/")
        if inside and any(_made(path[len(base) + 1:], name) for step in task.steps
                          for name in step.outputs):
            return f"{option}{sign}{new}{path[len(base):]}"
    return word


def _made(name: str, output: str) -> bool:
    """Return whether a name in a word is that of an output; its fields may not be filled in yet."""
    pattern = re.escape(glob.escape(output)).replace(r"\{file\}", ".*")
    unfilled = re.sub(r"\\\{\w+\\\}", ".*", re.escape(name))
    return bool(re.fullmatch(unfilled, output) or re.fullmatch(pattern, name))
