"""Grouping of files into recordings by the numbers and fields in their names."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from fastsig.batch.tasks.input_files import FileStamp

__all__ = ["Recording", "gather"]

# {project}_{mode}-M{beam}_{band}_{chunk}.fits; pulsar files lack the band (FAST's conventions).
_FAST = re.compile(r"(?P<project>.+)_(?P<mode>[A-Za-z0-9]+)-(?P<beam>M\d\d)(?:_(?P<band>[WNF]))?"
                   r"_(?P<chunk>\d{4,5})\.fits")
_FAST_SHAPE = "{project}_{mode}-M{beam}_{W|N|F}_{chunk}.fits, or the same without the band"
# The same up to the beam, then anything: files of the observatory, or products made from them.
_PROJECT = re.compile(r"(?P<project>.+)_(?P<mode>[A-Za-z0-9]+)-(?P<beam>M\d\d)(?:_(?P<band>[WNF]))?"
                      r"(?:[_.-].*)")
_PROJECT_SHAPE = "{project}_{mode}-M{beam} and more, such as {project}_{mode}-M01.lines.h5"
# night.0000.raw; source_0001.fits; DADA, with a count of bytes.
_NUMBERED = (
    re.compile(r"(?P<stem>.+)\.(?P<chunk>\d{4,5})\.[A-Za-z]\w*"),
    re.compile(r"(?P<stem>.+)_(?P<chunk>\d{4,5})\.(?:fits|sf|fil)", re.IGNORECASE),
    re.compile(r"(?P<stem>.+)_(?P<chunk>\d{16})\.\d{6}\.dada"),
)


@dataclass(frozen=True)
class Recording:
    """Files that belong together.

    Parameters
    ----------
    files : tuple of FileStamp
        Files in the order of their numbers.
    stem : str
        Common part of their names, or the name without its extension.
    fields : dict
        Values from the names, with the names of fields in templates as keys.
    refused : str
        Why this cannot be an input; empty if it can.
    notes : tuple of str
        Peculiarities to report.
    """

    files: tuple[FileStamp, ...]
    stem: str
    fields: dict[str, str] = field(default_factory=dict)
    refused: str = ""
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def gather(files: Sequence[FileStamp], group: str) -> list[Recording]:
    """Return the recordings, in the order of their first files.

    Parameters
    ----------
    files : sequence of FileStamp
    group : {"file", "scan", "fast", "project"}
        A recording is a single file; all files of a scan, which differ only in their number
        (``night.0000.raw``, ``source_0001.fits``); all chunks of a beam, by the names of FAST's
        files; or all files of a project and mode of FAST, whatever their beams and folders.
    """
    if group == "file":
        return [_single(file) for file in files]
    sets: dict[tuple[str, ...], list[tuple[int, FileStamp, dict[str, str]]]] = {}
    for file in files:
        key, chunk, fields = _key(file, group)
        sets.setdefault(key, []).append((chunk, file, fields))
    return [_joined(members, group) for members in sets.values()]


def _single(file: FileStamp) -> Recording:
    name = os.path.basename(file.path)
    return Recording((file,), os.path.splitext(name)[0] or name)


def _key(file: FileStamp, group: str) -> tuple[tuple[str, ...], int, dict[str, str]]:
    """Return the key that files of one recording share, the number of this file, and its fields."""
    folder, name = os.path.split(file.path)
    if group == "fast":
        match = _FAST.fullmatch(name)
        if match is None:
            return (file.path,), 0, {}
        fields = {key: value or "" for key, value in match.groupdict().items()}
        return (folder, name[: match.start("chunk")]), int(match["chunk"]), fields
    if group == "project":
        match = _PROJECT.fullmatch(name)
        if match is None:
            return (file.path,), 0, {}
        fields = {key: match[key] or "" for key in ("project", "mode", "band")}
        return tuple(fields.values()), 0, {
            **fields, "stem": f"{match['project']}_{match['mode']}"}
    for pattern in _NUMBERED:
        match = pattern.fullmatch(name)
        if match is not None:
            rest = name[match.end("chunk"):]
            return (folder, match["stem"], rest), int(match["chunk"]), {"stem": match["stem"]}
    return (file.path,), 0, {}


def _joined(members: list[tuple[int, FileStamp, dict[str, str]]], group: str) -> Recording:
    """Return the recording of files with numbers."""
    members.sort(key=lambda member: (member[0], os.path.basename(member[1].path), member[1].path))
    files = tuple(file for _, file, _ in members)
    fields = members[0][2]
    if not fields:
        one = _single(files[0])
        if group not in ("fast", "project"):
            return one
        shape = _FAST_SHAPE if group == "fast" else _PROJECT_SHAPE
        return Recording(one.files, one.stem, refused=(
            f"{files[0].path}: not named as FAST's files are; allowed: {shape}, or "
            "inputs.group = \"scan\""))
    stem = fields.get("stem") or os.path.basename(files[0].path).rpartition("_")[0]
    return Recording(files, stem, {key: fields[key] for key in fields if key != "stem"},
                     notes=_gaps(stem, [number for number, _, _ in members]))


def _gaps(stem: str, numbers: list[int]) -> tuple[str, ...]:
    """Return a note if numbers are missing; DADA's counts of bytes are not such numbers."""
    missing = numbers[-1] - numbers[0] + 1 - len(set(numbers))
    if not 0 < missing < 100_000:
        return ()
    first = next(a + 1 for a, b in pairwise(numbers) if b - a > 1)
    return (f"{stem}: {missing} of its files missing, from number {first:04d} on",)
