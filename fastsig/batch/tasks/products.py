"""Products on the disk: what a task made, and whether it is still that."""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Iterable

from fastsig.batch.tasks.model import Task

__all__ = ["NO_ROOM", "Product", "changes", "existing", "names_of", "outside", "stat_products"]

#: Name relative to the output folder, size, mtime in ns; -1 for both where it is not made yet.
Product = tuple[str, int, int]

#: Errors of a full disk.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

_NUMBERS = "[0-9][0-9][0-9][0-9]*"


def names_of(task: Task, *, kept: bool = True) -> tuple[str, ...]:
    """Names of a task's products relative to its folder, with ``{file}`` where that stands."""
    return tuple(os.path.normpath(output)
                 for step in task.steps if step.keep or not kept for output in step.outputs)


def existing(folder: str, name: str) -> list[str]:
    """Names of the files, or links, that are there under a name with or without ``{file}``."""
    path = os.path.join(folder, name)
    if "{file}" not in name:
        return [name] if os.path.lexists(path) else []
    pattern = _NUMBERS.join(glob.escape(part) for part in path.split("{file}"))
    digits = re.compile("[0-9]{4,}".join(map(re.escape, path.split("{file}"))))
    return sorted(os.path.relpath(path, folder) for path in glob.glob(pattern)
                  if digits.fullmatch(path))


def outside(folder: str, name: str) -> str | None:
    """Where a name leads that leaves the folder, as through a link; None where it stays."""
    base, real = os.path.realpath(folder), os.path.realpath(os.path.join(folder, name))
    return None if os.path.commonpath([base, real]) == base and real != base else real


def stat_products(folder: str, names: Iterable[str]) -> tuple[list[Product], str]:
    """Size and mtime of each product, and the first name that is missing, or nothing."""
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
    """What is not as recorded of the products of a task: one line, empty where all is."""
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
