"""The files of one scan: by name, by pattern, or by the beginning of their names."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fastsig.errors import (
    ForbiddenFileError,
    MissingFileError,
    UsageError,
    unreadable,
)
from fastsig.work.arguments import shown

__all__ = ["Choice", "Paths", "scan_files"]

#: The argument of `fastsig.open`: a path, or several paths of one scan.
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


#: Selects the files of a recording out of those whose names begin with a stem.
Choice = Callable[[str, list[str]], list[str]]


def scan_files(paths: Paths, choice: Choice = lambda _, files: files) -> list[str]:
    """Return the paths of the files of a scan.

    Parameters
    ----------
    paths : path or iterable of path
        A path is a file or folder; or a pattern such as ``"night.*.raw"``; or a stem: ``"night"``
        means ``night.0000.raw``, ``night.0001.raw`` and so on.
    choice : function
        Selects the files of a stem out of all whose names begin with it; by default, it selects
        all.

    Raises
    ------
    FormatError
        If a file does not exist.
    UsageError
        If a file is named twice.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    paths = _listed(paths)
    found = [file for path in paths for file in _files(os.fspath(path), choice)]
    twice = next((file for file in found if found.count(file) > 1), None) if (
        len(set(found)) < len(found)) else None
    if twice is not None:
        raise UsageError(f"{twice}: named twice; allowed: each file of a scan once")
    return found


def _listed(paths: Any) -> list[str | os.PathLike[str]]:
    """Return the names of files as a list, or refuse what is not a name."""
    try:
        listed: list[Any] = [paths] if isinstance(paths, (bytes, Mapping)) else list(paths)
    except TypeError:
        listed = [paths]
    for each in listed:
        if not isinstance(each, (str, os.PathLike)) or not os.fspath(each):
            raise UsageError(f"path = {shown(each)}; allowed: the name of a file, or names")
    if not listed:
        raise UsageError("no file is named; allowed: the name of a file, or names")
    return listed


def _files(path: str, choice: Choice) -> list[str]:
    try:
        os.lstat(path)
        return [path]
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise unreadable(path, error) from error
    is_stem = not glob.has_magic(path)
    pattern = f"{glob.escape(path)}.*" if is_stem else path
    found = sorted(each for each in glob.glob(pattern) if os.path.isfile(each))
    if not found:
        _check_listing(path)
        raise MissingFileError(path)
    return choice(path, found) if is_stem and len(found) > 1 else found


def _check_listing(path: str) -> None:
    """Refuse a folder that may not be listed: matching files in it cannot be found."""
    folder = os.path.dirname(path) or "."
    if not glob.has_magic(folder) and os.path.isdir(folder) and not os.access(folder, os.R_OK):
        raise ForbiddenFileError(path, f"the folder {folder}: {os.strerror(errno.EACCES)}")
