"""The input files of a recipe: names, patterns, folders and lists are expanded to files."""

from __future__ import annotations

import difflib
import glob
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

__all__ = ["FileStamp", "Search", "find", "look", "walk"]

_PROPERTIES = ("drf_properties.h5", "metadata.h5")  # files that mark a folder of Digital RF


class FileStamp(NamedTuple):
    """The state of a file at some moment: path, bytes, time of its last change."""

    path: str
    size: int
    mtime_ns: int


def look(path: str) -> FileStamp | None:
    """Return the stamp of a file, or of a folder that is one recording; None if it is neither."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    if stat.S_ISREG(status.st_mode):
        return FileStamp(path, status.st_size, status.st_mtime_ns)
    return _folder(path) if stat.S_ISDIR(status.st_mode) and _is_recording(path) else None


def _is_recording(path: str) -> bool:
    """Return whether a folder is one recording, as in Digital RF."""
    try:
        with os.scandir(path) as entries:
            inside = list(entries)
        names = {entry.name for entry in inside}
        below = [os.path.join(entry.path, name) for entry in inside if entry.is_dir()
                 for name in _PROPERTIES]
    except OSError:
        return False
    return bool(names & set(_PROPERTIES)) or any(map(os.path.exists, below))


def _folder(path: str) -> FileStamp:
    size = last = 0
    for inner in walk(path):
        status = os.stat(inner)
        size, last = size + status.st_size, max(last, status.st_mtime_ns)
    return FileStamp(path, size, last)


def walk(path: str, onerror: Callable[[OSError], None] | None = None) -> Iterable[str]:
    """Yield the visible files in a folder and below, in order."""
    for folder, below, names in os.walk(path, onerror=onerror):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield from (os.path.join(folder, name) for name in sorted(names)
                    if not name.startswith("."))


class Search(NamedTuple):
    """The result of `find`: files, and names that are wrong (index, name, reason)."""

    files: list[FileStamp]
    wrong: list[tuple[int, str, str]]


def find(names: Sequence[str], folder: str, products: str = "") -> Search:
    """Return the files that names, patterns, folders and ``@lists`` give, each once.

    Parameters
    ----------
    names : sequence of str
        Names relative to `folder`; those in a list are relative to the folder of the list.
    folder : str
        Absolute path.
    products : str
        Output folder: files in it are inputs only if a name or pattern begins there.
    """
    stamps: dict[str, FileStamp] = {}
    wrong: list[tuple[int, str, str]] = []
    for index, name in enumerate(names):
        for text, base in _listed(name, folder, index, wrong):
            files, why = _expand(text, base, products)
            if why:
                wrong.append((index, text if text == name else f"{name}: {text}", why))
            stamps.update((stamp.path, stamp) for stamp in files)
    return Search(list(stamps.values()), wrong)


def _listed(name: str, folder: str, index: int, wrong: list[tuple[int, str, str]]
            ) -> list[tuple[str, str]]:
    """Return a name, or the names in a list, with the folder to which they are relative."""
    if not name.startswith("@"):
        return [(name, folder)]
    path = os.path.join(folder, name[1:])
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.strip() for line in file]
    except OSError as error:
        wrong.append((index, name, f"{error.strerror}{_near(path)}"))
        return []
    return [(line, os.path.dirname(path)) for line in lines if line and not line.startswith("#")]


def _expand(text: str, folder: str, products: str) -> tuple[list[FileStamp], str]:
    """Return the files of one name or pattern, and the reason if there are none."""
    path = os.path.normpath(os.path.join(folder, os.path.expanduser(text)))
    if os.path.basename(path).startswith("."):
        return [], "hidden; allowed: visible files"
    failed: list[OSError] = []
    if os.path.lexists(path):
        one = look(path)
        if one is not None:
            return [one], ""
        if not os.path.isdir(path):
            return [], "not a regular file" if os.path.exists(path) else "a broken link"
        paths: Iterable[str] = walk(path, failed.append)
    elif glob.has_magic(path):
        paths = sorted(glob.iglob(path, recursive=True))
    else:
        return [], f"no such file{_near(path)}"
    skip = _skipped(_fixed(path), products)
    files = [stamp for stamp in map(look, (name for name in paths if not skip(name))) if stamp]
    if failed:
        return files, f"{failed[0].filename}: {failed[0].strerror}"
    return files, "" if files else _nothing(path)


def _skipped(base: str, products: str) -> Callable[[str], bool]:
    """Return a function that detects products, unless the pattern begins in their folder."""
    root = os.path.realpath(products) + "/" if products else ""
    inside = not root or (os.path.realpath(base) + "/").startswith(root)
    known: dict[str, bool] = {}

    def skip(path: str) -> bool:
        if inside:
            return False
        above = os.path.dirname(path)
        if above not in known:
            known[above] = (os.path.realpath(above) + "/").startswith(root)
        return known[above]

    return skip


def _fixed(path: str) -> str:
    """Return the folder in which a pattern begins."""
    while glob.has_magic(path):
        path = os.path.dirname(path)
    return path


def _near(path: str) -> str:
    """Return the most similar existing name, for the first part of a path that does not exist."""
    while not os.path.lexists(os.path.dirname(path) or "."):
        path = os.path.dirname(path)
    try:
        there = [name for name in os.listdir(os.path.dirname(path) or ".") if name[0] != "."]
    except OSError as error:
        return f" ({os.path.dirname(path)}: {error.strerror})"
    near = difflib.get_close_matches(os.path.basename(path), there, 1, 0.6)
    return f"; did you mean {near[0]}?" if near else f" in {os.path.dirname(path)}"


def _nothing(path: str) -> str:
    """Return why a pattern or folder gives no files."""
    base = _fixed(path)
    if not os.path.isdir(base):
        return f"no such folder{_near(base)}"
    if not os.access(base, os.R_OK):
        return "no permission to read the folder"
    if base == path:
        return "a folder without files"
    there = sorted(name for name in os.listdir(base) if name[0] != ".")
    near = difflib.get_close_matches(os.path.relpath(path, base), there, 1, 0.5)
    return f"no file matches{f'; did you mean {near[0]}?' if near else f' in {base}'}"
