"""Temporary files of writers that died: found by their names, and removed if not locked.

The temporary files of one product share HOST-PID-RANDOM in their names. In each folder at least
one of them is locked while their writer is alive.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import logging
import os
import re
import secrets
import socket
from collections.abc import Callable, Iterable

_log = logging.getLogger(__name__)

__all__ = ["sweep", "sweep_names", "writer_id"]

#: A temporary name: that of the product, and its writer; "-old" is a file that will be replaced.
_TEMPORARY = re.compile(
    r"\.(?P<name>.+)\.(?P<writer>[A-Za-z0-9_]+-[0-9]+-[0-9a-f]+)(?:-old)?\.part")


def writer_id() -> str:
    """Return HOST-PID-RANDOM, which the names of the temporary files of one product share."""
    host = re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname()) or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"


def sweep(path: str) -> list[str]:
    """Remove the temporary files that dead writers of `path` left; return the names removed.

    ``{file}`` in `path` matches any number.
    """
    folder, name = os.path.split(path)
    removed = []
    for each in glob.glob(glob.escape(folder or ".").replace("{file}", "[0-9]*")):
        removed += _sweep_folder(each, [name])
    return removed


def sweep_names(paths: Iterable[str]) -> list[str]:
    """Remove the temporary files of dead writers of many paths, like `sweep`.

    Each folder is listed only once.
    """
    folders: dict[str, list[str]] = {}
    removed = []
    for path in paths:
        folder, name = os.path.split(path)
        if "{file}" in folder:
            removed += sweep(path)
            continue
        folders.setdefault(folder, []).append(name)
    for folder, names in folders.items():
        removed += _sweep_folder(folder, names)
    return removed


def _sweep_folder(folder: str, names: Iterable[str]) -> list[str]:
    """Remove temporary files of dead writers of products with these names."""
    try:
        parts = [name for name in os.listdir(folder) if name.endswith(".part")]
    except OSError:
        return []
    if not parts:
        return []
    is_asked = _test_of(names)
    found = [(name, match["writer"]) for name in parts
             if (match := _TEMPORARY.fullmatch(name)) and is_asked(match["name"])]
    alive = {writer: any(_locked(os.path.join(folder, name)) for name in parts if writer in name)
             for writer in {writer for _, writer in found}}
    dead = [os.path.join(folder, name) for name, writer in found if not alive[writer]]
    return [leftover for leftover in dead if _remove_free(leftover)]


def _test_of(names: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that reports whether a name is one of these.

    Only names of numbered files need patterns. The module `re` keeps hundreds of patterns: a
    program that runs for days must not make one for each of its files.
    """
    plain, numbered = set(), []
    for name in names:
        if "{file}" in name:
            numbered.append(re.compile("[0-9]{4,}".join(map(re.escape, name.split("{file}")))))
        else:
            plain.add(name)
    return lambda name: name in plain or any(each.fullmatch(name) for each in numbered)


def _locked(path: str) -> bool:
    """Whether a living writer has locked a file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _remove_free(path: str) -> bool:
    """Remove a file that nobody has locked."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.fstat(descriptor).st_nlink:
                return False  # removed by another process; a living writer may now own the name
            os.unlink(path)
            _log.info("%s: removed the temporary file of a dead writer", path)
            return True
        finally:
            os.close(descriptor)
    return False
