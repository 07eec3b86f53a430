"""Detection of formats by content, and of the neighbouring files that form one recording."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from fastsig.errors import FormatError, MissingFileError, UsageError
from fastsig.io.probe import Probe
from fastsig.registry import STREAMS, formats, formats_for, kinds

__all__ = ["detect", "recording_of"]

def detect(path: str | os.PathLike[str]) -> tuple[str, Any]:
    """Return the name and module of the format of a file, detected from its content.

    Raises
    ------
    FormatError
        If no format recognises the file.
    """
    probe = Probe(path)
    for name, module in formats_for(probe.container):
        if module.sniff(probe):
            return name, module
    raise FormatError(probe.path, _unread(probe) or _unknown(probe, formats()))


def _unread(probe: Probe) -> str | None:
    """Describe a well-known file that fastsig does not read; None for any other."""
    from fastsig.io.unread import description

    words = description(probe)
    return words and f"is {words}, which fastsig does not read"


def _unknown(probe: Probe, known: Iterable[str]) -> str:
    """Return the error text for a file of no known format."""
    from fastsig.io.text.tables import table_lacks

    path = probe.path
    if probe.is_folder:
        return "is a folder of no known format; name the files in it"
    lacks = table_lacks(probe.head)
    beside = f"; {lacks}" if lacks else ""
    if path.endswith(".dat") and not os.path.exists(f"{path[:-4]}.inf"):
        beside = f"; a PRESTO time series has {os.path.basename(path)[:-4]}.inf beside it"
    return f"not a file of a known format ({', '.join(known)}){beside}"


class _Group(NamedTuple):
    """Files whose names differ only in a number, and their format."""

    files: list[str]
    rank: tuple[int, int]  # ranks of the name and the kind; the lowest is the recording
    name: str  # name of the format
    module: Any


def recording_of(stem: str, neighbours: list[str]) -> list[str]:
    """Return the files that a stem denotes, out of all files whose names begin with it.

    Files of no known format and products beside a recording are left out: numbered files have
    precedence over ``stem.ENDING``, which has precedence over longer names; voltages have
    precedence over spectra, and spectra over all other kinds.

    Parameters
    ----------
    stem : str
    neighbours : list of str
        Two or more paths, in order.

    Raises
    ------
    FormatError
        If none of the files has a known format.
    UsageError
        If several of them are separate recordings.
    """
    names: dict[tuple[int, str], list[str]] = {}
    for path in neighbours:
        names.setdefault(_form(path[len(stem) :]), []).append(path)
    groups = [group for form, files in names.items() if (group := _group(form[0], files))]
    if not groups:
        raise MissingFileError(stem, f"No such file; {len(neighbours)} files have names that begin "
                               "like this, but none has a known format")
    least = min(group.rank for group in groups)
    found = [group for group in groups if group.rank == least]
    if len(found) > 1:  # a header file beside its data is not a separate recording
        found = [group for group in found if os.path.splitext(group.files[0])[1] not in
                 getattr(group.module, "HEADERS", ())] or found
    if len(found) > 1:
        listed = ", ".join(f"{group.files[0]} ({group.name})" for group in found)
        raise UsageError(f"{stem} matches several recordings: {listed}; name one of them")
    return found[0].files


def _form(rest: str) -> tuple[int, str]:
    """Rank a name by the part after the stem, and return what files of a recording share of it."""
    numbered = re.fullmatch(r"\.\d+((?:\.[^.]*)?)", rest)
    if numbered:
        return 0, numbered[1]
    return (1, rest) if rest.count(".") == 1 else (2, os.path.splitext(rest)[1])


def _group(rank: int, files: list[str]) -> _Group | None:
    """Group files under the format of the first one that has a known format."""
    for path in files:
        try:
            name, module = detect(path)
        except FormatError:
            continue
        held = kinds(module)
        kind = min((STREAMS.index(each) for each in held if each in STREAMS), default=len(STREAMS))
        return _Group(files, (rank, kind), name, module)
    return None
