"""The inputs of a recipe: names, patterns, folders and lists to files, and files to recordings."""

from __future__ import annotations

import difflib
import glob
import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

__all__ = ["GROUPS", "Found", "Recording", "find", "gather", "look", "walk"]

#: How files become recordings.
GROUPS = ("file", "scan", "fast", "project")

# {project}_{mode}-M{beam}_{band}_{chunk}.fits, pulsar files without the band (FAST's conventions).
_FAST = re.compile(r"(?P<project>.+)_(?P<mode>[A-Za-z0-9]+)-(?P<beam>M\d\d)(?:_(?P<band>[WNF]))?"
                   r"_(?P<chunk>\d{4,5})\.fits")
_FAST_SHAPE = "{project}_{mode}-M{beam}_{W|N|F}_{chunk}.fits, or the same without the band"
# The same up to the beam, and whatever follows: files of the observatory, or products of them.
_PROJECT = re.compile(r"(?P<project>.+)_(?P<mode>[A-Za-z0-9]+)-(?P<beam>M\d\d)(?:_(?P<band>[WNF]))?"
                      r"(?:[_.-].*)")
_PROJECT_SHAPE = "{project}_{mode}-M{beam} and more, such as {project}_{mode}-M01.lines.h5"
# night.0000.raw; source_0001.fits; DADA's count of bytes.
_NUMBERED = (
    re.compile(r"(?P<stem>.+)\.(?P<chunk>\d{4,5})\.[A-Za-z]\w*"),
    re.compile(r"(?P<stem>.+)_(?P<chunk>\d{4,5})\.(?:fits|sf|fil)", re.IGNORECASE),
    re.compile(r"(?P<stem>.+)_(?P<chunk>\d{16})\.\d{6}\.dada"),
)


class Found(NamedTuple):
    """A file as it was found: path, bytes, time of its last change."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Recording:
    """Files that belong together.

    Parameters
    ----------
    files : tuple of Found
        In the order of their numbers.
    stem : str
        What their names have in common, or the name without its ending.
    fields : dict
        What the names tell, under names for templates.
    refused : str
        Why this cannot be an input; empty where it can.
    notes : tuple of str
        What is odd about it.
    """

    files: tuple[Found, ...]
    stem: str
    fields: dict[str, str] = field(default_factory=dict)
    refused: str = ""
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files)


def look(path: str) -> Found | None:
    """A file, or a folder that is a recording by itself; None where it is neither or vanished."""
    try:
        told = os.stat(path)
    except OSError:
        return None
    if stat.S_ISREG(told.st_mode):
        return Found(path, told.st_size, told.st_mtime_ns)
    return _folder(path) if stat.S_ISDIR(told.st_mode) and _is_recording(path) else None


def _is_recording(path: str) -> bool:
    """Whether a folder is one recording, as Digital RF's are."""
    try:
        with os.scandir(path) as entries:
            inside = list(entries)
        names = {each.name for each in inside}
        below = [os.path.join(each.path, name) for each in inside if each.is_dir()
                 for name in _PROPERTIES]
    except OSError:
        return False
    return bool(names & set(_PROPERTIES)) or any(map(os.path.exists, below))


_PROPERTIES = ("drf_properties.h5", "metadata.h5")  # of Digital RF


def _folder(path: str) -> Found:
    size = last = 0
    for each in walk(path):
        told = os.stat(each)
        size, last = size + told.st_size, max(last, told.st_mtime_ns)
    return Found(path, size, last)


def walk(path: str, onerror: Callable[[OSError], None] | None = None) -> Iterable[str]:
    """Visible files in a folder and below, in order."""
    for folder, below, names in os.walk(path, onerror=onerror):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield from (os.path.join(folder, name) for name in sorted(names)
                    if not name.startswith("."))


class Search(NamedTuple):
    """What inputs name: files, what is wrong with names (index, name, why)."""

    files: list[Found]
    wrong: list[tuple[int, str, str]]


def find(names: Sequence[str], folder: str, products: str = "") -> Search:
    """Files that names, patterns, folders and ``@lists`` stand for, each once.

    Parameters
    ----------
    names : sequence of str
        Relative to `folder`; those in a list, to the folder of the list.
    folder : str
        Absolute.
    products : str
        Output folder: what lies in it is an input only where a name or pattern begins there.
    """
    found: dict[str, Found] = {}
    wrong: list[tuple[int, str, str]] = []
    for index, name in enumerate(names):
        for text, base in _listed(name, folder, index, wrong):
            files, why = _expand(text, base, products)
            if why:
                wrong.append((index, text if text == name else f"{name}: {text}", why))
            found.update((each.path, each) for each in files)
    return Search(list(found.values()), wrong)


def _listed(name: str, folder: str, index: int, wrong: list[tuple[int, str, str]]
            ) -> list[tuple[str, str]]:
    """A name, or the names in a list, with the folder that they are relative to."""
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


