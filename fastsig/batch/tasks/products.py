"""Products on the disk: the files that a task made, and whether they have changed."""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Iterable

from fastsig.batch.tasks.model import Task

__all__ = ["NO_ROOM", "Product", "changes", "existing", "names_of", "outside", "passing",
           "stat_products"]

#: Name relative to the output folder, size, mtime in ns; both are -1 if it is not made yet.
Product = tuple[str, int, int]

#: Errors of a full disk.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

_NUMBERS = "[0-9][0-9][0-9][0-9]*"


def names_of(task: Task, *, kept: bool = True) -> tuple[str, ...]:
    """Return the names of a task's products relative to its folder; ``{file}`` is not replaced."""
    return tuple(os.path.normpath(output)
                 for step in task.steps if step.keep or not kept for output in step.outputs)


def existing(folder: str, name: str) -> list[str]:
    """Return the files, or links, that exist under a name with or without ``{file}``."""
    path = os.path.join(folder, name)
    if "{file}" not in name:
        return [name] if os.path.lexists(path) else []
    pattern = _NUMBERS.join(glob.escape(part) for part in path.split("{file}"))
    digits = re.compile("[0-9]{4,}".join(map(re.escape, path.split("{file}"))))
    return sorted(os.path.relpath(path, folder) for path in glob.glob(pattern)
                  if digits.fullmatch(path))


def passing(task: Task) -> set[str]:
    """Return the existing files of steps that are not kept, with the ``.inf`` of each ``.dat``."""
    names = {present for name in set(names_of(task, kept=False)) - set(names_of(task))
             for present in existing(task.folder, name)}
    headers = {f"{os.path.splitext(name)[0]}.inf" for name in names if name.endswith(".dat")}
    return names | {name for name in headers if os.path.lexists(os.path.join(task.folder, name))}


def outside(folder: str, name: str) -> str | None:
    """Return the target of a name that leads out of the folder, e.g. by a link; otherwise None."""
    base, real = os.path.realpath(folder), os.path.realpath(os.path.join(folder, name))
    return None if os.path.commonpath([base, real]) == base and real != base else real


def stat_products(folder: str, names: Iterable[str]) -> tuple[list[Product], str]:
    """Return size and mtime of each product, and the first missing name, empty if there is none."""
    products: list[Product] = []
    for name in names:
        there = existing(folder, name)
        if not there:
            return products, name
        for inner in there:
            status = os.stat(os.path.join(folder, inner))
            products.append((inner, status.st_size, status.st_mtime_ns))
    return products, ""


def changes(folder: str, products: Iterable[Product]) -> str:
    """Return how the products of a task differ from the record: one line, empty if none does."""
    for name, size, mtime in products:
        try:
            status = os.stat(os.path.join(folder, name))
        except FileNotFoundError:
            return f"{name}: is missing"
        except OSError as error:
            return f"{name}: {error.strerror}"
        if status.st_size != size:
            return f"{name}: has {status.st_size} bytes, was made with {size}"
        if status.st_mtime_ns != mtime:
            return f"{name}: was changed since it was made"
    return ""
