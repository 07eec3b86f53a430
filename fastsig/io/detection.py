"""What format a file is of, by its content; which files beside one another are a recording."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from fastsig.errors import FormatError, UsageError
from fastsig.io.probe import Probe
from fastsig.registry import STREAMS, formats, formats_for, kinds

__all__ = ["detect", "recording_of"]

def detect(path: str | os.PathLike[str]) -> tuple[str, Any]:
    """Name and module of the format of a file, found by its content.

    Raises
    ------
    FormatError
        Where no format knows the file.
    """
    probe = Probe(path)
    for name, module in formats_for(probe.container):
        if module.sniff(probe):
            return name, module
    raise FormatError(probe.path, _unread(probe) or _unknown(probe.path, formats()))


def _unread(probe: Probe) -> str | None:
    """What a file of no format of ours is, where that is known."""
    from fastsig.io.unread import description

    words = description(probe)
    return words and f"is {words}, which fastsig does not read"


def _unknown(path: str, known: Iterable[str]) -> str:
    """What a file is not."""
    if os.path.isdir(path):
        return "is a folder, of no format that is one; name the files in it"
    beside = ""
    if path.endswith(".dat") and not os.path.exists(f"{path[:-4]}.inf"):
        beside = f"; PRESTO's series have {os.path.basename(path)[:-4]}.inf beside them"
    return f"not a file of a known format ({', '.join(known)}){beside}"


class _Group(NamedTuple):
    """Files whose names differ in a number alone, and what they hold."""

    files: list[str]
    rank: tuple[int, int]  # of its name, of its kind: the least is the recording
    name: str  # of the format
    module: Any


def recording_of(stem: str, neighbours: list[str]) -> list[str]:
    """The files that a stem stands for, of all those whose names begin with it.

    Files of no known format and products beside a recording are left out: numbered files come
    before ``stem.ENDING``, and that before longer names; voltages come before spectra, and these
    before all else.

    Parameters
    ----------
    stem : str
    neighbours : list of str
        Two or more, in order.

    Raises
    ------
    FormatError
        Where none of them is of a known format.
    UsageError
        Where several are recordings of their own.
    """
    names: dict[tuple[int, str], list[str]] = {}
    for path in neighbours:
        names.setdefault(_form(path[len(stem) :]), []).append(path)
    groups = [group for form, files in names.items() if (group := _group(form[0], files))]
    if not groups:
        raise FormatError(stem, f"No such file; of the {len(neighbours)} files beside whose names "
                          "begin so, none is of a known format")
    least = min(group.rank for group in groups)
    found = [group for group in groups if group.rank == least]
    if len(found) > 1:  # a header beside its data is no recording of its own
        found = [group for group in found if os.path.splitext(group.files[0])[1] not in
                 getattr(group.module, "HEADERS", ())] or found
    if len(found) > 1:
        listed = ", ".join(f"{group.files[0]} ({group.name})" for group in found)
        raise UsageError(f"{stem} stands for several recordings: {listed}; name one of them")
    return found[0].files


def _form(rest: str) -> tuple[int, str]:
    """Rank of a name by what follows the stem, and what files of a recording share of it."""
    numbered = re.fullmatch(r"\.\d+((?:\.[^.]*)?)", rest)
    if numbered:
        return 0, numbered[1]
    return (1, rest) if rest.count(".") == 1 else (2, os.path.splitext(rest)[1])


def _group(rank: int, files: list[str]) -> _Group | None:
    """What files hold, by the first of them that is of a known format."""
    for path in files:
        try:
            name, module = detect(path)
        except FormatError:
            continue
        held = kinds(module)
        kind = min((STREAMS.index(each) for each in held if each in STREAMS), default=len(STREAMS))
        return _Group(files, (rank, kind), name, module)
    return None