def _expand(text: str, folder: str, products: str) -> tuple[list[Found], str]:
    """Files of one name or pattern; why there are none."""
    path = os.path.normpath(os.path.join(folder, os.path.expanduser(text)))
    if os.path.basename(path).startswith("."):
        return [], "hidden; allowed: visible files"
    failed: list[OSError] = []
    if os.path.lexists(path):
        one = look(path)
        if one is not None:
            return [one], ""
        if not os.path.isdir(path):
            return [], "no regular file" if os.path.exists(path) else "a link that leads nowhere"
        paths: Iterable[str] = walk(path, failed.append)
    elif glob.has_magic(path):
        paths = sorted(glob.iglob(path, recursive=True))
    else:
        return [], f"no such file{_near(path)}"
    skip = _skipped(_fixed(path), products)
    files = [each for each in map(look, (p for p in paths if not skip(p))) if each is not None]
    if failed:
        return files, f"{failed[0].filename}: {failed[0].strerror}"
    return files, "" if files else _nothing(path)


def _skipped(base: str, products: str) -> Callable[[str], bool]:
    """Which paths of a pattern are no inputs: products, where the pattern does not begin there."""
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
    """The folder that a pattern begins in."""
    while glob.has_magic(path):
        path = os.path.dirname(path)
    return path


def _near(path: str) -> str:
    """The nearest name that is there, for the first part of a path that is not."""
    while not os.path.lexists(os.path.dirname(path) or "."):
        path = os.path.dirname(path)
    try:
        there = [name for name in os.listdir(os.path.dirname(path) or ".") if name[0] != "."]
    except OSError as error:
        return f" ({os.path.dirname(path)}: {error.strerror})"
    near = difflib.get_close_matches(os.path.basename(path), there, 1, 0.6)
    return f"; did you mean {near[0]}?" if near else f" in {os.path.dirname(path)}"


def _nothing(path: str) -> str:
    """Why a pattern or folder gives nothing."""
    base = _fixed(path)
    if not os.path.isdir(base):
        return f"no such folder{_near(base)}"
    if not os.access(base, os.R_OK):
        return "the folder may not be read"
    if base == path:
        return "a folder without files"
    there = sorted(name for name in os.listdir(base) if name[0] != ".")
    near = difflib.get_close_matches(os.path.relpath(path, base), there, 1, 0.5)
    return f"nothing fits{f'; did you mean {near[0]}?' if near else f' in {base}'}"


def gather(files: Sequence[Found], group: str) -> list[Recording]:
    """Recordings, in the order of their first files.

    Parameters
    ----------
    files : sequence of Found
    group : {"file", "scan", "fast", "project"}
        A file each; files that differ in a number as those of one scan do (``night.0000.raw``,
        ``source_0001.fits``); by the names of FAST's files; or all files of a project and mode
        of FAST's, whatever their beams and folders.
    """
    if group == "file":
        return [_single(each) for each in files]
    sets: dict[tuple[str, ...], list[tuple[int, Found, dict[str, str]]]] = {}
    for each in files:
        key, chunk, told = _key(each, group)
        sets.setdefault(key, []).append((chunk, each, told))
    return [_joined(members, group) for members in sets.values()]


def _single(found: Found) -> Recording:
    name = os.path.basename(found.path)
    return Recording((found,), os.path.splitext(name)[0] or name)


def _key(found: Found, group: str) -> tuple[tuple[str, ...], int, dict[str, str]]:
    """What files of one recording have in common, the number of this one, and its fields."""
    folder, name = os.path.split(found.path)
    if group == "fast":
        match = _FAST.fullmatch(name)
        if match is None:
            return (found.path,), 0, {}
        told = {key: value or "" for key, value in match.groupdict().items()}
        return (folder, name[: match.start("chunk")]), int(match["chunk"]), told
    if group == "project":
        match = _PROJECT.fullmatch(name)
        if match is None:
            return (found.path,), 0, {}
        told = {key: match[key] or "" for key in ("project", "mode", "band")}
        return tuple(told.values()), 0, {
            **told, "stem": f"{match['project']}_{match['mode']}"}
    for pattern in _NUMBERED:
        match = pattern.fullmatch(name)
        if match is not None:
            rest = name[match.end("chunk"):]
            return (folder, match["stem"], rest), int(match["chunk"]), {"stem": match["stem"]}
    return (found.path,), 0, {}


def _joined(members: list[tuple[int, Found, dict[str, str]]], group: str) -> Recording:
    """One recording of files with numbers."""
    members.sort(key=lambda member: (member[0], os.path.basename(member[1].path), member[1].path))
    files = tuple(each for _, each, _ in members)
    told = members[0][2]
    if not told:
        one = _single(files[0])
        if group not in ("fast", "project"):
            return one
        shape = _FAST_SHAPE if group == "fast" else _PROJECT_SHAPE
        return Recording(one.files, one.stem, refused=(
            f"{files[0].path}: not named as FAST's files are; allowed: {shape}, or "
            "inputs.group = \"scan\""))
    stem = told.get("stem") or os.path.basename(files[0].path).rpartition("_")[0]
    return Recording(files, stem, {key: told[key] for key in told if key != "stem"},
                     notes=_gaps(stem, [number for number, _, _ in members]))


def _gaps(stem: str, numbers: list[int]) -> tuple[str, ...]:
    """A note where numbers are missing; DADA's counts of bytes are no numbers."""
    missing = numbers[-1] - numbers[0] + 1 - len(set(numbers))
    if not 0 < missing < 100_000:
        return ()
    first = next(a + 1 for a, b in pairwise(numbers) if b - a > 1)
    return (f"{stem}: {missing} of its files missing, from number {first:04d} on",)
